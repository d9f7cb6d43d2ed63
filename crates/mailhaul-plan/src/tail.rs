//! The tail of a target mailbox: the mark up to which every target UID is accounted for.
//!
//! Nothing is appended into a mailbox whose tail has not been read: whatever lies between the mark and UIDNEXT may be
//! a copy whose answer was lost.

use mailhaul_types::{Uid, UidRange, UidSet};

/// The UIDs to read before new work: from the mark to UIDNEXT - 1. `None` when nothing new is there. Answers below
/// the mark must be dropped by the caller: `mark:*` yields the last old message when nothing is new (RFC 9051 §9,
/// `seq-range`), and so do servers that are asked beyond their last UID.
#[must_use]
pub fn tail_range(mark: Uid, uid_next: Uid) -> Option<UidRange> {
    let first = Uid(mark.0.max(1));
    (uid_next > first).then(|| UidRange { first, last: Uid(uid_next.0 - 1) })
}

/// Moves the mark over the UIDs that APPENDUID named, as long as they follow it without a gap. A gap is somebody
/// else's mail, or a copy of ours that nobody named: the mark stops there until the tail is read again.
#[must_use]
pub fn advance_mark(mark: Uid, named: &UidSet) -> Uid {
    let reached = named.ranges().iter().find(|range| range.first <= mark && mark <= range.last);
    reached.map_or(mark, |range| Uid(range.last.0.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_reaches_from_the_mark_to_uidnext() {
        let cases = [
            (1, 1, None),
            (1, 2, Some("1")),
            (10, 10, None),
            (10, 9, None),
            (10, 15, Some("10:14")),
            (0, 3, Some("1:2")),
            (u32::MAX, u32::MAX, None),
        ];
        for (mark, uid_next, expected) in cases {
            let range = tail_range(Uid(mark), Uid(uid_next)).map(|range| range.to_string());
            assert_eq!(range.as_deref(), expected, "{mark} {uid_next}");
        }
    }

    #[test]
    fn the_mark_never_passes_a_gap() {
        let named = |uids: &[u32]| uids.iter().copied().map(Uid).collect::<UidSet>();
        let cases: [(u32, &[u32], u32); 6] = [
            (10, &[10, 11, 12], 13),
            (10, &[11, 12], 10),
            (10, &[8, 9], 10),
            (10, &[9, 10, 12], 11),
            (10, &[], 10),
            (u32::MAX, &[u32::MAX], u32::MAX),
        ];
        for (mark, uids, expected) in cases {
            assert_eq!(advance_mark(Uid(mark), &named(uids)), Uid(expected), "{mark} {uids:?}");
        }
    }
}
