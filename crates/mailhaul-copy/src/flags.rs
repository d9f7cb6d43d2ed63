//! Which flags of a message can be handed to the target, and which could not.

use crate::transfer::FlagsSent;
use mailhaul_imap::PermanentFlags;
use mailhaul_types::{Flags, SystemFlag};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Keeps what the target can store for good (RFC 9051 §7.1, PERMANENTFLAGS), and counts what stored messages lack.
#[derive(Debug)]
pub(crate) struct FlagFilter {
    permanent: PermanentFlags,
    copy_deleted: bool,
    dropped: Mutex<BTreeMap<String, u64>>,
}

impl FlagFilter {
    pub(crate) fn new(permanent: PermanentFlags, copy_deleted: bool) -> Self {
        Self { permanent, copy_deleted, dropped: Mutex::new(BTreeMap::new()) }
    }

    /// The flags as they are sent.
    pub(crate) fn apply(&self, flags: &Flags, sent: FlagsSent) -> Flags {
        if flags.is_empty() {
            return Flags::new();
        }
        let mut kept = flags.clone();
        for flag in SystemFlag::ALL {
            let wanted = flag != SystemFlag::Deleted || self.copy_deleted;
            if !wanted || sent == FlagsSent::None || !self.permanent.flags.contains(flag) {
                kept.remove(flag);
            }
        }
        kept.retain_keywords(|keyword| {
            let known = || self.permanent.flags.keywords().iter().any(|known| known.eq_ignore_ascii_case(keyword));
            sent == FlagsSent::All && (self.permanent.any_keyword || known())
        });
        kept
    }

    /// Counts the flags that a message had at the source and was stored without. To be called once it is stored: a
    /// message may be offered more than once, and may be refused in the end.
    pub(crate) fn count_dropped(&self, had: &Flags, stored: &Flags) {
        for flag in SystemFlag::ALL {
            if had.contains(flag) && !stored.contains(flag) {
                self.count(flag.as_str());
            }
        }
        for keyword in had.keywords().iter().filter(|keyword| !stored.keywords().contains(keyword)) {
            self.count(keyword);
        }
    }

    /// Flags that could not be handed over, with the number of messages that had them.
    pub(crate) fn dropped(&self) -> BTreeMap<String, u64> {
        self.dropped.lock().map(|dropped| dropped.clone()).unwrap_or_default()
    }

    fn count(&self, flag: &str) {
        if let Ok(mut dropped) = self.dropped.lock() {
            *dropped.entry(flag.to_owned()).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permanent(flags: &[&str], any_keyword: bool) -> PermanentFlags {
        let mut known = Flags::new();
        for flag in flags {
            assert!(known.insert_wire(flag));
        }
        PermanentFlags { flags: known, any_keyword }
    }

    fn flags(flags: &[&str]) -> Flags {
        permanent(flags, false).flags
    }

    #[test]
    fn keeps_what_the_target_can_store_and_counts_the_rest() {
        let filter = FlagFilter::new(permanent(&["\\Seen", "\\Deleted", "$Label1"], false), false);
        let had = flags(&["\\Seen", "\\Flagged", "\\Deleted", "$LABEL1", "other"]);
        let sent = filter.apply(&had, FlagsSent::All);
        assert_eq!(sent.to_string(), "\\Seen $LABEL1");
        assert!(filter.dropped().is_empty(), "nothing is stored yet");
        filter.count_dropped(&had, &sent);
        let dropped: Vec<_> = filter.dropped().into_iter().collect();
        assert_eq!(dropped, [("\\Deleted".into(), 1), ("\\Flagged".into(), 1), ("other".into(), 1)]);
    }

    #[test]
    fn sends_fewer_flags_when_asked_to() {
        let filter = FlagFilter::new(permanent(&["\\Seen", "\\Deleted"], true), true);
        let all = flags(&["\\Seen", "\\Deleted", "k"]);
        assert_eq!(filter.apply(&all, FlagsSent::All).to_string(), "\\Seen \\Deleted k");
        assert_eq!(filter.apply(&all, FlagsSent::NoKeywords).to_string(), "\\Seen \\Deleted");
        assert_eq!(filter.apply(&all, FlagsSent::None).to_string(), "");
    }
}
