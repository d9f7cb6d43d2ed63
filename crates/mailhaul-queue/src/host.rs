//! What a host bears: how many connections at once, and whether any new one now.
//!
//! Health belongs to a host name; endpoints of one host share it. Concurrency follows additive increase and
//! multiplicative decrease; where the operator gave no limit, it starts low and grows while the host serves. The breaker
//! opens for the whole host, because a server that throttles one account throttles them all.

use crate::retry::{RETRY_AFTER_MAX, proper};
use crate::store::HostSign;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How carefully hosts are treated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostPolicy {
    /// Connections at once in the beginning, where the operator gave no limit.
    pub start: u32,
    /// How often concurrency may grow while it is below what the host bore before: by half each time.
    pub fast_growth_every: Duration,
    /// How often it may grow above that: by one each time.
    pub slow_growth_every: Duration,
    /// How many connections in a row must fail for the breaker to open.
    pub failures_max: u32,
    /// How long the breaker opens when the host asks to slow down without a figure. Doubled each time that a probe
    /// fails.
    pub throttle_pause: Duration,
    /// How long it opens when connections fail. Doubled likewise.
    pub failure_pause: Duration,
    /// The longest of these pauses. A host's own figure may be longer.
    pub pause_max: Duration,
}

impl Default for HostPolicy {
    fn default() -> Self {
        Self {
            start: 8,
            fast_growth_every: Duration::from_secs(5),
            slow_growth_every: Duration::from_secs(30),
            failures_max: 3,
            throttle_pause: Duration::from_secs(30),
            failure_pause: Duration::from_secs(10),
            pause_max: Duration::from_secs(15 * 60),
        }
    }
}

impl HostPolicy {
    /// The same with every pause as long as this percentage of it.
    #[must_use]
    pub fn with_pauses(mut self, percent: u32) -> Self {
        for pause in [
            &mut self.fast_growth_every,
            &mut self.slow_growth_every,
            &mut self.throttle_pause,
            &mut self.failure_pause,
            &mut self.pause_max,
        ] {
            *pause = *pause * percent / 100;
        }
        self
    }
}

/// What a host has shown so far. Kept as JSON; a host that has no health yet has the default one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HostHealth {
    /// How many connections at once are thought to be borne; `None` until the first sign.
    bears: Option<f64>,
    /// What growth goes slowly above: half of what was in use when the host asked to slow down. `None`: never a trouble.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble_above: Option<f64>,
    /// When it grew, in milliseconds since 1970.
    grown_unix_ms: i64,
    /// Connections that failed in a row.
    failures: u32,
    /// The breaker; `None`: closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker: Option<Breaker>,
    /// Whether the last trouble was the host's wish: then running jobs are shed as well.
    asked_to_slow_down: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Breaker {
    opened_unix_ms: i64,
    until_unix_ms: i64,
    /// How often in a row it has opened, from 1.
    times: u32,
    cause: Cause,
}

/// What opened a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The host asked to slow down.
    Throttled,
    /// Connections failed.
    ConnectionFailed,
}

/// How a host's breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// The host serves.
    Closed,
    /// No new job until then.
    Open {
        /// Milliseconds since 1970.
        until_unix_ms: i64,
        /// Why.
        cause: Cause,
    },
    /// One job shows whether the host serves again.
    HalfOpen {
        /// Why it was open.
        cause: Cause,
    },
}

/// Whether a host takes another job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostGate {
    /// As many more connections.
    Open {
        /// How many more; perhaps none.
        room: u32,
    },
    /// One job, whatever number of connections it takes: it is the probe.
    Probe,
    /// None until those that run show whether the host serves, or end.
    Probing,
    /// None until then.
    Closed {
        /// Milliseconds since 1970.
        until_unix_ms: i64,
    },
}

/// More connections than these are not asked of any host.
const BEARS_MAX: f64 = 10_000.0;

impl HostHealth {
    /// Learns from a sign. `running` connections to the host were in use; `jitter` in 0..1 spreads the probes of many
    /// hosts. A sign for a connection that failed is to be given once for each attempt at a job, and one for a host
    /// that serves at least once a minute while a job moves something.
    pub fn on(&mut self, sign: HostSign, running: u32, now_unix_ms: i64, jitter: f64, policy: &HostPolicy) {
        match sign {
            HostSign::Served => self.served(running, now_unix_ms, policy),
            HostSign::Throttled(asked) => self.throttled(asked, running, now_unix_ms, jitter, policy),
            HostSign::ConnectionFailed => self.connection_failed(now_unix_ms, jitter, policy),
        }
    }

    /// How the breaker stands now.
    #[must_use]
    pub fn breaker(&self, now_unix_ms: i64) -> BreakerState {
        match self.breaker {
            None => BreakerState::Closed,
            // A clock that was set back would keep it open for as long; then a probe does no harm.
            Some(breaker) if (breaker.opened_unix_ms..breaker.until_unix_ms).contains(&now_unix_ms) => {
                BreakerState::Open { until_unix_ms: breaker.until_unix_ms, cause: breaker.cause }
            }
            Some(breaker) => BreakerState::HalfOpen { cause: breaker.cause },
        }
    }

    /// How many connections at once the host is given. `configured` is what the operator allows all its endpoints
    /// together; where he said nothing, or after a trouble, what the host has shown decides. At least 1.
    #[must_use]
    pub fn cap(&self, configured: Option<u32>, policy: &HostPolicy) -> u32 {
        let shown = whole(self.bears(policy));
        match (configured, self.trouble_above) {
            // An operator's word stands until the host contradicts it.
            (Some(configured), None) => configured,
            (Some(configured), Some(_)) => shown.min(configured),
            (None, _) => shown,
        }
    }

    /// Whether the host takes another job, when `running` connections to it are in use.
    #[must_use]
    pub fn allows(&self, running: u32, configured: Option<u32>, now_unix_ms: i64, policy: &HostPolicy) -> HostGate {
        match self.breaker(now_unix_ms) {
            BreakerState::Open { until_unix_ms, .. } => HostGate::Closed { until_unix_ms },
            BreakerState::HalfOpen { .. } if running == 0 => HostGate::Probe,
            BreakerState::HalfOpen { .. } => HostGate::Probing,
            BreakerState::Closed => HostGate::Open { room: self.cap(configured, policy).saturating_sub(running) },
        }
    }

    /// Whether running jobs have to be shed down to [`cap`](Self::cap): only a host that asked to slow down gets that.
    /// What merely failed to connect is not helped by stopping what works.
    #[must_use]
    pub fn sheds(&self) -> bool {
        self.asked_to_slow_down
    }

    /// Whether it has ever been in trouble: then [`cap`](Self::cap) may be below what is configured.
    #[must_use]
    pub fn was_in_trouble(&self) -> bool {
        self.trouble_above.is_some()
    }

    fn bears(&self, policy: &HostPolicy) -> f64 {
        self.bears.unwrap_or(f64::from(policy.start)).clamp(1.0, BEARS_MAX)
    }

    fn served(&mut self, running: u32, now_unix_ms: i64, policy: &HostPolicy) {
        self.failures = 0;
        match self.breaker(now_unix_ms) {
            // A connection from before the trouble says nothing about a new one.
            BreakerState::Open { .. } => return,
            BreakerState::HalfOpen { .. } => {
                self.breaker = None;
                self.asked_to_slow_down = false;
                self.grown_unix_ms = now_unix_ms;
                return;
            }
            BreakerState::Closed => {}
        }
        let bears = self.bears(policy);
        // What is not in use shows nothing about what could be.
        if f64::from(running) * 2.0 < bears {
            return;
        }
        let fast = self.trouble_above.is_none_or(|above| bears < above);
        let every = if fast { policy.fast_growth_every } else { policy.slow_growth_every };
        if now_unix_ms >= self.grown_unix_ms && now_unix_ms < after(self.grown_unix_ms, every) {
            return;
        }
        let grown = match (fast, self.trouble_above) {
            (true, Some(above)) => (bears * 1.5).min(above),
            (true, None) => bears * 1.5,
            (false, _) => bears + 1.0,
        };
        self.bears = Some(grown.min(BEARS_MAX));
        self.grown_unix_ms = now_unix_ms;
    }

    fn throttled(&mut self, asked: Option<Duration>, running: u32, now_unix_ms: i64, jitter: f64, policy: &HostPolicy) {
        self.failures = 0;
        let asked = asked.map(|asked| asked.min(RETRY_AFTER_MAX));
        if let BreakerState::Open { .. } = self.breaker(now_unix_ms) {
            self.prolong(asked, now_unix_ms);
            return;
        }
        let half = (self.in_use(running, policy) / 2.0).max(1.0);
        self.bears = Some(half);
        self.trouble_above = Some(half);
        self.asked_to_slow_down = true;
        self.open(Cause::Throttled, asked, now_unix_ms, jitter, policy);
    }

    fn connection_failed(&mut self, now_unix_ms: i64, jitter: f64, policy: &HostPolicy) {
        self.failures = self.failures.saturating_add(1);
        let opens = match self.breaker(now_unix_ms) {
            BreakerState::Open { .. } => false,
            BreakerState::HalfOpen { .. } => true,
            BreakerState::Closed => self.failures >= policy.failures_max,
        };
        if !opens {
            return;
        }
        // A server that was away comes back as strong as it was; it only must not be overrun at once. So growth is fast
        // up to what it bore, or without an end if it never asked to slow down.
        let before = self.bears(policy);
        self.trouble_above = Some(self.trouble_above.map_or(BEARS_MAX, |above| above.max(before)));
        self.bears = Some(before.min(f64::from(policy.start)).max(1.0));
        self.open(Cause::ConnectionFailed, None, now_unix_ms, jitter, policy);
    }

    /// What the host demonstrably had to carry: what it was thought to bear may never have been tried.
    fn in_use(&self, running: u32, policy: &HostPolicy) -> f64 {
        let running = f64::from(running.max(1));
        if self.trouble_above.is_some() { self.bears(policy).min(running) } else { running.min(BEARS_MAX) }
    }

    fn open(&mut self, cause: Cause, asked: Option<Duration>, now_unix_ms: i64, jitter: f64, policy: &HostPolicy) {
        let times = self.breaker.map_or(1, |breaker| breaker.times.saturating_add(1));
        let base = match cause {
            Cause::Throttled => policy.throttle_pause,
            Cause::ConnectionFailed => policy.failure_pause,
        };
        let doubled = base.saturating_mul(1 << (times - 1).min(16)).min(policy.pause_max);
        let own = doubled.mul_f64(1.0 + proper(jitter) / 4.0).min(policy.pause_max);
        let until_unix_ms = after(now_unix_ms, asked.map_or(own, |asked| asked.max(own)));
        self.breaker = Some(Breaker { opened_unix_ms: now_unix_ms, until_unix_ms, times, cause });
    }

    /// Several jobs are throttled at once: one trouble, the longest figure.
    fn prolong(&mut self, asked: Option<Duration>, now_unix_ms: i64) {
        if let (Some(breaker), Some(asked)) = (self.breaker.as_mut(), asked) {
            breaker.until_unix_ms = breaker.until_unix_ms.max(after(now_unix_ms, asked));
            breaker.cause = Cause::Throttled;
        }
    }
}

fn after(unix_ms: i64, pause: Duration) -> i64 {
    unix_ms.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bears is between 1 and 10,000")]
fn whole(bears: f64) -> u32 {
    bears as u32
}
