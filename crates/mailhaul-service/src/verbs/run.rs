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
    /// that never had one, the next pass for those whose plan says so, and another one for those that were done and
    /// have changed since: what failed or was cancelled is left to
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
                jobs.extend(self.what_changed(row.id, &begun).await?);
            }
        }
        let queued = if jobs.is_empty() { 0 } else { self.queue.enqueue(jobs).await? };
        if queued > 0 {
            self.ring().await;
        }
        Ok(RunPrepared { wave: row.id, accounts: accounts.len() as u64, queued })
    }

    /// Accounts that were done and have changed since: the first copy where other mailboxes are meant now, a further pass
    /// where only the options differ.
    async fn what_changed(&self, wave: WaveId, begun: &BTreeSet<AccountId>) -> Result<Vec<NewJob>, ServiceError> {
        let kinds: Vec<&str> = JobKind::ALL.into_iter().filter(|kind| kind.copies()).map(JobKind::word).collect();
        let changed: BTreeSet<AccountId> = self.queue.changed_since_done(wave, &kinds).await?.into_iter().collect();
        let done = JobFilter {
            wave: Some(wave),
            kinds: super::waves::copying_kinds(),
            states: vec!["done".to_owned(), "done_with_exceptions".to_owned()],
            ..JobFilter::default()
        };
        let done: BTreeSet<AccountId> = self.queue.jobs(done).await?.into_iter().map(|job| job.account).collect();
        let mut jobs = Vec::new();
        for (account, _, totals) in self.queue.totals(wave).await?.accounts {
            // The ledger knows nothing of the mailboxes that are meant now, although a copy was done: it was of others.
            let is_other = totals.mailboxes == 0 && done.contains(&account) && begun.contains(&account);
            let kind = if is_other { JobKind::Bulk } else { JobKind::Resync };
            if is_other || changed.contains(&account) {
                jobs.push(new_job(account, kind, &Payload::default(), None));
            }
        }
        Ok(jobs)
    }

    async fn accounts_with_a_copy(&self, wave: WaveId) -> Result<BTreeSet<AccountId>, ServiceError> {
        let kinds = super::waves::copying_kinds();
        let filter = JobFilter { wave: Some(wave), kinds, superseded: true, ..JobFilter::default() };
        Ok(self.queue.jobs(filter).await?.into_iter().map(|job| job.account).collect())
    }
}
