//! The state file and its lock files as files: paths, permissions, operating-system locks.
//!
//! An existing state file is never opened here, only looked at: closing any descriptor of it would drop the POSIX
//! locks that SQLite may hold on it elsewhere in this process (<https://sqlite.org/howtocorrupt.html> §2.2).
//! Locks on the lock files are `flock` locks: they end with the last descriptor, so with the process at the latest.

use crate::model::PairIdentity;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Why a path cannot be used.
pub(crate) enum PathFault {
    /// It can never be a state file.
    Bad(String),
    /// There is nothing, and nothing was to be created.
    NotFound,
    /// The system said no.
    Io(io::Error),
}

impl From<io::Error> for PathFault {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::NotFound } else { Self::Io(error) }
    }
}

/// Makes sure that the state file exists and only its owner can read it; returns its absolute path without symbolic
/// links, so that two names of one file lead to the same locks.
pub(crate) fn prepare_state_file(path: &Path) -> Result<PathBuf, PathFault> {
    let Some(name) = path.file_name() else {
        return Err(PathFault::Bad("the path names no file".to_owned()));
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    create_private_directory(directory)?;
    let path = fs::canonicalize(directory)?.join(name);
    match private(OpenOptions::new().write(true).create_new(true)).open(&path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.into()),
    }
    let path = existing_state_file(&path)?;
    for suffix in ["", "-wal", "-shm"] {
        keep_private(&with_suffix(&path, suffix))?;
    }
    Ok(path)
}

/// The absolute path of a state file that must exist already.
pub(crate) fn existing_state_file(path: &Path) -> Result<PathBuf, PathFault> {
    let path = fs::canonicalize(path)?;
    let metadata = fs::metadata(&path)?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "it is a directory" } else { "it is not a regular file" };
        return Err(PathFault::Bad(what.to_owned()));
    }
    if path.to_str().is_none() {
        return Err(PathFault::Bad("the path is not valid UTF-8".to_owned()));
    }
    Ok(path)
}

/// `mailhaul.db` and `-wal` make `mailhaul.db-wal`.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The directory of the lock files that belong to a state file.
fn locks_directory(state_file: &Path) -> PathBuf {
    with_suffix(state_file, ".locks")
}

fn create_private_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Takes away what group and others may do with a file, if it is there. SQLite gives new files beside the database
/// the permissions of the database.
#[cfg(unix)]
fn keep_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = match fs::metadata(path) {
        Ok(metadata) => metadata.permissions().mode(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if mode & 0o077 == 0 {
        return Ok(());
    }
    match fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o700)) {
        // Somebody else's file: whether we can work with it shows when it is opened.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            tracing::warn!(file = %path.display(), "others can read the state file and its permissions cannot be changed");
            Ok(())
        }
        outcome => outcome,
    }
}

#[cfg(not(unix))]
fn keep_private(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// The lock under which a file is created and migrated.
const OPENING: &str = "open.lock";

/// Another process holds the lock.
pub(crate) struct Held {
    /// Which, if it said so.
    pub(crate) process: Option<u32>,
}

impl Held {
    /// `process 4711`, `this process`, or `another process`.
    pub(crate) fn holder(&self) -> String {
        match self.process {
            Some(process) if process == std::process::id() => "this process".to_owned(),
            Some(process) => format!("process {process}"),
            None => "another process".to_owned(),
        }
    }
}

/// Takes the lock of a pair, or says who has it.
pub(crate) fn lock_pair(state_file: &Path, identity: &PairIdentity) -> io::Result<Result<File, Held>> {
    try_lock(state_file, &format!("{:016x}.lock", digest(identity)))
}

/// Takes the lock under which the file is created and migrated, or says who has it.
pub(crate) fn lock_opening(state_file: &Path) -> io::Result<Result<File, Held>> {
    try_lock(state_file, OPENING)
}

fn try_lock(state_file: &Path, name: &str) -> io::Result<Result<File, Held>> {
    let directory = locks_directory(state_file);
    create_private_directory(&directory)?;
    let mut options = OpenOptions::new();
    let mut file = private(options.read(true).write(true).create(true).truncate(false)).open(directory.join(name))?;
    match file.try_lock() {
        Ok(()) => {
            // Only a courtesy to whoever finds the lock held: that it could not be written harms nobody.
            let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
            Ok(Ok(file))
        }
        Err(TryLockError::WouldBlock) => Ok(Err(Held { process: holder_of(&mut file) })),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn holder_of(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().and_then(|()| file.take(32).read_to_string(&mut text)).ok()?;
    text.trim().parse().ok()
}

/// Whether locks lie beside a file: it was opened as a state file at least once.
pub(crate) fn has_locks(state_file: &Path) -> bool {
    locks_directory(state_file).is_dir()
}

/// Takes every lock beside the file but the one for opening it, or says who has one of them.
pub(crate) fn lock_all(state_file: &Path) -> io::Result<Result<Vec<File>, Held>> {
    let mut locks = Vec::new();
    let entries = match fs::read_dir(locks_directory(state_file)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok(locks)),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let name = entry?.file_name();
        let Some(name) = name.to_str().filter(|name| *name != OPENING) else { continue };
        match try_lock(state_file, name)? {
            Ok(lock) => locks.push(lock),
            Err(held) => return Ok(Err(held)),
        }
    }
    Ok(Ok(locks))
}

/// Takes the lock that shows that a worker lives; `None` if somebody has it, which cannot be for a new number.
pub(crate) fn lock_worker(state_file: &Path, worker: i64) -> io::Result<Option<File>> {
    try_lock(state_file, &worker_lock(worker)).map(Result::ok)
}

/// Whether a worker still lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// It holds its lock.
    Lives,
    /// Its lock is free: its process is gone.
    Gone,
    /// There is no lock to ask.
    Unknown,
}

/// Looks whether a worker holds its lock.
pub(crate) fn life_of_worker(state_file: &Path, worker: i64) -> Life {
    let path = locks_directory(state_file).join(worker_lock(worker));
    let Ok(file) = OpenOptions::new().read(true).open(path) else {
        return Life::Unknown;
    };
    match file.try_lock() {
        Ok(()) => Life::Gone,
        Err(TryLockError::WouldBlock) => Life::Lives,
        Err(TryLockError::Error(_)) => Life::Unknown,
    }
}

/// Tidies up behind a worker that is gone.
pub(crate) fn remove_worker_lock(state_file: &Path, worker: i64) {
    // An empty file that stays harms nobody.
    let _ = fs::remove_file(locks_directory(state_file).join(worker_lock(worker)));
}

fn worker_lock(worker: i64) -> String {
    format!("worker-{worker}.lock")
}

/// FNV-1a over the parts of the identity, each with its length. Two pairs that shared a digest could not be worked on
/// at the same time; nothing worse.
fn digest(identity: &PairIdentity) -> u64 {
    let mut digest: u64 = 0xcbf2_9ce4_8422_2325;
    let mut mix = |octet: u8| digest = (digest ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
    for account in [&identity.source, &identity.target] {
        for part in [account.host(), account.login(), account.authorization_identity().unwrap_or_default()] {
            part.len().to_le_bytes().into_iter().chain(part.bytes()).for_each(&mut mix);
        }
    }
    digest
}

/// Size and time of the last change of a file that must not change while it is read, and whether a log lies beside
/// it; see [`crate::Ledger::open_read_only`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    length: u64,
    modified: Option<std::time::SystemTime>,
    log: bool,
}

impl Fingerprint {
    pub(crate) fn of(state_file: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(state_file)?;
        let log = with_suffix(state_file, "-wal").exists();
        Ok(Self { length: metadata.len(), modified: metadata.modified().ok(), log })
    }

    /// Whether the file alone is the whole database.
    pub(crate) fn is_at_rest(&self) -> bool {
        !self.log
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }
}

/// What SQLite lays beside a database.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Copies a state file and its log to where nothing lies yet, and returns once the copy is on disk.
pub(crate) fn keep_copy(state_file: &Path, stamp: &str) -> io::Result<PathBuf> {
    let name = |number: u32| match number {
        1 => with_suffix(state_file, &format!(".damaged-{stamp}")),
        _ => with_suffix(state_file, &format!(".damaged-{stamp}-{number}")),
    };
    let kept = (1..).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0));
    for suffix in ["-wal", "-journal", ""] {
        let (from, to) = (with_suffix(state_file, suffix), with_suffix(&kept, suffix));
        if from.exists() {
            // Under another name until it is whole.
            let unfinished = with_suffix(&to, ".part");
            fs::copy(&from, &unfinished)?;
            File::open(&unfinished)?.sync_all()?;
            fs::rename(&unfinished, &to)?;
        }
    }
    sync_directory_of(&kept)?;
    Ok(kept)
}

/// Removes a database that is not needed any more, and what lies beside it.
pub(crate) fn remove_database(path: &Path) -> io::Result<()> {
    remove_log(path)?;
    remove_if_there(path)
}

/// Removes what SQLite has laid beside a database.
pub(crate) fn remove_log(path: &Path) -> io::Result<()> {
    COMPANIONS.into_iter().try_for_each(|suffix| remove_if_there(&with_suffix(path, suffix)))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Lets a file take the place of another, at once and durably. Nothing may lie beside either.
pub(crate) fn put_in_place(new: &Path, place: &Path) -> io::Result<()> {
    File::open(new)?.sync_all()?;
    fs::rename(new, place)?;
    sync_directory_of(place)
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}
