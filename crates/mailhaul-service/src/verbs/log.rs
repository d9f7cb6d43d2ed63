//! What happened to one account, by time: events, attempts, and the lines that its jobs wrote into its log.

use crate::error::ServiceError;
use crate::service::Service;
use mailhaul_db::queue::{AttemptRow, EventFilter, EventRow, JobFilter};
use mailhaul_queue::AccountId;
use mailhaul_types::escape;
use serde_json::Value;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where an entry comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogEntryKind {
    /// Somebody changed something.
    Event,
    /// An attempt ended, or runs.
    Attempt,
    /// A job wrote it down.
    Line,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// When, in milliseconds since 1970.
    pub at_unix_ms: i64,
    /// Where it comes from.
    pub kind: LogEntryKind,
    /// Who: an operator, a worker, or the level of a line.
    pub who: String,
    /// What, in words; escaped already.
    pub text: String,
    /// The job it belongs to, where there is one.
    pub job: Option<i64>,
}

/// The log of one account, beside the state file.
#[must_use]
pub fn account_log_file(state: &Path, account: AccountId) -> PathBuf {
    let mut name: OsString = state.as_os_str().to_owned();
    name.push(".logs");
    PathBuf::from(name).join(format!("{account}.log"))
}

impl Service {
    /// Everything that is known of what happened to an account, the latest last: at most so many entries.
    ///
    /// # Errors
    /// If there is no such account.
    pub async fn log(&self, account: &str, limit: u32) -> Result<Vec<LogEntry>, ServiceError> {
        let row = self.account_named(account).await?;
        let filter = EventFilter { account: Some(row.id), limit: Some(limit), ..EventFilter::default() };
        let mut entries: Vec<LogEntry> = self.queue.events(filter).await?.iter().map(of_event).collect();
        let jobs = JobFilter { account: Some(row.id), superseded: true, ..JobFilter::default() };
        for job in self.queue.jobs(jobs).await? {
            for attempt in self.queue.attempts(job.id).await? {
                entries.push(of_attempt(job.id.0, &job.kind, &attempt));
            }
        }
        let file = account_log_file(self.ledger.path(), row.id);
        let mut before = file.clone().into_os_string();
        before.push(".1");
        for path in [PathBuf::from(before), file] {
            entries.extend(lines_of(&path));
        }
        // What happened at one moment stays in the order of its source.
        entries.sort_by_key(|entry| entry.at_unix_ms);
        let more = entries.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        entries.drain(..more);
        Ok(entries)
    }
}

fn of_event(event: &EventRow) -> LogEntry {
    let mut text = event.what.clone();
    if let (Some(from), Some(to)) = (&event.from_state, &event.to_state) {
        text.push_str(&format!(": {from} → {to}"));
    } else if let Some(to) = &event.to_state {
        text.push_str(&format!(": {to}"));
    }
    if !event.why.is_empty() {
        text.push_str(&format!(" ({})", event.why));
    }
    let job = match event.subject {
        mailhaul_db::queue::Subject::Job(id) => Some(id.0),
        _ => None,
    };
    LogEntry {
        at_unix_ms: event.at_unix_ms,
        kind: LogEntryKind::Event,
        who: escape(&event.who),
        text: escape(&text),
        job,
    }
}

fn of_attempt(job: i64, kind: &str, attempt: &AttemptRow) -> LogEntry {
    let outcome = attempt.outcome.as_deref().unwrap_or("runs");
    let class = attempt.failure_class.map(|class| format!(" ({})", class.word())).unwrap_or_default();
    let words = if attempt.words.is_empty() { String::new() } else { format!(": {}", attempt.words) };
    LogEntry {
        at_unix_ms: attempt.ended_unix_ms.unwrap_or(attempt.started_unix_ms),
        kind: LogEntryKind::Attempt,
        who: format!("process {}", attempt.process),
        text: escape(&format!("{kind}, attempt {}: {outcome}{class}{words}", attempt.number)),
        job: Some(job),
    }
}

/// The lines of a log file; one that is cut short or not JSON is left out.
fn lines_of(path: &Path) -> Vec<LogEntry> {
    let Ok(text) = std::fs::read_to_string(path) else { return Vec::new() };
    text.lines().filter_map(|line| of_line(&serde_json::from_str(line).ok()?)).collect()
}

fn of_line(line: &Value) -> Option<LogEntry> {
    let mut text = line["message"].as_str()?.to_owned();
    if let Some(fields) = line["fields"].as_object() {
        for (name, value) in fields {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text.push_str(&format!(" {name}={value}"));
        }
    }
    Some(LogEntry {
        at_unix_ms: line["at_unix_ms"].as_i64()?,
        kind: LogEntryKind::Line,
        who: escape(line["level"].as_str().unwrap_or_default()),
        text: escape(&text),
        job: line["job"].as_i64(),
    })
}
