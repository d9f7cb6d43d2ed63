//! The states of a job, and what leads from one to the next.

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
