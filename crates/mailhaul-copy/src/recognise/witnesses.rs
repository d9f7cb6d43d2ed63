//! What the target makes of bodies, seen by copies that we wrote and that stand on both sides.
//!
//! It is asked for only where the answer decides whether a message is sent. Nobody but its server changes a message that
//! has a UID; so a body that is another one than at the source was rebuilt by the target, unless the *source* hands out
//! another one each time it is asked, as servers do that keep no octets and render them: then it says nothing.

use super::Recognition;
use super::contents::read_if_possible;
use crate::bounds;
use crate::error::{WalkError, on};
use crate::walk::Pair;
use mailhaul_db::{MailboxState, SettledState};
use mailhaul_imap::{Connection, ScanItems, ScanRow};
use mailhaul_plan::content::ContentDigests;
use mailhaul_plan::loose::Bodies;
use mailhaul_plan::renames::spread;
use mailhaul_plan::steps::intersection;
use mailhaul_types::{Side, Uid, UidSet};
use std::collections::BTreeMap;

/// How many copies are asked about for each that is read: some are too large, some were not written by us.
const ASKED_FOR_EACH: usize = 4;

/// Some copies that we wrote and whose originals are still there, from all over the mailbox.
pub(crate) async fn find_witnesses(
    pair: &Pair<'_>,
    state: &MailboxState,
    listed: &UidSet,
) -> Result<Vec<(Uid, Uid)>, WalkError> {
    let asked = spread(&intersection(&state.settled, listed), bounds::WITNESSES * ASKED_FOR_EACH);
    let settled = pair.ledger.settled_in(&asked).await?.into_iter();
    let copied = settled.filter(|settled| settled.state == SettledState::Copied);
    Ok(copied.filter_map(|settled| Some((settled.source_uid, settled.target_uid?))).collect())
}

/// What becomes of bodies, as most of the witnesses that can be looked at show it. Both mailboxes are selected.
pub(crate) async fn what_becomes_of_bodies(
    source: &mut Connection,
    target: &mut Connection,
    with: &Recognition<'_>,
) -> Result<Bodies, WalkError> {
    let ours: UidSet = with.witnesses.iter().map(|(ours, _)| *ours).collect();
    let ours = spread(&small_ones(source, &ours).await?, bounds::WITNESSES);
    let pairs: BTreeMap<Uid, Uid> = with.witnesses.iter().copied().filter(|(uid, _)| ours.contains(*uid)).collect();
    let mut theirs: Vec<Uid> = pairs.values().copied().collect();
    theirs.sort_unstable();
    let their_digests = read_if_possible(target, with.place(Side::Target), &theirs.into_iter().collect()).await?;
    let our_digests = read_if_possible(source, with.place(Side::Source), &ours).await?;
    let mut rebuilt: BTreeMap<Uid, bool> = BTreeMap::new();
    for (ours, theirs) in &pairs {
        if let Some((ours_read, theirs_read)) = our_digests.get(ours).zip(their_digests.get(theirs)) {
            rebuilt.insert(*ours, ours_read.body != theirs_read.body);
        }
    }
    let suspects: UidSet = rebuilt.iter().filter(|(_, rebuilt)| **rebuilt).map(|(uid, _)| *uid).collect();
    let again = read_if_possible(source, with.place(Side::Source), &suspects).await?;
    let same = |uid: &Uid| body(&again, *uid).is_some() && body(&again, *uid) == body(&our_digests, *uid);
    rebuilt.retain(|uid, rebuilt| !*rebuilt || same(uid));
    let judged = judge(rebuilt.values().copied());
    tracing::debug!(looked_at = rebuilt.len(), ?judged, "bodies of earlier copies compared");
    Ok(judged)
}

/// Of `true` for every body that was rebuilt and `false` for every one that was kept.
fn judge(rebuilt: impl Iterator<Item = bool>) -> Bodies {
    let (mut all, mut changed) = (0, 0);
    for rebuilt in rebuilt {
        all += 1;
        changed += usize::from(rebuilt);
    }
    match all {
        0 => Bodies::Unknown,
        all if changed * 2 > all => Bodies::Rebuilt,
        _ => Bodies::Kept,
    }
}

fn body(digests: &BTreeMap<Uid, ContentDigests>, uid: Uid) -> Option<[u8; 32]> {
    digests.get(&uid).map(|digests| digests.body)
}

/// Those of these source messages that are worth their reading.
async fn small_ones(source: &mut Connection, uids: &UidSet) -> Result<UidSet, WalkError> {
    let mut small = UidSet::new();
    if uids.is_empty() {
        return Ok(small);
    }
    let mut take = |row: ScanRow| {
        if uids.contains(row.uid) && (1..=u64::from(bounds::READ_BACK_OCTETS_MAX)).contains(&row.size) {
            small.insert(row.uid);
        }
    };
    match source.scan(uids.ranges(), ScanItems::default(), &mut take).await {
        Ok(_) => Ok(small),
        Err(error) if error.leaves_connection_usable() => Ok(UidSet::new()),
        Err(error) => Err(on(Side::Source)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::judge;
    use mailhaul_plan::loose::Bodies;

    #[test]
    fn most_of_the_witnesses_decide_and_none_says_nothing() {
        for (rebuilt, expected) in [
            (&[][..], Bodies::Unknown),
            (&[true], Bodies::Rebuilt),
            (&[false], Bodies::Kept),
            (&[true, false], Bodies::Kept),
            (&[true, true, false], Bodies::Rebuilt),
        ] {
            assert_eq!(judge(rebuilt.iter().copied()), expected, "{rebuilt:?}");
        }
    }
}
