//! Pure: two lists of messages, and what differs between them. Shared by both levels of verify that look at messages.

use mailhaul_plan::content::ContentDigests;
use mailhaul_types::{MessageKey, Uid, UidSet};
use std::collections::{BTreeMap, VecDeque};

/// A message as far as verify has looked at it. What was not looked at is `None` on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen<I> {
    pub(crate) uid: u32,
    /// What makes it this message: a digest of its octets, or its key.
    pub(crate) identity: I,
    pub(crate) size: Option<u64>,
    /// Unix seconds.
    pub(crate) date: Option<i64>,
    pub(crate) flags: Option<String>,
}

/// What a comparison found. Positions are indices into the two lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// Same identity, and everything else the same too.
    pub(crate) equal: u64,
    /// Same identity, something else differs: source, target, what.
    pub(crate) altered: Vec<(usize, usize, String)>,
    /// Source messages without a partner.
    pub(crate) missing: Vec<usize>,
    /// Target messages without a partner whose identity the source knows.
    pub(crate) doubled: Vec<usize>,
    /// Target messages without a partner that are otherwise unknown.
    pub(crate) extra: Vec<usize>,
}

impl Comparison {
    /// Whether every message has its equal.
    pub(crate) fn is_equality(&self) -> bool {
        let Self { equal: _, altered, missing, doubled, extra } = self;
        altered.is_empty() && missing.is_empty() && doubled.is_empty() && extra.is_empty()
    }

    /// The UIDs of pairs that differ in their sizes, on both sides.
    pub(crate) fn sizes_that_differ<I>(&self, source: &[Seen<I>], target: &[Seen<I>]) -> (UidSet, UidSet) {
        let pairs = self.altered.iter().map(|(place, other, _)| (&source[*place], &target[*other]));
        let differing = pairs.filter(|(source, target)| source.size != target.size);
        let (ours, theirs): (Vec<Uid>, Vec<Uid>) =
            differing.map(|(source, target)| (Uid(source.uid), Uid(target.uid))).unzip();
        (ours.into_iter().collect(), theirs.into_iter().collect())
    }
}

/// Pairs messages one to one. Within one identity, those that agree in everything are paired first, so that of two
/// twins with different flags each finds its own copy. Partners are looked up, never searched for: a mailbox may hold
/// the same message a hundred thousand times.
pub(crate) fn compare<I: Ord>(source: &[Seen<I>], target: &[Seen<I>]) -> Comparison {
    let mut groups: BTreeMap<&I, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (place, seen) in source.iter().enumerate() {
        groups.entry(&seen.identity).or_default().0.push(place);
    }
    for (place, seen) in target.iter().enumerate() {
        groups.entry(&seen.identity).or_default().1.push(place);
    }
    let mut found = Comparison::default();
    for (ours, theirs) in groups.into_values() {
        let known_at_source = !ours.is_empty();
        let mut free = Free::of(theirs.into_iter().map(|place| (target[place].looks(), place)));
        let mut left = Vec::new();
        for place in ours {
            match free.take(&source[place].looks()) {
                Some(_) => found.equal += 1,
                None => left.push(place),
            }
        }
        let theirs = free.rest();
        let pairs = left.len().min(theirs.len());
        for (place, other) in left.iter().zip(&theirs) {
            found.altered.push((*place, *other, differs(&source[*place], &target[*other])));
        }
        found.missing.extend(&left[pairs..]);
        let residue = if known_at_source { &mut found.doubled } else { &mut found.extra };
        residue.extend(&theirs[pairs..]);
    }
    found.altered.sort();
    found.missing.sort_unstable();
    found.doubled.sort_unstable();
    found.extra.sort_unstable();
    found
}

/// A message without an equal partner, looked at once more: digests of its contents, and its key.
pub(crate) type Residue = (ContentDigests, MessageKey);

/// Pairs residues of both sides that are the same mail after all, by UID, and says what differs. The closest likeness
/// is tried first.
pub(crate) fn pair_residues(
    ours: &BTreeMap<u32, Residue>,
    theirs: &BTreeMap<u32, Residue>,
) -> BTreeMap<u32, (u32, &'static str)> {
    const LOOKS: [(Look, &str); 3] = [
        (|residue| Likeness::Octets(residue.0.full), "only its line ends differ"),
        (|residue| Likeness::KeyAndBody(residue.1, residue.0.body), "its headers differ, its body is the same"),
        (|residue| Likeness::Key(residue.1), "the same headers, but other octets"),
    ];
    let mut pairs = BTreeMap::new();
    let mut unpaired: Vec<u32> = ours.keys().copied().collect();
    let mut left: Vec<u32> = theirs.keys().copied().collect();
    for (likeness, reason) in LOOKS {
        let mut free = Free::of(left.into_iter().map(|uid| (likeness(&theirs[&uid]), uid)));
        unpaired.retain(|uid| match free.take(&likeness(&ours[uid])) {
            Some(partner) => {
                pairs.insert(*uid, (partner, reason));
                false
            }
            None => true,
        });
        left = free.rest();
    }
    pairs
}

/// In what respect two residues may be alike.
type Look = fn(&Residue) -> Likeness;

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    Octets([u8; 32]),
    KeyAndBody(MessageKey, [u8; 32]),
    Key(MessageKey),
}

/// Possible partners by what they are looked up by; the first that came is the first to go.
struct Free<K, V>(BTreeMap<K, VecDeque<V>>);

impl<K: Ord, V: Ord> Free<K, V> {
    fn of(all: impl Iterator<Item = (K, V)>) -> Self {
        let mut free: BTreeMap<K, VecDeque<V>> = BTreeMap::new();
        for (key, value) in all {
            free.entry(key).or_default().push_back(value);
        }
        Self(free)
    }

    fn take(&mut self, key: &K) -> Option<V> {
        self.0.get_mut(key)?.pop_front()
    }

    /// What nobody took, ascending.
    fn rest(self) -> Vec<V> {
        let mut rest: Vec<V> = self.0.into_values().flatten().collect();
        rest.sort_unstable();
        rest
    }
}

/// Everything that is compared besides the identity.
type Looks<'a> = (Option<u64>, Option<i64>, Option<&'a str>);

impl<I> Seen<I> {
    fn looks(&self) -> Looks<'_> {
        (self.size, self.date, self.flags.as_deref())
    }
}

/// What differs between two messages of one identity; empty if nothing does.
fn differs<I>(source: &Seen<I>, target: &Seen<I>) -> String {
    let mut parts = Vec::new();
    if source.size != target.size {
        parts.push(format!("size {} became {}", shown(source.size), shown(target.size)));
    }
    if source.date != target.date {
        parts.push(format!("internal date {} became {}", shown_date(source.date), shown_date(target.date)));
    }
    if source.flags != target.flags {
        let flags = |flags: &Option<String>| flags.clone().filter(|text| !text.is_empty()).unwrap_or("none".into());
        parts.push(format!("flags {} became {}", flags(&source.flags), flags(&target.flags)));
    }
    parts.join("; ")
}

fn shown(number: Option<u64>) -> String {
    number.map_or_else(|| "unknown".to_owned(), |number| number.to_string())
}

fn shown_date(date: Option<i64>) -> String {
    let shown = |secs| mailhaul_types::InternalDate::from_unix_secs(secs).to_string();
    date.map_or_else(|| "unknown".to_owned(), shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailhaul_plan::keys::KeyMaker;

    fn seen(uid: u32, identity: &'static str, flags: &str) -> Seen<&'static str> {
        Seen { uid, identity, size: Some(1), date: Some(0), flags: Some(flags.to_owned()) }
    }

    #[test]
    fn names_exactly_what_is_missing_doubled_altered_and_extra() {
        let source = [seen(1, "a", ""), seen(2, "b", ""), seen(3, "b", "\\Seen"), seen(4, "c", ""), seen(5, "d", "")];
        let target = [
            seen(11, "b", "\\Seen"),
            seen(12, "b", ""),
            seen(13, "a", ""),
            seen(14, "a", ""),
            seen(15, "x", ""),
            seen(16, "c", "\\Flagged"),
        ];
        let found = compare(&source, &target);
        assert_eq!(found.equal, 3);
        assert_eq!(found.missing, [4]);
        assert_eq!(found.doubled, [3]);
        assert_eq!(found.extra, [4]);
        assert_eq!(found.altered, [(3, 5, "flags none became \\Flagged".to_owned())]);
    }

    #[test]
    fn equal_lists_in_any_order_are_equal() {
        let source: Vec<_> = (0..50).map(|uid| seen(uid, if uid % 3 == 0 { "a" } else { "b" }, "")).collect();
        let target: Vec<_> = source.iter().rev().cloned().collect();
        assert_eq!(compare(&source, &target), Comparison { equal: 50, ..Comparison::default() });
    }

    #[test]
    fn a_hundred_thousand_twins_with_other_flags_are_paired_without_searching() {
        let twins = |flags: &'static str| -> Vec<_> { (0..100_000).map(|uid| seen(uid, "a", flags)).collect() };
        let found = compare(&twins(""), &twins("\\Seen"));
        assert_eq!((found.equal, found.altered.len()), (0, 100_000));
        assert!(found.altered.iter().all(|(ours, theirs, _)| ours == theirs), "each with its counterpart");
        assert!(found.missing.is_empty() && found.doubled.is_empty() && found.extra.is_empty());
    }

    fn residue(full: u32, body: u32, key: u32) -> Residue {
        let digest = |number: u32| {
            let mut digest = [0; 32];
            digest[..4].copy_from_slice(&number.to_be_bytes());
            digest
        };
        let key = KeyMaker::new([0; 16]).key_of_message(format!("Subject: {key}\r\n\r\n").as_bytes());
        (ContentDigests { full: digest(full), body: digest(body) }, key)
    }

    #[test]
    fn residues_find_their_closest_likeness_first() {
        let ours = BTreeMap::from([
            (1, residue(1, 1, 1)),
            (2, residue(2, 2, 1)),
            (3, residue(3, 3, 1)),
            (4, residue(4, 4, 4)),
        ]);
        let theirs = BTreeMap::from([
            (11, residue(30, 30, 1)),
            (12, residue(20, 2, 1)),
            (13, residue(1, 1, 1)),
            (14, residue(5, 5, 5)),
        ]);
        let expected = BTreeMap::from([
            (1, (13, "only its line ends differ")),
            (2, (12, "its headers differ, its body is the same")),
            (3, (11, "the same headers, but other octets")),
        ]);
        assert_eq!(pair_residues(&ours, &theirs), expected);
    }

    #[test]
    fn two_hundred_thousand_residues_are_paired_without_searching() {
        let key = residue(0, 0, 0).1;
        let with = |full: u32, body: u32| (residue(full, body, 0).0, key);
        // Worst for a search: the partners stand in the opposite order.
        let ours: BTreeMap<u32, Residue> = (0..100_000).map(|uid| (uid, with(uid, uid))).collect();
        let theirs: BTreeMap<u32, Residue> =
            (0..100_000).map(|uid| (uid, with(1_000_000 + uid, 99_999 - uid))).collect();
        let pairs = pair_residues(&ours, &theirs);
        assert_eq!(pairs.len(), 100_000);
        assert!(pairs.iter().all(|(uid, (partner, _))| uid + partner == 99_999), "each by its body");
    }
}
