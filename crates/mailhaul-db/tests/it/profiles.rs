//! What was learnt about servers: kept, changed together, and never in anybody's way.

use crate::setup::*;
use mailhaul_db::{HostKey, Ledger, ProfileChange};
use mailhaul_types::Side;
use sqlx::{AssertSqlSafe, Connection, Executor};
use std::fs;
use std::path::Path;

fn source() -> HostKey {
    HostKey::new(Side::Source, "Old.Example.", 993)
}

fn target() -> HostKey {
    HostKey::new(Side::Target, "old.example", 993)
}

/// Appends a letter to what is there.
fn and(letter: &'static str) -> ProfileChange {
    Box::new(move |before| format!("{}{letter}", before.unwrap_or("-")))
}

/// A ledger in which both servers are known, and mail is settled.
async fn known() -> Place {
    let place = Place::new();
    let (ledger, lease, inbox) = place.inbox().await;
    inbox.settle(settlement(vec![copied(1, 1)])).await.expect("queued");
    ledger.learn(vec![(source(), and("a")), (target(), and("b"))]).await;
    drop((inbox, lease));
    ledger.close().await.expect("closed");
    place
}

#[tokio::test]
async fn a_profile_belongs_to_a_server_and_a_side_and_is_changed_where_it_stands() {
    let place = known().await;
    let ledger = place.open().await;
    let of = async |key: HostKey| ledger.host_profile(&key).await;
    assert_eq!((of(source()).await.as_deref(), of(target()).await.as_deref()), (Some("-a"), Some("-b")));
    assert_eq!(of(HostKey::new(Side::Source, "old.example", 993)).await.as_deref(), Some("-a"));
    assert_eq!(of(HostKey::new(Side::Source, "old.example", 143)).await, None);
    let (one, other) = (ledger.clone(), ledger.clone());
    tokio::join!(one.learn(vec![(source(), and("c"))]), other.learn(vec![(source(), and("d"))]));
    assert_eq!(of(source()).await.expect("known").len(), 4, "neither change is lost");
    ledger.close().await.expect("closed");
    let reading = Ledger::open_read_only(&place.file, options()).await.expect("opens");
    assert!(reading.host_profile(&target()).await.is_some());
    reading.learn(vec![(target(), and("x"))]).await;
    assert_eq!(reading.host_profile(&target()).await.as_deref(), Some("-b"), "reading changes nothing");
}

#[tokio::test]
async fn a_damaged_profile_is_none_stops_nobody_and_is_written_anew() {
    let place = known().await;
    let original = fs::read(&place.file).expect("readable");
    for change in [
        "side = 'target'",
        "host = 'old.examplf'",
        "port = port | 1024",
        "profile = '-x'",
        "at_secs = at_secs - 1",
        "checksum = checksum + 1",
    ] {
        let mut db = place.raw().await;
        db.execute("DELETE FROM host_profile WHERE side = 'target'").await.expect("changed");
        let sql = format!("UPDATE host_profile SET {change}");
        db.execute(AssertSqlSafe(sql)).await.expect("changed");
        db.close().await.expect("closed");
        assert!(mailhaul_db::check_ledger(&place.file, options()).await.expect("checked").is_whole(), "{change}");

        let ledger = place.open().await;
        assert_eq!(ledger.host_profile(&source()).await, None, "{change}");
        let lease = ledger.claim_pair(&identity("alice")).await.expect("the pair is not concerned");
        assert_eq!(lease.mailbox("INBOX").await.expect("mapped").load().await.expect("whole").settled.len(), 1);
        ledger.learn(vec![(source(), and("n"))]).await;
        assert_eq!(ledger.host_profile(&source()).await.as_deref(), Some("-n"), "{change}");
        lease.release().await.expect("nothing stands in the way");
        ledger.close().await.expect("closed");
        fs::write(&place.file, &original).expect("put back");
    }
}

#[tokio::test]
async fn without_its_table_everything_else_goes_on() {
    let place = known().await;
    let mut db = place.raw().await;
    db.execute("DROP TABLE host_profile").await.expect("dropped");
    db.close().await.expect("closed");
    let ledger = place.open().await;
    let lease = ledger.claim_pair(&identity("alice")).await.expect("claimed");
    ledger.learn(vec![(source(), and("n"))]).await;
    assert_eq!(ledger.host_profile(&source()).await, None);
    let inbox = lease.mailbox("INBOX").await.expect("mapped");
    inbox.settle(settlement(vec![copied(2, 2)])).await.expect("queued");
    inbox.flush().await.expect("the writer goes on");
    assert_eq!(inbox.load().await.expect("whole").settled.len(), 2);
}

#[tokio::test]
async fn a_disk_that_refuses_what_was_learnt_stops_nobody() {
    let place = known().await;
    let ledger = place.open().await;
    let lease = ledger.claim_pair(&identity("alice")).await.expect("claimed");
    place.refuse_writes_to("host_profile").await;
    ledger.learn(vec![(source(), and("n"))]).await;
    assert_eq!(ledger.host_profile(&source()).await.as_deref(), Some("-a"));
    let inbox = lease.mailbox("INBOX").await.expect("mapped");
    inbox.settle(settlement(vec![copied(2, 2)])).await.expect("queued");
    inbox.flush().await.expect("the writer goes on");
    assert_eq!(inbox.load().await.expect("whole").settled.len(), 2);
    place.take_writes_to("host_profile").await;
    ledger.learn(vec![(source(), and("n"))]).await;
    assert_eq!(ledger.host_profile(&source()).await.as_deref(), Some("-an"));
}

#[tokio::test]
async fn a_file_of_the_schema_before_knows_nothing_of_servers_and_learns() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/states/schema-3.state");
    let place = Place::new();
    fs::create_dir_all(place.file.parent().expect("it has one")).expect("made");
    fs::copy(kept, &place.file).expect("copied");
    let reading = Ledger::open_read_only(&place.file, options()).await.expect("opens");
    assert_eq!(reading.host_profile(&source()).await, None);
    assert_eq!(reading.read_report().await.expect("whole")[0].mailboxes[0].settled.copied, 40);
    reading.close().await.expect("closed");
    let ledger = place.open().await;
    assert_eq!(ledger.host_profile(&source()).await, None);
    ledger.learn(vec![(source(), and("a"))]).await;
    assert_eq!(ledger.host_profile(&source()).await.as_deref(), Some("-a"));
}

#[tokio::test]
async fn the_first_state_with_profiles_tells_them() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/states/schema-4.state");
    let place = Place::new();
    fs::create_dir_all(place.file.parent().expect("it has one")).expect("made");
    fs::copy(kept, &place.file).expect("copied");
    let reading = Ledger::open_read_only(&place.file, options()).await.expect("opens");
    let told = reading.host_profile(&HostKey::new(Side::Target, "new.example", 993)).await.expect("known");
    assert!(told.contains(r#""connections":3"#), "{told}");
    assert_eq!(reading.host_profile(&HostKey::new(Side::Source, "new.example", 993)).await, None);
}
