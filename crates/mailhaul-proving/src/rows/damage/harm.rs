//! What is done to the files of a state.

use mailhaul_testing::histories::Dice;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Row};
use std::fs;
use std::path::{Path, PathBuf};

/// A kind of harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Harm {
    /// Some octets of the file become others.
    Flipped,
    /// Some octets of the log become others.
    LogFlipped,
    /// The file ends earlier.
    Cut,
    /// An earlier copy of the file lies in its place.
    OldCopy,
    /// The log is gone, and its index with it.
    LogMissing,
    /// The index of the log is gone, or full of nonsense.
    IndexMissing,
    /// Nothing is left.
    Gone,
    /// A value in a row is another: the structure is whole, and SQLite finds nothing.
    Value,
}

/// All of them; a seed takes the one that its number leads to.
pub(super) const HARMS: [Harm; 8] = [
    Harm::Flipped,
    Harm::LogFlipped,
    Harm::Cut,
    Harm::OldCopy,
    Harm::LogMissing,
    Harm::IndexMissing,
    Harm::Gone,
    Harm::Value,
];

impl Harm {
    /// Whether a process must have died and left its log behind.
    pub(super) fn needs_a_log(self) -> bool {
        matches!(self, Harm::LogFlipped | Harm::LogMissing | Harm::IndexMissing)
    }

    /// Whether it may also happen to a file that a killed run has left.
    pub(super) fn may_come_early(self) -> bool {
        matches!(self, Harm::Flipped | Harm::Cut | Harm::Gone)
    }

    /// Whether the next run may well end without having read what was harmed, if it has nothing to do.
    pub(super) fn leaves_rows_unread(self) -> bool {
        matches!(self, Harm::Flipped | Harm::Value)
    }

    /// Does it; what was done, for people.
    pub(super) fn inflict(self, state: &Path, backup: &Path, dice: &mut Dice) -> String {
        let log = beside(state, "-wal");
        match self {
            Harm::Flipped => flip(state, dice),
            Harm::LogFlipped if log.exists() => flip(&log, dice),
            Harm::LogFlipped => "there was no log".to_owned(),
            Harm::Cut => cut(state, dice),
            Harm::OldCopy => {
                remove(&[&log, &beside(state, "-shm")]);
                fs::copy(backup, state).expect("the copy is put back");
                "a copy from before the last run".to_owned()
            }
            Harm::LogMissing => {
                remove(&[&log, &beside(state, "-shm")]);
                "log and index removed".to_owned()
            }
            Harm::IndexMissing if dice.once_in(2) => {
                remove(&[&beside(state, "-shm")]);
                "index removed".to_owned()
            }
            Harm::IndexMissing => {
                let index = beside(state, "-shm");
                if index.exists() { flip(&index, dice) } else { "there was no index".to_owned() }
            }
            Harm::Gone => {
                remove(&[state, &log, &beside(state, "-shm")]);
                "everything removed".to_owned()
            }
            Harm::Value => change_a_value(state, dice),
        }
    }
}

fn beside(state: &Path, suffix: &str) -> PathBuf {
    let mut name = state.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn remove(paths: &[&Path]) {
    for path in paths {
        match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{}: {error}", path.display()),
            _ => {}
        }
    }
}

fn flip(path: &Path, dice: &mut Dice) -> String {
    let mut octets = fs::read(path).expect("readable");
    if octets.is_empty() {
        return "it was empty".to_owned();
    }
    let mut places = Vec::new();
    for _ in 0..=dice.below(6) {
        let at = dice.below(octets.len());
        octets[at] ^= u8::try_from(1 + dice.below(255)).unwrap_or(1);
        places.push(at.to_string());
    }
    fs::write(path, &octets).expect("written");
    format!("octets {} of {} in {}", places.join(", "), octets.len(), path.display())
}

fn cut(path: &Path, dice: &mut Dice) -> String {
    let octets = fs::read(path).expect("readable");
    let mut length = dice.below(octets.len());
    if dice.once_in(2) {
        // At the end of a page it is less plain to see.
        length -= length % 4_096;
    }
    fs::write(path, &octets[..length]).expect("written");
    format!("{length} octets left of {}", octets.len())
}

/// The tables whose rows decide what is copied.
const TABLES: [&str; 9] = [
    "ledger",
    "pair",
    "mailbox",
    "segment",
    "segment",
    "keyword_set",
    "mailbox_exception",
    "mailbox_sync",
    "mailbox_departed",
];

/// Changes one value of one row on the closed file, in a way that SQLite takes for sound.
fn change_a_value(state: &Path, dice: &mut Dice) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut db = SqliteConnectOptions::new().filename(state).foreign_keys(false).connect().await.expect("opens");
        // Some tables are empty, and some changes SQLite refuses.
        let mut told = "nothing".to_owned();
        for _ in 0..50 {
            if let Some(done) = try_a_change(&mut db, dice).await {
                told = done;
                break;
            }
        }
        db.close().await.expect("closed");
        told
    })
}

async fn try_a_change(db: &mut SqliteConnection, dice: &mut Dice) -> Option<String> {
    let table = dice.one_of(&TABLES);
    let columns = db.fetch_all(AssertSqlSafe(format!("SELECT name, type FROM pragma_table_info('{table}')")));
    let columns: Vec<(String, String)> =
        columns.await.expect("readable").iter().map(|row| (row.get(0), row.get(1))).collect();
    let (column, kind) = &columns[dice.below(columns.len())];
    let change = match kind.as_str() {
        "INTEGER" => {
            let bit = 1_i64 << dice.below(33);
            format!("(({column} | {bit}) - ({column} & {bit}))")
        }
        "TEXT" => format!("{column} || 'x'"),
        _ => {
            let at = 1 + dice.below(4_000);
            let changed = format!("substr({column}, 1, {at} - 1) || X'5A' || substr({column}, {at} + 1)");
            format!("CASE WHEN length({column}) >= {at} THEN CAST({changed} AS BLOB) ELSE substr({column}, 2) END")
        }
    };
    let rows: i64 =
        db.fetch_one(AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"))).await.expect("readable").get(0);
    let offset = dice.below(usize::try_from(rows).unwrap_or(0));
    let (key, key_of_one) = key_of(&columns);
    let sql = format!(
        "UPDATE {table} SET {column} = {change} WHERE ({key}) = (SELECT {key_of_one} FROM {table} LIMIT 1 OFFSET {offset}) \
         AND {column} IS NOT {change}"
    );
    // A change that would collide or break a constraint is no accident that SQLite would let pass.
    let done = db.execute(AssertSqlSafe(sql)).await.ok()?;
    (done.rows_affected() > 0).then(|| format!("{table}.{column} of row {offset} became {change}"))
}

/// All columns together tell a row from the others.
fn key_of(columns: &[(String, String)]) -> (String, String) {
    let names: Vec<String> = columns.iter().map(|(name, _)| format!("IFNULL({name}, 'none')")).collect();
    (names.join(", "), names.join(", "))
}
