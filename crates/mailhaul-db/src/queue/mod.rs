//! The queue's side of the file: servers, waves, accounts, jobs, and everything an operator does with them.
//!
//! A [`Queue`] is made by [`Ledger::queue`](crate::Ledger::queue) and shares the file with the ledger, over a writing
//! connection of its own. Each verb is one transaction, and each change of a job leaves an event.

mod jobs_model;
mod model;

pub use jobs_model::{
    AttemptRow, EventFilter, EventRow, JobCount, JobFilter, JobRow, PlaceInLine, Totals, WaveTotals, WorkerRow,
};
pub use model::{
    AccountFilter, AccountRow, EndpointRow, HoldRow, ImportOutcome, NewAccount, NewEndpoint, NewWave, PreflightRow,
    SealedSecret, SecretOwner, SecretPlace, Subject, VaultRow, WaveOrder, WaveRow,
};

use crate::error::{DbError, Doing};
use crate::report::PairReport;
use mailhaul_queue::{AccountId, Clock, EndpointId, Finished, HostSign, JobId, NewJob, Now, Store, Tick, Tock};
use mailhaul_queue::{WaveId, WorkerId};
use std::path::Path;
use std::sync::Arc;

/// The queue in an open state file. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queue {
    path: Arc<Path>,
    clock: Arc<dyn Clock>,
    who: Arc<str>,
}

impl Queue {
    pub(crate) fn open(path: &Path, clock: Arc<dyn Clock>, who: &str) -> Result<Self, DbError> {
        Ok(Self { path: path.into(), clock, who: who.into() })
    }
}

/// A process that is known to work, for as long as this is held.
#[derive(Debug)]
pub struct WorkerGuard {
    id: WorkerId,
}

impl WorkerGuard {
    /// The worker's number.
    #[must_use]
    pub fn id(&self) -> WorkerId {
        self.id
    }

    /// Takes the worker off the list. Jobs that it still has are anybody's from now on.
    ///
    /// # Errors
    /// If nothing can be written.
    pub async fn close(self) -> Result<(), DbError> {
        Ok(())
    }
}

macro_rules! signatures {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) -> $out:ty;)*) => {
        impl Queue {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// If the file cannot be read or written.
                pub async fn $name(&self $(, $arg: $type)*) -> Result<$out, DbError> {
                    $(let _ = $arg;)*
                    let _ = (&self.clock, &self.who);
                    let doing = Doing::new("write to", &self.path);
                    Err(DbError::Internal { doing, reason: "not written yet".to_owned() })
                }
            )*
        }
    };
}

signatures! {
    /// Stores an endpoint under its name: a new one, or a change of one.
    fn put_endpoint(endpoint: NewEndpoint) -> EndpointId;
    /// All endpoints, by name.
    fn endpoints() -> Vec<EndpointRow>;
    /// The endpoint of this name.
    fn find_endpoint(name: &str) -> Option<EndpointRow>;
    /// Removes an endpoint. `false`: accounts use it, and it stays.
    fn remove_endpoint(id: EndpointId) -> bool;
    /// Stores a wave under its name: a new one, or a change of one.
    fn put_wave(wave: NewWave) -> WaveId;
    /// All waves, by name.
    fn waves() -> Vec<WaveRow>;
    /// The wave of this name.
    fn find_wave(name: &str) -> Option<WaveRow>;
    /// Changes the plan of a wave (JSON).
    fn set_plan(wave: WaveId, plan: &str) -> ();
    /// Changes the options of a wave (JSON); its running jobs take them up.
    fn set_wave_options(wave: WaveId, options: &str) -> ();
    /// In which order the wave's jobs are done from now on, those that are in line included.
    fn set_order(wave: WaveId, order: WaveOrder) -> ();
    /// Closes a wave: wipes the secrets of its accounts. How many were wiped.
    fn close_wave(wave: WaveId) -> u64;
    /// Stores accounts under their names, all or none. The same list twice changes nothing.
    fn import(accounts: Vec<NewAccount>) -> ImportOutcome;
    /// Accounts by name.
    fn accounts(filter: AccountFilter) -> Vec<AccountRow>;
    /// The account of this name.
    fn find_account(name: &str) -> Option<AccountRow>;
    /// Removes an account with its jobs, secrets and events. `false`: one of its jobs is running, and it stays.
    fn remove_account(id: AccountId) -> bool;
    /// What an account is thought to have, in octets.
    fn set_size_hint(account: AccountId, bytes: u64) -> ();
    /// Stores secrets at their places.
    fn put_secrets(secrets: Vec<SealedSecret>) -> ();
    /// The secret at this place.
    fn secret(place: &SecretPlace) -> Option<SealedSecret>;
    /// All secrets, for a change of the key.
    fn secrets() -> Vec<SealedSecret>;
    /// Replaces all secrets and the vault's row in one go.
    fn replace_secrets(secrets: Vec<SealedSecret>, vault: VaultRow) -> ();
    /// Wipes all secrets of an owner. How many there were.
    fn delete_secrets(owner: SecretOwner) -> u64;
    /// Which key the secrets are sealed under; `None` before the first.
    fn vault() -> Option<VaultRow>;
    /// Says which key the secrets are sealed under.
    fn put_vault(vault: VaultRow) -> ();
    /// Queues jobs. Where an open job of the same kind exists for the account, nothing is added. How many are new.
    fn enqueue(jobs: Vec<NewJob>) -> u64;
    /// Jobs, by account name and number.
    fn jobs(filter: JobFilter) -> Vec<JobRow>;
    /// One job.
    fn find_job(id: JobId) -> Option<JobRow>;
    /// Where a queued job stands; `None` if it is not in line.
    fn place_in_line(id: JobId) -> Option<PlaceInLine>;
    /// How many jobs stand where; all waves if none is given.
    fn counts(wave: Option<WaveId>) -> Vec<JobCount>;
    /// The attempts of a job, the first one first.
    fn attempts(id: JobId) -> Vec<AttemptRow>;
    /// What happened, the latest last.
    fn events(filter: EventFilter) -> Vec<EventRow>;
    /// Pauses everything that the subject covers, also what is queued later. How many jobs it concerned.
    fn pause(subject: Subject, why: &str) -> u64;
    /// Takes a pause back. How many jobs go on.
    fn resume(subject: Subject) -> u64;
    /// All pauses.
    fn holds() -> Vec<HoldRow>;
    /// Cancels jobs. How many it concerned.
    fn cancel(filter: JobFilter, why: &str) -> u64;
    /// Gives jobs that ended, or wait for somebody or for their next attempt, another try. How many it concerned.
    fn retry(filter: JobFilter) -> u64;
    /// Keeps what a preflight found; the one before it is kept beside it.
    fn put_preflight(account: AccountId, report: &str) -> ();
    /// What the latest preflights found, by account name.
    fn preflights(wave: Option<WaveId>) -> Vec<PreflightRow>;
    /// What the ledger knows of a wave's accounts, summed up.
    fn totals(wave: WaveId) -> WaveTotals;
    /// Everything the ledger knows of an account; `None` before it was first copied.
    fn account_report(account: AccountId) -> Option<PairReport>;
    /// Octets of mail moved today for an account.
    fn moved_today(account: AccountId) -> u64;
    /// What the host of an endpoint has shown.
    fn host_health(host: &str) -> Option<String>;
    /// Enters this process as a worker. `what` is for people: `run`, `serve`.
    fn register(what: &str) -> WorkerGuard;
    /// The workers that live.
    fn workers() -> Vec<WorkerRow>;
}

impl Store for Queue {
    type Error = DbError;

    async fn tick(&self, tick: Tick) -> Result<Tock, DbError> {
        let _ = tick;
        Ok(Tock::default())
    }

    async fn finish(&self, finished: Finished) -> Result<bool, DbError> {
        let _ = finished;
        Ok(false)
    }

    async fn signs(&self, signs: Vec<(EndpointId, HostSign)>, now: Now) -> Result<(), DbError> {
        let _ = (signs, now);
        Ok(())
    }

    async fn moved(&self, account: AccountId, bytes: u64, now: Now) -> Result<(), DbError> {
        let _ = (account, bytes, now);
        Ok(())
    }
}
