//! Mailboxes that are renamed at the source between two runs: their copies follow where they may, nothing is copied a
//! second time, and what cannot follow is said.

use crate::harness::USER;
use crate::stage::{Stage, fill, fill_more};
use mailhaul_testing::cyrus::Cyrus;
use mailhaul_testing::dovecot::Dovecot;
use mailhaul_testing::imap_client::Client;
use mailhaul_testing::judge::{Account, Rules, assert_equal};
use mailhaul_testing::proxy::{Plan, Proxy, Reply, Which};
use serde_json::Value;

fn client(server: &Dovecot) -> Client {
    Client::sign_in(server.address(), USER, server.password()).expect("sign in")
}

fn names(server: &Dovecot) -> Vec<String> {
    let mut names: Vec<String> = client(server)
        .list()
        .expect("a list")
        .into_iter()
        .filter(|listed| listed.is_selectable())
        .map(|listed| listed.name)
        .collect();
    names.sort();
    names
}

/// What was said about a source mailbox.
fn remarks(json: &Value, mailbox: &str) -> String {
    let all = json["remarks"].as_array().expect("remarks");
    let about = all.iter().filter(|remark| remark["mailbox"] == mailbox);
    about.filter_map(|remark| remark["text"].as_str()).collect::<Vec<_>>().join("\n")
}

fn renames(stage: &Stage) -> u32 {
    stage.target_proxy.statistics().count("RENAME")
}

/// A stage whose mailboxes are copied, and what was sent for it.
fn copied(mailboxes: &[(&str, u32)]) -> (Stage, u32) {
    let stage = Stage::with_messages(0);
    for (mailbox, messages) in mailboxes {
        fill(&stage.source, mailbox, *messages);
    }
    stage.copy_completely();
    let appends = stage.appends();
    (stage, appends)
}

#[test]
fn a_renamed_mailbox_is_renamed_and_nothing_is_sent() {
    let (stage, appends) = copied(&[("Projects", 20)]);
    client(&stage.source).rename("Projects", "Work").expect("renamed");
    let json = stage.copy_completely();
    assert_eq!((stage.appends(), renames(&stage)), (appends, 1), "{json:#}");
    assert!(remarks(&json, "Work").contains("was `Projects` at the source"), "{json:#}");
    stage.assert_exact();
    assert_eq!(names(&stage.source), names(&stage.target));
}

#[test]
fn a_whole_tree_moves_with_one_command_into_another_place() {
    let mailboxes = [("A", 5), ("A/x", 5), ("A/x/y", 5), ("B", 5)];
    let (stage, appends) = copied(&mailboxes);
    client(&stage.source).rename("A", "B/A").expect("renamed");
    let json = stage.copy_completely();
    assert_eq!((stage.appends(), renames(&stage)), (appends, 1), "{json:#}");
    stage.assert_exact();
    assert_eq!(names(&stage.source), names(&stage.target));
}

#[test]
fn a_mailbox_that_is_renamed_and_made_anew_is_told_apart_from_the_new_one() {
    let (stage, appends) = copied(&[("Old", 20)]);
    let mut source = client(&stage.source);
    source.rename("Old", "Old-2025").expect("renamed");
    source.create("Old").expect("created");
    fill_more(&stage.source, "Old", 3);
    let json = stage.copy_completely();
    assert_eq!((json["messages"]["copied"].as_u64(), renames(&stage)), (Some(3), 1), "{json:#}");
    assert!(stage.appends() > appends);
    stage.assert_exact();
}

#[test]
fn a_chain_of_names_is_followed_from_its_free_end() {
    let (stage, appends) = copied(&[("One", 4), ("Two", 7)]);
    let mut source = client(&stage.source);
    source.rename("Two", "Three").expect("renamed");
    source.rename("One", "Two").expect("renamed");
    let json = stage.copy_completely();
    assert_eq!((stage.appends(), renames(&stage)), (appends, 2), "{json:#}");
    stage.assert_exact();
}

#[test]
fn two_mailboxes_that_change_their_names_keep_their_copies_where_they_are() {
    let (stage, appends) = copied(&[("One", 4), ("Two", 7)]);
    let mut source = client(&stage.source);
    for (from, to) in [("One", "x"), ("Two", "One"), ("x", "Two")] {
        source.rename(from, to).expect("renamed");
    }
    for _ in 0..2 {
        let json = stage.copy_completely();
        assert_eq!((stage.appends(), renames(&stage)), (appends, 0), "{json:#}");
    }
    let mut target = client(&stage.target);
    assert_eq!((target.count("One").expect("count"), target.count("Two").expect("count")), (4, 7));
}

#[test]
fn a_name_that_changes_only_its_case_is_followed() {
    let (stage, appends) = copied(&[("projects", 6)]);
    client(&stage.source).rename("projects", "Projects").expect("renamed");
    let json = stage.copy_completely();
    assert_eq!(stage.appends(), appends, "{json:#}");
    assert_eq!(names(&stage.source), names(&stage.target), "{json:#}");
}

#[test]
fn a_copy_that_its_owner_has_filled_keeps_its_name_for_good() {
    let (stage, appends) = copied(&[("Projects", 6)]);
    let own = b"Message-ID: <own@x>\r\nSubject: mine\r\n\r\nmine\r\n";
    client(&stage.target).append("Projects", &[], None, own).expect("append");
    client(&stage.source).rename("Projects", "Work").expect("renamed");
    let json = stage.copy_completely();
    assert_eq!((stage.appends(), renames(&stage)), (appends, 0), "{json:#}");
    assert!(remarks(&json, "Work").contains("its copy stays `Projects`, because it holds messages"), "{json:#}");
    fill_more(&stage.source, "Work", 2);
    stage.copy_completely();
    stage.copy_completely();
    assert_eq!(client(&stage.target).count("Projects").expect("count"), 9);
    assert!(!names(&stage.target).contains(&"Work".to_owned()));
}

#[test]
fn a_mailbox_that_was_there_before_keeps_its_name() {
    let stage = Stage::with_messages(0);
    fill(&stage.source, "Projects", 6);
    client(&stage.target).create("Projects").expect("created");
    stage.copy_completely();
    let appends = stage.appends();
    client(&stage.source).rename("Projects", "Work").expect("renamed");
    let json = stage.copy_completely();
    assert_eq!((stage.appends(), renames(&stage)), (appends, 0), "{json:#}");
    assert!(remarks(&json, "Work").contains("was there before the first copy"), "{json:#}");
}

#[test]
fn what_would_not_move_along_keeps_the_name_above_it() {
    let (stage, appends) = copied(&[("A", 3), ("A/x", 3)]);
    client(&stage.target).create("A/own").expect("created");
    client(&stage.source).rename("A", "B").expect("renamed");
    let json = stage.copy_completely();
    assert_eq!((stage.appends(), renames(&stage)), (appends, 0), "{json:#}");
    assert!(remarks(&json, "B").contains("`A/own` lies below it"), "{json:#}");
    fill_more(&stage.source, "B/x", 1);
    stage.copy_completely();
    assert_eq!(client(&stage.target).count("A/x").expect("count"), 4);
}

#[test]
fn a_refused_name_leaves_the_mail_where_it_is() {
    let (stage, appends) = copied(&[("Projects", 6)]);
    client(&stage.source).rename("Projects", "Work").expect("renamed");
    let refused = Plan::new().reply("RENAME", Which::Nth(1), Reply::tagged("NO [CANNOT] not that name"));
    stage.target_proxy.set_next_plans([refused]);
    let json = stage.copy_completely();
    assert!(remarks(&json, "Work").contains("not that name"), "{json:#}");
    stage.copy_completely();
    assert_eq!((stage.appends(), client(&stage.target).count("Projects").expect("count")), (appends, 6));
}

#[test]
fn a_run_that_was_broken_off_behind_rename_finds_the_copy_under_its_new_name() {
    let (stage, appends) = copied(&[("A", 12), ("A/x", 3)]);
    client(&stage.source).rename("A", "B").expect("renamed");
    // What a copier does that is killed before it can write to the ledger.
    client(&stage.target).rename("A", "B").expect("renamed");
    let json = stage.copy_completely();
    assert_eq!((stage.appends(), renames(&stage)), (appends, 0), "{json:#}");
    stage.assert_exact();
}

#[test]
fn subscriptions_follow() {
    let stage = Stage::with_messages(0);
    fill(&stage.source, "Projects", 3);
    client(&stage.source).subscribe("Projects").expect("subscribed");
    stage.copy_completely();
    assert_eq!(client(&stage.target).subscriptions().expect("a list"), ["Projects"]);
    let mut source = client(&stage.source);
    source.rename("Projects", "Work").expect("renamed");
    source.unsubscribe("Projects").expect("unsubscribed");
    source.subscribe("Work").expect("subscribed");
    stage.copy_completely();
    assert_eq!(client(&stage.target).subscriptions().expect("a list"), ["Work"]);
}

#[test]
fn with_moves_copy_a_renamed_mailbox_is_a_new_one() {
    let (stage, _) = copied(&[("Projects", 6)]);
    client(&stage.source).rename("Projects", "Work").expect("renamed");
    let (code, json) = stage.bench.copy(&["--moves", "copy"]);
    assert_eq!((code, json["messages"]["copied"].as_u64(), renames(&stage)), (0, Some(6), 0), "{json:#}");
}

#[test]
fn a_map_that_names_the_old_mailbox_keeps_its_copy() {
    let stage = Stage::with_messages(0);
    fill(&stage.source, "Projects", 6);
    let options = ["--map", "Projects=Post"];
    stage.bench.copy_completely(&options);
    let appends = stage.appends();
    client(&stage.source).rename("Projects", "Work").expect("renamed");
    for _ in 0..2 {
        let json = stage.bench.copy_completely(&options);
        assert_eq!((stage.appends(), renames(&stage)), (appends, 0), "{json:#}");
    }
    assert_eq!(client(&stage.target).count("Post").expect("count"), 6);
}

#[test]
fn one_uidvalidity_for_all_mailboxes_does_not_fool_it() {
    let mut stage = Stage::with_messages(0);
    for (mailbox, messages) in [("One", 5), ("Second", 5)] {
        fill(&stage.source, mailbox, messages);
        stage.source.set_uid_validity(USER, mailbox, 7);
    }
    stage.source.restart();
    stage.source_proxy.set_target(stage.source.address());
    stage.copy_completely();
    let mut source = client(&stage.source);
    source.delete("One").expect("deleted");
    source.rename("Second", "Third").expect("renamed");
    // As long as the others, and something else.
    fill(&stage.source, "Four", 5);
    stage.source.set_uid_validity(USER, "Four", 7);
    stage.source.restart();
    stage.source_proxy.set_target(stage.source.address());
    let json = stage.copy_completely();
    assert_eq!((json["messages"]["copied"].as_u64(), renames(&stage)), (Some(5), 1), "{json:#}");
    let mut target = client(&stage.target);
    for (mailbox, messages) in [("One", 5), ("Third", 5), ("Four", 5)] {
        assert_eq!(target.count(mailbox).expect("count"), messages, "{mailbox}");
    }
    assert!(!names(&stage.target).contains(&"Second".to_owned()));
}

#[test]
fn two_that_fit_are_no_rename() {
    let mut stage = Stage::with_messages(0);
    client(&stage.source).create("One").expect("created");
    fill_more(&stage.source, "One", 4);
    stage.source.set_uid_validity(USER, "One", 7);
    stage.source.restart();
    stage.source_proxy.set_target(stage.source.address());
    stage.copy_completely();
    let mut source = client(&stage.source);
    source.delete("One").expect("deleted");
    for mailbox in ["Two", "Three"] {
        source.create(mailbox).expect("created");
        fill_more(&stage.source, mailbox, 4);
        stage.source.set_uid_validity(USER, mailbox, 7);
    }
    stage.source.restart();
    stage.source_proxy.set_target(stage.source.address());
    let json = stage.copy_completely();
    assert_eq!(renames(&stage), 0, "{json:#}");
    let mut target = client(&stage.target);
    assert_eq!((target.count("Two").expect("count"), target.count("Three").expect("count")), (4, 4), "{json:#}");
}

#[test]
fn cyrus_tells_renames_by_its_own_names_for_mailboxes() {
    let (source, target) = (Cyrus::start(), Cyrus::start());
    let sign_in = |server: &Cyrus| Client::sign_in(server.address(), USER, server.password()).expect("sign in");
    let mut client = sign_in(&source);
    for mailbox in ["Projects", "Projects/empty"] {
        client.create(mailbox).expect("created");
    }
    for number in 0..5 {
        let text = format!("Message-ID: <{number}@x>\r\nSubject: {number}\r\n\r\n{number}\r\n");
        client.append("Projects", &[], Some("09-Sep-2001 01:46:40 +0000"), text.as_bytes()).expect("append");
    }
    let proxy = Proxy::start(target.address());
    let bench = crate::harness::Bench::between(source.address(), source.password(), proxy.address(), target.password());
    bench.copy_completely(&[]);
    let appends = proxy.statistics().count("APPEND");
    client.rename("Projects", "Work").expect("renamed");
    let json = bench.copy_completely(&[]);
    let told = proxy.statistics();
    assert_eq!((told.count("APPEND"), told.count("RENAME")), (appends, 1), "{json:#}");
    let account = |server: &Cyrus| Account::new(server.address(), USER, server.password());
    assert_equal(&account(&source), &account(&target), &Rules::new());
    bench.copy_completely(&[]);
    assert_eq!(proxy.statistics().count("APPEND"), appends);
}
