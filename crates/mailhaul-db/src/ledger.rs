//! Opening a state file: is it ours, is it whole, can this program read it; and what can be asked of it as a whole.
//!
//! A file is created and migrated under a lock file of its own, because SQLite's migrations take no lock. Nothing is
//! changed in a file before it is known to be a ledger: not even its journal mode.

use crate::error::{DbError, Doing};
use crate::fault::Fault;
use crate::files::{self, Fingerprint, PathFault};
use crate::lease::PairLease;
use crate::model::{MailboxBrief, MailboxState, Mapping, PairIdentity};
use crate::older;
use crate::queue::{Queue, Writing};
use crate::read::{Reader, SettledPages};
use crate::report::{self, PairReport};
use crate::rows::LedgerRow;
use crate::still::still;
use crate::turns::Turns;
use crate::writer::{Pace, WriterHandle};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePoolOptions};
use sqlx::{ConnectOptions, Connection};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often, and after how long each time, a lock is asked for again that seems to be held by this process.
const OWN_LOCK_TURNS: u32 = 50;
const OWN_LOCK_TURN: Duration = Duration::from_millis(20);

/// The schema, step by step.
pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// `application_id` in the file's header, set by the first migration.
const APPLICATION_ID: i64 = 1_835_559_985;

/// Versions before this one can corrupt a write-ahead log when a checkpoint meets a writer.
const SQLITE_NEEDED: &str = "3.51.3";

/// A larger file is not read through when it is opened, which would take seconds; its rows still prove themselves
/// when they are read.
const QUICK_CHECK_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Readers beside the writer.
const READERS_MAX: u32 = 2;
/// Readers of whoever only looks, beside those.
const LOOKERS_MAX: u32 = 4;
/// How many rows the thread that reads may be ahead of whoever takes them. With few of them the two would wake each
/// other up for every handful of rows, which costs more than reading a long list; the largest rows have 10 KiB.
const ROWS_AHEAD: usize = 256;
/// How long somebody who wants to read waits for one of them. When hundreds of accounts begin at once it is seconds,
/// and nothing is wrong with that.
const READER_WAIT_MAX: Duration = Duration::from_secs(300);

/// How a ledger is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// How long to wait for another process that holds the file locked.
    pub busy_timeout: Duration,
    /// How long the writer gathers settled messages before it commits them.
    pub group_delay: Duration,
    /// How many messages make a group that is committed without further delay.
    pub group_messages: usize,
    /// Upper bound for the file in pages of 4 KiB; `None` for the disk's own.
    pub pages_max: Option<u32>,
    /// Seconds since 1970.
    pub clock: fn() -> i64,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            busy_timeout: Duration::from_secs(10),
            group_delay: Duration::from_millis(200),
            group_messages: 2_000,
            pages_max: None,
            clock: unix_now,
        }
    }
}

fn unix_now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// An open state file. Cheap to clone; all clones share one writer.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub(crate) reader: Reader,
    /// `None` if the file was opened for reading only.
    pub(crate) writer: Option<WriterHandle>,
    /// In which the queue stands with the writer.
    turns: Turns,
    digest_key: [u8; 16],
    options: OpenOptions,
}

impl Ledger {
    /// Opens the state file for work; creates it, and its directory, if they are missing (0600 in 0700).
    ///
    /// # Errors
    /// Whatever stands in the way, each as its own variant; nothing has been changed then, save that a new, empty
    /// file may have been left.
    pub async fn open(path: &Path, options: OpenOptions) -> Result<Self, DbError> {
        let doing = Doing::new("open", path);
        let path: Arc<Path> = files::prepare_state_file(path).map_err(|fault| path_error(fault, doing))?.into();
        let doing = Doing::new("open", &path);
        let opening = lock_opening(&path, &options, &doing).await?;
        let (db, digest_key) = still(open_for_writing(&path, &options)).await.map_err(|stop| stop.at(doing))?;
        drop(opening);
        let pool = readers(READERS_MAX).connect_lazy_with(connect_options(&path, &options).read_only(true));
        let pace =
            Pace { group_delay: options.group_delay, group_messages: options.group_messages, clock: options.clock };
        let turns = Turns::default();
        let connection = (db, connect_options(&path, &options).pragma("synchronous", "FULL"));
        let writer = WriterHandle::start(connection, path.clone(), turns.clone(), pace);
        Ok(Self { reader: Reader::new(pool, path, None), writer: Some(writer), turns, digest_key, options })
    }

    /// Opens the state file for reports and dry runs; nothing is written, and no file is left beside it if nobody has
    /// it open. [`DbError::NotFound`] if there is none, or nothing in it yet.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub async fn open_read_only(path: &Path, options: OpenOptions) -> Result<Self, DbError> {
        let doing = Doing::new("open", path);
        let io = |error: std::io::Error| path_error(error.into(), doing.clone());
        let path: Arc<Path> =
            files::existing_state_file(path).map_err(|fault| path_error(fault, doing.clone()))?.into();
        let print = Fingerprint::of(&path).map_err(io)?;
        let reader = reader_of(&path, &options, &print);
        match look_into(&reader, print.length()).await {
            Ok((digest_key, older)) => {
                let reader = reader.of_older(older);
                Ok(Self { reader, writer: None, turns: Turns::default(), digest_key, options })
            }
            Err(stop) => {
                reader.close().await;
                Err(match stop {
                    Stop::Fault(fault) => reader.fail_while("open", fault),
                    stop => stop.at(Doing::new("open", &path)),
                })
            }
        }
    }

    /// The state file, as an absolute path without symbolic links.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.reader.path()
    }

    /// The secret under which this ledger's message keys are made; random, drawn when the file was created.
    #[must_use]
    pub fn digest_key(&self) -> [u8; 16] {
        self.digest_key
    }

    /// Takes the pair: an operating-system lock beside the state file, then the next generation. The latest run of
    /// the pair begins anew with it.
    ///
    /// # Errors
    /// [`DbError::PairBusy`] if a living process, this one included, holds it.
    pub async fn claim_pair(&self, identity: &PairIdentity) -> Result<PairLease, DbError> {
        self.claim_pair_over(identity, None).await
    }

    /// The queue in the same file. `who` stands in its events.
    ///
    /// # Errors
    /// [`DbError::NoQueue`] if the file was opened for reading only and an earlier version has written it.
    pub async fn queue(&self, clock: Arc<dyn mailhaul_queue::Clock>, who: &str) -> Result<Queue, DbError> {
        let writing = self.writer.as_ref().map(|_| connect_options(self.path(), &self.options));
        let writing = writing.map(|options| Writing::new(options, self.turns.clone()));
        Queue::open(self.reader.clone(), writing, clock, who).await
    }

    /// The same file and queue, read over connections of their own: whoever looks at everything keeps nobody who works
    /// from reading. [`Ledger::close_reading`] closes them. A file that was opened for reading only is read as before.
    #[must_use]
    pub fn reading_apart(&self, queue: &Queue) -> (Self, Queue) {
        if self.writer.is_none() {
            return (self.clone(), queue.clone());
        }
        let options = connect_options(self.path(), &self.options).read_only(true);
        let pool = readers(LOOKERS_MAX).connect_lazy_with(options);
        let reader = Reader::new(pool, self.path().into(), None);
        (Self { reader: reader.clone(), ..self.clone() }, queue.reading_over(reader))
    }

    /// Closes the connections over which this one reads. Whoever asks it after that is told so.
    pub async fn close_reading(&self) {
        self.reader.close().await;
    }

    /// As [`Ledger::claim_pair`], for the successor of a process that lost its job: a lock that just this process
    /// still holds does not stop it. What the old holder still wants to write is refused from then on.
    ///
    /// # Errors
    /// As [`Ledger::claim_pair`]; busy if another process than the stale one holds the lock.
    pub async fn claim_pair_over(
        &self,
        identity: &PairIdentity,
        stale: Option<mailhaul_queue::StaleHolder>,
    ) -> Result<PairLease, DbError> {
        let doing = Doing::new("write to", self.path());
        let Some(writer) = &self.writer else {
            let reason = "it was opened for reading only".to_owned();
            return Err(DbError::NoAccess { doing, reason });
        };
        let lock = match self.lock_of(identity, stale).await.map_err(|error| path_error(error.into(), doing))? {
            Ok(lock) => Some(lock),
            Err(held) if stale.is_some_and(|stale| held.process == Some(stale.process)) => {
                tracing::warn!(pair = %identity, holder = held.holder(), "taking over a pair that its old holder has not let go");
                None
            }
            Err(held) => {
                let file = self.path().to_owned();
                return Err(DbError::PairBusy { identity: Box::new(identity.clone()), file, holder: held.holder() });
            }
        };
        let state = writer.claim(identity, lock).await?;
        Ok(PairLease::new(Arc::new(state), writer.clone(), self.reader.clone()))
    }

    /// Takes the lock of a pair. A program that this process starts holds copies of all its locks until it has become that
    /// program: a lock that was let go just now may be held a moment longer, by nobody.
    async fn lock_of(
        &self,
        identity: &PairIdentity,
        stale: Option<mailhaul_queue::StaleHolder>,
    ) -> std::io::Result<Result<File, files::Held>> {
        let mut turns_left = if stale.is_some() { 0 } else { OWN_LOCK_TURNS };
        loop {
            match files::lock_pair(self.path(), identity)? {
                Err(held) if held.process == Some(std::process::id()) && turns_left > 0 => turns_left -= 1,
                other => return Ok(other),
            }
            // The operating system's time, and nobody's simulated one.
            let turn = tokio::task::spawn_blocking(|| std::thread::sleep(OWN_LOCK_TURN));
            still(turn).await.map_err(std::io::Error::other)?;
        }
    }

    /// Looks at a pair without claiming it; `None` if the ledger has never heard of it.
    ///
    /// # Errors
    /// If the ledger cannot be read or is damaged.
    pub async fn find_pair(&self, identity: &PairIdentity) -> Result<Option<PairView>, DbError> {
        let pair = self.reader.find_pair(identity).await?;
        Ok(pair.map(|pair| PairView { reader: self.reader.clone(), pair_id: pair.pair_id }))
    }

    /// Everything the ledger knows of every pair, for `mailhaul report`. What is still queued is not in it.
    ///
    /// # Errors
    /// If the ledger cannot be read or is damaged.
    pub async fn read_report(&self) -> Result<Vec<PairReport>, DbError> {
        let mut held = self.reader.hold().await?;
        let mut db = self.reader.begin_on(&mut held).await?;
        still(report::read_report(&mut db)).await.map_err(|fault| self.reader.fail(fault))
    }

    /// Writes what is still queued, and closes the file for all clones.
    ///
    /// # Errors
    /// If something could not be written.
    pub async fn close(self) -> Result<(), DbError> {
        // The readers first: the last connection that closes copies the log into the file and removes it.
        self.reader.close().await;
        match self.writer {
            Some(writer) => writer.close().await,
            None => Ok(()),
        }
    }
}

/// A pair as it stands in the ledger, for readers that hold no lease.
#[derive(Debug, Clone)]
pub struct PairView {
    reader: Reader,
    pair_id: i64,
}

impl PairView {
    /// The mapping of every mailbox ever mapped, ordered by source name.
    ///
    /// # Errors
    /// If the ledger cannot be read or is damaged.
    pub async fn mappings(&self) -> Result<Vec<Mapping>, DbError> {
        self.reader.mappings(self.pair_id).await
    }

    /// See [`crate::PairLease::overview`].
    ///
    /// # Errors
    /// If the ledger cannot be read or is damaged.
    pub async fn overview(&self) -> Result<Vec<MailboxBrief>, DbError> {
        self.reader.overview(self.pair_id).await
    }

    /// One mailbox; `None` if it was never mapped.
    ///
    /// # Errors
    /// If the ledger cannot be read or is damaged.
    pub async fn load(&self, source: &str) -> Result<Option<MailboxState>, DbError> {
        match self.reader.find_mailbox(self.pair_id, source).await? {
            Some(mailbox) => self.reader.load(mailbox.mailbox_id).await.map(Some),
            None => Ok(None),
        }
    }

    /// The settled messages of one mailbox; `None` if it was never mapped.
    ///
    /// # Errors
    /// If the ledger cannot be read or is damaged.
    pub async fn messages(&self, source: &str) -> Result<Option<SettledPages>, DbError> {
        let mailbox = self.reader.find_mailbox(self.pair_id, source).await?;
        Ok(mailbox.map(|mailbox| SettledPages::new(self.reader.clone(), mailbox.mailbox_id)))
    }
}

/// Why a file is not opened.
pub(crate) enum Stop {
    Fault(Fault),
    Foreign,
    NotADatabase,
    Empty,
    Newer { found: i64, known: i64 },
    Older(String),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        Self::Fault(error.into())
    }
}

impl From<MigrateError> for Stop {
    fn from(error: MigrateError) -> Self {
        let damaged = |row| Fault::Damaged { table: "_sqlx_migrations", row };
        Self::Fault(match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            MigrateError::VersionMismatch(version) | MigrateError::VersionMissing(version) => {
                damaged(format!("version {version}"))
            }
            MigrateError::Dirty(version) => damaged(format!("version {version}")),
            other => Fault::Internal(other.to_string()),
        })
    }
}

impl Stop {
    pub(crate) fn at(self, doing: Doing) -> DbError {
        match self {
            Self::Fault(fault) => fault.at(doing),
            Self::Foreign => DbError::ForeignDatabase(doing),
            Self::NotADatabase => DbError::NotADatabase(doing),
            Self::Empty => DbError::NotFound(doing),
            Self::Newer { found, known } => DbError::NewerSchema { doing, found, known },
            Self::Older(found) => DbError::SqliteTooOld { doing, found, needed: SQLITE_NEEDED },
        }
    }
}

pub(crate) fn path_error(fault: PathFault, doing: Doing) -> DbError {
    match fault {
        PathFault::Bad(reason) => DbError::BadPath { doing, reason },
        PathFault::NotFound => DbError::NotFound(doing),
        PathFault::Io(error) => {
            let reason = error.to_string();
            match error.kind() {
                std::io::ErrorKind::StorageFull => DbError::Full(doing),
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                    DbError::NoAccess { doing, reason }
                }
                // A file stands where the directory should be.
                std::io::ErrorKind::NotADirectory
                | std::io::ErrorKind::AlreadyExists
                | std::io::ErrorKind::InvalidFilename => DbError::BadPath { doing, reason },
                _ => DbError::Io { doing, reason },
            }
        }
    }
}

/// Waits for whoever is creating or migrating the same file, as long as for any other lock.
pub(crate) async fn lock_opening(path: &Path, options: &OpenOptions, doing: &Doing) -> Result<File, DbError> {
    const LOOK_EVERY: Duration = Duration::from_millis(10);
    let deadline = tokio::time::Instant::now() + options.busy_timeout;
    loop {
        match files::lock_opening(path).map_err(|error| path_error(error.into(), doing.clone()))? {
            Ok(lock) => return Ok(lock),
            Err(_) if tokio::time::Instant::now() >= deadline => return Err(DbError::Locked(doing.clone())),
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// Reads a file without writing anything, and without leaving a file beside it if nobody has it open.
pub(crate) fn reader_of(path: &Arc<Path>, options: &OpenOptions, print: &Fingerprint) -> Reader {
    // Without a log beside it nobody writes to the file, and SQLite can be told so: it then needs no index of the log,
    // which even a reader would create. Should somebody begin to write meanwhile, `Reader::fail` sees it.
    let at_rest = print.is_at_rest();
    let pool = readers(READERS_MAX).connect_lazy_with(
        connect_options(path, options)
            .read_only(true)
            .immutable(at_rest)
            // What an older file lacks is laid over it in memory.
            .pragma("temp_store", "MEMORY"),
    );
    Reader::new(pool, path.clone(), at_rest.then_some(print.clone()))
}

fn readers(most: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(most)
        .acquire_timeout(READER_WAIT_MAX)
        .acquire_slow_threshold(READER_WAIT_MAX)
}

pub(crate) fn connect_options(path: &Path, options: &OpenOptions) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(options.busy_timeout)
        .row_buffer_size(ROWS_AHEAD)
        .foreign_keys(true)
        // A damaged or hostile file must not make SQLite run what stands in its schema, nor read beyond a page.
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        .disable_statement_logging()
}

pub(crate) async fn open_for_writing(path: &Path, options: &OpenOptions) -> Result<(SqliteConnection, [u8; 16]), Stop> {
    let length = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    refuse_stub(length)?;
    let mut db = connect_options(path, options).connect().await?;
    match prepare(&mut db, length, options).await {
        Ok(digest_key) => Ok((db, digest_key)),
        Err(stop) => {
            // Wait for it to be closed, so that what SQLite laid beside the file is gone when the error is told. The
            // error that stopped us says more than one of closing could.
            let _ = db.close().await;
            Err(stop)
        }
    }
}

/// Examines a file that is only to be read; its digest key, and whether it is of an earlier schema.
async fn look_into(reader: &Reader, length: u64) -> Result<([u8; 16], bool), Stop> {
    refuse_stub(length)?;
    let mut held = reader.connection().await?;
    let mut db = reader.snapshot(&mut held).await?;
    check_sqlite_version(&mut db).await?;
    match examine(&mut db, length).await? {
        Examined::Empty => Err(Stop::Empty),
        Examined::Ledger => {
            let row = LedgerRow::read(&mut db).await?.ok_or(Stop::Empty)?;
            Ok((row.digest_key, older::is_older(&mut db).await?))
        }
    }
}

/// SQLite takes a file of one octet for a new database, and one below 512 octets cannot be any.
pub(crate) fn refuse_stub(length: u64) -> Result<(), Stop> {
    if (1..512).contains(&length) { Err(Stop::NotADatabase) } else { Ok(()) }
}

/// Examines and migrates; the digest key.
async fn prepare(db: &mut SqliteConnection, length: u64, options: &OpenOptions) -> Result<[u8; 16], Stop> {
    check_sqlite_version(db).await?;
    examine(db, length).await?;
    // FULL syncs the log with every commit: a mark that is on disk is what keeps a message from being sent twice.
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode = WAL").fetch_one(&mut *db).await?;
    if mode != "wal" {
        return Err(Fault::Internal(format!("SQLite keeps the journal mode {mode}")).into());
    }
    sqlx::query("PRAGMA synchronous = FULL").execute(&mut *db).await?;
    if let Some(pages) = options.pages_max {
        sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"))).execute(&mut *db).await?;
    }
    MIGRATOR.run(&mut *db).await?;
    read_or_make_digest_key(db, options).await
}

pub(crate) async fn check_sqlite_version(db: &mut SqliteConnection) -> Result<(), Stop> {
    let found: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(db).await?;
    let numbers = |text: &str| text.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>();
    if numbers(&found) < numbers(SQLITE_NEEDED) { Err(Stop::Older(found)) } else { Ok(()) }
}

/// What a file was found to be.
pub(crate) enum Examined {
    /// Nothing in it yet, or what a kill during creation left.
    Empty,
    /// A ledger of this or an earlier version.
    Ledger,
}

/// Says what the file is without changing it, and looks for damage to its structure if that costs little.
async fn examine(db: &mut SqliteConnection, length: u64) -> Result<Examined, Stop> {
    let examined = identify(db).await?;
    if matches!(examined, Examined::Ledger) && length <= QUICK_CHECK_BYTES_MAX {
        let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(db).await?;
        if verdict != "ok" {
            return Err(Fault::Damaged { table: "sqlite", row: verdict }.into());
        }
    }
    Ok(examined)
}

/// Says what the file is by its mark and its tables.
pub(crate) async fn identify(db: &mut SqliteConnection) -> Result<Examined, Stop> {
    let application_id: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *db).await?;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )
    .fetch_all(&mut *db)
    .await?;
    let has = |name: &str| tables.iter().any(|table| table == name);
    // The migration tool makes its own table before, and outside of, the first migration.
    let nothing_yet = tables.iter().all(|table| table == "_sqlx_migrations");
    match (application_id, nothing_yet) {
        (0 | APPLICATION_ID, true) => return Ok(Examined::Empty),
        (APPLICATION_ID, false) => {}
        _ if has("ledger") && has("segment") && has("_sqlx_migrations") => {
            let row = format!("application id {application_id}");
            return Err(Fault::Damaged { table: "sqlite", row }.into());
        }
        _ => return Err(Stop::Foreign),
    }
    let known = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0);
    let found: Option<i64> =
        sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations").fetch_one(&mut *db).await?;
    if let Some(found) = found.filter(|found| *found > known) {
        return Err(Stop::Newer { found, known });
    }
    Ok(Examined::Ledger)
}

/// The digest key; drawn now if the file is new. SQLite's generator is seeded from the system's.
async fn read_or_make_digest_key(db: &mut SqliteConnection, options: &OpenOptions) -> Result<[u8; 16], Stop> {
    if let Some(row) = LedgerRow::read(db).await? {
        return Ok(row.digest_key);
    }
    let mut tx = db.begin_with("BEGIN IMMEDIATE").await?;
    let pairs: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM pair").fetch_one(&mut *tx).await?;
    if pairs > 0 {
        return Err(Fault::Damaged { table: "ledger", row: "its only row is missing".to_owned() }.into());
    }
    let random: Vec<u8> = sqlx::query_scalar("SELECT randomblob(16)").fetch_one(&mut *tx).await?;
    let digest_key = random.try_into().map_err(|_| Fault::Internal("SQLite gave other than 16 octets".to_owned()))?;
    LedgerRow { digest_key, created_at_secs: (options.clock)() }.insert(&mut tx).await?;
    tx.commit().await?;
    Ok(digest_key)
}
