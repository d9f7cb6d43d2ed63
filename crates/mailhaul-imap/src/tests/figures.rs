//! Figures along with the list, one burst of STATUS, CONDSTORE on opening, ENABLE, and what comes of refusals.

use super::peer::{Peer, mailbox, signed_in};
use crate::{Connection, ImapError, ListedMailbox};
use mailhaul_types::{ModSeq, Side, Uid, UidValidity};

const LIST: &str = "* LIST () \"/\" a\r\n* LIST () \"/\" b\r\n* LIST (\\Noselect) \"/\" c\r\n";

fn messages(listed: &[ListedMailbox]) -> Vec<(&str, Option<u32>)> {
    listed.iter().map(|known| (known.name.text(), known.status.as_ref().and_then(|status| status.messages))).collect()
}

async fn list(connection: &mut Connection, script: impl Future<Output = ()>) -> Result<Vec<ListedMailbox>, ImapError> {
    tokio::join!(connection.list_mailboxes_with_status(), script).0
}

#[tokio::test(start_paused = true)]
async fn the_list_brings_the_figures_that_are_announced() {
    let (mut connection, mut peer) =
        signed_in(Side::Source, "LIST-EXTENDED LIST-STATUS SPECIAL-USE CONDSTORE OBJECTID STATUS=SIZE").await;
    let script = async {
        let asked = "LIST \"\" \"*\" RETURN (SPECIAL-USE SUBSCRIBED STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ \
                     MAILBOXID))";
        let figures = "* STATUS a (MESSAGES 3 UIDNEXT 9 UIDVALIDITY 7 HIGHESTMODSEQ 12 MAILBOXID (F1))\r\n\
                       * STATUS gone (MESSAGES 1)\r\n* STATUS c (MESSAGES 1)\r\n";
        peer.answer(asked, &format!("{LIST}{figures}TAG OK done\r\n")).await;
    };
    let listed = list(&mut connection, script).await.expect("listed");
    // A mailbox without its line has no figures, and one that cannot be selected none that mean anything.
    assert_eq!(messages(&listed), [("a", Some(3)), ("b", None), ("c", None)]);
    let status = listed[0].status.clone().expect("figures");
    assert_eq!((status.uid_next, status.uid_validity), (Some(Uid(9)), Some(UidValidity(7))));
    assert_eq!((status.highest_modseq, status.mailbox_id.as_deref()), (Some(ModSeq(12)), Some("F1")));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_its_own_items_is_asked_for_fewer() {
    let (mut connection, mut peer) = signed_in(Side::Source, "LIST-EXTENDED LIST-STATUS CONDSTORE").await;
    let script = async {
        let plain = "LIST \"\" \"*\" RETURN (SUBSCRIBED STATUS (MESSAGES UIDNEXT UIDVALIDITY))";
        let (tag, _) = peer.any_command().await;
        peer.say(&format!("{tag} BAD unknown item\r\n")).await;
        peer.answer(plain, &format!("{LIST}* STATUS b (MESSAGES 5)\r\nTAG OK done\r\n")).await;
    };
    let listed = list(&mut connection, script).await.expect("listed");
    assert_eq!(messages(&listed), [("a", None), ("b", Some(5)), ("c", None)]);
}

async fn answer_plain_list(peer: &mut Peer) {
    peer.answer("LIST \"\" \"*\"", &format!("{LIST}TAG OK done\r\n")).await;
    peer.answer("LSUB \"\" \"*\"", "TAG OK done\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn one_refused_mailbox_does_not_spoil_the_burst() {
    let (mut connection, mut peer) = signed_in(Side::Source, "CONDSTORE").await;
    let script = async {
        answer_plain_list(&mut peer).await;
        let first = peer.command("STATUS \"a\" (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ)").await;
        let second = peer.command("STATUS \"b\" (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ)").await;
        peer.say(&format!(
            "{first} NO [NOPERM] not yours\r\n* STATUS b (MESSAGES 5 HIGHESTMODSEQ -1)\r\n{second} OK\r\n"
        ))
        .await;
    };
    let listed = list(&mut connection, script).await.expect("listed");
    assert_eq!(messages(&listed), [("a", None), ("b", Some(5)), ("c", None)]);
    assert_eq!(listed[1].status.as_ref().and_then(|status| status.highest_modseq), None);
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_unknown_items_is_sent_again_without_them() {
    let (mut connection, mut peer) = signed_in(Side::Source, "OBJECTID").await;
    let script = async {
        answer_plain_list(&mut peer).await;
        for name in ["a", "b"] {
            let items = "(MESSAGES UIDNEXT UIDVALIDITY MAILBOXID)";
            peer.answer(&format!("STATUS \"{name}\" {items}"), "TAG BAD unknown item\r\n").await;
        }
        for name in ["a", "b"] {
            let answer = format!("* STATUS {name} (MESSAGES 4)\r\nTAG OK done\r\n");
            peer.answer(&format!("STATUS \"{name}\" (MESSAGES UIDNEXT UIDVALIDITY)"), &answer).await;
        }
    };
    let listed = list(&mut connection, script).await.expect("listed");
    assert_eq!(messages(&listed), [("a", Some(4)), ("b", Some(4)), ("c", None)]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_patience_is_not_asked_on() {
    let (mut connection, mut peer) = signed_in(Side::Source, "").await;
    let script = async {
        answer_plain_list(&mut peer).await;
        peer.answer("STATUS \"a\" (MESSAGES UIDNEXT UIDVALIDITY)", "TAG NO [THROTTLED] later\r\n").await;
        peer.answer("STATUS \"b\" (MESSAGES UIDNEXT UIDVALIDITY)", "TAG NO [THROTTLED] later\r\n").await;
    };
    let refused = list(&mut connection, script).await;
    assert!(
        matches!(&refused, Err(error @ ImapError::Refused { .. }) if error.leaves_connection_usable()),
        "{refused:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_burst_stays_within_its_window_and_its_octets() {
    let (mut connection, mut peer) = signed_in(Side::Source, "CONDSTORE OBJECTID").await;
    let names: Vec<String> = (0..200).map(|number| format!("Archive/{number:04}")).collect();
    let script = async {
        let list: String = names.iter().map(|name| format!("* LIST () \"/\" {name}\r\n")).collect();
        peer.answer("LIST \"\" \"*\"", &format!("{list}TAG OK done\r\n")).await;
        peer.answer("LSUB \"\" \"*\"", "TAG OK done\r\n").await;
        let mut open = Vec::new();
        for name in &names {
            let (tag, text) = peer.any_command().await;
            assert!(text.starts_with(&format!("STATUS \"{name}\" (")) && text.len() < 110);
            open.push((tag, name));
            // As many as may be open, then all their answers: more would be a deadlock here.
            if open.len() == 64 || name == &names[199] {
                for (tag, name) in open.drain(..) {
                    peer.say(&format!("* STATUS {name} (MESSAGES 1)\r\n{tag} OK\r\n")).await;
                }
            }
        }
    };
    let before = connection.statistics().bytes_out;
    let listed = list(&mut connection, script).await.expect("listed");
    assert!(messages(&listed).iter().all(|(_, messages)| *messages == Some(1)));
    assert!(connection.statistics().bytes_out - before <= 120 * 200);
}

#[tokio::test(start_paused = true)]
async fn condstore_is_asked_for_where_it_is_announced_and_given_up_where_it_is_refused() {
    let (mut connection, mut peer) = signed_in(Side::Source, "CONDSTORE").await;
    let opened = "* 1 EXISTS\r\n* OK [HIGHESTMODSEQ 4] ok\r\nTAG OK done\r\n";
    let script = async {
        peer.answer("EXAMINE \"a\" (CONDSTORE)", "TAG BAD what\r\n").await;
        peer.answer("EXAMINE \"a\"", opened).await;
        peer.answer("SELECT \"b\"", "* 1 EXISTS\r\n* OK [NOMODSEQ] none\r\nTAG OK done\r\n").await;
    };
    let (name, other) = (mailbox("a"), mailbox("b"));
    let asking = async {
        let first = connection.examine(&name).await.expect("opened");
        (first.highest_modseq, connection.select(&other).await.expect("opened").highest_modseq)
    };
    assert_eq!(tokio::join!(asking, script).0, (Some(ModSeq(4)), None));
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_cannot_be_opened_says_nothing_about_condstore() {
    let (mut connection, mut peer) = signed_in(Side::Source, "CONDSTORE").await;
    let script = async {
        peer.answer("EXAMINE \"a\" (CONDSTORE)", "TAG NO [NOPERM] with\r\n").await;
        peer.answer("EXAMINE \"a\"", "TAG NO [NOPERM] without\r\n").await;
        peer.answer("EXAMINE \"b\" (CONDSTORE)", "* 1 EXISTS\r\n* OK [HIGHESTMODSEQ 0] none\r\nTAG OK done\r\n").await;
        peer.answer("EXAMINE \"a\" (CONDSTORE)", "TAG NO [NOPERM] known by now\r\n").await;
    };
    let (name, other) = (mailbox("a"), mailbox("b"));
    let asking = async {
        let refused = connection.examine(&name).await.expect_err("refused");
        assert_eq!(refused.server_words().as_deref(), Some("NO [NOPERM] with"));
        assert_eq!(connection.examine(&other).await.expect("opened").highest_modseq, None);
        connection.examine(&name).await.expect_err("refused")
    };
    assert!(tokio::join!(asking, script).0.leaves_connection_usable());
}

#[tokio::test(start_paused = true)]
async fn qresync_is_enabled_only_if_the_server_says_so() {
    for (answer, enabled) in [
        ("* ENABLED QRESYNC\r\nTAG OK done\r\n", true),
        ("* ENABLED\r\nTAG OK done\r\n", false),
        ("* ENABLED CONDSTORE\r\nTAG OK done\r\n", false),
        ("TAG BAD what\r\n", false),
    ] {
        let (mut connection, mut peer) = signed_in(Side::Source, "QRESYNC").await;
        let (asked, ()) = tokio::join!(connection.enable_qresync(), peer.answer("ENABLE QRESYNC", answer));
        assert_eq!(asked.expect("answered"), enabled, "{answer}");
    }
    let (mut connection, _peer) = signed_in(Side::Source, "CONDSTORE").await;
    assert!(!connection.enable_qresync().await.expect("nothing is asked"));
}
