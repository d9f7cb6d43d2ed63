//! Sentences that several walkers say, so that they say them in the same words.

use mailhaul_plan::mailboxes::{LeftOutReason, Mapping, MappingChange};
use mailhaul_types::Escaped;
use std::fmt::Write as _;

/// Why a mailbox is left out.
pub(crate) fn left_out(reason: &LeftOutReason) -> String {
    match reason {
        LeftOutReason::NotSelectable => "holds no messages by itself".to_owned(),
        LeftOutReason::OtherNamespace => {
            "left out: it belongs to another user or is shared (--all-namespaces)".to_owned()
        }
        LeftOutReason::NotIncluded => "left out: no --mailbox fits it".to_owned(),
        LeftOutReason::Excluded(glob) => format!("left out by --exclude `{}`", Escaped(glob)),
        LeftOutReason::SameText => {
            "another mailbox is shown by the same name; rename one of them at the source".to_owned()
        }
    }
}

/// The mailboxes that only hold other mailboxes, in one sentence; `None` if there are none.
pub(crate) fn parents(mapping: &Mapping) -> Option<String> {
    let parents = mapping.left_out.iter().filter(|left_out| left_out.reason == LeftOutReason::NotSelectable);
    let names: Vec<String> = parents.map(|left_out| left_out.source.to_string()).collect();
    (!names.is_empty()).then(|| format!("hold no messages by themselves: {}", names.join(", ")))
}

/// Mailboxes would go elsewhere than in an earlier run.
pub(crate) fn changed_mapping(changes: &[MappingChange]) -> String {
    let mut text = "mailboxes would now be copied to other names than in an earlier run; nothing was done:".to_owned();
    for MappingChange { source, stored, now } in changes {
        let _ = write!(text, "\n  {}: was `{}`, would be `{}`", Escaped(source), Escaped(stored), Escaped(now));
    }
    text
}

/// What to do about [`changed_mapping`].
pub(crate) const CHANGED_MAPPING_HINT: &str = "give the same --map options as before, or accept the new names with \
     --remap: what the new mailboxes hold already is then adopted, and the old ones are left as they are";

/// What to do about rules that would merge mailboxes.
pub(crate) const MERGED_HINT: &str = "give each of them a --map of its own, or leave one out with --exclude";

/// Options that fit no mailbox.
pub(crate) fn unused_rules(mapping: &Mapping) -> String {
    format!("{} fits no mailbox; nothing was done", Escaped(&mapping.unused_rules.join(", ")))
}

/// What to do about [`unused_rules`].
pub(crate) const UNUSED_RULES_HINT: &str =
    "names are compared exactly, with the source's delimiter; copy --dry-run lists them";

/// The ground has moved at the source, for those who only look.
pub(crate) fn moved_ground(why: &str) -> String {
    format!(
        "{why}: a copy recognises by their keys which of its messages were copied; here all of them count as not copied"
    )
}

/// The target mailbox is not there any more, and nothing has to be put into it.
pub(crate) fn target_is_gone(target: &str) -> String {
    format!(
        "the target mailbox `{}` is gone; nothing new has to be put into it, so it was not made again",
        Escaped(target)
    )
}

/// The source lists hardly anything of what was copied.
pub(crate) fn mass_absence(listed: u64, settled: u64) -> String {
    format!(
        "the source lists {listed} messages here, and of the {settled} copied earlier hardly any; nothing was deleted \
         on the target, and what is listed is copied. If the mailbox was really emptied, --accept-mass-absence says so"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_said_in_words_for_people() {
        let reasons = [
            (LeftOutReason::NotSelectable, "holds no messages"),
            (LeftOutReason::OtherNamespace, "--all-namespaces"),
            (LeftOutReason::NotIncluded, "--mailbox"),
            (LeftOutReason::Excluded("a\u{7}*".to_owned()), "--exclude `a\\u{7}*`"),
            (LeftOutReason::SameText, "same name"),
        ];
        for (reason, expected) in reasons {
            let words = left_out(&reason);
            assert!(words.contains(expected), "{words}");
        }
    }
}
