//! Messages that were moved at the source: known as departed in one mailbox, found again among the arrivals of another.
//!
//! A move is not trusted to be one because a key says so. The new message at the source is compared with the copy of
//! the old one on the target exactly as a copy is that is found there; only then the copy is moved. It is marked in the
//! ledger of the receiving mailbox before the command is sent, as for APPEND, so that whatever becomes of the answer,
//! the next reader of the tail finds the copy there or does not.
//!
//! Written down in this order: the move itself; that the old message is dealt with; that the new one is settled. If the
//! process dies in between, the new one is still marked as in flight, its copy is found in the tail, and
//! [`unfinished`] does the rest.

mod departures;
mod follower;
pub(crate) mod relocate;
mod unfinished;
mod unnamed;
mod withheld;

pub(crate) use departures::Departures;

use crate::error::WalkError;
use crate::recognise::find_witnesses;
use crate::scan::Listing;
use crate::tally::Tally;
use crate::walk::{Links, Pair, Target, Walk};
use follower::Follower;
use mailhaul_db::{MailboxState, Settled};
use mailhaul_plan::policy::MovePolicy;
use mailhaul_plan::steps::{difference, intersection};
use mailhaul_types::{Uid, UidRange, UidSet};

/// What is known of the mailbox in which messages arrive.
pub(crate) struct Arrivals<'a> {
    /// The source mailbox.
    pub(crate) listing: &'a mut Listing,
    /// What the ledger knew when the pass began.
    pub(crate) state: &'a MailboxState,
    /// What the pass has found on the target since.
    pub(crate) adopted: &'a UidSet,
}

/// Moves on the target what was moved into this mailbox at the source. Returns the source UIDs that are settled by it.
/// On return both mailboxes of the pair are selected, and `target.mark` is right.
pub(crate) async fn follow_moves(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    tally: &mut Tally,
    arrivals: Arrivals<'_>,
    target: &mut Target,
    departures: &mut Departures,
) -> Result<UidSet, WalkError> {
    if walk.job.resync.moves == MovePolicy::Copy || departures.is_empty() {
        return Ok(UidSet::new());
    }
    let todo: UidSet = arrivals.listing.todo.iter().map(|(uid, _)| *uid).collect();
    let todo = difference(&todo, arrivals.adopted);
    let unfinished = may_be_unfinished(pair, &arrivals).await?;
    if todo.is_empty() && unfinished.is_empty() {
        return Ok(UidSet::new());
    }
    let briefs = walk.lease.overview().await?;
    let origins = departures.origins(walk, pair.source.text(), &briefs).await?;
    walk.doing(pair, "following what was moved");
    let witnesses = find_witnesses(pair, arrivals.state, &arrivals.listing.listed).await?;
    let mut follower = Follower::new(walk, links, pair, tally, target, departures, todo);
    follower.witnesses = witnesses;
    follower.finish_earlier_moves(&origins, unfinished, in_flight(&arrivals)).await?;
    follower.follow(&origins).await?;
    follower.leave_to_owner(&origins, &briefs).await?;
    let settled = follower.come_back(arrivals.listing).await?;
    walk.progress.settle(settled.len(), arrivals.listing.bytes_of(&settled));
    Ok(settled)
}

/// Messages that arrived since a pass last came to its end here and are settled already: a move that led here may have
/// been broken off. Where no pass ever did, only what was in flight can be meant.
async fn may_be_unfinished(pair: &Pair<'_>, arrivals: &Arrivals<'_>) -> Result<Vec<Settled>, WalkError> {
    let Arrivals { listing, state, adopted } = arrivals;
    let window = match &state.synced {
        Some(synced) => {
            let mut settled = state.settled.clone();
            settled.extend_ranges(adopted);
            intersection(&intersection(&settled, &listing.listed), &from(synced.uid_next))
        }
        None => in_flight(arrivals),
    };
    if window.is_empty() {
        return Ok(Vec::new());
    }
    let mut rows = pair.ledger.settled_in(&window).await?;
    rows.retain(|row| row.key.is_some() && row.target_uid.is_some());
    Ok(rows)
}

/// What was in flight when the pass began, and was found on the target since.
fn in_flight(arrivals: &Arrivals<'_>) -> UidSet {
    let mut sent = UidSet::new();
    if let Some(range) = arrivals.state.sent {
        sent.insert_range(range);
    }
    intersection(arrivals.adopted, &sent)
}

/// All UIDs from this one on.
fn from(first: Uid) -> UidSet {
    let mut uids = UidSet::new();
    uids.insert_range(UidRange { first, last: Uid(u32::MAX) });
    uids
}
