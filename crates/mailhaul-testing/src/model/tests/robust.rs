//! Whatever comes in, the model answers or hangs up.

use super::{append, server, taken};
use crate::histories::Dice;
use crate::model::{ModelServer, Traits};

/// A session with something of everything, in which `{n+}` announces what follows.
fn session() -> Vec<u8> {
    let lines = [
        "a ID (\"name\" \"x\")".to_owned(),
        "b LIST \"\" \"*\" RETURN (SUBSCRIBED STATUS (MESSAGES))".to_owned(),
        append("c", "INBOX"),
        append("d", "\"INBOX\"") + " (\\Seen) \"01-Jan-2000 00:00:00 +0000\" {2+}\r\nxy",
        "e SELECT INBOX (CONDSTORE)".to_owned(),
        "f UID FETCH 1:*,7 (UID FLAGS BODY.PEEK[HEADER.FIELDS (DATE)]<0.9>) (CHANGEDSINCE 1)".to_owned(),
        "g UID SEARCH RETURN (ALL) OR NOT (UID 1) HEADER {4+}\r\nDate \"x\"".to_owned(),
        "h UID STORE 1 +FLAGS.SILENT (\\Seen $x)".to_owned(),
        "i UID COPY 1 \"Entw&APw-rfe\"".to_owned(),
        "j CREATE a/b".to_owned(),
        "k RENAME a c".to_owned(),
        "l IDLE\r\nDONE".to_owned(),
        "m UID EXPUNGE 1".to_owned(),
        "n NOOP".to_owned(),
    ];
    lines.map(|line| line + "\r\n").concat().into_bytes()
}

#[test]
fn octets_may_arrive_one_by_one() {
    let whole = {
        let (_, mut alice) = server(Traits::default());
        alice.receive(&session());
        taken(&mut alice)
    };
    assert!(whole.ends_with("n OK done\r\n") && !whole.contains(" BAD "), "{whole}");
    let (_, mut alice) = server(Traits::default());
    let mut piecewise = String::new();
    for octet in session() {
        alice.receive(&[octet]);
        piecewise += &taken(&mut alice);
    }
    assert_eq!(piecewise, whole);
}

#[test]
fn mutilated_sessions_are_answered_and_never_a_panic() {
    let session = session();
    for seed in 0..3_000 {
        let mut dice = Dice::of(seed);
        let mut octets = session.clone();
        for _ in 0..=dice.below(6) {
            mutilate(&mut octets, &mut dice);
        }
        let (server, mut alice) = server(Traits::default());
        alice.receive(&octets);
        alice.output();
        alice.receive(b"\r\nz LOGOUT\r\n");
        alice.output();
        alice.close();
        drop(server.contents());
    }
}

fn mutilate(octets: &mut Vec<u8>, dice: &mut Dice) {
    if octets.is_empty() {
        return;
    }
    let at = dice.below(octets.len());
    let end = (at + dice.below(12)).min(octets.len());
    match dice.below(5) {
        0 => octets[at] = dice.one_of(b"(){}[]<>\"\\*%:,.+ \r\n\x00\xff019aA"),
        1 => octets.insert(at, dice.one_of(b"(){}[]<>\"\\*%:,.+ \r\n\x00\xff019aA")),
        2 => drop(octets.drain(at..end)),
        3 => {
            let copy = octets[at..end].to_vec();
            octets.splice(at..at, copy);
        }
        _ => octets.truncate(at),
    }
}

#[test]
fn wrong_commands_are_bad_and_harm_nothing() {
    let (server, mut alice) = server(Traits::default());
    server.deliver("INBOX", b"x", 0, &[]);
    alice.receive(b"s SELECT INBOX\r\n");
    alice.output();
    for line in [
        "",
        "a",
        "a ",
        "* NOOP",
        "a NOOP x",
        "a UID",
        "a UID NOOP",
        "a UID FETCH",
        "a UID FETCH 0 (UID)",
        "a UID FETCH 1 ()",
        "a UID FETCH 1 (BODY.PEEK[]<0.0>)",
        "a UID FETCH 1 (BODY.PEEK[1.2])",
        "a UID FETCH 1 (UID) (UID)",
        "a FETCH 2 (UID)",
        "a UID STORE 1 FLAGZ (x)",
        "a UID SEARCH",
        "a UID SEARCH (UID 1",
        "a LIST",
        "a STATUS INBOX ()",
        "a STATUS INBOX (MESSAGES",
        "a LOGIN x",
        "a APPEND INBOX",
        "a APPEND INBOX (\\Seen",
        "a APPEND INBOX \"never\" {1+}\r\nx",
        "a SELECT \"INBOX",
        "a ENABLE CONDSTORE",
        "\u{fc} NOOP",
    ] {
        alice.receive(format!("{line}\r\n").as_bytes());
        let answer = taken(&mut alice);
        assert!(answer.contains(" BAD "), "{line:?}: {answer:?}");
    }
    assert_eq!(server.contents()["INBOX"].len(), 1);
    let deep = format!("a UID SEARCH {}ALL\r\n", "NOT ".repeat(100_000));
    let mut fresh = super::signed_in(&server);
    fresh.receive(format!("s EXAMINE INBOX\r\n{deep}").as_bytes());
    assert!(taken(&mut fresh).contains("a BAD too deep"));
    assert!(ModelServer::new(Traits::bare()).connect().output().starts_with(b"* OK"));
}
