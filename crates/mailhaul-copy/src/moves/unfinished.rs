//! Moves that were begun by a pass that did not come to its end.
//!
//! Their copies were found in the receiving mailbox and are settled. What is left: by COPY the original may still be
//! where it was; the departed message is not known to be dealt with; and the new record has the flags that were found
//! instead of those last synced.

use super::departures::Origin;
use super::follower::{Follower, keyed_as_recorded};
use super::relocate::remove;
use crate::error::{WalkError, on};
use crate::recognise::{By, Proof, Recognition, match_known};
use crate::tail::{Known, read_known};
use crate::walk::Links;
use mailhaul_db::{Settled, SettledState, Settlement};
use mailhaul_imap::ImapError;
use mailhaul_plan::moves::pair_by_key;
use mailhaul_types::{MessageKey, Side, Uid, UidSet};
use std::collections::{BTreeMap, BTreeSet};

impl Follower<'_, '_> {
    /// Brings moves to their end that an earlier pass has begun. `unfinished` are settled arrivals that no complete
    /// pass has seen, `in_flight` those that were found in the tail just now and had been sent by us.
    pub(super) async fn finish_earlier_moves(
        &mut self,
        origins: &[Origin],
        mut unfinished: Vec<Settled>,
        in_flight: UidSet,
    ) -> Result<(), WalkError> {
        for origin in origins.iter().filter(|origin| !origin.own) {
            let records = with_keys_of(&unfinished, origin);
            if records.is_empty() || !self.open(origin).await? {
                continue;
            }
            let done = self.finish(origin, &records, &unfinished, &in_flight).await?;
            unfinished.retain(|row| !done.contains(row.source_uid));
        }
        Ok(())
    }

    /// Returns the arrivals that are explained.
    async fn finish(
        &mut self,
        origin: &Origin,
        records: &[Settled],
        unfinished: &[Settled],
        in_flight: &UidSet,
    ) -> Result<UidSet, WalkError> {
        let uids: UidSet = records.iter().filter_map(|record| record.target_uid).collect();
        let place = self.walk.place(&origin.source, Side::Target);
        let copies = read_known(&mut self.links.target, place, &self.walk.keys, &uids, |_| true).await?;
        let present: UidSet = copies.iter().map(|known| known.candidate.uid).collect();
        let is_present = |record: &Settled| record.target_uid.is_some_and(|uid| present.contains(uid));
        // Of twins first those whose copies are gone: one that is still there may be about to be moved.
        let gone: Vec<Settled> = records.iter().filter(|record| !is_present(record)).cloned().collect();
        let mut explained = paired(unfinished, &gone);
        let open: Vec<Settled> =
            unfinished.iter().filter(|row| !explained.contains_key(&row.source_uid)).cloned().collect();
        let left: Vec<Settled> = records.iter().filter(|record| is_present(record)).cloned().collect();
        let leftovers = self.leftovers(origin, &copies, paired(&open, &left), in_flight).await?;
        if !leftovers.is_empty() {
            let uids = leftovers.values().filter_map(|(_, record)| record.target_uid).collect();
            if self.remove_leftovers(&uids).await? {
                explained.extend(leftovers);
            }
        }
        let departed = explained.values().map(|(_, record)| record.source_uid).collect();
        let messages: Vec<Settled> = explained
            .values()
            .filter(|(arrival, _)| arrival.state != SettledState::Copied)
            .map(|(arrival, record)| {
                let is_ours = in_flight.contains(arrival.source_uid) && record.state != SettledState::Likely;
                let state = if is_ours { record.state } else { arrival.state };
                Settled { state, flags: record.flags.clone(), ..arrival.clone() }
            })
            .collect();
        tracing::debug!(from = %origin.target, finished = explained.len(), "moves that were begun earlier");
        self.dealt_with(origin, &departed).await?;
        self.pair.ledger.settle(Settlement { messages, target_mark: None, clear_sent: false }).await?;
        let done: UidSet = explained.keys().copied().collect();
        self.tally.moved.extend_ranges(&done);
        self.flags_wanted.extend_ranges(&done);
        Ok(done)
    }

    /// Those of the pairs in which the old copy was copied here by us and is still there: it is compared with what
    /// arrived, as before a move. Only what we have written, and only if what arrived is ours as well: the target's
    /// owner may have made a copy of his own.
    async fn leftovers(
        &mut self,
        origin: &Origin,
        copies: &[Known],
        mut pairs: BTreeMap<Uid, (Settled, Settled)>,
        in_flight: &UidSet,
    ) -> Result<BTreeMap<Uid, (Settled, Settled)>, WalkError> {
        pairs.retain(|uid, (arrival, record)| {
            let arrival_is_ours = arrival.state == SettledState::Copied || in_flight.contains(*uid);
            arrival_is_ours && record.state == SettledState::Copied
        });
        if pairs.is_empty() {
            return Ok(pairs);
        }
        let Links { source, target } = &mut *self.links;
        let arrived: UidSet = pairs.keys().copied().collect();
        let place = self.walk.place(self.pair.source.text(), Side::Source);
        let ours = read_known(source, place, &self.walk.keys, &arrived, |_| true).await?;
        let wanted: BTreeSet<Option<Uid>> = pairs.values().map(|(_, record)| record.target_uid).collect();
        let mut theirs: Vec<Known> =
            copies.iter().filter(|known| wanted.contains(&Some(known.candidate.uid))).cloned().collect();
        let by_copy = pairs.values().filter_map(|(_, record)| Some((record.target_uid?, record))).collect();
        keyed_as_recorded(&mut theirs, &by_copy);
        // Only keys and contents: what merely looks like it is not removed.
        let (with, by) = (self.walk.recognition(self.pair.source.text(), self.pair.drafts), By::Keys(Proof::Contents));
        let with = Recognition { theirs: &origin.source, ..with };
        let same = match_known(source, target, with, (ours, theirs), by).await?.found;
        let proved: BTreeSet<Option<Uid>> = same.iter().map(|matched| matched.settled.target_uid).collect();
        let proved_here: UidSet = same.iter().map(|matched| matched.settled.source_uid).collect();
        pairs.retain(|uid, (_, record)| proved_here.contains(*uid) && proved.contains(&record.target_uid));
        Ok(pairs)
    }

    /// Removes originals whose copies have arrived; whether the target does that.
    async fn remove_leftovers(&mut self, leftovers: &UidSet) -> Result<bool, WalkError> {
        if !self.links.target.capabilities().uidplus() {
            return Ok(false);
        }
        if !(self.walk.lease.is_valid() && self.walk.supervisor.may_write()) {
            return Err(on(Side::Target)(ImapError::CommitRefused));
        }
        match remove(&mut self.links.target, leftovers).await? {
            None => Ok(true),
            Some(words) => {
                self.note_left_behind(&words, leftovers.len());
                Ok(false)
            }
        }
    }
}

/// The departed messages that any of these may have been.
fn with_keys_of(unfinished: &[Settled], origin: &Origin) -> Vec<Settled> {
    let keys: BTreeSet<Option<MessageKey>> = unfinished.iter().map(|row| row.key).collect();
    let meant = |record: &&Settled| record.target_uid.is_some() && keys.contains(&record.key);
    origin.records.iter().filter(meant).cloned().collect()
}

/// Settled arrivals with the departed messages that they were, by the arrivals' source UIDs.
fn paired(unfinished: &[Settled], records: &[Settled]) -> BTreeMap<Uid, (Settled, Settled)> {
    let places = |rows: &[Settled]| rows.iter().enumerate().map(|(at, row)| (at, row.key)).collect::<Vec<_>>();
    pair_by_key(&places(unfinished), &places(records))
        .into_iter()
        .map(|(arrival, record)| {
            (unfinished[arrival].source_uid, (unfinished[arrival].clone(), records[record].clone()))
        })
        .collect()
}
