//! What operators do in every state, held against the state function.

use crate::queue::setup::*;
use mailhaul_db::queue::*;
use mailhaul_queue::*;
use std::time::Duration;

/// Every way to stand that a job can be brought into, one account each, by name.
async fn all_states(bench: &Bench) -> Vec<(String, JobId)> {
    let gate = Yield::Gate { reason: WaitReason::HostLimit, until_unix_ms: START_MS + 90_000 };
    let ends = [
        ("done", Outcome::Done),
        ("exceptions", Outcome::DoneWithExceptions),
        ("credentials", failed(FailureClass::SignIn)),
        ("quota", failed(FailureClass::Quota)),
        ("decision", failed(FailureClass::Decision)),
        ("network", failed(FailureClass::Network)),
        ("throttle", failed(FailureClass::Throttle)),
        ("tls", failed(FailureClass::Tls)),
        ("shutdown", Outcome::Yielded(Yield::Shutdown)),
        ("gate", Outcome::Yielded(gate)),
    ];
    let mut jobs = Vec::new();
    for (name, outcome) in ends {
        let job = bench.bulk(&[name]).await[0];
        let claimed = bench.claim(1, 1).await.remove(0);
        assert_eq!(claimed.key.job, job, "{name}");
        assert!(bench.end(claimed.key, outcome).await);
        jobs.push((name.to_owned(), job));
        // Out of the way of the next claim; what it waits for is kept, and resumed below.
        bench.queue.pause(Subject::Job(job), "").await.expect("paused");
    }
    for name in ["running", "pausing", "cancelling"] {
        let job = bench.bulk(&[name]).await[0];
        assert_eq!(bench.claim(1, 1).await.remove(0).key.job, job, "{name}");
        jobs.push((name.to_owned(), job));
    }
    bench.queue.pause(Subject::Job(jobs[11].1), "").await.expect("told");
    bench.queue.cancel(only(jobs[12].1), "").await.expect("told");
    for name in ["cancelled", "paused"] {
        jobs.push((name.to_owned(), bench.bulk(&[name]).await[0]));
    }
    bench.queue.cancel(only(jobs[13].1), "").await.expect("cancelled");
    bench.queue.pause(Subject::Job(jobs[14].1), "").await.expect("paused");
    jobs.push(("queued".to_owned(), bench.bulk(&["queued"]).await[0]));
    for (_, job) in &jobs[..10] {
        bench.queue.resume(Subject::Job(*job)).await.expect("resumed");
    }
    jobs
}

fn standing(row: &JobRow, held: bool) -> Standing {
    let wanted = row.wanted.and_then(|order| match order {
        Order::Pause => Some(Wanted::Pause),
        Order::Cancel => Some(Wanted::Cancel),
        Order::Yield { reason, until_unix_ms } => Some(Wanted::Yield { reason, until_unix_ms }),
        Order::Options => None,
    });
    Standing {
        state: row.state.clone(),
        attempts_charged: row.attempts_charged,
        crashes: row.crashes,
        wanted,
        wait_before_pause: None,
        held,
    }
}

/// What the function says must have become of each job, and nothing else has changed.
async fn agrees(event: Event, held: bool, act: impl AsyncFn(&Bench) -> u64) {
    let bench = Bench::new().await;
    let jobs = all_states(&bench).await;
    let mut before = Vec::new();
    for (_, job) in &jobs {
        before.push(bench.job(*job).await);
    }
    let concerned = act(&bench).await;
    let mut expected_concerned = 0;
    for ((name, job), before) in jobs.iter().zip(before) {
        let after = bench.job(*job).await;
        let from = standing(&before, held);
        match apply(&from, &event, &RetryPolicy::default(), START_MS, 0.5) {
            Ok(next) => {
                expected_concerned += u64::from(next.clone().standing(held) != from);
                let to = standing(&after, held);
                let kept = Standing { wait_before_pause: next.wait_before_pause, ..to };
                assert_eq!(kept, next.standing(held), "{name}");
            }
            Err(_) => assert_eq!(after, before, "{name}"),
        }
    }
    assert_eq!(concerned, expected_concerned);
}

#[tokio::test]
async fn pausing_everything_does_what_the_state_function_says() {
    agrees(Event::Pause, true, async |bench: &Bench| bench.queue.pause(Subject::Everything, "").await.expect("paused"))
        .await;
}

#[tokio::test]
async fn cancelling_everything_does_what_the_state_function_says() {
    agrees(Event::Cancel, false, async |bench: &Bench| {
        bench.queue.cancel(JobFilter::default(), "").await.expect("cancelled")
    })
    .await;
}

#[tokio::test]
async fn retrying_everything_does_what_the_state_function_says() {
    agrees(Event::Retry, false, async |bench: &Bench| bench.queue.retry(JobFilter::default()).await.expect("retried"))
        .await;
}

#[tokio::test]
async fn a_pause_of_everything_taken_back_leaves_every_job_as_it_was() {
    let bench = Bench::new().await;
    let jobs = all_states(&bench).await;
    let mut before = Vec::new();
    for (_, job) in &jobs {
        before.push(bench.job(*job).await);
    }
    bench.queue.pause(Subject::Everything, "lunch").await.expect("paused");
    assert!(bench.claim(2, 9).await.is_empty());
    bench.queue.resume(Subject::Everything).await.expect("resumed");
    for ((name, job), before) in jobs.iter().zip(before) {
        assert_eq!(bench.job(*job).await, before, "{name}");
    }
}

#[tokio::test]
async fn a_running_job_stays_running_until_its_worker_has_put_it_down() {
    let bench = Bench::new().await;
    let job = bench.bulk(&["alice"]).await[0];
    let key = bench.claim(1, 1).await[0].key;
    assert_eq!(bench.queue.pause(Subject::Wave(bench.wave), "lunch").await.expect("told"), 1);
    assert_eq!(bench.state(job).await, JobState::Running);
    for _ in 0..2 {
        let tock = bench.queue.tick(Tick { renew: vec![key], ..bench.tick(1, 1) }).await.expect("ticks");
        assert_eq!(tock.orders, [(key, Order::Pause)], "repeated until it is done");
    }
    assert!(bench.queue.tick(bench.tick(2, 1)).await.expect("ticks").orders.is_empty(), "not another's business");
    bench.end(key, Outcome::Yielded(Yield::Pause)).await;
    assert_eq!(bench.state(job).await, JobState::Paused);
    assert_eq!(bench.queue.resume(Subject::Wave(bench.wave)).await.expect("resumed"), 1);
    assert_eq!(bench.claim(1, 1).await[0].attempt, 2);
}

#[tokio::test]
async fn what_needs_somebody_is_found_and_failures_follow_the_policy() {
    let bench = Bench::new().await;
    let jobs = all_states(&bench).await;
    let attention = JobFilter { needs_attention: true, ..JobFilter::default() };
    let names: Vec<_> =
        bench.queue.jobs(attention).await.expect("listed").into_iter().map(|job| job.account_name).collect();
    assert_eq!(names, ["credentials", "decision", "exceptions", "quota", "tls"]);
    let class = JobFilter { failure_class: Some(FailureClass::Network), ..JobFilter::default() };
    assert_eq!(bench.queue.jobs(class.clone()).await.expect("listed").len(), 1);
    assert_eq!(bench.queue.retry(class).await.expect("retried"), 1);
    let network = jobs.iter().find(|(name, _)| name == "network").expect("there").1;
    assert_eq!(bench.state(network).await, JobState::Queued);
    let counts = bench.queue.counts(None).await.expect("counted");
    assert_eq!(counts.iter().map(|count| count.jobs).sum::<u64>(), 16);
}

#[tokio::test]
async fn options_that_change_reach_the_running_jobs_and_limits_do_not_stop_them() {
    let bench = Bench::new().await;
    bench.bulk(&["alice"]).await;
    let key = bench.claim(1, 1).await[0].key;
    let orders = async || bench.queue.tick(Tick { hold: vec![key], ..bench.tick(1, 0) }).await.expect("ticks").orders;
    let limits = Limits { connections: Some(900), ..Limits::default() };
    bench.queue.put_endpoint(endpoint("old", limits.clone())).await.expect("changed");
    assert!(orders().await.is_empty());
    let changed = NewEndpoint { options: r#"{"a":1}"#.to_owned(), ..endpoint("old", limits) };
    bench.queue.put_endpoint(changed).await.expect("changed");
    assert_eq!(orders().await, [(key, Order::Options)]);
    bench.queue.pause(Subject::Everything, "").await.expect("told");
    assert_eq!(orders().await, [(key, Order::Pause)], "what stops it goes first");
    bench.queue.resume(Subject::Everything).await.expect("told");
    bench.end(key, Outcome::Yielded(Yield::Options)).await;
    let again = bench.claim(1, 1).await.remove(0);
    assert!(
        bench.queue.tick(Tick { hold: vec![again.key], ..bench.tick(1, 0) }).await.expect("ticks").orders.is_empty()
    );
}

#[tokio::test]
async fn a_back_off_ends_by_itself() {
    let bench = Bench::new().await;
    let job = bench.bulk(&["alice"]).await[0];
    let key = bench.claim(1, 1).await[0].key;
    bench.end(key, failed(FailureClass::Network)).await;
    let JobState::Waiting { reason: WaitReason::BackOff, until_unix_ms: Some(until) } = bench.state(job).await else {
        panic!("it waits for its next attempt");
    };
    assert!(until > START_MS);
    assert!(bench.claim(1, 1).await.is_empty());
    bench.clock.advance(Duration::from_millis((until - START_MS).try_into().expect("later")));
    assert_eq!(bench.claim(1, 1).await[0].attempt, 2);
    assert_eq!(bench.job(job).await.attempts_charged, 1);
}
