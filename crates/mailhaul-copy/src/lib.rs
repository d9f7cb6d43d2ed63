//! The walkers: account, mailbox, batch; and verify.
//!
//! ```text
//! account ──▶ listing ──▶ mapping ──▶ for each mailbox pair: prepare ──▶ pass
//! pass    ──▶ scan (source) ──▶ tail (target) ──▶ transfer ──▶ ledger
//! ```
//!
//! The rule of the house: nothing is appended into a mailbox whose tail has not been read. Everything else follows
//! from it: a walker may be killed anywhere, a connection may break anywhere, the state file may be old or lost, and
//! what is on the target is found before anything is sent.

mod account;
mod bodies;
mod bounds;
mod compare_mailbox;
mod comparison;
mod dry_run;
mod error;
mod flag_view;
mod flags;
mod job;
mod listing;
mod mapping;
mod meter;
mod oversight;
mod pass;
mod pause;
mod preflight;
mod prepare;
mod progress;
mod rounds;
mod scan;
mod stop;
mod summary;
mod tail;
mod tally;
mod transfer;
mod verify;
mod walk;
mod words;

pub use account::copy_account;
pub use dry_run::plan_account;
pub use error::stop_of_ledger;
pub use job::{Account, AccountPair, CopyJob, RetryExceptions};
pub use oversight::{Oversight, ServerSign, Supervisor, Unsupervised};
pub use preflight::{preflight_account, preflight_with_oversight, probe_endpoint, probe_without_sign_in};
pub use progress::{Progress, Snapshot};
pub use stop::{StopSignal, StopSwitch};
pub use verify::{VerifyJob, VerifyLevel, verify_account};
