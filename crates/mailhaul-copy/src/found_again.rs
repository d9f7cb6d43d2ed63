//! Copies whose UIDs mean nothing any more, found again on the target.
//!
//! What is settled stays settled; the question is only which message of the target belongs to it from now on, because
//! flags, moves and deletions go to that one. As far as the original is still at the source it decides, as adoption does:
//! by keys and sizes, and by contents where these leave a choice. What only the key speaks for may be mail of the
//! target's owner under the same header fields: it is noted as likely, and touched by nothing but a move, which compares
//! the contents before. Where the contents say that it is another mail, it is not the copy, unless the target is seen
//! to rebuild the bodies of all mail.

use crate::error::WalkError;
use crate::reading::Unreadable;
use crate::recognise::{By, Matched, Proof, Recognition, match_known, what_becomes_of_bodies};
use crate::tail::{Known, read_known};
use crate::walk::Links;
use mailhaul_db::{Settled, SettledState};
use mailhaul_plan::loose::Bodies;
use mailhaul_plan::steps::intersection;
use mailhaul_types::{MessageKey, Side, SystemFlag, Uid, UidSet};
use std::collections::{BTreeMap, BTreeSet};

/// The settled messages with their UIDs on the target as it is now.
pub(crate) struct FoundAgain {
    /// All of them; those that were not found have no UID there.
    pub(crate) settled: Vec<Settled>,
    /// How many of those that had a copy have one.
    pub(crate) found: u64,
}

/// Finds `settled` again among `theirs`, everything that is in the target mailbox. `listed` is what is in the source
/// mailbox. Both mailboxes are selected.
pub(crate) async fn find_again(
    links: &mut Links,
    with: Recognition<'_>,
    listed: &UidSet,
    settled: Vec<Settled>,
    theirs: Vec<Known>,
) -> Result<FoundAgain, WalkError> {
    let mut search = Search::new(settled, theirs);
    // First what had a copy. One that nobody else is known to own may be that of a message which had none as well.
    for had_copy in [true, false] {
        let asked = intersection(&search.messages(had_copy), listed);
        if asked.is_empty() || search.theirs.is_empty() {
            continue;
        }
        let ours = read_known(&mut links.source, with.place(Side::Source), with.keys, &asked, |_| true).await?;
        let Links { source, target } = &mut *links;
        let both = (ours, search.theirs.clone());
        let recognised = match_known(source, target, with, both, By::Both(Proof::Sizes)).await?;
        search.uncertain.extend(recognised.uncertain);
        search.note_proved(recognised.found);
    }
    let likely = search.likely();
    let contradicted = likely.iter().any(|(place, _)| listed.contains(search.settled[*place].source_uid));
    let bodies = if contradicted {
        let witnesses = search.witnesses(&likely, listed);
        let with = Recognition { witnesses: &witnesses, ..with };
        what_becomes_of_bodies(&mut links.source, &mut links.target, &with).await?
    } else {
        Bodies::Unknown
    };
    search.note_likely(likely, listed, bodies, with.drafts);
    Ok(search.end())
}

struct Search {
    settled: Vec<Settled>,
    /// Whether a message had a copy before.
    had_copy: Vec<bool>,
    /// By place.
    found: BTreeMap<usize, (Uid, SettledState)>,
    /// Target messages that are nobody's yet.
    theirs: Vec<Known>,
    /// Messages whose contents, or those of what may be their copies, cannot be read.
    uncertain: Unreadable,
}

impl Search {
    fn new(settled: Vec<Settled>, theirs: Vec<Known>) -> Self {
        let had_copy = settled.iter().map(|message| message.target_uid.is_some()).collect();
        Self { settled, had_copy, found: BTreeMap::new(), theirs, uncertain: Unreadable::new() }
    }

    /// The source UIDs of what had a copy, or of what had none.
    fn messages(&self, had_copy: bool) -> UidSet {
        let with_copy = self.settled.iter().zip(&self.had_copy);
        with_copy.filter(|(_, had)| **had == had_copy).map(|(message, _)| message.source_uid).collect()
    }

    fn note_proved(&mut self, proved: Vec<Matched>) {
        let places: BTreeMap<Uid, usize> =
            self.settled.iter().enumerate().map(|(place, message)| (message.source_uid, place)).collect();
        let mut taken = BTreeSet::new();
        for Matched { settled, .. } in proved {
            if let Some((place, uid)) = places.get(&settled.source_uid).zip(settled.target_uid) {
                self.found.insert(*place, (uid, settled.state));
                taken.insert(uid);
            }
        }
        self.theirs.retain(|known| !taken.contains(&known.candidate.uid));
    }

    /// What is left over, paired by key as a multiset: first what had a copy.
    fn likely(&self) -> Vec<(usize, Uid)> {
        let mut by_key: BTreeMap<MessageKey, Vec<Uid>> = BTreeMap::new();
        for known in self.theirs.iter().rev() {
            if let Some(key) = known.candidate.key {
                by_key.entry(key).or_default().push(known.candidate.uid);
            }
        }
        let mut likely = Vec::new();
        for had_copy in [true, false] {
            let open = |place: &usize| self.had_copy[*place] == had_copy && !self.found.contains_key(place);
            for place in (0..self.settled.len()).filter(open) {
                let uid = self.settled[place].key.and_then(|key| by_key.get_mut(&key)?.pop());
                likely.extend(uid.map(|uid| (place, uid)));
            }
        }
        likely
    }

    /// Pairs, proved or not, whose originals are there to be looked at.
    fn witnesses(&self, likely: &[(usize, Uid)], listed: &UidSet) -> Vec<(Uid, Uid)> {
        let found = self.found.iter().map(|(place, (uid, _))| (*place, *uid));
        let pairs = found.chain(likely.iter().copied());
        let with_source = pairs.map(|(place, uid)| (self.settled[place].source_uid, uid));
        let mut pairs: Vec<_> = with_source.filter(|(source, _)| listed.contains(*source)).collect();
        pairs.sort_unstable();
        pairs
    }

    /// Decides about what only the key speaks for, and whose contents contradict it if the original is still there.
    fn note_likely(&mut self, likely: Vec<(usize, Uid)>, listed: &UidSet, bodies: Bodies, drafts: bool) {
        for (place, uid) in likely {
            let message = &self.settled[place];
            let draft = drafts || message.flags.contains(SystemFlag::Draft);
            let state = match bodies {
                _ if !listed.contains(message.source_uid) => SettledState::Likely,
                Bodies::Rebuilt if !draft => SettledState::AdoptedAltered,
                // Nothing has contradicted it.
                _ if self.uncertain.contains_key(&message.source_uid) => SettledState::Likely,
                Bodies::Kept => continue,
                Bodies::Rebuilt | Bodies::Unknown => SettledState::Likely,
            };
            self.found.insert(place, (uid, state));
        }
    }

    fn end(self) -> FoundAgain {
        let Self { mut settled, had_copy, found, .. } = self;
        for (place, message) in settled.iter_mut().enumerate() {
            message.target_uid = None;
            if let Some((uid, state)) = found.get(&place) {
                (message.target_uid, message.state) = (Some(*uid), *state);
            }
        }
        let found = found.keys().filter(|place| had_copy[**place]).count() as u64;
        FoundAgain { settled, found }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailhaul_plan::likeness::Likeness;
    use mailhaul_plan::matching::Candidate;
    use mailhaul_types::{Flags, KeyStrength};

    fn key(digest: u64) -> Option<MessageKey> {
        Some(MessageKey { digest, strength: KeyStrength::MessageId })
    }

    fn row(source: u32, target: Option<u32>, digest: u64) -> Settled {
        let (source_uid, target_uid) = (Uid(source), target.map(Uid));
        Settled { source_uid, target_uid, state: SettledState::Copied, key: key(digest), flags: Flags::new() }
    }

    fn known(uid: u32, digest: u64) -> Known {
        let candidate = Candidate { uid: Uid(uid), key: key(digest), size: 100, date: Some(7) };
        Known { candidate, likeness: Likeness::default(), flags: Flags::new() }
    }

    fn listed(uids: &[u32]) -> UidSet {
        uids.iter().copied().map(Uid).collect()
    }

    /// What becomes of three messages whose contents prove nothing, of which the last has left the source.
    fn by_key(bodies: Bodies, drafts: bool) -> (Vec<Option<(u32, SettledState)>>, u64) {
        let rows = vec![row(1, None, 10), row(2, Some(7), 10), row(3, Some(8), 20)];
        let mut search = Search::new(rows, vec![known(101, 10), known(102, 20)]);
        let likely = search.likely();
        search.note_likely(likely, &listed(&[1, 2]), bodies, drafts);
        let FoundAgain { settled, found } = search.end();
        (settled.iter().map(|row| Some((row.target_uid?.0, row.state))).collect(), found)
    }

    #[test]
    fn what_only_a_key_speaks_for_is_likely_at_most() {
        let likely = |uid| Some((uid, SettledState::Likely));
        let altered = |uid| Some((uid, SettledState::AdoptedAltered));
        for (bodies, drafts, expected, found) in [
            (Bodies::Kept, false, [None, None, likely(102)], 1),
            (Bodies::Unknown, false, [None, likely(101), likely(102)], 2),
            (Bodies::Rebuilt, false, [None, altered(101), likely(102)], 2),
            (Bodies::Rebuilt, true, [None, likely(101), likely(102)], 2),
        ] {
            assert_eq!(by_key(bodies, drafts), (expected.to_vec(), found), "{bodies:?} {drafts}");
        }
    }

    #[test]
    fn what_is_proved_takes_its_copy_out_of_what_keys_may_claim() {
        let mut search = Search::new(vec![row(1, Some(7), 10), row(2, Some(8), 10)], vec![known(101, 10)]);
        let settled = Settled { state: SettledState::Adopted, ..row(2, Some(101), 10) };
        search.note_proved(vec![Matched { settled, source_flags: Flags::new() }]);
        assert!(search.likely().is_empty());
        let FoundAgain { settled, found } = search.end();
        assert_eq!((settled[0].target_uid, settled[0].state), (None, SettledState::Copied));
        assert_eq!((settled[1].target_uid, settled[1].state, found), (Some(Uid(101)), SettledState::Adopted, 1));
    }
}
