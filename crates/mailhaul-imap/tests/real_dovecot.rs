//! What re-sync builds on, against a real Dovecot 2.3 of one's own: figures along with the list, changes since a
//! modification sequence, moves with their UIDs, and watching. What Dovecot really answers stands in the comments.

use mailhaul_imap::{
    Connection, CopyUid, Credentials, Dial, Endpoint, FlagsRow, ImapError, ListedMailbox, ScanItems, StoreMode,
    Timeouts, TlsMode, Trust,
};
use mailhaul_testing::{Client, Dovecot, DovecotBuilder};
use mailhaul_types::{Flags, MailboxName, NameEncoding, Secret, Side, SystemFlag, Uid, UidRange, UidSet};
use std::future::pending;
use std::time::Duration;

/// Longer than any server takes; nothing waits that long unless it fails.
const LONG: Duration = Duration::from_secs(60);

fn name(text: &str) -> MailboxName {
    MailboxName::from_text(text, NameEncoding::ModifiedUtf7)
}

fn set(uids: &[u32]) -> UidSet {
    uids.iter().copied().map(Uid).collect()
}

fn flags(flags: &[SystemFlag]) -> Flags {
    let mut all = Flags::new();
    flags.iter().for_each(|flag| all.insert(*flag));
    all
}

async fn open(server: &Dovecot) -> Connection {
    let address = server.address();
    let endpoint = Endpoint {
        host: address.ip().to_string(),
        port: address.port(),
        tls: TlsMode::Plain,
        trust: Trust::System,
        dial: Dial::Tcp,
        compress: mailhaul_imap::Compress::Auto,
    };
    let password = Secret::new(server.password().as_bytes().to_vec());
    let credentials = Credentials { user: "alice".to_owned(), password, authorization_identity: None };
    Connection::open(Side::Source, &endpoint, &credentials, &Timeouts::default()).await.expect("signs in")
}

fn owner(server: &Dovecot) -> Client {
    Client::sign_in(server.address(), "alice", server.password()).expect("signs in")
}

fn deliver(owner: &mut Client, mailbox: &str, count: usize) {
    for _ in 0..count {
        owner.append(mailbox, &[], None, b"Subject: x\r\n\r\nx\r\n").expect("stored");
    }
}

/// A server with `Work` (three messages) and `Other` (empty).
fn server(builder: DovecotBuilder) -> (Dovecot, Client) {
    let server = builder.start();
    let mut owner = owner(&server);
    owner.create("Work").expect("created");
    owner.create("Other").expect("created");
    deliver(&mut owner, "Work", 3);
    (server, owner)
}

fn find<'a>(listed: &'a [ListedMailbox], text: &str) -> &'a ListedMailbox {
    listed.iter().find(|mailbox| mailbox.name.text() == text).expect("listed")
}

#[tokio::test]
async fn one_command_tells_every_figure_of_an_account() {
    let (server, mut owner) = server(Dovecot::builder());
    for number in 0..97 {
        owner.create(&format!("Archive {number:02}")).expect("created");
    }
    let mut connection = open(&server).await;
    let before = connection.statistics();
    let listed = connection.list_mailboxes_with_status().await.expect("listed");
    let after = connection.statistics();
    assert_eq!((listed.len(), after.commands - before.commands), (100, 1));
    assert!(after.bytes_out - before.bytes_out <= 40 * 100);
    let work = find(&listed, "Work").status.as_ref().expect("figures");
    assert_eq!((work.messages, work.uid_next, work.mailbox_id.as_deref()), (Some(3), Some(Uid(4)), None));
    assert!(work.uid_validity.is_some() && work.highest_modseq.is_some());
    assert!(listed.iter().all(|mailbox| mailbox.status.as_ref().is_some_and(|status| status.highest_modseq.is_some())));
}

#[tokio::test]
async fn without_list_status_a_burst_tells_the_same() {
    let (server, mut owner) = server(Dovecot::builder().without_capability("LIST-STATUS"));
    for number in 0..97 {
        owner.create(&format!("Archive {number:02}")).expect("created");
    }
    let mut connection = open(&server).await;
    let before = connection.statistics();
    let listed = connection.list_mailboxes_with_status().await.expect("listed");
    let after = connection.statistics();
    assert_eq!((listed.len(), after.commands - before.commands), (100, 101));
    assert!(after.bytes_out - before.bytes_out <= 120 * 100);
    assert_eq!(find(&listed, "Work").status.as_ref().and_then(|status| status.messages), Some(3));
    assert!(listed.iter().all(|mailbox| mailbox.status.as_ref().is_some_and(|status| status.highest_modseq.is_some())));
}

/// Dovecot 2.3.19: STATUS and EXAMINE (CONDSTORE) agree on HIGHESTMODSEQ in a mailbox that nobody is changing, also in
/// one that nobody has ever opened with CONDSTORE: 1 in an empty one, and one for each change since. Without the
/// parameter EXAMINE tells the same number. STATUS from a session that has the mailbox open is answered as well, with
/// `OK [CLIENTBUG]`, and is up to date.
#[tokio::test]
async fn status_and_examine_agree_on_the_highest_modification_sequence() {
    let (server, mut owner) = server(Dovecot::builder());
    let mut connection = open(&server).await;
    for step in ["delivered", "flagged", "expunged"] {
        owner.select("Work").expect("selected");
        match step {
            "flagged" => owner.store("2", "+FLAGS", &["\\Flagged"]).expect("stored"),
            "expunged" => {
                owner.store("3", "+FLAGS", &["\\Deleted"]).expect("stored");
                owner.expunge("3").expect("expunged");
            }
            _ => {}
        }
        let listed = connection.list_mailboxes_with_status().await.expect("listed");
        for text in ["Work", "Other", "INBOX"] {
            let told = find(&listed, text).status.as_ref().and_then(|status| status.highest_modseq);
            let seen = connection.examine(&name(text)).await.expect("opened").highest_modseq;
            assert!(told.is_some());
            assert_eq!(told, seen, "{text}, {step}");
        }
    }
}

#[tokio::test]
async fn changes_since_a_point_are_told_with_what_is_gone() {
    let (server, mut owner) = server(Dovecot::builder());
    let mut connection = open(&server).await;
    assert!(connection.enable_qresync().await.expect("asked"));
    let point = connection.examine(&name("Work")).await.expect("opened").highest_modseq.expect("kept");
    owner.select("Work").expect("selected");
    owner.store("2", "+FLAGS", &["\\Flagged"]).expect("stored");
    owner.store("3", "+FLAGS", &["\\Deleted"]).expect("stored");
    owner.expunge("3").expect("expunged");
    deliver(&mut owner, "Work", 1);
    connection.examine(&name("Work")).await.expect("opened");
    let mut rows = Vec::new();
    let range = UidRange { first: Uid(1), last: Uid(3) };
    let changes = connection.fetch_changes(range, point, &mut |row| rows.push(row)).await.expect("told");
    assert_eq!(changes.vanished, Some(set(&[3])));
    assert!(rows[0].modseq.is_some_and(|modseq| modseq > point));
    let told: Vec<_> = rows.into_iter().map(|row: FlagsRow| (row.uid.0, row.flags)).collect();
    assert_eq!(told, [(2, flags(&[SystemFlag::Flagged]))]);
    assert_eq!(connection.uid_search_all().await.expect("searched"), set(&[1, 2, 4]));
    assert_eq!(connection.uid_search_present(&set(&[2, 3, 4, 9])).await.expect("searched"), set(&[2, 4]));
    let mut flags_of = Vec::new();
    connection
        .fetch_flags(&set(&[1, 2, 9]), &mut |row| flags_of.push((row.uid.0, row.flags.is_empty())))
        .await
        .expect("told");
    assert_eq!(flags_of, [(1, true), (2, false)]);
    let mut scanned = Vec::new();
    let items = ScanItems { flags: true, ..ScanItems::default() };
    connection
        .scan(&[range], items, &mut |row| scanned.push((row.uid.0, row.flags.map(|flags| flags.is_empty()))))
        .await
        .expect("scanned");
    assert_eq!(scanned, [(1, Some(true)), (2, Some(false))]);
}

/// Without QRESYNC Dovecot tells nothing of what is gone, and no `VANISHED` may be asked for.
#[tokio::test]
async fn without_qresync_nothing_is_said_of_what_is_gone() {
    let (server, mut owner) = server(Dovecot::builder().without_capability("QRESYNC"));
    let mut connection = open(&server).await;
    assert!(!connection.enable_qresync().await.expect("asked"));
    let point = connection.examine(&name("Work")).await.expect("opened").highest_modseq.expect("kept");
    owner.select("Work").expect("selected");
    owner.store("1", "+FLAGS", &["\\Seen"]).expect("stored");
    let mut rows = Vec::new();
    let range = UidRange { first: Uid(1), last: Uid(u32::MAX) };
    let changes = connection.fetch_changes(range, point, &mut |row| rows.push(row.uid.0)).await.expect("told");
    assert_eq!((changes.vanished, rows), (None, vec![1]));
}

/// Dovecot 2.3.19 tells COPYUID of a MOVE in an untagged OK, and of a COPY in the tagged one. Naming a message that is
/// not there is `OK No messages found`, without COPYUID.
#[tokio::test]
async fn moved_and_copied_messages_are_followed_by_their_uids() {
    let (server, mut owner) = server(Dovecot::builder());
    deliver(&mut owner, "Other", 1);
    let mut connection = open(&server).await;
    let other = connection.status(&name("Other")).await.expect("figures").uid_validity;
    connection.select(&name("Work")).await.expect("opened");
    let copied = connection.uid_copy(&set(&[2]), &name("Other")).await.expect("copied");
    assert_eq!(copied, CopyUid { uid_validity: other, pairs: vec![(Uid(2), Uid(2))] });
    let moved = connection.uid_move(&set(&[1, 3, 77]), &name("Other")).await.expect("moved");
    assert_eq!(moved, CopyUid { uid_validity: other, pairs: vec![(Uid(1), Uid(3)), (Uid(3), Uid(4))] });
    let nothing = connection.uid_move(&set(&[77]), &name("Other")).await.expect("answered");
    assert_eq!(nothing, CopyUid::default());
    let refused = connection.uid_move(&set(&[2]), &name("Nowhere")).await;
    assert!(
        matches!(&refused, Err(error @ ImapError::Refused { .. }) if error.leaves_connection_usable()),
        "{refused:?}"
    );
    assert_eq!(connection.uid_search_all().await.expect("searched"), set(&[2]));
}

#[tokio::test]
async fn flags_are_changed_and_only_named_messages_are_expunged() {
    let (server, mut owner) = server(Dovecot::builder());
    let mut connection = open(&server).await;
    connection.select(&name("Work")).await.expect("opened");
    let (seen, deleted) = (flags(&[SystemFlag::Seen]), flags(&[SystemFlag::Deleted]));
    connection.store_flags(&set(&[1, 2]), StoreMode::Add, &deleted).await.expect("stored");
    connection.store_flags(&set(&[3]), StoreMode::Replace, &seen).await.expect("stored");
    connection.store_flags(&set(&[3, 77]), StoreMode::Remove, &seen).await.expect("stored");
    connection.uid_expunge(&set(&[2, 3])).await.expect("expunged");
    owner.select("Work").expect("selected");
    let left: Vec<_> = owner.fetch_flags().expect("told").into_iter().map(|mail| (mail.uid, mail.flags)).collect();
    assert_eq!(left, [(1, vec!["\\Deleted".to_owned()]), (3, Vec::new())]);
}

#[tokio::test]
async fn mailboxes_are_renamed_and_unsubscribed() {
    let (server, _owner) = server(Dovecot::builder());
    let mut connection = open(&server).await;
    connection.subscribe(&name("Work")).await.expect("subscribed");
    connection.rename(&name("Work"), &name("Old/Work")).await.expect("renamed");
    connection.unsubscribe(&name("Work")).await.expect("unsubscribed");
    let listed = connection.list_mailboxes_with_status().await.expect("listed");
    assert_eq!(find(&listed, "Old/Work").status.as_ref().and_then(|status| status.messages), Some(3));
    assert!(!listed.iter().any(|mailbox| mailbox.name.text() == "Work" || mailbox.subscribed));
    assert_eq!(find(&listed, "Old").status, None);
    let taken = connection.rename(&name("Old/Work"), &name("Other")).await;
    assert!(matches!(taken, Err(ImapError::Refused { .. })), "{taken:?}");
}

/// Dovecot 2.3.19 takes every event named here (it refuses MailboxMetadataChange with BADEVENT), sends the figures of
/// every mailbox at once, and later, without IDLE, `STATUS b (HIGHESTMODSEQ 9)` for changed flags, STATUS with MESSAGES,
/// UIDNEXT, UIDVALIDITY and HIGHESTMODSEQ for new mail, and LIST for mailboxes that come and go. It does so only with
/// `mailbox_list_index = yes`, which is the default since 2.3.
#[tokio::test]
async fn notify_tells_of_every_mailbox() {
    let (server, mut owner) = server(Dovecot::builder());
    let mut connection = open(&server).await;
    assert!(connection.begin_notify().await.expect("asked"));
    deliver(&mut owner, "Other", 1);
    let news = connection.wait_for_news(LONG, pending()).await.expect("told");
    assert!(news.mailboxes.contains(&name("Other")), "{news:?}");
    owner.select("Work").expect("selected");
    owner.store("2", "+FLAGS", &["\\Flagged"]).expect("stored");
    let news = connection.wait_for_news(LONG, pending()).await.expect("told");
    assert!(news.mailboxes.contains(&name("Work")), "{news:?}");
    owner.create("Fresh").expect("created");
    let news = connection.wait_for_news(LONG, pending()).await.expect("told");
    assert!(news.list && news.mailboxes.contains(&name("Fresh")), "{news:?}");
}

/// Dovecot 2.3.19 tells of the selected mailbox at once only while it is in IDLE; and it may begin by repeating the
/// figures of others.
#[tokio::test]
async fn notify_tells_of_the_selected_mailbox_too() {
    let (server, mut owner) = server(Dovecot::builder());
    let mut connection = open(&server).await;
    assert!(connection.begin_notify().await.expect("asked"));
    connection.examine(&name("Work")).await.expect("opened");
    for (mailbox, selected) in [("Work", true), ("Other", false)] {
        deliver(&mut owner, mailbox, 1);
        let heard = async {
            loop {
                let news = connection.wait_for_news(LONG, pending()).await.expect("told");
                assert!(!news.is_empty(), "nothing is told of {mailbox}");
                if (selected && news.selected) || news.mailboxes.contains(&name(mailbox)) {
                    break;
                }
            }
        };
        tokio::time::timeout(LONG, heard).await.expect("told in time");
    }
    assert_eq!(connection.uid_search_all().await.expect("searched"), set(&[1, 2, 3, 4]));
    connection.unselect().await.expect("left");
    deliver(&mut owner, "Work", 1);
    let news = connection.wait_for_news(LONG, pending()).await.expect("told");
    assert!(!news.is_empty());
}

#[tokio::test]
async fn idle_tells_of_the_selected_mailbox() {
    let (server, mut owner) = server(Dovecot::builder().without_capability("NOTIFY"));
    let mut connection = open(&server).await;
    assert!(!connection.begin_notify().await.expect("asked"));
    connection.examine(&name("Work")).await.expect("opened");
    for expected in [4, 5] {
        deliver(&mut owner, "Work", 1);
        let news = connection.wait_for_news(LONG, pending()).await.expect("told");
        assert!(news.selected, "{news:?}");
        assert_eq!(connection.uid_search_all().await.expect("searched").len(), expected);
    }
    let stopped = connection.wait_for_news(LONG, std::future::ready(())).await.expect("stopped");
    assert!(stopped.is_empty());
    connection.logout().await.expect("in step");
}

#[tokio::test]
async fn a_server_that_dies_while_nobody_asks_is_noticed() {
    for removed in ["NOTIFY", "IDLE"] {
        let (mut server, _owner) = server(Dovecot::builder().without_capability(removed));
        let mut connection = open(&server).await;
        connection.begin_notify().await.expect("asked");
        connection.examine(&name("Work")).await.expect("opened");
        let die = async { server.kill_dash_9() };
        let (ended, ()) = tokio::join!(connection.wait_for_news(LONG, pending()), die);
        assert!(ended.is_err_and(|error| !error.leaves_connection_usable()));
    }
}
