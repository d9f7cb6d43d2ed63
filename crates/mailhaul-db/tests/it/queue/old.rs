//! State files of earlier versions, opened by this one.

use crate::queue::setup::*;
use crate::setup::{Place, options};
use mailhaul_db::Ledger;
use mailhaul_db::queue::*;
use mailhaul_queue::*;
use std::path::Path;
use std::sync::Arc;

/// A copy of a kept file, so that opening it leaves the kept one alone.
fn copy_of(name: &str) -> Place {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/states").join(name);
    let place = Place::new();
    std::fs::create_dir_all(place.file.parent().expect("it has one")).expect("made");
    std::fs::copy(kept, &place.file).expect("copied");
    place
}

#[tokio::test]
async fn the_first_state_with_a_queue_is_what_it_was_and_goes_on() {
    let place = copy_of("schema-2.state");
    let reading = Ledger::open_read_only(&place.file, options()).await.expect("opens");
    let clock = Arc::new(TestClock::default());
    let told = reading.queue(clock.clone(), "reader").await.expect("opens");
    assert_eq!(told.jobs(JobFilter::default()).await.expect("listed").len(), 9, "readable before it is migrated");
    let before = reading.read_report().await.expect("whole without what later schemas added");
    let copied = &before[0].identity;
    let view = reading.find_pair(copied).await.expect("readable").expect("known");
    let state = view.load("INBOX").await.expect("whole").expect("mapped");
    assert_eq!((state.settled.len(), state.synced, state.made), (40, None, false));
    assert!(view.messages("INBOX").await.expect("readable").expect("mapped").next().await.expect("whole").is_some());
    reading.close().await.expect("closed");

    let ledger = Ledger::open(&place.file, options()).await.expect("opens");
    assert_eq!(ledger.read_report().await.expect("whole"), before, "nothing is told otherwise when it is migrated");
    let queue = ledger.queue(clock, "operator").await.expect("opens");
    let jobs = queue.jobs(JobFilter::default()).await.expect("listed");
    let states: Vec<_> = jobs.iter().map(|job| (job.account_name.as_str(), job.state.clone())).collect();
    assert_eq!(
        states,
        [
            ("alice", JobState::DoneWithExceptions),
            ("blocked", JobState::Waiting { reason: WaitReason::Credentials, until_unix_ms: None }),
            ("broken", JobState::Failed(FailureClass::Tls)),
            ("cancelled", JobState::Cancelled),
            ("done", JobState::Done),
            ("later", JobState::Waiting { reason: WaitReason::Window, until_unix_ms: Some(START_MS + 3_600_000) }),
            ("paused", JobState::Paused),
            ("queued", JobState::Queued),
            ("running", JobState::Running),
        ]
    );
    assert_eq!(jobs[1].words, "the words of blocked");
    let alice = jobs[0].account;
    let report = queue.account_report(alice).await.expect("whole").expect("known");
    assert_eq!(report.mailboxes[0].settled.copied, 40);
    assert_eq!(report.mailboxes[0].exceptions.len(), 1);
    let totals = queue.totals(jobs[0].wave).await.expect("summed");
    assert_eq!((totals.sum.last_pass.copied, totals.sum.exceptions, totals.sum.moved_bytes), (40, 1, 81_920));
    let place =
        SecretPlace { owner: SecretOwner::Account(alice), side: Some(Side::Source), field: "password".to_owned() };
    assert_eq!(queue.secret(&place).await.expect("read").expect("there").sealed, [0x5a; 56]);
    assert_eq!(queue.holds().await.expect("listed")[0].why, "on holiday");
    assert_eq!(queue.find_wave("staff").await.expect("read").expect("there").order, WaveOrder::Largest);

    // Another boot: what was running is free, and goes before what was queued for a smaller account.
    let worker = queue.register("run").await.expect("entered");
    let bench = Bench::new().await;
    let tock = queue.tick(bench.tick(worker.id().0, 9)).await.expect("ticks");
    let claimed: Vec<_> = tock.claimed.iter().map(|job| job.key.job).collect();
    assert_eq!(claimed, [jobs[7].id, jobs[8].id]);
    assert_eq!((tock.unsettled, tock.workers), (3, 1));
}

#[tokio::test]
async fn the_first_state_with_a_synced_row_tells_what_the_source_was() {
    let place = copy_of("schema-3.state");
    let ledger = Ledger::open(&place.file, options()).await.expect("opens");
    let identity = ledger.read_report().await.expect("whole")[0].identity.clone();
    let lease = ledger.claim_pair(&identity).await.expect("free");
    let briefs = lease.overview().await.expect("whole");
    let synced = briefs[0].synced.as_ref().expect("there is one");
    assert_eq!((synced.uid_next.0, synced.exists, synced.policy), (42, 38, 0x5eed));
    assert_eq!((synced.highest_modseq.map(|modseq| modseq.0), synced.mailbox_id.as_deref()), (Some(4_711), Some("M1")));
    assert_eq!((synced.refused, synced.exceptions, synced.at_unix_secs), (1, 1, START_MS / 1_000));
    assert_eq!(synced.departed.to_string(), "3,7:8");
    assert!(briefs[0].made && briefs[0].name_kept);
    let state = lease.mailbox("INBOX").await.expect("mapped").load().await.expect("whole");
    assert_eq!((state.synced.as_ref(), state.settled.len()), (Some(synced), 40));
}

#[tokio::test]
async fn the_first_state_with_a_page_lets_in_whom_it_let_in() {
    let place = copy_of("schema-5.state");
    let ledger = Ledger::open(&place.file, options()).await.expect("opens");
    let queue = ledger.queue(Arc::new(TestClock::default()), "operator").await.expect("opens");
    let rows = queue.accesses().await.expect("listed");
    let told: Vec<_> =
        rows.iter().map(|row| (row.kind, row.name.as_str(), row.ended_unix_ms.is_none(), row.parent)).collect();
    assert_eq!(
        told,
        [
            (AccessKind::Token, "monitoring", true, None),
            (AccessKind::Link, "dave", false, None),
            (AccessKind::Session, "dave", true, Some(rows[1].id)),
        ]
    );
    assert_eq!(queue.find_access([0x33; 32]).await.expect("read").as_ref(), Some(&rows[2]));
    assert_eq!(queue.end_token("monitoring").await.expect("written"), 1);
}

#[tokio::test]
async fn a_state_without_a_page_is_read_as_it_is_and_gets_one_when_it_is_worked_with() {
    let place = copy_of("schema-4.state");
    let reading = Ledger::open_read_only(&place.file, options()).await.expect("opens");
    let told = reading.queue(Arc::new(TestClock::default()), "reader").await.expect("opens");
    assert_eq!(told.jobs(JobFilter::default()).await.expect("listed").len(), 9);
    reading.close().await.expect("closed");
    let ledger = Ledger::open(&place.file, options()).await.expect("opens");
    let queue = ledger.queue(Arc::new(TestClock::default()), "operator").await.expect("opens");
    assert!(queue.accesses().await.expect("listed").is_empty());
}
