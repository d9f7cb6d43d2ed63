//! Moving messages from the selected mailbox of the target into another one, and removing what mailhaul wrote.

use crate::error::{WalkError, on};
use mailhaul_imap::{Connection, ErrorClass, ImapError, StoreMode};
use mailhaul_plan::moves::Way;
use mailhaul_types::{Flags, MailboxName, Side, SystemFlag, Uid, UidSet, UidValidity, escape};
use std::collections::BTreeMap;

/// How many messages one command moves. So many may be in flight at once, and are looked for if the answer is lost.
pub(crate) const MESSAGES_A_MOVE: usize = 500;

/// What came of moving messages.
#[derive(Debug)]
pub(crate) enum Relocated {
    /// The target said OK.
    Done(Whereto),
    /// It said no, in these words. Some of the messages may have been moved all the same (RFC 6851 §4.3).
    Refused(String),
}

/// Where messages went.
#[derive(Debug)]
pub(crate) struct Whereto {
    /// COPYUID (RFC 4315 §3), old UID to new, if the target said it; what is not in it was not there any more.
    pub(crate) named: Option<(UidValidity, BTreeMap<Uid, Uid>)>,
    /// Why the originals could not be removed after they had been copied, if that was so.
    pub(crate) left_behind: Option<String>,
}

/// Moves messages of the selected mailbox.
pub(crate) async fn relocate(
    target: &mut Connection,
    uids: &UidSet,
    to: &MailboxName,
    way: Way,
) -> Result<Relocated, WalkError> {
    let answered = match way {
        Way::Move => target.uid_move(uids, to).await,
        Way::CopyAndExpunge => target.uid_copy(uids, to).await,
    };
    let copied = match answered {
        Ok(copied) => copied,
        Err(error) => return Ok(Relocated::Refused(refusal(error)?)),
    };
    let left_behind = match way {
        Way::Move => None,
        Way::CopyAndExpunge => remove(target, uids).await?,
    };
    let named = copied.uid_validity.map(|uid_validity| (uid_validity, copied.pairs.into_iter().collect()));
    Ok(Relocated::Done(Whereto { named, left_behind }))
}

/// Marks messages of the selected mailbox and expunges these and no others (RFC 4315 §2.1). Doing it twice does no
/// harm. Returns the target's words if it refuses. Only for what mailhaul itself has written.
pub(crate) async fn remove(target: &mut Connection, uids: &UidSet) -> Result<Option<String>, WalkError> {
    if let Err(error) = target.store_flags(uids, StoreMode::Add, &deleted()).await {
        return refusal(error).map(Some);
    }
    match target.uid_expunge(uids).await {
        Ok(()) => Ok(None),
        Err(error) => refusal(error).map(Some),
    }
}

/// `\Deleted` alone.
pub(crate) fn deleted() -> Flags {
    let mut flags = Flags::new();
    flags.insert(SystemFlag::Deleted);
    flags
}

/// The target's words if it does not want to do this; anything else is the connection's trouble.
pub(crate) fn refusal(error: ImapError) -> Result<String, WalkError> {
    match (&error, error.class()) {
        (ImapError::Refused { .. }, ErrorClass::Throttle | ErrorClass::SignIn) => Err(on(Side::Target)(error)),
        (ImapError::Refused { status, .. }, _) => Ok(escape(&status.to_string())),
        _ => Err(on(Side::Target)(error)),
    }
}

/// Cuts pairs into portions of what one command moves.
pub(crate) fn portions<T>(pairs: &[T]) -> impl Iterator<Item = &[T]> {
    pairs.chunks(MESSAGES_A_MOVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailhaul_imap::{Status, StatusLine};

    fn refused(text: &str, code: Option<&str>) -> ImapError {
        let status = StatusLine { status: Status::No, code: code.map(str::to_owned), text: text.to_owned() };
        ImapError::Refused { command: "UID MOVE", status }
    }

    #[test]
    fn a_no_is_an_answer_and_a_request_to_wait_is_not() {
        assert!(refusal(refused("not now", None)).is_ok_and(|words| words.contains("not now")));
        assert!(refusal(refused("it is full", Some("OVERQUOTA"))).is_ok());
        assert!(matches!(refusal(refused("rate limit hit", None)), Err(WalkError::Link(_))));
    }
}
