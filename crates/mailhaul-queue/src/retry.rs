//! Which failures are worth another attempt, how many, and when: a table by class of failure.
//!
//! Throttles are never charged, so they have no ceiling; what only a person can mend is not tried again by itself.

use crate::state::{FailureClass, WaitReason};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest time that a server may ask for. A longer one is a mistake, or malice.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// When to try again after failures of one class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClassPolicy {
    /// How many failed attempts end the job; `None`: no number does.
    pub attempts_max: Option<u32>,
    /// The pause after the first failure.
    pub base: Duration,
    /// The longest pause.
    pub cap: Duration,
    /// By how much each pause is longer than the one before; 1 or more.
    pub factor: f64,
}

/// When to try again, for every class that is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryPolicy {
    /// Lost, timed out, could not be reached.
    pub network: ClassPolicy,
    /// A server's own passing trouble.
    pub server: ClassPolicy,
    /// Asked to slow down. Never charged, so `attempts_max` has no say.
    pub throttle: ClassPolicy,
    /// One of the two sides broke the protocol.
    pub protocol: ClassPolicy,
    /// A fault of the program.
    pub internal: ClassPolicy,
    /// How often in a row a process may die while it runs a job, before the job is given up.
    pub crashes_max: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        let class = |attempts_max, base_secs| ClassPolicy {
            attempts_max: Some(attempts_max),
            base: Duration::from_secs(base_secs),
            cap: Duration::from_secs(15 * 60),
            factor: 2.0,
        };
        Self {
            network: class(8, 5),
            server: class(6, 15),
            throttle: ClassPolicy { attempts_max: None, ..class(0, 30) },
            protocol: class(3, 15),
            internal: class(3, 30),
            crashes_max: 3,
        }
    }
}

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reaction {
    /// Another attempt, later; this one is charged.
    BackOff(ClassPolicy),
    /// Another attempt, later; this one is not charged.
    SlowDown(ClassPolicy),
    /// Back in line at once; not charged.
    BackToLine,
    /// It waits for somebody.
    Park {
        /// For what.
        reason: WaitReason,
    },
    /// It is given up at once: another attempt would end alike.
    GiveUp,
}

impl RetryPolicy {
    /// The same with every pause as long as this percentage of it.
    #[must_use]
    pub fn with_pauses(mut self, percent: u32) -> Self {
        for class in [&mut self.network, &mut self.server, &mut self.throttle, &mut self.protocol, &mut self.internal] {
            class.base = class.base * percent / 100;
            class.cap = class.cap * percent / 100;
        }
        self
    }

    /// What follows from a failure of this class.
    #[must_use]
    pub fn reaction(&self, class: FailureClass) -> Reaction {
        match class {
            FailureClass::Network => Reaction::BackOff(self.network),
            FailureClass::Server => Reaction::BackOff(self.server),
            FailureClass::Protocol => Reaction::BackOff(self.protocol),
            FailureClass::Internal => Reaction::BackOff(self.internal),
            FailureClass::Throttle => Reaction::SlowDown(self.throttle),
            FailureClass::SignIn => Reaction::Park { reason: WaitReason::Credentials },
            FailureClass::Quota => Reaction::Park { reason: WaitReason::Quota },
            FailureClass::Decision => Reaction::Park { reason: WaitReason::Operator },
            // The process that found it stops; the job itself has done nothing wrong.
            FailureClass::Local => Reaction::BackToLine,
            FailureClass::Tls | FailureClass::Usage | FailureClass::Crashed => Reaction::GiveUp,
        }
    }

    /// How long to wait after a failure of this class that is the `charged`th in a row (from 1), and no less than the
    /// server asked for. `jitter` in 0..1 takes up to half of our own pause away, so that many jobs that failed
    /// together do not come back together; a server's own figure it stretches instead, by up to a tenth. Zero for a
    /// class that is not tried again.
    #[must_use]
    pub fn backoff(&self, class: FailureClass, charged: u32, jitter: f64, retry_after: Option<Duration>) -> Duration {
        let policy = match self.reaction(class) {
            Reaction::BackOff(policy) | Reaction::SlowDown(policy) => policy,
            Reaction::BackToLine | Reaction::Park { .. } | Reaction::GiveUp => return Duration::ZERO,
        };
        let jitter = proper(jitter);
        let own = policy.pause(charged).mul_f64(0.5 + jitter / 2.0);
        let asked = retry_after.map(|asked| asked.min(RETRY_AFTER_MAX).mul_f64(1.0 + jitter / 10.0));
        asked.map_or(own, |asked| asked.max(own))
    }
}

impl ClassPolicy {
    /// The pause after the `charged`th failure (from 1), before jitter.
    fn pause(&self, charged: u32) -> Duration {
        let exponent = f64::from(charged.saturating_sub(1));
        let seconds = self.base.as_secs_f64() * self.factor.max(1.0).powf(exponent);
        // An overflow is infinite, which is more than the cap.
        Duration::try_from_secs_f64(seconds).map_or(self.cap, |pause| pause.min(self.cap))
    }
}

/// A number in 0..=1, whatever was handed in.
pub(crate) fn proper(jitter: f64) -> f64 {
    if jitter.is_nan() { 0.5 } else { jitter.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_cap_and_no_further() {
        let policy = RetryPolicy::default();
        let pause = |charged| policy.backoff(FailureClass::Network, charged, 1.0, None).as_secs();
        assert_eq!([pause(0), pause(1), pause(2), pause(3), pause(8), pause(9)], [5, 5, 10, 20, 640, 900]);
        assert_eq!(pause(u32::MAX), 900);
        assert_eq!(policy.backoff(FailureClass::Network, 3, 0.0, None).as_secs(), 10);
    }

    #[test]
    fn pauses_are_scaled_and_numbers_of_attempts_are_not() {
        let quick = RetryPolicy::default().with_pauses(1);
        assert_eq!(quick.backoff(FailureClass::Network, 1, 1.0, None).as_millis(), 50);
        assert_eq!(quick.backoff(FailureClass::Server, u32::MAX, 1.0, None).as_secs(), 9);
        assert_eq!(quick.network.attempts_max, RetryPolicy::default().network.attempts_max);
        assert_eq!(RetryPolicy::default().with_pauses(100), RetryPolicy::default());
    }

    #[test]
    fn a_servers_figure_is_never_undercut_and_never_absurd() {
        let policy = RetryPolicy::default();
        let after =
            |seconds| policy.backoff(FailureClass::Throttle, 1, 0.0, Some(Duration::from_secs(seconds))).as_secs();
        assert_eq!(after(3600), 3600);
        assert_eq!(after(1), 15);
        assert_eq!(after(10_000_000), 24 * 3600);
        let jittered = policy.backoff(FailureClass::Throttle, 1, f64::NAN, Some(Duration::from_secs(100)));
        assert_eq!(jittered.as_secs(), 105);
    }

    #[test]
    fn what_only_a_person_can_mend_is_not_tried_again() {
        let policy = RetryPolicy::default();
        for class in [FailureClass::SignIn, FailureClass::Quota, FailureClass::Tls, FailureClass::Crashed] {
            assert_eq!(policy.backoff(class, 1, 1.0, None), Duration::ZERO);
        }
    }
}
