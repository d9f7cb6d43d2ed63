//! What the engine asks: the store of a queue.
//!
//! A tick is one transaction, in this order: renew leases, take over what was lost, wake what is due, follow the gates,
//! shed, claim; then the worker is told what became of its own jobs.

use crate::error::DbError;
use crate::fault::Fault;
use crate::queue::change::{Change, Durability, write};
use crate::queue::claim::Claiming;
use crate::queue::decode::Cells;
use crate::queue::workers::SIGNED_EVERY_MS;
use crate::queue::{Inner, Queue};
use mailhaul_queue::{
    AccountId, EndpointId, Finished, Generation, HostSign, JobId, LeaseKey, Now, Order, Scope, Store, Tick, Tock,
    WaitReason, Wanted,
};
use serde_json::json;
use sqlx::QueryBuilder;

/// Up to so many unsettled jobs are counted in every tick; more are counted once a second.
const COUNTED_ALWAYS: u32 = 1_000;
const COUNTED_EVERY_BOOT_MS: i64 = 1_000;

/// A count of unsettled jobs, and when it was made.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    scope: Scope,
    at_boot_ms: i64,
    jobs: u64,
}

impl Store for Queue {
    type Error = DbError;

    async fn tick(&self, tick: Tick) -> Result<Tock, DbError> {
        write!(self, Durability::Soon, tick.now, change => change.tick(&self.inner, &tick))
    }

    async fn finish(&self, finished: Finished) -> Result<bool, DbError> {
        write!(self, Durability::Synced, finished.now, change => change.finish(&finished))
    }

    async fn signs(&self, signs: Vec<(EndpointId, HostSign)>, now: Now) -> Result<(), DbError> {
        if signs.is_empty() {
            return Ok(());
        }
        write!(self, Durability::Soon, now, change => change.signs(&signs))
    }

    async fn moved(&self, account: AccountId, bytes: u64, now: Now) -> Result<(), DbError> {
        let day = self.inner.calendar.day(now.unix_ms).date;
        write!(self, Durability::Soon, now, change => change.moved(account, bytes, &day))
    }
}

impl Change<'_> {
    async fn tick(&mut self, inner: &Inner, tick: &Tick) -> Result<Tock, Fault> {
        self.worker = Some(tick.worker);
        let boot_id = inner.clock.boot_id();
        self.renew(tick, &boot_id).await?;
        let look = self.look(tick, &boot_id).await?;
        if look.unsigned {
            self.sign(tick.worker).await?;
        }
        if look.orphans {
            self.take_over_orphans(tick, &boot_id).await?;
        }
        let workers =
            if look.workers { self.bury_workers(tick.worker, &boot_id, inner.reader.path()).await? } else { 1 };
        if look.due {
            self.wake_due().await?;
        }
        let mut facts = self.facts().await?;
        self.follow_gates(&facts, look.gated, &tick.scope).await?;
        self.shed(&facts).await?;
        if facts.allowances {
            self.shed_used_up(&inner.calendar).await?;
        }
        let with = Claiming { tick, boot_id: &boot_id, calendar: &inner.calendar };
        let claimed = self.claim(&mut facts, &with).await?;
        let orders = self.orders(tick).await?;
        let lost = self.lost(tick).await?;
        let unsettled = self.unsettled(inner, &tick.scope).await?;
        Ok(Tock { claimed, orders, lost, unsettled, workers })
    }

    /// What there is to do, in one question: most ticks find nothing but a job to claim, or not even that.
    async fn look(&mut self, tick: &Tick, boot_id: &str) -> Result<Look, Fault> {
        let now = self.now;
        let row = sqlx::query(
            "SELECT EXISTS (SELECT 1 FROM worker WHERE worker_id = $1 AND seen_at_ms NOT BETWEEN $2 - $5 AND $2), \
                    EXISTS (SELECT 1 FROM job INDEXED BY job_running WHERE state = 'running' \
                                AND (lease_boot_id <> $3 OR lease_until_boot_ms < $4)), \
                    EXISTS (SELECT 1 FROM worker WHERE worker_id <> $1), \
                    EXISTS (SELECT 1 FROM job INDEXED BY job_due \
                            WHERE state = 'waiting' AND wait_until_ms IS NOT NULL AND wait_until_ms <= $2 \
                                AND gated = 0), \
                    EXISTS (SELECT 1 FROM job INDEXED BY job_gated WHERE state = 'waiting' AND gated = 1)",
        )
        .bind(tick.worker.0)
        .bind(now.unix_ms)
        .bind(boot_id)
        .bind(now.boot_ms.saturating_sub(margin_ms(tick)))
        .bind(SIGNED_EVERY_MS)
        .fetch_one(self.db())
        .await?;
        let mut cells = Cells::of(&row, "job");
        Ok(Look {
            unsigned: cells.take()?,
            orphans: cells.take()?,
            workers: cells.take()?,
            due: cells.take()?,
            gated: cells.take()?,
        })
    }

    async fn renew(&mut self, tick: &Tick, boot_id: &str) -> Result<(), Fault> {
        if tick.renew.is_empty() {
            return Ok(());
        }
        let until = self.now.boot_ms.saturating_add(i64::try_from(tick.lease.as_millis()).unwrap_or(i64::MAX));
        sqlx::query(
            "UPDATE job AS j SET lease_until_boot_ms = $1 FROM json_each($2) k \
             WHERE j.job_id = k.value ->> 0 AND j.generation = k.value ->> 1 AND j.state = 'running' \
               AND j.worker_id = $3 AND j.lease_boot_id = $4",
        )
        .bind(until)
        .bind(keys_json(tick.renew.iter()))
        .bind(tick.worker.0)
        .bind(boot_id)
        .execute(self.db())
        .await?;
        Ok(())
    }

    /// Leases that ran out, the margin included; those of another boot at once.
    async fn take_over_orphans(&mut self, tick: &Tick, boot_id: &str) -> Result<(), Fault> {
        let before = self.now.boot_ms.saturating_sub(margin_ms(tick));
        let rows: Vec<(i64, bool, u32)> = sqlx::query_as(
            "SELECT job_id, lease_boot_id <> $1, process FROM job INDEXED BY job_running \
             WHERE state = 'running' AND (lease_boot_id <> $1 OR lease_until_boot_ms < $2)",
        )
        .bind(boot_id)
        .bind(before)
        .fetch_all(self.db())
        .await?;
        for (job, other_boot, process) in rows {
            let evidence = if other_boot {
                "the machine was started anew".to_owned()
            } else {
                format!("process {process} did not renew its lease")
            };
            self.orphan(job, (!other_boot).then_some(process), &evidence).await?;
        }
        Ok(())
    }

    /// What the worker's jobs must do.
    async fn orders(&mut self, tick: &Tick) -> Result<Vec<(LeaseKey, Order)>, Fault> {
        let rows = sqlx::query(
            "SELECT job_id, generation, wanted, wanted_reason, wanted_until_ms FROM job \
             WHERE worker_id = $1 AND wanted IS NOT NULL AND state = 'running' ORDER BY job_id",
        )
        .bind(tick.worker.0)
        .fetch_all(self.db())
        .await?;
        let order = |row| {
            let mut cells = Cells::of(row, "job");
            let key = LeaseKey { job: JobId(cells.take()?), generation: Generation(cells.take()?) };
            let word: &str = cells.take()?;
            let (reason, until) = (cells.optional_word(WaitReason::from_word)?, cells.take()?);
            let order = match word {
                "options" => Order::Options,
                word => Wanted::from_columns(word, reason, until).ok_or_else(|| cells.damaged())?.into(),
            };
            Ok((key, order))
        };
        rows.iter().map(order).collect()
    }

    /// Which of the worker's leases are no longer its own.
    async fn lost(&mut self, tick: &Tick) -> Result<Vec<LeaseKey>, Fault> {
        if tick.renew.is_empty() && tick.hold.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT k.value ->> 0, k.value ->> 1 FROM json_each($1) k \
             LEFT JOIN job j ON j.job_id = k.value ->> 0 AND j.generation = k.value ->> 1 AND j.state = 'running' \
                 AND j.worker_id = $2 \
             WHERE j.job_id IS NULL",
        )
        .bind(keys_json(tick.renew.iter().chain(&tick.hold)))
        .bind(tick.worker.0)
        .fetch_all(self.db())
        .await?;
        let key = |(job, generation)| LeaseKey { job: JobId(job), generation: Generation(generation) };
        Ok(rows.into_iter().map(key).collect())
    }

    async fn unsettled(&mut self, inner: &Inner, scope: &Scope) -> Result<u64, Fault> {
        let few = self.count_unsettled(scope, i64::from(COUNTED_ALWAYS) + 1).await?;
        if few <= u64::from(COUNTED_ALWAYS) {
            return Ok(few);
        }
        let now = self.now.boot_ms;
        let known = inner.counted.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let fresh = |counted: &Counted| {
            counted.scope == *scope && (counted.at_boot_ms..counted.at_boot_ms + COUNTED_EVERY_BOOT_MS).contains(&now)
        };
        if let Some(counted) = known.filter(fresh) {
            return Ok(counted.jobs);
        }
        let jobs = self.count_unsettled(scope, i64::MAX).await?;
        *inner.counted.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            Some(Counted { scope: scope.clone(), at_boot_ms: now, jobs });
        Ok(jobs)
    }

    async fn count_unsettled(&mut self, scope: &Scope, most: i64) -> Result<u64, Fault> {
        let mut sql = QueryBuilder::new("SELECT COUNT(*) FROM (SELECT 1 FROM (");
        // What is open is the latest of its kind, so it is found by wave; without a wave, the small indexes do.
        let (queued, running) = match scope.wave {
            Some(_) => ("job_by_wave WHERE superseded = 0 AND", "job_by_wave WHERE superseded = 0 AND"),
            None => ("job_in_line WHERE", "job_running WHERE"),
        };
        let parts = [
            ("", queued, "state = 'queued'"),
            (" UNION ALL ", running, "state = 'running'"),
            (" UNION ALL ", "job_due WHERE", "state = 'waiting' AND wait_until_ms IS NOT NULL"),
        ];
        for (and, index, state) in parts {
            sql.push(format_args!("{and}SELECT 1 FROM job INDEXED BY {index} {state}"));
            if let Some(wave) = scope.wave {
                sql.push(" AND wave_id = ").push_bind(wave.0);
            }
            if !scope.kinds.is_empty() {
                sql.push(" AND kind IN (");
                let mut kinds = sql.separated(", ");
                for kind in &scope.kinds {
                    kinds.push_bind(kind.clone());
                }
                sql.push(")");
            }
        }
        sql.push(") LIMIT ").push_bind(most).push(")");
        let jobs: i64 = sql.build_query_scalar().fetch_one(self.db()).await?;
        Ok(jobs.cast_unsigned())
    }
}

/// What a tick has to do.
struct Look {
    /// The worker's row has not been signed for a while.
    unsigned: bool,
    /// Leases have run out.
    orphans: bool,
    /// There are other workers, perhaps gone.
    workers: bool,
    /// Jobs have waited long enough.
    due: bool,
    /// Jobs wait for an endpoint.
    gated: bool,
}

fn margin_ms(tick: &Tick) -> i64 {
    i64::try_from(tick.margin.as_millis()).unwrap_or(i64::MAX)
}

fn keys_json<'a>(keys: impl Iterator<Item = &'a LeaseKey>) -> String {
    serde_json::Value::Array(keys.map(|key| json!([key.job.0, key.generation.0])).collect()).to_string()
}
