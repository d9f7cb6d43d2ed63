//! What came of a row.

use mailhaul_testing::judge::Judgement;

/// Something that is not as promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What repeats it: `--seed 4711`, or the name of a case.
    pub repeat: String,
    /// What was seen, for people; may have several lines.
    pub seen: String,
}

/// What came of all runs of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How often the trouble was played: kills, cuts, cases, histories.
    pub runs: u64,
    /// Messages that were lost, in all runs together.
    pub lost: u64,
    /// Messages that were doubled.
    pub doubled: u64,
    /// Everything that was not as promised; each loss and each doubling has its entry here too.
    pub failures: Vec<Failure>,
    /// Figures that belong to the row, for the table's last column: `peak 41 MiB`.
    pub figures: Vec<String>,
}

impl Outcome {
    /// Whether everything was as promised, and something was tried at all.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.runs > 0 && self.failures.is_empty() && self.lost == 0 && self.doubled == 0
    }

    /// Notes something that is not as promised.
    pub fn fail(&mut self, repeat: impl Into<String>, seen: impl Into<String>) {
        self.failures.push(Failure { repeat: repeat.into(), seen: seen.into() });
    }

    /// Notes a figure.
    pub fn figure(&mut self, figure: impl Into<String>) {
        self.figures.push(figure.into());
    }

    /// Takes in what the judge says of both accounts.
    pub fn take_in(&mut self, repeat: &str, judgement: &Judgement) {
        if judgement.is_equal() {
            return;
        }
        self.lost += u64::try_from(judgement.lost()).unwrap_or(u64::MAX);
        self.doubled += u64::try_from(judgement.doubled()).unwrap_or(u64::MAX);
        self.fail(repeat, judgement.to_string());
    }

    /// Adds what came of other runs of the same row.
    pub fn add(&mut self, other: Outcome) {
        self.runs += other.runs;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.failures.extend(other.failures);
        self.figures.extend(other.figures);
    }
}
