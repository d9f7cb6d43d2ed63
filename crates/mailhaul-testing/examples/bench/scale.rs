//! How much is measured, and in what ways.

use std::path::PathBuf;

use crate::haul::Over;

/// Octets of a small mail: 3 KiB in the mean.
pub(crate) const SMALL: std::ops::Range<u64> = 2_900..3_320;

/// The wishes of whoever runs the bench.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    pub(crate) rounds: usize,
    /// Divides numbers of messages.
    pub(crate) divisor: usize,
    /// In plain text, over TLS, or both, one after the other.
    pub(crate) ways: Vec<Over>,
    /// Where imapsync is, if it is to be measured.
    pub(crate) imapsync: Option<PathBuf>,
}

impl Scale {
    /// Five rounds over everything.
    pub(crate) fn full() -> Scale {
        Scale { rounds: 5, divisor: 1, ways: vec![Over::PlainText, Over::Tls], imapsync: None }
    }

    /// To see whether something has moved: a quarter of the mail, three rounds.
    pub(crate) fn quick(&mut self) {
        (self.rounds, self.divisor) = (3, 4);
    }

    pub(crate) fn messages(&self, count: usize) -> usize {
        count / self.divisor
    }

    /// Rounds for other tools, and for what takes long and hardly varies.
    pub(crate) fn aside(&self) -> usize {
        if self.divisor == 1 { self.rounds.min(3) } else { 1 }
    }
}
