//! A row: one promise, and what plays the trouble that it is about.

use crate::Outcome;

/// How much is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// A few runs, for the tests of every day: all rows together take some minutes.
    Quick,
    /// Meant for twenty minutes on two cores, all rows together.
    Prove,
    /// As long as it takes.
    Long,
}

impl Scale {
    /// What a line that repeats a run must say further where the scale decides what is played; begins with a blank, or is
    /// empty.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Scale::Quick => " --quick",
            Scale::Prove => "",
            Scale::Long => " --long",
        }
    }
}

/// What is asked of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// How much, if nobody says how many runs.
    pub scale: Scale,
    /// So many runs, and not what the scale says.
    pub runs: Option<u64>,
    /// Where the seeds begin; with one run, the very run that a failure has named.
    pub seed: u64,
}

impl Ask {
    /// What the scale says, from the first seed on.
    #[must_use]
    pub fn of(scale: Scale) -> Ask {
        Ask { scale, runs: None, seed: 1 }
    }

    /// How many runs there are to be: as many as somebody has said, or what stands for the scale.
    #[must_use]
    pub fn runs(&self, quick: u64, prove: u64, long: u64) -> u64 {
        self.runs.unwrap_or(match self.scale {
            Scale::Quick => quick,
            Scale::Prove => prove,
            Scale::Long => long,
        })
    }

    /// The seeds of that many runs.
    #[must_use]
    pub fn seeds(&self, quick: u64, prove: u64, long: u64) -> std::ops::Range<u64> {
        self.seed..self.seed + self.runs(quick, prove, long)
    }
}

/// One promise.
#[derive(Clone, Copy)]
pub struct Row {
    /// Its number in the table.
    pub number: u32,
    /// The trouble, in a few words: `kill -9 at random moments`.
    pub name: &'static str,
    /// Plays it.
    pub play: fn(&Ask) -> Outcome,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "row {}: {}", self.number, self.name)
    }
}
