//! Lists of accounts in every form that operators have them in.
//!
//! ```text
//! octets ──▶ decode ──▶ detect ──▶ table │ json │ plain ──▶ check ──▶ List
//!                                                                      │
//!             endpoints and wave named on the command line, renaming ──▶ resolve ──▶ Entries ──▶ (stored by others)
//! ```
//!
//! [`read_list`] reads a whole list or names everything that is wrong with it; [`resolve()`] gives each row its
//! endpoints, its wave and its login on the target, and refuses two rows that would write into one target mailbox;
//! [`to_csv`] and [`to_json`] write accounts out, without secrets, so that `read_list` reads them back as they were.
//!
//! Everything here is a function from values to values: no I/O, no clock, no runtime. No password is ever part of an
//! error or of a `Debug` text.
//!
//! ```
//! use mailhaul_accounts::{ReadOptions, Rename, Resolve, read_list, resolve};
//!
//! let octets = b"source_user,source_password\nalice@old.example,canary-1\n";
//! let list = read_list(octets, &ReadOptions::default())?;
//! let how = Resolve {
//!     from: Some("old"),
//!     to: Some("new"),
//!     wave: Some("staff"),
//!     rename: Rename::new(Some("{local}@new.example"), &[])?,
//!     ..Resolve::default()
//! };
//! let resolved = resolve(list, &how)?;
//! assert_eq!(resolved.entries[0].target_user, "alice@new.example");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod column;
mod decode;
mod delimited;
mod export;
mod fault;
mod guard;
mod json;
mod plain;
mod read;
mod rename;
mod resolve;
mod row;
mod table;

pub use export::{ExportRow, to_csv, to_json};
pub use fault::{FAULTS_MAX, Fault, ListErrors, Problem, Remark, RemarkKind};
pub use read::{LIST_BYTES_MAX, read_list};
pub use rename::{Rename, RenameError};
pub use resolve::{Claim, Entry, Resolve, Resolved, resolve};
pub use row::{Encoding, Format, List, ReadOptions, Row};
