//! The walkers: account, mailbox, batch; and verify.
//!
//! ```text
//! account ──▶ listing ──▶ renames ──▶ mapping ──▶ visits ──▶ survey ──▶ passes ──▶ deletions
//! passes  ──▶ for each mailbox that has changed: prepare ──▶ pass
//! pass    ──▶ scan or changes (source) ──▶ tail (target) ──▶ moves ──▶ flags ──▶ transfer ──▶ ledger
//! ```
//!
//! The rule of the house: nothing is appended into a mailbox whose tail has not been read. Everything else follows
//! from it: a walker may be killed anywhere, a connection may break anywhere, the state file may be old or lost, and
//! what is on the target is found before anything is sent.

mod account;
mod bodies;
mod bounds;
mod budget;
mod carry_over;
mod changes;
mod compare_mailbox;
mod comparison;
mod concluding;
mod deletions;
mod dry_run;
mod error;
mod final_check;
mod flag_sync;
mod flag_table;
mod flag_view;
mod flags;
mod follow;
mod follow_listen;
mod follow_story;
mod foretelling;
mod found_again;
mod growth;
mod job;
mod learning;
mod listing;
mod mapping;
mod meter;
mod moves;
mod oversight;
mod pass;
mod passes;
mod pause;
mod plan_run;
mod preflight;
mod prepare;
mod progress;
mod read_back;
mod reading;
mod recognise;
mod reconnect;
mod renames;
mod rounds;
mod scan;
mod shared_copies;
mod single_appends;
mod source_side;
mod sources;
mod step;
mod stop;
mod strands;
mod summary;
mod survey;
mod suspects;
mod tail;
mod tally;
mod target_side;
mod transfer;
mod unlisted;
mod vanished;
mod verify;
mod views;
mod visits;
mod waiting;
mod walk;
mod words;

pub use account::copy_account;
pub use budget::{Budgets, ByteBudget};
pub use dry_run::plan_account;
pub use error::stop_of_ledger;
pub use follow::{FollowOptions, follow_account};
pub use job::{Account, AccountPair, Connections, CopyJob, RetryExceptions};
pub use oversight::{Oversight, ServerSign, Supervisor, Unsupervised, Widened};
pub use preflight::{preflight_account, preflight_with_oversight, probe_endpoint, probe_without_sign_in};
pub use progress::{Following, Progress, Snapshot};
pub use stop::{StopSignal, StopSwitch};
pub use verify::{VerifyJob, VerifyLevel, verify_account};
