//! The mapping itself: the source's mailboxes as a tree, and a target name for each node from the top down.
//!
//! Names that are fixed from outside (rules, INBOX, earlier runs, special use) are claimed first; then each level of
//! the tree takes what is left, names that the target has already before new ones. A node's name begins with its
//! parent's, so whatever renames a mailbox takes along what lies below it.

use super::candidates::candidates;
use super::claims::Claims;
use super::names::{TargetShape, fold};
use super::rules::{ExplicitRules, Wanted};
use super::target::{Existing, Target};
use super::tree::{Node, Tree};
use super::{AccountListing, LeftOut, MailboxEntry, Mapping, MappingError, MappingRemark, MappingRules, Origin};
use std::collections::{BTreeMap, BTreeSet};

/// Maps the source's mailboxes onto the target.
///
/// `stored` holds what earlier runs of this pair used, source text → target text. Such a name is kept as long as it
/// still follows from the rules: the same name, a spelling of it that the target has, one with a number, one of
/// [`super::safer_name`]'s, or that of the mailbox for the same special use. Otherwise a rule has changed: the new
/// name is given, and [`super::changed`] tells of it.
///
/// # Errors
/// [`MappingError`] if a rule cannot be followed, or rules lead two selected mailboxes to one name.
pub fn map_mailboxes(
    source: &AccountListing,
    target: &AccountListing,
    rules: &MappingRules,
    stored: &BTreeMap<String, String>,
) -> Result<Mapping, MappingError> {
    map_renamed_mailboxes(source, target, rules, stored, &BTreeSet::new())
}

/// As [`map_mailboxes`], where some source mailboxes were renamed and their copies could not be. `kept` holds their
/// names at the source: what `stored` says of them stays, although no rule leads there, unless a `--map` covers them.
/// A `--map` that gave such a name to a mailbox which is called otherwise now has been used.
///
/// # Errors
/// As [`map_mailboxes`].
pub fn map_renamed_mailboxes(
    source: &AccountListing,
    target: &AccountListing,
    rules: &MappingRules,
    stored: &BTreeMap<String, String>,
    kept: &BTreeSet<String>,
) -> Result<Mapping, MappingError> {
    let target = Target::of(target);
    let explicit = ExplicitRules::read(rules, source, &target.shape)?;
    let (candidates, mut left_out) = candidates(source, rules);
    let wanted = Wanted::read(rules);
    let mut tree = Tree::build(source, &target.shape, &candidates, &explicit);
    let mut claims = Claims::new(&target.existing);

    tree.fix_explicit(&mut claims, |entry| wanted.judge(entry).is_none())?;
    tree.fix_inbox(&mut claims, &target.shape);
    tree.fix_stored(&mut claims, stored, kept);
    tree.fix_special_uses(&mut claims, &target);
    for depth in 0..tree.depth() {
        tree.name_level(depth, &mut claims, &target);
    }

    let kept_names: BTreeSet<&str> = kept.iter().filter_map(|source| Some(stored.get(source)?.as_str())).collect();
    let unused_rules = explicit.unused(&tree, &kept_names).chain(wanted.unused(&candidates)).collect();
    let mut mailboxes = Vec::new();
    for node in tree.nodes {
        let Some(entry) = node.entry else { continue };
        match wanted.judge(entry) {
            Some(reason) => left_out.push(LeftOut { source: entry.name.clone(), reason }),
            None => mailboxes.push(node.into_mapped(entry, &target.existing)),
        }
    }
    mailboxes.sort_by(|one, other| {
        (!one.source.is_inbox(), one.source.text()).cmp(&(!other.source.is_inbox(), other.source.text()))
    });
    left_out.sort_by(|one, other| one.source.cmp(&other.source));
    Ok(Mapping { mailboxes, left_out, unused_rules, shape: target.shape })
}

impl Tree<'_> {
    /// Names given by `--map`. Two selected mailboxes on one name are an error; of a pair of which one is not part of
    /// this run, the selected one has the name.
    fn fix_explicit(
        &mut self,
        claims: &mut Claims<'_>,
        selected: impl Fn(&MailboxEntry) -> bool,
    ) -> Result<(), MappingError> {
        let is_selected = |node: &Node<'_>| node.entry.is_some_and(&selected);
        if self.nodes.iter().any(|node| node.is_inbox() && node.rule.is_none() && is_selected(node)) {
            claims.claim("INBOX", "INBOX");
        }
        let (own, others): (Vec<_>, Vec<_>) = self
            .nodes
            .iter_mut()
            .filter_map(|node| node.rule.map(|rule| (node, rule)))
            .partition(|(node, _)| is_selected(node));
        for (node, rule) in own {
            if let Some(rival) = claims.holder(rule) {
                return Err(MappingError::Merged {
                    first: rival.source.clone(),
                    second: node.source().to_owned(),
                    target: rule.to_owned(),
                });
            }
            claims.claim(rule, node.source());
            node.settle(rule, Origin::Explicit);
        }
        for (node, rule) in others {
            if node.entry.is_none() {
                node.settle(rule, Origin::Explicit);
            } else if claims.is_free(rule) {
                claims.claim(rule, node.source());
                node.settle(rule, Origin::Explicit);
            }
        }
        Ok(())
    }

    /// INBOX goes to INBOX. `PREFIX` + `INBOX` is reserved with it, because servers disagree on whether that is the
    /// INBOX too.
    fn fix_inbox(&mut self, claims: &mut Claims<'_>, shape: &TargetShape) {
        let taken = claims.holder("INBOX").is_some_and(|claim| claim.source != "INBOX");
        let inbox = self.by_text.get("INBOX").map(|place| &mut self.nodes[*place]);
        if let Some(inbox) = inbox.filter(|inbox| inbox.target.is_none() && !taken) {
            inbox.settle("INBOX", Origin::Name);
        }
        for name in ["INBOX".to_owned(), shape.at_top("INBOX")] {
            if claims.is_free(&name) {
                claims.claim(&name, "INBOX");
            }
        }
    }

    /// Names everything on one level whose name is not fixed yet.
    fn name_level(&mut self, depth: usize, claims: &mut Claims<'_>, target: &Target<'_>) {
        let (existing, shape) = (&target.existing, &target.shape);
        let level: Vec<usize> = (0..self.nodes.len()).filter(|place| self.nodes[*place].depth == depth).collect();
        let mut open: Vec<(usize, String)> = Vec::new();
        for place in level {
            if self.nodes[place].target.is_some() {
                continue;
            }
            let natural = self.natural(place, shape);
            if self.nodes[place].entry.is_none() {
                self.name_empty_node(place, &natural, existing);
            } else if !self.keep_stored(place, &natural, claims, target) {
                open.push((place, natural));
            }
        }
        // A name that stands as it is goes before one that had to be respelt: `a_b` before the `a.b` that becomes it.
        let rank = |place: usize| (self.nodes[place].respelt, self.nodes[place].text.as_str());
        open.sort_by(|one, other| rank(one.0).cmp(&rank(other.0)));
        self.take(&mut open, claims, shape, |natural, claims| {
            Some(natural.to_owned()).filter(|name| existing.contains(name) && claims.is_free(name))
        });
        self.take(&mut open, claims, shape, |natural, claims| {
            existing.spellings(natural).find(|name| claims.is_free(name)).cloned()
        });
        self.take(&mut open, claims, shape, |natural, claims| {
            Some(natural.to_owned()).filter(|name| claims.is_free(name))
        });
        for (place, natural) in open {
            let taken_by = claims.holder(&natural).map(|claim| claim.source.clone()).unwrap_or_default();
            let name = claims.claim_numbered(&natural, self.nodes[place].source());
            self.finish(place, &natural, &name, shape);
            self.nodes[place].remarks.push(MappingRemark::KeptApart { wanted: natural, taken_by });
        }
    }

    /// The name below whatever the parent was given.
    fn natural(&self, place: usize, shape: &TargetShape) -> String {
        let node = &self.nodes[place];
        match node.parent {
            _ if node.is_inbox() => node.plain.clone(),
            Some(parent) => {
                let above = &self.nodes[parent];
                shape.below(above.target.as_ref().unwrap_or(&above.plain), &node.part)
            }
            None => node.plain.clone(),
        }
    }

    /// A name above mailboxes holds no mail, so it may be shared. It keeps the name that it had while it held mail,
    /// and else takes the spelling that the target has.
    fn name_empty_node(&mut self, place: usize, natural: &str, existing: &Existing<'_>) {
        let origin = self.inherited_origin(place);
        let earlier = self.nodes[place].stored.take().filter(|_| origin != Origin::Explicit);
        let spelling = || match existing.contains(natural) {
            true => None,
            false => existing.spellings(natural).next().cloned(),
        };
        let name = earlier.or_else(spelling).unwrap_or_else(|| natural.to_owned());
        self.nodes[place].settle(&name, origin);
    }

    fn inherited_origin(&self, place: usize) -> Origin {
        match self.nodes[place].parent.map(|parent| self.nodes[parent].origin) {
            Some(Origin::Explicit) => Origin::Explicit,
            _ => Origin::Name,
        }
    }

    /// Gives names to those for which `choose` finds one.
    fn take(
        &mut self,
        open: &mut Vec<(usize, String)>,
        claims: &mut Claims<'_>,
        shape: &TargetShape,
        choose: impl Fn(&str, &Claims<'_>) -> Option<String>,
    ) {
        open.retain(|(place, natural)| {
            let Some(name) = choose(natural, claims) else { return true };
            claims.claim(&name, self.nodes[*place].source());
            self.finish(*place, natural, &name, shape);
            false
        });
    }

    fn finish(&mut self, place: usize, natural: &str, name: &str, shape: &TargetShape) {
        let origin = self.inherited_origin(place);
        let flattened = shape.delimiter.is_none() && self.nodes[place].parent.is_some();
        let node = &mut self.nodes[place];
        node.settle(name, origin);
        if node.respelt {
            node.remarks.push(MappingRemark::CharactersReplaced);
        }
        if flattened {
            node.remarks.push(MappingRemark::Flattened);
        }
        if name != natural && fold(name) == fold(natural) {
            node.remarks.push(MappingRemark::OtherSpelling);
        }
    }
}
