//! The sum that every mailbox must satisfy.

use serde::Serialize;
use std::ops::AddAssign;

/// How the messages of a source mailbox (or of several together) are accounted for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Messages at the source, as listed by the last scan, and those found gone since.
    pub source: u64,
    /// Copied or adopted by an earlier run.
    pub already: u64,
    /// Copied by this run.
    pub copied: u64,
    /// Found on the target by this run, and therefore not sent.
    pub adopted: u64,
    /// Left out by the operator's selection.
    pub skipped: u64,
    /// The target would not have it.
    pub refused: u64,
    /// Proved absent at the source after it had been listed.
    pub gone: u64,
    /// The source lists it and does not hand it out.
    pub unreadable: u64,
    /// Not accounted for yet.
    pub remaining: u64,
}

impl Counts {
    /// Whether every source message is in exactly one column.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        self.source == self.accounted() + self.remaining
    }

    /// All columns but `remaining`.
    #[must_use]
    pub fn accounted(&self) -> u64 {
        self.already + self.copied + self.adopted + self.skipped + self.refused + self.gone + self.unreadable
    }

    /// Left out, refused, gone or unreadable: accounted for, and not on the target because of mailhaul.
    #[must_use]
    pub fn set_aside(&self) -> u64 {
        self.skipped.saturating_add(self.refused).saturating_add(self.gone).saturating_add(self.unreadable)
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.source += other.source;
        self.already += other.already;
        self.copied += other.copied;
        self.adopted += other.adopted;
        self.skipped += other.skipped;
        self.refused += other.refused;
        self.gone += other.gone;
        self.unreadable += other.unreadable;
        self.remaining += other.remaining;
    }
}
