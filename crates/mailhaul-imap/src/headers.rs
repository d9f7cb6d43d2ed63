//! Key material: the header fields that messages are recognised by.

use bytes::Bytes;
use mailhaul_types::{Flags, InternalDate, Uid};

/// One message's key material.
#[derive(Debug, Clone)]
pub struct HeaderRow {
    /// Its UID.
    pub uid: Uid,
    /// Its flags.
    pub flags: Flags,
    /// INTERNALDATE, if it could be read.
    pub internal_date: Option<InternalDate>,
    /// RFC822.SIZE as the server claims it; 0 if it said nonsense.
    pub size: u64,
    /// The header fields asked for, as the server cut them out, with the empty line. Empty if the message has none.
    pub header: Bytes,
    /// Whether `header` was cut at 256 KiB.
    pub truncated: bool,
}
