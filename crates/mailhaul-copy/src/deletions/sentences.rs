//! What is said about deletions.

use mailhaul_plan::policy::DeletionBrake;
use mailhaul_report::count_of;

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
    format!(
        "{} of the {mailbox} messages copied from here are gone from the source, more than {percent} % or {messages}; \
         their copies were not touched. If they were deleted on purpose, --max-deletions-percent and --max-deletions \
         raise the bounds",
        count_of(number, "message")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brake_names_the_figures_and_the_options_that_raise_them() {
        let words = too_many(12, 40, DeletionBrake::default());
        for part in ["12 messages of the 40", "10 %", "1000", "--max-deletions-percent", "not touched"] {
            assert!(words.contains(part), "{words}");
        }
        assert!(refused(1, "NO full").contains("1 message deleted at the source: their copies stay"));
    }
}
