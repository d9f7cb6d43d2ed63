//! Ledger and queue write to one file from one process.

use super::setup::*;
use crate::setup::*;
use mailhaul_db::Ledger;
use mailhaul_types::Uid;
use std::sync::Arc;

const TIMES: u32 = 100;

/// Nobody waits for a lock here: whoever met another writer of this process at the file would fail at once.
#[tokio::test]
async fn ledger_and_queue_take_turns_instead_of_meeting_at_the_file() {
    let place = Place::new();
    let ledger = Ledger::open(&place.file, impatient()).await.expect("opens");
    let queue = ledger.queue(Arc::new(TestClock::default()), "operator").await.expect("opens");
    let lease = ledger.claim_pair(&identity("alice")).await.expect("nobody else has alice");
    lease.map_mailboxes(vec![mapping("INBOX")]).await.expect("mapped");
    let inbox = lease.mailbox("INBOX").await.expect("mapped before");
    inbox.bind(SOURCE, TARGET, Uid(1)).await.expect("bound");
    let copying = async {
        for uid in 1..=TIMES {
            inbox.settle(settlement(vec![copied(uid, uid)])).await.expect("queued");
            inbox.flush().await.expect("written");
        }
    };
    let steering = async {
        for number in 1..=TIMES {
            queue.put_wave(wave(&format!("wave {number}"))).await.expect("stored");
        }
    };
    tokio::join!(copying, steering);
    assert_eq!(inbox.load().await.expect("whole").settled.len(), u64::from(TIMES));
    assert_eq!(queue.waves().await.expect("listed").len(), 100);
}
