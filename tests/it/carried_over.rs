//! Source mailboxes whose UIDs mean something else than before: renumbered, put back, made anew. What was copied is
//! recognised, and what cannot be is a question.

use crate::harness::USER;
use crate::stage::{Stage, fill, fill_more};
use mailhaul_testing::dovecot::Dovecot;
use mailhaul_testing::imap_client::Client;
use serde_json::Value;

fn client(server: &Dovecot) -> Client {
    Client::sign_in(server.address(), USER, server.password()).expect("sign in")
}

fn count(server: &Dovecot, mailbox: &str) -> u32 {
    client(server).count(mailbox).expect("count")
}

fn append(server: &Dovecot, mailbox: &str, text: &str) {
    client(server).append(mailbox, &[], Some("09-Sep-2001 01:46:40 +0000"), text.as_bytes()).expect("append");
}

/// Removes messages of a mailbox by their UIDs.
fn expunge(server: &Dovecot, mailbox: &str, uids: &str) {
    let mut client = client(server);
    client.select(mailbox).expect("selected");
    client.uid_expunge(uids).expect("expunged");
}

/// A stage in which `Mail` has been copied, and what was sent for it.
fn copied(messages: u32) -> (Stage, u32) {
    let stage = Stage::with_messages(0);
    fill(&stage.source, "Mail", messages);
    stage.copy_completely();
    let appends = stage.appends();
    (stage, appends)
}

/// Gives `Mail` another UIDVALIDITY and leaves its UIDs as they are.
fn renumber(stage: &mut Stage, uid_validity: u32) {
    stage.source.set_uid_validity(USER, "Mail", uid_validity);
    stage.source.restart();
    stage.source_proxy.set_target(stage.source.address());
}

fn said(json: &Value) -> String {
    let exceptions = json["exceptions"].as_array().into_iter().flatten().filter_map(|one| one["reason"].as_str());
    exceptions.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_renumbered_mailbox_is_recognised_with_twins_flags_and_mail_without_message_id() {
    let (mut stage, appends) = copied(40);
    renumber(&mut stage, 77);
    let json = stage.copy_completely();
    assert_eq!((stage.appends(), json["messages"]["already"].as_u64()), (appends, Some(40)), "{json:#}");
    stage.assert_exact();
}

#[test]
fn a_mailbox_made_anew_with_the_same_mail_is_recognised() {
    let (stage, appends) = copied(40);
    client(&stage.source).renumber("Mail", "aside").expect("renumbered");
    let json = stage.copy_completely();
    assert_eq!(stage.appends(), appends, "{json:#}");
    stage.assert_exact();
}

#[test]
fn a_mailbox_renumbered_again_and_again_is_carried_over_each_time() {
    let (mut stage, appends) = copied(20);
    for uid_validity in [77, 78, 12] {
        renumber(&mut stage, uid_validity);
        let json = stage.copy_completely();
        assert_eq!(stage.appends(), appends, "{json:#}");
    }
    stage.assert_exact();
}

#[test]
fn what_is_new_in_a_renumbered_mailbox_is_copied_and_nothing_else() {
    let (mut stage, appends) = copied(40);
    expunge(&stage.source, "Mail", "1:2");
    fill_more(&stage.source, "Mail", 3);
    renumber(&mut stage, 77);
    let json = stage.copy_completely();
    assert_eq!(json["messages"]["copied"].as_u64(), Some(3), "{json:#}");
    assert!(stage.appends() > appends);
    assert_eq!(count(&stage.target, "Mail"), 43, "what disappeared at the source stays");
    let appends = stage.appends();
    stage.copy_completely();
    assert_eq!(stage.appends(), appends);
}

#[test]
fn a_mailbox_with_other_mail_under_the_same_name_is_a_question() {
    let (stage, appends) = copied(20);
    let mut source = client(&stage.source);
    source.delete("Mail").expect("deleted");
    source.create("Mail").expect("created");
    fill_more(&stage.source, "Mail", 5);
    let (code, json) = stage.copy();
    assert_eq!((code, stage.appends(), count(&stage.target, "Mail")), (6, appends, 20), "{json:#}");
    assert!(said(&json).contains("of 20 messages copied from it only 0 are recognised"), "{json:#}");
    let (code, json) = stage.bench.copy(&["--accept-source-change"]);
    assert_eq!((code, count(&stage.target, "Mail")), (0, 25), "{json:#}");
    let appends = stage.appends();
    stage.copy_completely();
    assert_eq!(stage.appends(), appends);
}

#[test]
fn an_emptied_mailbox_made_anew_is_a_question_and_loses_nothing() {
    let (stage, appends) = copied(5);
    let mut source = client(&stage.source);
    source.delete("Mail").expect("deleted");
    source.create("Mail").expect("created");
    let (code, json) = stage.copy();
    assert_eq!((code, stage.appends(), count(&stage.target, "Mail")), (6, appends, 5), "{json:#}");
}

#[test]
fn what_the_owner_deleted_on_the_target_does_not_come_back() {
    let (mut stage, appends) = copied(40);
    // Without a Message-ID a key would be too weak for that, so 8 stays.
    expunge(&stage.target, "Mail", "1:4,6,9");
    renumber(&mut stage, 77);
    let json = stage.copy_completely();
    assert_eq!((stage.appends(), count(&stage.target, "Mail")), (appends, 34), "{json:#}");
    stage.copy_completely();
    assert_eq!((stage.appends(), count(&stage.target, "Mail")), (appends, 34));
}

#[test]
fn a_draft_whose_first_edition_its_owner_deleted_on_the_target_is_not_lost() {
    let (mut stage, _) = copied(20);
    let draft = |body: &str| format!("Message-ID: <draft@x>\r\nSubject: draft\r\n\r\n{body}\r\n");
    let append = |text: &str| {
        client(&stage.source).append("Mail", &["\\Draft"], None, text.as_bytes()).expect("append");
    };
    append(&draft("first words"));
    stage.copy_completely();
    expunge(&stage.target, "Mail", "21");
    expunge(&stage.source, "Mail", "21");
    append(&draft("other words"));
    renumber(&mut stage, 77);
    let json = stage.copy_completely();
    assert_eq!((json["messages"]["copied"].as_u64(), count(&stage.target, "Mail")), (Some(1), 21), "{json:#}");
}

#[test]
fn a_mailbox_put_back_that_has_grown_since_is_known_by_its_modseq_and_its_keys() {
    let mut stage = Stage::with_messages(0);
    fill(&stage.source, "Mail", 30);
    let (home, kept) = (stage.source.home(USER), stage.bench.folder.path().join("snapshot"));
    let copy_tree = |from: &std::path::Path, to: &std::path::Path| {
        assert!(std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp").success());
    };
    stage.source.stop();
    copy_tree(&home, &kept);
    stage.source.restart();
    stage.source_proxy.set_target(stage.source.address());
    // Flags that come and go, so that HIGHESTMODSEQ grows faster than UIDNEXT.
    fill_more(&stage.source, "Mail", 2);
    for action in ["+FLAGS", "-FLAGS", "+FLAGS", "-FLAGS", "+FLAGS"] {
        let mut source = client(&stage.source);
        source.select("Mail").expect("selected");
        source.store("1:3", action, &["\\Flagged"]).expect("stored");
    }
    stage.copy_completely();
    stage.source.stop();
    std::fs::remove_dir_all(&home).expect("the account is removed");
    copy_tree(&kept, &home);
    stage.source.restart();
    stage.source_proxy.set_target(stage.source.address());
    for number in 0..3 {
        append(&stage.source, "Mail", &format!("Message-ID: <after-{number}@x>\r\nSubject: after\r\n\r\n{number}\r\n"));
    }
    let json = stage.copy_completely();
    assert_eq!((json["messages"]["copied"].as_u64(), count(&stage.target, "Mail")), (Some(3), 35), "{json:#}");
}

#[test]
fn a_draft_edited_under_its_message_id_is_a_new_mail() {
    let (mut stage, _) = copied(20);
    let draft = |body: &str| format!("Message-ID: <draft@x>\r\nSubject: draft\r\n\r\n{body}\r\n");
    append(&stage.source, "Mail", &draft("first words"));
    stage.copy_completely();
    expunge(&stage.source, "Mail", "21");
    append(&stage.source, "Mail", &draft("other words, and more of them"));
    renumber(&mut stage, 77);
    let json = stage.copy_completely();
    assert_eq!((json["messages"]["copied"].as_u64(), count(&stage.target, "Mail")), (Some(1), 22), "{json:#}");
}

#[test]
fn a_draft_that_is_edited_while_both_sides_renumber_is_copied_and_one_that_is_not_is_not() {
    let (stage, _) = copied(20);
    let draft = |id: &str, body: &str| {
        let text = format!("Message-ID: <{id}@x>\r\nSubject: draft\r\n\r\n{body}\r\n");
        let date = Some("09-Sep-2001 01:46:40 +0000");
        client(&stage.source).append("Mail", &["\\Draft"], date, text.as_bytes()).expect("append");
    };
    draft("left", "as it was");
    draft("edited", "meet at 3");
    stage.copy_completely();
    let appends = stage.appends();
    expunge(&stage.source, "Mail", "22");
    draft("edited", "meet at 5");
    for server in [&stage.source, &stage.target] {
        client(server).renumber("Mail", "aside").expect("renumbered");
    }
    let json = stage.copy_completely();
    let copied = json["messages"]["copied"].as_u64();
    assert_eq!((stage.appends(), copied, count(&stage.target, "Mail")), (appends + 1, Some(1), 23), "{json:#}");
    stage.copy_completely();
    assert_eq!(stage.appends(), appends + 1);
}

#[test]
fn what_had_left_the_source_before_is_not_missed_and_comes_back_to_its_copy() {
    let (mut stage, appends) = copied(20);
    append(&stage.source, "Mail", "Message-ID: <back@x>\r\nSubject: back\r\n\r\nback\r\n");
    stage.copy_completely();
    let sent = stage.appends() - appends;
    assert_eq!(sent, 1);
    expunge(&stage.source, "Mail", "11:21");
    stage.copy_completely();
    // Half of what was copied is not there any more, and that was known.
    renumber(&mut stage, 77);
    let json = stage.copy_completely();
    assert_eq!(stage.appends(), appends + 1, "{json:#}");
    append(&stage.source, "Mail", "Message-ID: <new@x>\r\nSubject: new\r\n\r\nnew\r\n");
    stage.copy_completely();
    assert_eq!((stage.appends(), count(&stage.target, "Mail")), (appends + 2, 22));
}

#[test]
fn a_message_that_is_restored_by_a_renumbering_needs_no_second_copy() {
    let (mut stage, _) = copied(20);
    let text = "Message-ID: <back@x>\r\nSubject: back\r\n\r\nback\r\n";
    append(&stage.source, "Mail", text);
    stage.copy_completely();
    expunge(&stage.source, "Mail", "21");
    stage.copy_completely();
    append(&stage.source, "Mail", text);
    renumber(&mut stage, 77);
    let appends = stage.appends();
    let json = stage.copy_completely();
    assert_eq!((stage.appends(), count(&stage.target, "Mail")), (appends, 21), "{json:#}");
    stage.assert_exact();
}

#[test]
fn mail_in_flight_when_the_source_renumbers_is_found_on_the_target() {
    let mut stage = Stage::with_messages(0);
    fill(&stage.source, "Mail", 2_000);
    stage.source_proxy.set_plan(
        mailhaul_testing::proxy::Plan::new().bandwidth(mailhaul_testing::proxy::Direction::ToClient, 400_000),
    );
    let mut child = stage.bench.start_copy(&["--json"]);
    stage.target_proxy.wait_for(&mailhaul_testing::proxy::Event::AppendedMessage(400));
    child.kill().expect("kill -9");
    child.wait().expect("it is dead");
    stage.source_proxy.set_plan(mailhaul_testing::proxy::Plan::new());
    renumber(&mut stage, 77);
    stage.copy_completely();
    stage.assert_exact();
}
