//! One worker at a time: the lock keeps others out, the generation refuses what slips past it.

use crate::setup::*;
use mailhaul_db::{DbError, DbErrorKind, Generation, Renumbering, Settlement};
use mailhaul_types::{Uid, UidValidity};

#[tokio::test]
async fn a_claimed_pair_is_busy_until_everything_of_the_lease_is_gone() {
    let place = Place::new();
    let (ledger, lease, inbox) = place.inbox().await;
    let other = place.open().await;
    let error = other.claim_pair(&identity("alice")).await.expect_err("busy");
    assert_eq!(error.kind(), DbErrorKind::PairBusy);
    assert!(error.to_string().contains("alice on old.example → alice on new.example"), "{error}");
    assert!(error.to_string().contains("this process is working on the same pair"), "{error}");
    other.claim_pair(&identity("bob")).await.expect("another pair");

    inbox.settle(settlement(vec![copied(1, 1)])).await.expect("queued");
    lease.release().await.expect("released");
    assert_eq!(
        other.claim_pair(&identity("alice")).await.expect_err("inbox can still write").kind(),
        DbErrorKind::PairBusy
    );
    drop(inbox);
    let lease = other.claim_pair(&identity("alice")).await.expect("free");
    assert_eq!(lease.generation(), Generation(2));
    let inbox = lease.mailbox("INBOX").await.expect("mapped");
    assert_eq!(inbox.load().await.expect("whole").settled.len(), 1);
    drop(ledger);
}

/// Whoever simulates time starts programs as well.
#[cfg(debug_assertions)]
#[tokio::test(start_paused = true)]
async fn a_lock_of_this_process_is_waited_for_by_the_clock_of_the_wall_also_where_time_stands_still() {
    mailhaul_db::let_time_stand_still();
    let place = Place::new();
    let (_ledger, _lease, _inbox) = place.inbox().await;
    let other = place.open().await;
    let (began, simulated) = (std::time::Instant::now(), tokio::time::Instant::now());
    other.claim_pair(&identity("alice")).await.expect_err("busy");
    assert!(began.elapsed() >= std::time::Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(simulated.elapsed().is_zero(), "{:?}", simulated.elapsed());
}

/// As when this process starts another program just then, which has a copy of every lock until it has become that program.
#[tokio::test]
async fn a_lock_that_this_process_lets_go_in_a_moment_is_waited_for() {
    let place = Place::new();
    let (ledger, lease, inbox) = place.inbox().await;
    let other = place.open().await;
    let alice = identity("alice");
    // The first of both is asked first, and finds the lock held.
    let (claimed, ()) = tokio::join!(other.claim_pair(&alice), async { drop((lease, inbox)) });
    assert_eq!(claimed.expect("it was waited for").generation(), Generation(2));
    drop(ledger);
}

#[tokio::test]
async fn a_lease_dropped_with_work_queued_still_writes_it() {
    let place = Place::new();
    let (ledger, lease, inbox) = place.inbox().await;
    inbox.settle(settlement(vec![copied(1, 1)])).await.expect("queued");
    drop((lease, inbox));
    ledger.close().await.expect("closed");
    let (_ledger, _lease, inbox) = place.inbox().await;
    assert_eq!(inbox.load().await.expect("whole").settled.len(), 1);
}

#[tokio::test]
async fn host_case_and_an_empty_authorization_identity_make_no_other_pair() {
    use mailhaul_db::{AccountIdentity, PairIdentity};
    let place = Place::new();
    let (ledger, _lease, _inbox) = place.inbox().await;
    let same = PairIdentity {
        source: AccountIdentity::new("OLD.Example.", "alice", Some("")),
        target: AccountIdentity::new("new.example", "alice", None),
    };
    assert_eq!(ledger.claim_pair(&same).await.expect_err("the same pair").kind(), DbErrorKind::PairBusy);
    let master = AccountIdentity::new("old.example", "alice", Some("carol"));
    ledger.claim_pair(&PairIdentity { source: master, ..same }).await.expect("carol's mail is not alice's");
}

#[tokio::test]
async fn a_stale_generation_writes_nothing_whatever_it_tries() {
    let place = Place::new();
    let (_ledger, lease, inbox) = place.inbox().await;
    inbox.settle(settlement(vec![copied(1, 1)])).await.expect("queued");
    let before = inbox.load().await.expect("whole");
    // Somebody tidies up the lock files, so that the lock no longer keeps the second worker out.
    std::fs::remove_dir_all(place.file.with_file_name("mailhaul.db.locks")).expect("removed");
    let second = place.open().await;
    let newer = second.claim_pair(&identity("alice")).await.expect("nothing stops it");
    assert_eq!(newer.generation(), Generation(2));

    assert!(lease.is_valid(), "it cannot know yet");
    inbox.settle(settlement((2..=2_100).map(|uid| copied(uid, uid)).collect())).await.expect("queued");
    let error = inbox.mark_sent(range(1, 9), Uid(9)).await.expect("queued").wait().await.expect_err("fenced");
    assert!(matches!(error, DbError::LeaseLost { ours: 1, .. }), "{error}");
    assert!(!lease.is_valid() && !lease.validity().is_valid());
    for error in [
        inbox.settle(Settlement::default()).await.expect_err("fenced"),
        inbox.bind(SOURCE, TARGET, Uid(1)).await.expect_err("fenced"),
        lease.map_mailboxes(vec![mapping("Sent")]).await.expect_err("fenced"),
        lease.finish_run(mailhaul_db::RunVerdict::Complete, "").await.expect_err("fenced"),
        inbox.renumber_source(renumbering()).await.expect_err("fenced"),
        lease.rename_mailbox("INBOX", mapping("Sent")).await.expect_err("fenced"),
        lease.flush().await.expect_err("fenced"),
    ] {
        assert_eq!(error.kind(), DbErrorKind::LeaseLost, "{error}");
    }
    let state = newer.mailbox("INBOX").await.expect("mapped").load().await.expect("whole");
    assert_eq!(state, before);
    assert_eq!(newer.mappings().await.expect("readable").len(), 1);
}

fn renumbering() -> Renumbering {
    Renumbering { source: SOURCE, messages: vec![copied(7, 7)], set_aside: Vec::new() }
}

#[tokio::test]
async fn each_write_of_a_stale_generation_is_refused_where_it_would_be_made() {
    // Each as the first that its lease asks for after somebody has taken the pair over: nothing knows yet.
    for write in 0..11 {
        let place = Place::new();
        let (_ledger, lease, inbox) = place.inbox().await;
        inbox.settle(settlement(vec![copied(1, 1), copied(2, 2)])).await.expect("queued");
        inbox.record_synced(synced(3, set(&[1]))).await.expect("queued");
        let before = inbox.load().await.expect("whole");
        std::fs::remove_dir_all(place.file.with_file_name("mailhaul.db.locks")).expect("removed");
        let second = place.open().await;
        let newer = second.claim_pair(&identity("alice")).await.expect("nothing stops it");
        let outcome = match write {
            0 => inbox.record_synced(synced(9, set(&[2]))).await,
            1 => inbox.forget_synced().await,
            2 => inbox.add_departed(set(&[2])).await,
            3 => inbox.set_flags(vec![(Uid(1), mailhaul_types::Flags::from_parts(31, []))]).await,
            4 => inbox.note_made().await,
            5 => inbox.note_name_kept().await,
            6 => inbox.renumber_source(renumbering()).await,
            7 => lease.rename_mailbox("INBOX", mapping("Sent")).await,
            8 => inbox.void_target_uids(TARGET, Uid(1)).await,
            9 => inbox.renumber_target(UidValidity(9), Uid(1), vec![copied(1, 7)]).await,
            _ => lease.remap_mailbox(mapping("INBOX")).await,
        };
        assert!(outcome.is_ok() || write >= 6, "{write}: queued");
        let error = lease.flush().await.expect_err("fenced");
        assert!(matches!(error, DbError::LeaseLost { ours: 1, .. }), "{write}: {error}");
        assert_eq!(newer.overview().await.expect("whole").len(), 1);
        let kept = newer.mailbox("INBOX").await.expect("mapped");
        assert_eq!(kept.load().await.expect("whole"), before, "{write}");
        let messages = kept.settled_in(&set(&[1, 2])).await.expect("whole");
        assert_eq!(messages, [copied(1, 1), copied(2, 2)], "{write}");
    }
}

#[tokio::test]
async fn a_lost_lease_does_not_take_others_in_its_group_with_it() {
    let place = Place::new();
    let (ledger, alice, alices) = place.inbox().await;
    let bob = ledger.claim_pair(&identity("bob")).await.expect("free");
    bob.map_mailboxes(vec![mapping("INBOX")]).await.expect("mapped");
    let bobs = bob.mailbox("INBOX").await.expect("mapped");
    bobs.bind(SOURCE, TARGET, Uid(1)).await.expect("bound");
    std::fs::remove_dir_all(place.file.with_file_name("mailhaul.db.locks")).expect("removed");
    let second = place.open().await;
    let newer = second.claim_pair(&identity("alice")).await.expect("nothing stops it");

    // One group: bob, alice, bob.
    bobs.settle(settlement(vec![copied(1, 1)])).await.expect("queued");
    alices.settle(settlement(vec![copied(1, 1)])).await.expect("queued");
    bobs.settle(settlement(vec![copied(2, 2)])).await.expect("queued");
    bob.flush().await.expect("bob is not concerned");
    assert_eq!(bobs.load().await.expect("whole").settled.len(), 2);
    assert_eq!(alice.failure().expect("lost").kind(), DbErrorKind::LeaseLost);
    assert!(newer.mailbox("INBOX").await.expect("mapped").load().await.expect("whole").settled.is_empty());
}
