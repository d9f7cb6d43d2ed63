//! Progress of reading one mailbox, which may have to begin again on another connection: what was read twice is shown
//! once.

use crate::progress::Progress;
use std::sync::{Mutex, PoisonError};

/// Counts towards a [`Progress`] what goes beyond every earlier attempt at the same mailbox.
pub(crate) struct Meter<'a> {
    progress: &'a Progress,
    readings: Mutex<Readings>,
}

/// Messages and octets.
#[derive(Default)]
struct Readings {
    now: (u64, u64),
    highest: (u64, u64),
}

impl<'a> Meter<'a> {
    pub(crate) fn new(progress: &'a Progress) -> Self {
        Self { progress, readings: Mutex::default() }
    }

    /// An attempt begins, with so much ahead of it.
    pub(crate) fn begin(&self, mailbox: &str, messages: u64, bytes: u64) {
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        readings.now = (0, 0);
        let (messages_before, bytes_before) = readings.highest;
        self.progress.listed(mailbox, messages.saturating_sub(messages_before), bytes.saturating_sub(bytes_before));
    }

    /// So much more was read.
    pub(crate) fn read(&self, messages: u64, bytes: u64) {
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        let Readings { now, highest } = &mut *readings;
        *now = (now.0.saturating_add(messages), now.1.saturating_add(bytes));
        let new = (now.0.saturating_sub(highest.0), now.1.saturating_sub(highest.1));
        *highest = (now.0.max(highest.0), now.1.max(highest.1));
        if new != (0, 0) {
            self.progress.settle(new.0, new.1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_again_after_a_lost_connection_is_not_counted_twice() {
        let progress = Progress::default();
        let meter = Meter::new(&progress);
        meter.begin("a", 10, 1_000);
        meter.read(4, 400);
        meter.begin("a", 12, 1_200);
        meter.read(3, 300);
        let now = progress.snapshot();
        assert_eq!((now.messages_settled, now.messages_expected), (4, 12));
        meter.read(9, 900);
        let now = progress.snapshot();
        assert_eq!((now.messages_settled, now.messages_expected), (12, 12));
        assert_eq!((now.bytes_settled, now.bytes_expected), (1_200, 1_200));
    }
}
