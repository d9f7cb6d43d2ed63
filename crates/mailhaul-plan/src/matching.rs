//! Finding out which source messages are on the target already.
//!
//! Keys are matched as multisets: n at the source and m on the target means that min(n, m) are adopted and n - m
//! copied. A key alone adopts only where it leaves no choice; everywhere else the caller fetches the contents of the
//! [`CompareGroup`] and [`resolve_group`] decides. The same input in any order gives the same answer.

use crate::content::ContentDigests;
use mailhaul_types::{KeyStrength, MessageKey, Uid, UidSet};
use std::collections::BTreeMap;

/// A message that may be the same mail as one on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its UID on its own side.
    pub uid: Uid,
    /// Its key; `None` where the header had none of the digested fields and the content was not read.
    pub key: Option<MessageKey>,
    /// RFC822.SIZE as its server says, in octets.
    pub size: u64,
    /// Internal date in Unix seconds; `None` where the server's was unreadable.
    pub date: Option<i64>,
}

/// Messages among which contents must decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompareGroup {
    /// What they have in common. `None`: none of them has a usable key, so only equal octets prove anything.
    pub key: Option<MessageKey>,
    /// At the source, by UID; never empty.
    pub source: Vec<Candidate>,
    /// On the target, by UID; never empty.
    pub target: Vec<Candidate>,
}

/// What the keys alone say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matching {
    /// The same mail on both sides: (source UID, target UID), by source UID.
    pub adopted: Vec<(Uid, Uid)>,
    /// Where contents must be compared.
    pub compare: Vec<CompareGroup>,
    /// Target messages that no source message resembles.
    pub foreign: UidSet,
    /// Source messages that no target message resembles: still to be copied.
    pub unmatched: UidSet,
}

/// What the contents say of one [`CompareGroup`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolution {
    /// Equal octets: (source UID, target UID), by source UID.
    pub adopted: Vec<(Uid, Uid)>,
    /// Equal bodies under headers that the target, or another tool, altered; by source UID.
    pub altered: Vec<(Uid, Uid)>,
    /// Target messages that are other mails.
    pub foreign: UidSet,
    /// Source messages that are not on the target.
    pub unmatched: UidSet,
}

/// Matches source candidates (todo or sent) with target messages that nobody has claimed.
///
/// Exactly one message on each side with the same key is adopted if the sizes are equal and, where the key holds no
/// Message-ID, the internal dates too. Messages without header fields to digest form one group of their own unless
/// every one of them carries a content key.
#[must_use]
pub fn match_messages(source: &[Candidate], target: &[Candidate]) -> Matching {
    let content_keys_comparable = source.iter().chain(target).all(|candidate| candidate.key.is_some());
    let grouping_key = |candidate: &Candidate| {
        candidate.key.filter(|key| key.strength != KeyStrength::Content || content_keys_comparable)
    };
    let sorted = |candidates: &[Candidate]| {
        let mut rows: Vec<_> = candidates.iter().map(|candidate| (grouping_key(candidate), *candidate)).collect();
        rows.sort_unstable_by_key(|(key, candidate)| (*key, candidate.uid));
        rows
    };
    let (source, target) = (sorted(source), sorted(target));
    let mut matching = Matching::default();
    let (mut foreign, mut unmatched) = (Vec::new(), Vec::new());
    let mut target_rest = &target[..];
    for ours in source.chunk_by(|one, next| one.0 == next.0) {
        let key = ours[0].0;
        let smaller = target_rest.partition_point(|(theirs, _)| *theirs < key);
        foreign.extend(target_rest[..smaller].iter().map(|(_, candidate)| candidate.uid));
        target_rest = &target_rest[smaller..];
        let (theirs, rest) = target_rest.split_at(target_rest.partition_point(|(theirs, _)| *theirs == key));
        target_rest = rest;
        match (key, ours, theirs) {
            (_, _, []) => unmatched.extend(ours.iter().map(|(_, candidate)| candidate.uid)),
            (Some(key), [(_, one)], [(_, other)]) if proves_same(key, one, other) => {
                matching.adopted.push((one.uid, other.uid));
            }
            _ => matching.compare.push(CompareGroup {
                key,
                source: ours.iter().map(|(_, candidate)| *candidate).collect(),
                target: theirs.iter().map(|(_, candidate)| *candidate).collect(),
            }),
        }
    }
    foreign.extend(target_rest.iter().map(|(_, candidate)| candidate.uid));
    matching.adopted.sort_unstable();
    matching.compare.sort_by_key(|group| group.source[0].uid);
    matching.foreign = set_of(foreign);
    matching.unmatched = set_of(unmatched);
    matching
}

/// Decides a group by contents. A message whose digests are missing (it vanished before it could be read) equals
/// nothing: at the source it stays to be copied, on the target it counts as foreign.
///
/// Equal octets come first, and among those equal internal dates, so that of two twins the one with the right date is
/// found. Then equal bodies under altered headers, but only where the key proves that these are the same mail: with a
/// Message-ID, or without one under equal internal dates. Without any key two mails with the same (often empty) body
/// are two mails.
#[must_use]
pub fn resolve_group(
    group: &CompareGroup,
    source: &BTreeMap<Uid, ContentDigests>,
    target: &BTreeMap<Uid, ContentDigests>,
) -> Resolution {
    let mut open = Open {
        source: group.source.iter().map(|one| (*one, source.get(&one.uid).copied())).collect(),
        target: group.target.iter().map(|one| (*one, target.get(&one.uid).copied())).collect(),
    };
    let mut adopted = open.pair_off(|row, digests| Some((digests.full, row.date)));
    adopted.extend(open.pair_off(|_, digests| Some((digests.full, None::<i64>))));
    let strength = group.key.map(|key| key.strength);
    let mut altered = Vec::new();
    if matches!(strength, Some(KeyStrength::MessageId | KeyStrength::Headers)) {
        altered = open.pair_off(|row, digests| row.date.map(|date| (digests.body, Some(date))));
    }
    if strength == Some(KeyStrength::MessageId) {
        altered.extend(open.pair_off(|_, digests| Some((digests.body, None::<i64>))));
    }
    adopted.sort_unstable();
    altered.sort_unstable();
    Resolution {
        adopted,
        altered,
        foreign: set_of(open.target.iter().map(|(one, _)| one.uid).collect()),
        unmatched: set_of(open.source.iter().map(|(one, _)| one.uid).collect()),
    }
}

/// Whether a key that only these two share is proof enough without looking at the contents.
fn proves_same(key: MessageKey, one: &Candidate, other: &Candidate) -> bool {
    let dates_agree = one.date.is_some() && one.date == other.date;
    one.size == other.size && (key.strength == KeyStrength::MessageId || dates_agree)
}

type Row = (Candidate, Option<ContentDigests>);

/// The messages of a group that nobody has paired yet.
struct Open {
    source: Vec<Row>,
    target: Vec<Row>,
}

impl Open {
    /// Pairs messages for which `trait_of` says the same, lowest UIDs first, and takes them out.
    fn pair_off<T: Ord>(&mut self, trait_of: impl Fn(&Candidate, &ContentDigests) -> Option<T>) -> Vec<(Uid, Uid)> {
        let trait_of_row = |(row, digests): &Row| digests.as_ref().and_then(|digests| trait_of(row, digests));
        let mut waiting: BTreeMap<T, Vec<Uid>> = BTreeMap::new();
        for row in self.target.iter().rev() {
            if let Some(shared) = trait_of_row(row) {
                waiting.entry(shared).or_default().push(row.0.uid);
            }
        }
        let mut pairs = Vec::new();
        let mut taken = UidSet::new();
        self.source.retain(|row| {
            let partner = trait_of_row(row).and_then(|shared| waiting.get_mut(&shared)?.pop());
            if let Some(partner) = partner {
                pairs.push((row.0.uid, partner));
                taken.insert(partner);
            }
            partner.is_none()
        });
        self.target.retain(|row| !taken.contains(row.0.uid));
        pairs
    }
}

fn set_of(mut uids: Vec<Uid>) -> UidSet {
    uids.sort_unstable();
    uids.into_iter().collect()
}
