//! The report of a wave: every account with what became of its mail, and sums that must add up.
//!
//! It is computed from what was recorded, so it can be asked for at any moment and again tomorrow. Verdicts are computed here
//! from the counts; whoever fills the report in says only where each account's work stands.

mod balance;
mod csv;
mod html;
mod line;
mod text;

#[cfg(test)]
mod tests;

use crate::Counts;
use crate::moment::rfc3339;
pub use balance::{Imbalance, ImbalanceKind};
pub use line::{AccountLine, AccountVerdict, Standing};
use serde::Serialize;
use serde_json::{Value, json};

/// The report of one wave. Names and server words in it are as they came; whoever shows them escapes them, which
/// [`WaveReport::to_text`], [`WaveReport::to_csv`] and [`WaveReport::to_html`] do by themselves.
#[derive(Debug, Clone, Default)]
pub struct WaveReport {
    /// The wave's name.
    pub wave: String,
    /// Its accounts, in the order in which they are to be shown.
    pub accounts: Vec<AccountLine>,
    /// When the first attempt began, in seconds since 1970.
    pub started_unix_secs: Option<i64>,
    /// When the last attempt ended, if none is under way.
    pub finished_unix_secs: Option<i64>,
    /// When this report was made.
    pub made_unix_secs: i64,
    /// What made it: `mailhaul 0.1.0`.
    pub made_by: String,
}

/// The last word on a wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WaveVerdict {
    /// Every message of every account is accounted for and none is an exception.
    Complete,
    /// Everything has been done that could be; something needs a look.
    Exceptions,
    /// Some accounts go on only when somebody has acted.
    Attention,
    /// Work is still to be done.
    Unfinished,
    /// Some numbers contradict each other.
    DoesNotAddUp,
}

impl WaveVerdict {
    /// The words shown to people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Exceptions => "finished with exceptions",
            Self::Attention => "needs attention",
            Self::Unfinished => "not finished",
            Self::DoesNotAddUp => "does not add up",
        }
    }
}

/// All accounts together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct WaveTotals {
    /// Accounts in the wave.
    pub accounts: u64,
    /// Of these, accounts of each verdict: see [`AccountVerdict`].
    pub complete: u64,
    /// Done, with something that needs a look.
    pub exceptions: u64,
    /// Waiting for somebody to act.
    pub attention: u64,
    /// Still to be worked on.
    pub unfinished: u64,
    /// Stopped by an operator.
    pub stopped: u64,
    /// Of all, accounts whose source was never counted. Their mail is in no sum.
    pub uncounted: u64,
    /// How the messages are accounted for.
    pub messages: Counts,
    /// Messages on the target, in those accounts where they were counted.
    pub target_messages: u64,
    /// Accounts where they were.
    pub target_counted: u64,
    /// Octets copied.
    pub bytes: u64,
    /// Seconds of work, all attempts of all accounts added up.
    pub seconds: f64,
    /// Attempts.
    pub attempts: u64,
}

impl WaveTotals {
    fn add(&mut self, line: &AccountLine) {
        self.accounts += 1;
        let place = match line.verdict() {
            AccountVerdict::Complete => &mut self.complete,
            AccountVerdict::Exceptions => &mut self.exceptions,
            AccountVerdict::Attention => &mut self.attention,
            AccountVerdict::Unfinished => &mut self.unfinished,
            AccountVerdict::Stopped => &mut self.stopped,
        };
        *place += 1;
        match line.messages {
            Some(messages) => self.messages += messages,
            None => self.uncounted += 1,
        }
        if let Some(messages) = line.target_messages {
            self.target_messages = self.target_messages.saturating_add(messages);
            self.target_counted += 1;
        }
        self.bytes = self.bytes.saturating_add(line.bytes);
        self.seconds += line.seconds;
        self.attempts = self.attempts.saturating_add(u64::from(line.attempts));
    }
}

impl WaveReport {
    /// All accounts together.
    #[must_use]
    pub fn totals(&self) -> WaveTotals {
        let mut totals = WaveTotals::default();
        for line in &self.accounts {
            totals.add(line);
        }
        totals
    }

    /// The verdict: the gravest thing that is true of any account. A wave without accounts is not finished.
    #[must_use]
    pub fn verdict(&self) -> WaveVerdict {
        let totals = self.totals();
        if !self.adds_up() {
            WaveVerdict::DoesNotAddUp
        } else if totals.unfinished > 0 || self.accounts.is_empty() {
            WaveVerdict::Unfinished
        } else if totals.attention > 0 {
            WaveVerdict::Attention
        } else if totals.complete < totals.accounts {
            WaveVerdict::Exceptions
        } else {
            WaveVerdict::Complete
        }
    }

    /// The JSON object of `--json`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let accounts: Vec<Value> = self.accounts.iter().map(AccountLine::to_json).collect();
        json!({
            "schema": 1,
            "wave": self.wave,
            "verdict": self.verdict(),
            "adds_up": self.adds_up(),
            "imbalances": self.imbalances(),
            "totals": self.totals(),
            "started": self.started_unix_secs.map(rfc3339),
            "finished": self.finished_unix_secs.map(rfc3339),
            "made": rfc3339(self.made_unix_secs),
            "made_by": self.made_by,
            "accounts": accounts,
        })
    }
}
