//! `mailhaul jobs`: the list of jobs.

use crate::cli::{JobsArgs, StoreArgs};
use crate::columns::{is_read_by_people, table};
use crate::exit::{CommandError, Exit};
use crate::{output, store};
use mailhaul_report::moment_for_people;
use mailhaul_service::{JobQuery, JobRow, JobState};
use mailhaul_types::escape;
use serde_json::{Value, json};

/// Runs the command to its exit code.
pub(crate) async fn run(args: &JobsArgs, at: &StoreArgs) -> Result<Exit, CommandError> {
    let query = JobQuery {
        wave: args.wave.clone(),
        account: args.account.clone(),
        endpoint: args.endpoint.clone(),
        states: args.states.clone(),
        kinds: args.kind.iter().map(|kind| kind.word().to_owned()).collect(),
        failed: args.failed,
        class: args.class,
        all: args.all,
        after: None,
        limit: args.limit,
    };
    let service = store::open_to_look(at).await?;
    let jobs = service.jobs(&query).await?;
    // A cell of a terminal has no room for a whole date.
    let now_unix_ms = is_read_by_people().then(|| service.now_unix_ms());
    let text = if args.json.json {
        let jobs: Vec<Value> = jobs.iter().map(to_json).collect();
        output::json(&json!({ "schema": 1, "jobs": jobs }))
    } else if jobs.is_empty() {
        "there is no such job\n".to_owned()
    } else {
        let rows: Vec<[String; 7]> = jobs.iter().map(|job| row(job, now_unix_ms)).collect();
        table(["job", "account", "wave", "kind", "state", "attempts", "last words"], &rows)
    };
    output::data(&text)?;
    Ok(Exit::Done)
}

fn row(job: &JobRow, now_unix_ms: Option<i64>) -> [String; 7] {
    [
        job.id.to_string(),
        escape(&job.account_name),
        escape(&job.wave_name),
        job.kind.clone(),
        state(job, now_unix_ms),
        job.attempts.to_string(),
        escape(&job.words),
    ]
}

/// `waiting: quota`, `waiting: back off until 2026-11-22 16:41 UTC`; if now is given, as short as can be.
fn state(job: &JobRow, now_unix_ms: Option<i64>) -> String {
    let spaced = |word: &str| word.replace('_', " ");
    let state = match &job.state {
        JobState::Waiting { reason, until_unix_ms: Some(at) } => {
            format!("waiting: {}{}", spaced(reason.word()), until(*at, now_unix_ms))
        }
        JobState::Waiting { reason, until_unix_ms: None } => format!("waiting: {}", spaced(reason.word())),
        JobState::Failed(class) => format!("failed: {}", spaced(class.word())),
        other => spaced(other.word()),
    };
    if job.wanted.is_some() && job.state == JobState::Running { format!("{state}, being put down") } else { state }
}

/// ` until 2026-11-22 16:41 UTC`, or as much of it as is not clear anyway: ` until 16:41 UTC`, `, in 7 s`.
fn until(at_unix_ms: i64, now_unix_ms: Option<i64>) -> String {
    let at = moment_for_people(at_unix_ms / 1_000);
    let Some(now_unix_ms) = now_unix_ms else { return format!(" until {at}") };
    let left_secs = at_unix_ms.saturating_sub(now_unix_ms).max(0) / 1_000;
    if left_secs < 100 {
        return format!(", in {left_secs} s");
    }
    // The first ten characters are the date.
    let is_today = at.get(..10) == moment_for_people(now_unix_ms / 1_000).get(..10);
    format!(" until {}", if is_today { at.get(11..).unwrap_or(&at) } else { &at })
}

/// A job in one line, without its account.
pub(crate) fn line(job: &JobRow) -> String {
    let words = match (&job.state, job.words.as_str()) {
        (_, "") => String::new(),
        // What ended the attempt before is not why it is in line or runs now.
        (JobState::Queued | JobState::Running, words) => format!("; before that: {}", escape(words)),
        (_, words) => format!(": {}", escape(words)),
    };
    format!("{}, {}{words}", job.kind, state(job, None))
}

/// One job as JSON.
pub(crate) fn to_json(job: &JobRow) -> Value {
    let (reason, until, class) = match &job.state {
        JobState::Waiting { reason, until_unix_ms } => (Some(reason.word()), *until_unix_ms, None),
        JobState::Failed(class) => (None, None, Some(class.word())),
        _ => (None, None, None),
    };
    json!({
        "job": job.id.0,
        "account": escape(&job.account_name),
        "wave": escape(&job.wave_name),
        "from": escape(&job.source_name),
        "to": escape(&job.target_name),
        "kind": job.kind,
        "state": job.state.word(),
        "summary": job.state.summary().word(),
        "reason": reason,
        "until_unix_ms": until,
        "class": class,
        "priority": job.priority.get(),
        "attempts": job.attempts,
        "attempts_charged": job.attempts_charged,
        "crashes": job.crashes,
        "process": job.process,
        "superseded": job.superseded,
        "queued_unix_ms": job.queued_unix_ms,
        "not_before_unix_ms": job.not_before_unix_ms,
        "started_unix_ms": job.started_unix_ms,
        "finished_unix_ms": job.finished_unix_ms,
        "words": escape(&job.words),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_keeps_the_moment_that_one_wants_to_know() {
        let now = 1_795_362_069_000;
        assert_eq!(until(now + 7_000, None), " until 2026-11-22 15:41 UTC");
        assert_eq!(until(now + 7_000, Some(now)), ", in 7 s");
        assert_eq!(until(now - 1, Some(now)), ", in 0 s");
        assert_eq!(until(now + 600_000, Some(now)), " until 15:51 UTC");
        assert_eq!(until(now + 86_400_000, Some(now)), " until 2026-11-23 15:41 UTC");
    }
}
