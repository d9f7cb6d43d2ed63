//! When APPEND is stored, and when it is not.

use super::{MESSAGE, append, say, server, taken};
use crate::model::{Landing, ModelServer, Traits};

fn with(landing: Landing) -> Traits {
    Traits { landing, ..Traits::default() }
}

fn stored(server: &ModelServer) -> usize {
    server.contents()["INBOX"].len()
}

#[test]
fn a_command_without_its_last_crlf_stores_nothing_wherever_it_is_cut() {
    let command = append("a", "INBOX") + &format!(" (\\Seen) {{{}+}}\r\n{MESSAGE}\r\n", MESSAGE.len());
    for landing in [Landing::AtOnce, Landing::Late { millis: 10 }, Landing::Slow { millis: 10 }] {
        for cut in 0..=command.len() {
            let (server, mut alice) = server(with(landing));
            alice.receive(&command.as_bytes()[..cut]);
            alice.close();
            server.advance(10);
            // Both messages or none: MULTIAPPEND.
            assert_eq!(stored(&server), if cut == command.len() { 2 } else { 0 }, "{landing:?} cut at {cut}");
        }
    }
}

#[test]
fn what_lands_late_is_seen_only_then() {
    let (server, mut alice) = server(with(Landing::Late { millis: 3_000 }));
    // While the connection lives, it is stored when the answer is taken.
    assert!(say(&mut alice, &append("a", "INBOX")).starts_with("a OK [APPENDUID 1700000001 1]"));
    // Two commands are in the server's hands when the connection dies, and half of a third.
    alice.receive(format!("{}\r\n{}\r\n", append("b", "INBOX"), append("c", "INBOX")).as_bytes());
    alice.receive(b"d APPEND INBOX {3+}\r\nab");
    alice.close();
    assert!(alice.ended() && alice.output().is_empty());
    assert_eq!((stored(&server), server.due()), (1, Some(3_000)));
    server.advance(2_999);
    assert_eq!((stored(&server), server.due()), (1, Some(1)));
    server.advance(1);
    assert_eq!((stored(&server), server.due(), server.appended()), (3, None, 3));
}

#[test]
fn what_is_slow_is_answered_when_it_is_stored_and_the_next_command_waits() {
    let (server, mut alice) = server(with(Landing::Slow { millis: 500 }));
    alice.receive(format!("{}\r\nb NOOP\r\n", append("a", "INBOX")).as_bytes());
    assert_eq!(taken(&mut alice), "");
    server.advance(499);
    assert_eq!((taken(&mut alice).as_str(), stored(&server)), ("", 0));
    server.advance(1);
    assert_eq!(taken(&mut alice), "a OK [APPENDUID 1700000001 1] stored\r\nb OK done\r\n");
    alice.receive(format!("{}\r\n", append("c", "INBOX")).as_bytes());
    alice.close();
    server.advance(500);
    assert_eq!(stored(&server), 2);
}

#[test]
fn what_finds_its_mailbox_gone_is_not_stored() {
    let (server, mut alice) = server(with(Landing::Slow { millis: 500 }));
    server.create("Work");
    alice.receive(format!("{}\r\n", append("a", "Work")).as_bytes());
    server.delete_mailbox("Work");
    server.advance(500);
    assert!(taken(&mut alice).starts_with("a NO [TRYCREATE]"));
    assert_eq!(server.appended(), 0);
}
