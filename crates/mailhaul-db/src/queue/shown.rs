//! What showed while jobs were running: how their hosts bear them, and how much mail was moved.

use crate::error::DbError;
use crate::fault::Fault;
use crate::queue::Queue;
use crate::queue::change::Change;
use crate::queue::model::Subject;
use crate::rows::count_to_sql;
use mailhaul_queue::{AccountId, BreakerState, EndpointId, HostHealth, HostSign, Now};
use std::collections::BTreeMap;

impl Queue {
    /// Octets of mail moved for an account on the day on which this moment lies.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn moved_on_day_of(&self, account: AccountId, unix_ms: i64) -> Result<u64, DbError> {
        let day = self.inner.calendar.day(unix_ms).date;
        let mut db = self.inner.reader.begin().await?;
        let bytes: Option<i64> = sqlx::query_scalar("SELECT bytes FROM usage WHERE account_id = $1 AND day = $2")
            .bind(account.0)
            .bind(day)
            .fetch_optional(&mut *db)
            .await
            .map_err(|error| self.inner.reader.fail(error.into()))?;
        Ok(bytes.unwrap_or(0).cast_unsigned())
    }
}

impl Change<'_> {
    pub(super) async fn signs(&mut self, signs: &[(EndpointId, HostSign)]) -> Result<(), Fault> {
        let mut by_host: BTreeMap<String, (EndpointId, Vec<HostSign>)> = BTreeMap::new();
        for (endpoint, sign) in signs {
            let host: Option<String> = sqlx::query_scalar("SELECT host FROM endpoint WHERE endpoint_id = $1")
                .bind(endpoint.0)
                .fetch_optional(self.db())
                .await?;
            // An endpoint that was removed meanwhile shows nothing any more.
            if let Some(host) = host {
                by_host.entry(host).or_insert_with(|| (*endpoint, Vec::new())).1.push(*sign);
            }
        }
        for (host, (endpoint, signs)) in by_host {
            self.host_showed(&host, endpoint, &signs).await?;
        }
        Ok(())
    }

    async fn host_showed(&mut self, host: &str, endpoint: EndpointId, signs: &[HostSign]) -> Result<(), Fault> {
        let known: Option<String> =
            sqlx::query_scalar("SELECT health FROM host WHERE host = $1").bind(host).fetch_optional(self.db()).await?;
        let damaged = || Fault::Damaged { table: "host", row: mailhaul_types::escape(host) };
        let before: HostHealth = match &known {
            Some(json) => serde_json::from_str(json).map_err(|_| damaged())?,
            None => HostHealth::default(),
        };
        let running: u32 = sqlx::query_scalar(
            "SELECT COALESCE(SUM((e.endpoint_id = l.source_endpoint_id) + (e.endpoint_id = l.target_endpoint_id)), 0) \
             FROM endpoint e JOIN lane l ON e.endpoint_id IN (l.source_endpoint_id, l.target_endpoint_id) \
             JOIN job j ON j.lane_id = l.lane_id AND j.state = 'running' WHERE e.host = $1",
        )
        .bind(host)
        .fetch_one(self.db())
        .await?;
        let (now, policy) = (self.now.unix_ms, *self.hosts);
        let mut after = before.clone();
        for sign in signs {
            after.on(*sign, running, now, jitter(self.now), &policy);
        }
        if after == before && known.is_some() {
            return Ok(());
        }
        let json = serde_json::to_string(&after).map_err(|error| Fault::Internal(error.to_string()))?;
        sqlx::query(
            "INSERT INTO host (host, health, at_ms) VALUES ($1, $2, $3) \
             ON CONFLICT (host) DO UPDATE SET health = excluded.health, at_ms = excluded.at_ms",
        )
        .bind(host)
        .bind(json)
        .bind(now)
        .execute(self.db())
        .await?;
        if let Some(words) = breaker_words(before.breaker(now), after.breaker(now)) {
            self.note("host", Subject::Endpoint(endpoint), words).await?;
        }
        Ok(())
    }

    pub(super) async fn moved(&mut self, account: AccountId, bytes: u64, day: &str) -> Result<(), Fault> {
        // An account that was removed meanwhile has no usage.
        sqlx::query(
            "INSERT INTO usage (account_id, day, bytes) SELECT account_id, $2, $3 FROM account WHERE account_id = $1 \
             ON CONFLICT (account_id, day) DO UPDATE SET bytes = bytes + excluded.bytes",
        )
        .bind(account.0)
        .bind(day)
        .bind(count_to_sql(bytes))
        .execute(self.db())
        .await?;
        Ok(())
    }
}

fn breaker_words(before: BreakerState, after: BreakerState) -> Option<&'static str> {
    match (before, after) {
        (BreakerState::Open { .. }, BreakerState::Open { .. }) => None,
        (_, BreakerState::Open { .. }) => Some("the host is given a rest"),
        (BreakerState::HalfOpen { .. }, BreakerState::Closed) => Some("the host serves again"),
        _ => None,
    }
}

/// Spreads the probes of many hosts: the low digits of the machine's clock are as good as chance for that.
fn jitter(now: Now) -> f64 {
    const STEPS: i64 = 997;
    let step = now.boot_ms.wrapping_mul(7_919).rem_euclid(STEPS);
    f64::from(i32::try_from(step).unwrap_or(0)) / f64::from(i32::try_from(STEPS).unwrap_or(1))
}
