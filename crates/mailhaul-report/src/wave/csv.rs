//! The report of a wave as CSV: a heading, then one line an account, by RFC 4180.
//!
//! Spreadsheets take a cell that begins with `=`, `+`, `-` or `@` for a formula, whoever wrote it, so such a cell gets an
//! apostrophe before it (and so does one that begins with a tab or a carriage return, which they skip).

use super::{AccountLine, WaveReport};
use mailhaul_types::escape;

const HEADING: [&str; 23] = [
    "account",
    "source",
    "target",
    "verdict",
    "state",
    "source_messages",
    "target_messages",
    "already",
    "copied",
    "adopted",
    "skipped",
    "refused",
    "gone",
    "unreadable",
    "remaining",
    "adds_up",
    "exceptions",
    "bytes",
    "seconds",
    "attempts",
    "last_words",
    "first_exception",
    "wave",
];

impl WaveReport {
    /// One line an account, under a heading. What was never counted is empty.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut out = String::new();
        put_row(&mut out, HEADING.map(str::to_owned));
        for line in &self.accounts {
            put_row(&mut out, self.cells(line));
        }
        out
    }

    fn cells(&self, line: &AccountLine) -> [String; 23] {
        let counts = line.messages.unwrap_or_default();
        let number = |number: u64| if line.messages.is_some() { number.to_string() } else { String::new() };
        let first = line
            .exceptions
            .first()
            .map(|exception| format!("{}: {}: {}", exception.state.label(), exception.mailbox, exception.reason));
        [
            text(&line.account),
            text(&line.source),
            text(&line.target),
            line.verdict().label().to_owned(),
            text(&line.state),
            number(counts.source),
            line.target_messages.map(|messages| messages.to_string()).unwrap_or_default(),
            number(counts.already),
            number(counts.copied),
            number(counts.adopted),
            number(counts.skipped),
            number(counts.refused),
            number(counts.gone),
            number(counts.unreadable),
            number(counts.remaining),
            if super::balance::account_adds_up(line) { "yes" } else { "NO" }.to_owned(),
            line.exceptions.len().to_string(),
            line.bytes.to_string(),
            format!("{:.3}", line.seconds),
            line.attempts.to_string(),
            text(line.last_words.as_deref().unwrap_or_default()),
            text(first.as_deref().unwrap_or_default()),
            text(&self.wave),
        ]
    }
}

/// A stranger's text as a cell that no spreadsheet computes.
fn text(cell: &str) -> String {
    // The wide forms are taken for the narrow ones in some languages, and blanks before them do not help.
    let first = cell.trim_start_matches([' ', '\u{a0}']);
    let steers = first.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n']);
    let escaped = escape(cell);
    if steers { format!("'{escaped}") } else { escaped }
}

fn put_row(out: &mut String, cells: [String; 23]) {
    for (column, cell) in cells.iter().enumerate() {
        if column > 0 {
            out.push(',');
        }
        if cell.contains(['"', ',', '\r', '\n']) {
            out.push('"');
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(cell);
        }
    }
    out.push_str("\r\n");
}
