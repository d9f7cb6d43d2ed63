//! Which arrivals are messages that were moved at the source, and by which commands the target can follow.
//!
//! A move shows itself as two changes that do not mention each other: a message has left one mailbox, and a message
//! with the same key has arrived in another. Both are kept as multisets: of twins, each departed message explains one
//! arrival. Whether the contents agree is decided by [`matching`](crate::matching) against the copy that the departed
//! message has on the target; what is here needs no contents.

use mailhaul_types::{Flags, KeyStrength, MessageKey, SystemFlag};
use std::collections::BTreeMap;

/// Pairs arrivals with departed messages of the same key, each at most once, in the order in which they are given.
/// Messages without a key are never paired.
#[must_use]
pub fn pair_by_key<A: Copy, D: Copy>(
    arrivals: &[(A, Option<MessageKey>)],
    departed: &[(D, Option<MessageKey>)],
) -> Vec<(A, D)> {
    let mut waiting: BTreeMap<MessageKey, Vec<D>> = BTreeMap::new();
    for (one, key) in departed.iter().rev() {
        if let Some(key) = key {
            waiting.entry(*key).or_default().push(*one);
        }
    }
    let partner = |(arrival, key): &(A, Option<MessageKey>)| Some((*arrival, waiting.get_mut(key.as_ref()?)?.pop()?));
    arrivals.iter().filter_map(partner).collect()
}

/// Whether a departed message whose copy is not on the target any more explains an arrival by its key alone: its owner
/// has filed or deleted it there, and it shall not come back. Without a Message-ID a key is too weak to withhold a
/// message for, and a draft is rewritten under the same header fields. To be asked of both messages.
#[must_use]
pub fn may_be_left_to_owner(key: Option<MessageKey>, flags: &Flags) -> bool {
    key.is_some_and(|key| key.strength == KeyStrength::MessageId) && !flags.contains(SystemFlag::Draft)
}

/// How a message of a target mailbox comes into another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// UID MOVE (RFC 6851).
    Move,
    /// UID COPY; then `\Deleted` and UID EXPUNGE (RFC 4315 §2.1) for the message that was copied.
    CopyAndExpunge,
}

/// The way to move a message on a target with these extensions. `None` if there is none: without UID EXPUNGE nothing
/// can be removed but together with whatever else is marked, and nothing is expunged that mailhaul did not write.
#[must_use]
pub fn way_to_move(has_move: bool, has_uidplus: bool, written_by_us: bool) -> Option<Way> {
    match (has_move, has_uidplus && written_by_us) {
        (true, _) => Some(Way::Move),
        (false, true) => Some(Way::CopyAndExpunge),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(digest: u64) -> Option<MessageKey> {
        Some(MessageKey { digest, strength: KeyStrength::MessageId })
    }

    #[test]
    fn twins_are_paired_one_by_one_and_each_departed_message_once() {
        let arrivals = [(1, key(7)), (2, key(7)), (3, key(8)), (4, None), (5, key(7))];
        let departed = [('a', key(7)), ('b', key(9)), ('c', None), ('d', key(7))];
        assert_eq!(pair_by_key(&arrivals, &departed), [(1, 'a'), (2, 'd')]);
        assert_eq!(pair_by_key(&arrivals, &departed[1..3]), []);
    }

    #[test]
    fn keys_of_another_strength_are_other_keys() {
        let weak = Some(MessageKey { digest: 7, strength: KeyStrength::Headers });
        assert_eq!(pair_by_key(&[(1, weak)], &[(2, key(7))]), []);
    }

    #[test]
    fn only_a_message_id_and_no_draft_is_withheld_for_its_owners_sake() {
        let strength = |strength| Some(MessageKey { digest: 1, strength });
        let draft = Flags::from_parts(SystemFlag::Draft as u8, []);
        assert!(may_be_left_to_owner(strength(KeyStrength::MessageId), &Flags::new()));
        assert!(!may_be_left_to_owner(strength(KeyStrength::MessageId), &draft));
        for weak in [strength(KeyStrength::Headers), strength(KeyStrength::Content), None] {
            assert!(!may_be_left_to_owner(weak, &Flags::new()));
        }
    }

    #[test]
    fn what_mailhaul_did_not_write_is_moved_or_left() {
        let cases = [
            (true, true, true, Some(Way::Move)),
            (true, false, false, Some(Way::Move)),
            (false, true, true, Some(Way::CopyAndExpunge)),
            (false, true, false, None),
            (false, false, true, None),
            (false, false, false, None),
        ];
        for (has_move, has_uidplus, ours, expected) in cases {
            assert_eq!(way_to_move(has_move, has_uidplus, ours), expected, "{has_move} {has_uidplus} {ours}");
        }
    }

    proptest! {
        #[test]
        fn pairs_as_many_as_both_sides_have(
            arrivals in proptest::collection::vec(0u64..5, 0..20),
            departed in proptest::collection::vec(0u64..5, 0..20),
        ) {
            let numbered = |digests: &[u64]| digests.iter().enumerate().map(|(at, one)| (at, key(*one))).collect::<Vec<_>>();
            let pairs = pair_by_key(&numbered(&arrivals), &numbered(&departed));
            for digest in 0..5 {
                let count = |digests: &[u64]| digests.iter().filter(|one| **one == digest).count();
                let paired = pairs.iter().filter(|(one, _)| arrivals[*one] == digest).count();
                prop_assert_eq!(paired, count(&arrivals).min(count(&departed)));
            }
            prop_assert!(pairs.iter().all(|(one, other)| arrivals[*one] == departed[*other]));
            let mut used: Vec<usize> = pairs.iter().map(|(_, other)| *other).collect();
            used.sort_unstable();
            used.dedup();
            prop_assert_eq!(used.len(), pairs.len());
        }
    }
}
