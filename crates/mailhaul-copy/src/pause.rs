//! How long to wait before the next try: jittered, growing pauses from `backon`.

use backon::{BackoffBuilder, ExponentialBuilder};
use std::time::Duration;

/// Pauses between reconnections: about half a second, then twice as long each time, at most a minute, jittered so
/// that many workers that lost one server do not come back to it in step.
pub(crate) fn reconnects(tries: usize) -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(400))
        .with_max_delay(Duration::from_secs(60))
        .with_factor(2.0)
        .with_jitter()
        .with_max_times(tries)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_stay_bounded_and_end() {
        let pauses: Vec<Duration> = reconnects(10).collect();
        assert_eq!(pauses.len(), 10);
        assert!(pauses[0] < Duration::from_secs(1));
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(120)), "{pauses:?}");
    }
}
