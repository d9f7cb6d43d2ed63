//! Names that earlier runs used: claimed first, kept while today's rules still lead to them.

use super::claims::Claims;
use super::names::{self, TargetShape, fold, without_number};
use super::special::use_of_name;
use super::tree::Tree;
use super::{MappingRemark, Origin};
use std::collections::{BTreeMap, BTreeSet};

impl Tree<'_> {
    /// Names of earlier runs are claimed, so that nobody else gets them; whether they still hold is seen later.
    pub(super) fn fix_stored(&mut self, claims: &mut Claims<'_>, stored: &BTreeMap<String, String>) {
        for node in self.nodes.iter_mut().filter(|node| node.entry.is_some() && node.target.is_none()) {
            let Some(earlier) = stored.get(node.source()) else { continue };
            if claims.is_free_again(earlier) {
                claims.claim_again(earlier, node.source());
                node.stored = Some(earlier.clone());
            }
        }
    }

    /// Keeps the name of an earlier run if it follows from today's rules, else gives its claim back.
    pub(super) fn keep_stored(
        &mut self,
        place: usize,
        natural: &str,
        claims: &mut Claims<'_>,
        shape: &TargetShape,
    ) -> bool {
        let Some(stored) = self.nodes[place].stored.take() else { return false };
        if !self.follows_from_rules(place, natural, &stored, shape) {
            claims.release(&stored, self.nodes[place].source());
            return false;
        }
        let node = &mut self.nodes[place];
        node.settle(&stored, Origin::Earlier);
        if stored != natural {
            node.remarks.push(MappingRemark::KeptFromEarlier { instead_of: natural.to_owned() });
        }
        true
    }

    fn follows_from_rules(&self, place: usize, natural: &str, stored: &str, shape: &TargetShape) -> bool {
        let node = &self.nodes[place];
        let mut roots = vec![natural.to_owned()];
        if !self.below_rule(node) {
            roots.push(node.plain.clone());
            roots.extend(self.prefix_guessed.then(|| other_guess(&node.plain, shape)).flatten());
        }
        let mut possible: BTreeSet<String> = BTreeSet::new();
        for root in &roots {
            possible.insert(fold(root));
            possible.extend(names::safer_names(root, shape).iter().map(|name| fold(name)));
        }
        let without_number = without_number(stored).map(fold);
        let same_name = possible.contains(&fold(stored)) || without_number.is_some_and(|base| possible.contains(&base));
        let used_for = node.entry.and_then(|entry| entry.special_use).or_else(|| self.use_by_name(node));
        let same_use = !self.below_rule(node) && used_for.is_some() && {
            let last = shape.delimiter.and_then(|delimiter| stored.rsplit(delimiter).next()).unwrap_or(stored);
            used_for == use_of_name(last)
        };
        same_name || same_use
    }
}

/// The name that the other reading of an undeclared source prefix would give: with INBOX above it, or without.
fn other_guess(plain: &str, shape: &TargetShape) -> Option<String> {
    let delimiter = shape.delimiter?;
    let below_inbox = plain.strip_prefix("INBOX").and_then(|rest| rest.strip_prefix(delimiter));
    match below_inbox {
        Some(rest) => Some(shape.at_top(rest)),
        None => Some(format!("INBOX{delimiter}{plain}")),
    }
}
