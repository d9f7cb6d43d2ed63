//! Jobs as an operator sees them: lists, counts, attempts, places in line.

use crate::error::DbError;
use crate::fault::Fault;
use crate::queue::Queue;
use crate::queue::decode::{Cells, STANDING, phase_of};
use crate::queue::filter::push_filter;
use crate::queue::jobs_model::{AttemptRow, JobCount, JobFilter, JobRow, PlaceInLine};
use crate::queue::rank::revision;
use mailhaul_queue::{AccountId, EndpointId, FailureClass, JobId, JobState, WaitReason, WaveId, WorkerId};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, QueryBuilder};

/// A row with the names of what it belongs to.
const LISTED: &str = "j.job_id, j.account_id, a.name, j.wave_id, w.name, l.source_endpoint_id, s.name, \
     l.target_endpoint_id, t.name, j.kind, j.phase, j.payload, j.priority, j.place, j.attempts, j.attempts_charged, \
     j.crashes, j.generation, j.worker_id, j.process, j.superseded, j.queued_at_ms, j.not_before_ms, \
     j.started_at_ms, j.finished_at_ms, j.words";

const JOINED: &str = "FROM job j JOIN account a ON a.account_id = j.account_id JOIN wave w ON w.wave_id = j.wave_id \
     JOIN lane l ON l.lane_id = j.lane_id JOIN endpoint s ON s.endpoint_id = l.source_endpoint_id \
     JOIN endpoint t ON t.endpoint_id = l.target_endpoint_id WHERE TRUE";

impl Queue {
    /// Jobs, by account name and number.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn jobs(&self, filter: JobFilter) -> Result<Vec<JobRow>, DbError> {
        let mut db = self.inner.reader.begin().await?;
        let mut sql = QueryBuilder::new(format!("SELECT {LISTED}, {STANDING} {JOINED}"));
        push_filter(&mut sql, &filter);
        if let Some((account, job)) = &filter.after {
            sql.push(" AND (a.name, j.job_id) > (").push_bind(account).push(", ").push_bind(job.0).push(")");
        }
        sql.push(" ORDER BY a.name, j.job_id LIMIT ").push_bind(filter.limit.map_or(-1, i64::from));
        sql.push(" OFFSET ").push_bind(filter.offset);
        let rows = sql.build().fetch_all(&mut *db).await.map_err(|error| self.inner.reader.fail(error.into()))?;
        let jobs: Result<Vec<_>, Fault> = rows.iter().map(job).collect();
        jobs.map_err(|fault| self.inner.reader.fail(fault))
    }

    /// Accounts of a wave whose latest job of these kinds came to its end under options or logins that have changed
    /// since.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn changed_since_done(&self, wave: WaveId, kinds: &[&str]) -> Result<Vec<AccountId>, DbError> {
        let mut db = self.inner.reader.begin().await?;
        let rows: Vec<i64> = sqlx::query_scalar(concat!(
            "SELECT a.account_id FROM account a JOIN wave w ON w.wave_id = a.wave_id \
                 JOIN lane l ON l.lane_id = a.lane_id \
                 JOIN endpoint s ON s.endpoint_id = l.source_endpoint_id \
                 JOIN endpoint t ON t.endpoint_id = l.target_endpoint_id \
                 JOIN job j ON j.job_id = (SELECT MAX(k.job_id) FROM job k WHERE k.account_id = a.account_id \
                     AND k.kind IN (SELECT value FROM json_each($2))) \
             WHERE a.wave_id = $1 AND j.state IN ('done', 'done_with_exceptions') \
               AND j.options_revision <> ",
            revision!(),
        ))
        .bind(wave.0)
        .bind(serde_json::json!(kinds).to_string())
        .fetch_all(&mut *db)
        .await
        .map_err(|error| self.inner.reader.fail(error.into()))?;
        Ok(rows.into_iter().map(AccountId).collect())
    }

    /// One job.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn find_job(&self, id: JobId) -> Result<Option<JobRow>, DbError> {
        let filter = JobFilter { job: Some(id), ..JobFilter::default() };
        Ok(self.jobs(filter).await?.pop())
    }

    /// Where a queued job stands; `None` if it is not in line.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn place_in_line(&self, id: JobId) -> Result<Option<PlaceInLine>, DbError> {
        let mut db = self.inner.reader.begin().await?;
        let row: Option<(i64, i64)> = sqlx::query_as(
            "SELECT COUNT(*) FILTER (WHERE (o.place, o.order_key, o.job_id) < (j.place, j.order_key, j.job_id)), \
                    COUNT(*) \
             FROM job j JOIN job o ON o.lane_id = j.lane_id AND o.phase = j.phase AND o.state = 'queued' \
             WHERE j.job_id = $1 AND j.state = 'queued' GROUP BY j.job_id",
        )
        .bind(id.0)
        .fetch_optional(&mut *db)
        .await
        .map_err(|error| self.inner.reader.fail(error.into()))?;
        Ok(row.map(|(before, all)| PlaceInLine { before: before.cast_unsigned(), all: all.cast_unsigned() }))
    }

    /// How many jobs stand where, the latest of each kind for each account; all waves if none is given.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn counts(&self, wave: Option<WaveId>) -> Result<Vec<JobCount>, DbError> {
        let mut sql = QueryBuilder::new(
            "SELECT j.kind, j.state, j.wait_reason, MIN(j.wait_until_ms), j.failure_class, COUNT(*) FROM job j \
             WHERE j.superseded = 0",
        );
        if let Some(wave) = wave {
            sql.push(" AND j.wave_id = ").push_bind(wave.0);
        }
        sql.push(" GROUP BY 1, 2, 3, 5, j.wait_until_ms IS NULL ORDER BY 1, 2, 3, 5, j.wait_until_ms IS NULL");
        let mut db = self.inner.reader.begin().await?;
        let rows = sql.build().fetch_all(&mut *db).await.map_err(|error| self.inner.reader.fail(error.into()))?;
        let counts: Result<Vec<_>, Fault> = rows.iter().map(count).collect();
        let mut merged: Vec<JobCount> = Vec::new();
        for one in counts.map_err(|fault| self.inner.reader.fail(fault))? {
            // Paused jobs are told apart by what they waited for; here they are the same.
            match merged.iter_mut().find(|other| other.kind == one.kind && other.state == one.state) {
                Some(other) => other.jobs += one.jobs,
                None => merged.push(one),
            }
        }
        Ok(merged)
    }

    /// The attempts of a job, the first one first.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn attempts(&self, id: JobId) -> Result<Vec<AttemptRow>, DbError> {
        let sql = format!(
            "SELECT number, worker_id, process, started_at_ms, ended_at_ms, outcome, failure_class, words, counts \
             FROM attempt WHERE job_id = {} ORDER BY number",
            id.0
        );
        self.read_all(AssertSqlSafe(sql), attempt).await
    }
}

fn job(row: &SqliteRow) -> Result<JobRow, Fault> {
    let mut cells = Cells::of(row, "job");
    let cells = &mut cells;
    Ok(JobRow {
        id: JobId(cells.take()?),
        account: AccountId(cells.take()?),
        account_name: cells.take()?,
        wave: WaveId(cells.take()?),
        wave_name: cells.take()?,
        source: EndpointId(cells.take()?),
        source_name: cells.take()?,
        target: EndpointId(cells.take()?),
        target_name: cells.take()?,
        kind: cells.take()?,
        phase: cells.word(phase_of)?,
        payload: cells.take()?,
        priority: cells.priority()?,
        place: cells.take()?,
        attempts: cells.number()?,
        attempts_charged: cells.number()?,
        crashes: cells.number()?,
        generation: cells.take()?,
        worker: cells.take::<Option<i64>>()?.map(WorkerId),
        process: cells.optional_number()?,
        superseded: cells.take()?,
        queued_unix_ms: cells.take()?,
        not_before_unix_ms: cells.take()?,
        started_unix_ms: cells.take()?,
        finished_unix_ms: cells.take()?,
        words: cells.take()?,
        state: JobState::Queued,
        wanted: None,
    }
    .with_state(cells.state()?))
}

impl JobRow {
    fn with_state(self, stored: crate::queue::decode::Stored) -> Self {
        Self { state: stored.state, wanted: stored.wanted, ..self }
    }
}

fn count(row: &SqliteRow) -> Result<JobCount, Fault> {
    let mut cells = Cells::of(row, "job");
    let kind = cells.take()?;
    let word: &str = cells.take()?;
    let reason = cells.optional_word(WaitReason::from_word)?;
    let until = cells.take()?;
    let class = cells.optional_word(FailureClass::from_word)?;
    let state = JobState::from_columns(word, reason, until, class).ok_or_else(|| cells.damaged())?;
    Ok(JobCount { kind, state, jobs: cells.number()? })
}

fn attempt(row: &SqliteRow) -> Result<AttemptRow, Fault> {
    let mut cells = Cells::of(row, "attempt");
    Ok(AttemptRow {
        number: cells.number()?,
        worker: WorkerId(cells.take()?),
        process: cells.number()?,
        started_unix_ms: cells.take()?,
        ended_unix_ms: cells.take()?,
        outcome: cells.take()?,
        failure_class: cells.optional_word(FailureClass::from_word)?,
        words: cells.take()?,
        counts: cells.take()?,
    })
}
