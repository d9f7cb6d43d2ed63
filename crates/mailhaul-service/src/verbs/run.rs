//! Before a wave is worked on: which jobs are queued.

use super::waves::plan_of;
use crate::error::ServiceError;
use crate::kinds::{JobKind, Payload};
use crate::plan::new_job;
use crate::service::Service;
use mailhaul_db::queue::{AccountFilter, JobFilter};
use mailhaul_queue::{AccountId, NewJob, WaveId};
use std::collections::BTreeSet;

/// What was queued for a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunPrepared {
    /// The wave.
    pub wave: WaveId,
    /// How many accounts it has.
    pub accounts: u64,
    /// Jobs that are new in line.
    pub queued: u64,
}

impl Service {
    /// Queues what a wave needs. With a kind, a job of it for every account. Without one, the first copy for accounts
    /// that never had one, and the next pass for those whose plan says so: what failed or was cancelled is left to
    /// [`Service::retry`].
    ///
    /// # Errors
    /// If there is no such wave, or it is closed.
    pub async fn prepare_run(&self, wave: &str, kind: Option<JobKind>) -> Result<RunPrepared, ServiceError> {
        let row = self.open_wave(wave).await?;
        let plan = plan_of(&row)?;
        let accounts = self.queue.accounts(AccountFilter { wave: Some(row.id), ..AccountFilter::default() }).await?;
        if accounts.is_empty() {
            return Err(ServiceError::usage(
                format!("wave `{wave}` has no accounts"),
                format!("`mailhaul accounts import FILE --wave {wave}` brings them in"),
            ));
        }
        let mut jobs: Vec<NewJob> = Vec::new();
        match kind {
            Some(JobKind::Preflight) => {
                jobs.extend(accounts.iter().map(|row| new_job(row.id, JobKind::Preflight, &Payload::default(), None)));
            }
            Some(kind) => {
                let at = plan.start_after_unix_ms;
                jobs.extend(accounts.iter().map(|row| new_job(row.id, kind, &Payload::default(), at)));
            }
            None => {
                let begun = self.accounts_with_a_copy(row.id).await?;
                let fresh = accounts.iter().filter(|row| !begun.contains(&row.id));
                jobs.extend(
                    fresh.map(|row| new_job(row.id, JobKind::Bulk, &Payload::default(), plan.start_after_unix_ms)),
                );
                jobs.extend(self.due_passes(&row, &plan).await?);
            }
        }
        let queued = if jobs.is_empty() { 0 } else { self.queue.enqueue(jobs).await? };
        if queued > 0 {
            self.ring().await;
        }
        Ok(RunPrepared { wave: row.id, accounts: accounts.len() as u64, queued })
    }

    async fn accounts_with_a_copy(&self, wave: WaveId) -> Result<BTreeSet<AccountId>, ServiceError> {
        let kinds = super::waves::copying_kinds();
        let filter = JobFilter { wave: Some(wave), kinds, superseded: true, ..JobFilter::default() };
        Ok(self.queue.jobs(filter).await?.into_iter().map(|job| job.account).collect())
    }
}
