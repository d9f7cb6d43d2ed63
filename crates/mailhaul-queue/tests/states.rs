//! The state function: its table, what it never does, and that bulk moves agree with it.

use mailhaul_queue::{
    Event, FailureClass, JobState, Move, Next, Outcome, RetryPolicy, Shape, Standing, Wait, WaitAfter, WaitReason,
    Wanted, Yield, apply, moves,
};
use proptest::prelude::*;
use std::time::Duration;

const NOW: i64 = 1_000_000_000;

fn lead(job: &Standing, event: &Event) -> Option<Next> {
    apply(job, event, &RetryPolicy::default(), NOW, 1.0).ok()
}

fn in_state(state: JobState) -> Standing {
    Standing { state, ..Standing::queued() }
}

fn running(wanted: Option<Wanted>) -> Standing {
    Standing { wanted, ..in_state(JobState::Running) }
}

fn waiting(reason: WaitReason, until_unix_ms: Option<i64>) -> JobState {
    JobState::Waiting { reason, until_unix_ms }
}

fn failed(class: FailureClass) -> Event {
    Event::End(Outcome::Failed { class, retry_after: None })
}

fn gate(until_unix_ms: i64) -> Event {
    Event::Gate { reason: WaitReason::Window, until_unix_ms }
}

/// One event of each word, with what usually comes with it.
fn usual_events() -> Vec<Event> {
    vec![
        Event::Claim,
        Event::End(Outcome::Done),
        Event::Orphan,
        Event::Due,
        gate(NOW + 60_000),
        Event::Pause,
        Event::Resume,
        Event::Cancel,
        Event::Retry,
    ]
}

#[test]
fn every_state_takes_its_events_and_refuses_the_others() {
    let timed = waiting(WaitReason::BackOff, Some(NOW - 1));
    let parked = waiting(WaitReason::Credentials, None);
    let fail = JobState::Failed(FailureClass::Network);
    //                          claim      end     orphan    due       gate       pause     resume    cancel       retry
    let table: [(JobState, [&str; 9]); 9] = [
        (JobState::Queued, ["running", "-", "-", "-", "waiting", "paused", "-", "cancelled", "-"]),
        (timed, ["-", "-", "-", "queued", "-", "paused", "-", "cancelled", "queued"]),
        (parked, ["-", "-", "-", "-", "-", "paused", "-", "cancelled", "queued"]),
        (JobState::Running, ["-", "done", "queued", "-", "running", "running", "-", "running", "-"]),
        (JobState::Done, ["-", "-", "-", "-", "-", "-", "-", "-", "-"]),
        (JobState::DoneWithExceptions, ["-", "-", "-", "-", "-", "-", "-", "-", "queued"]),
        (fail, ["-", "-", "-", "-", "-", "-", "-", "-", "queued"]),
        (JobState::Paused, ["-", "-", "-", "-", "-", "-", "queued", "cancelled", "-"]),
        (JobState::Cancelled, ["-", "-", "-", "-", "-", "-", "-", "-", "queued"]),
    ];
    for (state, row) in table {
        let got = usual_events()
            .iter()
            .map(|event| lead(&in_state(state.clone()), event).map_or("-", |next| next.state.word()))
            .collect::<Vec<_>>();
        assert_eq!(got, row, "from {state:?}");
    }
}

#[test]
fn every_failure_class_has_its_reaction() {
    let backs_off = |seconds: i64| waiting(WaitReason::BackOff, Some(NOW + seconds * 1000));
    let table = [
        (FailureClass::Network, backs_off(5), 1),
        (FailureClass::Server, backs_off(15), 1),
        (FailureClass::Protocol, backs_off(15), 1),
        (FailureClass::Internal, backs_off(30), 1),
        (FailureClass::Throttle, waiting(WaitReason::HostLimit, Some(NOW + 30_000)), 0),
        (FailureClass::Tls, JobState::Failed(FailureClass::Tls), 1),
        (FailureClass::Usage, JobState::Failed(FailureClass::Usage), 1),
        (FailureClass::Crashed, JobState::Failed(FailureClass::Crashed), 1),
        (FailureClass::SignIn, waiting(WaitReason::Credentials, None), 0),
        (FailureClass::Quota, waiting(WaitReason::Quota, None), 0),
        (FailureClass::Decision, waiting(WaitReason::Operator, None), 0),
        (FailureClass::Local, JobState::Queued, 0),
    ];
    assert_eq!(table.len(), FailureClass::ALL.len());
    for (class, state, charged) in table {
        let next = lead(&running(None), &failed(class)).expect("a running job ends");
        assert_eq!((next.state, next.attempts_charged), (state, charged), "{class:?}");
    }
}

#[test]
fn the_last_attempt_of_a_class_fails_the_job() {
    for (class, most) in [(FailureClass::Network, 8), (FailureClass::Server, 6), (FailureClass::Protocol, 3)] {
        let with = |attempts_charged| Standing { attempts_charged, ..running(None) };
        let last_but_one = lead(&with(most - 2), &failed(class)).expect("ends");
        assert_eq!(last_but_one.state.word(), "waiting");
        let last = lead(&with(most - 1), &failed(class)).expect("ends");
        assert_eq!(last.state, JobState::Failed(class));
        assert_eq!(last.attempts_charged, most);
    }
}

#[test]
fn a_servers_own_figure_is_waited_out() {
    let retry_after = Some(Duration::from_secs(7200));
    let event = Event::End(Outcome::Failed { class: FailureClass::Throttle, retry_after });
    let next = apply(&running(None), &event, &RetryPolicy::default(), NOW, 0.0).expect("ends");
    assert_eq!(next.state, waiting(WaitReason::HostLimit, Some(NOW + 7_200_000)));
}

#[test]
fn a_job_whose_process_died_three_times_in_a_row_is_given_up() {
    let mut job = running(None);
    for crashes in 1..3 {
        let next = lead(&job, &Event::Orphan).expect("taken over");
        assert_eq!((&next.state, next.crashes), (&JobState::Queued, crashes));
        job = Standing { state: JobState::Running, ..next.standing(false) };
    }
    let last = lead(&job, &Event::Orphan).expect("taken over");
    assert_eq!(last.state, JobState::Failed(FailureClass::Crashed));
    assert!(last.why.contains('3'), "{}", last.why);
    // An attempt that ended in order between the deaths shows that they were not this job's fault.
    let ended = lead(&job, &failed(FailureClass::Network)).expect("ends");
    assert_eq!(ended.crashes, 0);
}

#[test]
fn a_running_job_stays_running_until_it_is_put_down() {
    for (event, wanted, put_down) in [
        (Event::Pause, Wanted::Pause, "paused"),
        (Event::Cancel, Wanted::Cancel, "cancelled"),
        (gate(NOW + 1), Wanted::Yield { reason: WaitReason::Window, until_unix_ms: NOW + 1 }, "waiting"),
        (gate(NOW), Wanted::Yield { reason: WaitReason::Window, until_unix_ms: NOW }, "queued"),
    ] {
        let asked = lead(&running(None), &event).expect("a running job can be asked");
        assert_eq!((&asked.state, asked.wanted), (&JobState::Running, Some(wanted)));
        let job = asked.standing(false);
        // A shutdown at the same moment changes nothing.
        let end = lead(&job, &Event::End(Outcome::Yielded(Yield::Shutdown))).expect("ends");
        assert_eq!((end.state.word(), end.wanted, end.attempts_charged), (put_down, None, 0));
        // What was done counts.
        let done = lead(&job, &Event::End(Outcome::DoneWithExceptions)).expect("ends");
        assert_eq!(done.state, JobState::DoneWithExceptions);
    }
}

#[test]
fn a_pause_keeps_what_the_job_waited_for() {
    for (until_unix_ms, back) in [(None, "waiting"), (Some(NOW + 1), "waiting"), (Some(NOW), "queued")] {
        let job = in_state(waiting(WaitReason::Credentials, until_unix_ms));
        let paused = lead(&job, &Event::Pause).expect("pauses").standing(true);
        assert_eq!(paused.state, JobState::Paused);
        assert!(lead(&paused, &Event::Resume).is_none(), "a pause still covers it");
        let released = Standing { held: false, ..paused };
        assert_eq!(lead(&released, &Event::Resume).expect("resumes").state.word(), back);
    }
}

#[test]
fn a_paused_job_that_was_parked_can_be_retried_and_then_waits_for_nothing_but_the_pause() {
    let wait = Wait { reason: WaitReason::Quota, until_unix_ms: None };
    let job = Standing { wait_before_pause: Some(wait), held: true, ..in_state(JobState::Paused) };
    let next = lead(&job, &Event::Retry).expect("retries");
    assert_eq!((next.state, next.wait_before_pause), (JobState::Paused, None));
}

#[test]
fn a_failure_while_pausing_is_not_charged_but_what_needs_somebody_is_remembered() {
    let job = Standing { attempts_charged: 7, ..running(Some(Wanted::Pause)) };
    let lost = lead(&job, &failed(FailureClass::Network)).expect("ends");
    assert_eq!((lost.state, lost.attempts_charged, lost.wait_before_pause), (JobState::Paused, 7, None));
    let refused = lead(&job, &failed(FailureClass::SignIn)).expect("ends");
    let wait = Wait { reason: WaitReason::Credentials, until_unix_ms: None };
    assert_eq!((refused.state, refused.wait_before_pause), (JobState::Paused, Some(wait)));
}

#[test]
fn a_job_that_was_resumed_before_it_was_put_down_goes_on() {
    let job = running(Some(Wanted::Pause));
    let resumed = lead(&job, &Event::Resume).expect("resumes").standing(false);
    let end = lead(&resumed, &Event::End(Outcome::Yielded(Yield::Pause))).expect("ends");
    assert_eq!(end.state, JobState::Queued);
}

#[test]
fn refusals_say_what_stands_in_the_way() {
    let error = apply(&in_state(JobState::Done), &Event::Pause, &RetryPolicy::default(), NOW, 0.0).expect_err("over");
    assert_eq!(error.to_string(), "a job that is done does not take the event `pause`: it is over");
}

fn any_reason() -> impl Strategy<Value = WaitReason> {
    proptest::sample::select(WaitReason::ALL)
}

fn any_class() -> impl Strategy<Value = FailureClass> {
    proptest::sample::select(FailureClass::ALL)
}

fn any_moment() -> impl Strategy<Value = i64> {
    // Close by and far away: moments that coincide are where mistakes hide.
    prop_oneof![NOW - 2..NOW + 3, NOW - 100_000..NOW + 100_000]
}

fn any_state() -> impl Strategy<Value = JobState> {
    prop_oneof![
        Just(JobState::Queued),
        (any_reason(), proptest::option::of(any_moment())).prop_map(|(reason, until)| waiting(reason, until)),
        Just(JobState::Running),
        Just(JobState::Done),
        Just(JobState::DoneWithExceptions),
        any_class().prop_map(JobState::Failed),
        Just(JobState::Paused),
        Just(JobState::Cancelled),
    ]
}

fn any_wanted() -> impl Strategy<Value = Wanted> {
    let gives_way = |(reason, until_unix_ms)| Wanted::Yield { reason, until_unix_ms };
    prop_oneof![Just(Wanted::Pause), Just(Wanted::Cancel), (any_reason(), any_moment()).prop_map(gives_way)]
}

prop_compose! {
    /// Any job, with nothing beside its state that cannot be there.
    fn any_job()(
        state in any_state(),
        attempts_charged in 0_u32..10,
        crashes in 0_u32..4,
        wanted in proptest::option::of(any_wanted()),
        wait in proptest::option::of((any_reason(), proptest::option::of(any_moment()))),
        held in any::<bool>(),
    ) -> Standing {
        let wanted = wanted.filter(|_| state == JobState::Running);
        let wait = wait.map(|(reason, until_unix_ms)| Wait { reason, until_unix_ms });
        let wait_before_pause = wait.filter(|_| state == JobState::Paused);
        Standing { state, attempts_charged, crashes, wanted, wait_before_pause, held }
    }
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let how = prop_oneof![
        Just(Yield::Shutdown),
        Just(Yield::Options),
        Just(Yield::Pause),
        Just(Yield::Cancel),
        (any_reason(), any_moment()).prop_map(|(reason, until_unix_ms)| Yield::Gate { reason, until_unix_ms }),
    ];
    prop_oneof![
        Just(Outcome::Done),
        Just(Outcome::DoneWithExceptions),
        how.prop_map(Outcome::Yielded),
        (any_class(), proptest::option::of(0_u64..100_000_000))
            .prop_map(|(class, seconds)| Outcome::Failed { class, retry_after: seconds.map(Duration::from_secs) }),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Claim),
        any_outcome().prop_map(Event::End),
        Just(Event::Orphan),
        Just(Event::Due),
        (any_reason(), any_moment()).prop_map(|(reason, until_unix_ms)| Event::Gate { reason, until_unix_ms }),
        Just(Event::Pause),
        Just(Event::Resume),
        Just(Event::Cancel),
        Just(Event::Retry),
    ]
}

/// What a store writes that follows a move, for comparison with the state function.
fn follow(job: &Standing, step: &Move) -> Standing {
    let before = match job.state {
        JobState::Waiting { reason, until_unix_ms } => Some(Wait { reason, until_unix_ms }),
        _ => job.wait_before_pause,
    };
    let wait = match step.wait {
        WaitAfter::Nothing => None,
        WaitAfter::Kept => before,
        WaitAfter::Set(wait) => Some(wait),
    };
    let (reason, until) = (wait.map(|wait| wait.reason), wait.and_then(|wait| wait.until_unix_ms));
    let state = JobState::from_columns(step.state, reason, until, None).expect("a move leads to a state");
    let (attempts_charged, crashes) = if step.resets_counts { (0, 0) } else { (job.attempts_charged, job.crashes) };
    let wait_before_pause = wait.filter(|_| state == JobState::Paused);
    Standing { state, attempts_charged, crashes, wanted: step.wanted, wait_before_pause, held: job.held }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn only_retry_leads_out_of_what_is_over(job in any_job(), event in any_event()) {
        if job.state.is_terminal() && event != Event::Retry {
            prop_assert_eq!(lead(&job, &event), None);
        }
    }

    #[test]
    fn throttles_yields_and_deaths_charge_nothing(job in any_job(), event in any_event()) {
        let own_fault = |class: &FailureClass| *class != FailureClass::Throttle;
        let may_charge = matches!(&event, Event::End(Outcome::Failed { class, .. }) if own_fault(class));
        if let Some(next) = lead(&job, &event) {
            prop_assert!(may_charge || next.attempts_charged <= job.attempts_charged);
            prop_assert!(next.attempts_charged <= job.attempts_charged + 1);
        }
    }

    #[test]
    fn what_stands_beside_a_state_belongs_to_it(job in any_job(), event in any_event()) {
        if let Some(next) = lead(&job, &event) {
            prop_assert!(next.wanted.is_none() || next.state == JobState::Running);
            prop_assert!(next.wait_before_pause.is_none() || next.state == JobState::Paused);
            prop_assert!(!next.why.is_empty());
        }
    }

    #[test]
    fn what_a_pause_covers_neither_lines_up_nor_starts(job in any_job(), event in any_event()) {
        if let (true, Some(next)) = (job.held, lead(&job, &event)) {
            let open_and_down = matches!(next.state, JobState::Queued | JobState::Waiting { .. });
            prop_assert!(!open_and_down, "{:?}", next);
            prop_assert!(next.state != JobState::Running || job.state == JobState::Running);
        }
    }

    #[test]
    fn a_wait_that_is_entered_lies_ahead(job in any_job(), event in any_event()) {
        if let Some(Next { state: JobState::Waiting { until_unix_ms: Some(until), .. }, .. }) = lead(&job, &event) {
            prop_assert!(until > NOW);
        }
    }

    #[test]
    fn moves_in_bulk_are_those_of_the_state_function(job in any_job(), event in any_event()) {
        let in_bulk = !matches!(event, Event::Claim | Event::End(_) | Event::Orphan);
        let moves = moves(&event, NOW);
        let steps = moves.iter().filter(|step| step.from == Shape::of(&job, NOW)).collect::<Vec<_>>();
        let next = lead(&job, &event).filter(|_| in_bulk);
        prop_assert_eq!(steps.len(), usize::from(next.is_some()));
        if let (Some(step), Some(next)) = (steps.first(), next) {
            prop_assert_eq!(&step.why, &next.why);
            prop_assert_eq!(follow(&job, step), next.standing(job.held));
        }
    }
}
