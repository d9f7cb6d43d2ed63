//! LIST, STATUS, SELECT, SEARCH, scan and headers over the wire.

use super::peer::{mailbox, signed_in};
use crate::{ErrorClass, ImapError, ScanItems};
use mailhaul_types::{NameEncoding, Side, SpecialUse, Uid, UidRange, UidSet, UidValidity};

fn range(first: u32, last: u32) -> UidRange {
    UidRange { first: Uid(first), last: Uid(last) }
}

#[tokio::test(start_paused = true)]
async fn extended_list_tells_everything_at_once() {
    let (mut connection, mut peer) = signed_in(Side::Source, "LIST-EXTENDED SPECIAL-USE").await;
    let script = async {
        peer.answer(
            "LIST \"\" \"*\" RETURN (SPECIAL-USE SUBSCRIBED)",
            "* LIST (\\Subscribed) \"/\" inbox\r\n* STATUS x (MESSAGES 1)\r\n\
             * LIST (\\Sent) \"/\" {4}\r\nSent (\"CHILDINFO\" (\"X\"))\r\n* LIST (\\Noselect) \"/\" &AOk-\r\nTAG OK done\r\n",
        )
        .await;
    };
    let (listed, ()) = tokio::join!(connection.list_mailboxes(), script);
    let listed = listed.expect("listed");
    let told: Vec<_> = listed.iter().map(|m| (m.name.text(), m.selectable, m.subscribed, m.special_use)).collect();
    let expected =
        [("é", false, false, None), ("INBOX", true, true, None), ("Sent", true, false, Some(SpecialUse::Sent))];
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_its_own_extension_is_asked_the_old_way() {
    let (mut connection, mut peer) = signed_in(Side::Source, "LIST-EXTENDED").await;
    let script = async {
        peer.answer("LIST \"\" \"*\" RETURN (SUBSCRIBED)", "TAG BAD what\r\n").await;
        peer.answer("LIST \"\" \"*\"", "* LIST () \".\" a\r\n* LIST () \".\" b\r\nTAG OK done\r\n").await;
        peer.answer("LSUB \"\" \"*\"", "* LSUB () \".\" b\r\n* LSUB () \".\" gone\r\nTAG OK done\r\n").await;
    };
    let (listed, ()) = tokio::join!(connection.list_mailboxes(), script);
    let listed = listed.expect("listed");
    assert_eq!(listed.iter().map(|m| (m.name.text(), m.subscribed)).collect::<Vec<_>>(), [("a", false), ("b", true)]);
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_cannot_be_read_is_not_silently_lost() {
    let (mut connection, mut peer) = signed_in(Side::Source, "").await;
    let script = peer.answer("LIST \"\" \"*\"", "* LIST () \"/\" a\r\n* LIST nonsense\r\nTAG OK done\r\n");
    let (listed, ()) = tokio::join!(connection.list_mailboxes(), script);
    assert!(matches!(listed, Err(ImapError::Protocol { .. })), "{listed:?}");
}

#[tokio::test(start_paused = true)]
async fn select_reads_the_figures_and_forgives_the_rest() {
    let (mut connection, mut peer) = signed_in(Side::Target, "").await;
    let script = peer.answer(
        "SELECT \"a\"",
        "* OK [CLOSED] bye to the other\r\n* FLAGS (\\Seen $x)\r\n* 17 EXISTS\r\n* 0 RECENT\r\n\
         * OK [UIDVALIDITY 9] ok\r\n* [UIDNEXT 30] no status word\r\n* OK [HIGHESTMODSEQ -1]\r\n\
         * OK [MAILBOXID (F1-2)] id\r\n* OK [PERMANENTFLAGS (\\Seen \\*)] limited\r\nTAG OK [READ-WRITE] done \r\n",
    );
    let (selected, ()) = tokio::join!(async { connection.select(&mailbox("a")).await }, script);
    let selected = selected.expect("selected");
    assert_eq!((selected.exists, selected.uid_validity, selected.uid_next), (17, Some(UidValidity(9)), Some(Uid(30))));
    assert_eq!((selected.highest_modseq, selected.mailbox_id.as_deref()), (None, Some("F1-2")));
    assert!(selected.permanent_flags.any_keyword && !selected.read_only);
    assert_eq!(selected.permanent_flags.flags.to_string(), "\\Seen");
}

#[tokio::test(start_paused = true)]
async fn without_permanentflags_everything_may_be_stored() {
    let (mut connection, mut peer) = signed_in(Side::Source, "").await;
    let script = peer.answer("EXAMINE \"a\"", "* FLAGS (\\Seen $x)\r\n* 0 EXISTS\r\nTAG OK [READ-ONLY] done\r\n");
    let (selected, ()) = tokio::join!(async { connection.examine(&mailbox("a")).await }, script);
    let selected = selected.expect("examined");
    assert!(selected.read_only && selected.permanent_flags.any_keyword);
    assert_eq!(selected.permanent_flags.flags.to_string(), "\\Seen \\Answered \\Flagged \\Deleted \\Draft $x");
    assert_eq!((selected.uid_validity, selected.uid_next), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_refused_mailbox_is_a_mailbox_matter() {
    let (mut connection, mut peer) = signed_in(Side::Target, "").await;
    let script = peer.answer("CREATE \"a\"", "TAG NO Folder name is reserved.\r\n");
    let (created, ()) = tokio::join!(async { connection.create(&mailbox("a")).await }, script);
    assert_eq!(created.expect_err("refused").class(), ErrorClass::Mailbox);
}

#[tokio::test(start_paused = true)]
async fn a_scan_asks_ahead_and_counts_what_went_away() {
    let (mut connection, mut peer) = signed_in(Side::Source, "").await;
    let script = async {
        let first = peer.command("UID FETCH 1:5 (UID RFC822.SIZE INTERNALDATE)").await;
        let second = peer.command("UID FETCH 10 (UID RFC822.SIZE INTERNALDATE)").await;
        peer.say("* 1 FETCH (UID 2 RFC822.SIZE 9.37e+06 INTERNALDATE \"17-Jul-1996 02:44:25 -0700\")\r\n").await;
        peer.say("* 4 EXPUNGE\r\n* VANISHED 4:5\r\n* VANISHED (EARLIER) 1:9\r\n* 7 EXISTS\r\n").await;
        peer.say("* 2 FETCH (UID 3 FLAGS (\\Seen))\r\n* 2 FETCH (FLAGS ())\r\n* 2 FETCH (UID 77 RFC822.SIZE 1)\r\n")
            .await;
        peer.say("* 2 FETCH nonsense\r\n").await;
        peer.say(&format!("{first} OK done\r\n* 9 FETCH (RFC822.SIZE -4 UID 10)\r\n{second} OK done\r\n")).await;
    };
    let mut rows = Vec::new();
    let mut take = |row: crate::ScanRow| rows.push((row.uid.0, row.size, row.internal_date.is_some()));
    let items = ScanItems { internal_date: true, ..ScanItems::default() };
    let (tally, ()) =
        tokio::join!(async { connection.scan(&[range(1, 5), range(10, 10)], items, &mut take).await }, script);
    let tally = tally.expect("scanned");
    assert_eq!(rows, [(2, 9_370_000, true), (10, 0, false)]);
    assert_eq!((tally.rows, tally.expunged, tally.exists, tally.unreadable_lines), (2, 3, Some(7), 1));
}

#[tokio::test(start_paused = true)]
async fn a_scan_that_is_cut_short_asks_for_the_rest_on_both_sides() {
    let (mut connection, mut peer) = signed_in(Side::Source, "MESSAGELIMIT=2").await;
    let script = async {
        let tag = peer.command("UID FETCH 1:9 (UID RFC822.SIZE)").await;
        peer.say("* 5 FETCH (UID 5 RFC822.SIZE 1)\r\n* 6 FETCH (UID 6 RFC822.SIZE 1)\r\n").await;
        peer.say(&format!("{tag} OK [MESSAGELIMIT 2 5] partial\r\n")).await;
        peer.answer("UID FETCH 1:4 (UID RFC822.SIZE)", "* 1 FETCH (UID 1 RFC822.SIZE 1)\r\nTAG OK done\r\n").await;
        peer.answer("UID FETCH 7:9 (UID RFC822.SIZE)", "TAG OK done\r\n").await;
    };
    let mut rows = Vec::new();
    let mut take = |row: crate::ScanRow| rows.push(row.uid.0);
    let (tally, ()) =
        tokio::join!(async { connection.scan(&[range(1, 9)], ScanItems::default(), &mut take).await }, script);
    assert_eq!(tally.expect("scanned").message_limit_followed, 1);
    assert_eq!(rows, [5, 6, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_without_progress_is_an_error() {
    let (mut connection, mut peer) = signed_in(Side::Source, "").await;
    let script = peer.answer("UID FETCH 1:9 (UID RFC822.SIZE)", "TAG OK [MESSAGELIMIT 0 1] partial\r\n");
    let (tally, ()) =
        tokio::join!(async { connection.scan(&[range(1, 9)], ScanItems::default(), &mut |_| {}).await }, script);
    assert!(matches!(tally, Err(ImapError::Protocol { .. })), "{tally:?}");
}

#[tokio::test(start_paused = true)]
async fn one_refused_command_fails_the_scan_but_keeps_the_connection_in_step() {
    let (mut connection, mut peer) = signed_in(Side::Source, "").await;
    let ranges: Vec<UidRange> = (0..10).map(|number| range(number * 10 + 1, number * 10 + 9)).collect();
    let script = async {
        let mut tags = Vec::new();
        for _ in 0..4 {
            tags.push(peer.any_command().await.0);
        }
        peer.say(&format!("{} NO first\r\n{} NO second\r\n", tags[0], tags[1])).await;
        peer.say(&format!("{} OK\r\n{} OK\r\n", tags[2], tags[3])).await;
        peer.answer("NOOP", "TAG OK\r\n").await;
    };
    let asking = async {
        let tally = connection.scan(&ranges, ScanItems::default(), &mut |_| {}).await;
        connection.noop().await.expect("in step");
        tally
    };
    let (tally, ()) = tokio::join!(asking, script);
    assert!(matches!(tally, Err(ImapError::Refused { status, .. }) if status.text == "first"));
}

#[tokio::test(start_paused = true)]
async fn headers_are_cut_where_they_are_absurd() {
    let (mut connection, mut peer) = signed_in(Side::Source, "").await;
    let asked: UidSet = [1, 2, 4].map(Uid).into_iter().collect();
    let fields = "BODY[HEADER.FIELDS (DATE FROM TO CC SUBJECT MESSAGE-ID IN-REPLY-TO REFERENCES)]";
    let script = async {
        let (tag, text) = peer.any_command().await;
        assert!(
            text.starts_with("UID FETCH 1:2,4 (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM")
        );
        peer.say(&format!("* 1 FETCH (UID 1 FLAGS (\\Seen) RFC822.SIZE 5 {fields} {{12}}\r\nSubject: a\r\n)\r\n"))
            .await;
        peer.say(&format!("* 2 FETCH ({} {{400000}}\r\n", fields.to_lowercase())).await;
        peer.say_octets(&vec![b'h'; 400_000]).await;
        peer.say(&format!(" UID 2 FLAGS ())\r\n* 3 FETCH (UID 3 {fields} \"\")\r\n{tag} OK done\r\n")).await;
    };
    let mut rows = Vec::new();
    let mut take = |row: crate::HeaderRow| rows.push((row.uid.0, row.header.len(), row.truncated, row.size));
    let (fetched, ()) = tokio::join!(connection.fetch_headers(&asked, &mut take), script);
    fetched.expect("fetched");
    assert_eq!(rows, [(1, 12, false, 5), (2, 256 * 1024, true, 0)]);
}

#[tokio::test(start_paused = true)]
async fn search_tells_what_is_there() {
    let (mut connection, mut peer) = signed_in(Side::Source, "").await;
    let asked: UidSet = [3, 4, 9].map(Uid).into_iter().collect();
    let script = peer.answer("UID SEARCH UID 3:4,9", "* SEARCH 9 3 77 \r\nTAG OK done\r\n");
    let (found, ()) = tokio::join!(connection.uid_search_present(&asked), script);
    assert_eq!(found.expect("answered").to_string(), "3,9");
    let script = peer.answer("UID SEARCH UID 3:4,9", "* SEARCH\r\nTAG OK done\r\n");
    let (found, ()) = tokio::join!(connection.uid_search_present(&asked), script);
    assert!(found.expect("answered").is_empty());
}

#[tokio::test(start_paused = true)]
async fn utf8_is_enabled_on_a_source_only_if_the_server_says_so() {
    use super::peer::{credentials, open_with};
    for (side, capability, enabled, encoding) in [
        (Side::Source, "UTF8=ACCEPT", "* ENABLED UTF8=ACCEPT\r\n", NameEncoding::Utf8),
        (Side::Source, "UTF8=ACCEPT", "", NameEncoding::ModifiedUtf7),
        (Side::Target, "UTF8=ACCEPT", "never asked", NameEncoding::ModifiedUtf7),
        (Side::Target, "UTF8=ONLY", "* ENABLED UTF8=ACCEPT\r\n", NameEncoding::Utf8),
    ] {
        let (connection, _peer) = open_with(side, crate::TlsMode::Plain, &credentials(), |mut peer| async move {
            peer.say("* OK ready\r\n").await;
            peer.answer("CAPABILITY", "* CAPABILITY IMAP4rev1\r\nTAG OK done\r\n").await;
            peer.answer("LOGIN \"alice\" \"canary-pass\"", "TAG OK in\r\n").await;
            peer.answer("CAPABILITY", &format!("* CAPABILITY IMAP4rev1 {capability}\r\nTAG OK done\r\n")).await;
            if enabled != "never asked" {
                peer.answer("ENABLE UTF8=ACCEPT", &format!("{enabled}TAG OK done\r\n")).await;
            }
            peer
        })
        .await;
        assert_eq!(connection.expect("opens").name_encoding(), encoding, "{side} {capability} {enabled:?}");
    }
}
