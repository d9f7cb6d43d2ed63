//! `keyword_set`: the keywords that messages of a mailbox carry together, a row in its tally.

use super::{Columns, StoredRow, verified};
use crate::checksum::RowChecksum;
use crate::fault::Fault;
use sqlx::sqlite::SqliteConnection;

/// `keyword_set`: written when a message is the first of its mailbox to carry just these keywords.
#[derive(Debug, Clone)]
pub(crate) struct KeywordSetRow {
    pub(crate) mailbox_id: i64,
    pub(crate) number: u32,
    /// Sorted, with a blank between.
    pub(crate) keywords: String,
}

impl StoredRow for KeywordSetRow {
    const TABLE: &'static str = "keyword_set";

    fn decode(columns: &mut Columns<'_>) -> Option<Self> {
        Some(Self { mailbox_id: columns.int()?, number: columns.number()?, keywords: columns.text()? })
    }

    fn checksum(&self) -> u32 {
        RowChecksum::of(Self::TABLE).int(self.mailbox_id).int(i64::from(self.number)).text(&self.keywords).finish()
    }
}

impl KeywordSetRow {
    /// All sets of a mailbox; the one at index `i` has number `i + 1`.
    pub(crate) async fn read_all(db: &mut SqliteConnection, mailbox_id: i64) -> Result<Vec<Self>, Fault> {
        let rows = sqlx::query(
            "SELECT mailbox_id, number, keywords, checksum FROM keyword_set WHERE mailbox_id = $1 ORDER BY number",
        )
        .bind(mailbox_id)
        .fetch_all(db)
        .await?;
        let mut sets: Vec<Self> = Vec::with_capacity(rows.len());
        for row in &rows {
            let place = || format!("mailbox number {mailbox_id}, set {}", sets.len() + 1);
            let set: Self = verified(row, place)?;
            if usize::try_from(set.number) != Ok(sets.len() + 1) {
                return Err(Fault::Damaged { table: Self::TABLE, row: place() });
            }
            sets.push(set);
        }
        Ok(sets)
    }

    pub(crate) async fn insert(&self, db: &mut SqliteConnection) -> Result<(), Fault> {
        sqlx::query("INSERT INTO keyword_set (mailbox_id, number, keywords, checksum) VALUES ($1, $2, $3, $4)")
            .bind(self.mailbox_id)
            .bind(self.number)
            .bind(&self.keywords)
            .bind(self.checksum())
            .execute(db)
            .await?;
        Ok(())
    }

    pub(crate) async fn delete_all(db: &mut SqliteConnection, mailbox_id: i64) -> Result<(), Fault> {
        sqlx::query("DELETE FROM keyword_set WHERE mailbox_id = $1").bind(mailbox_id).execute(db).await?;
        Ok(())
    }
}
