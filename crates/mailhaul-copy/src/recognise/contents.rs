//! Reading contents: in what every message counts, and in what nobody does.

use crate::bodies::digest_carefully;
use crate::error::WalkError;
use crate::reading::{Place, Unreadable};
use crate::tail::digest_all;
use mailhaul_imap::Connection;
use mailhaul_plan::content::{ContentDigester, ContentDigests};
use mailhaul_plan::keys::KeyMaker;
use mailhaul_plan::likeness::Printer;
use mailhaul_plan::loose::Prints;
use mailhaul_types::{Side, Uid, UidSet};
use std::collections::BTreeMap;

/// Digests whole messages of which every one counts; `drafts` as what their author may have edited.
pub(super) async fn read_digests(
    connection: &mut Connection,
    place: Place<'_>,
    keys: &KeyMaker,
    uids: &UidSet,
    drafts: &UidSet,
) -> Result<(BTreeMap<Uid, ContentDigests>, Unreadable), WalkError> {
    if uids.is_empty() {
        return Ok(Default::default());
    }
    let (read, lost) = digest_all(connection, place, uids, |_| keys.printer(), Printer::push).await?;
    let digests = |(uid, printer): (Uid, Printer)| {
        let print = printer.finish();
        (uid, if drafts.contains(uid) { print.digests_of_draft() } else { print.digests })
    };
    Ok((read.into_iter().map(digests).collect(), lost))
}

/// Reads whole messages. On the target every one counts: one that is there and is not handed out would be sent a second
/// time. What the source does not hand out equals nothing, and is dealt with when it is to be copied.
pub(super) async fn read_prints(
    connection: &mut Connection,
    place: Place<'_>,
    keys: &KeyMaker,
    uids: &UidSet,
) -> Result<(Prints, Unreadable), WalkError> {
    if uids.is_empty() {
        return Ok(Default::default());
    }
    let (read, lost) = match place.side {
        Side::Source => {
            let (read, lost) = digest_carefully(connection, place, uids, |_| keys.printer(), Printer::push).await?;
            (read.digests, lost)
        }
        Side::Target => digest_all(connection, place, uids, |_| keys.printer(), Printer::push).await?,
    };
    Ok((read.into_iter().map(|(uid, printer)| (uid, printer.finish())).collect(), lost))
}

/// Reads whole messages of which none counts: what cannot be read proves nothing, and is left out.
pub(super) async fn read_if_possible(
    connection: &mut Connection,
    place: Place<'_>,
    uids: &UidSet,
) -> Result<BTreeMap<Uid, ContentDigests>, WalkError> {
    if uids.is_empty() {
        return Ok(BTreeMap::new());
    }
    match digest_carefully(connection, place, uids, |_| ContentDigester::default(), ContentDigester::push).await {
        Ok((read, _)) => Ok(read.digests.into_iter().map(|(uid, digester)| (uid, digester.finish())).collect()),
        Err(WalkError::Link(link)) if link.error.leaves_connection_usable() => Ok(BTreeMap::new()),
        Err(WalkError::Mailbox(_)) => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    }
}
