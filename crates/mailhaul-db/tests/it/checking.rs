//! Looking through a whole file: what is damaged is named, and nothing else is.

use crate::setup::*;
use mailhaul_db::{DbErrorKind, Exception, ExceptionState, Ledger, LedgerCheck, check_ledger};
use mailhaul_types::Uid;
use sqlx::{AssertSqlSafe, Connection, Executor};
use std::fs;
use std::path::Path;

/// alice with INBOX and Sent, and bob with INBOX, closed.
async fn two_accounts() -> Place {
    let place = Place::new();
    let ledger = place.open().await;
    for (login, mailboxes) in [("alice", &["INBOX", "Sent"][..]), ("bob", &["INBOX"])] {
        let lease = ledger.claim_pair(&identity(login)).await.expect("free");
        lease.map_mailboxes(mailboxes.iter().map(|name| mapping(name)).collect()).await.expect("mapped");
        for name in mailboxes {
            let mailbox = lease.mailbox(name).await.expect("mapped");
            mailbox.bind(SOURCE, TARGET, Uid(1)).await.expect("bound");
            mailbox.settle(settlement((1..=1_500).map(|uid| copied(uid, uid)).collect())).await.expect("queued");
            let (uid, state) = (Some(Uid(2_000)), ExceptionState::Refused);
            let exception = Exception { uid, state, reason: "NO".to_owned(), key: Some(key(1)) };
            mailbox.record_exception(exception).await.expect("queued");
            mailbox.record_synced(synced(1_501, set(&[4, 5]))).await.expect("queued");
        }
        lease.release().await.expect("on disk");
    }
    ledger.close().await.expect("closed");
    place
}

async fn check(file: &Path) -> LedgerCheck {
    check_ledger(file, impatient()).await.expect("checked")
}

/// What is damaged, each with the login and the mailbox it belongs to.
fn damaged(checked: &LedgerCheck) -> Vec<String> {
    let mut places: Vec<String> = checked.damage.iter().map(ToString::to_string).collect();
    for account in &checked.accounts {
        let who = account.identity.as_ref().map_or("?", |identity| identity.source.login());
        places.extend(account.damage.iter().map(|damage| format!("{who}: {damage}")));
        for mailbox in &account.mailboxes {
            places.extend(mailbox.damage.iter().map(|damage| format!("{who}/{}: {damage}", mailbox.name)));
        }
    }
    places.extend(checked.queue.damage.iter().map(ToString::to_string));
    assert_eq!(places.is_empty(), checked.is_whole());
    places
}

async fn change(place: &Place, sql: &str) {
    let mut db = place.raw().await;
    db.execute(AssertSqlSafe(sql.to_owned())).await.expect("changed");
    db.close().await.expect("closed");
}

#[tokio::test]
async fn a_whole_file_is_called_whole_and_left_as_it_is() {
    let place = two_accounts().await;
    let directory = place.file.parent().expect("it has one");
    let before = snapshot(directory);
    let checked = check(&place.file).await;
    assert_eq!(damaged(&checked), [""; 0]);
    let mailboxes: Vec<_> = checked.accounts.iter().map(|account| account.mailboxes.len()).collect();
    assert_eq!((mailboxes, checked.log, checked.schema), (vec![2, 1], None, Some(checked.schema_known)));
    assert_eq!(checked.accounts[0].mailboxes[1].settled, 1_500);
    assert!(checked.queue.rows.contains(&("job".to_owned(), 0)));
    assert_eq!(snapshot(directory), before);
}

#[tokio::test]
async fn values_that_were_changed_are_named_with_their_account_and_mailbox() {
    let place = two_accounts().await;
    let original = fs::read(&place.file).expect("readable");
    for (sql, expected) in [
        (
            "UPDATE segment SET messages = messages + 1 WHERE mailbox_id = 2",
            "alice/Sent: table segment, mailbox number 2, segment row 1",
        ),
        ("UPDATE mailbox SET copied = copied + 1 WHERE mailbox_id = 3", "bob/INBOX: table mailbox, mailbox number 3"),
        (
            "DELETE FROM segment WHERE mailbox_id = 1 AND ordinal = 0",
            "alice/INBOX: table mailbox, mailbox INBOX: 2 rows belong to it where 3 were written",
        ),
        (
            "UPDATE mailbox_exception SET reason = 'OK' WHERE mailbox_id = 3",
            "bob/INBOX: table mailbox_exception, mailbox number 3, exception 1",
        ),
        ("UPDATE mailbox_sync SET uid_next = 7 WHERE mailbox_id = 2", "alice/Sent: table mailbox_sync, mailbox Sent"),
        ("DELETE FROM mailbox_departed WHERE mailbox_id = 2", "alice/Sent: table mailbox_departed, mailbox Sent"),
        ("UPDATE pair SET generation = 9 WHERE pair_id = 2", "?: table pair, pair 2"),
        ("UPDATE run SET started_at_secs = 1 WHERE pair_id = 1", "alice: table run, pair 1"),
        ("DELETE FROM run WHERE pair_id = 2", "bob: table run, the row of its latest run is not there"),
        ("UPDATE ledger SET digest_key = X'00000000000000000000000000000000'", "table ledger, the only row"),
        ("DELETE FROM ledger", "table ledger, its only row is missing"),
        ("UPDATE _sqlx_migrations SET checksum = X'00' WHERE version = 2", "table _sqlx_migrations, version 2"),
    ] {
        change(&place, sql).await;
        assert_eq!(damaged(&check(&place.file).await), [expected], "{sql}");
        fs::write(&place.file, &original).expect("put back");
    }
    change(&place, "DELETE FROM pair WHERE pair_id = 2").await;
    let found = damaged(&check(&place.file).await);
    assert!(found.contains(&"table mailbox, 1 of its rows belong to account number 2, which is not there".to_owned()));
    assert!(
        found.contains(&"table run, 1 of its rows belong to rows of pair that are not there".to_owned()),
        "{found:?}"
    );
}

#[tokio::test]
async fn damage_in_one_place_hides_none_in_another() {
    let place = two_accounts().await;
    change(&place, "UPDATE segment SET messages = messages + 1 WHERE ordinal = 1").await;
    assert_eq!(damaged(&check(&place.file).await).len(), 3);
}

#[tokio::test]
async fn a_damaged_structure_is_told_in_the_words_of_sqlite_and_the_rest_is_still_looked_at() {
    let place = two_accounts().await;
    let mut db = place.raw().await;
    let root = sqlx::query_scalar("SELECT rootpage FROM sqlite_schema WHERE name = 'endpoint'");
    let root: i64 = root.fetch_one(&mut db).await.expect("there is one");
    db.close().await.expect("closed");
    let mut octets = fs::read(&place.file).expect("readable");
    // Pages of nothing where the queue's tables begin: those of the ledger are not lost with them.
    let from = (usize::try_from(root).expect("a page") - 1) * 4_096;
    octets[from..from + 2 * 4_096].fill(0);
    fs::write(&place.file, &octets).expect("written");
    let checked = check(&place.file).await;
    assert!(checked.damage.iter().any(|damage| damage.table == "sqlite"), "{checked:?}");
    assert!(!checked.accounts.is_empty());

    octets.truncate(from);
    fs::write(&place.file, &octets).expect("written");
    assert!(!check(&place.file).await.is_whole(), "cut off");
}

#[tokio::test]
async fn a_file_in_use_is_checked_beside_the_one_who_writes() {
    let place = two_accounts().await;
    let ledger = place.open().await;
    let lease = ledger.claim_pair(&identity("carol")).await.expect("free");
    let checked = check(&place.file).await;
    assert_eq!(damaged(&checked), [""; 0]);
    assert!(checked.log.is_some() && checked.accounts.len() == 3, "what stands in the log counts");
    lease.map_mailboxes(vec![mapping("INBOX")]).await.expect("the writer goes on");
}

#[tokio::test]
async fn what_is_no_ledger_is_not_called_a_damaged_one() {
    let place = Place::new();
    let check = async |file: &Path| check_ledger(file, impatient()).await.expect_err("refused").kind();
    assert_eq!(check(&place.file).await, DbErrorKind::NotALedger);
    assert_eq!(check(place.directory.path()).await, DbErrorKind::NotALedger);
    let notes = place.directory.path().join("notes.txt");
    for text in ["", "x", "Dear diary, ".repeat(400).as_str()] {
        fs::write(&notes, text).expect("written");
        assert_eq!(check(&notes).await, DbErrorKind::NotALedger, "{text}");
    }
}

#[tokio::test]
async fn a_locked_file_is_said_to_be_locked_and_not_damaged() {
    let place = two_accounts().await;
    let mut db = place.raw().await;
    db.execute("PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE").await.expect("locked");
    fs::write(place.file.with_file_name("mailhaul.db-wal"), "").expect("as if in use");
    let error = check_ledger(&place.file, impatient()).await.expect_err("locked");
    assert_eq!(error.kind(), DbErrorKind::Locked, "{error}");
}

#[tokio::test]
async fn files_of_earlier_versions_are_checked_as_they_are() {
    for (name, schema) in [("schema-2.state", 2), ("schema-3.state", 3), ("schema-4.state", 4), ("schema-5.state", 5)] {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/states").join(name);
        let place = Place::new();
        fs::create_dir_all(place.file.parent().expect("it has one")).expect("made");
        fs::copy(kept, &place.file).expect("copied");
        let checked = check(&place.file).await;
        assert_eq!((damaged(&checked), checked.schema), (vec![], Some(schema)));
        assert_eq!(checked.accounts[0].mailboxes[0].settled, 40);
        assert!(checked.queue.rows.contains(&("job".to_owned(), 9)));
        change(&place, "UPDATE segment SET messages = 39; UPDATE wave SET options = '{'").await;
        assert_eq!(damaged(&check(&place.file).await).len(), 2);
        Ledger::open(&place.file, options()).await.expect("it was left as it was, and can still be migrated");
    }
}
