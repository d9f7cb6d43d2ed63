//! The words of mailhaul: UIDs, mailbox names, flags, internal dates, message keys, secrets.
//!
//! Everything here is plain data with its parsing and printing. Nothing here does I/O, and nothing here knows of
//! servers, ledgers or jobs; every other crate speaks in these types, so that a UID and a count never stand side by
//! side as two bare integers.

mod date;
mod escape;
pub mod failpoint;
mod flags;
mod key;
mod name;
mod secret;
mod side;
mod uid;
pub mod utf7;

pub use date::InternalDate;
pub use escape::{Escaped, escape};
pub use flags::{Flags, SystemFlag};
pub use key::{KeyStrength, MessageKey};
pub use name::{MailboxName, NameEncoding, SpecialUse};
pub use secret::Secret;
pub use side::Side;
pub use uid::{ModSeq, Uid, UidRange, UidSet, UidValidity};
