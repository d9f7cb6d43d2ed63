//! Commands that are answered otherwise.

use super::{append, say, server, signed_in, taken};
use crate::model::{Answer, ModelServer, Seen, Traits};

/// A server whose first command of this name is answered so.
fn answering(name: &'static str, answer: Answer) -> ModelServer {
    let server = ModelServer::new(Traits::default());
    server.deliver("INBOX", b"x", 0, &[]);
    server.on_command(
        move |seen: &Seen| {
            if seen.name == name && seen.nth == 1 { answer.clone() } else { Answer::AsUsual }
        },
    );
    server
}

#[test]
fn one_command_is_refused_and_the_next_is_not() {
    for (answer, told) in [
        (Answer::No("[INUSE] not now".to_owned()), "b NO [INUSE] not now\r\n"),
        (Answer::Bad("what?".to_owned()), "b BAD what?\r\n"),
        (Answer::WithoutData, "b OK fetched\r\n"),
        (Answer::Malformed(b"* 1 FETCH ((((\r\n".to_vec()), "* 1 FETCH ((((\r\nb OK fetched\r\n"),
    ] {
        let server = answering("UID FETCH", answer);
        let mut alice = signed_in(&server);
        say(&mut alice, "a SELECT INBOX");
        assert_eq!(say(&mut alice, "b UID FETCH 1 (UID)"), told);
        assert_eq!(say(&mut alice, "c uid fetch 1 (UID)"), "* 1 FETCH (UID 1)\r\nc OK fetched\r\n");
    }
}

#[test]
fn an_append_may_be_stored_and_nobody_hears_of_it() {
    for (answer, told, stored, ends) in [
        (Answer::Bye, "* BYE good-bye\r\n", 0, true),
        (Answer::End, "", 0, true),
        (Answer::Silence, "", 0, false),
        (Answer::DoneThenEnd, "", 1, true),
        (Answer::DoneThenSilence, "", 1, false),
        (Answer::WithoutData, "a OK stored\r\nb OK done\r\n", 1, false),
    ] {
        let server = answering("APPEND", answer.clone());
        let mut alice = signed_in(&server);
        alice.receive(format!("{}\r\nb NOOP\r\n", append("a", "INBOX")).as_bytes());
        assert_eq!((taken(&mut alice).as_str(), server.appended(), alice.ended()), (told, stored, ends), "{answer:?}");
    }
}

#[test]
fn a_connection_may_be_turned_away_at_the_door() {
    let server = answering("GREETING", Answer::Bye);
    let mut alice = server.connect();
    assert_eq!((taken(&mut alice).as_str(), alice.ended()), ("* BYE not now\r\n", true));
    signed_in(&server);
    assert_eq!((server.count("GREETING"), server.count("LOGIN")), (2, 1));
}

#[test]
fn the_owner_may_act_at_the_very_moment_of_a_command() {
    let (server, mut alice) = server(Traits::default());
    let hand = server.clone();
    server.on_command(move |seen| {
        if seen.name == "UID FETCH" && hand.count("UID FETCH") == 1 {
            hand.deliver("INBOX", b"x", 0, &[]);
        }
        Answer::AsUsual
    });
    say(&mut alice, "a SELECT INBOX");
    assert!(say(&mut alice, "b UID FETCH 1:* (UID)").contains("* 1 EXISTS"));
    server.as_usual();
    assert_eq!(say(&mut alice, "c UID FETCH 1:* (UID)"), "* 1 FETCH (UID 1)\r\nc OK fetched\r\n");
}
