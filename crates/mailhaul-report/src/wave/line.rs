//! One account of a wave.

use super::balance;
use crate::{Counts, Exception, MailboxLine, Remark};
use serde::Serialize;
use serde_json::{Value, json};

/// Where the work on an account stands, in five words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It goes on by itself.
    #[default]
    Waiting,
    /// It is being worked on.
    Running,
    /// Everything has been done that could be.
    Done,
    /// It goes on only when somebody has acted: failed, or parked.
    Attention,
    /// An operator stopped it.
    Stopped,
}

impl Standing {
    /// The word shown to people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Attention => "attention",
            Self::Stopped => "stopped",
        }
    }
}

/// The last word on an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountVerdict {
    /// Every source message is accounted for and none is an exception.
    Complete,
    /// Done, with messages or mailboxes that need a look, or with numbers that do not add up.
    Exceptions,
    /// It goes on only when somebody has acted.
    Attention,
    /// Work is still to be done.
    Unfinished,
    /// An operator stopped it.
    Stopped,
}

impl AccountVerdict {
    /// The words shown to people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Exceptions => "with exceptions",
            Self::Attention => "needs attention",
            Self::Unfinished => "not finished",
            Self::Stopped => "stopped",
        }
    }
}

/// One account of a wave.
#[derive(Debug, Clone, Default)]
pub struct AccountLine {
    /// Its name in the list.
    pub account: String,
    /// Login and host at the source: `alice at old.example`.
    pub source: String,
    /// Login and host on the target.
    pub target: String,
    /// Where its work stands.
    pub standing: Standing,
    /// The same in the queue's words, with the reason if there is one: `waiting (quota)`.
    pub state: String,
    /// How the messages of all its mailboxes are accounted for; `None`: the source was never counted.
    pub messages: Option<Counts>,
    /// Messages on the target when both sides were compared last; `None`: they were not, or mail was delivered since.
    pub target_messages: Option<u64>,
    /// Octets copied, all attempts together.
    pub bytes: u64,
    /// Seconds of work, all attempts together.
    pub seconds: f64,
    /// Attempts, whatever became of them.
    pub attempts: u32,
    /// What the last attempt ended with, if it did not end well: mailhaul's or the server's words.
    pub last_words: Option<String>,
    /// What needs a look.
    pub exceptions: Vec<Exception>,
    /// What is worth knowing.
    pub remarks: Vec<Remark>,
    /// Its mailboxes; none if only the account's counts are wanted.
    pub mailboxes: Vec<MailboxLine>,
}

impl AccountLine {
    /// The verdict: never *complete* while a message is unaccounted for, or was never counted.
    #[must_use]
    pub fn verdict(&self) -> AccountVerdict {
        match self.standing {
            Standing::Waiting | Standing::Running => AccountVerdict::Unfinished,
            Standing::Attention => AccountVerdict::Attention,
            Standing::Stopped => AccountVerdict::Stopped,
            Standing::Done if self.is_accounted_for() => AccountVerdict::Complete,
            Standing::Done => AccountVerdict::Exceptions,
        }
    }

    fn is_accounted_for(&self) -> bool {
        let accounted = |counts: Counts| counts.remaining == 0 && counts.refused == 0 && counts.unreadable == 0;
        self.exceptions.is_empty() && self.messages.is_some_and(accounted) && balance::of_account(self).is_empty()
    }

    /// The verdict in the words shown to people, or that the numbers contradict each other.
    #[must_use]
    pub fn verdict_words(&self) -> &'static str {
        if balance::account_adds_up(self) { self.verdict().label() } else { "does not add up" }
    }

    /// Messages that are on the target because of mailhaul, by its own counts.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.messages.map_or(0, |counts| counts.already.saturating_add(counts.copied).saturating_add(counts.adopted))
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "account": self.account,
            "source": self.source,
            "target": self.target,
            "verdict": self.verdict(),
            "standing": self.standing,
            "state": self.state,
            "messages": self.messages,
            "target_messages": self.target_messages,
            "bytes": self.bytes,
            "seconds": (self.seconds * 1000.0).round() / 1000.0,
            "attempts": self.attempts,
            "last_words": self.last_words,
            "exceptions": self.exceptions,
            "remarks": self.remarks,
            "mailboxes": self.mailboxes,
        })
    }
}
