//! NAMESPACE (RFC 2342): under which prefixes the user's own mailboxes and those of others live.

/// One namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// What the names in it begin with, as the server spells it: empty, `INBOX.`, `user.`.
    pub prefix: Vec<u8>,
    /// Its hierarchy delimiter; `None` for a flat namespace.
    pub delimiter: Option<char>,
}

/// All namespaces of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// The user's own mailboxes.
    pub personal: Vec<Namespace>,
    /// Mailboxes of other users.
    pub other_users: Vec<Namespace>,
    /// Shared mailboxes.
    pub shared: Vec<Namespace>,
}
