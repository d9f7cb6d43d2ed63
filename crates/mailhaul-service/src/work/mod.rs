//! Workers: a process that takes jobs and does them.

mod bell;
mod crowd;
mod ends;
mod handler;
mod live;
mod rates;
mod supervisor;

pub use bell::ring;
pub use live::{LiveJob, LiveView};

use crate::error::ServiceError;
use crate::service::Service;
use crowd::Crowd;
use handler::Worker;
use live::Live;
use mailhaul_db::queue::WorkerGuard;
use mailhaul_queue::{Engine, EngineEnd, EngineError, EngineHandle, EngineOptions, Scope};
use rates::Rates;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// For how long the death of a process is remembered.
const LATELY: Duration = Duration::from_secs(600);
/// The longest that a new process holds back.
const HOLD_OFF_MAX: Duration = Duration::from_secs(30);

/// How a process works.
#[derive(Debug, Clone)]
pub struct WorkOptions {
    /// What it is, for people: `run`, `serve`.
    pub what: &'static str,
    /// Jobs at once.
    pub slots: usize,
    /// Which jobs.
    pub scope: Scope,
    /// Whether to end when nothing in scope can run any more without somebody's help.
    pub until_settled: bool,
    /// The lengths of leases; tests use short ones.
    pub lengths: EngineOptions,
}

/// How the work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkEnd {
    /// Nothing in scope can run any more without somebody's help.
    Settled,
    /// It was stopped.
    Stopped,
}

/// A process at work.
#[derive(Debug)]
pub struct Work {
    live: Arc<Live>,
    handle: EngineHandle,
    engine: JoinHandle<Result<EngineEnd, EngineError<mailhaul_db::DbError>>>,
    rates: JoinHandle<()>,
    guard: WorkerGuard,
    bell: bell::Bell,
}

impl Service {
    /// Begins to work. The key is fetched first, so that no job starts that could not sign in.
    ///
    /// # Errors
    /// If the key cannot be had, or the state file cannot be written.
    pub async fn start_work(&self, options: WorkOptions) -> Result<Work, ServiceError> {
        // In this order: from the moment on which a worker is known, the key that it fetches stays the one in use.
        let guard = self.queue.register(options.what).await?;
        let vault = match self.vault().await {
            Ok(vault) => Arc::new(vault),
            Err(error) => {
                guard.close().await?;
                return Err(error);
            }
        };
        let hold_off = self.hold_off().await?;
        let live = Arc::new(Live::default());
        let rates = Arc::new(Rates::new(Arc::clone(&self.clock)));
        let crowd = Arc::new(Crowd::new(options.slots, Arc::clone(&rates)));
        let worker = Worker::new(self.clone(), vault, Arc::clone(&live), Arc::clone(&rates), crowd);
        let lengths = EngineOptions {
            slots: options.slots,
            scope: options.scope,
            until_settled: options.until_settled,
            hold_off,
            ..options.lengths
        };
        let (engine, handle) = Engine::new(
            Arc::new(self.queue.clone()),
            Arc::new(worker),
            Arc::clone(&self.clock),
            guard.id(),
            lengths,
            Box::new(jitter),
        );
        let rates = tokio::spawn(rates.follow(self.queue.clone(), engine.workers()));
        let bell = bell::Bell::hang(self.ledger.path(), guard.id(), handle.clone());
        Ok(Work { live, handle, engine: tokio::spawn(engine.run()), rates, guard, bell })
    }
}

impl Service {
    /// How long a new process holds back because others have died lately.
    async fn hold_off(&self) -> Result<Duration, ServiceError> {
        let since = self.now_unix_ms().saturating_sub(i64::try_from(LATELY.as_millis()).unwrap_or(i64::MAX));
        let deaths = self.queue.deaths_since(since).await?;
        if self.queue.workers().await?.len() > 1 {
            // Others live: whatever kills processes is not this state.
            return Ok(Duration::ZERO);
        }
        let hold_off = hold_off_after(deaths).mul_f64(f64::from(self.pauses_percent) / 100.0);
        if !hold_off.is_zero() {
            let seconds = hold_off.as_secs_f64();
            tracing::warn!(
                deaths,
                seconds,
                "{deaths} processes died lately: waiting {seconds:.0} s before any job is begun"
            );
        }
        Ok(hold_off)
    }
}

/// The first death may be anything; each further one doubles the pause.
fn hold_off_after(deaths: u64) -> Duration {
    match deaths {
        0 | 1 => Duration::ZERO,
        more => Duration::from_secs(1 << (more - 1).min(6)).min(HOLD_OFF_MAX),
    }
}

impl Work {
    /// What is being done right now.
    #[must_use]
    pub fn live(&self) -> Vec<LiveJob> {
        self.live.jobs()
    }

    /// What is being done, for somebody who looks on while others wait for the end.
    #[must_use]
    pub fn view(&self) -> LiveView {
        LiveView::new(Arc::clone(&self.live))
    }

    /// A handle that can stop the work.
    #[must_use]
    pub fn handle(&self) -> EngineHandle {
        self.handle.clone()
    }

    /// Waits until the work has ended.
    ///
    /// # Errors
    /// If the state file fails, or this machine cannot go on.
    pub async fn finished(self) -> Result<WorkEnd, ServiceError> {
        let end = self.engine.await;
        self.bell.take_down();
        self.rates.abort();
        let closed = self.guard.close().await;
        let end = match end {
            Ok(Ok(EngineEnd::Settled)) => WorkEnd::Settled,
            Ok(Ok(EngineEnd::Stopped)) => WorkEnd::Stopped,
            Ok(Err(EngineError::Store(error))) => return Err(error.into()),
            Ok(Err(EngineError::Local(words))) => return Err(ServiceError::Local(words)),
            Err(error) => return Err(ServiceError::Stored(format!("the worker broke off: {error}"))),
        };
        closed?;
        Ok(end)
    }
}

/// A number in 0..1, so that many jobs do not come back at one moment.
fn jitter() -> f64 {
    let mut octets = [0; 4];
    // Without random numbers all come back together, which is not wrong.
    let _ = getrandom::fill(&mut octets);
    f64::from(u32::from_le_bytes(octets)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_that_keep_dying_start_ever_more_slowly() {
        let secs: Vec<u64> = (0..9).map(|deaths| hold_off_after(deaths).as_secs()).collect();
        assert_eq!(secs, [0, 0, 2, 4, 8, 16, 30, 30, 30]);
    }
}
