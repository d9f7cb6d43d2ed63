//! Cut it, swallow its answers, take its memory away: nothing is lost and nothing is doubled.

use crate::harness::finish;
use crate::stage::{Stage, fill_more};
use mailhaul_testing::dovecot::Dovecot;
use mailhaul_testing::proxy::{Cut, Direction, Event, Plan, Proxy};
use std::time::Duration;

/// A small generator, so that a failure can be repeated from its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// The connection of one side ends after so many octets in one direction; the copier reconnects by itself.
fn cut_at_sampled_offsets(pick: fn(&Stage) -> &Proxy, direction: Direction, span: u64, seed: u64) {
    let mut random = Random(seed);
    for cut in [Cut::Fin, Cut::Rst, Cut::Fin, Cut::Rst] {
        let stage = Stage::with_messages(150);
        let offset = random.below(span);
        pick(&stage).set_next_plans([Plan::new().cut_after_bytes(direction, offset, cut)]);
        let (code, json) = stage.copy();
        // A cut before the first answer may also end the run; it must then say so and go on when asked again.
        if code != 0 {
            assert_eq!(code, 4, "cut at {offset} by {cut:?}: {json:#}");
            stage.copy_completely();
        }
        stage.assert_exact();
    }
}

#[test]
fn survives_cuts_of_what_the_source_sends() {
    cut_at_sampled_offsets(|stage| &stage.source_proxy, Direction::ToClient, 300_000, 11);
}

#[test]
fn survives_cuts_of_what_it_sends_to_the_source() {
    cut_at_sampled_offsets(|stage| &stage.source_proxy, Direction::ToServer, 900, 12);
}

#[test]
fn survives_cuts_of_what_the_target_sends() {
    cut_at_sampled_offsets(|stage| &stage.target_proxy, Direction::ToClient, 3_000, 13);
}

#[test]
fn survives_cuts_of_what_it_sends_to_the_target() {
    cut_at_sampled_offsets(|stage| &stage.target_proxy, Direction::ToServer, 300_000, 14);
}

#[test]
fn finds_copies_whose_answer_was_swallowed() {
    for nth in [1, 2] {
        let stage = Stage::with_messages(450);
        stage.target_proxy.set_next_plans([Plan::new().swallow_answer("APPEND", nth, Cut::Rst)]);
        stage.copy_completely();
        stage.assert_exact();
    }
}

#[test]
fn finds_copies_whose_answer_was_swallowed_by_a_target_that_names_no_uids() {
    for nth in [1, 2] {
        let stage = Stage::build(450, Dovecot::builder().without_capability("UIDPLUS"));
        stage.target_proxy.set_next_plans([Plan::new().swallow_answer("APPEND", nth, Cut::Fin)]);
        stage.copy_completely();
        stage.assert_exact();
    }
}

#[test]
fn finds_its_copies_when_the_state_is_deleted() {
    let stage = Stage::with_messages(120);
    stage.copy_completely();
    std::fs::remove_dir_all(stage.bench.state().parent().expect("a folder")).expect("the state is removed");
    let appends = stage.appends();
    let json = stage.copy_completely();
    assert_eq!(json["messages"]["adopted"], 360, "{json:#}");
    assert_eq!(stage.appends(), appends);
    stage.assert_exact();
}

#[test]
fn finds_its_copies_when_an_old_state_is_put_back() {
    let stage = Stage::with_messages(60);
    stage.copy_completely();
    let state = stage.bench.state();
    let folder = state.parent().expect("a folder").to_owned();
    let backup = stage.bench.folder.path().join("backup");
    copy_folder(&folder, &backup);
    fill_more(&stage.source, "Archive", 40);
    stage.copy_completely();
    std::fs::remove_dir_all(&folder).expect("the state is removed");
    copy_folder(&backup, &folder);
    let appends = stage.appends();
    let json = stage.copy_completely();
    assert_eq!((&json["messages"]["already"], &json["messages"]["adopted"]), (&180.into(), &40.into()), "{json:#}");
    assert_eq!(stage.appends(), appends);
    stage.assert_exact();
}

#[test]
fn keeps_what_is_settled_when_the_target_renumbers_its_mailbox() {
    let mut stage = Stage::with_messages(60);
    stage.copy_completely();
    stage.target.set_uid_validity(crate::harness::USER, "Archive", 77);
    stage.target.restart();
    fill_more(&stage.source, "Archive", 10);
    stage.copy_completely();
    stage.assert_exact();
}

#[test]
fn asks_before_it_goes_on_in_a_recreated_target_mailbox() {
    let stage = Stage::with_messages(30);
    stage.copy_completely();
    let mut client = mailhaul_testing::imap_client::Client::sign_in(
        stage.target.address(),
        crate::harness::USER,
        stage.target.password(),
    )
    .expect("sign in");
    client.delete("Archive/2019 été").expect("delete");
    // While nothing new has to be put into it, its owner has his way.
    let json = stage.copy_completely();
    assert!(json["remarks"].to_string().contains("is gone"), "{json:#}");
    fill_more(&stage.source, "Archive/2019 été", 1);
    let (code, json) = stage.copy();
    assert_eq!((code, json["verdict"].as_str()), (6, Some("stopped")), "{json:#}");
    assert_eq!(json["exceptions"][0]["state"], "mailbox_stopped");
    let (code, json) = stage.bench.copy(&["--accept-target-change"]);
    assert_eq!(code, 0, "{json:#}");
}

#[test]
fn a_second_process_on_the_same_pair_is_refused() {
    let stage = Stage::with_messages(20);
    stage.target_proxy.set_plan(Plan::new().delay(Duration::from_millis(150), Duration::from_millis(150)));
    let mut first = stage.bench.start_copy(&["--json"]);
    stage.target_proxy.wait_for(&Event::Connection(1));
    let second = finish(stage.bench.command("copy", &["--json"]));
    assert_eq!(second.code, 6, "{second:?}");
    assert!(second.stdout.contains("process"), "{second:?}");
    assert!(first.wait().expect("it ends").success());
    stage.target_proxy.set_plan(Plan::new());
    stage.assert_exact();
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    }
}
