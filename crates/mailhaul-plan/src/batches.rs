//! Cutting what is still to be copied into batches: one `UID FETCH` at the source and one MULTIAPPEND (or a few
//! APPENDs) at the target each.
//!
//! Order is kept: a large message closes the batch before it, so that the target numbers the mails in the order in
//! which the source holds them.

use mailhaul_types::{Uid, UidRange, UidSet};

/// How big a batch may grow. A bound of 0 counts as 1, so that every message gets into some batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Most messages in one batch.
    pub messages: u64,
    /// Most octets in one batch, by RFC822.SIZE; a single message may exceed it.
    pub bytes: u64,
    /// A message of at least so many octets travels alone and is streamed.
    pub large_from: u64,
    /// Most octets that the batch's UID set may take on the command line. Some servers refuse lines over 1,000
    /// octets; for servers that are known to take more, 7,900 keeps gappy mailboxes in full batches.
    pub set_octets: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { messages: 200, bytes: 2 << 20, large_from: 1 << 20, set_octets: 900 }
    }
}

/// Messages that travel together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Which messages.
    pub uids: UidSet,
    /// Their sizes added up, as the source announced them: an expectation, not a promise.
    pub bytes: u64,
    /// Whether this is one large message that is streamed.
    pub large: bool,
}

/// Cuts `todo` (UID and RFC822.SIZE, ascending) into batches.
#[must_use]
pub fn plan_batches(todo: impl IntoIterator<Item = (Uid, u64)>, limits: &BatchLimits) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut open = OpenBatch::default();
    for (uid, size) in todo {
        if size >= limits.large_from {
            open.close_into(&mut batches);
            batches.push(Batch { uids: [uid].into_iter().collect(), bytes: size, large: true });
            continue;
        }
        if !open.takes(uid, size, limits) {
            open.close_into(&mut batches);
        }
        open.add(uid, size);
    }
    open.close_into(&mut batches);
    batches
}

/// Splits a refused batch into its lower and its upper half, by count. `None` when a single message is left: then
/// that message is the culprit.
#[must_use]
pub fn halve(uids: &UidSet) -> Option<(UidSet, UidSet)> {
    let count = uids.len();
    if count < 2 {
        return None;
    }
    let (mut lower, mut upper) = (UidSet::new(), UidSet::new());
    let mut room = count / 2;
    for range in uids.ranges() {
        let taken = room.min(range.width());
        room -= taken;
        let taken = u32::try_from(taken).expect("a range of 32-bit UIDs is narrower than 2^32 after halving");
        if taken > 0 {
            lower.insert_range(UidRange { first: range.first, last: Uid(range.first.0 + (taken - 1)) });
        }
        if u64::from(taken) < range.width() {
            upper.insert_range(UidRange { first: Uid(range.first.0 + taken), last: range.last });
        }
    }
    Some((lower, upper))
}

/// A batch that still grows. The length of its UID set is followed as it grows, because printing it for every
/// message would be quadratic.
#[derive(Default)]
struct OpenBatch {
    batch: Batch,
    count: u64,
    /// Octets of the set without the range that is still growing.
    closed_octets: usize,
    growing: Option<UidRange>,
}

impl OpenBatch {
    fn takes(&self, uid: Uid, size: u64, limits: &BatchLimits) -> bool {
        self.count == 0
            || (self.count < limits.messages
                && self.batch.bytes.saturating_add(size) <= limits.bytes
                && self.octets_with(uid) <= limits.set_octets)
    }

    fn octets_with(&self, uid: Uid) -> usize {
        match self.growing {
            Some(range) if range.last.0.checked_add(1) == Some(uid.0) => {
                self.closed_octets + digits(range.first) + 1 + digits(uid)
            }
            Some(range) => self.closed_octets + range_octets(range) + 1 + digits(uid),
            None => digits(uid),
        }
    }

    fn add(&mut self, uid: Uid, size: u64) {
        match &mut self.growing {
            Some(range) if range.last.0.checked_add(1) == Some(uid.0) => range.last = uid,
            growing => {
                if let Some(range) = growing.replace(UidRange { first: uid, last: uid }) {
                    self.closed_octets += range_octets(range) + 1;
                }
            }
        }
        self.batch.uids.insert(uid);
        self.batch.bytes = self.batch.bytes.saturating_add(size);
        self.count += 1;
    }

    fn close_into(&mut self, batches: &mut Vec<Batch>) {
        let closed = std::mem::take(self);
        if closed.count > 0 {
            batches.push(closed.batch);
        }
    }
}

fn range_octets(range: UidRange) -> usize {
    if range.first == range.last { digits(range.first) } else { digits(range.first) + 1 + digits(range.last) }
}

fn digits(uid: Uid) -> usize {
    uid.0.checked_ilog10().map_or(1, |power| power as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;

    fn plan(sizes: &[(u32, u64)], limits: &BatchLimits) -> Vec<(String, u64, bool)> {
        let todo = sizes.iter().map(|(uid, size)| (Uid(*uid), *size));
        plan_batches(todo, limits).into_iter().map(|batch| (batch.uids.to_string(), batch.bytes, batch.large)).collect()
    }

    #[test]
    fn nothing_to_do_makes_no_batch() {
        assert!(plan(&[], &BatchLimits::default()).is_empty());
    }

    #[test]
    fn a_batch_closes_at_its_count() {
        let todo: Vec<_> = (1..=401).map(|uid| (uid, KIB)).collect();
        let batches = plan(&todo, &BatchLimits::default());
        let sets: Vec<&str> = batches.iter().map(|(set, ..)| set.as_str()).collect();
        assert_eq!(sets, ["1:200", "201:400", "401"]);
    }

    #[test]
    fn a_batch_closes_before_it_would_exceed_its_octets() {
        let limits = BatchLimits::default();
        let batches = plan(&[(1, 900 * KIB), (2, 900 * KIB), (3, 900 * KIB), (4, 148 * KIB)], &limits);
        assert_eq!(batches, [("1:2".into(), 1_800 * KIB, false), ("3:4".into(), 1_048 * KIB, false)]);
    }

    #[test]
    fn a_large_message_travels_alone_and_keeps_its_place() {
        let batches = plan(&[(1, 10), (2, MIB), (3, MIB - 1), (4, 10), (9, 150 * MIB)], &BatchLimits::default());
        assert_eq!(
            batches,
            [
                ("1".into(), 10, false),
                ("2".into(), MIB, true),
                ("3:4".into(), MIB + 9, false),
                ("9".into(), 150 * MIB, true),
            ]
        );
    }

    #[test]
    fn a_gappy_batch_stays_within_a_short_command_line() {
        let todo: Vec<_> = (0..500).map(|step| (4_000_000_000 + step * 2, KIB)).collect();
        for batch in plan(&todo, &BatchLimits::default()) {
            assert!(batch.0.len() <= 900, "{}", batch.0.len());
        }
        let wide = BatchLimits { set_octets: 7_900, ..BatchLimits::default() };
        assert_eq!(plan(&todo, &wide).len(), 3);
    }

    #[test]
    fn limits_of_zero_still_place_every_message() {
        let limits = BatchLimits { messages: 0, bytes: 0, large_from: u64::MAX, set_octets: 0 };
        assert_eq!(plan(&[(1, 5), (2, 5)], &limits), [("1".into(), 5, false), ("2".into(), 5, false)]);
    }

    #[test]
    fn halving_ends_at_the_single_message() {
        let set: UidSet = [1, 2, 3, 10, 20].map(Uid).into_iter().collect();
        let (lower, upper) = halve(&set).expect("five messages");
        assert_eq!((lower.to_string(), upper.to_string()), ("1:2".into(), "3,10,20".into()));
        assert_eq!(halve(&[Uid(7)].into_iter().collect()), None);
        assert_eq!(halve(&UidSet::new()), None);
    }

    #[test]
    fn halving_never_expands_a_huge_range() {
        let mut set = UidSet::new();
        set.insert_range(UidRange { first: Uid(1), last: Uid(u32::MAX) });
        let (lower, upper) = halve(&set).expect("many");
        assert_eq!(lower.to_string(), "1:2147483647");
        assert_eq!(upper.to_string(), "2147483648:4294967295");
    }

    proptest! {
        #[test]
        fn every_message_is_in_exactly_one_batch_and_every_bound_holds(
            gaps in proptest::collection::vec((1u32..2_000_000, 0u64..3 << 20), 0..300),
            messages in 0u64..50, bytes in 0u64..4 << 20, large_from in 1u64..2 << 20, set_octets in 0usize..200,
        ) {
            let limits = BatchLimits { messages, bytes, large_from, set_octets };
            let mut uid = 0;
            let todo: Vec<_> = gaps.iter().map(|(gap, size)| { uid += gap; (Uid(uid), *size) }).collect();
            let batches = plan_batches(todo.iter().copied(), &limits);
            let placed: Vec<Uid> = batches.iter().flat_map(|batch| batch.uids.iter().collect::<Vec<_>>()).collect();
            prop_assert_eq!(placed, todo.iter().map(|(uid, _)| *uid).collect::<Vec<_>>());
            for batch in &batches {
                let alone = batch.uids.len() == 1;
                prop_assert!(alone || batch.uids.len() <= messages);
                prop_assert!(alone || batch.bytes <= bytes);
                prop_assert!(alone || batch.uids.to_string().len() <= set_octets);
                prop_assert_eq!(batch.large, batch.bytes >= large_from && alone);
            }
        }

        #[test]
        fn halves_are_disjoint_equal_and_complete(uids in proptest::collection::btree_set(1u32..400, 2..100)) {
            let set: UidSet = uids.iter().copied().map(Uid).collect();
            let (lower, upper) = halve(&set).expect("two or more");
            prop_assert!(lower.last() < upper.first());
            prop_assert_eq!(lower.len(), set.len() / 2);
            let joined: UidSet = lower.iter().chain(upper.iter()).collect();
            prop_assert_eq!(joined, set);
        }
    }
}
