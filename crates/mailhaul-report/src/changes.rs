//! What a run changed on the target besides delivering mail. None of it moves a message from one column of the sum to
//! another: it happened to messages that were accounted for already.

use crate::count_of;
use serde::Serialize;
use std::ops::AddAssign;

/// How many messages of a source mailbox (or of several together) were changed, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Messages whose flags were changed on the target.
    pub flags: u64,
    /// Messages that had been moved here at the source, and whose copies were moved here too.
    pub moved: u64,
    /// Messages that had been moved here at the source, and whose copies the target's owner had filed or deleted by
    /// then: they stay where he wants them.
    pub left_to_owner: u64,
    /// Copies that were deleted, marked or put into the trash, because their originals are gone from the source.
    pub deleted: u64,
    /// Messages that the source has numbered anew and that were recognised as copied already.
    pub carried_over: u64,
}

impl Changes {
    /// Whether there were none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What there was, in words: `flags of 12 messages changed, 3 messages moved`. Empty if there was nothing.
    #[must_use]
    pub fn in_words(&self) -> String {
        let messages = |number| count_of(number, "message");
        let mut words = Vec::new();
        if self.flags > 0 {
            words.push(format!("flags of {} changed", messages(self.flags)));
        }
        if self.moved > 0 {
            words.push(format!("{} moved", messages(self.moved)));
        }
        if self.left_to_owner > 0 {
            words.push(format!("{} left where the owner filed them", messages(self.left_to_owner)));
        }
        if self.deleted > 0 {
            words.push(format!("{} deleted", messages(self.deleted)));
        }
        if self.carried_over > 0 {
            words.push(format!("{} recognised under new UIDs", messages(self.carried_over)));
        }
        words.join(", ")
    }
}

impl AddAssign for Changes {
    fn add_assign(&mut self, other: Self) {
        self.flags += other.flags;
        self.moved += other.moved;
        self.left_to_owner += other.left_to_owner;
        self.deleted += other.deleted;
        self.carried_over += other.carried_over;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_in_words_and_none_of_them_is_told_if_there_was_none() {
        assert_eq!(Changes::default().in_words(), "");
        assert!(Changes::default().is_empty());
        let mut changes = Changes { flags: 12, moved: 1, ..Changes::default() };
        changes += Changes { moved: 2, deleted: 1_000, ..Changes::default() };
        assert_eq!(changes.in_words(), "flags of 12 messages changed, 3 messages moved, 1,000 messages deleted");
        let rest = Changes { left_to_owner: 1, carried_over: 7, ..Changes::default() };
        assert_eq!(rest.in_words(), "1 message left where the owner filed them, 7 messages recognised under new UIDs");
    }
}
