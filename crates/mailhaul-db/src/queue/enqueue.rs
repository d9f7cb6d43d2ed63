//! New jobs, any number of them in a few statements.

use crate::error::DbError;
use crate::fault::Fault;
use crate::queue::Queue;
use crate::queue::bulk::covered;
use crate::queue::change::{Change, write};
use crate::queue::decode::phase_word;
use crate::queue::rank::{order_key, place};
use mailhaul_queue::NewJob;
use serde_json::json;

impl Queue {
    /// Queues jobs. Where an open job of the same kind exists for the account, nothing is added. How many are new.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<u64, DbError> {
        write!(self, change => change.enqueue(&jobs, ""))
    }
}

impl Change<'_> {
    /// Adds jobs. `why` stands in their events.
    pub(super) async fn enqueue(&mut self, jobs: &[NewJob], why: &str) -> Result<u64, Fault> {
        if jobs.is_empty() {
            return Ok(0);
        }
        let before: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'job'")
            .fetch_one(self.db())
            .await?;
        let list = jobs
            .iter()
            .map(|job| json!([job.account.0, job.kind, phase_word(job.phase), job.payload, job.not_before_unix_ms]));
        let list = serde_json::Value::Array(list.collect()).to_string();
        self.supersede(&list).await?;
        let added = self.insert_jobs(&list).await?;
        if added > 0 {
            self.note_new(before, why).await?;
        }
        Ok(added)
    }

    async fn insert_jobs(&mut self, list: &str) -> Result<u64, Fault> {
        // A moment before which a job may not start is waited for as any other.
        const SQL: &str = concat!(
            "INSERT INTO job (account_id, wave_id, lane_id, kind, phase, payload, state, wait_reason, wait_until_ms, \
                 gated, priority, place, order_key, attempts, attempts_charged, crashes, generation, \
                 options_revision, superseded, queued_at_ms, not_before_ms, words) \
             SELECT j.account_id, j.wave_id, j.lane_id, j.kind, j.phase, j.payload, \
                    CASE WHEN ",
            covered!(),
            " THEN 'paused' WHEN j.not_before_ms > $2 THEN 'waiting' ELSE 'queued' END, \
                    CASE WHEN j.not_before_ms > $2 THEN 'schedule' END, \
                    CASE WHEN j.not_before_ms > $2 THEN j.not_before_ms END, \
                    0, a.priority, ",
            place!("$2"),
            ", ",
            order_key!(),
            ", 0, 0, 0, 0, 0, 0, $2, j.not_before_ms, '' \
             FROM (SELECT n.key AS number, a.account_id, a.wave_id, a.lane_id, n.value ->> 1 AS kind, \
                          n.value ->> 2 AS phase, n.value ->> 3 AS payload, n.value ->> 4 AS not_before_ms, \
                          -1 AS job_id \
                   FROM json_each($1) n CROSS JOIN account a ON a.account_id = n.value ->> 0) j \
             JOIN account a ON a.account_id = j.account_id JOIN wave w ON w.wave_id = a.wave_id \
             WHERE NOT EXISTS (SELECT 1 FROM job o WHERE o.account_id = j.account_id AND o.kind = j.kind \
                 AND o.superseded = 0) \
             ORDER BY j.number \
             ON CONFLICT DO NOTHING"
        );
        let now = self.now.unix_ms;
        Ok(sqlx::query(SQL).bind(list).bind(now).execute(self.db()).await?.rows_affected())
    }

    /// What is over is no longer the latest of its kind.
    async fn supersede(&mut self, list: &str) -> Result<(), Fault> {
        sqlx::query(
            "UPDATE job AS j SET superseded = 1 FROM json_each($1) n \
             WHERE j.account_id = n.value ->> 0 AND j.kind = n.value ->> 1 AND j.superseded = 0 \
               AND j.state IN ('done', 'done_with_exceptions', 'failed', 'cancelled')",
        )
        .bind(list)
        .execute(self.db())
        .await?;
        Ok(())
    }

    async fn note_new(&mut self, before: i64, why: &str) -> Result<(), Fault> {
        let (now, who) = (self.now.unix_ms, self.who());
        sqlx::query(
            "INSERT INTO event (at_ms, who, what, account_id, job_id, to_state, why) \
             SELECT $2, $3, 'enqueue', account_id, job_id, state, $4 FROM job WHERE job_id > $1",
        )
        .bind(before)
        .bind(now)
        .bind(who)
        .bind(why)
        .execute(self.db())
        .await?;
        Ok(())
    }
}
