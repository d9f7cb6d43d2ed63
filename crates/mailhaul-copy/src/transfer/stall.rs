//! How long everybody has waited for one further connection.

use std::time::Duration;
use tokio::time::Instant;

/// So long everything may wait for a batch of a further connection, with nothing left to do for the own one, before the own
/// one is asked for it as well.
const STALLED_FOR: Duration = Duration::from_secs(15);

/// For which batch everything waits, and how long it has. Only time counts in which the target would have taken what came.
#[derive(Debug, Default)]
pub(super) struct Stall {
    /// The batch in front, and the connection that owes it.
    of: Option<(u64, u64)>,
    waited: Duration,
    /// Since when it is waited for without a break.
    since: Option<Instant>,
}

impl Stall {
    /// Everybody waits now: for the batch in front, if a further connection owes it and the own one has nothing else to do.
    pub(super) fn waits_for(&mut self, of: Option<(u64, u64)>, now: Instant) {
        self.goes_on(now);
        if of.is_some() && of != self.of {
            // It has come to the front empty only now.
            (self.of, self.waited) = (of, Duration::ZERO);
        }
        self.since = of.map(|_| now);
    }

    /// Something has come out, so that nobody waits.
    pub(super) fn goes_on(&mut self, now: Instant) {
        if let Some(since) = self.since.take() {
            self.waited += now.saturating_duration_since(since);
        }
    }

    /// Whatever has passed since the last look was not spent waiting for the source.
    pub(super) fn was_elsewhere(&mut self) {
        self.since = None;
    }

    /// Which connection has kept everybody waiting for too long.
    pub(super) fn whose(&self) -> Option<u64> {
        self.of.filter(|_| self.waited >= STALLED_FOR && self.since.is_some()).map(|(_, number)| number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: Option<(u64, u64)> = Some((7, 1));

    fn at(seconds: u64) -> Instant {
        // One beginning for all of a test.
        thread_local!(static BEGAN: Instant = Instant::now());
        BEGAN.with(|began| *began) + Duration::from_secs(seconds)
    }

    #[test]
    fn a_connection_for_whose_batch_everybody_has_waited_is_told() {
        let mut stall = Stall::default();
        stall.waits_for(BATCH, at(0));
        stall.waits_for(BATCH, at(14));
        assert_eq!(stall.whose(), None);
        stall.waits_for(BATCH, at(15));
        assert_eq!(stall.whose(), Some(1));
    }

    #[test]
    fn messages_that_trickle_in_do_not_hide_that_the_batch_does_not_end() {
        let mut stall = Stall::default();
        for second in 0..10 {
            stall.waits_for(BATCH, at(2 * second));
            stall.goes_on(at(2 * second + 2));
        }
        assert_eq!(stall.whose(), None, "something has just come out");
        stall.waits_for(BATCH, at(20));
        assert_eq!(stall.whose(), Some(1));
    }

    #[test]
    fn time_in_which_the_target_takes_nothing_does_not_count() {
        let mut stall = Stall::default();
        stall.waits_for(BATCH, at(0));
        stall.goes_on(at(10));
        // The pump writes for a minute, and comes back to an empty front.
        stall.waits_for(BATCH, at(70));
        stall.was_elsewhere();
        stall.waits_for(BATCH, at(130));
        stall.waits_for(BATCH, at(134));
        assert_eq!(stall.whose(), None, "fourteen seconds were waited");
        stall.waits_for(BATCH, at(135));
        assert_eq!(stall.whose(), Some(1));
    }

    #[test]
    fn another_batch_begins_anew_and_nothing_counts_while_the_own_connection_has_work() {
        let mut stall = Stall::default();
        stall.waits_for(BATCH, at(0));
        stall.waits_for(Some((8, 1)), at(10));
        stall.waits_for(Some((8, 1)), at(20));
        assert_eq!(stall.whose(), None);
        stall.waits_for(None, at(24));
        stall.waits_for(Some((8, 1)), at(60));
        assert_eq!(stall.whose(), None, "what the own one has brought meanwhile is not waiting");
        stall.waits_for(Some((8, 1)), at(61));
        assert_eq!(stall.whose(), Some(1));
    }
}
