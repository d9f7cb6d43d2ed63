//! Closing a wave: its passwords are wiped, and nothing more is done for it.

use super::control::open_jobs;
use crate::error::ServiceError;
use crate::service::Service;
use mailhaul_db::queue::JobFilter;
use std::time::Duration;

/// How long running jobs have to put down what they do.
const PUT_DOWN_AT_MOST: Duration = Duration::from_secs(20);
/// How often they are looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What the closing of a wave did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Jobs that were cancelled.
    pub cancelled: u64,
    /// Passwords that were wiped.
    pub wiped: u64,
    /// Whether it had been closed before.
    pub was_closed: bool,
}

impl Service {
    /// Closes a wave. With `force`, jobs that are still open are cancelled first.
    ///
    /// # Errors
    /// If there is no such wave, or jobs of it are open.
    pub async fn close_wave(&self, name: &str, force: bool) -> Result<Closed, ServiceError> {
        let row = self.wave_named(name).await?;
        let was_closed = row.closed_unix_ms.is_some();
        let open = open_jobs(&self.queue.counts(Some(row.id)).await?);
        if open > 0 && !force {
            return Err(ServiceError::usage(
                format!("wave `{name}` has {} not over yet", mailhaul_report::count_of(open, "job")),
                format!("`mailhaul status --wave {name}` shows them; --force cancels them and closes the wave"),
            ));
        }
        let mut cancelled = 0;
        if open > 0 {
            let filter = JobFilter { wave: Some(row.id), ..JobFilter::default() };
            cancelled = self.queue.cancel(filter, "the wave was closed").await?;
            self.ring().await;
            self.wait_until_over(name, row.id).await?;
        }
        let wiped = self.queue.close_wave(row.id).await?;
        Ok(Closed { cancelled, wiped, was_closed })
    }

    async fn wait_until_over(&self, name: &str, wave: mailhaul_queue::WaveId) -> Result<(), ServiceError> {
        let deadline = tokio::time::Instant::now() + PUT_DOWN_AT_MOST;
        while open_jobs(&self.queue.counts(Some(wave)).await?) > 0 {
            if tokio::time::Instant::now() > deadline {
                return Err(ServiceError::usage(
                    format!("some jobs of wave `{name}` are still being put down"),
                    "they are cancelled; close the wave again in a moment",
                ));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}
