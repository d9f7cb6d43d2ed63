//! The kinds of jobs, and what a job is told beside its kind.

use mailhaul_queue::Phase;
use serde::{Deserialize, Serialize};

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Looks at both sides and writes nothing.
    Preflight,
    /// The first copy.
    Bulk,
    /// A later pass, for what is new.
    Resync,
    /// The last pass, and a comparison of both sides.
    Final,
    /// A comparison of both sides.
    Verify,
}

impl JobKind {
    /// All of them, in the order in which an account meets them.
    pub const ALL: [Self; 5] = [Self::Preflight, Self::Bulk, Self::Resync, Self::Final, Self::Verify];

    /// The word: `bulk`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Bulk => "bulk",
            Self::Resync => "resync",
            Self::Final => "final",
            Self::Verify => "verify",
        }
    }

    /// The kind with this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Which of an endpoint's limits count.
    #[must_use]
    pub fn phase(self) -> Phase {
        if self == Self::Bulk { Phase::Bulk } else { Phase::Resync }
    }

    /// Whether it copies mail.
    #[must_use]
    pub fn copies(self) -> bool {
        matches!(self, Self::Bulk | Self::Resync | Self::Final)
    }
}

/// What a job is told beside its kind; stored as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Payload {
    /// Try messages again that were refused or unreadable before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub retry_exceptions: bool,
    /// Only in these source mailboxes; everywhere if there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retry_in: Vec<String>,
}

impl Payload {
    /// As it is stored.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a payload holds nothing that JSON has no form for")
    }

    /// Reads what is stored. What a newer version added is left alone.
    ///
    /// # Errors
    /// If it is not a payload.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(if text.is_empty() { "{}" } else { text })
    }
}
