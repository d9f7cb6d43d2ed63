//! Opening a ledger and what can be asked of it as a whole.

use crate::error::{DbError, Doing};
use crate::lease::PairLease;
use crate::mailbox::SettledPages;
use crate::model::{MailboxState, Mapping, PairIdentity};
use crate::report::PairReport;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
    path: PathBuf,
}

impl Ledger {
    /// Opens the state file for work; creates it, and its directory, if they are missing (0600 in 0700).
    ///
    /// # Errors
    /// Whatever stands in the way, each as its own variant; nothing has been changed then, save that a new, empty
    /// file may have been left.
    pub async fn open(path: &Path, _options: OpenOptions) -> Result<Self, DbError> {
        Err(DbError::NotFound(Doing::new("open", path)))
    }

    /// Opens the state file for reports and dry runs; nothing is written. [`DbError::NotFound`] if there is none.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub async fn open_read_only(path: &Path, _options: OpenOptions) -> Result<Self, DbError> {
        Err(DbError::NotFound(Doing::new("open", path)))
    }

    /// The state file, as an absolute path without symbolic links.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The secret under which this ledger's message keys are made; random, drawn when the file was created.
    #[must_use]
    pub fn digest_key(&self) -> [u8; 16] {
        [0; 16]
    }

    /// Takes the pair: an operating-system lock beside the state file, then the next generation.
    ///
    /// # Errors
    /// [`DbError::PairBusy`] if a living process holds it.
    pub async fn claim_pair(&self, _identity: &PairIdentity) -> Result<PairLease, DbError> {
        Err(DbError::Closed(Doing::new("write to", &self.path)))
    }

    /// Looks at a pair without claiming it; `None` if the ledger has never heard of it.
    ///
    /// # Errors
    /// If the ledger cannot be read or is damaged.
    pub async fn find_pair(&self, _identity: &PairIdentity) -> Result<Option<PairView>, DbError> {
        Ok(None)
    }

    /// Everything the ledger knows of every pair, for `mailhaul report`.
    ///
    /// # Errors
    /// If the ledger cannot be read or is damaged.
    pub async fn read_report(&self) -> Result<Vec<PairReport>, DbError> {
        Ok(Vec::new())
    }

    /// Writes what is still queued, and closes the file.
    ///
    /// # Errors
    /// If something could not be written.
    pub async fn close(self) -> Result<(), DbError> {
        Ok(())
    }
}

/// A pair as it stands in the ledger, for readers that hold no lease.
#[derive(Debug, Clone)]
pub struct PairView {
    path: PathBuf,
}

impl PairView {
    /// The mapping of every mailbox ever mapped, ordered by source name.
    ///
    /// # Errors
    /// If the ledger cannot be read or is damaged.
    pub async fn mappings(&self) -> Result<Vec<Mapping>, DbError> {
        Ok(Vec::new())
    }

    /// One mailbox; `None` if it was never mapped.
    ///
    /// # Errors
    /// If the ledger cannot be read or is damaged.
    pub async fn load(&self, _source: &str) -> Result<Option<MailboxState>, DbError> {
        Ok(None)
    }

    /// The settled messages of one mailbox; `None` if it was never mapped.
    ///
    /// # Errors
    /// If the ledger cannot be read or is damaged.
    pub async fn messages(&self, _source: &str) -> Result<Option<SettledPages>, DbError> {
        Ok(None)
    }
}
