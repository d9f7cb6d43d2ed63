//! The ledger of one mailbox pair, as the walker sees it.

use crate::error::{DbError, Doing};
use crate::model::{Exception, ExceptionState, MailboxState, PassCounts, Remark, Scan, Settled, Settlement};
use mailhaul_types::{Uid, UidRange, UidValidity};
use std::path::PathBuf;

/// One mailbox pair under a lease. Writes are queued in order and committed in groups; an error of the writer comes
/// back from the next call. Every write is fenced: it fails with [`DbError::LeaseLost`] once another worker has
/// claimed the pair. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MailboxLedger {
    path: PathBuf,
}

/// A write that is queued: wait for it to be on disk, or drop it to go on without knowing.
#[derive(Debug)]
#[must_use = "queued is not yet on disk"]
pub struct Committed {}

impl Committed {
    /// Waits until the write is on disk.
    ///
    /// # Errors
    /// If it could not be written.
    pub async fn wait(self) -> Result<(), DbError> {
        Ok(())
    }
}

impl MailboxLedger {
    /// Reads and verifies everything about this mailbox, after what is queued has been written.
    ///
    /// # Errors
    /// [`DbError::Damaged`] if anything is not as it was written.
    pub async fn load(&self) -> Result<MailboxState, DbError> {
        Err(DbError::Closed(Doing::new("read", &self.path)))
    }

    /// Ties the mailbox to the UIDVALIDITYs seen. At first contact with a side this sets them and the mark;
    /// otherwise they must be those stored, and the mark stays. Durable on return.
    ///
    /// # Errors
    /// [`DbError::OtherUidValidity`] if one of them is another: compare with [`MailboxState`] first.
    pub async fn bind(&self, _source: UidValidity, _target: UidValidity, _first_mark: Uid) -> Result<(), DbError> {
        Err(DbError::Closed(Doing::new("write to", &self.path)))
    }

    /// The target's UIDVALIDITY has changed: settled stays settled, its target UIDs are void, and the target is to be
    /// read from `mark`. Durable on return.
    ///
    /// # Errors
    /// If nothing can be written.
    pub async fn void_target_uids(&self, _new: UidValidity, _mark: Uid) -> Result<(), DbError> {
        Err(DbError::Closed(Doing::new("write to", &self.path)))
    }

    /// Marks source UIDs as possibly in flight, together with the mark U. Nothing of them may be sent before the
    /// returned commit is on disk. Committed at once.
    ///
    /// # Errors
    /// If the writer has failed.
    pub async fn mark_sent(&self, _range: UidRange, _target_mark: Uid) -> Result<Committed, DbError> {
        Err(DbError::Closed(Doing::new("write to", &self.path)))
    }

    /// Queues settled messages. Returns as soon as there is room in the queue.
    ///
    /// # Errors
    /// If the writer has failed.
    pub async fn settle(&self, _settlement: Settlement) -> Result<(), DbError> {
        Err(DbError::Closed(Doing::new("write to", &self.path)))
    }

    /// Queues an exception; one already recorded for the same message and state is replaced. Recording a settling
    /// state for a message that is settled already changes nothing. Settling a message later removes what set it
    /// aside.
    ///
    /// # Errors
    /// If the writer has failed.
    pub async fn record_exception(&self, _exception: Exception) -> Result<(), DbError> {
        Err(DbError::Closed(Doing::new("write to", &self.path)))
    }

    /// Removes all exceptions of these states (`--retry-exceptions`, or the mailbox's own before a new pass).
    ///
    /// # Errors
    /// If the writer has failed.
    pub async fn clear_exceptions(&self, _states: &[ExceptionState]) -> Result<(), DbError> {
        Err(DbError::Closed(Doing::new("write to", &self.path)))
    }

    /// Queues a counted scan.
    ///
    /// # Errors
    /// If the writer has failed.
    pub async fn record_scan(&self, _scan: Scan) -> Result<(), DbError> {
        Err(DbError::Closed(Doing::new("write to", &self.path)))
    }

    /// Queues what this pass has counted, with the remarks that replace the earlier ones.
    ///
    /// # Errors
    /// If the writer has failed.
    pub async fn record_pass(&self, _counts: PassCounts, _remarks: Vec<Remark>) -> Result<(), DbError> {
        Err(DbError::Closed(Doing::new("write to", &self.path)))
    }

    /// The settled messages, after what is queued has been written.
    ///
    /// # Errors
    /// If the writer has failed.
    pub async fn messages(&self) -> Result<SettledPages, DbError> {
        Err(DbError::Closed(Doing::new("read", &self.path)))
    }

    /// Waits until everything queued so far is on disk.
    ///
    /// # Errors
    /// If something could not be written.
    pub async fn flush(&self) -> Result<(), DbError> {
        Err(DbError::Closed(Doing::new("write to", &self.path)))
    }
}

/// The settled messages of a mailbox, one segment (at most 1,000 messages) at a time.
#[derive(Debug)]
pub struct SettledPages {}

impl SettledPages {
    /// The next segment's messages, ascending by source UID within the segment; segments come in the order in which
    /// they were begun. `None` at the end.
    ///
    /// # Errors
    /// [`DbError::Damaged`], or the ledger cannot be read.
    pub async fn next(&mut self) -> Result<Option<Vec<Settled>>, DbError> {
        Ok(None)
    }
}
