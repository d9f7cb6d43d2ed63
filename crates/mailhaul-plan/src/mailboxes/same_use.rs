//! Bringing mailboxes for the same special use together where the two sides call them differently.
//!
//! One side at least must announce the use (RFC 6154); where both would have to be guessed from names, the names stay.

use super::claims::Claims;
use super::names::fold;
use super::special::{MAPPED_USES, use_of_name};
use super::target::{SpecialTarget, Target};
use super::tree::{Node, Tree};
use super::{MappingRemark, Origin};
use mailhaul_types::SpecialUse;

impl Tree<'_> {
    /// Brings mailboxes for the same use together, where the two sides call them differently.
    pub(super) fn fix_special_uses(&mut self, claims: &mut Claims<'_>, target: &Target<'_>) {
        for used_for in MAPPED_USES {
            let Some(there) = target.special(used_for) else { continue };
            if !claims.is_free(there.name) {
                continue;
            }
            let Some((place, announced)) = self.special_at_source(used_for, &there, target) else { continue };
            let node = &mut self.nodes[place];
            claims.claim(there.name, node.source());
            if node.plain == there.name {
                node.settle(there.name, Origin::Name);
            } else {
                node.settle(there.name, Origin::SpecialUse);
                node.used_for = Some(used_for);
                let by_name = !(announced && there.announced);
                node.remarks.push(MappingRemark::SpecialUse { used_for, by_name });
            }
        }
    }

    /// The source mailbox for a use and whether the server announced it. Nobody, if the use is taken care of by a rule
    /// or an earlier run, or if guessing from names would leave a choice.
    fn special_at_source(
        &mut self,
        used_for: SpecialUse,
        there: &SpecialTarget<'_>,
        target: &Target<'_>,
    ) -> Option<(usize, bool)> {
        let own = |node: &&(usize, &Node<'_>)| node.1.entry.is_some() && !node.1.foreign;
        let free = |node: &Node<'_>| node.target.is_none() && node.stored.is_none() && !self.below_rule(node);
        let nodes: Vec<(usize, &Node<'_>)> = self.nodes.iter().enumerate().collect();
        let announces = |node: &Node<'_>| node.entry.is_some_and(|entry| entry.special_use == Some(used_for));
        let announced: Vec<_> = nodes.iter().filter(own).filter(|(_, node)| announces(node)).collect();
        if !announced.is_empty() {
            let all_free = announced.iter().all(|(_, node)| free(node));
            let best = announced.iter().min_by_key(|(_, node)| (node.plain != there.name, &node.text))?;
            return all_free.then_some((best.0, true));
        }
        if !there.announced {
            return None;
        }
        let named: Vec<_> = nodes
            .iter()
            .filter(own)
            .filter(|(_, node)| self.use_by_name(node) == Some(used_for))
            .filter(|(_, node)| node.entry.is_some_and(|entry| entry.special_use.is_none()))
            .collect();
        let settled = |node: &Node<'_>| !free(node) || fold(&node.plain) == fold(there.name);
        if named.iter().any(|(_, node)| settled(node)) {
            return None;
        }
        let named: Vec<usize> = named
            .into_iter()
            .filter(|(_, node)| !target.existing.contains(&node.plain))
            .map(|(place, _)| *place)
            .collect();
        if let [only] = named[..] {
            return Some((only, false));
        }
        for place in named {
            self.nodes[place].remarks.push(MappingRemark::AmbiguousUse(used_for));
        }
        None
    }

    /// What a name speaks of: at the top, below INBOX, or below a provider's `[…]`.
    pub(super) fn use_by_name(&self, node: &Node<'_>) -> Option<SpecialUse> {
        let above = node.parent.map(|parent| &self.nodes[parent]);
        let high = above.is_none_or(|above| {
            above.parent.is_none() && (above.is_inbox() || (above.part.starts_with('[') && above.part.ends_with(']')))
        });
        high.then(|| use_of_name(&node.part)).flatten()
    }
}
