//! Numbers as people read them, and a run report as text.

use crate::{Counts, ExceptionState, MailboxLine, Remark, RunReport, Stop, Verdict};
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
        if let Some(verified) = &self.verified {
            verified.write_findings(&mut out);
        }
        if let Some(followed) = &self.followed {
            let _ = writeln!(out, "{}", followed.in_words());
        }
        write_stop(&mut out, self.any_stop());
        let _ = writeln!(out, "\n{}", self.last_line());
        out
    }

    /// The one line that an operator reads if he reads no other.
    #[must_use]
    pub fn last_line(&self) -> String {
        let (totals, changes) = (self.totals(), self.changes());
        let parts = columns_in_words(&totals);
        let time = duration_for_people(self.seconds);
        let size = bytes_for_people(self.bytes());
        let nothing_done = totals.copied + totals.adopted == 0 && changes.is_empty();
        let head = match self.verdict() {
            Verdict::Complete if self.verified.is_some() => "complete and compared: every message is accounted for",
            Verdict::Complete if nothing_done => "complete: nothing was left to do",
            Verdict::Complete => "complete: every message is accounted for",
            Verdict::Exceptions if self.differs() => "finished, and the two sides differ",
            Verdict::Exceptions => "finished with exceptions",
            Verdict::Stopped => "stopped: this needs your decision",
            Verdict::Interrupted => "interrupted: the same command goes on from here",
            Verdict::Failed => "failed",
        };
        if self.mailboxes.is_empty() && self.stop.is_some() {
            return format!("{head}: nothing was counted and nothing was copied");
        }
        let mut line =
            format!("{head}: {} at the source = {parts} ({size} copied in {time})", number_for_people(totals.source));
        if !changes.is_empty() {
            let _ = write!(line, "; {}", changes.in_words());
        }
        if let Some(verified) = &self.verified {
            let _ = write!(line, "; {}", verified.last_line());
        }
        line
    }

    fn write_mailboxes(&self, out: &mut String) {
        let (listed, summed): (Vec<&MailboxLine>, Vec<&MailboxLine>) =
            self.mailboxes.iter().partition(|line| !self.is_summed_up(line));
        let width = |name: fn(&MailboxLine) -> &str| {
            listed.iter().map(|line| name(line).width()).max().unwrap_or(0).clamp(6, NAME_COLUMNS_MAX)
        };
        let (source_width, target_width) = (width(|line| &line.source), width(target_name));
        for line in listed {
            let counts = &line.messages;
            let changes =
                if line.changes.is_empty() { String::new() } else { format!("; {}", line.changes.in_words()) };
            let _ = writeln!(
                out,
                "  {}  ->  {}  {:>9}  {}{changes}",
                fit(&line.source, source_width),
                fit(target_name(line), target_width),
                number_for_people(counts.source),
                columns_in_words(counts),
            );
        }
        if !summed.is_empty() {
            let mut counts = Counts::default();
            summed.iter().for_each(|line| counts += line.messages);
            // What a run that was stopped did not come to is not known to be unchanged.
            let word = if self.any_stop().is_none() { "unchanged" } else { "not opened" };
            let name = format!("{} {word}", count_of(summed.len() as u64, "mailbox"));
            let _ = writeln!(
                out,
                "  {name:<width$}  {:>9}  {}",
                number_for_people(counts.source),
                columns_in_words(&counts),
                width = source_width + target_width + 6,
            );
        }
    }

    /// Whether a mailbox has nothing to say by itself: it was not opened, and everything in it is accounted for.
    fn is_summed_up(&self, line: &MailboxLine) -> bool {
        let counts = &line.messages;
        let accounted = counts.adds_up() && counts.remaining == 0 && counts.refused == 0 && counts.unreadable == 0;
        let named = || self.exceptions.iter().any(|exception| exception.mailbox == line.source);
        !line.visited && line.target.is_some() && accounted && line.changes.is_empty() && !named()
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

fn target_name(line: &MailboxLine) -> &str {
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
    use crate::{Changes, VerifyReport};

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
        let line = MailboxLine { source: "a".into(), target: Some("b".into()), messages, ..MailboxLine::default() };
        let report = RunReport { mailboxes: vec![line], ..RunReport::default() };
        assert!(report.last_line().contains("5 at the source = 3 copied, which does not add up"));
        assert!(report.last_line().starts_with("finished with exceptions"));
    }

    fn line(name: &str, messages: Counts, visited: bool) -> MailboxLine {
        MailboxLine { source: name.into(), target: Some(name.into()), messages, visited, ..MailboxLine::default() }
    }

    #[test]
    fn mailboxes_that_were_not_opened_are_summed_up_in_one_line() {
        let settled = Counts { source: 600, already: 600, ..Counts::default() };
        let mut changed = line("INBOX", Counts { source: 3, already: 1, copied: 2, ..Counts::default() }, true);
        changed.changes = Changes { flags: 12, moved: 3, ..Changes::default() };
        let mailboxes = vec![line("Archive", settled, false), changed, line("Sent", settled, false)];
        let mut report = RunReport { mailboxes, ..RunReport::default() };
        let text = report.to_text();
        let expected = "  INBOX   ->  INBOX           3  1 already there + 2 copied; flags of 12 messages changed, 3 \
                        messages moved\n  2 mailboxes unchanged      1,200  1,200 already there\n";
        assert!(text.starts_with(expected), "{text}");
        let last = "complete: every message is accounted for: 1,203 at the source = 1,201 already there + 2 copied \
                    (0 B copied in 0.0 s); flags of 12 messages changed, 3 messages moved\n";
        assert!(text.ends_with(last), "{text}");

        report.stop = Some(crate::Stop::new(crate::StopCause::Network, "lost".into(), String::new()));
        assert!(report.to_text().contains("2 mailboxes not opened"), "{}", report.to_text());
    }

    #[test]
    fn a_mailbox_with_something_to_say_is_never_summed_up() {
        let settled = Counts { source: 6, already: 6, ..Counts::default() };
        let mut report = RunReport { mailboxes: vec![line("Archive", settled, false)], ..RunReport::default() };
        assert!(report.to_text().contains("1 mailbox unchanged"));
        let state = ExceptionState::ViewDoubtful;
        report.exceptions =
            vec![crate::Exception { mailbox: "Archive".into(), uid: None, state, reason: "6 is odd".into() }];
        assert!(report.to_text().starts_with("  Archive"), "{}", report.to_text());
        report.exceptions.clear();
        report.mailboxes[0].messages = Counts { source: 6, already: 5, refused: 1, ..Counts::default() };
        assert!(report.to_text().starts_with("  Archive"), "{}", report.to_text());
    }

    #[test]
    fn a_comparison_has_its_say_in_the_last_line() {
        let settled = Counts { source: 6, already: 6, ..Counts::default() };
        let compared = crate::ComparedMailbox {
            source: "INBOX".into(),
            target: "INBOX".into(),
            source_messages: 6,
            target_messages: 6,
            equal: 6,
            skipped: 0,
        };
        let verified = VerifyReport { level: "keys", mailboxes: vec![compared], ..VerifyReport::default() };
        let mailboxes = vec![line("INBOX", settled, true)];
        let mut report = RunReport { mailboxes, verified: Some(verified), ..RunReport::default() };
        let last = report.last_line();
        assert!(last.starts_with("complete and compared: every message is accounted for: 6 at the source"), "{last}");
        assert!(last.ends_with("; equal: 6 of 6 source messages found on the target, judged by keys"), "{last}");
        let verified = report.verified.as_mut().expect("just put there");
        verified.mailboxes[0].equal = 5;
        verified.differences.push(crate::Difference {
            mailbox: "INBOX".into(),
            kind: crate::DifferenceKind::Missing,
            source_uid: Some(4),
            target_uid: None,
            reason: "not on the target".into(),
        });
        let text = report.to_text();
        assert!(text.contains("\nmissing: INBOX source uid 4: not on the target\n"), "{text}");
        assert!(report.last_line().starts_with("finished, and the two sides differ: "), "{text}");
    }
}
