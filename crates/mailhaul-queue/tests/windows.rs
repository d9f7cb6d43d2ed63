//! Windows: what is read, what is refused, and a walk minute by minute over summer-time changes.

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use mailhaul_queue::Window;
use mailhaul_queue::window::{is_open, next_change};
use proptest::prelude::*;

const MINUTE_MS: i64 = 60_000;

fn window(text: &str) -> Window {
    text.parse().expect(text)
}

fn unix_ms(text: &str) -> i64 {
    text.parse::<Timestamp>().expect(text).as_millisecond()
}

#[test]
fn windows_are_shown_as_they_are_read_back() {
    for (text, shown) in [
        ("Mon-Fri 20:00-06:00 Europe/Berlin", "Mon-Fri 20:00-06:00 Europe/Berlin"),
        ("sat,SUN 0:00-24:00 europe/berlin", "Sat,Sun 00:00-24:00 Europe/Berlin"),
        ("nights UTC", "Mon-Sun 22:00-06:00 UTC"),
        ("weekends, America/New_York", "Sat,Sun 00:00-24:00 America/New_York"),
        ("nights and weekends, Europe/Berlin", "Mon-Sun 22:00-06:00 and Sat,Sun 00:00-24:00 Europe/Berlin"),
        ("Fri-Mon 18:30-00:00 UTC", "Mon,Fri-Sun 18:30-24:00 UTC"),
        ("Mon,Wed-Thu 01:00-02:00 UTC", "Mon,Wed,Thu 01:00-02:00 UTC"),
        ("daily 12:00-13:00 UTC", "Mon-Sun 12:00-13:00 UTC"),
    ] {
        assert_eq!(window(text).to_string(), shown);
        assert_eq!(window(shown), window(text), "{shown}");
    }
}

#[test]
fn what_names_no_hours_is_refused_with_the_reason() {
    for (text, what) in [
        ("", "it is empty"),
        ("nights", "it does not end with a time zone"),
        ("Mon-Fri 20:00-06:00", "it does not end with a time zone"),
        ("Mon-Fri 20:00-06:00 Europe/Atlantis", "there is no time zone `Europe/Atlantis`"),
        ("Mo-Fr 20:00-06:00 UTC", "`Mo` is no day"),
        ("Mon-Fri 20-06 UTC", "`20` is no time of day"),
        ("Mon-Fri 20:00-24:01 UTC", "`24:01` is no time of day"),
        ("Mon-Fri 20:60-22:00 UTC", "`20:60` is no time of day"),
        ("Mon-Fri +1:00-22:00 UTC", "`+1:00` is no time of day"),
        ("Mon-Fri 24:00-06:00 UTC", "24:00 can only be an end"),
        ("Mon-Fri 06:00-06:00 UTC", "it ends when it begins"),
        ("Mon-Fri UTC", "it is not days and hours"),
        ("nights and UTC", "it is not days and hours"),
    ] {
        let error = text.parse::<Window>().expect_err(text);
        assert!(error.what.contains(what), "{text}: {}", error.what);
        assert!(error.to_string().contains("\nhint: "), "{error}");
    }
    let error = "Mon\u{1b}[2J 20:00-06:00 UTC".parse::<Window>().expect_err("no day");
    assert!(!error.to_string().contains('\u{1b}'));
    assert!("x ".repeat(10_000).parse::<Window>().is_err());
}

#[test]
fn what_begins_in_the_evening_belongs_to_its_evening() {
    let windows = [window("Fri 20:00-06:00 Europe/Berlin")];
    // 2025-01-17 is a Friday; Berlin is an hour ahead of UTC.
    assert!(!is_open(&windows, unix_ms("2025-01-17T18:59:59Z")));
    assert!(is_open(&windows, unix_ms("2025-01-17T19:00:00Z")));
    assert!(is_open(&windows, unix_ms("2025-01-18T04:59:59Z")));
    assert!(!is_open(&windows, unix_ms("2025-01-18T05:00:00Z")));
    assert!(!is_open(&windows, unix_ms("2025-01-17T03:00:00Z")), "Thursday's night is not Friday's");
    assert_eq!(next_change(&windows, unix_ms("2025-01-17T19:00:00Z")), Some(unix_ms("2025-01-18T05:00:00Z")));
    assert_eq!(next_change(&windows, unix_ms("2025-01-18T05:00:00Z")), Some(unix_ms("2025-01-24T19:00:00Z")));
}

#[test]
fn several_windows_are_one() {
    let windows = [window("Sat,Sun 00:00-24:00 Europe/Berlin"), window("nights Europe/Berlin")];
    // From Friday 22:00 to Monday 06:00 without a gap.
    let (from, to) = (unix_ms("2025-01-17T21:00:00Z"), unix_ms("2025-01-20T05:00:00Z"));
    assert_eq!(next_change(&windows, from), Some(to));
    let always = [window("daily 00:00-12:00 UTC"), window("daily 12:00-24:00 UTC")];
    assert_eq!(next_change(&always, from), None);
    assert_eq!(next_change(&[], from), None);
    assert!(!is_open(&[], from));
}

#[test]
fn summer_time_moves_the_hours_with_the_people() {
    let windows = [window("Sun 01:30-02:30 Europe/Berlin")];
    // 2025-10-26, 03:00 becomes 02:00: the half hour from 02:00 comes twice.
    let before = unix_ms("2025-10-25T12:00:00Z");
    let changes = std::iter::successors(next_change(&windows, before), |at| next_change(&windows, *at))
        .take(4)
        .collect::<Vec<_>>();
    let expected = ["2025-10-25T23:30:00Z", "2025-10-26T00:30:00Z", "2025-10-26T01:00:00Z", "2025-10-26T01:30:00Z"];
    assert_eq!(changes, expected.map(unix_ms));
    // 2025-03-30, 02:00 becomes 03:00: an hour that lies in the gap is left out, and comes a week later.
    let windows = [window("Sun 02:10-02:50 Europe/Berlin")];
    let change = next_change(&windows, unix_ms("2025-03-24T12:00:00Z"));
    assert_eq!(change, Some(unix_ms("2025-04-06T00:10:00Z")));
}

#[test]
fn minutes_of_a_week_are_counted_once() {
    assert_eq!(window("nights and weekends UTC").minutes_a_week(), 5 * 8 * 60 + 2 * 24 * 60);
    assert_eq!(window("Sun 20:00-06:00 UTC").minutes_a_week(), 600);
}

/// Zones with their peculiarities: midnight that does not exist, half hours, half an hour of summer time, none at all.
const ZONES: [&str; 6] =
    ["Europe/Berlin", "America/Santiago", "Asia/Kolkata", "Australia/Lord_Howe", "America/New_York", "UTC"];

/// Hours as plain numbers, judged independently of the code under test.
#[derive(Debug, Clone)]
struct Hours {
    days: Vec<usize>,
    from: i32,
    to: i32,
}

impl Hours {
    fn text(&self, zone: &str) -> String {
        let names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        let days = self.days.iter().map(|day| names[*day]).collect::<Vec<_>>().join(",");
        let (from, to) = (self.from, self.to);
        format!("{days} {:02}:{:02}-{:02}:{:02} {zone}", from / 60, from % 60, to / 60, to % 60)
    }

    /// Looks at the clock on the wall.
    fn open(&self, zone: &TimeZone, at_ms: i64) -> bool {
        let local = Timestamp::from_millisecond(at_ms).expect("a moment").to_zoned(zone.clone());
        let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
        let on = |day: Weekday| {
            self.days.iter().any(|listed| i8::try_from(*listed).expect("a day") == day.to_monday_zero_offset())
        };
        let yesterday = local.weekday().previous();
        if self.from < self.to {
            on(local.weekday()) && minute >= self.from && minute < self.to
        } else {
            (on(local.weekday()) && minute >= self.from) || (on(yesterday) && minute < self.to)
        }
    }
}

fn any_hours() -> impl Strategy<Value = Hours> {
    // Often around the hours at which clocks are moved.
    let minute = || prop_oneof![0_i32..240, 0_i32..1440];
    let days = proptest::sample::subsequence((0..7).collect::<Vec<_>>(), 1..=7);
    (days, minute(), minute().prop_map(|minute| minute + 1))
        .prop_filter("a window has an extent", |(_, from, to)| from != to)
        .prop_map(|(days, from, to)| Hours { days, from, to })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn windows_agree_with_a_walk_minute_by_minute(
        hours in proptest::collection::vec(any_hours(), 1..3),
        zone in proptest::sample::select(&ZONES),
        // Days before changes of the clock, in the north and in the south.
        start in proptest::sample::select(&["2025-03-28T00:00:00Z", "2025-10-24T00:00:00Z", "2025-04-04T00:00:00Z", "2024-09-06T00:00:00Z", "2025-03-07T00:00:00Z"]),
    ) {
        let windows = hours.iter().map(|hours| window(&hours.text(zone))).collect::<Vec<_>>();
        for window in &windows {
            prop_assert_eq!(&window.to_string().parse::<Window>(), &Ok(window.clone()));
        }
        let zone = TimeZone::get(zone).expect("a zone");
        let open = |at| hours.iter().any(|hours| hours.open(&zone, at));
        let start = unix_ms(start);
        let mut next = next_change(&windows, start);
        for minute in 0..4 * 1440 {
            let at = start + minute * MINUTE_MS;
            prop_assert_eq!(is_open(&windows, at), open(at), "at {}", Timestamp::from_millisecond(at).expect("a moment"));
            let changed = minute > 0 && open(at) != open(at - MINUTE_MS);
            prop_assert_eq!(changed, next == Some(at), "at {}", Timestamp::from_millisecond(at).expect("a moment"));
            if changed {
                next = next_change(&windows, at);
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        if let Ok(window) = text.parse::<Window>() {
            prop_assert_eq!(window.to_string().parse::<Window>(), Ok(window));
        }
    }
}
