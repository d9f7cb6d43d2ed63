//! What SQLite itself says of a state file, beside everything that mailhaul thinks of it; and its lock in somebody else's
//! hands.

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// `PRAGMA integrity_check` of a copy of the file and its log, so that looking changes nothing. A file that is not there, or
/// holds nothing yet, is sound.
///
/// # Errors
/// What SQLite found.
///
/// # Panics
/// When the files cannot be copied.
pub fn integrity(state: &Path) -> Result<(), String> {
    if std::fs::metadata(state).map_or(0, |metadata| metadata.len()) == 0 {
        return Ok(());
    }
    let folder = TempDir::new().expect("a temporary folder");
    let copy = folder.path().join("copy.db");
    for suffix in ["", "-wal"] {
        let (from, to) = (with_suffix(state, suffix), with_suffix(&copy, suffix));
        if from.exists() {
            std::fs::copy(from, to).expect("a state file can be copied");
        }
    }
    run(async {
        let mut db = open(&copy).await?;
        let found: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check").fetch_all(&mut db).await?;
        db.close().await?;
        Ok::<_, sqlx::Error>(found)
    })
    .map_err(|error| error.to_string())
    .and_then(|found| if found == ["ok"] { Ok(()) } else { Err(found.join("; ")) })
}

/// Holds the lock of a state file for so long, as a backup program or a person with a shell may; true if it came to have it.
///
/// # Panics
/// When the file cannot be opened.
#[must_use]
pub fn lock(state: &Path, how_long: Duration) -> bool {
    run(async {
        let mut db = open(state).await.expect("the state file opens");
        if sqlx::query("BEGIN EXCLUSIVE").execute(&mut db).await.is_err() {
            return false;
        }
        tokio::time::sleep(how_long).await;
        sqlx::query("ROLLBACK").execute(&mut db).await.is_ok() && db.close().await.is_ok()
    })
}

/// What a query finds: two numbers and a text in each row. Looking waits for nobody, and keeps nobody from writing.
///
/// # Errors
/// What SQLite says.
pub fn rows(state: &Path, sql: &str) -> Result<Vec<(i64, i64, String)>, String> {
    let options = SqliteConnectOptions::new().filename(state).read_only(true).busy_timeout(Duration::from_secs(20));
    run(async {
        let mut db = options.connect().await?;
        let rows = sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&mut db).await?;
        db.close().await?;
        Ok::<_, sqlx::Error>(rows)
    })
    .map_err(|error| error.to_string())
}

async fn open(file: &Path) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(20)).connect().await
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
