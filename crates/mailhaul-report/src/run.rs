//! The report of one run over one account.

use crate::Counts;
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MailboxLine {
    /// Name at the source.
    pub source: String,
    /// Name on the target; `None` for a mailbox that is left out.
    pub target: Option<String>,
    /// How its messages are accounted for.
    pub messages: Counts,
    /// Octets of the messages that this run copied.
    pub bytes: u64,
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

    /// The verdict: never *complete* while a message is unaccounted for.
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
            None if self.exceptions.is_empty() && self.is_accounted_for() => Verdict::Complete,
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
            "bytes": self.bytes(),
            "seconds": (self.seconds * 1000.0).round() / 1000.0,
            "mailboxes": self.mailboxes,
            "exceptions": self.exceptions,
            "remarks": self.remarks,
            "stop": self.stop,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(counts: Counts) -> RunReport {
        let line = MailboxLine { source: "INBOX".into(), target: Some("INBOX".into()), messages: counts, bytes: 1 };
        RunReport { mailboxes: vec![line], ..RunReport::default() }
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
    fn json_has_the_promised_members_and_sums() {
        let json = report(Counts { source: 2, copied: 2, ..Counts::default() }).to_json();
        assert_eq!(json["schema"], 1);
        assert_eq!(json["verdict"], "complete");
        let messages = json["messages"].as_object().expect("an object");
        let sum: u64 = messages.iter().filter(|(name, _)| *name != "source").filter_map(|(_, n)| n.as_u64()).sum();
        assert_eq!(Some(sum), json["messages"]["source"].as_u64());
        assert_eq!(json["mailboxes"][0]["messages"]["copied"], 2);
    }
}
