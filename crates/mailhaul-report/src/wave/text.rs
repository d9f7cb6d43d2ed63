//! The report of a wave as text for a terminal.

use super::{AccountLine, ImbalanceKind, WaveReport, WaveTotals, WaveVerdict};
use crate::moment::moment_for_people;
use crate::table::Table;
use crate::text::columns_in_words;
use crate::{bytes_for_people, count_of, duration_for_people, number_for_people};
use mailhaul_types::{Escaped, escape};
use std::fmt::Write;

/// How many exceptions of one account are listed; `--json` has them all.
const EXCEPTIONS_SHOWN: usize = 5;

impl WaveReport {
    /// The whole report as text, ending in one true line.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "wave {}, {}\n", Escaped(&self.wave), self.period());
        out.push_str(&self.table());
        for line in &self.accounts {
            write_notes(&mut out, line);
        }
        let totals = self.totals();
        let _ = writeln!(out, "\n{}", sum_line(&totals));
        self.write_imbalances(&mut out);
        let _ = writeln!(out, "{}", self.last_line());
        out
    }

    /// The one line that an operator reads if he reads no other.
    #[must_use]
    pub fn last_line(&self) -> String {
        let totals = self.totals();
        let label = self.verdict().label();
        match self.verdict() {
            WaveVerdict::Complete => {
                format!("{label}: every message of {} is accounted for", count_of(totals.accounts, "account"))
            }
            _ if self.accounts.is_empty() => format!("{label}: there is no account in this wave"),
            _ => format!("{label}: {}", standings_in_words(&totals)),
        }
    }

    /// From when to when, as far as it is known.
    pub(super) fn period(&self) -> String {
        let made = moment_for_people(self.made_unix_secs);
        match (self.started_unix_secs.map(moment_for_people), self.finished_unix_secs.map(moment_for_people)) {
            (Some(started), Some(finished)) => format!("worked on from {started} to {finished}; report of {made}"),
            (Some(started), None) => format!("worked on since {started}; report of {made}"),
            (None, _) => format!("not begun; report of {made}"),
        }
    }

    fn table(&self) -> String {
        let mut table = Table::new(
            &["account", "verdict", "source", "target", "copied", "adopted", "set aside", "left", "size"],
            2,
        );
        for line in &self.accounts {
            let counts = line.messages.unwrap_or_default();
            let number = |number: u64| if line.messages.is_some() { number_for_people(number) } else { "?".to_owned() };
            table.row([
                escape(&line.account),
                line.verdict_words().to_owned(),
                number(counts.source),
                line.target_messages.map_or_else(|| "?".to_owned(), number_for_people),
                number(counts.already.saturating_add(counts.copied)),
                number(counts.adopted),
                number(counts.set_aside()),
                number(counts.remaining),
                bytes_for_people(line.bytes),
            ]);
        }
        table.to_text()
    }

    fn write_imbalances(&self, out: &mut String) {
        let imbalances = self.imbalances();
        for (kind, heading) in [
            (ImbalanceKind::Target, "Fewer messages on the target than were delivered:"),
            (ImbalanceKind::Sum, "THE NUMBERS DO NOT ADD UP. Do not rely on this report before it is known why:"),
        ] {
            let of_kind: Vec<_> = imbalances.iter().filter(|imbalance| imbalance.kind == kind).collect();
            if of_kind.is_empty() {
                continue;
            }
            let _ = writeln!(out, "\n{heading}");
            for imbalance in of_kind {
                let mailbox = imbalance.mailbox.as_deref().map(|name| format!(": {}", Escaped(name)));
                let mailbox = mailbox.unwrap_or_default();
                let _ = writeln!(out, "  {}{mailbox}: {}", Escaped(&imbalance.account), imbalance.text);
            }
            out.push('\n');
        }
    }
}

/// What there is to say about one account beyond its numbers.
fn write_notes(out: &mut String, line: &AccountLine) {
    let account = escape(&line.account);
    if let Some(words) = &line.last_words {
        let attempts = count_of(u64::from(line.attempts), "attempt");
        let _ = writeln!(out, "{account}: {}, after {attempts}: {}", Escaped(&line.state), Escaped(words));
    }
    for remark in &line.remarks {
        let mailbox = remark.mailbox.as_deref().map(|name| format!("{}: ", Escaped(name))).unwrap_or_default();
        let _ = writeln!(out, "{account}: remark: {mailbox}{}", Escaped(&remark.text));
    }
    for exception in line.exceptions.iter().take(EXCEPTIONS_SHOWN) {
        let uid = exception.uid.map(|uid| format!(" uid {uid}")).unwrap_or_default();
        let (label, mailbox) = (exception.state.label(), Escaped(&exception.mailbox));
        let _ = writeln!(out, "{account}: {label}: {mailbox}{uid}: {}", Escaped(&exception.reason));
    }
    let more = line.exceptions.len().saturating_sub(EXCEPTIONS_SHOWN);
    if more > 0 {
        let _ = writeln!(out, "{account}: and {} more (--json lists them all)", count_of(more as u64, "exception"));
    }
}

/// How the numbers of all accounts add up, in one sentence.
pub(super) fn sum_line(totals: &WaveTotals) -> String {
    let source = number_for_people(totals.messages.source);
    let mut line = format!("{source} at the source = {}", columns_in_words(&totals.messages));
    let size = bytes_for_people(totals.bytes);
    let _ = write!(line, " ({size} copied in {} of work)", duration_for_people(totals.seconds));
    if totals.target_counted > 0 {
        let messages = number_for_people(totals.target_messages);
        let _ = write!(line, "; {messages} on the target in {}", count_of(totals.target_counted, "account"));
    }
    if totals.uncounted > 0 {
        let _ = write!(line, "; {} never counted", count_of(totals.uncounted, "account"));
    }
    line
}

/// `480 of 500 accounts complete, 3 with exceptions, 17 need attention`.
pub(super) fn standings_in_words(totals: &WaveTotals) -> String {
    let all = count_of(totals.accounts, "account");
    let mut parts = vec![format!("{} of {all} complete", number_for_people(totals.complete))];
    let others = [
        (totals.exceptions, "with exceptions"),
        (totals.attention, if totals.attention == 1 { "needs attention" } else { "need attention" }),
        (totals.unfinished, "not finished"),
        (totals.stopped, "stopped"),
    ];
    let others = others.into_iter().filter(|(count, _)| *count > 0);
    parts.extend(others.map(|(count, words)| format!("{} {words}", number_for_people(count))));
    parts.join(", ")
}
