//! What is conducted through the control library.

use super::peer::{credentials, open_with, signed_in};
use crate::{ImapError, TlsMode};
use mailhaul_types::Side;

#[tokio::test(start_paused = true)]
async fn lines_that_the_library_cannot_parse_do_no_harm() {
    let (mut connection, mut peer) = signed_in(Side::Source, "").await;
    let script = async {
        let tag = peer.command("NOOP").await;
        peer.say("* 3 EXISTS\r\n* VANISHED 1:4\r\n* ESEARCH (TAG \"x\") UID ALL 1\r\n* NAMESPACE NIL NIL NIL\r\n")
            .await;
        peer.say("* STATUS a (SIZE 4 MAILBOXID (x))\r\n* OK still here\r\n* total nonsense {\r\n* 0 FETCH (X ((((\r\n")
            .await;
        peer.say("* LIST () \"/\" {3}\r\na b\r\n+ idling\r\n").await;
        peer.say(&format!("{tag} OK [NONSENSE ( done \r\n")).await;
    };
    let (noop, ()) = tokio::join!(connection.noop(), script);
    noop.expect("done");
}

#[tokio::test(start_paused = true)]
async fn capabilities_come_from_after_sign_in_in_any_spelling() {
    let (opened, _peer) = open_with(Side::Source, TlsMode::Plain, &credentials(), |mut peer| async move {
        peer.say("* OK ready\r\n").await;
        peer.answer("CAPABILITY", "* CAPABILITY IMAP4rev1 LITERAL+ OLD\r\nTAG OK done\r\n").await;
        peer.answer("LOGIN \"alice\" \"canary-pass\"", "TAG OK in\r\n").await;
        // No IMAP4rev1, a slash, a trailing blank: the library's parser would give up on each of these.
        peer.answer("CAPABILITY", "* CAPABILITY imap4rev2 X=a/b literal-  UidPlus \r\nTAG OK done\r\n").await;
        peer
    })
    .await;
    let connection = opened.expect("opens");
    let names: Vec<&str> = connection.capabilities().iter().collect();
    assert_eq!(names, ["IMAP4REV2", "LITERAL-", "UIDPLUS", "X=A/B"]);
}

/// Signs in to a server that says these things, and asks for capabilities as often as it is told to.
async fn announced(
    greeting: &'static str,
    asked_before: bool,
    verdict: &'static str,
    asked_after: bool,
) -> Vec<String> {
    let (opened, _peer) = open_with(Side::Source, TlsMode::Plain, &credentials(), move |mut peer| async move {
        peer.say(greeting).await;
        if asked_before {
            peer.answer("CAPABILITY", "* CAPABILITY IMAP4rev1 EARLY\r\nTAG OK done\r\n").await;
        }
        peer.answer("LOGIN \"alice\" \"canary-pass\"", verdict).await;
        if asked_after {
            peer.answer("CAPABILITY", "* CAPABILITY IMAP4rev1 LATE\r\nTAG OK done\r\n").await;
        }
        peer
    })
    .await;
    opened.expect("opens").capabilities().iter().map(str::to_owned).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_announced_along_with_an_ok_is_not_asked_for_again() {
    let greeting = "* OK [CAPABILITY IMAP4rev1 OLD] ready\r\n";
    let seen = announced(greeting, false, "TAG OK [CAPABILITY IMAP4rev1 MULTIAPPEND] in\r\n", false).await;
    assert_eq!(seen, ["IMAP4REV1", "MULTIAPPEND"]);
    let untagged = "* CAPABILITY IMAP4rev2 MOVE\r\nTAG OK in\r\n";
    assert_eq!(announced(greeting, false, untagged, false).await, ["IMAP4REV2", "MOVE"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_announced_before_sign_in_is_forgotten_after_it() {
    let seen = announced("* OK [CAPABILITY IMAP4rev1 OLD] ready\r\n", false, "TAG OK in\r\n", true).await;
    assert_eq!(seen, ["IMAP4REV1", "LATE"]);
}

#[tokio::test(start_paused = true)]
async fn an_announcement_that_cannot_be_whole_is_asked_for() {
    let cut = "TAG OK [CAPABILITY STARTTLS] in\r\n";
    let seen = announced("* OK [CAPABILITY ] ready\r\n", true, cut, true).await;
    assert_eq!(seen, ["IMAP4REV1", "LATE"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_capability_is_not_an_empty_one() {
    let (opened, _peer) = open_with(Side::Source, TlsMode::Plain, &credentials(), |mut peer| async move {
        peer.say("* OK ready\r\n").await;
        peer.answer("CAPABILITY", "* CAPABILITY IMAP4rev1\r\nTAG OK done\r\n").await;
        peer.answer("LOGIN \"alice\" \"canary-pass\"", "TAG OK in\r\n").await;
        peer.answer("CAPABILITY", "TAG NO Rate limit hit\r\n").await;
        peer
    })
    .await;
    assert!(matches!(opened, Err(ImapError::Refused { command: "CAPABILITY", .. })), "{opened:?}");
}

#[tokio::test(start_paused = true)]
async fn id_tells_the_software_and_its_refusal_does_no_harm() {
    for (answer, software) in [
        ("* ID (\"name\" \"Dovecot\" \"version\" NIL \"os\" \"x\")\r\nTAG OK done\r\n", "Dovecot"),
        ("* ID (\"version\" \"3\" \"name\" {5}\r\nCyrus)\r\nTAG OK done\r\n", "Cyrus 3"),
        ("* ID NIL\r\nTAG OK done\r\n", "ready"),
        ("* ID (nonsense\r\nTAG OK done\r\n", "ready"),
        ("TAG BAD what\r\n", "ready"),
    ] {
        let (opened, _peer) = open_with(Side::Source, TlsMode::Plain, &credentials(), |mut peer| async move {
            peer.say("* OK ready\r\n").await;
            peer.answer("CAPABILITY", "* CAPABILITY IMAP4rev1\r\nTAG OK done\r\n").await;
            peer.answer("LOGIN \"alice\" \"canary-pass\"", "TAG OK in\r\n").await;
            peer.answer("CAPABILITY", "* CAPABILITY IMAP4rev1 ID\r\nTAG OK done\r\n").await;
            let (tag, text) = peer.any_command().await;
            assert!(text.starts_with("ID (\"name\" \"mailhaul\""), "{text}");
            peer.say(&answer.replace("TAG", &tag)).await;
            peer
        })
        .await;
        assert_eq!(opened.expect("opens").server_software(), Some(software), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_the_server_is_and_its_namespaces_are_asked_in_one_round_trip() {
    let told = "* NAMESPACE ((\"INBOX.\" \".\")) NIL NIL\r\n";
    for (namespaces, verdict, again) in [(told, "OK", false), (told, "NO", true), ("", "OK", true)] {
        let (opened, mut peer) = open_with(Side::Source, TlsMode::Plain, &credentials(), |mut peer| async move {
            peer.say("* OK [CAPABILITY IMAP4rev1] ready\r\n").await;
            let verdict_on_sign_in = "TAG OK [CAPABILITY IMAP4rev1 ID NAMESPACE] in\r\n";
            peer.answer("LOGIN \"alice\" \"canary-pass\"", verdict_on_sign_in).await;
            let (id, _) = peer.any_command().await;
            let namespace = peer.command("NAMESPACE").await;
            // The server may answer in any order.
            peer.say(&format!("{namespaces}{namespace} {verdict} done\r\n")).await;
            peer.say(&format!("* ID (\"name\" \"Shop\")\r\n{id} OK done\r\n")).await;
            peer
        })
        .await;
        let mut connection = opened.expect("opens");
        assert_eq!(connection.server_software(), Some("Shop"));
        let script = async {
            if again {
                peer.answer("NAMESPACE", &format!("{told}TAG OK done\r\n")).await;
            }
        };
        let (namespaces, ()) = tokio::join!(connection.namespaces(), script);
        assert_eq!(namespaces.expect("told").personal[0].prefix, b"INBOX.");
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_bye_is_what_logout_is_about() {
    for answer in ["* BYE see you\r\nTAG OK done\r\n", "* BYE see you\r\n", "", "TAG NO stay\r\n"] {
        let (connection, mut peer) = signed_in(Side::Source, "").await;
        let script = async move {
            peer.answer("LOGOUT", answer).await;
        };
        let (out, ()) = tokio::join!(connection.logout(), script);
        out.unwrap_or_else(|error| panic!("{answer:?}: {error}"));
    }
}

#[tokio::test(start_paused = true)]
async fn figures_count_both_kinds_of_commands() {
    let (connection, _peer) = signed_in(Side::Source, "").await;
    let statistics = connection.statistics();
    assert_eq!(statistics.commands, 3, "CAPABILITY, LOGIN, CAPABILITY");
    assert!(statistics.bytes_in > 50 && statistics.bytes_out > 50, "{statistics:?}");
}
