//! Leases: fenced by generation, renewed, lost, taken over.

use crate::queue::setup::*;
use crate::setup::identity;
use mailhaul_db::{DbErrorKind, Generation as PairGeneration};
use mailhaul_queue::*;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_lease_that_is_renewed_is_kept_and_one_that_is_not_is_taken_over_after_the_margin() {
    let bench = Bench::new().await;
    let job = bench.bulk(&["alice"]).await[0];
    let first = bench.claim(1, 1).await.remove(0);
    for _ in 0..5 {
        bench.clock.advance(20 * SECOND);
        let tock = bench.queue.tick(Tick { renew: vec![first.key], ..bench.tick(1, 0) }).await.expect("ticks");
        assert!(tock.lost.is_empty() && tock.orders.is_empty());
    }
    bench.clock.advance(34 * SECOND);
    assert!(bench.claim(2, 1).await.is_empty(), "the lease has run out, the margin has not");
    bench.clock.advance(2 * SECOND);
    let second = bench.claim(2, 1).await.remove(0);
    assert_eq!((second.key.job, second.attempt), (job, 2));
    assert!(second.key.generation > first.key.generation);
    assert_eq!(second.stale_holder, Some(StaleHolder { process: std::process::id() }));

    let late = Tick { renew: vec![first.key], ..bench.tick(1, 5) };
    let tock = bench.queue.tick(late).await.expect("ticks");
    assert_eq!(tock.lost, [first.key]);
    assert!(!bench.end(first.key, Outcome::Done).await, "an old generation ends nothing");
    assert_eq!(bench.state(job).await, JobState::Running);
    let tock = bench.queue.tick(Tick { hold: vec![second.key], ..bench.tick(2, 0) }).await.expect("ticks");
    assert!(tock.lost.is_empty(), "what an old generation tried changed nothing");
    assert!(bench.end(second.key, Outcome::Done).await);
    let outcomes: Vec<_> =
        bench.queue.attempts(job).await.expect("listed").into_iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, [Some("lost".to_owned()), Some("done".to_owned())]);
}

#[tokio::test]
async fn an_old_generation_renews_nothing() {
    let bench = Bench::new().await;
    bench.bulk(&["alice"]).await;
    let first = bench.claim(1, 1).await.remove(0);
    bench.end(first.key, Outcome::Yielded(Yield::Shutdown)).await;
    let second = bench.claim(1, 1).await.remove(0);
    bench.clock.advance(34 * SECOND);
    let tock = bench.queue.tick(Tick { renew: vec![first.key], ..bench.tick(1, 0) }).await.expect("ticks");
    assert_eq!(tock.lost, [first.key]);
    bench.clock.advance(2 * SECOND);
    let tock = bench.queue.tick(Tick { hold: vec![second.key], ..bench.tick(1, 0) }).await.expect("ticks");
    assert_eq!(tock.lost, [second.key], "the newer lease was not renewed by the older key");
}

#[tokio::test]
async fn a_job_whose_process_died_three_times_is_set_aside_with_its_evidence() {
    let bench = Bench::new().await;
    let job = bench.bulk(&["alice"]).await[0];
    for time in 1..=3 {
        assert_eq!(bench.claim(1, 1).await.len(), 1, "claim {time}");
        bench.clock.advance(36 * SECOND);
    }
    assert!(bench.claim(1, 1).await.is_empty());
    let row = bench.job(job).await;
    assert_eq!((row.state, row.crashes), (JobState::Failed(FailureClass::Crashed), 3));
    assert!(row.words.contains("did not renew its lease") && row.words.contains("3 times"), "{}", row.words);
    assert_eq!(bench.queue.retry(only(job)).await.expect("retried"), 1);
    assert_eq!(bench.job(job).await.crashes, 0);
    assert_eq!(bench.claim(1, 1).await.len(), 1);
}

#[tokio::test]
async fn a_lease_of_another_boot_is_over_at_once_and_nobody_holds_anything_any_more() {
    #[derive(Debug)]
    struct Rebooted(std::sync::Arc<TestClock>);
    impl Clock for Rebooted {
        fn now(&self) -> Now {
            Now { boot_ms: 5, ..self.0.now() }
        }
        fn boot_id(&self) -> std::sync::Arc<str> {
            "the next boot".into()
        }
    }
    let bench = Bench::new().await;
    let job = bench.bulk(&["alice"]).await[0];
    bench.claim(1, 1).await;
    let clock = std::sync::Arc::new(Rebooted(bench.clock.clone()));
    let queue = bench.ledger.queue(clock.clone(), "after the reboot").await.expect("opens");
    let tock = queue.tick(Tick { now: clock.now(), ..bench.tick(2, 1) }).await.expect("ticks");
    assert_eq!(tock.claimed.iter().map(|job| (job.key.job, job.stale_holder)).collect::<Vec<_>>(), [(job, None)]);
    assert_eq!(bench.job(job).await.crashes, 1);
}

#[tokio::test]
async fn the_jobs_of_a_worker_that_is_gone_are_free_at_once() {
    let bench = Bench::new().await;
    let jobs = bench.bulk(&["alice", "bob"]).await;
    let (gone, stays) = (bench.queue.register("run").await.expect("entered"), bench.queue.register("serve").await);
    let stays = stays.expect("entered");
    let first = bench.claim(gone.id().0, 1).await.remove(0);
    let second = bench.claim(stays.id().0, 1).await.remove(0);
    let workers = bench.queue.workers().await.expect("listed");
    assert_eq!(
        workers.iter().map(|worker| (worker.what.as_str(), worker.running)).collect::<Vec<_>>(),
        [("run", 1), ("serve", 1)]
    );
    let other = bench.queue.register("third").await.expect("entered");
    let tock = bench.queue.tick(bench.tick(other.id().0, 5)).await.expect("ticks");
    assert_eq!((tock.claimed.len(), tock.workers), (0, 3), "both live");
    drop(gone);
    let tock = bench.queue.tick(bench.tick(other.id().0, 5)).await.expect("ticks");
    assert_eq!(tock.claimed.iter().map(|job| (job.key.job, job.stale_holder)).collect::<Vec<_>>(), [(jobs[0], None)]);
    assert_eq!(tock.workers, 2);
    assert!(!bench.end(first.key, Outcome::Done).await && bench.end(second.key, Outcome::Done).await);
    stays.close().await.expect("closed");
    assert_eq!(bench.queue.workers().await.expect("listed").len(), 1);
}

#[tokio::test]
async fn a_successor_goes_on_without_the_lock_of_just_the_process_that_lost_the_job() {
    let bench = Bench::new().await;
    let alice = identity("alice");
    let lost = bench.ledger.claim_pair(&alice).await.expect("free");
    let other = StaleHolder { process: std::process::id() + 1 };
    for stale in [None, Some(other)] {
        let error = bench.ledger.claim_pair_over(&alice, stale).await.expect_err("held by somebody else");
        assert_eq!(error.kind(), DbErrorKind::PairBusy);
    }
    let stale = StaleHolder { process: std::process::id() };
    let successor = bench.ledger.claim_pair_over(&alice, Some(stale)).await.expect("passes the lock over");
    assert!(successor.holder_has_not_let_go());
    assert_eq!(successor.generation(), PairGeneration(2));
    assert_eq!(lost.flush().await.expect_err("fenced").kind(), DbErrorKind::LeaseLost);
    successor.flush().await.expect("the newest");
    drop((lost, successor));
    let next = bench.ledger.claim_pair_over(&alice, Some(stale)).await.expect("free");
    assert!(!next.holder_has_not_let_go());
    assert_eq!(next.generation(), PairGeneration(3));
    assert_eq!(bench.ledger.claim_pair(&alice).await.expect_err("locked again").kind(), DbErrorKind::PairBusy);
}

#[tokio::test]
async fn a_worker_that_died_is_remembered_and_one_that_said_good_bye_is_not() {
    let bench = Bench::new().await;
    bench.queue.register("run").await.expect("registered").close().await.expect("closed");
    assert_eq!(bench.queue.deaths_since(0).await.expect("counted"), 0);
    // Dropping the guard is what dying does.
    drop(bench.queue.register("run").await.expect("registered"));
    let _next = bench.queue.register("run").await.expect("registered");
    assert_eq!(bench.queue.deaths_since(START_MS).await.expect("counted"), 1);
    assert_eq!(bench.queue.deaths_since(START_MS + 1).await.expect("counted"), 0, "it was earlier");
}

fn ends(bench: &Bench, key: LeaseKey, outcome: Outcome, progressed: bool) -> Finished {
    let account = AccountId(1);
    let follows = NewJob { kind: "resync".to_owned(), phase: Phase::Resync, ..bulk(account) };
    let finished = bench.finished(key, outcome);
    Finished { end: JobEnd { progressed, then: vec![follows], ..finished.end }, ..finished }
}

#[tokio::test]
async fn nothing_follows_a_job_that_was_cancelled_before_its_end_was_heard() {
    let bench = Bench::new().await;
    let job = bench.bulk(&["a"]).await[0];
    let key = bench.claim(1, 1).await[0].key;
    bench.queue.cancel(only(job), "enough").await.expect("cancelled");
    assert!(bench.queue.finish(ends(&bench, key, Outcome::Done, true)).await.expect("written"));
    assert_eq!(bench.queue.jobs(mailhaul_db::queue::JobFilter::default()).await.expect("listed").len(), 1);
}

#[tokio::test]
async fn what_was_done_under_options_that_have_changed_is_looked_at_once_more() {
    let bench = Bench::new().await;
    let job = bench.bulk(&["a"]).await[0];
    let key = bench.claim(1, 1).await[0].key;
    bench.queue.set_wave_options(bench.wave, r#"{"max_size":1}"#).await.expect("stored");
    assert!(bench.queue.finish(ends(&bench, key, Outcome::Done, true)).await.expect("written"));
    let row = bench.job(job).await;
    assert_eq!((row.state, row.attempts_charged), (JobState::Queued, 0));
    let again = bench.claim(1, 1).await[0].key;
    assert!(bench.queue.finish(ends(&bench, again, Outcome::Done, true)).await.expect("written"));
    assert_eq!(bench.state(job).await, JobState::Done);
    assert_eq!(
        bench.queue.jobs(mailhaul_db::queue::JobFilter::default()).await.expect("listed").len(),
        2,
        "now the next one follows"
    );
}

#[tokio::test]
async fn a_failure_after_progress_counts_as_the_first() {
    let bench = Bench::new().await;
    let job = bench.bulk(&["a"]).await[0];
    for (progressed, charged) in [(false, 1), (false, 2), (true, 1), (false, 2)] {
        let key = bench.claim(1, 1).await[0].key;
        let end = ends(&bench, key, failed(FailureClass::Network), progressed);
        assert!(bench.queue.finish(end).await.expect("written"));
        assert_eq!(bench.job(job).await.attempts_charged, charged);
        bench.clock.advance(Duration::from_secs(3_600));
    }
}

#[tokio::test]
async fn each_class_of_trouble_has_a_ceiling_of_its_own() {
    let bench = Bench::new().await;
    let job = bench.bulk(&["a"]).await[0];
    let network = RetryPolicy::default().network.attempts_max.expect("a ceiling");
    for attempt in 1..network {
        let key = bench.claim(1, 1).await[0].key;
        assert!(bench.end(key, failed(FailureClass::Network)).await);
        assert_eq!(bench.job(job).await.attempts_charged, attempt);
        bench.clock.advance(Duration::from_secs(3_600));
    }
    // The first trouble of another kind is the first of its kind.
    let key = bench.claim(1, 1).await[0].key;
    assert!(bench.end(key, failed(FailureClass::Server)).await);
    assert_eq!(bench.state(job).await.word(), "waiting");
    bench.clock.advance(Duration::from_secs(3_600));
    let key = bench.claim(1, 1).await[0].key;
    assert!(bench.end(key, failed(FailureClass::Network)).await);
    assert_eq!(bench.state(job).await, JobState::Failed(FailureClass::Network));
}
