//! Sequence sets as servers send them (RFC 9051 §9, `sequence-set`): read element by element, never expanded.

use crate::tokens::exact_u32;
use mailhaul_types::{Uid, UidValidity};

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
