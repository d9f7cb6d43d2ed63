//! The ledger of one mailbox pair, as the walker sees it.

use crate::error::DbError;
use crate::model::{
    Exception, ExceptionState, MailboxState, PassCounts, Remark, Renumbering, Scan, Settled, Settlement, Synced,
};
use crate::read::{Reader, SettledPages};
use crate::writer::{Change, Committed, LeaseState, MailboxChange, WriterHandle};
use mailhaul_types::{Flags, Uid, UidRange, UidSet, UidValidity};
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

    /// The ground has moved under the target mailbox, and it was read anew: what [`MailboxLedger::void_target_uids`]
    /// does, and what was found out about `messages`, in one transaction. What is not among them stays settled and,
    /// under another UIDVALIDITY, has no target UID any more. Durable on return.
    ///
    /// # Errors
    /// If nothing can be written; if the mailbox was never bound.
    pub async fn renumber_target(&self, new: UidValidity, mark: Uid, messages: Vec<Settled>) -> Result<(), DbError> {
        self.order(MailboxChange::RenumberTarget(new, mark, messages)).await?.wait().await
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

    /// Queues what the source was when this pass had accounted for everything in it. As every write it stays behind
    /// what was queued before it: it is never on disk before the work it stands for. It goes again, in the same
    /// transaction, when the mailbox is remapped or renumbered or its target UIDs are voided.
    ///
    /// # Errors
    /// If the writer has failed. Told by a later call: [`DbError::OtherUidValidity`] if it names other UIDVALIDITYs
    /// than those stored.
    pub async fn record_synced(&self, synced: Synced) -> Result<(), DbError> {
        self.queue(MailboxChange::RecordSynced(Box::new(synced))).await
    }

    /// Queues that the mailbox is to be visited and listed as a whole next time. What has departed stays known.
    ///
    /// # Errors
    /// If the writer has failed.
    pub async fn forget_synced(&self) -> Result<(), DbError> {
        self.queue(MailboxChange::ForgetSynced).await
    }

    /// Queues that source UIDs have left the source and have been dealt with, ahead of the synced row that will say
    /// so too: a message that was moved is not to be taken for one that has just left should the pass end early.
    ///
    /// # Errors
    /// If the writer has failed.
    pub async fn add_departed(&self, uids: UidSet) -> Result<(), DbError> {
        self.queue(MailboxChange::AddDeparted(uids)).await
    }

    /// Queues other flags (the last synced value) for settled messages, wherever they are stored; nothing else of
    /// them changes. UIDs that are not settled are ignored. Each segment is written at most once for a group, however
    /// many of its messages change.
    ///
    /// # Errors
    /// If the writer has failed.
    pub async fn set_flags(&self, changes: Vec<(Uid, Flags)>) -> Result<(), DbError> {
        self.queue(MailboxChange::SetFlags(changes)).await
    }

    /// The settled messages among `uids`, ascending by source UID, after what is queued has been written. Every
    /// segment is verified, so that none is missing; only those that overlap are decoded. Memory follows the answer.
    ///
    /// # Errors
    /// [`DbError::Damaged`], or the writer has failed.
    pub async fn settled_in(&self, uids: &UidSet) -> Result<Vec<Settled>, DbError> {
        self.flush().await?;
        self.reader.settled_in(self.mailbox_id, uids).await
    }

    /// The source's UIDs mean something else than before: all that is settled is replaced by `renumbering`, in one
    /// transaction. The last scan, the synced row, what has departed, and earlier exceptions of messages go; target, mark
    /// and exceptions of the mailbox itself stay. If anything may be in flight, every UID may be from now on. Durable on
    /// return.
    ///
    /// A million messages take one transaction of about 10 MiB in the log, and beside the messages themselves four
    /// octets for each of them and one segment.
    ///
    /// # Errors
    /// If nothing can be written; if the mailbox was never bound.
    pub async fn renumber_source(&self, renumbering: Renumbering) -> Result<(), DbError> {
        self.order(MailboxChange::RenumberSource(renumbering)).await?.wait().await
    }

    /// Queues that the target mailbox, under the name it is mapped to now, was made by us.
    ///
    /// # Errors
    /// If the writer has failed.
    pub async fn note_made(&self) -> Result<(), DbError> {
        self.queue(MailboxChange::NoteMade).await
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

    /// Queues that the target mailbox keeps its present name, although the source mailbox is called otherwise and no
    /// rule leads there. Holds until the target is mapped to another name; to be noted before the source's new name is
    /// recorded ([`crate::PairLease::rename_mailboxes`]), so that the name is never without its reason.
    ///
    /// # Errors
    /// If the writer has failed.
    pub async fn note_name_kept(&self) -> Result<(), DbError> {
        self.queue(MailboxChange::NoteNameKept).await
    }

    async fn queue(&self, change: MailboxChange) -> Result<(), DbError> {
        self.writer.queue(&self.lease, Change::Mailbox(self.mailbox_id, change)).await
    }

    async fn order(&self, change: MailboxChange) -> Result<Committed, DbError> {
        self.writer.order(&self.lease, Change::Mailbox(self.mailbox_id, change)).await
    }
}
