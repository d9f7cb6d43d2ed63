//! What the walkers are told by the queue: may they write, how fast, do they begin another mailbox.

use super::crowd::Crowd;
use super::rates::Rates;
use mailhaul_copy::{Budgets, Progress, ServerSign, Supervisor, Widened};
use mailhaul_queue::{AccountId, EndpointId, HostSign, JobControl, Pulse};
use mailhaul_types::Side;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a job connects again by itself: enough for a connection that was dropped on the way.
const RECONNECTS: usize = 2;
/// How often a job that moves mail says that its servers serve it: a host that was in trouble is believed again by it.
const SERVED_EVERY: Duration = Duration::from_secs(30);

/// One job's supervisor.
pub(crate) struct JobSupervisor {
    pub(crate) control: JobControl,
    pub(crate) rates: Arc<Rates>,
    pub(crate) crowd: Arc<Crowd>,
    pub(crate) account: AccountId,
    pub(crate) source: EndpointId,
    pub(crate) target: EndpointId,
    /// When the servers were last said to serve.
    pub(crate) served_at: Mutex<Instant>,
}

impl JobSupervisor {
    fn say_served_now_and_then(&self) {
        let mut served_at = self.served_at.lock().unwrap_or_else(PoisonError::into_inner);
        if served_at.elapsed() >= SERVED_EVERY {
            *served_at = Instant::now();
            self.control.sign(self.source, HostSign::Served);
            self.control.sign(self.target, HostSign::Served);
        }
    }
}

impl Supervisor for JobSupervisor {
    fn may_write(&self) -> bool {
        self.control.may_write()
    }

    fn pace(&self, messages: u64, bytes: u64) -> Duration {
        self.control.moved(bytes);
        self.say_served_now_and_then();
        self.rates.take(self.account, [self.source, self.target], messages, bytes)
    }

    fn goes_on(&self) -> bool {
        !self.control.options_changed()
    }

    fn widen(&self) -> Option<Widened> {
        let place = self.crowd.widen(&[self.source, self.target])?;
        Some(Box::new(place))
    }

    fn is_crowded(&self) -> bool {
        self.crowd.is_crowded(&[self.source, self.target])
    }

    fn widen_reading(&self) -> Option<Widened> {
        let place = self.crowd.widen(&[self.source])?;
        Some(Box::new(place))
    }

    fn is_reading_crowded(&self) -> bool {
        self.crowd.is_crowded(&[self.source])
    }

    fn budgets(&self) -> Budgets {
        self.crowd.budgets().clone()
    }

    fn sign(&self, side: Side, sign: ServerSign) {
        let endpoint = if side == Side::Source { self.source } else { self.target };
        let sign = match sign {
            ServerSign::Throttled(wait) => HostSign::Throttled(wait),
            ServerSign::ConnectionFailed => HostSign::ConnectionFailed,
            ServerSign::Served => HostSign::Served,
        };
        self.control.sign(endpoint, sign);
    }

    fn waits_out_throttles(&self) -> bool {
        false
    }

    /// The queue waits longer and better: meanwhile another job has the slot.
    fn reconnects(&self) -> usize {
        RECONNECTS
    }
}

/// A run's progress as signs of life.
pub(crate) struct ProgressPulse(pub(crate) Arc<Progress>);

impl Pulse for ProgressPulse {
    fn beats(&self) -> u64 {
        self.0.beats()
    }

    fn waits_until(&self) -> Option<Instant> {
        self.0.waits_until()
    }
}
