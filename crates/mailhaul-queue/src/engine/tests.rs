//! The engine against a store that does as it is told, in time that passes only when everybody waits.

use super::*;
use crate::clock::Now;
use crate::ids::{AccountId, Generation, JobId, LeaseKey};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

/// Boot time that follows the runtime's.
#[derive(Debug)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Now {
        let ms = millis(self.0.elapsed());
        Now { boot_ms: ms, unix_ms: ms }
    }
    fn boot_id(&self) -> Arc<str> {
        "test".into()
    }
}

#[derive(Debug, Default)]
struct Facts {
    in_line: Vec<ClaimedJob>,
    running: usize,
    most_running: usize,
    orders: Vec<(LeaseKey, Order)>,
    lost: Vec<LeaseKey>,
    renewed: Vec<(LeaseKey, i64)>,
    finished: Vec<(JobId, Outcome)>,
}

#[derive(Debug, Clone, Default)]
struct Fake(Arc<Mutex<Facts>>);

impl Fake {
    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().expect("nobody panics while holding it")
    }
    fn with_jobs(count: i64) -> Self {
        let fake = Self::default();
        fake.facts().in_line = (1..=count).rev().map(job).collect();
        fake
    }
    fn outcome(&self, id: i64) -> Option<Outcome> {
        self.facts().finished.iter().find(|(job, _)| *job == JobId(id)).map(|(_, outcome)| outcome.clone())
    }
}

fn job(id: i64) -> ClaimedJob {
    ClaimedJob {
        key: LeaseKey::new(JobId(id), Generation(1)),
        account: AccountId(id),
        kind: "work".to_owned(),
        payload: String::new(),
        attempt: 1,
        lease_until_boot_ms: 0,
        stale_holder: None,
    }
}

#[derive(Debug, Clone, thiserror::Error)]
#[error("the store is broken")]
struct Broken;

impl Store for Fake {
    type Error = Broken;

    async fn tick(&self, tick: Tick) -> Result<Tock, Broken> {
        let mut facts = self.facts();
        for key in &tick.renew {
            facts.renewed.push((*key, tick.now.boot_ms));
        }
        let until = tick.now.boot_ms + millis(tick.lease);
        let take = facts.in_line.len().saturating_sub(tick.slots);
        let mut claimed = facts.in_line.split_off(take);
        claimed.iter_mut().for_each(|job| job.lease_until_boot_ms = until);
        facts.running += claimed.len();
        facts.most_running = facts.most_running.max(facts.running);
        let unsettled = (facts.in_line.len() + facts.running) as u64;
        Ok(Tock { claimed, orders: facts.orders.clone(), lost: facts.lost.clone(), unsettled, workers: 1 })
    }

    async fn finish(&self, finished: Finished) -> Result<bool, Broken> {
        let mut facts = self.facts();
        facts.running -= 1;
        facts.finished.push((finished.key.job, finished.end.outcome));
        Ok(true)
    }

    async fn signs(&self, _: Vec<(EndpointId, HostSign)>, _: Now) -> Result<(), Broken> {
        Ok(())
    }

    async fn moved(&self, _: AccountId, _: u64, _: Now) -> Result<(), Broken> {
        Ok(())
    }
}

/// What the test's jobs do, by their number.
#[derive(Clone, Copy)]
enum Does {
    Succeed,
    Panic,
    Hang,
    FindTheDiskFull,
    /// Beats every second until it is asked to yield; the pulse stops after so many seconds.
    Move(u64),
}

struct Doing(Vec<Does>);

#[derive(Default)]
struct Beats(AtomicU64);

impl Pulse for Beats {
    fn beats(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
    fn waits_until(&self) -> Option<std::time::Instant> {
        None
    }
}

fn end(outcome: Outcome) -> JobEnd {
    JobEnd { outcome, words: "words".to_owned(), counts: String::new(), progressed: false, then: Vec::new() }
}

impl Handler for Doing {
    async fn run(&self, job: ClaimedJob, control: JobControl) -> JobEnd {
        let place = usize::try_from(job.key.job.0 - 1).expect("jobs count from 1");
        match self.0[place] {
            Does::Succeed => {
                tokio::time::sleep(Duration::from_millis(10)).await;
                end(Outcome::Done)
            }
            Does::Panic => panic!("on purpose"),
            Does::Hang => std::future::pending().await,
            Does::FindTheDiskFull => end(Outcome::Failed { class: FailureClass::Local, retry_after: None }),
            Does::Move(secs) => {
                let beats = Arc::new(Beats::default());
                control.show(Arc::clone(&beats) as Arc<dyn Pulse>);
                let moving = async {
                    for _ in 0..secs {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        beats.0.fetch_add(1, Ordering::Relaxed);
                        assert!(control.may_write(), "the lease is renewed in time");
                    }
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    () = moving => unreachable!("it never ends"),
                    asked = control.asked_to_yield() => end(Outcome::Yielded(asked)),
                }
            }
        }
    }
}

fn engine(fake: &Fake, doing: Vec<Does>, slots: usize) -> (Engine<Fake, Doing>, EngineHandle) {
    let options = EngineOptions { slots, until_settled: true, ..EngineOptions::default() };
    let clock = Arc::new(TokioClock(Instant::now()));
    let (store, handler) = (Arc::new(fake.clone()), Arc::new(Doing(doing)));
    Engine::new(store, handler, clock, WorkerId(1), options, Box::new(|| 0.5))
}

async fn run_all(fake: &Fake, doing: Vec<Does>, slots: usize) -> Result<EngineEnd, EngineError<Broken>> {
    engine(fake, doing, slots).0.run().await
}

#[tokio::test(start_paused = true)]
async fn works_through_everything_with_no_more_jobs_at_once_than_there_are_slots() {
    let fake = Fake::with_jobs(25);
    let ended = run_all(&fake, vec![Does::Succeed; 25], 4).await;
    assert_eq!(ended.expect("nothing broke"), EngineEnd::Settled);
    assert_eq!(fake.facts().finished.len(), 25);
    assert_eq!(fake.facts().most_running, 4);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_holds_back_looks_around_and_claims_nothing_meanwhile() {
    let fake = Fake::with_jobs(1);
    let (mut engine, _handle) = engine(&fake, vec![Does::Succeed], 1);
    engine.options.hold_off = Duration::from_secs(8);
    let begun = Instant::now();
    assert_eq!(engine.run().await.expect("nothing broke"), EngineEnd::Settled);
    assert!(begun.elapsed() >= Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(fake.outcome(1), Some(Outcome::Done));
}

#[tokio::test(start_paused = true)]
async fn a_fault_ends_one_job_and_not_the_process() {
    let fake = Fake::with_jobs(3);
    let ended = run_all(&fake, vec![Does::Succeed, Does::Panic, Does::Succeed], 2).await;
    assert_eq!(ended.expect("nothing broke"), EngineEnd::Settled);
    let internal = Outcome::Failed { class: FailureClass::Internal, retry_after: None };
    assert_eq!(fake.outcome(2), Some(internal));
    assert_eq!((fake.outcome(1), fake.outcome(3)), (Some(Outcome::Done), Some(Outcome::Done)));
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_while_the_job_moves_and_a_job_that_stands_still_is_given_up() {
    let fake = Fake::with_jobs(1);
    let ended = run_all(&fake, vec![Does::Move(60)], 1).await;
    assert_eq!(ended.expect("nothing broke"), EngineEnd::Settled);
    let network = Outcome::Failed { class: FailureClass::Network, retry_after: None };
    assert_eq!(fake.outcome(1), Some(network));
    let renewed = fake.facts().renewed.clone();
    let gaps: Vec<i64> = renewed.windows(2).map(|pair| pair[1].1 - pair[0].1).collect();
    assert!(gaps.iter().all(|gap| (10_000..=11_000).contains(gap)), "every ten seconds: {gaps:?}");
    let last = renewed.last().expect("it was renewed").1;
    assert!((350_000..=361_000).contains(&last), "until it was given up after 60 + 300 seconds, not {last}");
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_lease_is_lost_is_cut_off_and_reports_nothing() {
    let fake = Fake::with_jobs(1);
    let (engine, handle) = engine(&fake, vec![Does::Move(1_000)], 1);
    let running = tokio::spawn(engine.run());
    handle.ring().await;
    fake.facts().lost.push(job(1).key);
    handle.ring().await;
    handle.stop();
    assert_eq!(running.await.expect("no panic").expect("nothing broke"), EngineEnd::Stopped);
    assert!(fake.facts().finished.is_empty());
}

#[tokio::test(start_paused = true)]
async fn whoever_rings_waits_until_the_order_has_been_given() {
    let fake = Fake::with_jobs(1);
    let (engine, handle) = engine(&fake, vec![Does::Move(1_000)], 1);
    let running = tokio::spawn(engine.run());
    handle.ring().await;
    fake.facts().orders.push((job(1).key, Order::Pause));
    handle.ring().await;
    assert_eq!(running.await.expect("no panic").expect("nothing broke"), EngineEnd::Settled);
    assert_eq!(fake.outcome(1), Some(Outcome::Yielded(Yield::Pause)));
}

#[tokio::test(start_paused = true)]
async fn a_stop_puts_everything_down_within_ten_seconds_even_what_hangs() {
    let fake = Fake::with_jobs(2);
    let (engine, handle) = engine(&fake, vec![Does::Move(1_000), Does::Hang], 2);
    let running = tokio::spawn(engine.run());
    handle.ring().await;
    let asked_at = Instant::now();
    handle.stop();
    assert_eq!(running.await.expect("no panic").expect("nothing broke"), EngineEnd::Stopped);
    assert!(asked_at.elapsed() <= Duration::from_secs(11), "{:?}", asked_at.elapsed());
    for id in [1, 2] {
        assert_eq!(fake.outcome(id), Some(Outcome::Yielded(Yield::Shutdown)), "job {id}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_stops_everything_and_is_said() {
    let fake = Fake::with_jobs(2);
    let ended = run_all(&fake, vec![Does::Move(1_000), Does::FindTheDiskFull], 2).await;
    assert!(matches!(ended, Err(EngineError::Local(words)) if words == "words"));
    assert_eq!(fake.outcome(1), Some(Outcome::Yielded(Yield::Shutdown)));
}

#[tokio::test(start_paused = true)]
async fn an_operators_word_is_stronger_than_a_full_hosts() {
    let control = JobControl::new(AccountId(1), 0, Arc::new(TokioClock(Instant::now())), mpsc::channel(1).0);
    let gate = Yield::Gate { reason: crate::WaitReason::HostLimit, until_unix_ms: 1 };
    for (asked, stands) in [
        (gate, gate),
        (Yield::Pause, Yield::Pause),
        (gate, Yield::Pause),
        (Yield::Cancel, Yield::Cancel),
        (Yield::Pause, Yield::Cancel),
    ] {
        control.ask(asked);
        assert_eq!(control.must_yield(), Some(stands));
    }
}
