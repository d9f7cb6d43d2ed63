//! Looking through a whole state file: what is as it was written, and what is not.
//!
//! A run reads only what it needs, and stops at the first row that does not prove itself. This reads everything, goes
//! on behind what is damaged, and says where that is. It is a reader like any other: nothing is changed, and a process
//! that works with the file at the moment is not disturbed.
//!
//! What it cannot see: a file that is whole and old. That the log beside it was lost, or an earlier copy put back, shows
//! only on the target, where the next run looks.

mod account;
mod queue;

use crate::error::{DbError, Doing};
use crate::fault::Fault;
use crate::files::{self, Fingerprint};
use crate::ledger::{self, Examined, MIGRATOR, OpenOptions, Stop, reader_of};
use crate::model::{Mapping, PairIdentity};
use crate::older;
use crate::read::Reader;
use crate::rows::LedgerRow;
use account::check_accounts;
use queue::check_queue;
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// SQLite stops telling of damage to the structure after so many findings.
const FINDINGS_MAX: usize = 20;

/// One place that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The table, or `sqlite` for the structure of the file.
    pub table: String,
    /// The row, or what SQLite said about the structure.
    pub row: String,
}

impl Damage {
    pub(crate) fn of(table: &str, row: String) -> Self {
        Self { table: table.to_owned(), row }
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "table {}, {}", self.table, self.row)
    }
}

/// One mailbox of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxCheck {
    /// Its number in the file.
    pub number: i64,
    /// Where it goes; `None` if its row cannot be believed.
    pub mapping: Option<Mapping>,
    /// Its name at the source as it stands in the file, for people; it proves nothing if the row is damaged.
    pub name: String,
    /// How many messages its row says are settled.
    pub settled: u64,
    /// What is damaged; empty if it is whole.
    pub damage: Vec<Damage>,
}

/// One account: a source and the target it is copied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountCheck {
    /// Its number in the file.
    pub number: i64,
    /// Who is copied where; `None` if its row cannot be believed.
    pub identity: Option<PairIdentity>,
    /// Its mailboxes, in the order of their numbers.
    pub mailboxes: Vec<MailboxCheck>,
    /// What is damaged of the account itself; what is damaged of its mailboxes stands there.
    pub damage: Vec<Damage>,
}

impl AccountCheck {
    /// Whether nothing of it is damaged.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.damage.is_empty() && self.mailboxes.iter().all(|mailbox| mailbox.damage.is_empty())
    }
}

/// The queue's tables. Their rows carry no checksums: what SQLite can tell of them is all there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueCheck {
    /// How many rows each table has, by name; empty if the file has no queue.
    pub rows: Vec<(String, u64)>,
    /// What cannot be read.
    pub damage: Vec<Damage>,
}

/// A whole state file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerCheck {
    /// The file, as an absolute path.
    pub file: PathBuf,
    /// Its size in octets.
    pub length: u64,
    /// The size of the log beside it; `None` if there is none. There is one while a process has the file open, and after
    /// one was killed.
    pub log: Option<u64>,
    /// The highest migration that was made; `None` if that cannot be read.
    pub schema: Option<i64>,
    /// What this program would bring it to.
    pub schema_known: i64,
    /// Damage to the structure of the file, and to the rows that belong to the file as a whole.
    pub damage: Vec<Damage>,
    /// Its accounts.
    pub accounts: Vec<AccountCheck>,
    /// Its queue.
    pub queue: QueueCheck,
}

impl LedgerCheck {
    /// Whether nothing is damaged.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.damage.is_empty() && self.queue.damage.is_empty() && self.accounts.iter().all(AccountCheck::is_whole)
    }
}

/// Reads a state file through, without changing it.
///
/// # Errors
/// If it is not there, is none of ours, or cannot be read. Damage is no error.
pub async fn check_ledger(path: &Path, options: OpenOptions) -> Result<LedgerCheck, DbError> {
    let doing = Doing::new("check", path);
    let at = |fault| ledger::path_error(fault, doing.clone());
    let path: Arc<Path> = files::existing_state_file(path).map_err(at)?.into();
    let print = Fingerprint::of(&path).map_err(|error| ledger::path_error(error.into(), doing.clone()))?;
    ledger::refuse_stub(print.length()).map_err(|stop| stop.at(Doing::new("check", &path)))?;
    let reader = reader_of(&path, &options, &print);
    let checked = check(&reader, &print).await;
    reader.close().await;
    let checked = checked.map_err(|stop| stop.at(Doing::new("check", &path)))?;
    // What looks like damage in a file that was written meanwhile may be none.
    if !checked.is_whole() && print.is_at_rest() && Fingerprint::of(&path).ok().as_ref() != Some(&print) {
        return Err(DbError::Locked(Doing::new("check", &path)));
    }
    Ok(checked)
}

async fn check(reader: &Reader, print: &Fingerprint) -> Result<LedgerCheck, Stop> {
    let log = std::fs::metadata(files::with_suffix(reader.path(), "-wal")).ok().map(|log| log.len());
    let mut checked = LedgerCheck {
        file: reader.path().to_owned(),
        length: print.length(),
        log,
        schema: None,
        schema_known: MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0),
        damage: Vec::new(),
        accounts: Vec::new(),
        queue: QueueCheck::default(),
    };
    let mut held;
    let begun = match reader.connection().await {
        Ok(connection) => {
            held = connection;
            reader.snapshot(&mut held).await
        }
        Err(fault) => Err(fault),
    };
    let mut db = match begun {
        Ok(db) => db,
        Err(fault) => {
            keep::<()>(Err(fault), &mut checked.damage)?;
            return Ok(checked);
        }
    };
    let found = &mut checked.damage;
    let identified = match ledger::check_sqlite_version(&mut db).await {
        Ok(()) => ledger::identify(&mut db).await,
        Err(stop) => Err(stop),
    };
    match identified {
        Ok(Examined::Ledger) => {}
        Ok(Examined::Empty) => return Err(Stop::Empty),
        Err(Stop::Fault(fault)) => drop(keep::<()>(Err(fault), found)?),
        Err(stop) => return Err(stop),
    }
    for findings in [structure(&mut db).await, foreign_keys(&mut db).await] {
        if let Some(findings) = keep(findings, found)? {
            found.extend(findings);
        }
    }
    let schema = migrations(&mut db, found).await;
    checked.schema = keep(schema, found)?.flatten();
    if let Some(None) = keep(LedgerRow::read(&mut db).await, found)? {
        found.push(Damage::of("ledger", "its only row is missing".to_owned()));
    }
    keep(older::cover(&mut db).await, found)?;
    checked.accounts = check_accounts(&mut db, found).await?;
    checked.queue = check_queue(&mut db).await?;
    Ok(checked)
}

/// What a step found; damage is noted, and the check goes on. Anything else ends it.
fn keep<T>(outcome: Result<T, Fault>, found: &mut Vec<Damage>) -> Result<Option<T>, Fault> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(fault) => {
            let damage = fault.damage().ok_or(fault)?;
            // What keeps one thing from being read keeps others from it in the same words.
            if !found.contains(&damage) {
                found.push(damage);
            }
            Ok(None)
        }
    }
}

/// What SQLite itself says about pages, indexes, types and constraints.
async fn structure(db: &mut SqliteConnection) -> Result<Vec<Damage>, Fault> {
    let sql = format!("PRAGMA main.integrity_check({FINDINGS_MAX})");
    let words: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(db).await?;
    Ok(words.into_iter().filter(|words| words != "ok").map(|words| Damage::of("sqlite", words)).collect())
}

/// Rows that belong to a row which is not there.
async fn foreign_keys(db: &mut SqliteConnection) -> Result<Vec<Damage>, Fault> {
    let rows = sqlx::query("PRAGMA main.foreign_key_check").fetch_all(db).await?;
    let mut lost: BTreeMap<(String, String), u64> = BTreeMap::new();
    for row in rows {
        *lost.entry((row.try_get("table")?, row.try_get("parent")?)).or_default() += 1;
    }
    let words = |(table, parent): (String, String), rows| {
        let row = format!("{rows} of its rows belong to rows of {parent} that are not there");
        Damage { table, row }
    };
    Ok(lost.into_iter().map(|(tables, rows)| words(tables, rows)).collect())
}

/// The highest migration that was made. Each must be one of ours, word for word.
async fn migrations(db: &mut SqliteConnection, found: &mut Vec<Damage>) -> Result<Option<i64>, Fault> {
    let rows = sqlx::query("SELECT version, success, checksum FROM main._sqlx_migrations ORDER BY version");
    let mut highest = None;
    for row in rows.fetch_all(db).await? {
        let (version, success): (i64, bool) = (row.try_get(0)?, row.try_get(1)?);
        let checksum: Vec<u8> = row.try_get(2)?;
        let ours = MIGRATOR.iter().find(|migration| migration.version == version);
        if !success || ours.is_none_or(|migration| migration.checksum[..] != checksum[..]) {
            found.push(Damage::of("_sqlx_migrations", format!("version {version}")));
        }
        highest = highest.max(Some(version));
    }
    if highest.is_none() {
        found.push(Damage::of("_sqlx_migrations", "it is empty".to_owned()));
    }
    Ok(highest)
}
