//! Where a wave stands at this moment: what an operator looks at all day.
//!
//! One screen of text: five words first, then what they stand for, then how far the mail is and when it will be there,
//! then what runs, then what went wrong last.

mod finish;
mod tally;
mod text;

#[cfg(test)]
mod tests;

use crate::Standing;
use crate::moment::rfc3339;
pub use finish::{Finish, FinishBrake, OpenSpan, Outlook, estimate_finish};
use serde::Serialize;
use serde_json::{Value, json};
pub use tally::{Lack, Tally};

/// How many accounts are in one state: each once, by the job that says where it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StateCount {
    /// To which of the five words it belongs.
    pub standing: Standing,
    /// The state, in the queue's word: `waiting`; `blocked` for what a preflight found something in the way of.
    pub state: String,
    /// Its reason or class, in the queue's word, if the state has one: `back_off`.
    pub reason: Option<String>,
    /// What this means and what would change it, in a whole sentence; empty if there is nothing to add.
    pub words: String,
    /// Of those that wait until some moment, the earliest, in seconds since 1970.
    pub until_unix_secs: Option<i64>,
    /// Accounts.
    pub accounts: u64,
}

/// How much of something is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Done {
    /// So much is done.
    pub done: u64,
    /// Of so much; `None`: it was not counted yet.
    pub expected: Option<u64>,
}

impl Done {
    /// What is left; `None`: nobody knows.
    #[must_use]
    pub fn left(self) -> Option<u64> {
        self.expected.map(|expected| expected.saturating_sub(self.done))
    }
}

/// A job that runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RunningLine {
    /// The account.
    pub account: String,
    /// The job's kind: `bulk`.
    pub kind: String,
    /// What it does now: the mailbox, or a step in a few words.
    pub doing: String,
    /// Messages.
    pub messages: Done,
    /// Octets a second at present.
    pub bytes_per_second: u64,
    /// Seconds since the attempt began.
    pub seconds: u64,
}

/// Something that went wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problem {
    /// When, in seconds since 1970.
    pub unix_secs: i64,
    /// The account.
    pub account: String,
    /// What, in mailhaul's or the server's words.
    pub words: String,
    /// What to do; empty if mailhaul goes on by itself.
    pub hint: String,
}

/// A host that is left in peace because it asked for it, or could not be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestingHost {
    /// Its name.
    pub host: String,
    /// What is wrong with it, in mailhaul's words.
    pub why: String,
    /// What it said last, or what was said of it; empty if nothing is known.
    pub words: String,
    /// When it is tried again, in seconds since 1970.
    pub until_unix_secs: i64,
}

/// Where a wave, or everything, stands. Names and server words are as they came; [`WaveStatus::to_text`] escapes them.
#[derive(Debug, Clone)]
pub struct WaveStatus {
    /// The wave; `None`: all of them.
    pub wave: Option<String>,
    /// This moment, in seconds since 1970.
    pub now_unix_secs: i64,
    /// Accounts concerned.
    pub accounts: u64,
    /// Accounts by state and reason, in the order in which they are to be shown; those that have not begun are not among
    /// them.
    pub states: Vec<StateCount>,
    /// Accounts for which nothing was ever queued, but perhaps a look.
    pub not_begun: u64,
    /// Who is complete, and what keeps the others from it.
    pub tally: Tally,
    /// Hosts that are left in peace.
    pub resting: Vec<RestingHost>,
    /// Messages.
    pub messages: Done,
    /// Octets.
    pub bytes: Done,
    /// Messages a second, over the last minute or so.
    pub messages_per_second: f64,
    /// Octets a second, over the same time.
    pub bytes_per_second: u64,
    /// When it will be done.
    pub finish: Finish,
    /// Worker processes that are alive.
    pub workers: u32,
    /// What runs.
    pub running: Vec<RunningLine>,
    /// What went wrong last, the newest first.
    pub problems: Vec<Problem>,
}

impl Default for WaveStatus {
    fn default() -> Self {
        Self {
            wave: None,
            now_unix_secs: 0,
            accounts: 0,
            states: Vec::new(),
            not_begun: 0,
            tally: Tally::default(),
            resting: Vec::new(),
            messages: Done::default(),
            bytes: Done::default(),
            messages_per_second: 0.0,
            bytes_per_second: 0,
            finish: Finish::NotCounted,
            workers: 0,
            running: Vec::new(),
            problems: Vec::new(),
        }
    }
}

impl WaveStatus {
    /// Accounts of one of the five words.
    #[must_use]
    pub fn accounts_in(&self, standing: Standing) -> u64 {
        self.states.iter().filter(|count| count.standing == standing).map(|count| count.accounts).sum()
    }

    /// Whether some accounts go on without anybody: what is known of their mail may not be all of it.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.accounts_in(Standing::Waiting) + self.accounts_in(Standing::Running) > 0
    }

    /// The JSON object of `--json`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let problems = self.problems.iter().map(|problem| {
            json!({
                "time": rfc3339(problem.unix_secs),
                "account": problem.account,
                "words": problem.words,
                "hint": problem.hint,
            })
        });
        let resting = self.resting.iter().map(|host| {
            json!({
                "host": host.host,
                "why": host.why,
                "words": host.words,
                "until": rfc3339(host.until_unix_secs),
            })
        });
        json!({
            "schema": 1,
            "wave": self.wave,
            "time": rfc3339(self.now_unix_secs),
            "accounts": self.accounts,
            "summary": {
                "waiting": self.accounts_in(Standing::Waiting),
                "running": self.accounts_in(Standing::Running),
                "done": self.accounts_in(Standing::Done),
                "attention": self.accounts_in(Standing::Attention),
                "stopped": self.accounts_in(Standing::Stopped),
                "not_begun": self.not_begun,
            },
            "verdict": self.tally.to_json(),
            "states": self.states,
            "resting_hosts": resting.collect::<Vec<_>>(),
            "messages": self.messages,
            "bytes": self.bytes,
            "messages_per_second": (self.messages_per_second * 10.0).round() / 10.0,
            "bytes_per_second": self.bytes_per_second,
            "finish": self.finish.to_json(),
            "workers": self.workers,
            "running": self.running,
            "problems": problems.collect::<Vec<_>>(),
        })
    }
}
