//! Which target names there are, and which are taken: the place where "never two into one" is kept.

use super::names::{fold, numbered};
use super::{AccountListing, MailboxEntry};
use std::collections::{BTreeMap, BTreeSet};

/// The names that the target has.
pub(super) struct Existing {
    /// All of them, whether or not they hold messages.
    pub(super) names: BTreeSet<String>,
    /// Those that hold messages.
    pub(super) selectable: BTreeSet<String>,
    by_fold: BTreeMap<String, Vec<String>>,
}

impl Existing {
    pub(super) fn of(target: &AccountListing) -> Self {
        let texts = |entries: &mut dyn Iterator<Item = &MailboxEntry>| {
            entries.map(|entry| entry.name.text().to_owned()).collect::<BTreeSet<_>>()
        };
        let names = texts(&mut target.mailboxes.iter());
        let selectable = texts(&mut target.mailboxes.iter().filter(|entry| entry.selectable));
        let mut by_fold: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in &names {
            by_fold.entry(fold(name)).or_default().push(name.clone());
        }
        Self { names, selectable, by_fold }
    }

    /// Names that the target may take for this one.
    pub(super) fn spellings<'b>(&'b self, name: &str) -> impl Iterator<Item = &'b String> + use<'b> {
        self.by_fold.get(&fold(name)).into_iter().flatten()
    }
}

/// Which target names are taken, and by whom.
pub(super) struct Claims<'a> {
    by_fold: BTreeMap<String, Vec<Claim>>,
    existing: &'a BTreeSet<String>,
    /// Where to go on counting for a name that many want.
    next_number: BTreeMap<String, u32>,
}

pub(super) struct Claim {
    target: String,
    /// The source mailbox that has it.
    pub(super) source: String,
    /// Whether an earlier run gave it.
    earlier: bool,
}

impl<'a> Claims<'a> {
    pub(super) fn new(existing: &'a Existing) -> Self {
        Self { by_fold: BTreeMap::new(), existing: &existing.names, next_number: BTreeMap::new() }
    }

    /// Two names that the target shows side by side are two, however much alike.
    pub(super) fn are_proved_apart(&self, one: &str, other: &str) -> bool {
        one != other && self.existing.contains(one) && self.existing.contains(other)
    }

    /// The claim to this name, or to one that a server may take for it.
    pub(super) fn holder(&self, target: &str) -> Option<&Claim> {
        self.rivals(target).find(|rival| !self.are_proved_apart(&rival.target, target))
    }

    pub(super) fn is_free(&self, target: &str) -> bool {
        self.holder(target).is_none()
    }

    /// Whether a name of an earlier run may be used again. Names that earlier runs used side by side were found to be
    /// two then.
    pub(super) fn is_free_again(&self, target: &str) -> bool {
        self.rivals(target)
            .all(|rival| self.are_proved_apart(&rival.target, target) || (rival.earlier && rival.target != target))
    }

    pub(super) fn claim(&mut self, target: &str, source: &str) {
        self.add(target, source, false);
    }

    pub(super) fn claim_again(&mut self, target: &str, source: &str) {
        self.add(target, source, true);
    }

    pub(super) fn release(&mut self, target: &str, source: &str) {
        if let Some(rivals) = self.by_fold.get_mut(&fold(target)) {
            rivals.retain(|rival| rival.source != source);
        }
    }

    /// Claims the first free name among `name-2`, `name-3`, …
    pub(super) fn claim_numbered(&mut self, name: &str, source: &str) -> String {
        let start = self.next_number.get(&fold(name)).copied().unwrap_or(2);
        let (number, free) = (start..=u32::MAX)
            .map(|number| (number, numbered(name, number)))
            .find(|(_, candidate)| self.is_free(candidate))
            .expect("there are more numbers than mailboxes");
        self.next_number.insert(fold(name), number.saturating_add(1));
        self.claim(&free, source);
        free
    }

    fn rivals(&self, target: &str) -> impl Iterator<Item = &Claim> {
        self.by_fold.get(&fold(target)).into_iter().flatten()
    }

    fn add(&mut self, target: &str, source: &str, earlier: bool) {
        let claim = Claim { target: target.to_owned(), source: source.to_owned(), earlier };
        self.by_fold.entry(fold(target)).or_default().push(claim);
    }
}
