//! Waves: when what is done, in which order, and how.

use super::change::{Change, CopyChange};
use super::in_force::Meant;
use crate::error::ServiceError;
use crate::kinds::{JobKind, Payload};
use crate::options::CopyOptions;
use crate::plan::{WavePlan, new_job};
use crate::service::Service;
use mailhaul_db::queue::{JobCount, JobFilter, JobRow, WaveOrder, WaveRow};
use mailhaul_queue::{JobState, NewJob, WaitReason};
use mailhaul_types::Escaped;

/// What is said about a wave. What is not said stays as it is.
#[derive(Debug, Clone, Default)]
pub struct WaveChange {
    /// Nothing begins before this: milliseconds since 1970.
    pub start_after_unix_ms: Change<i64>,
    /// How long after the end of a pass the next one begins.
    pub every_secs: Change<u64>,
    /// From when on the next pass is the final one: milliseconds since 1970.
    pub complete_after_unix_ms: Change<i64>,
    /// In which order its jobs are done, priorities apart.
    pub order: Option<WaveOrder>,
    /// How mail is copied.
    pub copy: CopyChange,
}

/// A wave with what is known of it.
#[derive(Debug, Clone)]
pub struct WaveView {
    /// As it is stored.
    pub row: WaveRow,
    /// When what is to be done.
    pub plan: WavePlan,
    /// How mail is copied.
    pub options: CopyOptions,
    /// How many of its jobs stand where.
    pub counts: Vec<JobCount>,
}

impl WaveChange {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_keep(&self) -> bool {
        !self.changes_plan() && self.order.is_none() && self.copy.is_keep()
    }

    fn changes_plan(&self) -> bool {
        !(self.start_after_unix_ms.is_keep() && self.every_secs.is_keep() && self.complete_after_unix_ms.is_keep())
    }
}

impl Service {
    /// All waves, by name.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn waves(&self) -> Result<Vec<WaveView>, ServiceError> {
        let mut views = Vec::new();
        for row in self.queue.waves().await? {
            views.push(self.view_wave(row).await?);
        }
        Ok(views)
    }

    /// One wave.
    ///
    /// # Errors
    /// If there is no such wave.
    pub async fn wave(&self, name: &str) -> Result<WaveView, ServiceError> {
        let row = self.wave_named(name).await?;
        self.view_wave(row).await
    }

    /// Changes a wave. Jobs that wait for a moment that its plan named are planned anew.
    ///
    /// # Errors
    /// If there is no such wave, or it is closed.
    pub async fn set_wave(&self, name: &str, change: WaveChange) -> Result<WaveView, ServiceError> {
        let row = self.open_wave(name).await?;
        let copy = change.copy.clone().apply(options_of(&row)?);
        if !change.copy.is_keep() {
            copy.check_changes()?;
            self.check_in_force(Meant::Wave(row.id, &copy)).await?;
        }
        let mut plan = plan_of(&row)?;
        if change.changes_plan() {
            change.start_after_unix_ms.apply(&mut plan.start_after_unix_ms);
            change.every_secs.apply(&mut plan.every_secs);
            change.complete_after_unix_ms.apply(&mut plan.complete_after_unix_ms);
            self.queue.set_plan(row.id, &plan.to_json()).await?;
            self.plan_anew(&row, &plan).await?;
        }
        if let Some(order) = change.order {
            self.queue.set_order(row.id, order).await?;
        }
        if !change.copy.is_keep() {
            let options = serde_json::to_string(&copy).expect("options hold nothing that JSON has no form for");
            self.queue.set_wave_options(row.id, &options).await?;
        }
        self.ring().await;
        self.wave(name).await
    }

    /// The wave of this name, if it is open.
    pub(super) async fn open_wave(&self, name: &str) -> Result<WaveRow, ServiceError> {
        let row = self.wave_named(name).await?;
        if row.closed_unix_ms.is_none() {
            return Ok(row);
        }
        Err(ServiceError::usage(
            format!("wave `{}` is closed: its passwords are wiped", Escaped(name)),
            "its report can still be had; import its accounts into another wave to go on with them",
        ))
    }

    /// Ends what waits for a moment of the old plan, and queues what the new plan says instead. Passes that have no
    /// successor get one, if there is one now.
    async fn plan_anew(&self, row: &WaveRow, plan: &WavePlan) -> Result<(), ServiceError> {
        let waits = JobFilter {
            wave: Some(row.id),
            kinds: copying_kinds(),
            states: vec!["waiting".to_owned()],
            wait_reason: Some(WaitReason::Schedule),
            ..JobFilter::default()
        };
        let mut waiting = self.queue.jobs(waits.clone()).await?;
        if !waiting.is_empty() {
            self.queue.withdraw(waits, "the plan of the wave was changed").await?;
        }
        if plan.start_after_unix_ms.is_some_and(|start| start > self.now_unix_ms()) {
            // First copies that stand in line already are not to begin before it either.
            let in_line = JobFilter {
                wave: Some(row.id),
                kinds: vec![JobKind::Bulk.word().to_owned()],
                states: vec!["queued".to_owned()],
                ..JobFilter::default()
            };
            waiting.extend(self.queue.jobs(in_line.clone()).await?);
            self.queue.withdraw(in_line, "the wave begins later").await?;
        }
        let mut jobs: Vec<NewJob> = waiting
            .iter()
            .filter(|job| job.kind == JobKind::Bulk.word())
            .map(|job| new_job(job.account, JobKind::Bulk, &Payload::default(), plan.start_after_unix_ms))
            .collect();
        jobs.extend(self.due_passes(row, plan).await?);
        if !jobs.is_empty() {
            self.queue.enqueue(jobs).await?;
        }
        Ok(())
    }

    /// The next pass of every account whose last one came to its end and that has none before it.
    pub(super) async fn due_passes(&self, row: &WaveRow, plan: &WavePlan) -> Result<Vec<NewJob>, ServiceError> {
        let filter = JobFilter { wave: Some(row.id), kinds: copying_kinds(), superseded: true, ..JobFilter::default() };
        let jobs = self.queue.jobs(filter).await?;
        let mut passes = Vec::new();
        for of_account in jobs.chunk_by(|one, other| one.account == other.account) {
            passes.extend(next_pass(of_account, plan));
        }
        Ok(passes)
    }

    async fn view_wave(&self, row: WaveRow) -> Result<WaveView, ServiceError> {
        let counts = self.queue.counts(Some(row.id)).await?;
        Ok(WaveView { plan: plan_of(&row)?, options: options_of(&row)?, counts, row })
    }
}

/// What follows for one account, if nothing is under way and its last pass was done.
fn next_pass(jobs: &[JobRow], plan: &WavePlan) -> Option<NewJob> {
    if jobs.iter().any(|job| !job.state.is_terminal()) {
        return None;
    }
    let done = jobs.iter().filter(|job| matches!(job.state, JobState::Done | JobState::DoneWithExceptions));
    let last = done.max_by_key(|job| (job.finished_unix_ms, job.id))?;
    plan.next(last.account, JobKind::from_word(&last.kind)?, last.finished_unix_ms?)
}

pub(super) fn copying_kinds() -> Vec<String> {
    JobKind::ALL.into_iter().filter(|kind| kind.copies()).map(|kind| kind.word().to_owned()).collect()
}

pub(super) fn plan_of(row: &WaveRow) -> Result<WavePlan, ServiceError> {
    WavePlan::from_json(&row.plan).map_err(|error| {
        ServiceError::Stored(format!("the stored plan of wave {} cannot be read: {error}", Escaped(&row.name)))
    })
}

pub(super) fn options_of(row: &WaveRow) -> Result<CopyOptions, ServiceError> {
    serde_json::from_str(if row.options.is_empty() { "{}" } else { &row.options }).map_err(|error| {
        ServiceError::Stored(format!("the stored options of wave {} cannot be read: {error}", Escaped(&row.name)))
    })
}
