//! Listing a source mailbox: which UID ranges to ask for, and whether what came back may be believed.
//!
//! A server that leaves rows out without saying so is the way in which mail gets lost silently, so a scan *counts*
//! only when the number of rows agrees with EXISTS.

use mailhaul_types::{Uid, UidRange};

/// About how many messages one scan command should answer for.
pub const MESSAGES_PER_COMMAND: u64 = 1_000;

/// How often a mailbox is scanned before its view is reported as incomplete.
pub const SCANS_MAX: u32 = 3;

/// Every UID there can be: for servers that tell no UIDNEXT, and for the last attempt where UIDNEXT may be wrong.
pub const EVERYTHING: UidRange = UidRange { first: Uid(1), last: Uid(u32::MAX) };

/// The ranges that cover a mailbox below UIDNEXT, ascending. Their width follows the mailbox's density: about
/// [`MESSAGES_PER_COMMAND`] messages each on average, and never more than EXISTS/500 + 20 commands however sparse the
/// UIDs are. No UIDNEXT: [`EVERYTHING`]. An empty mailbox is not asked, because some servers answer BAD to that.
#[must_use]
pub fn scan_ranges(uid_next: Option<Uid>, exists: u32) -> Vec<UidRange> {
    if exists == 0 {
        return Vec::new();
    }
    let Some(uid_next) = uid_next else { return vec![EVERYTHING] };
    let span = u64::from(uid_next.0.saturating_sub(1));
    if span == 0 {
        // EXISTS without UIDs below UIDNEXT contradicts itself (RFC 9051 §2.3.1.1): believe the messages.
        return vec![EVERYTHING];
    }
    let commands = u64::from(exists).div_ceil(MESSAGES_PER_COMMAND).min(span);
    let width = span.div_ceil(commands);
    (0..commands)
        .map(|command| (command * width + 1, ((command + 1) * width).min(span)))
        .take_while(|(first, last)| first <= last)
        .map(|(first, last)| UidRange { first: uid(first), last: uid(last) })
        .collect()
}

/// Whether a scan may be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanVerdict {
    /// As many rows as the server said there are: *complete* and *gone* may rest on it.
    Counted,
    /// So many messages were not listed.
    TooFew(u64),
    /// So many rows more than messages: the server contradicts itself.
    TooMany(u64),
}

/// Judges a scan in which every command ended with its own OK.
///
/// `listed` counts the distinct UIDs below the UIDNEXT of the SELECT; `exists` is the EXISTS of the same moment;
/// `expunged` counts the EXPUNGE and VANISHED messages seen since.
#[must_use]
pub fn judge_scan(listed: u64, exists: u32, expunged: u32) -> ScanVerdict {
    let most = u64::from(exists);
    let least = most.saturating_sub(u64::from(expunged));
    if listed < least {
        ScanVerdict::TooFew(least - listed)
    } else if listed > most {
        ScanVerdict::TooMany(listed - most)
    } else {
        ScanVerdict::Counted
    }
}

fn uid(number: u64) -> Uid {
    Uid(u32::try_from(number).expect("ranges stay below UIDNEXT, which has 32 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(uid_next: Option<u32>, exists: u32) -> Vec<String> {
        scan_ranges(uid_next.map(Uid), exists).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn width_follows_density() {
        assert_eq!(shown(Some(1_001), 1_000), ["1:1000"]);
        assert_eq!(shown(Some(2_501), 2_500), ["1:834", "835:1668", "1669:2500"]);
        assert_eq!(shown(Some(4_000_000_001), 1_500), ["1:2000000000", "2000000001:4000000000"]);
        assert_eq!(shown(Some(2), 1), ["1"]);
    }

    #[test]
    fn an_empty_mailbox_is_not_asked() {
        assert!(shown(Some(500), 0).is_empty());
        assert!(shown(None, 0).is_empty());
    }

    #[test]
    fn a_server_without_a_usable_uidnext_is_asked_for_everything() {
        for uid_next in [None, Some(1), Some(0)] {
            assert_eq!(shown(uid_next, 7), ["1:4294967295"], "{uid_next:?}");
        }
    }

    #[test]
    fn a_scan_counts_only_between_exists_and_what_was_expunged() {
        let cases = [
            (10, 10, 0, ScanVerdict::Counted),
            (9, 10, 0, ScanVerdict::TooFew(1)),
            (9, 10, 1, ScanVerdict::Counted),
            (10, 10, 1, ScanVerdict::Counted),
            (8, 10, 1, ScanVerdict::TooFew(1)),
            (11, 10, 1, ScanVerdict::TooMany(1)),
            (0, 0, 0, ScanVerdict::Counted),
            (0, 3, 5, ScanVerdict::Counted),
        ];
        for (listed, exists, expunged, expected) in cases {
            assert_eq!(judge_scan(listed, exists, expunged), expected, "{listed} of {exists} less {expunged}");
        }
    }

    proptest! {
        #[test]
        fn ranges_cover_everything_below_uidnext_once_and_stay_few(uid_next in 2u32.., exists in 1u32..) {
            let exists = exists % 5_000_000 + 1;
            let ranges = scan_ranges(Some(Uid(uid_next)), exists);
            prop_assert_eq!(ranges[0].first, Uid(1));
            prop_assert_eq!(ranges[ranges.len() - 1].last, Uid(uid_next - 1));
            for pair in ranges.windows(2) {
                prop_assert_eq!(pair[0].last.0 + 1, pair[1].first.0);
            }
            prop_assert!(ranges.len() as u64 <= u64::from(exists) / 500 + 20);
        }
    }
}
