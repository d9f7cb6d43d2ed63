//! One account over several connections: faster where one connection is slow, and exact whatever becomes of them.

use crate::fleet::Fleet;
use crate::stage::{Stage, fill};
use mailhaul_testing::many::ManyAccounts;
use mailhaul_testing::proxy::{Cut, Direction, Plan, Statistics};
use std::time::Duration;

/// So long anything may take.
const LONG: Duration = Duration::from_secs(120);

/// Three mailboxes as everywhere, and eight more; each connection of the source is slow.
fn slow_stage() -> Stage {
    let stage = Stage::with_messages(40);
    for number in 1..=8 {
        fill(&stage.source, &format!("Folder {number}"), 40 + number);
    }
    stage.source_proxy.set_plan(Plan::new().bandwidth(Direction::ToClient, 150_000));
    stage
}

fn is_wide(statistics: &Statistics) -> bool {
    statistics.connections >= 2 && statistics.connections > statistics.ended + 1
}

#[test]
fn further_connections_are_opened_where_they_make_it_faster_and_never_more_than_allowed() {
    let stage = slow_stage();
    stage.bench.copy_completely(&["--connections", "3"]);
    for proxy in [&stage.source_proxy, &stage.target_proxy] {
        let peak = proxy.statistics().connections_peak;
        assert!((2..=3).contains(&peak), "{peak} connections at once");
    }
    stage.source_proxy.set_plan(Plan::new());
    stage.assert_exact();
}

#[test]
fn one_connection_is_one_connection() {
    let stage = slow_stage();
    stage.bench.copy_completely(&["--connections", "1"]);
    assert_eq!(stage.source_proxy.statistics().connections, 1);
    assert_eq!(stage.target_proxy.statistics().connections, 1);
}

#[test]
fn a_process_that_is_killed_with_several_connections_at_work_loses_and_doubles_nothing() {
    let stage = slow_stage();
    let mut child = stage.bench.start_copy(&["--connections", "4"]);
    assert!(stage.target_proxy.wait_until(is_wide, LONG), "no second connection");
    let before = stage.appends();
    assert!(stage.target_proxy.wait_until(|now| now.count("APPEND") > before + 1, LONG));
    child.kill().expect("it can be killed");
    child.wait().expect("it is gone");
    stage.source_proxy.set_plan(Plan::new());
    stage.copy_completely();
    stage.assert_exact();
}

#[test]
fn connections_that_are_cut_while_several_are_at_work_are_made_again() {
    for on_target in [true, false] {
        let stage = slow_stage();
        let child = stage.bench.start_copy(&["--connections", "4", "--json"]);
        assert!(stage.target_proxy.wait_until(is_wide, LONG), "no second connection");
        let proxy = if on_target { &stage.target_proxy } else { &stage.source_proxy };
        proxy.cut_all(Cut::Rst);
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        stage.source_proxy.set_plan(Plan::new());
        stage.assert_exact();
    }
}

#[test]
fn a_run_widens_an_account_by_slots_that_no_job_wants_and_not_where_connections_are_limited() {
    for (limits, wide) in [(&[][..], true), (&["--max-connections", "5"][..], false)] {
        let fleet = Fleet::without_endpoints(ManyAccounts::new(1).mails(400).mail_bytes(2_500));
        fleet.add_endpoints(limits);
        fleet.import(&fleet.servers.csv(), &[]);
        fleet.source.set_plan(Plan::new().bandwidth(Direction::ToClient, 150_000));
        fleet.run_completely(&["--workers", "2"]);
        let at_once = fleet.target.statistics().connections_peak;
        // One that is being closed may count a moment longer.
        assert!(if wide { (2..=3).contains(&at_once) } else { at_once <= 2 }, "{limits:?}: {at_once}");
        fleet.assert_exact();
    }
}
