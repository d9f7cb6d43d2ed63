//! The rates that this process keeps: messages and octets a second, for each endpoint and each account on it.
//!
//! Several processes divide an endpoint's rate evenly among them.

use mailhaul_db::DbError;
use mailhaul_db::queue::Queue;
use mailhaul_queue::{AccountId, BreakerState, Clock, EndpointId, HostHealth, HostPolicy, Limits, RateBucket};
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
    hosts: BTreeMap<EndpointId, Host>,
    endpoints: BTreeMap<EndpointId, Buckets>,
    accounts: BTreeMap<(AccountId, EndpointId), Buckets>,
}

/// The host of an endpoint, and what it has shown.
#[derive(Debug, Clone)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) health: HostHealth,
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
        let (limits, hosts) = (BTreeMap::new(), BTreeMap::new());
        let known = Known { workers: 1, limits, hosts, endpoints: BTreeMap::new(), accounts: BTreeMap::new() };
        Self { clock, known: Mutex::new(known) }
    }

    /// Takes up what operators change, for as long as the engine lives.
    pub(crate) async fn follow(self: Arc<Self>, queue: Queue, mut workers: watch::Receiver<u32>) {
        loop {
            match read(&queue).await {
                Ok((limits, hosts)) => {
                    self.set(limits, u64::from(*workers.borrow_and_update()));
                    self.set_hosts(hosts);
                }
                Err(error) => tracing::warn!(%error, "the limits could not be read; those known are kept"),
            }
            tokio::select! {
                changed = workers.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(REFRESH) => {}
            }
        }
    }

    pub(super) fn set(&self, limits: BTreeMap<EndpointId, Limits>, workers: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.limits = limits;
        known.workers = workers.max(1);
    }

    pub(super) fn set_hosts(&self, hosts: BTreeMap<EndpointId, Host>) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).hosts = hosts;
    }

    /// How many connections this process may have at once to the host of this endpoint, and which endpoints are on that
    /// host. None while the host is left alone, while one job shows whether it serves again, or if nothing is known of it.
    pub(crate) fn room_at(&self, end: EndpointId) -> (usize, Vec<EndpointId>) {
        let now_unix_ms = self.clock.now().unix_ms;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(host) = known.hosts.get(&end) else { return (0, Vec::new()) };
        let on_host = known.hosts.iter().filter(|(_, other)| other.name == host.name).map(|(end, _)| *end).collect();
        let bears = match host.health.breaker(now_unix_ms) {
            BreakerState::Closed => u64::from(host.health.cap(None, &HostPolicy::default())) / known.workers,
            BreakerState::Open { .. } | BreakerState::HalfOpen { .. } => 0,
        };
        (usize::try_from(bears).unwrap_or(usize::MAX), on_host)
    }

    /// Whether the operator has named a number of connections for one of these endpoints, or may have.
    pub(crate) fn are_connections_limited(&self, ends: &[EndpointId]) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        ends.iter().any(|end| {
            known.limits.get(end).is_none_or(|limits| {
                limits.connections.is_some() || limits.bulk_connections.is_some() || limits.resync_connections.is_some()
            })
        })
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
        let Known { workers, limits, endpoints, accounts, .. } = &mut *known;
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

/// The limits of every endpoint, and what its host has shown.
async fn read(queue: &Queue) -> Result<(BTreeMap<EndpointId, Limits>, BTreeMap<EndpointId, Host>), DbError> {
    let (mut limits, mut hosts) = (BTreeMap::new(), BTreeMap::new());
    for endpoint in queue.endpoints().await? {
        let health = queue.host_health(&endpoint.host).await?;
        // What a newer program has written there is not known: nothing further is opened.
        if let Ok(health) = serde_json::from_str(health.as_deref().unwrap_or("{}")) {
            hosts.insert(endpoint.id, Host { name: endpoint.host, health });
        }
        limits.insert(endpoint.id, endpoint.limits);
    }
    Ok((limits, hosts))
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
