//! UIDs, their validity, and sets of them.
//!
//! A [`UidSet`] is kept as ascending, disjoint, non-adjacent ranges, so a mailbox of a million messages that was
//! copied without a gap costs eight bytes. A range that a server announces is never expanded into its members before
//! somebody has compared it with what was asked.

use std::fmt;

/// A message's unique identifier within one mailbox and one UIDVALIDITY (RFC 9051 §2.3.1.1). Never 0 on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uid(pub u32);

/// The mailbox's UIDVALIDITY: UIDs mean something only together with it (RFC 9051 §2.3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UidValidity(pub u32);

/// A modification sequence (RFC 7162 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModSeq(pub u64);

macro_rules! shown_as_number {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
shown_as_number!(Uid, UidValidity, ModSeq);

/// All UIDs from `first` to `last`, both included; `first <= last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UidRange {
    /// Lowest UID of the range.
    pub first: Uid,
    /// Highest UID of the range.
    pub last: Uid,
}

impl UidRange {
    /// The range between two UIDs, whichever of them is lower (RFC 9051 allows `5:2` to mean `2:5`).
    #[must_use]
    pub fn between(a: Uid, b: Uid) -> Self {
        Self { first: a.min(b), last: a.max(b) }
    }

    /// How many UIDs the range spans. This is a width, not a count of messages.
    #[must_use]
    pub fn width(self) -> u64 {
        u64::from(self.last.0) - u64::from(self.first.0) + 1
    }
}

/// A set of UIDs as ascending, disjoint ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UidSet {
    ranges: Vec<UidRange>,
}

impl UidSet {
    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many UIDs are in the set.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|range| range.width()).sum()
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The lowest UID.
    #[must_use]
    pub fn first(&self) -> Option<Uid> {
        self.ranges.first().map(|range| range.first)
    }

    /// The highest UID.
    #[must_use]
    pub fn last(&self) -> Option<Uid> {
        self.ranges.last().map(|range| range.last)
    }

    /// Whether `uid` is in the set.
    #[must_use]
    pub fn contains(&self, uid: Uid) -> bool {
        let after = self.ranges.partition_point(|range| range.first <= uid);
        after > 0 && self.ranges[after - 1].last >= uid
    }

    /// Adds one UID. Adding in ascending order is constant time; anywhere else costs a move of the later ranges.
    pub fn insert(&mut self, uid: Uid) {
        self.insert_range(UidRange { first: uid, last: uid });
    }

    /// Adds a whole range, joining whatever it touches.
    pub fn insert_range(&mut self, new: UidRange) {
        match self.ranges.last_mut() {
            None => return self.ranges.push(new),
            Some(last) if u64::from(new.first.0) > u64::from(last.last.0) + 1 => return self.ranges.push(new),
            Some(last) if new.first >= last.first => {
                last.last = last.last.max(new.last);
                return;
            }
            Some(_) => {}
        }
        let start = self.ranges.partition_point(|range| u64::from(range.last.0) + 1 < u64::from(new.first.0));
        let end = self.ranges.partition_point(|range| u64::from(range.first.0) <= u64::from(new.last.0) + 1);
        if start >= end {
            self.ranges.insert(start, new);
            return;
        }
        let joined =
            UidRange { first: self.ranges[start].first.min(new.first), last: self.ranges[end - 1].last.max(new.last) };
        self.ranges.splice(start..end, [joined]);
    }

    /// Adds every UID of another set, range by range.
    pub fn extend_ranges(&mut self, other: &Self) {
        for range in &other.ranges {
            self.insert_range(*range);
        }
    }

    /// Removes one UID; whether it was there.
    pub fn remove(&mut self, uid: Uid) -> bool {
        let after = self.ranges.partition_point(|range| range.first <= uid);
        if after == 0 || self.ranges[after - 1].last < uid {
            return false;
        }
        let range = self.ranges[after - 1];
        let below = (range.first < uid).then(|| UidRange { first: range.first, last: Uid(uid.0 - 1) });
        let above = (uid < range.last).then(|| UidRange { first: Uid(uid.0 + 1), last: range.last });
        self.ranges.splice(after - 1..after, below.into_iter().chain(above));
        true
    }

    /// The ranges, ascending.
    #[must_use]
    pub fn ranges(&self) -> &[UidRange] {
        &self.ranges
    }

    /// Every UID, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Uid> + '_ {
        self.ranges.iter().flat_map(|range| (range.first.0..=range.last.0).map(Uid))
    }

    /// Cuts the set into IMAP sequence-sets of at most `octets_max` octets each (RFC 9051 §9, `sequence-set`).
    /// One range is never cut, so a bound below 21 octets may be exceeded by a single range.
    #[must_use]
    pub fn to_sequence_sets(&self, octets_max: usize) -> Vec<String> {
        let mut sets = Vec::new();
        let mut current = String::new();
        for range in &self.ranges {
            let piece = range.to_string();
            if !current.is_empty() && current.len() + 1 + piece.len() > octets_max {
                sets.push(std::mem::take(&mut current));
            }
            if !current.is_empty() {
                current.push(',');
            }
            current.push_str(&piece);
        }
        if !current.is_empty() {
            sets.push(current);
        }
        sets
    }
}

impl fmt::Display for UidRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}:{}", self.first, self.last) }
    }
}

impl fmt::Display for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, range) in self.ranges.iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            write!(f, "{range}")?;
        }
        Ok(())
    }
}

impl FromIterator<Uid> for UidSet {
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> Self {
        let mut set = Self::new();
        for uid in uids {
            set.insert(uid);
        }
        set
    }
}

impl Extend<Uid> for UidSet {
    fn extend<I: IntoIterator<Item = Uid>>(&mut self, uids: I) {
        for uid in uids {
            self.insert(uid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn set(uids: &[u32]) -> UidSet {
        uids.iter().copied().map(Uid).collect()
    }

    #[test]
    fn joins_neighbours_whatever_the_order() {
        assert_eq!(set(&[1, 2, 3, 7, 9, 8]).to_string(), "1:3,7:9");
        assert_eq!(set(&[9, 1, 5, 3, 2, 4]).to_string(), "1:5,9");
        assert_eq!(set(&[u32::MAX, u32::MAX - 1]).to_string(), "4294967294:4294967295");
    }

    #[test]
    fn agrees_with_a_plain_set_under_random_inserts_and_removes() {
        let mut state: u32 = 7;
        let (mut ours, mut plain) = (UidSet::new(), BTreeSet::new());
        for _ in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let uid = (state >> 16) % 300 + 1;
            if state & 0x300 == 0 {
                assert_eq!(ours.remove(Uid(uid)), plain.remove(&uid));
            } else {
                ours.insert(Uid(uid));
                plain.insert(uid);
            }
            assert_eq!(ours.contains(Uid(uid)), plain.contains(&uid));
        }
        assert_eq!(ours.iter().map(|uid| uid.0).collect::<Vec<_>>(), plain.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn cuts_sequence_sets_at_the_bound() {
        let sets = set(&[1, 3, 5, 7, 9, 11]).to_sequence_sets(5);
        assert_eq!(sets, ["1,3,5", "7,9", "11"]);
    }
}
