//! A message with which the connection is lost when it is only read: it is named, it is not taken for one that is not there,
//! and the others are found and copied.

use crate::answers::{MULTI, Mailbox, between, copy, lock, plain, serve, set_of};
use crate::spoilt::set_aside;
use mailhaul_testing::scripted::{Handled, ScriptedServer};
use serde_json::Value;

const BODIES: &str = "BODY.PEEK[]";
const HEADERS: &str = "BODY.PEEK[HEADER";

/// A server that ends the connection when it is asked for this of the message with this UID, so many times.
fn spoilt(mailbox: &Mailbox, asked_for: &'static str, uid: u32, mut times: u32) -> ScriptedServer {
    serve(&mailbox.clone().shared(), MULTI, move |command, session, mailbox| {
        let wanted = command.name == "UID FETCH" && command.text.contains(asked_for);
        if !wanted || times == 0 || !set_of(command)(uid) {
            return Handled::No;
        }
        times -= 1;
        if asked_for == BODIES {
            mailbox.fetch_some(session, |one| one < uid && set_of(command)(one));
        }
        session.line("* BYE Internal error occurred");
        Handled::Close
    })
}

/// Drafts, of which only their contents tell that two are the same.
fn drafts() -> Mailbox {
    Mailbox::with_messages(12, &[]).flagged("\\Draft")
}

fn only(json: &Value) -> (u64, String, String) {
    let aside = set_aside(json);
    assert_eq!(aside.len(), 1, "{json:#}");
    aside[0].clone()
}

#[test]
fn a_copy_that_the_target_cannot_hand_out_is_not_sent_again_and_the_others_are_found() {
    let to = drafts();
    let source = serve(&drafts().shared(), MULTI, plain);
    let target = spoilt(&to, BODIES, 5, u32::MAX);
    let bench = between(&source, &target);
    let (code, json) = copy(&bench);
    assert_eq!((code, &json["messages"]["adopted"], &json["messages"]["copied"]), (5, &11.into(), &0.into()));
    let (uid, state, reason) = only(&json);
    assert_eq!((uid, state.as_str()), (5, "unreadable"), "{reason}");
    assert!(reason.contains("UID 5 on the target") && reason.contains("Internal error"), "{reason}");
    assert!(!target.commands().iter().any(|command| command.contains("APPEND")), "{json:#}");
    let (code, json) = copy(&bench);
    assert_eq!((code, &json["messages"]["unreadable"]), (5, &1.into()), "{json:#}");
    assert!(!target.commands().iter().any(|command| command.contains("APPEND")), "{json:#}");
}

#[test]
fn mail_that_cannot_be_the_copy_which_the_target_cannot_hand_out_is_sent() {
    let mut there = Mailbox::with_pages(6);
    there.messages.truncate(3);
    there.uid_next = 4;
    let to = there.shared();
    let target = serve(&to, MULTI, |command, _, _| {
        let is_it = command.name == "UID FETCH" && command.text.contains(BODIES) && set_of(command)(2);
        if is_it { Handled::Close } else { Handled::No }
    });
    let source = serve(&Mailbox::with_pages(6).shared(), MULTI, plain);
    let (code, json) = copy(&between(&source, &target));
    assert_eq!(
        (code, &json["messages"]["adopted"], &json["messages"]["copied"]),
        (5, &2.into(), &3.into()),
        "{json:#}"
    );
    assert_eq!((only(&json).0, only(&json).1.as_str()), (2, "unreadable"));
    assert_eq!(lock(&to).contents(), Mailbox::with_pages(6).contents());
}

#[test]
fn a_message_that_the_source_cannot_hand_out_is_named_and_the_others_are_found_and_copied() {
    for asked_for in [BODIES, HEADERS] {
        let mut there = drafts();
        there.messages.truncate(10);
        there.uid_next = 11;
        let to = there.shared();
        let source = spoilt(&drafts(), asked_for, 5, u32::MAX);
        let (code, json) = copy(&between(&source, &serve(&to, MULTI, plain)));
        assert_eq!(code, 5, "{json:#}");
        assert_eq!((&json["messages"]["adopted"], &json["messages"]["copied"]), (&9.into(), &2.into()), "{json:#}");
        let (uid, state, reason) = only(&json);
        assert_eq!((uid, state.as_str()), (5, "unreadable"), "{reason}");
        assert_eq!(lock(&to).contents(), drafts().contents(), "{asked_for}");
    }
}

#[test]
fn one_header_that_the_target_cannot_hand_out_fails_its_mailbox_with_its_uid() {
    let target = spoilt(&drafts(), HEADERS, 5, u32::MAX);
    let (code, json) = copy(&between(&serve(&drafts().shared(), MULTI, plain), &target));
    let (_, state, reason) = only(&json);
    assert_eq!((code, state.as_str()), (5, "mailbox_failed"), "{json:#}");
    assert!(reason.contains("at UID 5") && reason.contains("nothing was sent"), "{reason}");
}

#[test]
fn a_good_message_over_which_connections_were_lost_is_found_like_the_others() {
    for (source_times, target_times) in [(3, 0), (0, 3)] {
        let (source, target) = (spoilt(&drafts(), BODIES, 5, source_times), spoilt(&drafts(), BODIES, 5, target_times));
        let (code, json) = copy(&between(&source, &target));
        assert_eq!((code, &json["messages"]["adopted"]), (0, &12.into()), "{json:#}");
    }
}

#[test]
fn the_only_message_that_is_read_is_told_from_a_server_in_trouble_by_reading_another() {
    let (mut from, mut to) = (Mailbox::with_messages(12, &[]), Mailbox::with_messages(12, &[]));
    for mailbox in [&mut from, &mut to] {
        mailbox.messages[4] = drafts().messages[4].clone();
    }
    let (source, target) = (serve(&from.shared(), MULTI, plain), spoilt(&to, BODIES, 5, u32::MAX));
    let (code, json) = copy(&between(&source, &target));
    assert_eq!((code, &json["messages"]["adopted"]), (5, &11.into()), "{json:#}");
    assert_eq!((only(&json).0, only(&json).1.as_str()), (5, "unreadable"));
}

#[test]
fn what_the_target_makes_of_mail_is_not_worth_more_than_one_connection() {
    let (from, to) = (Mailbox::with_messages(12, &[]), Mailbox::empty());
    let (source, target) = (serve(&from.shared(), MULTI, plain), spoilt(&to, BODIES, 5, u32::MAX));
    let (code, json) = copy(&between(&source, &target));
    assert_eq!((code, &json["messages"]["copied"]), (0, &12.into()), "{json:#}");
}

#[test]
fn a_comparison_names_the_message_with_which_the_connection_is_lost_and_compares_the_others() {
    for (asked_for, level) in [(BODIES, "bytes"), (HEADERS, "keys")] {
        let source = serve(&drafts().shared(), MULTI, plain);
        let target = spoilt(&drafts(), asked_for, 5, u32::MAX);
        let bench = between(&source, &target);
        let said = bench.run("verify", &["--json", "--timeout", "5", "--level", level]);
        let json = said.json();
        assert_eq!((said.code, &json["mailboxes"][0]["equal"]), (7, &11.into()), "{json:#}");
        let named = json["differences"].as_array().expect("a list");
        assert!(named.iter().any(|one| one["target_uid"] == 5), "{json:#}");
    }
}
