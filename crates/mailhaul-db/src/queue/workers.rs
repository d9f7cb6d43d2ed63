//! Processes that work: a row each, and a lock on a file of their own for as long as they live.
//!
//! The lock tells the truth at once, also about a process that was killed; the row tells who it was. Somebody else's
//! lock that is free means that its process is gone, and its jobs are anybody's without waiting.

use crate::error::DbError;
use crate::fault::Fault;
use crate::files::{self, Life};
use crate::queue::Queue;
use crate::queue::change::{Change, write};
use crate::queue::decode::Cells;
use crate::queue::jobs_model::WorkerRow;
use crate::queue::model::Subject;
use mailhaul_queue::WorkerId;
use sqlx::sqlite::SqliteRow;
use std::fs::File;
use std::path::Path;

/// A row whose lock cannot be asked (somebody tidied up the lock files) is forgotten after this time without a sign
/// of life. Its jobs go by their leases.
const FORGOTTEN_AFTER_MS: i64 = 600_000;
/// How often a worker signs its row, at most.
pub(super) const SIGNED_EVERY_MS: i64 = 10_000;
/// What the event of a worker's death is called.
const DEATH: &str = "worker_died";
/// Deaths further back than so many events are not counted.
const EVENTS_LOOKED_THROUGH: i64 = 20_000;

/// A process that is known to work, for as long as this is held. Dropping it is what dying does: the next one who
/// looks takes its jobs over.
#[derive(Debug)]
pub struct WorkerGuard {
    id: WorkerId,
    queue: Queue,
    lock: Option<File>,
}

impl WorkerGuard {
    /// The worker's number.
    #[must_use]
    pub fn id(&self) -> WorkerId {
        self.id
    }

    /// Takes the worker off the list. Jobs that it still has are anybody's from now on.
    ///
    /// # Errors
    /// If nothing can be written.
    pub async fn close(mut self) -> Result<(), DbError> {
        let (id, queue) = (self.id, self.queue.clone());
        write!(&queue, change => change.forget_worker(id, queue.inner.reader.path()))?;
        self.lock = None;
        files::remove_worker_lock(queue.inner.reader.path(), id.0);
        Ok(())
    }
}

impl Queue {
    /// Enters this process as a worker. `what` is for people: `run`, `serve`.
    ///
    /// # Errors
    /// If nothing can be written.
    pub async fn register(&self, what: &str) -> Result<WorkerGuard, DbError> {
        let path = self.inner.reader.path();
        let boot_id = self.inner.clock.boot_id();
        let (id, lock) = write!(self, change => change.register(what, &boot_id, path))?;
        Ok(WorkerGuard { id, queue: self.clone(), lock: Some(lock) })
    }

    /// How many workers were found dead since this moment: ended without taking themselves off the list.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn deaths_since(&self, unix_ms: i64) -> Result<u64, DbError> {
        let mut db = self.inner.reader.begin().await?;
        let deaths: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM (SELECT what, at_ms FROM event ORDER BY event_id DESC LIMIT $1) \
             WHERE what = $2 AND at_ms >= $3",
        )
        .bind(EVENTS_LOOKED_THROUGH)
        .bind(DEATH)
        .bind(unix_ms)
        .fetch_one(&mut *db)
        .await
        .map_err(|error| self.inner.reader.fail(error.into()))?;
        Ok(deaths.cast_unsigned())
    }

    /// The workers that live.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn workers(&self) -> Result<Vec<WorkerRow>, DbError> {
        let rows = self
            .read_all(
                "SELECT w.worker_id, w.boot_id, w.process, w.what, w.started_at_ms, w.seen_at_ms, \
                        (SELECT COUNT(*) FROM job j WHERE j.state = 'running' AND j.worker_id = w.worker_id) \
                 FROM worker w ORDER BY w.worker_id",
                worker,
            )
            .await?;
        let boot_id = self.inner.clock.boot_id();
        let path = self.inner.reader.path();
        let lives = |(boot, row): &(String, WorkerRow)| {
            **boot == *boot_id && files::life_of_worker(path, row.id.0) != Life::Gone
        };
        Ok(rows.into_iter().filter(lives).map(|(_, row)| row).collect())
    }
}

impl Change<'_> {
    /// The row becomes visible to others only after its lock is held.
    async fn register(&mut self, what: &str, boot_id: &str, state_file: &Path) -> Result<(WorkerId, File), Fault> {
        let now = self.now.unix_ms;
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO worker (process, boot_id, what, started_at_ms, seen_at_ms) \
             VALUES ($1, $2, $3, $4, $4) RETURNING worker_id",
        )
        .bind(std::process::id())
        .bind(boot_id)
        .bind(what)
        .bind(now)
        .fetch_one(self.db())
        .await?;
        let lock = files::lock_worker(state_file, id).map_err(|error| Fault::Sql(error.into()))?;
        let lock = lock.ok_or_else(|| Fault::Internal(format!("the lock of worker {id} is taken")))?;
        // Whoever begins takes up first what the dead have left.
        self.bury_workers(WorkerId(id), boot_id, state_file).await?;
        Ok((WorkerId(id), lock))
    }

    /// Signs the worker's row.
    pub(super) async fn sign(&mut self, worker: WorkerId) -> Result<(), Fault> {
        let now = self.now.unix_ms;
        sqlx::query("UPDATE worker SET seen_at_ms = $2 WHERE worker_id = $1")
            .bind(worker.0)
            .bind(now)
            .execute(self.db())
            .await?;
        Ok(())
    }

    /// Takes over from workers that are gone. How many live, the one that asks included.
    pub(super) async fn bury_workers(
        &mut self,
        myself: WorkerId,
        boot_id: &str,
        state_file: &Path,
    ) -> Result<u32, Fault> {
        let rows: Vec<(i64, String, i64)> =
            sqlx::query_as("SELECT worker_id, boot_id, seen_at_ms FROM worker WHERE worker_id <> $1")
                .bind(myself.0)
                .fetch_all(self.db())
                .await?;
        let mut alive = 1;
        for (id, boot, seen) in rows {
            let forgotten = self.now.unix_ms - seen > FORGOTTEN_AFTER_MS;
            let life = if *boot == *boot_id { files::life_of_worker(state_file, id) } else { Life::Gone };
            match life {
                Life::Gone => {
                    self.note(DEATH, Subject::Everything, &format!("worker {id} ended without a word")).await?;
                    self.forget_worker(WorkerId(id), state_file).await?;
                }
                Life::Unknown if forgotten => self.forget_worker(WorkerId(id), state_file).await?,
                Life::Lives | Life::Unknown => alive += 1,
            }
        }
        Ok(alive)
    }

    async fn forget_worker(&mut self, worker: WorkerId, state_file: &Path) -> Result<(), Fault> {
        let jobs: Vec<i64> = sqlx::query_scalar("SELECT job_id FROM job WHERE state = 'running' AND worker_id = $1")
            .bind(worker.0)
            .fetch_all(self.db())
            .await?;
        for job in jobs {
            self.orphan(job, None, "its worker is gone").await?;
        }
        sqlx::query("DELETE FROM worker WHERE worker_id = $1").bind(worker.0).execute(self.db()).await?;
        files::remove_worker_lock(state_file, worker.0);
        Ok(())
    }
}

fn worker(row: &SqliteRow) -> Result<(String, WorkerRow), Fault> {
    let mut cells = Cells::of(row, "worker");
    let (id, boot) = (WorkerId(cells.take()?), cells.take()?);
    let row = WorkerRow {
        id,
        process: cells.number()?,
        what: cells.take()?,
        started_unix_ms: cells.take()?,
        seen_unix_ms: cells.take()?,
        running: cells.number()?,
    };
    Ok((boot, row))
}
