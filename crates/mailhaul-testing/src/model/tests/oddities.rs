//! Servers that are odd in one way.

use super::{append, say, server};
use crate::model::{Alters, Duplicates, Traits};

#[test]
fn what_is_given_is_altered_as_the_traits_say() {
    let message = "Subject: gr\u{fc}n\r\n\r\nsch\u{f6}n\r\n";
    let command =
        format!("a APPEND INBOX (\\Seen $Work) \"01-Jan-2000 00:00:00 +0000\" {{{}+}}\r\n{message}", message.len());
    let stored = |alters| {
        let (server, mut alice) = server(Traits { alters, ..Traits::default() });
        server.advance(5_000);
        alice.receive(command.as_bytes());
        assert!(say(&mut alice, "").starts_with("a OK"));
        let held = server.contents()["INBOX"][0].clone();
        (String::from_utf8_lossy(&held.octets).into_owned(), held.date, held.flags.join(" "))
    };
    let as_it_was = (message.to_owned(), 946_684_800, "$Work \\Seen".to_owned());
    assert_eq!(stored(Alters::Nothing), as_it_was);
    assert_eq!(stored(Alters::AddsHeader).0, format!("X-Model-Stored: number 0\r\n{message}"));
    let plain = "Subject: gr\u{fc}n\r\n\r\n";
    assert_eq!(stored(Alters::DropsHeaders).0, message);
    assert_eq!(stored(Alters::RebuildsBody).0, message.replace(plain, &format!("{plain}rebuilt as number 0\r\n")));
    assert_eq!(stored(Alters::EightBitHeaders).0, "Subject: grXXn\r\n\r\nsch\u{f6}n\r\n");
    assert_eq!(stored(Alters::DropsKeywords), (message.to_owned(), 946_684_800, "\\Seen".to_owned()));
    assert_eq!(stored(Alters::IgnoresDates), (message.to_owned(), 1_700_000_005, "$Work \\Seen".to_owned()));
}

#[test]
fn a_server_that_drops_keywords_says_so_and_drops_them_in_store_too() {
    let (server, mut alice) = server(Traits { alters: Alters::DropsKeywords, ..Traits::default() });
    server.deliver("INBOX", b"x", 0, &[]);
    assert!(!say(&mut alice, "a SELECT INBOX").contains("\\*"));
    assert!(say(&mut alice, "b UID STORE 1 +FLAGS.SILENT ($Work \\Seen)").contains("b OK"));
    assert_eq!(server.contents()["INBOX"][0].flags, ["\\Seen"]);
}

#[test]
fn twins_are_merged_with_the_one_that_is_there() {
    for (duplicates, code, stored) in [
        (Duplicates::Kept, "[APPENDUID 1700000001 2] ", 2),
        (Duplicates::MergedInSilence, "", 1),
        (Duplicates::MergedUnderOldUid, "[APPENDUID 1700000001 1] ", 1),
    ] {
        let (server, mut alice) = server(Traits { duplicates, ..Traits::default() });
        say(&mut alice, &append("a", "INBOX"));
        assert_eq!(say(&mut alice, &append("b", "INBOX")), format!("b OK {code}stored\r\n"), "{duplicates:?}");
        assert_eq!((server.contents()["INBOX"].len(), server.appended()), (stored, stored as u64));
    }
}

#[test]
fn uids_skip_and_appenduid_names_each() {
    let (server, mut alice) = server(Traits { holes: true, ..Traits::default() });
    for _ in 0..50 {
        let answer = say(&mut alice, &append("a", "INBOX"));
        let last = server.contents()["INBOX"].last().map(|held| held.uid).unwrap_or_default();
        assert_eq!(answer, format!("a OK [APPENDUID 1700000001 {last}] stored\r\n"));
    }
    let uids: Vec<u32> = server.contents()["INBOX"].iter().map(|held| held.uid).collect();
    assert!(uids.windows(2).any(|pair| pair[1] > pair[0] + 1) && uids.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn sizes_may_be_lies_and_literals_never_are() {
    for (lie, told) in [(7, 30), (-9, 14), (-99, 0)] {
        let (_, mut alice) = server(Traits { size_lies: lie, ..Traits::default() });
        say(&mut alice, &append("a", "INBOX"));
        say(&mut alice, "b EXAMINE INBOX");
        let answer = say(&mut alice, "c UID FETCH 1 (RFC822.SIZE BODY.PEEK[])");
        assert!(answer.contains(&format!("RFC822.SIZE {told} BODY[] {{23}}\r\n")), "{answer}");
    }
}
