//! Numbers as people read them, and a run report as text.

use crate::{Counts, ExceptionState, Remark, RunReport, Stop, Verdict};
use std::fmt::Write;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How many exceptions of one kind are listed before the rest is only counted; `--json` has them all.
const EXCEPTIONS_SHOWN: usize = 20;

/// How many columns of a terminal a mailbox name may take in the table; `--json` has the whole name.
const NAME_COLUMNS_MAX: usize = 32;

/// `12,345`.
#[must_use]
pub fn number_for_people(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 message`, `1,200 messages`.
#[must_use]
pub fn count_of(number: u64, thing: &str) -> String {
    let ending = match number {
        1 => "",
        _ if thing.ends_with(['s', 'x']) => "es",
        _ => "s",
    };
    format!("{} {thing}{ending}", number_for_people(number))
}

/// A name at a width, cut with an ellipsis if it is longer and padded if it is shorter. Widths are those of a
/// terminal, where some characters take two columns and others none.
fn fit(name: &str, width: usize) -> String {
    let mut out = String::new();
    let mut used = 0;
    let cut = name.width() > width;
    let room = if cut { width - 1 } else { width };
    for character in name.chars() {
        let wide = character.width().unwrap_or(0);
        if used + wide > room {
            break;
        }
        out.push(character);
        used += wide;
    }
    if cut {
        out.push('…');
        used += 1;
    }
    out.extend(std::iter::repeat_n(' ', width.saturating_sub(used)));
    out
}

/// `512 B`, `3.4 MiB`.
#[must_use]
pub fn bytes_for_people(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `4.2 s`, `3 min 05 s`, `2 h 07 min`.
#[must_use]
pub fn duration_for_people(seconds: f64) -> String {
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a wall time, positive and small")]
    let whole = seconds.round() as u64;
    if whole < 3600 {
        format!("{} min {:02} s", whole / 60, whole % 60)
    } else {
        format!("{} h {:02} min", whole / 3600, whole % 3600 / 60)
    }
}

impl RunReport {
    /// The whole report as text, ending in one true line. Strangers' words in it must already be escaped.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        self.write_mailboxes(&mut out);
        write_remarks(&mut out, &self.remarks);
        self.write_exceptions(&mut out);
        write_stop(&mut out, self.stop.as_ref());
        let _ = writeln!(out, "\n{}", self.last_line());
        out
    }

    /// The one line that an operator reads if he reads no other.
    #[must_use]
    pub fn last_line(&self) -> String {
        let totals = self.totals();
        let parts = columns_in_words(&totals);
        let time = duration_for_people(self.seconds);
        let size = bytes_for_people(self.bytes());
        let head = match self.verdict() {
            Verdict::Complete if totals.copied + totals.adopted == 0 => "complete: nothing was left to do",
            Verdict::Complete => "complete: every message is accounted for",
            Verdict::Exceptions => "finished with exceptions",
            Verdict::Stopped => "stopped: this needs your decision",
            Verdict::Interrupted => "interrupted: the same command goes on from here",
            Verdict::Failed => "failed",
        };
        if self.mailboxes.is_empty() && self.stop.is_some() {
            return format!("{head}: nothing was counted and nothing was copied");
        }
        format!("{head}: {} at the source = {parts} ({size} copied in {time})", number_for_people(totals.source))
    }

    fn write_mailboxes(&self, out: &mut String) {
        let width = |name: fn(&crate::MailboxLine) -> &str| {
            self.mailboxes.iter().map(|line| name(line).width()).max().unwrap_or(0).clamp(6, NAME_COLUMNS_MAX)
        };
        let (source_width, target_width) = (width(|line| &line.source), width(target_name));
        for line in &self.mailboxes {
            let counts = &line.messages;
            let _ = writeln!(
                out,
                "  {}  ->  {}  {:>9}  {}",
                fit(&line.source, source_width),
                fit(target_name(line), target_width),
                number_for_people(counts.source),
                columns_in_words(counts),
            );
        }
    }

    fn write_exceptions(&self, out: &mut String) {
        let mut states: Vec<ExceptionState> = self.exceptions.iter().map(|exception| exception.state).collect();
        states.sort_unstable();
        states.dedup();
        for state in states {
            let of_state: Vec<_> = self.exceptions.iter().filter(|exception| exception.state == state).collect();
            for exception in of_state.iter().take(EXCEPTIONS_SHOWN) {
                let uid = exception.uid.map(|uid| format!(" uid {uid}")).unwrap_or_default();
                let _ = writeln!(out, "{}: {}{uid}: {}", state.label(), exception.mailbox, exception.reason);
            }
            if of_state.len() > EXCEPTIONS_SHOWN {
                let more = of_state.len() - EXCEPTIONS_SHOWN;
                let _ = writeln!(out, "{}: and {more} more (--json lists them all)", state.label());
            }
        }
    }
}

/// Every remark on a line of its own.
pub(crate) fn write_remarks(out: &mut String, remarks: &[Remark]) {
    for remark in remarks {
        let mailbox = remark.mailbox.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
        let _ = writeln!(out, "remark: {mailbox}{}", remark.text);
    }
}

/// Why the work ended before its end, if it did, after an empty line.
pub(crate) fn write_stop(out: &mut String, stop: Option<&Stop>) {
    let Some(stop) = stop else { return };
    let _ = writeln!(out, "\n{}", stop.reason);
    if !stop.hint.is_empty() {
        let _ = writeln!(out, "hint: {}", stop.hint);
    }
}

fn target_name(line: &crate::MailboxLine) -> &str {
    line.target.as_deref().unwrap_or("(left out)")
}

/// The columns that are not zero: `3 copied + 1 adopted`.
pub(crate) fn columns_in_words(counts: &Counts) -> String {
    let columns = [
        (counts.already, "already there"),
        (counts.copied, "copied"),
        (counts.adopted, "adopted"),
        (counts.skipped, "skipped"),
        (counts.refused, "refused"),
        (counts.gone, "gone"),
        (counts.unreadable, "unreadable"),
        (counts.remaining, "remaining"),
    ];
    let shown: Vec<String> = columns
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{} {word}", number_for_people(number)))
        .collect();
    let sum = if shown.is_empty() { "0".to_owned() } else { shown.join(" + ") };
    if counts.adds_up() { sum } else { format!("{sum}, which does not add up") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MailboxLine;

    #[test]
    fn writes_numbers_as_people_read_them() {
        assert_eq!(number_for_people(1_234_567), "1,234,567");
        assert_eq!(number_for_people(12), "12");
        assert_eq!(bytes_for_people(1023), "1023 B");
        assert_eq!(bytes_for_people(1024 * 1024), "1.0 MiB");
        assert_eq!(duration_for_people(3.21), "3.2 s");
        assert_eq!(duration_for_people(59.97), "1 min 00 s");
        assert_eq!(duration_for_people(7_620.0), "2 h 07 min");
    }

    #[test]
    fn a_run_that_came_to_nothing_does_not_pretend_to_have_counted() {
        let stop = crate::Stop::new(crate::StopCause::SignIn, "no".into(), String::new());
        let report = RunReport { stop: Some(stop), ..RunReport::default() };
        assert_eq!(report.last_line(), "failed: nothing was counted and nothing was copied");
    }

    #[test]
    fn names_are_fitted_by_what_a_terminal_shows() {
        assert_eq!(fit("abc", 5), "abc  ");
        assert_eq!(fit("日本語", 7), "日本語 ");
        assert_eq!(fit("日本語です", 6), "日本… ");
        assert_eq!(count_of(1, "message"), "1 message");
        assert_eq!(count_of(1_200, "message"), "1,200 messages");
        assert_eq!(
            (count_of(2, "process"), count_of(3, "mailbox")),
            ("2 processes".to_owned(), "3 mailboxes".to_owned())
        );
    }

    #[test]
    fn says_when_the_sum_does_not_add_up() {
        let messages = Counts { source: 5, copied: 3, ..Counts::default() };
        let line = MailboxLine { source: "a".into(), target: Some("b".into()), messages, bytes: 0 };
        let report = RunReport { mailboxes: vec![line], ..RunReport::default() };
        assert!(report.last_line().contains("5 at the source = 3 copied, which does not add up"));
        assert!(report.last_line().starts_with("finished with exceptions"));
    }
}
