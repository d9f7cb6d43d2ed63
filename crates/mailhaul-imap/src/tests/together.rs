//! What is asked together: the peer reads every command of a burst before it answers the first.

use super::peer::{Peer, mailbox, open_to_list, signed_in};
use crate::{Connection, ImapError, ScanItems, ScanRow};
use mailhaul_types::{MailboxName, NameEncoding, Side, Uid, UidRange};

const ID: &str = concat!("ID (\"name\" \"mailhaul\" \"version\" \"", env!("CARGO_PKG_VERSION"), "\")");
const LIST: &str = "LIST \"\" \"*\" RETURN (SUBSCRIBED STATUS (MESSAGES UIDNEXT UIDVALIDITY))";

/// Lets somebody in who lists the mailboxes next, up to the burst behind the sign-in.
async fn let_in(peer: &mut Peer, capabilities: &str) {
    peer.say("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n").await;
    let (tag, text) = peer.any_command().await;
    assert!(text.starts_with("AUTHENTICATE PLAIN "), "{text}");
    peer.say(&format!("{tag} OK [CAPABILITY IMAP4rev1 {capabilities}] in\r\n")).await;
}

fn names(listed: &[crate::ListedMailbox]) -> Vec<(&str, Option<u32>)> {
    listed.iter().map(|one| (one.name.text(), one.status.as_ref().and_then(|status| status.messages))).collect()
}

#[tokio::test(start_paused = true)]
async fn the_list_goes_out_with_the_first_questions_and_is_not_asked_for_again() {
    let (connection, mut peer) = open_to_list(Side::Target, |mut peer| async move {
        let_in(&mut peer, "ID NAMESPACE LIST-EXTENDED LIST-STATUS").await;
        let id = peer.command(ID).await;
        let namespace = peer.command("NAMESPACE").await;
        let list = peer.command(LIST).await;
        peer.say(&format!(
            "* LIST () \"/\" a\r\n* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n{namespace} OK\r\n\
             * STATUS a (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 1)\r\n{list} OK\r\n* ID (\"name\" \"Dovecot\")\r\n{id} OK\r\n"
        ))
        .await;
        peer
    })
    .await;
    let mut connection = connection.expect("signs in");
    assert_eq!(connection.server_software(), Some("Dovecot"));
    let listed = connection.list_mailboxes_with_status().await.expect("known already");
    assert_eq!(names(&listed), [("a", Some(3))]);
    // The next one is asked for: somebody may have changed something.
    let script = peer.answer(LIST, "* LIST () \"/\" b\r\nTAG OK\r\n");
    let (listed, ()) = tokio::join!(connection.list_mailboxes_with_status(), script);
    assert_eq!(names(&listed.expect("listed")), [("b", None)]);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_refused_along_with_the_first_questions_is_asked_for_the_old_way() {
    let (connection, mut peer) = open_to_list(Side::Target, |mut peer| async move {
        let_in(&mut peer, "LIST-EXTENDED LIST-STATUS").await;
        peer.answer(LIST, "* LIST () \"/\" half\r\nTAG BAD what\r\n").await;
        peer
    })
    .await;
    let mut connection = connection.expect("signs in");
    let script = async {
        peer.answer(LIST, "TAG BAD what\r\n").await;
        peer.answer("LIST \"\" \"*\" RETURN (SUBSCRIBED)", "TAG BAD what\r\n").await;
        peer.answer("LIST \"\" \"*\"", "* LIST (\\Noselect) \"/\" whole\r\nTAG OK\r\n").await;
        peer.answer("LSUB \"\" \"*\"", "TAG OK\r\n").await;
    };
    let (listed, ()) = tokio::join!(connection.list_mailboxes_with_status(), script);
    assert_eq!(names(&listed.expect("listed")), [("whole", None)]);
}

#[tokio::test(start_paused = true)]
async fn what_a_server_is_not_believed_is_not_taken_from_the_first_list_either() {
    let with_id = LIST.replace("UIDVALIDITY)", "UIDVALIDITY MAILBOXID)");
    let (connection, mut peer) = open_to_list(Side::Target, |mut peer| async move {
        let_in(&mut peer, "ID OBJECTID LIST-EXTENDED LIST-STATUS").await;
        let id = peer.command(ID).await;
        let list = peer.command(&with_id).await;
        peer.say(&format!("* ID (\"name\" \"Cyrus IMAP\")\r\n{id} OK\r\n* LIST () \"/\" a\r\n{list} OK\r\n")).await;
        peer
    })
    .await;
    let mut connection = connection.expect("signs in");
    let script = peer.answer(LIST, "* LIST () \"/\" b\r\nTAG OK\r\n");
    let (listed, ()) = tokio::join!(connection.list_mailboxes_with_status(), script);
    assert_eq!(names(&listed.expect("listed")), [("b", None)]);
}

#[tokio::test(start_paused = true)]
async fn mailboxes_are_created_in_one_burst_and_a_refusal_concerns_one() {
    let (mut connection, mut peer) = signed_in(Side::Target, "").await;
    let (a, b, c) = (mailbox("a"), mailbox("b"), mailbox("c"));
    let odd = MailboxName::from_wire(b"line\r\nend", NameEncoding::Utf8);
    let script = async {
        let first = peer.command("CREATE \"a\"").await;
        let second = peer.command("CREATE \"b\"").await;
        let third = peer.command("CREATE \"c\"").await;
        peer.say(&format!("{first} OK\r\n{second} NO [ALREADYEXISTS] there\r\n{third} OK\r\n")).await;
        let first = peer.command("SUBSCRIBE \"a\"").await;
        let second = peer.command("SUBSCRIBE \"c\"").await;
        peer.say(&format!("{second} OK\r\n{first} NO never\r\n")).await;
    };
    let work = async {
        let created = connection.create_all(&[&a, &b, &odd, &c], 64).await.done;
        let subscribed = connection.subscribe_all(&[&a, &c], 64).await.done;
        (created, subscribed)
    };
    let ((created, subscribed), ()) = tokio::join!(work, script);
    assert_eq!((created, subscribed), (vec![true, false, false, true], vec![false, true]));
}

fn row_into(rows: &mut Vec<(u32, u64)>) -> impl FnMut(ScanRow) + '_ {
    |row| rows.push((row.uid.0, row.size))
}

async fn look(connection: &mut Connection, rows: &mut Vec<(u32, u64)>) -> Result<Option<u32>, ImapError> {
    let range = UidRange { first: Uid(1), last: Uid(9) };
    let asked = connection.examine_and_scan(&mailbox("a"), &[range], ScanItems::default(), &mut row_into(rows)).await?;
    Ok(asked.map(|(opened, _)| opened.exists))
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_is_opened_and_listed_in_one_burst() {
    let (mut connection, mut peer) = signed_in(Side::Source, "CONDSTORE").await;
    let script = async {
        let open = peer.command("EXAMINE \"a\" (CONDSTORE)").await;
        let scan = peer.command("UID FETCH 1:9 (UID RFC822.SIZE)").await;
        // What comes before the mailbox is open belongs to another.
        peer.say("* 1 FETCH (UID 5 RFC822.SIZE 99)\r\n* 7 EXISTS\r\n* OK [CLOSED] bye\r\n").await;
        peer.say(&format!("* 2 EXISTS\r\n* OK [UIDVALIDITY 3] ok\r\n{open} OK [READ-ONLY] in\r\n")).await;
        peer.say(&format!("* 1 FETCH (UID 2 RFC822.SIZE 20)\r\n* 2 FETCH (UID 9 RFC822.SIZE 90)\r\n{scan} OK\r\n"))
            .await;
    };
    let mut rows = Vec::new();
    let (opened, ()) = tokio::join!(look(&mut connection, &mut rows), script);
    assert_eq!((opened.expect("answered"), rows), (Some(2), vec![(2, 20), (9, 90)]));
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_cannot_be_opened_leaves_the_connection_in_step() {
    let (mut connection, mut peer) = signed_in(Side::Source, "").await;
    let script = async {
        let open = peer.command("EXAMINE \"a\"").await;
        let scan = peer.command("UID FETCH 1:9 (UID RFC822.SIZE)").await;
        peer.say(&format!("{open} NO no such mailbox\r\n{scan} BAD nothing is open\r\n")).await;
        peer.answer("EXAMINE \"b\"", "* 0 EXISTS\r\nTAG OK\r\n").await;
    };
    let mut rows = Vec::new();
    let work = async {
        let refused = look(&mut connection, &mut rows).await.expect_err("refused");
        assert!(refused.leaves_connection_usable() && refused.to_string().contains("no such mailbox"), "{refused}");
        connection.examine(&mailbox("b")).await.expect("the next command works").exists
    };
    let (ended, ()) = tokio::join!(work, script);
    assert_eq!((ended, rows), (0, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_may_mean_the_burst_is_no_word_on_the_mailbox() {
    let (mut connection, mut peer) = signed_in(Side::Source, "CONDSTORE").await;
    let script = async {
        let open = peer.command("EXAMINE \"a\" (CONDSTORE)").await;
        let scan = peer.command("UID FETCH 1:9 (UID RFC822.SIZE)").await;
        peer.say(&format!("{open} BAD no parameters here\r\n{scan} BAD nothing is open\r\n")).await;
    };
    let mut rows = Vec::new();
    let (opened, ()) = tokio::join!(look(&mut connection, &mut rows), script);
    assert_eq!((opened.expect("an answer"), rows), (None, Vec::new()));
}
