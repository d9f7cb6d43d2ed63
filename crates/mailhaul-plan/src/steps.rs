//! Which messages are still to be copied, and when so many are absent that somebody should look.
//!
//! Sets of UIDs are worked on as ranges: a mailbox of a million messages that is all settled costs a handful of
//! comparisons.

use mailhaul_types::{Uid, UidRange, UidSet};

/// The UIDs of `from` that are not in `minus`. Linear in the number of ranges.
#[must_use]
pub fn difference(from: &UidSet, minus: &UidSet) -> UidSet {
    let mut out = UidSet::new();
    let holes = minus.ranges();
    let mut next_hole = 0;
    for range in from.ranges() {
        let mut first = u64::from(range.first.0);
        let last = u64::from(range.last.0);
        while holes.get(next_hole).is_some_and(|hole| hole.last < range.first) {
            next_hole += 1;
        }
        for hole in &holes[next_hole..] {
            let (hole_first, hole_last) = (u64::from(hole.first.0), u64::from(hole.last.0));
            if hole_first > last {
                break;
            }
            if hole_first > first {
                out.insert_range(range_of(first, hole_first - 1));
            }
            first = first.max(hole_last + 1);
            if hole_last >= last {
                break;
            }
            next_hole += 1;
        }
        if first <= last {
            out.insert_range(range_of(first, last));
        }
    }
    out
}

/// The UIDs that are in both sets.
#[must_use]
pub fn intersection(one: &UidSet, other: &UidSet) -> UidSet {
    difference(one, &difference(one, other))
}

/// What is still to be copied: listed, and neither settled (copied, adopted) nor filed as an exception (refused,
/// gone, unreadable) nor left out by the selection.
#[must_use]
pub fn remaining(listed: &UidSet, settled: &UidSet, exceptions: &UidSet, skipped: &UidSet) -> UidSet {
    difference(&difference(&difference(listed, settled), exceptions), skipped)
}

/// Fewest settled messages whose absence can be called a mass absence.
pub const MASS_ABSENCE_FROM: u64 = 50;

/// Whether a mailbox suddenly shows so little of what was settled from it that the operator should look before
/// anything is concluded from it: at least [`MASS_ABSENCE_FROM`] messages settled, and nine in ten of them no longer
/// listed. A brake, never an order to delete.
#[must_use]
pub fn is_mass_absence(listed: &UidSet, settled: &UidSet) -> bool {
    let settled_count = settled.len();
    settled_count >= MASS_ABSENCE_FROM && difference(settled, listed).len() * 10 >= settled_count * 9
}

fn range_of(first: u64, last: u64) -> UidRange {
    let uid = |number| Uid(u32::try_from(number).expect("both ends lie within ranges of 32-bit UIDs"));
    UidRange { first: uid(first), last: uid(last) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set(uids: impl IntoIterator<Item = u32>) -> UidSet {
        uids.into_iter().map(Uid).collect()
    }

    #[test]
    fn remaining_is_what_nobody_has_accounted_for() {
        let todo = remaining(&set(1..=20), &set((1..=5).chain(9..=9)), &set([7, 30]), &set([20]));
        assert_eq!(todo.to_string(), "6,8,10:19");
    }

    #[test]
    fn a_settled_mailbox_leaves_nothing() {
        assert!(remaining(&set(1..=20), &set(1..=40), &UidSet::new(), &UidSet::new()).is_empty());
        assert!(remaining(&UidSet::new(), &set(1..=40), &UidSet::new(), &UidSet::new()).is_empty());
    }

    #[test]
    fn whole_ranges_are_never_expanded() {
        let mut everything = UidSet::new();
        everything.insert_range(UidRange { first: Uid(1), last: Uid(u32::MAX) });
        let left = difference(&everything, &set([1, 77, u32::MAX]));
        assert_eq!(left.to_string(), "2:76,78:4294967294");
        assert!(difference(&everything, &everything).is_empty());
    }

    #[test]
    fn an_account_that_shows_empty_is_a_mass_absence_and_a_tidied_one_is_not() {
        let settled = set(1..=1_000);
        assert!(is_mass_absence(&UidSet::new(), &settled));
        assert!(is_mass_absence(&set(1..=100), &settled));
        assert!(!is_mass_absence(&set(1..=101), &settled));
        assert!(!is_mass_absence(&UidSet::new(), &set(1..=49)));
        assert!(!is_mass_absence(&UidSet::new(), &UidSet::new()));
    }

    proptest! {
        #[test]
        fn difference_and_intersection_agree_with_plain_sets(
            one in proptest::collection::btree_set(1u32..120, 0..80),
            other in proptest::collection::btree_set(1u32..120, 0..80),
        ) {
            let plain = |uids: &BTreeSet<u32>| set(uids.iter().copied());
            let expected: BTreeSet<u32> = one.difference(&other).copied().collect();
            prop_assert_eq!(difference(&plain(&one), &plain(&other)), plain(&expected));
            let expected: BTreeSet<u32> = one.intersection(&other).copied().collect();
            prop_assert_eq!(intersection(&plain(&one), &plain(&other)), plain(&expected));
        }
    }
}
