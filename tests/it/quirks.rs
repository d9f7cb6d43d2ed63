//! Sources that behave as some servers do: a scripted server with a small mailbox, and one oddity each.

use crate::harness::{Bench, USER};
use mailhaul_testing::dovecot::Dovecot;
use mailhaul_testing::imap_client::Client;
use mailhaul_testing::scripted::{Command, Handled, Program, ScriptedServer, Session};
use serde_json::Value;

/// A message as the source holds it, and the size that it claims for it.
#[derive(Clone)]
struct Held {
    uid: u32,
    claimed: String,
    octets: Vec<u8>,
}

fn held(uids: impl IntoIterator<Item = u32>) -> Vec<Held> {
    let message = |uid| {
        let octets = format!("Message-ID: <{uid}@quirks>\r\nSubject: {uid}\r\n\r\nbody {uid}\r\n").into_bytes();
        Held { uid, claimed: octets.len().to_string(), octets }
    };
    uids.into_iter().map(message).collect()
}

/// What a source says when its mailbox is opened.
struct Opening {
    exists: usize,
    uid_next: Option<u32>,
    uid_validity: u32,
}

impl Opening {
    fn of(messages: &[Held]) -> Self {
        let uid_next = messages.iter().map(|held| held.uid + 1).max().unwrap_or(1);
        Self { exists: messages.len(), uid_next: Some(uid_next), uid_validity: 7 }
    }
}

fn open(command: &Command, session: &mut Session<'_>, opening: &Opening) {
    session.line(&format!("* {} EXISTS", opening.exists));
    session.line(&format!("* OK [UIDVALIDITY {}] valid", opening.uid_validity));
    if let Some(uid_next) = opening.uid_next {
        session.line(&format!("* OK [UIDNEXT {uid_next}] next"));
    }
    session.tagged(command, "OK [READ-ONLY] open");
}

/// Answers `UID FETCH set (items)` as a plain server would.
fn fetch(command: &Command, session: &mut Session<'_>, messages: &[Held]) {
    let set = command.text.split(' ').nth(2).expect("UID FETCH set");
    let within = |uid: u32| {
        set.split(',').any(|range| {
            let (first, last) = range.split_once(':').unwrap_or((range, range));
            let bound = |text: &str| text.parse().unwrap_or(u32::MAX);
            (bound(first)..=bound(last)).contains(&uid)
        })
    };
    for (number, held) in (1..).zip(messages).filter(|(_, held)| within(held.uid)) {
        let Held { uid, claimed, octets } = held;
        let date = "INTERNALDATE \"09-Sep-2001 01:46:40 +0000\"";
        if command.text.contains("BODY.PEEK[]") {
            session.literal(&format!("* {number} FETCH (UID {uid} FLAGS () {date} BODY[] "), octets, ")");
        } else {
            session.line(&format!("* {number} FETCH (UID {uid} FLAGS () {date} RFC822.SIZE {claimed})"));
        }
    }
    session.tagged(command, "OK fetched");
}

/// A source with these messages; `odd` may answer a command in its own way first.
fn source(
    messages: Vec<Held>,
    opening: Opening,
    mut odd: impl FnMut(&Command, &mut Session<'_>) -> Handled + Send + 'static,
) -> ScriptedServer {
    ScriptedServer::program(Program::new(move |command, session| {
        match odd(command, session) {
            Handled::No => {}
            handled => return handled,
        }
        match command.name.as_str() {
            "EXAMINE" => open(command, session, &opening),
            "UID FETCH" => fetch(command, session, &messages),
            "UID SEARCH" => {
                let uids: Vec<String> = messages.iter().map(|held| held.uid.to_string()).collect();
                session.line(&format!("* SEARCH {}", uids.join(" ")));
                session.tagged(command, "OK searched");
            }
            _ => return Handled::No,
        }
        Handled::Yes
    }))
}

fn plain(_: &Command, _: &mut Session<'_>) -> Handled {
    Handled::No
}

/// Copies from a scripted source into a Dovecot; returns code, result, and what INBOX holds then.
fn copy_from(server: &ScriptedServer, bench: Option<&Bench>, target: &Dovecot) -> (i32, Value, Vec<Vec<u8>>) {
    let fresh;
    let bench = match bench {
        Some(bench) => bench,
        None => {
            fresh = Bench::between(server.address(), "x", target.address(), target.password());
            &fresh
        }
    };
    let (code, json) = bench.copy(&["--timeout", "5"]);
    let mut client = Client::sign_in(target.address(), USER, target.password()).expect("sign in");
    client.examine("INBOX").expect("examine");
    let there = client.fetch_all().expect("fetch").into_iter().map(|message| message.octets).collect();
    (code, json, there)
}

#[test]
fn a_source_that_lies_about_sizes_is_believed_by_its_octets() {
    let mut messages = held(1..=4);
    messages[0].claimed = "3".to_owned();
    messages[1].claimed = "3000000000".to_owned();
    messages[2].claimed = "-1".to_owned();
    messages[3].claimed = "0".to_owned();
    let expected: Vec<Vec<u8>> = messages.iter().map(|held| held.octets.clone()).collect();
    let opening = Opening::of(&messages);
    let target = Dovecot::start();
    let (code, json, there) = copy_from(&source(messages, opening, plain), None, &target);
    assert_eq!(code, 0, "{json:#}");
    assert_eq!(there, expected);
}

#[test]
fn a_source_that_lists_fewer_than_it_says_is_copied_and_never_called_complete() {
    let messages = held(1..=8);
    let opening = Opening { exists: 10, ..Opening::of(&messages) };
    let target = Dovecot::start();
    let (code, json, there) = copy_from(&source(messages, opening, plain), None, &target);
    assert_eq!((code, json["verdict"].as_str()), (5, Some("exceptions")), "{json:#}");
    assert_eq!(json["exceptions"][0]["state"], "view_incomplete");
    assert_eq!(there.len(), 8);
}

#[test]
fn a_source_without_uidnext_and_with_stray_lines_is_copied() {
    let messages = held([3, 900, 4_000_000_000]);
    let opening = Opening { uid_next: None, ..Opening::of(&messages) };
    let stray = |command: &Command, session: &mut Session<'_>| {
        if command.name == "UID FETCH" {
            session.line("* 0 FETCH (FLAGS ())");
            session.line("* 3 FETCH (FLAGS (\\Seen))");
            session.line("* XSOMETHING (((");
        }
        if command.name == "STATUS" {
            session.line("* STATUS INBOX (MESSAGES 3)");
            session.tagged(command, "OK");
            return Handled::Yes;
        }
        Handled::No
    };
    let target = Dovecot::start();
    let (code, json, there) = copy_from(&source(messages, opening, stray), None, &target);
    assert_eq!((code, there.len()), (0, 3), "{json:#}");
}

#[test]
fn a_source_that_asks_to_slow_down_in_its_own_way_is_obeyed_and_not_charged() {
    let messages = held(1..=20);
    let opening = Opening::of(&messages);
    let mut fetches = 0;
    let throttle = move |command: &Command, session: &mut Session<'_>| {
        fetches += u32::from(command.name == "UID FETCH");
        if command.name == "UID FETCH" && fetches == 2 {
            session.tagged(command, "BAD Request is throttled. Suggested Backoff Time: 300 milliseconds");
            return Handled::Yes;
        }
        Handled::No
    };
    let target = Dovecot::start();
    let (code, json, there) = copy_from(&source(messages, opening, throttle), None, &target);
    assert_eq!((code, there.len()), (0, 20), "{json:#}");
}

#[test]
fn a_renumbered_source_that_hands_out_no_headers_is_set_aside_and_nothing_is_doubled() {
    let messages = held(1..=5);
    let target = Dovecot::start();
    let first = source(messages.clone(), Opening::of(&messages), plain);
    let mut bench = Bench::between(first.address(), "x", target.address(), target.password());
    let (code, json, _) = copy_from(&first, Some(&bench), &target);
    assert_eq!(code, 0, "{json:#}");
    let renumbered = source(messages.clone(), Opening { uid_validity: 8, ..Opening::of(&messages) }, plain);
    bench.from = format!("imap://{USER}@{}?tls=none", renumbered.address());
    let (code, json, there) = copy_from(&renumbered, Some(&bench), &target);
    assert_eq!((code, there.len()), (5, 5), "{json:#}");
    assert_eq!(json["exceptions"][0]["state"], "mailbox_failed");
}

#[test]
fn metadata_behind_the_literal_and_repeated_messages_do_no_harm() {
    let messages = held(1..=6);
    let opening = Opening::of(&messages);
    let mine = messages.clone();
    let backwards = move |command: &Command, session: &mut Session<'_>| {
        if command.name != "UID FETCH" || !command.text.contains("BODY.PEEK[]") {
            return Handled::No;
        }
        // Twice, the UID last, and highest first.
        for held in mine.iter().rev().flat_map(|held| [held, held]) {
            let after = format!(" INTERNALDATE \"09-Sep-2001 01:46:40 +0000\" FLAGS (\\Seen) UID {})", held.uid);
            session.literal(&format!("* {} FETCH (BODY[] ", held.uid), &held.octets, &after);
        }
        session.tagged(command, "OK fetched");
        Handled::Yes
    };
    let target = Dovecot::start();
    let (code, json, there) = copy_from(&source(messages, opening, backwards), None, &target);
    assert_eq!((code, there.len()), (0, 6), "{json:#}");
}
