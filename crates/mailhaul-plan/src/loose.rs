//! Matching once more what keys have left over on both sides, for servers that alter what they are given.
//!
//! A munged or rewritten header makes another key, so a copy whose answer was lost would not be recognised and be sent
//! again. What is left over is therefore compared by a [`Likeness`], and paired only where the contents prove that it is
//! the same mail: equal bodies, under headers in which nothing that stands in both says something else. Where a server is
//! *known* to rebuild bodies, its headers have to do.
//!
//! As everywhere, messages are multisets: of two mails that look alike once they are munged, the count decides. A draft is
//! never recognised by less than everything it was recognised by before, because its author edits it under its header.

use crate::likeness::{Likeness, Print};
use mailhaul_types::{Uid, UidSet};
use std::collections::{BTreeMap, BTreeSet};

/// Comparisons in vain that one group of messages with equal bodies may cost. Beyond that nothing more is recognised in
/// it: it takes many hundreds of mails that differ in their headers only.
const TRIES_MAX: usize = 200_000;

/// A message that keys have left over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loose {
    /// Its UID on its own side.
    pub uid: Uid,
    /// What it is recognised by.
    pub likeness: Likeness,
    /// Internal date in Unix seconds; `None` if unreadable.
    pub date: Option<i64>,
    /// Whether it has the flag `\Draft`, or stands where drafts are kept.
    pub draft: bool,
    /// Whether it was sent, and nobody knows what became of it: then this very message is looked for, and not what its
    /// author may have made of it.
    pub sent: bool,
}

/// What is known of what a server makes of bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bodies {
    /// It keeps their octets, as may be expected of any server.
    Kept,
    /// It takes them apart and puts them together again.
    Rebuilt,
    /// There is nothing to see it by. What was not seen is not assumed: as if they were kept.
    Unknown,
}

/// Contents by UID.
pub type Prints = BTreeMap<Uid, Print>;

/// The messages on both sides that look like any on the other: those whose contents must be known.
#[must_use]
pub fn worth_comparing(source: &[Loose], target: &[Loose]) -> (UidSet, UidSet) {
    (alike_to_any(source, target), alike_to_any(target, source))
}

fn alike_to_any(ours: &[Loose], theirs: &[Loose]) -> UidSet {
    let traits: BTreeSet<Trait> = theirs.iter().flat_map(|loose| traits(loose.likeness)).flatten().collect();
    let alike = |loose: &&Loose| wanted(loose.likeness).into_iter().flatten().any(|one| traits.contains(&one));
    let mut uids: Vec<Uid> = ours.iter().filter(alike).map(|loose| loose.uid).collect();
    uids.sort_unstable();
    uids.into_iter().collect()
}

/// In what respect a message may be like another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trait {
    MessageId(u64),
    /// Date, From and Subject, whether or not there is a Message-ID.
    Core(u64),
    /// Date, From and Subject of a message without a Message-ID.
    PlainCore(u64),
    /// The identity fields of a message without a Message-ID.
    Plain(u64),
    /// There is no identity field.
    Nothing,
}

fn traits(Likeness { message_id, others, core }: Likeness) -> [Option<Trait>; 5] {
    let has_none = message_id.is_none();
    let nothing = (has_none && others.is_none()).then_some(Trait::Nothing);
    let plain = others.filter(|_| has_none).map(Trait::Plain);
    let plain_core = core.filter(|_| has_none).map(Trait::PlainCore);
    [message_id.map(Trait::MessageId), core.map(Trait::Core), plain_core, plain, nothing]
}

/// What another message must have to be like this one. Two different Message-IDs are two mails.
fn wanted(likeness: Likeness) -> [Option<Trait>; 5] {
    let [by_id, any, _, plain, nothing] = traits(likeness);
    let any = any.filter(|_| likeness.message_id.is_none());
    [by_id, any, likeness.core.map(Trait::PlainCore), plain, nothing]
}

/// Pairs what is the same mail for all that can be known, (source UID, target UID) by source UID. A message without a
/// print equals nothing. Of several source messages, those that come first in the list are served first.
#[must_use]
pub fn match_loosely(
    (source, source_prints): (&[Loose], &Prints),
    (target, target_prints): (&[Loose], &Prints),
    bodies: Bodies,
) -> Vec<(Uid, Uid)> {
    let mut open =
        Open { source: Row::all(source, source_prints), target: Row::all(target, target_prints), pairs: Vec::new() };
    for same_date in [true, false] {
        let dates = |ours: &Row<'_>, theirs: &Row<'_>| !same_date || ours.has_date_of(theirs);
        // What we sent is looked for; of everything else a date that is another one speaks against it.
        let known = |ours: &Row<'_>, theirs: &Row<'_>| dates(ours, theirs) && (same_date || ours.loose.sent);
        // The whole identity, with nothing that contradicts it.
        open.pair_off(Row::identity, |ours, theirs| {
            let named = ours.loose.likeness.message_id.is_some() || ours.has_all_fields_of(theirs);
            dates(ours, theirs)
                && (same_date || ours.loose.sent || named)
                && !ours.is_draft_as(theirs)
                && ours.agrees_with(theirs)
        });
        // Identity fields were dropped, or added.
        open.pair_off(Row::message_id, |ours, theirs| {
            known(ours, theirs) && !ours.is_draft_as(theirs) && ours.agrees_with(theirs)
        });
        open.pair_off(Row::core, |ours, theirs| {
            let one_has_no_id = ours.loose.likeness.message_id.is_none() || theirs.loose.likeness.message_id.is_none();
            known(ours, theirs) && one_has_no_id && !ours.is_draft_as(theirs) && ours.agrees_with(theirs)
        });
        // Nothing that would tell it from others: only what was added to it or taken from it.
        open.pair_off(Row::nothing, |ours, theirs| {
            known(ours, theirs) && ours.agrees_with(theirs) && ours.has_something_of(theirs)
        });
    }
    if bodies == Bodies::Rebuilt {
        for same_date in [true, false] {
            open.pair_off(Row::identity_alone, |ours, theirs| {
                let dates = ours.has_date_of(theirs) || !same_date && ours.loose.likeness.message_id.is_some();
                ours.loose.sent && dates
            });
        }
    }
    open.pairs.sort_unstable();
    open.pairs
}

/// How many pairs could be made of these messages if neither bodies nor dates counted: what a server that rebuilds bodies
/// may have made of mail, and what may as well be other mail.
#[must_use]
pub fn alike_but_for_bodies(source: &[Loose], target: &[Loose]) -> u64 {
    let mut there: BTreeMap<Likeness, u64> = BTreeMap::new();
    for loose in target {
        *there.entry(loose.likeness).or_default() += 1;
    }
    let mut pairs = 0;
    for loose in source {
        if let Some(left) = there.get_mut(&loose.likeness).filter(|left| **left > 0) {
            *left -= 1;
            pairs += 1;
        }
    }
    pairs
}

/// A message that is not paired yet.
struct Row<'a> {
    loose: Loose,
    print: Option<&'a Print>,
}

/// Messages of which one may be the other: what they have in common, with the digest of their bodies if these count.
type Kind = (Likeness, Option<[u8; 32]>);

impl<'a> Row<'a> {
    fn all(loose: &[Loose], prints: &'a Prints) -> Vec<Self> {
        loose.iter().map(|loose| Row { loose: *loose, print: prints.get(&loose.uid) }).collect()
    }

    fn with_body(&self, likeness: Likeness) -> Option<Kind> {
        Some((likeness, Some(self.print?.digests.body)))
    }

    fn is_nothing(&self) -> bool {
        self.loose.likeness == Likeness::default()
    }

    fn identity(&self) -> Option<Kind> {
        if self.is_nothing() { None } else { self.with_body(self.loose.likeness) }
    }

    fn message_id(&self) -> Option<Kind> {
        let message_id = Some(self.loose.likeness.message_id?);
        self.with_body(Likeness { message_id, ..Likeness::default() })
    }

    fn core(&self) -> Option<Kind> {
        let core = Some(self.loose.likeness.core?);
        self.with_body(Likeness { core, ..Likeness::default() })
    }

    fn nothing(&self) -> Option<Kind> {
        if self.is_nothing() { self.with_body(self.loose.likeness) } else { None }
    }

    /// Without any look at the contents: fields besides the Message-ID are asked for.
    fn identity_alone(&self) -> Option<Kind> {
        self.loose.likeness.others?;
        Some((self.loose.likeness, None))
    }

    fn has_date_of(&self, other: &Self) -> bool {
        self.loose.date.is_some() && self.loose.date == other.loose.date
    }

    /// Whether the other, on the target, may be a draft that has been edited since.
    fn is_draft_as(&self, other: &Self) -> bool {
        !self.loose.sent && (self.loose.draft || other.loose.draft)
    }

    /// Whether no field that stands in both says something else.
    fn agrees_with(&self, other: &Self) -> bool {
        let fields = |print: Option<&'a Print>| print.and_then(|print| print.fields.as_ref());
        let both = fields(self.print).zip(fields(other.print));
        both.is_some_and(|(ours, theirs)| !ours.changes_in(theirs).contradicts())
    }

    /// Whether every field of one stands in the other.
    fn has_all_fields_of(&self, other: &Self) -> bool {
        let fields = |print: Option<&'a Print>| print.and_then(|print| print.fields.as_ref());
        let both = fields(self.print).zip(fields(other.print));
        both.is_some_and(|(ours, theirs)| {
            let changes = ours.changes_in(theirs);
            changes.added + changes.dropped + changes.changed == 0
        })
    }

    /// Whether they have a field or a body in common, and one has all that the other has.
    fn has_something_of(&self, other: &Self) -> bool {
        let (Some(ours), Some(theirs)) = (self.print, other.print) else { return false };
        let (Some(our_fields), Some(their_fields)) = (&ours.fields, &theirs.fields) else { return false };
        let changes = our_fields.changes_in(their_fields);
        (changes.kept > 0 || ours.has_body) && (changes.added == 0 || changes.dropped == 0)
    }
}

struct Open<'a> {
    source: Vec<Row<'a>>,
    target: Vec<Row<'a>>,
    pairs: Vec<(Uid, Uid)>,
}

impl<'a> Open<'a> {
    /// Pairs messages of one kind that are the same mail by `same`, and takes them out.
    fn pair_off(&mut self, kind: impl Fn(&Row<'a>) -> Option<Kind>, same: impl Fn(&Row<'a>, &Row<'a>) -> bool) {
        let mut waiting: BTreeMap<Kind, Vec<usize>> = BTreeMap::new();
        for (place, row) in self.target.iter().enumerate().rev() {
            if let Some(kind) = kind(row) {
                waiting.entry(kind).or_default().push(place);
            }
        }
        let mut left: BTreeMap<Kind, usize> = BTreeMap::new();
        let mut taken = BTreeSet::new();
        let (target, pairs) = (&self.target, &mut self.pairs);
        self.source.retain(|row| {
            let Some(kind) = kind(row) else { return true };
            let Some(places) = waiting.get_mut(&kind) else { return true };
            let left = left.entry(kind).or_insert(TRIES_MAX);
            let found = places.iter().rev().take(*left).position(|place| same(row, &target[*place]));
            // Only what was tried in vain counts.
            *left -= found.unwrap_or(places.len().min(*left));
            let Some(place) = found.map(|found| places.remove(places.len() - 1 - found)) else { return true };
            pairs.push((row.loose.uid, target[place].loose.uid));
            taken.insert(place);
            false
        });
        let mut place = 0;
        self.target.retain(|_| {
            place += 1;
            !taken.contains(&(place - 1))
        });
    }
}

#[cfg(test)]
mod tests;
