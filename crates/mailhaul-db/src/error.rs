//! What can go wrong with the ledger, told to the person who has to act.
//!
//! Each variant is a situation, and each text is one sentence: what was being done, to which file, what stood in the
//! way, and after the semicolon what to do. SQLite's own words are kept only where they add something.

use crate::model::PairIdentity;
use mailhaul_types::{Escaped, Side, UidValidity};
use std::path::{Path, PathBuf};

/// How wide the trouble is and who must act: the command's exit code hangs on this alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DbErrorKind {
    /// The file named is not a ledger of ours: absent, another program's, not a database, a path that cannot be used.
    NotALedger,
    /// The ledger was written by a newer mailhaul.
    NewerSchema,
    /// Something in the file is not as it was written.
    Damaged,
    /// No room on the disk.
    Full,
    /// The file may not be written, or not even read, by this user.
    NoAccess,
    /// Another process keeps the file locked for longer than we wait.
    Locked,
    /// Another process works on the same pair.
    PairBusy,
    /// Another worker has taken the pair over: what this one still wanted to write was not written.
    LeaseLost,
    /// The disk failed in some other way.
    Io,
    /// A fault in mailhaul itself.
    Internal,
}

/// What was being done with which file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doing {
    /// The state file.
    pub file: PathBuf,
    /// A verb that takes the ledger as its object: `open`, `read`, `write to`.
    pub verb: &'static str,
}

impl Doing {
    pub(crate) fn new(verb: &'static str, file: &Path) -> Self {
        Self { file: file.to_owned(), verb }
    }
}

impl std::fmt::Display for Doing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot {} the ledger {}", self.verb, Escaped(&self.file.to_string_lossy()))
    }
}

/// An error of the ledger. Cheap to clone, because the writer hands one error to everybody who waits for it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DbError {
    /// Nothing is there and nothing was to be created.
    #[error("{0}: there is no such file; check the path after --state")]
    NotFound(Doing),
    /// An earlier version has written it, and it may only be read.
    #[error("{0}: it holds no accounts or jobs yet; import accounts first")]
    NoQueue(Doing),
    /// Two commands changed passwords, or their key, at one time.
    #[error(
        "{0}: its passwords, or the key that they are sealed under, were changed or are in use at this moment; nothing was changed, run the same command again"
    )]
    SecretsChanged(Doing),
    /// The path cannot hold a ledger at all.
    #[error("{doing}: {reason}; choose another path with --state")]
    BadPath {
        /// What was being done.
        doing: Doing,
        /// Why the path cannot be used.
        reason: String,
    },
    /// The file's first bytes are not those of an SQLite database.
    #[error(
        "{0}: the file is not a database; choose another path with --state, or, if this was a ledger, put a backup of it back or let `mailhaul ledger rebuild` make it anew from both servers"
    )]
    NotADatabase(Doing),
    /// A database, but not one that mailhaul made.
    #[error("{0}: the file is a database of another program; choose another path with --state")]
    ForeignDatabase(Doing),
    /// Made by a newer mailhaul.
    #[error(
        "{doing}: a newer mailhaul has written it (schema {found}, this one knows {known}); install that version again, or use another file with --state"
    )]
    NewerSchema {
        /// What was being done.
        doing: Doing,
        /// Highest migration found in the file.
        found: i64,
        /// Highest migration this program knows.
        known: i64,
    },
    /// A row, a page or the structure of the file is not as it was written. Nothing is guessed from such a file.
    #[error(
        "{doing}: it is damaged (table {table}, {row}); `mailhaul ledger check` says how far it goes; put a backup of it back, or let `mailhaul ledger rebuild` find out anew from both servers what it said"
    )]
    Damaged {
        /// What was being done.
        doing: Doing,
        /// The table, or `sqlite` for the structure of the file.
        table: &'static str,
        /// The row, or what SQLite said about the structure.
        row: String,
    },
    /// The disk, or the bound set for the file, is reached.
    #[error("{0}: the disk is full; make room and run the same command again, it will go on where it stopped")]
    Full(Doing),
    /// The file or its directory may not be written or read.
    #[error("{doing}: {reason}; check owner and permissions of the file and of its directory")]
    NoAccess {
        /// What was being done.
        doing: Doing,
        /// What exactly was refused.
        reason: String,
    },
    /// Locked for longer than the time we wait.
    #[error("{0}: another process keeps it locked; wait for that process or stop it, then run the same command again")]
    Locked(Doing),
    /// The pair has a living worker.
    #[error(
        "cannot start on {identity}: {holder} is working on the same pair with the ledger {}; wait for it or stop it", Escaped(&.file.to_string_lossy())
    )]
    PairBusy {
        /// The pair.
        identity: Box<PairIdentity>,
        /// The state file.
        file: PathBuf,
        /// Who holds the lock, as far as known: `process 4711` or `another process`.
        holder: String,
    },
    /// A newer generation exists: another worker has taken over.
    #[error(
        "{doing}: another worker has taken this pair over (generation {ours} is no longer the newest); let that one finish, then run the same command again"
    )]
    LeaseLost {
        /// What was being done.
        doing: Doing,
        /// The generation that this lease was given.
        ours: u64,
    },
    /// The bundled SQLite is older than the one that fixed a WAL corruption.
    #[error(
        "{doing}: this build contains SQLite {found}, and versions before {needed} can corrupt a write-ahead log; install a newer build of mailhaul"
    )]
    SqliteTooOld {
        /// What was being done.
        doing: Doing,
        /// `sqlite_version()`.
        found: String,
        /// The lowest version that is accepted.
        needed: &'static str,
    },
    /// Reading or writing failed for another reason than lack of room.
    #[error(
        "{doing}: the disk refused ({reason}); check quota, file size limits and the health of the disk, then run the same command again"
    )]
    Io {
        /// What was being done.
        doing: Doing,
        /// The system's or SQLite's words.
        reason: String,
    },
    /// A mailbox is bound to another UIDVALIDITY than the caller assumed.
    #[error(
        "{doing}: mailbox {mailbox}: the ledger holds {side} UIDVALIDITY {stored} and was given {given}; this is a fault in mailhaul, please report it"
    )]
    OtherUidValidity {
        /// What was being done.
        doing: Doing,
        /// Source mailbox, escaped.
        mailbox: String,
        /// Which side.
        side: Side,
        /// What the row holds.
        stored: UidValidity,
        /// What the caller gave.
        given: UidValidity,
    },
    /// The ledger was closed while somebody still wanted to write.
    #[error("{0}: it is closed already; run the same command again")]
    Closed(Doing),
    /// A fault in mailhaul itself.
    #[error("{doing}: {reason}; this is a fault in mailhaul, please report it")]
    Internal {
        /// What was being done.
        doing: Doing,
        /// What was unexpected.
        reason: String,
    },
}

impl DbError {
    /// The class of the error.
    #[must_use]
    pub fn kind(&self) -> DbErrorKind {
        match self {
            Self::NotFound(_)
            | Self::NoQueue(_)
            | Self::BadPath { .. }
            | Self::NotADatabase(_)
            | Self::ForeignDatabase(_) => DbErrorKind::NotALedger,
            Self::SecretsChanged(_) => DbErrorKind::Locked,
            Self::NewerSchema { .. } => DbErrorKind::NewerSchema,
            Self::Damaged { .. } => DbErrorKind::Damaged,
            Self::Full(_) => DbErrorKind::Full,
            Self::NoAccess { .. } => DbErrorKind::NoAccess,
            Self::Locked(_) => DbErrorKind::Locked,
            Self::PairBusy { .. } => DbErrorKind::PairBusy,
            Self::LeaseLost { .. } => DbErrorKind::LeaseLost,
            Self::Io { .. } => DbErrorKind::Io,
            Self::SqliteTooOld { .. } | Self::OtherUidValidity { .. } | Self::Closed(_) | Self::Internal { .. } => {
                DbErrorKind::Internal
            }
        }
    }
}
