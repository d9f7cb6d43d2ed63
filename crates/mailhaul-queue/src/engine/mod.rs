//! The engine: claims jobs, runs them, renews their leases, carries orders to them, and reports their ends.
//!
//! One loop decides; each job is a task of its own. Nothing here blocks: the store is asked in [`Store::tick`], and what
//! a job needs while it runs (may I still write? must I yield?) it reads from its [`JobControl`] without asking anybody.

mod control;
mod running;
#[cfg(test)]
mod tests;

pub use control::{JobControl, Pulse};

use crate::clock::Clock;
use crate::ids::{EndpointId, WorkerId};
use crate::state::{FailureClass, Outcome, Yield};
use crate::store::{ClaimedJob, Finished, HostSign, JobEnd, Order, Scope, Store, Tick, Tock};
use control::News;
use running::Running;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Signs and amounts that may wait to be written down. A job that is further ahead than this drops signs, not work.
const NEWS_MAX: usize = 4_096;

/// How a task ended.
type Ended = Result<(tokio::task::Id, JobEnd), tokio::task::JoinError>;

/// What does the work of one job.
pub trait Handler: Send + Sync + 'static {
    /// Works on the job until it is done, has failed, or was asked to yield. A job may run twice, and is written for it.
    fn run(&self, job: ClaimedJob, control: JobControl) -> impl Future<Output = JobEnd> + Send;
}

/// How an engine works. Every length is handed in, so that a test need not wait.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// How long a lease lasts.
    pub lease: Duration,
    /// How often it is renewed while the work moves.
    pub renew: Duration,
    /// How long a successor waits after a lease has run out.
    pub margin: Duration,
    /// After how long without a sign of life a job is given up.
    pub stall: Duration,
    /// How long a job may take to yield before it is cut off.
    pub yield_limit: Duration,
    /// How often the store is asked when nothing else gives a reason to.
    pub poll: Duration,
    /// Jobs at once.
    pub slots: usize,
    /// Which jobs.
    pub scope: Scope,
    /// Whether to end when no job in scope can run any more without somebody's help.
    pub until_settled: bool,
    /// How long to claim nothing at first: what dead workers left is taken up at once, and a process that dies again and
    /// again does not do so ever faster.
    pub hold_off: Duration,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            renew: Duration::from_secs(10),
            margin: Duration::from_secs(5),
            stall: Duration::from_secs(300),
            yield_limit: Duration::from_secs(10),
            poll: Duration::from_millis(500),
            slots: 16,
            scope: Scope::default(),
            until_settled: false,
            hold_off: Duration::ZERO,
        }
    }
}

/// Why an engine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineEnd {
    /// No job in scope can run any more without somebody's help.
    Settled,
    /// It was asked to.
    Stopped,
}

/// Why an engine could not go on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError<E> {
    /// The store failed.
    #[error("{0}")]
    Store(E),
    /// A job found that this machine cannot go on: a full disk, a damaged file.
    #[error("{0}")]
    Local(String),
}

/// The outside's way to a running engine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EngineHandle {
    stop: watch::Sender<bool>,
    bell: mpsc::Sender<oneshot::Sender<()>>,
}

impl EngineHandle {
    /// Asks the engine to end: its jobs yield, nothing is charged.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Has the engine look at the store at once, and waits until it has and its jobs have been told.
    pub async fn ring(&self) {
        let (heard, answer) = oneshot::channel();
        if self.bell.send(heard).await.is_ok() {
            // The engine may end meanwhile; then there is nobody left to be told.
            let _ = answer.await;
        }
    }
}

/// Claims and runs jobs. Build it, keep its handle, then [`Engine::run`].
pub struct Engine<S: Store, H: Handler> {
    store: Arc<S>,
    handler: Arc<H>,
    clock: Arc<dyn Clock>,
    worker: WorkerId,
    options: EngineOptions,
    stop: watch::Receiver<bool>,
    bell: mpsc::Receiver<oneshot::Sender<()>>,
    news: mpsc::Receiver<News>,
    news_sender: mpsc::Sender<News>,
    /// A number in 0..1, anew each time.
    jitter: Box<dyn FnMut() -> f64 + Send>,
    tasks: JoinSet<JobEnd>,
    running: Vec<Running>,
    workers: watch::Sender<u32>,
}

impl<S: Store, H: Handler> Engine<S, H> {
    /// An engine that has not begun, and the way to it.
    #[must_use]
    pub fn new(
        store: Arc<S>,
        handler: Arc<H>,
        clock: Arc<dyn Clock>,
        worker: WorkerId,
        options: EngineOptions,
        jitter: Box<dyn FnMut() -> f64 + Send>,
    ) -> (Self, EngineHandle) {
        let (stop, stopped) = watch::channel(false);
        let (bell, rings) = mpsc::channel(16);
        let (news_sender, news) = mpsc::channel(NEWS_MAX);
        let engine = Self {
            store,
            handler,
            clock,
            worker,
            options,
            stop: stopped,
            bell: rings,
            news,
            news_sender,
            jitter,
            tasks: JoinSet::new(),
            running: Vec::new(),
            workers: watch::Sender::new(1),
        };
        (engine, EngineHandle { stop, bell })
    }

    /// How many processes share the work: whoever divides a rate among them watches this.
    #[must_use]
    pub fn workers(&self) -> watch::Receiver<u32> {
        self.workers.subscribe()
    }

    /// Works until it is stopped, or until everything in scope has settled.
    ///
    /// # Errors
    /// If the store fails, or a job says that this machine cannot go on. All jobs have yielded by then.
    pub async fn run(mut self) -> Result<EngineEnd, EngineError<S::Error>> {
        let outcome = self.work().await;
        match outcome {
            Ok(EngineEnd::Settled) => Ok(EngineEnd::Settled),
            other => {
                let put_down = self.put_everything_down().await;
                other.and_then(|end| put_down.map(|()| end))
            }
        }
    }

    async fn work(&mut self) -> Result<EngineEnd, EngineError<S::Error>> {
        let mut waiting_for_news: Vec<oneshot::Sender<()>> = Vec::new();
        let claims_from = Instant::now() + self.options.hold_off;
        loop {
            self.write_news().await?;
            let unsettled = self.tick(Instant::now() >= claims_from).await?;
            for heard in waiting_for_news.drain(..) {
                let _ = heard.send(());
            }
            if self.options.until_settled && unsettled == 0 && self.running.is_empty() {
                return Ok(EngineEnd::Settled);
            }
            let wake = Instant::now() + self.options.poll;
            let ended = tokio::select! {
                () = asked_to_stop(&mut self.stop) => return Ok(EngineEnd::Stopped),
                Some(heard) = self.bell.recv() => {
                    waiting_for_news.push(heard);
                    None
                }
                Some(ended) = self.tasks.join_next_with_id() => Some(ended),
                () = tokio::time::sleep_until(wake) => None,
            };
            if let Some(ended) = ended {
                self.take_end(ended).await?;
            }
            // What else has ended meanwhile is reported before more is claimed: its slots are free.
            while let Some(ended) = self.tasks.try_join_next_with_id() {
                self.take_end(ended).await?;
            }
        }
    }

    /// One question to the store, and what follows from its answer.
    async fn tick(&mut self, may_claim: bool) -> Result<u64, EngineError<S::Error>> {
        let now = self.clock.now();
        let (mut renew, mut hold) = (Vec::new(), Vec::new());
        for running in &mut self.running {
            if running.is_due_for_renewal(&self.options) {
                renew.push(running.key);
            } else {
                hold.push(running.key);
            }
        }
        let free = self.options.slots.saturating_sub(self.running.len());
        let tick = Tick {
            worker: self.worker,
            now,
            renew: renew.clone(),
            hold,
            slots: if may_claim { free } else { 0 },
            lease: self.options.lease,
            margin: self.options.margin,
            scope: self.options.scope.clone(),
        };
        let Tock { claimed, orders, lost, unsettled, workers } =
            self.store.tick(tick).await.map_err(EngineError::Store)?;
        self.workers.send_if_modified(|known| std::mem::replace(known, workers) != workers);
        let until = now.boot_ms.saturating_add(millis(self.options.lease));
        for running in &mut self.running {
            if lost.contains(&running.key) {
                running.lose();
            } else if renew.contains(&running.key) {
                running.renewed(until);
            }
        }
        self.tasks_of_lost();
        for (key, order) in orders {
            if let Some(running) = self.running.iter_mut().find(|running| running.key == key) {
                carry_out(running, order);
            }
        }
        self.cut_off_the_slow();
        for job in claimed {
            self.start(job);
        }
        Ok(unsettled)
    }

    fn start(&mut self, job: ClaimedJob) {
        let key = job.key;
        let control =
            JobControl::new(job.account, job.lease_until_boot_ms, Arc::clone(&self.clock), self.news_sender.clone());
        tracing::debug!(job.id = key.job.0, job.kind = job.kind, job.attempt = job.attempt, "job claimed");
        let (handler, its_control) = (Arc::clone(&self.handler), control.clone());
        let task = self.tasks.spawn(async move { handler.run(job, its_control).await });
        self.running.push(Running::new(key, control, task));
    }

    /// A job whose lease is lost writes nothing more: its task is cut off, which closes its sockets.
    fn tasks_of_lost(&mut self) {
        for running in self.running.iter().filter(|running| running.is_lost()) {
            running.cut_off();
        }
    }

    /// A job that was asked to yield, or has shown no sign of life, and has had its time.
    fn cut_off_the_slow(&mut self) {
        for running in &mut self.running {
            if running.has_stalled(&self.options) {
                tracing::error!(job.id = running.key.job.0, "nothing has moved for too long; the job is cut off");
                running.give_up();
            } else if running.overdue(self.options.yield_limit) {
                running.cut_off();
            }
        }
    }

    async fn take_end(&mut self, ended: Ended) -> Result<(), EngineError<S::Error>> {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let Some(place) = self.running.iter().position(|running| running.is_task(id)) else { return Ok(()) };
        let running = self.running.swap_remove(place);
        if running.is_lost() {
            return Ok(());
        }
        let end = match ended {
            Ok((_, end)) => end,
            Err(error) => running.end_of_broken_task(&error),
        };
        let local = matches!(end.outcome, Outcome::Failed { class: FailureClass::Local, .. });
        let words = end.words.clone();
        let jitter = (self.jitter)();
        let finished = Finished { key: running.key, now: self.clock.now(), end, jitter };
        let held = self.store.finish(finished).await.map_err(EngineError::Store)?;
        if !held {
            tracing::warn!(job.id = running.key.job.0, "the lease was lost; its end was not recorded");
        }
        if local { Err(EngineError::Local(words)) } else { Ok(()) }
    }

    async fn write_news(&mut self) -> Result<(), EngineError<S::Error>> {
        let mut signs: Vec<(EndpointId, HostSign)> = Vec::new();
        let mut amounts = std::collections::BTreeMap::new();
        while let Ok(news) = self.news.try_recv() {
            match news {
                News::Sign(endpoint, sign) => signs.push((endpoint, sign)),
                News::Moved(account, bytes) => *amounts.entry(account).or_insert(0_u64) += bytes,
            }
        }
        let now = self.clock.now();
        if !signs.is_empty() {
            self.store.signs(signs, now).await.map_err(EngineError::Store)?;
        }
        for (account, bytes) in amounts {
            self.store.moved(account, bytes, now).await.map_err(EngineError::Store)?;
        }
        Ok(())
    }

    /// Every job yields, within its time, which is shorter than what is left of any lease.
    async fn put_everything_down(&mut self) -> Result<(), EngineError<S::Error>> {
        for running in &mut self.running {
            running.ask(Yield::Shutdown);
        }
        let deadline = Instant::now() + self.options.yield_limit;
        let mut first = Ok(());
        while !self.running.is_empty() {
            let ended = tokio::select! {
                ended = self.tasks.join_next_with_id() => ended,
                () = tokio::time::sleep_until(deadline) => {
                    self.running.iter().for_each(Running::cut_off);
                    self.tasks.join_next_with_id().await
                }
            };
            let Some(ended) = ended else { break };
            let outcome = self.take_end(ended).await;
            first = first.and(outcome);
        }
        // What was moved until the end counts for the day as well.
        let news = self.write_news().await;
        first.and(news)
    }
}

/// Resolves when the engine is asked to stop; never if nobody is left who could.
async fn asked_to_stop(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn carry_out(running: &mut Running, order: Order) {
    match order {
        Order::Pause => running.ask(Yield::Pause),
        Order::Cancel => running.ask(Yield::Cancel),
        Order::Yield { reason, until_unix_ms } => running.ask(Yield::Gate { reason, until_unix_ms }),
        Order::Options => running.options_changed(),
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
