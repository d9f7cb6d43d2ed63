//! What the operator may choose, and what the other two subcommands say.

use crate::harness::{Bench, USER, finish, mailhaul};
use crate::stage::{Stage, fill};
use mailhaul_testing::dovecot::Dovecot;
use mailhaul_testing::imap_client::Client;
use serde_json::Value;

fn client(server: &Dovecot) -> Client {
    Client::sign_in(server.address(), USER, server.password()).expect("sign in")
}

fn append(server: &Dovecot, mailbox: &str, date: &str, octets: usize) {
    let text = format!("Message-ID: <{octets}@{date}>\r\nSubject: s\r\n\r\n{}\r\n", "x".repeat(octets));
    let date = format!("{date} 12:00:00 +0000");
    client(server).append(mailbox, &[], Some(&date), text.as_bytes()).expect("append");
}

fn line<'a>(json: &'a Value, source: &str) -> &'a Value {
    let lines = json["mailboxes"].as_array().expect("a list");
    lines.iter().find(|line| line["source"] == source).unwrap_or_else(|| panic!("no {source} in {json:#}"))
}

#[test]
fn what_the_selection_leaves_out_is_counted_as_skipped_and_comes_later() {
    let stage = Stage::with_messages(0);
    append(&stage.source, "INBOX", "01-Jan-2010", 10);
    append(&stage.source, "INBOX", "01-Jan-2020", 20);
    append(&stage.source, "INBOX", "01-Jan-2020", 5_000);
    append(&stage.source, "INBOX", "01-Jan-2024", 30);
    let options = ["--since", "2015-01-01", "--before", "2024-01-01", "--max-size", "1K"];
    let json = stage.bench.copy_completely(&options);
    assert_eq!((&json["messages"]["copied"], &json["messages"]["skipped"]), (&1.into(), &3.into()), "{json:#}");
    let remarks = json["remarks"].to_string();
    for reason in ["--since", "--before", "--max-size"] {
        assert!(remarks.contains(reason), "{remarks}");
    }
    let json = stage.copy_completely();
    assert_eq!((&json["messages"]["copied"], &json["messages"]["already"]), (&3.into(), &1.into()), "{json:#}");
    stage.assert_exact();
}

#[test]
fn mailboxes_are_chosen_by_globs_and_the_rest_is_counted_as_skipped() {
    let stage = Stage::with_messages(5);
    let json = stage.bench.copy_completely(&["--mailbox", "Archive*", "--exclude", "*/2019*"]);
    assert_eq!((&json["messages"]["copied"], &json["messages"]["skipped"]), (&5.into(), &10.into()), "{json:#}");
    assert_eq!(line(&json, "INBOX")["target"], Value::Null);
    stage.copy_completely();
    stage.assert_exact();
}

#[test]
fn a_mailbox_goes_where_map_says_and_a_changed_map_stops_the_run() {
    let stage = Stage::with_messages(5);
    let json = stage.bench.copy_completely(&["--map", "Archive=Old/Mail"]);
    assert_eq!(line(&json, "Archive")["target"], "Old/Mail");
    assert_eq!(line(&json, "Archive/2019 été")["target"], "Old/Mail/2019 été");
    let appends = stage.appends();
    let (code, json) = stage.bench.copy(&["--map", "Archive=Elsewhere"]);
    assert_eq!(code, 6, "{json:#}");
    let reason = json["stop"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("`Old/Mail`") && reason.contains("`Elsewhere`"), "{reason}");
    assert_eq!(stage.appends(), appends);
    let json = stage.bench.copy_completely(&["--map", "Archive=Elsewhere", "--remap"]);
    assert_eq!(line(&json, "Archive")["messages"]["copied"], 5, "{json:#}");
}

#[test]
fn special_use_decides_over_the_name() {
    let source = Dovecot::builder().special_use("Gesendet", "\\Sent").start();
    let target = Dovecot::builder().special_use("Sent Items", "\\Sent").start();
    fill(&source, "Gesendet", 3);
    let json = Bench::dovecots(&source, &target).copy_completely(&[]);
    assert_eq!(line(&json, "Gesendet")["target"], "Sent Items", "{json:#}");
    assert_eq!(client(&target).count("Sent Items").expect("count"), 3);
}

#[test]
fn subscriptions_and_empty_mailboxes_come_along() {
    let (source, target) = (Dovecot::start(), Dovecot::start());
    let mut there = client(&source);
    for mailbox in ["Empty", "Heard of", "Parent/Child"] {
        there.create(mailbox).expect("create");
    }
    there.subscribe("Heard of").expect("subscribe");
    Bench::dovecots(&source, &target).copy_completely(&[]);
    let mut here = client(&target);
    let subscribed = here.subscriptions().expect("LSUB");
    assert!(subscribed.iter().any(|name| name == "Heard of"), "{subscribed:?}");
    assert!(!subscribed.iter().any(|name| name == "Empty"), "{subscribed:?}");
    assert_eq!(here.count("Empty").expect("it exists"), 0);
    assert_eq!(here.count("Parent/Child").expect("it exists"), 0);
}

#[test]
fn a_dry_run_writes_nothing_anywhere_and_says_what_would_be_done() {
    let stage = Stage::with_messages(7);
    let said = stage.bench.run("copy", &["--dry-run", "--json"]);
    assert_eq!(said.code, 0, "{said:?}");
    let json = said.json();
    assert_eq!((&json["dry_run"], &json["messages"]["remaining"]), (&true.into(), &21.into()), "{json:#}");
    assert!(!stage.bench.state().exists());
    let told = stage.target_proxy.statistics();
    for command in ["CREATE", "APPEND", "SUBSCRIBE", "STORE"] {
        assert_eq!(told.count(command), 0, "{told:?}");
    }
    stage.copy_completely();
    let said = stage.bench.run("copy", &["--dry-run"]);
    assert!(said.stdout.contains("nothing was written; 0 messages"), "{said:?}");
}

#[test]
fn verify_names_exactly_what_was_planted_at_every_level() {
    let stage = Stage::with_messages(40);
    stage.copy_completely();
    for level in ["counts", "keys", "bytes"] {
        let said = stage.bench.run("verify", &["--level", level, "--json"]);
        assert_eq!((said.code, said.json()["verdict"].as_str()), (0, Some("equal")), "{said:?}");
    }
    let mut there = client(&stage.target);
    // One lost (the source has it once), one doubled, one changed in its body under the same header.
    let fetched = {
        there.select("Archive").expect("select");
        there.fetch_all().expect("fetch")
    };
    let doubled = fetched.iter().find(|message| message.uid == 3).expect("uid 3").octets.clone();
    let mut altered = fetched.iter().find(|message| message.uid == 9).expect("uid 9").octets.clone();
    let last = altered.len() - 5;
    altered[last] = b'#';
    there.expunge("2,9").expect("expunge");
    let date = Some("09-Sep-2001 01:46:40 +0000");
    there.append("Archive", &[], date, &doubled).expect("append");
    there.append("Archive", &[], date, &altered).expect("append");
    let said = stage.bench.run("verify", &["--level", "bytes", "--json", "--ignore-flags"]);
    assert_eq!(said.code, 7, "{said:?}");
    let json = said.json();
    let found: Vec<(&str, &Value, &Value)> = json["differences"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|found| (found["kind"].as_str().expect("a kind"), &found["source_uid"], &found["target_uid"]))
        .collect();
    let null = Value::Null;
    let (two, nine, forty_one, forty_two) = (2.into(), 9.into(), 41.into(), 42.into());
    assert_eq!(found.len(), 3, "{json:#}");
    assert!(found.contains(&("missing", &two, &null)), "{json:#}");
    assert!(found.contains(&("altered", &nine, &forty_two)), "{json:#}");
    assert!(found.contains(&("doubled", &null, &forty_one)), "{json:#}");
    let said = stage.bench.run("verify", &["--level", "counts"]);
    assert_eq!(said.code, 0, "the numbers are the same: {said:?}");
}

#[test]
fn the_report_tells_from_the_state_alone_what_was_done() {
    let stage = Stage::with_messages(6);
    stage.copy_completely();
    let mut command = mailhaul();
    command.args(["report", "--json", "--state"]).arg(stage.bench.state());
    let said = finish(command);
    assert_eq!(said.code, 0, "{said:?}");
    let json = said.json();
    let pair = &json["pairs"][0];
    assert_eq!(pair["last_run"]["verdict"], "complete", "{json:#}");
    let mailboxes = pair["mailboxes"].as_array().expect("a list");
    assert_eq!(mailboxes.len(), 3);
    assert!(mailboxes.iter().all(|mailbox| mailbox["settled"]["copied"] == 6), "{json:#}");
    let mut command = mailhaul();
    command.args(["report", "--state"]).arg(stage.bench.state());
    let text = finish(command).stdout;
    assert!(text.contains("alice on 127.0.0.1") && text.contains("Archive/2019 été"), "{text}");
}

#[test]
fn names_that_would_steer_a_terminal_are_shown_escaped() {
    let (source, target) = (Dovecot::start(), Dovecot::start());
    fill(&source, "evil \u{202e}gnp exe", 1);
    let said = Bench::dovecots(&source, &target).run("copy", &[]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stdout.contains("evil \\u{202e}gnp exe"), "{said:?}");
    assert!(!said.stdout.contains('\u{202e}') && !said.stderr.contains('\u{202e}'), "{said:?}");
}

#[test]
fn no_secret_reaches_any_output_or_file_at_full_verbosity() {
    let source = Dovecot::builder().password("canary-s0urce").start();
    let target = Dovecot::builder().password("canary-t4rget").start();
    fill(&source, "INBOX", 3);
    let bench = Bench::dovecots(&source, &target);
    let said = bench.run("copy", &["-vvvv", "--log-format", "json"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(!said.stdout.contains("canary") && !said.stderr.contains("canary"), "{said:?}");
    let encoded = ["Y2FuYXJ5", "NhbmFye", "jYW5hcn"];
    for path in crate::harness::files_below(bench.state().parent().expect("a folder")) {
        let octets = std::fs::read(&path).expect("readable");
        let text = String::from_utf8_lossy(&octets);
        assert!(!text.contains("canary") && encoded.iter().all(|part| !text.contains(part)), "{}", path.display());
    }
    assert!(encoded.iter().all(|part| !said.stderr.contains(part)), "{said:?}");
}
