//! What an operator can do, one file a subject. Words and structs come in, structs go out; nothing is printed here.
//!
//! Whatever changes jobs rings the doorbells of running processes afterwards, so that it takes effect at once. When
//! nothing runs, the change lies in the state file until something does.

mod access;
mod accounts;
mod change;
mod close;
mod control;
mod endpoints;
mod events;
mod explain;
mod hosts;
mod import;
mod in_force;
mod init;
mod jobs;
mod key;
mod log;
mod look;
mod names;
mod report;
mod run;
mod standing;
mod status;
mod table;
mod waves;
mod words;

pub(crate) use access::Uses;
pub use access::{Role, SessionView, TokenView, Visitor};
pub use accounts::{AccountChange, AccountView, PasswordsStored};
pub use change::{Change, CopyChange};
pub use close::Closed;
pub use control::{Controlled, Retried, Retry, Whom};
pub use endpoints::{EndpointChange, EndpointView};
pub use events::{EventQuery, EventView};
pub use explain::Explained;
pub use hosts::{EndpointStanding, HostState};
pub use import::{ImportFault, ImportReport, ImportRequest, ImportRow, RowVerdict};
pub use init::Initialised;
pub use jobs::JobQuery;
pub use key::Rotated;
pub use log::{LogEntry, LogEntryKind, account_log_file};
pub use look::PreflightView;
pub use run::RunPrepared;
pub use status::Watch;
pub use table::{AccountStanding, AccountTable, TableFilter, TablePage, TableSort};
pub use waves::{WaveChange, WaveView};

pub use mailhaul_db::queue::{
    AccountRow, AttemptFigure, AttemptRow, EndpointRow, EventRow, HoldRow, JobCount, JobFigure, JobRow, Lane,
    PlaceInLine, Subject, WaveOrder, WaveRow, WorkerRow,
};
pub use mailhaul_queue::{
    AccountId, EndpointId, EngineHandle, EngineOptions, FailureClass, JobId, JobState, Limits, Priority, Scope,
    Summary, WaitReason, WaveId,
};

use crate::error::ServiceError;
use crate::service::Service;
use crate::vault::Vault;

impl Service {
    /// Has every process that works on this state file look at it now. How many heard.
    pub async fn ring(&self) -> usize {
        crate::work::ring(self.ledger.path()).await
    }

    /// The vault, if the state file has a key.
    pub(crate) async fn vault_if_any(&self) -> Result<Option<Vault>, ServiceError> {
        if self.queue.vault().await?.is_none() { Ok(None) } else { self.vault().await.map(Some) }
    }
}
