//! Sets of UIDs as octets: the messages of a mailbox that have left the source. Pure: knows no database.
//!
//! A packed set is the format's version (1), then per range, ascending:
//!
//! ```text
//! gap      varint    UIDs between this range and the one before it, less one; for the first range: UIDs below it,
//!                    0 not counted
//! width    varint    how many UIDs the range has, less one
//! ```
//!
//! Varints are those of a segment. A message that left on its own costs two octets while fewer than 128 others lie
//! between it and the one before; a mailbox that was emptied costs three to ten in all. Reading accepts any octets
//! and either returns what was packed or nothing; it never takes more than four times their length of memory, because
//! a range needs at least two of them and is never expanded.

use crate::segment::{push_varint, take_varint};
use mailhaul_types::{Uid, UidRange, UidSet};

const VERSION: u8 = 1;

/// Packs a set. UID 0, which no server gives, must not be in it.
pub(crate) fn pack(set: &UidSet) -> Vec<u8> {
    debug_assert!(!set.contains(Uid(0)), "UID 0 is no UID");
    let mut out = Vec::with_capacity(1 + set.ranges().len() * 3);
    out.push(VERSION);
    // The lowest UID that the next range can begin with: two after the end of the last, or they would be one range.
    let mut lowest = 1;
    for range in set.ranges() {
        push_varint(u64::from(range.first.0) - lowest, &mut out);
        push_varint(range.width() - 1, &mut out);
        lowest = u64::from(range.last.0) + 2;
    }
    out
}

/// Reads a packed set; `None` if the octets are not one.
pub(crate) fn unpack(octets: &[u8]) -> Option<UidSet> {
    let (&VERSION, mut rest) = octets.split_first()? else { return None };
    let mut set = UidSet::new();
    let mut lowest: u64 = 1;
    while !rest.is_empty() {
        let first = lowest.checked_add(take_varint(&mut rest)?)?;
        let last = first.checked_add(take_varint(&mut rest)?)?;
        set.insert_range(UidRange { first: Uid(u32::try_from(first).ok()?), last: Uid(u32::try_from(last).ok()?) });
        lowest = last + 2;
    }
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_set() -> impl Strategy<Value = UidSet> {
        let uid = prop_oneof![1..300u32, 1..=u32::MAX, u32::MAX - 300..=u32::MAX];
        let range = (uid, prop_oneof![Just(0u32), 0..20u32, any::<u32>()]);
        proptest::collection::vec(range, 0..100).prop_map(|ranges| {
            let mut set = UidSet::new();
            for (first, more) in ranges {
                set.insert_range(UidRange { first: Uid(first), last: Uid(first.saturating_add(more)) });
            }
            set
        })
    }

    proptest! {
        #[test]
        fn whatever_is_packed_comes_back(set in any_set()) {
            prop_assert_eq!(unpack(&pack(&set)), Some(set));
        }

        #[test]
        fn any_octets_are_read_without_harm(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut versioned = vec![VERSION];
            versioned.extend_from_slice(&octets);
            for set in [unpack(&octets), unpack(&versioned)].into_iter().flatten() {
                prop_assert!(!set.contains(Uid(0)));
                prop_assert!(set.ranges().len() <= octets.len() / 2);
                prop_assert_eq!(unpack(&pack(&set)), Some(set));
            }
        }

        #[test]
        fn a_cut_set_is_a_beginning_of_the_whole(set in any_set(), cut in any::<prop::sample::Index>()) {
            let octets = pack(&set);
            if let Some(kept) = unpack(&octets[..cut.index(octets.len())]) {
                prop_assert!(kept.ranges().len() < set.ranges().len());
                prop_assert!(set.ranges().starts_with(kept.ranges()));
            }
        }
    }

    #[test]
    fn single_messages_cost_two_octets_and_an_emptied_mailbox_a_handful() {
        let scattered: UidSet = (1..=1_000).map(|number| Uid(number * 100)).collect();
        assert_eq!(pack(&scattered).len(), 1 + 2 * 1_000);
        let mut emptied = UidSet::new();
        emptied.insert_range(UidRange { first: Uid(1), last: Uid(1_000_000) });
        assert_eq!(pack(&emptied).len(), 1 + 1 + 3);
        assert_eq!(pack(&UidSet::new()), [VERSION]);
    }

    #[test]
    fn refuses_unknown_versions_impossible_uids_and_half_ranges() {
        assert_eq!(unpack(&[]), None);
        assert_eq!(unpack(&[2]), None);
        assert_eq!(unpack(&[VERSION, 5]), None, "a range without width");
        assert_eq!(unpack(&[VERSION, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]), None, "UID 2^32");
        assert_eq!(unpack(&[VERSION, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]), None, "up to UID 2^32");
        assert_eq!(unpack(&[&[VERSION, 0][..], &[0xff; 12]].concat()), None, "a number without end");
    }
}
