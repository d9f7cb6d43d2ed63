//! The queue's side of the file: servers, waves, accounts, jobs, and everything an operator does with them.
//!
//! ```text
//!  lists      endpoints  waves  accounts  import  secrets  preflights      what an operator keeps
//!  jobs       enqueue  jobs  filter  events  totals                        what is to be done, and how it stands
//!  control    control  bulk  rank                                          many jobs at once
//!  door       access                                                   who may use the page and the API
//!  store      tick: gates  claim  single  shown  workers                   what the engine asks
//! ```
//!
//! A [`Queue`] is made by [`Ledger::queue`](crate::Ledger::queue) and shares the file with the ledger, over a writing
//! connection of its own. Each verb is one transaction, and each change of a job leaves an event.

mod access;
mod accounts;
mod bulk;
mod change;
mod claim;
mod control;
mod decode;
mod endpoints;
mod enqueue;
mod events;
mod figures;
mod filter;
mod gates;
mod import;
mod jobs;
mod jobs_model;
mod model;
mod preflights;
mod rank;
mod secrets;
mod shown;
mod single;
mod tick;
mod totals;
mod waves;
mod workers;

pub use access::{AccessKind, AccessRow, NewAccess};
pub use figures::{AttemptFigure, JobFigure, Lane};
pub use jobs_model::{
    AttemptRow, EventFilter, EventRow, JobCount, JobFilter, JobRow, PlaceInLine, Totals, WaveTotals, WorkerRow,
};
pub use model::{
    AccountFilter, AccountRow, EndpointRow, HoldRow, ImportOutcome, NewAccount, NewEndpoint, NewWave, PreflightRow,
    SealedSecret, SecretOwner, SecretPlace, Subject, VaultRow, WaveOrder, WaveRow,
};
pub use workers::WorkerGuard;

use crate::error::{DbError, Doing};
use crate::fault::Fault;
use crate::read::Reader;
use change::Durability;
pub(crate) use change::Writing;
use mailhaul_queue::{Calendar, Clock, HostPolicy, RetryPolicy};
use sqlx::sqlite::SqliteRow;
use std::sync::{Arc, Mutex};

/// The queue in an open state file. Cheap to clone; all clones share one writing connection.
#[derive(Debug, Clone)]
pub struct Queue {
    inner: Arc<Inner>,
    who: Arc<str>,
    policy: Arc<RetryPolicy>,
    hosts: Arc<HostPolicy>,
}

#[derive(Debug)]
struct Inner {
    reader: Reader,
    /// `None` if the file was opened for reading only.
    writing: Option<Arc<Writing>>,
    clock: Arc<dyn Clock>,
    calendar: Calendar,
    counted: Mutex<Option<tick::Counted>>,
}

impl Queue {
    pub(crate) async fn open(
        reader: Reader,
        writing: Option<Writing>,
        clock: Arc<dyn Clock>,
        who: &str,
    ) -> Result<Self, DbError> {
        if writing.is_none() {
            refuse_old(&reader).await?;
        }
        let calendar = Calendar::of_this_machine();
        let writing = writing.map(Arc::new);
        let inner = Inner { reader, writing, clock, calendar, counted: Mutex::new(None) };
        let (policy, hosts) = (Arc::new(RetryPolicy::default()), Arc::new(HostPolicy::default()));
        Ok(Self { inner: Arc::new(inner), who: who.into(), policy, hosts })
    }

    /// The same queue, with the same writing connection, read over other connections.
    pub(crate) fn reading_over(&self, reader: Reader) -> Self {
        let Inner { writing, clock, .. } = &*self.inner;
        let (writing, clock) = (writing.clone(), Arc::clone(clock));
        let inner = Inner { reader, writing, clock, calendar: Calendar::of_this_machine(), counted: Mutex::new(None) };
        Self { inner: Arc::new(inner), ..self.clone() }
    }

    /// The same queue for somebody else: `who` stands in its events.
    #[must_use]
    pub fn on_behalf_of(&self, who: &str) -> Self {
        Self { who: who.into(), ..self.clone() }
    }

    /// The same queue with another way to follow up failures.
    #[must_use]
    pub fn with_policy(&self, policy: RetryPolicy) -> Self {
        Self { policy: Arc::new(policy), ..self.clone() }
    }

    /// The same queue with another way to treat hosts.
    #[must_use]
    pub fn with_host_policy(&self, policy: HostPolicy) -> Self {
        Self { hosts: Arc::new(policy), ..self.clone() }
    }

    /// Closes the writing connection for all clones, so that SQLite can tidy up behind the last one. It is opened
    /// again should somebody write. Call it before [`Ledger::close`](crate::Ledger::close).
    ///
    /// # Errors
    /// If SQLite cannot close it.
    pub async fn close(&self) -> Result<(), DbError> {
        match &self.inner.writing {
            Some(writing) => writing.close().await.map_err(|fault| self.fail(fault)),
            None => Ok(()),
        }
    }

    /// Rows of a query without arguments, each made into what it means.
    async fn read_all<T>(
        &self,
        sql: impl sqlx::SqlSafeStr,
        read: impl Fn(&SqliteRow) -> Result<T, Fault>,
    ) -> Result<Vec<T>, DbError> {
        let mut db = self.inner.reader.begin().await?;
        let rows = sqlx::query(sql).fetch_all(&mut *db).await.map_err(|error| self.inner.reader.fail(error.into()))?;
        let read: Result<Vec<T>, Fault> = rows.iter().map(read).collect();
        read.map_err(|fault| self.inner.reader.fail(fault))
    }

    /// Empties the write-ahead log, in which wiped secrets may still stand. A reader that looks at an old version of
    /// the file can prevent it for a while; then the log is emptied when the file is closed, or by the next wiping.
    async fn empty_log(&self) {
        let emptied = async {
            let writing = self.writing()?;
            let mut open = writing.lock(Durability::Synced).await.map_err(|fault| self.fail(fault))?;
            change::empty_log(&mut open).await.map_err(|fault| self.fail(fault))
        };
        match emptied.await {
            Ok(true) => {}
            Ok(false) => tracing::warn!("the write-ahead log could not be emptied yet: somebody reads the file"),
            Err(error) => tracing::warn!(%error, "the write-ahead log could not be emptied yet"),
        }
    }
}

/// A file that only an earlier version has written holds no queue, and reading does not make one.
async fn refuse_old(reader: &Reader) -> Result<(), DbError> {
    let mut db = reader.begin().await?;
    let tables: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name = 'job'")
        .fetch_one(&mut *db)
        .await
        .map_err(|error| reader.fail(error.into()))?;
    if tables == 0 { Err(DbError::NoQueue(Doing::new("read", reader.path()))) } else { Ok(()) }
}
