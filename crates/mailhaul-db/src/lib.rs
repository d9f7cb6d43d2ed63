//! The ledger: every SQL statement, over SQLite.

mod error;
mod lease;
mod ledger;
mod mailbox;
mod model;
mod report;

pub use error::{DbError, DbErrorKind, Doing};
pub use lease::{LeaseValidity, PairLease};
pub use ledger::{Ledger, OpenOptions, PairView};
pub use mailbox::{Committed, MailboxLedger, SettledPages};
pub use model::{
    AccountIdentity, Exception, ExceptionState, Generation, MailboxState, Mapping, PairId, PairIdentity, PassCounts,
    Remark, RunVerdict, Scan, Settled, SettledCounts, SettledState, Settlement, StoredException,
};
pub use report::{MailboxReport, PairReport, RunReport};
