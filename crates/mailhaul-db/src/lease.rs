//! The right to write for one pair.

use crate::error::{DbError, Doing};
use crate::mailbox::MailboxLedger;
use crate::model::{Generation, Mapping, PairId, Remark, RunVerdict};
use std::path::PathBuf;

/// One worker's claim on one pair. The operating-system lock is held until the lease and everything queued under it
/// are gone.
#[derive(Debug)]
pub struct PairLease {
    path: PathBuf,
}

/// A cheap look at whether a lease still holds, for the sender's last check before a command is completed.
#[derive(Debug, Clone)]
pub struct LeaseValidity {}

impl LeaseValidity {
    /// Whether the lease was the newest when the ledger was last written, and the ledger can be written at all.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        false
    }
}

impl PairLease {
    /// The pair's number.
    #[must_use]
    pub fn pair_id(&self) -> PairId {
        PairId(0)
    }

    /// Which claim this is.
    #[must_use]
    pub fn generation(&self) -> Generation {
        Generation(0)
    }

    /// See [`LeaseValidity::is_valid`].
    #[must_use]
    pub fn is_valid(&self) -> bool {
        false
    }

    /// A handle for the sender.
    #[must_use]
    pub fn validity(&self) -> LeaseValidity {
        LeaseValidity {}
    }

    /// Why the lease is no longer valid.
    #[must_use]
    pub fn failure(&self) -> Option<DbError> {
        None
    }

    /// The mapping of every mailbox ever mapped, ordered by source name.
    ///
    /// # Errors
    /// If the ledger cannot be read or is damaged.
    pub async fn mappings(&self) -> Result<Vec<Mapping>, DbError> {
        Ok(Vec::new())
    }

    /// Stores mappings of mailboxes that have none yet; equal ones are left alone. Durable on return.
    ///
    /// # Errors
    /// If one of them is mapped otherwise already (see [`PairLease::remap_mailbox`]), or nothing can be written.
    pub async fn map_mailboxes(&self, _mappings: Vec<Mapping>) -> Result<(), DbError> {
        Err(DbError::Closed(Doing::new("write to", &self.path)))
    }

    /// Gives a mailbox another target and forgets what was settled in the old one: the new target is at first
    /// contact, and what it holds already will be adopted.
    ///
    /// # Errors
    /// If nothing can be written.
    pub async fn remap_mailbox(&self, _mapping: Mapping) -> Result<(), DbError> {
        Err(DbError::Closed(Doing::new("write to", &self.path)))
    }

    /// The ledger of one mapped mailbox.
    ///
    /// # Errors
    /// If it has no mapping, or the ledger is damaged.
    pub async fn mailbox(&self, _source: &str) -> Result<MailboxLedger, DbError> {
        Err(DbError::Closed(Doing::new("write to", &self.path)))
    }

    /// Replaces the remarks about the account as a whole.
    ///
    /// # Errors
    /// If nothing can be written.
    pub async fn replace_remarks(&self, _remarks: Vec<Remark>) -> Result<(), DbError> {
        Err(DbError::Closed(Doing::new("write to", &self.path)))
    }

    /// Records how the run ended, after everything queued; durable on return. A lease that is dropped without it
    /// leaves an unfinished run.
    ///
    /// # Errors
    /// If nothing can be written.
    pub async fn finish_run(&self, _verdict: RunVerdict, _detail: &str) -> Result<(), DbError> {
        Err(DbError::Closed(Doing::new("write to", &self.path)))
    }

    /// Waits until everything queued so far is on disk.
    ///
    /// # Errors
    /// If something could not be written.
    pub async fn flush(&self) -> Result<(), DbError> {
        Ok(())
    }

    /// Writes what is queued and gives the pair back.
    ///
    /// # Errors
    /// If something could not be written.
    pub async fn release(self) -> Result<(), DbError> {
        Ok(())
    }
}
