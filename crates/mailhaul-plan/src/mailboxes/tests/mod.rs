//! Tables of mappings. An account is written as prefix, delimiter and names; an attribute stands after the name.

mod collisions;
mod delimiters;
mod earlier_runs;
mod properties;
mod refused;
mod rules;
mod special_use;

use super::*;
use mailhaul_types::NameEncoding;
use std::collections::BTreeSet;

/// An account that declares its own namespace and has a mailbox for each line: `NAME`, or `NAME \Sent`,
/// `NAME \Noselect`.
pub(super) fn account(prefix: &str, delimiter: char, names: &[&str]) -> AccountListing {
    let namespace = Namespace { prefix: prefix.to_owned(), delimiter: Some(delimiter) };
    AccountListing {
        mailboxes: names.iter().map(|line| entry(line, Some(delimiter))).collect(),
        namespaces: Namespaces { personal: vec![namespace], declared: true, ..Namespaces::default() },
    }
}

/// The same from a server without NAMESPACE.
pub(super) fn undeclared(delimiter: char, names: &[&str]) -> AccountListing {
    let mut listing = account("", delimiter, names);
    listing.namespaces.declared = false;
    listing
}

pub(super) fn entry(line: &str, delimiter: Option<char>) -> MailboxEntry {
    let (name, attribute) = line.split_once(" \\").unwrap_or((line, ""));
    MailboxEntry {
        name: MailboxName::from_text(name, NameEncoding::ModifiedUtf7),
        delimiter,
        selectable: attribute != "Noselect",
        special_use: SpecialUse::from_attribute(&format!("\\{attribute}")),
        subscribed: false,
    }
}

pub(super) fn with_map(pairs: &[(&str, &str)]) -> MappingRules {
    let map = pairs.iter().map(|(old, new)| ((*old).to_owned(), (*new).to_owned())).collect();
    MappingRules { map, ..MappingRules::default() }
}

pub(super) fn names_of(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(source, target)| ((*source).to_owned(), (*target).to_owned())).collect()
}

/// The mapping as pairs of texts.
pub(super) fn pairs(mapping: &Mapping) -> Vec<(&str, &str)> {
    mapping.mailboxes.iter().map(|mapped| (mapped.source.text(), mapped.target_text.as_str())).collect()
}

pub(super) fn map(source: &AccountListing, target: &AccountListing, rules: &MappingRules) -> Mapping {
    map_mailboxes(source, target, rules, &BTreeMap::new()).expect("rules that can be followed")
}

/// Maps without rules and compares every pair.
pub(super) fn expect(source: &AccountListing, target: &AccountListing, expected: &[(&str, &str)]) {
    assert_eq!(pairs(&map(source, target, &MappingRules::default())), expected);
}

pub(super) fn remarks_of<'a>(mapping: &'a Mapping, source: &str) -> &'a [MappingRemark] {
    &mapping.mailboxes.iter().find(|mapped| mapped.source.text() == source).expect("mapped").remarks
}
