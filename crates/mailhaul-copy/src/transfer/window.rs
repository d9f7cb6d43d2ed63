//! How much is asked for ahead on one connection: three times what the line carries in a round trip.
//!
//! At first nobody knows how fast the line is, and it is taken for a fast one; once mail has flowed for a while, what
//! came in a second says it. What lies ahead then is three times what a round trip carries, so that a line that becomes
//! faster is followed within a few seconds, and a slow one does not fill the kernel's buffers.

use crate::budget::{ByteBudget, Share};
use std::sync::Arc;
use std::time::Duration;

/// What is asked ahead at least, in octets and messages: two batches, so that a server always knows what comes next.
const LEAST: (u64, u64) = (4 << 20, 1_000);
/// The most.
const MOST: (u64, u64) = (32 << 20, 10_000);
/// So many round trips are asked ahead.
const AHEAD: u64 = 3;
/// How fast a line is thought to be of which nothing is known yet, in octets and messages a second.
const SUPPOSED: (u64, u64) = (112 << 20, 34_000);
/// How long must be watched for a measurement, also in round trips.
const MEASURED_FOR: Duration = Duration::from_secs(1);
const MEASURED_FOR_ROUND_TRIPS: u32 = 4;

/// The window of one connection.
pub(super) struct Window {
    round_trip: Option<Duration>,
    share: Share,
    size: (u64, u64),
    elapsed: Duration,
    came: (u64, u64),
    /// Whether the line has had time to become as fast as it is.
    is_warm: bool,
}

impl Window {
    pub(super) fn new(round_trip: Option<Duration>, budget: &Arc<ByteBudget>) -> Self {
        let share = budget.open();
        let mut window = Self { round_trip, share, size: MOST, elapsed: Duration::ZERO, came: (0, 0), is_warm: false };
        let wanted = round_trip.map_or(MOST, |time| (carried(SUPPOSED.0, time), carried(SUPPOSED.1, time)));
        window.set(wanted);
        window
    }

    /// Octets and messages.
    pub(super) fn size(&self) -> (u64, u64) {
        self.size
    }

    /// So much came in this time. Whether the window has changed.
    pub(super) fn measure(&mut self, elapsed: Duration, octets: u64, messages: u64) -> bool {
        let Some(round_trip) = self.round_trip else { return false };
        self.elapsed += elapsed;
        self.came = (self.came.0 + octets, self.came.1 + messages);
        if self.elapsed < MEASURED_FOR.max(round_trip * MEASURED_FOR_ROUND_TRIPS) {
            return false;
        }
        let wanted = |came: u64| {
            let millis = u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
            AHEAD * carried(came.saturating_mul(1_000) / millis, round_trip)
        };
        let (before, wanted) = (self.size, (wanted(self.came.0), wanted(self.came.1)));
        (self.elapsed, self.came) = (Duration::ZERO, (0, 0));
        if !std::mem::replace(&mut self.is_warm, true) {
            // Nothing comes in the first round trip, and TCP begins slowly.
            return false;
        }
        self.set(wanted);
        self.size != before
    }

    fn set(&mut self, wanted: (u64, u64)) {
        let octets = wanted.0.clamp(LEAST.0, MOST.0);
        let granted = LEAST.0 + self.share.resize(octets - LEAST.0);
        self.size = (granted, wanted.1.clamp(LEAST.1, MOST.1));
    }
}

/// What a line carries in this time.
fn carried(per_sec: u64, time: Duration) -> u64 {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    per_sec.saturating_mul(micros) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: Option<Duration> = Some(Duration::from_micros(300));
    const FAR: Option<Duration> = Some(Duration::from_millis(300));

    fn budget(most: u64) -> Arc<ByteBudget> {
        Arc::new(ByteBudget::new(most))
    }

    #[test]
    fn a_window_is_as_wide_as_its_line_is_long() {
        let all = budget(1 << 30);
        assert_eq!(Window::new(NEAR, &all).size(), LEAST);
        assert_eq!(Window::new(None, &all).size(), MOST);
        let (octets, messages) = Window::new(FAR, &all).size();
        assert!(octets == MOST.0 && messages == MOST.1, "{octets} {messages}");
        let (octets, _) = Window::new(Some(Duration::from_millis(150)), &all).size();
        assert!((16 << 20..18 << 20).contains(&octets), "{octets}");
    }

    #[test]
    fn a_slow_line_is_asked_for_less_and_a_faster_one_for_more_again() {
        let all = budget(1 << 30);
        let mut window = Window::new(FAR, &all);
        assert!(!window.measure(Duration::from_secs(2), 1 << 20, 100), "every line begins slowly");
        assert!(!window.measure(Duration::from_secs(1), 1 << 20, 100), "not long enough for this line");
        assert!(window.measure(Duration::from_secs(1), 1 << 20, 100));
        assert_eq!(window.size(), LEAST);
        // As much as the narrow window lets through, which is more than a half of it in a round trip.
        assert!(window.measure(Duration::from_secs(2), 40 << 20, 20_000));
        assert_eq!(window.size().0, AHEAD * ((20 << 20) * 3 / 10));
    }

    #[test]
    fn a_budget_that_is_spent_leaves_the_least() {
        let all = budget(10 << 20);
        let first = Window::new(FAR, &all);
        let second = Window::new(FAR, &all);
        assert_eq!((first.size().0, second.size().0), (LEAST.0 + (10 << 20), LEAST.0));
        drop(first);
        assert_eq!(Window::new(FAR, &all).size().0, LEAST.0 + (10 << 20));
        assert!(crate::bounds::AHEAD_OF_ACCOUNT >= MOST.0);
    }
}
