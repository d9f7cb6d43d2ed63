//! The one that writes: a task with a connection of its own.
//!
//! Requests come through a bounded queue in the order in which they were made, and are committed in groups: after
//! [`OpenOptions::group_delay`](crate::OpenOptions), after [`OpenOptions::group_messages`](crate::OpenOptions), or at
//! once when somebody waits. A request is never divided between two commits and never overtakes another, so that a
//! kill at any moment leaves a beginning of what was asked, each request whole.
//!
//! Every transaction reads the generation of each pair it writes for. An error that concerns one lease (lost, or a
//! damaged row) takes that lease out and commits the rest; an error of the file ends the writer, and everybody who
//! still asks is told the same.

mod apply;
mod change;

pub(crate) use change::{Change, MailboxChange};

use crate::cache::CachedMailbox;
use crate::error::{DbError, Doing};
use crate::fault::Fault;
use crate::host_profile::{self, HostKey, ProfileChange};
use crate::model::{Generation, PairId, PairIdentity};
use crate::rows::{PairRow, RunRow};
use crate::still::still;
use crate::turns::Turns;
use apply::Work;
use mailhaul_types::failpoint;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Requests that may wait. A sender that is further ahead than this waits too; the disk sets the pace then.
const QUEUE_MAX: usize = 1_024;
/// Mailboxes kept in memory between commits. Reading one again costs what loading it costs.
const CACHED_MAILBOXES_MAX: usize = 256;

/// The part of a lease that lives as long as something is queued under it; the lock with it.
#[derive(Debug)]
pub(crate) struct LeaseState {
    pub(crate) pair_id: PairId,
    pub(crate) generation: Generation,
    failure: OnceLock<DbError>,
    ledger_failure: Arc<OnceLock<DbError>>,
    /// `None`: taken over from a holder that has not let go of it.
    pub(crate) lock: Option<File>,
}

impl LeaseState {
    /// Why nothing can be written under this lease any more.
    pub(crate) fn failure(&self) -> Option<&DbError> {
        self.failure.get().or_else(|| self.ledger_failure.get())
    }
}

type Reply<T> = oneshot::Sender<Result<T, DbError>>;

struct Queued {
    lease: Arc<LeaseState>,
    change: Change,
    reply: Option<Reply<()>>,
}

enum Request {
    Change(Queued),
    Claim(Box<PairIdentity>, Reply<(PairId, Generation)>),
    Learn(Vec<(HostKey, ProfileChange)>, Reply<()>),
    Close(Reply<()>),
}

/// The sending end of the queue. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct WriterHandle {
    queue: mpsc::Sender<Request>,
    failure: Arc<OnceLock<DbError>>,
    path: Arc<Path>,
}

impl WriterHandle {
    /// Starts the writer on a connection of its own, and with what it takes to have another one.
    pub(crate) fn start(
        (db, options): (SqliteConnection, SqliteConnectOptions),
        path: Arc<Path>,
        turns: Turns,
        pace: Pace,
    ) -> Self {
        let (queue, requests) = mpsc::channel(QUEUE_MAX);
        let failure = Arc::new(OnceLock::new());
        let (caches, told) = (BTreeMap::new(), failure.clone());
        let writer = Writer { db, options, path: path.clone(), turns, pace, requests, caches, failure: told };
        tokio::spawn(writer.run());
        Self { queue, failure, path }
    }

    /// Why nothing can be asked any more.
    fn refusal(&self) -> DbError {
        self.failure.get().cloned().unwrap_or_else(|| DbError::Closed(Doing::new("write to", &self.path)))
    }

    /// Queues a change that nobody waits for.
    pub(crate) async fn queue(&self, lease: &Arc<LeaseState>, change: Change) -> Result<(), DbError> {
        self.submit(lease, change, None).await
    }

    /// Queues a change that is to be committed at once; the receiver hears of it.
    pub(crate) async fn order(&self, lease: &Arc<LeaseState>, change: Change) -> Result<Committed, DbError> {
        let (reply, outcome) = oneshot::channel();
        self.submit(lease, change, Some(reply)).await?;
        Ok(Committed { outcome, writer: self.clone() })
    }

    async fn submit(&self, lease: &Arc<LeaseState>, change: Change, reply: Option<Reply<()>>) -> Result<(), DbError> {
        if let Some(error) = lease.failure() {
            return Err(error.clone());
        }
        let queued = Queued { lease: lease.clone(), change, reply };
        self.queue.send(Request::Change(queued)).await.map_err(|_| self.refusal())
    }

    /// Takes a pair whose lock is held already, or passed over.
    pub(crate) async fn claim(&self, identity: &PairIdentity, lock: Option<File>) -> Result<LeaseState, DbError> {
        let (reply, outcome) = oneshot::channel();
        let request = Request::Claim(Box::new(identity.clone()), reply);
        self.queue.send(request).await.map_err(|_| self.refusal())?;
        let (pair_id, generation) = outcome.await.map_err(|_| self.refusal())??;
        let (failure, ledger_failure) = (OnceLock::new(), self.failure.clone());
        Ok(LeaseState { pair_id, generation, failure, ledger_failure, lock })
    }

    /// Keeps what was learnt about servers. That it cannot be kept is an error of nobody else.
    pub(crate) async fn learn(&self, changes: Vec<(HostKey, ProfileChange)>) -> Result<(), DbError> {
        let (reply, outcome) = oneshot::channel();
        self.queue.send(Request::Learn(changes, reply)).await.map_err(|_| self.refusal())?;
        outcome.await.map_err(|_| self.refusal())?
    }

    /// Writes what is queued and ends the writer. Closing twice is no error.
    pub(crate) async fn close(&self) -> Result<(), DbError> {
        let (reply, outcome) = oneshot::channel();
        if self.queue.send(Request::Close(reply)).await.is_ok()
            && let Ok(outcome) = outcome.await
        {
            return outcome;
        }
        self.failure.get().map_or(Ok(()), |error| Err(error.clone()))
    }
}

/// A write that is queued: wait for it to be on disk, or drop it to go on without knowing.
#[derive(Debug)]
#[must_use = "queued is not yet on disk"]
pub struct Committed {
    outcome: oneshot::Receiver<Result<(), DbError>>,
    writer: WriterHandle,
}

impl Committed {
    /// Waits until the write is on disk.
    ///
    /// # Errors
    /// If it could not be written.
    pub async fn wait(self) -> Result<(), DbError> {
        self.outcome.await.map_err(|_| self.writer.refusal())?
    }
}

/// When a group is committed, and what time it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) group_delay: Duration,
    pub(crate) group_messages: usize,
    pub(crate) clock: fn() -> i64,
}

/// What is committed together, and what comes after it.
#[derive(Default)]
struct Group {
    changes: Vec<Queued>,
    messages: usize,
    awaited: bool,
    then: Option<Request>,
}

impl Group {
    fn add(&mut self, request: Request) {
        match request {
            Request::Change(queued) => {
                self.messages += queued.change.messages();
                self.awaited |= queued.reply.is_some();
                self.changes.push(queued);
            }
            control => self.then = Some(control),
        }
    }

    fn is_full(&self, pace: &Pace) -> bool {
        self.then.is_some() || self.messages >= pace.group_messages || self.changes.len() >= QUEUE_MAX
    }
}

struct Writer {
    db: SqliteConnection,
    options: SqliteConnectOptions,
    path: Arc<Path>,
    turns: Turns,
    pace: Pace,
    requests: mpsc::Receiver<Request>,
    caches: BTreeMap<i64, CachedMailbox>,
    failure: Arc<OnceLock<DbError>>,
}

impl Writer {
    async fn run(mut self) {
        while let Some(first) = self.requests.recv().await {
            let group = self.gather(first).await;
            self.commit(group.changes).await;
            match group.then {
                Some(Request::Claim(identity, reply)) => self.answer_claim(&identity, reply).await,
                Some(Request::Learn(changes, reply)) => self.learn(changes, reply).await,
                Some(Request::Close(reply)) => return self.close(reply).await,
                Some(Request::Change(_)) | None => {}
            }
            if self.failure.get().is_some() {
                // Whoever is still in the queue finds its reply dropped, and asks for the reason.
                return;
            }
        }
        // Every handle is gone. SQLite copies the log into the file when its last connection closes.
        if let Err(error) = still(self.db.close()).await {
            tracing::warn!(file = %self.path.display(), %error, "closing the ledger failed; nothing is lost");
        }
    }

    async fn gather(&mut self, first: Request) -> Group {
        let mut group = Group::default();
        group.add(first);
        let deadline = Instant::now() + self.pace.group_delay;
        while !group.is_full(&self.pace) {
            // Whoever waits does so for everything that was asked before; what is there already comes along.
            let next = if group.awaited {
                self.requests.try_recv().ok()
            } else {
                tokio::time::timeout_at(deadline, self.requests.recv()).await.ok().flatten()
            };
            match next {
                Some(request) => group.add(request),
                None => break,
            }
        }
        group
    }

    /// Commits the changes of all leases that hold, and answers everybody.
    async fn commit(&mut self, mut changes: Vec<Queued>) {
        loop {
            changes = refuse_failed(changes);
            if changes.is_empty() {
                return;
            }
            match still(self.try_commit(&changes)).await {
                Ok(()) => {
                    changes.into_iter().filter_map(|queued| queued.reply).for_each(|reply| {
                        // Nobody may be waiting any more; the write is on disk all the same.
                        let _ = reply.send(Ok(()));
                    });
                    return;
                }
                Err((at, fault)) => {
                    self.caches.clear();
                    let alone = fault.concerns_one_lease();
                    let error = fault.at(Doing::new("write to", &self.path));
                    tracing::error!(%error, "writing to the ledger failed");
                    let failure = if alone { &changes[at].lease.failure } else { &self.failure };
                    // Only the first reason counts.
                    let _ = failure.set(error);
                }
            }
        }
    }

    /// One transaction. On failure: whose change it was, and why.
    async fn try_commit(&mut self, changes: &[Queued]) -> Result<(), (usize, Fault)> {
        let Self { db, caches, pace, turns, .. } = self;
        let _turn = turns.take().await;
        let mut tx = db.begin_with("BEGIN IMMEDIATE").await.map_err(|error| (0, error.into()))?;
        let (mut checked, mut touched) = (BTreeSet::new(), BTreeMap::new());
        for (at, queued) in changes.iter().enumerate() {
            if checked.insert(queued.lease.pair_id) {
                check_generation(&mut tx, &queued.lease).await.map_err(|fault| (at, fault))?;
            }
            let mut work = Work { db: &mut tx, caches, lease: &queued.lease, now: (pace.clock)() };
            let mailbox = work.apply(&queued.change).await.map_err(|fault| (at, fault))?;
            touched.extend(mailbox.map(|mailbox| (mailbox, at)));
        }
        for (mailbox, at) in &touched {
            if let Some(cache) = caches.get_mut(mailbox) {
                cache.store(&mut tx).await.map_err(|fault| (*at, fault))?;
            }
        }
        let names: BTreeSet<&str> = changes.iter().map(|queued| queued.change.name()).collect();
        reach_all(&names, "before").map_err(|fault| (0, fault))?;
        tx.commit().await.map_err(|error| (0, error.into()))?;
        reach_all(&names, "after").map_err(|fault| (0, fault))?;
        if caches.len() > CACHED_MAILBOXES_MAX {
            caches.retain(|mailbox, _| touched.contains_key(mailbox));
        }
        Ok(())
    }

    async fn learn(&mut self, changes: Vec<(HostKey, ProfileChange)>, reply: Reply<()>) {
        let now = (self.pace.clock)();
        let learnt = still(host_profile::apply(&mut self.db, &self.turns, changes, now)).await;
        if let Err(Fault::Sql(_)) = learnt {
            self.connect_anew().await;
        }
        // Whoever asked may be gone.
        let _ = reply.send(learnt.map_err(|fault| host_profile::failed(fault, &self.path)));
    }

    /// After an error of the disk SQLite has taken a transaction back by itself. The driver does not know of it, and
    /// begins none on that connection again.
    async fn connect_anew(&mut self) {
        match still(self.options.connect()).await {
            Ok(db) => drop(std::mem::replace(&mut self.db, db)),
            Err(error) => {
                let _ = self.failure.set(Fault::from(error).at(Doing::new("open", &self.path)));
            }
        }
    }

    async fn answer_claim(&mut self, identity: &PairIdentity, reply: Reply<(PairId, Generation)>) {
        let outcome = still(self.claim(identity)).await.map_err(|fault| {
            let alone = fault.concerns_one_lease();
            let error = fault.at(Doing::new("write to", &self.path));
            if !alone {
                let _ = self.failure.set(error.clone());
            }
            error
        });
        if let Ok((pair_id, generation)) = &outcome {
            tracing::debug!(pair.id = pair_id.0, lease.generation = generation.0, "pair claimed");
        }
        let _ = reply.send(outcome);
    }

    async fn claim(&mut self, identity: &PairIdentity) -> Result<(PairId, Generation), Fault> {
        let _turn = self.turns.take().await;
        let mut tx = self.db.begin_with("BEGIN IMMEDIATE").await?;
        let pair = match PairRow::find(&mut tx, identity).await? {
            Some(mut pair) => {
                pair.generation += 1;
                pair.update(&mut tx).await?;
                pair
            }
            None => {
                PairRow::refuse_if_lost(&mut tx, identity).await?;
                let pair_id = PairRow::next_id(&mut tx).await?;
                let pair = PairRow { pair_id, identity: identity.clone(), generation: 1, mailboxes: 0 };
                pair.insert(&mut tx).await?;
                pair
            }
        };
        let run = RunRow {
            pair_id: pair.pair_id,
            generation: pair.generation,
            started_at_secs: (self.pace.clock)(),
            finished: None,
            detail: String::new(),
        };
        run.put(&mut tx).await?;
        let claim = BTreeSet::from(["claim"]);
        reach_all(&claim, "before")?;
        tx.commit().await?;
        reach_all(&claim, "after")?;
        // What an earlier lease of this process left here may be older than what another process has written since.
        self.caches.retain(|_, cache| cache.row.pair_id != pair.pair_id);
        Ok((PairId(pair.pair_id), Generation(pair.generation)))
    }

    async fn close(self, reply: Reply<()>) {
        let closed =
            still(self.db.close()).await.map_err(|error| Fault::from(error).at(Doing::new("close", &self.path)));
        let _ = reply.send(self.failure.get().map_or(closed, |error| Err(error.clone())));
    }
}

/// A commit with these changes is about to be made, or was made.
fn reach_all(names: &BTreeSet<&str>, moment: &str) -> Result<(), Fault> {
    for name in names {
        failpoint::reach(|| format!("commit {name} {moment}"))
            .map_err(|struck| sqlx::Error::Io(std::io::Error::other(struck)))?;
    }
    Ok(())
}

/// Takes out, with the reason, what can no longer be written.
fn refuse_failed(changes: Vec<Queued>) -> Vec<Queued> {
    let mut kept = Vec::with_capacity(changes.len());
    for queued in changes {
        match (queued.lease.failure().cloned(), queued.reply) {
            (None, reply) => kept.push(Queued { reply, ..queued }),
            (Some(error), Some(reply)) => {
                let _ = reply.send(Err(error));
            }
            (Some(_), None) => {}
        }
    }
    kept
}

async fn check_generation(db: &mut SqliteConnection, lease: &LeaseState) -> Result<(), Fault> {
    let pair = PairRow::read(db, lease.pair_id.0).await?;
    if pair.generation == lease.generation.0 { Ok(()) } else { Err(Fault::LeaseLost { ours: lease.generation.0 }) }
}
