//! Flags as verify compares them: as far as the target can keep them. What it cannot keep is no difference of the copy;
//! it is counted, so that nothing is left out of a comparison in silence.

use mailhaul_imap::PermanentFlags;
use mailhaul_report::count_of;
use mailhaul_types::{Flags, Side, SystemFlag};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What of the flags of one mailbox pair is compared.
pub(crate) enum FlagView {
    /// The operator does not want them compared.
    Ignored,
    /// The target does not say what it keeps.
    Unknown,
    /// What the target can keep, without `\Deleted`, which copy hands over only when asked.
    Kept { permanent: PermanentFlags, left_out: Mutex<LeftOut> },
}

/// Messages by the flag that was not compared, on either side.
#[derive(Default)]
pub(crate) struct LeftOut {
    source: BTreeMap<String, u64>,
    target: BTreeMap<String, u64>,
}

impl FlagView {
    /// For a target mailbox that said this when it was opened.
    pub(crate) fn of(permanent: PermanentFlags, read_only: bool) -> Self {
        if read_only && permanent.flags.is_empty() && !permanent.any_keyword {
            return Self::Unknown;
        }
        Self::Kept { permanent, left_out: Mutex::default() }
    }

    /// What is compared of the flags of a message. Keywords are the same in any case (RFC 9051 §2.3.2), and a server may
    /// show the spelling that it met first.
    pub(crate) fn text(&self, side: Side, flags: &Flags) -> Option<String> {
        let Self::Kept { permanent, left_out } = self else { return None };
        let mut dropped: Vec<&str> = Vec::new();
        let mut kept = Flags::new();
        for flag in SystemFlag::ALL.into_iter().filter(|flag| flags.contains(*flag)) {
            if flag != SystemFlag::Deleted && permanent.flags.contains(flag) {
                kept.insert(flag);
            } else {
                dropped.push(flag.as_str());
            }
        }
        for keyword in flags.keywords() {
            let known = || permanent.flags.keywords().iter().any(|known| known.eq_ignore_ascii_case(keyword));
            if permanent.any_keyword || known() {
                kept.insert_keyword(&keyword.to_ascii_lowercase());
            } else {
                dropped.push(keyword);
            }
        }
        if !dropped.is_empty() {
            let mut left_out = left_out.lock().unwrap_or_else(PoisonError::into_inner);
            let counts = if side == Side::Source { &mut left_out.source } else { &mut left_out.target };
            for flag in dropped {
                *counts.entry(flag.to_owned()).or_default() += 1;
            }
        }
        Some(kept.to_string())
    }

    /// What was not compared, one sentence each.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let left_out = match self {
            Self::Ignored => return Vec::new(),
            Self::Unknown => {
                let text = "the target opens this mailbox read-only and does not say which flags it keeps; flags were \
                            not compared";
                return vec![text.to_owned()];
            }
            Self::Kept { left_out, .. } => left_out.lock().unwrap_or_else(PoisonError::into_inner),
        };
        let mut remarks = Vec::new();
        let deleted = SystemFlag::Deleted.as_str();
        let of = |counts: &BTreeMap<String, u64>| counts.get(deleted).copied().unwrap_or_default();
        let (source, target) = (of(&left_out.source), of(&left_out.target));
        if source + target > 0 {
            remarks.push(format!(
                "{deleted} stands on {} at the source and on {target} on the target; it was not compared, because copy \
                 hands it over only when asked",
                count_of(source, "message"),
            ));
        }
        for (flag, messages) in left_out.source.iter().filter(|(flag, _)| *flag != deleted) {
            let messages = count_of(*messages, "message");
            remarks.push(format!("the target cannot keep {flag}, so it was not compared ({messages} at the source)"));
        }
        remarks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(text: &str) -> Flags {
        let mut flags = Flags::new();
        for flag in text.split_whitespace() {
            assert!(flags.insert_wire(flag));
        }
        flags
    }

    fn permanent(text: &str, any_keyword: bool) -> PermanentFlags {
        PermanentFlags { flags: flags(text), any_keyword }
    }

    #[test]
    fn keywords_in_another_case_are_the_same() {
        let view = FlagView::of(permanent("\\Seen", true), false);
        let (ours, theirs) = (flags("\\Seen $Label1"), flags("\\Seen $LABEL1"));
        assert_eq!(view.text(Side::Source, &ours), view.text(Side::Target, &theirs));
        assert!(view.remarks().is_empty());
    }

    #[test]
    fn what_is_not_compared_is_counted() {
        let view = FlagView::of(permanent("\\Seen \\Deleted", false), false);
        assert_eq!(view.text(Side::Source, &flags("\\Seen \\Deleted \\Flagged k")).as_deref(), Some("\\Seen"));
        let remarks = view.remarks();
        assert!(remarks[0].starts_with("\\Deleted stands on 1 message at the source and on 0 on the target"));
        assert!(remarks[1].starts_with("the target cannot keep \\Flagged"), "{remarks:?}");
        assert!(remarks[2].starts_with("the target cannot keep k,"), "{remarks:?}");
    }

    #[test]
    fn a_read_only_target_that_names_no_flags_is_not_judged_by_them() {
        let view = FlagView::of(permanent("", false), true);
        assert_eq!(view.text(Side::Source, &flags("\\Seen")), None);
        assert_eq!(view.remarks().len(), 1);
    }
}
