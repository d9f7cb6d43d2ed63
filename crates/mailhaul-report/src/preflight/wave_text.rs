//! The look at a wave as text.

use crate::preflight::{Bottleneck, Estimate, PreflightVerdict, RemarkKind, WavePreflight};
use crate::table::Table;
use crate::{bytes_for_people, count_of, number_for_people};
use mailhaul_types::Escaped;
use std::fmt::Write;

/// How many accounts without anything to be said of them are listed; `--json` has them all.
const READY_SHOWN: usize = 50;
/// How many accounts with remarks, and how many that are blocked, are listed; `--json` has them all.
const REMARKABLE_SHOWN: usize = 500;
/// How many changes are listed; `--json` has them all.
const CHANGES_SHOWN: usize = 50;

impl WavePreflight {
    /// The table of accounts, what changed, and the totals, ending in the estimate.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        self.write_accounts(&mut out);
        self.write_reasons(&mut out);
        self.write_changes(&mut out);
        let _ = writeln!(out, "\n{}\n{}", self.last_line(), self.estimate.to_text());
        out
    }

    /// How many accounts are ready, and how much there is to copy.
    #[must_use]
    pub fn last_line(&self) -> String {
        let counts = self.counts();
        let repeat = match counts.repeat {
            0 => String::new(),
            some => format!(" ({} of them may pass by itself: look again later)", number_for_people(some)),
        };
        format!(
            "{}: {} ready, {} ready with remarks, {} blocked{repeat}; {} ({}) in {}, {} ({}) to copy",
            count_of(self.accounts.len() as u64, "account"),
            number_for_people(counts.ready),
            number_for_people(counts.remarks),
            number_for_people(counts.blocked),
            count_of(counts.messages, "message"),
            bytes_for_people(counts.bytes),
            count_of(counts.mailboxes, "mailbox"),
            number_for_people(counts.to_copy_messages),
            bytes_for_people(counts.to_copy_bytes),
        )
    }

    fn write_accounts(&self, out: &mut String) {
        let mut table = Table::new(&["account", "verdict", "mailboxes", "messages", "size", "to copy", ""], 2);
        let mut left_out = 0;
        for verdict in [PreflightVerdict::Blocked, PreflightVerdict::Remarks, PreflightVerdict::Ready] {
            let of_verdict = || self.accounts.iter().filter(|(_, found)| found.verdict() == verdict);
            let shown = if verdict == PreflightVerdict::Ready { READY_SHOWN } else { REMARKABLE_SHOWN };
            left_out += of_verdict().count().saturating_sub(shown);
            for (name, found) in of_verdict().take(shown) {
                let figure = |number: u64, show: fn(u64) -> String| {
                    if found.is_counted() { show(number) } else { "?".to_owned() }
                };
                table.row([
                    Escaped(name).to_string(),
                    verdict.as_str().to_owned(),
                    figure(found.mailboxes.len() as u64, number_for_people),
                    figure(found.messages(), number_for_people),
                    figure(found.bytes(), bytes_for_people),
                    figure(found.to_copy_bytes(), bytes_for_people),
                    reason(found),
                ]);
            }
        }
        out.push_str(&table.to_text());
        if left_out > 0 {
            let _ = writeln!(out, "  and {} more (--json lists them all)", count_of(left_out as u64, "account"));
        }
    }

    fn write_reasons(&self, out: &mut String) {
        let blocks = self.blocks();
        if !blocks.is_empty() {
            let _ = writeln!(out, "\n  blocked by:");
        }
        for ((kind, side), accounts) in blocks {
            let side = side.map(|side| format!(" at the {side}")).unwrap_or_default();
            let again = if kind.passes() { "; may pass by itself" } else { "" };
            let _ = writeln!(out, "    {}{side}: {}{again}", kind.as_str(), count_of(accounts, "account"));
        }
        let told = |kind: RemarkKind| kind.weighs() || kind == RemarkKind::Extension;
        let remarks: Vec<_> = self.remarks().into_iter().filter(|(kind, _)| told(*kind)).collect();
        if !remarks.is_empty() {
            let _ = writeln!(out, "\n  remarks:");
        }
        for (kind, accounts) in remarks {
            let _ = writeln!(out, "    {}: {}", kind.as_str(), count_of(accounts, "account"));
        }
    }

    fn write_changes(&self, out: &mut String) {
        if self.changes.is_empty() {
            return;
        }
        let _ = writeln!(out, "\n  since the look before:");
        for change in self.changes.iter().take(CHANGES_SHOWN) {
            let _ = writeln!(out, "    {}: {}", Escaped(&change.account), Escaped(&change.text));
        }
        if self.changes.len() > CHANGES_SHOWN {
            let more = self.changes.len() - CHANGES_SHOWN;
            let _ = writeln!(out, "    and {} more (--json lists them all)", count_of(more as u64, "change"));
        }
    }
}

/// What an operator should look at first, in one cell.
fn reason(found: &crate::AccountPreflight) -> String {
    if let Some(block) = found.gravest_block() {
        return block.to_text();
    }
    let mut remarks = found.remarks.iter().filter(|remark| remark.kind.weighs());
    match (remarks.next(), remarks.count()) {
        (None, _) => String::new(),
        (Some(first), 0) => first.to_text(),
        (Some(first), more) => format!("{} (and {})", first.to_text(), count_of(more as u64, "remark")),
    }
}

impl Estimate {
    /// The estimate and its bottleneck in a sentence or two.
    #[must_use]
    pub fn to_text(&self) -> String {
        if self.bottleneck == Bottleneck::Nothing {
            return "nothing is left to be copied, as far as it was counted".to_owned();
        }
        let account = self.account.as_deref().unwrap_or_default();
        let limit = |limit: Option<u64>| limit.unwrap_or_default();
        let bottleneck = match self.bottleneck {
            Bottleneck::Nothing => String::new(),
            Bottleneck::Connections => {
                format!("the number of accounts at once ({})", number_for_people(u64::from(self.limits.connections)))
            }
            Bottleneck::BytesPerSecond => {
                format!("the limit of {} a second", bytes_for_people(limit(self.limits.bytes_per_second)))
            }
            Bottleneck::MessagesPerSecond => {
                format!("the limit of {} a second", count_of(limit(self.limits.messages_per_second), "message"))
            }
            Bottleneck::LargestAccount => format!("one account, {}", Escaped(account)),
            Bottleneck::DailyAllowance => format!(
                "the allowance of {} a day, for {}",
                bytes_for_people(limit(self.limits.account_bytes_per_day)),
                Escaped(account)
            ),
        };
        let rate = &self.limits.rate;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shown to people")]
        let (messages, bytes) = (rate.messages_per_second as u64, rate.bytes_per_second as u64);
        let known = if rate.measured { "measured" } else { "assumed" };
        let window = match self.limits.window_hours_per_week {
            Some(hours) if hours < 168.0 => format!("; work is allowed for {hours:.0} of 168 hours a week"),
            _ => String::new(),
        };
        format!(
            "about {} from start to end; it waits for {bottleneck}\n({known}: {} and {} a second on each \
             connection{window})",
            long_duration(self.seconds),
            count_of(messages, "message"),
            bytes_for_people(bytes),
        )
    }
}

/// `3 days 4 h` where hours alone would have to be divided by the reader.
fn long_duration(seconds: f64) -> String {
    const DAY: f64 = 86_400.0;
    if seconds < 2.0 * DAY {
        return crate::duration_for_people(seconds);
    }
    let days = (seconds / DAY).floor();
    format!("{days:.0} days {:.0} h", ((seconds - days * DAY) / 3_600.0).floor())
}
