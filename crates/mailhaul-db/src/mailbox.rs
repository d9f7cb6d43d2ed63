//! The ledger of one mailbox pair, as the walker sees it.

use crate::error::DbError;
use crate::model::{Exception, ExceptionState, MailboxState, PassCounts, Remark, Scan, Settlement};
use crate::read::{Reader, SettledPages};
use crate::writer::{Change, Committed, LeaseState, MailboxChange, WriterHandle};
use mailhaul_types::{Uid, UidRange, UidValidity};
use std::sync::Arc;

/// One mailbox pair under a lease. Writes are queued in order and committed in groups; an error of the writer comes
/// back from the next call. Every write is fenced: it fails with [`DbError::LeaseLost`] once another worker has
/// claimed the pair. After any error the lease is no longer valid, and the pair must be left alone by this process.
/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct MailboxLedger {
    mailbox_id: i64,
    lease: Arc<LeaseState>,
    writer: WriterHandle,
    reader: Reader,
}

impl MailboxLedger {
    pub(crate) fn new(mailbox_id: i64, lease: Arc<LeaseState>, writer: WriterHandle, reader: Reader) -> Self {
        Self { mailbox_id, lease, writer, reader }
    }

    /// Reads and verifies everything about this mailbox, after what is queued has been written.
    ///
    /// # Errors
    /// [`DbError::Damaged`] if anything is not as it was written.
    pub async fn load(&self) -> Result<MailboxState, DbError> {
        self.flush().await?;
        self.reader.load(self.mailbox_id).await
    }

    /// Ties the mailbox to the UIDVALIDITYs seen. At first contact with a side this sets them and the mark;
    /// otherwise they must be those stored, and the mark stays. Durable on return.
    ///
    /// # Errors
    /// [`DbError::OtherUidValidity`] if one of them is another: compare with [`MailboxState`] first.
    pub async fn bind(&self, source: UidValidity, target: UidValidity, first_mark: Uid) -> Result<(), DbError> {
        self.order(MailboxChange::Bind(source, target, first_mark)).await?.wait().await
    }

    /// The target's UIDVALIDITY has changed: settled stays settled, its target UIDs are void, and the target is to be
    /// read from `mark`. Under the UIDVALIDITY that is stored already only the mark is set, even back: for a target
    /// that was put back to an earlier state, after what is still there has been settled anew. Durable on return.
    ///
    /// # Errors
    /// If nothing can be written.
    pub async fn void_target_uids(&self, new: UidValidity, mark: Uid) -> Result<(), DbError> {
        self.order(MailboxChange::VoidTargetUids(new, mark)).await?.wait().await
    }

    /// Marks source UIDs as possibly in flight, together with the mark U. Nothing of them may be sent before the
    /// returned commit is on disk. The range on disk only grows until a settlement takes it back
    /// ([`Settlement::clear_sent`]); what is settled inside it is no longer in flight. Committed at once.
    ///
    /// # Errors
    /// If the writer has failed.
    pub async fn mark_sent(&self, range: UidRange, target_mark: Uid) -> Result<Committed, DbError> {
        self.order(MailboxChange::MarkSent(range, target_mark)).await
    }

    /// Queues settled messages, and moves the mark U, which never moves back. Returns as soon as there is room in the
    /// queue.
    ///
    /// # Errors
    /// If the writer has failed.
    pub async fn settle(&self, settlement: Settlement) -> Result<(), DbError> {
        self.queue(MailboxChange::Settle(settlement)).await
    }

    /// Queues an exception; one already recorded for the same message and state is replaced. Recording a settling
    /// state for a message that is settled already changes nothing. Settling a message later removes what set it
    /// aside.
    ///
    /// # Errors
    /// If the writer has failed.
    pub async fn record_exception(&self, exception: Exception) -> Result<(), DbError> {
        self.queue(MailboxChange::RecordException(exception)).await
    }

    /// Removes all exceptions of these states (`--retry-exceptions`, or the mailbox's own before a new pass).
    ///
    /// # Errors
    /// If the writer has failed.
    pub async fn clear_exceptions(&self, states: &[ExceptionState]) -> Result<(), DbError> {
        self.queue(MailboxChange::ClearExceptions(states.to_vec())).await
    }

    /// Queues a counted scan.
    ///
    /// # Errors
    /// If the writer has failed.
    pub async fn record_scan(&self, scan: Scan) -> Result<(), DbError> {
        self.queue(MailboxChange::RecordScan(scan)).await
    }

    /// Queues what this pass has counted, with the remarks that replace the earlier ones.
    ///
    /// # Errors
    /// If the writer has failed.
    pub async fn record_pass(&self, counts: PassCounts, remarks: Vec<Remark>) -> Result<(), DbError> {
        self.queue(MailboxChange::RecordPass(counts, remarks)).await
    }

    /// The settled messages, after what is queued has been written.
    ///
    /// # Errors
    /// If the writer has failed.
    pub async fn messages(&self) -> Result<SettledPages, DbError> {
        self.flush().await?;
        Ok(SettledPages::new(self.reader.clone(), self.mailbox_id))
    }

    /// Waits until everything queued so far is on disk, and sees whether the lease still holds.
    ///
    /// # Errors
    /// If something could not be written.
    pub async fn flush(&self) -> Result<(), DbError> {
        self.writer.order(&self.lease, Change::Check).await?.wait().await
    }

    async fn queue(&self, change: MailboxChange) -> Result<(), DbError> {
        self.writer.queue(&self.lease, Change::Mailbox(self.mailbox_id, change)).await
    }

    async fn order(&self, change: MailboxChange) -> Result<Committed, DbError> {
        self.writer.order(&self.lease, Change::Mailbox(self.mailbox_id, change)).await
    }
}
