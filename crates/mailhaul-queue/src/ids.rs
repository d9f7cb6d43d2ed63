//! Numbers that wear types.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A job.
    JobId
);
number!(
    /// What jobs are done for. At most one of its jobs runs at a time.
    AccountId
);
number!(
    /// A server that jobs use.
    EndpointId
);
number!(
    /// Accounts worked on together.
    WaveId
);
number!(
    /// A process that works on jobs.
    WorkerId
);

/// How often a job has been claimed. What an older claim still wants to write is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Generation(pub i64);

/// One claim of one job: the right to run it, and to write for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseKey {
    /// The job.
    pub job: JobId,
    /// Which claim of it.
    pub generation: Generation,
}

/// 0 to 9; higher goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Priority(u8);

impl Priority {
    /// What an account has that nobody spoke for.
    pub const USUAL: Self = Self(4);
    /// The highest.
    pub const HIGHEST: Self = Self(9);

    /// `None` above 9.
    #[must_use]
    pub fn new(priority: u8) -> Option<Self> {
        (priority <= 9).then_some(Self(priority))
    }

    /// 0 to 9.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }

    /// The place in line of a job that was queued at this moment: lower goes first. Every hour of waiting is worth one
    /// step of priority. Because waiting counts the same for everybody, the order between two jobs never changes, and
    /// a place can be stored and indexed; and no job waits for ever, because what is queued nine hours later stands
    /// behind it whatever its priority.
    #[must_use]
    pub fn place_in_line(self, queued_unix_ms: i64) -> i64 {
        const AGEING_MS: i64 = 3_600_000;
        queued_unix_ms.saturating_sub(i64::from(self.0) * AGEING_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_important_job_goes_first_and_no_job_waits_for_ever() {
        let hour = 3_600_000;
        let place = |priority, at| Priority::new(priority).expect("0 to 9").place_in_line(at);
        assert!(place(9, hour) < place(4, 0));
        assert!(place(0, 0) < place(9, 9 * hour + 1));
        assert!(Priority::new(10).is_none());
    }
}
