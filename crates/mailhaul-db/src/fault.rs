//! Errors on their way up: what SQLite or a row said, before it is known which file and which work it was about.

use crate::check::Damage;
use crate::error::{DbError, Doing};
use mailhaul_types::{Side, UidValidity};
use std::path::Path;

/// A failure without its place. [`Fault::at`] makes a [`DbError`] of it.
#[derive(Debug)]
pub(crate) enum Fault {
    /// SQLite or the driver.
    Sql(sqlx::Error),
    /// A row is not as it was written, or is missing.
    Damaged { table: &'static str, row: String },
    /// The pair's generation is no longer ours.
    LeaseLost { ours: u64 },
    /// Another UIDVALIDITY than the caller assumed.
    OtherUidValidity { mailbox: String, side: Side, stored: UidValidity, given: UidValidity },
    /// Passwords or their key are not those any more that the caller had read.
    SecretsChanged,
    /// A fault in mailhaul.
    Internal(String),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl Fault {
    /// Whether only the lease that asked for it is concerned; otherwise nobody can use the file any more.
    pub(crate) fn concerns_one_lease(&self) -> bool {
        match self {
            Self::Sql(_) => false,
            Self::Damaged { .. } | Self::LeaseLost { .. } | Self::OtherUidValidity { .. } => true,
            Self::SecretsChanged | Self::Internal(_) => true,
        }
    }

    /// What is damaged, if that is what the fault says.
    pub(crate) fn damage(&self) -> Option<Damage> {
        match self {
            Self::Damaged { table, row } => Some(Damage::of(table, row.clone())),
            Self::Sql(error) => match classify(error, Doing::new("check", Path::new(""))) {
                DbError::Damaged { table, row, .. } => Some(Damage::of(table, row)),
                _ => None,
            },
            _ => None,
        }
    }

    /// The error for people.
    pub(crate) fn at(self, doing: Doing) -> DbError {
        match self {
            Self::Sql(error) => classify(&error, doing),
            Self::Damaged { table, row } => DbError::Damaged { doing, table, row },
            Self::LeaseLost { ours } => DbError::LeaseLost { doing, ours },
            Self::OtherUidValidity { mailbox, side, stored, given } => {
                DbError::OtherUidValidity { doing, mailbox, side, stored, given }
            }
            Self::SecretsChanged => DbError::SecretsChanged(doing),
            Self::Internal(reason) => DbError::Internal { doing, reason },
        }
    }
}

fn classify(error: &sqlx::Error, doing: Doing) -> DbError {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().and_then(|code| code.parse().ok()).unwrap_or(0);
            from_result_code(code, error.message(), doing)
        }
        sqlx::Error::PoolClosed => DbError::Closed(doing),
        sqlx::Error::Io(error) => DbError::Io { doing, reason: error.to_string() },
        sqlx::Error::ColumnDecode { source, .. } | sqlx::Error::Decode(source) => {
            DbError::Damaged { doing, table: "sqlite", row: source.to_string() }
        }
        other => DbError::Internal { doing, reason: other.to_string() },
    }
}

/// SQLite's result codes (<https://sqlite.org/rescode.html>); the primary code is the low octet of an extended one.
fn from_result_code(code: i32, words: &str, doing: Doing) -> DbError {
    const IOERR_SHMSIZE: i32 = 10 | 19 << 8;
    let reason = words.to_owned();
    match (code & 0xff, code) {
        (5 | 6 | 15, _) => DbError::Locked(doing),
        (3 | 8 | 14 | 23, _) => DbError::NoAccess { doing, reason },
        // The shared index of the log could not be given its size: in practice there is no room.
        (13, _) | (_, IOERR_SHMSIZE) => DbError::Full(doing),
        (10, _) => DbError::Io { doing, reason },
        (11, _) => DbError::Damaged { doing, table: "sqlite", row: reason },
        (26, _) => DbError::NotADatabase(doing),
        // Our statements fit our schema; one that does not find its table has met a schema that was altered.
        (1, _) if words.starts_with("no such") || words.starts_with("malformed") => {
            DbError::Damaged { doing, table: "sqlite_schema", row: reason }
        }
        _ => DbError::Internal { doing, reason: format!("{reason} (SQLite code {code})") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::DbErrorKind;

    #[test]
    fn every_result_code_has_a_class() {
        let kind = |code, words| from_result_code(code, words, Doing::new("open", Path::new("/s.db"))).kind();
        for (code, expected) in [
            (5, DbErrorKind::Locked),
            (5 | 2 << 8, DbErrorKind::Locked),
            (6, DbErrorKind::Locked),
            (8, DbErrorKind::NoAccess),
            (14, DbErrorKind::NoAccess),
            (13, DbErrorKind::Full),
            (4874, DbErrorKind::Full),
            (778, DbErrorKind::Io),
            (11, DbErrorKind::Damaged),
            (267, DbErrorKind::Damaged),
            (26, DbErrorKind::NotALedger),
            (19, DbErrorKind::Internal),
        ] {
            assert_eq!(kind(code, "words"), expected, "{code}");
        }
        assert_eq!(kind(1, "no such column: packed"), DbErrorKind::Damaged);
    }
}
