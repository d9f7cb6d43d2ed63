//! STORE, MOVE, COPY, EXPUNGE, RENAME and UNSUBSCRIBE over the wire: sets that are split, refusals, COPYUID in every place.

use super::peer::{mailbox, signed_in};
use crate::{CopyUid, ErrorClass, ImapError, StoreMode};
use mailhaul_types::{Flags, Side, SystemFlag, Uid, UidSet, UidValidity};

fn set(uids: &[u32]) -> UidSet {
    uids.iter().copied().map(Uid).collect()
}

fn flags(keyword: &str) -> Flags {
    let mut flags = Flags::new();
    flags.insert(SystemFlag::Seen);
    flags.insert_keyword(keyword);
    flags
}

fn pairs(pairs: &[(u32, u32)]) -> CopyUid {
    let pairs = pairs.iter().map(|(before, after)| (Uid(*before), Uid(*after))).collect();
    CopyUid { uid_validity: Some(UidValidity(7)), pairs }
}

#[tokio::test(start_paused = true)]
async fn flags_are_stored_silently_and_nothing_is_sent_for_nothing() {
    let (mut connection, mut peer) = signed_in(Side::Target, "").await;
    let script = async {
        peer.answer("UID STORE 1:2,9 +FLAGS.SILENT (\\Seen $x)", "* 1 FETCH (UID 1 MODSEQ (5))\r\nTAG OK done\r\n")
            .await;
        peer.answer("UID STORE 3 -FLAGS.SILENT (\\Seen $x)", "TAG OK done\r\n").await;
        peer.answer("UID STORE 3 FLAGS.SILENT ()", "TAG OK done\r\n").await;
    };
    let storing = async {
        connection.store_flags(&set(&[1, 2, 9]), StoreMode::Add, &flags("$x")).await?;
        connection.store_flags(&set(&[3]), StoreMode::Remove, &flags("$x")).await?;
        connection.store_flags(&set(&[3]), StoreMode::Add, &Flags::new()).await?;
        connection.store_flags(&set(&[3]), StoreMode::Remove, &Flags::new()).await?;
        connection.store_flags(&UidSet::new(), StoreMode::Replace, &flags("$x")).await?;
        connection.store_flags(&set(&[3]), StoreMode::Replace, &Flags::new()).await
    };
    tokio::join!(storing, script).0.expect("stored");
}

#[tokio::test(start_paused = true)]
async fn a_refused_store_leaves_the_connection_usable() {
    let (mut connection, mut peer) = signed_in(Side::Target, "").await;
    let script = async {
        peer.answer("UID STORE 3 +FLAGS.SILENT (\\Seen $x)", "TAG NO [LIMIT] too many keywords\r\n").await;
        peer.answer("NOOP", "TAG OK done\r\n").await;
    };
    let storing = async {
        let refused = connection.store_flags(&set(&[3]), StoreMode::Add, &flags("$x")).await;
        connection.noop().await.expect("in step");
        refused
    };
    let refused = tokio::join!(storing, script).0.expect_err("refused");
    assert_eq!(refused.class(), ErrorClass::Message);
}

#[tokio::test(start_paused = true)]
async fn long_sets_are_split_and_a_limit_is_obeyed_and_followed() {
    let (mut connection, mut peer) = signed_in(Side::Target, "MESSAGELIMIT=2").await;
    let script = async {
        peer.answer("UID STORE 1,3 +FLAGS.SILENT (\\Seen $x)", "TAG OK done\r\n").await;
        peer.answer("UID STORE 5,7 +FLAGS.SILENT (\\Seen $x)", "TAG OK [MESSAGELIMIT 1 7] partial\r\n").await;
        peer.answer("UID STORE 5 +FLAGS.SILENT (\\Seen $x)", "TAG OK done\r\n").await;
        peer.answer("UID STORE 9 +FLAGS.SILENT (\\Seen $x)", "TAG OK [MESSAGELIMIT 1 9] partial\r\n").await;
    };
    let uids = set(&[1, 3, 5, 7, 9]);
    let (stored, ()) =
        tokio::join!(async { connection.store_flags(&uids, StoreMode::Add, &flags("$x")).await }, script);
    assert!(matches!(stored, Err(ImapError::Protocol { .. })), "{stored:?}");
    let (mut connection, mut peer) = signed_in(Side::Target, "").await;
    let uids: UidSet = (1..=1_000).map(|number| Uid(number * 10)).collect();
    let script = async {
        let mut named = UidSet::new();
        while named.len() < 1_000 {
            let (tag, text) = peer.any_command().await;
            assert!(text.len() <= 1_000);
            let asked = text.split(' ').nth(2).expect("a set").to_owned();
            named.extend(asked.split(',').map(|uid| Uid(uid.parse().expect("a UID"))));
            peer.say(&format!("{tag} OK done\r\n")).await;
        }
    };
    tokio::join!(async { connection.store_flags(&uids, StoreMode::Add, &flags("$x")).await }, script)
        .0
        .expect("stored");
}

#[tokio::test(start_paused = true)]
async fn copyuid_is_read_wherever_it_comes() {
    let to = mailbox("b");
    for answer in [
        "* OK [COPYUID 7 3:4 10:11] moved\r\n* 1 EXPUNGE\r\n* 1 EXPUNGE\r\nTAG OK done\r\n",
        "* [COPYUID 7 3:4 10:11]\r\n* VANISHED 3:4\r\nTAG OK done\r\n",
        "TAG OK [COPYUID 7 3:4 10:11] done\r\n",
        "* OK [COPYUID 7 3:4 10:11] moved\r\nTAG OK [COPYUID 7 3:4 10:11] done\r\n",
        "* OK [COPYUID 7 3 10] moved\r\n* OK [COPYUID 7 4 11] moved\r\nTAG OK done\r\n",
    ] {
        let (mut connection, mut peer) = signed_in(Side::Target, "MOVE").await;
        let uids = set(&[3, 4, 5]);
        let script = peer.answer("UID MOVE 3:5 \"b\"", answer);
        let (moved, ()) = tokio::join!(connection.uid_move(&uids, &to), script);
        assert_eq!(moved.expect("moved"), pairs(&[(3, 10), (4, 11)]), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_copyuid_that_does_not_fit_is_no_mapping() {
    let to = mailbox("b");
    for answer in [
        "TAG OK done\r\n",
        "TAG OK [COPYUID 7 3:4 10:12] done\r\n",
        "TAG OK [COPYUID 7 3,99 10:11] done\r\n",
        "* OK [COPYUID 7 3 10] part\r\nTAG OK [COPYUID 8 4 11] done\r\n",
        "* OK [COPYUID 7 3 10] part\r\nTAG OK [COPYUID 7 3 11] done\r\n",
        "TAG OK [COPYUID 7 1:4294967295 1:4294967295] done\r\n",
        "TAG OK [COPYUID] done\r\n",
    ] {
        let (mut connection, mut peer) = signed_in(Side::Target, "").await;
        let uids = set(&[3, 4]);
        let script = peer.answer("UID COPY 3:4 \"b\"", answer);
        let (copied, ()) = tokio::join!(connection.uid_copy(&uids, &to), script);
        assert_eq!(copied.expect("copied"), CopyUid::default(), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn refused_moves_leave_the_connection_usable_and_are_not_sent_where_not_announced() {
    let to = mailbox("b");
    let uids = set(&[3]);
    let (mut connection, mut peer) = signed_in(Side::Target, "MOVE").await;
    let script = async {
        peer.answer("UID MOVE 3 \"b\"", "TAG NO [TRYCREATE] no such mailbox\r\n").await;
        peer.answer("UID COPY 3 \"b\"", "TAG NO [OVERQUOTA] full\r\n").await;
    };
    let moving = async { (connection.uid_move(&uids, &to).await, connection.uid_copy(&uids, &to).await) };
    let ((moved, copied), ()) = tokio::join!(moving, script);
    let (moved, copied) = (moved.expect_err("refused"), copied.expect_err("refused"));
    assert_eq!((moved.class(), copied.class()), (ErrorClass::Mailbox, ErrorClass::Quota));
    assert!(moved.leaves_connection_usable() && copied.leaves_connection_usable());
    let (mut connection, _peer) = signed_in(Side::Target, "").await;
    assert!(matches!(connection.uid_move(&uids, &to).await, Err(ImapError::Usage { .. })));
    assert!(matches!(connection.uid_expunge(&uids).await, Err(ImapError::Usage { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_move_in_parts_is_finished_and_a_copy_in_parts_is_an_error() {
    let (to, uids) = (mailbox("b"), set(&[3, 4]));
    let (mut connection, mut peer) = signed_in(Side::Target, "MOVE").await;
    let script = async {
        peer.answer("UID MOVE 3:4 \"b\"", "* OK [COPYUID 7 4 10] part\r\nTAG OK [MESSAGELIMIT 1 4] partial\r\n").await;
        peer.answer("UID MOVE 3:4 \"b\"", "* OK [COPYUID 7 3 11] rest\r\nTAG OK done\r\n").await;
    };
    let (moved, ()) = tokio::join!(connection.uid_move(&uids, &to), script);
    assert_eq!(moved.expect("moved"), pairs(&[(4, 10), (3, 11)]));
    let script =
        peer.answer("UID COPY 3:4 \"b\"", "* OK [COPYUID 7 4 10] part\r\nTAG OK [MESSAGELIMIT 1 4] partial\r\n");
    let (copied, ()) = tokio::join!(connection.uid_copy(&uids, &to), script);
    assert!(matches!(copied, Err(ImapError::Protocol { .. })), "{copied:?}");
}

#[tokio::test(start_paused = true)]
async fn single_messages_are_expunged_until_all_are_gone() {
    let (mut connection, mut peer) = signed_in(Side::Target, "UIDPLUS").await;
    let script = async {
        peer.answer("UID EXPUNGE 3,9", "* 3 EXPUNGE\r\nTAG OK [MESSAGELIMIT 1 9] partial\r\n").await;
        peer.answer("UID EXPUNGE 3,9", "* 3 EXPUNGE\r\nTAG OK done\r\n").await;
    };
    let uids = set(&[3, 9]);
    tokio::join!(connection.uid_expunge(&uids), script).0.expect("expunged");
}

#[tokio::test(start_paused = true)]
async fn mailboxes_are_renamed_unsubscribed_and_left() {
    let (mut connection, mut peer) = signed_in(Side::Target, "LITERAL+ UNSELECT").await;
    let script = async {
        let tag = peer.command("RENAME \"a b\" {3+}").await;
        assert_eq!(peer.line().await, "c\"d");
        peer.say(&format!("{tag} OK done\r\n")).await;
        peer.answer("RENAME \"a\" \"b\"", "TAG NO [ALREADYEXISTS] taken\r\n").await;
        peer.answer("UNSUBSCRIBE \"a\"", "TAG OK done\r\n").await;
        peer.answer("SELECT \"a\"", "* 1 EXISTS\r\nTAG OK done\r\n").await;
        peer.answer("UNSELECT", "TAG OK done\r\n").await;
    };
    let asking = async {
        connection.rename(&mailbox("a b"), &mailbox("c\"d")).await.expect("renamed");
        let taken = connection.rename(&mailbox("a"), &mailbox("b")).await.expect_err("refused");
        assert_eq!(taken.class(), ErrorClass::Mailbox);
        connection.unsubscribe(&mailbox("a")).await.expect("unsubscribed");
        connection.unselect().await.expect("nothing to leave");
        connection.select(&mailbox("a")).await.expect("opened");
        connection.unselect().await.expect("left");
        connection.unselect().await.expect("nothing to leave");
    };
    tokio::join!(asking, script);
}
