//! The scan: pipelined `UID FETCH range (UID RFC822.SIZE …)` over a whole mailbox.

use mailhaul_types::{InternalDate, Uid};

/// What a scan asks for beside UID and RFC822.SIZE.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanItems {
    /// Also INTERNALDATE.
    pub internal_date: bool,
}

/// One message of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanRow {
    /// Its UID.
    pub uid: Uid,
    /// RFC822.SIZE as the server claims it: good for planning, never for deciding. 0 if it said nonsense.
    pub size: u64,
    /// INTERNALDATE, if it was asked for and could be read.
    pub internal_date: Option<InternalDate>,
}

/// What a scan saw beside its rows. It is returned only when every command was answered OK.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanTally {
    /// Rows handed to the callback. A server may repeat a UID; it is then counted again.
    pub rows: u64,
    /// Messages that were expunged while the scan went on (EXPUNGE and VANISHED).
    pub expunged: u32,
    /// The last EXISTS that came meanwhile.
    pub exists: Option<u32>,
    /// Times that the server cut an answer short (RFC 9738 MESSAGELIMIT) and was asked for the rest.
    pub message_limit_followed: u32,
    /// Responses that could not be read and were set aside.
    pub unreadable_lines: u32,
}
