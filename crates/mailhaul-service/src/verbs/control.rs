//! Pause, resume, cancel, retry: written into the state file, and heard at once by whoever is working.

use super::waves::copying_kinds;
use crate::error::ServiceError;
use crate::kinds::{JobKind, Payload};
use crate::plan::new_job;
use crate::service::Service;
use mailhaul_db::queue::{AccountFilter, HoldRow, JobCount, JobFilter, Subject};
use mailhaul_queue::{AccountId, FailureClass, JobId, NewJob, WaitReason};
use std::collections::HashMap;

/// Accounts that one change pauses or resumes: leases are renewed between two of them.
const ACCOUNTS_AT_ONCE: usize = 5_000;
/// Pauses of single accounts and jobs that one answer tells at most.
const HOLDS_TOLD: u32 = 1_000;

/// What is paused, resumed or cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// One job.
    Job(JobId),
    /// The jobs of one account.
    Account(String),
    /// The jobs of these accounts.
    Accounts(Vec<String>),
    /// The jobs of one wave.
    Wave(String),
    /// The jobs that use one endpoint.
    Endpoint(String),
    /// All jobs.
    Everything,
}

/// What a word of an operator did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Controlled {
    /// Jobs that it concerned.
    pub jobs: u64,
    /// Processes that heard it at once.
    pub heard: usize,
    /// Pauses that stand now and have to do with it: those of what was named, and those of everything, endpoints and
    /// waves, which cover it perhaps. Of many accounts, a thousand at most.
    pub holds: Vec<HoldRow>,
}

/// What gets another try.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retry {
    /// Only in this wave.
    pub wave: Option<String>,
    /// Only this account.
    pub account: Option<String>,
    /// Only these accounts; as with one, all of each is meant.
    pub accounts: Vec<String>,
    /// What failed, and what waits for somebody.
    pub failed: bool,
    /// What failed, or waits, because of this class of trouble.
    pub class: Option<FailureClass>,
    /// Messages that were set aside.
    pub exceptions: bool,
    /// Messages that were set aside in these source mailboxes.
    pub mailboxes: Vec<String>,
}

/// What a retry did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retried {
    /// Jobs that are in line again.
    pub jobs: u64,
    /// Jobs that were queued to try exceptions again.
    pub exceptions: u64,
    /// Processes that heard it at once.
    pub heard: usize,
}

impl Service {
    /// Pauses, also what is queued later.
    ///
    /// # Errors
    /// If there is nothing of this name.
    pub async fn pause(&self, whom: &Whom, why: &str) -> Result<Controlled, ServiceError> {
        let subjects = self.subjects(whom).await?;
        let mut jobs = 0;
        match accounts_of(&subjects) {
            Some(accounts) => {
                for part in accounts.chunks(ACCOUNTS_AT_ONCE) {
                    jobs += self.queue.pause_accounts(part, why).await?;
                }
            }
            None => {
                for subject in &subjects {
                    jobs += self.queue.pause(*subject, why).await?;
                }
            }
        }
        self.controlled(jobs, &subjects).await
    }

    /// Takes a pause back. What another pause covers stays paused.
    ///
    /// # Errors
    /// If there is nothing of this name.
    pub async fn resume(&self, whom: &Whom) -> Result<Controlled, ServiceError> {
        let subjects = self.subjects(whom).await?;
        let mut jobs = 0;
        match accounts_of(&subjects) {
            Some(accounts) => {
                for part in accounts.chunks(ACCOUNTS_AT_ONCE) {
                    jobs += self.queue.resume_accounts(part).await?;
                }
            }
            None => {
                for subject in &subjects {
                    jobs += self.queue.resume(*subject).await?;
                }
            }
        }
        self.controlled(jobs, &subjects).await
    }

    /// Cancels what is not over.
    ///
    /// # Errors
    /// If there is nothing of this name.
    pub async fn cancel(&self, whom: &Whom, why: &str) -> Result<Controlled, ServiceError> {
        let (mut filter, subjects) = (JobFilter::default(), self.subjects(whom).await?);
        for subject in &subjects {
            match *subject {
                Subject::Everything => {}
                Subject::Endpoint(id) => filter.endpoint = Some(id),
                Subject::Wave(id) => filter.wave = Some(id),
                Subject::Account(id) => filter.accounts.push(id),
                Subject::Job(id) => filter.job = Some(id),
            }
        }
        let jobs = self.queue.cancel(filter, why).await?;
        self.controlled(jobs, &subjects).await
    }

    /// Gives jobs another try, and leaves all others alone.
    ///
    /// # Errors
    /// If there is no such wave or account.
    pub async fn retry(&self, retry: &Retry) -> Result<Retried, ServiceError> {
        let mut base = JobFilter::default();
        if let Some(name) = &retry.wave {
            base.wave = Some(self.wave_named(name).await?.id);
        }
        if let Some(name) = &retry.account {
            base.account = Some(self.account_named(name).await?.id);
        }
        if !retry.accounts.is_empty() {
            base.accounts = self.accounts_named(&retry.accounts).await?;
        }
        let names_accounts = retry.account.is_some() || !retry.accounts.is_empty();
        let wants_exceptions = retry.exceptions || !retry.mailboxes.is_empty();
        let mut retried = Retried::default();
        if retry.failed || retry.class.is_some() || (names_accounts && !wants_exceptions) {
            retried.jobs = self.retry_failed(&base, retry.class).await?;
        }
        if wants_exceptions {
            retried.exceptions = self.retry_exceptions(&base, &retry.mailboxes).await?;
        }
        retried.heard = self.ring().await;
        Ok(retried)
    }

    async fn retry_failed(&self, base: &JobFilter, class: Option<FailureClass>) -> Result<u64, ServiceError> {
        let with = |states: &[&str], failure_class, wait_reason| JobFilter {
            states: states.iter().map(|&state| state.to_owned()).collect(),
            failure_class,
            wait_reason,
            ..base.clone()
        };
        let Some(class) = class else {
            let failed = self.queue.retry(with(&["failed"], None, None)).await?;
            let parked = JobFilter { needs_attention: true, ..with(&["waiting"], None, None) };
            let parked = self.queue.retry(parked).await?;
            if base.account.is_none() && base.accounts.is_empty() {
                return Ok(failed + parked);
            }
            // Whoever names an account means all of it: also what waits for its next attempt, and what was cancelled.
            let waiting = self.queue.retry(with(&["waiting"], None, Some(WaitReason::BackOff))).await?;
            return Ok(failed + parked + waiting + self.queue.retry(with(&["cancelled"], None, None)).await?);
        };
        let mut jobs = self.queue.retry(with(&["failed"], Some(class), None)).await?;
        if let Some(reason) = parked_by(class) {
            jobs += self.queue.retry(with(&["waiting"], None, Some(reason))).await?;
        } else {
            // What waits for its next attempt gets it now.
            jobs += self.queue.retry(with(&["waiting"], Some(class), Some(WaitReason::BackOff))).await?;
        }
        Ok(jobs)
    }

    /// A new pass with orders to try again what was set aside, for every account that has such messages.
    async fn retry_exceptions(&self, base: &JobFilter, mailboxes: &[String]) -> Result<u64, ServiceError> {
        let filter =
            JobFilter { kinds: copying_kinds(), states: vec!["done_with_exceptions".to_owned()], ..base.clone() };
        let payload = Payload { retry_exceptions: mailboxes.is_empty(), retry_in: mailboxes.to_vec() };
        let mut jobs: Vec<NewJob> = Vec::new();
        for job in self.queue.jobs(filter).await? {
            let Some(kind) = JobKind::from_word(&job.kind) else { continue };
            if !jobs.iter().any(|queued| queued.account == job.account) {
                jobs.push(new_job(job.account, kind, &payload, None));
            }
        }
        if jobs.is_empty() { Ok(0) } else { Ok(self.queue.enqueue(jobs).await?) }
    }

    async fn controlled(&self, jobs: u64, subjects: &[Subject]) -> Result<Controlled, ServiceError> {
        let heard = self.ring().await;
        let mut holds = self.queue.wide_holds().await?;
        let mut narrow: Vec<Subject> = subjects.iter().copied().filter(|subject| !is_wide(*subject)).collect();
        if let [Subject::Job(id)] = subjects {
            // A pause of its account covers a job as well.
            narrow.push(Subject::Account(self.job(*id).await?.account));
        }
        holds.extend(self.queue.holds_of(&narrow, HOLDS_TOLD).await?);
        Ok(Controlled { jobs, heard, holds })
    }

    /// Never empty: nobody who named nothing means everything.
    async fn subjects(&self, whom: &Whom) -> Result<Vec<Subject>, ServiceError> {
        Ok(match whom {
            Whom::Everything => vec![Subject::Everything],
            Whom::Endpoint(name) => vec![Subject::Endpoint(self.endpoint_named(name).await?.id)],
            Whom::Wave(name) => vec![Subject::Wave(self.wave_named(name).await?.id)],
            Whom::Account(name) => vec![Subject::Account(self.account_named(name).await?.id)],
            Whom::Accounts(names) => self.accounts_named(names).await?.into_iter().map(Subject::Account).collect(),
            Whom::Job(id) => vec![Subject::Job(self.job(*id).await?.id)],
        })
    }

    /// Many accounts by their names; each must be there.
    async fn accounts_named(&self, names: &[String]) -> Result<Vec<AccountId>, ServiceError> {
        if names.is_empty() {
            return Err(ServiceError::usage("no account is named", "name at least one"));
        }
        let rows = self.queue.accounts(AccountFilter::default()).await?;
        let known: HashMap<&str, AccountId> = rows.iter().map(|row| (row.name.as_str(), row.id)).collect();
        let mut ids = Vec::with_capacity(names.len());
        for name in names {
            ids.push(match known.get(name.as_str()) {
                Some(id) => *id,
                // Says which names are near.
                None => self.account_named(name).await?.id,
            });
        }
        Ok(ids)
    }
}

/// Whether there are few of these, however many accounts there are.
fn is_wide(subject: Subject) -> bool {
    matches!(subject, Subject::Everything | Subject::Endpoint(_) | Subject::Wave(_))
}

/// The accounts, if there are only accounts.
fn accounts_of(subjects: &[Subject]) -> Option<Vec<AccountId>> {
    let account = |subject: &Subject| if let Subject::Account(id) = subject { Some(*id) } else { None };
    subjects.iter().map(account).collect()
}

/// What a job waits for that this class of trouble has parked.
fn parked_by(class: FailureClass) -> Option<WaitReason> {
    match class {
        FailureClass::SignIn => Some(WaitReason::Credentials),
        FailureClass::Quota => Some(WaitReason::Quota),
        FailureClass::Decision | FailureClass::Local => Some(WaitReason::Operator),
        _ => None,
    }
}

/// How many jobs are not over.
pub(super) fn open_jobs(counts: &[JobCount]) -> u64 {
    counts.iter().filter(|count| !count.state.is_terminal()).map(|count| count.jobs).sum()
}
