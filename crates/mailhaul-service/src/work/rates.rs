//! The rates that this process keeps: messages and octets a second, for each endpoint and each account on it.
//!
//! Several processes divide an endpoint's rate evenly among them.

use mailhaul_db::queue::Queue;
use mailhaul_queue::{AccountId, Clock, EndpointId, Limits, RateBucket};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How often the limits are read anew.
const REFRESH: Duration = Duration::from_secs(1);

/// All rates of this process.
#[derive(Debug)]
pub(crate) struct Rates {
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    workers: u64,
    limits: BTreeMap<EndpointId, Limits>,
    endpoints: BTreeMap<EndpointId, Buckets>,
    accounts: BTreeMap<(AccountId, EndpointId), Buckets>,
}

/// Messages and octets.
#[derive(Debug)]
struct Buckets {
    messages: RateBucket,
    bytes: RateBucket,
}

impl Buckets {
    fn new(now_ms: i64) -> Self {
        Self { messages: RateBucket::new(None, now_ms), bytes: RateBucket::new(None, now_ms) }
    }

    fn keep(&mut self, messages: Option<u64>, bytes: Option<u64>, now_ms: i64) {
        for (bucket, rate) in [(&mut self.messages, messages), (&mut self.bytes, bytes)] {
            if bucket.per_second() != rate.map(|rate| rate.max(1)) {
                bucket.set_rate(rate, now_ms);
            }
        }
    }

    fn take(&mut self, messages: u64, bytes: u64, now_ms: i64) -> Duration {
        self.messages.take(messages, now_ms).max(self.bytes.take(bytes, now_ms))
    }
}

impl Rates {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let known =
            Known { workers: 1, limits: BTreeMap::new(), endpoints: BTreeMap::new(), accounts: BTreeMap::new() };
        Self { clock, known: Mutex::new(known) }
    }

    /// Takes up what operators change, for as long as the engine lives.
    pub(crate) async fn follow(self: Arc<Self>, queue: Queue, mut workers: watch::Receiver<u32>) {
        loop {
            match queue.endpoints().await {
                Ok(endpoints) => {
                    let limits = endpoints.into_iter().map(|endpoint| (endpoint.id, endpoint.limits)).collect();
                    self.set(limits, u64::from(*workers.borrow_and_update()));
                }
                Err(error) => tracing::warn!(%error, "the limits could not be read; those known are kept"),
            }
            tokio::select! {
                changed = workers.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(REFRESH) => {}
            }
        }
    }

    fn set(&self, limits: BTreeMap<EndpointId, Limits>, workers: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.limits = limits;
        known.workers = workers.max(1);
    }

    /// Forgets an account that is not worked on any more.
    pub(crate) fn forget(&self, account: AccountId) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.accounts.retain(|(of, _), _| *of != account);
    }

    /// So much is about to be moved for an account between two endpoints: how long to wait before more is.
    pub(crate) fn take(&self, account: AccountId, ends: [EndpointId; 2], messages: u64, bytes: u64) -> Duration {
        let now_ms = self.clock.now().boot_ms;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { workers, limits, endpoints, accounts } = &mut *known;
        let share = |rate: Option<u64>| rate.map(|rate| rate.div_ceil(*workers));
        let mut wait = Duration::ZERO;
        for end in ends {
            let Some(limits) = limits.get(&end) else { continue };
            let all = endpoints.entry(end).or_insert_with(|| Buckets::new(now_ms));
            all.keep(share(limits.messages_per_second), share(limits.bytes_per_second), now_ms);
            let own = accounts.entry((account, end)).or_insert_with(|| Buckets::new(now_ms));
            own.keep(limits.account_messages_per_second, limits.account_bytes_per_second, now_ms);
            wait = wait.max(all.take(messages, bytes, now_ms)).max(own.take(messages, bytes, now_ms));
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailhaul_queue::Now;

    #[derive(Debug)]
    struct Still;

    impl Clock for Still {
        fn now(&self) -> Now {
            Now { boot_ms: 1_000, unix_ms: 1_000 }
        }
        fn boot_id(&self) -> Arc<str> {
            "test".into()
        }
    }

    #[test]
    fn the_slowest_limit_decides_and_processes_share_an_endpoints_rate() {
        let rates = Rates::new(Arc::new(Still));
        let (old, new, alice) = (EndpointId(1), EndpointId(2), AccountId(7));
        assert_eq!(rates.take(alice, [old, new], 10_000, 1 << 30), Duration::ZERO, "nothing is limited");
        let limits = |messages, account_bytes| Limits {
            messages_per_second: messages,
            account_bytes_per_second: account_bytes,
            ..Limits::default()
        };
        rates.set(BTreeMap::from([(old, limits(Some(100), None)), (new, limits(None, Some(1_000)))]), 2);
        // Two processes: 50 a second for each of them; a second's worth is free.
        assert_eq!(rates.take(alice, [old, new], 150, 0), Duration::from_secs(2));
        assert_eq!(rates.take(alice, [old, new], 0, 11_000), Duration::from_secs(10));
        assert_eq!(rates.take(AccountId(8), [old, new], 0, 1_000), Duration::from_secs(2), "the endpoint's debt");
    }
}
