//! Moves of which it is not known where the messages went: the target named no UIDs, or has refused the command after
//! it had carried out a part of it.

use super::departures::Origin;
use super::follower::{Follower, Found};
use crate::error::WalkError;
use crate::pass::{adopt, set_aside_uncertain};
use crate::recognise::{Proof, Recognition, Turn, match_in_turn};
use crate::scan::Listing;
use crate::tail::{present_in, target_uid_next, unclaimed};
use crate::walk::Links;
use mailhaul_db::{Settled, Settlement};
use mailhaul_plan::steps::difference;
use mailhaul_types::UidSet;
use std::collections::BTreeMap;

/// A move whose result has to be looked for.
pub(super) struct Unnamed {
    record: Settled,
    origin: String,
    certain: bool,
}

impl Follower<'_, '_> {
    /// These may have been moved, and it is not known where to; `certain` if the target said OK.
    pub(super) fn look_for(&mut self, origin: &Origin, portion: &[Found], certain: bool) {
        for Found { arrival, record } in portion {
            let unnamed = Unnamed { record: record.clone(), origin: origin.source.clone(), certain };
            self.unnamed.insert(*arrival, unnamed);
            // Not to be looked for anywhere else before it is known where this one is.
            self.arrivals.retain(|known| known.candidate.uid != *arrival);
        }
    }

    /// Reads what has arrived on the target since its tail was read, and settles what is found there.
    pub(super) async fn read_tail_again(&mut self, listing: &mut Listing) -> Result<(), WalkError> {
        let mark = self.target.mark;
        let uid_next = target_uid_next(self.links, self.pair.target, mark).await?;
        let claimed = self.pair.ledger.load().await?.claimed_targets;
        let Links { source, target } = &mut *self.links;
        let present = present_in(target, &unclaimed(mark, uid_next, &claimed)).await?;
        let expected: UidSet = self.unnamed.keys().copied().collect();
        // First what is expected, which is little; what else came in between may be meant for other arrivals.
        let others = difference(&self.todo, &expected);
        let turns = [Turn::sent(&expected), Turn { candidates: &others, proof: Proof::Contents, sent: false }];
        let with = Recognition {
            witnesses: &self.witnesses,
            ..self.walk.recognition(self.pair.source.text(), self.pair.drafts)
        };
        let recognised = match_in_turn(source, target, with, &present, &turns).await?;
        self.tally.unproved += recognised.unproved;
        let uncertain = recognised.uncertain.into_iter().filter(|(uid, _)| others.contains(*uid)).collect();
        for uid in set_aside_uncertain(self.pair, self.tally, uncertain).await?.iter() {
            self.note_settled(uid);
        }
        let (mut messages, mut departed) = (Vec::new(), BTreeMap::<String, UidSet>::new());
        let mut unnamed = std::mem::take(&mut self.unnamed);
        for matched in recognised.found {
            let arrival = matched.settled.source_uid;
            match unnamed.remove(&arrival) {
                Some(Unnamed { record, origin, .. }) => {
                    departed.entry(origin).or_default().insert(record.source_uid);
                    let target_uid = matched.settled.target_uid;
                    messages.push(Settled { source_uid: arrival, target_uid, ..record });
                    self.note_moved(arrival);
                }
                None => {
                    let settled = adopt(self.walk, listing, self.target, matched);
                    self.tally.settle(std::slice::from_ref(&settled), 0);
                    self.note_settled(arrival);
                    messages.push(settled);
                }
            }
        }
        // The target said OK, and its owner has been faster than we: settled all the same.
        for (arrival, Unnamed { record, origin, .. }) in unnamed.into_iter().filter(|(_, unnamed)| unnamed.certain) {
            departed.entry(origin).or_default().insert(record.source_uid);
            messages.push(Settled { source_uid: arrival, target_uid: None, ..record });
            self.note_moved(arrival);
        }
        for (origin, uids) in departed {
            self.departures.follow(&origin, &uids);
            self.walk.lease.mailbox(&origin).await?.add_departed(uids).await?;
        }
        self.settle(Settlement { messages, target_mark: Some(uid_next), clear_sent: true }).await?;
        self.target.mark = uid_next;
        self.target.uid_next = Some(uid_next);
        Ok(())
    }
}
