//! `segment`: the packed messages of a mailbox, a row in its tally.

use super::{Columns, StoredRow, verified};
use crate::checksum::RowChecksum;
use crate::fault::Fault;
use futures_util::TryStreamExt;
use mailhaul_types::{Uid, UidRange, UidValidity};
use sqlx::sqlite::SqliteConnection;

/// `segment`: written while it is filled, and when a message in it is settled anew.
#[derive(Debug, Clone)]
pub(crate) struct SegmentRow {
    pub(crate) mailbox_id: i64,
    pub(crate) ordinal: u32,
    pub(crate) source_uid_validity: UidValidity,
    pub(crate) target_uid_validity: UidValidity,
    pub(crate) range: UidRange,
    pub(crate) messages: u32,
    pub(crate) packed: Vec<u8>,
}

impl StoredRow for SegmentRow {
    const TABLE: &'static str = "segment";

    fn decode(columns: &mut Columns<'_>) -> Option<Self> {
        Some(Self {
            mailbox_id: columns.int()?,
            ordinal: columns.number()?,
            source_uid_validity: UidValidity(columns.number()?),
            target_uid_validity: UidValidity(columns.number()?),
            range: UidRange { first: Uid(columns.number()?), last: Uid(columns.number()?) },
            messages: columns.number()?,
            packed: columns.octets()?,
        })
    }

    fn checksum(&self) -> u32 {
        RowChecksum::of(Self::TABLE)
            .int(self.mailbox_id)
            .int(i64::from(self.ordinal))
            .int(i64::from(self.source_uid_validity.0))
            .int(i64::from(self.target_uid_validity.0))
            .int(i64::from(self.range.first.0))
            .int(i64::from(self.range.last.0))
            .int(i64::from(self.messages))
            .octets(&self.packed)
            .finish()
    }
}

impl SegmentRow {
    /// All segments of a mailbox, in order.
    pub(crate) const ALL_OF_MAILBOX: &str = "SELECT mailbox_id, ordinal, source_uid_validity, target_uid_validity, first_uid, last_uid, messages, packed, \
                checksum \
         FROM segment WHERE mailbox_id = $1 ORDER BY ordinal";

    /// Which segment it is, for people.
    pub(crate) fn place(&self) -> String {
        format!("mailbox number {}, segment {}", self.mailbox_id, self.ordinal)
    }

    /// Every segment of a mailbox in order, one at a time, so that a large mailbox is never in memory as a whole.
    pub(crate) async fn for_each(
        db: &mut SqliteConnection,
        mailbox_id: i64,
        mut each: impl FnMut(Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut rows = sqlx::query(Self::ALL_OF_MAILBOX).bind(mailbox_id).fetch(db);
        let mut number = 0;
        while let Some(row) = rows.try_next().await? {
            number += 1;
            each(verified(&row, || format!("mailbox number {mailbox_id}, segment row {number}"))?)?;
        }
        Ok(())
    }

    /// The first segment at or after `ordinal`.
    pub(crate) async fn read_from(
        db: &mut SqliteConnection,
        mailbox_id: i64,
        ordinal: u32,
    ) -> Result<Option<Self>, Fault> {
        let row = sqlx::query(
            "SELECT mailbox_id, ordinal, source_uid_validity, target_uid_validity, first_uid, last_uid, messages, \
                    packed, checksum \
             FROM segment WHERE mailbox_id = $1 AND ordinal >= $2 ORDER BY ordinal LIMIT 1",
        )
        .bind(mailbox_id)
        .bind(ordinal)
        .fetch_optional(db)
        .await?;
        row.map(|row| verified(&row, || format!("mailbox number {mailbox_id}, segment {ordinal} or the next")))
            .transpose()
    }

    pub(crate) async fn put(&self, checksum: u32, db: &mut SqliteConnection) -> Result<(), Fault> {
        sqlx::query(
            "INSERT INTO segment (mailbox_id, ordinal, source_uid_validity, target_uid_validity, first_uid, \
                 last_uid, messages, packed, checksum) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
             ON CONFLICT (mailbox_id, ordinal) DO UPDATE SET source_uid_validity = excluded.source_uid_validity, \
                 target_uid_validity = excluded.target_uid_validity, first_uid = excluded.first_uid, \
                 last_uid = excluded.last_uid, messages = excluded.messages, packed = excluded.packed, \
                 checksum = excluded.checksum",
        )
        .bind(self.mailbox_id)
        .bind(self.ordinal)
        .bind(self.source_uid_validity.0)
        .bind(self.target_uid_validity.0)
        .bind(self.range.first.0)
        .bind(self.range.last.0)
        .bind(self.messages)
        .bind(&self.packed)
        .bind(checksum)
        .execute(db)
        .await?;
        Ok(())
    }

    pub(crate) async fn delete_all(db: &mut SqliteConnection, mailbox_id: i64) -> Result<(), Fault> {
        sqlx::query("DELETE FROM segment WHERE mailbox_id = $1").bind(mailbox_id).execute(db).await?;
        Ok(())
    }
}
