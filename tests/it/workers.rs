//! Processes that die, hang, stop and share: nothing is lost, nothing is doubled, and somebody goes on.

use crate::fleet::{Fleet, Job, PATIENCE, Random, WAVE, Worker, until};
use crate::records::{is_writable, most_at_once};
use mailhaul_testing::many::ManyAccounts;
use mailhaul_testing::proxy::{Direction, Event, Plan, Reply, UserPlan};
use rustix::process::Signal;
use std::time::Duration;

/// A fleet whose target takes mail slowly, so that there is time to do something to those who bring it.
fn slow_fleet(accounts: usize, bytes_per_sec: u64) -> Fleet {
    let fleet = Fleet::of(ManyAccounts::new(accounts).mails(20));
    slow_down(&fleet, bytes_per_sec);
    fleet
}

fn slow_down(fleet: &Fleet, bytes_per_sec: u64) {
    fleet.target.set_plan(Plan::new().bandwidth(Direction::ToServer, bytes_per_sec));
}

fn running(fleet: &Fleet) -> Vec<Job> {
    fleet.jobs_in("running")
}

/// Kills the process again and again, after so many octets as the seed says, and lets another one begin.
fn kill_at_random_moments(seed: u64, kills: usize) {
    let fleet = slow_fleet(16, 60_000);
    let mut random = Random(seed);
    let mut died_at_work = 0;
    for _ in 0..kills {
        let mut run = fleet.start_run(&["--workers", "6"]);
        let (proxy, direction, further) = match random.below(3) {
            0 => (&fleet.source, Direction::ToClient, random.below(120_000)),
            1 => (&fleet.target, Direction::ToServer, random.below(100_000)),
            _ => (&fleet.target, Direction::ToClient, random.below(4_000)),
        };
        let now = proxy.statistics().bytes(direction);
        let _reached = proxy.wait_at_most(&Event::Bytes(direction, now + further), Duration::from_secs(4));
        died_at_work += usize::from(run.kill());
        assert_eq!(fleet.servers.judge().surplus(), 0, "seed {seed}: something is doubled");
    }
    assert!(died_at_work >= kills / 2, "only {died_at_work} of {kills} kills met a process at work");
    slow_down(&fleet, 10_000_000);
    fleet.run(&[]);
    // Three deaths in a row are suspicious, even of a job that only happened to be there.
    let crashed = |job: &Job| job.standing() == "failed (crashed)";
    assert!(fleet.copies().values().all(|job| job.state == "done" || crashed(job)), "{:#?}", fleet.unfinished());
    fleet.done(&["retry", "--class", "crashed"]);
    fleet.run_completely(&[]);
    fleet.assert_exact();
}

#[test]
fn a_wave_survives_kills_at_random_moments() {
    kill_at_random_moments(1, 5);
}

#[test]
#[ignore = "long: `make test-long`"]
fn a_wave_survives_many_kills_at_random_moments() {
    for seed in 2..12 {
        kill_at_random_moments(seed, 12);
    }
}

#[test]
fn a_job_during_which_the_process_dies_three_times_is_put_aside_with_its_evidence() {
    let fleet = Fleet::of(ManyAccounts::new(5).mails(8));
    let deadly = fleet.account(3).clone();
    fleet.source.set_user_plan(&deadly.source_user, UserPlan::new().sign_in(Reply::silence()));
    for death in 1..=3 {
        let mut run = fleet.start_run(&[]);
        fleet.wait_for_jobs("only one account runs", PATIENCE, |jobs| {
            jobs.iter().all(|job| job.state == if job.account == deadly.name { "running" } else { "done" })
                && jobs.iter().any(|job| job.account == deadly.name && job.crashes + 1 == death)
        });
        assert!(run.kill());
    }
    let said = fleet.run(&[]);
    assert_ne!(said.code, 0, "{said:?}");
    let jobs = fleet.copies();
    let job = &jobs[&deadly.name];
    assert_eq!((job.standing().as_str(), job.crashes), ("failed (crashed)", 3), "{job:?}");
    assert!(job.words.contains("died while running it, 3 times in a row"), "the evidence: {}", job.words);
    fleet.servers.judge().assert_equal_except(&[&deadly.name]);

    fleet.source.clear_user_plan(&deadly.source_user);
    fleet.done(&["retry", "--account", &deadly.name]);
    fleet.run_completely(&[]);
    fleet.assert_exact();
}

#[test]
fn two_processes_share_a_wave_within_its_limits() {
    let fleet = Fleet::without_endpoints(ManyAccounts::new(24).mails(20));
    slow_down(&fleet, 100_000);
    fleet.add_endpoints(&["--max-connections", "6"]);
    fleet.import(&fleet.servers.csv(), &[]);
    let mut first = fleet.start_run(&["--workers", "5"]);
    until("the first process works", PATIENCE, || !running(&fleet).is_empty());
    let mut second = fleet.start_serve(&["--workers", "5"]);
    fleet.wait_for_jobs("both are at work", PATIENCE, |jobs| {
        jobs.iter().filter(|job| job.state == "running").count() == 6
    });
    let said = first.ended_within(PATIENCE);
    assert_eq!(said.code, 0, "{said:?}");
    second.send(Signal::TERM);
    second.ended_within(Duration::from_secs(10));
    assert_eq!(most_at_once(&fleet.state()), 6, "all connections are used, and not one more");
    for (proxy, user) in [(&fleet.source, "source"), (&fleet.target, "target")] {
        let statistics = proxy.statistics();
        // A connection that is just being closed counts a moment longer.
        assert!(statistics.connections_peak <= 6 + 2, "{user}: {} connections at once", statistics.connections_peak);
        let twice: Vec<_> = statistics.users.iter().filter(|(_, user)| user.open_peak > 1).collect();
        assert!(twice.is_empty(), "an account was worked on twice at once: {twice:?}");
    }
    fleet.assert_exact();
}

#[test]
fn what_a_killed_process_did_is_taken_over_by_the_one_beside_it() {
    let fleet = slow_fleet(12, 10_000);
    // Real lengths: a process that is gone for certain loses its jobs without waiting for a lease.
    let mut first = fleet.start_run(&["--workers", "4"]);
    until("the first process works on four", PATIENCE, || running(&fleet).len() == 4);
    let mut second = fleet.start_run(&["--workers", "4"]);
    until("both work", PATIENCE, || running(&fleet).len() == 8);
    let before: Vec<i64> = running(&fleet).iter().map(|job| job.id).collect();
    assert!(first.kill());
    let orphans = || fleet.jobs().into_iter().filter(|job| before.contains(&job.id) && job.crashes > 0).count();
    until("its jobs are taken over", Duration::from_secs(10), || orphans() >= 3);
    slow_down(&fleet, 10_000_000);
    let said = second.ended_within(PATIENCE);
    assert_eq!(said.code, 0, "{said:?}");
    fleet.assert_exact();
}

/// Stops a process at a moment at which it does not hold the lock of the state file: nobody could work beside it then,
/// nor be harmed by it.
fn stop_outside_of_a_transaction(fleet: &Fleet, worker: &Worker) {
    until("the process is stopped outside of a transaction", PATIENCE, || {
        worker.send(Signal::STOP);
        let writable = is_writable(&fleet.state());
        if !writable {
            worker.send(Signal::CONT);
        }
        writable
    });
}

#[test]
fn a_process_that_was_stopped_for_longer_than_its_lease_writes_nothing_more() {
    let fleet = Fleet::of(ManyAccounts::new(6).mails(20));
    // Mail comes slowly and goes quickly: whoever is stopped has an open APPEND, and more for it when it wakes up.
    fleet.source.set_plan(Plan::new().bandwidth(Direction::ToClient, 5_000));
    let mut stopped = fleet.start_run(&["--workers", "3", "--lease-ms", "1000"]);
    fleet.target.wait_for(&Event::AppendedMessage(8));
    stop_outside_of_a_transaction(&fleet, &stopped);
    let theirs: Vec<i64> = running(&fleet).iter().map(|job| job.id).collect();
    assert!(!theirs.is_empty(), "it was stopped too late");
    fleet.source.set_plan(Plan::new());
    let mut second = fleet.start_run(&["--lease-ms", "1000"]);
    let said = second.ended_within(PATIENCE);
    assert_eq!(said.code, 0, "{said:?}");
    let jobs = fleet.jobs();
    let taken = jobs.iter().filter(|job| theirs.contains(&job.id));
    assert!(taken.clone().count() > 0 && taken.clone().all(|job| job.crashes == 0 && job.attempts > 1), "{jobs:#?}");
    fleet.servers.judge().assert_equal();

    // What is begun and never completed is stored by no server.
    let completed = || fleet.target.statistics().forwarded.get("APPEND").copied();
    let before = completed();
    stopped.send(Signal::CONT);
    stopped.ended_within(Duration::from_secs(20));
    assert_eq!(completed(), before, "it completed an APPEND after it had lost its lease");
    fleet.servers.judge().assert_equal();
    fleet.assert_exact();
}

/// Ends a process in good order while it works, and shows that nothing was charged or left in flight.
fn ends_in_good_order(mut worker: Worker, fleet: &Fleet) {
    fleet.target.wait_for(&Event::AppendedMessage(10));
    // An earlier process may have brought these ten.
    until("three jobs are at work", PATIENCE, || running(fleet).len() >= 3);
    worker.send(Signal::TERM);
    let said = worker.ended_within(Duration::from_secs(10));
    let jobs = fleet.jobs();
    assert!(jobs.iter().all(|job| matches!(job.state.as_str(), "queued" | "done")), "{jobs:#?}");
    assert!(jobs.iter().any(|job| job.state == "queued" && job.attempts > 0), "nothing was put down: {jobs:#?}");
    assert!(jobs.iter().all(|job| job.attempts_charged == 0 && job.crashes == 0), "{jobs:#?}");
    assert_eq!(fleet.in_flight(), Vec::<String>::new(), "{said:?}");
    slow_down(fleet, 10_000_000);
    fleet.run_completely(&[]);
    fleet.assert_exact();
}

#[test]
fn run_ends_within_ten_seconds_of_sigterm_and_charges_nothing() {
    let fleet = slow_fleet(10, 10_000);
    let run = fleet.start_run(&["--workers", "4"]);
    ends_in_good_order(run, &fleet);
}

#[test]
fn serve_ends_within_ten_seconds_of_sigterm_and_charges_nothing() {
    let fleet = slow_fleet(10, 10_000);
    let mut run = fleet.start_run(&["--workers", "1"]);
    until("the jobs are queued", PATIENCE, || !fleet.jobs().is_empty());
    run.send(Signal::TERM);
    run.ended_within(Duration::from_secs(10));
    let serve = fleet.start_serve(&["--workers", "4"]);
    ends_in_good_order(serve, &fleet);
}

#[test]
fn a_panic_while_one_session_is_prepared_ends_that_attempt_alone() {
    let fleet = Fleet::of(ManyAccounts::new(3).mails(5));
    let mut command = fleet.command(&["run", "--wave", WAVE, "--poll-ms", "50", "--pause-percent", "1"]);
    command.env("MAILHAUL_FAILPOINT", "target AUTHENTICATE sent:1:panic");
    let output = command.output().expect("it can be started");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("made to panic"), "{stderr}");
    // The others never noticed, and it was tried again like any other attempt that failed.
    let standings: Vec<String> = fleet.copies().values().map(Job::standing).collect();
    assert_eq!(standings, ["done", "done", "done"], "{stderr}");
    assert!(fleet.copies().values().any(|job| job.attempts > 1), "nobody was tried again");
    fleet.assert_exact();
}
