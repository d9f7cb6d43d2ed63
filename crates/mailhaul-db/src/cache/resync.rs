//! What later passes change in a mailbox: the synced row, what has departed, flags, and all source UIDs at once.

use super::{CachedMailbox, OpenSegment};
use crate::fault::Fault;
use crate::model::{Renumbering, SENT_UNKNOWN, Settled, SettledCounts, Synced};
use crate::read::{SegmentHead, count_of, decode_segment};
use crate::rows::{DepartedRow, ExceptionRow, KeywordSetRow, MailboxRow, SegmentRow, StoredRow, SyncRow, Tally};
use crate::segment::{FlagsCode, Record, SEGMENT_MESSAGES_MAX};
use mailhaul_types::{Flags, Side, Uid, UidSet};
use sqlx::sqlite::SqliteConnection;
use std::collections::BTreeMap;

impl CachedMailbox {
    /// See [`crate::MailboxLedger::record_synced`].
    pub(crate) async fn record_synced(&mut self, db: &mut SqliteConnection, synced: &Synced) -> Result<(), Fault> {
        let (source, target) = self.bound()?;
        let other = |side, stored, given| {
            let mailbox = self.row.place();
            Err(Fault::OtherUidValidity { mailbox, side, stored, given })
        };
        if synced.source_uid_validity != source {
            return other(Side::Source, source, synced.source_uid_validity);
        }
        if synced.target_uid_validity != target {
            return other(Side::Target, target, synced.target_uid_validity);
        }
        self.put_departed(db, synced.departed.clone()).await?;
        let synced = Synced { departed: UidSet::new(), ..synced.clone() };
        let row = SyncRow { mailbox_id: self.row.mailbox_id, synced };
        let checksum = row.checksum();
        row.put(checksum, db).await?;
        self.row.sync_sum = Some(checksum);
        Ok(())
    }

    /// See [`crate::MailboxLedger::forget_synced`]. What has departed stays: to forget it would be to take its
    /// messages for ones that have just left.
    pub(crate) async fn forget_synced(&mut self, db: &mut SqliteConnection) -> Result<(), Fault> {
        if self.row.sync_sum.take().is_some() {
            SyncRow::delete(db, self.row.mailbox_id).await?;
        }
        Ok(())
    }

    /// See [`crate::MailboxLedger::add_departed`].
    pub(crate) async fn add_departed(&mut self, db: &mut SqliteConnection, more: &UidSet) -> Result<(), Fault> {
        let mut departed = self.departed.clone();
        departed.extend_ranges(more);
        self.put_departed(db, departed).await
    }

    async fn put_departed(&mut self, db: &mut SqliteConnection, departed: UidSet) -> Result<(), Fault> {
        if departed == self.departed {
            return Ok(());
        }
        if departed.contains(Uid(0)) {
            return Err(Fault::Internal(format!("{}: a message with UID 0 has departed", self.row.place())));
        }
        if departed.is_empty() {
            DepartedRow::delete(db, self.row.mailbox_id).await?;
            self.row.departed_sum = None;
        } else {
            let row = DepartedRow::new(self.row.mailbox_id, &departed);
            let checksum = row.checksum();
            row.put(checksum, db).await?;
            self.row.departed_sum = Some(checksum);
        }
        self.departed = departed;
        Ok(())
    }

    /// Keeps other flags for settled messages until the group is stored: then each segment is written once.
    pub(crate) async fn set_flags(&mut self, db: &mut SqliteConnection, changes: &[(Uid, Flags)]) -> Result<(), Fault> {
        for (uid, flags) in changes {
            if self.settled.contains(*uid) {
                let code = self.code_of(db, flags).await?;
                self.new_flags.insert(*uid, code);
            }
        }
        Ok(())
    }

    /// Puts the kept flags in their places. The open segment is left to be written by the caller.
    pub(super) async fn store_flags(&mut self, db: &mut SqliteConnection) -> Result<(), Fault> {
        let mut changes = std::mem::take(&mut self.new_flags);
        if changes.is_empty() {
            return Ok(());
        }
        self.open.changed |= put_flags(&mut self.open.records, &mut changes);
        for at in 0..self.closed.len() {
            let head = self.closed[at];
            if !head.current || changes.range(head.range.first..=head.range.last).next().is_none() {
                continue;
            }
            let mut records = self.read_closed(db, head).await?;
            if put_flags(&mut records, &mut changes) {
                self.closed[at] = self.write_segment(db, head.ordinal, Some(head.checksum), &records).await?;
            }
        }
        if changes.is_empty() { Ok(()) } else { Err(self.messages_missing()) }
    }

    /// The messages of a segment that is not open any more.
    pub(super) async fn read_closed(&self, db: &mut SqliteConnection, head: SegmentHead) -> Result<Vec<Record>, Fault> {
        let segment = SegmentRow::read_from(db, self.row.mailbox_id, head.ordinal).await?;
        let segment = segment.filter(|segment| segment.checksum() == head.checksum).ok_or_else(|| Fault::Damaged {
            table: SegmentRow::TABLE,
            row: format!("{}, segment {}", self.row.place(), head.ordinal),
        })?;
        decode_segment(&segment, &self.row, self.keyword_sets.len())
    }

    /// Messages that are known to be settled were found in no segment.
    pub(super) fn messages_missing(&self) -> Fault {
        let row = format!("{}: settled messages are missing", self.row.place());
        Fault::Damaged { table: SegmentRow::TABLE, row }
    }

    /// See [`crate::MailboxLedger::renumber_source`]. Segments are packed and written one after the other, so that
    /// beside the messages given only their order is in memory.
    pub(crate) async fn renumber(
        &mut self,
        db: &mut SqliteConnection,
        given: &Renumbering,
        now: i64,
    ) -> Result<(), Fault> {
        self.bound()?;
        let in_flight = self.row.sent.is_some();
        self.forget_messages(db).await?;
        self.row.source_uid_validity = Some(given.source);
        // What was on its way has another UID now, and nobody knows which.
        self.row.sent = in_flight.then_some(SENT_UNKNOWN);
        let order = in_order(&given.messages);
        self.settled = order.iter().map(|at| given.messages[*at as usize].source_uid).collect();
        for chunk in order.chunks(SEGMENT_MESSAGES_MAX) {
            let mut records = Vec::with_capacity(chunk.len());
            for at in chunk {
                let record = self.record_of(db, &given.messages[*at as usize]).await?;
                *count_of(&mut self.row.counts, record.state) += 1;
                records.push(record);
            }
            let head = self.write_segment(db, self.open.ordinal, None, &records).await?;
            if records.len() == SEGMENT_MESSAGES_MAX {
                self.closed.push(head);
                self.open.ordinal += 1;
            } else {
                self.open.checksum = Some(head.checksum);
                self.open.records = records;
            }
        }
        for exception in &given.set_aside {
            self.record_exception(db, exception, now).await?;
        }
        Ok(())
    }

    /// Takes away all that source UIDs are named in.
    async fn forget_messages(&mut self, db: &mut SqliteConnection) -> Result<(), Fault> {
        let MailboxRow { mailbox_id, .. } = self.row;
        self.forget_synced(db).await?;
        self.put_departed(db, UidSet::new()).await?;
        SegmentRow::delete_all(db, mailbox_id).await?;
        KeywordSetRow::delete_all(db, mailbox_id).await?;
        let mut tally = Tally::default();
        for (key, checksum) in std::mem::take(&mut self.exceptions) {
            let (_, uid, _) = key;
            if uid == 0 {
                tally.add(checksum);
                self.exceptions.insert(key, checksum);
            } else {
                ExceptionRow::delete(db, mailbox_id, key).await?;
            }
        }
        self.row.tally = tally;
        self.row.counts = SettledCounts::default();
        self.row.scan = None;
        self.row.sent = None;
        self.settled = UidSet::new();
        self.closed = Vec::new();
        self.open = OpenSegment { ordinal: 0, checksum: None, records: Vec::new(), changed: false };
        self.keyword_sets.clear();
        self.new_flags.clear();
        Ok(())
    }
}

/// Where the messages stand, ascending by source UID. Of two with the same UID only the later is in it.
fn in_order(messages: &[Settled]) -> Vec<u32> {
    let count = u32::try_from(messages.len()).expect("UIDs have 32 bits, and a mailbox no more messages than UIDs");
    let uid_at = |at: &u32| messages[*at as usize].source_uid;
    let mut order: Vec<u32> = (0..count).collect();
    order.sort_unstable_by_key(|at| (uid_at(at), std::cmp::Reverse(*at)));
    order.dedup_by_key(|at| uid_at(at));
    order
}

/// Gives messages the flags that are kept for them and takes these out of the map; whether any are other than before.
fn put_flags(records: &mut [Record], changes: &mut BTreeMap<Uid, FlagsCode>) -> bool {
    let mut changed = false;
    for record in records {
        if let Some(flags) = changes.remove(&record.source) {
            changed |= record.flags != flags;
            record.flags = flags;
        }
    }
    changed
}
