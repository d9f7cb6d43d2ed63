//! `mailhaul log`: what happened to one account.

use crate::cli::{LogArgs, StoreArgs};
use crate::exit::{CommandError, Exit};
use crate::{output, store};
use mailhaul_service::{LogEntry, LogEntryKind};
use serde_json::{Value, json};

/// Runs the command to its exit code.
pub(crate) async fn run(args: &LogArgs, at: &StoreArgs) -> Result<Exit, CommandError> {
    let entries = store::open_to_look(at).await?.log(&args.account, args.limit).await?;
    let text = if args.json.json {
        let entries: Vec<Value> = entries.iter().map(to_json).collect();
        output::json(&json!({ "schema": 1, "entries": entries }))
    } else {
        entries.iter().map(line).collect()
    };
    output::data(&text)?;
    Ok(Exit::Done)
}

fn line(entry: &LogEntry) -> String {
    let job = entry.job.map(|job| format!("job {job} ")).unwrap_or_default();
    format!("{}  {job}{}  [{}]\n", moment(entry.at_unix_ms), entry.text, entry.who)
}

fn moment(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).map_or_else(|_| unix_ms.to_string(), |at| format!("{at:.3}"))
}

fn to_json(entry: &LogEntry) -> Value {
    let kind = match entry.kind {
        LogEntryKind::Event => "event",
        LogEntryKind::Attempt => "attempt",
        LogEntryKind::Line => "line",
    };
    json!({
        "at_unix_ms": entry.at_unix_ms, "kind": kind, "who": entry.who, "text": entry.text, "job": entry.job,
    })
}
