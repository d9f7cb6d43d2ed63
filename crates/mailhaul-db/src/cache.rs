//! A mailbox in the writer's memory: its row, its last segment, which UIDs are settled.
//!
//! Changes are made here first and written once for a group ([`CachedMailbox::store`]), in the group's transaction.
//! If the transaction fails the cache is thrown away, and what is on disk is read again. That the cache is what is on
//! disk rests on the lease: only its holder writes, and every transaction checks the generation first.

mod resync;

use crate::fault::Fault;
use crate::model::{Exception, ExceptionState, Mapping, Settled, SettledCounts, Settlement, StoredException};
use crate::read::{SegmentHead, count_of, read_contents};
use crate::rows::{
    DepartedRow, ExceptionKey, ExceptionRow, KeywordSetRow, MailboxRow, PassRow, RemarkRow, SegmentRow, StoredRow,
    SyncRow, Tally,
};
use crate::segment::{FlagsCode, KEYWORD_SETS_MAX, Record, SEGMENT_MESSAGES_MAX, pack};
use mailhaul_types::{Escaped, Flags, Side, Uid, UidRange, UidSet, UidValidity};
use sqlx::sqlite::SqliteConnection;
use std::collections::{BTreeMap, HashMap};

/// One mailbox that is being written to.
pub(crate) struct CachedMailbox {
    /// Scan, sent range and mark may be changed in place; [`CachedMailbox::store`] writes them.
    pub(crate) row: MailboxRow,
    /// Source UIDs settled under the present source UIDVALIDITY, those not yet stored included.
    settled: UidSet,
    /// Every segment on disk but the open one.
    closed: Vec<SegmentHead>,
    open: OpenSegment,
    keyword_sets: HashMap<String, u32>,
    /// Checksums of the exceptions on disk.
    exceptions: BTreeMap<ExceptionKey, u32>,
    /// Source UIDs that have left the source, as on disk.
    departed: UidSet,
    /// Other flags of settled messages, until the group is stored.
    new_flags: BTreeMap<Uid, FlagsCode>,
}

/// The segment that is still filled, with messages that wait to be stored behind those on disk.
struct OpenSegment {
    ordinal: u32,
    /// Of the row on disk; `None` if there is none yet.
    checksum: Option<u32>,
    records: Vec<Record>,
    changed: bool,
}

impl CachedMailbox {
    pub(crate) async fn read(db: &mut SqliteConnection, mailbox_id: i64) -> Result<Self, Fault> {
        let row = MailboxRow::read(db, mailbox_id).await?;
        let mut last: Option<(u32, Vec<Record>)> = None;
        let contents =
            read_contents(db, &row, |segment, records| last = Some((segment.ordinal, records.to_vec()))).await?;
        let mut closed = contents.heads;
        let next_ordinal = closed.last().map_or(0, |head| head.ordinal + 1);
        let is_open = |head: &SegmentHead| {
            last.as_ref()
                .is_some_and(|(ordinal, records)| *ordinal == head.ordinal && records.len() < SEGMENT_MESSAGES_MAX)
        };
        let open = match closed.pop_if(|head| is_open(head)) {
            Some(head) => OpenSegment {
                ordinal: head.ordinal,
                checksum: Some(head.checksum),
                records: last.map(|(_, records)| records).unwrap_or_default(),
                changed: false,
            },
            None => OpenSegment { ordinal: next_ordinal, checksum: None, records: Vec::new(), changed: false },
        };
        Ok(Self {
            row,
            settled: contents.settled,
            closed,
            open,
            keyword_sets: contents.keyword_sets.into_iter().map(|set| (set.keywords, set.number)).collect(),
            exceptions: contents.exceptions.iter().map(|row| (row.key(), row.checksum())).collect(),
            departed: contents.departed,
            new_flags: BTreeMap::new(),
        })
    }

    /// Sets what has never been set, and insists on the rest.
    pub(crate) fn bind(&mut self, source: UidValidity, target: UidValidity, first_mark: Uid) -> Result<(), Fault> {
        let mailbox = self.row.place();
        let other = |side, stored, given| Fault::OtherUidValidity { mailbox: mailbox.clone(), side, stored, given };
        match self.row.source_uid_validity {
            Some(stored) if stored != source => return Err(other(Side::Source, stored, source)),
            _ => self.row.source_uid_validity = Some(source),
        }
        match self.row.target_uid_validity {
            Some(stored) if stored != target => return Err(other(Side::Target, stored, target)),
            Some(_) => {}
            None => {
                self.row.target_uid_validity = Some(target);
                self.row.target_mark = Some(first_mark);
            }
        }
        Ok(())
    }

    /// Settled messages stay; their target UIDs are void from here on because their segments name another
    /// UIDVALIDITY.
    pub(crate) async fn void_target_uids(
        &mut self,
        db: &mut SqliteConnection,
        new: UidValidity,
        mark: Uid,
    ) -> Result<(), Fault> {
        self.forget_synced(db).await?;
        if self.row.target_uid_validity == Some(new) {
            // The target was put back to an earlier state of its own: only this may move the mark back.
            self.row.target_mark = Some(mark);
            return Ok(());
        }
        self.row.target_uid_validity = Some(new);
        self.row.target_mark = Some(mark);
        self.open.records.iter_mut().for_each(|record| record.target = None);
        Ok(())
    }

    /// Target UIDs become void, or the mark goes back, together with what was found on the target then.
    pub(crate) async fn renumber_target(
        &mut self,
        db: &mut SqliteConnection,
        new: UidValidity,
        mark: Uid,
        messages: &[Settled],
    ) -> Result<(), Fault> {
        self.bound()?;
        self.void_target_uids(db, new, mark).await?;
        self.settle_messages(db, messages).await
    }

    /// Widens the sent range, and moves the mark if that is forward.
    pub(crate) fn mark_sent(&mut self, range: UidRange, mark: Uid) -> Result<(), Fault> {
        self.bound()?;
        let sent = self.row.sent.unwrap_or(range);
        self.row.sent = Some(UidRange { first: sent.first.min(range.first), last: sent.last.max(range.last) });
        self.raise_mark(mark);
        Ok(())
    }

    /// The UIDVALIDITYs, without which no UID means anything.
    fn bound(&self) -> Result<(UidValidity, UidValidity), Fault> {
        let unbound = || Fault::Internal(format!("{} was written to before it was bound", self.row.place()));
        self.row.source_uid_validity.zip(self.row.target_uid_validity).ok_or_else(unbound)
    }

    /// The mark never moves back: sender and answers' reader report it independently, and a report may be overtaken.
    fn raise_mark(&mut self, mark: Uid) {
        self.row.target_mark = self.row.target_mark.max(Some(mark));
    }

    pub(crate) async fn settle(&mut self, db: &mut SqliteConnection, settlement: &Settlement) -> Result<(), Fault> {
        self.settle_messages(db, &settlement.messages).await?;
        if let Some(mark) = settlement.target_mark {
            self.raise_mark(mark);
        }
        if settlement.clear_sent {
            self.row.sent = None;
        }
        Ok(())
    }

    async fn settle_messages(&mut self, db: &mut SqliteConnection, messages: &[Settled]) -> Result<(), Fault> {
        let (source, _) = self.bound()?;
        let mut again = BTreeMap::new();
        for message in messages {
            let record = self.record_of(db, message).await?;
            self.new_flags.remove(&record.source);
            if self.settled.contains(record.source) {
                again.insert(record.source, record);
            } else {
                self.settled.insert(record.source);
                *count_of(&mut self.row.counts, record.state) += 1;
                self.open.records.push(record);
                self.open.changed = true;
            }
            self.unset_aside(db, source, record.source).await?;
        }
        if !again.is_empty() {
            self.settle_again(db, again).await?;
        }
        Ok(())
    }

    async fn record_of(&mut self, db: &mut SqliteConnection, message: &Settled) -> Result<Record, Fault> {
        if message.source_uid == Uid(0) || message.target_uid == Some(Uid(0)) {
            return Err(Fault::Internal(format!("{}: a message with UID 0 was settled", self.row.place())));
        }
        Ok(Record {
            source: message.source_uid,
            target: message.target_uid,
            state: message.state,
            key: message.key,
            flags: self.code_of(db, &message.flags).await?,
        })
    }

    /// The number that stands for these flags; a new set of keywords is written at once, because a segment must never
    /// refer to a set that is not there.
    async fn code_of(&mut self, db: &mut SqliteConnection, flags: &Flags) -> Result<FlagsCode, Fault> {
        if flags.keywords().is_empty() {
            return Ok(FlagsCode::new(flags.system_bits(), 0));
        }
        let keywords = flags.keywords().join(" ");
        if let Some(number) = self.keyword_sets.get(&keywords) {
            return Ok(FlagsCode::new(flags.system_bits(), *number));
        }
        let number = u32::try_from(self.keyword_sets.len() + 1).ok().filter(|number| *number <= KEYWORD_SETS_MAX);
        let number =
            number.ok_or_else(|| Fault::Internal(format!("{} has too many sets of keywords", self.row.place())))?;
        let row = KeywordSetRow { mailbox_id: self.row.mailbox_id, number, keywords };
        row.insert(db).await?;
        self.row.tally.add(row.checksum());
        self.keyword_sets.insert(row.keywords, number);
        Ok(FlagsCode::new(flags.system_bits(), number))
    }

    /// A message that is settled after all is no longer refused, unreadable or gone.
    async fn unset_aside(&mut self, db: &mut SqliteConnection, source: UidValidity, uid: Uid) -> Result<(), Fault> {
        if self.exceptions.is_empty() {
            return Ok(());
        }
        for state in ExceptionState::ALL.into_iter().filter(|state| state.settles()) {
            self.delete_exception(db, (source.0, uid.0, state)).await?;
        }
        Ok(())
    }

    /// Replaces messages that are settled already, wherever they are stored. Rare, so it may cost a search.
    async fn settle_again(&mut self, db: &mut SqliteConnection, mut again: BTreeMap<Uid, Record>) -> Result<(), Fault> {
        if replace(&mut self.open.records, &mut again, &mut self.row.counts) {
            self.open.changed = true;
        }
        for at in 0..self.closed.len() {
            let head = self.closed[at];
            let touched = again.range(head.range.first..=head.range.last).next().is_some();
            if !touched || !head.current {
                continue;
            }
            let mut records = self.read_closed(db, head).await?;
            if replace(&mut records, &mut again, &mut self.row.counts) {
                self.closed[at] = self.write_segment(db, head.ordinal, Some(head.checksum), &records).await?;
            }
        }
        if again.is_empty() { Ok(()) } else { Err(self.messages_missing()) }
    }

    /// Writes everything that has changed: the open segment, further ones if it has run over, the mailbox's row.
    pub(crate) async fn store(&mut self, db: &mut SqliteConnection) -> Result<(), Fault> {
        self.store_flags(db).await?;
        if std::mem::take(&mut self.open.changed) {
            let mut records = std::mem::take(&mut self.open.records);
            records.sort_unstable_by_key(|record| record.source);
            let mut chunks = records.chunks(SEGMENT_MESSAGES_MAX).peekable();
            while let Some(chunk) = chunks.next() {
                let replaced = self.open.checksum.take();
                let head = self.write_segment(db, self.open.ordinal, replaced, chunk).await?;
                if chunks.peek().is_some() || chunk.len() == SEGMENT_MESSAGES_MAX {
                    self.closed.push(head);
                    self.open.ordinal += 1;
                } else {
                    self.open.checksum = Some(head.checksum);
                    self.open.records = chunk.to_vec();
                }
            }
        }
        self.row.put(db).await
    }

    async fn write_segment(
        &mut self,
        db: &mut SqliteConnection,
        ordinal: u32,
        old_checksum: Option<u32>,
        records: &[Record],
    ) -> Result<SegmentHead, Fault> {
        let (Some(source_uid_validity), Some(target_uid_validity), [first, .., last] | [first @ last]) =
            (self.row.source_uid_validity, self.row.target_uid_validity, records)
        else {
            return Err(Fault::Internal(format!("{}: a segment without messages or validity", self.row.place())));
        };
        let range = UidRange { first: first.source, last: last.source };
        let segment = SegmentRow {
            mailbox_id: self.row.mailbox_id,
            ordinal,
            source_uid_validity,
            target_uid_validity,
            range,
            messages: u32::try_from(records.len()).expect("a segment holds at most SEGMENT_MESSAGES_MAX messages"),
            packed: pack(records),
        };
        let checksum = segment.checksum();
        segment.put(checksum, db).await?;
        if let Some(old) = old_checksum {
            self.row.tally.subtract(old);
        }
        self.row.tally.add(checksum);
        Ok(SegmentHead { ordinal, range, checksum, current: true })
    }

    /// Records an exception; see [`crate::MailboxLedger::record_exception`].
    pub(crate) async fn record_exception(
        &mut self,
        db: &mut SqliteConnection,
        exception: &Exception,
        now: i64,
    ) -> Result<(), Fault> {
        if exception.state.settles() && exception.uid.is_some_and(|uid| self.settled.contains(uid)) {
            tracing::warn!(mailbox.name = %Escaped(&self.row.mapping.source), uid = ?exception.uid, state = exception.state.as_str(),
                "a message that is settled was to be set aside; it stays settled");
            return Ok(());
        }
        let source_uid_validity = if exception.uid.is_some() { self.row.source_uid_validity } else { None };
        if exception.uid == Some(Uid(0)) || (exception.uid.is_some() && source_uid_validity.is_none()) {
            return Err(Fault::Internal(format!("{}: an exception without UID or UIDVALIDITY", self.row.place())));
        }
        let stored = StoredException { exception: exception.clone(), source_uid_validity, at_unix_secs: now };
        let row = ExceptionRow { mailbox_id: self.row.mailbox_id, stored };
        let checksum = row.checksum();
        row.put(checksum, db).await?;
        if let Some(old) = self.exceptions.insert(row.key(), checksum) {
            self.row.tally.subtract(old);
        }
        self.row.tally.add(checksum);
        Ok(())
    }

    /// Removes all exceptions of some states.
    pub(crate) async fn clear_exceptions(
        &mut self,
        db: &mut SqliteConnection,
        states: &[ExceptionState],
    ) -> Result<(), Fault> {
        let keys: Vec<_> = self.exceptions.keys().filter(|(_, _, state)| states.contains(state)).copied().collect();
        for key in keys {
            self.delete_exception(db, key).await?;
        }
        Ok(())
    }

    async fn delete_exception(&mut self, db: &mut SqliteConnection, key: ExceptionKey) -> Result<(), Fault> {
        if let Some(checksum) = self.exceptions.remove(&key) {
            ExceptionRow::delete(db, self.row.mailbox_id, key).await?;
            self.row.tally.subtract(checksum);
        }
        Ok(())
    }

    /// Another target mailbox: everything about the old one is forgotten.
    pub(crate) async fn remap(&mut self, db: &mut SqliteConnection, mapping: Mapping) -> Result<(), Fault> {
        let MailboxRow { mailbox_id, pair_id, .. } = self.row;
        delete_all_of(db, pair_id, mailbox_id).await?;
        *self = Self {
            row: MailboxRow { tally: Tally::default(), ..MailboxRow::new(mailbox_id, pair_id, mapping) },
            settled: UidSet::new(),
            closed: Vec::new(),
            open: OpenSegment { ordinal: 0, checksum: None, records: Vec::new(), changed: false },
            keyword_sets: HashMap::new(),
            exceptions: BTreeMap::new(),
            departed: UidSet::new(),
            new_flags: BTreeMap::new(),
        };
        Ok(())
    }

    /// The mailbox has another name on one of the sides, or both. What was made by us is ours under its new name too;
    /// why a target kept its name is settled as soon as it has another, and stays so when the old name comes back.
    pub(crate) fn rename(&mut self, mapping: Mapping) {
        if mapping.target != self.row.mapping.target {
            self.row.kept_as = None;
        }
        if self.row.is_made() {
            self.row.made_as = Some(mapping.target.clone());
        }
        self.row.mapping = mapping;
    }

    /// Whether nothing would be lost with it.
    pub(crate) fn is_empty(&self) -> bool {
        self.settled.is_empty() && self.row.sent.is_none()
    }

    /// Takes the mailbox away, with all that hangs on it.
    pub(crate) async fn delete(self, db: &mut SqliteConnection) -> Result<(), Fault> {
        delete_all_of(db, self.row.pair_id, self.row.mailbox_id).await?;
        MailboxRow::delete(db, self.row.mailbox_id).await
    }
}

/// Deletes every row that refers to a mailbox.
async fn delete_all_of(db: &mut SqliteConnection, pair_id: i64, mailbox_id: i64) -> Result<(), Fault> {
    SegmentRow::delete_all(db, mailbox_id).await?;
    KeywordSetRow::delete_all(db, mailbox_id).await?;
    ExceptionRow::delete_all(db, mailbox_id).await?;
    SyncRow::delete(db, mailbox_id).await?;
    DepartedRow::delete(db, mailbox_id).await?;
    PassRow::delete(db, mailbox_id).await?;
    RemarkRow::replace(db, pair_id, mailbox_id, &[]).await
}

/// Puts `again` in the place of those with the same source UID and takes it out of the map; whether there were any.
fn replace(records: &mut [Record], again: &mut BTreeMap<Uid, Record>, counts: &mut SettledCounts) -> bool {
    let before = again.len();
    for record in records {
        if let Some(newer) = again.remove(&record.source) {
            *count_of(counts, record.state) -= 1;
            *count_of(counts, newer.state) += 1;
            *record = newer;
        }
    }
    again.len() < before
}
