//! Moments as people and machines read them, in universal time: a report is read elsewhere and later.

/// `2026-11-22 15:41 UTC`. Years before 1 or after 9999 are shown as they come.
#[must_use]
pub fn moment_for_people(unix_secs: i64) -> String {
    let (year, month, day) = civil(unix_secs.div_euclid(DAY_SECS));
    let minutes = unix_secs.rem_euclid(DAY_SECS) / 60;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", minutes / 60, minutes % 60)
}

/// `2026-11-22T15:41:09Z`, as RFC 3339 has it.
#[must_use]
pub(crate) fn rfc3339(unix_secs: i64) -> String {
    let (year, month, day) = civil(unix_secs.div_euclid(DAY_SECS));
    let seconds = unix_secs.rem_euclid(DAY_SECS);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Seconds in a day.
pub(crate) const DAY_SECS: i64 = 86_400;

/// Year, month and day of a day counted from 1 January 1970. Years are counted from March on, so that the leap day is the
/// last day of its year; 400 of them are 146,097 days.
fn civil(day: i64) -> (i64, i64, i64) {
    const MARCH_OF_YEAR_0: i64 = 719_468;
    let shifted = day + MARCH_OF_YEAR_0;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (unix_secs, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (1_795_362_069, "2026-11-22T15:41:09Z"),
        ] {
            assert_eq!(rfc3339(unix_secs), expected);
        }
        assert_eq!(moment_for_people(1_795_362_069), "2026-11-22 15:41 UTC");
    }
}
