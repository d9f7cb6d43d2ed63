//! What is damaged of one account is put aside; everything else stays, and so does the damaged file.

use crate::setup::*;
use mailhaul_db::queue::{AccessKind, NewAccess};
use mailhaul_db::{
    DbErrorKind, Exception, ExceptionState, Ledger, LedgerCheck, MailboxState, SetAside, check_ledger, set_damage_aside,
};
use mailhaul_queue::{Clock, SystemClock};
use mailhaul_types::Uid;
use sqlx::{AssertSqlSafe, Connection, Executor};
use std::fs;
use std::sync::Arc;

/// alice and bob with INBOX and Sent each, 2,500 messages in every mailbox, closed; and what a run reads of alice's
/// INBOX.
async fn two_accounts() -> (Place, MailboxState) {
    let place = Place::new();
    let ledger = place.open().await;
    let mut state = None;
    for login in ["bob", "alice"] {
        let lease = ledger.claim_pair(&identity(login)).await.expect("free");
        lease.map_mailboxes(vec![mapping("INBOX"), mapping("Sent")]).await.expect("mapped");
        for name in ["Sent", "INBOX"] {
            let mailbox = lease.mailbox(name).await.expect("mapped");
            mailbox.bind(SOURCE, TARGET, Uid(1)).await.expect("bound");
            let mut settled = settlement((1..=2_500).map(|uid| copied(uid, uid)).collect());
            settled.target_mark = Some(Uid(2_501));
            mailbox.settle(settled).await.expect("queued");
            let (uid, state_of) = (Some(Uid(3_000)), ExceptionState::Refused);
            let exception = Exception { uid, state: state_of, reason: "NO".to_owned(), key: Some(key(1)) };
            mailbox.record_exception(exception).await.expect("queued");
            mailbox.record_synced(synced(3_001, set(&[4, 5]))).await.expect("queued");
            mailbox.note_made().await.expect("queued");
            state = Some(mailbox.load().await.expect("whole"));
        }
        lease.release().await.expect("on disk");
    }
    ledger.close().await.expect("closed");
    (place, state.expect("there was one"))
}

async fn change(place: &Place, sql: &str) {
    let mut db = place.raw().await;
    db.execute(AssertSqlSafe(sql.to_owned())).await.expect("changed");
    db.close().await.expect("closed");
}

async fn rebuild(place: &Place) -> SetAside {
    set_damage_aside(&place.file, &identity("alice"), "today", impatient()).await.expect("put aside")
}

async fn check(place: &Place) -> LedgerCheck {
    check_ledger(&place.file, impatient()).await.expect("checked")
}

async fn load(place: &Place, login: &str, mailbox: &str) -> Option<MailboxState> {
    let ledger = Ledger::open_read_only(&place.file, impatient()).await.expect("opens");
    let view = ledger.find_pair(&identity(login)).await.expect("readable")?;
    view.load(mailbox).await.expect("whole")
}

#[tokio::test]
async fn a_damaged_segment_loses_its_own_messages_and_no_others() {
    let (place, whole) = two_accounts().await;
    change(&place, "UPDATE segment SET messages = messages + 1 WHERE mailbox_id = 3 AND ordinal = 1").await;
    let damaged = fs::read(&place.file).expect("readable");
    let aside = rebuild(&place).await;
    assert_eq!((aside.mailboxes, aside.messages_kept), (vec!["INBOX".to_owned()], 1_500));
    assert!(!aside.account_lost && aside.tables_lost.is_empty() && aside.others.is_empty());
    assert_eq!(fs::read(aside.kept.expect("kept")).expect("readable"), damaged, "nothing was destroyed");
    assert!(check(&place).await.is_whole());
    let left = load(&place, "alice", "INBOX").await.expect("mapped");
    assert_eq!((left.settled.len(), left.target_mark, left.synced), (1_500, Some(Uid(1)), None));
    assert_eq!((left.exceptions, left.made, left.mapping), (whole.exceptions, true, whole.mapping));
    assert_eq!(left.departed, whole.departed, "what has been dealt with stays so");
    assert_eq!(left.claimed_targets.len(), 1_500, "copies that are known are nobody else's");
    for (login, mailbox) in [("alice", "Sent"), ("bob", "INBOX"), ("bob", "Sent")] {
        let state = load(&place, login, mailbox).await.expect("mapped");
        assert_eq!((state.settled.len(), state.target_mark), (2_500, Some(Uid(2_501))), "{login} {mailbox}");
        assert!(state.synced.is_some());
    }
    let ledger = place.open().await;
    let lease = ledger.claim_pair(&identity("alice")).await.expect("free");
    assert!(lease.generation().0 > 2, "older claims write nothing any more");
}

#[tokio::test]
async fn whoever_was_let_in_before_is_let_in_afterwards() {
    let (place, _) = two_accounts().await;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let ledger = place.open().await;
    let queue = ledger.queue(Arc::clone(&clock), "operator").await.expect("opens");
    let access = |kind, hash, parent| NewAccess {
        kind,
        name: "alice".to_owned(),
        role: "admin".to_owned(),
        hash: [hash; 32],
        parent,
        expires_unix_ms: None,
    };
    let token = queue.put_access(access(AccessKind::Token, 1, None)).await.expect("stored").expect("free");
    assert!(queue.begin_session(token, access(AccessKind::Session, 2, Some(token))).await.expect("stored"));
    let before = queue.accesses().await.expect("listed");
    queue.close().await.expect("closed");
    ledger.close().await.expect("closed");
    change(&place, "UPDATE segment SET messages = messages + 1 WHERE mailbox_id = 3 AND ordinal = 1").await;
    rebuild(&place).await;
    let ledger = place.open().await;
    let queue = ledger.queue(clock, "operator").await.expect("opens");
    assert_eq!(queue.accesses().await.expect("listed"), before);
    assert_eq!(queue.end_token("alice").await.expect("written"), 2);
}

#[tokio::test]
async fn whatever_row_of_the_account_is_damaged_it_is_whole_afterwards_and_the_other_account_unchanged() {
    let (place, _) = two_accounts().await;
    let original = fs::read(&place.file).expect("readable");
    for sql in [
        "UPDATE mailbox SET copied = copied + 1 WHERE mailbox_id = 3",
        "UPDATE mailbox SET target_name = 'x' WHERE mailbox_id = 3",
        "DELETE FROM mailbox WHERE mailbox_id = 3",
        "DELETE FROM segment WHERE mailbox_id = 3 AND ordinal = 0",
        "UPDATE mailbox_exception SET reason = 'x' WHERE mailbox_id = 3",
        "UPDATE mailbox_sync SET uid_next = 1 WHERE mailbox_id = 3",
        "UPDATE mailbox_departed SET packed = X'00' WHERE mailbox_id = 3",
        "DELETE FROM mailbox_departed WHERE mailbox_id = 3",
        "UPDATE pair SET generation = 9 WHERE source_login = 'alice'",
        "UPDATE pair SET source_login = 'alicf' WHERE source_login = 'alice'",
        "UPDATE run SET started_at_secs = 1 WHERE pair_id = 2",
        "DELETE FROM run WHERE pair_id = 2",
        "DELETE FROM pair WHERE source_login = 'alice'",
        "UPDATE _sqlx_migrations SET checksum = X'00'",
    ] {
        change(&place, sql).await;
        assert!(!check(&place).await.is_whole(), "{sql}");
        let aside = rebuild(&place).await;
        fs::remove_file(aside.kept.expect("kept")).expect("removed");
        let checked = check(&place).await;
        assert!(checked.is_whole(), "{sql}: {checked:?}");
        for mailbox in ["INBOX", "Sent"] {
            assert_eq!(load(&place, "bob", mailbox).await.expect("mapped").settled.len(), 2_500, "{sql}");
        }
        fs::write(&place.file, &original).expect("put back");
    }
}

#[tokio::test]
async fn an_account_that_is_whole_is_left_alone_and_the_damaged_one_beside_it_named() {
    let (place, _) = two_accounts().await;
    assert_eq!(rebuild(&place).await, SetAside::default());
    change(&place, "UPDATE segment SET messages = 1 WHERE mailbox_id = 1").await;
    let before = fs::read(&place.file).expect("readable");
    let aside = rebuild(&place).await;
    assert_eq!(aside.kept, None);
    assert!(aside.others.len() == 1 && aside.others[0].starts_with("bob on"), "{:?}", aside.others);
    assert_eq!(fs::read(&place.file).expect("readable"), before);
    change(&place, "UPDATE segment SET messages = 1 WHERE mailbox_id = 3 AND ordinal = 0").await;
    assert_eq!(rebuild(&place).await.others.len(), 1);
    let accounts = check(&place).await.accounts;
    assert_eq!(accounts.iter().filter(|account| !account.is_whole()).count(), 1, "bob's is carried over as it is");
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_kept_and_a_new_one_takes_its_place() {
    let (place, _) = two_accounts().await;
    let mut octets = fs::read(&place.file).expect("readable");
    octets[3] ^= 1;
    fs::write(&place.file, &octets).expect("written");
    let aside = rebuild(&place).await;
    assert!(aside.account_lost);
    assert_eq!(fs::read(aside.kept.expect("kept")).expect("readable"), octets);
    assert!(check(&place).await.is_whole());
    assert_eq!(load(&place, "alice", "INBOX").await, None);
}

#[tokio::test]
async fn of_a_file_with_lost_pages_everything_is_carried_over_that_can_be_read() {
    let (place, _) = two_accounts().await;
    let whole = fs::read(&place.file).expect("readable");
    let pages = whole.len() / 4_096;
    let mut carried = 0;
    // Every seventh: pages of every kind.
    for page in (1..pages).step_by(7) {
        let mut octets = whole.clone();
        octets[page * 4_096..(page + 1) * 4_096].fill(0x5a);
        fs::write(&place.file, &octets).expect("written");
        if check(&place).await.is_whole() {
            continue;
        }
        let aside = rebuild(&place).await;
        let kept = aside.kept.expect("kept");
        assert_eq!(fs::read(&kept).expect("readable"), octets, "page {page}");
        fs::remove_file(kept).expect("removed");
        let checked = check(&place).await;
        let alice = checked.accounts.iter().find(|account| account.identity == Some(identity("alice")));
        assert!(
            alice.is_none_or(mailhaul_db::AccountCheck::is_whole)
                && checked.damage.iter().all(|damage| damage.table != "sqlite"),
            "page {page}: {checked:?}"
        );
        let settled = |checked: &LedgerCheck| {
            checked.accounts.iter().flat_map(|account| &account.mailboxes).map(|mailbox| mailbox.settled).sum::<u64>()
        };
        carried += u32::from(settled(&checked) > 5_000);
    }
    assert!(carried > 3, "most pages concern few rows: {carried} of {pages}");
}

#[tokio::test]
async fn nothing_is_replaced_under_a_process_that_works_with_the_file() {
    let (place, _) = two_accounts().await;
    change(&place, "UPDATE segment SET messages = 1 WHERE mailbox_id = 3 AND ordinal = 0").await;
    let before = fs::read(&place.file).expect("readable");
    let refused = async || {
        set_damage_aside(&place.file, &identity("alice"), "today", impatient()).await.expect_err("in use").kind()
    };
    let ledger = place.open().await;
    assert_eq!(refused().await, DbErrorKind::Locked, "it has the file open");
    let lease = ledger.claim_pair(&identity("bob")).await.expect("free");
    assert_eq!(refused().await, DbErrorKind::Locked, "it holds a lock");
    drop(lease);
    ledger.close().await.expect("closed");
    assert_ne!(fs::read(&place.file).expect("readable"), before, "bob was claimed");
    assert!(rebuild(&place).await.kept.is_some());
}

#[tokio::test]
async fn what_was_never_a_ledger_is_not_replaced() {
    let place = Place::new();
    let notes = place.directory.path().join("notes.txt");
    fs::write(&notes, "Dear diary, ".repeat(400)).expect("written");
    let before = snapshot(place.directory.path());
    let error = set_damage_aside(&notes, &identity("alice"), "today", impatient()).await.expect_err("refused");
    assert_eq!(error.kind(), DbErrorKind::NotALedger);
    assert_eq!(snapshot(place.directory.path()), before);
    assert_eq!(rebuild(&place).await, SetAside::default(), "no file at all");
}

#[tokio::test]
async fn a_rebuild_that_was_killed_is_done_again_from_the_beginning() {
    let (place, _) = two_accounts().await;
    change(&place, "UPDATE segment SET messages = 1 WHERE mailbox_id = 3 AND ordinal = 0").await;
    for (suffix, octets) in
        [(".rebuilding", "half a file"), (".rebuilding-wal", "and a log"), (".damaged-today.part", "x")]
    {
        let mut name = place.file.clone().into_os_string();
        name.push(suffix);
        fs::write(name, octets).expect("written");
    }
    assert!(rebuild(&place).await.kept.is_some());
    assert!(check(&place).await.is_whole());
    change(&place, "UPDATE segment SET messages = 1 WHERE mailbox_id = 3 AND ordinal = 1").await;
    let aside = rebuild(&place).await;
    assert!(aside.kept.expect("kept").to_string_lossy().ends_with(".damaged-today-2"), "nothing is overwritten");
}

#[tokio::test]
async fn a_row_whose_names_are_damaged_is_known_by_its_checksum_and_nothing_is_begun_beside_it() {
    let (place, _) = two_accounts().await;
    let original = fs::read(&place.file).expect("readable");
    for column in ["source_host", "source_login", "source_authz", "target_host", "target_login", "target_authz"] {
        change(&place, &format!("UPDATE pair SET {column} = {column} || 'x' WHERE pair_id = 2")).await;
        let ledger = place.open().await;
        let refused = ledger.claim_pair(&identity("alice")).await.expect_err(column);
        assert_eq!(refused.kind(), DbErrorKind::Damaged, "{column}");
        ledger.claim_pair(&identity("bob")).await.expect("another account is not kept from its work");
        ledger.claim_pair(&identity("carol")).await.expect("nor is a new one");
        ledger.close().await.expect("closed");
        let aside = rebuild(&place).await;
        assert!(!aside.account_lost && aside.mailboxes.is_empty(), "{column}: {aside:?}");
        assert!(check(&place).await.is_whole(), "{column}");
        assert_eq!(load(&place, "alice", "INBOX").await.expect("mapped").settled.len(), 2_500, "{column}");
        fs::remove_file(aside.kept.expect("kept")).expect("removed");
        fs::write(&place.file, &original).expect("put back");
    }
}

#[tokio::test]
async fn a_damaged_row_beside_which_an_account_was_begun_anew_goes_with_the_rebuild_of_the_account() {
    let (place, _) = two_accounts().await;
    let damage = "UPDATE pair SET source_login = 'x', target_login = 'y' WHERE pair_id = 2";
    change(&place, damage).await;
    let ledger = place.open().await;
    let lease = ledger.claim_pair(&identity("alice")).await.expect("nothing tells that there was a row");
    lease.map_mailboxes(vec![mapping("Later")]).await.expect("mapped");
    lease.release().await.expect("on disk");
    ledger.close().await.expect("closed");
    assert!(!check(&place).await.is_whole());
    let aside = rebuild(&place).await;
    assert!(aside.kept.is_some() && aside.strays > 0, "{aside:?}");
    let checked = check(&place).await;
    assert!(checked.is_whole() && checked.accounts.len() == 2, "{checked:?}");
    assert!(load(&place, "alice", "Later").await.is_some(), "the row with which runs worked last is kept");
    assert_eq!(load(&place, "bob", "INBOX").await.expect("mapped").settled.len(), 2_500);
}

/// Changes rows of `segment` as damage does that the index does not share.
async fn change_behind_the_index(place: &Place, sql: &str) {
    let mut db = place.raw().await;
    let find = "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_segment_1'";
    let page: i64 = sqlx::query_scalar(find).fetch_one(&mut db).await.expect("there is one");
    let (key, none) = ("PRIMARY KEY (mailbox_id, ordinal)", "CHECK (1)");
    let rename =
        |from, to| format!("UPDATE sqlite_schema SET sql = replace(sql, '{from}', '{to}') WHERE name = 'segment'");
    let restore =
        format!("INSERT INTO sqlite_schema VALUES ('index', 'sqlite_autoindex_segment_1', 'segment', {page}, NULL)");
    let remove = "DELETE FROM sqlite_schema WHERE name = 'sqlite_autoindex_segment_1'".to_owned();
    for steps in [vec![remove, rename(key, none)], vec![sql.to_owned(), rename(none, key), restore]] {
        db.execute("PRAGMA writable_schema = ON").await.expect("allowed");
        for step in steps {
            db.execute(AssertSqlSafe(step)).await.expect("changed");
        }
        db.close().await.expect("closed");
        db = place.raw().await;
    }
    db.close().await.expect("closed");
}

#[tokio::test]
async fn a_mailbox_whose_table_and_index_disagree_is_whole_after_the_rebuild() {
    let (place, _) = two_accounts().await;
    change_behind_the_index(&place, "UPDATE segment SET mailbox_id = 77 WHERE mailbox_id = 3 AND ordinal = 1").await;
    let checked = check(&place).await;
    assert!(!checked.damage.is_empty() && checked.accounts.iter().all(|account| account.is_whole()), "{checked:?}");
    let aside = rebuild(&place).await;
    assert_eq!(aside.mailboxes, ["INBOX"], "{aside:?}");
    let checked = check(&place).await;
    assert!(checked.is_whole(), "{checked:?}");
    assert_eq!(load(&place, "alice", "INBOX").await.expect("mapped").target_mark, Some(Uid(1)));
    assert_eq!(load(&place, "alice", "Sent").await.expect("mapped").settled.len(), 2_500);
}
