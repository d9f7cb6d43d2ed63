//! A message with which the connection is lost each time: the others are copied, and it is set aside by its UID.

use crate::answers::{MULTI, Mailbox, SINGLE, between, copy, lock, plain, serve, set_of};
use mailhaul_testing::scripted::{Command, Handled, ScriptedServer, Session};
use serde_json::Value;

/// What a source does when it comes to the spoilt message.
#[derive(Clone, Copy, Debug)]
enum Spoilt {
    /// It ends the connection with a word.
    Bye,
    /// It ends the connection, and what it had answered before is lost with it.
    GoneAtOnce,
    /// It announces more than anybody would read.
    Endless,
}

/// A source that comes to harm at the messages with these UIDs.
fn spoilt_source(mailbox: Mailbox, spoilt: &'static [u32], how: Spoilt) -> ScriptedServer {
    serve(&mailbox.shared(), MULTI, move |command, session, mailbox| {
        let wanted = set_of_bodies(command);
        let Some(uid) = spoilt.iter().copied().find(|uid| wanted(*uid)) else { return Handled::No };
        if !matches!(how, Spoilt::GoneAtOnce) {
            let before: Vec<u32> = mailbox.messages.iter().map(|held| held.uid).filter(|one| *one < uid).collect();
            mailbox.fetch_some(session, |one| before.contains(&one) && wanted(one));
        }
        match how {
            Spoilt::Bye => session.line("* BYE Internal error occurred"),
            Spoilt::GoneAtOnce => {}
            Spoilt::Endless => {
                session.line(&format!("* {uid} FETCH (UID {uid} FLAGS () BODY[] {{999999999999}}"));
                return Handled::Silence;
            }
        }
        Handled::Close
    })
}

fn set_of_bodies(command: &Command) -> Box<dyn Fn(u32) -> bool + '_> {
    match command.name == "UID FETCH" && command.text.contains("BODY.PEEK[]") {
        true => Box::new(set_of(command)),
        false => Box::new(|_| false),
    }
}

/// The UIDs that were set aside, with what is said of each.
pub(crate) fn set_aside(json: &Value) -> Vec<(u64, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let exceptions = json["exceptions"].as_array().cloned().unwrap_or_default();
    let one = |value: &Value| (value["uid"].as_u64().unwrap_or(0), text(&value["state"]), text(&value["reason"]));
    exceptions.iter().map(one).collect()
}

#[test]
fn a_message_with_which_the_source_ends_the_connection_is_set_aside_and_the_others_are_copied() {
    let first_and_last: &[&'static [u32; 1]] = &[&[1], &[30]];
    for (how, places) in [(Spoilt::Bye, first_and_last), (Spoilt::GoneAtOnce, &[&[7]]), (Spoilt::Endless, &[&[7]])] {
        for spoilt in places {
            let (whole, to) = (Mailbox::with_messages(30, &[]), Mailbox::empty().shared());
            let source = spoilt_source(whole.clone(), *spoilt, how);
            let (code, json) = copy(&between(&source, &serve(&to, MULTI, plain)));
            let aside = set_aside(&json);
            assert_eq!(code, 5, "{how:?} {spoilt:?}: {json:#}");
            assert_eq!((aside.len(), aside[0].0), (1, u64::from(spoilt[0])), "{how:?}: {json:#}");
            assert_eq!(aside[0].1, "unreadable");
            assert!(aside[0].2.contains("the connection to the source was lost all"), "{}", aside[0].2);
            let mut others = whole;
            others.messages.retain(|held| held.uid != spoilt[0]);
            assert_eq!(lock(&to).contents(), others.contents(), "{how:?} {spoilt:?}");
        }
    }
}

#[test]
fn several_spoilt_messages_are_all_found_also_in_a_row_and_where_the_target_names_no_uids() {
    let apart: &[u32] = &[3, 4, 9, 20];
    let in_a_row: &[u32] = &[3, 4, 5, 6, 7, 8, 9, 10, 11];
    let at_both_ends: &[u32] = &[1, 30];
    let unnamed = "IMAP4rev1 LITERAL+ MULTIAPPEND";
    for (spoilt, capabilities) in [(apart, MULTI), (apart, unnamed), (in_a_row, MULTI), (at_both_ends, MULTI)] {
        let (whole, to) = (Mailbox::with_messages(30, &[]), Mailbox::empty().shared());
        lock(&to).names = capabilities == MULTI;
        let source = spoilt_source(whole, spoilt, Spoilt::Bye);
        let (code, json) = copy(&between(&source, &serve(&to, capabilities, plain)));
        let mut found: Vec<u32> =
            set_aside(&json).iter().map(|(uid, ..)| u32::try_from(*uid).expect("a UID")).collect();
        found.sort_unstable();
        assert_eq!((code, found.as_slice()), (5, spoilt), "{json:#}");
        assert_eq!(lock(&to).contents().len(), 30 - spoilt.len());
    }
}

#[test]
fn a_good_message_that_was_unlucky_is_copied_behind_the_others() {
    let (whole, to) = (Mailbox::with_messages(30, &[]), Mailbox::empty().shared());
    let mut unlucky = 3;
    let source = serve(&whole.clone().shared(), MULTI, move |command, _, _| {
        let is_it = unlucky > 0 && set_of_bodies(command)(7);
        unlucky -= u32::from(is_it);
        if is_it { Handled::Close } else { Handled::No }
    });
    let (code, json) = copy(&between(&source, &serve(&to, MULTI, plain)));
    assert_eq!(code, 0, "{json:#}");
    assert!(lock(&to).contents() == whole.contents());
}

#[test]
fn a_spoilt_message_that_arrives_alone_is_told_from_a_source_in_trouble_by_reading_another() {
    let (whole, to) = (Mailbox::with_messages(11, &[]), Mailbox::empty().shared());
    let target = serve(&to, MULTI, plain);
    let mut first = whole.clone();
    first.messages.truncate(10);
    first.uid_next = 11;
    let before = serve(&first.shared(), MULTI, plain);
    let mut bench = between(&before, &target);
    assert_eq!(copy(&bench).0, 0);
    let spoilt = spoilt_source(whole, &[11], Spoilt::Bye);
    bench.from = between(&spoilt, &target).from;
    let (code, json) = copy(&bench);
    let aside = set_aside(&json);
    assert_eq!((code, aside.len()), (5, 1), "{json:#}");
    assert_eq!((aside[0].0, aside[0].1.as_str()), (11, "unreadable"));
}

#[test]
fn where_every_message_ends_the_connection_none_is_set_aside() {
    let all: &[u32] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    let (whole, to) = (Mailbox::with_messages(10, &[]), Mailbox::empty().shared());
    let (code, json) = copy(&between(&spoilt_source(whole, all, Spoilt::Bye), &serve(&to, MULTI, plain)));
    assert!(set_aside(&json).iter().all(|(_, state, _)| state != "unreadable"), "{json:#}");
    assert_eq!((code, lock(&to).contents().len()), (4, 0), "{json:#}");
    let said = |what: &str| json["stop"][what].as_str().unwrap_or_default().to_owned();
    assert!(said("reason").contains(": UID 1:10 of INBOX on the source"), "{json:#}");
    assert!(said("hint").contains("--exclude"), "{json:#}");
}

#[test]
fn the_only_message_that_is_left_fails_its_mailbox_and_is_tried_again_by_the_next_run() {
    let (whole, to) = (Mailbox::with_messages(1, &[]), Mailbox::empty().shared());
    let target = serve(&to, MULTI, plain);
    let spoilt = spoilt_source(whole.clone(), &[1], Spoilt::Bye);
    let mut bench = between(&spoilt, &target);
    let (code, json) = copy(&bench);
    let aside = set_aside(&json);
    assert_eq!((code, aside.len()), (5, 1), "{json:#}");
    assert_eq!(aside[0].1, "mailbox_failed");
    assert!(aside[0].2.contains("UID 1: the connection to the source was lost all"), "{}", aside[0].2);
    let mended = serve(&whole.shared(), MULTI, plain);
    bench.from = between(&mended, &target).from;
    let (code, json) = copy(&bench);
    assert_eq!((code, lock(&to).contents().len()), (0, 1), "{json:#}");
}

#[test]
fn a_target_that_drops_everything_for_a_while_has_refused_nothing() {
    let (from, to) = (Mailbox::with_messages(30, &[]), Mailbox::empty().shared());
    let mut mailbox = from.clone();
    mailbox.messages.truncate(27);
    mailbox.uid_next = 28;
    let begun = copy(&between(&serve(&mailbox.shared(), MULTI, plain), &serve(&to, MULTI, plain)));
    assert_eq!(begun.0, 0);
    let source = serve(&from.clone().shared(), MULTI, plain);
    let is_late =
        |command: &Command| command.literals.iter().any(|one| !one.windows(12).any(|at| at == b"Subject: 28\r"));
    let drops = move |command: &Command, _: &mut Session<'_>, _: &mut Mailbox| match command.name == "APPEND"
        && is_late(command)
    {
        true => Handled::Close,
        false => Handled::No,
    };
    let (code, json) = copy(&between(&source, &serve(&to, MULTI, drops)));
    assert!(set_aside(&json).iter().all(|(_, state, _)| state != "refused"), "{json:#}");
    assert!(code == 4 || code == 5, "{json:#}");
    let (code, json) = copy(&between(&source, &serve(&to, MULTI, plain)));
    assert_eq!((code, lock(&to).contents()), (0, from.contents()), "{json:#}");
}

#[test]
fn a_message_over_which_the_target_falls_is_set_aside_as_refused_and_none_is_doubled() {
    for capabilities in [SINGLE, MULTI] {
        let (from, to) = (Mailbox::with_messages(30, &[]).shared(), Mailbox::empty().shared());
        let falls_over = |command: &Command, _: &mut Session<'_>, _: &mut Mailbox| {
            let bad = |octets: &Vec<u8>| octets.windows(12).any(|window| window == b"Subject: 12\r");
            match command.name == "APPEND" && command.literals.iter().any(bad) {
                true => Handled::Close,
                false => Handled::No,
            }
        };
        let (code, json) = copy(&between(&serve(&from, MULTI, plain), &serve(&to, capabilities, falls_over)));
        let aside = set_aside(&json);
        assert_eq!((code, aside.len(), aside[0].0, aside[0].1.as_str()), (5, 1, 12, "refused"), "{json:#}");
        assert!(aside[0].2.contains("the connection to the target was lost all"), "{}", aside[0].2);
        let contents = lock(&to).contents();
        assert_eq!(contents.len(), 29, "{capabilities}");
        assert!(contents.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
