//! Sequence sets as servers send them (RFC 9051 §9, `sequence-set`): read element by element, never expanded.

use crate::tokens::exact_u32;
use mailhaul_types::{Uid, UidSet, UidValidity};
use std::collections::BTreeSet;

/// `first:last` as it stood there; a single number is a range of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) first: u32,
    pub(crate) last: u32,
}

/// The elements of a set; `None` for one that cannot be read (`*`, 0, nonsense).
pub(crate) fn elements(set: &[u8]) -> impl Iterator<Item = Option<Element>> + '_ {
    set.split(|octet| *octet == b',').map(|element| {
        let mut ends = element.splitn(2, |octet| *octet == b':');
        let first = exact_u32(ends.next()?).filter(|uid| *uid != 0)?;
        let last = ends.next().map_or(Some(first), |last| exact_u32(last).filter(|uid| *uid != 0))?;
        Some(Element { first, last })
    })
}

/// The arguments of APPENDUID (RFC 4315 §3) for `count` messages in the order of transmission.
///
/// `None` unless the set is strictly ascending and exactly `count` wide: UIDs are assigned in ascending order, so
/// anything else would be a guess.
pub(crate) fn read_append_uid(arguments: &[u8], count: u32) -> Option<(UidValidity, Vec<Uid>)> {
    let mut words = arguments.split(|octet| *octet == b' ').filter(|word| !word.is_empty());
    let validity = exact_u32(words.next()?).filter(|validity| *validity != 0)?;
    let set = words.next()?;
    if words.next().is_some() {
        return None;
    }
    let mut width = 0_u64;
    let mut before = 0_u32;
    for element in elements(set) {
        let Element { first, last } = element?;
        if first <= before || last < first {
            return None;
        }
        width += u64::from(last - first) + 1;
        before = last;
        if width > u64::from(count) {
            return None;
        }
    }
    if width != u64::from(count) {
        return None;
    }
    // Only now is the set known to be no larger than what we sent.
    let uids = elements(set).flatten().flat_map(|element| (element.first..=element.last).map(Uid)).collect();
    Some((UidValidity(validity), uids))
}

/// The arguments of COPYUID (RFC 4315 §3): UIDVALIDITY of the other mailbox, and the UIDs before and after, which
/// correspond by their order.
///
/// `None` unless both sets have the same width, name no UID twice, and the first holds nothing that was not asked for.
pub(crate) fn read_copy_uid(arguments: &[u8], asked: &UidSet) -> Option<(UidValidity, Vec<(Uid, Uid)>)> {
    let mut words = arguments.split(|octet| *octet == b' ').filter(|word| !word.is_empty());
    let validity = exact_u32(words.next()?).filter(|validity| *validity != 0)?;
    let (before, after) = (words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    let width = width_within(before, asked.len())?;
    if width_within(after, asked.len())? != width {
        return None;
    }
    // Only now are the sets known to be no larger than what we asked for.
    let (before, after) = (expand(before), expand(after));
    let is_ours = before.iter().all(|uid| asked.contains(*uid));
    let distinct = |uids: &[Uid]| uids.iter().collect::<BTreeSet<_>>().len() == uids.len();
    if !is_ours || !distinct(&before) || !distinct(&after) {
        return None;
    }
    Some((UidValidity(validity), before.into_iter().zip(after).collect()))
}

/// How many UIDs a set spans, if that is no more than `most`.
fn width_within(set: &[u8], most: u64) -> Option<u64> {
    let mut width = 0;
    for element in elements(set) {
        let Element { first, last } = element?;
        width += u64::from(first.abs_diff(last)) + 1;
        if width > most {
            return None;
        }
    }
    Some(width)
}

/// Every UID of a set in the order in which it stands there; `5:3` means `3:5` (RFC 9051 §9, `seq-range`).
fn expand(set: &[u8]) -> Vec<Uid> {
    let ascending = |element: Element| element.first.min(element.last)..=element.first.max(element.last);
    elements(set).flatten().flat_map(|element| ascending(element).map(Uid)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_mapped_in_order() {
        let (validity, uids) = read_append_uid(b"38505 3955:3957,3960", 4).expect("fits");
        assert_eq!(validity, UidValidity(38_505));
        assert_eq!(uids, [3955, 3956, 3957, 3960].map(Uid));
        assert_eq!(read_append_uid(b"1 4294967295", 1).expect("fits").1, [Uid(u32::MAX)]);
    }

    #[test]
    fn copies_are_mapped_in_the_order_of_the_sets() {
        let asked: UidSet = [3, 4, 5, 9].map(Uid).into_iter().collect();
        let pairs = |arguments: &[u8]| {
            let (validity, pairs) = read_copy_uid(arguments, &asked)?;
            assert_eq!(validity, UidValidity(7));
            Some(pairs.into_iter().map(|(before, after)| (before.0, after.0)).collect::<Vec<_>>())
        };
        assert_eq!(pairs(b"7 3:5,9 10:13"), Some(vec![(3, 10), (4, 11), (5, 12), (9, 13)]));
        assert_eq!(pairs(b"7 9,3 10:11"), Some(vec![(9, 10), (3, 11)]));
        assert_eq!(pairs(b"7 4:3 11:10"), Some(vec![(3, 10), (4, 11)]));
        for nonsense in [
            &b"7 3:5 10:11"[..],
            b"7 3:6 10:13",
            b"7 3,3 10:11",
            b"7 3,4 10,10",
            b"7 1:4294967295 1:4294967295",
            b"7 3 0",
            b"7 * 1",
            b"0 3 1",
            b"7 3",
            b"7 3 1 x",
            b"",
        ] {
            assert_eq!(pairs(nonsense), None, "{}", String::from_utf8_lossy(nonsense));
        }
    }

    #[test]
    fn what_does_not_fit_is_no_mapping() {
        for (arguments, count) in [
            (&b"1 1:4294967295"[..], 3),
            (b"1 1:2", 3),
            (b"1 1:4", 3),
            (b"1 3:1", 3),
            (b"1 2,1,3", 3),
            (b"1 1,1,1", 3),
            (b"1 1:*", 3),
            (b"1 0:2", 3),
            (b"0 1:3", 3),
            (b"1 1:3 x", 3),
            (b"1", 3),
            (b"", 3),
            (b"1 1,,3", 3),
            (b"99999999999 1:3", 3),
        ] {
            assert_eq!(read_append_uid(arguments, count), None, "{}", String::from_utf8_lossy(arguments));
        }
    }
}
