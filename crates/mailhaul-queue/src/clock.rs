//! Two clocks: one for leases that cannot jump, one for people.

use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since this machine was booted, sleep included. It never jumps; leases are counted in it. A moment
    /// of one boot says nothing about another: see [`Clock::boot_id`].
    pub boot_ms: i64,
    /// Milliseconds since 1970, as the machine's clock says: for back-off, windows, days, and reports.
    pub unix_ms: i64,
}

/// Where time comes from.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// This moment.
    fn now(&self) -> Now;
    /// Names this boot of this machine. A lease of another boot is over: no process survives that.
    fn boot_id(&self) -> Arc<str>;
}

/// The machine's own clocks.
#[derive(Debug, Clone)]
pub struct SystemClock {
    boot_id: Arc<str>,
}

impl SystemClock {
    /// Reads which boot this is.
    #[must_use]
    pub fn new() -> Self {
        // Without a boot id, the moment of the boot by the machine's clock serves: a reboot moves it by minutes.
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned());
        Self { boot_id: boot_id.unwrap_or_else(|_| "unknown boot".to_owned()).into() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let boot = clock_gettime(ClockId::Boottime);
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            boot_ms: boot.tv_sec.saturating_mul(1_000).saturating_add(boot.tv_nsec / 1_000_000),
            unix_ms: i64::try_from(unix.as_millis()).unwrap_or(i64::MAX),
        }
    }

    fn boot_id(&self) -> Arc<str> {
        Arc::clone(&self.boot_id)
    }
}
