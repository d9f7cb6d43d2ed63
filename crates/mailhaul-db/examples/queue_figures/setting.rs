//! A file with a queue, two servers and a wave.

use mailhaul_db::queue::{NewAccount, NewEndpoint, NewWave, Queue, WorkerGuard};
use mailhaul_db::{DbError, Ledger, OpenOptions};
use mailhaul_queue::{
    Clock, EndpointId, Finished, JobEnd, LeaseKey, Limits, NewJob, Outcome, Phase, Priority, Scope, Store, SystemClock,
    Tick, WaveId,
};
use std::error::Error;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Connections that each server allows: more than are ever in use here.
const CONNECTIONS: u32 = 5_000;

pub(crate) struct Setting {
    pub(crate) ledger: Ledger,
    pub(crate) queue: Queue,
    pub(crate) wave: WaveId,
    clock: SystemClock,
    worker: WorkerGuard,
    ends: [EndpointId; 2],
    directory: TempDir,
}

impl Setting {
    pub(crate) async fn make() -> Result<Self, Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        let ledger = Ledger::open(&directory.path().join("mailhaul.db"), OpenOptions::default()).await?;
        let clock = SystemClock::new();
        let queue = ledger.queue(Arc::new(clock.clone()), "bench").await?;
        let wave =
            NewWave { name: "staff".to_owned(), options: "{}".to_owned(), plan: "{}".to_owned(), ..NewWave::default() };
        let wave = queue.put_wave(wave).await?;
        let ends = [put(&queue, "old").await?, put(&queue, "new").await?];
        let worker = queue.register("bench").await?;
        Ok(Self { ledger, queue, wave, clock, worker, ends, directory })
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("mailhaul.db")
    }

    pub(crate) async fn close(self) -> Result<TempDir, DbError> {
        self.worker.close().await?;
        self.queue.close().await?;
        self.ledger.close().await?;
        Ok(self.directory)
    }

    pub(crate) fn accounts(&self, range: Range<u32>) -> Vec<NewAccount> {
        let account = |number: u32| NewAccount {
            name: format!("user{number:06}"),
            wave: self.wave,
            source: self.ends[0],
            target: self.ends[1],
            source_user: format!("user{number:06}@old.example"),
            target_user: format!("user{number:06}@new.example"),
            source_owner: format!("user{number:06}@old.example"),
            target_owner: format!("user{number:06}@new.example"),
            priority: Priority::USUAL,
            options: "{}".to_owned(),
            size_hint_bytes: Some(u64::from(number) * 1_000),
        };
        range.map(account).collect()
    }

    /// Imports these accounts and queues a job for each.
    pub(crate) async fn enqueue(&self, range: Range<u32>, kind: &str) -> Result<(), DbError> {
        let ids = self.queue.import(self.accounts(range)).await?.ids;
        let job = |account| NewJob {
            account,
            kind: kind.to_owned(),
            phase: if kind == "bulk" { Phase::Bulk } else { Phase::Resync },
            payload: "{}".to_owned(),
            not_before_unix_ms: None,
        };
        self.queue.enqueue(ids.into_iter().map(job).collect()).await.map(drop)
    }

    /// Claims at most so many jobs.
    pub(crate) async fn claim(&self, slots: usize) -> Result<Vec<LeaseKey>, DbError> {
        let tick = Tick {
            worker: self.worker.id(),
            now: self.clock.now(),
            renew: Vec::new(),
            hold: Vec::new(),
            slots,
            lease: Duration::from_secs(300),
            margin: Duration::from_secs(5),
            scope: Scope::default(),
        };
        Ok(self.queue.tick(tick).await?.claimed.into_iter().map(|job| job.key).collect())
    }

    /// Ends the attempt well.
    pub(crate) async fn finish(&self, key: LeaseKey, words: &str, counts: &str) -> Result<(), DbError> {
        let (words, counts) = (words.to_owned(), counts.to_owned());
        let end = JobEnd { outcome: Outcome::Done, words, counts, progressed: false, then: Vec::new() };
        let finished = Finished { key, now: self.clock.now(), end, jitter: 0.5 };
        assert!(self.queue.finish(finished).await?, "the claim is the newest");
        Ok(())
    }
}

async fn put(queue: &Queue, name: &str) -> Result<EndpointId, DbError> {
    let limits = Limits { connections: Some(CONNECTIONS), ..Limits::default() };
    let url = format!("imaps://{name}.example");
    let host = format!("{name}.example");
    queue.put_endpoint(NewEndpoint { name: name.to_owned(), url, host, limits, options: "{}".to_owned() }).await
}
