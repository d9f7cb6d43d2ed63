//! What one run has learned about one mailbox pair, over however many passes it took.

use crate::suspects::Suspects;
use mailhaul_db::{PassCounts, Settled, SettledState};
use mailhaul_plan::experience::Load;
use mailhaul_plan::selection::SkipReason;
use mailhaul_plan::steps::{difference, intersection};
use mailhaul_report::{Changes, Counts, count_of};
use mailhaul_types::UidSet;
use std::collections::BTreeMap;

/// Sets rather than counters: a pass that starts again after a lost connection must not count a message twice.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// Settled before this run began; known once the ledger was read.
    pub(crate) before: Option<UidSet>,
    /// Listed by the last scan.
    pub(crate) listed: UidSet,
    pub(crate) copied: UidSet,
    pub(crate) adopted: UidSet,
    /// Adopted although the target's octets differ.
    pub(crate) altered: u64,
    /// Copied although the target may have them: there is mail under the same headers with another body.
    pub(crate) unproved: u64,
    pub(crate) skipped: BTreeMap<SkipReason, UidSet>,
    pub(crate) refused: UidSet,
    pub(crate) gone: UidSet,
    pub(crate) unreadable: UidSet,
    /// Messages with which a connection was lost.
    pub(crate) suspects: Suspects,
    /// Octets copied.
    pub(crate) bytes: u64,
    /// Messages whose internal date could not be read.
    pub(crate) undated: u64,
    /// Messages that the target has taken with an OK, and for which it has nothing new.
    pub(crate) without_own_copy: u64,
    /// Flags that could not be handed over, with the number of messages.
    pub(crate) dropped_flags: BTreeMap<String, u64>,
    /// Messages that were at the source when it was last listed, were not copied then, and are not there any more.
    pub(crate) gone_unseen: u64,
    /// Copies that were sent again although an earlier one may have landed.
    pub(crate) possible_duplicates: u64,
    /// A change of flags that the target has refused, and which is to be tried again.
    pub(crate) flags_refused: Option<String>,
    /// Messages whose flags were changed on the target.
    pub(crate) flags_changed: UidSet,
    /// Settled without a copy: the copy that another mailbox had was moved here.
    pub(crate) moved: UidSet,
    /// Settled without a copy: its owner has filed or deleted the copy that another mailbox had.
    pub(crate) left_to_owner: UidSet,
    /// Messages that left the source and whose copies were deleted, marked or put into the trash.
    pub(crate) deleted: UidSet,
    /// Messages recognised under new UIDs.
    pub(crate) carried_over: u64,
    /// How often the source mailbox was found renumbered.
    pub(crate) renumberings: u32,
    /// What else there is to know: a word that groups remarks, the sentence, and how many messages it concerns. By its
    /// word, so that a pass that starts again does not say it twice.
    pub(crate) notes: BTreeMap<&'static str, (String, u64)>,
}

impl Tally {
    pub(crate) fn settle(&mut self, settled: &[Settled], bytes: u64) {
        for message in settled {
            match message.state {
                SettledState::Copied => self.copied.insert(message.source_uid),
                SettledState::Adopted | SettledState::Likely => self.adopted.insert(message.source_uid),
                SettledState::AdoptedAltered => {
                    self.altered += 1;
                    self.adopted.insert(message.source_uid);
                }
            }
        }
        self.bytes += bytes;
    }

    /// What was copied by a pass over a mailbox in which nothing had been done before; `None` if anything had.
    pub(crate) fn first_load(&self) -> Option<Load> {
        let is_first = self.before.as_ref().is_some_and(UidSet::is_empty) && self.adopted.is_empty();
        is_first.then(|| Load { mailboxes: 1, messages: self.copied.len(), octets: self.bytes })
    }

    /// What is on the target, whatever else may have been said of it.
    pub(crate) fn settled(&self) -> UidSet {
        let mut settled = self.before.clone().unwrap_or_default();
        for set in [&self.copied, &self.adopted, &self.moved, &self.left_to_owner] {
            settled.extend_ranges(set);
        }
        settled
    }

    /// The source mailbox was renumbered, and this is settled in it by its new UIDs. What was learned so far was told by
    /// the former ones; what this run had copied counts among what was there already.
    pub(crate) fn begin_anew(&mut self, settled: &UidSet) {
        *self = Self {
            before: Some(settled.clone()),
            bytes: self.bytes,
            undated: self.undated,
            altered: self.altered,
            unproved: self.unproved,
            carried_over: self.carried_over,
            renumberings: self.renumberings + 1,
            dropped_flags: std::mem::take(&mut self.dropped_flags),
            notes: std::mem::take(&mut self.notes),
            ..Self::default()
        };
    }

    /// A number that grows with what was achieved.
    pub(crate) fn progress(&self) -> u64 {
        let sets = [&self.copied, &self.adopted, &self.moved, &self.left_to_owner, &self.flags_changed, &self.deleted];
        sets.into_iter().map(UidSet::len).sum::<u64>() + self.suspects.progress()
    }

    /// Says something once, whatever was said under the same word before.
    pub(crate) fn note(&mut self, word: &'static str, text: String, messages: u64) {
        self.notes.insert(word, (text, messages));
    }

    /// What the run changed on the target besides delivering mail.
    pub(crate) fn changes(&self) -> Changes {
        Changes {
            flags: self.flags_changed.len(),
            moved: self.moved.len(),
            left_to_owner: self.left_to_owner.len(),
            deleted: self.deleted.len(),
            carried_over: self.carried_over,
        }
    }

    /// Every message in exactly one column. Whatever happened to it, a settled message counts as settled.
    pub(crate) fn counts(&self) -> Counts {
        let nothing = UidSet::new();
        let mut seen = self.listed.clone();
        for set in [&self.copied, &self.adopted, &self.moved, &self.left_to_owner, &self.gone] {
            seen.extend_ranges(set);
        }
        let mut left = seen.clone();
        let mut take = |set: &UidSet| {
            let taken = intersection(&left, set);
            left = difference(&left, &taken);
            taken.len()
        };
        let copied = take(&self.copied);
        let adopted = take(&self.adopted);
        // What was moved was copied by an earlier run, into another mailbox.
        let moved = take(&self.moved) + take(&self.left_to_owner);
        let already = take(self.before.as_ref().unwrap_or(&nothing)) + moved;
        let refused = take(&self.refused);
        let unreadable = take(&self.unreadable);
        let gone = take(&self.gone) + self.gone_unseen;
        let skipped = self.skipped.values().map(&mut take).sum();
        let remaining = left.len();
        let source = seen.len() + self.gone_unseen;
        Counts { source, already, copied, adopted, skipped, refused, gone, unreadable, remaining }
    }

    pub(crate) fn pass_counts(&self) -> PassCounts {
        let counts = self.counts();
        PassCounts {
            source: counts.source,
            already: counts.already,
            copied: counts.copied,
            adopted: counts.adopted,
            skipped: counts.skipped,
            refused: counts.refused,
            gone: counts.gone,
            unreadable: counts.unreadable,
            remaining: counts.remaining,
            bytes: self.bytes,
        }
    }

    /// What there is to know besides the counts, one sentence each.
    pub(crate) fn remarks(&self) -> Vec<(&'static str, String, u64)> {
        let mut remarks = Vec::new();
        let settled = self.settled();
        for (reason, uids) in &self.skipped {
            let number = difference(uids, &settled).len();
            if number > 0 {
                remarks.push(("skipped", format!("{number} left out: {reason}"), number));
            }
        }
        let number = self.gone.len() + self.gone_unseen;
        if number > 0 {
            remarks.push(("gone", format!("{number} disappeared at the source before they could be copied"), number));
        }
        if self.altered > 0 {
            let text = format!(
                "{} were on the target already with other octets: content kept, bytes not; they count as adopted",
                self.altered
            );
            remarks.push(("altered", text, self.altered));
        }
        if self.unproved > 0 {
            let text = format!(
                "{} may be there twice: they were sent although the target has mail under the same headers with another \
                 body. It is other mail, unless the target rebuilds what it is given: such a target is served at least \
                 once and not exactly once",
                self.unproved
            );
            remarks.push(("at least once", text, self.unproved));
        }
        for (flag, number) in &self.dropped_flags {
            let reason = if flag == "\\Deleted" { "is not copied unless asked for" } else { "cannot be stored there" };
            remarks.push(("flags", format!("{flag} of {} {reason}", count_of(*number, "message")), *number));
        }
        if self.without_own_copy > 0 {
            let text = format!(
                "{} taken by the target with an OK, and it holds nothing new for {}: it keeps one of equal messages, or \
                 somebody has taken the copies away at once",
                if self.without_own_copy == 1 { "1 was".to_owned() } else { format!("{} were", self.without_own_copy) },
                if self.without_own_copy == 1 { "it" } else { "them" },
            );
            remarks.push(("no own copy", text, self.without_own_copy));
        }
        if self.undated > 0 {
            let text = format!("{} have no readable internal date; the target gave them one", self.undated);
            remarks.push(("dates", text, self.undated));
        }
        remarks.extend(self.notes.iter().map(|(word, (text, messages))| (*word, text.clone(), *messages)));
        remarks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailhaul_types::Uid;

    fn set(uids: std::ops::RangeInclusive<u32>) -> UidSet {
        uids.map(Uid).collect()
    }

    #[test]
    fn every_message_is_in_exactly_one_column() {
        let tally = Tally {
            before: Some(set(1..=10)),
            listed: set(5..=100),
            copied: set(11..=50),
            adopted: set(51..=60),
            refused: set(60..=62),
            gone: set(63..=64),
            unreadable: set(65..=65),
            skipped: BTreeMap::from([(SkipReason::TooLarge, set(65..=70))]),
            ..Tally::default()
        };
        let counts = tally.counts();
        assert!(counts.adds_up());
        assert_eq!((counts.source, counts.already, counts.copied, counts.adopted), (96, 6, 40, 10));
        assert_eq!((counts.refused, counts.gone, counts.unreadable, counts.skipped), (2, 2, 1, 5));
        assert_eq!(counts.remaining, 30);
    }

    #[test]
    fn a_message_that_was_copied_and_then_expunged_at_the_source_still_counts() {
        let tally = Tally { before: Some(UidSet::new()), listed: set(2..=3), copied: set(1..=3), ..Tally::default() };
        let counts = tally.counts();
        assert_eq!((counts.source, counts.copied, counts.remaining), (3, 3, 0));
    }
}
