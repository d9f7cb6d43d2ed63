//! The words of the jobs: rows, filters, counts, attempts, events.

use crate::model::{PassCounts, SettledCounts};
use crate::queue::model::Subject;
use mailhaul_queue::{
    AccountId, EndpointId, FailureClass, JobId, JobState, Order, Phase, Priority, WaitReason, WaveId, WorkerId,
};

/// A job as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Its number.
    pub id: JobId,
    /// What it is done for.
    pub account: AccountId,
    /// That account's name.
    pub account_name: String,
    /// That account's wave.
    pub wave: WaveId,
    /// That wave's name.
    pub wave_name: String,
    /// Where the mail comes from.
    pub source: EndpointId,
    /// That endpoint's name.
    pub source_name: String,
    /// Where it goes.
    pub target: EndpointId,
    /// That endpoint's name.
    pub target_name: String,
    /// What is to be done.
    pub kind: String,
    /// With which limits.
    pub phase: Phase,
    /// With which arguments: JSON.
    pub payload: String,
    /// Where it stands.
    pub state: JobState,
    /// What its worker has been told to do; only while it runs.
    pub wanted: Option<Order>,
    /// Who goes first.
    pub priority: Priority,
    /// Lower goes first; see [`Priority::place_in_line`].
    pub place: i64,
    /// How many attempts were begun.
    pub attempts: u32,
    /// How many of the failed ones count against the ceiling; 0 again after a retry.
    pub attempts_charged: u32,
    /// How often its lease ran out; 0 again after a retry.
    pub crashes: u32,
    /// How often it was claimed.
    pub generation: i64,
    /// Who runs it.
    pub worker: Option<WorkerId>,
    /// The process that runs it.
    pub process: Option<u32>,
    /// Whether a later job of this kind exists for the account.
    pub superseded: bool,
    /// When it was queued, in milliseconds since 1970.
    pub queued_unix_ms: i64,
    /// Before when it may not start, in milliseconds since 1970.
    pub not_before_unix_ms: Option<i64>,
    /// When the latest attempt began, in milliseconds since 1970.
    pub started_unix_ms: Option<i64>,
    /// When the latest attempt ended, in milliseconds since 1970.
    pub finished_unix_ms: Option<i64>,
    /// How the latest attempt ended; strangers' text, escape before showing.
    pub words: String,
}

/// Which jobs. What is empty or `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Only this job.
    pub job: Option<JobId>,
    /// Only those of this wave.
    pub wave: Option<WaveId>,
    /// Only those of this account.
    pub account: Option<AccountId>,
    /// Only those of these accounts.
    pub accounts: Vec<AccountId>,
    /// Only those that use this endpoint.
    pub endpoint: Option<EndpointId>,
    /// Only these kinds.
    pub kinds: Vec<String>,
    /// Only these states, by their words.
    pub states: Vec<String>,
    /// Only those that failed in this way.
    pub failure_class: Option<FailureClass>,
    /// Only those that wait for this.
    pub wait_reason: Option<WaitReason>,
    /// Only those that somebody has to look at: failed, done with exceptions, or waiting for somebody to act.
    pub needs_attention: bool,
    /// Also those after which a later job of the same kind was queued.
    pub superseded: bool,
    /// Only what comes after this account's name and this job, in the order of the list; listing only.
    pub after: Option<(String, JobId)>,
    /// At most so many; listing only.
    pub limit: Option<u32>,
    /// After so many; listing only.
    pub offset: u32,
}

/// How many jobs stand where. One entry for each combination that occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobCount {
    /// Of which kind.
    pub kind: String,
    /// Where they stand. Of those that wait until some moment, the earliest.
    pub state: JobState,
    /// How many.
    pub jobs: u64,
}

/// Where a queued job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaceInLine {
    /// How many jobs of the same endpoints and phase go before it.
    pub before: u64,
    /// How many jobs of the same endpoints and phase are in line, this one included.
    pub all: u64,
}

/// One run of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    /// Which, from 1.
    pub number: u32,
    /// Who ran it.
    pub worker: WorkerId,
    /// In which process.
    pub process: u32,
    /// When it began, in milliseconds since 1970.
    pub started_unix_ms: i64,
    /// When it ended, in milliseconds since 1970; `None`: it still runs.
    pub ended_unix_ms: Option<i64>,
    /// `done`, `done_with_exceptions`, `failed`, `yielded` or `lost`; `None`: it still runs.
    pub outcome: Option<String>,
    /// In which way it failed.
    pub failure_class: Option<FailureClass>,
    /// The words for people; strangers' text, escape before showing.
    pub words: String,
    /// What was counted: JSON.
    pub counts: String,
}

/// One change, and who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Its number; later ones are higher.
    pub id: i64,
    /// When, in milliseconds since 1970.
    pub at_unix_ms: i64,
    /// An operator, or a worker.
    pub who: String,
    /// `claim`, `end`, `pause`, `import`, ...
    pub what: String,
    /// What it was about.
    pub subject: Subject,
    /// The account it was about, where there is one.
    pub account: Option<AccountId>,
    /// That account's name, if it is there still.
    pub account_name: Option<String>,
    /// The job's state before, by its word.
    pub from_state: Option<String>,
    /// The job's state after, by its word.
    pub to_state: Option<String>,
    /// Why; strangers' text, escape before showing.
    pub why: String,
}

/// Which events, the latest last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only those of this account and its jobs.
    pub account: Option<AccountId>,
    /// Only those of this job.
    pub job: Option<JobId>,
    /// Only those of this wave itself.
    pub wave: Option<WaveId>,
    /// Only those of this endpoint itself.
    pub endpoint: Option<EndpointId>,
    /// Only those after this event.
    pub after: Option<i64>,
    /// The latest so many of them.
    pub limit: Option<u32>,
    /// The oldest so many instead: whoever follows the events must not miss one.
    pub oldest_first: bool,
}

/// A process that works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRow {
    /// Its number.
    pub id: WorkerId,
    /// Its process id.
    pub process: u32,
    /// What it is, for people: `run`, `serve`.
    pub what: String,
    /// When it began, in milliseconds since 1970.
    pub started_unix_ms: i64,
    /// When it was heard of last, in milliseconds since 1970.
    pub seen_unix_ms: i64,
    /// How many jobs it runs.
    pub running: u64,
}

/// What the ledger knows of accounts, summed up. Read without the checksums of the rows: for progress, not for proof.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Mailboxes that were mapped.
    pub mailboxes: u64,
    /// Mailboxes of which a pass was finished.
    pub passed: u64,
    /// Settled messages by kind.
    pub settled: SettledCounts,
    /// What the last pass over each mailbox counted.
    pub last_pass: PassCounts,
    /// Messages and mailboxes that need attention; those that left the source are not among them.
    pub exceptions: u64,
    /// Octets of mail moved, over all days.
    pub moved_bytes: u64,
    /// Octets of mail that the accounts are thought to have.
    pub size_hint_bytes: u64,
}

/// [`Totals`] of a wave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WaveTotals {
    /// Of each account, by name.
    pub accounts: Vec<(AccountId, String, Totals)>,
    /// Of all of them.
    pub sum: Totals,
}
