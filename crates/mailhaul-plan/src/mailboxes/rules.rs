//! What the operator asked for, read and checked: `--map`, `--mailbox`, `--exclude`.

use super::candidates::Candidate;
use super::names::{TargetShape, with_plain_inbox};
use super::tree::Tree;
use super::{AccountListing, Glob, LeftOutReason, MailboxEntry, MappingError, MappingRules};
use std::collections::{BTreeMap, BTreeSet};

/// `--map`, checked.
pub(super) struct ExplicitRules<'a> {
    /// OLD as a source name with a plain INBOX → NEW and the pair as it was given.
    by_old: BTreeMap<String, (String, &'a (String, String))>,
}

impl<'a> ExplicitRules<'a> {
    pub(super) fn read(
        rules: &'a MappingRules,
        source: &AccountListing,
        shape: &TargetShape,
    ) -> Result<Self, MappingError> {
        let mut by_old: BTreeMap<String, (String, &(String, String))> = BTreeMap::new();
        let source_delimiter = TargetShape::of(source).delimiter;
        for pair in &rules.map {
            let old = with_plain_inbox(without_delimiter(&pair.0, source_delimiter), source_delimiter);
            let new = with_plain_inbox(without_delimiter(&pair.1, shape.delimiter), shape.delimiter);
            let problem = match by_old.get(&old) {
                _ if old.is_empty() || new.is_empty() => Some("both sides need a name"),
                _ if new.chars().any(char::is_control) => Some("the new name holds control characters"),
                Some((earlier, _)) if *earlier != new => Some("another --map gives this mailbox another name"),
                _ => None,
            };
            if let Some(problem) = problem {
                return Err(MappingError::BadRule { old: pair.0.clone(), new: pair.1.clone(), problem });
            }
            by_old.insert(old, (new, pair));
        }
        Ok(Self { by_old })
    }

    pub(super) fn target_of(&self, source_text: &str, delimiter: Option<char>) -> Option<&str> {
        self.by_old.get(&with_plain_inbox(source_text, delimiter)).map(|(new, _)| new.as_str())
    }

    /// Those whose OLD is no mailbox and lies above none.
    /// Those that fit no mailbox, and whose name no renamed mailbox keeps.
    pub(super) fn unused(&self, tree: &Tree<'_>, kept_names: &BTreeSet<&str>) -> impl Iterator<Item = String> {
        let met: BTreeSet<String> =
            tree.nodes.iter().map(|node| with_plain_inbox(&node.text, node.delimiter)).collect();
        let is_unused =
            |(old, (new, _)): &(&String, &(String, _))| !met.contains(*old) && !kept_names.contains(new.as_str());
        let unused = self.by_old.iter().filter(is_unused);
        unused.map(|(_, (_, (old, new)))| format!("{old}={new}")).collect::<Vec<_>>().into_iter()
    }
}

/// A delimiter at the end of what the operator typed means nothing.
fn without_delimiter(name: &str, delimiter: Option<char>) -> &str {
    delimiter.and_then(|delimiter| name.strip_suffix(delimiter)).unwrap_or(name)
}

/// `--mailbox` and `--exclude`.
pub(super) struct Wanted<'a> {
    include: Vec<(&'a str, Glob)>,
    exclude: Vec<(&'a str, Glob)>,
}

impl<'a> Wanted<'a> {
    pub(super) fn read(rules: &'a MappingRules) -> Self {
        let globs = |patterns: &'a [String]| {
            patterns.iter().map(|pattern| (pattern.as_str(), Glob::new(pattern))).collect::<Vec<_>>()
        };
        Self { include: globs(&rules.include), exclude: globs(&rules.exclude) }
    }

    /// Why a mailbox is left out, if it is.
    pub(super) fn judge(&self, entry: &MailboxEntry) -> Option<LeftOutReason> {
        let fits = |(_, glob): &&(&str, Glob)| glob.matches(entry.name.text(), entry.delimiter);
        if !self.include.is_empty() && !self.include.iter().any(|glob| fits(&glob)) {
            return Some(LeftOutReason::NotIncluded);
        }
        self.exclude.iter().find(fits).map(|(pattern, _)| LeftOutReason::Excluded((*pattern).to_owned()))
    }

    pub(super) fn unused<'b>(&'b self, candidates: &'b [Candidate<'_>]) -> impl Iterator<Item = String> + 'b {
        let fits_none = |glob: &Glob| {
            !candidates.iter().any(|candidate| glob.matches(candidate.entry.name.text(), candidate.entry.delimiter))
        };
        self.include.iter().filter(move |(_, glob)| fits_none(glob)).map(|(pattern, _)| (*pattern).to_owned())
    }
}
