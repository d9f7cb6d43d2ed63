//! What preflights found: the latest of each account, and the one before it.

use crate::error::DbError;
use crate::fault::Fault;
use crate::queue::Queue;
use crate::queue::change::{Change, write};
use crate::queue::decode::Cells;
use crate::queue::model::PreflightRow;
use mailhaul_queue::{AccountId, WaveId};
use sqlx::sqlite::SqliteRow;

impl Queue {
    /// Keeps what a preflight found (JSON); the one before it is kept beside it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn put_preflight(&self, account: AccountId, report: &str) -> Result<(), DbError> {
        write!(self, change => change.put_preflight(account, report))
    }

    /// What the latest preflights found, by account name; of all waves if none is given.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn preflights(&self, wave: Option<WaveId>) -> Result<Vec<PreflightRow>, DbError> {
        let mut sql = "SELECT p.account_id, a.name, p.at_ms, p.report, p.previous_at_ms, p.previous_report \
             FROM preflight p JOIN account a ON a.account_id = p.account_id"
            .to_owned();
        if let Some(wave) = wave {
            sql.push_str(&format!(" WHERE a.wave_id = {}", wave.0));
        }
        sql.push_str(" ORDER BY a.name");
        self.read_all(sqlx::AssertSqlSafe(sql), preflight).await
    }
}

impl Change<'_> {
    async fn put_preflight(&mut self, account: AccountId, report: &str) -> Result<(), Fault> {
        let now = self.now.unix_ms;
        sqlx::query(
            "INSERT INTO preflight (account_id, at_ms, report) VALUES ($1, $2, $3) \
             ON CONFLICT (account_id) DO UPDATE SET previous_at_ms = at_ms, previous_report = report, \
                 at_ms = excluded.at_ms, report = excluded.report",
        )
        .bind(account.0)
        .bind(now)
        .bind(report)
        .execute(self.db())
        .await?;
        Ok(())
    }
}

fn preflight(row: &SqliteRow) -> Result<PreflightRow, Fault> {
    let mut cells = Cells::of(row, "preflight");
    let account = AccountId(cells.take()?);
    let (account_name, at_unix_ms, report) = (cells.take()?, cells.take()?, cells.take()?);
    let previous = cells.take::<Option<i64>>()?.zip(cells.take()?);
    Ok(PreflightRow { account, account_name, at_unix_ms, report, previous })
}
