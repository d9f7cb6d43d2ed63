//! The operator's choice of messages by date and size. What is left out is counted with its reason, never as copied.

use std::fmt;

/// Which messages are wanted. Judged anew in each run, so a wider selection later brings the rest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only messages whose internal date is at or after this moment (Unix seconds).
    pub since: Option<i64>,
    /// Only messages whose internal date is earlier than this moment (Unix seconds).
    pub before: Option<i64>,
    /// Only messages of at most so many octets.
    pub max_size: Option<u64>,
}

/// What [`Selection::judge`] says of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// To be copied.
    Selected,
    /// Left out, and why.
    Skipped(SkipReason),
}

/// Why a message was left out. Where several hold, the date is named before the size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkipReason {
    /// Its internal date is earlier than `--since`.
    TooEarly,
    /// Its internal date is not earlier than `--before`.
    TooLate,
    /// It is larger than `--max-size`.
    TooLarge,
}

impl Selection {
    /// Judges one message. A message whose internal date the server does not tell (or spells unreadably) is
    /// selected: leaving out mail needs a reason that is known.
    #[must_use]
    pub fn judge(&self, size: u64, date: Option<i64>) -> Judgement {
        let early = matches!((self.since, date), (Some(since), Some(date)) if date < since);
        let late = matches!((self.before, date), (Some(before), Some(date)) if date >= before);
        let large = self.max_size.is_some_and(|max| size > max);
        match (early, late, large) {
            (true, ..) => Judgement::Skipped(SkipReason::TooEarly),
            (_, true, _) => Judgement::Skipped(SkipReason::TooLate),
            (.., true) => Judgement::Skipped(SkipReason::TooLarge),
            _ => Judgement::Selected,
        }
    }

    /// Whether internal dates are needed to judge.
    #[must_use]
    pub fn needs_dates(&self) -> bool {
        self.since.is_some() || self.before.is_some()
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooEarly => "earlier than --since",
            Self::TooLate => "not earlier than --before",
            Self::TooLarge => "larger than --max-size",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Judgement::{Selected, Skipped};

    #[test]
    fn bounds_are_inclusive_below_and_exclusive_above() {
        let selection = Selection { since: Some(100), before: Some(200), max_size: Some(10) };
        let cases = [
            (10, Some(100), Selected),
            (10, Some(199), Selected),
            (10, Some(99), Skipped(SkipReason::TooEarly)),
            (10, Some(200), Skipped(SkipReason::TooLate)),
            (11, Some(150), Skipped(SkipReason::TooLarge)),
            (11, Some(99), Skipped(SkipReason::TooEarly)),
            (11, Some(200), Skipped(SkipReason::TooLate)),
            (0, Some(150), Selected),
            (10, None, Selected),
            (11, None, Skipped(SkipReason::TooLarge)),
        ];
        for (size, date, expected) in cases {
            assert_eq!(selection.judge(size, date), expected, "{size} {date:?}");
        }
    }

    #[test]
    fn no_bounds_select_everything() {
        let selection = Selection::default();
        assert!(!selection.needs_dates());
        assert_eq!(selection.judge(u64::MAX, Some(i64::MIN)), Selected);
        assert!(Selection { before: Some(0), ..selection }.needs_dates());
    }
}
