//! One paragraph about one job: what it does or why it does not run, and what would change that.
//!
//! Everything is handed in, the time zone as well; what strangers said is escaped here. The words of the trade come in
//! with the facts: this crate does not know what its jobs do.

use crate::admission::{CapOf, Gate, RefusalReason};
use crate::standing::{Wait, Wanted};
use crate::state::{FailureClass, JobState, WaitReason};
use crate::store::Phase;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use mailhaul_types::Escaped;
use std::fmt::Write;

/// What is known about a job.
#[derive(Debug, Clone)]
pub struct JobFacts {
    /// The job, as the subject of a sentence: `The bulk copy of alice`. Escaped when it is shown.
    pub what: String,
    /// Its state.
    pub state: JobState,
    /// What a running job has been asked.
    pub wanted: Option<Wanted>,
    /// What a paused job waited for before.
    pub wait_before_pause: Option<Wait>,
    /// Failed attempts that were charged.
    pub attempts_charged: u32,
    /// Its place among the jobs that are queued, from 1; only for a queued job.
    pub place: Option<u64>,
    /// Whether another job of the same account is running: then this one has to wait for it.
    pub account_is_busy: bool,
    /// What stands in its way at its endpoints, in the order in which it should be told.
    pub obstacles: Vec<Obstacle>,
    /// Every pause that covers it.
    pub holds: Vec<HoldFact>,
    /// What the running job does now, as a sentence's end: `copying Archive/2019, 1,200 of 5,000 mails`.
    pub doing: Option<String>,
    /// When the latest attempt began or, if it is over, ended: milliseconds since 1970.
    pub since_unix_ms: Option<i64>,
    /// The words with which the latest attempt ended: the server's own where it said any.
    pub last_words: Option<String>,
    /// Whether any process works on jobs; without one, nothing moves.
    pub workers: u32,
    /// What to type to run jobs, to resume, and to retry this one.
    pub commands: Commands,
}

/// What stands in a job's way at one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The endpoint's name.
    pub endpoint: String,
    /// Its host.
    pub host: String,
    /// What it is.
    pub reason: RefusalReason,
}

/// A pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldFact {
    /// What it covers, in words: `everything`, `wave staff`, `this job`.
    pub scope: String,
    /// Who set it.
    pub who: String,
    /// Why, if somebody said.
    pub why: String,
    /// When: milliseconds since 1970.
    pub since_unix_ms: i64,
}

/// What to type. Shown as they are, between backticks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commands {
    /// Starts work.
    pub run: String,
    /// Lifts a pause.
    pub resume: String,
    /// Tries again.
    pub retry: String,
    /// Changes limits and hours of an endpoint.
    pub limits: String,
}

/// The paragraph, in whole sentences on one line. Moments are shown in `zone`.
#[must_use]
pub fn explain(facts: &JobFacts, now_unix_ms: i64, zone: &TimeZone) -> String {
    let teller = Teller { facts, now_unix_ms, zone };
    let mut text = match &facts.state {
        JobState::Queued => teller.queued(),
        JobState::Waiting { reason, until_unix_ms } => teller.waiting(*reason, *until_unix_ms),
        JobState::Running => teller.running(),
        JobState::Paused => teller.paused(),
        JobState::Done => teller.line("is done; nothing more will happen to it."),
        JobState::DoneWithExceptions => teller.done_with_exceptions(),
        JobState::Failed(class) => teller.failed(*class),
        JobState::Cancelled => {
            teller.line(&format!("was cancelled{}. `{}` queues it again.", teller.ago(), facts.commands.retry))
        }
    };
    if facts.workers == 0 && moves_by_itself(&facts.state) {
        let _ = write!(text, " No worker is running at the moment, so nothing moves: `{}`.", facts.commands.run);
    }
    text
}

/// Whether an operator's patience would be enough, if somebody worked.
fn moves_by_itself(state: &JobState) -> bool {
    matches!(state, JobState::Queued | JobState::Waiting { until_unix_ms: Some(_), .. } | JobState::Running)
}

struct Teller<'a> {
    facts: &'a JobFacts,
    now_unix_ms: i64,
    zone: &'a TimeZone,
}

impl Teller<'_> {
    fn line(&self, predicate: &str) -> String {
        format!("{} {predicate}", Escaped(&self.facts.what))
    }

    fn queued(&self) -> String {
        let place = self.facts.place.map_or_else(String::new, |place| format!(" at place {}", thousands(place)));
        let mut text = self.line(&format!("is in line{place}."));
        if self.facts.account_is_busy {
            text.push_str(" Another job of this account is running; this one can start when that one has ended.");
        }
        for obstacle in &self.facts.obstacles {
            let _ = write!(text, " {}", self.obstacle(obstacle));
        }
        if !self.facts.account_is_busy && self.facts.obstacles.is_empty() {
            text.push_str(
                " Nothing stands in its way: it starts when a worker is free and those before it have started.",
            );
        }
        text
    }

    fn waiting(&self, reason: WaitReason, until_unix_ms: Option<i64>) -> String {
        let until = until_unix_ms.map_or_else(|| "until somebody acts".to_owned(), |at| self.until(at));
        let cause = match reason {
            WaitReason::HostLimit => "a host it needs has asked to slow down or could not be reached",
            WaitReason::Window => "it is outside of the hours in which work is allowed",
            WaitReason::Allowance => "the account has used up what it may move in a day",
            WaitReason::BackOff => "its latest attempt failed",
            WaitReason::Credentials => "a sign-in was refused",
            WaitReason::Quota => "there is no more room at the target",
            WaitReason::Operator => "there is something that only an operator can decide",
            WaitReason::Schedule => "it was queued for later",
        };
        let mut text = self.line(&format!("waits {until}, because {cause}."));
        if reason == WaitReason::BackOff && self.facts.attempts_charged > 0 {
            let _ = write!(text, " Failed attempts so far: {}.", self.facts.attempts_charged);
        }
        if !reason.is_gate() && reason != WaitReason::Schedule {
            self.add_last_words(&mut text);
        }
        let _ = write!(text, " {}", self.remedy(reason, until_unix_ms));
        text
    }

    /// What would change a wait.
    fn remedy(&self, reason: WaitReason, until_unix_ms: Option<i64>) -> String {
        let Commands { retry, limits, .. } = &self.facts.commands;
        match reason {
            WaitReason::Credentials => format!("Mend the sign-in: `{retry}`; nothing is tried before that."),
            WaitReason::Quota => format!("Make room at the target, then `{retry}`; nothing is tried before that."),
            WaitReason::Operator => format!("When it is settled, `{retry}`."),
            WaitReason::BackOff => format!("It is tried again by itself then, or at once with `{retry}`."),
            WaitReason::HostLimit => {
                "It goes on by itself, as soon as one job has shown that the host serves.".to_owned()
            }
            WaitReason::Window => format!("It goes on by itself; other hours can be set with `{limits}`."),
            WaitReason::Allowance => format!("It goes on by itself; the allowance can be raised with `{limits}`."),
            WaitReason::Schedule if until_unix_ms.is_none() => format!("It goes on after `{retry}`."),
            WaitReason::Schedule => "It goes into line by itself then.".to_owned(),
        }
    }

    fn running(&self) -> String {
        let doing = self.facts.doing.as_ref().map_or_else(String::new, |doing| format!(": {}", Escaped(doing)));
        let mut text = self.line(&match self.facts.since_unix_ms {
            Some(at) => format!("has been running for {}{doing}.", duration(self.now_unix_ms.saturating_sub(at))),
            None => format!("is running{doing}."),
        });
        match self.facts.wanted {
            Some(Wanted::Pause) => text.push_str(" It has been asked to pause, and stops at the next safe point."),
            Some(Wanted::Cancel) => text.push_str(" It is being cancelled, and stops at the next safe point."),
            Some(Wanted::Yield { reason, .. }) => {
                let why = match reason {
                    WaitReason::Window => "the hours in which work is allowed are over",
                    WaitReason::Allowance => "the allowance of the account for today is used up",
                    _ => "fewer connections are allowed now than are in use",
                };
                let _ = write!(text, " It has been asked to give way, because {why}.");
            }
            None => {}
        }
        text
    }

    fn paused(&self) -> String {
        let mut text = self.line("is paused.");
        for hold in &self.facts.holds {
            let (who, scope) = (Escaped(&hold.who), Escaped(&hold.scope));
            let _ = write!(text, " {who} paused {scope} {}", self.moment(hold.since_unix_ms));
            if !hold.why.is_empty() {
                let _ = write!(text, " (\"{}\")", Escaped(&hold.why));
            }
            text.push('.');
        }
        if self.facts.holds.len() > 1 {
            text.push_str(" It goes on when all of these are lifted.");
        }
        let _ = write!(text, " `{}` lets it go on.", self.facts.commands.resume);
        if self.facts.wait_before_pause.is_some_and(|wait| wait.until_unix_ms.is_none()) {
            text.push_str(" Even then it waits for somebody, as it did before the pause.");
            self.add_last_words(&mut text);
        }
        text
    }

    fn done_with_exceptions(&self) -> String {
        let mut text = self.line(&format!("ended{} with exceptions that need a look.", self.ago()));
        self.add_last_words(&mut text);
        let _ = write!(text, " `{}` tries what was left out again, and nothing else.", self.facts.commands.retry);
        text
    }

    fn failed(&self, class: FailureClass) -> String {
        let cause = match class {
            FailureClass::Network => "connections were lost or could not be made",
            FailureClass::Server => "a server had trouble of its own",
            FailureClass::Throttle => "a server asked to slow down",
            FailureClass::Protocol => "a server said what it may not say",
            FailureClass::Tls => "a server could not be proved to be the right one",
            FailureClass::SignIn => "a sign-in was refused",
            FailureClass::Quota => "there is no more room at the target",
            FailureClass::Decision => "there is something that only an operator can decide",
            FailureClass::Local => "this machine had trouble",
            FailureClass::Usage => "its settings cannot be meant",
            FailureClass::Internal => "the program is at fault",
            FailureClass::Crashed => "the process died each time it ran this job",
        };
        let mut text = self.line(&format!("failed{}: {cause}.", self.ago()));
        if self.facts.attempts_charged > 1 {
            let _ = write!(text, " It was tried {} times.", self.facts.attempts_charged);
        }
        self.add_last_words(&mut text);
        let _ = write!(text, " It is not tried again by itself; `{}` does it.", self.facts.commands.retry);
        text
    }

    fn obstacle(&self, obstacle: &Obstacle) -> String {
        let (endpoint, host) = (Escaped(&obstacle.endpoint), Escaped(&obstacle.host));
        match obstacle.reason {
            RefusalReason::Full { running, cap, whose } => {
                let in_use = format!("{running} of {cap}");
                let change = match whose {
                    CapOf::Endpoint | CapOf::Phase(_) => {
                        format!("; `{}` changes that number", self.facts.commands.limits)
                    }
                    CapOf::Host => "; that is what the host has borne so far, and it grows while it serves".to_owned(),
                };
                match whose {
                    CapOf::Endpoint => format!("At `{endpoint}` {in_use} connections are in use{change}."),
                    CapOf::Phase(Phase::Bulk) => {
                        format!("At `{endpoint}` {in_use} connections for first copies are in use{change}.")
                    }
                    CapOf::Phase(Phase::Resync) => {
                        format!("At `{endpoint}` {in_use} connections for later passes are in use{change}.")
                    }
                    CapOf::Host => format!("With the host {host} {in_use} connections are in use{change}."),
                }
            }
            RefusalReason::Probing => {
                format!("The host {host} was in trouble; what runs there has to show first that it serves again.")
            }
            RefusalReason::Closed { reason: WaitReason::Window, until_unix_ms } => {
                format!("`{endpoint}` is outside of its hours {}.", self.until(until_unix_ms))
            }
            RefusalReason::Closed { until_unix_ms, .. } => {
                format!("The host {host} is left in peace {}.", self.until(until_unix_ms))
            }
            RefusalReason::Unknown => format!("There is no endpoint `{endpoint}` any more."),
        }
    }

    fn add_last_words(&self, text: &mut String) {
        if let Some(words) = self.facts.last_words.as_deref().filter(|words| !words.is_empty()) {
            let _ = write!(text, " It ended with: {}", Escaped(words));
            if !words.ends_with(['.', '!', '?']) {
                text.push('.');
            }
        }
    }

    /// ` 2 h 5 min ago`, or nothing.
    fn ago(&self) -> String {
        self.facts
            .since_unix_ms
            .map_or_else(String::new, |at| format!(" {} ago", duration(self.now_unix_ms.saturating_sub(at))))
    }

    /// `until 2025-03-30 20:00 (in 3 h 20 min)`.
    fn until(&self, at_unix_ms: i64) -> String {
        let left = at_unix_ms.saturating_sub(self.now_unix_ms);
        let left = if left > 0 { format!("in {}", duration(left)) } else { "now".to_owned() };
        format!("until {} ({left})", self.clock(at_unix_ms))
    }

    fn moment(&self, at_unix_ms: i64) -> String {
        format!("at {}", self.clock(at_unix_ms))
    }

    fn clock(&self, at_unix_ms: i64) -> String {
        let at = Timestamp::from_millisecond(at_unix_ms).unwrap_or(Timestamp::MAX).to_zoned(self.zone.clone());
        let today = Timestamp::from_millisecond(self.now_unix_ms)
            .is_ok_and(|now| now.to_zoned(self.zone.clone()).date() == at.date());
        at.strftime(if today { "%H:%M:%S" } else { "%Y-%m-%d %H:%M" }).to_string()
    }
}

/// What a closed gate or an open one is, in a few words for a list of endpoints.
#[must_use]
pub fn explain_gate(gate: Gate, now_unix_ms: i64) -> String {
    match gate {
        Gate::Open => "open".to_owned(),
        Gate::Closed { reason, until_unix_ms } => {
            let why = if reason == WaitReason::Window { "outside of its hours" } else { "left in peace" };
            format!("{why} for {}", duration(until_unix_ms.saturating_sub(now_unix_ms)))
        }
    }
}

/// The two largest units that say something: `3 h 20 min`, `45 s`.
fn duration(ms: i64) -> String {
    // Half a second more rounds to whole ones.
    let seconds = ms.max(0).saturating_add(500) / 1000;
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let Some(first) = units.iter().position(|(size, _)| seconds >= *size) else {
        return "0 s".to_owned();
    };
    let (size, unit) = units[first];
    let mut text = format!("{} {unit}", seconds / size);
    if let Some((small, unit)) = units.get(first + 1) {
        let rest = seconds % size / small;
        if rest > 0 {
            let _ = write!(text, " {rest} {unit}");
        }
    }
    text
}

/// `12,345`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
