//! Reading: one snapshot for each question, and nothing believed that does not add up.
//!
//! A mailbox is believed if its own row is as it was written, each row that hangs on it is, their number and the sum
//! of their checksums are those in the mailbox's row, each segment holds what its other columns say, no source UID is
//! settled twice, and the settled messages are as many of each kind as the mailbox's row says.

use crate::error::{DbError, Doing};
use crate::fault::Fault;
use crate::files::Fingerprint;
use crate::model::{
    MailboxBrief, MailboxState, Mapping, PairIdentity, Settled, SettledCounts, SettledState, StoredException, Synced,
};
use crate::older;
use crate::rows::{
    DepartedRow, ExceptionRow, KeywordSetRow, MailboxRow, PairRow, SegmentRow, StoredRow, SyncRow, Tally,
};
use crate::segment::{Record, SEGMENT_MESSAGES_MAX, unpack};
use crate::still::{give_back, still};
use mailhaul_types::{Flags, Uid, UidRange, UidSet};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Sqlite, SqlitePool, Transaction};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// The reading side of an open ledger. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    pool: SqlitePool,
    path: Arc<Path>,
    /// Set when the file is read on the assumption that nobody writes it meanwhile.
    at_rest: Option<Fingerprint>,
    /// Whether the file was of an earlier schema when it was opened.
    older: bool,
}

impl Reader {
    pub(crate) fn new(pool: SqlitePool, path: Arc<Path>, at_rest: Option<Fingerprint>) -> Self {
        Self { pool, path, at_rest, older: false }
    }

    /// The same, for a file that may lack what this version reads.
    pub(crate) fn of_older(self, older: bool) -> Self {
        Self { older, ..self }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) async fn close(&self) {
        still(self.pool.close()).await;
    }

    /// One snapshot of the file.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, DbError> {
        let begun = async {
            let mut db = still(self.pool.begin()).await?;
            self.cover(&mut db).await?;
            Ok(db)
        };
        begun.await.map_err(|fault| self.fail(fault))
    }

    /// A connection to ask one question over. Whoever may be asked in a simulation asks over one of these: it is back in the
    /// pool as soon as it is let go of.
    pub(crate) async fn hold(&self) -> Result<Held, DbError> {
        self.connection().await.map_err(|fault| self.fail(fault))
    }

    /// As [`Reader::hold`], with the error still to be placed.
    pub(crate) async fn connection(&self) -> Result<Held, Fault> {
        Ok(Held(still(self.pool.acquire()).await?))
    }

    /// As [`Reader::begin`], over a connection that is held.
    pub(crate) async fn begin_on<'h>(&self, held: &'h mut Held) -> Result<Transaction<'h, Sqlite>, DbError> {
        self.snapshot(held).await.map_err(|fault| self.fail(fault))
    }

    /// As [`Reader::begin_on`], with the error still to be placed.
    pub(crate) async fn snapshot<'h>(&self, held: &'h mut Held) -> Result<Transaction<'h, Sqlite>, Fault> {
        let mut db = still(held.0.begin()).await?;
        self.cover(&mut db).await?;
        Ok(db)
    }

    async fn cover(&self, db: &mut SqliteConnection) -> Result<(), Fault> {
        if self.older { older::cover(db).await } else { Ok(()) }
    }

    /// The error for people. What looks like damage in a file that was written meanwhile is none.
    pub(crate) fn fail(&self, fault: Fault) -> DbError {
        self.fail_while("read", fault)
    }

    /// As [`Reader::fail`], for another verb.
    pub(crate) fn fail_while(&self, verb: &'static str, fault: Fault) -> DbError {
        let doing = Doing::new(verb, &self.path);
        let error = fault.at(doing.clone());
        match (&error, &self.at_rest) {
            (DbError::Damaged { .. }, Some(before)) if Fingerprint::of(&self.path).ok().as_ref() != Some(before) => {
                DbError::Locked(doing)
            }
            _ => error,
        }
    }

    pub(crate) async fn find_pair(&self, identity: &PairIdentity) -> Result<Option<PairRow>, DbError> {
        let mut held = self.hold().await?;
        let mut db = self.begin_on(&mut held).await?;
        still(PairRow::find(&mut db, identity)).await.map_err(|fault| self.fail(fault))
    }

    pub(crate) async fn mappings(&self, pair_id: i64) -> Result<Vec<Mapping>, DbError> {
        let mut held = self.hold().await?;
        let mut db = self.begin_on(&mut held).await?;
        still(read_mappings(&mut db, pair_id)).await.map_err(|fault| self.fail(fault))
    }

    pub(crate) async fn find_mailbox(&self, pair_id: i64, source: &str) -> Result<Option<MailboxRow>, DbError> {
        let mut held = self.hold().await?;
        let mut db = self.begin_on(&mut held).await?;
        still(find_mailbox(&mut db, pair_id, source)).await.map_err(|fault| self.fail(fault))
    }

    pub(crate) async fn load(&self, mailbox_id: i64) -> Result<MailboxState, DbError> {
        let mut held = self.hold().await?;
        let mut db = self.begin_on(&mut held).await?;
        still(read_state(&mut db, mailbox_id)).await.map_err(|fault| self.fail(fault))
    }

    pub(crate) async fn overview(&self, pair_id: i64) -> Result<Vec<MailboxBrief>, DbError> {
        let mut held = self.hold().await?;
        let mut db = self.begin_on(&mut held).await?;
        still(read_overview(&mut db, pair_id)).await.map_err(|fault| self.fail(fault))
    }

    pub(crate) async fn settled_in(&self, mailbox_id: i64, uids: &UidSet) -> Result<Vec<Settled>, DbError> {
        let mut held = self.hold().await?;
        let mut db = self.begin_on(&mut held).await?;
        still(read_settled_in(&mut db, mailbox_id, uids)).await.map_err(|fault| self.fail(fault))
    }
}

/// A connection that goes back to its pool when it is let go of.
pub(crate) struct Held(PoolConnection<Sqlite>);

impl Drop for Held {
    fn drop(&mut self) {
        give_back(&mut self.0);
    }
}

async fn read_mappings(db: &mut SqliteConnection, pair_id: i64) -> Result<Vec<Mapping>, Fault> {
    let pair = PairRow::read(db, pair_id).await?;
    let mailboxes = MailboxRow::read_all(db, pair_id, pair.mailboxes).await?;
    Ok(mailboxes.into_iter().map(|mailbox| mailbox.mapping).collect())
}

/// A mailbox by its name. One that is not found must be one that was never there.
async fn find_mailbox(db: &mut SqliteConnection, pair_id: i64, source: &str) -> Result<Option<MailboxRow>, Fault> {
    let found = MailboxRow::find(db, pair_id, source).await?;
    if found.is_none() {
        read_mappings(db, pair_id).await?;
    }
    Ok(found)
}

async fn read_state(db: &mut SqliteConnection, mailbox_id: i64) -> Result<MailboxState, Fault> {
    let row = MailboxRow::read(db, mailbox_id).await?;
    let mut claimed_targets = Vec::new();
    let mut targets_unknown = 0;
    let contents = read_contents(db, &row, |_, records| {
        for record in records {
            match record.target {
                Some(target) if row.target_mark.is_none_or(|mark| target >= mark) => claimed_targets.push(target),
                Some(_) => {}
                None => targets_unknown += 1,
            }
        }
    })
    .await?;
    let current = |stored: &StoredException| {
        stored.source_uid_validity.is_none() || stored.source_uid_validity == row.source_uid_validity
    };
    Ok(MailboxState {
        source_uid_validity: row.source_uid_validity,
        target_uid_validity: row.target_uid_validity,
        target_mark: row.target_mark,
        sent: row.sent,
        settled: contents.settled,
        counts: row.counts,
        claimed_targets: set_of(claimed_targets),
        targets_unknown,
        exceptions: contents.exceptions.into_iter().map(|row| row.stored).filter(current).collect(),
        made: row.is_made(),
        synced: contents.sync.map(|sync| Synced { departed: contents.departed.clone(), ..sync.synced }),
        departed: contents.departed,
        scan: row.scan,
        mapping: row.mapping,
    })
}

/// Each row proves itself, and the mailboxes' rows name the rows of the other tables that count. Only exceptions
/// that are missing would not be missed: see [`MailboxBrief::mailbox_exceptions`].
async fn read_overview(db: &mut SqliteConnection, pair_id: i64) -> Result<Vec<MailboxBrief>, Fault> {
    let pair = PairRow::read(db, pair_id).await?;
    let mailboxes = MailboxRow::read_all(db, pair_id, pair.mailboxes).await?;
    let mut syncs = SyncRow::read_all(db, pair_id).await?;
    let mut departed = DepartedRow::read_all(db, pair_id).await?;
    let mut exceptions: HashMap<i64, Vec<_>> = HashMap::new();
    for row in ExceptionRow::read_mailboxes_own(db, pair_id).await? {
        exceptions.entry(row.mailbox_id).or_default().push(row.stored.exception.state);
    }
    let brief = |row: MailboxRow| {
        let departed = DepartedRow::set_of(departed.remove(&row.mailbox_id), &row)?;
        let sync = syncs.remove(&row.mailbox_id).map(|sync| sync.named_by(&row)).transpose()?;
        let mailbox_exceptions = exceptions.remove(&row.mailbox_id).unwrap_or_default();
        Ok(MailboxBrief {
            source_uid_validity: row.source_uid_validity,
            target_uid_validity: row.target_uid_validity,
            target_mark: row.target_mark,
            sent: row.sent,
            counts: row.counts,
            made: row.is_made(),
            name_kept: row.is_name_kept(),
            mailbox_failed: !mailbox_exceptions.is_empty(),
            mailbox_exceptions,
            synced: sync.map(|sync| Synced { departed: departed.clone(), ..sync.synced }),
            departed,
            scan: row.scan,
            mapping: row.mapping,
        })
    };
    mailboxes.into_iter().map(brief).collect()
}

/// All segments are read and counted, so that none is missing; those that overlap are decoded.
async fn read_settled_in(db: &mut SqliteConnection, mailbox_id: i64, uids: &UidSet) -> Result<Vec<Settled>, Fault> {
    let row = MailboxRow::read(db, mailbox_id).await?;
    let keyword_sets = KeywordSetRow::read_all(db, mailbox_id).await?;
    let mut tally = Tally::default();
    keyword_sets.iter().for_each(|set| tally.add(set.checksum()));
    ExceptionRow::read_all(db, mailbox_id).await?.iter().for_each(|exception| tally.add(exception.checksum()));
    let mut found = Vec::new();
    SegmentRow::for_each(db, mailbox_id, |segment| {
        tally.add(segment.checksum());
        if Some(segment.source_uid_validity) == row.source_uid_validity && overlaps(uids, segment.range) {
            let records = decode_segment(&segment, &row, keyword_sets.len())?;
            let asked = records.iter().filter(|record| uids.contains(record.source));
            found.extend(asked.map(|record| settled_of(record, &keyword_sets)));
        }
        Ok(())
    })
    .await?;
    row.check_tally(tally)?;
    found.sort_unstable_by_key(|settled| settled.source_uid);
    Ok(found)
}

fn overlaps(uids: &UidSet, range: UidRange) -> bool {
    let at = uids.ranges().partition_point(|own| own.last < range.first);
    uids.ranges().get(at).is_some_and(|own| own.first <= range.last)
}

/// A segment as far as the writer must remember it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentHead {
    pub(crate) ordinal: u32,
    pub(crate) range: UidRange,
    pub(crate) checksum: u32,
    /// Whether it belongs to the mailbox's present source UIDVALIDITY.
    pub(crate) current: bool,
}

/// What hangs on a mailbox, verified.
pub(crate) struct Contents {
    /// Every segment, in order.
    pub(crate) heads: Vec<SegmentHead>,
    /// Source UIDs settled under the present source UIDVALIDITY.
    pub(crate) settled: UidSet,
    pub(crate) keyword_sets: Vec<KeywordSetRow>,
    pub(crate) exceptions: Vec<ExceptionRow>,
    pub(crate) sync: Option<SyncRow>,
    pub(crate) departed: UidSet,
}

/// Reads and verifies all that hangs on a mailbox. `each` is given every segment of the present source UIDVALIDITY
/// with its messages; target UIDs that have become void are taken out of them.
pub(crate) async fn read_contents(
    db: &mut SqliteConnection,
    row: &MailboxRow,
    mut each: impl FnMut(&SegmentRow, &[Record]),
) -> Result<Contents, Fault> {
    let keyword_sets = KeywordSetRow::read_all(db, row.mailbox_id).await?;
    let exceptions = ExceptionRow::read_all(db, row.mailbox_id).await?;
    let (mut heads, mut settled) = (Vec::new(), Vec::new());
    let (mut tally, mut counts) = (Tally::default(), SettledCounts::default());
    keyword_sets.iter().for_each(|set| tally.add(set.checksum()));
    exceptions.iter().for_each(|exception| tally.add(exception.checksum()));
    SegmentRow::for_each(db, row.mailbox_id, |segment| {
        let checksum = segment.checksum();
        let current = Some(segment.source_uid_validity) == row.source_uid_validity;
        let head = SegmentHead { ordinal: segment.ordinal, range: segment.range, checksum, current };
        let records = decode_segment(&segment, row, keyword_sets.len())?;
        tally.add(checksum);
        heads.push(head);
        if current {
            records.iter().for_each(|record| *count_of(&mut counts, record.state) += 1);
            settled.extend(records.iter().map(|record| record.source));
            each(&segment, &records);
        }
        Ok(())
    })
    .await?;
    row.check_tally(tally)?;
    let settled = set_of(settled);
    if counts != row.counts || settled.len() != counts.total() {
        return Err(row.damaged("its counts differ from its messages"));
    }
    let sync = SyncRow::read(db, row).await?;
    let departed = DepartedRow::set_of(DepartedRow::read(db, row).await?, row)?;
    Ok(Contents { heads, settled, keyword_sets, exceptions, sync, departed })
}

/// The messages of a segment, if they are what the other columns say they are.
pub(crate) fn decode_segment(
    segment: &SegmentRow,
    mailbox: &MailboxRow,
    keyword_sets: usize,
) -> Result<Vec<Record>, Fault> {
    let damaged = || Fault::Damaged { table: SegmentRow::TABLE, row: segment.place() };
    let mut records = unpack(&segment.packed).ok_or_else(damaged)?;
    let ends = (records.first().map(|record| record.source), records.last().map(|record| record.source));
    let known = |record: &Record| usize::try_from(record.flags.keyword_set()).is_ok_and(|set| set <= keyword_sets);
    if ends != (Some(segment.range.first), Some(segment.range.last))
        || u32::try_from(records.len()) != Ok(segment.messages)
        || records.len() > SEGMENT_MESSAGES_MAX
        || !records.iter().all(known)
    {
        return Err(damaged());
    }
    if Some(segment.target_uid_validity) != mailbox.target_uid_validity {
        records.iter_mut().for_each(|record| record.target = None);
    }
    Ok(records)
}

/// Segments may interleave, and a set takes UIDs in ascending order most cheaply.
fn set_of(mut uids: Vec<Uid>) -> UidSet {
    uids.sort_unstable();
    uids.into_iter().collect()
}

/// The count that a state adds to.
pub(crate) fn count_of(counts: &mut SettledCounts, state: SettledState) -> &mut u64 {
    match state {
        SettledState::Copied => &mut counts.copied,
        SettledState::Adopted | SettledState::Likely => &mut counts.adopted,
        SettledState::AdoptedAltered => &mut counts.adopted_altered,
    }
}

/// The settled messages of a mailbox under its present source UIDVALIDITY, one segment (at most 1,000 messages) at a
/// time.
#[derive(Debug)]
pub struct SettledPages {
    reader: Reader,
    mailbox_id: i64,
    next_ordinal: u32,
}

impl SettledPages {
    pub(crate) fn new(reader: Reader, mailbox_id: i64) -> Self {
        Self { reader, mailbox_id, next_ordinal: 0 }
    }

    /// The next segment's messages, ascending by source UID within the segment; segments come in the order in which
    /// they were begun. `None` at the end.
    ///
    /// # Errors
    /// [`DbError::Damaged`], or the ledger cannot be read.
    pub async fn next(&mut self) -> Result<Option<Vec<Settled>>, DbError> {
        let mut held = self.reader.hold().await?;
        let mut db = self.reader.begin_on(&mut held).await?;
        let outcome = still(next_page(&mut db, self.mailbox_id, &mut self.next_ordinal)).await;
        outcome.map_err(|fault| self.reader.fail(fault))
    }
}

async fn next_page(
    db: &mut SqliteConnection,
    mailbox_id: i64,
    next_ordinal: &mut u32,
) -> Result<Option<Vec<Settled>>, Fault> {
    let mailbox = MailboxRow::read(db, mailbox_id).await?;
    let keyword_sets = KeywordSetRow::read_all(db, mailbox_id).await?;
    while let Some(segment) = SegmentRow::read_from(db, mailbox_id, *next_ordinal).await? {
        *next_ordinal = segment.ordinal.saturating_add(1);
        if Some(segment.source_uid_validity) == mailbox.source_uid_validity {
            let records = decode_segment(&segment, &mailbox, keyword_sets.len())?;
            return Ok(Some(records.iter().map(|record| settled_of(record, &keyword_sets)).collect()));
        }
    }
    Ok(None)
}

fn settled_of(record: &Record, keyword_sets: &[KeywordSetRow]) -> Settled {
    let set = usize::try_from(record.flags.keyword_set()).ok().and_then(|number| number.checked_sub(1));
    let keywords = set.and_then(|at| keyword_sets.get(at)).map_or("", |set| set.keywords.as_str());
    Settled {
        source_uid: record.source,
        target_uid: record.target,
        state: record.state,
        key: record.key,
        flags: Flags::from_parts(record.flags.system_bits(), keywords.split(' ').filter(|word| !word.is_empty())),
    }
}
