//! What this process is doing right now, for whoever draws it.

use crate::kinds::JobKind;
use mailhaul_copy::Progress;
use mailhaul_queue::{AccountId, JobId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// One running job.
#[derive(Debug, Clone)]
pub struct LiveJob {
    /// Which.
    pub job: JobId,
    /// For which account.
    pub account: AccountId,
    /// That account's name.
    pub account_name: String,
    /// What is done.
    pub kind: JobKind,
    /// Since when.
    pub since: Instant,
    /// How far it has come.
    pub progress: Arc<Progress>,
}

/// All running jobs of this process.
#[derive(Debug, Default)]
pub(crate) struct Live {
    jobs: Mutex<BTreeMap<JobId, LiveJob>>,
}

impl Live {
    pub(crate) fn jobs(&self) -> Vec<LiveJob> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Enters a job for as long as the entry is held.
    pub(crate) fn enter(self: &Arc<Self>, job: LiveJob) -> Entry {
        let id = job.job;
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).insert(id, job);
        Entry { live: Arc::clone(self), id }
    }
}

/// The running jobs, at every moment anew. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LiveView(Arc<Live>);

impl LiveView {
    pub(super) fn new(live: Arc<Live>) -> Self {
        Self(live)
    }

    /// The view of a process that does nothing.
    #[must_use]
    pub fn of_nothing() -> Self {
        Self(Arc::default())
    }

    /// What is being done right now.
    #[must_use]
    pub fn jobs(&self) -> Vec<LiveJob> {
        self.0.jobs()
    }
}

/// A job on the list.
pub(crate) struct Entry {
    live: Arc<Live>,
    id: JobId,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.live.jobs.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}
