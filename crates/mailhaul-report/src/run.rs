//! The report of one run over one account.

use crate::{Changes, Counts, Followed, VerifyReport};
use mailhaul_types::Side;
use serde::Serialize;
use serde_json::{Value, json};

/// The last word on a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every source message is accounted for and none is an exception.
    Complete,
    /// Finished, with messages or mailboxes that need a look.
    Exceptions,
    /// Stopped for the operator's decision.
    Stopped,
    /// Stopped by the operator.
    Interrupted,
    /// Could not go on.
    Failed,
}

impl Verdict {
    /// The word as it stands in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Exceptions => "exceptions",
            Self::Stopped => "stopped",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }
}

/// Why a run ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopClass {
    /// A fault of mailhaul itself.
    Internal,
    /// The operator asked for something that cannot be meant.
    Usage,
    /// A server refused the sign-in.
    SignIn,
    /// A server could not be reached, or its TLS could not be trusted.
    Unreachable,
    /// Something only the operator can decide: a brake, quota, disk full, a changed mapping.
    Decision,
    /// Ctrl-C or SIGTERM.
    Interrupted,
}

/// What kind of trouble ended a run: finer than [`StopClass`], for whoever decides when to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopCause {
    /// Lost, timed out, could not be reached.
    Network,
    /// A server has a passing trouble of its own.
    Server,
    /// A server asked to slow down.
    Throttle,
    /// One of the two sides broke the protocol.
    Protocol,
    /// A server could not be proved to be the right one.
    Tls,
    /// A sign-in was refused.
    SignIn,
    /// The target is full.
    Quota,
    /// A brake: only the operator can decide.
    Brake,
    /// Somebody else works on the same pair of accounts.
    Busy,
    /// The right to write was lost.
    Lease,
    /// This machine: disk full, state file.
    Local,
    /// Settings that cannot be meant.
    Usage,
    /// A fault of mailhaul itself.
    Internal,
    /// Ctrl-C or SIGTERM, or whoever supervises the run.
    Interrupted,
}

impl StopCause {
    /// The kind of end that follows from the trouble.
    #[must_use]
    pub fn class(self) -> StopClass {
        match self {
            Self::Network | Self::Server | Self::Throttle | Self::Protocol | Self::Tls => StopClass::Unreachable,
            Self::SignIn => StopClass::SignIn,
            Self::Quota | Self::Brake | Self::Busy | Self::Lease | Self::Local => StopClass::Decision,
            Self::Usage => StopClass::Usage,
            Self::Internal => StopClass::Internal,
            Self::Interrupted => StopClass::Interrupted,
        }
    }
}

/// The reason why a run ended before its end, in words for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stop {
    /// What kind of end it was.
    pub class: StopClass,
    /// What kind of trouble it was.
    pub cause: StopCause,
    /// Which server it came from, if it came from one.
    #[serde(serialize_with = "side_in_words")]
    pub side: Option<Side>,
    /// When a server said to come back, in seconds.
    pub retry_after_secs: Option<u64>,
    /// What was being done, to what, and the server's own words.
    pub reason: String,
    /// What to do next; empty if there is nothing to add.
    pub hint: String,
}

fn side_in_words<S: serde::Serializer>(side: &Option<Side>, serializer: S) -> Result<S::Ok, S::Error> {
    side.map(|side| side.to_string()).serialize(serializer)
}

impl Stop {
    /// A stop that no server is the reason for.
    #[must_use]
    pub fn new(cause: StopCause, reason: String, hint: String) -> Self {
        Self { class: cause.class(), cause, side: None, retry_after_secs: None, reason, hint }
    }
}

/// The situation an exception describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExceptionState {
    /// The target would not have the message.
    Refused,
    /// The source lists the message and does not hand it out.
    Unreadable,
    /// The message was sent again although an earlier, unanswered copy may have been stored and moved since.
    PossibleDuplicate,
    /// The source does not list as many messages as it says it has.
    ViewIncomplete,
    /// The source shows a number of messages that looks like a limit of its own, and nobody has said that it is right.
    ViewDoubtful,
    /// The mailbox could not be worked on.
    MailboxFailed,
    /// The mailbox waits for the operator's decision.
    MailboxStopped,
    /// The counts of the mailbox do not add up.
    DoesNotAddUp,
}

impl ExceptionState {
    /// The words shown to people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
            Self::PossibleDuplicate => "possible duplicate",
            Self::ViewIncomplete => "view incomplete",
            Self::ViewDoubtful => "view doubtful",
            Self::MailboxFailed => "mailbox failed",
            Self::MailboxStopped => "mailbox stopped",
            Self::DoesNotAddUp => "does not add up",
        }
    }
}

/// One thing that keeps a run from being complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exception {
    /// The source mailbox.
    pub mailbox: String,
    /// The source UID, if the exception is about one message.
    pub uid: Option<u32>,
    /// What it is.
    pub state: ExceptionState,
    /// The server's own words, or what mailhaul found.
    pub reason: String,
}

/// Something worth knowing that does not make a run incomplete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// The source mailbox, if the remark is about one.
    pub mailbox: Option<String>,
    /// What there is to know.
    pub text: String,
}

/// One mailbox pair in a report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MailboxLine {
    /// Name at the source.
    pub source: String,
    /// Name on the target; `None` for a mailbox that is left out.
    pub target: Option<String>,
    /// How its messages are accounted for.
    pub messages: Counts,
    /// Octets of the messages that this run copied.
    pub bytes: u64,
    /// What else this run changed on the target.
    pub changes: Changes,
    /// Whether it was opened. A mailbox that the source's list shows to be as it was is not, and is told from what was
    /// recorded then; nor is one that the run did not come to, or that is left out.
    pub visited: bool,
}

/// The report of one run over one account.
#[derive(Debug, Clone, Default)]
pub struct RunReport {
    /// The mailbox pairs, in the order in which they were worked on.
    pub mailboxes: Vec<MailboxLine>,
    /// What needs a look.
    pub exceptions: Vec<Exception>,
    /// What is worth knowing.
    pub remarks: Vec<Remark>,
    /// What the comparison of both sides found, if the run ended with one.
    pub verified: Option<VerifyReport>,
    /// What came of following the account, if the run did.
    pub followed: Option<Followed>,
    /// Why the run ended before its end, if it did.
    pub stop: Option<Stop>,
    /// Wall time.
    pub seconds: f64,
}

impl RunReport {
    /// The counts of all mailboxes together.
    #[must_use]
    pub fn totals(&self) -> Counts {
        let mut totals = Counts::default();
        for mailbox in &self.mailboxes {
            totals += mailbox.messages;
        }
        totals
    }

    /// Octets that this run copied.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.mailboxes.iter().map(|mailbox| mailbox.bytes).sum()
    }

    /// What this run changed on the target besides delivering mail.
    #[must_use]
    pub fn changes(&self) -> Changes {
        let mut changes = Changes::default();
        for mailbox in &self.mailboxes {
            changes += mailbox.changes;
        }
        changes
    }

    /// Why the run, or the comparison that it ended with, did not come to its end.
    #[must_use]
    pub fn any_stop(&self) -> Option<&Stop> {
        self.stop.as_ref().or_else(|| self.verified.as_ref().and_then(|verified| verified.stop.as_ref()))
    }

    /// Whether a comparison came to its end and found both sides different.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.verified.as_ref().is_some_and(|verified| verified.stop.is_none() && !verified.differences.is_empty())
    }

    /// The verdict: never *complete* while a message is unaccounted for, a view is doubtful or a difference is left.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.any_stop().map(|stop| stop.class) {
            Some(StopClass::Interrupted) => Verdict::Interrupted,
            Some(StopClass::Decision) => Verdict::Stopped,
            Some(StopClass::Internal | StopClass::Usage | StopClass::SignIn | StopClass::Unreachable) => {
                Verdict::Failed
            }
            None if self.exceptions.iter().any(|exception| exception.state == ExceptionState::MailboxStopped) => {
                Verdict::Stopped
            }
            None if self.exceptions.is_empty() && self.is_accounted_for() && !self.differs() => Verdict::Complete,
            None => Verdict::Exceptions,
        }
    }

    fn is_accounted_for(&self) -> bool {
        self.mailboxes.iter().all(|mailbox| {
            let counts = &mailbox.messages;
            counts.adds_up() && counts.remaining == 0 && counts.refused == 0 && counts.unreadable == 0
        })
    }

    /// The JSON object that `--json` prints.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "schema": 1,
            "verdict": self.verdict(),
            "messages": self.totals(),
            "changes": self.changes(),
            "bytes": self.bytes(),
            "seconds": (self.seconds * 1000.0).round() / 1000.0,
            "mailboxes": self.mailboxes,
            "exceptions": self.exceptions,
            "remarks": self.remarks,
            "verified": self.verified.as_ref().map(VerifyReport::to_json),
            "followed": self.followed,
            "stop": self.stop,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Difference, DifferenceKind};

    fn report(counts: Counts) -> RunReport {
        let line = MailboxLine {
            source: "INBOX".into(),
            target: Some("INBOX".into()),
            messages: counts,
            visited: true,
            ..Default::default()
        };
        RunReport { mailboxes: vec![line], ..RunReport::default() }
    }

    fn difference() -> Difference {
        let (mailbox, kind, reason) = ("INBOX".into(), DifferenceKind::Missing, "not on the target".into());
        Difference { mailbox, kind, source_uid: Some(7), target_uid: None, reason }
    }

    #[test]
    fn is_complete_only_when_everything_is_accounted_for() {
        let good = Counts { source: 10, already: 2, copied: 3, adopted: 1, skipped: 3, gone: 1, ..Counts::default() };
        assert_eq!(report(good).verdict(), Verdict::Complete);
        for bad in [
            Counts { source: 11, ..good },
            Counts { source: 11, remaining: 1, ..good },
            Counts { source: 11, refused: 1, ..good },
            Counts { source: 11, unreadable: 1, ..good },
        ] {
            assert_eq!(report(bad).verdict(), Verdict::Exceptions, "{bad:?}");
        }
    }

    #[test]
    fn a_stop_decides_the_verdict() {
        for (cause, verdict) in [
            (StopCause::Internal, Verdict::Failed),
            (StopCause::SignIn, Verdict::Failed),
            (StopCause::Network, Verdict::Failed),
            (StopCause::Brake, Verdict::Stopped),
            (StopCause::Interrupted, Verdict::Interrupted),
        ] {
            let mut report = report(Counts::default());
            report.stop = Some(Stop::new(cause, String::new(), String::new()));
            assert_eq!(report.verdict(), verdict);
        }
    }

    #[test]
    fn is_not_complete_while_a_view_is_doubtful_or_a_difference_is_left() {
        let mut doubtful = report(Counts { source: 1_000, already: 1_000, ..Counts::default() });
        let reason = "exactly 1,000".into();
        let state = ExceptionState::ViewDoubtful;
        doubtful.exceptions.push(Exception { mailbox: "INBOX".into(), uid: None, state, reason });
        assert_eq!(doubtful.verdict(), Verdict::Exceptions);

        let mut compared = report(Counts { source: 1, already: 1, ..Counts::default() });
        compared.verified = Some(VerifyReport::default());
        assert_eq!((compared.verdict(), compared.differs()), (Verdict::Complete, false));
        compared.verified = Some(VerifyReport { differences: vec![difference()], ..VerifyReport::default() });
        assert_eq!((compared.verdict(), compared.differs()), (Verdict::Exceptions, true));
        let stop = Some(Stop::new(StopCause::Network, "lost".into(), String::new()));
        compared.verified = Some(VerifyReport { stop, ..VerifyReport::default() });
        assert_eq!((compared.verdict(), compared.differs()), (Verdict::Failed, false));
    }

    #[test]
    fn json_has_the_promised_members_and_sums() {
        let json = report(Counts { source: 2, copied: 2, ..Counts::default() }).to_json();
        assert_eq!(json["schema"], 1);
        assert_eq!(json["verdict"], "complete");
        let messages = json["messages"].as_object().expect("an object");
        let sum: u64 = messages.iter().filter(|(name, _)| *name != "source").filter_map(|(_, n)| n.as_u64()).sum();
        assert_eq!(Some(sum), json["messages"]["source"].as_u64());
        assert_eq!(json["mailboxes"][0]["messages"]["copied"], 2);
        assert_eq!(json["mailboxes"][0]["visited"], true);
        let none = serde_json::json!({ "flags": 0, "moved": 0, "left_to_owner": 0, "deleted": 0, "carried_over": 0 });
        assert_eq!((&json["changes"], &json["mailboxes"][0]["changes"]), (&none, &none));
        assert_eq!((&json["verified"], &json["followed"]), (&Value::Null, &Value::Null));
    }
}
