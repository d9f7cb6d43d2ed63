//! Sets of UIDs, cut to what one command may hold.

use mailhaul_types::{Uid, UidRange, UidSet};

/// Octets of the longest element with its comma, `4294967295:4294967295,`, and two to spare.
const ELEMENT_OCTETS: usize = 24;

/// Cuts a set into portions of at most `messages_max` UIDs (at least one) whose text has at most `octets_max` octets
/// (at least one element).
pub(crate) fn portions(uids: &UidSet, messages_max: u64, octets_max: usize) -> Vec<UidSet> {
    let messages_max = messages_max.max(1);
    let mut portions = Vec::new();
    let mut current = UidSet::new();
    let mut text = 0;
    for range in uids.ranges() {
        let mut first = u64::from(range.first.0);
        let last = u64::from(range.last.0);
        while first <= last {
            let room = messages_max - current.len();
            let end = last.min(first.saturating_add(room - 1));
            let small = |uid: u64| Uid(u32::try_from(uid).unwrap_or(u32::MAX));
            let piece = UidRange { first: small(first), last: small(end) };
            text += piece.to_string().len() + 1;
            current.insert_range(piece);
            first = end + 1;
            if current.len() >= messages_max || text >= octets_max.saturating_sub(ELEMENT_OCTETS) {
                portions.push(std::mem::take(&mut current));
                text = 0;
            }
        }
    }
    if !current.is_empty() {
        portions.push(current);
    }
    portions
}

/// Adds to `found` what a set has in a range: cut, never expanded.
pub(crate) fn intersect(set: &UidSet, range: UidRange, found: &mut UidSet) {
    let from = set.ranges().partition_point(|known| known.last < range.first);
    for known in set.ranges()[from..].iter().take_while(|known| known.first <= range.last) {
        found.insert_range(UidRange { first: known.first.max(range.first), last: known.last.min(range.last) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uids() -> UidSet {
        let mut uids = UidSet::new();
        uids.insert_range(UidRange { first: Uid(1), last: Uid(2_500) });
        for uid in (10_000..20_000).step_by(3) {
            uids.insert(Uid(uid));
        }
        uids.insert_range(UidRange { first: Uid(u32::MAX - 5), last: Uid(u32::MAX) });
        uids
    }

    #[test]
    fn commands_are_short_and_cover_everything() {
        for (messages_max, octets_max) in [(1_000, 1_000), (u64::MAX, 900), (3, 8_000), (0, 0)] {
            let portions = portions(&uids(), messages_max, octets_max);
            let fits = |part: &UidSet| {
                part.len() <= messages_max.max(1) && (part.ranges().len() == 1 || part.to_string().len() <= octets_max)
            };
            assert!(portions.iter().all(fits), "{messages_max} {octets_max}");
            let mut all = UidSet::new();
            portions.iter().for_each(|portion| all.extend_ranges(portion));
            assert_eq!(all, uids());
        }
    }

    #[test]
    fn a_range_is_cut_to_the_set() {
        let set: UidSet = [1, 2, 3, 4, 5, 10, 11, 12, 20].map(Uid).into_iter().collect();
        for (first, last, expected) in [(4, 12, "4:5,10:12"), (1, u32::MAX, "1:5,10:12,20"), (6, 9, ""), (21, 30, "")] {
            let mut found = UidSet::new();
            intersect(&set, UidRange { first: Uid(first), last: Uid(last) }, &mut found);
            assert_eq!(found.to_string(), expected);
        }
    }
}
