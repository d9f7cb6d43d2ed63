//! One test a command.

use super::{MESSAGE, append, say, server, signed_in, taken, verdict};
use crate::model::{Literals, ModelServer, Traits};

#[test]
fn a_message_comes_back_as_it_was_appended() {
    let (server, mut alice) = server(Traits::default());
    let answer = say(&mut alice, "a APPEND INBOX (\\Seen $Work) \" 7-Feb-1994 21:52:25 -0800\" {5+}\r\na\r\nbc");
    assert_eq!(answer, "a OK [APPENDUID 1700000001 1] stored\r\n");
    assert!(say(&mut alice, "b SELECT INBOX").contains("* 1 EXISTS\r\n"));
    assert_eq!(
        say(&mut alice, "c UID FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"),
        "* 1 FETCH (UID 1 FLAGS ($Work \\Seen) INTERNALDATE \" 8-Feb-1994 05:52:25 +0000\" RFC822.SIZE 5 \
         BODY[] {5}\r\na\r\nbc)\r\nc OK fetched\r\n"
    );
    assert_eq!(server.appended(), 1);
    assert_eq!(server.contents()["INBOX"][0].date, 760_686_745);
}

#[test]
fn only_the_right_password_signs_in() {
    let server = ModelServer::new(Traits::default());
    let mut connection = server.connect();
    taken(&mut connection);
    assert_eq!(verdict(&say(&mut connection, "a SELECT INBOX")), "BAD sign in first");
    assert!(verdict(&say(&mut connection, "b LOGIN alice wrong")).starts_with("NO [AUTHENTICATIONFAILED]"));
    // NUL, alice, NUL, wrong
    assert!(verdict(&say(&mut connection, "c AUTHENTICATE PLAIN AGFsaWNlAHdyb25n")).starts_with("NO [AUTH"));
    assert_eq!(say(&mut connection, "d AUTHENTICATE PLAIN"), "+ \r\n");
    assert_eq!(say(&mut connection, "*"), "d BAD given up\r\n");
    assert_eq!(say(&mut connection, "e AUTHENTICATE PLAIN"), "+ \r\n");
    connection.receive(b"AGFsaWNlAGRlbW8tc2VjcmV0\r\n");
    assert!(taken(&mut connection).starts_with("e OK"));
    assert_eq!(verdict(&say(&mut connection, "f LOGIN alice demo-secret")), "BAD signed in already");
    assert!(say(&mut connection, "g LOGOUT").starts_with("* BYE"));
    assert!(connection.ended());
}

#[test]
fn a_name_and_a_password_may_be_literals() {
    let server = ModelServer::new(Traits::bare());
    let mut connection = server.connect();
    taken(&mut connection);
    assert_eq!(say(&mut connection, "a LOGIN {5}"), "+ go on\r\n");
    connection.receive(b"alice {11}\r\n");
    assert_eq!(taken(&mut connection), "+ go on\r\n");
    assert!(say(&mut connection, "demo-secret").starts_with("a OK"));
}

#[test]
fn what_is_not_announced_is_not_obeyed() {
    let (server, mut alice) = server(Traits::bare());
    server.deliver("INBOX", b"x", 0, &[]);
    say(&mut alice, "s SELECT INBOX");
    for line in [
        "AUTHENTICATE PLAIN",
        "NAMESPACE",
        "IDLE",
        "UNSELECT",
        "UID EXPUNGE 1",
        "UID MOVE 1 INBOX",
        "UID SEARCH RETURN (ALL) ALL",
        "LIST \"\" \"*\" RETURN (SUBSCRIBED)",
        "STATUS INBOX (HIGHESTMODSEQ)",
        "STATUS INBOX (MAILBOXID)",
        "STATUS INBOX (SIZE)",
        "SELECT INBOX (CONDSTORE)",
        "UID FETCH 1 (MODSEQ)",
        "UID FETCH 1 (FLAGS) (CHANGEDSINCE 1)",
        "GETQUOTAROOT INBOX",
        "APPEND INBOX {1+}\r\nx",
    ] {
        let answer = say(&mut alice, &format!("a {line}"));
        assert!(answer.starts_with("a BAD") || answer.starts_with("a NO no such way"), "{line}: {answer}");
        say(&mut alice, "s SELECT INBOX");
    }
    say(&mut alice, "m APPEND INBOX {1}\r\nx {1}\r\ny");
    assert_eq!(server.contents()["INBOX"].len(), 1);
}

#[test]
fn literals_wait_as_far_as_the_server_wants_it() {
    for (literals, octets, allowed) in [
        (Literals::Plus, 5_000, true),
        (Literals::Minus, 4_096, true),
        (Literals::Minus, 4_097, false),
        (Literals::Synchronising, 1, false),
    ] {
        let (server, mut alice) = server(Traits { literals, ..Traits::default() });
        let answer = say(&mut alice, &format!("a APPEND INBOX {{{octets}+}}\r\n{}", "x".repeat(octets)));
        assert_eq!(answer.starts_with("a OK"), allowed, "{literals:?} {octets}: {answer}");
        assert_eq!(server.appended(), u64::from(allowed));
    }
}

#[test]
fn a_literal_that_will_be_refused_is_not_even_asked_for() {
    let (_, mut alice) = server(Traits { append_limit: Some(10), ..Traits::default() });
    assert!(say(&mut alice, "a APPEND nowhere {3}").starts_with("a NO [TRYCREATE]"));
    assert!(say(&mut alice, "b APPEND INBOX {11}").starts_with("b NO [TOOBIG]"));
    assert_eq!(say(&mut alice, "c APPEND INBOX (\\Seen) {10}"), "+ go on\r\n");
    assert!(say(&mut alice, "0123456789").starts_with("c OK"));
    assert!(say(&mut alice, "d NOOP").starts_with("d OK"));
}

#[test]
fn several_messages_are_stored_all_or_none() {
    let (server, mut alice) = server(Traits { append_limit: Some(10), ..Traits::default() });
    let good = say(&mut alice, "a APPEND INBOX {1+}\r\nx (\\Seen) {2+}\r\nyy");
    assert_eq!(good, "a OK [APPENDUID 1700000001 1:2] stored\r\n");
    assert!(say(&mut alice, "b APPEND INBOX {1+}\r\nx {11+}\r\n01234567890").starts_with("b NO [TOOBIG]"));
    assert!(say(&mut alice, "c APPEND INBOX {1+}\r\nx nonsense").starts_with("c BAD"));
    assert_eq!(server.contents()["INBOX"].len(), 2);
}

#[test]
fn mailboxes_are_listed_with_what_was_asked_for() {
    let traits = Traits { prefix: "INBOX.".to_owned(), delimiter: '.', ..Traits::default() };
    let (server, mut alice) = server(traits);
    server.create("INBOX.Entwürfe");
    server.create("INBOX.a.b");
    server.set_special_use("INBOX.Entwürfe", "\\Drafts");
    server.subscribe("INBOX.a.b");
    assert_eq!(
        say(&mut alice, "a LIST \"\" \"*\" RETURN (SPECIAL-USE SUBSCRIBED STATUS (MESSAGES UIDNEXT MAILBOXID))"),
        "* LIST () \".\" \"INBOX\"\r\n* STATUS \"INBOX\" (MESSAGES 0 UIDNEXT 1 MAILBOXID (M1))\r\n\
         * LIST (\\Drafts) \".\" \"INBOX.Entw&APw-rfe\"\r\n\
         * STATUS \"INBOX.Entw&APw-rfe\" (MESSAGES 0 UIDNEXT 1 MAILBOXID (M2))\r\n\
         * LIST (\\Noselect) \".\" \"INBOX.a\"\r\n\
         * LIST (\\Subscribed) \".\" \"INBOX.a.b\"\r\n* STATUS \"INBOX.a.b\" (MESSAGES 0 UIDNEXT 1 MAILBOXID (M3))\r\n\
         a OK listed\r\n"
    );
    assert_eq!(say(&mut alice, "b LSUB \"\" \"*\""), "* LSUB () \".\" \"INBOX.a.b\"\r\nb OK listed\r\n");
    assert_eq!(say(&mut alice, "c NAMESPACE"), "* NAMESPACE ((\"INBOX.\" \".\")) NIL NIL\r\nc OK told\r\n");
    assert!(say(&mut alice, "d CREATE outside").starts_with("d NO [CANNOT]"));
    assert!(say(&mut alice, "e CREATE INBOX.").starts_with("e NO [ALREADYEXISTS]"));
    assert!(say(&mut alice, "f CREATE \"INBOX.&invalid\"").starts_with("f NO [CANNOT]"));
    assert!(say(&mut alice, "g RENAME INBOX.a INBOX.z").starts_with("g OK"));
    assert!(server.contents().contains_key("INBOX.z.b"));
    assert!(say(&mut alice, "h RENAME INBOX.z INBOX.z.below").starts_with("h NO"));
}

#[test]
fn a_mailbox_tells_what_a_copier_needs_when_it_is_opened() {
    let (server, mut alice) = server(Traits::default());
    server.deliver("INBOX", MESSAGE.as_bytes(), 0, &["$Work"]);
    let answer = say(&mut alice, "a SELECT inbox (CONDSTORE)");
    for told in [
        "* 1 EXISTS",
        "[UIDVALIDITY 1700000001]",
        "[UIDNEXT 2]",
        "[HIGHESTMODSEQ 2]",
        "[MAILBOXID (M1)]",
        "\\Draft $Work \\*)]",
        "a OK [READ-WRITE]",
    ] {
        assert!(answer.contains(told), "{told} in {answer}");
    }
    assert!(say(&mut alice, "b EXAMINE INBOX").contains("b OK [READ-ONLY]"));
    assert!(say(&mut alice, "c UID STORE 1 +FLAGS.SILENT (\\Seen)").starts_with("c NO"));
    assert!(say(&mut alice, "d SELECT nowhere").starts_with("d NO"));
    assert_eq!(verdict(&say(&mut alice, "e UID FETCH 1 (FLAGS)")), "BAD no mailbox is selected");
}

#[test]
fn parts_of_messages_are_cut_out_exactly() {
    let (server, mut alice) = server(Traits::default());
    server.deliver("INBOX", b"Date: today\r\nSubject: a\r\n b\r\nX: y\r\n\r\nbody", 0, &[]);
    say(&mut alice, "s EXAMINE INBOX");
    for (item, expected) in [
        ("BODY.PEEK[]<37.100>", "BODY[]<37> {4}\r\nbody"),
        ("BODY.PEEK[]<0.4>", "BODY[]<0> {4}\r\nDate"),
        ("BODY.PEEK[]<99.1>", "BODY[]<99> {0}\r\n"),
        ("BODY.PEEK[TEXT]", "BODY[TEXT] {4}\r\nbody"),
        ("RFC822.TEXT", "RFC822.TEXT {4}\r\nbody"),
        (
            "BODY.PEEK[HEADER.FIELDS (SUBJECT date)]",
            "BODY[HEADER.FIELDS (SUBJECT date)] {31}\r\nDate: today\r\nSubject: a\r\n b\r\n\r\n",
        ),
        (
            "BODY.PEEK[HEADER.FIELDS.NOT (Subject)]",
            "BODY[HEADER.FIELDS.NOT (SUBJECT)] {21}\r\nDate: today\r\nX: y\r\n\r\n",
        ),
    ] {
        let answer = say(&mut alice, &format!("a UID FETCH 1 ({item})"));
        let told = answer.split_once("UID 1 ").map(|(_, told)| told).unwrap_or_default();
        assert!(told.to_ascii_lowercase().starts_with(&expected.to_ascii_lowercase()), "{item}: {answer}");
    }
    assert_eq!(server.contents()["INBOX"][0].flags.len(), 0);
}

#[test]
fn changes_since_are_told_and_what_vanished() {
    let (server, mut alice) = server(Traits::default());
    for _ in 0..5 {
        server.deliver("INBOX", MESSAGE.as_bytes(), 0, &[]);
    }
    say(&mut alice, "a ENABLE QRESYNC");
    say(&mut alice, "b SELECT INBOX");
    server.set_flags("INBOX", 2, &["\\Seen"]);
    server.expunge("INBOX", &[3, 4]);
    assert_eq!(
        say(&mut alice, "c UID FETCH 1:9 (UID FLAGS) (CHANGEDSINCE 6 VANISHED)"),
        "* VANISHED 3:4\r\n* 2 FETCH (UID 2 FLAGS (\\Seen) MODSEQ (7))\r\n* VANISHED (EARLIER) 3:4\r\n\
         * 2 FETCH (UID 2 FLAGS (\\Seen) MODSEQ (7))\r\nc OK fetched\r\n"
    );
    assert_eq!(say(&mut alice, "d UID FETCH 1:9 (FLAGS) (CHANGEDSINCE 8 VANISHED)"), "d OK fetched\r\n");
    assert!(say(&mut alice, "e UID FETCH 1:9 (FLAGS) (VANISHED)").starts_with("e BAD"));
}

#[test]
fn searches_answer_in_the_form_that_was_asked_for() {
    let (server, mut alice) = server(Traits::default());
    for flags in [&["\\Seen"][..], &[], &["$Work"]] {
        server.deliver("INBOX", MESSAGE.as_bytes(), 0, flags);
    }
    server.expunge("INBOX", &[1]);
    say(&mut alice, "s EXAMINE INBOX");
    for (line, expected) in [
        ("UID SEARCH ALL", "* SEARCH 2 3\r\n"),
        ("SEARCH ALL", "* SEARCH 1 2\r\n"),
        ("UID SEARCH UID 1:2", "* SEARCH 2\r\n"),
        ("UID SEARCH UID 1", "* SEARCH\r\n"),
        ("UID SEARCH RETURN (ALL) UID 1:9", "* ESEARCH (TAG \"a\") UID ALL 2:3\r\n"),
        ("UID SEARCH RETURN () UID 1", "* ESEARCH (TAG \"a\") UID\r\n"),
        ("UID SEARCH KEYWORD $work", "* SEARCH 3\r\n"),
        ("UID SEARCH OR (UID 2 UNSEEN) NOT UNSEEN", "* SEARCH 2\r\n"),
        ("UID SEARCH HEADER Subject ONE LARGER 3 SMALLER 100", "* SEARCH 2 3\r\n"),
        ("UID SEARCH HEADER Subject two", "* SEARCH\r\n"),
    ] {
        assert_eq!(say(&mut alice, &format!("a {line}")), format!("{expected}a OK searched\r\n"), "{line}");
    }
}

#[test]
fn messages_go_elsewhere_with_flags_and_date() {
    let (server, mut alice) = server(Traits::default());
    server.create("Work");
    for number in 0..4 {
        server.deliver("INBOX", MESSAGE.as_bytes(), number, &["\\Flagged"]);
    }
    say(&mut alice, "s SELECT INBOX");
    assert_eq!(say(&mut alice, "a UID COPY 3:9 Work"), "a OK [COPYUID 1700000002 3:4 1:2] copied\r\n");
    assert_eq!(
        say(&mut alice, "b UID MOVE 1,4 Work"),
        "* OK [COPYUID 1700000002 1,4 3:4] moved\r\n* 4 EXPUNGE\r\n* 1 EXPUNGE\r\nb OK moved\r\n"
    );
    assert!(say(&mut alice, "c UID MOVE 2 nowhere").starts_with("c NO [TRYCREATE]"));
    say(&mut alice, "d UID STORE 2:3 +FLAGS.SILENT (\\Deleted)");
    assert_eq!(say(&mut alice, "e UID EXPUNGE 3:9"), "* 2 EXPUNGE\r\ne OK expunged\r\n");
    assert_eq!(say(&mut alice, "f CLOSE"), "f OK closed\r\n");
    let contents = server.contents();
    assert_eq!(contents["INBOX"].len(), 0);
    let dates: Vec<i64> = contents["Work"].iter().map(|held| held.date).collect();
    assert_eq!(dates, [2, 3, 0, 3]);
    assert!(contents["Work"].iter().all(|held| held.flags == ["\\Flagged"]));
    assert_eq!(server.appended(), 0);
}

#[test]
fn the_other_connection_hears_of_it() {
    let (server, mut alice) = server(Traits::default());
    let mut phone = signed_in(&server);
    say(&mut alice, "a SELECT INBOX");
    assert_eq!(say(&mut alice, "b IDLE"), "+ idling\r\n");
    assert_eq!(say(&mut phone, &append("a", "INBOX")), "a OK [APPENDUID 1700000001 1] stored\r\n");
    assert_eq!(taken(&mut alice), "* 1 EXISTS\r\n* 0 RECENT\r\n");
    server.set_flags("INBOX", 1, &["\\Seen"]);
    assert_eq!(say(&mut alice, "DONE"), "* 1 FETCH (FLAGS (\\Seen))\r\nb OK idle ended\r\n");
    server.expunge("INBOX", &[1]);
    assert_eq!(say(&mut alice, "c FETCH 1 (FLAGS)"), "c NO [EXPUNGEISSUED] some of the messages are gone\r\n");
    assert_eq!(say(&mut alice, "d NOOP"), "* 1 EXPUNGE\r\nd OK done\r\n");
}

#[test]
fn quotas_are_told_and_kept() {
    let (server, mut alice) = server(Traits { quota_messages: Some(2), ..Traits::default() });
    assert!(say(&mut alice, &append("a", "INBOX")).starts_with("a OK"));
    let answer = say(&mut alice, "b GETQUOTAROOT INBOX");
    assert_eq!(answer, "* QUOTAROOT \"INBOX\" \"\"\r\n* QUOTA \"\" (MESSAGE 1 2)\r\nb OK told\r\n");
    assert!(say(&mut alice, "c APPEND INBOX {1+}\r\nx {1+}\r\ny").starts_with("c NO [OVERQUOTA]"));
    assert_eq!(server.contents()["INBOX"].len(), 1);
}
