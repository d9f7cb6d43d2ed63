//! One transaction of the queue: its connection, who makes it, and when.
//!
//! Writers of one process take turns at one connection. What operators do, and the ends of attempts, are synced to the
//! disk before anybody is told; claims and renewals are not, because a power failure ends every lease anyway.

use crate::error::{DbError, Doing};
use crate::fault::Fault;
use crate::queue::Queue;
use crate::turns::{Turn, Turns};
use mailhaul_queue::{HostPolicy, Now, RetryPolicy, WorkerId};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Sqlite, Transaction};
use tokio::sync::{Mutex, MutexGuard};

/// Statements that stay prepared. The queue has about a hundred and fifty.
const STATEMENTS_MAX: usize = 256;

/// Whether a commit waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// It does.
    Synced,
    /// The next one that does takes it along.
    Soon,
}

/// The writing connection, opened when it is first needed.
#[derive(Debug)]
pub(crate) struct Writing {
    options: SqliteConnectOptions,
    turns: Turns,
    state: Mutex<Option<Open>>,
}

#[derive(Debug)]
pub(super) struct Open {
    db: SqliteConnection,
    durability: Durability,
    turns: Turns,
}

impl Writing {
    pub(crate) fn new(options: SqliteConnectOptions, turns: Turns) -> Self {
        let options = options
            .statement_cache_capacity(STATEMENTS_MAX)
            // What was a password must not stay readable in pages that are free again.
            .pragma("secure_delete", "ON")
            .pragma("temp_store", "MEMORY")
            .pragma("synchronous", "FULL");
        Self { options, turns, state: Mutex::new(None) }
    }

    /// The connection, for as long as the guard lives.
    pub(super) async fn lock(&self, durability: Durability) -> Result<MutexGuard<'_, Option<Open>>, Fault> {
        let mut state = self.state.lock().await;
        let open = match state.as_mut() {
            Some(open) => open,
            None => {
                let (db, turns) = (self.open().await?, self.turns.clone());
                state.insert(Open { db, durability: Durability::Synced, turns })
            }
        };
        if open.durability != durability {
            let pragma = match durability {
                Durability::Synced => "PRAGMA synchronous = FULL",
                Durability::Soon => "PRAGMA synchronous = NORMAL",
            };
            sqlx::query(pragma).execute(&mut open.db).await?;
            open.durability = durability;
        }
        Ok(state)
    }

    async fn open(&self) -> Result<SqliteConnection, Fault> {
        let mut db = self.options.connect().await?;
        // The jobs that a bulk change is about.
        sqlx::query("CREATE TEMP TABLE touched (job_id INTEGER PRIMARY KEY)").execute(&mut db).await?;
        Ok(db)
    }

    /// Closes the connection, so that SQLite can tidy up behind the last one.
    pub(super) async fn close(&self) -> Result<(), Fault> {
        match self.state.lock().await.take() {
            Some(open) => Ok(open.db.close().await?),
            None => Ok(()),
        }
    }
}

/// Copies the write-ahead log into the file and cuts it to nothing; `false` if somebody still reads from it.
pub(super) async fn empty_log(open: &mut Option<Open>) -> Result<bool, Fault> {
    let Some(open) = open else {
        return Ok(true);
    };
    let _turn = open.turns.take().await;
    let busy: i64 = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut open.db).await?;
    Ok(busy == 0)
}

/// A transaction that writes. What is not committed did not happen.
pub(super) struct Change<'c> {
    tx: Transaction<'c, Sqlite>,
    /// Who makes it, unless a worker does.
    operator: &'c str,
    /// The worker that makes it.
    pub(super) worker: Option<WorkerId>,
    /// When it is made.
    pub(super) now: Now,
    /// How failures are followed up.
    pub(super) policy: &'c RetryPolicy,
    /// How hosts are treated.
    pub(super) hosts: &'c HostPolicy,
    /// Last, so that it ends after the transaction.
    _turn: Turn,
}

impl<'c> Change<'c> {
    pub(super) async fn begin(
        open: &'c mut Option<Open>,
        operator: &'c str,
        now: Now,
        (policy, hosts): (&'c RetryPolicy, &'c HostPolicy),
    ) -> Result<Self, Fault> {
        let open = open.as_mut().ok_or_else(|| Fault::Internal("the queue was closed".to_owned()))?;
        let turn = open.turns.take().await;
        let tx = open.db.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Self { tx, operator, worker: None, now, policy, hosts, _turn: turn })
    }

    pub(super) async fn commit(self) -> Result<(), Fault> {
        Ok(self.tx.commit().await?)
    }

    /// Who stands in the events.
    pub(super) fn who(&self) -> String {
        self.worker.map_or_else(|| self.operator.to_owned(), |worker| format!("worker {worker}"))
    }

    /// The connection within the transaction.
    pub(super) fn db(&mut self) -> &mut SqliteConnection {
        &mut self.tx
    }
}

impl Queue {
    /// Refuses where the file was opened for reading only.
    pub(super) fn writing(&self) -> Result<&Writing, DbError> {
        self.inner.writing.as_deref().ok_or_else(|| {
            let reason = "it was opened for reading only".to_owned();
            DbError::NoAccess { doing: Doing::new("write to", self.inner.reader.path()), reason }
        })
    }

    /// The error of a write.
    pub(super) fn fail(&self, fault: Fault) -> DbError {
        self.inner.reader.fail_while("write to", fault)
    }
}

/// Runs one transaction: `write!(queue, change => change.verb(arguments))`.
macro_rules! write {
    ($queue:expr, $change:ident => $work:expr) => {
        $crate::queue::change::write!($queue, $crate::queue::change::Durability::Synced,
            $queue.inner.clock.now(), $change => $work)
    };
    ($queue:expr, $durability:expr, $now:expr, $change:ident => $work:expr) => {{
        let queue: &$crate::queue::Queue = $queue;
        let now = $now;
        let writing = queue.writing()?;
        let mut open = writing.lock($durability).await.map_err(|fault| queue.fail(fault))?;
        let done = async {
            let policies = (&*queue.policy, &*queue.hosts);
            let mut $change = $crate::queue::change::Change::begin(&mut open, &queue.who, now, policies).await?;
            let done = $work.await?;
            $change.commit().await?;
            Ok::<_, $crate::fault::Fault>(done)
        }
        .await;
        if let Err($crate::fault::Fault::Sql(_)) = done {
            // SQLite may have taken the transaction back by itself. The driver does not know of it, and begins none on
            // this connection again.
            *open = None;
        }
        done.map_err(|fault| queue.fail(fault))
    }};
}
pub(super) use write;
