//! What was sent and not yet answered, and what the answers came to: the table between pump and collector.
//!
//! An answer is about the messages that it names and about no other. Without MULTIAPPEND every message is answered on
//! its own, and RFC 9051 §5.5 lets a server answer in any order.

use super::{Context, FlagsSent, Refusal};
use mailhaul_db::{Settled, SettledState};
use mailhaul_imap::StatusLine;
use mailhaul_plan::tail::advance_mark;
use mailhaul_types::{Flags, MessageKey, Uid, UidRange, UidSet, UidValidity};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

/// How many stored messages may wait for their UIDs before the transfer ends, so that the tail is read. A target may
/// announce UIDPLUS and name nothing all the same; after a crash, all of these have to be recognised by their keys.
const UNNAMED_MAX: usize = 2_000;

/// A message on its way.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) uid: Uid,
    pub(super) key: MessageKey,
    /// Its flags as they were sent.
    pub(super) flags: Flags,
    /// Its flags at the source, if they are others.
    pub(super) had: Option<Flags>,
    pub(super) sent_as: FlagsSent,
    pub(super) dated: bool,
    pub(super) octets: u64,
}

/// Where a message stands among those that were sent: which opening of a batch, and its position in it, from 0. A
/// batch that has to be opened a second time, because the source mixes its answers, counts as another one.
pub(super) type Place = (u64, u32);

/// Messages that were stored, for the ledger.
#[derive(Debug)]
pub(super) struct Stored {
    /// None where the target has not named their UIDs.
    pub(super) settled: Vec<Settled>,
    pub(super) bytes: u64,
    /// Theirs, to be claimed once the ledger has been told.
    pub(super) uids: Vec<Uid>,
    /// How far the target is accounted for with them.
    pub(super) target_mark: Uid,
}

/// What pump and collector share. Locked for moments, once a message.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) in_flight: BTreeMap<Place, Sent>,
    pub(super) refusals: Vec<Refusal>,
    pub(super) stored_without_uids: Vec<Settled>,
    pub(super) stored_bytes_without_uids: u64,
    pub(super) target_mark: Uid,
    pub(super) claimed: UidSet,
    pub(super) undated: u64,
    /// Stored by the target's word under UIDs that were given out before.
    pub(super) merged: u64,
    named: bool,
    /// Whether a UIDVALIDITY was named that is not the mailbox's.
    pub(super) named_another_mailbox: bool,
    pub(super) throttled: Option<StatusLine>,
}

impl Table {
    pub(super) fn new(target_mark: Uid, claimed: UidSet) -> Self {
        Self {
            in_flight: BTreeMap::new(),
            refusals: Vec::new(),
            stored_without_uids: Vec::new(),
            stored_bytes_without_uids: 0,
            target_mark,
            claimed,
            undated: 0,
            merged: 0,
            named: false,
            named_another_mailbox: false,
            throttled: None,
        }
    }

    /// Whether the target has named the UIDs of what it has stored.
    pub(super) fn has_named(&self) -> bool {
        self.named
    }

    /// Looks whether an answer is about the mailbox that was opened, or about another one that has its name by now.
    pub(super) fn notice_another_mailbox(&mut self, uids: Option<&(UidValidity, Vec<Uid>)>, opened: UidValidity) {
        self.named_another_mailbox |= uids.is_some_and(|(named, _)| *named != opened);
    }

    /// Takes stored messages off the table. Those whose UIDs the target named are ready for the ledger; the others
    /// wait until the tail has been read.
    pub(super) fn take_stored(
        &mut self,
        first: Place,
        messages: u32,
        uids: Option<(UidValidity, Vec<Uid>)>,
        context: &Context<'_>,
    ) -> Stored {
        let sent = self.take(first, messages);
        let bytes = sent.iter().map(|sent| sent.octets).sum();
        for sent in &sent {
            self.undated += u64::from(!sent.dated);
            if let Some(had) = &sent.had {
                context.filter.count_dropped(had, &sent.flags);
            }
        }
        // A wrong count or another UIDVALIDITY says that the answer is about something else: stored, UIDs unknown.
        let valid = context.target_uid_validity;
        let uids = uids.filter(|(validity, uids)| *validity == valid && uids.len() == sent.len());
        let Some((_, uids)) = uids else {
            self.stored_bytes_without_uids += bytes;
            self.stored_without_uids.extend(sent.into_iter().map(|sent| settled(sent, None)));
            return Stored { settled: Vec::new(), bytes, uids: Vec::new(), target_mark: self.target_mark };
        };
        self.named = true;
        let is_old = |uid: &&Uid| **uid < self.target_mark || self.claimed.contains(**uid);
        self.merged += uids.iter().filter(is_old).count() as u64;
        let target_mark = self.with_claimed(&uids).0;
        let settled = sent.into_iter().zip(&uids).map(|(sent, uid)| settled(sent, Some(*uid))).collect();
        Stored { settled, bytes, uids, target_mark }
    }

    /// Whether so much waits for its UIDs, or will once it is answered, that it is time to read the tail.
    pub(super) fn is_rich_in_unnamed(&self) -> bool {
        let unnamed = self.stored_without_uids.len();
        unnamed > 0 && unnamed + self.in_flight.len() >= UNNAMED_MAX
    }

    /// Moves the mark over UIDs that were named, however the answers are ordered. Not before their settlement is on its
    /// way to the ledger: a mark that came there first would pass messages that nothing is known of, and who dies between
    /// the two would look for them behind it, in vain.
    pub(super) fn claim(&mut self, uids: &[Uid]) {
        (self.target_mark, self.claimed) = self.with_claimed(uids);
    }

    /// The mark, and what is claimed beyond it, once these are.
    fn with_claimed(&self, uids: &[Uid]) -> (Uid, UidSet) {
        let mut claimed = self.claimed.clone();
        claimed.extend(uids.iter().copied());
        if !self.stored_without_uids.is_empty() {
            return (self.target_mark, claimed);
        }
        let mark = advance_mark(self.target_mark, &claimed);
        (mark, from_mark(&claimed, mark))
    }

    pub(super) fn take_refused(&mut self, first: Place, count: u32, status: StatusLine) {
        let sent = self.take(first, count);
        let Some(flags) = sent.first().map(|sent| sent.sent_as) else { return };
        self.refusals.push(Refusal {
            uids: sent.iter().map(|sent| sent.uid).collect(),
            flags,
            keywords: sent.iter().any(|sent| !sent.flags.keywords().is_empty()),
            flagged: sent.iter().any(|sent| !sent.flags.is_empty()),
            status,
        });
    }

    /// Takes exactly the messages that an answer names. Answers may come in any order, and an answer to one message
    /// says nothing about its neighbours.
    fn take(&mut self, (opening, first): Place, messages: u32) -> Vec<Sent> {
        let places = (opening, first)..(opening, first.saturating_add(messages));
        let places: Vec<Place> = self.in_flight.range(places).map(|(place, _)| *place).collect();
        places.into_iter().filter_map(|place| self.in_flight.remove(&place)).collect()
    }
}

/// The part of a set that is not below the mark.
pub(crate) fn from_mark(set: &UidSet, mark: Uid) -> UidSet {
    let mut kept = UidSet::new();
    for range in set.ranges().iter().filter(|range| range.last >= mark) {
        kept.insert_range(UidRange { first: range.first.max(mark), last: range.last });
    }
    kept
}

fn settled(sent: Sent, target_uid: Option<Uid>) -> Settled {
    Settled { source_uid: sent.uid, target_uid, key: Some(sent.key), flags: sent.flags, state: SettledState::Copied }
}

pub(super) fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uids(uids: &[u32]) -> Vec<Uid> {
        uids.iter().copied().map(Uid).collect()
    }

    #[test]
    fn the_mark_passes_uids_that_were_named_in_any_order_and_stops_at_a_foreign_one() {
        let mut table = Table::new(Uid(5), UidSet::new());
        table.claim(&uids(&[7, 8]));
        assert_eq!(table.target_mark, Uid(5));
        assert_eq!(table.with_claimed(&uids(&[5])).0, Uid(6));
        assert_eq!(table.target_mark, Uid(5), "the ledger knows nothing of it yet");
        table.claim(&uids(&[5]));
        assert_eq!((table.target_mark, table.claimed.to_string().as_str()), (Uid(6), "7:8"));
        table.claim(&uids(&[6]));
        assert_eq!((table.target_mark, table.claimed.len()), (Uid(9), 0));
        table.claim(&uids(&[10, 11]));
        assert_eq!((table.target_mark, table.claimed.to_string().as_str()), (Uid(9), "10:11"));
    }

    #[test]
    fn an_answer_takes_only_the_messages_of_its_own_opening_and_position() {
        let mut table = Table::new(Uid(1), UidSet::new());
        for (opening, position, uid) in [(0, 0, 10), (0, 1, 11), (1, 0, 12), (1, 1, 13)] {
            let key = mailhaul_plan::keys::KeyMaker::new([0; 16]).key_of_message(b"x");
            let sent = Sent {
                uid: Uid(uid),
                key,
                flags: Flags::new(),
                had: None,
                sent_as: FlagsSent::All,
                dated: true,
                octets: 1,
            };
            table.in_flight.insert((opening, position), sent);
        }
        let taken = |sent: Vec<Sent>| sent.into_iter().map(|sent| sent.uid.0).collect::<Vec<_>>();
        assert_eq!(taken(table.take((1, 0), 1)), [12]);
        assert_eq!(taken(table.take((0, 1), 5)), [11]);
        assert_eq!(taken(table.take((0, 1), 1)), [0; 0]);
        assert_eq!(table.in_flight.len(), 2);
    }
}
