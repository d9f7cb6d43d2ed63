//! The source's hierarchy, in which every name knows the one above it.

use super::candidates::Candidate;
use super::names::{self, TargetShape, with_plain_inbox};
use super::rules::ExplicitRules;
use super::target::Existing;
use super::{AccountListing, MailboxEntry, MappedMailbox, MappingRemark, Origin};
use mailhaul_types::SpecialUse;
use std::collections::BTreeMap;

/// Deepest hierarchy that is followed. What lies deeper keeps its delimiters as characters of one last part, so that
/// a name of a million delimiters costs no more than its length.
const DEPTH_MAX: usize = 64;

/// A mailbox, or a name above one.
pub(super) struct Node<'a> {
    /// The full source name, with a plain INBOX.
    pub(super) text: String,
    /// Its last part.
    pub(super) part: String,
    pub(super) parent: Option<usize>,
    pub(super) depth: usize,
    pub(super) delimiter: Option<char>,
    /// The mailbox that is copied, if there is one here.
    pub(super) entry: Option<&'a MailboxEntry>,
    pub(super) foreign: bool,
    /// The name without any rule, earlier run, special use or collision.
    pub(super) plain: String,
    /// A name given by `--map` for just this node.
    pub(super) rule: Option<&'a str>,
    /// A name from an earlier run that is claimed but not yet found to follow from the rules.
    pub(super) stored: Option<String>,
    /// Whether that name stays although no rule leads to it.
    pub(super) kept: bool,
    /// The target name, once decided.
    pub(super) target: Option<String>,
    pub(super) origin: Origin,
    /// Whether the part, or one above it, had to be spelt differently.
    pub(super) respelt: bool,
    pub(super) used_for: Option<SpecialUse>,
    pub(super) remarks: Vec<MappingRemark>,
}

impl Node<'_> {
    pub(super) fn is_inbox(&self) -> bool {
        self.text == "INBOX"
    }

    /// The source mailbox's name as it is listed, or as it would be.
    pub(super) fn source(&self) -> &str {
        self.entry.map_or(&self.text, |entry| entry.name.text())
    }

    pub(super) fn settle(&mut self, target: &str, origin: Origin) {
        self.target = Some(target.to_owned());
        self.origin = origin;
    }

    pub(super) fn into_mapped(mut self, entry: &MailboxEntry, existing: &Existing<'_>) -> MappedMailbox {
        let target_text = self.target.unwrap_or(self.plain);
        if let Some(view @ (SpecialUse::All | SpecialUse::Flagged)) = entry.special_use {
            self.remarks.push(MappingRemark::Virtual(view));
        }
        if self.foreign {
            self.remarks.push(MappingRemark::OtherNamespace);
        }
        let listed = existing.get(&target_text);
        MappedMailbox {
            source: entry.name.clone(),
            exists_on_target: listed.is_some_and(|listed| listed.selectable),
            listed_name: listed.map(|listed| listed.name.clone()),
            target_text,
            special_use: entry.special_use.or(self.used_for),
            subscribed: entry.subscribed,
            origin: self.origin,
            remarks: self.remarks,
        }
    }
}

/// The source's hierarchy; parents stand before their children.
pub(super) struct Tree<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) by_text: BTreeMap<String, usize>,
    /// Where the source did not declare its namespaces, its prefix is a guess that a later listing may overturn.
    pub(super) prefix_guessed: bool,
}

impl<'a> Tree<'a> {
    pub(super) fn build(
        source: &AccountListing,
        shape: &TargetShape,
        candidates: &[Candidate<'a>],
        explicit: &'a ExplicitRules<'_>,
    ) -> Self {
        let own = TargetShape::of(source);
        let mut tree = Self { nodes: Vec::new(), by_text: BTreeMap::new(), prefix_guessed: !own.declared };
        for candidate in candidates {
            tree.add(candidate, &own, shape, explicit);
        }
        tree
    }

    /// Adds a mailbox and the names above it.
    fn add(&mut self, candidate: &Candidate<'a>, own: &TargetShape, shape: &TargetShape, explicit: &'a ExplicitRules) {
        let entry = candidate.entry;
        let text = entry.name.text();
        // A prefix ends where the first part begins; INBOX itself, and names outside the prefix, have none.
        let prefix = if candidate.foreign { "" } else { own.prefix.as_str() };
        let start = names::strip_prefix(text, prefix).filter(|rest| !rest.is_empty()).map_or(0, |_| prefix.len());
        let parts = parts(text, start, entry.delimiter);
        let mut parent = None;
        for (depth, (part, end)) in parts.iter().enumerate() {
            let last = depth + 1 == parts.len();
            let key = if last {
                self.own_key(text, entry.delimiter)
            } else {
                with_plain_inbox(&text[..*end], entry.delimiter)
            };
            let place = match self.by_text.get(&key) {
                Some(place) => *place,
                None => self.push_node(key, part, parent, depth, entry.delimiter, shape, explicit),
            };
            if last {
                self.nodes[place].entry = Some(entry);
                self.nodes[place].foreign = candidate.foreign;
            }
            parent = Some(place);
        }
    }

    /// Mailboxes are found by what lies below them under the name with a plain INBOX, unless two of them differ only
    /// by the case of that part.
    fn own_key(&self, text: &str, delimiter: Option<char>) -> String {
        let plain = with_plain_inbox(text, delimiter);
        let taken = self.by_text.get(&plain).is_some_and(|place| self.nodes[*place].entry.is_some());
        if taken { text.to_owned() } else { plain }
    }

    #[expect(clippy::too_many_arguments, reason = "the one place where nodes are made")]
    fn push_node(
        &mut self,
        text: String,
        part: &str,
        parent: Option<usize>,
        depth: usize,
        delimiter: Option<char>,
        shape: &TargetShape,
        explicit: &'a ExplicitRules,
    ) -> usize {
        let (spelt, changed) = shape.spell_part(part);
        let above = parent.map(|parent| &self.nodes[parent]);
        let plain = match above {
            _ if text == "INBOX" => text.clone(),
            Some(above) => shape.below(&above.plain, &spelt),
            None => shape.at_top(&spelt),
        };
        let place = self.nodes.len();
        self.nodes.push(Node {
            rule: explicit.target_of(&text, delimiter),
            part: spelt,
            parent,
            depth,
            delimiter,
            entry: None,
            foreign: false,
            plain,
            stored: None,
            kept: false,
            target: None,
            origin: Origin::Name,
            respelt: changed || above.is_some_and(|above| above.respelt),
            used_for: None,
            remarks: Vec::new(),
            text: text.clone(),
        });
        self.by_text.insert(text, place);
        place
    }

    pub(super) fn depth(&self) -> usize {
        self.nodes.iter().map(|node| node.depth + 1).max().unwrap_or(0)
    }

    /// Whether a `--map` for this node or for one above it decides its name.
    pub(super) fn below_rule(&self, node: &Node<'_>) -> bool {
        let mut node = node;
        loop {
            match (node.rule, node.parent) {
                (Some(_), _) => return true,
                (None, Some(parent)) => node = &self.nodes[parent],
                (None, None) => return false,
            }
        }
    }
}

/// The parts of `text` from `start` on, each with the place where it ends. A delimiter at the very end separates
/// nothing.
fn parts(text: &str, start: usize, delimiter: Option<char>) -> Vec<(&str, usize)> {
    let whole = delimiter.and_then(|delimiter| text.strip_suffix(delimiter)).filter(|whole| whole.len() > start);
    let whole = whole.unwrap_or(text);
    let gap = delimiter.map_or(0, char::len_utf8);
    let cuts = delimiter.into_iter().flat_map(|delimiter| whole[start..].match_indices(delimiter));
    let ends = cuts.map(|(at, _)| start + at).take(DEPTH_MAX - 1).chain([whole.len()]);
    let mut from = start;
    ends.map(|end| {
        let part = (&whole[from..end], end);
        from = end + gap;
        part
    })
    .collect()
}
