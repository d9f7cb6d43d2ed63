//! How many strands work on an account: one more as long as the last has made it faster, and one less where it has not.
//!
//! Seconds are compared in which all that are open were at work. One that signs in still, has just ended, or has no mailbox
//! left to take tells nothing of what one more is worth; and what is found out is believed for hours by other accounts.

use crate::bounds;
use crate::learning::Learning;
use crate::progress::Snapshot;
use mailhaul_plan::profile::Ceiling;
use mailhaul_types::Side;
use std::collections::BTreeMap;

/// What follows from a look at the strands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    /// One more is worth trying.
    Grow,
    Stay,
    /// The last one has not paid.
    Shrink,
}

/// How many strands there are, and whether one more would pay.
pub(crate) struct Growth {
    pub(crate) most: usize,
    open: usize,
    /// What was moved up to the last look, in octets as [`work_of`] counts them.
    work: u64,
    /// Whether all strands that are open were at work at the last look, so that the time since then tells what they do.
    all_at_work: bool,
    /// What was moved, from one look to the next, before the last strand was at work.
    before: Option<u64>,
    /// With so many it went faster than with one less.
    good: Option<usize>,
    /// At each server no more than these, and why, if something other than the operator says so.
    ceilings: BTreeMap<Side, (usize, Ceiling)>,
}

impl Growth {
    pub(crate) fn new(most: usize) -> Self {
        let ceilings = BTreeMap::new();
        Self { most: most.max(1), open: 0, work: 0, all_at_work: false, before: None, good: None, ceilings }
    }

    /// A strand has been begun. The first one is at work from then on, a further one has to be let in before.
    pub(crate) fn opened(&mut self) {
        self.open += 1;
        self.all_at_work = self.open == 1 && self.work == 0;
    }

    /// A strand has come to its end.
    pub(crate) fn ended(&mut self, too_many: &[(Side, Ceiling)]) {
        let was_alone = self.open < 2;
        self.open = self.open.saturating_sub(1);
        self.not_comparable();
        if too_many.is_empty() {
            return;
        }
        self.most = self.open.max(1);
        for (side, why) in too_many.iter().filter(|_| !was_alone) {
            self.limit(*side, *why);
        }
    }

    /// Looks at what was moved since the last look, how many strands are at work, and whether mailboxes wait for more.
    pub(crate) fn judge(&mut self, now: &Snapshot, at_work: usize, mailboxes_wait: bool) -> Judged {
        let work = work_of(now);
        let moved = work.saturating_sub(std::mem::replace(&mut self.work, work));
        if !mailboxes_wait {
            // Fewer and fewer are at work from here on.
            self.not_comparable();
            return Judged::Stay;
        }
        if at_work < self.open {
            // One signs in still. What the others have moved meanwhile is what it is measured by.
            self.all_at_work = false;
            self.before = self.before.map(|_| moved);
            return Judged::Stay;
        }
        if !std::mem::replace(&mut self.all_at_work, true) {
            // A part of this second was without it.
            return Judged::Stay;
        }
        let pays = |before: u64| moved.saturating_mul(100) >= before.saturating_mul(100 + bounds::STRAND_GAIN_PERCENT);
        match self.before.take() {
            Some(before) if !pays(before) => {
                // The line or a server is full: what was open before is enough. Which of them, nobody can tell.
                self.most = self.open.saturating_sub(1).max(1);
                self.good = Some(self.most);
                [Side::Source, Side::Target].into_iter().for_each(|side| self.limit(side, Ceiling::NoGain));
                return if self.open > self.most { Judged::Shrink } else { Judged::Stay };
            }
            Some(_) => self.good = Some(self.open),
            None => {}
        }
        if self.open >= self.most {
            return Judged::Stay;
        }
        self.before = Some(moved);
        Judged::Grow
    }

    /// There was no room for another.
    pub(crate) fn not_grown(&mut self) {
        self.before = None;
    }

    /// What was moved so far says nothing of what comes.
    fn not_comparable(&mut self) {
        (self.before, self.all_at_work) = (None, false);
    }

    fn limit(&mut self, side: Side, why: Ceiling) {
        self.ceilings.insert(side, (self.most, why));
        self.good = self.good.map(|good| good.min(self.most));
    }

    /// Tells what was found out.
    pub(crate) fn teach(&self, learning: &Learning) {
        if let Some(good) = self.good {
            learning.note_best(good);
        }
        for (side, (most, why)) in &self.ceilings {
            learning.note_most(*side, *most, *why);
        }
    }
}

/// A message costs something besides its octets.
fn work_of(now: &Snapshot) -> u64 {
    bounds::work(now.bytes_moved, now.messages_settled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(bytes_moved: u64) -> Snapshot {
        Snapshot { bytes_moved, ..Snapshot::default() }
    }

    fn growth(open: usize, most: usize) -> Growth {
        let mut growth = Growth::new(most);
        (0..open).for_each(|_| growth.opened());
        growth
    }

    /// Looks once a second: what was moved since the last look, by how many, and whether mailboxes wait. How many are open
    /// after each look.
    fn watch(growth: &mut Growth, seconds: &[(u64, usize, bool)]) -> Vec<usize> {
        let mut total = 0;
        let mut seen = Vec::new();
        for (octets, at_work, wait) in seconds {
            total += octets;
            match growth.judge(&moved(total), *at_work, *wait) {
                Judged::Grow => growth.opened(),
                Judged::Shrink => growth.ended(&[]),
                Judged::Stay => {}
            }
            seen.push(growth.open);
        }
        seen
    }

    #[test]
    fn strands_are_added_while_each_makes_it_faster_and_the_one_that_does_not_is_let_go() {
        let mut growth = growth(1, 8);
        // 100, then 190, then 195; a second of which a new one was at work in a part says nothing.
        let seconds = [
            (100, 1, true),
            (120, 2, true),
            (190, 2, true),
            (150, 3, true),
            (195, 3, true),
            (190, 2, true),
            (9, 2, true),
        ];
        assert_eq!(watch(&mut growth, &seconds), [2, 2, 3, 3, 2, 2, 2]);
        let no_gain = (2, Ceiling::NoGain);
        assert_eq!(growth.good, Some(2));
        assert_eq!(growth.ceilings, BTreeMap::from([(Side::Source, no_gain), (Side::Target, no_gain)]));
    }

    #[test]
    fn the_last_that_is_allowed_is_found_to_pay() {
        let mut growth = growth(1, 2);
        let seconds = [(100, 1, true), (150, 2, true), (200, 2, true), (10, 2, true), (10, 2, true)];
        assert_eq!(watch(&mut growth, &seconds), [2; 5], "it is judged once");
        assert_eq!((growth.good, growth.ceilings.is_empty()), (Some(2), true));
    }

    #[test]
    fn a_strand_is_not_judged_while_it_signs_in_and_none_is_opened_meanwhile() {
        let mut growth = growth(1, 8);
        let seconds = [(100, 1, true), (100, 1, true), (105, 1, true), (100, 2, true)];
        assert_eq!(watch(&mut growth, &seconds), [2; 4]);
        assert_eq!((growth.good, growth.ceilings.is_empty()), (None, true));
        let mut from_two = self::growth(2, 8);
        assert_eq!(watch(&mut from_two, &[(10, 1, true), (60, 2, true), (100, 2, true)]), [2, 2, 3]);
    }

    #[test]
    fn nothing_is_judged_across_the_end_of_another_or_when_no_mailbox_waits() {
        let mut growth = self::growth(1, 8);
        assert_eq!(watch(&mut growth, &[(100, 1, true), (150, 2, true), (60, 2, false), (10, 2, true)]), [2; 4]);
        assert_eq!((growth.good, growth.ceilings.is_empty()), (None, true), "the last mailboxes are small");
        let mut growth = self::growth(2, 3);
        growth.all_at_work = true;
        assert_eq!(growth.judge(&moved(100), 2, true), Judged::Grow);
        growth.opened();
        growth.ended(&[]);
        assert_eq!(growth.judge(&moved(150), 2, true), Judged::Stay);
        assert_eq!(growth.judge(&moved(180), 2, true), Judged::Grow);
        assert_eq!((growth.good, growth.ceilings.is_empty()), (None, true));
    }

    #[test]
    fn a_server_that_will_not_have_another_connection_is_not_asked_again() {
        let mut growth = growth(3, 8);
        growth.good = Some(3);
        growth.ended(&[(Side::Source, Ceiling::Refused)]);
        assert_eq!(watch(&mut growth, &[(100, 2, true), (100, 2, true), (900, 2, true)]), [2; 3]);
        assert_eq!((growth.most, growth.good), (2, Some(2)));
        assert_eq!(
            growth.ceilings,
            BTreeMap::from([(Side::Source, (2, Ceiling::Refused))]),
            "the target has let it in"
        );
        let mut alone = self::growth(1, 8);
        alone.ended(&[(Side::Target, Ceiling::Trouble)]);
        assert!(alone.ceilings.is_empty(), "one connection that is lost says nothing of several");
    }
}
