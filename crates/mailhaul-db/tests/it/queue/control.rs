//! Pauses: what they cover, and until when.

use crate::queue::setup::*;
use mailhaul_db::queue::*;
use mailhaul_queue::*;

#[tokio::test]
async fn a_job_goes_on_only_when_no_pause_covers_it_any_more() {
    let bench = Bench::new().await;
    let jobs = bench.bulk(&["alice", "bob"]).await;
    let alice = bench.job(jobs[0]).await.account;
    let subjects = [
        Subject::Everything,
        Subject::Endpoint(bench.old),
        Subject::Endpoint(bench.new),
        Subject::Wave(bench.wave),
        Subject::Account(alice),
        Subject::Job(jobs[0]),
    ];
    for subject in subjects {
        bench.queue.pause(subject, "why not").await.expect("paused");
    }
    assert_eq!(bench.queue.holds().await.expect("listed").len(), 6);
    for subject in subjects {
        assert_eq!(bench.state(jobs[0]).await, JobState::Paused, "{subject:?} and what is left");
        assert!(bench.claim(1, 2).await.iter().all(|job| job.key.job != jobs[0]));
        bench.queue.resume(subject).await.expect("resumed");
    }
    assert_eq!(bench.state(jobs[0]).await, JobState::Queued);
    assert_eq!(bench.state(jobs[1]).await, JobState::Running, "nothing covered it since the wave went on");
    assert_eq!(bench.queue.resume(Subject::Everything).await.expect("nothing to do"), 0);
}

#[tokio::test]
async fn what_is_queued_under_a_pause_is_paused_and_moving_an_account_moves_it_under_other_pauses() {
    let bench = Bench::new().await;
    bench.queue.pause(Subject::Wave(bench.wave), "not yet").await.expect("paused");
    let job = bench.bulk(&["alice"]).await[0];
    assert_eq!(bench.state(job).await, JobState::Paused);
    let other = bench.queue.put_wave(wave("second")).await.expect("stored");
    bench.queue.import(vec![NewAccount { wave: other, ..bench.account("alice") }]).await.expect("moved");
    assert_eq!(bench.state(job).await, JobState::Queued);
    bench.queue.import(vec![bench.account("alice")]).await.expect("moved back");
    assert_eq!(bench.state(job).await, JobState::Paused);
    bench.queue.resume(Subject::Wave(bench.wave)).await.expect("resumed");
    assert_eq!(bench.state(job).await, JobState::Queued);
}

#[tokio::test]
async fn retry_touches_only_the_latest_job_of_a_kind() {
    let bench = Bench::new().await;
    let old = bench.bulk(&["alice"]).await[0];
    let claimed = bench.claim(1, 1).await.remove(0);
    bench.end(claimed.key, failed(FailureClass::Tls)).await;
    bench.queue.enqueue(vec![bulk(claimed.account)]).await.expect("queued");
    assert_eq!(bench.queue.retry(JobFilter::default()).await.expect("nothing to do"), 0);
    assert_eq!(bench.state(old).await, JobState::Failed(FailureClass::Tls));
    let claimed = bench.claim(1, 1).await.remove(0);
    bench.end(claimed.key, failed(FailureClass::Tls)).await;
    assert_eq!(bench.queue.retry(JobFilter::default()).await.expect("the later one"), 1);
    assert_eq!(bench.state(old).await, JobState::Failed(FailureClass::Tls));
    assert_eq!(bench.state(claimed.key.job).await, JobState::Queued);
}

#[tokio::test]
async fn every_change_of_a_job_is_an_event_with_its_reason() {
    let bench = Bench::new().await;
    let job = bench.bulk(&["alice"]).await[0];
    bench.queue.on_behalf_of("carol").pause(Subject::Everything, "the mover is ill").await.expect("paused");
    bench.queue.resume(Subject::Everything).await.expect("resumed");
    bench.queue.cancel(only(job), "moved by hand").await.expect("cancelled");
    bench.queue.retry(only(job)).await.expect("retried");
    let events = bench.queue.events(EventFilter { job: Some(job), ..EventFilter::default() }).await.expect("listed");
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.what.as_str(), event.from_state.as_deref(), event.to_state.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            ("enqueue", None, Some("queued")),
            ("pause", Some("queued"), Some("paused")),
            ("resume", Some("paused"), Some("queued")),
            ("cancel", Some("queued"), Some("cancelled")),
            ("retry", Some("cancelled"), Some("queued")),
        ]
    );
    assert_eq!((events[1].who.as_str(), events[1].why.as_str()), ("carol", "the mover is ill"));
    assert_eq!(events[3].why, "moved by hand");
    let last = EventFilter { limit: Some(1), ..EventFilter::default() };
    assert_eq!(bench.queue.events(last).await.expect("listed")[0].what, "retry");
}

#[tokio::test]
async fn a_pause_of_one_job_ends_with_the_job() {
    let bench = Bench::new().await;
    let job = bench.bulk(&["alice"]).await[0];
    let key = bench.claim(1, 1).await[0].key;
    bench.queue.pause(Subject::Job(job), "").await.expect("told");
    bench.end(key, Outcome::DoneWithExceptions).await;
    assert_eq!(bench.state(job).await, JobState::DoneWithExceptions, "what is done is done");
    assert_eq!(bench.queue.retry(only(job)).await.expect("retried"), 1);
    assert_eq!(bench.state(job).await, JobState::Queued);
}

#[tokio::test]
async fn many_accounts_are_paused_and_resumed_as_each_of_them_would_be() {
    let bench = Bench::new().await;
    let names: Vec<String> = (0..40).map(|number| format!("user{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let jobs = bench.bulk(&names).await;
    let mut accounts = Vec::new();
    for job in &jobs {
        accounts.push(bench.job(*job).await.account);
    }
    let (many, rest) = accounts.split_at(30);
    let running = bench.claim(1, 1).await.remove(0);
    assert_eq!(running.account, many[0]);
    bench.queue.pause(Subject::Account(many[1]), "before").await.expect("paused");
    assert_eq!(bench.queue.pause_accounts(many, "lunch").await.expect("paused"), 29, "one was paused already");
    let holds = bench.queue.holds().await.expect("listed");
    assert_eq!(holds.len(), 30);
    assert!(holds.iter().all(|hold| hold.why == "lunch" && hold.who == "operator"));
    let events = bench.queue.events(EventFilter::default()).await.expect("listed");
    let pauses = |events: &[EventRow], what: &str| {
        events.iter().filter(|event| event.what == what && matches!(event.subject, Subject::Account(_))).count()
    };
    assert_eq!(pauses(&events, "pause"), 31, "each of them, and the one before");
    assert_eq!(bench.job(jobs[0]).await.wanted, Some(Order::Pause), "what runs is asked to put itself down");
    assert_eq!(bench.state(jobs[5]).await, JobState::Paused);
    assert_eq!(bench.state(jobs[35]).await, JobState::Queued, "the others are left alone");
    // A second pause covers one of them, and another one never was paused.
    bench.queue.pause(Subject::Job(jobs[7]), "this one").await.expect("paused");
    let told = bench.queue.holds_of(&[Subject::Account(many[7]), Subject::Account(rest[0])], 10).await.expect("listed");
    let subjects: Vec<Subject> = told.iter().map(|hold| hold.subject).collect();
    assert_eq!(subjects, [Subject::Account(many[7]), Subject::Job(jobs[7])]);
    assert_eq!(bench.queue.holds_of(&[Subject::Account(many[7])], 1).await.expect("listed").len(), 1);
    assert!(bench.queue.wide_holds().await.expect("listed").is_empty());
    let back = [&many[2..], &rest[..1]].concat();
    assert_eq!(bench.queue.resume_accounts(&back).await.expect("resumed"), 27, "one is paused otherwise");
    assert_eq!(bench.state(jobs[7]).await, JobState::Paused);
    assert_eq!(bench.state(jobs[8]).await, JobState::Queued);
    let events = bench.queue.events(EventFilter::default()).await.expect("listed");
    assert_eq!(pauses(&events, "resume"), 28, "nothing is told of whoever was not paused");
    assert_eq!(bench.queue.resume_accounts(rest).await.expect("nothing to do"), 0);
}

#[tokio::test]
async fn a_write_that_the_disk_refuses_is_told_and_the_next_one_goes_through() {
    let bench = Bench::new().await;
    let job = bench.bulk(&["alice"]).await[0];
    bench.place.refuse_writes_to("hold").await;
    for _ in 0..2 {
        let error = bench.queue.pause(Subject::Everything, "why not").await.expect_err("refused");
        assert!(error.to_string().contains("the disk refuses"), "{error}");
    }
    assert_eq!(bench.state(job).await, JobState::Queued);
    bench.place.take_writes_to("hold").await;
    bench.queue.pause(Subject::Everything, "why not").await.expect("paused");
    assert_eq!(bench.state(job).await, JobState::Paused);
}
