//! `mailbox_sync` and `mailbox_departed`: what a later pass need not do again.
//!
//! Neither hangs in the mailbox's tally; the mailbox's row names the one that counts by its checksum, see
//! [`MailboxRow::sync_sum`](super::MailboxRow).

use super::{Columns, MailboxRow, StoredRow, count_to_sql, verified};
use crate::checksum::RowChecksum;
use crate::departed::{pack, unpack};
use crate::fault::Fault;
use crate::model::Synced;
use mailhaul_types::{ModSeq, Uid, UidSet, UidValidity};
use sqlx::sqlite::SqliteConnection;
use std::collections::HashMap;

/// `mailbox_sync`: written at the end of each complete pass.
#[derive(Debug, Clone)]
pub(crate) struct SyncRow {
    pub(crate) mailbox_id: i64,
    /// Without what has departed, which is a row of its own.
    pub(crate) synced: Synced,
}

impl StoredRow for SyncRow {
    const TABLE: &'static str = "mailbox_sync";

    fn decode(columns: &mut Columns<'_>) -> Option<Self> {
        let mailbox_id = columns.int()?;
        Some(Self {
            mailbox_id,
            synced: Synced {
                source_uid_validity: UidValidity(columns.number()?),
                uid_next: Uid(columns.number()?),
                exists: columns.number()?,
                highest_modseq: columns.optional_int()?.map(|number| ModSeq(number.cast_unsigned())),
                mailbox_id: columns.optional_text()?,
                target_uid_validity: UidValidity(columns.number()?),
                departed: UidSet::new(),
                skipped: columns.number()?,
                refused: columns.number()?,
                unreadable: columns.number()?,
                exceptions: columns.number()?,
                policy: columns.int()?.cast_unsigned(),
                at_unix_secs: columns.int()?,
            },
        })
    }

    fn checksum(&self) -> u32 {
        let Synced { source_uid_validity, uid_next, exists, highest_modseq, mailbox_id, target_uid_validity, .. } =
            &self.synced;
        let sum = RowChecksum::of(Self::TABLE)
            .int(self.mailbox_id)
            .int(i64::from(source_uid_validity.0))
            .int(i64::from(uid_next.0))
            .int(i64::from(*exists))
            .optional_int(highest_modseq.map(|modseq| modseq.0.cast_signed()))
            .optional_text(mailbox_id.as_deref())
            .int(i64::from(target_uid_validity.0));
        self.numbers().into_iter().fold(sum, RowChecksum::int).finish()
    }
}

impl SyncRow {
    /// The last columns, in their order.
    fn numbers(&self) -> [i64; 6] {
        let Synced { skipped, refused, unreadable, exceptions, policy, at_unix_secs, .. } = self.synced;
        let [skipped, refused, unreadable, exceptions] = [skipped, refused, unreadable, exceptions].map(count_to_sql);
        [skipped, refused, unreadable, exceptions, policy.cast_signed(), at_unix_secs]
    }

    /// The row that the mailbox names; `None` if it names none, or that one is not there any more.
    pub(crate) async fn read(db: &mut SqliteConnection, mailbox: &MailboxRow) -> Result<Option<Self>, Fault> {
        let place = || mailbox.place();
        let row = sqlx::query(
            "SELECT mailbox_id, source_uid_validity, uid_next, message_count, highest_modseq, object_id, \
                    target_uid_validity, skipped, refused, unreadable, exceptions, policy, at_secs, checksum \
             FROM mailbox_sync WHERE mailbox_id = $1",
        )
        .bind(mailbox.mailbox_id)
        .fetch_optional(db)
        .await?;
        row.map(|row| verified::<Self>(&row, place)?.named_by(mailbox)).transpose()
    }

    /// The rows of a pair's mailboxes, by mailbox; see [`SyncRow::named_by`].
    pub(crate) async fn read_all(db: &mut SqliteConnection, pair_id: i64) -> Result<HashMap<i64, Self>, Fault> {
        let rows = sqlx::query(
            "SELECT mailbox_id, source_uid_validity, uid_next, message_count, highest_modseq, object_id, \
                    target_uid_validity, skipped, refused, unreadable, exceptions, policy, at_secs, checksum \
             FROM mailbox_sync WHERE mailbox_id IN (SELECT mailbox_id FROM mailbox WHERE pair_id = $1)",
        )
        .bind(pair_id)
        .fetch_all(db)
        .await?;
        let rows = rows.iter().map(|row| verified::<Self>(row, || format!("a mailbox of pair {pair_id}")));
        rows.map(|row| row.map(|row| (row.mailbox_id, row))).collect()
    }

    /// Damage, if this is not the row that the mailbox names: one that was replaced or deleted has come back.
    pub(crate) fn named_by(self, mailbox: &MailboxRow) -> Result<Self, Fault> {
        if mailbox.sync_sum == Some(self.checksum()) {
            return Ok(self);
        }
        Err(Fault::Damaged { table: Self::TABLE, row: mailbox.place() })
    }

    pub(crate) async fn put(&self, checksum: u32, db: &mut SqliteConnection) -> Result<(), Fault> {
        let synced = &self.synced;
        let mut query = sqlx::query(
            "INSERT OR REPLACE INTO mailbox_sync (mailbox_id, source_uid_validity, uid_next, message_count, \
                 highest_modseq, object_id, target_uid_validity, skipped, refused, unreadable, exceptions, policy, \
                 at_secs, checksum) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        )
        .bind(self.mailbox_id)
        .bind(synced.source_uid_validity.0)
        .bind(synced.uid_next.0)
        .bind(synced.exists)
        .bind(synced.highest_modseq.map(|modseq| modseq.0.cast_signed()))
        .bind(synced.mailbox_id.as_deref())
        .bind(synced.target_uid_validity.0);
        for number in self.numbers() {
            query = query.bind(number);
        }
        query.bind(checksum).execute(db).await?;
        Ok(())
    }

    pub(crate) async fn delete(db: &mut SqliteConnection, mailbox_id: i64) -> Result<(), Fault> {
        sqlx::query("DELETE FROM mailbox_sync WHERE mailbox_id = $1").bind(mailbox_id).execute(db).await?;
        Ok(())
    }
}

/// `mailbox_departed`: written with the synced row if it has changed, and by what cannot wait for that.
#[derive(Debug, Clone)]
pub(crate) struct DepartedRow {
    pub(crate) mailbox_id: i64,
    pub(crate) packed: Vec<u8>,
}

impl StoredRow for DepartedRow {
    const TABLE: &'static str = "mailbox_departed";

    fn decode(columns: &mut Columns<'_>) -> Option<Self> {
        Some(Self { mailbox_id: columns.int()?, packed: columns.octets()? })
    }

    fn checksum(&self) -> u32 {
        RowChecksum::of(Self::TABLE).int(self.mailbox_id).octets(&self.packed).finish()
    }
}

impl DepartedRow {
    pub(crate) fn new(mailbox_id: i64, departed: &UidSet) -> Self {
        Self { mailbox_id, packed: pack(departed) }
    }

    pub(crate) async fn read(db: &mut SqliteConnection, mailbox: &MailboxRow) -> Result<Option<Self>, Fault> {
        let row = sqlx::query("SELECT mailbox_id, packed, checksum FROM mailbox_departed WHERE mailbox_id = $1")
            .bind(mailbox.mailbox_id)
            .fetch_optional(db)
            .await?;
        row.map(|row| verified(&row, || mailbox.place())).transpose()
    }

    /// The rows of a pair's mailboxes, by mailbox.
    pub(crate) async fn read_all(db: &mut SqliteConnection, pair_id: i64) -> Result<HashMap<i64, Self>, Fault> {
        let rows = sqlx::query(
            "SELECT mailbox_id, packed, checksum FROM mailbox_departed \
             WHERE mailbox_id IN (SELECT mailbox_id FROM mailbox WHERE pair_id = $1)",
        )
        .bind(pair_id)
        .fetch_all(db)
        .await?;
        let rows = rows.iter().map(|row| verified::<Self>(row, || format!("a mailbox of pair {pair_id}")));
        rows.map(|row| row.map(|row| (row.mailbox_id, row))).collect()
    }

    /// What has departed from a mailbox, where `found` must be the very row that it names.
    pub(crate) fn set_of(found: Option<Self>, mailbox: &MailboxRow) -> Result<UidSet, Fault> {
        let damaged = || Fault::Damaged { table: Self::TABLE, row: mailbox.place() };
        if found.as_ref().map(Self::checksum) != mailbox.departed_sum {
            return Err(damaged());
        }
        found.map_or_else(|| Ok(UidSet::new()), |row| unpack(&row.packed).ok_or_else(damaged))
    }

    pub(crate) async fn put(&self, checksum: u32, db: &mut SqliteConnection) -> Result<(), Fault> {
        sqlx::query("INSERT OR REPLACE INTO mailbox_departed (mailbox_id, packed, checksum) VALUES ($1, $2, $3)")
            .bind(self.mailbox_id)
            .bind(&self.packed)
            .bind(checksum)
            .execute(db)
            .await?;
        Ok(())
    }

    pub(crate) async fn delete(db: &mut SqliteConnection, mailbox_id: i64) -> Result<(), Fault> {
        sqlx::query("DELETE FROM mailbox_departed WHERE mailbox_id = $1").bind(mailbox_id).execute(db).await?;
        Ok(())
    }
}
