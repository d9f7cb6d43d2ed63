//! Claims: the head of the line that stands first among those that may start.
//!
//! A line is what lane, phase, wave and kind have in common. Its head is found by index, whatever stands behind it;
//! a lane that does not admit a phase takes all its lines out at once. So a full host costs a look and no scan, and
//! holds up nobody else.

use crate::fault::Fault;
use crate::queue::change::Change;
use crate::queue::decode::{Cells, phase_of, phase_word};
use crate::queue::gates::{Facts, Lane};
use crate::queue::rank::revision;
use mailhaul_queue::{
    AccountId, Calendar, ClaimedJob, Event, Generation, JobId, JobState, LeaseKey, Phase, RESERVE_AFTER_MS, Refusal,
    RefusalReason, Scope, StaleHolder, Standing, Tick, WaitReason, apply,
};
use sqlx::sqlite::SqliteRow;
use std::collections::{HashSet, VecDeque};

/// How much of a line is read at once.
const READ_AHEAD: usize = 64;

/// A job in line, ordered as jobs are claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    place: i64,
    order_key: i64,
    job: i64,
    account: i64,
}

struct Line {
    lane: Lane,
    phase: Phase,
    wave: i64,
    kind: String,
    ahead: VecDeque<Candidate>,
    /// Where to read on; `None`: the line has been read to its end.
    after: Option<Candidate>,
}

const BEFORE_ALL: Candidate = Candidate { place: i64::MIN, order_key: i64::MIN, job: i64::MIN, account: 0 };

/// What a claim needs to know besides.
pub(super) struct Claiming<'a> {
    pub(super) tick: &'a Tick,
    pub(super) boot_id: &'a str,
    pub(super) calendar: &'a Calendar,
}

impl Change<'_> {
    /// Claims as many jobs as there are slots, in their order.
    pub(super) async fn claim(&mut self, facts: &mut Facts, with: &Claiming<'_>) -> Result<Vec<ClaimedJob>, Fault> {
        let (mut claimed, mut accounts) = (Vec::new(), HashSet::new());
        if with.tick.slots == 0 {
            return Ok(claimed);
        }
        let ahead = with.tick.slots.min(READ_AHEAD);
        let (mut lines, full) = self.lines(facts, &with.tick.scope).await?;
        for line in &mut lines {
            self.read_ahead(line, ahead).await?;
        }
        self.reserve_for_the_patient(facts, &lines, &full).await?;
        while claimed.len() < with.tick.slots {
            for line in &mut lines {
                self.read_ahead(line, ahead).await?;
            }
            let Some((head, at)) = first_of(&lines) else {
                break;
            };
            let Line { lane, phase, .. } = lines[at];
            if facts.admission.could_admit(lane.source, lane.target, phase).is_err() {
                lines.retain(|line| line.lane.id != lane.id || line.phase != phase);
                continue;
            }
            if !accounts.contains(&head.account) && !self.wait_for_allowance(facts, head, with.calendar).await? {
                facts
                    .admission
                    .admit(lane.source, lane.target, phase)
                    .map_err(|refusal| Fault::Internal(format!("admission changed its mind: {refusal:?}")))?;
                accounts.insert(head.account);
                claimed.push(self.claim_one(head.job, with).await?);
            }
            lines[at].ahead.pop_front();
        }
        Ok(claimed)
    }

    /// Every line in scope that has a job in it and may be admitted; and those that are only kept out because
    /// something is full.
    async fn lines(&mut self, facts: &Facts, scope: &Scope) -> Result<(Vec<Line>, Vec<Line>), Fault> {
        let (mut lines, mut full) = (Vec::new(), Vec::new());
        for lane in &facts.lanes {
            let (mut phase, mut wave, mut kind) = (String::new(), 0, String::new());
            // From line to line, however many jobs stand in one.
            while let Some(next) = self.next_line(lane, (&phase, wave, &kind)).await? {
                (phase, wave, kind) = next;
                let phase = phase_of(&phase).ok_or_else(|| damaged("phase"))?;
                let in_scope = scope.wave.is_none_or(|only| only.0 == wave)
                    && (scope.kinds.is_empty() || scope.kinds.contains(&kind));
                if !in_scope {
                    continue;
                }
                let (ahead, after) = (VecDeque::new(), Some(BEFORE_ALL));
                let line = Line { lane: *lane, phase, wave, kind: kind.clone(), ahead, after };
                match facts.admission.could_admit(lane.source, lane.target, phase) {
                    Ok(()) => lines.push(line),
                    Err(Refusal { reason: RefusalReason::Full { .. }, .. }) => full.push(line),
                    Err(_) => {}
                }
            }
        }
        Ok((lines, full))
    }

    /// A job that needs room at two busy endpoints could be overtaken for ever by jobs that need one of them. If such a
    /// job stands before all others and has waited for long, what is free of its room is kept for it in this tick.
    async fn reserve_for_the_patient(&mut self, facts: &mut Facts, lines: &[Line], full: &[Line]) -> Result<(), Fault> {
        let mut first: Option<(i64, i64, &Line)> = None;
        for line in full {
            if let Some((place, queued_at_ms)) = self.head_of(line).await?
                && first.is_none_or(|(lowest, _, _)| place < lowest)
            {
                first = Some((place, queued_at_ms, line));
            }
        }
        let Some((place, queued_at_ms, line)) = first else { return Ok(()) };
        let overtaken = first_of(lines).is_some_and(|(head, _)| place < head.place);
        if overtaken && self.now.unix_ms.saturating_sub(queued_at_ms) >= RESERVE_AFTER_MS {
            facts.admission.reserve(line.lane.source, line.lane.target, line.phase);
        }
        Ok(())
    }

    /// Place and age of the first in a line.
    async fn head_of(&mut self, line: &Line) -> Result<Option<(i64, i64)>, Fault> {
        let head = sqlx::query_as(
            "SELECT place, queued_at_ms FROM job INDEXED BY job_in_line \
             WHERE state = 'queued' AND lane_id = $1 AND phase = $2 AND wave_id = $3 AND kind = $4 \
             ORDER BY place, order_key, job_id LIMIT 1",
        )
        .bind(line.lane.id)
        .bind(phase_word(line.phase))
        .bind(line.wave)
        .bind(&line.kind)
        .fetch_optional(self.db())
        .await?;
        Ok(head)
    }

    async fn next_line(
        &mut self,
        lane: &Lane,
        (phase, wave, kind): (&str, i64, &str),
    ) -> Result<Option<(String, i64, String)>, Fault> {
        // SQLite looks through what equals the bound; nothing equals one that is behind every place.
        let next = sqlx::query_as(
            "SELECT phase, wave_id, kind FROM job INDEXED BY job_in_line \
             WHERE state = 'queued' AND lane_id = $1 \
               AND (phase, wave_id, kind, place) > ($2, $3, $4, 9223372036854775807) \
             ORDER BY phase, wave_id, kind, place LIMIT 1",
        )
        .bind(lane.id)
        .bind(phase)
        .bind(wave)
        .bind(kind)
        .fetch_optional(self.db())
        .await?;
        Ok(next)
    }

    /// Fills an empty read-ahead. Jobs whose account has a running one are left out: their turn comes after it.
    async fn read_ahead(&mut self, line: &mut Line, ahead: usize) -> Result<(), Fault> {
        let Some(after) = line.after.filter(|_| line.ahead.is_empty()) else {
            return Ok(());
        };
        let rows = sqlx::query(
            "SELECT j.place, j.order_key, j.job_id, j.account_id FROM job j INDEXED BY job_in_line \
             WHERE j.state = 'queued' AND j.lane_id = $1 AND j.phase = $2 AND j.wave_id = $3 AND j.kind = $4 \
               AND (j.place, j.order_key, j.job_id) > ($5, $6, $7) \
               AND NOT EXISTS (SELECT 1 FROM job r WHERE r.account_id = j.account_id AND r.state = 'running') \
             ORDER BY j.place, j.order_key, j.job_id LIMIT $8",
        )
        .bind(line.lane.id)
        .bind(phase_word(line.phase))
        .bind(line.wave)
        .bind(&line.kind)
        .bind(after.place)
        .bind(after.order_key)
        .bind(after.job)
        .bind(i64::try_from(ahead).unwrap_or(i64::MAX))
        .fetch_all(self.db())
        .await?;
        line.ahead = rows.iter().map(candidate).collect::<Result<_, Fault>>()?;
        line.after = line.ahead.back().copied().filter(|_| line.ahead.len() == ahead);
        Ok(())
    }

    /// Takes a job out of line whose account has moved what it may move today.
    async fn wait_for_allowance(&mut self, facts: &Facts, head: Candidate, calendar: &Calendar) -> Result<bool, Fault> {
        if !facts.allowances {
            return Ok(false);
        }
        let day = calendar.day(self.now.unix_ms);
        let used_up: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM usage u JOIN job j ON j.account_id = u.account_id \
                 JOIN lane l ON l.lane_id = j.lane_id \
                 JOIN endpoint e ON e.endpoint_id IN (l.source_endpoint_id, l.target_endpoint_id) \
             WHERE j.job_id = $1 AND u.day = $2 AND u.bytes >= e.limits ->> 'account_bytes_per_day')",
        )
        .bind(head.job)
        .bind(&day.date)
        .fetch_one(self.db())
        .await?;
        if used_up {
            self.touch_none().await?;
            sqlx::query("INSERT INTO temp.touched (job_id) VALUES ($1)").bind(head.job).execute(self.db()).await?;
            let event = Event::Gate { reason: WaitReason::Allowance, until_unix_ms: day.until_unix_ms };
            self.apply_to_touched(&event, "").await?;
            self.ungate_touched().await?;
        }
        Ok(used_up)
    }

    async fn claim_one(&mut self, job: i64, with: &Claiming<'_>) -> Result<ClaimedJob, Fault> {
        let next = apply(&Standing::queued(), &Event::Claim, self.policy, self.now.unix_ms, 0.5)
            .map_err(|error| Fault::Internal(error.to_string()))?;
        let (now, worker) = (self.now.unix_ms, with.tick.worker);
        let lease = i64::try_from(with.tick.lease.as_millis()).unwrap_or(i64::MAX);
        let lease_until_boot_ms = self.now.boot_ms.saturating_add(lease);
        let row = sqlx::query(concat!(
            "UPDATE job AS j SET state = $2, wait_reason = NULL, wait_until_ms = NULL, gated = 0, wanted = NULL, \
                 attempts = attempts + 1, generation = generation + 1, worker_id = $3, process = $4, \
                 lease_boot_id = $5, lease_until_boot_ms = $6, started_at_ms = $7, finished_at_ms = NULL, \
                 options_revision = (SELECT ",
            revision!(),
            " \
                     FROM account a JOIN wave w ON w.wave_id = a.wave_id JOIN lane l ON l.lane_id = a.lane_id \
                     JOIN endpoint s ON s.endpoint_id = l.source_endpoint_id \
                     JOIN endpoint t ON t.endpoint_id = l.target_endpoint_id WHERE a.account_id = j.account_id) \
             WHERE job_id = $1 \
             RETURNING account_id, kind, payload, attempts, generation, stale_process",
        ))
        .bind(job)
        .bind(next.state.word())
        .bind(worker.0)
        .bind(std::process::id())
        .bind(with.boot_id)
        .bind(lease_until_boot_ms)
        .bind(now)
        .fetch_one(self.db())
        .await?;
        let mut cells = Cells::of(&row, "job");
        let account = AccountId(cells.take()?);
        let (kind, payload, attempt) = (cells.take()?, cells.take()?, cells.number()?);
        let key = LeaseKey { job: JobId(job), generation: Generation(cells.take()?) };
        let stale_holder = cells.optional_number()?.map(|process| StaleHolder { process });
        sqlx::query(
            "INSERT INTO attempt (job_id, number, generation, worker_id, process, started_at_ms, words, counts) \
             VALUES ($1, $2, $3, $4, $5, $6, '', '{}')",
        )
        .bind(job)
        .bind(attempt)
        .bind(key.generation.0)
        .bind(worker.0)
        .bind(std::process::id())
        .bind(now)
        .execute(self.db())
        .await?;
        self.note_job("claim", (account, key.job), &JobState::Queued, &next.state, &next.why).await?;
        Ok(ClaimedJob { key, account, kind, payload, attempt, lease_until_boot_ms, stale_holder })
    }
}

/// The line whose head stands first, and that head.
fn first_of(lines: &[Line]) -> Option<(Candidate, usize)> {
    let heads = lines.iter().enumerate().filter_map(|(at, line)| line.ahead.front().map(|head| (*head, at)));
    heads.min()
}

fn candidate(row: &SqliteRow) -> Result<Candidate, Fault> {
    let mut cells = Cells::of(row, "job");
    Ok(Candidate { place: cells.take()?, order_key: cells.take()?, job: cells.take()?, account: cells.take()? })
}

fn damaged(what: &str) -> Fault {
    Fault::Damaged { table: "job", row: format!("a {what} that nobody wrote") }
}
