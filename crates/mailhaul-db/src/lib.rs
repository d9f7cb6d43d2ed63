//! The ledger: every SQL statement, over SQLite.

mod cache;
mod checksum;
mod error;
mod fault;
mod files;
mod lease;
mod ledger;
mod mailbox;
mod model;
mod read;
mod report;
mod rows;
mod segment;
mod writer;

pub use error::{DbError, DbErrorKind, Doing};
pub use lease::{LeaseValidity, PairLease};
pub use ledger::{Ledger, OpenOptions, PairView};
pub use mailbox::MailboxLedger;
pub use model::{
    AccountIdentity, Exception, ExceptionState, Generation, MailboxState, Mapping, PairId, PairIdentity, PassCounts,
    Remark, RunVerdict, Scan, Settled, SettledCounts, SettledState, Settlement, StoredException,
};
pub use read::SettledPages;
pub use report::{MailboxReport, PairReport, RunReport};
pub use writer::Committed;
