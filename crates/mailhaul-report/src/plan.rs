//! What a run would do, for `--dry-run`.

use crate::text::{write_remarks, write_stop};
use crate::{
    Counts, Exception, ExceptionState, MailboxLine, Remark, Stop, StopClass, TimeEstimate, Verdict, bytes_for_people,
    count_of, number_for_people,
};
use serde_json::{Value, json};
use std::fmt::Write;

/// How many exceptions are listed in text; `--json` has them all.
const EXCEPTIONS_SHOWN: usize = 20;

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
    /// How long the copy will take; `None` if that cannot be told, or nothing is to be copied.
    pub estimate: Option<TimeEstimate>,
    /// Why the plan is not whole, if it is not.
    pub stop: Option<Stop>,
}

impl PlanReport {
    /// How a run would end if it did all that is planned: what stops the plan stops the run. `Complete` claims nothing
    /// about messages that have yet to be copied.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.stop.as_ref().map(|stop| stop.class) {
            Some(StopClass::Interrupted) => Verdict::Interrupted,
            Some(StopClass::Decision) => Verdict::Stopped,
            Some(StopClass::Internal | StopClass::Usage | StopClass::SignIn | StopClass::Unreachable) => {
                Verdict::Failed
            }
            None if self.exceptions.iter().any(|exception| exception.state == ExceptionState::MailboxStopped) => {
                Verdict::Stopped
            }
            None if self.exceptions.is_empty() => Verdict::Complete,
            None => Verdict::Exceptions,
        }
    }

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
        self.mailboxes.iter().fold(0, |sum, mailbox| sum.saturating_add(mailbox.bytes))
    }

    /// The JSON object that `--dry-run --json` prints.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "schema": 1,
            "dry_run": true,
            "messages": self.totals(),
            "bytes": self.bytes(),
            "estimate": self.estimate,
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
                number_for_people(counts.refused.saturating_add(counts.unreadable)),
            );
        }
        write_remarks(&mut out, &self.remarks);
        for exception in self.exceptions.iter().take(EXCEPTIONS_SHOWN) {
            let uid = exception.uid.map(|uid| format!(" uid {uid}")).unwrap_or_default();
            let _ = writeln!(out, "{}: {}{uid}: {}", exception.state.label(), exception.mailbox, exception.reason);
        }
        if self.exceptions.len() > EXCEPTIONS_SHOWN {
            let more = self.exceptions.len() - EXCEPTIONS_SHOWN;
            let _ = writeln!(out, "and {} more (--json lists them all)", count_of(more as u64, "exception"));
        }
        write_stop(&mut out, self.stop.as_ref());
        if let Some(estimate) = &self.estimate {
            let _ = writeln!(out, "\n{}", estimate.to_text());
        }
        let _ = writeln!(out, "\n{}", self.last_line());
        out
    }

    /// The one line that matters.
    #[must_use]
    pub fn last_line(&self) -> String {
        if self.mailboxes.is_empty() && self.stop.is_some() {
            return "nothing was written; nothing could be planned".to_owned();
        }
        let totals = self.totals();
        let would = if self.stop.is_some() { "would only then be" } else { "would be" };
        format!(
            "nothing was written; {} ({}) in {} {would} copied or found on the target",
            count_of(totals.remaining, "message"),
            bytes_for_people(self.bytes()),
            count_of(self.mailboxes.iter().filter(|line| line.target.is_some()).count() as u64, "mailbox"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_would_be_done_and_that_nothing_was() {
        let messages = Counts { source: 5, already: 2, remaining: 3, ..Counts::default() };
        let line =
            MailboxLine { source: "a".into(), target: Some("b".into()), messages, bytes: 2048, ..Default::default() };
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

    #[test]
    fn a_plan_ends_as_the_run_would() {
        let with = |state| {
            let exception = Exception { mailbox: "a".into(), uid: None, state, reason: "r".into() };
            PlanReport { exceptions: vec![exception], ..PlanReport::default() }
        };
        assert_eq!(PlanReport::default().verdict(), Verdict::Complete);
        assert_eq!(with(ExceptionState::MailboxFailed).verdict(), Verdict::Exceptions);
        assert_eq!(with(ExceptionState::MailboxStopped).verdict(), Verdict::Stopped);
        let stop = Stop::new(crate::StopCause::Brake, "no".into(), String::new());
        let stopped = PlanReport { stop: Some(stop), ..PlanReport::default() };
        assert_eq!(stopped.verdict(), Verdict::Stopped);
        assert!(stopped.to_text().ends_with("nothing could be planned\n"));
    }
}
