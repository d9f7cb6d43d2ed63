//! The paragraph about a job, as an operator reads it.

use jiff::tz::TimeZone;
use mailhaul_queue::{
    CapOf, Commands, FailureClass, Gate, HoldFact, JobFacts, JobState, Obstacle, Phase, RefusalReason, Wait,
    WaitReason, Wanted, explain, explain_gate,
};

/// 2023-11-14 22:13:20 UTC.
const NOW: i64 = 1_700_000_000_000;

fn facts(state: JobState) -> JobFacts {
    JobFacts {
        what: "The bulk copy of alice".to_owned(),
        state,
        wanted: None,
        wait_before_pause: None,
        attempts_charged: 0,
        place: None,
        account_is_busy: false,
        obstacles: Vec::new(),
        holds: Vec::new(),
        doing: None,
        since_unix_ms: None,
        last_words: None,
        workers: 1,
        commands: Commands {
            run: "haul run".to_owned(),
            resume: "haul resume alice".to_owned(),
            retry: "haul retry alice".to_owned(),
            limits: "haul endpoint set".to_owned(),
        },
    }
}

fn told(facts: &JobFacts) -> String {
    explain(facts, NOW, &TimeZone::UTC)
}

fn obstacle(reason: RefusalReason) -> Obstacle {
    Obstacle { endpoint: "old".to_owned(), host: "old.example".to_owned(), reason }
}

#[test]
fn a_job_in_line_names_its_place_and_what_is_full() {
    let full = RefusalReason::Full { running: 20, cap: 20, whose: CapOf::Endpoint };
    let job = JobFacts { place: Some(1_234), obstacles: vec![obstacle(full)], ..facts(JobState::Queued) };
    assert_eq!(
        told(&job),
        "The bulk copy of alice is in line at place 1,234. At `old` 20 of 20 connections are in use; \
         `haul endpoint set` changes that number."
    );
    let free = JobFacts { place: Some(1), workers: 0, ..facts(JobState::Queued) };
    assert_eq!(
        told(&free),
        "The bulk copy of alice is in line at place 1. Nothing stands in its way: it starts when a worker is free and \
         those before it have started. No worker is running at the moment, so nothing moves: `haul run`."
    );
}

#[test]
fn each_obstacle_is_told_apart() {
    let full = |whose| RefusalReason::Full { running: 8, cap: 8, whose };
    let closed = |reason| RefusalReason::Closed { reason, until_unix_ms: NOW + 60_000 };
    for (reason, part) in [
        (full(CapOf::Phase(Phase::Bulk)), "8 of 8 connections for first copies are in use"),
        (full(CapOf::Phase(Phase::Resync)), "8 of 8 connections for later passes are in use"),
        (full(CapOf::Host), "With the host old.example 8 of 8 connections are in use; that is what the host has borne"),
        (RefusalReason::Probing, "The host old.example was in trouble"),
        (closed(WaitReason::Window), "`old` is outside of its hours until 22:14:20 (in 1 min)."),
        (closed(WaitReason::HostLimit), "The host old.example is left in peace until 22:14:20 (in 1 min)."),
        (RefusalReason::Unknown, "There is no endpoint `old` any more."),
    ] {
        let job = JobFacts { obstacles: vec![obstacle(reason)], ..facts(JobState::Queued) };
        assert!(told(&job).contains(part), "{part}: {}", told(&job));
    }
}

#[test]
fn a_wait_names_its_end_and_what_would_change_it() {
    let waiting = |reason, until_unix_ms| facts(JobState::Waiting { reason, until_unix_ms });
    let window = waiting(WaitReason::Window, Some(NOW + 78_400_000));
    assert_eq!(
        told(&window),
        "The bulk copy of alice waits until 2023-11-15 20:00 (in 21 h 46 min), because it is outside of the hours in \
         which work is allowed. It goes on by itself; other hours can be set with `haul endpoint set`."
    );
    let parked = JobFacts {
        last_words: Some("NO [AUTHENTICATIONFAILED] no\u{1b}[2J".to_owned()),
        workers: 0,
        ..waiting(WaitReason::Credentials, None)
    };
    assert_eq!(
        told(&parked),
        "The bulk copy of alice waits until somebody acts, because a sign-in was refused. It ended with: NO \
         [AUTHENTICATIONFAILED] no\\u{1b}[2J. Mend the sign-in: `haul retry alice`; nothing is tried before that."
    );
    let back_off = JobFacts {
        attempts_charged: 2,
        last_words: Some("connection lost".to_owned()),
        ..waiting(WaitReason::BackOff, Some(NOW + 10_000))
    };
    assert_eq!(
        told(&back_off),
        "The bulk copy of alice waits until 22:13:30 (in 10 s), because its latest attempt failed. Failed attempts so \
         far: 2. It ended with: connection lost. It is tried again by itself then, or at once with `haul retry alice`."
    );
}

#[test]
fn a_running_job_says_what_it_does_and_what_is_asked_of_it() {
    let job = JobFacts {
        doing: Some("copying Archive".to_owned()),
        since_unix_ms: Some(NOW - 7_500_000),
        wanted: Some(Wanted::Pause),
        ..facts(JobState::Running)
    };
    assert_eq!(
        told(&job),
        "The bulk copy of alice has been running for 2 h 5 min: copying Archive. It has been asked to pause, and stops \
         at the next safe point."
    );
    let yields = Wanted::Yield { reason: WaitReason::Allowance, until_unix_ms: NOW + 1 };
    let job = JobFacts { wanted: Some(yields), since_unix_ms: None, doing: None, ..job };
    assert!(
        told(&job).starts_with("The bulk copy of alice is running. It has been asked to give way, because the allow")
    );
}

#[test]
fn a_paused_job_names_every_pause_that_covers_it() {
    let hold = |scope: &str, why: &str| HoldFact {
        scope: scope.to_owned(),
        who: "root".to_owned(),
        why: why.to_owned(),
        since_unix_ms: NOW - 3_600_000,
    };
    let job = JobFacts {
        holds: vec![hold("wave staff", "maintenance"), hold("everything", "")],
        wait_before_pause: Some(Wait { reason: WaitReason::Quota, until_unix_ms: None }),
        ..facts(JobState::Paused)
    };
    assert_eq!(
        told(&job),
        "The bulk copy of alice is paused. root paused wave staff at 21:13:20 (\"maintenance\"). root paused everything \
         at 21:13:20. It goes on when all of these are lifted. `haul resume alice` lets it go on. Even then it waits \
         for somebody, as it did before the pause."
    );
}

#[test]
fn what_is_over_says_how_it_ended() {
    let failed = JobFacts {
        attempts_charged: 8,
        since_unix_ms: Some(NOW - 90_000),
        last_words: Some("timed out.".to_owned()),
        workers: 0,
        ..facts(JobState::Failed(FailureClass::Network))
    };
    assert_eq!(
        told(&failed),
        "The bulk copy of alice failed 1 min 30 s ago: connections were lost or could not be made. It was tried 8 \
         times. It ended with: timed out. It is not tried again by itself; `haul retry alice` does it."
    );
    for state in [JobState::Done, JobState::DoneWithExceptions, JobState::Cancelled] {
        let text = told(&facts(state));
        assert!(text.starts_with("The bulk copy of alice ") && text.ends_with('.'), "{text}");
    }
}

#[test]
fn every_reason_and_class_makes_whole_sentences() {
    let reasons = WaitReason::ALL.iter().flat_map(|reason| {
        [None, Some(NOW + 5_000)].map(|until_unix_ms| JobState::Waiting { reason: *reason, until_unix_ms })
    });
    let classes = FailureClass::ALL.iter().map(|class| JobState::Failed(*class));
    for state in reasons.chain(classes) {
        let text = told(&facts(state));
        assert!(text.ends_with('.') && !text.contains("  ") && !text.contains('\n'), "{text}");
    }
}

#[test]
fn a_gate_is_told_in_a_few_words() {
    let closed = |reason| Gate::Closed { reason, until_unix_ms: NOW + 90_061_000 };
    assert_eq!(explain_gate(Gate::Open, NOW), "open");
    assert_eq!(explain_gate(closed(WaitReason::Window), NOW), "outside of its hours for 1 d 1 h");
    assert_eq!(explain_gate(closed(WaitReason::HostLimit), NOW), "left in peace for 1 d 1 h");
}
