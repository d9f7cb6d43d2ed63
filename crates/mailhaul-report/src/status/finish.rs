//! When the work will be done: from the octets left, the measured rate, the hours in which work is allowed, and the
//! allowance of a day.
//!
//! An estimate names what it was made from and what it waits for most, so that somebody who wants to be done sooner knows
//! where to turn.

use crate::moment::{DAY_SECS, rfc3339};
use serde::Serialize;
use serde_json::{Value, json};

/// Nothing is foretold beyond this.
const FORESIGHT_SECS: i64 = 400 * DAY_SECS;

/// A stretch of time in which work is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenSpan {
    /// From, in seconds since 1970.
    pub from_unix_secs: i64,
    /// Until and not including; [`i64::MAX`] for ever.
    pub until_unix_secs: i64,
}

/// What an estimate is made from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outlook {
    /// This moment, in seconds since 1970.
    pub now_unix_secs: i64,
    /// Octets still to be copied; `None`: the source was not counted yet.
    pub bytes_left: Option<u64>,
    /// Octets a second that were measured while work was allowed; 0 if nothing moves.
    pub bytes_per_second: u64,
    /// Whether that was measured at all: a rate of 0 that was not is no news.
    pub is_measured: bool,
    /// When work is allowed, from now on and in order; `None`: at any time.
    pub open: Option<Vec<OpenSpan>>,
    /// Octets a day that each account may use; `None`: any number.
    pub account_bytes_per_day: Option<u64>,
    /// Octets left in the largest account.
    pub largest_account_bytes_left: u64,
    /// When the next day of allowances begins; `None`: in 24 hours.
    pub allowance_renews_unix_secs: Option<i64>,
}

/// What the end waits for most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishBrake {
    /// The rate at which the servers and the line work.
    Rate,
    /// The hours in which work is allowed.
    Windows,
    /// The daily allowance of the largest account.
    Allowance,
}

impl FinishBrake {
    /// What it waits for, in words for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Rate => "the rate at which mail moves",
            Self::Windows => "the hours in which work is allowed",
            Self::Allowance => "the daily allowance of the largest account",
        }
    }
}

/// When the work will be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// Nothing is left to copy.
    Nothing,
    /// At about this moment.
    At {
        /// In seconds since 1970.
        unix_secs: i64,
        /// What it waits for most.
        brake: FinishBrake,
    },
    /// What is left waits for somebody: nothing goes on by itself.
    Somebody,
    /// There is work, and nothing moves.
    NotMoving,
    /// Nobody has looked long enough to know the rate.
    NotMeasured,
    /// The sources have not been counted.
    NotCounted,
    /// Later than anybody can foretell, or never: the allowed hours do not suffice.
    OutOfSight,
}

impl Finish {
    /// The estimate as JSON: `{"state": "at", "time": …, "waits_for": …}`.
    #[must_use]
    pub fn to_json(self) -> Value {
        match self {
            Self::At { unix_secs, brake } => json!({"state": "at", "time": rfc3339(unix_secs), "waits_for": brake}),
            Self::Nothing => json!({"state": "nothing_left"}),
            Self::Somebody => json!({"state": "waits_for_somebody"}),
            Self::NotMoving => json!({"state": "not_moving"}),
            Self::NotMeasured => json!({"state": "not_measured"}),
            Self::NotCounted => json!({"state": "not_counted"}),
            Self::OutOfSight => json!({"state": "out_of_sight"}),
        }
    }
}

/// Estimates when the work will be done.
#[must_use]
pub fn estimate_finish(outlook: &Outlook) -> Finish {
    let Some(bytes_left) = outlook.bytes_left else { return Finish::NotCounted };
    if bytes_left == 0 {
        return Finish::Nothing;
    }
    if outlook.bytes_per_second == 0 {
        return if outlook.is_measured { Finish::NotMoving } else { Finish::NotMeasured };
    }
    let now = outlook.now_unix_secs;
    let work_secs = i64::try_from(bytes_left.div_ceil(outlook.bytes_per_second)).unwrap_or(i64::MAX);
    let by_rate = now.saturating_add(work_secs);
    let Some(by_windows) = outlook.open.as_deref().map_or(Some(by_rate), |open| end_in(open, now, work_secs)) else {
        return Finish::OutOfSight;
    };
    let by_allowance = end_by_allowance(outlook);
    let (unix_secs, brake) = if by_allowance > by_windows {
        (by_allowance, FinishBrake::Allowance)
    } else if by_windows > by_rate {
        (by_windows, FinishBrake::Windows)
    } else {
        (by_rate, FinishBrake::Rate)
    };
    if unix_secs.saturating_sub(now) > FORESIGHT_SECS {
        return Finish::OutOfSight;
    }
    Finish::At { unix_secs, brake }
}

/// When so much work is done that is only done in these stretches of time.
fn end_in(open: &[OpenSpan], now: i64, mut work_secs: i64) -> Option<i64> {
    for span in open {
        let from = span.from_unix_secs.max(now);
        let room = span.until_unix_secs.saturating_sub(from).max(0);
        if room >= work_secs {
            return Some(from.saturating_add(work_secs));
        }
        work_secs -= room;
    }
    None
}

/// When the largest account has been allowed all that it needs: some of it today, the same every day after.
fn end_by_allowance(outlook: &Outlook) -> i64 {
    let now = outlook.now_unix_secs;
    let Some(per_day) = outlook.account_bytes_per_day.filter(|per_day| *per_day > 0) else { return now };
    let days = outlook.largest_account_bytes_left.div_ceil(per_day);
    let later_days = i64::try_from(days.saturating_sub(1)).unwrap_or(i64::MAX);
    if later_days == 0 {
        return now;
    }
    let renews = outlook.allowance_renews_unix_secs.unwrap_or(now.saturating_add(DAY_SECS));
    renews.saturating_add((later_days - 1).saturating_mul(DAY_SECS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    fn outlook(bytes_left: u64, bytes_per_second: u64) -> Outlook {
        Outlook {
            now_unix_secs: 1_000_000,
            bytes_left: Some(bytes_left),
            bytes_per_second,
            largest_account_bytes_left: bytes_left,
            ..Outlook::default()
        }
    }

    fn after(secs: i64, brake: FinishBrake) -> Finish {
        Finish::At { unix_secs: 1_000_000 + secs, brake }
    }

    fn spans(spans: &[(i64, i64)]) -> Option<Vec<OpenSpan>> {
        let span = |(from, until): &(i64, i64)| OpenSpan {
            from_unix_secs: 1_000_000 + from,
            until_unix_secs: 1_000_000 + until,
        };
        Some(spans.iter().map(span).collect())
    }

    #[test]
    fn the_rate_decides_when_nothing_else_does() {
        assert_eq!(estimate_finish(&outlook(7_200, 1)), after(2 * HOUR, FinishBrake::Rate));
        assert_eq!(estimate_finish(&outlook(1, 1_000)), after(1, FinishBrake::Rate));
    }

    #[test]
    fn nothing_is_foretold_without_grounds() {
        assert_eq!(estimate_finish(&Outlook { bytes_left: None, ..outlook(0, 5) }), Finish::NotCounted);
        assert_eq!(estimate_finish(&outlook(0, 0)), Finish::Nothing);
        assert_eq!(estimate_finish(&outlook(1, 0)), Finish::NotMeasured);
        assert_eq!(estimate_finish(&Outlook { is_measured: true, ..outlook(1, 0) }), Finish::NotMoving);
        assert_eq!(estimate_finish(&outlook(u64::MAX, 1)), Finish::OutOfSight);
    }

    #[test]
    fn hours_that_are_not_allowed_are_waited_out() {
        let nights = spans(&[(-HOUR, HOUR), (10 * HOUR, 14 * HOUR), (34 * HOUR, 38 * HOUR)]);
        let with = |bytes_left| Outlook { open: nights.clone(), ..outlook(bytes_left, 1) };
        assert_eq!(estimate_finish(&with(1_800)), after(HOUR / 2, FinishBrake::Rate));
        assert_eq!(estimate_finish(&with(2 * 3_600)), after(11 * HOUR, FinishBrake::Windows));
        assert_eq!(estimate_finish(&with(6 * 3_600)), after(35 * HOUR, FinishBrake::Windows));
        assert_eq!(estimate_finish(&with(10 * 3_600)), Finish::OutOfSight);
        let for_ever = Outlook { open: spans(&[(HOUR, i64::MAX - 1_000_000)]), ..outlook(3_600, 1) };
        assert_eq!(estimate_finish(&for_ever), after(2 * HOUR, FinishBrake::Windows));
    }

    #[test]
    fn a_large_account_waits_for_its_daily_allowance() {
        let small_days = |per_day| Outlook { account_bytes_per_day: Some(per_day), ..outlook(1_000, 1_000) };
        assert_eq!(estimate_finish(&small_days(1_000)), after(1, FinishBrake::Rate));
        assert_eq!(estimate_finish(&small_days(400)), after(2 * DAY_SECS, FinishBrake::Allowance));
        let soon = Outlook { allowance_renews_unix_secs: Some(1_000_000 + HOUR), ..small_days(400) };
        assert_eq!(estimate_finish(&soon), after(HOUR + DAY_SECS, FinishBrake::Allowance));
    }
}
