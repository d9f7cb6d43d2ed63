//! What states mean, in sentences that an operator can quote.

use crate::kinds::JobKind;
use mailhaul_db::queue::JobRow;
use mailhaul_queue::{FailureClass, JobState, Summary, WaitReason};
use mailhaul_report::{Lack, Standing};
use mailhaul_types::Escaped;

/// The word of reports for the word of the queue.
pub(super) fn standing(state: &JobState) -> Standing {
    match state.summary() {
        Summary::Waiting => Standing::Waiting,
        Summary::Running => Standing::Running,
        Summary::Done if *state == JobState::DoneWithExceptions => Standing::Attention,
        Summary::Done => Standing::Done,
        Summary::Attention => Standing::Attention,
        Summary::Stopped => Standing::Stopped,
    }
}

/// The reason or class beside a state, if it has one.
pub(super) fn reason(state: &JobState) -> Option<&'static str> {
    match state {
        JobState::Waiting { reason, .. } => Some(reason.word()),
        JobState::Failed(class) => Some(class.word()),
        _ => None,
    }
}

/// `waiting (quota)`.
pub(super) fn state_in_words(state: &JobState) -> String {
    let word = state.word().replace('_', " ");
    reason(state).map_or(word.clone(), |reason| format!("{word} ({})", reason.replace('_', " ")))
}

/// What a state means, and what would change it.
pub(super) fn meaning(state: &JobState) -> &'static str {
    match state {
        JobState::Queued => "In line; they begin as connections become free.",
        JobState::Waiting { reason, .. } => waiting(*reason),
        JobState::Running | JobState::Done => "",
        JobState::DoneWithExceptions => {
            "Everything was copied that could be; `mailhaul report --wave WAVE` names the rest, `mailhaul retry --exceptions` tries it again."
        }
        JobState::Failed(class) => failed(*class),
        JobState::Paused => "Paused by an operator; `mailhaul resume` lets them go on.",
        JobState::Cancelled => "Ended by an operator; `mailhaul retry --account NAME` begins one again.",
    }
}

fn waiting(reason: WaitReason) -> &'static str {
    match reason {
        WaitReason::HostLimit => "A host is left in peace; they go on by themselves.",
        WaitReason::Window => "Outside of the hours that the endpoint allows.",
        WaitReason::Allowance => "The day's allowance of the account is used up; they go on tomorrow.",
        WaitReason::BackOff => "After a failure, before the next attempt.",
        WaitReason::Credentials => "A sign-in was refused: mend the password, then `mailhaul retry --failed`.",
        WaitReason::Quota => "The target is full: make room, then `mailhaul retry --failed`.",
        WaitReason::Operator => "They wait for a decision of yours: `mailhaul jobs --failed` tells which.",
        WaitReason::Schedule => "Queued for later.",
    }
}

fn failed(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Network => "A server could not be reached, time and again.",
        FailureClass::Server => "A server had trouble of its own, time and again.",
        FailureClass::Throttle => "A server asked to slow down.",
        FailureClass::Protocol => "A server said what IMAP does not allow.",
        FailureClass::Tls => "A server could not be proved to be the right one: look at its certificate.",
        FailureClass::SignIn => "A sign-in was refused.",
        FailureClass::Quota => "The target is full.",
        FailureClass::Decision => "Something needs a decision of yours.",
        FailureClass::Local => "This machine could not go on: disk or state file.",
        FailureClass::Usage => "The settings cannot be meant.",
        FailureClass::Internal => "A fault of mailhaul; please report it.",
        FailureClass::Crashed => "The process died while it worked on them, three times; look at their evidence first.",
    }
}

/// Whether this is a preflight that found something in the way: it copied nothing, so nothing of it can be tried again.
pub(super) fn is_blocked_look(job: &JobRow) -> bool {
    job.kind == JobKind::Preflight.word() && job.state == JobState::DoneWithExceptions
}

/// What keeps an account from being complete, by the job that says where it stands; `None`: nothing.
pub(super) fn lack(state: &JobState) -> Option<Lack> {
    Some(match state {
        JobState::Done => return None,
        JobState::DoneWithExceptions => Lack::Exceptions,
        JobState::Queued | JobState::Running | JobState::Waiting { until_unix_ms: Some(_), .. } => Lack::WorkLeft,
        JobState::Waiting { reason: WaitReason::Credentials, .. } | JobState::Failed(FailureClass::SignIn) => {
            Lack::Password
        }
        JobState::Waiting { reason: WaitReason::Quota, .. } | JobState::Failed(FailureClass::Quota) => Lack::Room,
        JobState::Waiting { .. } | JobState::Failed(FailureClass::Decision) => Lack::Decision,
        JobState::Failed(
            FailureClass::Network
            | FailureClass::Server
            | FailureClass::Throttle
            | FailureClass::Protocol
            | FailureClass::Tls,
        ) => Lack::Unreachable,
        JobState::Failed(_) => Lack::Failed,
        JobState::Paused => Lack::Paused,
        JobState::Cancelled => Lack::Cancelled,
    })
}

/// The command that mends a sign-in that was refused, on the side that refused it.
pub(super) fn mend_sign_in(job: &JobRow) -> String {
    let side = if job.words.starts_with("target") { "target" } else { "source" };
    format!("mailhaul accounts set {} --{side}-password-file FILE", Escaped(&job.account_name))
}

/// What an operator does about a job that needs somebody.
pub(super) fn hint(job: &JobRow) -> String {
    let (account, wave) = (Escaped(&job.account_name), Escaped(&job.wave_name));
    let retry = match job.kind == JobKind::Preflight.word() {
        true => format!("mailhaul preflight --wave {wave}"),
        false => format!("mailhaul retry --account {account}"),
    };
    match &job.state {
        JobState::Waiting { reason: WaitReason::Credentials, .. } | JobState::Failed(FailureClass::SignIn) => {
            format!("{}, then {retry}", mend_sign_in(job))
        }
        JobState::Waiting { reason: WaitReason::Quota, .. } => {
            format!("raise the quota on the target, then {retry}")
        }
        JobState::Waiting { until_unix_ms: None, .. } | JobState::Failed(_) => {
            format!("mailhaul explain {account}; then {retry}")
        }
        JobState::DoneWithExceptions if is_blocked_look(job) => {
            format!("mend it (a password: {}), then {retry}", mend_sign_in(job))
        }
        JobState::DoneWithExceptions => {
            format!("mailhaul report --wave {wave} names the messages; {retry} --exceptions")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::standing::tests::job;
    use super::*;

    #[test]
    fn a_hint_names_what_helps() {
        let parked = JobState::Waiting { reason: WaitReason::Credentials, until_unix_ms: None };
        let mut refused = job(1, 7, JobKind::Bulk, parked);
        refused.words = "target: sign in: server refused".to_owned();
        assert_eq!(
            hint(&refused),
            "mailhaul accounts set u7 --target-password-file FILE, then mailhaul retry --account u7"
        );
        let blocked = hint(&job(2, 7, JobKind::Preflight, JobState::DoneWithExceptions));
        assert!(blocked.ends_with("then mailhaul preflight --wave staff"), "{blocked}");
        assert!(!blocked.contains("--exceptions"), "{blocked}");
        let exceptions = hint(&job(3, 7, JobKind::Bulk, JobState::DoneWithExceptions));
        assert!(exceptions.ends_with("mailhaul retry --account u7 --exceptions"), "{exceptions}");
    }
}
