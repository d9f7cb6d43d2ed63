//! Internal dates: seconds since 1970 with a zone, as IMAP writes them (` 7-Feb-1994 21:52:25 -0800`).

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_SECS: i64 = 86_400;

/// An internal date for APPEND, without its quotes. `zone_minutes` is east of Greenwich.
#[must_use]
pub fn format_date(unix_secs: i64, zone_minutes: i32) -> String {
    let local = unix_secs + i64::from(zone_minutes) * 60;
    let (year, month, day) = civil(local.div_euclid(DAY_SECS));
    let second_of_day = local.rem_euclid(DAY_SECS);
    let sign = if zone_minutes < 0 { '-' } else { '+' };
    let zone = zone_minutes.unsigned_abs();
    format!(
        "{day:>2}-{}-{year:04} {:02}:{:02}:{:02} {sign}{:02}{:02}",
        MONTHS[month],
        second_of_day / 3600,
        second_of_day / 60 % 60,
        second_of_day % 60,
        zone / 60,
        zone % 60
    )
}

/// Seconds since 1970 of an internal date.
#[must_use]
pub fn parse_date(text: &str) -> Option<i64> {
    let mut parts = text.split_ascii_whitespace();
    let (date, time, zone) = (parts.next()?, parts.next()?, parts.next()?);
    let mut date = date.split('-');
    let day: i64 = date.next()?.parse().ok()?;
    let month = date.next()?;
    let month = MONTHS.iter().position(|known| known.eq_ignore_ascii_case(month))?;
    let year: i64 = date.next()?.parse().ok()?;
    let mut time = time.split(':').map(str::parse::<i64>);
    let seconds = time.next()?.ok()? * 3600 + time.next()?.ok()? * 60 + time.next()?.ok()?;
    let digits: i64 = zone.get(1..)?.parse().ok()?;
    let zone_secs = (digits / 100 * 60 + digits % 100) * 60;
    let zone_secs = if zone.starts_with('-') { -zone_secs } else { zone_secs };
    Some(days_from_civil(year, month, day) * DAY_SECS + seconds - zone_secs)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_days(year: i64, month: usize) -> i64 {
    match month {
        1 if is_leap(year) => 29,
        1 => 28,
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}

fn days_before_year(year: i64) -> i64 {
    let past = year - 1;
    past * 365 + past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400) - 719_162
}

fn days_from_civil(year: i64, month: usize, day: i64) -> i64 {
    days_before_year(year) + (0..month).map(|earlier| month_days(year, earlier)).sum::<i64>() + day - 1
}

/// Year, month from 0, day from 1.
fn civil(days: i64) -> (i64, usize, i64) {
    let mut year = 1970 + days.div_euclid(366);
    while days_before_year(year) > days {
        year -= 1;
    }
    while days_before_year(year + 1) <= days {
        year += 1;
    }
    let mut rest = days - days_before_year(year);
    let mut month = 0;
    while rest >= month_days(year, month) {
        rest -= month_days(year, month);
        month += 1;
    }
    (year, month, rest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_survive_the_way_there_and_back() {
        assert_eq!(parse_date(" 7-Feb-1994 21:52:25 -0800"), Some(760_686_745));
        assert_eq!(format_date(760_686_745, -480), " 7-Feb-1994 21:52:25 -0800");
        assert_eq!(format_date(0, 0), " 1-Jan-1970 00:00:00 +0000");
        for day in (-10_000..40_000).step_by(13) {
            let secs = day * DAY_SECS + 4_711;
            assert_eq!(parse_date(&format_date(secs, 345)), Some(secs));
        }
    }

    #[test]
    fn leap_days_are_days() {
        assert_eq!(format_date(951_782_400, 0), "29-Feb-2000 00:00:00 +0000");
        assert_eq!(format_date(951_868_800, 0), " 1-Mar-2000 00:00:00 +0000");
    }
}
