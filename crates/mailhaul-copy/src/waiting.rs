//! Mailboxes that wait for a strand, the largest first; behind them those that a strand has given back.

use crate::oversight::Widened;
use crate::plan_run::Planned;
use crate::tally::Tally;
use crate::visits::Visited;
use crate::walk::Links;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A mailbox that waits.
pub(crate) struct Waiting {
    pub(crate) visit: Visited,
    /// What became of it so far. Only the counting is kept: the next pass begins from its top, by reading the tail.
    pub(crate) tally: Tally,
    /// How long UIDNEXT must stand still at least, for the sake of what may be in flight from an earlier strand.
    pub(crate) quarantine: Duration,
}

impl Waiting {
    /// Whether a strand has looked at it.
    pub(crate) fn is_begun(&self) -> bool {
        self.tally.before.is_some()
    }
}

/// What waits for a strand, and how many strands there are to take it.
pub(crate) struct Queue {
    waiting: Mutex<VecDeque<Waiting>>,
    at_work: AtomicUsize,
    /// How many strands there should be: as long as there are more, whoever comes to the end of a mailbox ends.
    most_at_work: AtomicUsize,
    spare: Mutex<Option<Spare>>,
}

/// Connections that a strand has left, kept for others that may lose theirs, with the room that they take.
pub(crate) struct Spare {
    pub(crate) links: Links,
    /// Whether the source was asked on them to tell what is gone.
    pub(crate) asked_for_vanished: bool,
    pub(crate) _room: Widened,
}

impl Queue {
    /// Whoever begins with the small ones waits for a large one in the end, with nothing beside it.
    pub(crate) fn largest_first(planned: &Planned, visits: &[Visited]) -> Self {
        let mut visits = visits.to_vec();
        let messages = |visit: &Visited| planned.messages(&planned.mapping.mailboxes[visit.place].source);
        visits.sort_by_key(|visit| std::cmp::Reverse(messages(visit)));
        let new = |visit| Waiting { visit, tally: Tally::default(), quarantine: Duration::ZERO };
        let waiting = Mutex::new(visits.into_iter().map(new).collect());
        Self {
            waiting,
            at_work: AtomicUsize::new(0),
            most_at_work: AtomicUsize::new(usize::MAX),
            spare: Mutex::new(None),
        }
    }

    pub(crate) fn next(&self) -> Option<Waiting> {
        self.lock().pop_front()
    }

    /// A mailbox over which a strand has lost its connection. It comes last: if it is the mailbox over which connections
    /// are lost, the others have been copied by then.
    pub(crate) fn give_back(&self, waiting: Waiting) {
        self.lock().push_back(waiting);
    }

    /// Keeps connections, unless there are such already.
    pub(crate) fn keep(&self, spare: Spare) -> Option<Spare> {
        let mut kept = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_some() {
            return Some(spare);
        }
        *kept = Some(spare);
        None
    }

    /// The connections that are kept.
    pub(crate) fn take_spare(&self) -> Option<Spare> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Nobody gets anything any more; what is left.
    pub(crate) fn close(&self) -> Vec<Waiting> {
        std::mem::take(&mut *self.lock()).into()
    }

    /// A strand begins to take mailboxes.
    pub(crate) fn begins(&self) {
        self.at_work.fetch_add(1, Ordering::Relaxed);
    }

    /// A strand takes no more.
    pub(crate) fn ends(&self) {
        self.at_work.fetch_sub(1, Ordering::Relaxed);
    }

    /// Strands are to end behind their mailboxes until there are no more than these. One that ends by itself is one of them.
    pub(crate) fn keep_at_most(&self, strands: usize) {
        self.most_at_work.store(strands, Ordering::Relaxed);
    }

    /// Whether whoever asks is one too many.
    pub(crate) fn is_too_wide(&self) -> bool {
        self.at_work() > self.most_at_work.load(Ordering::Relaxed)
    }

    /// Strands that take mailboxes.
    pub(crate) fn at_work(&self) -> usize {
        self.at_work.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailhaul_plan::visits::Reason;

    fn waiting(place: usize) -> Waiting {
        Waiting {
            visit: Visited { place, reason: Reason::NeverComplete },
            tally: Tally::default(),
            quarantine: Duration::ZERO,
        }
    }

    #[test]
    fn a_mailbox_that_is_given_back_comes_behind_those_that_nobody_has_tried() {
        let queue = Queue {
            waiting: Mutex::new([1, 2, 3].map(waiting).into()),
            at_work: AtomicUsize::new(0),
            most_at_work: AtomicUsize::new(usize::MAX),
            spare: Mutex::new(None),
        };
        let lost = queue.next().expect("a mailbox");
        queue.give_back(lost);
        let order: Vec<usize> = std::iter::from_fn(|| queue.next()).map(|waiting| waiting.visit.place).collect();
        assert_eq!(order, [2, 3, 1]);
        assert!(queue.is_empty() && queue.close().is_empty());
    }

    #[test]
    fn strands_end_until_there_are_as_many_as_there_should_be() {
        let queue = Queue {
            waiting: Mutex::new([1].map(waiting).into()),
            at_work: AtomicUsize::new(0),
            most_at_work: AtomicUsize::new(usize::MAX),
            spare: Mutex::new(None),
        };
        (0..3).for_each(|_| queue.begins());
        assert!(!queue.is_too_wide());
        queue.keep_at_most(2);
        assert!(queue.is_too_wide());
        queue.ends();
        assert!(!queue.is_too_wide());
    }

    #[test]
    fn where_a_strand_has_ended_by_itself_no_other_ends_in_its_place() {
        let queue = Queue {
            waiting: Mutex::new([1].map(waiting).into()),
            at_work: AtomicUsize::new(3),
            most_at_work: AtomicUsize::new(usize::MAX),
            spare: Mutex::new(None),
        };
        queue.keep_at_most(2);
        // Its connection was lost.
        queue.ends();
        assert!(!queue.is_too_wide(), "two are left, and both stay");
    }
}
