//! One large mailbox that is read over several connections to a slow source, and written over one: faster, exact, and in
//! the source's order, whatever becomes of the connections.

use crate::harness::USER;
use crate::stage::Stage;
use mailhaul_testing::dovecot::Dovecot;
use mailhaul_testing::imap_client::{Client, Outgoing};
use mailhaul_testing::proxy::{Cut, Direction, Plan, Reply, Statistics, Which};
use std::time::Duration;

/// So long anything may take.
const LONG: Duration = Duration::from_secs(180);
/// What one connection of the source hands out, in octets a second.
const SLOW: u64 = 700_000;
const MESSAGES: u32 = 560;

/// INBOX with some MiB, and nothing else, or two empty mailboxes; each connection of the source is slow.
fn slow_stage(alone: bool) -> Stage {
    let stage = Stage::with_messages(0);
    let mut client = Client::sign_in(stage.source.address(), USER, stage.source.password()).expect("sign in");
    if alone {
        for mailbox in ["Archive/2019 été", "Archive"] {
            client.delete(mailbox).expect("delete");
        }
    }
    let filler = "All work and no play makes Jack a dull boy.\r\n".repeat(400);
    let text = |number: u32| format!("Message-ID: <{number}@x>\r\nSubject: {number}\r\n\r\n{number}\r\n{filler}");
    let texts: Vec<String> = (0..MESSAGES).map(text).collect();
    for part in texts.chunks(100) {
        let outgoing: Vec<Outgoing<'_>> =
            part.iter().map(|text| Outgoing { flags: &[], date: None, octets: text.as_bytes() }).collect();
        client.append_all("INBOX", &outgoing).expect("append");
    }
    stage.source_proxy.set_plan(slow());
    stage
}

fn slow() -> Plan {
    Plan::new().bandwidth(Direction::ToClient, SLOW)
}

/// The numbers of the messages in INBOX, in the order of their UIDs.
fn numbers(server: &Dovecot) -> Vec<u32> {
    let mut client = Client::sign_in(server.address(), USER, server.password()).expect("sign in");
    client.examine("INBOX").expect("examine");
    let fetched = client.fetch_all().expect("fetch");
    let number = |text: &str| text.lines().find_map(|line| line.strip_prefix("Subject: ")?.trim().parse().ok());
    fetched.iter().map(|mail| number(&String::from_utf8_lossy(&mail.octets)).expect("a number")).collect()
}

fn assert_exact_and_in_order(stage: &Stage) {
    stage.source_proxy.set_plan(Plan::new());
    stage.assert_exact();
    assert_eq!(numbers(&stage.target), (0..MESSAGES).collect::<Vec<u32>>());
}

/// Whether a further connection has the mailbox open and asks for something.
fn reads_together(statistics: &Statistics) -> bool {
    statistics.count("EXAMINE") >= 2 && statistics.connections > statistics.ended + 1
}

#[test]
fn one_mailbox_is_read_over_several_connections_and_written_over_one() {
    for (alone, most) in [(true, 3), (false, 2)] {
        let stage = slow_stage(alone);
        stage.bench.copy_completely(&["--connections", &most.to_string(), "--compress", "off"]);
        let (source, target) = (stage.source_proxy.statistics(), stage.target_proxy.statistics());
        assert!(source.connections > target.connections, "{source:?} {target:?}");
        assert!((2..=most).contains(&source.connections_peak), "{} at once", source.connections_peak);
        if alone {
            assert_eq!(target.connections, 1);
        }
        assert_exact_and_in_order(&stage);
    }
}

#[test]
fn one_connection_stays_one_where_no_more_are_allowed() {
    let stage = slow_stage(true);
    stage.bench.copy_completely(&["--connections", "1"]);
    assert_eq!(stage.source_proxy.statistics().connections, 1);
    assert_exact_and_in_order(&stage);
}

#[test]
fn a_further_connection_that_is_lost_in_the_middle_leaves_no_gap() {
    let stage = slow_stage(true);
    // The second connection ends within its mail, and so does every later one.
    let cut = |octets| slow().cut_after_bytes(Direction::ToClient, octets, Cut::Rst);
    stage.source_proxy.set_next_plans([slow(), cut(600_000), cut(700_000), cut(800_000)]);
    stage.bench.copy_completely(&["--connections", "2", "--compress", "off"]);
    let (source, target) = (stage.source_proxy.statistics(), stage.target_proxy.statistics());
    assert!(source.faults > 0 && source.count("EXAMINE") >= 2, "{source:?}");
    assert_eq!(target.connections, 1, "the run's own connections have gone on");
    assert_exact_and_in_order(&stage);
}

#[test]
fn a_further_connection_that_crawls_keeps_nobody_waiting() {
    let stage = slow_stage(true);
    // At this pace what it is asked for would take hours, and it is never silent.
    let crawling = || Plan::new().bandwidth(Direction::ToClient, 700);
    stage.source_proxy.set_next_plans([slow(), crawling(), crawling(), crawling()]);
    stage.bench.copy_completely(&["--connections", "2", "--compress", "off"]);
    assert_eq!(stage.target_proxy.statistics().connections, 1);
    assert_exact_and_in_order(&stage);
}

#[test]
fn when_every_connection_is_cut_while_several_read_all_are_made_again() {
    let stage = slow_stage(true);
    let child = stage.bench.start_copy(&["--connections", "3", "--json", "--compress", "off"]);
    assert!(stage.source_proxy.wait_until(reads_together, LONG), "{:?}", stage.source_proxy.statistics());
    stage.source_proxy.cut_all(Cut::Rst);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_exact_and_in_order(&stage);
}

#[test]
fn a_further_sign_in_that_is_refused_is_not_tried_again() {
    let stage = slow_stage(true);
    let full = Reply::tagged("NO [UNAVAILABLE] Maximum number of connections exceeded");
    let refused = || {
        let full = full.clone();
        slow().reply("AUTHENTICATE", Which::From(1), full.clone()).reply("LOGIN", Which::From(1), full)
    };
    stage.source_proxy.set_next_plans([slow(), refused(), refused(), refused()]);
    stage.bench.copy_completely(&["--connections", "4", "--compress", "off"]);
    assert_eq!(stage.source_proxy.statistics().connections, 2);
    assert_exact_and_in_order(&stage);
}

#[test]
fn a_process_that_is_killed_while_several_read_loses_and_doubles_nothing() {
    let stage = slow_stage(true);
    let mut child = stage.bench.start_copy(&["--connections", "3", "--compress", "off"]);
    assert!(stage.source_proxy.wait_until(reads_together, LONG), "{:?}", stage.source_proxy.statistics());
    let before = stage.appends();
    assert!(stage.target_proxy.wait_until(|now| now.count("APPEND") > before, LONG));
    child.kill().expect("it can be killed");
    child.wait().expect("it is gone");
    stage.copy_completely();
    assert_exact_and_in_order(&stage);
}
