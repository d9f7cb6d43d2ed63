//! Copies over compressed lines: cut anywhere, answers lost, processes killed, and nothing is lost and nothing doubled.

use crate::stage::{Stage, fill};
use mailhaul_testing::dovecot::Dovecot;
use mailhaul_testing::proxy::{Cut, Direction, Fault, Moment, Plan, Proxy, Reply, Which};
use std::time::Duration;

/// So long anything may take.
const LONG: Duration = Duration::from_secs(120);

/// Two servers that offer compression, and copies that insist on it.
fn stage(messages: u32) -> Stage {
    let server = || Dovecot::builder().compress();
    Stage::between(messages, server(), server(), vec!["--timeout", "5", "--compress", "on"])
}

/// A mailbox that takes a few seconds over its line, which has a round trip of six milliseconds.
fn slow_line(line: Plan) -> Stage {
    let server = || Dovecot::builder().compress();
    let stage = Stage::between(0, server(), server(), vec!["--timeout", "20", "--connections", "1"]);
    fill(&stage.source, "Large", 8_000);
    let delay = Duration::from_millis(3);
    stage.source_proxy.set_plan(line.delay(delay, delay).bandwidth(Direction::ToClient, 1_500_000));
    stage
}

fn asked_for_compression(proxy: &Proxy) -> u32 {
    proxy.statistics().count("COMPRESS")
}

#[test]
fn a_compressed_copy_is_exact_and_sends_less() {
    let stage = stage(150);
    stage.copy_completely();
    assert!(asked_for_compression(&stage.source_proxy) > 0 && asked_for_compression(&stage.target_proxy) > 0);
    let compressed = (stage.source_proxy.statistics().bytes_to_client, stage.target_proxy.statistics().bytes_to_server);
    stage.assert_exact();
    let plain = Stage::with_messages(150);
    plain.copy_completely();
    let (from, to) = (plain.source_proxy.statistics().bytes_to_client, plain.target_proxy.statistics().bytes_to_server);
    assert!(compressed.0 < from / 2 && compressed.1 < to / 2, "{compressed:?} of {from} and {to} octets");
}

#[test]
fn survives_cuts_of_compressed_lines_anywhere() {
    let sides: [fn(&Stage) -> &Proxy; 2] = [|stage| &stage.source_proxy, |stage| &stage.target_proxy];
    let first = stage(150);
    first.copy_completely();
    for (side, cut) in [(sides[0], Cut::Fin), (sides[1], Cut::Rst)] {
        let went = side(&first).statistics();
        for (direction, octets) in
            [(Direction::ToClient, went.bytes_to_client), (Direction::ToServer, went.bytes_to_server)]
        {
            for sixth in [2, 3, 4, 5] {
                let stage = stage(150);
                let at = octets * sixth / 6;
                side(&stage).set_next_plans([Plan::new().cut_after_bytes(direction, at, cut)]);
                let (code, json) = stage.copy();
                if code != 0 {
                    assert_eq!(code, 4, "{direction:?} cut at {at} of {octets} by {cut:?}: {json:#}");
                    stage.copy_completely();
                }
                stage.assert_exact();
            }
        }
    }
}

#[test]
fn finds_copies_whose_compressed_answers_never_arrived() {
    let first = stage(150);
    first.copy_completely();
    let octets = first.target_proxy.statistics().bytes_to_client;
    let stage = stage(150);
    let lost = (Moment::Bytes(Direction::ToClient, octets * 4 / 5), Fault::Swallow(Direction::ToClient));
    stage.target_proxy.set_next_plans([Plan::new().fault(lost.0, lost.1)]);
    stage.copy_completely();
    assert_eq!(stage.target_proxy.statistics().faults, 1);
    stage.assert_exact();
}

#[test]
fn a_process_that_is_killed_over_compressed_lines_loses_and_doubles_nothing() {
    let stage = stage(400);
    stage.source_proxy.set_plan(Plan::new().bandwidth(Direction::ToClient, 20_000));
    let mut child = stage.bench.start_copy(&["--compress", "on", "--connections", "1"]);
    // What is compressed cannot be counted in commands.
    let is_at_work = |now: &mailhaul_testing::proxy::Statistics| now.bytes_to_client > 30_000;
    assert!(stage.source_proxy.wait_until(is_at_work, LONG), "nothing flows");
    child.kill().expect("it can be killed");
    child.wait().expect("it is gone");
    stage.source_proxy.set_plan(Plan::new());
    stage.copy_completely();
    stage.assert_exact();
}

#[test]
fn a_slow_line_is_compressed_of_its_own_accord_and_one_next_door_is_not() {
    let stage = slow_line(Plan::new());
    stage.copy_completely();
    assert_eq!(asked_for_compression(&stage.source_proxy), 1);
    assert_eq!(asked_for_compression(&stage.target_proxy), 0);
    stage.source_proxy.set_plan(Plan::new());
    stage.assert_exact();
}

#[test]
fn a_server_that_refuses_compression_or_hangs_up_over_it_is_copied_all_the_same() {
    for reply in [Reply::tagged("NO [COMPRESSIONACTIVE] not today"), Reply::cut(Cut::Rst)] {
        let stage = slow_line(Plan::new().reply("COMPRESS", Which::From(1), reply));
        stage.copy_completely();
        assert!(asked_for_compression(&stage.source_proxy) >= 1);
        stage.source_proxy.set_plan(Plan::new());
        stage.assert_exact();
    }
}
