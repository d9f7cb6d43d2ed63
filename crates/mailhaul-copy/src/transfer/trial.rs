//! Whether one more connection to read from pays: what is read with it is held against what was read without it.

use crate::bounds;
use std::time::Duration;

/// How long is watched before anything is decided.
pub(super) const WATCHED_FOR: Duration = Duration::from_secs(1);
/// How long a connection that was just added is watched before it is judged.
const JUDGED_AFTER: Duration = Duration::from_secs(3);
/// No connection is opened for what is read in less than this anyway.
const LEFT_LEAST: Duration = Duration::from_secs(6);
/// So much of the time, in per cent, must have been spent waiting for the source.
const WAITED_PERCENT: u32 = 50;

/// What was seen since the last look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) elapsed: Duration,
    /// What came, whether or not it was its turn, and what is still to come; each as [`crate::bounds::work`] weighs it.
    pub(super) work: u64,
    pub(super) left: u64,
    /// Time in which nothing came from the source although the target would have taken it.
    pub(super) waited: Duration,
    /// Connections that are read, and whether one of them is only being opened.
    pub(super) readers: usize,
    pub(super) opening: bool,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    GoOn,
    /// One more is worth trying.
    OpenAnother,
    /// The last one does not pay.
    LetGo,
}

/// The trial of the last connection that was added.
#[derive(Debug, Default)]
pub(crate) struct Trial {
    /// What was read in a second before it was added, while it has not been judged.
    before: Option<u64>,
    /// What has been seen with it.
    elapsed: Duration,
    work: u64,
    /// Whether it has been seen at work at all: in the first second a line finds its speed.
    is_warm: bool,
    readers: usize,
}

impl Trial {
    pub(super) fn judge(&mut self, seen: Seen) -> Verdict {
        let rate = per_sec(seen.work, seen.elapsed);
        if seen.opening {
            return Verdict::GoOn;
        }
        if seen.readers < self.readers {
            // One was lost or let go, and there is nothing to judge.
            *self = Self { readers: seen.readers, ..Self::default() };
        }
        if let Some(before) = self.before.filter(|_| seen.readers == self.readers) {
            if !std::mem::replace(&mut self.is_warm, true) {
                return Verdict::GoOn;
            }
            self.elapsed += seen.elapsed;
            self.work += seen.work;
            if self.elapsed < JUDGED_AFTER {
                return Verdict::GoOn;
            }
            let now = per_sec(self.work, self.elapsed);
            *self = Self { readers: self.readers, ..Self::default() };
            let pays = now.saturating_mul(100) >= before.saturating_mul(100 + bounds::STRAND_GAIN_PERCENT);
            tracing::debug!(before, now, readers = seen.readers, pays, "judged one more connection to read from");
            return if pays { Verdict::GoOn } else { Verdict::LetGo };
        }
        let waits = seen.waited.saturating_mul(100) >= seen.elapsed.saturating_mul(WAITED_PERCENT);
        if waits && rate > 0 && seen.left / rate >= LEFT_LEAST.as_secs() {
            *self = Self { before: Some(rate), readers: seen.readers + 1, ..Self::default() };
            return Verdict::OpenAnother;
        }
        Verdict::GoOn
    }

    /// It could not be opened.
    pub(super) fn is_off(&mut self) {
        *self = Self::default();
    }
}

fn per_sec(work: u64, elapsed: Duration) -> u64 {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    work.saturating_mul(1_000) / millis
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second in which so much came over so many connections.
    fn second(work: u64, readers: usize) -> Seen {
        let elapsed = Duration::from_secs(1);
        Seen { elapsed, work, left: 1_000_000, waited: elapsed, readers, opening: false }
    }

    #[test]
    fn connections_are_added_while_each_makes_it_faster_and_the_one_that_does_not_is_let_go() {
        let mut trial = Trial::default();
        assert_eq!(trial.judge(second(1_000, 1)), Verdict::OpenAnother);
        assert_eq!(trial.judge(Seen { opening: true, ..second(1_000, 1) }), Verdict::GoOn);
        // What was asked for before it was there says nothing.
        assert_eq!(trial.judge(second(500, 2)), Verdict::GoOn);
        let twice: Vec<Verdict> = (0..3).map(|_| trial.judge(second(1_900, 2))).collect();
        assert_eq!(twice, [Verdict::GoOn; 3]);
        assert_eq!(trial.judge(second(1_900, 2)), Verdict::OpenAnother);
        let full: Vec<Verdict> = (0..4).map(|_| trial.judge(second(1_950, 3))).collect();
        assert_eq!(full[..3], [Verdict::GoOn; 3]);
        assert_eq!(full[3], Verdict::LetGo);
    }

    #[test]
    fn nothing_is_opened_where_the_target_is_waited_for_or_little_is_left() {
        let mut trial = Trial::default();
        let busy = Seen { waited: Duration::from_millis(400), ..second(1_000, 1) };
        let little = Seen { left: 4_000, ..second(1_000, 1) };
        for seen in [busy, little, second(0, 1)] {
            assert_eq!(trial.judge(seen), Verdict::GoOn, "{seen:?}");
        }
    }

    #[test]
    fn a_connection_that_is_lost_meanwhile_is_not_judged() {
        let mut trial = Trial::default();
        assert_eq!(trial.judge(second(1_000, 1)), Verdict::OpenAnother);
        assert_eq!(trial.judge(second(1_000, 2)), Verdict::GoOn);
        let busy = Seen { waited: Duration::ZERO, ..second(100, 1) };
        let after: Vec<Verdict> = (0..5).map(|_| trial.judge(busy)).collect();
        assert_eq!(after, [Verdict::GoOn; 5]);
    }
}
