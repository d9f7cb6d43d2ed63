//! What can stop a walker, by how much has to be set aside for it.

use crate::oversight::ServerSign;
use mailhaul_db::{DbError, DbErrorKind};
use mailhaul_imap::{ErrorClass, ImapError};
use mailhaul_report::{Stop, StopCause};
use mailhaul_types::{Escaped, MailboxName, Side, UidSet, escape};
use std::fmt;

/// How many messages a stop names.
const UIDS_NAMED_MAX: usize = 20;

/// A failure of one of the two connections.
#[derive(Debug, Clone)]
pub(crate) struct LinkError {
    pub(crate) side: Side,
    pub(crate) error: ImapError,
    /// The messages with which connections were lost, in words, if it may be theirs and not the server's trouble.
    pub(crate) over: Option<Box<str>>,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.side, Escaped(&self.error.to_string()))
    }
}

impl LinkError {
    pub(crate) fn new(side: Side, error: ImapError) -> Self {
        Self { side, error, over: None }
    }

    /// The same, with the messages over which it may have come about: these of a mailbox on this side.
    pub(crate) fn over(mut self, side: Side, mailbox: &MailboxName, uids: &UidSet) -> Self {
        let may_be_theirs = matches!(self.error.class(), ErrorClass::Network | ErrorClass::Protocol);
        if may_be_theirs && self.over.is_none() && !uids.is_empty() {
            let named: UidSet = uids.iter().take(UIDS_NAMED_MAX).collect();
            let more = uids.len() - named.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            self.over = Some(format!("UID {named}{more} of {mailbox} on the {side}").into());
        }
        self
    }

    /// What this shows of the server to everybody else who uses it.
    pub(crate) fn sign(&self) -> Option<ServerSign> {
        match self.error.class() {
            // It is busy with this one account, and serves the others.
            ErrorClass::Throttle if self.error.concerns_one_account() => Some(ServerSign::Served),
            ErrorClass::Throttle => Some(ServerSign::Throttled(self.error.retry_after())),
            ErrorClass::Network => Some(ServerSign::ConnectionFailed),
            // A server that refuses somebody is there.
            ErrorClass::SignIn => Some(ServerSign::Served),
            _ => None,
        }
    }
}

/// Marks an error of one side, so that `?` can carry it.
pub(crate) fn on(side: Side) -> impl Fn(ImapError) -> WalkError {
    move |error| WalkError::Link(LinkError::new(side, error))
}

/// Why a pass over a mailbox, or a run over an account, did not come to its end.
#[derive(Debug, Clone)]
pub(crate) enum WalkError {
    /// A connection broke or refused: look at its class.
    Link(LinkError),
    /// This mailbox cannot be worked on; the others can.
    Mailbox(String),
    /// This mailbox waits for the operator; the others can go on.
    MailboxDecision(String),
    /// Everything listed is copied, but the source does not list everything it says it has.
    ViewIncomplete(String),
    /// Everything listed is copied, but the source may show only a part of what it has.
    ViewDoubtful(String),
    /// The operator asked for something that cannot be meant.
    Usage { reason: String, hint: String },
    /// The account waits for the operator.
    Decision { cause: StopCause, reason: String, hint: String },
    /// The ledger.
    Ledger(DbError),
    /// The operator asked to stop. Whether messages were left unanswered.
    Interrupted { unanswered: u64 },
}

impl From<DbError> for WalkError {
    fn from(error: DbError) -> Self {
        Self::Ledger(error)
    }
}

impl WalkError {
    /// The server whose connection broke or refused.
    pub(crate) fn side(&self) -> Option<Side> {
        if let Self::Link(link) = self { Some(link.side) } else { None }
    }

    /// Whether nobody was let in.
    pub(crate) fn is_of_sign_in(&self) -> bool {
        matches!(self, Self::Link(link) if link.error.class() == ErrorClass::SignIn)
    }

    /// Whether the server said nothing: it could not be reached, was lost, or was silent for too long.
    pub(crate) fn is_without_words(&self) -> bool {
        use mailhaul_imap::ImapError::{Closed, Connect, Resolve, TimedOut};
        matches!(self, Self::Link(link) if matches!(link.error, Resolve { .. } | Connect { .. } | Closed { .. } | TimedOut { .. }))
    }

    /// Whether it is the trouble of one connection, and says nothing against others to the same servers.
    pub(crate) fn concerns_a_connection(&self) -> bool {
        let Self::Link(link) = self else { return false };
        !matches!(
            link.error.class(),
            ErrorClass::SignIn | ErrorClass::Tls | ErrorClass::Usage | ErrorClass::Quota | ErrorClass::Lease
        )
    }
}

/// A refusal that is about the mailbox sets the mailbox aside; everything else is the connection's trouble.
pub(crate) fn mailbox_error(side: Side, error: ImapError) -> WalkError {
    match (&error, error.class()) {
        (ImapError::Refused { .. }, ErrorClass::Throttle | ErrorClass::SignIn | ErrorClass::Quota) => on(side)(error),
        (ImapError::Refused { .. }, _) => WalkError::Mailbox(format!("{side}: {}", escape(&error.to_string()))),
        _ => on(side)(error),
    }
}

/// What is said of a run that the operator stopped, if nothing is known to be unanswered.
pub(crate) const INTERRUPTED: &str = "interrupted";

/// How a run ends because of an error that stops the account.
pub(crate) fn stop_of(error: WalkError) -> Stop {
    match error {
        WalkError::Link(link) => stop_of_link(&link),
        WalkError::Ledger(error) => stop_of_ledger(&error),
        WalkError::Usage { reason, hint } => Stop::new(StopCause::Usage, reason, hint),
        WalkError::Decision { cause, reason, hint } => Stop::new(cause, reason, hint),
        WalkError::Interrupted { unanswered } => {
            let reason = match unanswered {
                0 => INTERRUPTED.to_owned(),
                n => format!("{INTERRUPTED}; {n} messages were sent and not answered: the next run looks for them"),
            };
            Stop::new(StopCause::Interrupted, reason, "run the same command again to go on".to_owned())
        }
        WalkError::Mailbox(reason)
        | WalkError::MailboxDecision(reason)
        | WalkError::ViewIncomplete(reason)
        | WalkError::ViewDoubtful(reason) => Stop::new(StopCause::Internal, reason, String::new()),
    }
}

/// How a run ends because of a connection.
pub(crate) fn stop_of_link(link: &LinkError) -> Stop {
    const LATER: &str = "the same command goes on from here once the server can be reached";
    let (cause, hint) = match link.error.class() {
        ErrorClass::SignIn => (
            StopCause::SignIn,
            "check user and password by signing in with a mail program; mailhaul does not try again by itself",
        ),
        ErrorClass::Tls => (StopCause::Tls, "nothing was sent before the certificate had been checked"),
        ErrorClass::Usage => (StopCause::Tls, "check the options"),
        ErrorClass::Quota => (StopCause::Quota, "make room on the target; the same command then goes on"),
        ErrorClass::Throttle => {
            (StopCause::Throttle, "the server asks to be left alone for a while; the same command goes on later")
        }
        ErrorClass::Server => (StopCause::Server, LATER),
        ErrorClass::Protocol => (StopCause::Protocol, LATER),
        ErrorClass::Lease => (StopCause::Lease, LATER),
        _ => (StopCause::Network, LATER),
    };
    let retry_after_secs = link.error.retry_after().map(|wait| wait.as_secs());
    let (reason, hint) = match &link.over {
        None => (link.to_string(), hint.to_owned()),
        Some(over) => (
            format!("{link}; connections were lost when nothing but this was on its way: {over}"),
            format!(
                "{hint}. If a mail program cannot open that message either, repair or delete it there, or leave its \
                 mailbox out with --exclude"
            ),
        ),
    };
    Stop { side: Some(link.side), retry_after_secs, ..Stop::new(cause, reason, hint) }
}

/// How a run ends because of the ledger.
#[must_use]
pub fn stop_of_ledger(error: &DbError) -> Stop {
    let cause = match error.kind() {
        DbErrorKind::Internal => StopCause::Internal,
        DbErrorKind::PairBusy => StopCause::Busy,
        DbErrorKind::LeaseLost => StopCause::Lease,
        // A damaged row concerns this pair alone.
        DbErrorKind::Damaged => StopCause::Brake,
        _ => StopCause::Local,
    };
    Stop::new(cause, escape(&error.to_string()), String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_the_account_is_not_the_trouble_of_one_connection() {
        let bye = |text: &str| ImapError::Bye { text: text.to_owned() };
        let of_one = [
            bye("internal error"),
            bye("too many connections"),
            ImapError::Closed { during: "APPEND", detail: String::new() },
        ];
        assert!(of_one.into_iter().all(|error| on(Side::Target)(error).concerns_a_connection()));
        let of_all = [ImapError::SignInImpossible { reason: "no way to sign in".to_owned() }, ImapError::CommitRefused];
        assert!(!of_all.into_iter().any(|error| on(Side::Target)(error).concerns_a_connection()));
        assert!(!WalkError::Interrupted { unanswered: 0 }.concerns_a_connection());
        assert!(!WalkError::Mailbox("refused".to_owned()).concerns_a_connection());
    }
}
