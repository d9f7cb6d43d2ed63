//! The shapes of what is answered. They are promised: a field is only ever added. Strangers' text is escaped here.

use mailhaul_report::Done;
use mailhaul_service::{
    AccountRow, AccountStanding, AttemptRow, EndpointStanding, EndpointView, EventView, HoldRow, HostState, JobRow,
    JobState, LogEntry, LogEntryKind, Subject, TokenView, WaveView,
};
use mailhaul_types::escape;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// How much of something is done.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Amount {
    /// So much is done.
    done: u64,
    /// Of so much; null: it was not counted yet.
    expected: Option<u64>,
}

impl From<Done> for Amount {
    fn from(done: Done) -> Self {
        Self { done: done.done, expected: done.expected }
    }
}

/// A server.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Endpoint {
    name: String,
    url: String,
    host: String,
    /// How many accounts use it, on either side.
    accounts: u64,
    /// What the operator allows; what is absent is not limited.
    limits: Map<String, Value>,
    /// Trust, administrator, how mail is copied; never a password.
    options: Map<String, Value>,
    has_admin_password: bool,
}

impl From<&EndpointView> for Endpoint {
    fn from(view: &EndpointView) -> Self {
        Self {
            name: escape(&view.row.name),
            url: escape(&view.row.url),
            host: escape(&view.row.host),
            accounts: view.row.accounts,
            limits: object(&view.row.limits),
            options: object(&view.options),
            has_admin_password: view.has_admin_password,
        }
    }
}

/// A server and how it stands at this moment.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EndpointNow {
    #[serde(flatten)]
    endpoint: Endpoint,
    /// Connections that first copies have, one a job.
    running_bulk: u32,
    /// Connections that everything else has, one a job.
    running_resync: u32,
    /// Connections that the host is given at most.
    allowed: u32,
    /// Whether that is what the host has shown to bear, and not what the operator said.
    learned: bool,
    /// `serves`, `rests` or `tried`.
    host_state: &'static str,
    /// With `rests`: until when, in milliseconds since 1970.
    rests_until_unix_ms: Option<i64>,
    /// Whether its hours allow work now.
    open: bool,
    /// When that changes next, in milliseconds since 1970.
    changes_unix_ms: Option<i64>,
}

impl From<&EndpointStanding> for EndpointNow {
    fn from(standing: &EndpointStanding) -> Self {
        let (host_state, rests_until_unix_ms) = match standing.host {
            HostState::Serves => ("serves", None),
            HostState::Rests { until_unix_ms, .. } => ("rests", Some(until_unix_ms)),
            HostState::Tried => ("tried", None),
        };
        Self {
            endpoint: Endpoint::from(&standing.view),
            running_bulk: standing.running_bulk,
            running_resync: standing.running_resync,
            allowed: standing.allowed,
            learned: standing.is_learned,
            host_state,
            rests_until_unix_ms,
            open: standing.is_open,
            changes_unix_ms: standing.changes_unix_ms,
        }
    }
}

/// An account as it is stored.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Account {
    account: String,
    wave: String,
    from: String,
    to: String,
    source_user: String,
    target_user: String,
    /// 0 to 9, 9 first.
    priority: u8,
    size_hint_bytes: Option<u64>,
}

impl From<&AccountRow> for Account {
    fn from(row: &AccountRow) -> Self {
        Self {
            account: escape(&row.name),
            wave: escape(&row.wave_name),
            from: escape(&row.source_name),
            to: escape(&row.target_name),
            source_user: escape(&row.source_user),
            target_user: escape(&row.target_user),
            priority: row.priority.get(),
            size_hint_bytes: row.size_hint_bytes,
        }
    }
}

/// An account and where it stands.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AccountNow {
    #[serde(flatten)]
    account: Account,
    /// `waiting`, `running`, `done`, `attention`, `stopped` or `not_begun`.
    summary: &'static str,
    /// The job that says so.
    job: Option<i64>,
    kind: Option<String>,
    /// That job's state, `blocked` or `not_begun`.
    state: String,
    /// What it waits for, or in which way it failed.
    reason: Option<&'static str>,
    until_unix_ms: Option<i64>,
    /// What this means, in a sentence.
    meaning: &'static str,
    /// How the latest attempt ended.
    words: String,
    /// What to do, where somebody has to.
    hint: String,
    messages: Amount,
    bytes: Amount,
    /// Messages and mailboxes that were set aside.
    exceptions: u64,
    attempts: u32,
    moved_unix_ms: Option<i64>,
}

impl From<&AccountStanding> for AccountNow {
    fn from(row: &AccountStanding) -> Self {
        Self {
            account: Account::from(&row.row),
            summary: row.word(),
            job: row.job.map(|job| job.0),
            kind: Some(row.kind.clone()).filter(|kind| !kind.is_empty()),
            state: row.state.clone(),
            reason: row.reason,
            until_unix_ms: row.until_unix_ms,
            meaning: row.meaning,
            words: escape(&row.words),
            hint: escape(&row.hint),
            messages: row.messages.into(),
            bytes: row.bytes.into(),
            exceptions: row.exceptions,
            attempts: row.attempts,
            moved_unix_ms: row.moved_unix_ms,
        }
    }
}

/// A wave.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Wave {
    wave: String,
    accounts: u64,
    /// In which order its jobs are done: `fifo`, `largest` or `smallest`.
    order: &'static str,
    /// When what is to be done.
    plan: Map<String, Value>,
    /// How mail is copied.
    options: Map<String, Value>,
    created_unix_ms: i64,
    closed_unix_ms: Option<i64>,
}

impl From<&WaveView> for Wave {
    fn from(view: &WaveView) -> Self {
        Self {
            wave: escape(&view.row.name),
            accounts: view.row.accounts,
            order: view.row.order.word(),
            plan: object(&view.plan),
            options: object(&view.options),
            created_unix_ms: view.row.created_unix_ms,
            closed_unix_ms: view.row.closed_unix_ms,
        }
    }
}

/// A job.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Job {
    job: i64,
    account: String,
    wave: String,
    from: String,
    to: String,
    /// `preflight`, `bulk`, `resync`, `final` or `verify`.
    kind: String,
    state: &'static str,
    /// The state in one of five words.
    summary: &'static str,
    reason: Option<&'static str>,
    until_unix_ms: Option<i64>,
    class: Option<&'static str>,
    priority: u8,
    attempts: u32,
    attempts_charged: u32,
    crashes: u32,
    process: Option<u32>,
    superseded: bool,
    queued_unix_ms: i64,
    not_before_unix_ms: Option<i64>,
    started_unix_ms: Option<i64>,
    finished_unix_ms: Option<i64>,
    /// How the latest attempt ended.
    words: String,
}

impl From<&JobRow> for Job {
    fn from(job: &JobRow) -> Self {
        let (reason, until_unix_ms, class) = match &job.state {
            JobState::Waiting { reason, until_unix_ms } => (Some(reason.word()), *until_unix_ms, None),
            JobState::Failed(class) => (None, None, Some(class.word())),
            _ => (None, None, None),
        };
        Self {
            job: job.id.0,
            account: escape(&job.account_name),
            wave: escape(&job.wave_name),
            from: escape(&job.source_name),
            to: escape(&job.target_name),
            kind: job.kind.clone(),
            state: job.state.word(),
            summary: job.state.summary().word(),
            reason,
            until_unix_ms,
            class,
            priority: job.priority.get(),
            attempts: job.attempts,
            attempts_charged: job.attempts_charged,
            crashes: job.crashes,
            process: job.process,
            superseded: job.superseded,
            queued_unix_ms: job.queued_unix_ms,
            not_before_unix_ms: job.not_before_unix_ms,
            started_unix_ms: job.started_unix_ms,
            finished_unix_ms: job.finished_unix_ms,
            words: escape(&job.words),
        }
    }
}

/// One run of a job.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Attempt {
    number: u32,
    process: u32,
    started_unix_ms: i64,
    ended_unix_ms: Option<i64>,
    /// `done`, `done_with_exceptions`, `failed`, `yielded` or `lost`; null: it still runs.
    outcome: Option<String>,
    class: Option<&'static str>,
    words: String,
    /// What was counted.
    counts: Value,
}

impl From<&AttemptRow> for Attempt {
    fn from(row: &AttemptRow) -> Self {
        Self {
            number: row.number,
            process: row.process,
            started_unix_ms: row.started_unix_ms,
            ended_unix_ms: row.ended_unix_ms,
            outcome: row.outcome.clone(),
            class: row.failure_class.map(mailhaul_service::FailureClass::word),
            words: escape(&row.words),
            counts: serde_json::from_str(&row.counts).unwrap_or_default(),
        }
    }
}

/// Something that an operator has paused.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Hold {
    /// `everything`, `endpoint`, `wave`, `account` or `job`.
    scope: &'static str,
    /// Its number; 0 with `everything`.
    id: i64,
    who: String,
    why: String,
    since_unix_ms: i64,
}

impl From<&HoldRow> for Hold {
    fn from(row: &HoldRow) -> Self {
        let (scope, id) = match row.subject {
            Subject::Everything => ("everything", 0),
            Subject::Endpoint(id) => ("endpoint", id.0),
            Subject::Wave(id) => ("wave", id.0),
            Subject::Account(id) => ("account", id.0),
            Subject::Job(id) => ("job", id.0),
        };
        Self { scope, id, who: escape(&row.who), why: escape(&row.why), since_unix_ms: row.at_unix_ms }
    }
}

/// One thing that happened to an account.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LogLine {
    at_unix_ms: i64,
    /// `event`, `attempt` or `line`.
    kind: &'static str,
    who: String,
    text: String,
    job: Option<i64>,
}

impl From<&LogEntry> for LogLine {
    fn from(entry: &LogEntry) -> Self {
        let kind = match entry.kind {
            LogEntryKind::Event => "event",
            LogEntryKind::Attempt => "attempt",
            LogEntryKind::Line => "line",
        };
        // Escaped already.
        Self { at_unix_ms: entry.at_unix_ms, kind, who: entry.who.clone(), text: entry.text.clone(), job: entry.job }
    }
}

/// One change, and who made it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Event {
    /// Its number; later ones are higher.
    pub(crate) id: i64,
    at_unix_ms: i64,
    who: String,
    /// `claim`, `end`, `pause`, `import`, `sign_in`, …
    pub(crate) what: String,
    account: Option<String>,
    wave: Option<String>,
    endpoint: Option<String>,
    job: Option<i64>,
    from_state: Option<String>,
    to_state: Option<String>,
    why: String,
}

impl From<EventView> for Event {
    fn from(view: EventView) -> Self {
        // Escaped already.
        Self {
            id: view.id,
            at_unix_ms: view.at_unix_ms,
            who: view.who,
            what: view.what,
            account: view.account,
            wave: view.wave,
            endpoint: view.endpoint,
            job: view.job,
            from_state: view.from_state,
            to_state: view.to_state,
            why: view.why,
        }
    }
}

/// A token; its secret is shown once, when it is made.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Token {
    name: String,
    role: &'static str,
    created_unix_ms: i64,
    expires_unix_ms: Option<i64>,
    used_unix_ms: Option<i64>,
    revoked_unix_ms: Option<i64>,
    /// Browsers that are signed in with it.
    sessions: usize,
    /// Whether it opens the door at this moment: it is neither revoked nor has it run out.
    good: bool,
}

impl From<&TokenView> for Token {
    fn from(view: &TokenView) -> Self {
        Self {
            name: escape(&view.name),
            role: view.role.word(),
            created_unix_ms: view.created_unix_ms,
            expires_unix_ms: view.expires_unix_ms,
            used_unix_ms: view.used_unix_ms,
            revoked_unix_ms: view.revoked_unix_ms,
            sessions: view.sessions,
            good: view.is_good,
        }
    }
}

/// A paragraph about a job.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Explanation {
    pub(crate) job: Option<i64>,
    /// Why it is not running, or what it does, and what would change that.
    pub(crate) text: String,
}

pub(crate) fn object(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}
