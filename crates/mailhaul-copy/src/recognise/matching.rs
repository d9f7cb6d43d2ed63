//! A matching under way: what is open on both sides, and what was found.

use super::contents::{read_digests, read_prints};
use super::witnesses::what_becomes_of_bodies;
use super::{Matched, Proof, Recognised, Recognition};
use crate::error::WalkError;
use crate::reading::Unreadable;
use crate::tail::Known;
use mailhaul_db::{Settled, SettledState};
use mailhaul_imap::Connection;
use mailhaul_plan::loose::{Bodies, Loose, Prints, alike_but_for_bodies, match_loosely, worth_comparing};
use mailhaul_plan::matching::{Candidate, CompareGroup, match_messages, resolve_group};
use mailhaul_types::{Side, SystemFlag, Uid, UidSet};
use std::collections::{BTreeMap, BTreeSet};

/// A matching under way.
pub(super) struct Matching<'a> {
    pub(super) source: &'a mut Connection,
    target: &'a mut Connection,
    with: Recognition<'a>,
    /// What was read of the source and is not found, in the order in which it is to be served.
    pub(super) ours: Vec<Known>,
    /// Target messages that are nobody's yet.
    pub(super) theirs: Vec<Known>,
    /// What was sent itself.
    pub(super) sent: UidSet,
    found: Vec<Matched>,
    /// See [`Recognised::unproved`].
    unproved: u64,
    /// See [`Recognised::uncertain`].
    pub(super) uncertain: Unreadable,
}

impl<'a> Matching<'a> {
    pub(super) fn new(
        source: &'a mut Connection,
        target: &'a mut Connection,
        with: Recognition<'a>,
        theirs: Vec<Known>,
    ) -> Self {
        let (ours, sent, uncertain) = (Vec::new(), UidSet::new(), Unreadable::new());
        Self { source, target, with, ours, theirs, sent, found: Vec::new(), unproved: 0, uncertain }
    }

    pub(super) fn end(self) -> Recognised {
        let Self { found, unproved, mut uncertain, .. } = self;
        for matched in &found {
            uncertain.remove(&matched.settled.source_uid);
        }
        Recognised { found, unproved, uncertain }
    }

    /// Those of ours with these UIDs, by keys, sizes and contents. What is not found stays for
    /// [`Matching::by_likeness`].
    pub(super) async fn by_keys(&mut self, uids: &UidSet, proof: Proof) -> Result<(), WalkError> {
        let (plain_ours, plain_theirs) =
            (candidates(&self.ours, |uid| uids.contains(uid)), candidates(&self.theirs, |_| true));
        let (our_drafts, their_drafts) = (self.drafts(&self.ours), self.drafts(&self.theirs));
        let doubtful =
            |ours, theirs| proof == Proof::Contents || our_drafts.contains(&ours) || their_drafts.contains(&theirs);
        let matching = match_messages(&plain_ours, &plain_theirs);
        let matching = matching.insist_on_contents(&plain_ours, &plain_theirs, doubtful);
        let members =
            |members: fn(&CompareGroup) -> &Vec<Candidate>, wanted: &dyn Fn(&CompareGroup) -> bool| -> UidSet {
                let groups = matching.compare.iter().filter(|group| wanted(group));
                groups.flat_map(|group| members(group).iter().map(|member| member.uid)).collect()
            };
        // Where one is a draft, all are compared as drafts.
        let has_draft = |group: &CompareGroup| {
            let is_in =
                |members: &[Candidate], drafts: &BTreeSet<Uid>| members.iter().any(|one| drafts.contains(&one.uid));
            is_in(&group.source, &our_drafts) || is_in(&group.target, &their_drafts)
        };
        let ours = |wanted| members(|group| &group.source, wanted);
        let theirs = |wanted| members(|group| &group.target, wanted);
        let (our_uids, our_edited) = (ours(&|_| true), ours(&has_draft));
        let (their_uids, their_edited) = (theirs(&|_| true), theirs(&has_draft));
        let keys = self.with.keys;
        let (ours_at, theirs_at) = (self.with.place(Side::Source), self.with.place(Side::Target));
        let (our_digests, ours_lost) = read_digests(self.source, ours_at, keys, &our_uids, &our_edited).await?;
        let (their_digests, theirs_lost) =
            read_digests(self.target, theirs_at, keys, &their_uids, &their_edited).await?;
        let mut pairs: Vec<(Uid, Uid, SettledState)> =
            matching.adopted.iter().map(|&(source, target)| (source, target, SettledState::Adopted)).collect();
        for group in &matching.compare {
            let resolution = resolve_group(group, &our_digests, &their_digests);
            pairs.extend(resolution.adopted.iter().map(|&(ours, theirs)| (ours, theirs, SettledState::Adopted)));
            pairs.extend(resolution.altered.iter().map(|&(ours, theirs)| (ours, theirs, SettledState::AdoptedAltered)));
            for lost in group.target.iter().filter(|lost| resolution.foreign.contains(lost.uid)) {
                // A copy has the date, or else the length, of its original.
                let alike = |ours: &&Candidate| ours.size == lost.size || ours.date == lost.date;
                let open = group.source.iter().filter(|ours| resolution.unmatched.contains(ours.uid));
                let ours = open.filter(alike).map(|ours| ours.uid).collect();
                self.uncertain.extend(those_in_doubt(&ours, lost.uid, &theirs_lost));
            }
        }
        self.uncertain.extend(ours_lost);
        self.pair(pairs);
        Ok(())
    }

    /// By what servers leave of a message that they alter.
    pub(super) async fn by_likeness(&mut self) -> Result<(), WalkError> {
        if self.ours.is_empty() || self.theirs.is_empty() {
            return Ok(());
        }
        let ours: Vec<Loose> = self.ours.iter().map(|known| self.loose(known, &self.sent)).collect();
        let theirs: Vec<Loose> = self.theirs.iter().map(|known| self.loose(known, &UidSet::new())).collect();
        let (our_uids, their_uids) = worth_comparing(&ours, &theirs);
        if our_uids.is_empty() || their_uids.is_empty() {
            return Ok(());
        }
        let (ours_at, theirs_at) = (self.with.place(Side::Source), self.with.place(Side::Target));
        let (our_prints, ours_lost) = read_prints(self.source, ours_at, self.with.keys, &our_uids).await?;
        let (their_prints, theirs_lost) = read_prints(self.target, theirs_at, self.with.keys, &their_uids).await?;
        for lost in theirs.iter().filter(|loose| theirs_lost.contains_key(&loose.uid)) {
            // As where contents are compared: what was not in flight is found under the same date only.
            let dated: Vec<Loose> = ours.iter().filter(|ours| ours.sent || ours.date == lost.date).copied().collect();
            let (alike, _) = worth_comparing(&dated, std::slice::from_ref(lost));
            self.uncertain.extend(those_in_doubt(&alike, lost.uid, &theirs_lost));
        }
        self.uncertain.extend(ours_lost);
        let (ours, theirs) = ((&ours[..], &our_prints), (&theirs[..], &their_prints));
        let mut found = match_loosely(ours, theirs, Bodies::Kept);
        let left = left_alike(ours, theirs, &found);
        if left > 0 {
            match what_becomes_of_bodies(self.source, self.target, &self.with).await? {
                Bodies::Kept => {}
                Bodies::Unknown => self.unproved += left,
                Bodies::Rebuilt => {
                    found = match_loosely(ours, theirs, Bodies::Rebuilt);
                    self.unproved += left_alike(ours, theirs, &found);
                }
            }
        }
        let altered = found.into_iter().map(|(ours, theirs)| (ours, theirs, SettledState::AdoptedAltered));
        self.pair(altered.collect());
        Ok(())
    }

    /// Those of which another edition may stand on the other side, under the same header and of the same length.
    fn drafts(&self, known: &[Known]) -> BTreeSet<Uid> {
        known.iter().filter(|known| self.is_draft(known)).map(|known| known.candidate.uid).collect()
    }

    fn is_draft(&self, known: &Known) -> bool {
        self.with.drafts || known.flags.contains(SystemFlag::Draft)
    }

    fn loose(&self, known: &Known, sent: &UidSet) -> Loose {
        Loose {
            uid: known.candidate.uid,
            likeness: known.likeness,
            date: known.candidate.date,
            draft: self.is_draft(known),
            sent: sent.contains(known.candidate.uid),
        }
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

/// How many of those that were not found may have been, if bodies did not count.
fn left_alike(
    (ours, our_prints): (&[Loose], &Prints),
    (theirs, their_prints): (&[Loose], &Prints),
    found: &[(Uid, Uid)],
) -> u64 {
    let (our_found, their_found): (BTreeSet<Uid>, BTreeSet<Uid>) = found.iter().copied().unzip();
    let open = |loose: &&Loose, found: &BTreeSet<Uid>, prints: &Prints| {
        !found.contains(&loose.uid) && prints.contains_key(&loose.uid)
    };
    let ours = ours.iter().filter(|loose| open(loose, &our_found, our_prints));
    let theirs = theirs.iter().filter(|loose| open(loose, &their_found, their_prints));
    alike_but_for_bodies(&ours.copied().collect::<Vec<_>>(), &theirs.copied().collect::<Vec<_>>())
}

/// These of ours were not found, and each may be what `copy` is the copy of, if that is lost: only the content could tell.
fn those_in_doubt(ours: &UidSet, copy: Uid, lost: &Unreadable) -> Unreadable {
    let Some(reason) = lost.get(&copy) else { return Unreadable::new() };
    let reason = format!(
        "only the content could tell whether UID {copy} on the target is its copy, and that cannot be read: {reason}"
    );
    ours.iter().map(|uid| (uid, reason.clone())).collect()
}

fn candidates(known: &[Known], wanted: impl Fn(Uid) -> bool) -> Vec<Candidate> {
    known.iter().map(|known| known.candidate).filter(|candidate| wanted(candidate.uid)).collect()
}
