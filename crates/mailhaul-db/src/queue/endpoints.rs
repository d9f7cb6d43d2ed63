//! Servers, what operators allow on them, and what their hosts have shown.

use crate::error::DbError;
use crate::fault::Fault;
use crate::model::AccountIdentity;
use crate::queue::Queue;
use crate::queue::change::{Change, write};
use crate::queue::decode::Cells;
use crate::queue::model::{EndpointRow, NewEndpoint, SecretOwner, Subject};
use mailhaul_queue::{EndpointId, Limits};
use sqlx::sqlite::SqliteRow;

impl Queue {
    /// Stores an endpoint under its name: a new one, or a change of one. Running jobs take up a changed URL and changed
    /// options; changed limits count from the next tick.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn put_endpoint(&self, endpoint: NewEndpoint) -> Result<EndpointId, DbError> {
        write!(self, change => change.put_endpoint(&endpoint))
    }

    /// All endpoints, by name.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn endpoints(&self) -> Result<Vec<EndpointRow>, DbError> {
        self.read_all(
            "SELECT e.endpoint_id, e.name, e.url, e.host, e.limits, e.options, e.revision, \
                    (SELECT COUNT(*) FROM lane l JOIN account a ON a.lane_id = l.lane_id \
                     WHERE e.endpoint_id IN (l.source_endpoint_id, l.target_endpoint_id)) \
             FROM endpoint e ORDER BY e.name",
            endpoint,
        )
        .await
    }

    /// The endpoint of this name.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn find_endpoint(&self, name: &str) -> Result<Option<EndpointRow>, DbError> {
        // There are few.
        Ok(self.endpoints().await?.into_iter().find(|endpoint| endpoint.name == name))
    }

    /// Removes an endpoint and its secrets. `false`: accounts use it, and it stays.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn remove_endpoint(&self, id: EndpointId) -> Result<bool, DbError> {
        let removed = write!(self, change => change.remove_endpoint(id))?;
        self.empty_log().await;
        Ok(removed)
    }

    /// What a host has shown: JSON of the queue's own. `None` if it has shown nothing yet.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn host_health(&self, host: &str) -> Result<Option<String>, DbError> {
        let mut db = self.inner.reader.begin().await?;
        sqlx::query_scalar("SELECT health FROM host WHERE host = $1")
            .bind(host)
            .fetch_optional(&mut *db)
            .await
            .map_err(|error| self.inner.reader.fail(error.into()))
    }
}

impl Change<'_> {
    async fn put_endpoint(&mut self, new: &NewEndpoint) -> Result<EndpointId, Fault> {
        let host = AccountIdentity::new(&new.host, "", None).host().to_owned();
        let limits = serde_json::to_string(&new.limits).map_err(|error| Fault::Internal(error.to_string()))?;
        let known: Option<(i64, String, String, String, String)> =
            sqlx::query_as("SELECT endpoint_id, url, host, limits, options FROM endpoint WHERE name = $1")
                .bind(&new.name)
                .fetch_optional(self.db())
                .await?;
        let Some((id, old_url, old_host, old_limits, old_options)) = known else {
            return self.insert_endpoint(new, &host, &limits).await;
        };
        let id = EndpointId(id);
        let other = old_url != new.url || old_host != host || old_options != new.options;
        if !other && old_limits == limits {
            return Ok(id);
        }
        sqlx::query(
            "UPDATE endpoint SET url = $2, host = $3, limits = $4, options = $5, revision = revision + $6 \
             WHERE endpoint_id = $1",
        )
        .bind(id.0)
        .bind(&new.url)
        .bind(&host)
        .bind(&limits)
        .bind(&new.options)
        .bind(other)
        .execute(self.db())
        .await?;
        if old_limits != limits {
            self.note("limits", Subject::Endpoint(id), &format!("{old_limits} became {limits}")).await?;
            self.wake_allowances(id).await?;
        }
        if other {
            self.note("change", Subject::Endpoint(id), "URL, host or options").await?;
            self.order_options(Subject::Endpoint(id)).await?;
        }
        Ok(id)
    }

    /// What waits for an allowance looks again: the claim refuses what has still used it up.
    async fn wake_allowances(&mut self, id: EndpointId) -> Result<(), Fault> {
        self.touch_none().await?;
        sqlx::query(
            "INSERT INTO temp.touched (job_id) SELECT job_id FROM job \
             WHERE state = 'waiting' AND wait_until_ms IS NOT NULL AND wait_reason = 'allowance' \
               AND lane_id IN (SELECT lane_id FROM lane WHERE $1 IN (source_endpoint_id, target_endpoint_id))",
        )
        .bind(id.0)
        .execute(self.db())
        .await?;
        self.apply_to_touched(&mailhaul_queue::Event::Due, "the limits were changed").await?;
        Ok(())
    }

    async fn insert_endpoint(&mut self, new: &NewEndpoint, host: &str, limits: &str) -> Result<EndpointId, Fault> {
        let now = self.now.unix_ms;
        let id = sqlx::query_scalar(
            "INSERT INTO endpoint (name, url, host, limits, options, revision, created_at_ms) \
             VALUES ($1, $2, $3, $4, $5, 1, $6) RETURNING endpoint_id",
        )
        .bind(&new.name)
        .bind(&new.url)
        .bind(host)
        .bind(limits)
        .bind(&new.options)
        .bind(now)
        .fetch_one(self.db())
        .await?;
        self.note("add", Subject::Endpoint(EndpointId(id)), &new.url).await?;
        Ok(EndpointId(id))
    }

    async fn remove_endpoint(&mut self, id: EndpointId) -> Result<bool, Fault> {
        let used: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM lane l JOIN account a ON a.lane_id = l.lane_id \
                            WHERE $1 IN (l.source_endpoint_id, l.target_endpoint_id))",
        )
        .bind(id.0)
        .fetch_one(self.db())
        .await?;
        if used {
            return Ok(false);
        }
        self.delete_secrets(SecretOwner::Endpoint(id)).await?;
        for sql in [
            "DELETE FROM lane WHERE $1 IN (source_endpoint_id, target_endpoint_id)",
            "DELETE FROM hold WHERE scope = 'endpoint' AND subject_id = $1",
            "DELETE FROM endpoint WHERE endpoint_id = $1",
        ] {
            sqlx::query(sql).bind(id.0).execute(self.db()).await?;
        }
        self.note("remove", Subject::Endpoint(id), "").await?;
        Ok(true)
    }

    /// Has the running jobs in scope take up their options anew. What a job was told before goes first.
    pub(super) async fn order_options(&mut self, subject: Subject) -> Result<(), Fault> {
        self.touch_subject(subject).await?;
        sqlx::query(
            "UPDATE job SET wanted = 'options' WHERE state = 'running' AND wanted IS NULL \
                 AND job_id IN (SELECT job_id FROM temp.touched)",
        )
        .execute(self.db())
        .await?;
        Ok(())
    }
}

/// Limits as they are stored; what cannot be read is damage.
pub(super) fn limits_of(json: &str) -> Option<Limits> {
    serde_json::from_str(json).ok()
}

fn endpoint(row: &SqliteRow) -> Result<EndpointRow, Fault> {
    let mut cells = Cells::of(row, "endpoint");
    Ok(EndpointRow {
        id: EndpointId(cells.take()?),
        name: cells.take()?,
        url: cells.take()?,
        host: cells.take()?,
        limits: cells.word(limits_of)?,
        options: cells.take()?,
        revision: cells.take()?,
        accounts: cells.number()?,
    })
}
