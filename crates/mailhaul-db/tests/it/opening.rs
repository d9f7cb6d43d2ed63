//! What may lie where the state file should be, and what is said about it.

use crate::setup::*;
use mailhaul_db::{DbError, DbErrorKind, Ledger, OpenOptions};
use sqlx::{ConnectOptions, Connection, Executor, SqliteConnection, sqlite::SqliteConnectOptions};
use std::fs;
use std::path::Path;

async fn sqlite(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).create_if_missing(true).connect().await.expect("opens")
}

async fn refused(file: &Path) -> DbError {
    let before = snapshot(file.parent().expect("it has one"));
    let error = Ledger::open(file, impatient()).await.map(|_| ()).expect_err("refused");
    assert_eq!(snapshot(file.parent().expect("it has one")), before, "{error}: the file was changed");
    let read_only = Ledger::open_read_only(file, impatient()).await.map(|_| ()).expect_err("refused");
    assert_eq!(read_only.kind(), error.kind());
    assert_eq!(snapshot(file.parent().expect("it has one")), before, "{read_only}: the file was changed");
    let text = error.to_string();
    assert!(text.starts_with("cannot open the ledger /") && text.contains("; ") && !text.contains('\n'), "{text}");
    error
}

#[tokio::test]
async fn another_programs_database_is_left_alone() {
    let place = Place::new();
    let file = place.directory.path().join("theirs.db");
    let mut db = sqlite(&file).await;
    db.execute("CREATE TABLE t (a); INSERT INTO t VALUES (1)").await.expect("theirs");
    db.close().await.expect("closed");
    let error = refused(&file).await;
    assert!(matches!(error, DbError::ForeignDatabase(_)), "{error}");
}

#[tokio::test]
async fn what_is_no_database_is_left_alone() {
    let place = Place::new();
    let file = place.directory.path().join("notes.txt");
    fs::write(&file, "Dear diary, ".repeat(400)).expect("written");
    assert!(matches!(refused(&file).await, DbError::NotADatabase(_)));
    // SQLite takes a file of one octet for a new database and would write over it.
    for short in ["x", "xy", "SQLite format 3\0"] {
        fs::write(&file, short).expect("written");
        assert!(matches!(refused(&file).await, DbError::NotADatabase(_)), "{short}");
    }
    let error = Ledger::open(place.directory.path(), options()).await.expect_err("a directory");
    assert!(matches!(error, DbError::BadPath { .. }), "{error}");
    let error = Ledger::open(&file.join("below.db"), options()).await.expect_err("below a file");
    assert_eq!(error.kind(), DbErrorKind::NotALedger, "{error}");
}

#[tokio::test]
async fn a_newer_schema_is_left_alone() {
    let place = Place::new();
    place.open().await.close().await.expect("closed");
    let mut db = sqlite(&place.file).await;
    db.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'later', TRUE, X'00', 0)",
    )
    .await
    .expect("a later release was here");
    db.close().await.expect("closed");
    let error = refused(&place.file).await;
    assert!(matches!(error, DbError::NewerSchema { found: 9_999, known: 4, .. }), "{error}");
}

#[tokio::test]
async fn a_missing_file_is_created_for_work_and_not_for_reading() {
    let place = Place::new();
    let error = Ledger::open_read_only(&place.file, options()).await.expect_err("nothing there");
    assert!(matches!(error, DbError::NotFound(_)), "{error}");
    assert!(!place.file.exists() && !place.file.parent().expect("it has one").exists());
    let first = place.open().await;
    let digest_key = first.digest_key();
    assert_ne!(digest_key, [0; 16]);
    assert_eq!(place.open().await.digest_key(), digest_key, "the same file twice");
    assert_ne!(Place::new().open().await.digest_key(), digest_key, "another file");
}

#[tokio::test]
async fn an_empty_file_becomes_a_ledger() {
    let place = Place::new();
    let file = place.directory.path().join("empty.db");
    fs::write(&file, "").expect("written");
    let error = Ledger::open_read_only(&file, options()).await.expect_err("nothing in it");
    assert!(matches!(error, DbError::NotFound(_)), "{error}");
    Ledger::open(&file, options()).await.expect("opens").close().await.expect("closed");
    Ledger::open_read_only(&file, options()).await.expect("is a ledger now");
}

#[tokio::test]
async fn reading_leaves_no_trace_and_sees_the_state() {
    let place = Place::new();
    let (ledger, lease, inbox) = place.inbox().await;
    inbox.settle(settlement(vec![copied(1, 1)])).await.expect("queued");
    let expected = inbox.load().await.expect("whole");
    // Beside a writer, whose log holds what the file does not.
    let reading = Ledger::open_read_only(&place.file, options()).await.expect("opens");
    let view = reading.find_pair(&identity("alice")).await.expect("readable").expect("known");
    assert_eq!(view.load("INBOX").await.expect("whole"), Some(expected.clone()));
    reading.close().await.expect("closed");
    drop((inbox, lease));
    ledger.close().await.expect("closed");

    let directory = place.file.parent().expect("it has one");
    let before = snapshot(directory);
    assert_eq!(before.len(), 1, "closing leaves one file");
    let reading = Ledger::open_read_only(&place.file, options()).await.expect("opens");
    assert!(!reading.read_report().await.expect("whole").is_empty());
    let view = reading.find_pair(&identity("alice")).await.expect("readable").expect("known");
    assert_eq!(view.load("INBOX").await.expect("whole"), Some(expected));
    let error = reading.claim_pair(&identity("alice")).await.expect_err("read only");
    assert_eq!(error.kind(), DbErrorKind::NoAccess);
    reading.close().await.expect("closed");
    assert_eq!(snapshot(directory), before);
}

#[tokio::test]
async fn a_file_that_changes_under_a_reader_is_not_called_damaged() {
    let place = Place::new();
    let (ledger, lease, inbox) = place.inbox().await;
    drop((inbox, lease));
    ledger.close().await.expect("closed");
    let reading = Ledger::open_read_only(&place.file, options()).await.expect("opens");
    let mut octets = fs::read(&place.file).expect("readable");
    octets[4_096..].fill(0x5a);
    fs::write(&place.file, &octets).expect("written");
    fs::write(place.file.with_file_name("mailhaul.db-wal"), "").expect("written");
    let error = reading.read_report().await.expect_err("no longer what it was");
    assert_eq!(error.kind(), DbErrorKind::Locked, "{error}");
}

#[tokio::test]
async fn two_that_create_the_same_file_at_once_both_succeed() {
    for _ in 0..10 {
        let place = Place::new();
        let (one, other) = tokio::join!(
            Ledger::open(&place.file, OpenOptions::default()),
            Ledger::open(&place.file, OpenOptions::default())
        );
        let (one, other) = (one.expect("opens"), other.expect("opens"));
        assert_eq!(one.digest_key(), other.digest_key());
    }
}

#[tokio::test]
async fn a_locked_file_is_said_to_be_locked() {
    let place = Place::new();
    let ledger = Ledger::open(&place.file, impatient()).await.expect("opens");
    let mut db = sqlite(&place.file).await;
    db.execute("BEGIN IMMEDIATE").await.expect("locked");
    let error = ledger.claim_pair(&identity("alice")).await.expect_err("locked");
    assert_eq!(error.kind(), DbErrorKind::Locked, "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_state_log_and_locks() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    let place = Place::new();
    let (_ledger, _lease, _inbox) = place.inbox().await;
    let directory = place.file.parent().expect("it has one");
    assert_eq!(mode(directory), 0o700);
    let files: Vec<_> = snapshot(directory).into_iter().map(|(path, ..)| path).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    let locks = place.file.with_file_name("mailhaul.db.locks");
    assert_eq!(mode(&locks), 0o700);
    for file in files.iter().chain(&snapshot(&locks).into_iter().map(|(path, ..)| path).collect::<Vec<_>>()) {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }

    let loose = place.directory.path().join("loose.db");
    fs::write(&loose, "").expect("written");
    fs::set_permissions(&loose, fs::Permissions::from_mode(0o644)).expect("ours");
    let _ledger = Ledger::open(&loose, options()).await.expect("opens");
    assert_eq!(mode(&loose), 0o600);
}

#[cfg(unix)]
#[tokio::test]
async fn two_names_of_one_file_share_its_locks() {
    let place = Place::new();
    let (ledger, _lease, _inbox) = place.inbox().await;
    let alias = place.directory.path().join("alias.db");
    std::os::unix::fs::symlink(&place.file, &alias).expect("linked");
    let other = Ledger::open(&alias, options()).await.expect("opens");
    assert_eq!(other.path(), ledger.path());
    let error = other.claim_pair(&identity("alice")).await.expect_err("busy");
    assert_eq!(error.kind(), DbErrorKind::PairBusy, "{error}");
}

#[tokio::test]
async fn a_bound_on_the_file_is_told_as_a_full_disk_and_loses_nothing() {
    let place = Place::new();
    let (ledger, lease, inbox) = place.inbox().await;
    inbox.settle(settlement((1..=3_000).map(|uid| copied(uid, uid)).collect())).await.expect("queued");
    let before = inbox.load().await.expect("whole");
    drop((inbox, lease));
    ledger.close().await.expect("closed");

    let pages = u32::try_from(fs::metadata(&place.file).expect("there").len() / 4_096).expect("small");
    let bounded = OpenOptions { pages_max: Some(pages + 3), ..options() };
    let ledger = Ledger::open(&place.file, bounded).await.expect("opens");
    let lease = ledger.claim_pair(&identity("alice")).await.expect("claimed");
    let inbox = lease.mailbox("INBOX").await.expect("mapped");
    inbox.settle(settlement((3_001..=9_000).map(|uid| copied(uid, uid)).collect())).await.expect("queued");
    let error = inbox.flush().await.expect_err("full");
    assert!(matches!(error, DbError::Full(_)), "{error}");
    assert!(!lease.is_valid());
    for outcome in [inbox.settle(settlement(vec![])).await, lease.flush().await, ledger.clone().close().await] {
        assert_eq!(outcome.expect_err("the same for everybody").kind(), DbErrorKind::Full);
    }
    drop((inbox, lease, ledger));

    let ledger = place.open().await;
    let view = ledger.find_pair(&identity("alice")).await.expect("readable").expect("known");
    assert_eq!(view.load("INBOX").await.expect("whole"), Some(before));
}
