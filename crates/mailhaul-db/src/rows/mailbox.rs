//! `mailbox`, with the tally of the rows that hang in it.

use super::{Columns, StoredRow, count_to_sql, verified};
use crate::checksum::RowChecksum;
use crate::fault::Fault;
use crate::model::{Mapping, Scan, SettledCounts};
use mailhaul_types::{Escaped, ModSeq, Uid, UidRange, UidValidity};
use sqlx::sqlite::SqliteConnection;

/// `mailbox`: written with every commit that concerns it.
#[derive(Debug, Clone)]
pub(crate) struct MailboxRow {
    pub(crate) mailbox_id: i64,
    pub(crate) pair_id: i64,
    pub(crate) mapping: Mapping,
    pub(crate) source_uid_validity: Option<UidValidity>,
    pub(crate) target_uid_validity: Option<UidValidity>,
    pub(crate) target_mark: Option<Uid>,
    pub(crate) sent: Option<UidRange>,
    pub(crate) scan: Option<Scan>,
    pub(crate) counts: SettledCounts,
    pub(crate) tally: Tally,
    /// The checksum of the `mailbox_sync` row that counts; `None` if the mailbox is to be visited.
    pub(crate) sync_sum: Option<u32>,
    /// The checksum of the `mailbox_departed` row; `None` if there is none.
    pub(crate) departed_sum: Option<u32>,
    /// What the target was called when we made it; `None` if we did not.
    pub(crate) made_as: Option<String>,
    /// What the target was called when its name was decided to stay, whatever the source mailbox is called.
    pub(crate) kept_as: Option<String>,
}

/// Number and sum of the checksums of the rows that hang on a mailbox. Each row proves only itself; this proves that
/// none is missing. Without it a lost segment would make its messages todo again, below a mark that says that the
/// target has been read: they would be copied twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) count: u32,
    pub(crate) sum: u32,
}

impl Tally {
    pub(crate) fn add(&mut self, checksum: u32) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(checksum);
    }

    pub(crate) fn subtract(&mut self, checksum: u32) {
        self.count = self.count.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(checksum);
    }
}

fn uid(number: Option<u32>) -> Option<Uid> {
    number.map(Uid)
}

impl StoredRow for MailboxRow {
    const TABLE: &'static str = "mailbox";

    fn decode(columns: &mut Columns<'_>) -> Option<Self> {
        let (mailbox_id, pair_id) = (columns.int()?, columns.int()?);
        let mapping = Mapping { source: columns.text()?, target: columns.text()? };
        let source_uid_validity = columns.optional_number()?.map(UidValidity);
        let target_uid_validity = columns.optional_number()?.map(UidValidity);
        let target_mark = uid(columns.optional_number()?);
        let sent = match (uid(columns.optional_number()?), uid(columns.optional_number()?)) {
            (None, None) => None,
            (Some(first), Some(last)) if first <= last => Some(UidRange { first, last }),
            _ => return None,
        };
        Some(Self {
            mailbox_id,
            pair_id,
            mapping,
            source_uid_validity,
            target_uid_validity,
            target_mark,
            sent,
            scan: decode_scan(columns)?,
            counts: SettledCounts {
                copied: columns.number()?,
                adopted: columns.number()?,
                adopted_altered: columns.number()?,
            },
            tally: Tally { count: columns.number()?, sum: columns.number()? },
            sync_sum: columns.optional_number()?,
            departed_sum: columns.optional_number()?,
            made_as: columns.optional_text()?,
            kept_as: columns.optional_text()?,
        })
    }

    fn checksum(&self) -> u32 {
        let scan = self.scan.as_ref();
        let sum = RowChecksum::of(Self::TABLE)
            .int(self.mailbox_id)
            .int(self.pair_id)
            .text(&self.mapping.source)
            .text(&self.mapping.target)
            .optional_int(self.source_uid_validity.map(|validity| i64::from(validity.0)))
            .optional_int(self.target_uid_validity.map(|validity| i64::from(validity.0)))
            .optional_int(self.target_mark.map(|uid| i64::from(uid.0)))
            .optional_int(self.sent.map(|sent| i64::from(sent.first.0)))
            .optional_int(self.sent.map(|sent| i64::from(sent.last.0)))
            .optional_int(scan.and_then(|scan| scan.uid_next).map(|uid| i64::from(uid.0)))
            .optional_int(scan.map(|scan| i64::from(scan.exists)))
            .optional_int(scan.and_then(|scan| scan.highest_modseq).map(|modseq| modseq.0.cast_signed()))
            .optional_text(scan.and_then(|scan| scan.mailbox_id.as_deref()))
            .int(count_to_sql(self.counts.copied))
            .int(count_to_sql(self.counts.adopted))
            .int(count_to_sql(self.counts.adopted_altered))
            .int(i64::from(self.tally.count))
            .int(i64::from(self.tally.sum));
        // Rows of the first two schemas have no such columns: as long as all four are absent they do not count.
        let names = [&self.made_as, &self.kept_as];
        if self.sync_sum.is_none() && self.departed_sum.is_none() && names.iter().all(|name| name.is_none()) {
            return sum.finish();
        }
        sum.optional_int(self.sync_sum.map(i64::from))
            .optional_int(self.departed_sum.map(i64::from))
            .optional_text(self.made_as.as_deref())
            .optional_text(self.kept_as.as_deref())
            .finish()
    }
}

fn decode_scan(columns: &mut Columns<'_>) -> Option<Option<Scan>> {
    let (uid_next, exists) = (uid(columns.optional_number()?), columns.optional_number()?);
    let highest_modseq = columns.optional_int()?.map(|number| ModSeq(number.cast_unsigned()));
    let mailbox_id = columns.optional_text()?;
    match exists {
        Some(exists) => Some(Some(Scan { uid_next, exists, highest_modseq, mailbox_id })),
        None if uid_next.is_none() && highest_modseq.is_none() && mailbox_id.is_none() => Some(None),
        None => None,
    }
}

impl MailboxRow {
    /// A mailbox that has never been looked at.
    pub(crate) fn new(mailbox_id: i64, pair_id: i64, mapping: Mapping) -> Self {
        Self {
            mailbox_id,
            pair_id,
            mapping,
            source_uid_validity: None,
            target_uid_validity: None,
            target_mark: None,
            sent: None,
            scan: None,
            counts: SettledCounts::default(),
            tally: Tally::default(),
            sync_sum: None,
            departed_sum: None,
            made_as: None,
            kept_as: None,
        }
    }

    /// Whether the target mailbox was made by us and is still called so.
    pub(crate) fn is_made(&self) -> bool {
        self.made_as.as_ref() == Some(&self.mapping.target)
    }

    /// Whether the target's name stays although no rule leads to it.
    pub(crate) fn is_name_kept(&self) -> bool {
        self.kept_as.as_ref() == Some(&self.mapping.target)
    }

    /// The name of the mailbox, for people.
    pub(crate) fn place(&self) -> String {
        format!("mailbox {}", Escaped(&self.mapping.source))
    }

    /// The row is as it was written, and what hangs on it is not.
    pub(crate) fn damaged(&self, what: &str) -> Fault {
        Fault::Damaged { table: Self::TABLE, row: format!("{}: {what}", self.place()) }
    }

    /// Damage, if other rows hang on the mailbox than were written.
    pub(crate) fn check_tally(&self, found: Tally) -> Result<(), Fault> {
        if found == self.tally {
            return Ok(());
        }
        let (found, written) = (found.count, self.tally.count);
        Err(self.damaged(&format!("{found} rows belong to it where {written} were written")))
    }

    pub(crate) async fn find(db: &mut SqliteConnection, pair_id: i64, source: &str) -> Result<Option<Self>, Fault> {
        let row = sqlx::query(
            "SELECT mailbox_id, pair_id, source_name, target_name, source_uid_validity, target_uid_validity, \
                    target_mark, sent_first, sent_last, scan_uid_next, scan_exists, scan_highest_modseq, \
                    scan_mailbox_id, copied, adopted, adopted_altered, row_count, row_sum, sync_sum, \
                    departed_sum, made_as, kept_as, checksum \
             FROM mailbox WHERE pair_id = $1 AND source_name = $2",
        )
        .bind(pair_id)
        .bind(source)
        .fetch_optional(db)
        .await?;
        row.map(|row| verified(&row, || format!("mailbox {}", Escaped(source)))).transpose()
    }

    pub(crate) async fn read(db: &mut SqliteConnection, mailbox_id: i64) -> Result<Self, Fault> {
        let place = || format!("mailbox number {mailbox_id}");
        let row = sqlx::query(
            "SELECT mailbox_id, pair_id, source_name, target_name, source_uid_validity, target_uid_validity, \
                    target_mark, sent_first, sent_last, scan_uid_next, scan_exists, scan_highest_modseq, \
                    scan_mailbox_id, copied, adopted, adopted_altered, row_count, row_sum, sync_sum, \
                    departed_sum, made_as, kept_as, checksum \
             FROM mailbox WHERE mailbox_id = $1",
        )
        .bind(mailbox_id)
        .fetch_optional(db)
        .await?;
        row.map_or_else(|| Err(Fault::Damaged { table: Self::TABLE, row: place() }), |row| verified(&row, place))
    }

    /// All mailboxes of a pair, ordered by source name. They must be as many as the pair says.
    pub(crate) async fn read_all(db: &mut SqliteConnection, pair_id: i64, expected: u32) -> Result<Vec<Self>, Fault> {
        let rows = sqlx::query(
            "SELECT mailbox_id, pair_id, source_name, target_name, source_uid_validity, target_uid_validity, \
                    target_mark, sent_first, sent_last, scan_uid_next, scan_exists, scan_highest_modseq, \
                    scan_mailbox_id, copied, adopted, adopted_altered, row_count, row_sum, sync_sum, \
                    departed_sum, made_as, kept_as, checksum \
             FROM mailbox WHERE pair_id = $1 ORDER BY source_name",
        )
        .bind(pair_id)
        .fetch_all(db)
        .await?;
        if u32::try_from(rows.len()) != Ok(expected) {
            let row = format!("{} rows of pair {pair_id} where {expected} were written", rows.len());
            return Err(Fault::Damaged { table: Self::TABLE, row });
        }
        rows.iter()
            .enumerate()
            .map(|(at, row)| verified(row, || format!("mailbox {} of pair {pair_id}", at + 1)))
            .collect()
    }

    /// The number for a new mailbox. Only within a writing transaction.
    pub(crate) async fn next_id(db: &mut SqliteConnection) -> Result<i64, Fault> {
        Ok(sqlx::query_scalar("SELECT COALESCE(MAX(mailbox_id), 0) + 1 FROM mailbox").fetch_one(db).await?)
    }

    pub(crate) async fn put(&self, db: &mut SqliteConnection) -> Result<(), Fault> {
        let scan = self.scan.as_ref();
        sqlx::query(
            "INSERT INTO mailbox (mailbox_id, pair_id, source_name, target_name, source_uid_validity, \
                 target_uid_validity, target_mark, sent_first, sent_last, scan_uid_next, scan_exists, \
                 scan_highest_modseq, scan_mailbox_id, copied, adopted, adopted_altered, row_count, row_sum, \
                 sync_sum, departed_sum, made_as, kept_as, checksum) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, \
                     $22, $23) \
             ON CONFLICT (mailbox_id) DO UPDATE SET source_name = excluded.source_name, \
                 target_name = excluded.target_name, \
                 source_uid_validity = excluded.source_uid_validity, \
                 target_uid_validity = excluded.target_uid_validity, target_mark = excluded.target_mark, \
                 sent_first = excluded.sent_first, sent_last = excluded.sent_last, \
                 scan_uid_next = excluded.scan_uid_next, scan_exists = excluded.scan_exists, \
                 scan_highest_modseq = excluded.scan_highest_modseq, scan_mailbox_id = excluded.scan_mailbox_id, \
                 copied = excluded.copied, adopted = excluded.adopted, adopted_altered = excluded.adopted_altered, \
                 row_count = excluded.row_count, row_sum = excluded.row_sum, sync_sum = excluded.sync_sum, \
                 departed_sum = excluded.departed_sum, made_as = excluded.made_as, \
                 kept_as = excluded.kept_as, checksum = excluded.checksum",
        )
        .bind(self.mailbox_id)
        .bind(self.pair_id)
        .bind(&self.mapping.source)
        .bind(&self.mapping.target)
        .bind(self.source_uid_validity.map(|validity| validity.0))
        .bind(self.target_uid_validity.map(|validity| validity.0))
        .bind(self.target_mark.map(|uid| uid.0))
        .bind(self.sent.map(|sent| sent.first.0))
        .bind(self.sent.map(|sent| sent.last.0))
        .bind(scan.and_then(|scan| scan.uid_next).map(|uid| uid.0))
        .bind(scan.map(|scan| scan.exists))
        .bind(scan.and_then(|scan| scan.highest_modseq).map(|modseq| modseq.0.cast_signed()))
        .bind(scan.and_then(|scan| scan.mailbox_id.as_deref()))
        .bind(count_to_sql(self.counts.copied))
        .bind(count_to_sql(self.counts.adopted))
        .bind(count_to_sql(self.counts.adopted_altered))
        .bind(self.tally.count)
        .bind(self.tally.sum)
        .bind(self.sync_sum)
        .bind(self.departed_sum)
        .bind(self.made_as.as_deref())
        .bind(self.kept_as.as_deref())
        .bind(self.checksum())
        .execute(db)
        .await?;
        Ok(())
    }

    /// Takes a mailbox away. The rows that refer to it must be gone before.
    pub(crate) async fn delete(db: &mut SqliteConnection, mailbox_id: i64) -> Result<(), Fault> {
        sqlx::query("DELETE FROM mailbox WHERE mailbox_id = $1").bind(mailbox_id).execute(db).await?;
        Ok(())
    }

    /// Gives a mailbox a source name that no server can have, so that others can take its name in the same
    /// transaction; [`MailboxRow::put`] gives it its own.
    pub(crate) async fn step_aside(db: &mut SqliteConnection, mailbox_id: i64) -> Result<(), Fault> {
        sqlx::query("UPDATE mailbox SET source_name = $1 WHERE mailbox_id = $2")
            .bind(format!("\u{0}{mailbox_id}"))
            .bind(mailbox_id)
            .execute(db)
            .await?;
        Ok(())
    }
}
