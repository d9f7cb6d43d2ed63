//! SELECT and EXAMINE (RFC 9051 §6.3.2, §6.3.3).

use mailhaul_types::{Flags, ModSeq, Uid, UidValidity};

/// What the server said when a mailbox was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedMailbox {
    /// EXISTS: how many messages there are.
    pub exists: u32,
    /// UIDVALIDITY; `None` where the server keeps no UIDs or does not say.
    pub uid_validity: Option<UidValidity>,
    /// UIDNEXT; `None` on servers that do not say it on SELECT (ask STATUS).
    pub uid_next: Option<Uid>,
    /// HIGHESTMODSEQ, where the mailbox has one.
    pub highest_modseq: Option<ModSeq>,
    /// MAILBOXID (RFC 8474), which survives renames.
    pub mailbox_id: Option<String>,
    /// Which flags can be stored for good.
    pub permanent_flags: PermanentFlags,
    /// Whether the server opened it read-only.
    pub read_only: bool,
}

/// PERMANENTFLAGS (RFC 9051 §7.1). Where the server says nothing, everything may be stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PermanentFlags {
    /// The flags and keywords named.
    pub flags: Flags,
    /// `\*`: new keywords may be made.
    pub any_keyword: bool,
}
