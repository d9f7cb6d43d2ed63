//! How a job ended, from what the walkers report.

use crate::error::ServiceError;
use mailhaul_db::queue::Queue;
use mailhaul_db::{DbError, DbErrorKind};
use mailhaul_queue::{AccountId, FailureClass, JobControl, JobEnd, Outcome, WaitReason, Yield};
use mailhaul_report::{
    AccountPreflight, BlockKind, PreflightVerdict, RunReport, Stop, StopCause, Verdict, VerifyReport,
};
use serde_json::{Value, json};
use std::time::Duration;

/// How long a job waits when somebody else works on the same pair of accounts, in milliseconds.
const BUSY_MS: i64 = 15_000;
/// How often a preflight looks before it reports what may pass by itself: whoever waits for a preflight wants to know
/// what there is, and not that one account is busy.
const LOOKS_MAX: u32 = 3;
/// Exceptions and differences that are kept with an attempt. All of them stand in the ledger, or in a verify by hand.
const LISTED_MAX: usize = 100;

/// A failure without further ado.
pub(super) fn failed(class: FailureClass, words: String) -> JobEnd {
    JobEnd {
        outcome: Outcome::Failed { class, retry_after: None },
        words,
        counts: "{}".to_owned(),
        progressed: false,
        then: Vec::new(),
    }
}

/// The state file failed.
pub(super) fn of_database(error: &DbError) -> JobEnd {
    let class = match error.kind() {
        DbErrorKind::Internal => FailureClass::Internal,
        // What is damaged concerns this account alone.
        DbErrorKind::Damaged => FailureClass::Decision,
        _ => FailureClass::Local,
    };
    failed(class, error.to_string())
}

/// What is stored about the account cannot be used.
pub(super) fn of_service(error: &ServiceError) -> JobEnd {
    match error {
        ServiceError::Db(error) => of_database(error),
        ServiceError::Vault(_)
        | ServiceError::Stored(_)
        | ServiceError::Usage { .. }
        | ServiceError::Unknown { .. } => failed(FailureClass::Usage, error.to_string()),
        ServiceError::Io { .. } | ServiceError::Local(_) => failed(FailureClass::Local, error.to_string()),
    }
}

/// A copy, and the comparison that it ended with, if it did.
pub(super) fn of_copy(report: &RunReport, control: &JobControl, now_unix_ms: i64) -> JobEnd {
    let outcome = match report.any_stop() {
        Some(stop) => of_stop(stop, control, now_unix_ms),
        None => match report.verdict() {
            Verdict::Complete => Outcome::Done,
            Verdict::Stopped => Outcome::Failed { class: FailureClass::Decision, retry_after: None },
            _ => Outcome::DoneWithExceptions,
        },
    };
    let mut counts = json!({
        "verdict": report.verdict(),
        "messages": report.totals(),
        "bytes": report.bytes(),
        "seconds": report.seconds,
        "mailboxes": report.mailboxes.len(),
        "exceptions": report.exceptions.iter().take(LISTED_MAX).collect::<Vec<_>>(),
        "exceptions_in_all": report.exceptions.len(),
        "changes": report.changes(),
    });
    if let Some(verified) = &report.verified {
        counts["verify"] = compared(verified);
    }
    let progressed = report.totals().copied + report.totals().adopted > 0 || !report.changes().is_empty();
    JobEnd { outcome, words: words_of_copy(report), counts: counts.to_string(), progressed, then: Vec::new() }
}

/// What is to be known first.
fn words_of_copy(report: &RunReport) -> String {
    let differs = report.verified.as_ref().filter(|_| report.differs());
    match (report.any_stop(), differs, report.exceptions.first()) {
        (Some(stop), _, _) => stop.reason.clone(),
        (None, Some(verified), _) => words_of_differences(verified),
        (None, None, Some(first)) => format!("{}: {}: {}", first.mailbox, first.state.label(), first.reason),
        (None, None, None) => report.last_line(),
    }
}

fn words_of_differences(report: &VerifyReport) -> String {
    match report.differences.as_slice() {
        [] => "both sides are equal".to_owned(),
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(", and {} more", rest.len()) };
            format!("{}: {}{more}", first.mailbox, first.reason)
        }
    }
}

/// What a comparison counted.
fn compared(report: &VerifyReport) -> Value {
    let sum = |number: fn(&mailhaul_report::ComparedMailbox) -> u64| report.mailboxes.iter().map(number).sum::<u64>();
    json!({
        "verdict": report.verdict(),
        "source_messages": sum(|mailbox| mailbox.source_messages),
        "target_messages": sum(|mailbox| mailbox.target_messages),
        "equal": sum(|mailbox| mailbox.equal),
        "skipped": sum(|mailbox| mailbox.skipped),
        "differences": report.differences.iter().take(LISTED_MAX).collect::<Vec<_>>(),
        "differences_in_all": report.differences.len(),
    })
}

/// A comparison.
pub(super) fn of_verify(report: &VerifyReport, control: &JobControl, now_unix_ms: i64) -> JobEnd {
    let outcome = match &report.stop {
        Some(stop) => of_stop(stop, control, now_unix_ms),
        None if report.differences.is_empty() => Outcome::Done,
        None => Outcome::DoneWithExceptions,
    };
    let words = match &report.stop {
        Some(stop) => stop.reason.clone(),
        None => words_of_differences(report),
    };
    let counts = json!({ "verify": compared(report), "seconds": report.seconds });
    JobEnd { outcome, words, counts: counts.to_string(), progressed: false, then: Vec::new() }
}

/// A look before the copy. What it found is kept with the account.
pub(super) async fn of_preflight(
    queue: &Queue,
    account: AccountId,
    found: &AccountPreflight,
    control: &JobControl,
    attempt: u32,
) -> JobEnd {
    if let Some(asked) = control.must_yield() {
        return yielded(asked);
    }
    let again = found.is_to_be_repeated() && attempt < LOOKS_MAX;
    if let Some(block) = found.gravest_block().filter(|_| again) {
        let class = class_of_block(block.kind);
        let retry_after = block.retry_after_ms.map(Duration::from_millis);
        return JobEnd { outcome: Outcome::Failed { class, retry_after }, ..failed(class, block.words.clone()) };
    }
    let kept = async {
        queue.put_preflight(account, &found.to_json().to_string()).await?;
        if found.is_counted() {
            queue.set_size_hint(account, found.bytes()).await?;
        }
        Ok(())
    };
    if let Err(error) = kept.await {
        return of_database(&error);
    }
    let (outcome, words) = match (found.verdict(), found.gravest_block()) {
        (PreflightVerdict::Blocked, Some(block)) => (Outcome::DoneWithExceptions, block.words.clone()),
        (verdict, _) => (Outcome::Done, verdict.as_str().to_owned()),
    };
    let counts = json!({ "messages": found.messages(), "bytes": found.bytes(), "verdict": found.verdict() });
    JobEnd { outcome, words, counts: counts.to_string(), progressed: false, then: Vec::new() }
}

fn class_of_block(kind: BlockKind) -> FailureClass {
    match kind {
        BlockKind::Network => FailureClass::Network,
        BlockKind::Server => FailureClass::Server,
        BlockKind::Throttle => FailureClass::Throttle,
        BlockKind::Protocol => FailureClass::Protocol,
        BlockKind::Tls => FailureClass::Tls,
        BlockKind::SignIn => FailureClass::SignIn,
        BlockKind::Quota => FailureClass::Quota,
        BlockKind::Decision => FailureClass::Decision,
        BlockKind::Local => FailureClass::Local,
        BlockKind::Usage => FailureClass::Usage,
        BlockKind::Internal | BlockKind::Interrupted => FailureClass::Internal,
    }
}

fn yielded(asked: Yield) -> JobEnd {
    let words = match asked {
        Yield::Shutdown => "put down: the process ends",
        Yield::Options => "put down: the options changed",
        Yield::Pause => "put down: paused",
        Yield::Cancel => "put down: cancelled",
        Yield::Gate { .. } => "put down: it may not run now",
    };
    JobEnd { outcome: Outcome::Yielded(asked), ..failed(FailureClass::Internal, words.to_owned()) }
}

fn of_stop(stop: &Stop, control: &JobControl, now_unix_ms: i64) -> Outcome {
    let retry_after = stop.retry_after_secs.map(Duration::from_secs);
    let class = match stop.cause {
        StopCause::Interrupted => {
            // Nobody asked: it ended by itself because its options are old.
            return Outcome::Yielded(control.must_yield().unwrap_or(Yield::Options));
        }
        StopCause::Lease => return Outcome::Yielded(control.must_yield().unwrap_or(Yield::Shutdown)),
        StopCause::Busy => {
            let until_unix_ms = now_unix_ms.saturating_add(BUSY_MS);
            return Outcome::Yielded(Yield::Gate { reason: WaitReason::BackOff, until_unix_ms });
        }
        StopCause::Network => FailureClass::Network,
        StopCause::Server => FailureClass::Server,
        StopCause::Throttle => FailureClass::Throttle,
        StopCause::Protocol => FailureClass::Protocol,
        StopCause::Tls => FailureClass::Tls,
        StopCause::SignIn => FailureClass::SignIn,
        StopCause::Quota => FailureClass::Quota,
        StopCause::Brake => FailureClass::Decision,
        StopCause::Local => FailureClass::Local,
        StopCause::Usage => FailureClass::Usage,
        StopCause::Internal => FailureClass::Internal,
    };
    Outcome::Failed { class, retry_after }
}
