//! What an operator says to many jobs at once: pause, resume, cancel, try again.
//!
//! A pause is a row of `hold`, and what it covers is paused: at once, when it is queued later, and until no other
//! pause covers it any more.

use crate::error::DbError;
use crate::fault::Fault;
use crate::queue::Queue;
use crate::queue::change::{Change, write};
use crate::queue::decode::Cells;
use crate::queue::filter::push_filter;
use crate::queue::jobs_model::JobFilter;
use crate::queue::model::{HoldRow, Subject};
use mailhaul_queue::{AccountId, EndpointId, Event, JobId, WaveId};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, QueryBuilder};

impl Queue {
    /// Pauses everything that the subject covers, also what is queued later. How many jobs it concerned.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn pause(&self, subject: Subject, why: &str) -> Result<u64, DbError> {
        write!(self, change => change.pause(subject, why))
    }

    /// Pauses many accounts at once, in a handful of statements.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn pause_accounts(&self, accounts: &[AccountId], why: &str) -> Result<u64, DbError> {
        write!(self, change => change.pause_accounts(accounts, why))
    }

    /// Takes the pauses of many accounts back at once.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn resume_accounts(&self, accounts: &[AccountId]) -> Result<u64, DbError> {
        write!(self, change => change.resume_accounts(accounts))
    }

    /// Takes a pause back. How many jobs go on: those that no other pause covers.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn resume(&self, subject: Subject) -> Result<u64, DbError> {
        write!(self, change => change.resume(subject))
    }

    /// Cancels jobs that are not over. How many it concerned; a running one has ended when its worker has put it down.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn cancel(&self, filter: JobFilter, why: &str) -> Result<u64, DbError> {
        write!(self, change => change.cancel(&filter, why))
    }

    /// Cancels jobs in whose place others are about to be queued: they are history at once, and count nowhere as
    /// something that an operator has stopped.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn withdraw(&self, filter: JobFilter, why: &str) -> Result<u64, DbError> {
        write!(self, change => change.withdraw(&filter, why))
    }

    /// Gives jobs that ended without being done, or wait for somebody or for their next attempt, another try. How many
    /// it concerned; of several jobs of a kind for one account, only the latest.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn retry(&self, filter: JobFilter) -> Result<u64, DbError> {
        write!(self, change => change.retry(&filter))
    }

    /// All pauses.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn holds(&self) -> Result<Vec<HoldRow>, DbError> {
        self.read_all("SELECT scope, subject_id, who, why, at_ms FROM hold ORDER BY at_ms, scope, subject_id", hold)
            .await
    }

    /// Pauses of everything, of endpoints and of waves: few, however many accounts are paused one by one.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn wide_holds(&self) -> Result<Vec<HoldRow>, DbError> {
        self.read_all(
            "SELECT scope, subject_id, who, why, at_ms FROM hold WHERE scope IN ('everything', 'endpoint', 'wave') \
             ORDER BY at_ms, scope, subject_id",
            hold,
        )
        .await
    }

    /// The pauses of these subjects themselves, and of jobs of these accounts; so many at most.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn holds_of(&self, subjects: &[Subject], most: u32) -> Result<Vec<HoldRow>, DbError> {
        let wanted: Vec<(&str, i64)> = subjects.iter().map(|subject| columns(*subject)).collect();
        let mut db = self.inner.reader.begin().await?;
        let rows = sqlx::query(
            "SELECT h.scope, h.subject_id, h.who, h.why, h.at_ms FROM json_each($1) w \
             CROSS JOIN hold h ON h.scope = w.value ->> 0 AND h.subject_id = w.value ->> 1 \
             UNION SELECT h.scope, h.subject_id, h.who, h.why, h.at_ms FROM hold h \
             CROSS JOIN job j ON j.job_id = h.subject_id \
             CROSS JOIN json_each($1) w ON w.value ->> 0 = 'account' AND w.value ->> 1 = j.account_id \
             WHERE h.scope = 'job' LIMIT $2",
        )
        .bind(serde_json::json!(wanted).to_string())
        .bind(most)
        .fetch_all(&mut *db)
        .await
        .map_err(|error| self.inner.reader.fail(error.into()))?;
        rows.iter().map(hold).collect::<Result<_, _>>().map_err(|fault| self.inner.reader.fail(fault))
    }
}

impl Change<'_> {
    async fn pause_accounts(&mut self, accounts: &[AccountId], why: &str) -> Result<u64, Fault> {
        let (ids, now, who) = (ids_of(accounts), self.now.unix_ms, self.who());
        sqlx::query(
            "INSERT INTO hold (scope, subject_id, who, why, at_ms) SELECT 'account', value, $2, $3, $4 \
             FROM json_each($1) WHERE TRUE \
             ON CONFLICT (scope, subject_id) DO UPDATE SET who = excluded.who, why = excluded.why, \
                 at_ms = excluded.at_ms",
        )
        .bind(&ids)
        .bind(who)
        .bind(why)
        .bind(now)
        .execute(self.db())
        .await?;
        self.note_accounts("pause", &ids, why).await?;
        self.touch_accounts(&ids).await?;
        self.apply_to_touched(&Event::Pause, why).await
    }

    async fn resume_accounts(&mut self, accounts: &[AccountId]) -> Result<u64, Fault> {
        let gone: Vec<i64> = sqlx::query_scalar(
            "DELETE FROM hold WHERE scope = 'account' AND subject_id IN (SELECT value FROM json_each($1)) \
             RETURNING subject_id",
        )
        .bind(ids_of(accounts))
        .fetch_all(self.db())
        .await?;
        if gone.is_empty() {
            return Ok(0);
        }
        let ids = serde_json::json!(gone).to_string();
        self.note_accounts("resume", &ids, "").await?;
        self.touch_accounts(&ids).await?;
        self.apply_to_touched(&Event::Resume, "").await
    }

    /// An event for each of these accounts.
    async fn note_accounts(&mut self, what: &str, ids: &str, why: &str) -> Result<(), Fault> {
        let (now, who) = (self.now.unix_ms, self.who());
        sqlx::query(
            "INSERT INTO event (at_ms, who, what, account_id, why) SELECT $2, $3, $4, value, $5 FROM json_each($1)",
        )
        .bind(ids)
        .bind(now)
        .bind(who)
        .bind(what)
        .bind(why)
        .execute(self.db())
        .await?;
        Ok(())
    }

    /// The open jobs of these accounts.
    async fn touch_accounts(&mut self, ids: &str) -> Result<(), Fault> {
        self.touch_none().await?;
        let sql = format!(
            "INSERT INTO temp.touched (job_id) SELECT job_id FROM job \
             WHERE account_id IN (SELECT value FROM json_each($1)) AND {OPEN}"
        );
        sqlx::query(AssertSqlSafe(sql)).bind(ids).execute(self.db()).await?;
        Ok(())
    }

    async fn pause(&mut self, subject: Subject, why: &str) -> Result<u64, Fault> {
        let (scope, id) = columns(subject);
        let (now, who) = (self.now.unix_ms, self.who());
        sqlx::query(
            "INSERT INTO hold (scope, subject_id, who, why, at_ms) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (scope, subject_id) DO UPDATE SET who = excluded.who, why = excluded.why, \
                 at_ms = excluded.at_ms",
        )
        .bind(scope)
        .bind(id)
        .bind(who)
        .bind(why)
        .bind(now)
        .execute(self.db())
        .await?;
        self.note("pause", subject, why).await?;
        self.touch_subject(subject).await?;
        self.apply_to_touched(&Event::Pause, why).await
    }

    async fn resume(&mut self, subject: Subject) -> Result<u64, Fault> {
        let (scope, id) = columns(subject);
        let gone = sqlx::query("DELETE FROM hold WHERE scope = $1 AND subject_id = $2")
            .bind(scope)
            .bind(id)
            .execute(self.db())
            .await?;
        if gone.rows_affected() == 0 {
            return Ok(0);
        }
        self.note("resume", subject, "").await?;
        self.touch_subject(subject).await?;
        self.apply_to_touched(&Event::Resume, "").await
    }

    async fn cancel(&mut self, filter: &JobFilter, why: &str) -> Result<u64, Fault> {
        self.touch_filter(filter, "j.state NOT IN ('done', 'done_with_exceptions', 'failed', 'cancelled')").await?;
        let concerned = self.apply_to_touched(&Event::Cancel, why).await?;
        // A pause of a job that is over covers nothing.
        sqlx::query(
            "DELETE FROM hold WHERE scope = 'job' AND subject_id IN \
                 (SELECT t.job_id FROM temp.touched t CROSS JOIN job j ON j.job_id = t.job_id \
                  WHERE j.state = 'cancelled')",
        )
        .execute(self.db())
        .await?;
        Ok(concerned)
    }

    async fn withdraw(&mut self, filter: &JobFilter, why: &str) -> Result<u64, Fault> {
        let concerned = self.cancel(filter, why).await?;
        sqlx::query(
            "UPDATE job SET superseded = 1 WHERE state = 'cancelled' AND job_id IN (SELECT job_id FROM temp.touched)",
        )
        .execute(self.db())
        .await?;
        Ok(concerned)
    }

    async fn retry(&mut self, filter: &JobFilter) -> Result<u64, Fault> {
        // An older job of the same kind stays what it was: the later one is the one that counts.
        self.touch_filter(filter, "j.superseded = 0 AND j.state NOT IN ('queued', 'running', 'done')").await?;
        let concerned = self.apply_to_touched(&Event::Retry, "").await?;
        // What waits on was not concerned, and keeps the place that it has.
        sqlx::query("DELETE FROM temp.touched WHERE job_id IN (SELECT job_id FROM job WHERE state = 'waiting')")
            .execute(self.db())
            .await?;
        self.rank_touched().await?;
        Ok(concerned)
    }

    /// The open jobs that a subject covers.
    pub(super) async fn touch_subject(&mut self, subject: Subject) -> Result<(), Fault> {
        self.touch_none().await?;
        let covered = match subject {
            Subject::Everything => "$1 = 0",
            Subject::Endpoint(_) => {
                "lane_id IN (SELECT lane_id FROM lane WHERE $1 IN (source_endpoint_id, target_endpoint_id))"
            }
            Subject::Wave(_) => "wave_id = $1",
            Subject::Account(_) => "account_id = $1",
            Subject::Job(_) => "job_id = $1",
        };
        let sql = format!("INSERT INTO temp.touched (job_id) SELECT job_id FROM job WHERE {covered} AND {OPEN}");
        sqlx::query(AssertSqlSafe(sql)).bind(columns(subject).1).execute(self.db()).await?;
        Ok(())
    }

    async fn touch_filter(&mut self, filter: &JobFilter, states: &str) -> Result<(), Fault> {
        self.touch_none().await?;
        let mut sql = QueryBuilder::new("INSERT INTO temp.touched (job_id) SELECT j.job_id FROM job j WHERE ");
        sql.push(states);
        push_filter(&mut sql, filter);
        sql.build().execute(self.db()).await?;
        Ok(())
    }
}

/// Jobs that a pause can stop.
const OPEN: &str = "superseded = 0 AND state NOT IN ('done', 'done_with_exceptions', 'failed', 'cancelled')";

/// Numbers as one argument, however many there are.
fn ids_of(accounts: &[AccountId]) -> String {
    let ids: Vec<i64> = accounts.iter().map(|id| id.0).collect();
    serde_json::json!(ids).to_string()
}

/// Scope and number of a subject, as columns.
fn columns(subject: Subject) -> (&'static str, i64) {
    match subject {
        Subject::Everything => ("everything", 0),
        Subject::Endpoint(id) => ("endpoint", id.0),
        Subject::Wave(id) => ("wave", id.0),
        Subject::Account(id) => ("account", id.0),
        Subject::Job(id) => ("job", id.0),
    }
}

fn hold(row: &SqliteRow) -> Result<HoldRow, Fault> {
    let mut cells = Cells::of(row, "hold");
    let scope: &str = cells.take()?;
    let id = cells.take()?;
    let subject = match scope {
        "everything" => Subject::Everything,
        "endpoint" => Subject::Endpoint(EndpointId(id)),
        "wave" => Subject::Wave(WaveId(id)),
        "account" => Subject::Account(AccountId(id)),
        "job" => Subject::Job(JobId(id)),
        _ => return Err(cells.damaged()),
    };
    Ok(HoldRow { subject, who: cells.take()?, why: cells.take()?, at_unix_ms: cells.take()? })
}
