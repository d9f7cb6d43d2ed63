//! Waves: made, changed, put in order, closed.

use crate::error::DbError;
use crate::fault::Fault;
use crate::queue::Queue;
use crate::queue::change::{Change, write};
use crate::queue::decode::Cells;
use crate::queue::model::{NewWave, Subject, WaveOrder, WaveRow};
use mailhaul_queue::WaveId;
use sqlx::sqlite::SqliteRow;

impl Queue {
    /// Stores a wave under its name: a new one, or a change of one. A closed wave is open again.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn put_wave(&self, wave: NewWave) -> Result<WaveId, DbError> {
        write!(self, change => change.put_wave(&wave))
    }

    /// All waves, by name.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn waves(&self) -> Result<Vec<WaveRow>, DbError> {
        self.read_all(
            "SELECT w.wave_id, w.name, w.job_order, w.options, w.plan, w.revision, w.created_at_ms, w.closed_at_ms, \
                    (SELECT COUNT(*) FROM account a WHERE a.wave_id = w.wave_id) \
             FROM wave w ORDER BY w.name",
            wave,
        )
        .await
    }

    /// The wave of this name.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn find_wave(&self, name: &str) -> Result<Option<WaveRow>, DbError> {
        Ok(self.waves().await?.into_iter().find(|wave| wave.name == name))
    }

    /// Changes the plan of a wave (JSON).
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn set_plan(&self, wave: WaveId, plan: &str) -> Result<(), DbError> {
        write!(self, change => change.set_plan(wave, plan))
    }

    /// Changes the options of a wave (JSON); its running jobs take them up.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn set_wave_options(&self, wave: WaveId, options: &str) -> Result<(), DbError> {
        write!(self, change => change.set_wave_options(wave, options))
    }

    /// In which order the wave's jobs are done from now on, those that are in line included.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn set_order(&self, wave: WaveId, order: WaveOrder) -> Result<(), DbError> {
        write!(self, change => change.set_order(wave, order))
    }

    /// Closes a wave: cancels what is not over, and wipes the secrets of its accounts. How many were wiped.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn close_wave(&self, wave: WaveId) -> Result<u64, DbError> {
        let wiped = write!(self, change => change.close_wave(wave))?;
        self.empty_log().await;
        Ok(wiped)
    }
}

impl Change<'_> {
    async fn put_wave(&mut self, new: &NewWave) -> Result<WaveId, Fault> {
        let known: Option<(i64, String, String, String, Option<i64>)> =
            sqlx::query_as("SELECT wave_id, job_order, options, plan, closed_at_ms FROM wave WHERE name = $1")
                .bind(&new.name)
                .fetch_optional(self.db())
                .await?;
        let Some((id, order, options, plan, closed)) = known else {
            return self.insert_wave(new).await;
        };
        let id = WaveId(id);
        if closed.is_some() {
            sqlx::query("UPDATE wave SET closed_at_ms = NULL WHERE wave_id = $1").bind(id.0).execute(self.db()).await?;
            self.note("open", Subject::Wave(id), "").await?;
        }
        if order != new.order.word() {
            self.set_order(id, new.order).await?;
        }
        if options != new.options {
            self.set_wave_options(id, &new.options).await?;
        }
        if plan != new.plan {
            self.set_plan(id, &new.plan).await?;
        }
        Ok(id)
    }

    async fn insert_wave(&mut self, new: &NewWave) -> Result<WaveId, Fault> {
        let now = self.now.unix_ms;
        let id = sqlx::query_scalar(
            "INSERT INTO wave (name, job_order, options, plan, revision, created_at_ms) \
             VALUES ($1, $2, $3, $4, 1, $5) RETURNING wave_id",
        )
        .bind(&new.name)
        .bind(new.order.word())
        .bind(&new.options)
        .bind(&new.plan)
        .bind(now)
        .fetch_one(self.db())
        .await?;
        self.note("add", Subject::Wave(WaveId(id)), "").await?;
        Ok(WaveId(id))
    }

    async fn set_plan(&mut self, wave: WaveId, plan: &str) -> Result<(), Fault> {
        sqlx::query("UPDATE wave SET plan = $2 WHERE wave_id = $1").bind(wave.0).bind(plan).execute(self.db()).await?;
        self.note("plan", Subject::Wave(wave), plan).await
    }

    async fn set_wave_options(&mut self, wave: WaveId, options: &str) -> Result<(), Fault> {
        sqlx::query("UPDATE wave SET options = $2, revision = revision + 1 WHERE wave_id = $1")
            .bind(wave.0)
            .bind(options)
            .execute(self.db())
            .await?;
        self.note("options", Subject::Wave(wave), options).await?;
        self.order_options(Subject::Wave(wave)).await
    }

    async fn set_order(&mut self, wave: WaveId, order: WaveOrder) -> Result<(), Fault> {
        sqlx::query("UPDATE wave SET job_order = $2 WHERE wave_id = $1")
            .bind(wave.0)
            .bind(order.word())
            .execute(self.db())
            .await?;
        self.note("order", Subject::Wave(wave), order.word()).await?;
        self.rank_wave(wave).await
    }

    async fn close_wave(&mut self, wave: WaveId) -> Result<u64, Fault> {
        let now = self.now.unix_ms;
        self.touch_subject(Subject::Wave(wave)).await?;
        self.apply_to_touched(&mailhaul_queue::Event::Cancel, "the wave was closed").await?;
        let wiped = self.delete_wave_secrets(wave).await?;
        sqlx::query("UPDATE wave SET closed_at_ms = COALESCE(closed_at_ms, $2) WHERE wave_id = $1")
            .bind(wave.0)
            .bind(now)
            .execute(self.db())
            .await?;
        self.note("close", Subject::Wave(wave), &format!("{wiped} secrets were wiped")).await?;
        Ok(wiped)
    }
}

fn wave(row: &SqliteRow) -> Result<WaveRow, Fault> {
    let mut cells = Cells::of(row, "wave");
    Ok(WaveRow {
        id: WaveId(cells.take()?),
        name: cells.take()?,
        order: cells.word(WaveOrder::from_word)?,
        options: cells.take()?,
        plan: cells.take()?,
        revision: cells.take()?,
        created_unix_ms: cells.take()?,
        closed_unix_ms: cells.take()?,
        accounts: cells.number()?,
    })
}
