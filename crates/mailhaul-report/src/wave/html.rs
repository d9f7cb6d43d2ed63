//! The report of a wave as one HTML page that a customer can read, print and sign.
//!
//! The page is self-contained: no script, no image, no font, nothing from elsewhere, and a content security policy that
//! allows exactly its own style sheet, named by its hash. Every text that is not ours is escaped twice: against steering a
//! display, then against being taken for HTML.

use super::text::standings_in_words;
use super::{AccountLine, AccountVerdict, ImbalanceKind, WaveReport, WaveTotals, WaveVerdict, balance};
use crate::moment::moment_for_people;
use crate::{MailboxLine, bytes_for_people, count_of, duration_for_people, number_for_people};
use base64::Engine as _;
use mailhaul_types::Escaped;
use sha2::{Digest as _, Sha256};
use std::fmt::{self, Write};

/// The one style sheet.
const STYLE: &str = include_str!("page.css");

/// A text that came from elsewhere, as it may stand in HTML, between tags or in a quoted attribute.
struct Html<'a>(&'a str);

impl fmt::Display for Html<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in Escaped(self.0).to_string().chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

impl WaveReport {
    /// The whole page.
    #[must_use]
    pub fn to_html(&self) -> String {
        let totals = self.totals();
        let mut out = self.head();
        self.put_verdict(&mut out, &totals);
        self.put_alarm(&mut out);
        put_figures(&mut out, &totals);
        put_sum(&mut out, &totals);
        self.put_troubles(&mut out);
        self.put_exceptions(&mut out);
        self.put_accounts(&mut out, &totals);
        self.put_mailboxes(&mut out);
        self.put_end(&mut out);
        out
    }

    fn head(&self) -> String {
        let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(STYLE));
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{hash}'; \
             base-uri 'none'; form-action 'none'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <title>Mail migration report: {wave}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <h1>Mail migration report: wave {wave}</h1>\n",
            wave = Html(&self.wave)
        )
    }

    fn put_verdict(&self, out: &mut String, totals: &WaveTotals) {
        let verdict = self.verdict();
        let (sign, words) = match verdict {
            WaveVerdict::Complete => ("✓", "Complete: every message is accounted for"),
            WaveVerdict::Exceptions => ("!", "Finished, with exceptions"),
            WaveVerdict::Attention => ("!", "Needs attention"),
            WaveVerdict::Unfinished => ("…", "Not finished yet"),
            WaveVerdict::DoesNotAddUp => ("✗", "The numbers do not add up"),
        };
        let _ = writeln!(
            out,
            "<div class=\"verdict {}\"><strong>{sign} {words}</strong>{}. {}.</div>",
            class_of(verdict),
            capitalised(&standings_in_words(totals)),
            capitalised(&self.period())
        );
    }

    fn put_alarm(&self, out: &mut String) {
        let imbalances = self.imbalances();
        for (kind, heading, words) in [
            (
                ImbalanceKind::Sum,
                "These numbers contradict each other.",
                "Do not rely on this report before it is known why.",
            ),
            (ImbalanceKind::Target, "The target holds fewer messages than were delivered.", ""),
        ] {
            let of_kind: Vec<_> = imbalances.iter().filter(|imbalance| imbalance.kind == kind).collect();
            if of_kind.is_empty() {
                continue;
            }
            let _ = writeln!(out, "<div class=\"alarm\" role=\"alert\"><strong>{heading}</strong> {words}\n<ul>");
            for imbalance in of_kind {
                let mailbox = imbalance.mailbox.as_deref().map(|name| format!(", {}", Html(name)));
                let mailbox = mailbox.unwrap_or_default();
                let _ = writeln!(out, "<li>{}{mailbox}: {}</li>", Html(&imbalance.account), Html(&imbalance.text));
            }
            out.push_str("</ul></div>\n");
        }
    }

    /// Accounts whose last attempt did not end well, with the words that it ended with.
    fn put_troubles(&self, out: &mut String) {
        let troubles: Vec<&AccountLine> = self.accounts.iter().filter(|line| line.last_words.is_some()).collect();
        if troubles.is_empty() {
            return;
        }
        out.push_str("<h2>What went wrong</h2>\n");
        open_table(out, &[("Account", ""), ("State", ""), ("Attempts", "n"), ("Last words", "")]);
        for line in troubles {
            out.push_str("<tr>");
            cell(out, "Account", "", &Html(&line.account));
            cell(out, "State", "", &Html(&line.state));
            cell(out, "Attempts", "n", &line.attempts);
            cell(out, "Last words", "text", &Html(line.last_words.as_deref().unwrap_or_default()));
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody></table>\n");
    }

    fn put_exceptions(&self, out: &mut String) {
        if self.accounts.iter().all(|line| line.exceptions.is_empty()) {
            return;
        }
        out.push_str("<h2>Exceptions</h2>\n<p>Each of these needs a look.</p>\n");
        open_table(out, &[("Account", ""), ("Mailbox", ""), ("Message", "n"), ("What", ""), ("Reason", "")]);
        for line in &self.accounts {
            for exception in &line.exceptions {
                let message = exception.uid.map_or_else(String::new, |uid| format!("uid {uid}"));
                out.push_str("<tr>");
                cell(out, "Account", "", &Html(&line.account));
                cell(out, "Mailbox", "", &Html(&exception.mailbox));
                cell(out, "Message", "n", &message);
                cell(out, "What", "word", &exception.state.label());
                cell(out, "Reason", "text", &Html(&exception.reason));
                out.push_str("</tr>\n");
            }
        }
        out.push_str("</tbody></table>\n");
    }

    fn put_accounts(&self, out: &mut String, totals: &WaveTotals) {
        out.push_str("<h2>Accounts</h2>\n");
        let heading = [
            ("Account", ""),
            ("Verdict", ""),
            ("Source", "n"),
            ("Target", "n"),
            ("Copied", "n"),
            ("Adopted", "n"),
            ("Set aside", "n"),
            ("Left", "n"),
            ("Size", "n"),
            ("Time", "n"),
        ];
        open_table(out, &heading);
        for line in &self.accounts {
            put_account(out, line);
        }
        out.push_str("<tr class=\"total\">");
        cell(out, "Account", "", &count_of(totals.accounts, "account"));
        cell(out, "Verdict", "", &"");
        let counts = &totals.messages;
        cell(out, "Source", "n", &number_for_people(counts.source));
        cell(out, "Target", "n", &number_for_people(totals.target_messages));
        cell(out, "Copied", "n", &number_for_people(counts.already.saturating_add(counts.copied)));
        cell(out, "Adopted", "n", &number_for_people(counts.adopted));
        cell(out, "Set aside", "n", &number_for_people(counts.set_aside()));
        cell(out, "Left", "n", &number_for_people(counts.remaining));
        cell(out, "Size", "n", &bytes_for_people(totals.bytes));
        cell(out, "Time", "n", &duration_for_people(totals.seconds));
        out.push_str("</tr>\n</tbody></table>\n");
    }

    fn put_mailboxes(&self, out: &mut String) {
        if self.accounts.iter().all(|line| line.mailboxes.is_empty()) {
            return;
        }
        out.push_str(
            "<h2 class=\"mailboxes\">Mailboxes</h2>\n<p class=\"mailboxes\">Open an account to see its mailboxes. \
             They are not printed.</p>\n",
        );
        for line in self.accounts.iter().filter(|line| !line.mailboxes.is_empty()) {
            let mailboxes = count_of(line.mailboxes.len() as u64, "mailbox");
            let _ = writeln!(out, "<details><summary>{}: {mailboxes}</summary>", Html(&line.account));
            open_table(out, &[("Mailbox", ""), ("On the target", ""), ("Source", "n"), ("What became of them", "")]);
            for mailbox in &line.mailboxes {
                put_mailbox(out, mailbox);
            }
            out.push_str("</tbody></table></details>\n");
        }
    }

    fn put_end(&self, out: &mut String) {
        let sentence = match self.verdict() {
            WaveVerdict::Complete => "The figures above were checked and the result is accepted.",
            WaveVerdict::Exceptions => {
                "The figures above were checked and the result is accepted, with the exceptions named."
            }
            WaveVerdict::Attention | WaveVerdict::Unfinished | WaveVerdict::DoesNotAddUp => "",
        };
        if sentence.is_empty() {
            out.push_str("<h2>Acceptance</h2>\n<p>This report is not the last one, and not for signature.</p>\n");
        } else {
            let _ = writeln!(
                out,
                "<h2>Acceptance</h2>\n<p>{sentence}</p>\n<div class=\"sign\">\
                 <div><span>Place, date and signature, for the customer</span></div>\
                 <div><span>Place, date and signature, for the operator</span></div></div>"
            );
        }
        let _ = writeln!(
            out,
            "<footer>Report of {}, made by {}.</footer>\n</main>\n</body>\n</html>",
            moment_for_people(self.made_unix_secs),
            Html(if self.made_by.is_empty() { "mailhaul" } else { &self.made_by })
        );
    }
}

fn put_figures(out: &mut String, totals: &WaveTotals) {
    let on_target = match totals.target_counted {
        0 => "not counted yet".to_owned(),
        _ => number_for_people(totals.target_messages),
    };
    let figures = [
        (
            "Accounts complete",
            format!("{} of {}", number_for_people(totals.complete), number_for_people(totals.accounts)),
        ),
        ("Messages at the source", number_for_people(totals.messages.source)),
        ("Messages on the target", on_target),
        ("Set aside, with reasons", number_for_people(totals.messages.set_aside())),
        ("Copied", bytes_for_people(totals.bytes)),
    ];
    out.push_str("<dl class=\"figures\">\n");
    for (name, figure) in figures {
        let _ = writeln!(out, "<div><dt>{name}</dt><dd>{figure}</dd></div>");
    }
    out.push_str("</dl>\n");
}

/// The sum, as people do sums: one line a summand, a stroke, the total.
fn put_sum(out: &mut String, totals: &WaveTotals) {
    let counts = &totals.messages;
    let summands = [
        ("Found copied by an earlier run", counts.already),
        ("Copied", counts.copied),
        ("Found on the target already, and therefore not sent again", counts.adopted),
        ("Left out, as was asked for", counts.skipped),
        ("Refused by the target", counts.refused),
        ("Deleted at the source meanwhile", counts.gone),
        ("Not handed out by the source", counts.unreadable),
        ("Still to be copied", counts.remaining),
    ];
    out.push_str("<h2>How the numbers add up</h2>\n<table class=\"sum\"><tbody>\n");
    for (name, number) in summands.into_iter().filter(|(name, number)| *number > 0 || *name == "Copied") {
        let _ = writeln!(out, "<tr><td>{name}</td><td class=\"n\">{}</td></tr>", number_for_people(number));
    }
    let source = number_for_people(counts.source);
    let _ = writeln!(out, "<tr class=\"total\"><td>Messages at the source</td><td class=\"n\">{source}</td></tr>");
    out.push_str("</tbody></table>\n");
    if !counts.adds_up() {
        let together = number_for_people(counts.accounted().saturating_add(counts.remaining));
        let _ = writeln!(out, "<p class=\"wrong\">This does not add up: the lines above come to {together}.</p>");
    }
    if totals.uncounted > 0 {
        let _ = writeln!(
            out,
            "<p>{} could not be counted at the source yet and {} in no sum.</p>",
            count_of(totals.uncounted, "account"),
            if totals.uncounted == 1 { "is" } else { "are" }
        );
    }
    if totals.target_counted > 0 && totals.target_counted < totals.accounts {
        let _ = writeln!(
            out,
            "<p>The target was counted in {} of {}.</p>",
            number_for_people(totals.target_counted),
            count_of(totals.accounts, "account")
        );
    }
}

fn put_account(out: &mut String, line: &AccountLine) {
    let counts = line.messages.unwrap_or_default();
    let number = |number: u64| if line.messages.is_some() { number_for_people(number) } else { "–".to_owned() };
    let _ = write!(out, "<tr class=\"{}\">", account_class(line));
    let (source, target) = (Html(&line.source), Html(&line.target));
    let account = Html(&line.account);
    cell(out, "Account", "", &format_args!("{account}<small>{source}</small><small>→ {target}</small>"));
    cell(out, "Verdict", "word", &line.verdict_words());
    cell(out, "Source", "n", &number(counts.source));
    cell(out, "Target", "n", &line.target_messages.map_or_else(|| "–".to_owned(), number_for_people));
    cell(out, "Copied", "n", &number(counts.already.saturating_add(counts.copied)));
    cell(out, "Adopted", "n", &number(counts.adopted));
    cell(out, "Set aside", "n", &number(counts.set_aside()));
    cell(out, "Left", "n", &number(counts.remaining));
    cell(out, "Size", "n", &bytes_for_people(line.bytes));
    cell(out, "Time", "n", &duration_for_people(line.seconds));
    out.push_str("</tr>\n");
}

fn put_mailbox(out: &mut String, mailbox: &MailboxLine) {
    out.push_str("<tr>");
    cell(out, "Mailbox", "", &Html(&mailbox.source));
    cell(out, "On the target", "", &Html(mailbox.target.as_deref().unwrap_or("(left out)")));
    cell(out, "Source", "n", &number_for_people(mailbox.messages.source));
    cell(out, "What became of them", "text", &crate::text::columns_in_words(&mailbox.messages));
    out.push_str("</tr>\n");
}

fn open_table(out: &mut String, heading: &[(&str, &str)]) {
    out.push_str("<table class=\"wide\"><thead><tr>");
    for (name, class) in heading {
        let _ = match *class {
            "" => write!(out, "<th scope=\"col\">{name}</th>"),
            class => write!(out, "<th scope=\"col\" class=\"{class}\">{name}</th>"),
        };
    }
    out.push_str("</tr></thead><tbody>\n");
}

/// A cell whose contents are HTML already; `name` is shown beside it where there is no room for a heading.
fn cell(out: &mut String, name: &str, class: &str, contents: &dyn fmt::Display) {
    let _ = match class {
        "" => write!(out, "<td data-name=\"{name}\">{contents}</td>"),
        class => write!(out, "<td data-name=\"{name}\" class=\"{class}\">{contents}</td>"),
    };
}

fn class_of(verdict: WaveVerdict) -> &'static str {
    match verdict {
        WaveVerdict::Complete => "complete",
        WaveVerdict::Exceptions => "exceptions",
        WaveVerdict::Attention => "attention",
        WaveVerdict::Unfinished => "unfinished",
        WaveVerdict::DoesNotAddUp => "does_not_add_up",
    }
}

fn account_class(line: &AccountLine) -> &'static str {
    match line.verdict() {
        _ if !balance::account_adds_up(line) => "does_not_add_up",
        AccountVerdict::Complete => "complete",
        AccountVerdict::Exceptions => "exceptions",
        AccountVerdict::Attention => "attention",
        AccountVerdict::Unfinished => "unfinished",
        AccountVerdict::Stopped => "stopped",
    }
}

fn capitalised(sentence: &str) -> String {
    let mut characters = sentence.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}
