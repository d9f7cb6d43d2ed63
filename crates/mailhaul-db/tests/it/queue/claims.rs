//! Who is claimed, in which order, and how often.

use crate::queue::setup::*;
use mailhaul_db::queue::*;
use mailhaul_queue::*;

#[tokio::test]
async fn a_job_runs_from_queue_to_done_and_leaves_its_history() {
    let bench = Bench::new().await;
    let job = bench.bulk(&["alice"]).await[0];
    let claimed = bench.claim(1, 5).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!((claimed[0].key.job, claimed[0].attempt, claimed[0].kind.as_str()), (job, 1, "bulk"));
    assert_eq!(claimed[0].stale_holder, None);
    assert_eq!(bench.state(job).await, JobState::Running);
    assert!(bench.claim(2, 5).await.is_empty(), "it is claimed once");
    assert!(bench.end(claimed[0].key, Outcome::Done).await);
    let row = bench.job(job).await;
    assert_eq!((row.state, row.words.as_str(), row.worker), (JobState::Done, "the last words", None));
    let attempts = bench.queue.attempts(job).await.expect("listed");
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].outcome.as_deref(), Some("done"));
    let events = bench.queue.events(EventFilter { job: Some(job), ..EventFilter::default() }).await.expect("listed");
    let told: Vec<_> = events.iter().map(|event| (event.who.as_str(), event.what.as_str())).collect();
    assert_eq!(told, [("operator", "enqueue"), ("worker 1", "claim"), ("worker 1", "end")]);
    assert!(!bench.end(claimed[0].key, Outcome::Done).await, "it has ended already");
}

#[tokio::test]
async fn one_open_job_of_a_kind_for_each_account() {
    let bench = Bench::new().await;
    let job = bench.bulk(&["alice"]).await[0];
    let account = bench.job(job).await.account;
    assert_eq!(bench.queue.enqueue(vec![bulk(account), resync(account), resync(account)]).await.expect("queued"), 1);
    assert_eq!(bench.queue.enqueue(vec![bulk(account), resync(account)]).await.expect("queued"), 0);
    let key = bench.claim(1, 1).await[0].key;
    assert_eq!(bench.queue.enqueue(vec![bulk(account)]).await.expect("queued"), 0, "running is open");
    bench.end(key, Outcome::Done).await;
    assert_eq!(bench.queue.enqueue(vec![bulk(account)]).await.expect("queued"), 1, "done is over");
    assert!(bench.job(job).await.superseded);
    assert_eq!(bench.queue.jobs(JobFilter::default()).await.expect("listed").len(), 2);
    let all = JobFilter { superseded: true, ..JobFilter::default() };
    assert_eq!(bench.queue.jobs(all).await.expect("listed").len(), 3);
}

#[tokio::test]
async fn one_running_job_for_each_account() {
    let bench = Bench::new().await;
    let job = bench.bulk(&["alice", "bob"]).await[0];
    let alice = bench.job(job).await.account;
    bench.queue.enqueue(vec![resync(alice)]).await.expect("queued");
    let claimed = bench.claim(1, 9).await;
    assert_eq!(claimed.len(), 2, "alice once, and bob");
    assert!(bench.claim(2, 9).await.is_empty());
    let of_alice = claimed.iter().find(|job| job.account == alice).expect("claimed").key;
    bench.end(of_alice, Outcome::Done).await;
    let next = bench.claim(2, 9).await;
    assert_eq!(next.iter().map(|job| job.account).collect::<Vec<_>>(), [alice]);
}

#[tokio::test]
async fn important_accounts_go_first_and_waves_may_go_by_size() {
    let bench = Bench::new().await;
    let accounts = [("a", 4, 10), ("b", 4, 30), ("c", 9, 20), ("d", 4, 20), ("e", 0, 90)];
    let accounts = accounts.map(|(name, priority, bytes)| NewAccount {
        priority: Priority::new(priority).expect("0 to 9"),
        size_hint_bytes: Some(bytes),
        ..bench.account(name)
    });
    let ids = bench.queue.import(accounts.to_vec()).await.expect("imported").ids;
    bench.queue.enqueue(ids.iter().map(|id| bulk(*id)).collect()).await.expect("queued");
    for (order, expected) in [(WaveOrder::Largest, "cbdae"), (WaveOrder::Smallest, "cadbe"), (WaveOrder::Fifo, "cabde")]
    {
        bench.queue.set_order(bench.wave, order).await.expect("ranked");
        let mut jobs = bench.queue.jobs(JobFilter::default()).await.expect("listed");
        let mut places = Vec::new();
        for job in &jobs {
            places.push(bench.queue.place_in_line(job.id).await.expect("read").expect("queued").before);
        }
        let mut named: Vec<_> = places.iter().zip(jobs.drain(..).map(|job| job.account_name)).collect();
        named.sort();
        let names: String = named.into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, expected, "{order:?}");
    }
    let mut claimed = String::new();
    while let [one] = &bench.claim(1, 1).await[..] {
        claimed += &bench.job(one.key.job).await.account_name;
    }
    assert_eq!(claimed, "cabde");
}

#[tokio::test]
async fn places_are_those_of_the_pure_function() {
    let bench = Bench::new().await;
    for priority in 0..=9 {
        let priority = Priority::new(priority).expect("0 to 9");
        let account = NewAccount { priority, ..bench.account(&format!("p{}", priority.get())) };
        let id = bench.queue.import(vec![account]).await.expect("imported").ids[0];
        bench.clock.advance(std::time::Duration::from_millis(1_234_567));
        bench.queue.enqueue(vec![bulk(id)]).await.expect("queued");
    }
    for job in bench.queue.jobs(JobFilter::default()).await.expect("listed") {
        assert_eq!(job.place, job.priority.place_in_line(job.queued_unix_ms));
    }
}

#[tokio::test]
async fn a_worker_takes_only_what_is_in_its_scope() {
    let bench = Bench::new().await;
    let jobs = bench.bulk(&["alice", "bob"]).await;
    let other = bench.queue.put_wave(wave("second")).await.expect("stored");
    let bob = NewAccount { wave: other, ..bench.account("bob") };
    let outcome = bench.queue.import(vec![bob]).await.expect("moved");
    assert_eq!(outcome.changed, [("bob".to_owned(), vec!["wave"])]);
    let scoped = |wave, kinds: &[&str]| Tick {
        scope: Scope { wave, kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect() },
        ..bench.tick(1, 5)
    };
    let none = bench.queue.tick(scoped(Some(bench.wave), &["preflight"])).await.expect("ticks");
    assert_eq!((none.claimed.len(), none.unsettled), (0, 0));
    let second = bench.queue.tick(scoped(Some(other), &["bulk", "resync"])).await.expect("ticks");
    assert_eq!(second.claimed.iter().map(|job| job.key.job).collect::<Vec<_>>(), [jobs[1]]);
    assert_eq!((second.unsettled, second.workers), (1, 1));
    let all = bench.queue.tick(scoped(None, &[])).await.expect("ticks");
    assert_eq!(all.claimed.iter().map(|job| job.key.job).collect::<Vec<_>>(), [jobs[0]]);
    assert_eq!(all.unsettled, 2, "what runs is not settled");
}

#[tokio::test]
async fn what_follows_is_queued_with_the_end_and_waits_for_its_time() {
    let bench = Bench::new().await;
    bench.bulk(&["alice"]).await;
    let claimed = bench.claim(1, 1).await.remove(0);
    let later = START_MS + 60_000;
    let mut end = bench.finished(claimed.key, Outcome::Done);
    end.end.then = vec![NewJob { not_before_unix_ms: Some(later), ..resync(claimed.account) }];
    assert!(bench.queue.finish(end.clone()).await.expect("written"));
    assert!(!bench.queue.finish(end).await.expect("refused"), "nothing follows twice");
    let jobs = bench.queue.jobs(JobFilter { kinds: vec!["resync".to_owned()], ..JobFilter::default() }).await;
    let job = jobs.expect("listed").remove(0);
    assert_eq!(job.state, JobState::Waiting { reason: WaitReason::Schedule, until_unix_ms: Some(later) });
    assert!(bench.claim(1, 1).await.is_empty());
    bench.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(bench.claim(1, 1).await[0].key.job, job.id);
}

#[tokio::test]
async fn two_processes_worth_of_workers_never_share_an_account_or_pass_a_cap() {
    let limits = Limits { connections: Some(7), bulk_connections: Some(5), ..Limits::default() };
    let bench = Bench::with_limits(limits).await;
    let names: Vec<String> = (0..60).map(|number| format!("user{number:02}")).collect();
    let accounts = names.iter().map(|name| bench.account(name)).collect();
    let ids = bench.queue.import(accounts).await.expect("imported").ids;
    bench.queue.enqueue(ids.iter().flat_map(|id| [bulk(*id), resync(*id)]).collect()).await.expect("queued");
    let mut workers = tokio::task::JoinSet::new();
    for number in 1..=3 {
        // A handle of its own, as another process has it.
        let ledger = mailhaul_db::Ledger::open(&bench.place.file, crate::setup::options()).await.expect("opens");
        let queue = ledger.queue(bench.clock.clone(), "other").await.expect("opens");
        let (tick, clock) = (bench.tick(number, 3), bench.clock.clone());
        workers.spawn(async move {
            let (mut ended, mut idle) = (0_u32, 0);
            while idle < 200 {
                let tock = queue.tick(tick.clone()).await.expect("ticks");
                let running = queue.jobs(JobFilter { states: vec!["running".into()], ..JobFilter::default() }).await;
                let running = running.expect("listed");
                let bulk = running.iter().filter(|job| job.phase == Phase::Bulk).count();
                let mut accounts: Vec<_> = running.iter().map(|job| job.account).collect();
                accounts.sort();
                accounts.dedup();
                assert!(running.len() <= 7 && bulk <= 5, "{} running, {bulk} of them bulk", running.len());
                assert_eq!(accounts.len(), running.len(), "an account runs once");
                for job in &tock.claimed {
                    let end = JobEnd {
                        outcome: Outcome::Done,
                        words: String::new(),
                        counts: "{}".to_owned(),
                        progressed: false,
                        then: Vec::new(),
                    };
                    let finished = Finished { key: job.key, now: clock.now(), end, jitter: 0.5 };
                    assert!(queue.finish(finished).await.expect("written"));
                    ended += 1;
                }
                idle = if tock.unsettled == 0 { 200 } else { idle + u32::from(tock.claimed.is_empty()) };
                tokio::task::yield_now().await;
            }
            drop(ledger);
            ended
        });
    }
    let mut ended = 0;
    while let Some(worker) = workers.join_next().await {
        ended += worker.expect("no assertion failed");
    }
    assert_eq!(ended, 120, "each job ran once");
    let counts = bench.queue.counts(Some(bench.wave)).await.expect("counted");
    assert_eq!(
        counts.iter().map(|count| (count.state.word(), count.jobs)).collect::<Vec<_>>(),
        [("done", 60), ("done", 60)]
    );
}
