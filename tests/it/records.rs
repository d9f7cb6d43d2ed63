//! What the state file itself says, read while nobody writes it: messages that may be in flight, and who ran when.

use mailhaul_db::queue::{AccountFilter, EventFilter, Queue};
use mailhaul_db::{AccountIdentity, Ledger, OpenOptions, PairIdentity};
use mailhaul_queue::SystemClock;
use mailhaul_service::{KeySource, Service};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Account and mailbox of everything that may have been sent without an answer.
pub(crate) fn in_flight(state: &Path) -> Vec<String> {
    with(state, async |service| {
        let mut found = Vec::new();
        for account in service.queue().accounts(AccountFilter::default()).await.expect("accounts") {
            let identity = PairIdentity {
                source: AccountIdentity::new("127.0.0.1", &account.source_owner, None),
                target: AccountIdentity::new("localhost", &account.target_owner, None),
            };
            let Some(pair) = service.ledger().find_pair(&identity).await.expect("a pair") else { continue };
            for mapping in pair.mappings().await.expect("mappings") {
                let mailbox = pair.load(&mapping.source).await.expect("a mailbox").expect("it was mapped");
                if mailbox.sent.is_some() {
                    found.push(format!("{}: {}", account.name, mapping.source));
                }
            }
        }
        found
    })
}

/// How many jobs ran at once at most, by the order in which the queue recorded their beginnings and ends: the events
/// of all processes stand in one sequence.
pub(crate) fn most_at_once(state: &Path) -> usize {
    with(state, async |service| {
        let (mut running, mut most) = (BTreeSet::new(), 0);
        for event in all_events(service.queue()).await {
            let running_before = event.from_state.as_deref() == Some("running");
            let running_after = event.to_state.as_deref() == Some("running");
            let job = format!("{:?}", event.subject);
            match (running_before, running_after) {
                (false, true) => assert!(running.insert(job), "a job was claimed that ran already: {event:?}"),
                (true, false) => assert!(running.remove(&job), "a job ended that did not run: {event:?}"),
                _ => {}
            }
            most = most.max(running.len());
        }
        most
    })
}

/// Whether nobody holds the lock of the file for longer than a moment.
pub(crate) fn is_writable(state: &Path) -> bool {
    let options = OpenOptions { busy_timeout: Duration::from_millis(200), ..OpenOptions::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime
        .block_on(async {
            let ledger = Ledger::open(state, options).await?;
            let queue = ledger.queue(Arc::new(SystemClock::new()), "test").await?;
            let wave = queue.waves().await?.remove(0);
            queue.set_order(wave.id, wave.order).await
        })
        .is_ok()
}

async fn all_events(queue: &Queue) -> Vec<mailhaul_db::queue::EventRow> {
    queue.events(EventFilter { limit: Some(u32::MAX), ..EventFilter::default() }).await.expect("events")
}

fn with<T>(state: &Path, read: impl AsyncFnOnce(&Service) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        // Nothing secret is read, so no key is needed.
        let key = KeySource::File(state.with_extension("no-key"));
        let service = Service::open_read_only(state, key, "test").await.expect("the state file opens");
        let read = read(&service).await;
        service.close().await.expect("close");
        read
    })
}
