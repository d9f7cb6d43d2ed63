//! From rows to accounts that can be stored: endpoints, wave and target user settled, and no two accounts writing into
//! one target mailbox unless that was asked for.

use crate::check::{NAME_BYTES_MAX, is_plain_name};
use crate::export::ExportRow;
use crate::fault::{ListErrors, Problem, Remark, RemarkKind};
use crate::rename::{Rename, fold_domain, split_user};
use crate::row::{List, Row};
use mailhaul_types::Secret;
use std::collections::{HashMap, HashSet, hash_map};

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

impl Entry {
    /// The columns in which the list differs from what is stored for the account, apart from passwords. A priority
    /// that the list does not give is no difference.
    #[must_use]
    pub fn changed_columns(&self, stored: &ExportRow<'_>) -> Vec<&'static str> {
        let pairs = [
            ("source_user", self.source_user != stored.source_user),
            ("target_user", self.target_user != stored.target_user),
            ("from", self.from != stored.from),
            ("to", self.to != stored.to),
            ("wave", self.wave != stored.wave),
            ("priority", self.priority.is_some_and(|priority| priority != stored.priority)),
        ];
        pairs.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
    }
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
/// Every row that lacks one of them, whose name cannot be made, that would be copied onto itself, or that would write
/// where another one writes.
pub fn resolve(list: List, how: &Resolve<'_>) -> Result<Resolved, ListErrors> {
    let mut errors = ListErrors::default();
    let mut remarks = list.remarks;
    let endpoints = how.endpoints.iter().map(|(alias, name)| (alias.to_lowercase(), *name)).collect();
    let entries: Vec<_> =
        list.rows.into_iter().filter_map(|row| resolve_row(row, how, &endpoints, &mut errors)).collect();
    check_targets(&entries, how, &mut errors, &mut remarks);
    remark_on_shared_sources(&entries, &mut remarks);
    errors.into_result()?;
    remarks.sort_by_key(|remark| remark.line);
    Ok(Resolved { entries, remarks })
}

fn resolve_row(
    row: Row,
    how: &Resolve<'_>,
    endpoints: &HashMap<String, &str>,
    errors: &mut ListErrors,
) -> Option<Entry> {
    let line = Some(row.line);
    let mut assign = |name, own: Option<String>, general: Option<&str>| {
        let assigned = own.or_else(|| general.map(str::to_owned));
        if assigned.is_none() {
            errors.push(line, Problem::Unassigned { name });
        }
        assigned
    };
    let from = assign("from", row.from, how.from).map(|name| own_name(name, endpoints));
    let to = assign("to", row.to, how.to).map(|name| own_name(name, endpoints));
    let wave = assign("wave", row.wave, how.wave);
    let target_user = match row.target_user {
        Some(user) => Ok(user),
        None => make_target_user(&row.source_user, row.new_name.as_deref(), &how.rename),
    };
    let target_user = target_user.map_err(|problem| errors.push(line, problem)).ok()?;
    let (from, to, wave) = (from?, to?, wave?);
    if from == to && fold_domain(&row.source_user) == fold_domain(&target_user) {
        errors.push(line, Problem::CopyOntoItself);
        return None;
    }
    Some(Entry {
        line: row.line,
        account: row.account,
        from,
        to,
        wave,
        source_user: row.source_user,
        source_password: row.source_password,
        target_user,
        target_password: row.target_password,
        priority: row.priority,
    })
}

fn own_name(name: String, endpoints: &HashMap<String, &str>) -> String {
    endpoints.get(&name.to_lowercase()).map_or(name, |&own| own.to_owned())
}

/// The rules begin with the new name, if there is one; without a domain it takes the place of the local part only.
fn make_target_user(source_user: &str, new_name: Option<&str>, rename: &Rename) -> Result<String, Problem> {
    let begin = match (new_name, split_user(source_user).1) {
        (None, _) => source_user.to_owned(),
        (Some(name), Some(domain)) if !name.contains('@') => format!("{name}@{domain}"),
        (Some(name), _) => name.to_owned(),
    };
    let user = rename.target_user(&begin).map_err(Problem::Rename)?;
    if user.len() > NAME_BYTES_MAX {
        return Err(Problem::TooLong { name: "target_user", max_bytes: NAME_BYTES_MAX });
    }
    if user.trim() != user || !is_plain_name(&user) {
        return Err(Problem::Rename("it would begin or end with a space, or hold a control character"));
    }
    Ok(user)
}

/// An account that writes into a target mailbox.
#[derive(Clone, Copy)]
struct Writer<'a> {
    /// Its line; `None` when it was stored earlier.
    line: Option<u32>,
    account: &'a str,
    endpoint: &'a str,
    user: &'a str,
}

fn check_targets(entries: &[Entry], how: &Resolve<'_>, errors: &mut ListErrors, remarks: &mut Vec<Remark>) {
    let named: HashSet<String> = entries.iter().map(|entry| fold_domain(&entry.account)).collect();
    let stored = how.stored.iter().filter(|claim| !named.contains(&fold_domain(claim.account))).map(|claim| Writer {
        line: None,
        account: claim.account,
        endpoint: claim.endpoint,
        user: claim.user,
    });
    let listed = entries.iter().map(|entry| Writer {
        line: Some(entry.line),
        account: &entry.account,
        endpoint: &entry.to,
        user: &entry.target_user,
    });
    // The first that came, by the login as every server compares it, and as most servers do.
    let mut exact: HashMap<(&str, String), Writer<'_>> = HashMap::with_capacity(entries.len());
    let mut nearly: HashMap<(&str, String), Writer<'_>> = HashMap::with_capacity(entries.len());
    for writer in stored.chain(listed) {
        let same = find_or_insert(&mut exact, fold_domain(writer.user), writer);
        let suspect = find_or_insert(&mut nearly, writer.user.to_lowercase(), writer);
        if let (Some(line), Some(first)) = (writer.line, same.or(suspect)) {
            report_pair(line, writer, first, same.is_some(), how.merge, errors, remarks);
        }
    }
}

fn remark_on_shared_sources(entries: &[Entry], remarks: &mut Vec<Remark>) {
    let mut first: HashMap<(&str, String), &Entry> = HashMap::with_capacity(entries.len());
    for entry in entries {
        match first.entry((&entry.from, fold_domain(&entry.source_user))) {
            hash_map::Entry::Occupied(first) => {
                let (first_line, first_account) = (first.get().line, first.get().account.clone());
                let kind = RemarkKind::SameSource { first_line, first_account };
                remarks.push(Remark { line: Some(entry.line), kind });
            }
            hash_map::Entry::Vacant(place) => {
                place.insert(entry);
            }
        }
    }
}

/// The writer that is there already; else this one is from now on.
fn find_or_insert<'a>(
    writers: &mut HashMap<(&'a str, String), Writer<'a>>,
    user: String,
    writer: Writer<'a>,
) -> Option<Writer<'a>> {
    match writers.entry((writer.endpoint, user)) {
        hash_map::Entry::Occupied(first) => Some(*first.get()),
        hash_map::Entry::Vacant(place) => {
            place.insert(writer);
            None
        }
    }
}

fn report_pair(
    line: u32,
    writer: Writer<'_>,
    first: Writer<'_>,
    is_same: bool,
    merge: bool,
    errors: &mut ListErrors,
    remarks: &mut Vec<Remark>,
) {
    let (endpoint, user) = (writer.endpoint.to_owned(), writer.user.to_owned());
    let (first_line, first_account) = (first.line, first.account.to_owned());
    if !merge {
        // Also where only capitals differ: a server that takes them for one would get two people's mail in one mailbox.
        errors.push(
            Some(line),
            if is_same {
                Problem::SameTarget { endpoint, user, first_line, first_account }
            } else {
                Problem::NearlySameTarget { endpoint, user, first_line, first_account }
            },
        );
        return;
    }
    let kind = if is_same {
        RemarkKind::MergedTarget { endpoint, user, first_line, first_account }
    } else {
        RemarkKind::NearlySameTarget { endpoint, user, first_line, first_account }
    };
    remarks.push(Remark { line: Some(line), kind });
}
