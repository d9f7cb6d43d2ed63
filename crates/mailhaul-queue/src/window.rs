//! The hours in which work is allowed: `Mon-Fri 20:00-06:00 Europe/Berlin`, `nights and weekends Europe/Berlin`.
//!
//! Hours are those of the clock on the wall in a named zone, so a summer-time change moves them with the people who
//! live there: an hour that comes twice is open twice, one that is left out is not made up for. What begins in the
//! evening and ends in the morning belongs to the day on which it begins. To the minute.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use mailhaul_types::escape;
use std::fmt;
use std::str::FromStr;

/// Hours of the week in one time zone; the union, where several are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    spans: Vec<Span>,
    zone: TimeZone,
    zone_name: String,
}

/// Text that names no hours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "window `{}`: {what}\nhint: write it like `Mon-Fri 20:00-06:00 Europe/Berlin` or `nights and weekends Europe/Berlin`",
    escape(text)
)]
pub struct WindowError {
    /// What was written.
    pub text: String,
    /// What is wrong with it.
    pub what: String,
}

/// One span on certain days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    /// Bit 0 is Monday.
    days: u8,
    /// Minutes after midnight, below 1440.
    from: u16,
    /// Minutes after midnight, above 0, at most 1440; at most `from`: on the next day.
    to: u16,
}

const DAY_MINUTES: u16 = 24 * 60;
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const ALL_DAYS: u8 = 0b111_1111;
const WEEKEND: u8 = 0b110_0000;
/// Longer texts are refused unread.
const TEXT_BYTES_MAX: usize = 1024;
/// How far the next change is looked for. Two weeks and a day, because a span that lies in the hour which a summer-time
/// change leaves out comes a week later.
const HORIZON_DAYS: i64 = 15;

/// Whether work is allowed at this moment: in any of the windows. Without windows it never is; who has none does not ask.
#[must_use]
pub fn is_open(windows: &[Window], unix_ms: i64) -> bool {
    windows.iter().any(|window| window.is_open(unix_ms))
}

/// When that changes next, in milliseconds since 1970; `None` if it does not within two weeks.
#[must_use]
pub fn next_change(windows: &[Window], unix_ms: i64) -> Option<i64> {
    let now = is_open(windows, unix_ms);
    let mut candidates = windows.iter().flat_map(|window| window.candidates(unix_ms)).collect::<Vec<_>>();
    candidates.sort_unstable();
    candidates.into_iter().filter(|at| *at > unix_ms).find(|at| is_open(windows, *at) != now)
}

impl Window {
    /// Whether work is allowed at this moment.
    #[must_use]
    pub fn is_open(&self, unix_ms: i64) -> bool {
        let Ok(at) = Timestamp::from_millisecond(unix_ms) else {
            return false;
        };
        let local = self.zone.to_datetime(at);
        let day = day_bit(local.weekday());
        let minute = minute_of(local);
        self.spans.iter().any(|span| span.contains(day, minute))
    }

    /// Its time zone, as it was written.
    #[must_use]
    pub fn zone_name(&self) -> &str {
        &self.zone_name
    }

    /// Minutes a week in which work is allowed, in a week without a change of summer time.
    #[must_use]
    pub fn minutes_a_week(&self) -> u32 {
        let open = |day, minute| self.spans.iter().any(|span| span.contains(1_u8 << day, minute));
        let minutes = (0..7).map(|day| (0..DAY_MINUTES).filter(|minute| open(day, *minute)).count()).sum::<usize>();
        u32::try_from(minutes).expect("a week has 10,080 minutes")
    }

    /// Every moment from here to the horizon at which it could open or shut: the clock on the wall passes an edge, or
    /// is moved.
    fn candidates(&self, unix_ms: i64) -> Vec<i64> {
        let Ok(now) = Timestamp::from_millisecond(unix_ms) else {
            return Vec::new();
        };
        // The day before: an hour that comes twice may begin before midnight.
        let today = self.zone.to_datetime(now).date();
        let mut moments = Vec::new();
        for day in -1..=HORIZON_DAYS {
            let Ok(date) = today.checked_add(day.days()) else { continue };
            for span in &self.spans {
                for edge in [span.from, span.to] {
                    moments.extend(self.moments_of(date, edge));
                }
            }
        }
        let horizon = unix_ms.saturating_add(HORIZON_DAYS * 86_400_000);
        let moved = self.zone.following(now).map(|change| change.timestamp().as_millisecond());
        moments.extend(moved.take_while(|at| *at <= horizon));
        moments
    }

    /// When the clock on the wall shows this minute of this day: once, twice, or (left out) close to never.
    fn moments_of(&self, date: Date, minute: u16) -> impl Iterator<Item = i64> + use<> {
        let local = if minute == DAY_MINUTES {
            date.tomorrow().map(|tomorrow| tomorrow.to_datetime(Time::midnight()))
        } else {
            Ok(date.to_datetime(time_of(minute)))
        };
        let both = local.ok().map(|local| {
            let ambiguous = self.zone.to_ambiguous_timestamp(local);
            [ambiguous.earlier(), ambiguous.later()]
        });
        both.into_iter().flatten().flatten().map(|at| at.as_millisecond())
    }
}

impl Span {
    fn contains(self, day: u8, minute: u16) -> bool {
        if self.from < self.to {
            return self.days & day != 0 && (self.from..self.to).contains(&minute);
        }
        (self.days & day != 0 && minute >= self.from) || (self.days & day_before(day) != 0 && minute < self.to)
    }
}

fn day_bit(day: Weekday) -> u8 {
    1 << day.to_monday_zero_offset()
}

fn day_before(day: u8) -> u8 {
    if day == 1 { 1 << 6 } else { day >> 1 }
}

fn minute_of(local: DateTime) -> u16 {
    let number = |part: i8| u16::try_from(part).expect("hours and minutes are not negative");
    number(local.hour()) * 60 + number(local.minute())
}

fn time_of(minute: u16) -> Time {
    let part = |part: u16| i8::try_from(part).expect("hours are below 24, minutes below 60");
    Time::constant(part(minute / 60), part(minute % 60), 0, 0)
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        parse(text).map_err(|what| WindowError { text: text.chars().take(80).collect(), what })
    }
}

/// `PART [and PART]... ZONE`; a comma before the zone is allowed.
fn parse(text: &str) -> Result<Window, String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err("it is too long".to_owned());
    }
    let words = text.split_whitespace().collect::<Vec<_>>();
    let Some((zone_name, parts)) = words.split_last() else {
        return Err("it is empty".to_owned());
    };
    if parts.is_empty() || looks_like_hours(zone_name) {
        return Err("it does not end with a time zone".to_owned());
    }
    let zone = TimeZone::get(zone_name)
        .map_err(|_| format!("there is no time zone `{}`; `Europe/Berlin` and `UTC` are two", escape(zone_name)))?;
    let mut parts = parts.to_vec();
    if let Some(last) = parts.last_mut() {
        *last = last.trim_end_matches(',');
    }
    let spans = parts.split(|word| word.eq_ignore_ascii_case("and")).map(parse_part).collect::<Result<_, _>>()?;
    let zone_name = zone.iana_name().unwrap_or(zone_name).to_owned();
    Ok(Window { spans, zone, zone_name })
}

fn looks_like_hours(word: &str) -> bool {
    word.contains(':') || matches!(word.to_ascii_lowercase().as_str(), "nights" | "weekends")
}

fn parse_part(words: &[&str]) -> Result<Span, String> {
    match words {
        [word] if word.eq_ignore_ascii_case("nights") => Ok(Span { days: ALL_DAYS, from: 22 * 60, to: 6 * 60 }),
        [word] if word.eq_ignore_ascii_case("weekends") => Ok(Span { days: WEEKEND, from: 0, to: DAY_MINUTES }),
        [days, hours] => {
            let days = parse_days(days)?;
            let (from, to) = parse_hours(hours)?;
            Ok(Span { days, from, to })
        }
        _ => Err("it is not days and hours before the time zone".to_owned()),
    }
}

fn parse_days(text: &str) -> Result<u8, String> {
    if text.eq_ignore_ascii_case("daily") {
        return Ok(ALL_DAYS);
    }
    let mut days = 0;
    for part in text.split(',') {
        match part.split_once('-') {
            None => days |= 1 << parse_day(part)?,
            Some((first, last)) => {
                let (first, last) = (parse_day(first)?, parse_day(last)?);
                // `Fri-Mon` goes round the end of the week.
                let count = (last + 7 - first) % 7;
                days |= (0..=count).fold(0, |days, step| days | 1 << ((first + step) % 7));
            }
        }
    }
    Ok(days)
}

fn parse_day(text: &str) -> Result<usize, String> {
    DAYS.iter()
        .position(|day| day.eq_ignore_ascii_case(text))
        .ok_or_else(|| format!("`{}` is no day; the days are {}", escape(text), DAYS.join(", ")))
}

fn parse_hours(text: &str) -> Result<(u16, u16), String> {
    let (from, to) = text.split_once('-').ok_or_else(|| format!("`{}` is not from-to", escape(text)))?;
    let (from, to) = (parse_minute(from)?, parse_minute(to)?);
    if from == DAY_MINUTES {
        return Err("24:00 can only be an end; the beginning of a day is 00:00".to_owned());
    }
    if from == to {
        return Err("it ends when it begins; a whole day is 00:00-24:00".to_owned());
    }
    // Until midnight of the next day is until the end of this one.
    Ok((from, if to == 0 { DAY_MINUTES } else { to }))
}

fn parse_minute(text: &str) -> Result<u16, String> {
    let wrong = || format!("`{}` is no time of day like 06:00", escape(text));
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let digits = |part: &str| part.len() <= 2 && !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || minute.len() != 2 || !digits(minute) {
        return Err(wrong());
    }
    let (hour, minute) = (hour.parse::<u16>().map_err(|_| wrong())?, minute.parse::<u16>().map_err(|_| wrong())?);
    let minutes = hour * 60 + minute;
    if minute > 59 || minutes > DAY_MINUTES { Err(wrong()) } else { Ok(minutes) }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, span) in self.spans.iter().enumerate() {
            if number > 0 {
                f.write_str(" and ")?;
            }
            span.fmt(f)?;
        }
        write!(f, " {}", self.zone_name)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_days(f, self.days)?;
        write!(f, " {:02}:{:02}-{:02}:{:02}", self.from / 60, self.from % 60, self.to / 60, self.to % 60)
    }
}

/// Runs of three days and more as `Mon-Wed`, others one by one.
fn write_days(f: &mut fmt::Formatter<'_>, days: u8) -> fmt::Result {
    let mut day = 0;
    let mut separator = "";
    while day < 7 {
        let run = (day..7).take_while(|day| days & (1 << day) != 0).count();
        match run {
            0 => day += 1,
            1 | 2 => {
                write!(f, "{separator}{}", DAYS[day])?;
                day += 1;
                separator = ",";
            }
            _ => {
                write!(f, "{separator}{}-{}", DAYS[day], DAYS[day + run - 1])?;
                day += run;
                separator = ",";
            }
        }
    }
    Ok(())
}
