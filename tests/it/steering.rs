//! An operator's word while the work goes on: limits, windows, pause, resume, cancel. It takes effect at once, in every
//! state, survives the process, and never leaves a message in flight.

use crate::fleet::{Fleet, Job, PATIENCE, WAVE, until, until_in};
use crate::records::most_at_once;
use mailhaul_testing::dovecot::Dovecot;
use mailhaul_testing::judge::Rules;
use mailhaul_testing::many::ManyAccounts;
use mailhaul_testing::proxy::Plan;
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// How long an operator's word may take on a machine that others keep busy. At rest it takes a fraction of a second: the
/// time is printed (`--nocapture`), and not asserted.
const AT_ONCE: Duration = Duration::from_secs(12);
/// How long a limit that was lowered may take there: running work is put down at the end of a batch.
const SOON: Duration = Duration::from_secs(15);

/// A fleet whose target is far away: an account takes some seconds, and putting it down one or two round trips.
fn fleet(accounts: usize) -> Fleet {
    let fleet = Fleet::of(ManyAccounts::new(accounts).mails(20));
    fleet.target.set_plan(far_away());
    fleet
}

fn far_away() -> Plan {
    Plan::new().delay(Duration::from_millis(75), Duration::from_millis(75))
}

fn fast(fleet: &Fleet) {
    fleet.target.set_plan(Plan::new());
}

fn in_state(jobs: &[Job], standing: &str) -> usize {
    jobs.iter().filter(|job| job.standing() == standing).count()
}

fn running(jobs: &[Job]) -> usize {
    in_state(jobs, "running")
}

#[test]
fn a_lowered_limit_sheds_running_work_and_a_raised_one_lets_it_in_again() {
    let fleet = fleet(14);
    // So far away that none of the first ten is done by itself before a limit has to take effect.
    let one_way = Duration::from_millis(200);
    fleet.target.set_plan(Plan::new().delay(one_way, one_way));
    fleet.done(&["endpoint", "set", "old", "--max-connections", "10"]);
    let mut run = fleet.start_run(&["--workers", "12"]);
    fleet.wait_for_jobs("ten run", PATIENCE, |jobs| running(jobs) == 10);
    fleet.done(&["endpoint", "set", "old", "--max-connections", "3"]);
    fleet.wait_for_jobs("three are left", SOON, |jobs| running(jobs) == 3);
    let jobs = fleet.jobs();
    let put_down = jobs.iter().filter(|job| job.state == "queued" && job.attempts > 0).count();
    assert!(put_down == 7 && jobs.iter().all(|job| job.attempts_charged == 0), "{jobs:#?}");
    // The wire follows what the queue says.
    let open = || fleet.source.statistics().connections - fleet.source.statistics().ended;
    until("the other connections are closed", SOON, || open() <= 3);
    fleet.done(&["endpoint", "set", "old", "--max-connections", "10"]);
    fleet.wait_for_jobs("ten run again", SOON, |jobs| running(jobs) == 10);
    fast(&fleet);
    let said = run.ended_within(PATIENCE);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(most_at_once(&fleet.state()), 10);
    fleet.assert_exact();
}

/// A minute of the week that is days away.
fn a_window_far_away() -> String {
    let day = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).strftime("%a").to_string();
    let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let today = days.iter().position(|name| *name == day).expect("a day of the week");
    format!("{} 11:00-11:01 UTC", days[(today + 3) % 7])
}

#[test]
fn a_window_that_closes_puts_work_down_and_one_that_opens_takes_it_up() {
    let fleet = fleet(8);
    let mut run = fleet.start_run(&["--workers", "4"]);
    fleet.wait_for_jobs("four run", PATIENCE, |jobs| running(jobs) == 4);
    fleet.done(&["endpoint", "set", "new", "--window", &a_window_far_away()]);
    fleet.wait_for_jobs("all wait", SOON, |jobs| in_state(jobs, "waiting (window)") + in_state(jobs, "done") == 8);
    assert_eq!(fleet.in_flight(), Vec::<String>::new());
    let name = fleet.jobs_in("window")[0].account.clone();
    let why = fleet.done(&["explain", &name]).stdout;
    assert!(why.contains("window") || why.contains("hours"), "{why}");
    assert!(run.has_ended().is_none(), "a wave that waits for a known moment has not settled");
    fast(&fleet);
    fleet.done(&["endpoint", "set", "new", "--window", "none"]);
    let said = run.ended_within(PATIENCE);
    assert_eq!(said.code, 0, "{said:?}");
    fleet.assert_exact();
}

/// Pauses with these words, shows that everything they cover stops and nothing is in flight, also over the end of the
/// process and the beginning of another one, and that it goes on after the same words to resume.
fn pauses_and_resumes(whom: &[&str], covered: impl Fn(&Job) -> bool) {
    let fleet = fleet(8);
    let mut run = fleet.start_run(&["--workers", "4"]);
    fleet.wait_for_jobs("four run", PATIENCE, |jobs| running(jobs) == 4);
    let paused = |jobs: &[Job]| {
        jobs.iter().filter(|job| covered(job)).all(|job| matches!(job.state.as_str(), "paused" | "done"))
    };
    fleet.done(&[&["pause"], whom, &["--reason", "the disk is being changed"]].concat());
    fleet.wait_for_jobs("paused", AT_ONCE, paused);
    let jobs = fleet.jobs();
    assert!(jobs.iter().any(|job| covered(job) && job.state == "paused" && job.attempts_charged == 0), "{jobs:#?}");
    if jobs.iter().all(&covered) {
        assert_eq!(fleet.in_flight(), Vec::<String>::new());
        run.ended_within(PATIENCE);
    } else {
        run.send(Signal::TERM);
        run.ended_within(Duration::from_secs(10));
    }
    fast(&fleet);
    let mut again = fleet.start_run(&[]);
    fleet.wait_for_jobs("still paused, and the others done", PATIENCE, |jobs| {
        jobs.iter().all(|job| if covered(job) { paused(std::slice::from_ref(job)) } else { job.state == "done" })
    });
    again.ended_within(PATIENCE);
    fleet.done(&[&["resume"], whom].concat());
    fleet.wait_for_jobs("in line again", AT_ONCE, |jobs| in_state(jobs, "paused") == 0);
    fleet.run_completely(&[]);
    fleet.assert_exact();
}

#[test]
fn one_account_is_paused_and_resumed() {
    pauses_and_resumes(&["--account", "u0002"], |job| job.account == "u0002");
}

#[test]
fn a_wave_is_paused_and_resumed() {
    pauses_and_resumes(&["--wave", WAVE], |_| true);
}

#[test]
fn an_endpoint_is_paused_and_resumed() {
    pauses_and_resumes(&["--endpoint", "new"], |_| true);
}

#[test]
fn everything_is_paused_and_resumed() {
    pauses_and_resumes(&["--all"], |_| true);
}

#[test]
fn resumed_while_the_process_runs_the_work_goes_on_at_once() {
    let fleet = fleet(6);
    let mut serve = fleet.start_serve(&["--workers", "3"]);
    let mut run = fleet.start_run(&["--workers", "1"]);
    fleet.wait_for_jobs("four run", PATIENCE, |jobs| running(jobs) == 4);
    fleet.done(&["pause", "--all"]);
    fleet.wait_for_jobs("nothing runs", AT_ONCE, |jobs| running(jobs) == 0);
    assert_eq!(fleet.in_flight(), Vec::<String>::new());
    run.ended_within(PATIENCE);
    fleet.done(&["resume", "--all"]);
    fleet.wait_for_jobs("three run", AT_ONCE, |jobs| running(jobs) == 3);
    fast(&fleet);
    fleet.wait_for_jobs("all are done", PATIENCE, |jobs| in_state(jobs, "done") == 6);
    serve.send(Signal::TERM);
    serve.ended_within(Duration::from_secs(10));
    fleet.assert_exact();
}

#[test]
fn what_is_cancelled_stops_in_every_state_and_stays_stopped() {
    let fleet = fleet(6);
    let mut run = fleet.start_run(&["--workers", "3"]);
    fleet.wait_for_jobs("three run", PATIENCE, |jobs| running(jobs) == 3);
    let jobs = fleet.jobs();
    let one = |state: &str| jobs.iter().find(|job| job.state == state).expect(state).account.clone();
    let (runs, queued) = (one("running"), one("queued"));
    for account in [&runs, &queued] {
        fleet.done(&["cancel", "--account", account]);
    }
    let cancelled = |jobs: &[Job]| {
        [&runs, &queued].iter().all(|name| jobs.iter().any(|job| job.account == **name && job.state == "cancelled"))
    };
    fleet.wait_for_jobs("both are cancelled", AT_ONCE, cancelled);
    let (goes_on, rest) = (run.has_ended().is_none(), fleet.jobs());
    assert!(goes_on && running(&rest) == 3, "the others go on: {rest:#?}");
    fast(&fleet);
    run.ended_within(PATIENCE);
    fleet.run(&[]);
    let jobs = fleet.jobs();
    assert_eq!((in_state(&jobs, "done"), in_state(&jobs, "cancelled")), (4, 2), "{jobs:#?}");
    assert_eq!(fleet.in_flight(), Vec::<String>::new());
    fleet.servers.judge().assert_equal_except(&[&runs, &queued]);
    for account in [&runs, &queued] {
        fleet.done(&["retry", "--account", account]);
    }
    fleet.run_completely(&[]);
    fleet.assert_exact();
}

/// Stops a server while it is needed, and starts it again when everybody has noticed.
fn goes_away_for_a_while(server: impl Fn(&mut Fleet) -> &mut Dovecot) {
    let mut fleet = fleet(12);
    let mut run = fleet.start_run(&["--workers", "6"]);
    fleet.wait_for_jobs("six run", PATIENCE, |jobs| running(jobs) == 6);
    server(&mut fleet).stop();
    fleet.wait_for_jobs("everybody waits for the server", PATIENCE, |jobs| {
        jobs.iter().all(|job| job.state == "done" || matches!(job.reason.as_deref(), Some("back_off" | "host_limit")))
    });
    assert!(run.has_ended().is_none());
    server(&mut fleet).restart();
    fast(&fleet);
    assert!(until_in(PATIENCE, || run.has_ended().is_some()), "{:#?}", fleet.unfinished());
    let said = run.ended_within(PATIENCE);
    assert_eq!(said.code, 0, "{said:?}");
    fleet.assert_exact();
}

#[test]
fn a_source_that_goes_away_for_a_while_delays_and_breaks_nothing() {
    goes_away_for_a_while(|fleet| &mut fleet.servers.source);
}

#[test]
fn a_target_that_goes_away_for_a_while_delays_and_breaks_nothing() {
    goes_away_for_a_while(|fleet| &mut fleet.servers.target);
}

#[test]
fn what_waits_for_a_moment_is_paused_resumed_and_cancelled_too() {
    let fleet = Fleet::of(ManyAccounts::new(3).mails(4));
    let tomorrow = (jiff::Timestamp::now() + Duration::from_secs(86_400)).to_string();
    fleet.done(&["run", "--wave", WAVE, "--detach", "--start-after", &tomorrow]);
    let standing = |number: usize| fleet.copies()[&fleet.account(number).name].standing();
    let job = |number: usize| fleet.copies()[&fleet.account(number).name].id.to_string();
    assert_eq!(standing(1), "waiting (schedule)");
    fleet.done(&["pause", "--job", &job(1), "--reason", "on leave"]);
    fleet.done(&["cancel", "--job", &job(2)]);
    assert_eq!([standing(1), standing(2), standing(3)], ["paused", "cancelled", "waiting (schedule)"]);
    fleet.done(&["resume", "--job", &job(1)]);
    assert_eq!(standing(1), "waiting (schedule)", "it remembers what it waited for");
    fleet.done(&["wave", "set", WAVE, "--start-after", "now"]);
    let said = fleet.run(&[]);
    assert!(said.code == 0 && said.stdout.contains("1 was cancelled"), "it is named, and needs nobody: {said:?}");
    assert_eq!([standing(1), standing(2), standing(3)], ["done", "cancelled", "done"]);
    assert_eq!(fleet.sent(), 8);
}

#[test]
fn accounts_join_a_wave_that_is_at_work() {
    let fleet = Fleet::without_endpoints(ManyAccounts::new(8).mails(20));
    fleet.target.set_plan(far_away());
    fleet.add_endpoints(&[]);
    let list = fleet.servers.csv();
    let first: Vec<&str> = list.lines().take(1 + 4).collect();
    fleet.import(&first.join("\n"), &[]);
    let mut run = fleet.start_run(&[]);
    fleet.wait_for_jobs("four run", PATIENCE, |jobs| running(jobs) == 4);
    fleet.import(&list, &[]);
    fleet.wait_for_jobs("eight run", SOON, |jobs| running(jobs) == 8);
    fast(&fleet);
    let said = run.ended_within(PATIENCE);
    assert_eq!((said.code, fleet.jobs().len()), (0, 8), "{said:?}");
    fleet.assert_exact();
}

#[test]
fn changed_options_take_effect_while_the_work_goes_on() {
    let fleet = fleet(6);
    let mut run = fleet.start_run(&["--workers", "3"]);
    fleet.wait_for_jobs("three run", PATIENCE, |jobs| running(jobs) == 3);
    fleet.done(&["wave", "set", WAVE, "--exclude", "Sent"]);
    fast(&fleet);
    let said = run.ended_within(PATIENCE);
    assert_eq!(said.code, 0, "{said:?}");
    let left_out = Rules::new().leave_out("Sent", "the wave's options say so since the first copies began");
    let judged = fleet.servers.judge_with(&left_out);
    // Whose Sent had been begun before has it, or a part of it.
    let later: Vec<_> = fleet.servers.accounts[3..].iter().map(|account| judged.of(&account.name)).collect();
    assert!(later.iter().all(|judgement| judgement.is_equal()), "{judged}");
    assert_eq!(judged.surplus(), 0, "{judged}");
    assert!(fleet.copies().values().all(|job| job.attempts_charged == 0), "{:#?}", fleet.jobs());
}

#[test]
fn an_allowance_for_the_day_is_kept_and_a_larger_one_is_taken_up() {
    let fleet = Fleet::of(ManyAccounts::new(3).mails(40));
    fleet.done(&["endpoint", "set", "old", "--account-bytes-per-day", "20K"]);
    let mut run = fleet.start_run(&[]);
    fleet.wait_for_jobs("all have used it up", PATIENCE, |jobs| in_state(jobs, "waiting (allowance)") == 3);
    assert_eq!(fleet.in_flight(), Vec::<String>::new());
    let sent = fleet.sent();
    assert!(sent < 120, "everything was sent, {sent} messages: nothing was kept back");
    fleet.done(&["endpoint", "set", "old", "--account-bytes-per-day", "none"]);
    let said = run.ended_within(PATIENCE);
    assert_eq!(said.code, 0, "{said:?}");
    fleet.assert_exact();
}

#[test]
fn a_rate_is_kept_by_all_together() {
    let fleet = Fleet::of(ManyAccounts::new(4).mails(20));
    fleet.done(&["endpoint", "set", "new", "--messages-per-second", "20"]);
    let began = Instant::now();
    fleet.run_completely(&["--workers", "1"]);
    // A second's worth is free at first, and nobody waits for what the last batch took.
    let least = Duration::from_secs((80 - 20 - 12) / 20);
    assert!(began.elapsed() > least, "80 messages in {:?}", began.elapsed());
    fleet.assert_exact();
}
