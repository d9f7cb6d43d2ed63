//! `mailhaul jobs`: the list of jobs.

use crate::cli::{JobsArgs, StoreArgs};
use crate::columns::table;
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
        limit: args.limit,
    };
    let jobs = store::open_to_look(at).await?.jobs(&query).await?;
    let text = if args.json.json {
        let jobs: Vec<Value> = jobs.iter().map(to_json).collect();
        output::json(&json!({ "schema": 1, "jobs": jobs }))
    } else if jobs.is_empty() {
        "there is no such job\n".to_owned()
    } else {
        let rows: Vec<[String; 7]> = jobs.iter().map(row).collect();
        table(["job", "account", "wave", "kind", "state", "attempts", "last words"], &rows)
    };
    output::data(&text)?;
    Ok(Exit::Done)
}

fn row(job: &JobRow) -> [String; 7] {
    [
        job.id.to_string(),
        escape(&job.account_name),
        escape(&job.wave_name),
        job.kind.clone(),
        state(job),
        job.attempts.to_string(),
        escape(&job.words),
    ]
}

/// `waiting: quota`, `waiting: back off until 2026-11-22 16:41 UTC`.
pub(crate) fn state(job: &JobRow) -> String {
    let spaced = |word: &str| word.replace('_', " ");
    let state = match &job.state {
        JobState::Waiting { reason, until_unix_ms: Some(at) } => {
            format!("waiting: {} until {}", spaced(reason.word()), moment_for_people(at / 1_000))
        }
        JobState::Waiting { reason, until_unix_ms: None } => format!("waiting: {}", spaced(reason.word())),
        JobState::Failed(class) => format!("failed: {}", spaced(class.word())),
        other => spaced(other.word()),
    };
    if job.wanted.is_some() && job.state == JobState::Running { format!("{state}, being put down") } else { state }
}

/// A job in one line, without its account.
pub(crate) fn line(job: &JobRow) -> String {
    let words = if job.words.is_empty() { String::new() } else { format!(": {}", escape(&job.words)) };
    format!("{}, {}{words}", job.kind, state(job))
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
