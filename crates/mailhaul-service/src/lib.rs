//! What an operator can do, and the workers that do it.
//!
//! ```text
//! operator's verbs ─▶ Service ─▶ queue and ledger (one file)     vault: passwords, sealed
//! workers          ─▶ engine  ─▶ one task a job ─▶ copy, verify, preflight ─▶ ledger
//! ```
//!
//! The command and the doors ask this crate, and never the database.

mod account;
mod changes;
mod endpoint_url;
mod error;
mod kinds;
mod options;
mod plan;
mod service;
mod stored_word;
mod vault;
mod verbs;
mod work;

pub use endpoint_url::{EndpointUrl, UrlFault};
pub use error::ServiceError;
pub use kinds::{JobKind, Payload};
pub use options::{Admin, AdminStyle, CopyOptions, EndpointOptions};
pub use plan::{WavePlan, new_job};
pub use service::Service;
pub use vault::{Key, KeyError, KeySource, Place, SECRET_BYTES_MAX, Vault, VaultError, reseal};
pub use verbs::*;
pub use work::{LiveJob, LiveView, Work, WorkEnd, WorkOptions, ring};
