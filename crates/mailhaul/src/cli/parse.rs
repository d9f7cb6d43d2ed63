//! What stands behind options, read and checked.

use crate::exit::CommandError;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use mailhaul_service::{Change, FailureClass, JobKind};
use mailhaul_types::InternalDate;
use std::path::PathBuf;

/// Reads `25M` as octets.
pub(crate) fn parse_size(text: &str) -> Result<u64, CommandError> {
    let wrong = || {
        CommandError::usage(format!("--max-size: `{text}` is not a size"), "write a number of octets, or 500K, 25M, 2G")
    };
    let (digits, factor) = match text.char_indices().next_back() {
        Some((end, 'k' | 'K')) => (&text[..end], 1 << 10),
        Some((end, 'm' | 'M')) => (&text[..end], 1 << 20),
        Some((end, 'g' | 'G')) => (&text[..end], 1 << 30),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(wrong)
}

/// Reads a day as its first moment in UTC.
pub(crate) fn parse_day(option: &str, text: &str) -> Result<i64, CommandError> {
    InternalDate::from_day(text).map(InternalDate::unix_secs).ok_or_else(|| {
        CommandError::usage(format!("{option}: `{text}` is not a day"), "write it as 2026-11-22 (year-month-day)")
    })
}

/// Reads `OLD=NEW`.
pub(crate) fn parse_map(text: &str) -> Result<(String, String), CommandError> {
    match text.split_once('=') {
        Some((old, new)) if !old.is_empty() && !new.is_empty() => Ok((old.to_owned(), new.to_owned())),
        _ => Err(CommandError::usage(
            format!("--map: `{text}` does not name two mailboxes"),
            "write --map OLD=NEW, for example --map 'Sent Items=Sent'",
        )),
    }
}

/// Reads a SHA-256 fingerprint with or without colons.
pub(crate) fn parse_pin(option: &str, text: &str) -> Result<[u8; 32], CommandError> {
    let wrong = || {
        CommandError::usage(
            format!("{option}: `{text}` is not a SHA-256 fingerprint"),
            "64 hexadecimal digits, with or without colons; \
             `openssl s_client -connect HOST:993 </dev/null | openssl x509 -noout -fingerprint -sha256` prints it",
        )
    };
    let digits: Vec<u8> = text
        .chars()
        .filter(|character| *character != ':')
        .map(|character| character.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()
        .ok_or_else(wrong)?;
    let octets: Vec<u8> = digits.chunks(2).map(|pair| pair.iter().fold(0, |value, digit| value << 4 | digit)).collect();
    if digits.len() == 64 { octets.try_into().map_err(|_| wrong()) } else { Err(wrong()) }
}

/// Reads the mode of a file: `660`.
pub(crate) fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| "three digits from 0 to 7, as `chmod` takes them: 660".to_owned())
}

/// Whether a line is compressed.
pub(super) fn compress() -> impl TypedValueParser<Value = mailhaul_imap::Compress> {
    use mailhaul_imap::Compress;
    PossibleValuesParser::new(["auto", "on", "off"]).map(|word| match word.as_str() {
        "on" => Compress::On,
        "off" => Compress::Off,
        _ => Compress::Auto,
    })
}

/// A number, or `none`.
pub(crate) fn wish_number<T: std::str::FromStr + PartialOrd + From<u8>>(text: &str) -> Result<Change<T>, String> {
    if is_none(text) {
        return Ok(Change::Clear);
    }
    match text.parse::<T>() {
        Ok(number) if number >= T::from(1) => Ok(Change::Set(number)),
        _ => Err("write a whole number from 1, or `none`".to_owned()),
    }
}

/// A number of octets, or `none`.
pub(crate) fn wish_bytes(text: &str) -> Result<Change<u64>, String> {
    if is_none(text) {
        return Ok(Change::Clear);
    }
    match parse_size(text) {
        Ok(bytes) if bytes > 0 => Ok(Change::Set(bytes)),
        _ => Err("write a number of octets, or 500K, 25M, 2G, or `none`".to_owned()),
    }
}

/// Any text, or `none`.
#[expect(clippy::unnecessary_wraps, reason = "the form that option parsers have")]
pub(crate) fn wish_text(text: &str) -> Result<Change<String>, String> {
    Ok(if is_none(text) { Change::Clear } else { Change::Set(text.to_owned()) })
}

/// A file, or `none`.
#[expect(clippy::unnecessary_wraps, reason = "the form that option parsers have")]
pub(crate) fn wish_path(text: &str) -> Result<Change<PathBuf>, String> {
    Ok(if is_none(text) { Change::Clear } else { Change::Set(PathBuf::from(text)) })
}

/// A length of time in seconds, or `none`.
pub(crate) fn wish_seconds(text: &str) -> Result<Change<u64>, String> {
    if is_none(text) {
        return Ok(Change::Clear);
    }
    parse_seconds(text).map(Change::Set).ok_or_else(|| "write it as 6h, 30m, 90s, 1d, or 1h30m".to_owned())
}

/// A moment in milliseconds since 1970, or `none`.
pub(crate) fn wish_moment(text: &str) -> Result<Change<i64>, String> {
    if is_none(text) {
        return Ok(Change::Clear);
    }
    let moment = parse_moment(text);
    moment.map(Change::Set).ok_or_else(|| {
        "write it as '2026-11-28 20:00', '2026-11-28 20:00 Europe/Berlin', 2026-11-28T20:00:00Z, or `now`".to_owned()
    })
}

/// One of a policy's words.
pub(crate) fn word<T: Clone + Send + Sync + 'static>(
    words: &'static [&'static str],
    from_word: fn(&str) -> Option<T>,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(words)
        .map(move |word| from_word(&word).expect("the parser lets only these words through"))
}

/// The kind of a job.
pub(crate) fn kind(text: &str) -> Result<JobKind, String> {
    JobKind::from_word(text).ok_or_else(|| {
        let words: Vec<&str> = JobKind::ALL.into_iter().map(JobKind::word).collect();
        format!("the kinds are {}", words.join(", "))
    })
}

/// The class of a failure.
pub(crate) fn class(text: &str) -> Result<FailureClass, String> {
    FailureClass::from_word(&text.replace('-', "_")).ok_or_else(|| {
        let words: Vec<&str> = FailureClass::ALL.iter().map(|class| class.word()).collect();
        format!("the classes are {}", words.join(", "))
    })
}

fn is_none(text: &str) -> bool {
    text.eq_ignore_ascii_case("none")
}

/// `1h30m`: numbers with their units, at least one second and at most ten years.
fn parse_seconds(text: &str) -> Option<u64> {
    const MOST: u64 = 10 * 366 * 86_400;
    let (mut sum, mut digits) = (0_u64, String::new());
    for character in text.chars() {
        let unit = match character {
            '0'..='9' => {
                digits.push(character);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 7 * 86_400,
            _ => return None,
        };
        sum = sum.checked_add(digits.parse::<u64>().ok()?.checked_mul(unit)?)?;
        digits.clear();
    }
    (digits.is_empty() && (1..=MOST).contains(&sum)).then_some(sum)
}

fn parse_moment(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("now") {
        return Some(jiff::Timestamp::now().as_millisecond());
    }
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Some(moment.as_millisecond());
    }
    let (wall, zone) = match text.rsplit_once(' ') {
        // A zone begins with a letter, a time of day does not.
        Some((wall, zone)) if zone.starts_with(|first: char| first.is_ascii_alphabetic()) => {
            (wall.trim_end(), jiff::tz::TimeZone::get(zone).ok()?)
        }
        _ => (text, jiff::tz::TimeZone::try_system().unwrap_or(jiff::tz::TimeZone::UTC)),
    };
    let wall = wall.replacen(' ', "T", 1);
    let wall: jiff::civil::DateTime = match wall.parse() {
        Ok(wall) => wall,
        Err(_) => wall.parse::<jiff::civil::Date>().ok()?.at(0, 0, 0, 0),
    };
    Some(wall.to_zoned(zone).ok()?.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_wishes_moments_and_lengths_of_time() {
        assert_eq!(wish_number::<u32>("20"), Ok(Change::Set(20)));
        assert_eq!(wish_number::<u64>("none"), Ok(Change::Clear));
        assert!(wish_number::<u32>("0").is_err() && wish_number::<u32>("-1").is_err());
        assert_eq!(wish_bytes("2M"), Ok(Change::Set(2 << 20)));
        for (text, seconds) in [("6h", 21_600), ("1h30m", 5_400), ("90s", 90), ("2d", 172_800)] {
            assert_eq!(wish_seconds(text), Ok(Change::Set(seconds)), "{text}");
        }
        for wrong in ["", "6", "h", "0s", "6 h", "6x", "99999999999999999999h", "11w999999d"] {
            assert!(wish_seconds(wrong).is_err(), "{wrong}");
        }
        let evening = 1_795_892_400_000;
        for text in ["2026-11-28 20:00 Europe/Berlin", "2026-11-28T19:00:00Z", "2026-11-28T20:00:00+01:00"] {
            assert_eq!(wish_moment(text), Ok(Change::Set(evening)), "{text}");
        }
        assert!(wish_moment("2026-11-28").is_ok() && wish_moment("now").is_ok());
        for wrong in ["tomorrow", "28.11.2026", "2026-11-28 20:00 Nowhere/Town", "2026-13-28 20:00"] {
            assert!(wish_moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn reads_sizes_days_maps_and_pins() {
        assert_eq!(parse_size("25M").ok(), Some(25 << 20));
        assert_eq!(parse_size("512").ok(), Some(512));
        assert!(parse_size("M").is_err() && parse_size("-1").is_err() && parse_size("99999999999G").is_err());
        assert!(parse_size("5é").is_err());
        assert_eq!(parse_day("--since", "1970-01-02").ok(), Some(86_400));
        assert!(parse_day("--since", "yesterday").is_err());
        assert_eq!(parse_map("a=b=c").ok(), Some(("a".to_owned(), "b=c".to_owned())));
        assert!(parse_map("a=").is_err() && parse_map("a").is_err());
        let pin = "00:01:".repeat(15) + "ff:FE";
        assert_eq!(parse_pin("--from-pin", &pin).map(|pin| (pin[1], pin[30], pin[31])).ok(), Some((1, 0xff, 0xfe)));
        assert!(parse_pin("--from-pin", "00:01").is_err());
    }
}
