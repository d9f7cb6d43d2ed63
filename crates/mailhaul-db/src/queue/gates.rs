//! Endpoints that open and close: what runs there gives way, what is in line waits, and goes on at its old place.
//!
//! The facts are read anew in every tick (there are few endpoints and lanes), and the pure [`Admission`] decides.

use crate::fault::Fault;
use crate::queue::change::Change;
use crate::queue::decode::{Cells, phase_word};
use crate::queue::endpoints::limits_of;
use mailhaul_queue::{
    Admission, BreakerState, Calendar, EndpointFacts, EndpointId, Event, Gate, HostHealth, Phase, Scope, Shed,
    WaitReason,
};
use std::collections::BTreeMap;

/// A source and a target endpoint that accounts use together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lane {
    pub(super) id: i64,
    pub(super) source: EndpointId,
    pub(super) target: EndpointId,
}

/// Everything that decides about admission at one moment.
pub(super) struct Facts {
    pub(super) lanes: Vec<Lane>,
    pub(super) admission: Admission,
    /// Endpoints whose host has to show first that it serves again.
    half_open: Vec<EndpointId>,
    endpoints: Vec<EndpointId>,
    /// Whether some endpoint limits what an account may move in a day.
    pub(super) allowances: bool,
}

impl Change<'_> {
    pub(super) async fn facts(&mut self) -> Result<Facts, Fault> {
        let (lanes, running) = self.lanes_and_tokens().await?;
        let rows = sqlx::query(
            "SELECT e.endpoint_id, e.host, e.limits, COALESCE(h.health, '{}') FROM endpoint e \
             LEFT JOIN host h ON h.host = e.host ORDER BY e.endpoint_id",
        )
        .fetch_all(self.db())
        .await?;
        let mut facts = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut cells = Cells::of(row, "endpoint");
            let id = EndpointId(cells.take()?);
            let in_use = |phase| running.get(&(id, phase_word(phase))).copied().unwrap_or(0);
            facts.push(EndpointFacts {
                id,
                host: cells.take()?,
                limits: cells.word(limits_of)?,
                running_bulk: in_use(Phase::Bulk),
                running_resync: in_use(Phase::Resync),
                health: cells.word(health_of)?,
            });
        }
        let now = self.now.unix_ms;
        let half_open = facts.iter().filter(|fact| matches!(fact.health.breaker(now), BreakerState::HalfOpen { .. }));
        Ok(Facts {
            lanes,
            half_open: half_open.map(|fact| fact.id).collect(),
            endpoints: facts.iter().map(|fact| fact.id).collect(),
            allowances: facts.iter().any(|fact| fact.limits.account_bytes_per_day.is_some()),
            admission: Admission::with_policy(now, facts, *self.hosts),
        })
    }

    /// The lanes, and the connections that running jobs hold at each endpoint, by phase. A job that reads and writes at
    /// one endpoint holds two there.
    async fn lanes_and_tokens(&mut self) -> Result<(Vec<Lane>, BTreeMap<(EndpointId, &'static str), u32>), Fault> {
        let rows = sqlx::query(
            "SELECT l.lane_id, l.source_endpoint_id, l.target_endpoint_id, \
                    (SELECT COUNT(*) FROM job INDEXED BY job_running \
                     WHERE state = 'running' AND lane_id = l.lane_id AND phase = 'bulk'), \
                    (SELECT COUNT(*) FROM job INDEXED BY job_running \
                     WHERE state = 'running' AND lane_id = l.lane_id AND phase = 'resync') \
             FROM lane l",
        )
        .fetch_all(self.db())
        .await?;
        let (mut lanes, mut tokens) = (Vec::with_capacity(rows.len()), BTreeMap::new());
        for row in &rows {
            let mut cells = Cells::of(row, "lane");
            let (id, source, target) = (cells.take()?, EndpointId(cells.take()?), EndpointId(cells.take()?));
            for phase in [Phase::Bulk, Phase::Resync] {
                let jobs: u32 = cells.number()?;
                *tokens.entry((source, phase_word(phase))).or_insert(0) += jobs;
                *tokens.entry((target, phase_word(phase))).or_insert(0) += jobs;
            }
            lanes.push(Lane { id, source, target });
        }
        Ok((lanes, tokens))
    }

    /// Moves what is in line at closed endpoints out of it, and back in what waits at open ones, if anything does.
    pub(super) async fn follow_gates(&mut self, facts: &Facts, some_wait: bool, scope: &Scope) -> Result<(), Fault> {
        for lane in &facts.lanes {
            match facts.gate(lane) {
                Gate::Closed { reason, until_unix_ms } => self.close_lane(lane, reason, until_unix_ms).await?,
                Gate::Open if !some_wait => {}
                Gate::Open if facts.is_half_open(lane) => self.wake_probe(facts, lane, scope).await?,
                Gate::Open => self.open_lane(lane).await?,
            }
        }
        Ok(())
    }

    async fn close_lane(&mut self, lane: &Lane, reason: WaitReason, until_unix_ms: i64) -> Result<(), Fault> {
        if self.touch("SELECT job_id FROM job WHERE lane_id = $1 AND state = 'queued'", lane.id).await? > 0 {
            self.apply_to_touched(&Event::Gate { reason, until_unix_ms }, "").await?;
        }
        // It stays closed for longer than was thought: no change of state, so no event.
        sqlx::query(
            "UPDATE job SET wait_until_ms = $2, wait_reason = $3 \
             WHERE lane_id = $1 AND state = 'waiting' AND gated = 1 AND wait_until_ms < $2",
        )
        .bind(lane.id)
        .bind(until_unix_ms)
        .bind(reason.word())
        .execute(self.db())
        .await?;
        Ok(())
    }

    async fn open_lane(&mut self, lane: &Lane) -> Result<(), Fault> {
        const GATED: &str = "SELECT job_id FROM job WHERE lane_id = $1 AND state = 'waiting' AND gated = 1";
        if self.touch(GATED, lane.id).await? > 0 {
            self.apply_to_touched(&Event::Due, "").await?;
        }
        Ok(())
    }

    /// One job shows whether the host serves again; the others wait for what it shows. It is one that whoever asks may
    /// claim: a probe that nobody takes would keep the host shut.
    async fn wake_probe(&mut self, facts: &Facts, lane: &Lane, scope: &Scope) -> Result<(), Fault> {
        let admitted = |phase| facts.admission.could_admit(lane.source, lane.target, phase).is_ok();
        let Some(phase) = [Phase::Bulk, Phase::Resync].into_iter().find(|phase| admitted(*phase)) else {
            return Ok(());
        };
        self.touch_none().await?;
        let woken = sqlx::query(
            "INSERT INTO temp.touched (job_id) SELECT job_id FROM job \
             WHERE lane_id = $1 AND state = 'waiting' AND gated = 1 \
               AND ($3 IS NULL OR wave_id = $3) \
               AND ($4 = '[]' OR kind IN (SELECT value FROM json_each($4))) \
               AND NOT EXISTS (SELECT 1 FROM job WHERE lane_id = $1 AND state = 'queued' \
                   AND ($3 IS NULL OR wave_id = $3) AND ($4 = '[]' OR kind IN (SELECT value FROM json_each($4)))) \
             ORDER BY phase <> $2, place, order_key, job_id LIMIT 1",
        )
        .bind(lane.id)
        .bind(phase_word(phase))
        .bind(scope.wave.map(|wave| wave.0))
        .bind(serde_json::json!(scope.kinds).to_string())
        .execute(self.db())
        .await?;
        if woken.rows_affected() > 0 {
            self.apply_to_touched(&Event::Due, "the first to try again").await?;
        }
        Ok(())
    }

    /// Orders as many running jobs to give way as are above what is allowed now.
    pub(super) async fn shed(&mut self, facts: &Facts) -> Result<(), Fault> {
        for endpoint in &facts.endpoints {
            for shed in facts.admission.shed(*endpoint) {
                self.shed_at(*endpoint, shed).await?;
            }
        }
        Ok(())
    }

    /// First copies before the others, and what began last before what is nearly done.
    async fn shed_at(&mut self, endpoint: EndpointId, shed: Shed) -> Result<(), Fault> {
        self.touch_none().await?;
        let rows: Vec<(i64, u32, bool)> = sqlx::query_as(
            "SELECT j.job_id, (l.source_endpoint_id = $1) + (l.target_endpoint_id = $1), \
                    COALESCE(j.wanted IN ('pause', 'cancel', 'yield'), FALSE) AS stopping \
             FROM job j JOIN lane l ON l.lane_id = j.lane_id \
             WHERE j.state = 'running' AND $1 IN (l.source_endpoint_id, l.target_endpoint_id) \
               AND ($2 IS NULL OR j.phase = $2) \
             ORDER BY stopping DESC, j.phase, j.started_at_ms DESC, j.job_id DESC",
        )
        .bind(endpoint.0)
        .bind(shed.phase.map(phase_word))
        .fetch_all(self.db())
        .await?;
        let mut left = shed.count;
        for (job, tokens, stopping) in rows {
            if left == 0 {
                break;
            }
            left = left.saturating_sub(tokens);
            if !stopping {
                sqlx::query("INSERT INTO temp.touched (job_id) VALUES ($1)").bind(job).execute(self.db()).await?;
            }
        }
        let event = Event::Gate { reason: shed.reason, until_unix_ms: shed.until_unix_ms };
        self.apply_to_touched(&event, "").await?;
        Ok(())
    }

    /// Orders the running jobs of accounts that have moved what they may move today to give way until tomorrow.
    pub(super) async fn shed_used_up(&mut self, calendar: &Calendar) -> Result<(), Fault> {
        let day = calendar.day(self.now.unix_ms);
        self.touch_none().await?;
        let used_up = sqlx::query(
            "INSERT INTO temp.touched (job_id) SELECT j.job_id FROM job j JOIN usage u ON u.account_id = j.account_id \
                 JOIN lane l ON l.lane_id = j.lane_id \
             WHERE j.state = 'running' AND u.day = $1 AND COALESCE(j.wanted = 'options', TRUE) \
               AND EXISTS (SELECT 1 FROM endpoint e \
                           WHERE e.endpoint_id IN (l.source_endpoint_id, l.target_endpoint_id) \
                             AND u.bytes >= e.limits ->> 'account_bytes_per_day')",
        )
        .bind(&day.date)
        .execute(self.db())
        .await?;
        if used_up.rows_affected() > 0 {
            let event = Event::Gate { reason: WaitReason::Allowance, until_unix_ms: day.until_unix_ms };
            self.apply_to_touched(&event, "").await?;
            self.ungate_touched().await?;
        }
        Ok(())
    }

    /// What waits for its own allowance does not go on because an endpoint opens.
    pub(super) async fn ungate_touched(&mut self) -> Result<(), Fault> {
        sqlx::query("UPDATE job SET gated = 0 WHERE gated = 1 AND job_id IN (SELECT job_id FROM temp.touched)")
            .execute(self.db())
            .await?;
        Ok(())
    }

    /// Wakes what has waited for a moment that has come.
    pub(super) async fn wake_due(&mut self) -> Result<(), Fault> {
        let now = self.now.unix_ms;
        const DUE: &str = "SELECT job_id FROM job WHERE state = 'waiting' AND wait_until_ms <= $1 AND gated = 0";
        if self.touch(DUE, now).await? > 0 {
            self.apply_to_touched(&Event::Due, "").await?;
        }
        Ok(())
    }

    /// Touches what the query finds; how many.
    async fn touch(&mut self, select: &'static str, argument: i64) -> Result<u64, Fault> {
        self.touch_none().await?;
        let sql = format!("INSERT INTO temp.touched (job_id) {select}");
        Ok(sqlx::query(sqlx::AssertSqlSafe(sql)).bind(argument).execute(self.db()).await?.rows_affected())
    }
}

impl Facts {
    /// A lane is closed while one of its ends is; for as long as the later of them.
    fn gate(&self, lane: &Lane) -> Gate {
        match (self.admission.gate(lane.source), self.admission.gate(lane.target)) {
            (Gate::Open, other) | (other, Gate::Open) => other,
            (Gate::Closed { until_unix_ms: one, .. }, later @ Gate::Closed { until_unix_ms, .. })
                if until_unix_ms > one =>
            {
                later
            }
            (first, _) => first,
        }
    }

    fn is_half_open(&self, lane: &Lane) -> bool {
        self.half_open.contains(&lane.source) || self.half_open.contains(&lane.target)
    }
}

fn health_of(json: &str) -> Option<HostHealth> {
    serde_json::from_str(json).ok()
}
