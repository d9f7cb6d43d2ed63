//! What is said about deletions.

use mailhaul_plan::policy::DeletionBrake;
use mailhaul_report::{count_of, number_for_people};

/// So many messages, as they are called here.
pub(super) fn deleted_at_source(number: u64) -> String {
    format!("{} deleted at the source", count_of(number, "message"))
}

/// Something stands in the way.
pub(super) fn stays(number: u64, why: &str) -> String {
    format!("{}: their copies stay as they are, because {why}", deleted_at_source(number))
}

/// The target does not want to.
pub(super) fn refused(number: u64, words: &str) -> String {
    stays(number, &format!("the target answered \"{words}\""))
}

/// More than the operator has allowed for.
pub(super) fn too_many(number: u64, mailbox: u64, brake: DeletionBrake) -> String {
    let DeletionBrake { percent, messages } = brake;
    let bound = match number > messages {
        true => format!("more than {} messages (--max-deletions)", number_for_people(messages)),
        false => format!("more than {percent} % (--max-deletions-percent)"),
    };
    format!(
        "{} of {} copied from here are gone from the source, {bound}; their copies were not touched. If they were \
         deleted on purpose, raise the bound",
        number_for_people(number),
        count_of(mailbox, "message"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brake_names_the_figures_and_the_option_that_raises_the_bound() {
        let words = too_many(12, 40, DeletionBrake::default());
        assert!(words.starts_with("12 of 40 messages copied from here are gone from the source"), "{words}");
        assert!(words.contains("more than 10 % (--max-deletions-percent)"), "{words}");
        let words = too_many(1_001, 2_000, DeletionBrake::default());
        assert!(words.contains("1,001 of 2,000 messages"), "{words}");
        assert!(words.contains("more than 1,000 messages (--max-deletions)"), "{words}");
        assert!(refused(1, "NO full").contains("1 message deleted at the source: their copies stay"));
    }
}
