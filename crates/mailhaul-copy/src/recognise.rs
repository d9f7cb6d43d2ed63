//! Recognising messages of one side on the other: by keys, by contents where keys leave a choice, and once more by what is
//! left of them where a server has altered them.
//!
//! The last comes last over everything, never over a part: two mails that differ only in what a server masks must not be
//! confused where keys can still tell them apart. It costs nothing where nothing is left over on either side, and reads
//! the contents only of messages that look like one on the other side.

use crate::error::WalkError;
use crate::tail::{Known, digest_all, read_known};
use mailhaul_db::{Settled, SettledState};
use mailhaul_imap::Connection;
use mailhaul_plan::content::ContentDigests;
use mailhaul_plan::keys::KeyMaker;
use mailhaul_plan::likeness::{Likeness, Printer};
use mailhaul_plan::loose::{Loose, Prints, Survives, match_loosely, worth_comparing};
use mailhaul_plan::matching::{Candidate, CompareGroup, match_messages, resolve_group};
use mailhaul_types::{Flags, MessageKey, Side, SystemFlag, Uid, UidSet};
use std::collections::{BTreeMap, BTreeSet};

/// By what messages are recognised.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recognition<'a> {
    pub(crate) keys: &'a KeyMaker,
    /// What the target is known to keep.
    pub(crate) survives: Survives,
    /// Whether the mailbox is for drafts, which are edited under their header.
    pub(crate) drafts: bool,
}

/// Source messages that may be on the target, with what proves it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn<'a> {
    pub(crate) candidates: &'a UidSet,
    pub(crate) proof: Proof,
    /// Whether they were sent, and it is not known what became of them.
    pub(crate) sent: bool,
}

/// A message that is on the target, with its flags at the source.
#[derive(Debug, Clone)]
pub(crate) struct Matched {
    pub(crate) settled: Settled,
    pub(crate) source_flags: Flags,
}

/// What makes two messages with the same key the same mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Equal sizes, where that leaves no choice; else equal contents.
    Sizes,
    /// Equal contents in any case: one may be an edited form of the other, of the same length.
    Contents,
}

/// Matches the target messages in `present` with the source messages in `candidates`; returns those that are on the
/// target. Both mailboxes are selected.
pub(crate) async fn match_tail(
    source: &mut Connection,
    target: &mut Connection,
    with: Recognition<'_>,
    present: &UidSet,
    candidates: &UidSet,
) -> Result<Vec<Settled>, WalkError> {
    let matched =
        match_in_turn(source, target, with, present, &[Turn { candidates, proof: Proof::Sizes, sent: true }]).await?;
    Ok(matched.into_iter().map(|matched| matched.settled).collect())
}

/// As [`match_tail`], with one set of candidates after the other: what the first leaves over is matched with the next.
pub(crate) async fn match_in_turn(
    source: &mut Connection,
    target: &mut Connection,
    with: Recognition<'_>,
    present: &UidSet,
    turns: &[Turn<'_>],
) -> Result<Vec<Matched>, WalkError> {
    if present.is_empty() || turns.iter().all(|turn| turn.candidates.is_empty()) {
        return Ok(Vec::new());
    }
    let theirs = read_known(target, Side::Target, with.keys, present, |_| true).await?;
    let mut matching = Matching::new(source, target, with, theirs);
    for Turn { candidates, proof, sent } in turns {
        if matching.theirs.is_empty() || candidates.is_empty() {
            continue;
        }
        let wanted = Wanted::of(&matching.theirs);
        let ours =
            read_known(matching.source, Side::Source, with.keys, candidates, |known| wanted.resembles(known)).await?;
        if *sent {
            matching.sent.extend_ranges(candidates);
        }
        matching.by_keys(ours, *proof).await?;
    }
    matching.by_likeness().await?;
    Ok(matching.found)
}

/// Pairs messages by keys, and by contents where keys leave a choice.
pub(crate) async fn match_known(
    source: &mut Connection,
    target: &mut Connection,
    with: Recognition<'_>,
    (ours, theirs): (&[Known], &[Known]),
    proof: Proof,
) -> Result<Vec<Matched>, WalkError> {
    let mut matching = Matching::new(source, target, with, theirs.to_vec());
    matching.by_keys(ours.to_vec(), proof).await?;
    matching.by_likeness().await?;
    Ok(matching.found)
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

/// A matching under way.
struct Matching<'a> {
    source: &'a mut Connection,
    target: &'a mut Connection,
    with: Recognition<'a>,
    /// What was read of the source and is not found, in the order in which it is to be served.
    ours: Vec<Known>,
    /// Target messages that are nobody's yet.
    theirs: Vec<Known>,
    /// What was sent itself.
    sent: UidSet,
    /// Contents that were read.
    our_prints: Prints,
    their_prints: Prints,
    found: Vec<Matched>,
}

impl<'a> Matching<'a> {
    fn new(source: &'a mut Connection, target: &'a mut Connection, with: Recognition<'a>, theirs: Vec<Known>) -> Self {
        let (our_prints, their_prints) = (Prints::new(), Prints::new());
        Self {
            source,
            target,
            with,
            ours: Vec::new(),
            theirs,
            sent: UidSet::new(),
            our_prints,
            their_prints,
            found: Vec::new(),
        }
    }

    /// By keys, sizes and contents. What is not found stays for [`Matching::by_likeness`].
    async fn by_keys(&mut self, ours: Vec<Known>, proof: Proof) -> Result<(), WalkError> {
        let (plain_ours, plain_theirs) = (candidates(&ours), candidates(&self.theirs));
        let mut matching = match_messages(&plain_ours, &plain_theirs);
        if proof == Proof::Contents {
            matching = matching.insist_on_contents(&plain_ours, &plain_theirs);
        }
        let members = |members: fn(&CompareGroup) -> &Vec<Candidate>| -> UidSet {
            matching.compare.iter().flat_map(|group| members(group).iter().map(|member| member.uid)).collect()
        };
        let (our_uids, their_uids) = (members(|group| &group.source), members(|group| &group.target));
        self.read(&our_uids, &their_uids).await?;
        let (our_digests, their_digests) = (digests(&self.our_prints), digests(&self.their_prints));
        let mut pairs: Vec<(Uid, Uid, SettledState)> =
            matching.adopted.iter().map(|&(source, target)| (source, target, SettledState::Adopted)).collect();
        for group in &matching.compare {
            let resolution = resolve_group(group, &our_digests, &their_digests);
            pairs.extend(resolution.adopted.iter().map(|&(ours, theirs)| (ours, theirs, SettledState::Adopted)));
            pairs.extend(resolution.altered.iter().map(|&(ours, theirs)| (ours, theirs, SettledState::AdoptedAltered)));
        }
        self.ours.extend(ours);
        self.pair(pairs);
        Ok(())
    }

    /// By what servers leave of a message that they alter.
    async fn by_likeness(&mut self) -> Result<(), WalkError> {
        if self.ours.is_empty() || self.theirs.is_empty() {
            return Ok(());
        }
        let drafts = self.with.drafts;
        let loose = |known: &Known, sent: &UidSet| Loose {
            uid: known.candidate.uid,
            likeness: known.likeness,
            date: known.candidate.date,
            draft: drafts || known.flags.contains(SystemFlag::Draft),
            sent: sent.contains(known.candidate.uid),
        };
        let ours: Vec<Loose> = self.ours.iter().map(|known| loose(known, &self.sent)).collect();
        let theirs: Vec<Loose> = self.theirs.iter().map(|known| loose(known, &UidSet::new())).collect();
        let (our_uids, their_uids) = worth_comparing(&ours, &theirs);
        if our_uids.is_empty() || their_uids.is_empty() {
            return Ok(());
        }
        self.read(&our_uids, &their_uids).await?;
        let pairs = match_loosely((&ours, &self.our_prints), (&theirs, &self.their_prints), self.with.survives);
        let altered = pairs.into_iter().map(|(ours, theirs)| (ours, theirs, SettledState::AdoptedAltered));
        self.pair(altered.collect());
        Ok(())
    }

    /// Reads the contents of these messages, if they were not read before.
    async fn read(&mut self, ours: &UidSet, theirs: &UidSet) -> Result<(), WalkError> {
        read_prints(self.source, Side::Source, self.with.keys, ours, &mut self.our_prints).await?;
        read_prints(self.target, Side::Target, self.with.keys, theirs, &mut self.their_prints).await
    }

    /// Takes pairs out of what is open.
    fn pair(&mut self, pairs: Vec<(Uid, Uid, SettledState)>) {
        let by_uid = |known: &[Known]| -> BTreeMap<Uid, usize> {
            known.iter().enumerate().map(|(place, known)| (known.candidate.uid, place)).collect()
        };
        let (ours_by_uid, theirs_by_uid) = (by_uid(&self.ours), by_uid(&self.theirs));
        let (mut taken_ours, mut taken_theirs) = (BTreeSet::new(), BTreeSet::new());
        for (source_uid, target_uid, state) in pairs {
            let places = ours_by_uid.get(&source_uid).zip(theirs_by_uid.get(&target_uid));
            let Some((ours, theirs)) = places.map(|(ours, theirs)| (&self.ours[*ours], &self.theirs[*theirs])) else {
                continue;
            };
            // The flags as they were found: they are what both sides last had in common with the ledger.
            let (key, flags) = (ours.candidate.key, theirs.flags.clone());
            let settled = Settled { source_uid, target_uid: Some(target_uid), state, key, flags };
            self.found.push(Matched { settled, source_flags: ours.flags.clone() });
            taken_ours.insert(source_uid);
            taken_theirs.insert(target_uid);
        }
        self.ours.retain(|known| !taken_ours.contains(&known.candidate.uid));
        self.theirs.retain(|known| !taken_theirs.contains(&known.candidate.uid));
    }
}

fn candidates(known: &[Known]) -> Vec<Candidate> {
    known.iter().map(|known| known.candidate).collect()
}

fn digests(prints: &Prints) -> BTreeMap<Uid, ContentDigests> {
    prints.iter().map(|(uid, print)| (*uid, print.digests)).collect()
}

/// Reads whole messages that are not among these prints yet.
pub(crate) async fn read_prints(
    connection: &mut Connection,
    side: Side,
    keys: &KeyMaker,
    uids: &UidSet,
    prints: &mut Prints,
) -> Result<(), WalkError> {
    let unread: UidSet = uids.iter().filter(|uid| !prints.contains_key(uid)).collect();
    if unread.is_empty() {
        return Ok(());
    }
    let read = digest_all(connection, side, &unread, |_| keys.printer(), Printer::push).await?;
    prints.extend(read.into_iter().map(|(uid, printer)| (uid, printer.finish())));
    Ok(())
}
