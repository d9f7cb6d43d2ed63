//! The mapping itself: the source's mailboxes as a tree, and a target name for each node from the top down.
//!
//! Names that are fixed from outside (rules, INBOX, earlier runs, special use) are claimed first; then each level of
//! the tree takes what is left, names that the target has already before new ones. A node's name begins with its
//! parent's, so whatever renames a mailbox takes along what lies below it.

use super::names::{self, TargetShape, fold, with_plain_inbox, without_number};
use super::special::{MAPPED_USES, use_of_name};
use super::{
    AccountListing, Glob, LeftOut, LeftOutReason, MailboxEntry, MappedMailbox, Mapping, MappingError, MappingRemark,
    MappingRules, Origin,
};
use mailhaul_types::SpecialUse;
use std::collections::{BTreeMap, BTreeSet};

/// Deepest hierarchy that is followed. What lies deeper keeps its delimiters as characters of one last part, so that
/// a name of a million delimiters costs no more than its length.
const DEPTH_MAX: usize = 64;

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
    let shape = TargetShape::of(target);
    let explicit = ExplicitRules::read(rules, source, &shape)?;
    let (candidates, mut left_out) = candidates(source, rules);
    let wanted = Wanted::read(rules);
    let existing = Existing::of(target);
    let mut tree = Tree::build(source, &shape, &candidates, &explicit);
    let mut claims = Claims { by_fold: BTreeMap::new(), existing: &existing.names, next_number: BTreeMap::new() };

    tree.fix_explicit(&mut claims, |entry| wanted.judge(entry).is_none())?;
    tree.fix_inbox(&mut claims, &shape);
    tree.fix_stored(&mut claims, stored);
    tree.fix_special_uses(&mut claims, target, &existing, &shape);
    for depth in 0..tree.depth() {
        tree.name_level(depth, &mut claims, &existing, &shape);
    }

    let unused_rules = explicit.unused(&tree).chain(wanted.unused(&candidates)).collect();
    let mut mailboxes = Vec::new();
    for node in tree.nodes {
        let Some(entry) = node.entry else { continue };
        match wanted.judge(entry) {
            Some(reason) => left_out.push(LeftOut { source: entry.name.clone(), reason }),
            None => mailboxes.push(node.into_mapped(entry, &existing)),
        }
    }
    mailboxes.sort_by(|one, other| {
        (!one.source.is_inbox(), one.source.text()).cmp(&(!other.source.is_inbox(), other.source.text()))
    });
    left_out.sort_by(|one, other| one.source.cmp(&other.source));
    Ok(Mapping { mailboxes, left_out, unused_rules, shape })
}

/// A mailbox that gets a target name.
struct Candidate<'a> {
    entry: &'a MailboxEntry,
    /// From a namespace that is not the user's own.
    foreign: bool,
}

/// Those that can be copied at all, by text, and those that cannot.
fn candidates<'a>(source: &'a AccountListing, rules: &MappingRules) -> (Vec<Candidate<'a>>, Vec<LeftOut>) {
    let mut listed: Vec<&MailboxEntry> = source.mailboxes.iter().collect();
    listed.sort_by(|one, other| (&one.name, !one.selectable).cmp(&(&other.name, !other.selectable)));
    let (mut candidates, mut left_out): (Vec<Candidate<'a>>, Vec<LeftOut>) = (Vec::new(), Vec::new());
    let mut seen: Option<&MailboxEntry> = None;
    for entry in listed {
        let same_text = seen.is_some_and(|seen| seen.name.text() == entry.name.text());
        if same_text && seen.is_some_and(|seen| seen.name == entry.name) {
            continue;
        }
        seen = Some(entry);
        let foreign = is_foreign(entry, source);
        let reason = match () {
            () if !entry.selectable => LeftOutReason::NotSelectable,
            () if foreign && !rules.all_namespaces => LeftOutReason::OtherNamespace,
            () if same_text => LeftOutReason::SameText,
            () => {
                candidates.push(Candidate { entry, foreign });
                continue;
            }
        };
        left_out.push(LeftOut { source: entry.name.clone(), reason });
    }
    (candidates, left_out)
}

/// Whether the longest prefix that fits belongs to other users or to all. A name that no namespace fits is the
/// user's own: leaving it out needs a reason.
fn is_foreign(entry: &MailboxEntry, source: &AccountListing) -> bool {
    if entry.name.is_inbox() {
        return false;
    }
    let longest = |namespaces: &[super::Namespace]| {
        let fitting = namespaces.iter().filter(|namespace| lies_in(entry.name.text(), namespace));
        fitting.map(|namespace| namespace.prefix.len()).max()
    };
    let spaces = &source.namespaces;
    let foreign = longest(&spaces.other).max(longest(&spaces.shared));
    foreign > longest(&spaces.personal)
}

/// Below the prefix, or the mailbox that the prefix without its delimiter names.
fn lies_in(name: &str, namespace: &super::Namespace) -> bool {
    let bare = namespace.delimiter.and_then(|delimiter| namespace.prefix.strip_suffix(delimiter));
    names::strip_prefix(name, &namespace.prefix).is_some() || bare == Some(name)
}

/// `--map`, checked.
struct ExplicitRules<'a> {
    /// OLD as a source name with a plain INBOX → NEW and the pair as it was given.
    by_old: BTreeMap<String, (String, &'a (String, String))>,
}

impl<'a> ExplicitRules<'a> {
    fn read(rules: &'a MappingRules, source: &AccountListing, shape: &TargetShape) -> Result<Self, MappingError> {
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

    fn target_of(&self, source_text: &str, delimiter: Option<char>) -> Option<&str> {
        self.by_old.get(&with_plain_inbox(source_text, delimiter)).map(|(new, _)| new.as_str())
    }

    /// Those whose OLD is no mailbox and lies above none.
    fn unused(&self, tree: &Tree<'_>) -> impl Iterator<Item = String> {
        let met: BTreeSet<String> =
            tree.nodes.iter().map(|node| with_plain_inbox(&node.text, node.delimiter)).collect();
        let unused = self.by_old.iter().filter(move |(old, _)| !met.contains(*old));
        unused.map(|(_, (_, (old, new)))| format!("{old}={new}")).collect::<Vec<_>>().into_iter()
    }
}

/// A delimiter at the end of what the operator typed means nothing.
fn without_delimiter(name: &str, delimiter: Option<char>) -> &str {
    delimiter.and_then(|delimiter| name.strip_suffix(delimiter)).unwrap_or(name)
}

/// `--mailbox` and `--exclude`.
struct Wanted<'a> {
    include: Vec<(&'a str, Glob)>,
    exclude: Vec<(&'a str, Glob)>,
}

impl<'a> Wanted<'a> {
    fn read(rules: &'a MappingRules) -> Self {
        let globs = |patterns: &'a [String]| {
            patterns.iter().map(|pattern| (pattern.as_str(), Glob::new(pattern))).collect::<Vec<_>>()
        };
        Self { include: globs(&rules.include), exclude: globs(&rules.exclude) }
    }

    /// Why a mailbox is left out, if it is.
    fn judge(&self, entry: &MailboxEntry) -> Option<LeftOutReason> {
        let fits = |(_, glob): &&(&str, Glob)| glob.matches(entry.name.text(), entry.delimiter);
        if !self.include.is_empty() && !self.include.iter().any(|glob| fits(&glob)) {
            return Some(LeftOutReason::NotIncluded);
        }
        self.exclude.iter().find(fits).map(|(pattern, _)| LeftOutReason::Excluded((*pattern).to_owned()))
    }

    fn unused<'b>(&'b self, candidates: &'b [Candidate<'_>]) -> impl Iterator<Item = String> + 'b {
        let fits_none = |glob: &Glob| {
            !candidates.iter().any(|candidate| glob.matches(candidate.entry.name.text(), candidate.entry.delimiter))
        };
        self.include.iter().filter(move |(_, glob)| fits_none(glob)).map(|(pattern, _)| (*pattern).to_owned())
    }
}

/// The names that the target has.
struct Existing {
    /// All of them, whether or not they hold messages.
    names: BTreeSet<String>,
    /// Those that hold messages.
    selectable: BTreeSet<String>,
    by_fold: BTreeMap<String, Vec<String>>,
}

impl Existing {
    fn of(target: &AccountListing) -> Self {
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
    fn spellings<'b>(&'b self, name: &str) -> impl Iterator<Item = &'b String> + use<'b> {
        self.by_fold.get(&fold(name)).into_iter().flatten()
    }
}

/// Which target names are taken, and by whom.
struct Claims<'a> {
    by_fold: BTreeMap<String, Vec<Claim>>,
    existing: &'a BTreeSet<String>,
    /// Where to go on counting for a name that many want.
    next_number: BTreeMap<String, u32>,
}

struct Claim {
    target: String,
    source: String,
}

impl Claims<'_> {
    /// The source mailbox that has this name or one that a server may take for it. Two names that the target shows
    /// side by side are proved to be two.
    fn holder(&self, target: &str) -> Option<&Claim> {
        let rivals = self.by_fold.get(&fold(target))?;
        rivals.iter().find(|rival| {
            let proved_apart =
                rival.target != target && self.existing.contains(&rival.target) && self.existing.contains(target);
            !proved_apart
        })
    }

    fn is_free(&self, target: &str) -> bool {
        self.holder(target).is_none()
    }

    fn claim(&mut self, target: &str, source: &str) {
        let claim = Claim { target: target.to_owned(), source: source.to_owned() };
        self.by_fold.entry(fold(target)).or_default().push(claim);
    }

    fn release(&mut self, target: &str, source: &str) {
        if let Some(rivals) = self.by_fold.get_mut(&fold(target)) {
            rivals.retain(|rival| rival.source != source);
        }
    }

    /// The first free name among `name-2`, `name-3`, …
    fn next_free(&mut self, name: &str) -> String {
        let start = self.next_number.get(&fold(name)).copied().unwrap_or(2);
        for (number, candidate) in (start..).map(|number| (number, format!("{name}-{number}"))) {
            if self.is_free(&candidate) {
                self.next_number.insert(fold(name), number.saturating_add(1));
                return candidate;
            }
        }
        unreachable!("there are fewer mailboxes than numbers")
    }
}

/// A mailbox, or a name above one.
struct Node<'a> {
    /// The full source name.
    text: String,
    /// Its last part.
    part: String,
    parent: Option<usize>,
    depth: usize,
    delimiter: Option<char>,
    /// The mailbox that is copied, if there is one here.
    entry: Option<&'a MailboxEntry>,
    foreign: bool,
    /// The name without any rule, earlier run, special use or collision.
    plain: String,
    /// A name given by `--map` for just this node.
    rule: Option<&'a str>,
    /// A name from an earlier run that is claimed but not yet found to follow from the rules.
    stored: Option<String>,
    /// The target name, once decided.
    target: Option<String>,
    origin: Origin,
    /// Whether the part, or one above it, had to be spelt differently.
    respelt: bool,
    used_for: Option<SpecialUse>,
    remarks: Vec<MappingRemark>,
}

impl Node<'_> {
    fn is_inbox(&self) -> bool {
        self.text == "INBOX"
    }

    fn settle(&mut self, target: &str, origin: Origin) {
        self.target = Some(target.to_owned());
        self.origin = origin;
    }

    fn into_mapped(mut self, entry: &MailboxEntry, existing: &Existing) -> MappedMailbox {
        let target_text = self.target.unwrap_or(self.plain);
        if let Some(view @ (SpecialUse::All | SpecialUse::Flagged)) = entry.special_use {
            self.remarks.push(MappingRemark::Virtual(view));
        }
        if self.foreign {
            self.remarks.push(MappingRemark::OtherNamespace);
        }
        MappedMailbox {
            source: entry.name.clone(),
            exists_on_target: existing.selectable.contains(&target_text),
            target_text,
            special_use: entry.special_use.or(self.used_for),
            subscribed: entry.subscribed,
            origin: self.origin,
            remarks: self.remarks,
        }
    }
}

/// The source's hierarchy; parents stand before their children.
struct Tree<'a> {
    nodes: Vec<Node<'a>>,
    by_text: BTreeMap<String, usize>,
    /// Where the source did not declare its namespaces, its prefix is a guess that a later listing may overturn.
    prefix_guessed: bool,
}

impl<'a> Tree<'a> {
    fn build(
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
        let mut parent = None;
        for (depth, (part, end)) in parts(text, start, entry.delimiter).into_iter().enumerate() {
            let last = end == text.len();
            // The names above are looked up with a plain INBOX; the mailbox's own name is its own.
            let node_text = if last { text.to_owned() } else { with_plain_inbox(&text[..end], entry.delimiter) };
            let place = match self.by_text.get(&node_text) {
                Some(place) => *place,
                None => self.push_node(node_text, part, parent, depth, entry.delimiter, shape, explicit),
            };
            if last {
                self.nodes[place].entry = Some(entry);
                self.nodes[place].foreign = candidate.foreign;
            }
            parent = Some(place);
        }
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

    fn depth(&self) -> usize {
        self.nodes.iter().map(|node| node.depth + 1).max().unwrap_or(0)
    }

    /// Names given by `--map`. Two selected mailboxes on one name are an error; of a pair of which one is not part of
    /// this run, the selected one has the name.
    fn fix_explicit(
        &mut self,
        claims: &mut Claims<'_>,
        selected: impl Fn(&MailboxEntry) -> bool,
    ) -> Result<(), MappingError> {
        let is_selected = |node: &Node<'_>| node.entry.is_some_and(&selected);
        let inbox = self.nodes.iter().find(|node| node.is_inbox() && node.rule.is_none() && is_selected(node));
        let mut chosen: Vec<(String, String)> =
            inbox.map(|node| ("INBOX".to_owned(), node.text.clone())).into_iter().collect();
        for node in self.nodes.iter_mut().filter(|node| node.rule.is_some()) {
            let rule = node.rule.expect("filtered by it");
            if is_selected(node) {
                let rival = chosen.iter().find(|(target, _)| fold(target) == fold(rule));
                let apart =
                    |other: &str| other != rule && claims.existing.contains(other) && claims.existing.contains(rule);
                if let Some((target, first)) = rival.filter(|(target, _)| !apart(target)) {
                    return Err(MappingError::Merged {
                        first: first.clone(),
                        second: node.text.clone(),
                        target: target.clone(),
                    });
                }
                chosen.push((rule.to_owned(), node.text.clone()));
                claims.claim(rule, &node.text);
            }
            if node.entry.is_none() || is_selected(node) {
                node.settle(rule, Origin::Explicit);
            }
        }
        for node in self.nodes.iter_mut().filter(|node| node.rule.is_some() && node.target.is_none()) {
            let rule = node.rule.expect("filtered by it");
            if claims.is_free(rule) {
                claims.claim(rule, &node.text);
                node.settle(rule, Origin::Explicit);
            }
        }
        Ok(())
    }

    /// INBOX goes to INBOX. `PREFIX` + `INBOX` is reserved with it, because servers disagree on whether that is the
    /// INBOX too.
    fn fix_inbox(&mut self, claims: &mut Claims<'_>, shape: &TargetShape) {
        let inbox = self.by_text.get("INBOX").map(|place| &mut self.nodes[*place]);
        if let Some(inbox) = inbox.filter(|inbox| inbox.target.is_none() && claims.is_free("INBOX")) {
            inbox.settle("INBOX", Origin::Name);
        }
        for name in ["INBOX".to_owned(), shape.at_top("INBOX")] {
            if claims.is_free(&name) {
                claims.claim(&name, "INBOX");
            }
        }
    }

    /// Names of earlier runs are claimed, so that nobody else gets them; whether they still hold is seen later.
    fn fix_stored(&mut self, claims: &mut Claims<'_>, stored: &BTreeMap<String, String>) {
        for node in self.nodes.iter_mut().filter(|node| node.entry.is_some() && node.target.is_none()) {
            let Some(earlier) = stored.get(&node.text) else { continue };
            if claims.is_free(earlier) {
                claims.claim(earlier, &node.text);
                node.stored = Some(earlier.clone());
            }
        }
    }

    /// Brings mailboxes for the same use together, where the two sides call them differently.
    fn fix_special_uses(
        &mut self,
        claims: &mut Claims<'_>,
        target: &AccountListing,
        existing: &Existing,
        shape: &TargetShape,
    ) {
        for used_for in MAPPED_USES {
            let Some(there) = special_on_target(target, used_for, shape) else { continue };
            if !claims.is_free(&there.name) {
                continue;
            }
            let Some((place, announced)) = self.special_at_source(used_for, &there, existing) else { continue };
            let node = &mut self.nodes[place];
            claims.claim(&there.name, &node.text);
            if node.plain == there.name {
                node.settle(&there.name, Origin::Name);
            } else {
                node.settle(&there.name, Origin::SpecialUse);
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
        there: &SpecialTarget,
        existing: &Existing,
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
        let settled = |node: &Node<'_>| !free(node) || fold(&node.plain) == fold(&there.name);
        if named.iter().any(|(_, node)| settled(node)) {
            return None;
        }
        let named: Vec<usize> = named
            .into_iter()
            .filter(|(_, node)| !existing.names.contains(&node.plain))
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
    fn use_by_name(&self, node: &Node<'_>) -> Option<SpecialUse> {
        let above = node.parent.map(|parent| &self.nodes[parent]);
        let high = above.is_none_or(|above| {
            above.parent.is_none() && (above.is_inbox() || (above.part.starts_with('[') && above.part.ends_with(']')))
        });
        high.then(|| use_of_name(&node.part)).flatten()
    }

    /// Whether a `--map` for this node or for one above it decides its name.
    fn below_rule(&self, node: &Node<'_>) -> bool {
        let mut node = node;
        loop {
            match (node.rule, node.parent) {
                (Some(_), _) => return true,
                (None, Some(parent)) => node = &self.nodes[parent],
                (None, None) => return false,
            }
        }
    }

    /// Names everything on one level whose name is not fixed yet.
    fn name_level(&mut self, depth: usize, claims: &mut Claims<'_>, existing: &Existing, shape: &TargetShape) {
        let level: Vec<usize> = (0..self.nodes.len()).filter(|place| self.nodes[*place].depth == depth).collect();
        let mut open: Vec<(usize, String)> = Vec::new();
        for place in level {
            if self.nodes[place].target.is_some() {
                continue;
            }
            let natural = self.natural(place, shape);
            if self.nodes[place].entry.is_none() {
                self.name_empty_node(place, &natural, existing);
            } else if !self.keep_stored(place, &natural, claims, shape) {
                open.push((place, natural));
            }
        }
        open.sort_by(|one, other| self.nodes[one.0].text.cmp(&self.nodes[other.0].text));
        self.take(&mut open, claims, shape, |natural, claims| {
            Some(natural.to_owned()).filter(|name| existing.names.contains(name) && claims.is_free(name))
        });
        self.take(&mut open, claims, shape, |natural, claims| {
            existing.spellings(natural).find(|name| claims.is_free(name)).cloned()
        });
        self.take(&mut open, claims, shape, |natural, claims| {
            Some(natural.to_owned()).filter(|name| claims.is_free(name))
        });
        for (place, natural) in open {
            let taken_by = claims.holder(&natural).map(|claim| claim.source.clone()).unwrap_or_default();
            let name = claims.next_free(&natural);
            claims.claim(&name, &self.nodes[place].text);
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

    /// A name above mailboxes holds no mail, so it may be shared; it only takes the spelling that the target has.
    fn name_empty_node(&mut self, place: usize, natural: &str, existing: &Existing) {
        let spelling = match existing.names.contains(natural) {
            true => None,
            false => existing.spellings(natural).next(),
        };
        let origin = self.inherited_origin(place);
        self.nodes[place].settle(spelling.map_or(natural, String::as_str), origin);
    }

    fn inherited_origin(&self, place: usize) -> Origin {
        match self.nodes[place].parent.map(|parent| self.nodes[parent].origin) {
            Some(Origin::Explicit) => Origin::Explicit,
            _ => Origin::Name,
        }
    }

    /// Keeps the name of an earlier run if it follows from today's rules, else gives its claim back.
    fn keep_stored(&mut self, place: usize, natural: &str, claims: &mut Claims<'_>, shape: &TargetShape) -> bool {
        let Some(stored) = self.nodes[place].stored.take() else { return false };
        if !self.follows_from_rules(place, natural, &stored, shape) {
            claims.release(&stored, &self.nodes[place].text);
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
            claims.claim(&name, &self.nodes[*place].text);
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

/// The target's mailbox for a use.
struct SpecialTarget {
    name: String,
    announced: bool,
}

/// Announced; or else the only one whose name, at the top, speaks of it.
fn special_on_target(target: &AccountListing, used_for: SpecialUse, shape: &TargetShape) -> Option<SpecialTarget> {
    let selectable = || target.mailboxes.iter().filter(|entry| entry.selectable && !is_foreign(entry, target));
    let announced = selectable().filter(|entry| entry.special_use == Some(used_for)).map(|entry| entry.name.text());
    if let Some(name) = announced.min() {
        return Some(SpecialTarget { name: name.to_owned(), announced: true });
    }
    let mut named = selectable()
        .filter(|entry| entry.special_use.is_none())
        .filter(|entry| names::strip_prefix(entry.name.text(), &shape.prefix).and_then(use_of_name) == Some(used_for));
    let only = named.next()?;
    named.next().is_none().then(|| SpecialTarget { name: only.name.text().to_owned(), announced: false })
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

/// The parts of `text` from `start` on, each with the place where it ends.
fn parts(text: &str, start: usize, delimiter: Option<char>) -> Vec<(&str, usize)> {
    let rest = &text[start..];
    let pieces: Vec<&str> = match delimiter {
        Some(delimiter) => rest.splitn(DEPTH_MAX, delimiter).collect(),
        None => vec![rest],
    };
    let mut end = start;
    let gap = delimiter.map_or(0, char::len_utf8);
    pieces
        .into_iter()
        .map(|piece| {
            let from = if end == start && piece.as_ptr() == rest.as_ptr() { start } else { end + gap };
            end = from + piece.len();
            (piece, end)
        })
        .collect()
}
