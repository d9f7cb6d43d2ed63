//! What leads from one state to the next: one function, without clock, chance or storage.
//!
//! Three rules stand above the table. A running job stays `running` until its worker has put it down: what is wanted
//! of it meanwhile stands beside the state. A pause keeps what the job waited for, so that resuming does not send a
//! refused password again. And what was done counts, whatever was wanted.

use crate::retry::{Reaction, RetryPolicy};
use crate::standing::{Next, Standing, Wait, Wanted};
use crate::state::{Event, FailureClass, JobState, Outcome, WaitReason, Yield};
use std::time::Duration;

/// An event that has no place in a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {state} does not take the event `{event}`: {why}")]
pub struct NotAllowed {
    /// The word of the state.
    pub state: &'static str,
    /// The word of the event.
    pub event: &'static str,
    /// What stands in the way.
    pub why: &'static str,
}

/// Where an event leads a job. `jitter` in 0..1 spreads the next attempts of many jobs.
///
/// # Errors
/// The event has no place in this state; nothing is to be changed then.
pub fn apply(
    job: &Standing,
    event: &Event,
    policy: &RetryPolicy,
    now_unix_ms: i64,
    jitter: f64,
) -> Result<Next, NotAllowed> {
    let refused = |why| NotAllowed { state: job.state.word(), event: event.word(), why };
    let table = Table { job, policy, now_unix_ms, jitter };
    match event {
        Event::Claim => table.claim(),
        Event::End(outcome) => table.end(outcome),
        Event::Orphan => table.orphan(),
        Event::Due => table.due(),
        Event::Gate { reason, until_unix_ms } => table.gate(*reason, *until_unix_ms),
        Event::Pause => table.pause(),
        Event::Resume => table.resume(),
        Event::Cancel => table.cancel(),
        Event::Retry => table.retry(),
    }
    .map_err(refused)
}

type Answer = Result<Next, &'static str>;

const NOT_RUNNING: &str = "no worker has it";
const OVER: &str = "it is over";

/// The facts, with one function for each event.
struct Table<'a> {
    job: &'a Standing,
    policy: &'a RetryPolicy,
    now_unix_ms: i64,
    jitter: f64,
}

impl Table<'_> {
    /// The same counts, nothing wanted, this state.
    fn to(&self, state: JobState, why: impl Into<String>) -> Next {
        Next {
            state,
            attempts_charged: self.job.attempts_charged,
            crashes: self.job.crashes,
            wanted: None,
            wait_before_pause: None,
            why: why.into(),
        }
    }

    /// In line, or paused if a pause covers it.
    fn lined_up(&self, why: impl Into<String>) -> Next {
        let state = if self.job.held { JobState::Paused } else { JobState::Queued };
        self.to(state, why)
    }

    /// Waiting, or paused with that wait kept if a pause covers it. In line if the wait is over already.
    fn set_waiting(&self, wait: Wait, why: impl Into<String>) -> Next {
        if wait.until_unix_ms.is_some_and(|until| until <= self.now_unix_ms) {
            return self.lined_up(why);
        }
        if self.job.held { self.set_paused(Some(wait), why) } else { self.to(waiting(wait), why) }
    }

    fn set_paused(&self, wait: Option<Wait>, why: impl Into<String>) -> Next {
        Next { wait_before_pause: wait, ..self.to(JobState::Paused, why) }
    }

    fn still_running(&self, wanted: Option<Wanted>, why: &str) -> Next {
        Next { wanted, ..self.to(JobState::Running, why) }
    }

    fn claim(&self) -> Answer {
        match self.job.state {
            JobState::Queued if self.job.held => Err("a pause covers it"),
            JobState::Queued => Ok(self.to(JobState::Running, "a worker took it")),
            _ => Err("it is not in line"),
        }
    }

    fn due(&self) -> Answer {
        match (&self.job.state, self.job.wanted) {
            (JobState::Waiting { until_unix_ms: None, .. }, _) => Err("it waits for somebody, not for a moment"),
            (JobState::Waiting { reason, until_unix_ms: Some(until) }, _) => {
                if reason.is_gate() {
                    Ok(self.lined_up("what it waited for is over"))
                } else if *until <= self.now_unix_ms {
                    Ok(self.lined_up("its time has come"))
                } else {
                    Err("its time has not come")
                }
            }
            (JobState::Running, Some(Wanted::Yield { .. })) => Ok(self.still_running(None, "it may run on")),
            _ => Err("it does not wait"),
        }
    }

    fn gate(&self, reason: WaitReason, until_unix_ms: i64) -> Answer {
        let wait = Wait { reason, until_unix_ms: Some(until_unix_ms) };
        let over = until_unix_ms <= self.now_unix_ms;
        match &self.job.state {
            JobState::Running => match self.job.wanted {
                Some(Wanted::Pause | Wanted::Cancel) => Err("it is being stopped already"),
                _ => Ok(self.still_running(Some(Wanted::Yield { reason, until_unix_ms }), gate_why(reason))),
            },
            JobState::Queued | JobState::Waiting { .. } if over => Err("the gate is open again"),
            JobState::Queued => Ok(self.set_waiting(wait, gate_why(reason))),
            JobState::Waiting { reason: before, until_unix_ms: Some(_) } if before.is_gate() => {
                Ok(self.set_waiting(wait, gate_why(reason)))
            }
            _ => Err("it is not in line"),
        }
    }

    fn pause(&self) -> Answer {
        let why = "an operator paused it";
        match &self.job.state {
            JobState::Queued => Ok(self.set_paused(None, why)),
            JobState::Waiting { reason, until_unix_ms } => {
                Ok(self.set_paused(Some(Wait { reason: *reason, until_unix_ms: *until_unix_ms }), why))
            }
            JobState::Running if self.job.wanted == Some(Wanted::Cancel) => Err("it is being cancelled"),
            JobState::Running => Ok(self.still_running(Some(Wanted::Pause), "an operator wants it paused")),
            JobState::Paused => Err("it is paused already"),
            _ => Err(OVER),
        }
    }

    fn resume(&self) -> Answer {
        let why = "an operator resumed it";
        match (&self.job.state, self.job.wanted) {
            (JobState::Paused, _) | (JobState::Running, Some(Wanted::Pause)) if self.job.held => {
                Err("another pause covers it")
            }
            (JobState::Paused, _) => Ok(match self.job.wait_before_pause {
                Some(wait) => self.set_waiting(wait, why),
                None => self.lined_up(why),
            }),
            (JobState::Running, Some(Wanted::Pause)) => Ok(self.still_running(None, why)),
            _ => Err("it is not paused"),
        }
    }

    fn cancel(&self) -> Answer {
        match &self.job.state {
            JobState::Queued | JobState::Waiting { .. } | JobState::Paused => {
                Ok(self.to(JobState::Cancelled, "an operator cancelled it"))
            }
            JobState::Running if self.job.wanted == Some(Wanted::Cancel) => Err("it is being cancelled already"),
            JobState::Running => Ok(self.still_running(Some(Wanted::Cancel), "an operator wants it cancelled")),
            _ => Err(OVER),
        }
    }

    fn retry(&self) -> Answer {
        let again = match &self.job.state {
            JobState::Failed(_) | JobState::DoneWithExceptions | JobState::Cancelled => true,
            JobState::Waiting { reason, until_unix_ms } => is_mendable(*reason, *until_unix_ms),
            JobState::Paused => {
                self.job.wait_before_pause.is_some_and(|wait| is_mendable(wait.reason, wait.until_unix_ms))
            }
            JobState::Queued | JobState::Running | JobState::Done => false,
        };
        if !again {
            return Err("there is nothing to retry");
        }
        // A paused job stays paused, and goes into line when it is resumed.
        let next = match self.job.state {
            JobState::Paused => self.set_paused(None, "an operator wants another try"),
            _ => self.lined_up("an operator wants another try"),
        };
        Ok(Next { attempts_charged: 0, crashes: 0, ..next })
    }

    fn orphan(&self) -> Answer {
        if self.job.state != JobState::Running {
            return Err(NOT_RUNNING);
        }
        let crashes = self.job.crashes.saturating_add(1);
        let next = match self.job.wanted {
            Some(Wanted::Cancel) => self.to(JobState::Cancelled, "its worker died while it was being cancelled"),
            _ if crashes >= self.policy.crashes_max => {
                let why = format!("its worker died while running it, {crashes} times in a row");
                self.to(JobState::Failed(FailureClass::Crashed), why)
            }
            Some(Wanted::Pause) => self.set_paused(None, "its worker died while it was being paused"),
            Some(Wanted::Yield { reason, until_unix_ms }) => {
                let wait = Wait { reason, until_unix_ms: Some(until_unix_ms) };
                self.set_waiting(wait, "its worker died while it was giving way")
            }
            None => self.lined_up(format!("its worker died while running it, {crashes} in a row")),
        };
        Ok(Next { crashes, ..next })
    }

    fn end(&self, outcome: &Outcome) -> Answer {
        if self.job.state != JobState::Running {
            return Err(NOT_RUNNING);
        }
        Ok(match outcome {
            // Whatever was wanted meanwhile: it is a fact that it is done.
            Outcome::Done => self.orderly(JobState::Done, "everything was done"),
            Outcome::DoneWithExceptions => {
                self.orderly(JobState::DoneWithExceptions, "done, with exceptions that need a look")
            }
            Outcome::Yielded(how) => self.yielded(*how),
            Outcome::Failed { class, retry_after } => self.failed(*class, *retry_after),
        })
    }

    /// An end that shows that running this job does not kill the process.
    fn orderly(&self, state: JobState, why: &str) -> Next {
        Next { crashes: 0, ..self.to(state, why) }
    }

    /// What is wanted now decides, because it may have changed since the worker was told.
    fn yielded(&self, how: Yield) -> Next {
        match (self.job.wanted, how) {
            (Some(Wanted::Cancel), _) | (None, Yield::Cancel) => {
                self.to(JobState::Cancelled, "stopped: an operator cancelled it")
            }
            (Some(Wanted::Pause), _) => self.set_paused(None, "stopped: an operator paused it"),
            (Some(Wanted::Yield { reason, until_unix_ms }), _) | (None, Yield::Gate { reason, until_unix_ms }) => {
                self.set_waiting(Wait { reason, until_unix_ms: Some(until_unix_ms) }, gate_why(reason))
            }
            (None, Yield::Pause) => self.lined_up("stopped for a pause"),
            (None, Yield::Shutdown) => self.lined_up("stopped: its worker ended"),
            (None, Yield::Options) => self.lined_up("stopped: its options changed"),
        }
    }

    fn failed(&self, class: FailureClass, retry_after: Option<Duration>) -> Next {
        let next = match self.job.wanted {
            // The stop itself may have been the cause, so nothing is charged and nothing given up. What needs somebody
            // is remembered: it is as true after the pause.
            Some(Wanted::Cancel) => self.to(JobState::Cancelled, "stopped with a failure: an operator cancelled it"),
            Some(Wanted::Pause) => {
                let wait = match self.policy.reaction(class) {
                    Reaction::Park { reason } => Some(Wait { reason, until_unix_ms: None }),
                    _ => None,
                };
                self.set_paused(wait, "stopped with a failure: an operator paused it")
            }
            _ => self.judged(class, retry_after),
        };
        Next { crashes: 0, ..next }
    }

    fn judged(&self, class: FailureClass, retry_after: Option<Duration>) -> Next {
        let charged = self.job.attempts_charged.saturating_add(1);
        let until = |charged| {
            let pause = self.policy.backoff(class, charged, self.jitter, retry_after);
            Some(self.now_unix_ms.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX)))
        };
        match self.policy.reaction(class) {
            Reaction::Park { reason } => {
                self.set_waiting(Wait { reason, until_unix_ms: None }, format!("{}: it needs somebody", class.word()))
            }
            Reaction::BackToLine => self.lined_up("this machine had trouble; the job itself had not"),
            Reaction::SlowDown(_) => {
                let wait = Wait { reason: WaitReason::HostLimit, until_unix_ms: until(1) };
                self.set_waiting(wait, "the host asked to slow down")
            }
            Reaction::GiveUp => {
                let why = format!("{}: another attempt would end alike", class.word());
                Next { attempts_charged: charged, ..self.to(JobState::Failed(class), why) }
            }
            Reaction::BackOff(policy) if policy.attempts_max.is_some_and(|most| charged >= most) => {
                let why = format!("{}: attempt {charged} was the last", class.word());
                Next { attempts_charged: charged, ..self.to(JobState::Failed(class), why) }
            }
            Reaction::BackOff(policy) => {
                let wait = Wait { reason: WaitReason::BackOff, until_unix_ms: until(charged) };
                let most = policy.attempts_max.map_or_else(String::new, |most| format!(" of {most}"));
                let why = format!("{}: attempt {charged}{most} failed", class.word());
                Next { attempts_charged: charged, ..self.set_waiting(wait, why) }
            }
        }
    }
}

/// Whether an operator can have it tried now: it waits for somebody, or only because it failed.
fn is_mendable(reason: WaitReason, until_unix_ms: Option<i64>) -> bool {
    until_unix_ms.is_none() || reason == WaitReason::BackOff
}

fn waiting(wait: Wait) -> JobState {
    JobState::Waiting { reason: wait.reason, until_unix_ms: wait.until_unix_ms }
}

fn gate_why(reason: WaitReason) -> &'static str {
    match reason {
        WaitReason::HostLimit => "the host bears no more now",
        WaitReason::Window => "outside of the hours that are allowed",
        WaitReason::Allowance => "the allowance for the day is used up",
        WaitReason::Schedule => "it is for later",
        _ => "it may not run now",
    }
}
