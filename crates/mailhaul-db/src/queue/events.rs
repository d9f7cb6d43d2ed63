//! Who changed what, when and why: written with every change, read by anybody.

use crate::error::DbError;
use crate::fault::Fault;
use crate::queue::Queue;
use crate::queue::change::Change;
use crate::queue::decode::Cells;
use crate::queue::jobs_model::{EventFilter, EventRow};
use crate::queue::model::Subject;
use mailhaul_queue::{AccountId, EndpointId, JobId, JobState, WaveId};
use sqlx::QueryBuilder;
use sqlx::sqlite::SqliteRow;

/// How many events are listed when nobody says.
const LISTED: u32 = 1_000;

impl Change<'_> {
    /// An event that is not about a job.
    pub(super) async fn note(&mut self, what: &str, subject: Subject, why: &str) -> Result<(), Fault> {
        let (endpoint, wave, account, job) = match subject {
            Subject::Everything => (None, None, None, None),
            Subject::Endpoint(id) => (Some(id.0), None, None, None),
            Subject::Wave(id) => (None, Some(id.0), None, None),
            Subject::Account(id) => (None, None, Some(id.0), None),
            Subject::Job(id) => (None, None, None, Some(id.0)),
        };
        let (at_ms, who) = (self.now.unix_ms, self.who());
        sqlx::query(
            "INSERT INTO event (at_ms, who, what, endpoint_id, wave_id, account_id, job_id, why) \
             VALUES ($1, $2, $3, $4, $5, COALESCE($6, (SELECT account_id FROM job WHERE job_id = $7)), $7, $8)",
        )
        .bind(at_ms)
        .bind(who)
        .bind(what)
        .bind(endpoint)
        .bind(wave)
        .bind(account)
        .bind(job)
        .bind(why)
        .execute(self.db())
        .await?;
        Ok(())
    }

    /// The change of one job.
    pub(super) async fn note_job(
        &mut self,
        what: &str,
        (account, job): (AccountId, JobId),
        from: &JobState,
        to: &JobState,
        why: &str,
    ) -> Result<(), Fault> {
        let (at_ms, who) = (self.now.unix_ms, self.who());
        sqlx::query(
            "INSERT INTO event (at_ms, who, what, account_id, job_id, from_state, to_state, why) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(at_ms)
        .bind(who)
        .bind(what)
        .bind(account.0)
        .bind(job.0)
        .bind(from.word())
        .bind(to.word())
        .bind(why)
        .execute(self.db())
        .await?;
        Ok(())
    }
}

impl Queue {
    /// What happened, the latest last; a thousand of them unless the filter says otherwise.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn events(&self, filter: EventFilter) -> Result<Vec<EventRow>, DbError> {
        let mut db = self.inner.reader.begin().await?;
        let mut sql = QueryBuilder::new(
            "SELECT event_id, at_ms, who, what, endpoint_id, wave_id, account_id, job_id, from_state, to_state, why, \
                    (SELECT a.name FROM account a WHERE a.account_id = event.account_id) \
             FROM event WHERE event_id > ",
        );
        sql.push_bind(filter.after.unwrap_or(0));
        if let Some(account) = filter.account {
            sql.push(" AND account_id = ").push_bind(account.0);
        }
        if let Some(job) = filter.job {
            sql.push(" AND job_id = ").push_bind(job.0);
            // The index is by account.
            sql.push(" AND account_id = (SELECT account_id FROM job WHERE job_id = ").push_bind(job.0).push(")");
        }
        if let Some(wave) = filter.wave {
            sql.push(" AND wave_id = ").push_bind(wave.0);
        }
        if let Some(endpoint) = filter.endpoint {
            sql.push(" AND endpoint_id = ").push_bind(endpoint.0);
        }
        let order = if filter.oldest_first { "ASC" } else { "DESC" };
        sql.push(" ORDER BY event_id ").push(order).push(" LIMIT ").push_bind(filter.limit.unwrap_or(LISTED));
        let mut rows = sql.build().fetch_all(&mut *db).await.map_err(|error| self.inner.reader.fail(error.into()))?;
        if !filter.oldest_first {
            rows.reverse();
        }
        let events: Result<Vec<_>, Fault> = rows.iter().map(event).collect();
        events.map_err(|fault| self.inner.reader.fail(fault))
    }
}

fn event(row: &SqliteRow) -> Result<EventRow, Fault> {
    let mut cells = Cells::of(row, "event");
    let (id, at_unix_ms, who, what) = (cells.take()?, cells.take()?, cells.take()?, cells.take()?);
    let endpoint = cells.take::<Option<i64>>()?.map(|id| Subject::Endpoint(EndpointId(id)));
    let wave = cells.take::<Option<i64>>()?.map(|id| Subject::Wave(WaveId(id)));
    let account = cells.take::<Option<i64>>()?.map(AccountId);
    let job = cells.take::<Option<i64>>()?.map(|id| Subject::Job(JobId(id)));
    let subject = job.or(account.map(Subject::Account)).or(wave).or(endpoint).unwrap_or(Subject::Everything);
    let (from_state, to_state, why) = (cells.take()?, cells.take()?, cells.take()?);
    let account_name = cells.take()?;
    Ok(EventRow { id, at_unix_ms, who, what, subject, account, account_name, from_state, to_state, why })
}
