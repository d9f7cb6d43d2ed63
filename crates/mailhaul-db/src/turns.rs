//! Whose turn it is to write, within one process.
//!
//! The ledger and the queue write over connections of their own, and SQLite lets one of them write at a time. Whoever
//! finds the file busy there sleeps and looks again, up to a tenth of a second later: with hundreds of accounts at work
//! the ledger commits without a pause, and the queue would look at the wrong moments until it gave up. Here they stand
//! in line instead. Between processes it is still SQLite that decides.

use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// The line in which the writers of one open file stand. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<()>>);

/// A turn, which ends when this is dropped.
pub(crate) type Turn = OwnedMutexGuard<()>;

impl Turns {
    /// Waits until it is the caller's turn: in the order of asking.
    pub(crate) async fn take(&self) -> Turn {
        self.0.clone().lock_owned().await
    }
}
