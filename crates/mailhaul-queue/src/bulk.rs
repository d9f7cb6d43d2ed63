//! The state function for many jobs at once: what an event does to every kind of job that a store can tell apart by its
//! columns. Derived by asking [`apply`], so that a bulk change in a store cannot differ from it.

use crate::retry::RetryPolicy;
use crate::standing::{Next, Standing, Wait, Wanted};
use crate::state::{Event, FailureClass, JobState, WaitReason};
use crate::transition::apply;

/// What a job's wait lacks to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Until {
    /// Somebody: there is no moment.
    Somebody,
    /// Nothing: the moment has come.
    Past,
    /// Time.
    Future,
}

/// What the columns of a job say, as far as it decides where an event leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape {
    /// The word of its state.
    pub state: &'static str,
    /// What it waits for, or waited for before it was paused.
    pub wait: Option<(WaitReason, Until)>,
    /// The word of what is wanted of it.
    pub wanted: Option<&'static str>,
    /// Whether a pause covers it.
    pub held: bool,
}

/// What becomes of a job's wait, in a waiting job and in a paused one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitAfter {
    /// It has none.
    Nothing,
    /// It stays as it is.
    Kept,
    /// This one.
    Set(Wait),
}

/// Where an event leads all jobs of one shape. What is not named here stays as it is; a failure class goes with its
/// state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Which jobs.
    pub from: Shape,
    /// The word of the state.
    pub state: &'static str,
    /// Its wait.
    pub wait: WaitAfter,
    /// What is wanted of it.
    pub wanted: Option<Wanted>,
    /// Whether charged attempts and crashes are counted from nothing again.
    pub resets_counts: bool,
    /// Why, in words for the event log.
    pub why: String,
}

impl Shape {
    /// The shape of a job.
    #[must_use]
    pub fn of(job: &Standing, now_unix_ms: i64) -> Self {
        let wait = match job.state {
            JobState::Waiting { reason, until_unix_ms } => Some(Wait { reason, until_unix_ms }),
            _ => job.wait_before_pause,
        };
        Self {
            state: job.state.word(),
            wait: wait.map(|wait| (wait.reason, until(wait.until_unix_ms, now_unix_ms))),
            wanted: job.wanted.map(|wanted| wanted.word()),
            held: job.held,
        }
    }
}

/// What the event does, shape by shape; shapes that do not take it are left out. For events that come to many jobs at
/// once and need nothing of the single one: pause, resume, cancel, retry, due, gate. A claim, an end and an orphan are
/// asked for one by one, and get no moves.
#[must_use]
pub fn moves(event: &Event, now_unix_ms: i64) -> Vec<Move> {
    if matches!(event, Event::Claim | Event::End(_) | Event::Orphan) {
        return Vec::new();
    }
    // Neither policy nor jitter has a say in these events.
    let policy = RetryPolicy::default();
    let lead = |job: &Standing| {
        let next = apply(job, event, &policy, now_unix_ms, 0.0).ok()?;
        Some(move_of(job, next, now_unix_ms))
    };
    samples(now_unix_ms).iter().filter_map(lead).collect()
}

fn move_of(job: &Standing, next: Next, now_unix_ms: i64) -> Move {
    let wait_of = |state: &JobState, before_pause| match *state {
        JobState::Waiting { reason, until_unix_ms } => Some(Wait { reason, until_unix_ms }),
        _ => before_pause,
    };
    let before = wait_of(&job.state, job.wait_before_pause);
    let wait = match wait_of(&next.state, next.wait_before_pause) {
        None => WaitAfter::Nothing,
        after if after == before => WaitAfter::Kept,
        Some(after) => WaitAfter::Set(after),
    };
    Move {
        from: Shape::of(job, now_unix_ms),
        state: next.state.word(),
        wait,
        wanted: next.wanted,
        resets_counts: next.attempts_charged != job.attempts_charged,
        why: next.why,
    }
}

/// One job of every shape that there is.
fn samples(now_unix_ms: i64) -> Vec<Standing> {
    // One charged attempt shows whether counts are reset. The moments are such that no event brings them along: a wait
    // that is set must not look like one that was kept.
    let base = Standing { attempts_charged: 1, crashes: 1, ..Standing::queued() };
    let mut jobs = vec![
        base.clone(),
        Standing { state: JobState::Done, ..base.clone() },
        Standing { state: JobState::DoneWithExceptions, ..base.clone() },
        Standing { state: JobState::Failed(FailureClass::Network), ..base.clone() },
        Standing { state: JobState::Cancelled, ..base.clone() },
        Standing { state: JobState::Paused, ..base.clone() },
    ];
    let moments = [None, Some(i64::MIN), Some(i64::MAX)];
    for reason in WaitReason::ALL {
        for until_unix_ms in moments {
            let wait = Wait { reason: *reason, until_unix_ms };
            let state = JobState::Waiting { reason: *reason, until_unix_ms };
            jobs.push(Standing { state, ..base.clone() });
            jobs.push(Standing { state: JobState::Paused, wait_before_pause: Some(wait), ..base.clone() });
        }
    }
    let gives_way = Wanted::Yield { reason: WaitReason::HostLimit, until_unix_ms: now_unix_ms };
    for wanted in [None, Some(Wanted::Pause), Some(Wanted::Cancel), Some(gives_way)] {
        jobs.push(Standing { state: JobState::Running, wanted, ..base.clone() });
    }
    let held = jobs.iter().map(|job| Standing { held: true, ..job.clone() }).collect::<Vec<_>>();
    jobs.extend(held);
    jobs
}

fn until(until_unix_ms: Option<i64>, now_unix_ms: i64) -> Until {
    match until_unix_ms {
        None => Until::Somebody,
        Some(at) if at <= now_unix_ms => Until::Past,
        Some(_) => Until::Future,
    }
}
