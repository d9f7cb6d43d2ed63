//! What can go wrong between an operator's word and the state file.

use crate::vault::VaultError;
use mailhaul_db::DbError;

/// An error of the service, in words for the operator.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The state file.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The vault or its key.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// What was asked for cannot be meant: what is wrong, and what to do instead.
    #[error("{what}")]
    Usage {
        /// What is wrong.
        what: String,
        /// What to do instead.
        hint: String,
    },
    /// There is nothing of this name: what, and what there is.
    #[error("{what}")]
    Unknown {
        /// What there is not.
        what: String,
        /// What to do instead.
        hint: String,
    },
    /// Something that is stored cannot be read: what.
    #[error("{0}")]
    Stored(String),
    /// The operating system refused something: what, and its words.
    #[error("{what}: {error}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's words.
        error: std::io::Error,
    },
    /// A worker found that this machine cannot go on.
    #[error("{0}")]
    Local(String),
}

impl ServiceError {
    /// Something that is not there.
    pub(crate) fn unknown(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Unknown { what: what.into(), hint: hint.into() }
    }

    /// Something that cannot be meant.
    pub fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), hint: hint.into() }
    }
}
