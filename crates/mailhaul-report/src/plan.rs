//! What a run would do, for `--dry-run`.

use crate::{Counts, Exception, MailboxLine, Remark, Stop, bytes_for_people, count_of, number_for_people};
use serde_json::{Value, json};
use std::fmt::Write;

/// The plan of one account. In each line, `remaining` counts what would be copied (or found on the target) and
/// `bytes` what that weighs.
#[derive(Debug, Clone, Default)]
pub struct PlanReport {
    /// The mailbox pairs.
    pub mailboxes: Vec<MailboxLine>,
    /// Mailboxes that could not be looked at.
    pub exceptions: Vec<Exception>,
    /// What is worth knowing.
    pub remarks: Vec<Remark>,
    /// Why the plan is not whole, if it is not.
    pub stop: Option<Stop>,
}

impl PlanReport {
    /// The counts of all mailboxes together.
    #[must_use]
    pub fn totals(&self) -> Counts {
        let mut totals = Counts::default();
        for mailbox in &self.mailboxes {
            totals += mailbox.messages;
        }
        totals
    }

    /// Octets that would be copied.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.mailboxes.iter().map(|mailbox| mailbox.bytes).sum()
    }

    /// The JSON object that `--dry-run --json` prints.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "schema": 1,
            "dry_run": true,
            "messages": self.totals(),
            "bytes": self.bytes(),
            "mailboxes": self.mailboxes,
            "exceptions": self.exceptions,
            "remarks": self.remarks,
            "stop": self.stop,
        })
    }

    /// The plan as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for line in &self.mailboxes {
            let counts = &line.messages;
            let _ = writeln!(
                out,
                "  {}  ->  {}: {} to copy ({}), {} already there, {} skipped, {} set aside",
                line.source,
                line.target.as_deref().unwrap_or("(left out)"),
                number_for_people(counts.remaining),
                bytes_for_people(line.bytes),
                number_for_people(counts.already),
                number_for_people(counts.skipped),
                number_for_people(counts.refused + counts.unreadable),
            );
        }
        for remark in &self.remarks {
            let _ = match &remark.mailbox {
                Some(mailbox) => writeln!(out, "remark: {mailbox}: {}", remark.text),
                None => writeln!(out, "remark: {}", remark.text),
            };
        }
        for exception in &self.exceptions {
            let _ = writeln!(out, "{}: {}: {}", exception.state.label(), exception.mailbox, exception.reason);
        }
        if let Some(stop) = &self.stop {
            let _ = writeln!(out, "\n{}", stop.reason);
            if !stop.hint.is_empty() {
                let _ = writeln!(out, "hint: {}", stop.hint);
            }
        }
        let totals = self.totals();
        let _ = writeln!(
            out,
            "\nnothing was written; {} ({}) in {} would be copied or found on the target",
            count_of(totals.remaining, "message"),
            bytes_for_people(self.bytes()),
            count_of(self.mailboxes.iter().filter(|line| line.target.is_some()).count() as u64, "mailbox"),
        );
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_would_be_done_and_that_nothing_was() {
        let messages = Counts { source: 5, already: 2, remaining: 3, ..Counts::default() };
        let line = MailboxLine { source: "a".into(), target: Some("b".into()), messages, bytes: 2048 };
        let plan = PlanReport { mailboxes: vec![line], ..PlanReport::default() };
        let text = plan.to_text();
        assert!(text.contains("a  ->  b: 3 to copy (2.0 KiB), 2 already there"), "{text}");
        assert!(
            text.ends_with(
                "nothing was written; 3 messages (2.0 KiB) in 1 mailbox would be copied or found on the target\n"
            ),
            "{text}"
        );
        assert_eq!(plan.to_json()["messages"]["remaining"], 3);
    }
}
