//! Who may come in: what is good until when, also when two things happen at once.

use crate::queue::setup::*;
use mailhaul_db::queue::*;
use mailhaul_queue::Clock as _;
use std::time::Duration;

fn new(kind: AccessKind, name: &str, secret: u8, parent: Option<i64>, expires_unix_ms: Option<i64>) -> NewAccess {
    NewAccess { kind, name: name.to_owned(), role: "admin".to_owned(), hash: [secret; 32], parent, expires_unix_ms }
}

async fn token(bench: &Bench, name: &str, secret: u8) -> i64 {
    let made = bench.queue.put_access(new(AccessKind::Token, name, secret, None, None)).await;
    made.expect("written").expect("the name is free")
}

fn session(secret: u8, parent: i64) -> NewAccess {
    new(AccessKind::Session, "alice", secret, Some(parent), Some(START_MS + 1_000_000))
}

async fn is_good(bench: &Bench, secret: u8) -> bool {
    let row = bench.queue.find_access([secret; 32]).await.expect("read");
    row.is_some_and(|row| row.ended_unix_ms.is_none())
}

#[tokio::test]
async fn a_session_cannot_be_begun_with_what_was_revoked_since_it_was_looked_up() {
    let bench = Bench::new().await;
    let id = token(&bench, "alice", 1).await;
    // It is looked up, and found good; then it is revoked; then the session is to be begun.
    assert!(is_good(&bench, 1).await);
    assert_eq!(bench.queue.end_token("alice").await.expect("written"), 1);
    assert!(!bench.queue.begin_session(id, session(2, id)).await.expect("written"));
    assert!(bench.queue.find_access([2; 32]).await.expect("read").is_none());
    // The same with a token that runs out in between.
    let soon = new(AccessKind::Token, "bob", 3, None, Some(START_MS + 10));
    let id = bench.queue.put_access(soon).await.expect("written").expect("free");
    bench.clock.advance(Duration::from_millis(10));
    assert!(!bench.queue.begin_session(id, session(4, id)).await.expect("written"));
}

#[tokio::test]
async fn a_session_ends_with_its_token_even_if_nobody_has_ended_it() {
    let bench = Bench::new().await;
    let id = token(&bench, "alice", 1).await;
    // As a session that slipped in beside the revocation would be: it names its token, and has an end of its own.
    assert!(bench.queue.begin_session(id, session(2, id)).await.expect("written"));
    bench.queue.end_token("alice").await.expect("written");
    let mut db = bench.place.raw().await;
    sqlx::Executor::execute(&mut db, "UPDATE access SET ended_at_ms = NULL WHERE kind = 'session'").await.expect("set");
    assert!(!is_good(&bench, 2).await);
    assert!(bench.queue.accesses().await.expect("read").iter().all(|row| row.ended_unix_ms.is_some()));
}

#[tokio::test]
async fn a_link_begins_one_session_and_its_end_is_not_that_of_the_session() {
    let bench = Bench::new().await;
    let link = new(AccessKind::Link, "alice", 1, None, Some(START_MS + 1_000));
    let id = bench.queue.put_access(link).await.expect("written").expect("stored");
    assert!(bench.queue.begin_session(id, session(2, id)).await.expect("written"));
    assert!(!bench.queue.begin_session(id, session(3, id)).await.expect("written"), "it was used up");
    assert!(is_good(&bench, 2).await && !is_good(&bench, 1).await);
    let number = bench.queue.find_access([2; 32]).await.expect("read").expect("there").id;
    assert!(bench.queue.end_access(number, "alice").await.expect("written"));
    assert!(!bench.queue.end_access(number, "alice").await.expect("written"), "twice");
    assert!(!is_good(&bench, 2).await);
}

#[tokio::test]
async fn a_token_that_has_run_out_keeps_its_name_from_nobody() {
    let bench = Bench::new().await;
    let soon = |secret| new(AccessKind::Token, "ci", secret, None, Some(bench.clock.now().unix_ms + 10));
    bench.queue.put_access(soon(1)).await.expect("written").expect("free");
    assert_eq!(bench.queue.put_access(soon(2)).await.expect("written"), None, "it is good still");
    bench.clock.advance(Duration::from_millis(10));
    bench.queue.put_access(soon(3)).await.expect("written").expect("the name is free again");
}

#[tokio::test]
async fn uses_are_written_down_together_and_never_backwards() {
    let bench = Bench::new().await;
    let (alice, bob) = (token(&bench, "alice", 1).await, token(&bench, "bob", 2).await);
    bench.queue.note_uses(&[(alice, START_MS + 5), (bob, START_MS + 6), (99, START_MS)]).await.expect("written");
    bench.queue.note_uses(&[(alice, START_MS + 2)]).await.expect("written");
    let used: Vec<_> = bench.queue.accesses().await.expect("read").iter().map(|row| row.used_unix_ms).collect();
    assert_eq!(used, [Some(START_MS + 5), Some(START_MS + 6)]);
}

#[tokio::test]
async fn of_many_sessions_of_one_token_the_oldest_make_room() {
    let bench = Bench::new().await;
    let id = token(&bench, "alice", 1).await;
    for number in 2..=60 {
        assert!(bench.queue.begin_session(id, session(number, id)).await.expect("written"));
    }
    let rows = bench.queue.accesses().await.expect("read");
    assert_eq!(rows.len(), 51, "the token and fifty sessions");
    assert!(!is_good(&bench, 2).await && is_good(&bench, 60).await);
    assert!(is_good(&bench, 1).await, "the token is as good as before");
}
