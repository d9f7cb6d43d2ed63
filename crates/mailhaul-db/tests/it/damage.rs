//! A flipped bit is found, wherever it is; and a row that vanished is missed.

use crate::setup::*;
use mailhaul_db::{
    DbError, DbErrorKind, Exception, ExceptionState, Ledger, MailboxState, PassCounts, Remark, RunVerdict, Scan,
    Settled, Settlement, Synced,
};
use mailhaul_types::{Flags, ModSeq, Uid};
use sqlx::{AssertSqlSafe, Connection, Executor, Row};
use std::fs;
use std::path::Path;

/// A ledger in which every table has rows and no column is empty, closed.
async fn full_ledger() -> (Place, MailboxState) {
    let place = Place::new();
    let (ledger, lease, inbox) = place.inbox().await;
    let scan =
        Scan { uid_next: Some(Uid(9)), exists: 8, highest_modseq: Some(ModSeq(7)), mailbox_id: Some("M1".to_owned()) };
    inbox.record_scan(scan).await.expect("queued");
    let tagged = |uid| Settled { flags: Flags::from_parts(1, ["Work"]), ..copied(uid, uid) };
    let messages = (1..=1_100).map(|uid| if uid % 9 == 0 { tagged(uid) } else { copied(uid, uid) }).collect();
    inbox.settle(Settlement { messages, target_mark: Some(Uid(1_000)), clear_sent: false }).await.expect("queued");
    let state = ExceptionState::Refused;
    let exception = Exception { uid: Some(Uid(2_000)), state, reason: "NO".to_owned(), key: Some(key(1)) };
    inbox.record_exception(exception).await.expect("queued");
    let remark = Remark { kind: "flags".to_owned(), text: "t".to_owned(), messages: 1 };
    let counts = PassCounts {
        source: 1,
        already: 1,
        copied: 1,
        adopted: 1,
        skipped: 1,
        refused: 1,
        gone: 1,
        unreadable: 1,
        remaining: 1,
        bytes: 1,
    };
    inbox.record_pass(counts, vec![remark]).await.expect("queued");
    let row = Synced { mailbox_id: Some("M1".to_owned()), ..synced(1_101, set(&[4, 5, 90, 1_000])) };
    inbox.record_synced(row).await.expect("queued");
    inbox.note_made().await.expect("queued");
    inbox.note_name_kept().await.expect("queued");
    inbox.mark_sent(range(1_101, 1_200), Uid(1_000)).await.expect("queued").wait().await.expect("on disk");
    lease.finish_run(RunVerdict::Complete, "done").await.expect("on disk");
    let state = inbox.load().await.expect("whole");
    drop((inbox, lease));
    ledger.close().await.expect("closed");
    (place, state)
}

/// Everything that a run or a report reads; `None` if the pair is not found. A mailbox of a pair that is found may not
/// be missed silently.
async fn read_everything(file: &Path) -> Result<Option<MailboxState>, DbError> {
    let ledger = Ledger::open_read_only(file, impatient()).await?;
    let outcome = async {
        ledger.read_report().await?;
        let Some(view) = ledger.find_pair(&identity("alice")).await? else { return Ok(None) };
        view.mappings().await?;
        Ok(Some(view.load("INBOX").await?.expect("the mailbox is forgotten")))
    };
    let outcome = outcome.await;
    ledger.close().await?;
    outcome
}

#[tokio::test]
async fn a_flipped_bit_in_any_column_of_any_row_is_damage() {
    let (place, whole) = full_ledger().await;
    assert_eq!(read_everything(&place.file).await.expect("whole").as_ref(), Some(&whole));
    let original = fs::read(&place.file).expect("readable");
    let mut tried = 0;
    let tables = "ledger pair run mailbox segment keyword_set mailbox_exception mailbox_pass remark mailbox_sync mailbox_departed";
    for table in tables.split(' ') {
        let mut db = place.raw().await;
        let columns = db.fetch_all(AssertSqlSafe(format!("SELECT name, type FROM pragma_table_info('{table}')")));
        let columns: Vec<(String, String)> =
            columns.await.expect("readable").iter().map(|row| (row.get(0), row.get(1))).collect();
        db.close().await.expect("closed");
        assert!(!columns.is_empty(), "{table}");
        // Told under another number or not at all: nothing is decided by the first two, and without the third the
        // mailbox is visited.
        let told_apart = |column: &str| {
            matches!(
                (table, column),
                ("mailbox_pass", "mailbox_id") | ("remark", "pair_id") | ("mailbox_sync", "mailbox_id")
            )
        };
        for (column, kind) in columns.into_iter().filter(|(column, _)| !told_apart(column)) {
            for change in changes_of(&column, &kind) {
                let mut db = place.raw().await;
                let sql = format!("UPDATE {table} SET {column} = {change} WHERE {column} IS NOT {change}");
                // Some changes SQLite itself refuses (an impossible number, a second row): nothing to find then.
                let done = db.execute(AssertSqlSafe(sql.clone())).await;
                db.close().await.expect("closed");
                if done.is_ok_and(|done| done.rows_affected() > 0) {
                    tried += 1;
                    match read_everything(&place.file).await {
                        Err(DbError::Damaged { .. }) => {}
                        Err(error) => panic!("{sql}: {error}"),
                        Ok(_) => panic!("{sql}: not found"),
                    }
                }
                fs::write(&place.file, &original).expect("put back");
            }
        }
    }
    assert!(tried > 300, "only {tried} changes were tried");
}

/// SQL that changes one bit, one letter, or presence.
fn changes_of(column: &str, kind: &str) -> Vec<String> {
    match kind {
        "INTEGER" => {
            let bits = [0u32, 1, 5, 31, 40].into_iter().map(|bit| 1i64 << bit);
            bits.map(|bit| format!("(({column} | {bit}) - ({column} & {bit}))")).chain(["NULL".to_owned()]).collect()
        }
        "TEXT" => vec![
            format!("CASE {column} WHEN 'alice' THEN 'alicd' ELSE {column} || 'x' END"),
            format!("substr({column}, 2)"),
            "NULL".to_owned(),
        ],
        _ => (0..8)
            .map(|part| format!("length({column}) * {part} / 8 + 1"))
            .flat_map(|at| {
                ["X'00'", "X'41'"].map(|octet| {
                    format!("CAST(substr({column}, 1, {at} - 1) || {octet} || substr({column}, {at} + 1) AS BLOB)")
                })
            })
            .chain([format!("substr({column}, 1, length({column}) - 1)")])
            .collect(),
    }
}

#[tokio::test]
async fn a_missing_row_is_missed_and_a_second_one_noticed() {
    let (place, whole) = full_ledger().await;
    let original = fs::read(&place.file).expect("readable");
    for sql in [
        "DELETE FROM ledger",
        "DELETE FROM mailbox",
        "DELETE FROM segment WHERE ordinal = 0",
        "DELETE FROM segment WHERE ordinal = 1",
        "DELETE FROM segment",
        "DELETE FROM keyword_set",
        "DELETE FROM mailbox_exception",
        "DELETE FROM mailbox_departed",
        "INSERT INTO segment SELECT mailbox_id, 7, source_uid_validity, target_uid_validity, first_uid, last_uid, \
         messages, packed, checksum FROM segment WHERE ordinal = 0",
    ] {
        let mut db = place.raw().await;
        db.execute(sql).await.expect("changed");
        db.close().await.expect("closed");
        // The file's own row is looked for when it is opened for work; reading takes its absence for a new file.
        let outcome = match Ledger::open(&place.file, impatient()).await {
            Ok(ledger) => {
                ledger.close().await.expect("closed");
                read_everything(&place.file).await
            }
            Err(error) => Err(error),
        };
        assert!(matches!(outcome, Err(DbError::Damaged { .. })), "{sql}: {outcome:?}");
        fs::write(&place.file, &original).expect("put back");
    }
    assert_eq!(read_everything(&place.file).await.expect("whole").as_ref(), Some(&whole));
}

/// Changes a closed file with SQL, and reads everything of it.
async fn after(place: &Place, sql: &'static str) -> Result<MailboxState, DbError> {
    let mut db = place.raw().await;
    db.execute(sql).await.expect("changed");
    db.close().await.expect("closed");
    let ledger = place.open().await;
    let lease = ledger.claim_pair(&identity("alice")).await.expect("the pair's row is whole");
    let loaded = lease.mailbox("INBOX").await.expect("the mailbox's row is whole").load().await;
    let looked = lease.overview().await;
    let reported = ledger.read_report().await;
    drop(lease);
    ledger.close().await.expect("closed");
    match (loaded, looked) {
        (Ok(state), Ok(briefs)) => {
            reported.expect("a report needs no more than a run");
            assert_eq!((&briefs[0].synced, &briefs[0].departed), (&state.synced, &state.departed), "{sql}");
            Ok(state)
        }
        (Err(loaded), Err(looked)) => {
            assert_eq!((loaded.kind(), looked.kind()), (DbErrorKind::Damaged, DbErrorKind::Damaged), "{sql}");
            Err(loaded)
        }
        (loaded, looked) => panic!("{sql}: {loaded:?}, but {looked:?}"),
    }
}

#[tokio::test]
async fn without_its_synced_row_a_mailbox_is_visited_and_one_that_is_not_its_own_is_damage() {
    let (place, whole) = full_ledger().await;
    let original = fs::read(&place.file).expect("readable");
    let state = after(&place, "DELETE FROM mailbox_sync").await.expect("no damage");
    assert_eq!(state, MailboxState { synced: None, ..whole.clone() }, "what has departed is known");
    let ledger = place.open().await;
    let lease = ledger.claim_pair(&identity("alice")).await.expect("free");
    let inbox = lease.mailbox("INBOX").await.expect("mapped");
    inbox.record_synced(whole.synced.clone().expect("there was one")).await.expect("queued");
    assert_eq!(inbox.load().await.expect("whole"), whole, "the next pass writes it anew");

    // The rows of before come back under a newer mailbox row, as from a restore that was cut short.
    lease.map_mailboxes(vec![mapping("Sent")]).await.expect("mapped");
    let sent = lease.mailbox("Sent").await.expect("mapped");
    sent.bind(SOURCE, TARGET, Uid(1)).await.expect("bound");
    sent.record_synced(synced(5, set(&[2]))).await.expect("queued");
    sent.flush().await.expect("on disk");
    let mut db = place.raw().await;
    for sql in [
        "CREATE TABLE old_sync AS SELECT * FROM mailbox_sync",
        "CREATE TABLE old_departed AS SELECT * FROM mailbox_departed",
    ] {
        db.execute(sql).await.expect("kept");
    }
    db.close().await.expect("closed");
    inbox.record_synced(synced(1_200, set(&[4]))).await.expect("queued");
    inbox.flush().await.expect("on disk");
    drop((inbox, sent, lease));
    ledger.close().await.expect("closed");
    let newer = fs::read(&place.file).expect("readable");
    for sql in [
        "REPLACE INTO mailbox_sync SELECT * FROM old_sync",
        "REPLACE INTO mailbox_departed SELECT * FROM old_departed",
        "REPLACE INTO mailbox_departed SELECT 1, packed, checksum FROM mailbox_departed WHERE mailbox_id = 2",
        "UPDATE mailbox_sync SET (uid_next, message_count, checksum) = \
         (SELECT uid_next, message_count, checksum FROM mailbox_sync WHERE mailbox_id = 2) WHERE mailbox_id = 1",
        "DELETE FROM mailbox_departed WHERE mailbox_id = 1",
    ] {
        after(&place, sql).await.expect_err(sql);
        fs::write(&place.file, &newer).expect("put back");
    }
    after(&place, "SELECT 1").await.expect("whole");

    // One that was taken away on purpose comes back.
    fs::write(&place.file, &original).expect("put back");
    let ledger = place.open().await;
    let lease = ledger.claim_pair(&identity("alice")).await.expect("free");
    let mut db = place.raw().await;
    db.execute("CREATE TABLE old_sync AS SELECT * FROM mailbox_sync").await.expect("kept");
    db.close().await.expect("closed");
    lease.mailbox("INBOX").await.expect("mapped").forget_synced().await.expect("queued");
    lease.release().await.expect("on disk");
    ledger.close().await.expect("closed");
    after(&place, "INSERT INTO mailbox_sync SELECT * FROM old_sync").await.expect_err("forgotten is forgotten");
}

#[tokio::test]
async fn a_flipped_bit_anywhere_in_the_file_never_changes_what_is_read() {
    let (place, whole) = full_ledger().await;
    let original = fs::read(&place.file).expect("readable");
    let (mut found, mut forgotten) = (0, 0);
    // A stride that shares no factor with the page size comes past every kind of place in the file.
    for at in (0..original.len()).step_by(211) {
        let mut octets = original.clone();
        octets[at] ^= 1 << (at % 8);
        fs::write(&place.file, &octets).expect("written");
        match read_everything(&place.file).await {
            // A spare octet, or one that decides nothing.
            Ok(Some(state)) => assert_eq!(state, whole, "octet {at}"),
            // An index that no longer finds the pair: everything is at first contact again, which is safe.
            Ok(None) => forgotten += 1,
            Err(error) => {
                found += 1;
                let told = matches!(error.kind(), DbErrorKind::Damaged | DbErrorKind::NotALedger);
                assert!(told, "octet {at}: {error}");
            }
        }
    }
    assert!(found > 50, "only {found} of the flips were found");
    assert!(forgotten < 3, "{forgotten} flips made the pair unknown");
}

#[tokio::test]
async fn damage_is_told_with_its_place_and_a_way_out_and_stops_the_writer() {
    let (place, _) = full_ledger().await;
    let mut db = place.raw().await;
    db.execute("UPDATE segment SET messages = messages + 1 WHERE ordinal = 1").await.expect("changed");
    db.close().await.expect("closed");
    let (ledger, lease, inbox) = {
        let ledger = place.open().await;
        let lease = ledger.claim_pair(&identity("alice")).await.expect("the pair's row is whole");
        let inbox = lease.mailbox("INBOX").await.expect("so is the mailbox's");
        (ledger, lease, inbox)
    };
    let error = inbox.load().await.expect_err("damaged");
    let text = error.to_string();
    assert!(text.contains("damaged (table segment, mailbox number 1, segment row 2)"), "{text}");
    assert!(text.contains("put a backup of it back, or let `mailhaul ledger rebuild`"), "{text}");
    assert!(lease.is_valid(), "reading alone does not end a lease");
    inbox.settle(settlement(vec![copied(5_000, 5_000)])).await.expect("queued");
    assert_eq!(lease.flush().await.expect_err("not written onto damage").kind(), DbErrorKind::Damaged);
    assert!(!lease.is_valid());
    ledger.claim_pair(&identity("bob")).await.expect("bob's mail is not concerned");
}
