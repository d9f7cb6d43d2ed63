//! Recognising messages of one side on the other: by keys, by contents where keys leave a choice, and once more by what is
//! left of them where a server has altered them.
//!
//! The last comes last over everything, never over a part: two mails that differ only in what a server masks must not be
//! confused where keys can still tell them apart. It costs nothing where nothing is left over on either side, and reads
//! the contents only of messages that look like one on the other side.

use crate::bodies::digest_bodies;
use crate::error::{WalkError, on};
use crate::tail::{Known, digest_all, read_known};
use mailhaul_db::{Settled, SettledState};
use mailhaul_imap::Connection;
use mailhaul_plan::content::{ContentDigester, ContentDigests};
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
    /// Copies that we wrote, by their UIDs at the source and on the target: by them it is seen what the target makes of
    /// bodies, should that be the question.
    pub(crate) witnesses: &'a [(Uid, Uid)],
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
    let recognised =
        match_in_turn(source, target, with, present, &[Turn { candidates, proof: Proof::Sizes, sent: true }]).await?;
    Ok(recognised.found.into_iter().map(|matched| matched.settled).collect())
}

/// What came of a matching.
#[derive(Debug, Default)]
pub(crate) struct Recognised {
    pub(crate) found: Vec<Matched>,
    /// How many more the target may have, because it has as much mail under the same headers with another body. It is
    /// other mail, unless the target rebuilds bodies; that it keeps them was not seen.
    pub(crate) unproved: u64,
}

/// As [`match_tail`], with one set of candidates after the other: what the first leaves over is matched with the next.
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
    Ok(Recognised { found: matching.found, unproved: matching.unproved })
}

/// Pairs what keys have left over, by likeness alone.
pub(crate) async fn match_altered(
    source: &mut Connection,
    target: &mut Connection,
    with: Recognition<'_>,
    (ours, theirs): (Vec<Known>, Vec<Known>),
) -> Result<Vec<Matched>, WalkError> {
    let mut matching = Matching::new(source, target, with, theirs);
    matching.ours = ours;
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
    /// See [`Recognised::unproved`].
    unproved: u64,
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
            unproved: 0,
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
        let our_digests = read_digests(self.source, Side::Source, &our_uids).await?;
        let their_digests = read_digests(self.target, Side::Target, &their_uids).await?;
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
        let pairs = |prints: &Self, survives| {
            match_loosely((&ours, &prints.our_prints), (&theirs, &prints.their_prints), survives)
        };
        let (mut found, by_headers) = (pairs(self, Survives { body: true }), pairs(self, Survives { body: false }));
        let left = alike_but_for_bodies(&ours, &theirs).saturating_sub(found.len() as u64);
        if left > 0 {
            let bodies = self.bodies().await?;
            if bodies == Bodies::Rebuilt {
                found = by_headers;
            }
            if bodies != Bodies::Kept {
                self.unproved = alike_but_for_bodies(&ours, &theirs).saturating_sub(found.len() as u64);
            }
        }
        let altered = found.into_iter().map(|(ours, theirs)| (ours, theirs, SettledState::AdoptedAltered));
        self.pair(altered.collect());
        Ok(())
    }

    /// What becomes of bodies, as the witnesses show it: most of those that can be looked at. Nobody but the target
    /// changes a message that has a UID.
    async fn bodies(&mut self) -> Result<Bodies, WalkError> {
        let uids = |side: fn(&(Uid, Uid)) -> Uid| -> UidSet { self.with.witnesses.iter().map(side).collect() };
        let (ours, theirs) = (uids(|pair| pair.0), uids(|pair| pair.1));
        let (mut our_prints, mut their_prints) = (Prints::new(), Prints::new());
        read_prints(self.source, Side::Source, self.with.keys, &ours, &mut our_prints).await?;
        read_prints(self.target, Side::Target, self.with.keys, &theirs, &mut their_prints).await?;
        let body = |prints: &Prints, uid| prints.get(&uid).map(|print| print.digests.body);
        let both = |(ours, theirs): &(Uid, Uid)| Some((body(&our_prints, *ours)?, body(&their_prints, *theirs)?));
        let read: Vec<_> = self.with.witnesses.iter().filter_map(both).collect();
        let rebuilt = read.iter().filter(|(ours, theirs)| ours != theirs).count();
        tracing::debug!(looked_at = read.len(), rebuilt, "bodies of earlier copies compared");
        Ok(match (read.len(), rebuilt) {
            (0, _) => Bodies::Unknown,
            (read, rebuilt) if rebuilt * 2 > read => Bodies::Rebuilt,
            _ => Bodies::Kept,
        })
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

/// What a target makes of bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bodies {
    Kept,
    Rebuilt,
    /// There is nothing to see it by.
    Unknown,
}

/// How many pairs could be made of these messages if bodies did not count.
fn alike_but_for_bodies(ours: &[Loose], theirs: &[Loose]) -> u64 {
    let mut there: BTreeMap<Likeness, u64> = BTreeMap::new();
    for loose in theirs {
        *there.entry(loose.likeness).or_default() += 1;
    }
    let mut pairs = 0;
    for loose in ours {
        if let Some(left) = there.get_mut(&loose.likeness).filter(|left| **left > 0) {
            *left -= 1;
            pairs += 1;
        }
    }
    pairs
}

fn candidates(known: &[Known]) -> Vec<Candidate> {
    known.iter().map(|known| known.candidate).collect()
}

/// Digests whole messages of which every one counts.
async fn read_digests(
    connection: &mut Connection,
    side: Side,
    uids: &UidSet,
) -> Result<BTreeMap<Uid, ContentDigests>, WalkError> {
    if uids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let read = digest_all(connection, side, uids, |_| ContentDigester::default(), ContentDigester::push).await?;
    Ok(read.into_iter().map(|(uid, digester)| (uid, digester.finish())).collect())
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
    let read = match side {
        // What the source does not hand out equals nothing, and is dealt with when it is to be copied.
        Side::Source => {
            digest_bodies(connection, &unread, |_| keys.printer(), Printer::push).await.map_err(on(side))?.digests
        }
        Side::Target => digest_all(connection, side, &unread, |_| keys.printer(), Printer::push).await?,
    };
    prints.extend(read.into_iter().map(|(uid, printer)| (uid, printer.finish())));
    Ok(())
}
