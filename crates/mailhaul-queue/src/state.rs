//! The words: states of a job, what happens to it, how attempts end. What leads from one state to the next is in
//! [`transition`](crate::apply); the words are the same in columns, in JSON, in `docs/reference/job-states.md`.

use crate::words::words;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// In line for a worker.
    Queued,
    /// Not in line, for this reason; until then, or until somebody acts.
    Waiting {
        /// Why.
        reason: WaitReason,
        /// Milliseconds since 1970; `None`: until somebody acts.
        until_unix_ms: Option<i64>,
    },
    /// A worker has it.
    Running,
    /// Everything was done.
    Done,
    /// Everything was done that could be; something needs a look.
    DoneWithExceptions,
    /// Given up, for a reason of this class.
    Failed(FailureClass),
    /// Stopped by an operator, to be resumed by one.
    Paused,
    /// Ended by an operator.
    Cancelled,
}

/// Why a job waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    /// A host asked to slow down, or bears less than was running.
    HostLimit,
    /// Outside of the hours that the operator allows.
    Window,
    /// The account's allowance for the day is used up.
    Allowance,
    /// After a failure, before the next attempt.
    BackOff,
    /// A sign-in was refused: somebody has to mend the password.
    Credentials,
    /// The target is full: somebody has to make room.
    Quota,
    /// Something that only an operator can decide.
    Operator,
    /// It was queued for later: not before this moment.
    Schedule,
}

/// What kind of trouble ended an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// Lost, timed out, could not be reached.
    Network,
    /// The server has a passing trouble of its own.
    Server,
    /// Asked to slow down.
    Throttle,
    /// One of the two sides broke the protocol.
    Protocol,
    /// The server could not be proved to be the right one.
    Tls,
    /// A sign-in was refused.
    SignIn,
    /// The target is full.
    Quota,
    /// Something that only an operator can decide.
    Decision,
    /// This machine: disk full, database.
    Local,
    /// Settings that cannot be meant.
    Usage,
    /// A fault of the program.
    Internal,
    /// The process died three times while this job was running.
    Crashed,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was done.
    Done,
    /// Everything was done that could be; something needs a look.
    DoneWithExceptions,
    /// It failed.
    Failed {
        /// Why.
        class: FailureClass,
        /// When the server said to come back.
        retry_after: Option<Duration>,
    },
    /// It was asked to yield, and did. Never charged.
    Yielded(Yield),
}

/// Why a running job was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Yield {
    /// The process ends.
    Shutdown,
    /// Its options changed: it starts anew with them.
    Options,
    /// An operator paused it.
    Pause,
    /// An operator cancelled it.
    Cancel,
    /// It may not run now.
    Gate {
        /// Why.
        reason: WaitReason,
        /// Milliseconds since 1970 when it may be looked at again.
        until_unix_ms: i64,
    },
}

/// What happens to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A worker takes it.
    Claim,
    /// The worker reports.
    End(Outcome),
    /// Its lease ran out.
    Orphan,
    /// The time that it waited for has come, or what closed the gate is gone.
    Due,
    /// An endpoint that it needs is closed.
    Gate {
        /// Why.
        reason: WaitReason,
        /// Milliseconds since 1970.
        until_unix_ms: i64,
    },
    /// An operator pauses it.
    Pause,
    /// An operator resumes it.
    Resume,
    /// An operator cancels it.
    Cancel,
    /// An operator wants another try.
    Retry,
}

/// One word for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Summary {
    /// It will run by itself.
    Waiting,
    /// It runs.
    Running,
    /// It is done.
    Done,
    /// Somebody has to look at it.
    Attention,
    /// An operator stopped it.
    Stopped,
}

words!(
    /// The word of columns and JSON.
    WaitReason {
        HostLimit => "host_limit",
        Window => "window",
        Allowance => "allowance",
        BackOff => "back_off",
        Credentials => "credentials",
        Quota => "quota",
        Operator => "operator",
        Schedule => "schedule",
    }
);

words!(
    /// The word of columns and JSON.
    FailureClass {
        Network => "network",
        Server => "server",
        Throttle => "throttle",
        Protocol => "protocol",
        Tls => "tls",
        SignIn => "sign_in",
        Quota => "quota",
        Decision => "decision",
        Local => "local",
        Usage => "usage",
        Internal => "internal",
        Crashed => "crashed",
    }
);

words!(
    /// The word of columns and JSON.
    Summary {
        Waiting => "waiting",
        Running => "running",
        Done => "done",
        Attention => "attention",
        Stopped => "stopped",
    }
);

impl WaitReason {
    /// Whether an endpoint or an allowance causes it, rather than the job itself: it ends as soon as the gate opens,
    /// and another gate may take its place.
    #[must_use]
    pub fn is_gate(self) -> bool {
        matches!(self, Self::HostLimit | Self::Window | Self::Allowance)
    }
}

impl JobState {
    /// Every word that [`word`](Self::word) gives, in the order of the enum.
    pub const WORDS: [&'static str; 8] =
        ["queued", "waiting", "running", "done", "done_with_exceptions", "failed", "paused", "cancelled"];

    /// The word of columns and JSON.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Waiting { .. } => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::DoneWithExceptions => "done_with_exceptions",
            Self::Failed(_) => "failed",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state that stands in columns; `None` if they contradict each other. A wait reason beside another state than
    /// `waiting` is no contradiction: a paused job keeps what it waited for.
    #[must_use]
    pub fn from_columns(
        word: &str,
        reason: Option<WaitReason>,
        until_unix_ms: Option<i64>,
        class: Option<FailureClass>,
    ) -> Option<Self> {
        Some(match word {
            "queued" => Self::Queued,
            "waiting" => Self::Waiting { reason: reason?, until_unix_ms },
            "running" => Self::Running,
            "done" => Self::Done,
            "done_with_exceptions" => Self::DoneWithExceptions,
            "failed" => Self::Failed(class?),
            "paused" => Self::Paused,
            "cancelled" => Self::Cancelled,
            _ => return None,
        })
    }

    /// Whether it is over: only another try, asked for by an operator, leads on. An account may have another job of
    /// the same kind.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Done | Self::DoneWithExceptions | Self::Failed(_) | Self::Cancelled)
    }

    /// Whether it waits for somebody, not for a moment.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        matches!(self, Self::Waiting { until_unix_ms: None, .. })
    }

    /// Whether nothing more will happen by itself: over, paused or parked.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.is_terminal() || self.is_parked() || *self == Self::Paused
    }

    /// One word for people.
    #[must_use]
    pub fn summary(&self) -> Summary {
        match self {
            Self::Waiting { until_unix_ms: None, .. } | Self::DoneWithExceptions | Self::Failed(_) => {
                Summary::Attention
            }
            Self::Queued | Self::Waiting { .. } => Summary::Waiting,
            Self::Running => Summary::Running,
            Self::Done => Summary::Done,
            Self::Paused | Self::Cancelled => Summary::Stopped,
        }
    }
}

impl Event {
    /// Every word that [`word`](Self::word) gives, in the order of the enum.
    pub const WORDS: [&'static str; 9] =
        ["claim", "end", "orphan", "due", "gate", "pause", "resume", "cancel", "retry"];

    /// The word of columns and JSON.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::End(_) => "end",
            Self::Orphan => "orphan",
            Self::Due => "due",
            Self::Gate { .. } => "gate",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::Retry => "retry",
        }
    }
}

impl Outcome {
    /// The word of columns and JSON: `done`, `done_with_exceptions`, `failed`, `yielded`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::DoneWithExceptions => "done_with_exceptions",
            Self::Failed { .. } => "failed",
            Self::Yielded(_) => "yielded",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_json_and_are_read_back() {
        for reason in WaitReason::ALL {
            assert_eq!(serde_json::to_value(reason).expect("a word"), reason.word());
            assert_eq!(WaitReason::from_word(reason.word()), Some(*reason));
        }
        for class in FailureClass::ALL {
            assert_eq!(serde_json::to_value(class).expect("a word"), class.word());
            assert_eq!(FailureClass::from_word(class.word()), Some(*class));
        }
        for summary in Summary::ALL {
            assert_eq!(serde_json::to_value(summary).expect("a word"), summary.word());
        }
        assert_eq!(FailureClass::from_word("SignIn"), None);
    }

    #[test]
    fn columns_give_the_state_back() {
        for word in JobState::WORDS {
            let state =
                JobState::from_columns(word, Some(WaitReason::Window), Some(7), Some(FailureClass::Tls)).expect(word);
            assert_eq!(state.word(), word);
        }
        assert_eq!(JobState::from_columns("waiting", None, Some(7), None), None);
        assert_eq!(JobState::from_columns("failed", None, None, None), None);
        assert_eq!(JobState::from_columns("sleeping", None, None, None), None);
    }

    #[test]
    fn a_parked_job_is_settled_but_not_over() {
        let parked = JobState::Waiting { reason: WaitReason::Credentials, until_unix_ms: None };
        assert!(parked.is_settled() && !parked.is_terminal());
        assert_eq!(parked.summary(), Summary::Attention);
        let timed = JobState::Waiting { reason: WaitReason::BackOff, until_unix_ms: Some(1) };
        assert!(!timed.is_settled());
        assert_eq!(timed.summary(), Summary::Waiting);
        assert!(JobState::Paused.is_settled() && !JobState::Paused.is_terminal());
    }
}
