//! Other tools under the same troubles: mbsync beside mailhaul, through the same proxies and before the same judge.
//!
//! Each case is played with each tool on servers of its own. What came of it is counted, not judged: what a tool does not
//! promise is no fault of it, and stands in the document beside the figures.

mod cases;
mod tool;

pub use cases::{CASES, Case};
pub use tool::{Bench, Tool};

/// What came of a case with one tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// How often it was played.
    pub runs: u64,
    /// How often the target ended equal to the source, and a further run sent nothing.
    pub exact: u64,
    /// How often the tool ended with an error, so that somebody has to look.
    pub refused: u64,
    /// Messages that are missing although the tool has ended without an error.
    pub lost: u64,
    /// Messages that are there once too often.
    pub doubled: u64,
    /// Messages with other dates or flags.
    pub altered: u64,
    /// Runs with nothing to do that sent something all the same.
    pub sent_again: u64,
}

impl Figures {
    /// Adds what came of other runs.
    pub fn add(&mut self, other: Figures) {
        self.runs += other.runs;
        self.exact += other.exact;
        self.refused += other.refused;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.altered += other.altered;
        self.sent_again += other.sent_again;
    }

    /// A line of a Markdown table.
    #[must_use]
    pub fn line(&self, case: &str, tool: &str) -> String {
        let Figures { runs, exact, refused, lost, doubled, altered, sent_again } = self;
        format!("| {case} | {tool} | {runs} | {exact} | {refused} | {lost} | {doubled} | {altered} | {sent_again} |")
    }
}
