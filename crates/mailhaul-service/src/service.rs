//! An open state file with everything an operator can ask of it.

use crate::error::ServiceError;
use crate::vault::{KeySource, Vault};
use crate::verbs::Uses;
use mailhaul_db::queue::Queue;
use mailhaul_db::{Ledger, OpenOptions};
use mailhaul_queue::{Clock, HostPolicy, RetryPolicy, SystemClock};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait for another process that keeps the file locked: one that was put to sleep in the middle of a write
/// must not end all others at once.
const BUSY: Duration = Duration::from_secs(60);

/// The state file, its queue, and the way to its secrets. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Service {
    pub(crate) ledger: Ledger,
    pub(crate) queue: Queue,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) key: KeySource,
    /// How long pauses are, in percent of what is usual.
    pub(crate) pauses_percent: u32,
    /// Who came in lately.
    pub(crate) uses: Arc<Uses>,
    /// Whether servers may be named that stand in private networks, or on this machine.
    pub(crate) private_servers: bool,
}

impl Service {
    /// Opens the state file for work; creates it if it is missing. `who` stands in the event log.
    ///
    /// # Errors
    /// Whatever stands in the way.
    pub async fn open(state: &Path, key: KeySource, who: &str) -> Result<Self, ServiceError> {
        let ledger = Ledger::open(state, OpenOptions { busy_timeout: BUSY, ..OpenOptions::default() }).await?;
        Self::over(ledger, key, who).await
    }

    /// Opens the state file for looking only.
    ///
    /// # Errors
    /// Whatever stands in the way.
    pub async fn open_read_only(state: &Path, key: KeySource, who: &str) -> Result<Self, ServiceError> {
        let ledger = Ledger::open_read_only(state, OpenOptions::default()).await?;
        Self::over(ledger, key, who).await
    }

    async fn over(ledger: Ledger, key: KeySource, who: &str) -> Result<Self, ServiceError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let queue = ledger.queue(Arc::clone(&clock), who).await?;
        Ok(Self { ledger, queue, clock, key, pauses_percent: 100, uses: Arc::default(), private_servers: true })
    }

    /// The same with every pause after a failure as long as this percentage of it: tests need not wait.
    #[must_use]
    pub fn with_pauses(mut self, percent: u32) -> Self {
        self.pauses_percent = percent;
        let retries = RetryPolicy::default().with_pauses(percent);
        self.queue = self.queue.with_policy(retries).with_host_policy(HostPolicy::default().with_pauses(percent));
        self
    }

    /// The same service for somebody else: `who` stands in the event log.
    #[must_use]
    pub fn on_behalf_of(&self, who: &str) -> Self {
        Self { queue: self.queue.on_behalf_of(who), ..self.clone() }
    }

    /// The same over reading connections of its own, so that whoever looks keeps nobody who works from reading. They are
    /// closed by [`Service::close_reading`].
    #[must_use]
    pub fn reading_apart(&self) -> Self {
        let (ledger, queue) = self.ledger.reading_apart(&self.queue);
        Self { ledger, queue, ..self.clone() }
    }

    /// Closes only what [`Service::reading_apart`] has opened.
    pub async fn close_reading(&self) {
        self.ledger.close_reading().await;
    }

    /// The same for somebody who is not at this machine: servers that he names are only reached at public addresses, and
    /// at the ports of IMAP.
    #[must_use]
    pub fn without_private_servers(self) -> Self {
        Self { private_servers: false, ..self }
    }

    /// The queue, for what needs no more than one question.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn now_unix_ms(&self) -> i64 {
        self.clock.now().unix_ms
    }

    /// The vault, unlocked: the key is fetched, and proved to be the one that the stored secrets are sealed under.
    ///
    /// # Errors
    /// If there is no key, or it is another one; nothing is touched then.
    pub async fn vault(&self) -> Result<Vault, ServiceError> {
        let Some(row) = self.queue.vault().await? else {
            return Err(ServiceError::usage(
                "this state file has no key yet, so that passwords cannot be stored",
                "run `mailhaul init` once",
            ));
        };
        let (key, check_value) = (self.key.clone(), row.check_value);
        // Fetching the key may run a command.
        let unlocked = tokio::task::spawn_blocking(move || Vault::unlock(&key, &check_value)).await;
        Ok(unlocked.map_err(|error| ServiceError::Stored(format!("fetching the key failed: {error}")))??)
    }

    /// Writes what is queued, and closes the file.
    ///
    /// # Errors
    /// If something could not be written.
    pub async fn close(self) -> Result<(), ServiceError> {
        // Its writing connection first, so that the last one that closes tidies up.
        let queue = self.queue.close().await;
        self.ledger.close().await?;
        Ok(queue?)
    }
}
