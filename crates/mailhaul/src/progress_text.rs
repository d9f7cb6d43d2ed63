//! What a progress display says: how far, how much, how fast, how long still. Pure: numbers in, words out.

use crate::columns::{fit_parts, shorten};
use mailhaul_copy::Snapshot;
use mailhaul_report::{bytes_for_people, count_of, number_for_people};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use unicode_width::UnicodeWidthStr;

/// Rates are taken over this long, so that a pause or a burst shows and single answers do not.
const RATE_WINDOW: Duration = Duration::from_secs(10);
/// Before this there is no rate.
const RATE_FROM: Duration = Duration::from_millis(1_500);
/// A message costs about as much as so many octets, however small it is: a thousand small ones take longer than one of
/// the same size.
const MESSAGE_COST_BYTES: u64 = 8 << 10;
/// A total of octets is told when at least one in so many messages is listed: a guess from fewer is worth nothing.
const LISTED_ONE_IN: u64 = 20;
/// From here on a silence is worth a word.
const QUIET_FROM: Duration = Duration::from_secs(10);

/// What moves in a second; nothing before there is something to measure.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Speed {
    messages: f64,
    bytes: f64,
    /// How long nothing has moved.
    quiet: Duration,
}

/// Measures the speed from one snapshot to the next.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    samples: VecDeque<(Instant, u64, u64)>,
    moved_at: Option<Instant>,
}

impl Rate {
    /// Takes a snapshot into account.
    pub(crate) fn take(&mut self, at: Instant, now: &Snapshot) -> Speed {
        let sample = (now.messages_settled, now.bytes_moved);
        let changed = self.samples.back().is_none_or(|last| (last.1, last.2) != sample);
        let moved_at = if changed { at } else { self.moved_at.unwrap_or(at) };
        self.moved_at = Some(moved_at);
        // Signing in and listing are no work: the clock starts with the first message.
        if sample == (0, 0) {
            self.samples.clear();
        }
        self.samples.push_back((at, sample.0, sample.1));
        while self.samples.len() > 2 && self.samples.front().is_some_and(|first| at - first.0 > RATE_WINDOW) {
            self.samples.pop_front();
        }
        let quiet = at - moved_at;
        let Some(&(since, messages, bytes)) = self.samples.front() else { return Speed::default() };
        if at - since < RATE_FROM {
            return Speed { quiet, ..Speed::default() };
        }
        let seconds = (at - since).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
        let over = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        Speed { messages: over(sample.0, messages), bytes: over(sample.1, bytes), quiet }
    }
}

/// How much of the work is done, in ten-thousandths; by mailboxes where the work as a whole is not known. All of it
/// only when really nothing is left.
pub(crate) fn share_done(now: &Snapshot) -> u64 {
    let is_left = now.mailboxes_finished < now.mailboxes_expected;
    let (done, left) = work(now);
    let (done, all) = match done + left {
        all @ 1.. if now.is_whole => (done, all),
        _ => (now.mailboxes_finished, now.mailboxes_expected),
    };
    let share = u128::from(done) * 10_000 / u128::from(all.max(1));
    // Up to 99.49 %, which is shown as 99.
    u64::try_from(share).unwrap_or(10_000).min(if is_left { 9_949 } else { 10_000 })
}

/// The work that is done and that is left: octets where they are known, and what each message costs besides.
fn work(now: &Snapshot) -> (u64, u64) {
    let messages_left = now.messages_expected.saturating_sub(now.messages_settled);
    let (bytes, bytes_left) = match knows_bytes(now) {
        true => (now.bytes_moved, now.bytes_expected.saturating_sub(now.bytes_moved)),
        false => (0, 0),
    };
    let cost = |messages: u64, bytes: u64| messages.saturating_mul(MESSAGE_COST_BYTES).saturating_add(bytes);
    (cost(now.messages_settled, bytes), cost(messages_left, bytes_left))
}

fn knows_bytes(now: &Snapshot) -> bool {
    now.bytes_expected > 0 && (!now.is_estimate || now.messages_listed >= now.messages_expected / LISTED_ONE_IN)
}

/// Which mailbox and what is done there: the name gives way before the deed does.
pub(crate) fn label(now: &Snapshot, columns: usize) -> String {
    let place = match now.mailboxes_expected {
        0 => String::new(),
        all => format!("{}/{all} ", (now.mailboxes_finished + 1).min(all)),
    };
    let room = columns.saturating_sub(place.width());
    let activity = match now.activity.rsplit_once(": ") {
        Some((name, deed)) if deed.width() + 6 <= room => {
            format!("{}: {deed}", shorten(name, room - deed.width() - 2))
        }
        _ => shorten(&now.activity, room),
    };
    shorten(&(place + &activity), columns)
}

/// Amounts, rates and time left; what tells least is left out first where there is no room for all of it.
pub(crate) fn amounts(now: &Snapshot, speed: &Speed, columns: usize) -> String {
    let messages = messages(now);
    let bytes = bytes(now);
    let messages_rate = (speed.messages >= 1.0).then(|| format!("{}/s", number_for_people(whole(speed.messages))));
    let bytes_rate = (speed.bytes >= 1.0).then(|| format!("{}/s", bytes_for_people(whole(speed.bytes))));
    let rest = if speed.quiet >= QUIET_FROM {
        Some(format!("nothing for {}", time_for_people(speed.quiet.as_secs())))
    } else {
        time_left(now, speed)
    };
    // In the order of the line, with the order in which they may go.
    fit_parts([(0, Some(messages)), (3, bytes), (1, messages_rate), (2, bytes_rate), (4, rest)], columns)
}

/// One line for a log file: everything, with its place.
pub(crate) fn line(now: &Snapshot, speed: &Speed) -> String {
    let amounts = amounts(now, speed, usize::MAX);
    if now.mailboxes_expected == 0 {
        return now.activity.clone();
    }
    format!("{amounts} · {}", label(now, usize::MAX))
}

/// What was reached in the end.
pub(crate) fn last_line(now: &Snapshot, took: Duration) -> String {
    let amounts = amounts(now, &Speed::default(), usize::MAX);
    let (done, all) = (number_for_people(now.mailboxes_finished), count_of(now.mailboxes_expected, "mailbox"));
    let mailboxes = if now.mailboxes_finished == now.mailboxes_expected { all } else { format!("{done} of {all}") };
    let unchanged = match now.mailboxes_unchanged {
        0 => String::new(),
        unchanged => format!(", {} unchanged", number_for_people(unchanged)),
    };
    format!("{mailboxes}{unchanged} · {amounts} · {}", mailhaul_report::duration_for_people(took.as_secs_f64()))
}

fn messages(now: &Snapshot) -> String {
    let (settled, all) = (now.messages_settled, now.messages_expected);
    if !now.is_whole || (settled == all && !now.is_estimate) {
        return count_of(settled, "message");
    }
    let about = if now.is_estimate { "about " } else { "" };
    format!("{} of {about}{}", number_for_people(settled), count_of(all, "message"))
}

fn bytes(now: &Snapshot) -> Option<String> {
    let (moved, all) = (now.bytes_moved, now.bytes_expected);
    match () {
        () if all == 0 => None,
        () if !now.is_whole || !knows_bytes(now) || (moved == all && !now.is_estimate) => Some(bytes_for_people(moved)),
        () if now.is_estimate => Some(format!("{} of about {}", bytes_for_people(moved), bytes_for_people(all))),
        () => Some(format!("{} of {}", bytes_for_people(moved), bytes_for_people(all))),
    }
}

fn time_left(now: &Snapshot, speed: &Speed) -> Option<String> {
    let (_, left) = work(now);
    #[expect(clippy::cast_precision_loss, reason = "a small constant")]
    let per_second = speed.messages * MESSAGE_COST_BYTES as f64 + if knows_bytes(now) { speed.bytes } else { 0.0 };
    let is_guess = now.bytes_expected > 0 && !knows_bytes(now);
    if !now.is_whole || is_guess || left == 0 || per_second < 1.0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let seconds = (left as f64 / per_second).ceil();
    let about = if now.is_estimate { "about " } else { "" };
    Some(format!("{about}{} left", time_for_people(whole(seconds))))
}

/// Whole seconds, then whole minutes: a number that changes with every glance tells nothing.
pub(crate) fn time_for_people(seconds: u64) -> String {
    match seconds {
        0..90 => format!("{seconds} s"),
        90..5_400 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h {:02} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positive, and saturates far above any rate"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(messages: u64, bytes: u64) -> Snapshot {
        Snapshot {
            messages_expected: 2_000,
            messages_listed: 1_500,
            bytes_expected: 4 << 20,
            messages_settled: messages,
            bytes_settled: bytes,
            bytes_moved: bytes,
            mailboxes_expected: 4,
            mailboxes_finished: 1,
            is_whole: true,
            activity: "Archive/2019: copying".to_owned(),
            ..Snapshot::default()
        }
    }

    fn halfway() -> (Snapshot, Speed) {
        let (mut rate, start, now) = (Rate::default(), Instant::now(), at(1_000, 2 << 20));
        rate.take(start, &at(0, 0));
        let speed = rate.take(start + Duration::from_secs(2), &now);
        (now, speed)
    }

    #[test]
    fn tells_amounts_rates_and_time_left() {
        let (now, speed) = halfway();
        assert_eq!(
            line(&now, &speed),
            "1,000 of 2,000 messages · 2.0 MiB of 4.0 MiB · 500/s · 1.0 MiB/s · 2 s left · 2/4 Archive/2019: copying"
        );
        assert_eq!(share_done(&now), 5_000);
    }

    #[test]
    fn says_about_while_mailboxes_are_only_counted() {
        let (now, speed) = halfway();
        let text = amounts(&Snapshot { is_estimate: true, ..now }, &speed, 200);
        assert_eq!(
            text,
            "1,000 of about 2,000 messages · 2.0 MiB of about 4.0 MiB · 500/s · 1.0 MiB/s · about 2 s left"
        );
    }

    #[test]
    fn names_no_whole_that_is_not_known() {
        let (now, speed) = halfway();
        let now = Snapshot { is_whole: false, ..now };
        assert_eq!(amounts(&now, &speed, 200), "1,000 messages · 2.0 MiB · 500/s · 1.0 MiB/s");
        assert_eq!(share_done(&now), 2_500, "then the mailboxes are what is known");
    }

    #[test]
    fn guesses_no_total_from_a_handful_of_messages() {
        let (now, speed) = halfway();
        let now = Snapshot { is_estimate: true, messages_listed: 99, ..now };
        assert_eq!(amounts(&now, &speed, 200), "1,000 of about 2,000 messages · 2.0 MiB · 500/s · 1.0 MiB/s");
        assert_eq!(share_done(&now), 5_000, "by messages");
    }

    #[test]
    fn there_is_no_rate_before_there_is_a_rate() {
        let (mut rate, start) = (Rate::default(), Instant::now());
        rate.take(start, &at(0, 0));
        rate.take(start + Duration::from_secs(60), &at(0, 0));
        let now = at(100, 1 << 20);
        let speed = rate.take(start + Duration::from_secs(61), &now);
        assert_eq!(amounts(&now, &speed, 200), "100 of 2,000 messages · 1.0 MiB of 4.0 MiB");
        let speed = rate.take(start + Duration::from_secs(62), &now);
        assert!(amounts(&now, &speed, 200).contains(" · 50/s · 512.0 KiB/s · 21 s left"), "{speed:?}");
    }

    #[test]
    fn a_silence_takes_the_place_of_the_time_left() {
        let (mut rate, start, now) = (Rate::default(), Instant::now(), at(10, 1 << 20));
        rate.take(start, &now);
        let speed = rate.take(start + Duration::from_secs(42), &now);
        assert_eq!(amounts(&now, &speed, 200), "10 of 2,000 messages · 1.0 MiB of 4.0 MiB · nothing for 42 s");
    }

    #[test]
    fn goes_by_messages_where_there_are_no_octets_and_by_mailboxes_where_there_are_no_messages() {
        let by_messages = Snapshot { bytes_expected: 0, bytes_moved: 0, ..at(500, 0) };
        assert_eq!(share_done(&by_messages), 2_500);
        assert_eq!(amounts(&by_messages, &Speed::default(), 200), "500 of 2,000 messages");
        let by_mailboxes = Snapshot { messages_expected: 0, bytes_expected: 0, ..at(0, 0) };
        assert_eq!(share_done(&by_mailboxes), 2_500);
        assert_eq!(share_done(&Snapshot::default()), 0);
    }

    #[test]
    fn is_never_all_done_while_a_mailbox_is_left() {
        let now = at(2_000, 4 << 20);
        assert_eq!(share_done(&now), 9_949);
        assert_eq!(share_done(&Snapshot { mailboxes_finished: 4, ..now }), 10_000);
    }

    #[test]
    fn never_takes_more_columns_than_there_are() {
        let (mut now, speed) = halfway();
        now.is_estimate = true;
        for activity in ["日本語のとても長いメールボックス名: finding again what was copied", "🎉🎉🎉🎉🎉🎉🎉🎉", ""]
        {
            now.activity = activity.to_owned();
            for columns in 0..140 {
                assert!(label(&now, columns).width() <= columns);
                assert!(amounts(&now, &speed, columns).width() <= columns);
            }
        }
        assert_eq!(
            amounts(&now, &speed, 79),
            "1,000 of about 2,000 messages · 2.0 MiB of about 4.0 MiB · about 2 s left"
        );
    }

    #[test]
    fn the_name_gives_way_before_the_deed() {
        let (mut now, _) = halfway();
        now.activity = "日本語のとても長いメールボックス名: copying".to_owned();
        assert_eq!(label(&now, 32), "2/4 日本語のとても長い…: copying");
    }

    #[test]
    fn the_end_tells_what_was_reached() {
        let end = Snapshot { mailboxes_finished: 4, ..at(2_000, 4 << 20) };
        let took = Duration::from_secs(7);
        assert_eq!(last_line(&end, took), "4 mailboxes · 2,000 messages · 4.0 MiB · 7.0 s");
        let cut = at(10, 1 << 20);
        let again = Snapshot { mailboxes_unchanged: 3, ..end };
        assert_eq!(last_line(&again, took), "4 mailboxes, 3 unchanged · 2,000 messages · 4.0 MiB · 7.0 s");
        assert_eq!(last_line(&cut, took), "1 of 4 mailboxes · 10 of 2,000 messages · 1.0 MiB of 4.0 MiB · 7.0 s");
    }
}
