//! What is on the target already: reading its tail. Matching it with the source is `recognise`'s.
//!
//! Nothing is appended into a mailbox before this has been done for everything above the mark. It finds copies whose
//! answer was lost, copies that an old state file has forgotten, and mail that another tool brought over.

use crate::bodies::{Metadata, digest_carefully};
use crate::error::{WalkError, mailbox_error, on};
use crate::reading::{Part, Place, Reader, Unreadable, read_carefully};
use crate::walk::Links;
use mailhaul_imap::{Connection, ImapError, ScanItems};
use mailhaul_plan::keys::{KeyMaker, KeyStream};
use mailhaul_plan::likeness::Likeness;
use mailhaul_plan::matching::Candidate;
use mailhaul_plan::steps::{difference, intersection};
use mailhaul_types::{Flags, MailboxName, MessageKey, Side, Uid, UidRange, UidSet};
use std::collections::{BTreeMap, BTreeSet};

/// A message with all that is needed to recognise it.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) candidate: Candidate,
    /// What is left to recognise it by where a server has altered it; nothing for a message whose header was cut.
    pub(crate) likeness: Likeness,
    pub(crate) flags: Flags,
}

/// Which of these target UIDs hold a message. A tail may be wide and nearly empty, and what is asked about messages
/// costs by the UID, so this comes first.
///
/// Two commands that a server answers in different ways have to agree: a listing that falls short would have its
/// messages copied a second time.
pub(crate) async fn present_in(target: &mut Connection, uids: &UidSet) -> Result<UidSet, WalkError> {
    if uids.is_empty() {
        return Ok(UidSet::new());
    }
    let listed = listed_in(target, Side::Target, uids).await?;
    let searched = match target.uid_search_present(uids).await {
        Ok(searched) => searched,
        // Some servers have no usable SEARCH; their listing has to be believed.
        Err(error) if error.leaves_connection_usable() => listed.clone(),
        Err(error) => return Err(on(Side::Target)(error)),
    };
    let unlisted = difference(&intersection(&searched, uids), &listed);
    if unlisted.is_empty() {
        return Ok(listed);
    }
    // Mail may have arrived between the two; once more decides.
    let listed = listed_in(target, Side::Target, uids).await?;
    let unlisted = difference(&unlisted, &listed);
    if unlisted.is_empty() {
        return Ok(listed);
    }
    Err(WalkError::Mailbox(format!(
        "the target finds messages and does not list them (UIDs {unlisted}), so it cannot be told what is there \
         already; nothing was sent"
    )))
}

/// The UIDs that `UID FETCH` lists among these.
pub(crate) async fn listed_in(connection: &mut Connection, side: Side, uids: &UidSet) -> Result<UidSet, WalkError> {
    let mut listed = UidSet::new();
    let mut row = |row: mailhaul_imap::ScanRow| {
        // `U:*` returns the last old message when nothing is new.
        if uids.contains(row.uid) {
            listed.insert(row.uid);
        }
    };
    connection.scan(uids.ranges(), ScanItems::default(), &mut row).await.map_err(on(side))?;
    Ok(listed)
}

/// The target's UIDNEXT as it is now; for servers that never say it, one above the highest UID there is.
pub(crate) async fn target_uid_next(links: &mut Links, name: &MailboxName, mark: Uid) -> Result<Uid, WalkError> {
    let status = links.target.status(name).await.map_err(|error| mailbox_error(Side::Target, error))?;
    if let Some(uid_next) = status.uid_next {
        return Ok(uid_next);
    }
    let mut highest = Uid(mark.0.saturating_sub(1));
    let range = UidRange { first: Uid(mark.0.max(1)), last: Uid(u32::MAX) };
    let mut row = |row: mailhaul_imap::ScanRow| highest = highest.max(row.uid);
    links.target.scan(&[range], mailhaul_imap::ScanItems::default(), &mut row).await.map_err(on(Side::Target))?;
    Ok(Uid(highest.0.saturating_add(1)))
}

/// Reads key material of `uids`, and keeps the messages that `keep` wants. Messages without usable header fields are
/// keyed by their content, and are not asked about before that.
///
/// # Errors
/// Also the mailbox's, if a message is there and cannot be read.
pub(crate) async fn read_known(
    connection: &mut Connection,
    place: Place<'_>,
    keys: &KeyMaker,
    uids: &UidSet,
    keep: impl Fn(&Known) -> bool + Send + Sync,
) -> Result<Vec<Known>, WalkError> {
    let (known, unreadable) = read_known_of(connection, place, keys, uids, keep).await?;
    insist_on_all(place.side, &unreadable).map(|()| known)
}

/// The same, with those apart over which connections are lost.
pub(crate) async fn read_known_of(
    connection: &mut Connection,
    place: Place<'_>,
    keys: &KeyMaker,
    uids: &UidSet,
    keep: impl Fn(&Known) -> bool + Send + Sync,
) -> Result<(Vec<Known>, Unreadable), WalkError> {
    let mut headers = Headers { keys, keep, rows: Vec::new(), without_key: BTreeSet::new(), answered: BTreeSet::new() };
    let mut unreadable = read_carefully(connection, place, uids, &mut headers).await?;
    let Headers { keep, mut rows, without_key, answered, .. } = headers;
    // Listed, and no header came: read whole, or proved to be gone meanwhile.
    let silent = difference(uids, &answered.into_iter().collect());
    prove_absent(connection, place.side, &difference(&silent, &unreadable.keys().copied().collect())).await?;
    if !without_key.is_empty() {
        let without_key = without_key.into_iter().collect();
        let (streams, lost) = digest_all(connection, place, &without_key, |_| keys.stream(), KeyStream::push).await?;
        let content_keys: BTreeMap<Uid, MessageKey> =
            streams.into_iter().map(|(uid, stream)| (uid, stream.finish())).collect();
        for known in rows.iter_mut().filter(|known| known.candidate.key.is_none()) {
            known.candidate.key = content_keys.get(&known.candidate.uid).copied();
        }
        rows.retain(|known| !lost.contains_key(&known.candidate.uid));
        rows.retain(|known| known.candidate.key.is_none() || keep(known));
        unreadable.extend(lost);
    }
    // A server may repeat itself; a message must not count twice.
    rows.sort_unstable_by_key(|known| known.candidate.uid);
    rows.dedup_by_key(|known| known.candidate.uid);
    Ok((rows, unreadable))
}

/// Headers that are read into what is known of their messages.
struct Headers<'a, K> {
    keys: &'a KeyMaker,
    keep: K,
    rows: Vec<Known>,
    without_key: BTreeSet<Uid>,
    answered: BTreeSet<Uid>,
}

impl<K: Fn(&Known) -> bool + Send + Sync> Reader for Headers<'_, K> {
    const PART: Part = Part::Header;

    async fn read(&mut self, connection: &mut Connection, uids: &UidSet) -> Result<(), ImapError> {
        let Headers { keys, keep, rows, without_key, answered } = self;
        let mut take = |row: mailhaul_imap::HeaderRow| {
            answered.insert(row.uid);
            if !uids.contains(row.uid) {
                return;
            }
            // A header that was cut would make another key than the whole message does.
            let key = if row.truncated { None } else { keys.key_of_headers(&row.header) };
            let likeness = if row.truncated { Likeness::default() } else { keys.likeness_of_headers(&row.header) };
            let date = row.internal_date.map(mailhaul_types::InternalDate::unix_secs);
            let candidate = Candidate { uid: row.uid, key, size: row.size, date };
            let known = Known { candidate, likeness, flags: row.flags };
            if key.is_none() {
                without_key.insert(row.uid);
            } else if !keep(&known) {
                return;
            }
            rows.push(known);
        };
        connection.fetch_headers(uids, &mut take).await
    }

    fn has(&self, uid: Uid) -> bool {
        self.answered.contains(&uid)
    }

    fn octets(&self) -> u64 {
        0
    }
}

/// Reads whole messages of which every one counts: a message that is there and is not handed out would be taken for
/// one that is not there, and be copied a second time. Those over which connections are lost are handed over apart.
pub(crate) async fn digest_all<D>(
    connection: &mut Connection,
    place: Place<'_>,
    uids: &UidSet,
    begin: impl Fn(&Metadata<'_>) -> D,
    push: impl Fn(&mut D, &[u8]),
) -> Result<(BTreeMap<Uid, D>, Unreadable), WalkError> {
    let (read, unreadable) = digest_carefully(connection, place, uids, begin, push).await?;
    if let Some((_, status)) = read.refused {
        return Err(mailbox_error(place.side, ImapError::Refused { command: "UID FETCH", status }));
    }
    prove_absent(connection, place.side, &read.missing).await?;
    Ok((read.digests, unreadable))
}

/// Where a message that is there and cannot be read would be taken for one that is not.
fn insist_on_all(side: Side, unreadable: &Unreadable) -> Result<(), WalkError> {
    let Some((uid, reason)) = unreadable.first_key_value() else { return Ok(()) };
    let more = match unreadable.len() {
        1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    };
    Err(WalkError::Mailbox(format!(
        "the {side} cannot be read at UID {uid}{more}, so it cannot be told what is there already: {reason}; nothing was \
         sent"
    )))
}

/// Insists that messages which were not delivered do not exist any more, by both ways in which a server can say so.
async fn prove_absent(connection: &mut Connection, side: Side, uids: &UidSet) -> Result<(), WalkError> {
    if uids.is_empty() {
        return Ok(());
    }
    let mut still_there = connection.uid_search_present(uids).await.map_err(on(side))?;
    still_there.extend_ranges(&listed_in(connection, side, uids).await?);
    if still_there.is_empty() {
        return Ok(());
    }
    Err(WalkError::Mailbox(format!(
        "the {side} lists messages and does not hand them out (UIDs {still_there}), so it cannot be told what is there \
         already; nothing was sent"
    )))
}

/// The UIDs from `mark` to below `uid_next`, without those that settled messages own already.
pub(crate) fn unclaimed(mark: Uid, uid_next: Uid, claimed: &UidSet) -> UidSet {
    let mut tail = UidSet::new();
    if let Some(range) = mailhaul_plan::tail::tail_range(mark, uid_next) {
        tail.insert_range(range);
    }
    difference(&tail, claimed)
}
