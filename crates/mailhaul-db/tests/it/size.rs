//! What a message costs on disk.

use crate::setup::*;
use mailhaul_db::Settlement;
use mailhaul_types::{Flags, Uid};

const MESSAGES: u32 = 100_000;

/// Octets a message, the whole closed file counted.
async fn cost(gap: impl Fn(u32) -> u32, one_by_one: bool) -> f64 {
    let place = Place::new();
    let (ledger, lease, inbox) = place.inbox().await;
    let (mut source, mut batch) = (0, Vec::new());
    for number in 1..=MESSAGES {
        source += gap(number);
        let mut message = copied(source, number + number / 50);
        let keywords: &[&str] = if number % 20 == 0 { &["$Forwarded"] } else { &[] };
        message.flags = Flags::from_parts(u8::from(number % 4 != 0), keywords.iter().copied());
        batch.push(message);
        if batch.len() == 200 || number == MESSAGES || (one_by_one && number % 7 == 0) {
            let messages = std::mem::take(&mut batch);
            let target_mark = Some(Uid(number));
            inbox.settle(Settlement { messages, target_mark, clear_sent: false }).await.expect("queued");
        }
    }
    assert_eq!(inbox.load().await.expect("whole").settled.len(), u64::from(MESSAGES));
    // One in ten has left the source, each on its own.
    let departed = inbox.load().await.expect("whole").settled.iter().step_by(10).collect();
    inbox.record_synced(synced(source + 1, departed)).await.expect("queued");
    drop((inbox, lease));
    ledger.close().await.expect("closed");
    std::fs::metadata(&place.file).expect("there").len() as f64 / f64::from(MESSAGES)
}

#[tokio::test]
async fn a_message_costs_at_most_sixteen_octets_even_with_gaps() {
    let dense = cost(|_| 1, false).await;
    let gappy = cost(|number| 1 + number % 7 * (number % 3) * 40, false).await;
    let small = cost(|number| 1 + number % 2, true).await;
    assert!(
        dense <= 14.0 && gappy <= 16.0 && small <= 16.0,
        "dense {dense}, with gaps {gappy}, settled singly {small}"
    );
}
