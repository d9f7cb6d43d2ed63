//! Messages that were moved at the source, and whose copies the target's owner has filed or deleted by then.
//!
//! They are settled without a copy: what he has done stays done. This is the one place where a message is not copied
//! although no copy of it was seen, so nothing may be open about it.

use super::departures::Origin;
use super::follower::Follower;
use super::from;
use crate::error::WalkError;
use mailhaul_db::{Exception, ExceptionState, MailboxBrief, Settled, SettledState, Settlement};
use mailhaul_plan::moves::{may_be_left_to_owner, pair_by_key};
use mailhaul_types::{MessageKey, Uid, UidSet};
use std::collections::{BTreeMap, BTreeSet};

impl Follower<'_, '_> {
    /// Settles arrivals whose old copies are not where they were.
    pub(super) async fn leave_to_owner(
        &mut self,
        origins: &[Origin],
        briefs: &[MailboxBrief],
    ) -> Result<(), WalkError> {
        let pairs = self.explained_by_absence(origins);
        if pairs.is_empty() {
            return Ok(());
        }
        let keys: BTreeSet<MessageKey> = pairs.iter().filter_map(|(_, at)| self.absent[*at].1.key).collect();
        let doubtful = self.doubtful(&keys, briefs).await?;
        let (mut messages, mut departed) = (Vec::new(), BTreeMap::<usize, UidSet>::new());
        for (arrival, at) in pairs {
            let (origin, record) = self.absent[at].clone();
            if record.key.is_some_and(|key| doubtful.contains(&key)) {
                let reason = "it was moved at the source, its copy is not where it was, and an earlier pass that was \
                              broken off may have moved it: it was copied again";
                self.name_possible_duplicate(arrival, record.key, reason.to_owned()).await?;
                continue;
            }
            departed.entry(origin).or_default().insert(record.source_uid);
            let state = SettledState::Adopted;
            messages.push(Settled { source_uid: arrival, target_uid: None, state, ..record });
        }
        for (origin, uids) in departed {
            self.dealt_with(&origins[origin], &uids).await?;
        }
        let settled: Vec<Uid> = messages.iter().map(|message| message.source_uid).collect();
        self.pair.ledger.settle(Settlement { messages, target_mark: None, clear_sent: false }).await?;
        for uid in settled {
            self.tally.left_to_owner.insert(uid);
            self.note_settled(uid);
        }
        let number = self.tally.left_to_owner.len();
        if number > 0 {
            let text = format!(
                "{number} were moved here at the source, and are not copied: their owner has filed or deleted the copies"
            );
            self.tally.note("left to owner", text, number);
        }
        Ok(())
    }

    /// Arrivals, each with the place of a departed message whose copy is gone and that must have been the same mail.
    fn explained_by_absence(&self, origins: &[Origin]) -> Vec<(Uid, usize)> {
        if self.departures.holds_drafts(self.pair.source.text()) {
            return Vec::new();
        }
        let arrivals: Vec<(Uid, Option<MessageKey>)> = self
            .arrivals
            .iter()
            .filter(|known| may_be_left_to_owner(known.candidate.key, &known.flags))
            .map(|known| (known.candidate.uid, known.candidate.key))
            .collect();
        let absent: Vec<(usize, Option<MessageKey>)> = self
            .absent
            .iter()
            .enumerate()
            .filter(|(_, (origin, _))| !self.departures.holds_drafts(&origins[*origin].source))
            .filter(|(_, (_, record))| may_be_left_to_owner(record.key, &record.flags))
            .map(|(at, (_, record))| (at, record.key))
            .collect();
        pair_by_key(&arrivals, &absent)
    }

    /// The keys of which a copy may have been moved by us, by a pass that did not live to say so. With one of these
    /// it is not known whether the owner has taken the copy away, so the message is rather copied once too often.
    async fn doubtful(
        &self,
        keys: &BTreeSet<MessageKey>,
        briefs: &[MailboxBrief],
    ) -> Result<BTreeSet<MessageKey>, WalkError> {
        let mut doubtful = BTreeSet::new();
        for brief in briefs.iter().filter(|brief| brief.mapping.source != self.pair.source.text()) {
            if brief.sent.is_some() {
                return Ok(keys.clone());
            }
            if brief.counts.total() == 0 {
                continue;
            }
            let source = &brief.mapping.source;
            let ledger = self.walk.lease.mailbox(source).await?;
            let arrived = ledger.settled_in(&from(self.departures.arrived_since(source))).await?;
            let mut others = self.departures.known(source);
            others.extend_ranges(&brief.departed);
            others.extend_ranges(&self.departures.explained(source));
            let present = arrived.iter().filter(|row| !others.contains(row.source_uid));
            doubtful.extend(present.filter_map(|row| row.key).filter(|key| keys.contains(key)));
        }
        Ok(doubtful)
    }

    /// Names an arrival that is copied although it may be there already.
    pub(super) async fn name_possible_duplicate(
        &mut self,
        arrival: Uid,
        key: Option<MessageKey>,
        reason: String,
    ) -> Result<(), WalkError> {
        self.tally.possible_duplicates += 1;
        let exception = Exception { uid: Some(arrival), state: ExceptionState::PossibleDuplicate, reason, key };
        Ok(self.pair.ledger.record_exception(exception).await?)
    }
}
