//! Endpoints, waves, accounts, what the ledger adds to them, and old files.

use crate::queue::setup::*;
use crate::setup::{Place, copied, identity, mapping, options, settlement};
use mailhaul_db::queue::*;
use mailhaul_db::{AccountIdentity, DbErrorKind, Ledger, PairIdentity, PassCounts, RunVerdict};
use mailhaul_queue::*;
use mailhaul_types::Uid;
use sqlx::{ConnectOptions, Connection, Executor, sqlite::SqliteConnectOptions};
use std::sync::Arc;

#[tokio::test]
async fn the_same_list_twice_changes_nothing_and_a_changed_one_says_what_changed() {
    let bench = Bench::new().await;
    let list = || ["alice", "bob", "carol"].map(|name| bench.account(name)).to_vec();
    let first = bench.queue.import(list()).await.expect("imported");
    assert_eq!((first.added, first.changed.len(), first.unchanged), (3, 0, 0));
    let again = bench.queue.import(list()).await.expect("imported");
    assert_eq!((again.ids, again.added, again.changed.len(), again.unchanged), (first.ids, 0, 0, 3));
    let mut changed = list();
    changed[1].priority = Priority::HIGHEST;
    changed[1].target_user = "robert".to_owned();
    changed[2].size_hint_bytes = Some(9);
    let outcome = bench.queue.import(changed).await.expect("imported");
    let expected = [("bob".to_owned(), vec!["target_user", "priority"]), ("carol".to_owned(), vec!["size"])];
    assert_eq!((outcome.added, outcome.unchanged), (0, 1));
    assert_eq!(outcome.changed, expected);
    let bob = bench.queue.find_account("bob").await.expect("read").expect("there");
    assert_eq!((bob.target_user.as_str(), bob.revision, bob.wave_name.as_str()), ("robert", 2, "staff"));
    let carol = bench.queue.find_account("carol").await.expect("read").expect("there");
    assert_eq!((carol.revision, carol.size_hint_bytes), (1, Some(9)));
    let filter = AccountFilter { name: Some("*[o]*".to_owned()), ..AccountFilter::default() };
    assert!(bench.queue.accounts(filter).await.expect("listed").is_empty(), "a bracket is a bracket");
    let filter = AccountFilter { name: Some("?[".to_owned()), limit: Some(1), ..AccountFilter::default() };
    assert!(bench.queue.accounts(filter).await.expect("listed").is_empty());
    let filter = AccountFilter { name: Some("*o*".to_owned()), ..AccountFilter::default() };
    let names: Vec<_> = bench.queue.accounts(filter).await.expect("listed").into_iter().map(|row| row.name).collect();
    assert_eq!(names, ["bob", "carol"]);
}

#[tokio::test]
async fn a_list_with_a_wave_that_does_not_exist_stores_nothing() {
    let bench = Bench::new().await;
    let bad = NewAccount { wave: WaveId(99), ..bench.account("bob") };
    bench.queue.import(vec![bench.account("alice"), bad]).await.expect_err("no such wave");
    assert!(bench.queue.accounts(AccountFilter::default()).await.expect("listed").is_empty());
}

#[tokio::test]
async fn an_endpoint_in_use_and_an_account_at_work_are_not_removed() {
    let bench = Bench::new().await;
    let job = bench.bulk(&["alice"]).await[0];
    let account = bench.job(job).await.account;
    assert!(!bench.queue.remove_endpoint(bench.old).await.expect("refused"));
    let key = bench.claim(1, 1).await[0].key;
    assert!(!bench.queue.remove_account(account).await.expect("refused"));
    bench.end(key, Outcome::Done).await;
    bench.queue.moved(account, 5, bench.now()).await.expect("written");
    bench.queue.put_preflight(account, "{}").await.expect("written");
    bench.queue.pause(Subject::Account(account), "").await.expect("paused");
    assert!(bench.queue.remove_account(account).await.expect("removed"));
    assert!(bench.queue.remove_endpoint(bench.old).await.expect("removed"));
    assert_eq!(bench.queue.find_job(job).await.expect("read"), None);
    assert!(bench.queue.holds().await.expect("listed").is_empty());
    let names: Vec<_> = bench.queue.endpoints().await.expect("listed").into_iter().map(|row| row.name).collect();
    assert_eq!(names, ["new"]);
}

#[tokio::test]
async fn endpoints_waves_and_preflights_are_given_back_as_they_were_put() {
    let bench = Bench::new().await;
    let limits = Limits { connections: Some(20), windows: vec!["weekends UTC".to_owned()], ..Limits::default() };
    let put = NewEndpoint { host: "OLD.Example.".to_owned(), ..endpoint("third", limits.clone()) };
    let id = bench.queue.put_endpoint(put.clone()).await.expect("stored");
    assert_eq!(bench.queue.put_endpoint(put).await.expect("the same"), id);
    let row = bench.queue.find_endpoint("third").await.expect("read").expect("there");
    assert_eq!((row.id, row.host.as_str(), row.revision), (id, "old.example", 1));
    assert_eq!(row.limits, limits);

    bench.queue.set_plan(bench.wave, r#"{"every":"6h"}"#).await.expect("stored");
    bench.queue.set_wave_options(bench.wave, r#"{"x":1}"#).await.expect("stored");
    let row = bench.queue.find_wave("staff").await.expect("read").expect("there");
    assert_eq!((row.plan.as_str(), row.options.as_str(), row.revision), (r#"{"every":"6h"}"#, r#"{"x":1}"#, 2));

    let account = bench.queue.import(vec![bench.account("alice")]).await.expect("imported").ids[0];
    bench.queue.put_preflight(account, "first").await.expect("stored");
    bench.queue.put_preflight(account, "second").await.expect("stored");
    let rows = bench.queue.preflights(Some(bench.wave)).await.expect("listed");
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].account_name.as_str(), rows[0].report.as_str()), ("alice", "second"));
    assert_eq!(rows[0].previous, Some((START_MS, "first".to_owned())));
}

#[tokio::test]
async fn the_ledger_of_a_copy_by_hand_is_the_ledger_of_the_account() {
    let bench = Bench::new().await;
    let by_admin = PairIdentity {
        source: AccountIdentity::new("old.example", "admin", Some("bob")),
        target: AccountIdentity::new("new.example", "bob", None),
    };
    for pair in [identity("alice"), by_admin] {
        let lease = bench.ledger.claim_pair(&pair).await.expect("free");
        lease.map_mailboxes(vec![mapping("INBOX"), mapping("Sent")]).await.expect("mapped");
        let inbox = lease.mailbox("INBOX").await.expect("mapped");
        inbox.bind(crate::setup::SOURCE, crate::setup::TARGET, Uid(1)).await.expect("bound");
        inbox.settle(settlement(vec![copied(1, 1), copied(2, 2)])).await.expect("queued");
        let counts = PassCounts { source: 3, copied: 2, remaining: 1, bytes: 700, ..PassCounts::default() };
        inbox.record_pass(counts, Vec::new()).await.expect("queued");
        lease.finish_run(RunVerdict::Complete, "done").await.expect("written");
    }
    let ids = ["alice", "bob", "carol"].map(|name| bench.account(name)).to_vec();
    let ids = bench.queue.import(ids).await.expect("imported").ids;
    bench.queue.moved(ids[0], 700, bench.now()).await.expect("written");
    let totals = bench.queue.totals(bench.wave).await.expect("summed");
    assert_eq!(totals.accounts.len(), 3);
    let alice = totals.accounts[0].2;
    assert_eq!((alice.mailboxes, alice.passed, alice.settled.copied, alice.moved_bytes), (2, 1, 2, 700));
    assert_eq!(totals.accounts[1].2, Totals { moved_bytes: 0, ..alice }, "found by whom the admin acted for");
    assert_eq!(totals.accounts[2].2, Totals::default());
    assert_eq!((totals.sum.settled.copied, totals.sum.last_pass.remaining, totals.sum.last_pass.bytes), (4, 2, 1_400));
    let report = bench.queue.account_report(ids[1]).await.expect("whole").expect("known");
    assert_eq!((report.identity.source.login(), report.mailboxes.len()), ("admin", 2));
    assert_eq!(bench.queue.account_report(ids[2]).await.expect("whole"), None);
}

#[tokio::test]
async fn a_reader_lists_everything_and_writes_nothing() {
    let bench = Bench::new().await;
    bench.bulk(&["alice"]).await;
    bench.queue.close().await.expect("closed");
    let reading = Ledger::open_read_only(&bench.place.file, options()).await.expect("opens");
    let queue = reading.queue(bench.clock.clone(), "reader").await.expect("opens");
    assert_eq!(queue.jobs(JobFilter::default()).await.expect("listed").len(), 1);
    for error in [
        queue.pause(Subject::Everything, "").await.expect_err("read only"),
        queue.tick(bench.tick(1, 1)).await.expect_err("read only"),
        queue.register("run").await.map(drop).expect_err("read only"),
    ] {
        assert_eq!(error.kind(), DbErrorKind::NoAccess, "{error}");
    }
}

/// Leaves in the file only what the first release knew.
async fn make_old(place: &Place) {
    let mut db = SqliteConnectOptions::new().filename(&place.file).connect().await.expect("opens");
    let made: Vec<(String, String)> = sqlx::query_as(
        "SELECT type, name FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%' \
         AND tbl_name NOT IN ('ledger', 'pair', 'run', 'mailbox', 'segment', 'keyword_set', 'mailbox_exception', \
                              'mailbox_pass', 'remark', '_sqlx_migrations') OR name = 'pair_by_owner' \
         ORDER BY type = 'table'",
    )
    .fetch_all(&mut db)
    .await
    .expect("listed");
    db.execute("PRAGMA foreign_keys = OFF").await.expect("set");
    for (kind, name) in made {
        db.execute(sqlx::AssertSqlSafe(format!("DROP {kind} {name}"))).await.expect("dropped");
    }
    for column in ["sync_sum", "departed_sum", "made_as", "kept_as"] {
        db.execute(sqlx::AssertSqlSafe(format!("ALTER TABLE mailbox DROP COLUMN {column}"))).await.expect("dropped");
    }
    db.execute("DELETE FROM _sqlx_migrations WHERE version > 1").await.expect("forgotten");
    db.close().await.expect("closed");
}

#[tokio::test]
async fn a_file_of_the_first_release_keeps_its_ledger_and_gets_a_queue() {
    let place = Place::new();
    let (ledger, lease, inbox) = place.inbox().await;
    inbox.settle(settlement(vec![copied(1, 1)])).await.expect("queued");
    drop((inbox, lease));
    ledger.close().await.expect("closed");
    make_old(&place).await;
    let clock: Arc<dyn Clock> = Arc::new(TestClock::default());
    let reading = Ledger::open_read_only(&place.file, options()).await.expect("opens");
    let before = reading.read_report().await.expect("whole");
    let error = reading.queue(clock.clone(), "reader").await.expect_err("there is none");
    assert!(error.to_string().ends_with("it holds no accounts or jobs yet; import accounts first"), "{error}");
    reading.close().await.expect("closed");

    let ledger = place.open().await;
    assert_eq!(ledger.read_report().await.expect("whole"), before);
    assert_eq!(before[0].mailboxes[0].settled.copied, 1);
    let queue = ledger.queue(clock, "operator").await.expect("opens");
    queue.put_wave(wave("staff")).await.expect("stored");
}
