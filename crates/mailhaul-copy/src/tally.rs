//! What one run has learned about one mailbox pair, over however many passes it took.

use mailhaul_db::{PassCounts, Settled, SettledState};
use mailhaul_plan::selection::SkipReason;
use mailhaul_plan::steps::{difference, intersection};
use mailhaul_report::{Counts, count_of};
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
    /// Adopted although the target's headers differ.
    pub(crate) altered: u64,
    pub(crate) skipped: BTreeMap<SkipReason, UidSet>,
    pub(crate) refused: UidSet,
    pub(crate) gone: UidSet,
    pub(crate) unreadable: UidSet,
    /// Octets copied.
    pub(crate) bytes: u64,
    /// Messages whose internal date could not be read.
    pub(crate) undated: u64,
    /// Flags that could not be handed over, with the number of messages.
    pub(crate) dropped_flags: BTreeMap<String, u64>,
}

impl Tally {
    pub(crate) fn settle(&mut self, settled: &[Settled], bytes: u64) {
        for message in settled {
            match message.state {
                SettledState::Copied => self.copied.insert(message.source_uid),
                SettledState::Adopted => self.adopted.insert(message.source_uid),
                SettledState::AdoptedAltered => {
                    self.altered += 1;
                    self.adopted.insert(message.source_uid);
                }
            }
        }
        self.bytes += bytes;
    }

    /// What is on the target, whatever else may have been said of it.
    fn settled(&self) -> UidSet {
        let mut settled = self.before.clone().unwrap_or_default();
        settled.extend_ranges(&self.copied);
        settled.extend_ranges(&self.adopted);
        settled
    }

    /// Every message in exactly one column. Whatever happened to it, a settled message counts as settled.
    pub(crate) fn counts(&self) -> Counts {
        let nothing = UidSet::new();
        let mut seen = self.listed.clone();
        for set in [&self.copied, &self.adopted, &self.gone] {
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
        let already = take(self.before.as_ref().unwrap_or(&nothing));
        let refused = take(&self.refused);
        let unreadable = take(&self.unreadable);
        let gone = take(&self.gone);
        let skipped = self.skipped.values().map(&mut take).sum();
        let remaining = left.len();
        Counts { source: seen.len(), already, copied, adopted, skipped, refused, gone, unreadable, remaining }
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
        if !self.gone.is_empty() {
            let number = self.gone.len();
            remarks.push(("gone", format!("{number} disappeared at the source before they could be copied"), number));
        }
        if self.altered > 0 {
            let text = format!("{} were on the target already, with other headers and the same body", self.altered);
            remarks.push(("altered", text, self.altered));
        }
        for (flag, number) in &self.dropped_flags {
            let reason = if flag == "\\Deleted" { "is not copied unless asked for" } else { "cannot be stored there" };
            remarks.push(("flags", format!("{flag} of {} {reason}", count_of(*number, "message")), *number));
        }
        if self.undated > 0 {
            let text = format!("{} have no readable internal date; the target gave them one", self.undated);
            remarks.push(("dates", text, self.undated));
        }
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
