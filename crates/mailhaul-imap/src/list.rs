//! LIST and LSUB (RFC 9051 §6.3.9, RFC 5258, RFC 6154): which mailboxes there are.

use mailhaul_types::{MailboxName, SpecialUse};

/// One mailbox as the server lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedMailbox {
    /// Its full name.
    pub name: MailboxName,
    /// The hierarchy delimiter in this name; `None` for a flat name.
    pub delimiter: Option<char>,
    /// Whether it can be selected (neither `\Noselect` nor `\NonExistent`).
    pub selectable: bool,
    /// What it is for, if the server says so. Of several purposes the first is kept.
    pub special_use: Option<SpecialUse>,
    /// Whether the user is subscribed to it.
    pub subscribed: bool,
}
