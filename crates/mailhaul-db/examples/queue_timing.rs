//! How long the queue takes: `cargo run --release -p mailhaul-db --example queue_timing`.
//!
//! The numbers to be held: 10,000 accounts imported in 5 s; 10,000 jobs listed, filtered or changed in 200 ms each;
//! 1,000 claims a second with 100,000 jobs in line, one at a time too.
#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use mailhaul_db::queue::{AccountFilter, JobFilter, NewAccount, NewEndpoint, NewWave, Queue, Subject, WaveOrder};
use mailhaul_db::{DbError, Ledger, OpenOptions};
use mailhaul_queue::{
    Clock, EndpointId, Finished, JobEnd, LeaseKey, Limits, NewJob, Outcome, Phase, Priority, Scope, Store, SystemClock,
    Tick, WaveId, WorkerId,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Bench {
    queue: Queue,
    clock: SystemClock,
    worker: WorkerId,
    wave: WaveId,
    ends: [EndpointId; 2],
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let ledger = Ledger::open(&directory.path().join("mailhaul.db"), OpenOptions::default()).await?;
    let clock = SystemClock::new();
    let queue = ledger.queue(Arc::new(clock.clone()), "timing").await?;
    let wave = NewWave { name: "w".to_owned(), options: "{}".to_owned(), plan: "{}".to_owned(), ..NewWave::default() };
    let wave = queue.put_wave(wave).await?;
    let ends = [put(&queue, "old", 5_000).await?, put(&queue, "new", 5_000).await?];
    let guard = queue.register("timing").await?;
    let bench = Bench { queue, clock, worker: guard.id(), wave, ends };
    bench.lists().await?;
    bench.changes().await?;
    bench.claims().await?;
    guard.close().await?;
    bench.queue.close().await?;
    ledger.close().await?;
    println!("{:>9} KiB  the file", std::fs::metadata(directory.path().join("mailhaul.db"))?.len() / 1_024);
    Ok(())
}

async fn put(queue: &Queue, name: &str, connections: u32) -> Result<EndpointId, DbError> {
    let limits = Limits { connections: Some(connections), ..Limits::default() };
    let url = format!("imaps://{name}.example");
    let host = format!("{name}.example");
    queue.put_endpoint(NewEndpoint { name: name.to_owned(), url, host, limits, options: "{}".to_owned() }).await
}

fn told(since: Instant, what: &str) {
    println!("{:>9.1} ms  {what}", since.elapsed().as_secs_f64() * 1_000.0);
}

impl Bench {
    fn accounts(&self, range: std::ops::Range<u32>) -> Vec<NewAccount> {
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

    async fn enqueue(&self, range: std::ops::Range<u32>) -> Result<(), DbError> {
        let ids = self.queue.import(self.accounts(range)).await?.ids;
        let job = |account| NewJob {
            account,
            kind: "bulk".to_owned(),
            phase: Phase::Bulk,
            payload: "{}".to_owned(),
            not_before_unix_ms: None,
        };
        self.queue.enqueue(ids.into_iter().map(job).collect()).await.map(drop)
    }

    async fn lists(&self) -> Result<(), DbError> {
        let at = Instant::now();
        self.queue.import(self.accounts(0..10_000)).await?;
        told(at, "10,000 accounts imported");
        let at = Instant::now();
        self.queue.import(self.accounts(0..10_000)).await?;
        told(at, "10,000 accounts imported again");
        let at = Instant::now();
        self.enqueue(0..10_000).await?;
        told(at, "10,000 accounts imported again and 10,000 jobs queued");
        let at = Instant::now();
        let jobs = self.queue.jobs(JobFilter::default()).await?;
        told(at, "10,000 jobs listed");
        assert_eq!(jobs.len(), 10_000);
        let at = Instant::now();
        let found = self.queue.jobs(JobFilter { needs_attention: true, ..JobFilter::default() }).await?;
        told(at, "10,000 jobs filtered");
        assert_eq!(found.len(), 0);
        let at = Instant::now();
        self.queue.counts(Some(self.wave)).await?;
        told(at, "10,000 jobs counted by state");
        let at = Instant::now();
        self.queue.totals(self.wave).await?;
        told(at, "totals of 10,000 accounts");
        let at = Instant::now();
        self.queue.accounts(AccountFilter { name: Some("user0099*".to_owned()), ..AccountFilter::default() }).await?;
        told(at, "accounts by pattern");
        let at = Instant::now();
        self.queue.place_in_line(jobs[9_999].id).await?;
        told(at, "the place of the last job");
        Ok(())
    }

    async fn changes(&self) -> Result<(), DbError> {
        let all = JobFilter { wave: Some(self.wave), ..JobFilter::default() };
        let at = Instant::now();
        assert_eq!(self.queue.pause(Subject::Wave(self.wave), "lunch").await?, 10_000);
        told(at, "10,000 jobs paused");
        let at = Instant::now();
        assert_eq!(self.queue.resume(Subject::Wave(self.wave)).await?, 10_000);
        told(at, "10,000 jobs resumed");
        let at = Instant::now();
        assert_eq!(self.queue.cancel(all.clone(), "no").await?, 10_000);
        told(at, "10,000 jobs cancelled");
        let at = Instant::now();
        assert_eq!(self.queue.retry(all).await?, 10_000);
        told(at, "10,000 jobs retried");
        let at = Instant::now();
        self.queue.set_order(self.wave, WaveOrder::Largest).await?;
        told(at, "10,000 jobs put in order");
        Ok(())
    }

    async fn claims(&self) -> Result<(), DbError> {
        self.enqueue(10_000..100_000).await?;
        for (slots, ticks) in [(1, 2_000_u32), (100, 20)] {
            let at = Instant::now();
            for _ in 0..ticks {
                assert_eq!(self.tick(slots).await?.len(), slots);
            }
            let each = at.elapsed().as_secs_f64() * 1_000.0 / f64::from(ticks);
            println!("{each:>9.2} ms  a claim of {slots}, with 100,000 jobs in line and up to 4,000 running");
        }
        let keys = self.tick(500).await?;
        let at = Instant::now();
        for key in &keys {
            self.finish(*key).await?;
        }
        println!("{:>9.2} ms  the end of an attempt", at.elapsed().as_secs_f64() * 1_000.0 / 500.0);
        let at = Instant::now();
        self.queue.pause(Subject::Everything, "").await?;
        told(at, "100,000 jobs paused");
        Ok(())
    }

    async fn tick(&self, slots: usize) -> Result<Vec<LeaseKey>, DbError> {
        let tick = Tick {
            worker: self.worker,
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

    async fn finish(&self, key: LeaseKey) -> Result<(), DbError> {
        let end = JobEnd { outcome: Outcome::Done, words: String::new(), counts: "{}".to_owned(), then: Vec::new() };
        let finished = Finished { key, now: self.clock.now(), end, jitter: 0.5 };
        assert!(self.queue.finish(finished).await?, "the claim is the newest");
        Ok(())
    }
}
