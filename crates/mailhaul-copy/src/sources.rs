//! The connections that one account has to its source, over everybody who works on it: strands, each with a pair of
//! connections, and those that only help to read one mailbox.

use crate::bounds;
use crate::budget::Budgets;
use crate::learning::Learning;
use crate::oversight::{Supervisor, Widened};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// What is known of them.
#[derive(Debug)]
pub(crate) struct Sources {
    /// How many there may be, by the operator's word.
    most: usize,
    /// How many the source bears where some of them only read, as far as earlier runs have found out.
    most_reading: usize,
    learning: Arc<Learning>,
    open: AtomicUsize,
    /// Whether mailboxes wait that could be worked on beside those that are.
    mailboxes_wait: AtomicBool,
    /// Whether a reader found no seat while a connection is kept that nobody uses.
    wants_seat: AtomicBool,
    /// Until when one more reader is not tried.
    no_reader_before: Mutex<Option<Never>>,
    /// The account's own, within those of the process.
    pub(crate) budgets: Budgets,
}

/// When something is not tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Never {
    Before(Instant),
    InThisRun,
}

/// One connection's place among those that the account may have.
pub(crate) struct Seat {
    sources: Arc<Sources>,
    _room: Widened,
}

impl Sources {
    /// The run itself has the first.
    pub(crate) fn new(most: usize, learning: &Arc<Learning>, budgets: &Budgets) -> Self {
        Self {
            most: most.max(1),
            most_reading: most.min(learning.most_reading()),
            learning: Arc::clone(learning),
            open: AtomicUsize::new(1),
            mailboxes_wait: AtomicBool::new(false),
            wants_seat: AtomicBool::new(false),
            no_reader_before: Mutex::new(None),
            budgets: budgets.of_account(),
        }
    }

    /// A place for a strand.
    pub(crate) fn widen(self: &Arc<Self>, supervisor: &dyn Supervisor) -> Option<Widened> {
        let seat = self.sit(self.most, || supervisor.widen())?;
        Some(Box::new(seat))
    }

    /// A place for a connection that only reads.
    pub(crate) fn widen_reading(self: &Arc<Self>, supervisor: &dyn Supervisor) -> Option<Seat> {
        let seat = self.sit(self.most_reading, || supervisor.widen_reading());
        self.wants_seat.store(seat.is_none(), Ordering::Relaxed);
        seat
    }

    fn sit(self: &Arc<Self>, most: usize, room: impl FnOnce() -> Option<Widened>) -> Option<Seat> {
        let more = |open: usize| (open < most).then_some(open + 1);
        self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        match room() {
            Some(room) => Some(Seat { sources: Arc::clone(self), _room: room }),
            None => {
                self.open.fetch_sub(1, Ordering::Relaxed);
                None
            }
        }
    }

    /// Whether a reader would have the place that is kept for nobody in particular. Asking answers the wish.
    pub(crate) fn wants_seat(&self) -> bool {
        self.wants_seat.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn say_mailboxes_wait(&self, wait: bool) {
        self.mailboxes_wait.store(wait, Ordering::Relaxed);
    }

    /// Whether mailboxes wait: a connection of their own does more for them than one more for this.
    pub(crate) fn do_mailboxes_wait(&self) -> bool {
        self.mailboxes_wait.load(Ordering::Relaxed)
    }

    /// One more reader does not pay, or was lost, and is tried again after a while; or it is not let in, and is not tried
    /// again in this run, nor for a while in later ones: some servers count that as an attack.
    pub(crate) fn no_more_readers(&self, for_good: bool) {
        if for_good {
            // Its own seat is free again.
            self.learning.note_refused_reader(self.open.load(Ordering::Relaxed));
            self.no_reader_until(Never::InThisRun);
        } else {
            self.no_reader_until(Never::Before(Instant::now() + bounds::READER_AGAIN_AFTER));
        }
    }

    /// The source has not let in a strand: it will not let in a reader either.
    pub(crate) fn strand_is_refused(&self) {
        self.no_reader_until(Never::InThisRun);
    }

    fn no_reader_until(&self, moment: Never) {
        let mut until = self.no_reader_before.lock().unwrap_or_else(PoisonError::into_inner);
        if *until != Some(Never::InThisRun) {
            *until = Some(moment);
        }
    }

    /// Whether one more reader may be tried.
    pub(crate) fn may_try_reader(&self) -> bool {
        let until = *self.no_reader_before.lock().unwrap_or_else(PoisonError::into_inner);
        self.most_reading > 1
            && match until {
                None => true,
                Some(Never::Before(moment)) => Instant::now() >= moment,
                Some(Never::InThisRun) => false,
            }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.sources.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oversight::Unsupervised;
    use mailhaul_plan::profile::{Ceiling, Found, HostProfile};

    const NOW: i64 = 1_795_000_000;

    /// With this known of the source.
    fn sources(most: usize, known: Option<(usize, Ceiling)>) -> Sources {
        let mut source = HostProfile::default();
        source.width.most = known.map(|(connections, why)| (Found { connections, at_unix_secs: NOW - 60 }, why));
        let learning = Arc::new(Learning::knowing(source, HostProfile::default(), NOW));
        Sources::new(most, &learning, &Budgets::default())
    }

    /// Has no room for anybody.
    struct Full;

    impl Supervisor for Full {
        fn widen(&self) -> Option<Widened> {
            None
        }
        fn widen_reading(&self) -> Option<Widened> {
            None
        }
    }

    #[test]
    fn strands_and_readers_share_the_connections_of_the_account() {
        let sources = Arc::new(sources(3, None));
        assert!(sources.widen_reading(&Full).is_none());
        let strand = sources.widen(&Unsupervised).expect("room");
        let reader = sources.widen_reading(&Unsupervised).expect("room");
        assert!(sources.widen(&Unsupervised).is_none() && !sources.wants_seat());
        assert!(sources.widen_reading(&Unsupervised).is_none());
        assert!(sources.wants_seat() && !sources.wants_seat(), "it is said once");
        drop(strand);
        assert!(sources.widen_reading(&Unsupervised).is_some());
        drop(reader);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_did_not_pay_is_tried_again_later_and_one_that_was_not_let_in_is_not() {
        assert!(!sources(1, None).may_try_reader());
        let sources = sources(2, None);
        assert!(sources.may_try_reader());
        sources.no_more_readers(false);
        assert!(!sources.may_try_reader());
        tokio::time::advance(bounds::READER_AGAIN_AFTER).await;
        assert!(sources.may_try_reader());
        sources.no_more_readers(true);
        sources.no_more_readers(false);
        tokio::time::advance(bounds::READER_AGAIN_AFTER).await;
        assert!(!sources.may_try_reader());
    }

    #[test]
    fn readers_heed_what_the_source_has_refused_before_and_strands_hold_to_their_own() {
        assert!(!sources(4, Some((1, Ceiling::Refused))).may_try_reader());
        assert!(sources(4, Some((1, Ceiling::NoGain))).may_try_reader());
        let sources = Arc::new(sources(4, Some((2, Ceiling::Refused))));
        assert!(sources.may_try_reader());
        let reader = sources.widen_reading(&Unsupervised).expect("room");
        assert!(sources.widen_reading(&Unsupervised).is_none());
        drop(reader);
        let _strand = sources.widen(&Unsupervised).expect("room");
        assert!(sources.widen_reading(&Unsupervised).is_none(), "a strand takes the place of a reader");
    }

    #[tokio::test(start_paused = true)]
    async fn where_a_strand_was_refused_no_reader_is_tried_in_this_run() {
        let sources = sources(4, None);
        sources.strand_is_refused();
        sources.no_more_readers(false);
        tokio::time::advance(bounds::READER_AGAIN_AFTER).await;
        assert!(!sources.may_try_reader());
    }

    #[test]
    fn a_reader_that_is_not_let_in_is_not_asked_for_by_the_next_account() {
        let sources = Arc::new(sources(4, None));
        let first = sources.widen_reading(&Unsupervised).expect("room");
        drop(sources.widen_reading(&Unsupervised).expect("room"));
        sources.no_more_readers(true);
        let [source, _] = sources.learning.learnt();
        assert_eq!(source.width.most_reading(NOW), Some(2));
        drop(first);
    }
}
