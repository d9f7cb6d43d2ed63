//! The right to write for one pair.

use crate::error::{DbError, Doing};
use crate::fault::Fault;
use crate::mailbox::MailboxLedger;
use crate::model::{Generation, MailboxBrief, Mapping, PairId, Remark, RunVerdict};
use crate::read::Reader;
use crate::writer::{Change, LeaseState, WriterHandle};
use mailhaul_types::escape;
use std::sync::Arc;

/// One worker's claim on one pair. The operating-system lock is held until the lease, its mailbox ledgers, and
/// everything queued under them are gone; so a process that dies leaves no lock behind.
///
/// The lock keeps processes on this machine apart; the generation keeps what is written right even where the lock
/// could not (lock files deleted by hand): a write of an older generation is refused in the transaction that would
/// have made it.
#[derive(Debug)]
pub struct PairLease {
    state: Arc<LeaseState>,
    writer: WriterHandle,
    reader: Reader,
}

/// A cheap look at whether a lease still holds, for the sender's last check before a command is completed.
#[derive(Debug, Clone)]
pub struct LeaseValidity {
    state: Arc<LeaseState>,
}

impl LeaseValidity {
    /// Whether the lease was the newest when the ledger was last written, and the ledger can be written at all.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.state.failure().is_none()
    }
}

impl PairLease {
    pub(crate) fn new(state: Arc<LeaseState>, writer: WriterHandle, reader: Reader) -> Self {
        Self { state, writer, reader }
    }

    /// The pair's number.
    #[must_use]
    pub fn pair_id(&self) -> PairId {
        self.state.pair_id
    }

    /// Which claim this is.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.state.generation
    }

    /// Whether the pair was taken over from a process that still holds its lock: it has lost its lease, and has neither
    /// ended nor noticed. Its connections may still be open then.
    #[must_use]
    pub fn holder_has_not_let_go(&self) -> bool {
        self.state.lock.is_none()
    }

    /// See [`LeaseValidity::is_valid`].
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.state.failure().is_none()
    }

    /// A handle for the sender.
    #[must_use]
    pub fn validity(&self) -> LeaseValidity {
        LeaseValidity { state: self.state.clone() }
    }

    /// Why the lease is no longer valid.
    #[must_use]
    pub fn failure(&self) -> Option<DbError> {
        self.state.failure().cloned()
    }

    /// The mapping of every mailbox ever mapped, ordered by source name.
    ///
    /// # Errors
    /// If the ledger cannot be read or is damaged.
    pub async fn mappings(&self) -> Result<Vec<Mapping>, DbError> {
        self.flush().await?;
        self.reader.mappings(self.state.pair_id.0).await
    }

    /// Stores mappings of mailboxes that have none yet; equal ones are left alone. Durable on return.
    ///
    /// # Errors
    /// If one of them is mapped otherwise already (compare with [`PairLease::mappings`] first, and see
    /// [`PairLease::remap_mailbox`]), or nothing can be written.
    pub async fn map_mailboxes(&self, mappings: Vec<Mapping>) -> Result<(), DbError> {
        self.ask(Change::MapMailboxes(mappings)).await
    }

    /// Gives a mailbox another target and forgets what was settled in the old one: the new target is at first
    /// contact, and what it holds already will be adopted.
    ///
    /// # Errors
    /// If nothing can be written.
    pub async fn remap_mailbox(&self, mapping: Mapping) -> Result<(), DbError> {
        self.ask(Change::RemapMailbox(mapping)).await
    }

    /// A mailbox has another name at the source, at the target, or both, and is the same mailbox: everything that is
    /// known of it stays. If we had made the target mailbox it stays ours under its new name. Durable on return.
    ///
    /// A mailbox that is mapped under the new source name already, and of which nothing is settled or in flight, makes
    /// room: it is forgotten, and no [`MailboxLedger`] of it may be used any more.
    ///
    /// # Errors
    /// If `old_source` has no mapping, or something is settled under the new name (look first, with
    /// [`PairLease::overview`]), or nothing can be written.
    pub async fn rename_mailbox(&self, old_source: &str, new: Mapping) -> Result<(), DbError> {
        self.rename_mailboxes(vec![(old_source.to_owned(), new)]).await
    }

    /// As [`PairLease::rename_mailbox`], for several at once, in one transaction: a mailbox with those below it, or
    /// two that have changed places.
    ///
    /// # Errors
    /// As [`PairLease::rename_mailbox`]; none is renamed then.
    pub async fn rename_mailboxes(&self, renamed: Vec<(String, Mapping)>) -> Result<(), DbError> {
        self.ask(Change::RenameMailboxes(renamed)).await
    }

    /// Every mailbox ever mapped, ordered by source name, without its messages: five queries for an account, and no
    /// segment is read. After what is queued has been written.
    ///
    /// # Errors
    /// If the ledger cannot be read or is damaged.
    pub async fn overview(&self) -> Result<Vec<MailboxBrief>, DbError> {
        self.flush().await?;
        self.reader.overview(self.state.pair_id.0).await
    }

    /// The ledger of one mapped mailbox.
    ///
    /// # Errors
    /// If it has no mapping, or the ledger is damaged.
    pub async fn mailbox(&self, source: &str) -> Result<MailboxLedger, DbError> {
        let row = self.reader.find_mailbox(self.state.pair_id.0, source).await?;
        let row = row.ok_or_else(|| {
            let doing = Doing::new("read", self.reader.path());
            Fault::Internal(format!("mailbox {} has no mapping", escape(source))).at(doing)
        })?;
        Ok(MailboxLedger::new(row.mailbox_id, self.state.clone(), self.writer.clone(), self.reader.clone()))
    }

    /// Replaces the remarks about the account as a whole.
    ///
    /// # Errors
    /// If nothing can be written.
    pub async fn replace_remarks(&self, remarks: Vec<Remark>) -> Result<(), DbError> {
        self.ask(Change::ReplaceRemarks(remarks)).await
    }

    /// Records how the run ended, after everything queued; durable on return. A lease that is dropped without it
    /// leaves an unfinished run.
    ///
    /// # Errors
    /// If nothing can be written.
    pub async fn finish_run(&self, verdict: RunVerdict, detail: &str) -> Result<(), DbError> {
        self.ask(Change::FinishRun(verdict, detail.to_owned())).await
    }

    /// Waits until everything queued so far is on disk, and sees whether the lease still holds.
    ///
    /// # Errors
    /// If something could not be written.
    pub async fn flush(&self) -> Result<(), DbError> {
        self.ask(Change::Check).await
    }

    /// Writes what is queued and gives the pair back.
    ///
    /// # Errors
    /// If something could not be written.
    pub async fn release(self) -> Result<(), DbError> {
        self.flush().await
    }

    async fn ask(&self, change: Change) -> Result<(), DbError> {
        self.writer.order(&self.state, change).await?.wait().await
    }
}
