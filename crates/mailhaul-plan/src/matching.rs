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

impl Matching {
    /// The same, but that contents decide for every pair (source UID, target UID) that is `doubtful`: of which one may
    /// be an edited form of the other under the same header fields, and of the same size. `source` and `target` are
    /// what was matched.
    #[must_use]
    pub fn insist_on_contents(
        mut self,
        source: &[Candidate],
        target: &[Candidate],
        doubtful: impl Fn(Uid, Uid) -> bool,
    ) -> Self {
        let (doubted, adopted): (Vec<_>, Vec<_>) =
            self.adopted.into_iter().partition(|&(ours, theirs)| doubtful(ours, theirs));
        self.adopted = adopted;
        let by_uid = |candidates: &[Candidate]| -> BTreeMap<Uid, Candidate> {
            candidates.iter().map(|one| (one.uid, *one)).collect()
        };
        let (source, target) = match doubted.is_empty() {
            true => Default::default(),
            false => (by_uid(source), by_uid(target)),
        };
        for (ours, theirs) in doubted {
            if let Some((ours, theirs)) = source.get(&ours).zip(target.get(&theirs)) {
                self.compare.push(CompareGroup { key: ours.key, source: vec![*ours], target: vec![*theirs] });
            }
        }
        self.compare.sort_by_key(|group| group.source[0].uid);
        self
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with_strength(uid: u32, digest: u64, strength: KeyStrength) -> Candidate {
        Candidate { uid: Uid(uid), key: Some(MessageKey { digest, strength }), size: 100, date: Some(7) }
    }

    fn mail(uid: u32, digest: u64) -> Candidate {
        with_strength(uid, digest, KeyStrength::MessageId)
    }

    fn headers(uid: u32, digest: u64) -> Candidate {
        with_strength(uid, digest, KeyStrength::Headers)
    }

    fn content(uid: u32, digest: u64) -> Candidate {
        with_strength(uid, digest, KeyStrength::Content)
    }

    fn keyless(uid: u32) -> Candidate {
        Candidate { key: None, ..mail(uid, 0) }
    }

    /// Adopted pairs, groups as source|target, foreign, unmatched: all as text.
    fn shown(source: &[Candidate], target: &[Candidate]) -> (String, String, String, String) {
        let matching = match_messages(source, target);
        let uids = |rows: &[Candidate]| rows.iter().map(|row| row.uid).collect::<UidSet>().to_string();
        let groups = matching.compare.iter().map(|group| format!("{}|{}", uids(&group.source), uids(&group.target)));
        let groups = groups.collect::<Vec<_>>().join(" ");
        (shown_pairs(&matching.adopted), groups, matching.foreign.to_string(), matching.unmatched.to_string())
    }

    fn shown_pairs(pairs: &[(Uid, Uid)]) -> String {
        pairs.iter().map(|(source, target)| format!("{source}={target}")).collect::<Vec<_>>().join(" ")
    }

    fn expected(adopted: &str, groups: &str, foreign: &str, unmatched: &str) -> (String, String, String, String) {
        (adopted.into(), groups.into(), foreign.into(), unmatched.into())
    }

    #[test]
    fn one_on_each_side_with_equal_sizes_is_adopted() {
        let source = [mail(1, 10), mail(2, 20), mail(3, 30)];
        let target = [mail(101, 30), mail(102, 99), mail(103, 10)];
        assert_eq!(shown(&source, &target), expected("1=103 3=101", "", "102", "2"));
    }

    #[test]
    fn who_insists_on_contents_adopts_nothing_by_keys() {
        let (source, target) = ([mail(1, 10), mail(2, 20), mail(3, 20)], [mail(101, 20), mail(103, 10)]);
        let matching = match_messages(&source, &target);
        assert_eq!(shown_pairs(&matching.adopted), "1=103");
        let drafts = [Uid(2)];
        let spared = matching.clone().insist_on_contents(&source, &target, |ours, _| drafts.contains(&ours));
        assert_eq!(shown_pairs(&spared.adopted), "1=103", "nobody doubts it");
        let matching = matching.insist_on_contents(&source, &target, |_, _| true);
        assert!(matching.adopted.is_empty());
        let groups: Vec<_> = matching.compare.iter().map(|group| (group.source.len(), group.target[0].uid.0)).collect();
        assert_eq!(groups, [(1, 103), (2, 101)]);
    }

    #[test]
    fn a_message_id_does_not_need_the_date() {
        let other_date = Candidate { date: Some(8), ..mail(101, 10) };
        assert_eq!(shown(&[mail(1, 10)], &[other_date]), expected("1=101", "", "", ""));
    }

    #[test]
    fn whatever_leaves_a_choice_is_compared() {
        let other_size = Candidate { size: 101, ..mail(101, 10) };
        assert_eq!(shown(&[mail(1, 10)], &[other_size]), expected("", "1|101", "", ""));
        let twins = [mail(1, 10), mail(2, 10)];
        assert_eq!(shown(&twins, &[mail(101, 10)]), expected("", "1:2|101", "", ""));
        assert_eq!(shown(&[mail(1, 10)], &[mail(101, 10), mail(102, 10)]), expected("", "1|101:102", "", ""));
        assert_eq!(shown(&twins, &[mail(101, 10), mail(102, 10)]), expected("", "1:2|101:102", "", ""));
    }

    #[test]
    fn without_a_message_id_the_dates_must_agree() {
        assert_eq!(shown(&[headers(1, 10)], &[headers(101, 10)]), expected("1=101", "", "", ""));
        for date in [None, Some(8)] {
            let other = Candidate { date, ..headers(101, 10) };
            assert_eq!(shown(&[headers(1, 10)], &[other]), expected("", "1|101", "", ""));
            let ours = Candidate { date, ..headers(1, 10) };
            assert_eq!(shown(&[ours], &[headers(101, 10)]), expected("", "1|101", "", ""));
        }
        let undated = |row: Candidate| Candidate { date: None, ..row };
        assert_eq!(shown(&[undated(headers(1, 10))], &[undated(headers(101, 10))]), expected("", "1|101", "", ""));
    }

    #[test]
    fn keys_of_another_strength_never_meet() {
        assert_eq!(shown(&[mail(1, 10)], &[headers(101, 10)]), expected("", "", "101", "1"));
    }

    #[test]
    fn messages_without_fields_are_one_group() {
        let source = [keyless(1), keyless(2), mail(3, 10)];
        assert_eq!(shown(&source, &[keyless(101), mail(102, 10)]), expected("3=102", "1:2|101", "", ""));
        assert_eq!(shown(&source, &[mail(102, 10)]), expected("3=102", "", "", "1:2"));
        assert_eq!(shown(&[], &[keyless(101)]), expected("", "", "101", ""));
    }

    #[test]
    fn content_keys_decide_only_when_everybody_without_fields_has_one() {
        let source = [content(1, 10), content(2, 20)];
        assert_eq!(shown(&source, &[content(101, 20)]), expected("2=101", "", "", "1"));
        assert_eq!(shown(&source, &[content(101, 20), keyless(102)]), expected("", "1:2|101:102", "", ""));
        let other_date = Candidate { date: None, ..content(101, 20) };
        assert_eq!(shown(&source, &[other_date]), expected("", "2|101", "", "1"));
    }

    #[test]
    fn nothing_on_one_side_leaves_everything_on_the_other() {
        assert_eq!(shown(&[], &[]), expected("", "", "", ""));
        assert_eq!(shown(&[mail(1, 1), mail(5, 1)], &[]), expected("", "", "", "1,5"));
        assert_eq!(shown(&[], &[mail(9, 1), mail(2, 2)]), expected("", "", "2,9", ""));
    }

    /// A group of mails with the same key, and its contents as (full, body) numbers.
    struct Contents {
        group: CompareGroup,
        source: BTreeMap<Uid, ContentDigests>,
        target: BTreeMap<Uid, ContentDigests>,
    }

    /// Rows are (UID, date, full, body).
    fn contents(
        strength: Option<KeyStrength>,
        source: &[(u32, i64, u8, u8)],
        target: &[(u32, i64, u8, u8)],
    ) -> Contents {
        let candidates = |rows: &[(u32, i64, u8, u8)]| {
            rows.iter().map(|row| Candidate { date: Some(row.1), ..mail(row.0, 10) }).collect::<Vec<_>>()
        };
        let digests = |rows: &[(u32, i64, u8, u8)]| {
            rows.iter().map(|row| (Uid(row.0), ContentDigests { full: [row.2; 32], body: [row.3; 32] })).collect()
        };
        let key = strength.map(|strength| MessageKey { digest: 10, strength });
        let group = CompareGroup { key, source: candidates(source), target: candidates(target) };
        Contents { group, source: digests(source), target: digests(target) }
    }

    fn resolved(contents: &Contents) -> (String, String, String, String) {
        let resolution = resolve_group(&contents.group, &contents.source, &contents.target);
        (
            shown_pairs(&resolution.adopted),
            shown_pairs(&resolution.altered),
            resolution.foreign.to_string(),
            resolution.unmatched.to_string(),
        )
    }

    const ID: Option<KeyStrength> = Some(KeyStrength::MessageId);

    #[test]
    fn equal_octets_are_adopted_as_a_multiset() {
        let case = contents(ID, &[(1, 0, 5, 5), (2, 0, 5, 5), (3, 0, 5, 5)], &[(101, 0, 5, 5), (102, 0, 5, 5)]);
        assert_eq!(resolved(&case), expected("1=101 2=102", "", "", "3"));
        let case = contents(ID, &[(1, 0, 5, 5)], &[(101, 0, 5, 5), (102, 0, 5, 5)]);
        assert_eq!(resolved(&case), expected("1=101", "", "102", ""));
    }

    #[test]
    fn of_two_twins_the_one_with_the_right_date_is_found() {
        let case = contents(ID, &[(1, 10, 5, 5), (2, 20, 5, 5)], &[(101, 20, 5, 5)]);
        assert_eq!(resolved(&case), expected("2=101", "", "", "1"));
        let case = contents(ID, &[(1, 10, 5, 5), (2, 20, 5, 5)], &[(101, 20, 5, 5), (102, 30, 5, 5)]);
        assert_eq!(resolved(&case), expected("1=102 2=101", "", "", ""));
    }

    #[test]
    fn different_mails_under_one_message_id_are_two_mails() {
        let case = contents(ID, &[(1, 0, 5, 5), (2, 0, 6, 6)], &[(101, 0, 6, 6)]);
        assert_eq!(resolved(&case), expected("2=101", "", "", "1"));
        let case = contents(ID, &[(1, 0, 5, 5)], &[(101, 0, 6, 6)]);
        assert_eq!(resolved(&case), expected("", "", "101", "1"));
    }

    #[test]
    fn equal_bodies_under_altered_headers_come_after_equal_octets() {
        let case = contents(ID, &[(1, 0, 5, 1), (2, 0, 6, 1)], &[(101, 0, 7, 1), (102, 0, 6, 1)]);
        assert_eq!(resolved(&case), expected("2=102", "1=101", "", ""));
        let case = contents(ID, &[(1, 9, 5, 1), (2, 8, 6, 1)], &[(101, 8, 7, 1)]);
        assert_eq!(resolved(&case), expected("", "2=101", "", "1"));
    }

    #[test]
    fn without_a_message_id_altered_headers_need_the_same_date() {
        let headers = Some(KeyStrength::Headers);
        let case = contents(headers, &[(1, 9, 5, 1)], &[(101, 9, 7, 1)]);
        assert_eq!(resolved(&case), expected("", "1=101", "", ""));
        let case = contents(headers, &[(1, 9, 5, 1)], &[(101, 8, 7, 1)]);
        assert_eq!(resolved(&case), expected("", "", "101", "1"));
        let case = contents(headers, &[(1, 9, 5, 1)], &[(101, 8, 5, 1)]);
        assert_eq!(resolved(&case), expected("1=101", "", "", ""));
    }

    #[test]
    fn without_any_key_only_equal_octets_prove_anything() {
        for strength in [None, Some(KeyStrength::Content)] {
            let case = contents(strength, &[(1, 9, 5, 1), (2, 9, 6, 1)], &[(101, 9, 7, 1), (102, 9, 6, 1)]);
            assert_eq!(resolved(&case), expected("2=102", "", "101", "1"));
        }
    }

    #[test]
    fn a_message_that_vanished_equals_nothing() {
        let mut case = contents(ID, &[(1, 0, 5, 5), (2, 0, 5, 5)], &[(101, 0, 5, 5), (102, 0, 5, 5)]);
        case.source.remove(&Uid(1));
        case.target.remove(&Uid(101));
        assert_eq!(resolved(&case), expected("2=102", "", "101", "1"));
    }

    fn any_side(first_uid: u32) -> impl Strategy<Value = Vec<Candidate>> {
        let row = (0u64..4, 0u8..4, 0u64..2, proptest::option::of(0i64..2));
        proptest::collection::vec(row, 0..12).prop_map(move |rows| {
            let numbered = (first_uid..).zip(rows);
            let candidates = numbered.map(|(uid, (digest, kind, size, date))| {
                let strength =
                    [KeyStrength::MessageId, KeyStrength::Headers, KeyStrength::Content][usize::from(kind.min(2))];
                let key = (kind < 3).then_some(MessageKey { digest, strength });
                Candidate { uid: Uid(uid), key, size, date }
            });
            candidates.collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_message_is_in_exactly_one_place_whatever_the_order(source in any_side(1), target in any_side(101)) {
            let matching = match_messages(&source, &target);
            let mut ours: Vec<Uid> = matching.unmatched.iter().chain(matching.adopted.iter().map(|pair| pair.0)).collect();
            ours.extend(matching.compare.iter().flat_map(|group| group.source.iter().map(|row| row.uid)));
            ours.sort_unstable();
            prop_assert_eq!(ours, source.iter().map(|row| row.uid).collect::<Vec<_>>());
            let mut theirs: Vec<Uid> = matching.foreign.iter().chain(matching.adopted.iter().map(|pair| pair.1)).collect();
            theirs.extend(matching.compare.iter().flat_map(|group| group.target.iter().map(|row| row.uid)));
            theirs.sort_unstable();
            prop_assert_eq!(theirs, target.iter().map(|row| row.uid).collect::<Vec<_>>());
            let reversed = |rows: &[Candidate]| rows.iter().rev().copied().collect::<Vec<_>>();
            prop_assert_eq!(match_messages(&reversed(&source), &reversed(&target)), matching);
        }

        #[test]
        fn a_group_settles_the_smaller_count_of_equal_contents(
            ours in proptest::collection::vec((0i64..3, 0u8..3), 1..10),
            theirs in proptest::collection::vec((0i64..3, 0u8..3), 1..10),
        ) {
            let rows = |first: u32, side: &[(i64, u8)]| {
                (first..).zip(side).map(|(uid, (date, full))| (uid, *date, *full, *full)).collect::<Vec<_>>()
            };
            let case = contents(ID, &rows(1, &ours), &rows(101, &theirs));
            let resolution = resolve_group(&case.group, &case.source, &case.target);
            let count = |side: &[(i64, u8)], full| side.iter().filter(|row| row.1 == full).count();
            let expected: usize = (0..3).map(|full| count(&ours, full).min(count(&theirs, full))).sum();
            prop_assert_eq!(resolution.adopted.len(), expected);
            prop_assert!(resolution.altered.is_empty());
            prop_assert_eq!(resolution.unmatched.iter().count(), ours.len() - expected);
            prop_assert_eq!(resolution.foreign.iter().count(), theirs.len() - expected);
        }
    }
}
