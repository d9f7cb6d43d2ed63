//! The mark ahead of the sending front: what may be in flight is on disk before it is.

use super::table::{Table, lock};
use super::{End, Shipment};
use mailhaul_db::{Committed, MailboxLedger};
use mailhaul_types::UidRange;
use std::sync::Mutex;

/// How many messages one mark covers ahead of the sending front. A larger mark costs nothing but a longer list of
/// candidates after a crash; a smaller one costs a commit the more.
const MESSAGES_MARKED_AHEAD: u64 = 4_096;

/// How far ahead of the sending front the ledger has been told.
pub(super) struct Marks<'a> {
    shipments: &'a [Shipment],
    ledger: &'a MailboxLedger,
    table: &'a Mutex<Table>,
    /// Shipments below this index are on disk as sent.
    durable: usize,
    /// Shipments below this index have been asked for.
    requested: usize,
    /// How many shipments the last request covered.
    last_width: usize,
    /// All that was marked in this transfer.
    hull: Option<UidRange>,
    pending: Option<Committed>,
}

impl<'a> Marks<'a> {
    pub(super) fn new(shipments: &'a [Shipment], ledger: &'a MailboxLedger, table: &'a Mutex<Table>) -> Self {
        Self { shipments, ledger, table, durable: 0, requested: 0, last_width: 0, hull: None, pending: None }
    }

    /// Makes sure that the ledger knows of `batch` as sent before its first octet leaves. The next mark is asked for
    /// while half of the last one is still ahead, so that the sender hardly ever waits for a commit.
    pub(super) async fn reach(&mut self, batch: u64) -> Result<(), End> {
        let batch = usize::try_from(batch).unwrap_or(usize::MAX);
        while batch >= self.durable && self.durable < self.shipments.len() {
            if self.pending.is_none() {
                self.request().await?;
            }
            if let Some(pending) = self.pending.take() {
                pending.wait().await.map_err(End::Ledger)?;
                self.durable = self.requested;
            }
        }
        let ahead = self.durable.saturating_sub(batch);
        if self.pending.is_none() && ahead <= self.last_width / 2 {
            self.request().await?;
        }
        Ok(())
    }

    async fn request(&mut self) -> Result<(), End> {
        let begin = self.requested;
        let mut messages = 0;
        while self.requested < self.shipments.len() && messages < MESSAGES_MARKED_AHEAD {
            let uids = &self.shipments[self.requested].batch.uids;
            if let (Some(first), Some(last)) = (uids.first(), uids.last()) {
                let old = self.hull.unwrap_or(UidRange { first, last });
                self.hull = Some(UidRange { first: old.first.min(first), last: old.last.max(last) });
            }
            messages += uids.len();
            self.requested += 1;
        }
        self.last_width = self.requested - begin;
        if let (Some(hull), true) = (self.hull, self.last_width > 0) {
            let target_mark = lock(self.table).target_mark;
            let pending = self.ledger.mark_sent(hull, target_mark).await.map_err(End::Ledger)?;
            self.pending = Some(pending);
        }
        Ok(())
    }
}
