//! What the exit code says. The numbers are a promise: scripts decide by them.

use mailhaul_report::{RunReport, StopClass, Verdict};
use std::process::ExitCode;

/// The text that `--help` prints below the options.
pub(crate) const EXIT_CODES_HELP: &str = "\
Exit codes:
    0  everything is copied and accounted for
    1  internal error
    2  wrong usage, or a file that cannot be what it should be
    3  a server refused the sign-in
    4  a server could not be reached, or its TLS could not be trusted
    5  finished with exceptions: mail refused, unreadable or possibly doubled,
       a view that is incomplete or doubtful, a mailbox that failed
    6  stopped for your decision: a brake, target full, disk full, state file
       damaged or in use, changed mapping
    7  verify, or the comparison after --final, found differences
  130  interrupted; the same command goes on

Remarks leave the code at 0: skipped by selection, gone, renamed, flags that
could not be stored.";

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Done = 0,
    Internal = 1,
    Usage = 2,
    SignIn = 3,
    Unreachable = 4,
    Exceptions = 5,
    Decision = 6,
    Differences = 7,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<StopClass> for Exit {
    fn from(class: StopClass) -> Self {
        match class {
            StopClass::Internal => Self::Internal,
            StopClass::Usage => Self::Usage,
            StopClass::SignIn => Self::SignIn,
            StopClass::Unreachable => Self::Unreachable,
            StopClass::Decision => Self::Decision,
            StopClass::Interrupted => Self::Interrupted,
        }
    }
}

/// The exit code of a run follows from its report alone.
pub(crate) fn of_run(report: &RunReport) -> Exit {
    match (report.any_stop(), report.verdict()) {
        (Some(stop), _) => stop.class.into(),
        (None, Verdict::Complete) => Exit::Done,
        (None, Verdict::Stopped) => Exit::Decision,
        // What was refused or set aside is no difference: the comparison leaves to the exceptions what they explain.
        (None, _) if report.differs() => Exit::Differences,
        (None, _) => Exit::Exceptions,
    }
}

/// An error of the command itself, before or beside any run.
#[derive(Debug)]
pub(crate) struct CommandError {
    pub(crate) exit: Exit,
    pub(crate) text: String,
    pub(crate) hint: Option<String>,
}

impl CommandError {
    /// Something the operator typed cannot be right.
    pub(crate) fn usage(text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, text: text.into(), hint: Some(hint.into()) }
    }
}

impl std::fmt::Display for CommandError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailhaul_report::{Difference, DifferenceKind, Exception, ExceptionState, Stop, StopCause, VerifyReport};

    #[test]
    fn a_last_pass_ends_as_what_it_found_is_grave() {
        let difference = Difference {
            mailbox: "INBOX".to_owned(),
            kind: DifferenceKind::Missing,
            source_uid: Some(7),
            target_uid: None,
            reason: "not on the target".to_owned(),
        };
        let mut report = RunReport { verified: Some(VerifyReport::default()), ..RunReport::default() };
        assert_eq!(of_run(&report), Exit::Done);
        let (mailbox, reason) = ("INBOX".to_owned(), "too large".to_owned());
        report.exceptions.push(Exception { mailbox, uid: Some(7), state: ExceptionState::Refused, reason });
        assert_eq!(of_run(&report), Exit::Exceptions);
        report.verified = Some(VerifyReport { differences: vec![difference], ..VerifyReport::default() });
        assert_eq!(of_run(&report), Exit::Differences);
        let stop = Some(Stop::new(StopCause::Network, "lost".to_owned(), String::new()));
        report.verified = Some(VerifyReport { stop, ..VerifyReport::default() });
        assert_eq!(of_run(&report), Exit::Unreachable);
    }
}
