//! What matters of the target: its manner of naming, the names it has, and which of them serve a special use.

use super::candidates::is_foreign;
use super::names::{self, TargetShape, fold};
use super::special::{MAPPED_USES, use_of_name};
use super::{AccountListing, MailboxEntry};
use mailhaul_types::SpecialUse;
use std::collections::BTreeMap;

/// The target, as far as names are concerned.
pub(super) struct Target<'a> {
    pub(super) shape: TargetShape,
    pub(super) existing: Existing<'a>,
    uses: BTreeMap<SpecialUse, Servants<'a>>,
}

/// The target's mailboxes for one use.
#[derive(Default)]
struct Servants<'a> {
    /// Those that it announces, sorted.
    announced: Vec<&'a str>,
    /// Those whose name speaks of it, where none is announced.
    named: Vec<&'a str>,
}

/// The target's mailbox for a use.
pub(super) struct SpecialTarget<'a> {
    pub(super) name: &'a str,
    /// By the server, not just by its name.
    pub(super) announced: bool,
}

impl<'a> Target<'a> {
    pub(super) fn of(listing: &'a AccountListing) -> Self {
        let shape = TargetShape::of(listing);
        let uses = MAPPED_USES.into_iter().map(|used_for| (used_for, Servants::of(listing, used_for, &shape)));
        Self { uses: uses.collect(), existing: Existing::of(listing), shape }
    }

    /// The mailbox for a use: announced, or else the only one whose name speaks of it.
    pub(super) fn special(&self, used_for: SpecialUse) -> Option<SpecialTarget<'a>> {
        let servants = self.uses.get(&used_for)?;
        match (&servants.announced[..], &servants.named[..]) {
            ([name, ..], _) => Some(SpecialTarget { name, announced: true }),
            ([], [name]) => Some(SpecialTarget { name, announced: false }),
            _ => None,
        }
    }

    /// Whether this mailbox serves the use, perhaps beside others.
    pub(super) fn serves(&self, name: &str, used_for: SpecialUse) -> bool {
        let servants = self.uses.get(&used_for);
        servants.is_some_and(|servants| servants.announced.contains(&name) || servants.named.contains(&name))
    }
}

impl<'a> Servants<'a> {
    fn of(listing: &'a AccountListing, used_for: SpecialUse, shape: &TargetShape) -> Self {
        let own = listing.mailboxes.iter().filter(|entry| entry.selectable && !is_foreign(entry, listing));
        let mut servants = Self::default();
        for entry in own {
            let name = entry.name.text();
            // What lies below it would have to carry the control character, too.
            if name.chars().any(char::is_control) {
                continue;
            }
            let top = || names::strip_prefix(name, &shape.prefix);
            match entry.special_use {
                Some(announced) if announced == used_for => servants.announced.push(name),
                None if top().and_then(use_of_name) == Some(used_for) => servants.named.push(name),
                _ => {}
            }
        }
        servants.announced.sort_unstable();
        servants.named.sort_unstable();
        servants.named.dedup();
        servants
    }
}

/// The names that the target has.
pub(super) struct Existing<'a> {
    by_text: BTreeMap<&'a str, &'a MailboxEntry>,
    by_fold: BTreeMap<String, Vec<String>>,
}

impl<'a> Existing<'a> {
    pub(super) fn of(target: &'a AccountListing) -> Self {
        let mut by_text: BTreeMap<&str, &MailboxEntry> = BTreeMap::new();
        for entry in &target.mailboxes {
            let known = by_text.entry(entry.name.text()).or_insert(entry);
            // One text may stand for two spellings: the same one is chosen whatever their order.
            if (entry.selectable, known.name.wire()) > (known.selectable, entry.name.wire()) {
                *known = entry;
            }
        }
        let mut by_fold: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in by_text.keys() {
            by_fold.entry(fold(name)).or_default().push((*name).to_owned());
        }
        Self { by_text, by_fold }
    }

    /// The mailbox of exactly this name, with or without messages in it.
    pub(super) fn get(&self, name: &str) -> Option<&'a MailboxEntry> {
        self.by_text.get(name).copied()
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.by_text.contains_key(name)
    }

    /// Names that the target may take for this one.
    pub(super) fn spellings<'b>(&'b self, name: &str) -> impl Iterator<Item = &'b String> + use<'b, 'a> {
        self.by_fold.get(&fold(name)).into_iter().flatten()
    }
}
