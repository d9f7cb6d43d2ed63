//! What is left of a damaged mailbox.

use crate::fault::Fault;
use crate::model::SettledCounts;
use crate::read::count_of;
use crate::read::decode_segment;
use crate::rows::{DepartedRow, ExceptionRow, KeywordSetRow, MailboxRow, SegmentRow, StoredRow, Tally, whole_rows};
use crate::segment::Record;
use mailhaul_types::{Uid, UidSet};
use sqlx::sqlite::SqliteConnection;

/// A mailbox as it goes into the new file.
pub(super) struct Kept {
    pub(super) row: MailboxRow,
    segments: Vec<SegmentRow>,
    keyword_sets: Vec<KeywordSetRow>,
    exceptions: Vec<ExceptionRow>,
    departed: Option<DepartedRow>,
}

/// Reads what proves itself of a mailbox; `None` if not even its own row does.
pub(super) async fn keep(old: &mut SqliteConnection, mailbox_id: i64) -> Option<Kept> {
    let mut row = MailboxRow::read(old, mailbox_id).await.ok()?;
    let exceptions: Vec<ExceptionRow> = whole_rows(old, ExceptionRow::ALL_OF_MAILBOX, mailbox_id).await;
    // Segments name keyword sets by number: one that is lost would give its messages the flags of another.
    let keyword_sets = KeywordSetRow::read_all(old, mailbox_id).await.ok();
    let segments = match &keyword_sets {
        Some(sets) => sound_segments(old, &row, sets.len()).await,
        None => Vec::new(),
    };
    let keyword_sets = if segments.is_empty() { Vec::new() } else { keyword_sets.unwrap_or_default() };
    let departed = DepartedRow::read(old, &row).await.ok().flatten();
    let departed = departed.filter(|found| row.departed_sum == Some(found.checksum()) && !segments.is_empty());
    row.scan = None;
    row.sync_sum = None;
    row.departed_sum = departed.as_ref().map(StoredRow::checksum);
    row.counts = SettledCounts::default();
    row.tally = Tally::default();
    if row.target_mark.is_some() {
        // What the lost segments said of the target is found out from its first UID on.
        row.target_mark = Some(Uid(1));
    }
    let mut kept = Kept { row, segments: Vec::new(), keyword_sets, exceptions, departed };
    kept.add_up(segments);
    Some(kept)
}

/// Segments that are as they were written, and in which no message stands twice.
async fn sound_segments(old: &mut SqliteConnection, row: &MailboxRow, sets: usize) -> Vec<(SegmentRow, Vec<Record>)> {
    let mut seen = UidSet::new();
    let mut sound = Vec::new();
    let rows: Vec<SegmentRow> = whole_rows(old, SegmentRow::ALL_OF_MAILBOX, row.mailbox_id).await;
    for segment in rows {
        let current = Some(segment.source_uid_validity) == row.source_uid_validity
            && Some(segment.target_uid_validity) == row.target_uid_validity;
        let Ok(records) = decode_segment(&segment, row, sets) else { continue };
        let twice = records.iter().any(|record| seen.contains(record.source));
        if current && !twice {
            seen.extend_ranges(&records.iter().map(|record| record.source).collect());
            sound.push((segment, records));
        }
    }
    sound
}

impl Kept {
    fn add_up(&mut self, segments: Vec<(SegmentRow, Vec<Record>)>) {
        let Self { row, keyword_sets, exceptions, .. } = self;
        keyword_sets.iter().for_each(|set| row.tally.add(set.checksum()));
        exceptions.iter().for_each(|exception| row.tally.add(exception.checksum()));
        for (segment, records) in segments {
            records.iter().for_each(|record| *count_of(&mut row.counts, record.state) += 1);
            row.tally.add(segment.checksum());
            self.segments.push(segment);
        }
    }

    pub(super) fn messages(&self) -> u64 {
        self.row.counts.total()
    }

    /// Writes everything into the new file.
    pub(super) async fn put(&self, new: &mut SqliteConnection) -> Result<(), Fault> {
        self.row.put(new).await?;
        for set in &self.keyword_sets {
            set.insert(new).await?;
        }
        for segment in &self.segments {
            segment.put(segment.checksum(), new).await?;
        }
        for exception in &self.exceptions {
            exception.put(exception.checksum(), new).await?;
        }
        if let Some(departed) = &self.departed {
            departed.put(departed.checksum(), new).await?;
        }
        Ok(())
    }
}
