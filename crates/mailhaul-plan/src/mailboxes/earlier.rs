//! Names that earlier runs used: claimed first, kept while today's rules still lead to them.

use super::claims::Claims;
use super::names::{self, TargetShape, fold, without_number};
use super::special::use_of_name;
use super::target::Target;
use super::tree::{Node, Tree};
use super::{MappingRemark, Origin};
use std::collections::{BTreeMap, BTreeSet};

impl Tree<'_> {
    /// Names of earlier runs are claimed, so that nobody else gets them; whether they still hold is seen later.
    pub(super) fn fix_stored(
        &mut self,
        claims: &mut Claims<'_>,
        stored: &BTreeMap<String, String>,
        kept: &BTreeSet<String>,
    ) {
        for node in self.nodes.iter_mut().filter(|node| node.target.is_none()) {
            let Some(earlier) = stored.get(node.source()) else { continue };
            node.kept = kept.contains(node.source());
            if node.entry.is_none() {
                node.stored = Some(earlier.clone());
            } else if claims.is_free_again(earlier) {
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
        target: &Target<'_>,
    ) -> bool {
        let Some(stored) = self.nodes[place].stored.take() else { return false };
        if !self.follows_from_rules(place, natural, &stored, target) {
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

    /// Whether today's rules could have given this name, at one time or another.
    fn follows_from_rules(&self, place: usize, natural: &str, stored: &str, target: &Target<'_>) -> bool {
        let node = &self.nodes[place];
        if stored == natural || (node.kept && !self.below_rule(node)) {
            return true;
        }
        let mut roots = vec![natural.to_owned()];
        if !self.below_rule(node) {
            if self.serves_same_use(node, stored, target) {
                return true;
            }
            roots.push(node.plain.clone());
            roots.extend(self.prefix_guessed.then(|| other_guess(&node.plain, &target.shape)).flatten());
        }
        let (name, base) = (fold(stored), without_number(stored).map(fold));
        let is_it = |possible: &str| {
            let possible = fold(possible);
            possible == name || Some(possible) == base
        };
        roots.iter().any(|root| is_it(root) || names::safer_names(root, &target.shape).iter().any(|safer| is_it(safer)))
    }

    /// Whether the mailbox and the name it was given serve the same use, announced or by what they are called.
    fn serves_same_use(&self, node: &Node<'_>, stored: &str, target: &Target<'_>) -> bool {
        let announced = node.entry.and_then(|entry| entry.special_use);
        let last = target.shape.delimiter.and_then(|delimiter| stored.rsplit(delimiter).next()).unwrap_or(stored);
        [announced, self.use_by_name(node)]
            .into_iter()
            .flatten()
            .any(|used_for| target.serves(stored, used_for) || use_of_name(last) == Some(used_for))
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
