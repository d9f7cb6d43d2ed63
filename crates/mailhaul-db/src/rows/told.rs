//! `mailbox_pass` and `remark`: what is told in reports and decides nothing.

use super::{Columns, StoredRow, count_to_sql, verified};
use crate::checksum::RowChecksum;
use crate::fault::Fault;
use crate::model::{PassCounts, Remark};
use sqlx::sqlite::SqliteConnection;

/// `mailbox_pass`: written at the end of each pass.
pub(crate) struct PassRow {
    pub(crate) mailbox_id: i64,
    pub(crate) counts: PassCounts,
    pub(crate) at_secs: i64,
}

impl PassRow {
    /// The counts in the order of the columns.
    fn numbers(&self) -> [i64; 10] {
        let PassCounts { source, already, copied, adopted, skipped, refused, gone, unreadable, remaining, bytes } =
            self.counts;
        [source, already, copied, adopted, skipped, refused, gone, unreadable, remaining, bytes].map(count_to_sql)
    }
}

impl StoredRow for PassRow {
    const TABLE: &'static str = "mailbox_pass";

    fn decode(columns: &mut Columns<'_>) -> Option<Self> {
        Some(Self {
            mailbox_id: columns.int()?,
            counts: PassCounts {
                source: columns.number()?,
                already: columns.number()?,
                copied: columns.number()?,
                adopted: columns.number()?,
                skipped: columns.number()?,
                refused: columns.number()?,
                gone: columns.number()?,
                unreadable: columns.number()?,
                remaining: columns.number()?,
                bytes: columns.number()?,
            },
            at_secs: columns.int()?,
        })
    }

    fn checksum(&self) -> u32 {
        let sum = RowChecksum::of(Self::TABLE).int(self.mailbox_id);
        self.numbers().into_iter().fold(sum, RowChecksum::int).int(self.at_secs).finish()
    }
}

impl PassRow {
    /// The passes over all mailboxes of a pair.
    pub(crate) async fn read_all(db: &mut SqliteConnection, pair_id: i64) -> Result<Vec<Self>, Fault> {
        let rows = sqlx::query(
            "SELECT mailbox_id, source, already, copied, adopted, skipped, refused, gone, unreadable, remaining, \
                    bytes, at_secs, checksum \
             FROM mailbox_pass WHERE mailbox_id IN (SELECT mailbox_id FROM mailbox WHERE pair_id = $1)",
        )
        .bind(pair_id)
        .fetch_all(db)
        .await?;
        rows.iter().map(|row| verified(row, || format!("a mailbox of pair {pair_id}"))).collect()
    }

    pub(crate) async fn put(&self, db: &mut SqliteConnection) -> Result<(), Fault> {
        let mut query = sqlx::query(
            "INSERT INTO mailbox_pass (mailbox_id, source, already, copied, adopted, skipped, refused, gone, \
                 unreadable, remaining, bytes, at_secs, checksum) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
             ON CONFLICT (mailbox_id) DO UPDATE SET source = excluded.source, already = excluded.already, \
                 copied = excluded.copied, adopted = excluded.adopted, skipped = excluded.skipped, \
                 refused = excluded.refused, gone = excluded.gone, unreadable = excluded.unreadable, \
                 remaining = excluded.remaining, bytes = excluded.bytes, at_secs = excluded.at_secs, \
                 checksum = excluded.checksum",
        )
        .bind(self.mailbox_id);
        for number in self.numbers() {
            query = query.bind(number);
        }
        query.bind(self.at_secs).bind(self.checksum()).execute(db).await?;
        Ok(())
    }

    pub(crate) async fn delete(db: &mut SqliteConnection, mailbox_id: i64) -> Result<(), Fault> {
        sqlx::query("DELETE FROM mailbox_pass WHERE mailbox_id = $1").bind(mailbox_id).execute(db).await?;
        Ok(())
    }
}

/// `remark`: replaced as a whole for an account or a mailbox.
pub(crate) struct RemarkRow {
    pub(crate) pair_id: i64,
    /// 0: the account as a whole.
    pub(crate) mailbox_id: i64,
    pub(crate) number: u32,
    pub(crate) remark: Remark,
}

impl StoredRow for RemarkRow {
    const TABLE: &'static str = "remark";

    fn decode(columns: &mut Columns<'_>) -> Option<Self> {
        Some(Self {
            pair_id: columns.int()?,
            mailbox_id: columns.int()?,
            number: columns.number()?,
            remark: Remark { kind: columns.text()?, text: columns.text()?, messages: columns.number()? },
        })
    }

    fn checksum(&self) -> u32 {
        RowChecksum::of(Self::TABLE)
            .int(self.pair_id)
            .int(self.mailbox_id)
            .int(i64::from(self.number))
            .text(&self.remark.kind)
            .text(&self.remark.text)
            .int(count_to_sql(self.remark.messages))
            .finish()
    }
}

impl RemarkRow {
    /// The remarks about a pair and its mailboxes, each in the order in which they were given.
    pub(crate) async fn read_all(db: &mut SqliteConnection, pair_id: i64) -> Result<Vec<Self>, Fault> {
        let rows = sqlx::query(
            "SELECT pair_id, mailbox_id, number, kind, text, messages, checksum \
             FROM remark WHERE pair_id = $1 ORDER BY mailbox_id, number",
        )
        .bind(pair_id)
        .fetch_all(db)
        .await?;
        rows.iter()
            .enumerate()
            .map(|(at, row)| verified(row, || format!("remark {} of pair {pair_id}", at + 1)))
            .collect()
    }

    /// Replaces all remarks of an account (`mailbox_id` 0) or a mailbox.
    pub(crate) async fn replace(
        db: &mut SqliteConnection,
        pair_id: i64,
        mailbox_id: i64,
        remarks: &[Remark],
    ) -> Result<(), Fault> {
        sqlx::query("DELETE FROM remark WHERE pair_id = $1 AND mailbox_id = $2")
            .bind(pair_id)
            .bind(mailbox_id)
            .execute(&mut *db)
            .await?;
        for (number, remark) in (1..).zip(remarks) {
            let row = Self { pair_id, mailbox_id, number, remark: remark.clone() };
            sqlx::query(
                "INSERT INTO remark (pair_id, mailbox_id, number, kind, text, messages, checksum) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(pair_id)
            .bind(mailbox_id)
            .bind(number)
            .bind(&remark.kind)
            .bind(&remark.text)
            .bind(count_to_sql(remark.messages))
            .bind(row.checksum())
            .execute(&mut *db)
            .await?;
        }
        Ok(())
    }
}
