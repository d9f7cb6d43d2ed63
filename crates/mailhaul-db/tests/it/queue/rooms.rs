//! Endpoints that are full, closed, lowered, throttled; accounts that have used up their day.

use crate::queue::setup::*;
use mailhaul_db::queue::*;
use mailhaul_queue::*;
use std::time::Duration;

fn connections(number: u32) -> Limits {
    Limits { connections: Some(number), ..Limits::default() }
}

#[tokio::test]
async fn a_full_endpoint_leaves_jobs_in_line_and_holds_up_no_other() {
    let bench = Bench::with_limits(connections(2)).await;
    let jobs = bench.bulk(&["a", "b", "c", "d"]).await;
    let third = bench.queue.put_endpoint(endpoint("third", many())).await.expect("stored");
    assert_eq!(bench.claim(1, 9).await.len(), 2);
    let elsewhere = NewAccount { source: third, ..bench.account("e") };
    let account = bench.queue.import(vec![elsewhere]).await.expect("imported").ids[0];
    bench.queue.enqueue(vec![bulk(account)]).await.expect("queued");
    assert_eq!(bench.claim(1, 9).await.iter().map(|job| job.account).collect::<Vec<_>>(), [account]);
    assert_eq!(bench.state(jobs[3]).await, JobState::Queued, "full is not closed");
    let place = bench.queue.place_in_line(jobs[3]).await.expect("read");
    assert_eq!(place, Some(PlaceInLine { before: 1, all: 2 }));
}

#[tokio::test]
async fn a_job_within_one_endpoint_takes_two_connections() {
    let bench = Bench::with_limits(connections(3)).await;
    let accounts = ["a", "b"].map(|name| NewAccount { target: bench.old, ..bench.account(name) });
    let ids = bench.queue.import(accounts.to_vec()).await.expect("imported").ids;
    bench.queue.enqueue(ids.into_iter().map(bulk).collect()).await.expect("queued");
    assert_eq!(bench.claim(1, 9).await.len(), 1);
}

#[tokio::test]
async fn a_shut_window_makes_jobs_wait_and_they_go_on_at_their_old_place() {
    let bench = Bench::new().await;
    let jobs = bench.bulk(&["a", "b"]).await;
    let before = bench.job(jobs[1]).await;
    // The clock stands at 10:13 UTC.
    let night = Limits { windows: vec!["Mon-Sun 22:00-06:00 UTC".to_owned()], ..many() };
    bench.queue.put_endpoint(endpoint("old", night)).await.expect("changed");
    let tock = bench.queue.tick(bench.tick(1, 9)).await.expect("ticks");
    assert_eq!((tock.claimed.len(), tock.unsettled), (0, 2));
    let JobState::Waiting { reason: WaitReason::Window, until_unix_ms: Some(until) } = bench.state(jobs[0]).await
    else {
        panic!("it waits for the night");
    };
    assert_eq!(until % 86_400_000, 22 * 3_600_000);
    let events = bench.queue.events(EventFilter { job: Some(jobs[0]), ..EventFilter::default() }).await;
    assert_eq!(events.expect("listed").last().map(|event| event.what.clone()), Some("gate".to_owned()));
    bench.clock.advance(Duration::from_millis((until - START_MS).try_into().expect("later")));
    assert_eq!(bench.claim(1, 1).await[0].key.job, jobs[0], "the first is first again");
    assert_eq!(bench.job(jobs[1]).await, before);
}

#[tokio::test]
async fn a_window_that_is_opened_by_the_operator_lets_jobs_go_on_at_once() {
    let bench = Bench::new().await;
    let job = bench.bulk(&["a"]).await[0];
    let night = Limits { windows: vec!["nights UTC".to_owned()], ..many() };
    bench.queue.put_endpoint(endpoint("old", night)).await.expect("changed");
    assert!(bench.claim(1, 1).await.is_empty());
    assert_eq!(bench.state(job).await.word(), "waiting");
    bench.queue.put_endpoint(endpoint("old", many())).await.expect("changed");
    assert_eq!(bench.claim(1, 1).await.len(), 1);
}

#[tokio::test]
async fn a_window_that_shuts_makes_running_jobs_give_way() {
    let bench = Bench::new().await;
    let job = bench.bulk(&["a"]).await[0];
    let key = bench.claim(1, 1).await[0].key;
    let night = Limits { windows: vec!["nights UTC".to_owned()], ..many() };
    bench.queue.put_endpoint(endpoint("new", night)).await.expect("changed");
    let tock = bench.queue.tick(Tick { renew: vec![key], ..bench.tick(1, 1) }).await.expect("ticks");
    let [(_, Order::Yield { reason: WaitReason::Window, until_unix_ms })] = tock.orders[..] else {
        panic!("{:?}", tock.orders);
    };
    bench.end(key, Outcome::Yielded(Yield::Gate { reason: WaitReason::Window, until_unix_ms })).await;
    let waiting = JobState::Waiting { reason: WaitReason::Window, until_unix_ms: Some(until_unix_ms) };
    assert_eq!(bench.state(job).await, waiting);
    assert_eq!(bench.job(job).await.attempts_charged, 0);
    bench.queue.put_endpoint(endpoint("new", many())).await.expect("changed");
    assert_eq!(bench.claim(1, 1).await[0].attempt, 2);
}

#[tokio::test]
async fn a_lowered_limit_sheds_what_began_last_first_copies_before_the_others() {
    let bench = Bench::with_limits(connections(4)).await;
    let first = bench.bulk(&["a", "b", "c"]).await;
    let account = bench.queue.import(vec![bench.account("d")]).await.expect("imported").ids[0];
    bench.queue.enqueue(vec![resync(account)]).await.expect("queued");
    let mut keys = Vec::new();
    for _ in 0..4 {
        bench.clock.advance(Duration::from_millis(10));
        keys.push(bench.claim(1, 1).await.remove(0).key);
    }
    bench.queue.put_endpoint(endpoint("old", connections(2))).await.expect("changed");
    let hold = || Tick { hold: keys.clone(), ..bench.tick(1, 4) };
    for _ in 0..3 {
        let tock = bench.queue.tick(hold()).await.expect("ticks");
        assert!(tock.claimed.is_empty());
        let told: Vec<_> = tock.orders.iter().map(|(key, _)| key.job).collect();
        assert_eq!(told, first[1..], "no more than must, however often it is looked at");
    }
    for (key, order) in bench.queue.tick(hold()).await.expect("ticks").orders {
        let Order::Yield { reason, until_unix_ms } = order else { panic!("{order:?}") };
        bench.end(key, Outcome::Yielded(Yield::Gate { reason, until_unix_ms })).await;
        assert_eq!(bench.state(key.job).await, JobState::Queued);
    }
    assert!(bench.claim(1, 4).await.is_empty());
    bench.queue.put_endpoint(endpoint("old", connections(3))).await.expect("changed");
    assert_eq!(bench.claim(1, 4).await.iter().map(|job| job.key.job).collect::<Vec<_>>(), [first[1]]);
}

#[tokio::test]
async fn a_throttled_host_rests_and_one_job_shows_when_it_serves_again() {
    let bench = Bench::new().await;
    let jobs = bench.bulk(&["a", "b", "c"]).await;
    let running = bench.claim(1, 1).await.remove(0);
    bench.end(running.key, Outcome::Done).await;
    let throttled = HostSign::Throttled(Some(Duration::from_secs(60)));
    bench.queue.signs(vec![(bench.old, throttled)], bench.now()).await.expect("written");
    assert!(bench.claim(1, 9).await.is_empty());
    let JobState::Waiting { reason: WaitReason::HostLimit, until_unix_ms: Some(until) } = bench.state(jobs[1]).await
    else {
        panic!("it waits for the host");
    };
    assert!(until >= START_MS + 60_000);
    bench.clock.advance(Duration::from_millis((until - START_MS).try_into().expect("later")));
    let probe = bench.claim(1, 9).await;
    assert_eq!(probe.iter().map(|job| job.key.job).collect::<Vec<_>>(), [jobs[1]]);
    assert!(bench.claim(2, 9).await.is_empty());
    assert_eq!(bench.state(jobs[2]).await.word(), "waiting", "the others wait for what the probe shows");
    bench.queue.signs(vec![(bench.old, HostSign::Served)], bench.now()).await.expect("written");
    bench.end(probe[0].key, Outcome::Done).await;
    assert_eq!(bench.claim(1, 9).await.len(), 1);
    let notes = EventFilter { endpoint: Some(bench.old), ..EventFilter::default() };
    let notes: Vec<_> = bench.queue.events(notes).await.expect("listed").into_iter().map(|event| event.why).collect();
    assert_eq!(notes[notes.len() - 2..], ["the host is given a rest", "the host serves again"]);
}

#[tokio::test]
async fn a_used_up_allowance_stops_the_account_until_tomorrow_and_no_other() {
    let limits = Limits { account_bytes_per_day: Some(1_000), ..many() };
    let bench = Bench::with_limits(limits.clone()).await;
    let jobs = bench.bulk(&["a", "b"]).await;
    let key = bench.claim(1, 1).await[0].key;
    let account = bench.job(jobs[0]).await.account;
    bench.queue.moved(account, 600, bench.now()).await.expect("written");
    let look = || Tick { hold: vec![key], ..bench.tick(1, 0) };
    assert!(bench.queue.tick(look()).await.expect("ticks").orders.is_empty());
    bench.queue.moved(account, 600, bench.now()).await.expect("written");
    assert_eq!(bench.queue.moved_on_day_of(account, START_MS).await.expect("read"), 1_200);
    let orders = bench.queue.tick(look()).await.expect("ticks").orders;
    let [(_, Order::Yield { reason: WaitReason::Allowance, until_unix_ms })] = orders[..] else {
        panic!("{orders:?}");
    };
    bench.end(key, Outcome::Yielded(Yield::Gate { reason: WaitReason::Allowance, until_unix_ms })).await;
    bench.queue.enqueue(vec![resync(account)]).await.expect("queued");
    let claimed = bench.claim(1, 9).await;
    assert_eq!(claimed.iter().map(|job| job.key.job).collect::<Vec<_>>(), [jobs[1]], "its re-sync waits as well");
    let waiting = JobFilter { wait_reason: Some(WaitReason::Allowance), ..JobFilter::default() };
    assert_eq!(bench.queue.jobs(waiting).await.expect("listed").len(), 2);
    bench.clock.advance(Duration::from_millis((until_unix_ms - START_MS).try_into().expect("later")));
    bench.end(claimed[0].key, Outcome::Done).await;
    assert_eq!(bench.claim(1, 9).await[0].account, account);
}

#[tokio::test]
async fn a_raised_allowance_counts_at_once() {
    let bench = Bench::with_limits(Limits { account_bytes_per_day: Some(10), ..many() }).await;
    let job = bench.bulk(&["a"]).await[0];
    let account = bench.job(job).await.account;
    bench.queue.moved(account, 50, bench.now()).await.expect("written");
    assert!(bench.claim(1, 1).await.is_empty());
    let raised = Limits { account_bytes_per_day: Some(100), ..many() };
    bench.queue.put_endpoint(endpoint("old", raised)).await.expect("changed");
    assert_eq!(bench.claim(1, 1).await.len(), 1);
}

#[tokio::test]
async fn a_job_that_needs_two_busy_endpoints_is_not_overtaken_for_ever() {
    let bench = Bench::with_limits(connections(1)).await;
    bench.queue.put_endpoint(endpoint("new", connections(1))).await.expect("changed");
    let free = bench.queue.put_endpoint(endpoint("free", many())).await.expect("stored");
    let come = async |name: &str, source, target| {
        let account = NewAccount { source, target, ..bench.account(name) };
        let account = bench.queue.import(vec![account]).await.expect("imported").ids[0];
        bench.queue.enqueue(vec![bulk(account)]).await.expect("queued");
        account
    };
    // Somebody is at work on `old` when a job arrives that needs `old` and `new`.
    come("first", bench.old, free).await;
    let first = bench.claim(1, 1).await[0].key;
    let patient = bench.bulk(&["patient"]).await[0];
    // For an hour it is fair that another takes what it cannot use.
    let second = come("second", free, bench.new).await;
    let claimed = bench.claim(1, 9).await;
    assert_eq!(claimed.iter().map(|job| job.account).collect::<Vec<_>>(), [second]);
    bench.clock.advance(Duration::from_secs(3_700));
    assert!(bench.queue.tick(Tick { renew: vec![first, claimed[0].key], ..bench.tick(1, 0) }).await.is_ok());
    assert!(bench.end(claimed[0].key, Outcome::Done).await);
    // Then `new`, which is free now, is kept for it.
    come("third", free, bench.new).await;
    let claimed = bench.claim(1, 9).await;
    assert!(claimed.is_empty(), "nobody overtakes it any more: {claimed:?}");
    assert!(bench.end(first, Outcome::Done).await);
    assert_eq!(bench.claim(1, 1).await[0].key.job, patient);
}

#[tokio::test]
async fn the_probe_of_a_host_is_a_job_that_whoever_asks_may_claim() {
    let bench = Bench::new().await;
    let first = bench.bulk(&["a"]).await[0];
    let other = bench.queue.put_wave(wave("other")).await.expect("stored");
    let account = NewAccount { wave: other, ..bench.account("b") };
    let account = bench.queue.import(vec![account]).await.expect("imported").ids[0];
    bench.queue.enqueue(vec![bulk(account)]).await.expect("queued");
    let throttled = HostSign::Throttled(Some(Duration::from_secs(60)));
    bench.queue.signs(vec![(bench.old, throttled)], bench.now()).await.expect("written");
    assert!(bench.claim(1, 9).await.is_empty());
    bench.clock.advance(Duration::from_secs(120));
    // Job `a` stands first, and belongs to a wave that nobody works on now.
    let scope = Scope { wave: Some(other), ..Scope::default() };
    let tock = bench.queue.tick(Tick { scope, ..bench.tick(1, 9) }).await.expect("ticks");
    assert_eq!(tock.claimed.iter().map(|job| job.account).collect::<Vec<_>>(), [account]);
    assert_eq!(bench.state(first).await.word(), "waiting");
}

#[tokio::test]
async fn a_probe_that_reads_and_writes_at_one_endpoint_is_not_told_to_yield() {
    let bench = Bench::new().await;
    let within = NewAccount { target: bench.old, ..bench.account("a") };
    let account = bench.queue.import(vec![within]).await.expect("imported").ids[0];
    bench.queue.enqueue(vec![bulk(account)]).await.expect("queued");
    let throttled = HostSign::Throttled(Some(Duration::from_secs(1)));
    bench.queue.signs(vec![(bench.old, throttled)], bench.now()).await.expect("written");
    assert!(bench.claim(1, 1).await.is_empty());
    bench.clock.advance(Duration::from_secs(60));
    let probe = bench.claim(1, 1).await[0].key;
    let tock = bench.queue.tick(Tick { hold: vec![probe], ..bench.tick(1, 1) }).await.expect("ticks");
    assert!(tock.orders.is_empty(), "{:?}", tock.orders);
}
