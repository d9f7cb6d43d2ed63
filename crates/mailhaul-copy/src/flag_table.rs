//! The flags of very many messages in little memory: eight bytes a message, and each different set of flags once.

use mailhaul_types::{Flags, Uid, UidSet};
use std::collections::HashMap;

/// What the source says of the flags of messages.
#[derive(Debug, Default)]
pub(crate) struct FlagTable {
    /// Message and set of flags. Ascending and without repetition below `sorted`.
    rows: Vec<(Uid, u32)>,
    sorted: usize,
    sets: Vec<Flags>,
    places: HashMap<Flags, u32>,
}

impl FlagTable {
    /// Notes the flags of a message. What is noted last counts.
    pub(crate) fn insert(&mut self, uid: Uid, flags: Flags) {
        let place = match self.places.get(&flags) {
            Some(place) => *place,
            None => {
                let place = u32::try_from(self.sets.len()).expect("there are fewer sets of flags than UIDs");
                self.sets.push(flags.clone());
                self.places.insert(flags, place);
                place
            }
        };
        if self.sorted == self.rows.len() && self.rows.last().is_none_or(|(last, _)| *last < uid) {
            self.sorted += 1;
        }
        self.rows.push((uid, place));
    }

    /// Brings what was noted into order, so that it can be asked for.
    pub(crate) fn sort(&mut self) {
        if self.sorted == self.rows.len() {
            return;
        }
        // Stable, so that of several rows of one message the last is the one that was noted last.
        self.rows.sort_by_key(|(uid, _)| *uid);
        self.rows.reverse();
        self.rows.dedup_by_key(|(uid, _)| *uid);
        self.rows.reverse();
        self.sorted = self.rows.len();
    }

    /// The flags of a message, if they were noted before the table was sorted.
    pub(crate) fn get(&self, uid: Uid) -> Option<&Flags> {
        let rows = &self.rows[..self.sorted];
        let place = rows.binary_search_by_key(&uid, |(known, _)| *known).ok()?;
        self.sets.get(usize::try_from(rows[place].1).ok()?)
    }

    /// The messages whose flags were noted.
    pub(crate) fn uids(&self) -> UidSet {
        self.rows.iter().map(|(uid, _)| *uid).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(bits: u8) -> Flags {
        Flags::from_parts(bits, [])
    }

    #[test]
    fn what_was_noted_last_counts_in_whatever_order_messages_come() {
        let mut table = FlagTable::default();
        for (uid, bits) in [(3, 1), (9, 2), (4, 3), (3, 4), (9, 5)] {
            table.insert(Uid(uid), flags(bits));
        }
        table.sort();
        let shown: Vec<_> = (1..12).filter_map(|uid| Some((uid, table.get(Uid(uid))?.system_bits()))).collect();
        assert_eq!(shown, [(3, 4), (4, 3), (9, 5)]);
        assert_eq!(table.uids().to_string(), "3:4,9");
        table.insert(Uid(4), flags(7));
        table.sort();
        assert_eq!(table.get(Uid(4)), Some(&flags(7)));
    }

    #[test]
    fn a_message_costs_eight_bytes() {
        let mut table = FlagTable::default();
        for uid in 1..=100_000 {
            table.insert(Uid(uid), flags(u8::try_from(uid % 32).expect("small")));
        }
        assert_eq!(std::mem::size_of_val(&table.rows[..]), 800_000);
        assert_eq!(table.sets.len(), 32);
    }
}
