//! Who looks over a run's shoulder: whether it may still write, how fast, and whether it should go on.

use crate::bounds;
use crate::budget::Budgets;
use crate::progress::Progress;
use crate::stop::StopSignal;
use mailhaul_db::StaleHolder;
use mailhaul_types::Side;
use std::sync::Arc;
use std::time::Duration;

/// What a server showed that concerns everybody who uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerSign {
    /// It asked to slow down, perhaps with a figure.
    Throttled(Option<Duration>),
    /// It could not be reached, or dropped the connection.
    ConnectionFailed,
    /// A sign-in worked, or a mailbox was finished.
    Served,
}

/// Room for a connection, for as long as it is held.
pub type Widened = Box<dyn std::any::Any + Send + Sync>;

/// Somebody who runs many accounts and answers for all of them. Every method returns at once.
pub trait Supervisor: Send + Sync {
    /// Whether the right to write still stands at this moment. Asked before each command that stores mail is completed.
    fn may_write(&self) -> bool {
        true
    }

    /// So much more is about to be moved: how long to wait before more is asked for.
    fn pace(&self, messages: u64, bytes: u64) -> Duration {
        let _ = (messages, bytes);
        Duration::ZERO
    }

    /// Whether to begin another mailbox. `false` ends the run as interrupted, with nothing in flight.
    fn goes_on(&self) -> bool {
        true
    }

    /// Room for another connection to each server, beside the run's first; `None` if there is none. It is given back by
    /// letting go of it.
    fn widen(&self) -> Option<Widened> {
        Some(Box::new(()))
    }

    /// Room for one more connection to the source alone. It is given back by letting go of it.
    fn widen_reading(&self) -> Option<Widened> {
        Some(Box::new(()))
    }

    /// What the process has for all its accounts. Asked once a run.
    fn budgets(&self) -> Budgets {
        Budgets::default()
    }

    /// Whether room that was given is wanted by others now. Asked between two mailboxes.
    fn is_crowded(&self) -> bool {
        false
    }

    /// The same of room for connections that only read. Asked now and then while they do.
    fn is_reading_crowded(&self) -> bool {
        false
    }

    /// What a server showed.
    fn sign(&self, side: Side, sign: ServerSign) {
        let _ = (side, sign);
    }

    /// Whether a run waits by itself when a server asks to slow down. If not, it ends, and is begun again later.
    fn waits_out_throttles(&self) -> bool {
        true
    }

    /// How often in a row a run connects again by itself before it ends, without anything being settled in between.
    fn reconnects(&self) -> usize {
        bounds::CONNECTIONS_WITHOUT_PROGRESS
    }
}

/// Nobody: one account, by hand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unsupervised;

impl Supervisor for Unsupervised {}

/// What surrounds a run.
#[derive(Clone)]
pub struct Oversight<'a> {
    /// Where it counts.
    pub progress: &'a Progress,
    /// The wish that it stop.
    pub stop: &'a StopSignal,
    /// Who answers for it.
    pub supervisor: Arc<dyn Supervisor>,
    /// A process that may still hold the pair's lock although it has lost the right to it.
    pub stale_holder: Option<StaleHolder>,
}

impl<'a> Oversight<'a> {
    /// One account, by hand.
    #[must_use]
    pub fn none(progress: &'a Progress, stop: &'a StopSignal) -> Self {
        Self { progress, stop, supervisor: Arc::new(Unsupervised), stale_holder: None }
    }
}

impl std::fmt::Debug for Oversight<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Oversight").field("stale_holder", &self.stale_holder).finish_non_exhaustive()
    }
}
