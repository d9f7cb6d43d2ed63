//! Who may start, and who must give way: connections of endpoints and hosts as tokens.
//!
//! Built anew from facts for each look at the queue, asked line by line, and thrown away. Tokens that it gives out
//! count at once, so no number of questions leads above a cap. A job takes one token at its source and one at its
//! target; if both are one endpoint, or endpoints of one host, it takes two there.

use crate::host::{BreakerState, HostGate, HostHealth, HostPolicy};
use crate::ids::EndpointId;
use crate::limits::Limits;
use crate::state::WaitReason;
use crate::store::Phase;
use crate::window::{Window, is_open, next_change};
use std::collections::BTreeMap;

/// What is known of an endpoint at this moment.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointFacts {
    /// Which.
    pub id: EndpointId,
    /// Its host name. Endpoints of one host share its health.
    pub host: String,
    /// What the operator allows.
    pub limits: Limits,
    /// Tokens held by running jobs of the first phase: a job that reads and writes here holds two.
    pub running_bulk: u32,
    /// Tokens held by all other running jobs.
    pub running_resync: u32,
    /// What its host has shown.
    pub health: HostHealth,
}

/// Whether an endpoint takes work at all now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// It does, as far as there is room.
    Open,
    /// It does not, until then.
    Closed {
        /// Why.
        reason: WaitReason,
        /// Milliseconds since 1970: when to look again.
        until_unix_ms: i64,
    },
}

/// Why a job may not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The endpoint that does not admit it.
    pub endpoint: EndpointId,
    /// Why.
    pub reason: RefusalReason,
}

/// Why an endpoint does not admit a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// Its tokens are given out.
    Full {
        /// Tokens in use.
        running: u32,
        /// Tokens that there are.
        cap: u32,
        /// Whose limit it is.
        whose: CapOf,
    },
    /// After a trouble, running jobs have to show first that the host serves.
    Probing,
    /// It is shut.
    Closed {
        /// Why.
        reason: WaitReason,
        /// Milliseconds since 1970.
        until_unix_ms: i64,
    },
    /// There are no facts about it.
    Unknown,
}

/// Whose limit a cap is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapOf {
    /// The operator's, for all connections of the endpoint.
    Endpoint,
    /// The operator's, for connections of one phase.
    Phase(Phase),
    /// The host's own, as it has shown.
    Host,
}

/// How many running jobs of an endpoint have to give way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shed {
    /// Only jobs of this phase; `None`: of any, first copies before the others.
    pub phase: Option<Phase>,
    /// How many tokens too many are in use. Jobs that have been asked to stop still hold theirs, so they are part of
    /// this number: whoever acts on it asks only for the rest.
    pub count: u32,
    /// What they are told.
    pub reason: WaitReason,
    /// Milliseconds since 1970 when they may be looked at again. This moment itself: they go into line at once.
    pub until_unix_ms: i64,
}

/// How long the first in line waits for something full before tokens are set aside for it.
pub const RESERVE_AFTER_MS: i64 = 3_600_000;
/// How often an endpoint whose hours cannot be read is looked at again.
const UNREADABLE_AGAIN_MS: i64 = 3_600_000;
/// How often an endpoint whose hours never come is looked at again.
const NEVER_AGAIN_MS: i64 = 24 * 3_600_000;

/// The tokens of all endpoints at one moment.
#[derive(Debug, Clone)]
pub struct Admission {
    endpoints: BTreeMap<EndpointId, Endpoint>,
    hosts: BTreeMap<String, Host>,
    now_unix_ms: i64,
    policy: HostPolicy,
}

#[derive(Debug, Clone)]
struct Endpoint {
    host: String,
    limits: Limits,
    running_bulk: u32,
    running_resync: u32,
    /// `Some`: shut by the operator's hours until then.
    shut_until_unix_ms: Option<i64>,
}

#[derive(Debug, Clone)]
struct Host {
    health: HostHealth,
    running: u32,
    /// What the operator allows all its endpoints together; `None` if one of them has no limit.
    configured: Option<u32>,
}

impl Admission {
    /// Takes the facts of every endpoint. Hours that cannot be read count as shut: work outside of what the operator
    /// allows is the worse mistake.
    #[must_use]
    pub fn new(now_unix_ms: i64, facts: Vec<EndpointFacts>) -> Self {
        Self::with_policy(now_unix_ms, facts, HostPolicy::default())
    }

    /// The same with another policy for hosts.
    #[must_use]
    pub fn with_policy(now_unix_ms: i64, facts: Vec<EndpointFacts>, policy: HostPolicy) -> Self {
        let mut hosts = BTreeMap::<String, Host>::new();
        let mut endpoints = BTreeMap::new();
        for fact in facts {
            let running = fact.running_bulk.saturating_add(fact.running_resync);
            hosts
                .entry(fact.host.clone())
                .and_modify(|host| {
                    host.running = host.running.saturating_add(running);
                    host.configured =
                        host.configured.zip(fact.limits.connections).map(|(some, more)| some.saturating_add(more));
                })
                .or_insert(Host { health: fact.health, running, configured: fact.limits.connections });
            let shut_until_unix_ms = shut_until(&fact.limits.windows, now_unix_ms);
            let endpoint = Endpoint {
                host: fact.host,
                limits: fact.limits,
                running_bulk: fact.running_bulk,
                running_resync: fact.running_resync,
                shut_until_unix_ms,
            };
            endpoints.insert(fact.id, endpoint);
        }
        Self { endpoints, hosts, now_unix_ms, policy }
    }

    /// Whether the endpoint takes work at all now: its hours, and the breaker of its host. Full is not closed.
    #[must_use]
    pub fn gate(&self, id: EndpointId) -> Gate {
        let Some((endpoint, host)) = self.look(id) else {
            return Gate::Open;
        };
        let window = endpoint.shut_until_unix_ms.map(|until| (until, WaitReason::Window));
        let breaker = match host.health.breaker(self.now_unix_ms) {
            BreakerState::Open { until_unix_ms, .. } => Some((until_unix_ms, WaitReason::HostLimit)),
            BreakerState::HalfOpen { .. } | BreakerState::Closed => None,
        };
        // Before the later of the two there is nothing to be had.
        match window.into_iter().chain(breaker).max_by_key(|(until, _)| *until) {
            Some((until_unix_ms, reason)) => Gate::Closed { reason, until_unix_ms },
            None => Gate::Open,
        }
    }

    /// Takes the tokens of one more job.
    ///
    /// # Errors
    /// The first thing that stands in the way; no token is taken then.
    pub fn admit(&mut self, source: EndpointId, target: EndpointId, phase: Phase) -> Result<(), Refusal> {
        self.could_admit(source, target, phase)?;
        self.take(source, phase);
        self.take(target, phase);
        Ok(())
    }

    /// What [`admit`](Self::admit) would answer, without taking anything.
    ///
    /// # Errors
    /// As there.
    pub fn could_admit(&self, source: EndpointId, target: EndpointId, phase: Phase) -> Result<(), Refusal> {
        for id in [source, target] {
            let refused = |reason| Refusal { endpoint: id, reason };
            let (endpoint, host) = self.look(id).ok_or(refused(RefusalReason::Unknown))?;
            if let Gate::Closed { reason, until_unix_ms } = self.gate(id) {
                return Err(refused(RefusalReason::Closed { reason, until_unix_ms }));
            }
            let needs = if source == target { 2 } else { 1 };
            endpoint.fits(phase, needs).map_err(refused)?;
            let needs = self.tokens_at_host(source, target, &endpoint.host);
            self.host_fits(host, needs).map_err(refused)?;
        }
        Ok(())
    }

    /// Sets tokens aside for a job that is refused because something is full: those that are free now. Without this, a
    /// job that needs two tokens at once could wait for ever behind jobs that need one and take each that comes free.
    /// To be asked for the first in line, before the others, once it has waited for [`RESERVE_AFTER_MS`]: what is set
    /// aside stands idle, at most until a job of the full side ends.
    pub fn reserve(&mut self, source: EndpointId, target: EndpointId, phase: Phase) {
        for id in [source, target] {
            if self.gate(id) == Gate::Open && self.room(id, phase) > 0 {
                self.take(id, phase);
            }
        }
    }

    /// How many more tokens the endpoint has for this phase. A job may need two, and its other endpoint has a say of
    /// its own.
    #[must_use]
    pub fn room(&self, id: EndpointId, phase: Phase) -> u32 {
        let Some((endpoint, host)) = self.look(id).filter(|_| self.gate(id) == Gate::Open) else {
            return 0;
        };
        let own = endpoint.caps(phase).map(|(running, cap, _)| cap.saturating_sub(running)).min();
        let hosts = match host.health.allows(host.running, host.configured, self.now_unix_ms, &self.policy) {
            HostGate::Open { room } => room,
            HostGate::Probe => 1,
            HostGate::Probing | HostGate::Closed { .. } => 0,
        };
        own.map_or(hosts, |own| own.min(hosts))
    }

    /// Tokens in use at the endpoint, with those given out here: in all phases.
    #[must_use]
    pub fn running(&self, id: EndpointId) -> u32 {
        self.endpoints.get(&id).map_or(0, Endpoint::running)
    }

    /// Which running jobs of the endpoint must give way: all when its hours are over; else what is above a limit that
    /// was lowered, or above what a host still bears that asked to slow down.
    #[must_use]
    pub fn shed(&self, id: EndpointId) -> Vec<Shed> {
        let Some((endpoint, _)) = self.look(id) else {
            return Vec::new();
        };
        if let Some(until_unix_ms) = endpoint.shut_until_unix_ms {
            let shed = Shed { phase: None, count: endpoint.running(), reason: WaitReason::Window, until_unix_ms };
            return Some(shed).filter(|shed| shed.count > 0).into_iter().collect();
        }
        let mut sheds = self.above_caps(endpoint);
        let shed_already = sheds.iter().map(|shed| shed.count).sum::<u32>();
        let share = self.share_of_host_excess(id).saturating_sub(shed_already);
        if share > 0 {
            let until_unix_ms = match self.gate(id) {
                Gate::Closed { until_unix_ms, .. } => until_unix_ms,
                Gate::Open => self.now_unix_ms,
            };
            sheds.push(Shed { phase: None, count: share, reason: WaitReason::HostLimit, until_unix_ms });
        }
        sheds
    }

    /// How many tokens too many are in use at the endpoint: the sum of [`shed`](Self::shed).
    #[must_use]
    pub fn excess(&self, id: EndpointId) -> u32 {
        self.shed(id).iter().map(|shed| shed.count).sum()
    }

    fn take(&mut self, id: EndpointId, phase: Phase) {
        let endpoint = self.endpoints.get_mut(&id).expect("asked for an endpoint that was found");
        *endpoint.running_mut(phase) += 1;
        self.hosts.get_mut(&endpoint.host).expect("every endpoint has its host").running += 1;
    }

    fn look(&self, id: EndpointId) -> Option<(&Endpoint, &Host)> {
        let endpoint = self.endpoints.get(&id)?;
        Some((endpoint, self.hosts.get(&endpoint.host).expect("every endpoint has its host")))
    }

    fn tokens_at_host(&self, source: EndpointId, target: EndpointId, host: &str) -> u32 {
        let at_host = |id| u32::from(self.endpoints.get(&id).is_some_and(|endpoint| endpoint.host == *host));
        at_host(source) + at_host(target)
    }

    fn host_fits(&self, host: &Host, needs: u32) -> Result<(), RefusalReason> {
        match host.health.allows(host.running, host.configured, self.now_unix_ms, &self.policy) {
            HostGate::Probe => Ok(()),
            // One job is always let through, or a host that bears one connection would never see a job that takes two.
            HostGate::Open { room } if needs <= room || host.running == 0 => Ok(()),
            HostGate::Open { .. } => Err(RefusalReason::Full {
                running: host.running,
                cap: host.health.cap(host.configured, &self.policy),
                whose: CapOf::Host,
            }),
            HostGate::Probing => Err(RefusalReason::Probing),
            HostGate::Closed { until_unix_ms } => {
                Err(RefusalReason::Closed { reason: WaitReason::HostLimit, until_unix_ms })
            }
        }
    }

    fn above_caps(&self, endpoint: &Endpoint) -> Vec<Shed> {
        let shed = |phase, count| Shed { phase, count, reason: WaitReason::HostLimit, until_unix_ms: self.now_unix_ms };
        let above = |running: u32, cap: Option<u32>| cap.map_or(0, |cap| running.saturating_sub(cap));
        let bulk = above(endpoint.running_bulk, endpoint.limits.bulk_connections);
        let resync = above(endpoint.running_resync, endpoint.limits.resync_connections);
        let any = above(endpoint.running(), endpoint.limits.connections).saturating_sub(bulk + resync);
        [(Some(Phase::Bulk), bulk), (Some(Phase::Resync), resync), (None, any)]
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(phase, count)| shed(phase, count))
            .collect()
    }

    /// What a host bears too little is taken from its endpoints in the order of their ids.
    fn share_of_host_excess(&self, id: EndpointId) -> u32 {
        let (endpoint, host) = self.look(id).expect("asked for an endpoint that was found");
        // What runs while the host is to show whether it serves is the probe, whatever number of connections it holds.
        let is_probed = matches!(host.health.breaker(self.now_unix_ms), BreakerState::HalfOpen { .. });
        if !host.health.sheds() || is_probed {
            return 0;
        }
        // One job is always let through, and one within a host holds two of its connections.
        let within = self.endpoints.values().filter(|facts| facts.host == endpoint.host).count() > 1;
        let cap = host.health.cap(host.configured, &self.policy).max(1 + u32::from(within));
        let mut left = host.running.saturating_sub(cap);
        for (other, facts) in &self.endpoints {
            if facts.host != endpoint.host {
                continue;
            }
            let share = left.min(facts.running());
            if *other == id {
                return share;
            }
            left -= share;
        }
        0
    }
}

impl Endpoint {
    fn running(&self) -> u32 {
        self.running_bulk.saturating_add(self.running_resync)
    }

    fn running_mut(&mut self, phase: Phase) -> &mut u32 {
        match phase {
            Phase::Bulk => &mut self.running_bulk,
            Phase::Resync => &mut self.running_resync,
        }
    }

    /// The operator's caps that count for a phase, each with what is in use of it.
    fn caps(&self, phase: Phase) -> impl Iterator<Item = (u32, u32, CapOf)> + use<> {
        let (running, cap) = match phase {
            Phase::Bulk => (self.running_bulk, self.limits.bulk_connections),
            Phase::Resync => (self.running_resync, self.limits.resync_connections),
        };
        let all = self.limits.connections.map(|cap| (self.running(), cap, CapOf::Endpoint));
        all.into_iter().chain(cap.map(|cap| (running, cap, CapOf::Phase(phase))))
    }

    fn fits(&self, phase: Phase, needs: u32) -> Result<(), RefusalReason> {
        match self.caps(phase).find(|(running, cap, _)| running.saturating_add(needs) > *cap) {
            Some((running, cap, whose)) => Err(RefusalReason::Full { running, cap, whose }),
            None => Ok(()),
        }
    }
}

fn shut_until(windows: &[String], now_unix_ms: i64) -> Option<i64> {
    if windows.is_empty() {
        return None;
    }
    let Ok(windows) = windows.iter().map(|text| text.parse()).collect::<Result<Vec<Window>, _>>() else {
        return Some(now_unix_ms.saturating_add(UNREADABLE_AGAIN_MS));
    };
    if is_open(&windows, now_unix_ms) {
        return None;
    }
    Some(next_change(&windows, now_unix_ms).unwrap_or(now_unix_ms.saturating_add(NEVER_AGAIN_MS)))
}
