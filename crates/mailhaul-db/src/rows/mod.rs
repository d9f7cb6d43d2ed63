//! One struct for each table, with its SQL, its checksum, and its reading.
//!
//! A row that is read is verified at once: wrong type, number out of range, or another checksum than the stored one
//! make a [`Fault::Damaged`]; nothing of such a row is used. Placeholders are `$1`, which PostgreSQL shares.

mod exception;
mod host_profile;
mod keyword_set;
mod mailbox;
mod pair;
mod segment;
mod sync;
mod told;

pub(crate) use exception::{ExceptionKey, ExceptionRow};
pub(crate) use host_profile::HostProfileRow;
pub(crate) use keyword_set::KeywordSetRow;
pub(crate) use mailbox::{MailboxRow, Tally};
pub(crate) use pair::{LedgerRow, PairRow, RunRow};
pub(crate) use segment::SegmentRow;
pub(crate) use sync::{DepartedRow, SyncRow};
pub(crate) use told::{PassRow, RemarkRow};

use crate::fault::Fault;
use futures_util::TryStreamExt as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row, Sqlite};

/// A table's row. Columns are read in the order of the table, the checksum last.
pub(crate) trait StoredRow: Sized {
    /// The table.
    const TABLE: &'static str;
    /// Reads all columns but the checksum; `None` if one of them cannot be what was written.
    fn decode(columns: &mut Columns<'_>) -> Option<Self>;
    /// The checksum that belongs to the row.
    fn checksum(&self) -> u32;
}

/// Reads and verifies a row. `place` tells a person which row it is, should it be damaged.
pub(crate) fn verified<R: StoredRow>(row: &SqliteRow, place: impl FnOnce() -> String) -> Result<R, Fault> {
    let mut columns = Columns { row, next: 0 };
    let decoded = R::decode(&mut columns);
    let stored: Option<u32> = columns.number();
    match (decoded, stored) {
        (Some(decoded), Some(stored)) if decoded.checksum() == stored => Ok(decoded),
        _ => Err(Fault::Damaged { table: R::TABLE, row: place() }),
    }
}

/// The rows of a mailbox that are as they were written, as far as they can be read. `sql` asks for them by the number
/// of the mailbox.
pub(crate) async fn whole_rows<R: StoredRow>(db: &mut SqliteConnection, sql: &'static str, mailbox_id: i64) -> Vec<R> {
    let mut rows = sqlx::query(sql).bind(mailbox_id).fetch(db);
    let mut whole = Vec::new();
    while let Ok(Some(row)) = rows.try_next().await {
        whole.extend(verified(&row, String::new));
    }
    whole
}

/// The columns of a row, one after the other.
pub(crate) struct Columns<'a> {
    row: &'a SqliteRow,
    next: usize,
}

impl Columns<'_> {
    fn take<'r, T>(&'r mut self) -> Option<T>
    where
        T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
    {
        let place = self.next;
        self.next += 1;
        self.row.try_get(place).ok()
    }

    pub(crate) fn int(&mut self) -> Option<i64> {
        self.take()
    }

    /// Absence is `Some(None)`.
    pub(crate) fn optional_int(&mut self) -> Option<Option<i64>> {
        self.take()
    }

    /// An integer that fits `T`.
    pub(crate) fn number<T: TryFrom<i64>>(&mut self) -> Option<T> {
        T::try_from(self.int()?).ok()
    }

    /// An integer that fits `T`, or absence as `Some(None)`.
    pub(crate) fn optional_number<T: TryFrom<i64>>(&mut self) -> Option<Option<T>> {
        self.optional_int()?.map(T::try_from).transpose().ok()
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        self.take()
    }

    pub(crate) fn optional_text(&mut self) -> Option<Option<String>> {
        self.take()
    }

    pub(crate) fn octets(&mut self) -> Option<Vec<u8>> {
        self.take()
    }
}

/// A count as SQL holds it. Counts of messages and octets stay far below 2^63.
pub(crate) fn count_to_sql(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
