//! Accounts: listed, looked at, removed. How they come is told in `import.rs`.

use crate::error::DbError;
use crate::fault::Fault;
use crate::queue::Queue;
use crate::queue::change::{Change, write};
use crate::queue::decode::Cells;
use crate::queue::model::{AccountFilter, AccountRow, SecretOwner, Subject};
use crate::rows::count_to_sql;
use mailhaul_queue::{AccountId, EndpointId, WaveId};
use sqlx::QueryBuilder;
use sqlx::sqlite::SqliteRow;

const LISTED: &str = "SELECT a.account_id, a.name, a.wave_id, w.name, l.source_endpoint_id, s.name, \
     l.target_endpoint_id, t.name, a.source_user, a.target_user, a.source_owner, a.target_owner, a.priority, \
     a.options, a.revision, a.size_hint_bytes \
     FROM account a JOIN wave w ON w.wave_id = a.wave_id JOIN lane l ON l.lane_id = a.lane_id \
     JOIN endpoint s ON s.endpoint_id = l.source_endpoint_id JOIN endpoint t ON t.endpoint_id = l.target_endpoint_id \
     WHERE TRUE";

impl Queue {
    /// Accounts by name.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn accounts(&self, filter: AccountFilter) -> Result<Vec<AccountRow>, DbError> {
        let mut sql = QueryBuilder::new(LISTED);
        if let Some(wave) = filter.wave {
            sql.push(" AND a.wave_id = ").push_bind(wave.0);
        }
        if let Some(name) = &filter.name {
            // In SQLite's patterns a bracket opens a class; here it is a character like any other.
            sql.push(" AND a.name GLOB ").push_bind(name.replace('[', "[[]"));
        }
        if let Some(after) = filter.after {
            sql.push(" AND a.name > ").push_bind(after);
        }
        sql.push(" ORDER BY a.name LIMIT ").push_bind(filter.limit.map_or(-1, i64::from));
        self.accounts_by(sql).await
    }

    /// The account of this name.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn find_account(&self, name: &str) -> Result<Option<AccountRow>, DbError> {
        let mut sql = QueryBuilder::new(LISTED);
        sql.push(" AND a.name = ").push_bind(name.to_owned());
        Ok(self.accounts_by(sql).await?.pop())
    }

    /// One account.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn account(&self, id: AccountId) -> Result<Option<AccountRow>, DbError> {
        let mut sql = QueryBuilder::new(LISTED);
        sql.push(" AND a.account_id = ").push_bind(id.0);
        Ok(self.accounts_by(sql).await?.pop())
    }

    /// Removes an account with its jobs, its secrets and what was found out about it; the ledger keeps what was
    /// copied. `false`: one of its jobs is running, and it stays.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn remove_account(&self, id: AccountId) -> Result<bool, DbError> {
        let removed = write!(self, change => change.remove_account(id))?;
        self.empty_log().await;
        Ok(removed)
    }

    /// What an account is thought to have, in octets; its open jobs are ranked anew.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn set_size_hint(&self, account: AccountId, bytes: u64) -> Result<(), DbError> {
        write!(self, change => change.set_size_hint(account, bytes))
    }

    async fn accounts_by(&self, mut sql: QueryBuilder<sqlx::Sqlite>) -> Result<Vec<AccountRow>, DbError> {
        let mut db = self.inner.reader.begin().await?;
        let rows = sql.build().fetch_all(&mut *db).await.map_err(|error| self.inner.reader.fail(error.into()))?;
        let accounts: Result<Vec<_>, Fault> = rows.iter().map(account).collect();
        accounts.map_err(|fault| self.inner.reader.fail(fault))
    }
}

impl Change<'_> {
    async fn set_size_hint(&mut self, account: AccountId, bytes: u64) -> Result<(), Fault> {
        sqlx::query("UPDATE account SET size_hint_bytes = $2 WHERE account_id = $1")
            .bind(account.0)
            .bind(count_to_sql(bytes))
            .execute(self.db())
            .await?;
        self.touch_subject(Subject::Account(account)).await?;
        self.rank_touched().await
    }

    async fn remove_account(&mut self, id: AccountId) -> Result<bool, Fault> {
        let running: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM job WHERE account_id = $1 AND state = 'running')")
                .bind(id.0)
                .fetch_one(self.db())
                .await?;
        if running {
            return Ok(false);
        }
        self.delete_secrets(SecretOwner::Account(id)).await?;
        for sql in [
            "DELETE FROM attempt WHERE job_id IN (SELECT job_id FROM job WHERE account_id = $1)",
            "DELETE FROM hold WHERE scope = 'job' AND subject_id IN (SELECT job_id FROM job WHERE account_id = $1)",
            "DELETE FROM hold WHERE scope = 'account' AND subject_id = $1",
            "DELETE FROM job WHERE account_id = $1",
            "DELETE FROM usage WHERE account_id = $1",
            "DELETE FROM preflight WHERE account_id = $1",
        ] {
            sqlx::query(sql).bind(id.0).execute(self.db()).await?;
        }
        let name: Option<String> = sqlx::query_scalar("DELETE FROM account WHERE account_id = $1 RETURNING name")
            .bind(id.0)
            .fetch_optional(self.db())
            .await?;
        if let Some(name) = name {
            self.note("remove", Subject::Account(id), &name).await?;
        }
        Ok(true)
    }
}

fn account(row: &SqliteRow) -> Result<AccountRow, Fault> {
    let mut cells = Cells::of(row, "account");
    Ok(AccountRow {
        id: AccountId(cells.take()?),
        name: cells.take()?,
        wave: WaveId(cells.take()?),
        wave_name: cells.take()?,
        source: EndpointId(cells.take()?),
        source_name: cells.take()?,
        target: EndpointId(cells.take()?),
        target_name: cells.take()?,
        source_user: cells.take()?,
        target_user: cells.take()?,
        source_owner: cells.take()?,
        target_owner: cells.take()?,
        priority: cells.priority()?,
        options: cells.take()?,
        revision: cells.take()?,
        size_hint_bytes: cells.optional_number()?,
    })
}
