//! Recognising messages of one side on the other: by keys, by contents where keys leave a choice, and once more by what is
//! left of them where a server has altered them.
//!
//! The last comes last over everything, never over a part: two mails that differ only in what a server masks must not be
//! confused where keys can still tell them apart. It costs nothing where nothing is left over on either side, and reads
//! the contents only of messages that look like one on the other side.
//!
//! Here stands what may be asked; [`matching`] does it, [`contents`] reads what it needs, and [`witnesses`] sees what the
//! target makes of bodies.

mod contents;
mod matching;
mod witnesses;

pub(crate) use witnesses::{find_witnesses, what_becomes_of_bodies};

use crate::error::WalkError;
use crate::reading::{Place, Reading, Unreadable};
use crate::tail::{Known, read_known, read_known_of};
use mailhaul_db::Settled;
use mailhaul_imap::Connection;
use mailhaul_plan::keys::KeyMaker;
use mailhaul_plan::likeness::Likeness;
use mailhaul_types::{Flags, MessageKey, Side, Uid, UidSet};
use matching::Matching;
use std::collections::BTreeSet;

/// By what messages are recognised.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recognition<'a> {
    pub(crate) keys: &'a KeyMaker,
    /// Copies that we wrote into the mailbox that is selected on the target, by their UIDs at the source and there: by
    /// them it is seen what the target makes of bodies, should that be the question.
    pub(crate) witnesses: &'a [(Uid, Uid)],
    /// Whether the mailbox is for drafts, which are edited under their header: no size proves that two are the same.
    pub(crate) drafts: bool,
    /// With which messages connections were lost when they were read.
    pub(crate) reading: &'a Reading,
    /// The mailbox that is selected at the source.
    pub(crate) ours: &'a str,
    /// The mailbox that is selected on the target, by the name of its source mailbox.
    pub(crate) theirs: &'a str,
}

impl<'a> Recognition<'a> {
    /// Where is read on this side.
    pub(crate) fn place(&self, side: Side) -> Place<'a> {
        let mailbox = if side == Side::Source { self.ours } else { self.theirs };
        Place { reading: self.reading, mailbox, side }
    }
}

/// Source messages that may be on the target, with what proves it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn<'a> {
    pub(crate) candidates: &'a UidSet,
    pub(crate) proof: Proof,
    /// Whether they were sent, and it is not known what became of them.
    pub(crate) sent: bool,
}

impl<'a> Turn<'a> {
    /// Messages that we have sent.
    pub(crate) fn sent(candidates: &'a UidSet) -> Self {
        Self { candidates, proof: Proof::Sizes, sent: true }
    }
}

/// What makes two messages with the same key the same mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Equal sizes, where that leaves no choice; else equal contents. Of drafts contents in any case.
    Sizes,
    /// Equal contents in any case: one may be an edited form of the other, of the same length.
    Contents,
}

/// How two lists are matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// By keys, and by contents where keys leave a choice.
    Keys(Proof),
    /// By what servers leave of mail that they alter: keys have decided before.
    Likeness,
    /// By keys, and what these leave over by likeness.
    Both(Proof),
}

/// A message that is on the target, with its flags at the source.
#[derive(Debug, Clone)]
pub(crate) struct Matched {
    pub(crate) settled: Settled,
    pub(crate) source_flags: Flags,
}

/// What came of a matching.
#[derive(Debug, Default)]
pub(crate) struct Recognised {
    pub(crate) found: Vec<Matched>,
    /// How many more the target may have, because it has as much mail under the same headers with another body. It is
    /// other mail, unless the target rebuilds bodies; that it keeps them was not seen.
    pub(crate) unproved: u64,
    /// Source messages of which it cannot be told whether they are there, because a connection is lost over them or over
    /// what may be their copy each time that one of the two is read.
    pub(crate) uncertain: Unreadable,
}

/// Matches the target messages in `present` with one set of candidates after the other: what the first leaves over is
/// matched with the next. Both mailboxes are selected.
pub(crate) async fn match_in_turn(
    source: &mut Connection,
    target: &mut Connection,
    with: Recognition<'_>,
    present: &UidSet,
    turns: &[Turn<'_>],
) -> Result<Recognised, WalkError> {
    if present.is_empty() || turns.iter().all(|turn| turn.candidates.is_empty()) {
        return Ok(Recognised::default());
    }
    let theirs = read_known(target, with.place(Side::Target), with.keys, present, |_| true).await?;
    let mut matching = Matching::new(source, target, with, theirs);
    for Turn { candidates, proof, sent } in turns {
        if matching.theirs.is_empty() || candidates.is_empty() {
            continue;
        }
        let wanted = Wanted::of(&matching.theirs);
        let resembles = |known: &Known| wanted.resembles(known);
        let place = with.place(Side::Source);
        let (ours, lost) = read_known_of(matching.source, place, with.keys, candidates, resembles).await?;
        matching.uncertain.extend(lost);
        if *sent {
            matching.sent.extend_ranges(candidates);
        }
        matching.ours.extend(ours);
        matching.by_keys(candidates, *proof).await?;
    }
    matching.by_likeness().await?;
    Ok(matching.end())
}

/// Matches messages of which the keys have been read. Both mailboxes are selected.
pub(crate) async fn match_known(
    source: &mut Connection,
    target: &mut Connection,
    with: Recognition<'_>,
    (ours, theirs): (Vec<Known>, Vec<Known>),
    by: By,
) -> Result<Recognised, WalkError> {
    let mut matching = Matching::new(source, target, with, theirs);
    matching.ours = ours;
    if let By::Keys(proof) | By::Both(proof) = by {
        let all = matching.ours.iter().map(|known| known.candidate.uid).collect();
        matching.by_keys(&all, proof).await?;
    }
    if matches!(by, By::Likeness | By::Both(_)) {
        matching.by_likeness().await?;
    }
    Ok(matching.end())
}

/// What a source message must have to be any of these target messages.
struct Wanted {
    keys: BTreeSet<Option<MessageKey>>,
    message_ids: BTreeSet<u64>,
    cores: BTreeSet<u64>,
    others: BTreeSet<u64>,
    /// Whether one of them has nothing to be recognised by but its content.
    nothing: bool,
}

impl Wanted {
    fn of(theirs: &[Known]) -> Self {
        let likenesses = || theirs.iter().map(|known| known.likeness);
        Self {
            keys: theirs.iter().map(|known| known.candidate.key).collect(),
            message_ids: likenesses().filter_map(|likeness| likeness.message_id).collect(),
            cores: likenesses().filter_map(|likeness| likeness.core).collect(),
            others: likenesses().filter_map(|likeness| likeness.others).collect(),
            nothing: likenesses().any(|likeness| likeness == Likeness::default()),
        }
    }

    fn resembles(&self, known: &Known) -> bool {
        let Likeness { message_id, others, core } = known.likeness;
        self.keys.contains(&known.candidate.key)
            || message_id.is_some_and(|id| self.message_ids.contains(&id))
            || core.is_some_and(|core| self.cores.contains(&core))
            || others.is_some_and(|others| self.others.contains(&others))
            || self.nothing && known.likeness == Likeness::default()
    }
}
