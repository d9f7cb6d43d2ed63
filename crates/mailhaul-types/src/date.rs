//! The internal date of a message: when the server says it received it (RFC 9051 §2.3.3).

use std::fmt;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// An internal date with the zone in which the server wrote it. Two dates are the same moment if
/// [`InternalDate::unix_secs`] is equal; the zone is kept only so that it can be handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InternalDate {
    unix_secs: i64,
    zone_minutes: i16,
}

impl InternalDate {
    /// A moment in UTC, in seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn from_unix_secs(unix_secs: i64) -> Self {
        Self { unix_secs, zone_minutes: 0 }
    }

    /// The start of a day in UTC from `YYYY-MM-DD`.
    #[must_use]
    pub fn from_day(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        let (year, month, day) = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
        (year >= 1 && valid_day(year, month, day))
            .then(|| Self::from_unix_secs(days_from_civil(year, month, day) * 86_400))
    }

    /// Reads an IMAP `date-time` without its quotes: `17-Jul-1996 02:44:25 -0700`; a leading blank or a one-digit
    /// day is accepted. `None` for anything that is not a date (some servers send `00-Jan-0000`).
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        <&[u8; 26]>::try_from(text).ok().and_then(Self::parse_fixed).or_else(|| Self::parse_loosely(text))
    }

    /// The form that nearly every server writes, by its fixed places: this runs for every message.
    fn parse_fixed(text: &[u8; 26]) -> Option<Self> {
        let digit = |place: usize| text[place].is_ascii_digit().then(|| i64::from(text[place] - b'0'));
        let two = |place: usize| Some(digit(place)? * 10 + digit(place + 1)?);
        let (tens, shape) = (if text[0] == b' ' { 0 } else { digit(0)? }, [2, 6, 11, 14, 17, 20].map(|at| text[at]));
        if shape != *b"-- :: " {
            return None;
        }
        let month = MONTHS.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(&text[3..6]))?;
        let year = i32::try_from(two(7)? * 100 + two(9)?).ok()?;
        let (day, month) = (u8::try_from(tens * 10 + digit(1)?).ok()?, u8::try_from(month + 1).ok()?);
        let zone = i16::try_from(two(22)? * 60 + two(24)?).ok()?;
        let zone_minutes = match text[21] {
            b'+' => zone,
            b'-' => -zone,
            _ => return None,
        };
        let (hour, minute, second) = (two(12)?, two(15)?, two(18)?);
        let valid = valid_day(year, month, day) && hour < 24 && minute < 60 && second < 61;
        if !valid || two(22)? > 23 || two(24)? > 59 {
            return None;
        }
        let local = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
        Some(Self { unix_secs: local - i64::from(zone_minutes) * 60, zone_minutes })
    }

    fn parse_loosely(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.trim();
        let (date, rest) = text.split_once(' ')?;
        let (time, zone) = rest.trim_start().split_once(' ').unwrap_or((rest, "+0000"));
        let mut date = date.splitn(3, '-');
        let day: u8 = date.next()?.parse().ok()?;
        let month_name = date.next()?;
        let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month_name))?;
        let month = u8::try_from(month + 1).ok()?;
        let year: i32 = date.next()?.parse().ok()?;
        let mut time = time.splitn(3, ':');
        let hour: i64 = time.next()?.parse().ok()?;
        let minute: i64 = time.next()?.parse().ok()?;
        let second: i64 = time.next()?.parse().ok()?;
        if !valid_day(year, month, day)
            || !(0..24).contains(&hour)
            || !(0..60).contains(&minute)
            || !(0..61).contains(&second)
        {
            return None;
        }
        let zone_minutes = parse_zone(zone.trim())?;
        let local = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
        Some(Self { unix_secs: local - i64::from(zone_minutes) * 60, zone_minutes })
    }

    /// As an IMAP `date-time` without its quotes, in the zone it was read in: the octets of what [`fmt::Display`] writes.
    #[must_use]
    pub fn to_wire(self) -> [u8; 26] {
        let local = self.unix_secs + i64::from(self.zone_minutes) * 60;
        let (year, month, day) = civil_from_days(local.div_euclid(86_400));
        let second = local.rem_euclid(86_400);
        let zone = i64::from(self.zone_minutes.unsigned_abs());
        // Written by places and not by format strings, because it runs for every message.
        let mut text = *b"00-Jan-0000 00:00:00 +0000";
        let mut two = |place: usize, value: i64| {
            let digit = |value: i64| b'0' + u8::try_from(value.rem_euclid(10)).unwrap_or_default();
            (text[place], text[place + 1]) = (digit(value / 10), digit(value));
        };
        two(0, i64::from(day));
        two(7, year / 100);
        two(9, year);
        two(12, second / 3_600);
        two(15, second / 60 % 60);
        two(18, second % 60);
        two(22, zone / 60);
        two(24, zone % 60);
        text[3..6].copy_from_slice(MONTHS[usize::from(month) - 1].as_bytes());
        if self.zone_minutes < 0 {
            text[21] = b'-';
        }
        text
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix_secs(self) -> i64 {
        self.unix_secs
    }
}

/// As an IMAP `date-time` without its quotes, in the zone it was read in.
impl fmt::Display for InternalDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.to_wire()).map_err(|_| fmt::Error)?)
    }
}

fn parse_zone(zone: &str) -> Option<i16> {
    let (sign, digits) = match zone.as_bytes() {
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    if digits.len() != 4 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |place: usize| i16::from(digits[place] - b'0');
    let (hours, minutes) = (digit(0) * 10 + digit(1), digit(2) * 10 + digit(3));
    (hours < 24 && minutes < 60).then(|| sign * (hours * 60 + minutes))
}

fn valid_day(year: i32, month: u8, day: u8) -> bool {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    (1..=9999).contains(&year) && (1..=days).contains(&day)
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar: years are counted from March, so that the leap day is
/// the last of its year, and 400-year eras are all alike.
fn days_from_civil(year: i32, month: u8, day: u8) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let small = |value: i64| u8::try_from(value).expect("days and months are below 32 by construction");
    (era * 400 + year_of_era + i64::from(month <= 2), small(month), small(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_the_same_date() {
        for text in [
            "17-Jul-1996 02:44:25 -0700",
            "01-Jan-1970 00:00:00 +0000",
            "29-Feb-2024 23:59:59 +1345",
            "31-Dec-1969 23:00:00 -0030",
            "28-Feb-1900 12:00:00 +0000",
        ] {
            assert_eq!(InternalDate::parse(text.as_bytes()).expect(text).to_string(), text);
        }
        let padded = InternalDate::parse(b" 1-jan-2001 01:02:03 +0100").expect("a blank instead of a zero");
        assert_eq!(padded.to_string(), "01-Jan-2001 01:02:03 +0100");
    }

    #[test]
    fn the_fixed_form_and_the_loose_one_read_the_same() {
        for text in ["17-Jul-1996 02:44:25 -0700", " 1-jan-2001 01:02:03 +0100", "29-Feb-2024 23:59:60 +1345"] {
            let fixed = text.as_bytes().try_into().ok().and_then(InternalDate::parse_fixed);
            assert_eq!(fixed, InternalDate::parse_loosely(text.as_bytes()), "{text}");
            assert!(fixed.is_some(), "{text}");
        }
        for text in ["17-Jul-1996 24:44:25 -0700", "17-Jul-1996 02:44:25 -0760", "17-Jux-1996 02:44:25 -0700"] {
            assert_eq!(InternalDate::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn agrees_with_the_known_moment() {
        let date = InternalDate::parse(b"22-Nov-2026 12:15:00 +0100").expect("valid");
        assert_eq!(date.unix_secs(), 1_795_346_100);
        assert_eq!(InternalDate::from_day("2026-11-22").expect("valid").unix_secs(), 1_795_305_600);
    }

    #[test]
    fn refuses_what_is_no_date() {
        for text in ["00-Jan-0000 00:00:00 +0000", "30-Feb-2024 00:00:00 +0000", "", "x", "1-Jan-2001 25:00:00 +0000"] {
            assert_eq!(InternalDate::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(InternalDate::from_day("2026-13-01"), None);
    }

    #[test]
    fn walks_every_day_of_four_centuries() {
        let start = days_from_civil(1800, 1, 1);
        for day in start..start + 146_097 {
            let (year, month, date) = civil_from_days(day);
            assert_eq!(days_from_civil(i32::try_from(year).expect("small"), month, date), day);
        }
    }
}
