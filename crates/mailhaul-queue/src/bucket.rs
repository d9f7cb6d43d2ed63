//! A rate: so many messages or octets a second, with one second's worth saved up at most.
//!
//! Who takes more than there is goes into debt and waits it out afterwards: a message larger than a second's worth has
//! to go through in one piece. In whole numbers, so that nothing is lost to rounding in weeks.

use std::time::Duration;

/// One rate, shared by those who have to keep it together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateBucket {
    /// `None`: no limit.
    per_second: Option<u64>,
    /// Thousandths of what may be taken now; negative: debt.
    level_thousandths: i128,
    filled_ms: i64,
}

impl RateBucket {
    /// A full bucket. Zero a second is treated as one: who wants nothing to move pauses. `now_ms` and all later ones
    /// are of one clock that does not jump.
    #[must_use]
    pub fn new(per_second: Option<u64>, now_ms: i64) -> Self {
        let per_second = per_second.map(|rate| rate.max(1));
        Self { per_second, level_thousandths: burst(per_second), filled_ms: now_ms }
    }

    /// Takes `n` and says how long to wait before going on. In debt, the next who takes waits for both.
    pub fn take(&mut self, n: u64, now_ms: i64) -> Duration {
        self.fill(now_ms);
        let Some(rate) = self.per_second else {
            return Duration::ZERO;
        };
        self.level_thousandths -= i128::from(n) * 1000;
        let debt = -self.level_thousandths.min(0);
        let wait_ms = debt.div_euclid(i128::from(rate)) + i128::from(debt.rem_euclid(i128::from(rate)) > 0);
        Duration::from_millis(u64::try_from(wait_ms).unwrap_or(u64::MAX))
    }

    /// Changes the rate. What was saved up is cut to a second's worth of the new one; debt stays, and is paid at the
    /// new rate.
    pub fn set_rate(&mut self, per_second: Option<u64>, now_ms: i64) {
        self.fill(now_ms);
        let before = self.per_second;
        self.per_second = per_second.map(|rate| rate.max(1));
        self.level_thousandths = match (before, self.per_second) {
            (None, Some(_)) => burst(self.per_second),
            _ => self.level_thousandths.min(burst(self.per_second)),
        };
    }

    /// The rate; `None`: no limit.
    #[must_use]
    pub fn per_second(&self) -> Option<u64> {
        self.per_second
    }

    fn fill(&mut self, now_ms: i64) {
        let passed_ms = now_ms.saturating_sub(self.filled_ms).max(0);
        self.filled_ms = self.filled_ms.max(now_ms);
        if let Some(rate) = self.per_second {
            // A thousandth a millisecond for each one a second.
            let filled = self.level_thousandths + i128::from(rate) * i128::from(passed_ms);
            self.level_thousandths = filled.min(burst(self.per_second));
        }
    }
}

fn burst(per_second: Option<u64>) -> i128 {
    per_second.map_or(0, |rate| i128::from(rate) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_saved_up_and_no_more() {
        let mut bucket = RateBucket::new(Some(10), 0);
        assert_eq!(bucket.take(10, 0), Duration::ZERO);
        assert_eq!(bucket.take(1, 0), Duration::from_millis(100));
        assert_eq!(bucket.take(10, 60_000), Duration::ZERO);
        assert_eq!(bucket.take(10, 60_000), Duration::from_secs(1));
    }

    #[test]
    fn one_huge_message_goes_through_and_is_waited_out() {
        let mut bucket = RateBucket::new(Some(1_000), 0);
        assert_eq!(bucket.take(61_000, 0), Duration::from_secs(60));
        assert_eq!(bucket.take(1, 30_000), Duration::from_millis(30_001));
    }

    #[test]
    fn a_new_rate_pays_the_old_debt() {
        let mut bucket = RateBucket::new(Some(10), 0);
        bucket.take(110, 0);
        bucket.set_rate(Some(100), 0);
        assert_eq!(bucket.take(0, 0), Duration::from_secs(1));
        bucket.set_rate(None, 0);
        assert_eq!(bucket.take(u64::MAX, 0), Duration::ZERO);
        bucket.set_rate(Some(5), 0);
        assert_eq!(bucket.take(5, 0), Duration::ZERO);
        assert_eq!(bucket.take(1, 0), Duration::from_millis(200));
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_gives_nothing() {
        let mut bucket = RateBucket::new(Some(0), 1_000);
        assert_eq!(bucket.per_second(), Some(1));
        bucket.take(1, 1_000);
        assert_eq!(bucket.take(1, 0), Duration::from_secs(1));
        assert_eq!(bucket.take(0, 1_500), Duration::from_millis(500));
    }

    proptest::proptest! {
        /// Whoever waits as he is told never moves more than the rate and one second's worth.
        #[test]
        fn no_stretch_of_time_sees_more_than_its_rate(
            rate in 1_u64..1_000,
            takes in proptest::collection::vec((0_u64..3_000, 0_i64..2_000), 1..100),
        ) {
            let mut bucket = RateBucket::new(Some(rate), 0);
            let (mut now_ms, mut moved) = (0_i64, 0_u128);
            for (n, idle_ms) in takes {
                let wait = bucket.take(n, now_ms);
                moved += u128::from(n);
                now_ms += i64::try_from(wait.as_millis()).expect("a short wait") + idle_ms;
                let allowed = u128::from(rate) * (1_000 + u128::try_from(now_ms).expect("not negative"));
                proptest::prop_assert!(moved * 1_000 <= allowed);
            }
        }
    }
}
