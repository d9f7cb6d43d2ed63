//! What verify and the dry run must not overlook, and what they must not make a fuss about.

use crate::harness::{Said, USER};
use crate::stage::{Stage, fill};
use mailhaul_testing::dovecot::Dovecot;
use mailhaul_testing::imap_client::Client;
use mailhaul_testing::proxy::{Cut, Fault, Moment, Plan, Reply, Which};
use serde_json::Value;

fn client(server: &Dovecot) -> Client {
    Client::sign_in(server.address(), USER, server.password()).expect("sign in")
}

fn verify(stage: &Stage, more: &[&str]) -> (Said, Value) {
    let said = stage.bench.run("verify", &[&["--json", "--timeout", "5"], more].concat());
    let json = said.json();
    (said, json)
}

fn dry_run(stage: &Stage, more: &[&str]) -> (i32, Value) {
    let said = stage.bench.run("copy", &[&["--dry-run", "--json", "--timeout", "5"], more].concat());
    (said.code, said.json())
}

fn remarks(json: &Value) -> String {
    let remarks = json["remarks"].as_array().expect("a list");
    let text = |remark: &Value| format!("{}: {}", remark["mailbox"], remark["text"].as_str().unwrap_or_default());
    remarks.iter().map(text).collect::<Vec<_>>().join("\n")
}

#[test]
fn flags_are_compared_although_the_target_names_none_when_it_is_only_examined() {
    let stage = Stage::with_messages(12);
    stage.copy_completely();
    for level in ["keys", "bytes"] {
        let (said, _) = verify(&stage, &["--level", level]);
        assert_eq!(said.code, 0, "{said:?}");
    }
    let mut there = client(&stage.target);
    there.select("Archive").expect("select");
    there.store("3", "+FLAGS", &["\\Flagged"]).expect("store");
    there.store("5", "+FLAGS", &["$NotJunk"]).expect("store");
    for level in ["keys", "bytes"] {
        let (said, json) = verify(&stage, &["--level", level]);
        assert_eq!(said.code, 7, "{said:?}");
        let found = json["differences"].as_array().expect("a list");
        assert_eq!(found.len(), 2, "{json:#}");
        assert!(found.iter().all(|found| found["kind"] == "altered"), "{json:#}");
        assert!(found[0]["reason"].as_str().is_some_and(|reason| reason.contains("\\Flagged")), "{json:#}");
        assert!(found[1]["reason"].as_str().is_some_and(|reason| reason.contains("$notjunk")), "{json:#}");
    }
    let (said, _) = verify(&stage, &["--ignore-flags"]);
    assert_eq!(said.code, 0, "{said:?}");
    there.select("Archive").expect("select");
    assert_eq!(there.fetch_flags().expect("fetch").len(), 12, "verify changes nothing");
}

#[test]
fn mail_marked_for_deletion_is_not_compared_in_silence() {
    let stage = Stage::with_messages(6);
    let mut owner = client(&stage.source);
    owner.select("Archive").expect("select");
    owner.store("1:2", "+FLAGS", &["\\Deleted"]).expect("store");
    stage.copy_completely();
    for level in ["keys", "bytes"] {
        let (said, json) = verify(&stage, &["--level", level]);
        assert_eq!(said.code, 0, "{said:?}");
        let remarks = remarks(&json);
        assert!(remarks.contains("\\Deleted stands on 2 messages at the source and on 0 on the target"), "{remarks}");
    }
}

#[test]
fn what_copy_put_under_a_safer_name_is_found_there() {
    let stage = Stage::with_messages(8);
    // The second CREATE is that of `Archive/2019 été`, and so is the third: what was refused among others is asked for
    // alone.
    let refusal = || Reply::tagged("NO Invalid mailbox name");
    let refuse = Plan::new().reply("CREATE", Which::Nth(2), refusal()).reply("CREATE", Which::Nth(3), refusal());
    stage.target_proxy.set_next_plans([refuse]);
    let json = stage.copy_completely();
    let name = json["mailboxes"][2]["target"].as_str().expect("a name").to_owned();
    assert_ne!(name, "Archive/2019 été", "{json:#}");
    for level in ["counts", "keys", "bytes"] {
        let (said, json) = verify(&stage, &["--level", level]);
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(json["mailboxes"][2]["target"], name.as_str(), "{json:#}");
        let remarks = remarks(&json);
        assert!(remarks.contains(&format!("compared with `{name}`")), "{remarks}");
        assert!(!remarks.contains("no source mailbox"), "{remarks}");
    }
}

#[test]
fn what_is_left_out_and_what_is_nobodys_is_named_with_its_numbers() {
    let stage = Stage::with_messages(5);
    stage.copy_completely();
    fill(&stage.target, "Foreign", 3);
    client(&stage.target).create("Empty").expect("create");
    let (said, json) = verify(&stage, &["--exclude", "Archive/*"]);
    assert_eq!(said.code, 0, "{said:?}");
    let remarks = remarks(&json);
    assert!(remarks.contains("left out by --exclude `Archive/*` (5 messages)"), "{remarks}");
    assert!(remarks.contains("no source mailbox goes to `Foreign` on the target (3 messages)"), "{remarks}");
    assert_eq!(json["remarks"].as_array().map(Vec::len), Some(2), "{remarks}");
}

#[test]
fn a_misspelt_mailbox_is_not_found_equal() {
    let stage = Stage::with_messages(2);
    let (said, json) = verify(&stage, &["--mailbox", "Arhcive"]);
    assert_eq!((said.code, json["verdict"].as_str()), (2, Some("failed")), "{said:?}");
    assert!(json["stop"]["reason"].as_str().is_some_and(|reason| reason.contains("Arhcive")), "{json:#}");
}

#[test]
fn a_comparison_survives_lost_connections_and_reports_nothing_twice() {
    let stage = Stage::with_messages(30);
    stage.copy_completely();
    client(&stage.target).delete("Archive/2019 été").expect("delete");
    for level in ["keys", "bytes"] {
        let lost = |nth| Plan::new().swallow_answer("UID FETCH", nth, Cut::Rst);
        stage.target_proxy.set_next_plans([lost(2), lost(1)]);
        stage.source_proxy.set_next_plans([Plan::new(), Plan::new(), lost(3)]);
        let (said, json) = verify(&stage, &["--level", level]);
        assert_eq!((said.code, json["verdict"].as_str()), (7, Some("differences")), "{said:?}");
        assert_eq!(json["differences"].as_array().map(Vec::len), Some(1), "{json:#}");
        let equal: Vec<&Value> = json["mailboxes"].as_array().expect("a list").iter().map(|m| &m["equal"]).collect();
        assert_eq!(equal, [30, 30], "{json:#}");
    }
}

#[test]
fn a_comparison_is_seen_to_move_message_by_message() {
    let stage = Stage::with_messages(40);
    stage.copy_completely();
    // Each mailbox is listed and read by one command each: the third mailbox is read and its last answer held back for
    // longer than the display takes for its first line.
    let hold = Plan::new().fault(Moment::BeforeAnswer("UID FETCH".to_owned(), 6), Fault::Stall);
    for level in ["keys", "bytes"] {
        stage.source_proxy.set_next_plans([hold.clone()]);
        let said = stage.bench.run("verify", &["--level", level, "--timeout", "7"]);
        assert_eq!(said.code, 0, "{said:?}");
        // All of both sides, with the last mailbox not finished yet; nothing of bytes where none are counted.
        // The pause is longer than the display's, so one of its lines falls into it, however slow the machine is.
        let whole = |line: &&str| line.starts_with("240 messages · ") && line.contains("3/3");
        let line = said.stderr.lines().find(whole).unwrap_or_else(|| panic!("no such line in {}", said.stderr));
        assert_eq!(line.contains("iB · "), level == "bytes", "{}", said.stderr);
        // Read again after the loss, and not counted again.
        assert!(said.stderr.contains("3 mailboxes · 240 messages"), "{}", said.stderr);
    }
}

#[test]
fn a_server_that_is_lost_for_good_ends_the_comparison_as_unreachable() {
    let stage = Stage::with_messages(3);
    stage.copy_completely();
    stage.source_proxy.set_plan(Plan::new().swallow_answer("UID FETCH", 1, Cut::Fin));
    let (said, json) = verify(&stage, &[]);
    assert_eq!((said.code, json["verdict"].as_str()), (4, Some("failed")), "{said:?}");
    assert_eq!(json["differences"], Value::Array(Vec::new()), "{json:#}");
}

#[test]
fn a_dry_run_with_a_changed_mapping_ends_as_the_run_would() {
    let stage = Stage::with_messages(4);
    stage.bench.copy_completely(&["--map", "Archive=Old"]);
    let (code, json) = dry_run(&stage, &["--map", "Archive=Elsewhere"]);
    assert_eq!((code, &json["stop"]["class"]), (6, &"decision".into()), "{json:#}");
    let reason = json["stop"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("`Old`") && reason.contains("`Elsewhere`"), "{reason}");
    let (code, json) = dry_run(&stage, &["--map", "Archive=Elsewhere", "--remap"]);
    assert_eq!(code, 0, "{json:#}");
    assert!(remarks(&json).contains("was `Old`, will now be `Elsewhere`"), "{json:#}");
    let (code, json) = stage.bench.copy(&["--map", "Archive=Elsewhere"]);
    assert_eq!(code, 6, "{json:#}");
}

#[test]
fn a_dry_run_over_a_renumbered_source_mailbox_says_that_a_run_recognises_it() {
    let mut stage = Stage::with_messages(4);
    stage.copy_completely();
    stage.source.set_uid_validity(USER, "Archive", 77);
    stage.source.restart();
    stage.source_proxy.set_target(stage.source.address());
    let (code, json) = dry_run(&stage, &[]);
    assert_eq!(code, 0, "{json:#}");
    assert!(remarks(&json).contains("a copy recognises by their keys"), "{json:#}");
    let appends = stage.appends();
    stage.copy_completely();
    assert_eq!(stage.appends(), appends);
}

#[test]
fn a_dry_run_that_cannot_read_a_mailbox_ends_with_exceptions() {
    let stage = Stage::with_messages(4);
    let refuse = Plan::new().reply("EXAMINE", Which::Nth(2), Reply::tagged("NO [NOPERM] not yours"));
    stage.source_proxy.set_next_plans([refuse]);
    let (code, json) = dry_run(&stage, &[]);
    assert_eq!((code, &json["exceptions"][0]["state"]), (5, &"mailbox_failed".into()), "{json:#}");
    assert!(json["exceptions"][0]["reason"].as_str().is_some_and(|reason| reason.contains("not yours")), "{json:#}");
}

#[test]
fn a_dry_run_says_in_words_what_is_left_out_and_counts_it() {
    let stage = Stage::with_messages(4);
    let (code, json) = dry_run(&stage, &["--exclude", "Archive/*"]);
    assert_eq!(code, 0, "{json:#}");
    let remarks = remarks(&json);
    assert!(remarks.contains("left out by --exclude `Archive/*`"), "{remarks}");
    assert!(!remarks.contains("Excluded"), "{remarks}");
    assert_eq!((&json["messages"]["skipped"], &json["messages"]["remaining"]), (&4.into(), &8.into()), "{json:#}");
}

#[test]
fn a_dry_run_tells_what_earlier_runs_refused_from_what_has_gone() {
    let stage = Stage::with_messages(0);
    crate::stage::fill_more(&stage.source, "INBOX", 8);
    let nothing = Plan::new().reply("UID FETCH", Which::From(2), Reply::tagged("OK nothing to see"));
    stage.source_proxy.set_next_plans([nothing]);
    let (code, run) = stage.copy();
    assert_eq!((code, &run["messages"]["unreadable"]), (5, &8.into()), "{run:#}");
    let (code, json) = dry_run(&stage, &[]);
    assert_eq!((code, &json["messages"]), (5, &run["messages"]), "{json:#}");
    let (code, json) = dry_run(&stage, &["--retry-exceptions"]);
    assert_eq!((code, &json["messages"]["remaining"]), (0, &8.into()), "{json:#}");
}
