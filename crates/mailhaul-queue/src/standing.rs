//! What is known of a job where its way is decided: the state, and what stands beside it.

use crate::state::{JobState, WaitReason};
use crate::store::Order;

/// What a running job has been asked, and has not done yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// Stop; it will be paused.
    Pause,
    /// Stop; it will be cancelled.
    Cancel,
    /// Stop; it may not run now.
    Yield {
        /// Why.
        reason: WaitReason,
        /// Milliseconds since 1970 when it may run again. What has passed when the job stops puts it back in line.
        until_unix_ms: i64,
    },
}

impl Wanted {
    /// Every word that [`word`](Self::word) gives, in the order of the enum.
    pub const WORDS: [&'static str; 3] = ["pause", "cancel", "yield"];

    /// The word of columns and JSON.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Cancel => "cancel",
            Self::Yield { .. } => "yield",
        }
    }

    /// What stands in columns; `None` if they contradict each other.
    #[must_use]
    pub fn from_columns(word: &str, reason: Option<WaitReason>, until_unix_ms: Option<i64>) -> Option<Self> {
        Some(match word {
            "pause" => Self::Pause,
            "cancel" => Self::Cancel,
            "yield" => Self::Yield { reason: reason?, until_unix_ms: until_unix_ms? },
            _ => return None,
        })
    }
}

impl From<Wanted> for Order {
    fn from(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Pause => Self::Pause,
            Wanted::Cancel => Self::Cancel,
            Wanted::Yield { reason, until_unix_ms } => Self::Yield { reason, until_unix_ms },
        }
    }
}

/// A reason to wait, and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Wait {
    /// Why.
    pub reason: WaitReason,
    /// Milliseconds since 1970; `None`: until somebody acts.
    pub until_unix_ms: Option<i64>,
}

/// Where a job stands, with all that decides where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The state.
    pub state: JobState,
    /// Failed attempts that were its own fault or its server's, since it was queued or retried.
    pub attempts_charged: u32,
    /// How often in a row the process died while it was running.
    pub crashes: u32,
    /// What it has been asked; only while it is running.
    pub wanted: Option<Wanted>,
    /// What it waited for when it was paused; only while it is paused. In columns it stays where a waiting job has it.
    pub wait_before_pause: Option<Wait>,
    /// Whether a pause covers it: its own, its account's, wave's, endpoint's, or everybody's. After a pause was set or
    /// lifted, as the event finds it.
    pub held: bool,
}

impl Standing {
    /// A job as it is when it is new: in line, nothing charged.
    #[must_use]
    pub fn queued() -> Self {
        Self {
            state: JobState::Queued,
            attempts_charged: 0,
            crashes: 0,
            wanted: None,
            wait_before_pause: None,
            held: false,
        }
    }
}

/// Where a job goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// The state.
    pub state: JobState,
    /// See [`Standing::attempts_charged`].
    pub attempts_charged: u32,
    /// See [`Standing::crashes`].
    pub crashes: u32,
    /// See [`Standing::wanted`].
    pub wanted: Option<Wanted>,
    /// See [`Standing::wait_before_pause`].
    pub wait_before_pause: Option<Wait>,
    /// Why, in words for the event log.
    pub why: String,
}

impl Next {
    /// The standing that this leads to.
    #[must_use]
    pub fn standing(self, held: bool) -> Standing {
        Standing {
            state: self.state,
            attempts_charged: self.attempts_charged,
            crashes: self.crashes,
            wanted: self.wanted,
            wait_before_pause: self.wait_before_pause,
            held,
        }
    }
}
