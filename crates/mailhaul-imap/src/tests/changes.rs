//! Flags, what changed, what vanished, and every UID: over the wire, also where the server answers in parts.

use super::peer::{Peer, mailbox, signed_in};
use crate::{Changes, Connection, ImapError, ScanItems};
use mailhaul_types::{ModSeq, Side, Uid, UidRange, UidSet};

fn range(first: u32, last: u32) -> UidRange {
    UidRange { first: Uid(first), last: Uid(last) }
}

fn set(uids: &[u32]) -> UidSet {
    uids.iter().copied().map(Uid).collect()
}

async fn with_qresync(capabilities: &str) -> (Connection, Peer) {
    let (mut connection, mut peer) = signed_in(Side::Source, &format!("QRESYNC {capabilities}")).await;
    let script = peer.answer("ENABLE QRESYNC", "* ENABLED QRESYNC\r\nTAG OK done\r\n");
    let (enabled, ()) = tokio::join!(connection.enable_qresync(), script);
    assert!(enabled.expect("answered"));
    (connection, peer)
}

async fn changes(
    connection: &mut Connection,
    asked: UidRange,
    script: impl Future<Output = ()>,
) -> (Result<Changes, ImapError>, Vec<(u32, String, Option<u64>)>) {
    let mut rows = Vec::new();
    let mut take =
        |row: crate::FlagsRow| rows.push((row.uid.0, row.flags.to_string(), row.modseq.map(|modseq| modseq.0)));
    let (changes, ()) = tokio::join!(connection.fetch_changes(asked, ModSeq(5), &mut take), script);
    (changes, rows)
}

#[tokio::test(start_paused = true)]
async fn a_scan_brings_flags_if_they_are_asked_for() {
    let (mut connection, mut peer) = signed_in(Side::Source, "").await;
    let script = peer.answer(
        "UID FETCH 1:9 (UID RFC822.SIZE FLAGS)",
        "* 1 FETCH (UID 1 RFC822.SIZE 5 FLAGS (\\Seen \\Recent $x))\r\n* 2 FETCH (UID 2 RFC822.SIZE 5)\r\nTAG OK done\r\n",
    );
    let mut rows = Vec::new();
    let mut take = |row: crate::ScanRow| rows.push((row.uid.0, row.flags.map(|flags| flags.to_string())));
    let items = ScanItems { flags: true, ..ScanItems::default() };
    let asked = [range(1, 9)];
    let (tally, ()) = tokio::join!(connection.scan(&asked, items, &mut take), script);
    assert_eq!(tally.expect("scanned").rows, 2);
    assert_eq!(rows, [(1, Some("\\Seen $x".to_owned())), (2, None)]);
}

#[tokio::test(start_paused = true)]
async fn flags_are_fetched_once_each_and_what_is_cut_short_is_asked_again() {
    let (mut connection, mut peer) = signed_in(Side::Source, "MESSAGELIMIT=2").await;
    let script = async {
        peer.answer(
            "UID FETCH 1:3,7 (UID FLAGS)",
            "* 9 FETCH (UID 7 FLAGS (\\Seen))\r\n* 9 FETCH (FLAGS (\\Seen) UID 7)\r\n* 3 FETCH (UID 3 FLAGS ())\r\n\
             * 4 FETCH (UID 4 FLAGS ())\r\n* 5 FETCH (FLAGS ())\r\nTAG OK [MESSAGELIMIT 2 3] partial\r\n",
        )
        .await;
        peer.answer("UID FETCH 1:2 (UID FLAGS)", "* 1 FETCH (UID 1 FLAGS () MODSEQ (4))\r\nTAG OK done\r\n").await;
    };
    let mut rows = Vec::new();
    let mut take = |row: crate::FlagsRow| rows.push((row.uid.0, row.flags.is_empty(), row.modseq));
    let asked = set(&[1, 2, 3, 7]);
    let (fetched, ()) = tokio::join!(connection.fetch_flags(&asked, &mut take), script);
    fetched.expect("fetched");
    assert_eq!(rows, [(7, false, None), (3, true, None), (1, true, Some(ModSeq(4)))]);
    let script = peer.answer("UID FETCH 1 (UID FLAGS)", "TAG OK [MESSAGELIMIT 2 1] partial\r\n");
    let asked = set(&[1]);
    let (stuck, ()) = tokio::join!(async { connection.fetch_flags(&asked, &mut |_| {}).await }, script);
    assert!(matches!(stuck, Err(ImapError::Protocol { .. })), "{stuck:?}");
}

#[tokio::test(start_paused = true)]
async fn changes_come_with_what_vanished_cut_to_the_question() {
    let (mut connection, mut peer) = with_qresync("").await;
    let script = peer.answer(
        "UID FETCH 10:20 (UID FLAGS) (CHANGEDSINCE 5 VANISHED)",
        "* VANISHED (EARLIER) 1:11,15,19:4294967295\r\n* 3 FETCH (UID 12 FLAGS (\\Seen) MODSEQ (9))\r\n\
         * 4 FETCH (UID 13 FLAGS () MODSEQ (0))\r\n* VANISHED 14\r\n* 9 FETCH (UID 30 FLAGS ())\r\n* 44 EXISTS\r\n\
         TAG OK done\r\n",
    );
    let (told, rows) = changes(&mut connection, range(10, 20), script).await;
    let told = told.expect("told");
    assert_eq!(told.vanished.map(|gone| gone.to_string()).as_deref(), Some("10:11,14:15,19:20"));
    assert_eq!((told.rows, told.exists, told.expunged), (2, Some(44), 0));
    assert_eq!(rows, [(12, "\\Seen".to_owned(), Some(9)), (13, String::new(), None)]);
}

#[tokio::test(start_paused = true)]
async fn without_qresync_nothing_is_known_of_what_vanished() {
    let (mut connection, mut peer) = signed_in(Side::Source, "CONDSTORE QRESYNC").await;
    let script = peer.answer(
        "UID FETCH 1:9 (UID FLAGS) (CHANGEDSINCE 5)",
        "* VANISHED (EARLIER) 1:9\r\n* 3 EXPUNGE\r\nTAG OK done\r\n",
    );
    let (told, _) = changes(&mut connection, range(1, 9), script).await;
    assert_eq!(told.expect("told"), Changes { expunged: 1, ..Changes::default() });
}

#[tokio::test(start_paused = true)]
async fn changes_in_parts_are_asked_for_on_both_sides() {
    let (mut connection, mut peer) = with_qresync("MESSAGELIMIT=2").await;
    let script = async {
        let tag = peer.command("UID FETCH 1:9 (UID FLAGS) (CHANGEDSINCE 5 VANISHED)").await;
        peer.say(&format!("* 8 FETCH (UID 8 FLAGS ())\r\n{tag} OK [MESSAGELIMIT 2 6] partial\r\n")).await;
        let below = peer.command("UID FETCH 1:5 (UID FLAGS) (CHANGEDSINCE 5 VANISHED)").await;
        let above = peer.command("UID FETCH 7:9 (UID FLAGS) (CHANGEDSINCE 5 VANISHED)").await;
        peer.say(&format!("* VANISHED (EARLIER) 2\r\n{below} OK\r\n* 8 FETCH (UID 8 FLAGS ())\r\n{above} OK\r\n"))
            .await;
    };
    let (told, rows) = changes(&mut connection, range(1, 9), script).await;
    assert_eq!(told.expect("told").vanished, Some(set(&[2])));
    assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), [8, 8]);
    let script =
        peer.answer("UID FETCH 3 (UID FLAGS) (CHANGEDSINCE 5 VANISHED)", "TAG OK [MESSAGELIMIT 1] partial\r\n");
    let (stuck, _) = changes(&mut connection, range(3, 3), script).await;
    assert!(matches!(stuck, Err(ImapError::Protocol { .. })), "{stuck:?}");
}

#[tokio::test(start_paused = true)]
async fn a_vanished_that_cannot_be_read_is_an_error_and_a_refusal_leaves_the_connection_usable() {
    let (mut connection, mut peer) = with_qresync("").await;
    let asked = "UID FETCH 1:9 (UID FLAGS) (CHANGEDSINCE 5 VANISHED)";
    for nonsense in ["* VANISHED (EARLIER) 1:*\r\n", "* VANISHED (EARLIER)\r\n", "* VANISHED x\r\n"] {
        let answer = format!("{nonsense}TAG OK done\r\n");
        let script = peer.answer(asked, &answer);
        let (told, _) = changes(&mut connection, range(1, 9), script).await;
        assert!(matches!(told, Err(ImapError::Protocol { .. })), "{told:?}");
    }
    let (refused, _) = changes(&mut connection, range(1, 9), peer.answer(asked, "TAG NO not now\r\n")).await;
    assert!(refused.is_err_and(|error| error.leaves_connection_usable()));
}

#[tokio::test(start_paused = true)]
async fn esearch_is_asked_for_ranges_and_given_up_where_it_is_refused() {
    let (mut connection, mut peer) = signed_in(Side::Source, "ESEARCH").await;
    let asked = set(&[3, 4, 9]);
    let script =
        peer.answer("UID SEARCH RETURN (ALL) UID 3:4,9", "* ESEARCH (TAG \"x\") UID ALL 1:3,77\r\nTAG OK done\r\n");
    let (found, ()) = tokio::join!(connection.uid_search_present(&asked), script);
    assert_eq!(found.expect("answered"), set(&[3]));
    let script = async {
        peer.answer("UID SEARCH RETURN (ALL) UID 3:4,9", "TAG BAD what\r\n").await;
        peer.answer("UID SEARCH UID 3:4,9", "* SEARCH 9\r\nTAG OK done\r\n").await;
    };
    let (found, ()) = tokio::join!(connection.uid_search_present(&asked), script);
    assert_eq!(found.expect("answered"), set(&[9]));
    let script = peer.answer("UID SEARCH RETURN (ALL) UID 3:4,9", "TAG OK done\r\n");
    let (silent, ()) = tokio::join!(connection.uid_search_present(&asked), script);
    assert!(matches!(silent, Err(ImapError::Protocol { .. })), "{silent:?}");
}

async fn opened(connection: &mut Connection, peer: &mut Peer, exists: u32) {
    let name = mailbox("a");
    let answer = format!("* {exists} EXISTS\r\nTAG OK done\r\n");
    let script = peer.answer("EXAMINE \"a\"", &answer);
    tokio::join!(connection.examine(&name), script).0.expect("opened");
}

#[tokio::test(start_paused = true)]
async fn every_uid_is_found_with_one_command_in_a_mailbox_of_common_size() {
    let (mut connection, mut peer) = signed_in(Side::Source, "ESEARCH").await;
    opened(&mut connection, &mut peer, 40_000).await;
    let script =
        peer.answer("UID SEARCH RETURN (ALL) ALL", "* ESEARCH (TAG \"x\") UID ALL 5:9,4294967295\r\nTAG OK done\r\n");
    let (found, ()) = tokio::join!(connection.uid_search_all(), script);
    assert_eq!(found.expect("answered").to_string(), "5:9,4294967295");
    let script = peer.answer("UID SEARCH RETURN (ALL) ALL", "* ESEARCH (TAG \"x\") UID\r\nTAG OK done\r\n");
    let (found, ()) = tokio::join!(connection.uid_search_all(), script);
    assert!(found.expect("answered").is_empty());
    let script = peer.answer("UID SEARCH RETURN (ALL) ALL", "TAG OK done\r\n");
    let (found, ()) = tokio::join!(connection.uid_search_all(), script);
    assert!(matches!(found, Err(ImapError::Protocol { .. })), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn a_large_mailbox_is_searched_in_windows_that_hold_so_many_messages() {
    let (mut connection, mut peer) = signed_in(Side::Source, "").await;
    opened(&mut connection, &mut peer, 90_000).await;
    let script = async {
        peer.answer("UID SEARCH 40001,80001", "* SEARCH 60000 900000\r\nTAG OK done\r\n").await;
        peer.answer("UID SEARCH UID 1:59999", "* SEARCH 1 59999 60000\r\nTAG OK done\r\n").await;
        peer.answer("UID SEARCH UID 60000:899999", "* SEARCH 60000\r\nTAG OK [MESSAGELIMIT 1 60000] partial\r\n").await;
        peer.answer("UID SEARCH UID 900000:4294967295", "* SEARCH 900000\r\nTAG OK done\r\n").await;
        peer.answer("UID SEARCH UID 60001:899999", "* SEARCH 70000\r\nTAG OK done\r\n").await;
    };
    let (found, ()) = tokio::join!(connection.uid_search_all(), script);
    assert_eq!(found.expect("answered").to_string(), "1,59999:60000,70000,900000");
}
