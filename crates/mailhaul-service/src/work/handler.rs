//! One job from claim to end: read what applies to the account, do what the kind says, report how it ended.

use super::crowd::Crowd;
use super::ends;
use super::live::{Live, LiveJob};
use super::rates::Rates;
use super::supervisor::{JobSupervisor, ProgressPulse};
use crate::account::{NotPrepared, Prepared, prepare};
use crate::kinds::{JobKind, Payload};
use crate::plan::WavePlan;
use crate::service::Service;
use crate::vault::Vault;
use mailhaul_copy::{
    CopyJob, Oversight, Progress, RetryExceptions, StopSignal, StopSwitch, Supervisor, VerifyJob, VerifyLevel,
    copy_account, preflight_with_oversight, verify_account,
};
use mailhaul_queue::{ClaimedJob, FailureClass, Handler, JobControl, JobEnd, Outcome, StaleHolder};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tracing::Instrument as _;

/// Does jobs of every kind.
pub(crate) struct Worker {
    service: Service,
    vault: Arc<Vault>,
    live: Arc<Live>,
    rates: Arc<Rates>,
    crowd: Arc<Crowd>,
}

/// What one job works with.
struct Task<'a> {
    worker: &'a Worker,
    kind: JobKind,
    payload: Payload,
    prepared: Prepared,
    progress: Arc<Progress>,
    supervisor: Arc<dyn Supervisor>,
    stop: StopSignal,
    stale_holder: Option<StaleHolder>,
    attempt: u32,
}

impl Worker {
    pub(crate) fn new(
        service: Service,
        vault: Arc<Vault>,
        live: Arc<Live>,
        rates: Arc<Rates>,
        crowd: Arc<Crowd>,
    ) -> Self {
        Self { service, vault, live, rates, crowd }
    }

    /// Reads the job and everything that applies to it; or how it ends because that cannot be done.
    async fn read(&self, job: &ClaimedJob) -> Result<(JobKind, Payload, Prepared), JobEnd> {
        let stored = |what: String| ends::failed(FailureClass::Usage, what);
        let kind = JobKind::from_word(&job.kind)
            .ok_or_else(|| stored(format!("this version of mailhaul knows no job of kind `{}`", job.kind)))?;
        let payload = Payload::from_json(&job.payload)
            .map_err(|error| stored(format!("what the job was told cannot be read: {error}")))?;
        let queue = self.service.queue();
        let row = match queue.account(job.account).await {
            Ok(Some(row)) => row,
            Ok(None) => return Err(stored("its account is not stored any more".to_owned())),
            Err(error) => return Err(ends::of_database(&error)),
        };
        match prepare(queue, &self.vault, row).await {
            // What is stored was checked, object by object; an account that was moved since may inherit something else.
            Ok(prepared) => match prepared.options.check_changes() {
                Ok(()) => Ok((kind, payload, prepared)),
                Err(error) => Err(ends::of_service(&error)),
            },
            Err(NotPrepared::NoPassword(words)) => Err(ends::failed(FailureClass::SignIn, words)),
            Err(NotPrepared::Service(error)) => Err(ends::of_service(&error)),
        }
    }

    async fn work(&self, job: ClaimedJob, control: JobControl) -> JobEnd {
        let (kind, payload, prepared) = match self.read(&job).await {
            Ok(read) => read,
            Err(end) => return end,
        };
        let progress = Arc::new(Progress::default());
        control.show(Arc::new(ProgressPulse(Arc::clone(&progress))));
        let _entry = self.live.enter(LiveJob {
            job: job.key.job,
            account: job.account,
            account_name: prepared.row.name.clone(),
            kind,
            since: Instant::now(),
            progress: Arc::clone(&progress),
        });
        let _place = self.crowd.enter(&[prepared.source.id, prepared.target.id]);
        let (switch, stop) = StopSwitch::new();
        let supervisor: Arc<dyn Supervisor> = Arc::new(JobSupervisor {
            control: control.clone(),
            rates: Arc::clone(&self.rates),
            crowd: Arc::clone(&self.crowd),
            account: job.account,
            source: prepared.source.id,
            target: prepared.target.id,
            served_at: Mutex::new(Instant::now()),
        });
        let task = Task {
            worker: self,
            kind,
            payload,
            prepared,
            progress,
            supervisor,
            stop,
            stale_holder: job.stale_holder,
            attempt: job.attempt,
        };
        tracing::info!(attempt = job.attempt, "{} begins", kind.word());
        let mut doing = std::pin::pin!(task.run(&control));
        let end = tokio::select! {
            end = &mut doing => end,
            asked = control.asked_to_yield() => {
                tracing::debug!(?asked, "asked to yield");
                switch.request();
                doing.await
            }
        };
        self.rates.forget(job.account);
        tracing::info!(outcome = end.outcome.word(), "{} ends: {}", kind.word(), mailhaul_types::Escaped(&end.words));
        end
    }
}

impl Handler for Worker {
    async fn run(&self, job: ClaimedJob, control: JobControl) -> JobEnd {
        let span = tracing::info_span!("job", job.id = job.key.job.0, account.id = job.account.0, job.kind = %job.kind);
        self.work(job, control).instrument(span).await
    }
}

impl Task<'_> {
    async fn run(&self, control: &JobControl) -> JobEnd {
        let mut end = match self.kind {
            JobKind::Preflight => self.preflight(control).await,
            // The last pass ends with a comparison by itself.
            JobKind::Bulk | JobKind::Resync | JobKind::Final => self.copy(control).await,
            JobKind::Verify => self.verify(control).await,
        };
        if matches!(end.outcome, Outcome::Done | Outcome::DoneWithExceptions) {
            let now_unix_ms = self.worker.service.now_unix_ms();
            match WavePlan::from_json(&self.prepared.wave.plan) {
                Ok(plan) => end.then.extend(plan.next(self.prepared.row.id, self.kind, now_unix_ms)),
                Err(error) => tracing::error!(%error, "the plan of the wave cannot be read; nothing follows"),
            }
        }
        end
    }

    fn copy_job(&self) -> CopyJob {
        let options = &self.prepared.options;
        let retry_exceptions = match (self.payload.retry_exceptions, self.payload.retry_in.as_slice()) {
            (_, mailboxes @ [_, ..]) => RetryExceptions::In(mailboxes.to_vec()),
            (true, []) => RetryExceptions::Everywhere,
            (false, []) => RetryExceptions::Nowhere,
        };
        CopyJob {
            accounts: self.prepared.pair.clone(),
            rules: options.rules(),
            selection: options.selection(),
            retry_exceptions,
            remap: options.remap.unwrap_or_default(),
            accept_target_change: options.accept_target_change.unwrap_or_default(),
            accept_mass_absence: options.accept_mass_absence.unwrap_or_default(),
            copy_deleted_flag: options.copy_deleted_flag.unwrap_or_default(),
            connections: options.connections(),
            batches: mailhaul_plan::batches::BatchLimits::default(),
            recognise_only: false,
            resync: options.resync(self.kind == JobKind::Final),
        }
    }

    fn oversight(&self) -> Oversight<'_> {
        Oversight {
            progress: &self.progress,
            stop: &self.stop,
            supervisor: Arc::clone(&self.supervisor),
            stale_holder: self.stale_holder,
        }
    }

    async fn copy(&self, control: &JobControl) -> JobEnd {
        let report = copy_account(&self.copy_job(), self.worker.service.ledger(), &self.oversight()).await;
        ends::of_copy(&report, control, self.worker.service.now_unix_ms())
    }

    async fn verify(&self, control: &JobControl) -> JobEnd {
        let options = &self.prepared.options;
        let job = VerifyJob {
            accounts: self.prepared.pair.clone(),
            rules: options.rules(),
            selection: options.selection(),
            level: VerifyLevel::Keys,
            ignore_flags: true,
        };
        let report = verify_account(&job, &self.oversight()).await;
        ends::of_verify(&report, control, self.worker.service.now_unix_ms())
    }

    async fn preflight(&self, control: &JobControl) -> JobEnd {
        let job = self.copy_job();
        let service = &self.worker.service;
        let found = preflight_with_oversight(&job, Some(service.ledger()), &self.oversight()).await;
        ends::of_preflight(service.queue(), self.prepared.row.id, &found, control, self.attempt).await
    }
}
