//! The state file's report as text: a table of mailboxes, what needs a look by kind, and how the last run ended.

use crate::columns::{fit, widest};
use mailhaul_db::{ExceptionState, MailboxReport, PairReport, RunReport};
use mailhaul_report::{count_of, number_for_people};
use mailhaul_types::{InternalDate, escape};
use std::fmt::Write;

/// How many columns of a terminal a mailbox name may take; `--json` has the whole name.
const NAME_COLUMNS_MAX: usize = 32;
/// How many exceptions of one kind are listed before the rest is only counted; `--json` has them all.
const EXCEPTIONS_SHOWN: usize = 20;

/// One pair after the other; the last line of each says how its last run ended.
pub(crate) fn to_text(pairs: &[PairReport]) -> String {
    if pairs.is_empty() {
        return "nothing has been copied with this state file yet\n".to_owned();
    }
    let texts: Vec<String> = pairs.iter().map(pair_text).collect();
    texts.join("\n")
}

fn pair_text(pair: &PairReport) -> String {
    let mut out = format!("{}\n", pair.identity);
    if !pair.mailboxes.is_empty() {
        write_table(&mut out, pair);
    }
    write_in_flight(&mut out, &pair.mailboxes);
    write_exceptions(&mut out, &pair.mailboxes);
    write_remarks(&mut out, pair);
    write_run(&mut out, &pair.run);
    out
}

/// One line of the table; all of them are made before any is written, so that the columns fit.
struct Line {
    source: String,
    target: String,
    numbers: Vec<String>,
    rest: String,
}

impl Line {
    fn of(pair: &PairReport, mailbox: &MailboxReport) -> Self {
        let settled = &mailbox.settled;
        Self {
            source: escape(&mailbox.mapping.source),
            target: escape(&mailbox.mapping.target),
            numbers: vec![
                at_source(mailbox).map_or_else(|| "?".to_owned(), number_for_people),
                number_for_people(settled.copied),
                number_for_people(settled.adopted + settled.adopted_altered),
                number_for_people(pair.left_since(mailbox)),
            ],
            rest: rest(mailbox),
        }
    }

    fn in_all(pair: &PairReport) -> Self {
        let mailboxes = &pair.mailboxes;
        let sum = |number: &dyn Fn(&MailboxReport) -> u64| number_for_people(mailboxes.iter().map(number).sum());
        let gone = mailboxes.iter().filter(|mailbox| mailbox.is_gone()).count() as u64;
        Self {
            source: format!("{} mailboxes", number_for_people(mailboxes.len() as u64)),
            target: String::new(),
            numbers: vec![
                sum(&|mailbox| at_source(mailbox).unwrap_or(0)),
                sum(&|mailbox| mailbox.settled.copied),
                sum(&|mailbox| mailbox.settled.adopted + mailbox.settled.adopted_altered),
                sum(&|mailbox| pair.left_since(mailbox)),
            ],
            rest: if gone > 0 {
                format!("{} not at the source any more", number_for_people(gone))
            } else {
                String::new()
            },
        }
    }
}

/// What the last pass counted; nothing in a mailbox that is not there any more.
fn at_source(mailbox: &MailboxReport) -> Option<u64> {
    if mailbox.is_gone() { Some(0) } else { mailbox.last_pass.as_ref().map(|(counts, _)| counts.source) }
}

/// What the last pass did not settle: `3 skipped, 1 remaining`.
fn rest(mailbox: &MailboxReport) -> String {
    let Some((counts, _)) = &mailbox.last_pass else { return "no pass has come to its end yet".to_owned() };
    if mailbox.is_gone() {
        return "not at the source any more".to_owned();
    }
    let columns = [
        (counts.skipped, "skipped"),
        (counts.refused, "refused"),
        (counts.gone, "gone"),
        (counts.unreadable, "unreadable"),
        (counts.remaining, "remaining"),
    ];
    let shown = columns.into_iter().filter(|(count, _)| *count > 0);
    shown.map(|(count, word)| format!("{} {word}", number_for_people(count))).collect::<Vec<_>>().join(", ")
}

fn write_table(out: &mut String, pair: &PairReport) {
    let left: u64 = pair.mailboxes.iter().map(|mailbox| pair.left_since(mailbox)).sum();
    let [source, target] = ["mailbox", "target"].map(str::to_owned);
    let numbers = ["at source", "copied", "adopted", "left since"].map(str::to_owned).to_vec();
    let mut lines = vec![Line { source, target, numbers, rest: String::new() }];
    lines.extend(pair.mailboxes.iter().map(|mailbox| Line::of(pair, mailbox)));
    if pair.mailboxes.len() > 1 {
        lines.push(Line::in_all(pair));
    }
    if left == 0 {
        lines.iter_mut().for_each(|line| line.numbers.truncate(3));
    }
    let name = |name: fn(&Line) -> &str| widest(lines.iter().map(name)).min(NAME_COLUMNS_MAX);
    let (source, target) = (name(|line| &line.source), name(|line| &line.target));
    let widths: Vec<usize> =
        (0..lines[0].numbers.len()).map(|at| widest(lines.iter().map(|line| line.numbers[at].as_str()))).collect();
    for line in &lines {
        let _ = write!(out, "  {}  {}", fit(&line.source, source), fit(&line.target, target));
        for (number, width) in line.numbers.iter().zip(&widths) {
            let _ = write!(out, "  {number:>width$}");
        }
        out.push_str(if line.rest.is_empty() { "" } else { "  " });
        let _ = writeln!(out, "{}", line.rest);
    }
    if left > 0 {
        let words = if left == 1 { "it was" } else { "they were" };
        let _ = writeln!(
            out,
            "\n  {} left the source after {words} copied or adopted, and {} still counted there",
            count_of(left, "message"),
            if left == 1 { "is" } else { "are" }
        );
    }
}

fn write_in_flight(out: &mut String, mailboxes: &[MailboxReport]) {
    let sent = mailboxes.iter().filter(|mailbox| mailbox.sent.is_some());
    let names: Vec<String> = sent.map(|mailbox| escape(&mailbox.mapping.source)).collect();
    if !names.is_empty() {
        let _ = writeln!(out, "\n  may be in flight; the next run looks for it first: {}", names.join(", "));
    }
}

fn write_exceptions(out: &mut String, mailboxes: &[MailboxReport]) {
    for state in ExceptionState::ALL {
        let found: Vec<_> = mailboxes
            .iter()
            .flat_map(|mailbox| mailbox.exceptions.iter().map(move |stored| (mailbox, &stored.exception)))
            .filter(|(_, exception)| exception.state == state)
            .collect();
        if found.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n  {}: {}", state.as_str().replace('_', " "), number_for_people(found.len() as u64));
        for (mailbox, exception) in found.iter().take(EXCEPTIONS_SHOWN) {
            let uid = exception.uid.map(|uid| format!(" uid {uid}")).unwrap_or_default();
            let _ = writeln!(out, "    {}{uid}: {}", escape(&mailbox.mapping.source), escape(&exception.reason));
        }
        if found.len() > EXCEPTIONS_SHOWN {
            let _ = writeln!(out, "    and {} more (--json lists them all)", found.len() - EXCEPTIONS_SHOWN);
        }
    }
}

fn write_remarks(out: &mut String, pair: &PairReport) {
    let mut remarks: Vec<String> = pair.remarks.iter().map(|remark| escape(&remark.text)).collect();
    for mailbox in &pair.mailboxes {
        let name = escape(&mailbox.mapping.source);
        remarks.extend(mailbox.remarks.iter().map(|remark| format!("{name}: {}", escape(&remark.text))));
    }
    if !remarks.is_empty() {
        let _ = writeln!(out, "\n  remarks: {}", number_for_people(remarks.len() as u64));
    }
    for remark in remarks {
        let _ = writeln!(out, "    {remark}");
    }
}

fn write_run(out: &mut String, run: &RunReport) {
    let at = |secs| InternalDate::from_unix_secs(secs).to_string();
    let started = at(run.started_unix_secs);
    let _ = match (run.finished_unix_secs, run.verdict) {
        (Some(end), Some(verdict)) => {
            writeln!(out, "\n  last run: {}, from {started} to {}", verdict.as_str(), at(end))
        }
        _ => writeln!(out, "\n  last run: began {started} and is running or was killed"),
    };
    for line in run.detail.lines() {
        let _ = writeln!(out, "    {}", escape(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailhaul_db::{
        AccountIdentity, Exception, Mapping, PairIdentity, PassCounts, Remark, RunVerdict, SettledCounts,
        StoredException,
    };
    use mailhaul_types::{Uid, UidRange};
    use unicode_width::UnicodeWidthStr;

    fn mailbox(source: &str, target: &str, copied: u64) -> MailboxReport {
        let counts = PassCounts { source: copied, copied, ..PassCounts::default() };
        MailboxReport {
            mapping: Mapping { source: source.to_owned(), target: target.to_owned() },
            settled: SettledCounts { copied, ..SettledCounts::default() },
            departed: 0,
            sent: None,
            scan: None,
            last_pass: Some((counts, 0)),
            exceptions: Vec::new(),
            remarks: Vec::new(),
        }
    }

    fn except(uid: u32, state: ExceptionState, reason: &str) -> StoredException {
        let exception = Exception { uid: Some(Uid(uid)), state, reason: reason.to_owned(), key: None };
        StoredException { exception, source_uid_validity: None, at_unix_secs: 0 }
    }

    fn pair(mailboxes: Vec<MailboxReport>) -> PairReport {
        let ends = ["old.example", "new.example"].map(|host| AccountIdentity::new(host, "alice", None));
        let [source, target] = ends;
        let run = RunReport {
            started_unix_secs: 0,
            finished_unix_secs: Some(60),
            verdict: Some(RunVerdict::Failed),
            detail: "failed: 1 at the source = 1 remaining\ntarget: NO [OVERQUOTA] full".to_owned(),
        };
        PairReport { identity: PairIdentity { source, target }, run, mailboxes, remarks: Vec::new() }
    }

    #[test]
    fn columns_stay_in_line_with_any_name() {
        let names = [
            "INBOX",
            "日本語メールボックス",
            "🎉 party 🎉",
            "Archive/2019/a very long name that goes on and on",
            "cafe\u{301}",
        ];
        let text = to_text(&[pair(names.map(|name| mailbox(name, name, 1_234)).to_vec())]);
        let ends: Vec<usize> =
            text.lines().filter_map(|line| line.find("1,234").map(|at| line[..at].width())).collect();
        assert_eq!(ends.len(), 2 + 3, "{text}");
        assert!(ends.iter().all(|end| *end == ends[0]), "{text}");
        assert!(text.contains("5 mailboxes") && text.contains("6,170"), "{text}");
    }

    #[test]
    fn what_has_left_the_source_has_a_column_and_the_sums_agree() {
        let mut thinned = mailbox("INBOX", "INBOX", 24);
        thinned.departed = 16;
        thinned.last_pass = Some((PassCounts { source: 9, already: 8, skipped: 1, ..PassCounts::default() }, 0));
        let mut vanished = mailbox("Old", "Old", 30);
        vanished.departed = 30;
        let mut both = pair(vec![thinned, vanished]);
        both.run.verdict = Some(RunVerdict::Complete);
        let text = to_text(&[both.clone()]);
        let line = |begins: &str| -> Vec<String> {
            let found = text.lines().find(|line| line.trim_start().starts_with(begins)).expect(begins);
            found.split_whitespace().map(str::to_owned).collect()
        };
        assert!(
            text.lines().nth(1).is_some_and(|line| line.ends_with("at source  copied  adopted  left since")),
            "{text}"
        );
        assert_eq!(line("INBOX")[2..], ["9", "24", "0", "16", "1", "skipped"]);
        assert_eq!(line("Old")[2..].join(" "), "0 30 0 30 not at the source any more");
        assert_eq!(line("2 mailboxes")[2..].join(" "), "9 54 0 46 1 not at the source any more");
        assert!(
            text.contains("  46 messages left the source after they were copied or adopted, and are still"),
            "{text}"
        );

        // A run that was killed has settled more than the last pass counted: that is no departure.
        both.mailboxes.truncate(1);
        both.run.verdict = None;
        both.mailboxes[0].departed = 0;
        assert!(!to_text(&[both]).contains("left since"));
    }

    #[test]
    fn exceptions_stand_together_by_kind_and_long_lists_are_cut() {
        let mut first = mailbox("INBOX", "INBOX", 1);
        first.exceptions = (1..=25).map(|uid| except(uid, ExceptionState::Refused, "NO [LIMIT] too big")).collect();
        let mut second = mailbox("Sent", "Sent", 1);
        second.exceptions = vec![
            except(7, ExceptionState::PossibleDuplicate, "sent again"),
            except(8, ExceptionState::Refused, "NO evil \u{202e}"),
        ];
        second.remarks = vec![Remark { kind: "flags".to_owned(), text: "a keyword was left".to_owned(), messages: 1 }];
        second.sent = Some(UidRange { first: Uid(1), last: Uid(2) });
        let text = to_text(&[pair(vec![first, second])]);
        assert!(text.contains("\n  refused: 26\n    INBOX uid 1: NO [LIMIT] too big\n"), "{text}");
        assert!(text.contains("    and 6 more (--json lists them all)\n"), "{text}");
        assert!(text.contains("\n  possible duplicate: 1\n    Sent uid 7: sent again\n"), "{text}");
        assert!(text.contains("\n  remarks: 1\n    Sent: a keyword was left\n"), "{text}");
        assert!(text.contains("looks for it first: Sent\n") && !text.contains('\u{202e}'), "{text}");
    }

    #[test]
    fn says_how_the_last_run_ended_and_why() {
        let text = to_text(&[pair(vec![mailbox("INBOX", "INBOX", 1)])]);
        assert!(text.contains("  last run: failed, from "), "{text}");
        assert!(
            text.ends_with("    failed: 1 at the source = 1 remaining\n    target: NO [OVERQUOTA] full\n"),
            "{text}"
        );
    }
}
