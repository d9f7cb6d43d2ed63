//! Days, for what is allowed each day: where one ends depends on where the operator lives.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use mailhaul_types::escape;

/// The calendar by which allowances are counted.
#[derive(Debug, Clone)]
pub struct Calendar {
    zone: TimeZone,
}

/// One day of a calendar.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    /// `2025-03-30`: sorts as time does.
    pub date: String,
    /// Its first millisecond since 1970.
    pub from_unix_ms: i64,
    /// The first millisecond of the next day: when what is allowed is allowed again.
    pub until_unix_ms: i64,
}

/// A time zone that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no time zone `{}`\nhint: write it like `Europe/Berlin` or `UTC`", escape(.0))]
pub struct UnknownZone(pub String);

impl Calendar {
    /// Days as they are in this time zone.
    ///
    /// # Errors
    /// There is no such zone.
    pub fn named(zone: &str) -> Result<Self, UnknownZone> {
        TimeZone::get(zone).map(|zone| Self { zone }).map_err(|_| UnknownZone(zone.chars().take(80).collect()))
    }

    /// Days as they are where this machine stands, or of UTC where it does not say.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Self { zone: TimeZone::try_system().unwrap_or(TimeZone::UTC) }
    }

    /// Days of UTC.
    #[must_use]
    pub fn utc() -> Self {
        Self { zone: TimeZone::UTC }
    }

    /// The time zone, for showing moments.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The day on which this moment lies. Days of 23 and 25 hours are what they are.
    #[must_use]
    pub fn day(&self, unix_ms: i64) -> Day {
        let at = Timestamp::from_millisecond(unix_ms).unwrap_or_default();
        let local = at.to_zoned(self.zone.clone());
        let from = local.start_of_day();
        // Only at the very end of the calendar is there no tomorrow.
        let until = local.tomorrow().and_then(|tomorrow| tomorrow.start_of_day());
        let from_unix_ms = from.as_ref().map_or(unix_ms, |from| from.timestamp().as_millisecond());
        let until_unix_ms =
            until.map_or(unix_ms.saturating_add(86_400_000), |until| until.timestamp().as_millisecond());
        Day { date: local.date().to_string(), from_unix_ms, until_unix_ms }
    }

    /// Until when an account has to wait that has used `used_bytes` of what is allowed each day; `None`: it has not
    /// used it up, or nothing limits it.
    #[must_use]
    pub fn used_up_until(&self, used_bytes: u64, allowed_bytes: Option<u64>, now_unix_ms: i64) -> Option<i64> {
        allowed_bytes.filter(|allowed| used_bytes >= *allowed).map(|_| self.day(now_unix_ms).until_unix_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix_ms(text: &str) -> i64 {
        text.parse::<Timestamp>().expect("a moment").as_millisecond()
    }

    #[test]
    fn a_day_ends_where_the_operator_lives() {
        let berlin = Calendar::named("Europe/Berlin").expect("a zone");
        let day = berlin.day(unix_ms("2025-01-15T23:30:00Z"));
        assert_eq!(day.date, "2025-01-16");
        assert_eq!(day.until_unix_ms, unix_ms("2025-01-16T23:00:00Z"));
        assert_eq!(Calendar::utc().day(unix_ms("2025-01-15T23:30:00Z")).until_unix_ms, unix_ms("2025-01-16T00:00:00Z"));
    }

    #[test]
    fn days_of_23_and_25_hours_are_what_they_are() {
        let berlin = Calendar::named("Europe/Berlin").expect("a zone");
        let hours = |text| {
            let day = berlin.day(unix_ms(text));
            (day.until_unix_ms - day.from_unix_ms) / 3_600_000
        };
        assert_eq!(hours("2025-03-30T10:00:00Z"), 23);
        assert_eq!(hours("2025-10-26T10:00:00Z"), 25);
        // Midnight does not exist on this day: it begins at one o'clock.
        let santiago = Calendar::named("America/Santiago").expect("a zone");
        let day = santiago.day(unix_ms("2024-09-08T12:00:00Z"));
        assert_eq!((day.until_unix_ms - day.from_unix_ms) / 3_600_000, 23);
    }

    #[test]
    fn an_allowance_is_used_up_until_the_day_ends() {
        let utc = Calendar::utc();
        let now = unix_ms("2025-01-15T12:00:00Z");
        assert_eq!(utc.used_up_until(99, Some(100), now), None);
        assert_eq!(utc.used_up_until(100, Some(100), now), Some(unix_ms("2025-01-16T00:00:00Z")));
        assert_eq!(utc.used_up_until(u64::MAX, None, now), None);
        assert!(Calendar::named("Europe/Nowhere").is_err());
    }
}
