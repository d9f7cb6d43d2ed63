//! What the engine asks of the place where jobs are kept.

use crate::clock::Now;
use crate::ids::{AccountId, EndpointId, Generation, JobId, LeaseKey, WaveId, WorkerId};
use crate::state::{Outcome, WaitReason};
use std::future::Future;
use std::time::Duration;

/// The end of a job's work at which an endpoint stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// It is read.
    Source,
    /// It is written.
    Target,
}

/// Which of an endpoint's limits count for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// The first, long run.
    Bulk,
    /// Everything after it.
    Resync,
}

/// Which jobs a worker takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only jobs of this wave.
    pub wave: Option<WaveId>,
    /// Only jobs of these kinds; all if there is none.
    pub kinds: Vec<String>,
}

/// What a worker tells and asks, a few times a second.
#[derive(Debug, Clone)]
pub struct Tick {
    /// Who.
    pub worker: WorkerId,
    /// When.
    pub now: Now,
    /// Leases whose work has moved since they were renewed last, or that wait for a known end.
    pub renew: Vec<LeaseKey>,
    /// Everything else that this worker still runs.
    pub hold: Vec<LeaseKey>,
    /// How many jobs it could take.
    pub slots: usize,
    /// How long a lease lasts.
    pub lease: Duration,
    /// How long a successor waits after a lease has run out.
    pub margin: Duration,
    /// Which jobs it may take.
    pub scope: Scope,
}

/// What a worker gets.
#[derive(Debug, Clone, Default)]
pub struct Tock {
    /// Jobs that are now its own.
    pub claimed: Vec<ClaimedJob>,
    /// What its running jobs must do. Repeated until it is done.
    pub orders: Vec<(LeaseKey, Order)>,
    /// Leases that it no longer holds: close the sockets, write nothing.
    pub lost: Vec<LeaseKey>,
    /// Jobs in scope that have not settled: running, in line, or waiting for a known moment.
    pub unsettled: u64,
    /// How many processes share the work, this one included.
    pub workers: u32,
}

/// What a running job must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// Stop; it is paused.
    Pause,
    /// Stop; it is cancelled.
    Cancel,
    /// Stop; it may not run now.
    Yield {
        /// Why.
        reason: WaitReason,
        /// Milliseconds since 1970.
        until_unix_ms: i64,
    },
    /// Take up the options anew at the next convenient moment.
    Options,
}

/// A job that was claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedJob {
    /// The claim.
    pub key: LeaseKey,
    /// What it is done for.
    pub account: AccountId,
    /// What is to be done.
    pub kind: String,
    /// With which arguments: JSON.
    pub payload: String,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// When the lease runs out, in boot milliseconds.
    pub lease_until_boot_ms: i64,
    /// Who had it before and may still be there, with a lease that has run out.
    pub stale_holder: Option<StaleHolder>,
}

/// A process that lost a job by not renewing its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaleHolder {
    /// Its process id.
    pub process: u32,
}

/// A job to be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// What it is done for.
    pub account: AccountId,
    /// What is to be done.
    pub kind: String,
    /// With which limits.
    pub phase: Phase,
    /// With which arguments: JSON.
    pub payload: String,
    /// Not before this moment, in milliseconds since 1970.
    pub not_before_unix_ms: Option<i64>,
}

/// What a host showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostSign {
    /// It asked to slow down, perhaps with a figure.
    Throttled(Option<Duration>),
    /// It could not be reached, or dropped us.
    ConnectionFailed,
    /// It serves.
    Served,
}

/// The report on an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEnd {
    /// How it ended.
    pub outcome: Outcome,
    /// The words for people: the server's own where it said any.
    pub words: String,
    /// What was counted: JSON.
    pub counts: String,
    /// Whether the attempt achieved something that lasts. A failure after it counts as the first.
    pub progressed: bool,
    /// What is to be done next, in the same transaction.
    pub then: Vec<NewJob>,
}

/// An attempt that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// Whose.
    pub key: LeaseKey,
    /// When.
    pub now: Now,
    /// How.
    pub end: JobEnd,
    /// A number in 0..1 that spreads the next attempts of many jobs.
    pub jitter: f64,
}

/// Where jobs are kept.
pub trait Store: Send + Sync + 'static {
    /// What can go wrong.
    type Error: std::error::Error + Clone + Send + Sync + 'static;

    /// Renews, recovers orphans, wakes what is due, closes and opens gates, sheds, and claims: in one transaction.
    fn tick(&self, tick: Tick) -> impl Future<Output = Result<Tock, Self::Error>> + Send;

    /// Records the end of an attempt. `false`: the lease was lost, and nothing was written.
    fn finish(&self, finished: Finished) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Records what the hosts of endpoints showed while jobs were running.
    fn signs(
        &self,
        signs: Vec<(EndpointId, HostSign)>,
        now: Now,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Adds octets moved today for an account.
    fn moved(&self, account: AccountId, bytes: u64, now: Now) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Keeps the two halves of a key together where only one is at hand.
impl LeaseKey {
    /// The claim `generation` of `job`.
    #[must_use]
    pub fn new(job: JobId, generation: Generation) -> Self {
        Self { job, generation }
    }
}
