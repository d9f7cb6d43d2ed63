//! Builders with good defaults, so that a test shows only what matters to it.

use crate::setup::{Place, options};
use mailhaul_db::Ledger;
use mailhaul_db::queue::*;
use mailhaul_queue::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A Thursday noon.
pub(crate) const START_MS: i64 = 1_795_000_000_000;

/// A clock that moves when it is told to.
#[derive(Debug, Default)]
pub(crate) struct TestClock {
    since_start_ms: AtomicI64,
}

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.since_start_ms.fetch_add(by.as_millis().try_into().expect("short"), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Now {
        let since = self.since_start_ms.load(Ordering::SeqCst);
        Now { boot_ms: 1_000_000 + since, unix_ms: START_MS + since }
    }

    fn boot_id(&self) -> Arc<str> {
        "this boot".into()
    }
}

/// A state file with a queue, two endpoints and a wave.
pub(crate) struct Bench {
    pub(crate) place: Place,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) queue: Queue,
    pub(crate) old: EndpointId,
    pub(crate) new: EndpointId,
    pub(crate) wave: WaveId,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with_limits(Limits::default()).await
    }

    /// Limits are those of the source. The target says 1,000 connections, so that it is not asked what it bears.
    pub(crate) async fn with_limits(limits: Limits) -> Self {
        let place = Place::new();
        let ledger = Ledger::open(&place.file, options()).await.expect("opens");
        let clock = Arc::new(TestClock::default());
        let queue = ledger.queue(clock.clone(), "operator").await.expect("opens");
        let limits = Limits { connections: limits.connections.or(Some(1_000)), ..limits };
        let old = queue.put_endpoint(endpoint("old", limits)).await.expect("stored");
        let new = queue.put_endpoint(endpoint("new", many())).await.expect("stored");
        let wave = queue.put_wave(wave("staff")).await.expect("stored");
        Self { place, ledger, clock, queue, old, new, wave }
    }

    pub(crate) fn account(&self, name: &str) -> NewAccount {
        NewAccount {
            name: name.to_owned(),
            wave: self.wave,
            source: self.old,
            target: self.new,
            source_user: name.to_owned(),
            target_user: name.to_owned(),
            source_owner: name.to_owned(),
            target_owner: name.to_owned(),
            priority: Priority::USUAL,
            options: "{}".to_owned(),
            size_hint_bytes: None,
        }
    }

    /// Imports accounts of these names, each with a job of the kind `bulk`; the jobs in the same order.
    pub(crate) async fn bulk(&self, names: &[&str]) -> Vec<JobId> {
        let accounts = names.iter().map(|name| self.account(name)).collect();
        let ids = self.queue.import(accounts).await.expect("imported").ids;
        let jobs = ids.iter().map(|id| bulk(*id)).collect();
        self.queue.enqueue(jobs).await.expect("queued");
        let mut jobs = Vec::new();
        for id in ids {
            let filter = JobFilter { account: Some(id), ..JobFilter::default() };
            jobs.push(self.queue.jobs(filter).await.expect("listed").pop().expect("queued").id);
        }
        jobs
    }

    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    pub(crate) fn tick(&self, worker: i64, slots: usize) -> Tick {
        Tick {
            worker: WorkerId(worker),
            now: self.now(),
            renew: Vec::new(),
            hold: Vec::new(),
            slots,
            lease: Duration::from_secs(30),
            margin: Duration::from_secs(5),
            scope: Scope::default(),
        }
    }

    /// Claims up to so many jobs.
    pub(crate) async fn claim(&self, worker: i64, slots: usize) -> Vec<ClaimedJob> {
        self.queue.tick(self.tick(worker, slots)).await.expect("ticks").claimed
    }

    pub(crate) async fn end(&self, key: LeaseKey, outcome: Outcome) -> bool {
        self.queue.finish(self.finished(key, outcome)).await.expect("written")
    }

    pub(crate) fn finished(&self, key: LeaseKey, outcome: Outcome) -> Finished {
        let end = JobEnd {
            outcome,
            words: "the last words".to_owned(),
            counts: "{}".to_owned(),
            progressed: false,
            then: Vec::new(),
        };
        Finished { key, now: self.now(), end, jitter: 0.5 }
    }

    pub(crate) async fn state(&self, job: JobId) -> JobState {
        self.job(job).await.state
    }

    pub(crate) async fn job(&self, job: JobId) -> JobRow {
        self.queue.find_job(job).await.expect("readable").expect("there")
    }
}

pub(crate) fn bulk(account: AccountId) -> NewJob {
    NewJob { account, kind: "bulk".to_owned(), phase: Phase::Bulk, payload: "{}".to_owned(), not_before_unix_ms: None }
}

pub(crate) fn resync(account: AccountId) -> NewJob {
    NewJob { kind: "resync".to_owned(), phase: Phase::Resync, ..bulk(account) }
}

pub(crate) fn many() -> Limits {
    Limits { connections: Some(1_000), ..Limits::default() }
}

pub(crate) fn endpoint(name: &str, limits: Limits) -> NewEndpoint {
    NewEndpoint {
        name: name.to_owned(),
        url: format!("imaps://{name}.example"),
        host: format!("{name}.example"),
        limits,
        options: "{}".to_owned(),
    }
}

pub(crate) fn wave(name: &str) -> NewWave {
    NewWave { name: name.to_owned(), order: WaveOrder::Fifo, options: "{}".to_owned(), plan: "{}".to_owned() }
}

pub(crate) fn failed(class: FailureClass) -> Outcome {
    Outcome::Failed { class, retry_after: None }
}

pub(crate) fn only(job: JobId) -> JobFilter {
    JobFilter { job: Some(job), ..JobFilter::default() }
}
