//! What a comparison of two accounts found.

use crate::text::{write_remarks, write_stop};
use crate::{Remark, Stop, StopClass, number_for_people};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write;

/// How many differences are listed in text; `--json` has them all.
const DIFFERENCES_SHOWN: usize = 50;

/// What is wrong with one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// At the source and not on the target.
    Missing,
    /// On both sides, but not the same.
    Altered,
    /// More often on the target than at the source.
    Doubled,
    /// On the target and not at the source.
    Extra,
    /// The number of messages differs, or a mailbox could not be compared.
    Mailbox,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The source mailbox.
    pub mailbox: String,
    /// What is wrong.
    pub kind: DifferenceKind,
    /// Source UID, if there is one.
    pub source_uid: Option<u32>,
    /// Target UID, if there is one.
    pub target_uid: Option<u32>,
    /// What was found, for people.
    pub reason: String,
}

/// One mailbox pair that was compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComparedMailbox {
    /// Name at the source.
    pub source: String,
    /// Name on the target.
    pub target: String,
    /// Messages at the source.
    pub source_messages: u64,
    /// Messages on the target.
    pub target_messages: u64,
    /// Messages found equal on both sides.
    pub equal: u64,
    /// Source messages that the operator's selection leaves out and that are not on the target.
    pub skipped: u64,
}

/// The result of a comparison.
#[derive(Debug, Clone, Default)]
pub struct VerifyReport {
    /// How closely it looked: `counts`, `keys` or `bytes`.
    pub level: &'static str,
    /// The mailbox pairs.
    pub mailboxes: Vec<ComparedMailbox>,
    /// What differs.
    pub differences: Vec<Difference>,
    /// What is worth knowing.
    pub remarks: Vec<Remark>,
    /// Why the comparison is not whole, if it is not.
    pub stop: Option<Stop>,
    /// Wall time.
    pub seconds: f64,
}

impl VerifyReport {
    /// `equal`, `differences`, or how the comparison ended before its end.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        match &self.stop {
            Some(stop) if stop.class == StopClass::Interrupted => "interrupted",
            Some(_) => "failed",
            None if self.differences.is_empty() => "equal",
            None => "differences",
        }
    }

    /// The JSON object that `--json` prints.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "schema": 1,
            "verdict": self.verdict(),
            "level": self.level,
            "mailboxes": self.mailboxes,
            "differences": self.differences,
            "remarks": self.remarks,
            "stop": self.stop,
            "seconds": (self.seconds * 1000.0).round() / 1000.0,
        })
    }

    /// The report as text, ending in one true line.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for line in &self.mailboxes {
            let skipped = if line.skipped > 0 { format!(", {} skipped", line.skipped) } else { String::new() };
            let _ = writeln!(
                out,
                "  {}  =  {}: {} and {}, {} equal{skipped}",
                line.source,
                line.target,
                number_for_people(line.source_messages),
                number_for_people(line.target_messages),
                number_for_people(line.equal),
            );
        }
        self.write_findings(&mut out);
        write_stop(&mut out, self.stop.as_ref());
        let _ = writeln!(out, "\n{}", self.last_line());
        out
    }

    /// What was found that is worth a line, differences last.
    pub(crate) fn write_findings(&self, out: &mut String) {
        write_remarks(out, &self.remarks);
        for difference in self.differences.iter().take(DIFFERENCES_SHOWN) {
            let _ = writeln!(out, "{}", describe(difference));
        }
        if self.differences.len() > DIFFERENCES_SHOWN {
            let more = self.differences.len() - DIFFERENCES_SHOWN;
            let _ = writeln!(out, "and {more} more differences (--json lists them all)");
        }
    }

    /// The one line that matters.
    #[must_use]
    pub fn last_line(&self) -> String {
        let equal: u64 = self.mailboxes.iter().map(|mailbox| mailbox.equal).sum();
        let source: u64 = self.mailboxes.iter().map(|mailbox| mailbox.source_messages).sum();
        let equal = number_for_people(equal);
        let source = number_for_people(source);
        let level = self.level;
        match self.verdict() {
            "equal" if level == "counts" => format!("equal by number: {source} messages at the source"),
            "equal" => format!("equal: {equal} of {source} source messages found on the target, judged by {level}"),
            "differences" => format!(
                "differences: {} found, {equal} of {source} source messages equal, judged by {level}",
                number_for_people(self.differences.len() as u64)
            ),
            other => format!("{other}: the comparison is not whole"),
        }
    }
}

fn describe(difference: &Difference) -> String {
    let kind = match difference.kind {
        DifferenceKind::Missing => "missing",
        DifferenceKind::Altered => "altered",
        DifferenceKind::Doubled => "doubled",
        DifferenceKind::Extra => "extra",
        DifferenceKind::Mailbox => "mailbox",
    };
    let uid = |side: &str, uid: Option<u32>| uid.map(|uid| format!(" {side} uid {uid}")).unwrap_or_default();
    let source = uid("source", difference.source_uid);
    let target = uid("target", difference.target_uid);
    format!("{kind}: {}{source}{target}: {}", difference.mailbox, difference.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_difference_decides_the_verdict_and_is_named() {
        let mut report = VerifyReport { level: "bytes", ..VerifyReport::default() };
        assert_eq!(report.verdict(), "equal");
        report.differences.push(Difference {
            mailbox: "INBOX".into(),
            kind: DifferenceKind::Missing,
            source_uid: Some(7),
            target_uid: None,
            reason: "not on the target".into(),
        });
        assert_eq!(report.verdict(), "differences");
        assert!(report.to_text().contains("missing: INBOX source uid 7: not on the target\n"));
        assert_eq!(report.to_json()["differences"][0]["kind"], "missing");
    }
}
