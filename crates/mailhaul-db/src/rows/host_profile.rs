//! `host_profile`: what was learnt about a server.

use super::{Columns, StoredRow, verified};
use crate::checksum::RowChecksum;
use crate::fault::Fault;
use crate::host_profile::HostKey;
use mailhaul_types::Side;
use sqlx::sqlite::SqliteConnection;

/// A row of `host_profile`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostProfileRow {
    side: String,
    host: String,
    port: u16,
    pub(crate) profile: String,
    at_secs: i64,
}

impl StoredRow for HostProfileRow {
    const TABLE: &'static str = "host_profile";

    fn decode(columns: &mut Columns<'_>) -> Option<Self> {
        Some(Self {
            side: columns.text()?,
            host: columns.text()?,
            port: columns.number()?,
            profile: columns.text()?,
            at_secs: columns.int()?,
        })
    }

    fn checksum(&self) -> u32 {
        RowChecksum::of(Self::TABLE)
            .text(&self.side)
            .text(&self.host)
            .int(i64::from(self.port))
            .text(&self.profile)
            .int(self.at_secs)
            .finish()
    }
}

impl HostProfileRow {
    pub(crate) fn new(key: &HostKey, profile: String, at_secs: i64) -> Self {
        Self { side: word(key.side()).to_owned(), host: key.host().to_owned(), port: key.port(), profile, at_secs }
    }

    pub(crate) async fn find(db: &mut SqliteConnection, key: &HostKey) -> Result<Option<Self>, Fault> {
        let sql = "SELECT side, host, port, profile, at_secs, checksum FROM host_profile \
                   WHERE side = $1 AND host = $2 AND port = $3";
        let row = sqlx::query(sql).bind(word(key.side())).bind(key.host()).bind(key.port());
        let row = row.fetch_optional(db).await?;
        row.map(|row| verified(&row, || format!("{} {}:{}", key.side(), key.host(), key.port()))).transpose()
    }

    pub(crate) async fn put(&self, db: &mut SqliteConnection) -> Result<(), Fault> {
        sqlx::query(
            "INSERT OR REPLACE INTO host_profile (side, host, port, profile, at_secs, checksum) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&self.side)
        .bind(&self.host)
        .bind(self.port)
        .bind(&self.profile)
        .bind(self.at_secs)
        .bind(self.checksum())
        .execute(db)
        .await?;
        Ok(())
    }
}

fn word(side: Side) -> &'static str {
    match side {
        Side::Source => "source",
        Side::Target => "target",
    }
}
