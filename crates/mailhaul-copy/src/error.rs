//! What can stop a walker, by how much has to be set aside for it.

use mailhaul_db::{DbError, DbErrorKind};
use mailhaul_imap::{ErrorClass, ImapError};
use mailhaul_report::{Stop, StopClass};
use mailhaul_types::{Escaped, Side, escape};
use std::fmt;

/// A failure of one of the two connections.
#[derive(Debug, Clone)]
pub(crate) struct LinkError {
    pub(crate) side: Side,
    pub(crate) error: ImapError,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.side, Escaped(&self.error.to_string()))
    }
}

/// Marks an error of one side, so that `?` can carry it.
pub(crate) fn on(side: Side) -> impl Fn(ImapError) -> WalkError {
    move |error| WalkError::Link(LinkError { side, error })
}

/// Why a pass over a mailbox, or a run over an account, did not come to its end.
#[derive(Debug, Clone)]
pub(crate) enum WalkError {
    /// A connection broke or refused: look at its class.
    Link(LinkError),
    /// This mailbox cannot be worked on; the others can.
    Mailbox(String),
    /// This mailbox waits for the operator; the others can go on.
    MailboxDecision(String),
    /// Everything listed is copied, but the source does not list everything it says it has.
    ViewIncomplete(String),
    /// The operator asked for something that cannot be meant.
    Usage { reason: String, hint: String },
    /// The account waits for the operator.
    Decision { reason: String, hint: String },
    /// The ledger.
    Ledger(DbError),
    /// The operator asked to stop. Whether messages were left unanswered.
    Interrupted { unanswered: u64 },
}

impl From<DbError> for WalkError {
    fn from(error: DbError) -> Self {
        Self::Ledger(error)
    }
}

/// A refusal that is about the mailbox sets the mailbox aside; everything else is the connection's trouble.
pub(crate) fn mailbox_error(side: Side, error: ImapError) -> WalkError {
    match (&error, error.class()) {
        (ImapError::Refused { .. }, ErrorClass::Throttle | ErrorClass::SignIn | ErrorClass::Quota) => on(side)(error),
        (ImapError::Refused { .. }, _) => WalkError::Mailbox(format!("{side}: {}", escape(&error.to_string()))),
        _ => on(side)(error),
    }
}

/// How a run ends because of an error that stops the account.
pub(crate) fn stop_of(error: WalkError) -> Stop {
    match error {
        WalkError::Link(link) => stop_of_link(&link),
        WalkError::Ledger(error) => stop_of_ledger(&error),
        WalkError::Usage { reason, hint } => Stop { class: StopClass::Usage, reason, hint },
        WalkError::Decision { reason, hint } => Stop { class: StopClass::Decision, reason, hint },
        WalkError::Interrupted { unanswered } => Stop {
            class: StopClass::Interrupted,
            reason: match unanswered {
                0 => "interrupted".to_owned(),
                n => format!("interrupted; {n} messages were sent and not answered: the next run looks for them"),
            },
            hint: "run the same command again to go on".to_owned(),
        },
        WalkError::Mailbox(reason) | WalkError::MailboxDecision(reason) | WalkError::ViewIncomplete(reason) => {
            Stop { class: StopClass::Internal, reason, hint: String::new() }
        }
    }
}

/// How a run ends because of a connection.
fn stop_of_link(link: &LinkError) -> Stop {
    let (class, hint) = match link.error.class() {
        ErrorClass::SignIn => (
            StopClass::SignIn,
            "check user and password by signing in with a mail program; mailhaul does not try again by itself",
        ),
        ErrorClass::Tls => (StopClass::Unreachable, "nothing was sent before the certificate had been checked"),
        ErrorClass::Usage => (StopClass::Unreachable, "check the options"),
        ErrorClass::Quota => (StopClass::Decision, "make room on the target; the same command then goes on"),
        ErrorClass::Throttle => {
            (StopClass::Unreachable, "the server asks to be left alone for a while; the same command goes on later")
        }
        _ => (StopClass::Unreachable, "the same command goes on from here once the server can be reached"),
    };
    Stop { class, reason: link.to_string(), hint: hint.to_owned() }
}

/// How a run ends because of the ledger.
#[must_use]
pub fn stop_of_ledger(error: &DbError) -> Stop {
    let class = match error.kind() {
        DbErrorKind::Internal => StopClass::Internal,
        _ => StopClass::Decision,
    };
    Stop { class, reason: escape(&error.to_string()), hint: String::new() }
}
