//! How many deletions one pass may carry over before somebody is asked.
//!
//! A mailbox that is tidied loses a few messages at a time. A mailbox that loses a tenth of its messages at once was
//! emptied by a decision, by a mistake, or by a server that shows less than there is; only the first of these is meant
//! for the target.

use crate::policy::DeletionBrake;

/// Up to so many deletions the share of the mailbox does not matter: in a mailbox of 20 messages three are no flood.
pub const NEVER_A_FLOOD: u64 = 10;

/// Whether this many deletions in a mailbox that held `mailbox` messages are more than the operator has allowed: more
/// than so many messages, or, beyond [`NEVER_A_FLOOD`], more than so many hundredths of the mailbox.
#[must_use]
pub fn is_too_much(brake: DeletionBrake, deletions: u64, mailbox: u64) -> bool {
    let allowed_hundredths = mailbox.saturating_mul(u64::from(brake.percent));
    let share_exceeded = deletions > NEVER_A_FLOOD && deletions.saturating_mul(100) > allowed_hundredths;
    deletions > brake.messages || share_exceeded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_a_mailbox_or_a_thousand_messages_are_the_bound_unless_it_is_raised() {
        let usual = DeletionBrake::default();
        let raised = DeletionBrake { percent: 100, messages: 5_000 };
        let lowered = DeletionBrake { percent: 10, messages: 3 };
        let cases = [
            (usual, 0, 0, false),
            (usual, 10, 10, false),
            (usual, 11, 11, true),
            (usual, 11, 110, false),
            (usual, 11, 109, true),
            (usual, 100, 1_000, false),
            (usual, 101, 1_000, true),
            (usual, 1_000, 1_000_000, false),
            (usual, 1_001, 1_000_000, true),
            (raised, 5_000, 5_000, false),
            (raised, 5_001, 9_000_000, true),
            (lowered, 3, 1_000, false),
            (lowered, 4, 1_000, true),
            (DeletionBrake { percent: 0, messages: 1_000 }, 10, 1_000, false),
            (DeletionBrake { percent: 0, messages: 1_000 }, 11, 1_000, true),
            (DeletionBrake { percent: u32::MAX, messages: u64::MAX }, u64::MAX, u64::MAX, false),
        ];
        for (brake, deletions, mailbox, expected) in cases {
            assert_eq!(is_too_much(brake, deletions, mailbox), expected, "{brake:?} {deletions} of {mailbox}");
        }
    }
}
