//! What a running job can ask without waiting for anybody: may I still write, must I yield, are my options old?

use crate::clock::Clock;
use crate::ids::{AccountId, EndpointId};
use crate::state::Yield;
use crate::store::HostSign;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::{mpsc, watch};

/// A job's signs of life, read by the engine at its own pace.
pub trait Pulse: Send + Sync {
    /// A number that changes with every sign of life: an octet, a command, a step.
    fn beats(&self) -> u64;
    /// Until when the job knowingly waits, if it does.
    fn waits_until(&self) -> Option<Instant>;
}

/// What jobs tell the engine on the way.
#[derive(Debug)]
pub(super) enum News {
    Sign(EndpointId, HostSign),
    Moved(AccountId, u64),
}

/// One running job's line to the engine. Cheap to clone.
#[derive(Clone)]
pub struct JobControl {
    shared: Arc<Shared>,
}

struct Shared {
    account: AccountId,
    clock: Arc<dyn Clock>,
    lease_until_boot_ms: AtomicI64,
    options_changed: AtomicBool,
    yielding: watch::Sender<Option<Yield>>,
    pulse: Mutex<Option<Arc<dyn Pulse>>>,
    news: mpsc::Sender<News>,
}

impl std::fmt::Debug for JobControl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobControl").field("account", &self.shared.account).finish_non_exhaustive()
    }
}

impl JobControl {
    pub(super) fn new(
        account: AccountId,
        lease_until_boot_ms: i64,
        clock: Arc<dyn Clock>,
        news: mpsc::Sender<News>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                account,
                clock,
                lease_until_boot_ms: AtomicI64::new(lease_until_boot_ms),
                options_changed: AtomicBool::new(false),
                yielding: watch::Sender::new(None),
                pulse: Mutex::new(None),
                news,
            }),
        }
    }

    /// Whether the lease still stands at this very moment. Ask right before anything that cannot be taken back.
    #[must_use]
    pub fn may_write(&self) -> bool {
        self.shared.clock.now().boot_ms < self.shared.lease_until_boot_ms.load(Ordering::Acquire)
    }

    /// Whether the job was asked to yield, and why.
    #[must_use]
    pub fn must_yield(&self) -> Option<Yield> {
        *self.shared.yielding.borrow()
    }

    /// Waits until the job is asked to yield.
    pub async fn asked_to_yield(&self) -> Yield {
        let mut receiver = self.shared.yielding.subscribe();
        loop {
            if let Some(asked) = *receiver.borrow_and_update() {
                return asked;
            }
            if receiver.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Whether the options have changed since the job was claimed.
    #[must_use]
    pub fn options_changed(&self) -> bool {
        self.shared.options_changed.load(Ordering::Acquire)
    }

    /// Shows the engine where this job's signs of life can be read. A job that shows none is taken for stalled when its
    /// time is up.
    pub fn show(&self, pulse: Arc<dyn Pulse>) {
        *self.shared.pulse.lock().unwrap_or_else(PoisonError::into_inner) = Some(pulse);
    }

    /// Tells what a host showed.
    pub fn sign(&self, endpoint: EndpointId, sign: HostSign) {
        self.tell(News::Sign(endpoint, sign));
    }

    /// Tells that octets were moved, for the day's allowance.
    pub fn moved(&self, bytes: u64) {
        self.tell(News::Moved(self.shared.account, bytes));
    }

    fn tell(&self, news: News) {
        if self.shared.news.try_send(news).is_err() {
            tracing::debug!("the engine is behind with its news; one was dropped");
        }
    }

    pub(super) fn ask(&self, asked: Yield) {
        // The first wish stands, unless the operator's word comes after: he decides more than a full host does.
        self.shared.yielding.send_if_modified(|standing| {
            let stronger = matches!(asked, Yield::Cancel | Yield::Pause) && *standing != Some(Yield::Cancel);
            let takes = standing.is_none() || (stronger && *standing != Some(asked));
            if takes {
                *standing = Some(asked);
            }
            takes
        });
    }

    pub(super) fn set_options_changed(&self) {
        self.shared.options_changed.store(true, Ordering::Release);
    }

    pub(super) fn renewed(&self, until_boot_ms: i64) {
        self.shared.lease_until_boot_ms.store(until_boot_ms, Ordering::Release);
    }

    pub(super) fn beats(&self) -> (u64, Option<Instant>) {
        let pulse = self.shared.pulse.lock().unwrap_or_else(PoisonError::into_inner);
        pulse.as_ref().map_or((0, None), |pulse| (pulse.beats(), pulse.waits_until()))
    }
}
