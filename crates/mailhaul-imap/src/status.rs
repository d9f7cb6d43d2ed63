//! STATUS (RFC 9051 §6.3.11): a mailbox's figures without selecting it.

use mailhaul_types::{Uid, UidValidity};

/// The figures of one mailbox; whatever the server does not say, or says nonsense about, is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MailboxStatus {
    /// MESSAGES.
    pub messages: Option<u32>,
    /// UIDNEXT.
    pub uid_next: Option<Uid>,
    /// UIDVALIDITY.
    pub uid_validity: Option<UidValidity>,
}
