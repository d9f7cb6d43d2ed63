//! Which target names are taken: the place where "never two into one" is kept.

use super::names::{fold, numbered};
use super::target::Existing;
use std::collections::BTreeMap;

/// Which target names are taken, and by whom.
pub(super) struct Claims<'a> {
    by_fold: BTreeMap<String, Vec<Claim>>,
    existing: &'a Existing<'a>,
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
    pub(super) fn new(existing: &'a Existing<'a>) -> Self {
        Self { by_fold: BTreeMap::new(), existing, next_number: BTreeMap::new() }
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
