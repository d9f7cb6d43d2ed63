//! What was learnt about servers: advice for the next copy.
//!
//! Nobody is stopped by it. A profile that is not there, or not as it was written, is as good as none; one that cannot be
//! written is not. That is why it has a transaction of its own, apart from the groups in which the ledger is committed.

use crate::error::{DbError, Doing};
use crate::fault::Fault;
use crate::ledger::Ledger;
use crate::model::AccountIdentity;
use crate::rows::HostProfileRow;
use crate::still::still;
use crate::turns::Turns;
use mailhaul_types::Side;
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

/// A server on one side of copies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostKey {
    side: Side,
    host: String,
    port: u16,
}

impl HostKey {
    /// The host is compared in lower case, and without a final dot.
    #[must_use]
    pub fn new(side: Side, host: &str, port: u16) -> Self {
        Self { side, host: AccountIdentity::new(host, "", None).host().to_owned(), port }
    }

    /// On which side.
    #[must_use]
    pub fn side(&self) -> Side {
        self.side
    }

    /// Its name.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Makes of a profile, if there is one, what is to stand there instead.
pub type ProfileChange = Box<dyn FnOnce(Option<&str>) -> String + Send>;

impl Ledger {
    /// What was learnt about a server, as JSON. `None` if nothing was, or if it cannot be read: nobody is to stop for that.
    pub async fn host_profile(&self, key: &HostKey) -> Option<String> {
        let read = async {
            let mut held = self.reader.connection().await?;
            let mut db = self.reader.snapshot(&mut held).await?;
            still(HostProfileRow::find(&mut db, key)).await
        };
        match read.await {
            Ok(row) => row.map(|row| row.profile),
            Err(fault) => {
                let error = fault.at(Doing::new("read", self.path()));
                tracing::warn!(host = key.host(), %error, "what was learnt about this server is not used");
                None
            }
        }
    }

    /// Changes what was learnt about servers, all at once. Returns when it is on disk, or cannot be: nobody is to stop for
    /// that either.
    pub async fn learn(&self, changes: Vec<(HostKey, ProfileChange)>) {
        let Some(writer) = self.writer.as_ref().filter(|_| !changes.is_empty()) else { return };
        if let Err(error) = writer.learn(changes).await {
            tracing::warn!(%error, "what was learnt about the servers could not be kept");
        }
    }
}

/// One transaction for all of them.
pub(crate) async fn apply(
    db: &mut SqliteConnection,
    turns: &Turns,
    changes: Vec<(HostKey, ProfileChange)>,
    now_secs: i64,
) -> Result<(), Fault> {
    let _turn = turns.take().await;
    let mut tx = db.begin_with("BEGIN IMMEDIATE").await?;
    for (key, change) in changes {
        // What is not as it was written gives way to what is written now.
        let before = match HostProfileRow::find(&mut tx, &key).await {
            Ok(row) => row.map(|row| row.profile),
            Err(Fault::Damaged { .. }) => None,
            Err(fault) => return Err(fault),
        };
        HostProfileRow::new(&key, change(before.as_deref()), now_secs).put(&mut tx).await?;
    }
    Ok(tx.commit().await?)
}

/// The error for people.
pub(crate) fn failed(fault: Fault, path: &std::path::Path) -> DbError {
    fault.at(Doing::new("write to", path))
}
