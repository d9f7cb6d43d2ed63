//! Pure decisions: mailbox mapping, selection, identity, and which messages are still to be copied.
//!
//! ```text
//! listing + ledger ──▶ mailboxes ──▶ scan ──▶ selection ──▶ steps ──▶ batches ──▶ (the walker fetches and appends)
//!                                      │                      ▲
//!                     target's tail ──▶ keys ──▶ matching ────┘  (content decides where keys leave a choice)
//! ```
//!
//! Everything here is a function from values to values: no I/O, no clock, no randomness, no runtime. The walker asks,
//! the servers and the ledger answer, and the same answers always give the same plan.
//!
//! ```
//! use mailhaul_plan::{batches::{BatchLimits, plan_batches}, steps::remaining};
//! use mailhaul_types::{Uid, UidSet};
//!
//! let listed: UidSet = (1..=500).map(Uid).collect();
//! let settled: UidSet = (1..=200).map(Uid).collect();
//! let todo = remaining(&listed, &settled, &UidSet::new(), &UidSet::new());
//! let batches = plan_batches(todo.iter().map(|uid| (uid, 4_096)), &BatchLimits::default());
//! assert_eq!(todo.to_string(), "201:500");
//! assert_eq!(batches.len(), 2);
//! ```

pub mod batches;
pub mod brake;
pub mod carry_over;
pub mod compression;
pub mod content;
pub mod estimate;
pub mod experience;
pub mod flags;
pub mod keys;
pub mod likeness;
pub mod loose;
pub mod mailboxes;
pub mod matching;
pub mod moves;
pub mod policy;
pub mod profile;
pub mod renames;
pub mod scan;
pub mod selection;
pub mod steps;
pub mod tail;
pub mod views;
pub mod visits;
