//! Where a wave, or everything, stands: from the queue's counts and the ledger's sums, with the rate at which they grow.

use super::standing::Standings;
use super::words::{hint, is_blocked_look};
use crate::error::ServiceError;
use crate::kinds::JobKind;
use crate::service::Service;
use crate::work::LiveJob;
use mailhaul_db::queue::{JobRow, Totals, WaveRow};
use mailhaul_queue::{BreakerState, Cause, EndpointId, HostHealth, JobState, Limits, WaveId, Window};
use mailhaul_report::{
    Done, Finish, Lack, OpenSpan, Outlook, Problem, RestingHost, RunningLine, Tally, WaveStatus, estimate_finish,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// Rates are taken over this long.
const RATE_WINDOW: Duration = Duration::from_secs(60);
/// Before this there is no rate.
const RATE_FROM: Duration = Duration::from_millis(800);
/// So many problems are told.
const PROBLEMS_TOLD: usize = 20;
/// So many running jobs are told.
const RUNNING_MAX: usize = 200;
/// Preflights of more accounts than this are not read for a status: they are large.
const PREFLIGHTS_MAX: u64 = 5_000;
/// Reading the jobs of very many accounts takes a while: at most one part in so many of the time is spent on it.
const JOBS_SHARE: u32 = 10;
/// How far ahead the hours of endpoints are looked at.
const HOURS_AHEAD_SECS: i64 = 60 * 86_400;

/// Watches how fast things move, from one status to the next.
#[derive(Debug, Default)]
pub struct Watch {
    samples: VecDeque<(Instant, u64, u64)>,
    /// What preflights counted, by wave and account: read once.
    counted: BTreeMap<WaveId, BTreeMap<i64, u64>>,
    /// Only jobs of this kind say where accounts stand.
    kind: Option<JobKind>,
    /// The jobs that say where accounts stand: when they were read, how long that took, and what they were.
    jobs: Option<(Instant, Duration, Vec<JobRow>)>,
}

impl Watch {
    /// Watches only what jobs of this kind do; all kinds if there is none.
    #[must_use]
    pub fn of_kind(kind: Option<JobKind>) -> Self {
        Self { kind, ..Self::default() }
    }

    /// Whether it has seen enough for a rate.
    #[must_use]
    pub fn has_rate(&self) -> bool {
        self.samples.len() > 1
    }

    /// Messages and octets a second.
    fn rate(&mut self, messages: u64, bytes: u64) -> Option<(f64, u64)> {
        let now = Instant::now();
        self.samples.push_back((now, messages, bytes));
        while self.samples.len() > 2 && self.samples.front().is_some_and(|first| now - first.0 > RATE_WINDOW) {
            self.samples.pop_front();
        }
        let &(since, first_messages, first_bytes) = self.samples.front()?;
        let seconds = (now - since).as_secs_f64();
        if seconds < RATE_FROM.as_secs_f64() {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let per_second = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is small and not negative")]
        let bytes = per_second(bytes, first_bytes) as u64;
        Some((per_second(messages, first_messages), bytes))
    }
}

/// What the accounts of some waves come to.
#[derive(Default)]
struct Amounts {
    messages: Done,
    bytes: Done,
    largest_left: u64,
}

impl Service {
    /// The status of a wave, or of all. `live` are the running jobs of this process; of those of others less is known.
    /// Rates come from the second status of one watch on.
    ///
    /// # Errors
    /// If there is no such wave.
    pub async fn status(
        &self,
        wave: Option<&str>,
        live: &[LiveJob],
        watch: &mut Watch,
    ) -> Result<WaveStatus, ServiceError> {
        let rows = match wave {
            Some(name) => vec![self.wave_named(name).await?],
            None => self.queue.waves().await?,
        };
        let id = wave.and(rows.first()).map(|row| row.id);
        let amounts = self.amounts(&rows, watch).await?;
        let rate = watch.rate(amounts.messages.done, amounts.bytes.done);
        let workers = self.queue.workers().await?.len();
        let kind = watch.kind;
        let jobs = self.jobs_to_show(id, watch).await?;
        let accounts = rows.iter().map(|row| row.accounts).sum();
        let mut standings = Standings::new(jobs, accounts, kind, workers > 0);
        standings.tally.messages = amounts.messages.expected.unwrap_or(amounts.messages.done);
        let now_unix_secs = self.now_unix_ms() / 1_000;
        let outlook = Outlook {
            now_unix_secs,
            bytes_left: amounts.bytes.left(),
            bytes_per_second: rate.map_or(0, |(_, bytes)| bytes),
            is_measured: rate.is_some(),
            largest_account_bytes_left: amounts.largest_left,
            ..self.outlook(&rows, now_unix_secs).await?
        };
        let running = jobs.iter().filter(|job| job.state == JobState::Running).take(RUNNING_MAX);
        Ok(WaveStatus {
            wave: wave.map(str::to_owned),
            now_unix_secs,
            accounts,
            not_begun: standings.not_begun,
            messages: amounts.messages,
            bytes: amounts.bytes,
            messages_per_second: rate.map_or(0.0, |(messages, _)| messages),
            bytes_per_second: rate.map_or(0, |(_, bytes)| bytes),
            finish: finish(estimate_finish(&outlook), &standings.tally),
            workers: u32::try_from(workers).unwrap_or(u32::MAX),
            running: running.map(|job| running_line(job, live, self.now_unix_ms())).collect(),
            problems: problems(jobs),
            resting: self.resting(jobs).await?,
            states: standings.states,
            tally: standings.tally,
        })
    }

    /// The jobs that say where accounts stand; those of the last look, if reading them takes long.
    async fn jobs_to_show<'a>(&self, wave: Option<WaveId>, watch: &'a mut Watch) -> Result<&'a [JobRow], ServiceError> {
        let is_fresh = |(at, took, _): &(Instant, Duration, _)| at.elapsed() < *took * JOBS_SHARE;
        if !watch.jobs.as_ref().is_some_and(is_fresh) {
            let began = Instant::now();
            let jobs = self.telling_jobs_of(wave, watch.kind).await?;
            watch.jobs = Some((Instant::now(), began.elapsed(), jobs));
        }
        Ok(watch.jobs.as_ref().map(|(_, _, jobs)| jobs.as_slice()).unwrap_or_default())
    }

    /// The hosts that are left in peace, of those that these jobs still need.
    async fn resting(&self, jobs: &[JobRow]) -> Result<Vec<RestingHost>, ServiceError> {
        let needed = |id: EndpointId| jobs.iter().filter(move |job| !job.state.is_settled() && uses(job, id));
        let mut resting: Vec<RestingHost> = Vec::new();
        for endpoint in self.queue.endpoints().await? {
            let is_known = resting.iter().any(|known| known.host == endpoint.host);
            if is_known || needed(endpoint.id).next().is_none() {
                continue;
            }
            let health = self.queue.host_health(&endpoint.host).await?;
            let health = health.and_then(|json| serde_json::from_str::<HostHealth>(&json).ok()).unwrap_or_default();
            let BreakerState::Open { until_unix_ms, cause } = health.breaker(self.now_unix_ms()) else { continue };
            let why = match cause {
                Cause::Throttled => "asked to slow down",
                Cause::ConnectionFailed => "cannot be reached",
            };
            let failed = needed(endpoint.id).filter(|job| is_about(job, endpoint.id, &endpoint.host));
            let last = failed.max_by_key(|job| job.finished_unix_ms);
            resting.push(RestingHost {
                words: last.map(|job| job.words.clone()).unwrap_or_default(),
                host: endpoint.host,
                why: why.to_owned(),
                until_unix_secs: until_unix_ms / 1_000,
            });
        }
        Ok(resting)
    }

    async fn amounts(&self, rows: &[WaveRow], watch: &mut Watch) -> Result<Amounts, ServiceError> {
        let mut amounts = Amounts {
            messages: Done { done: 0, expected: Some(0) },
            bytes: Done { done: 0, expected: Some(0) },
            largest_left: 0,
        };
        for row in rows {
            if !watch.counted.contains_key(&row.id) && row.accounts <= PREFLIGHTS_MAX {
                let counted = self.counted_before(row.id).await?;
                watch.counted.insert(row.id, counted);
            }
            let counted = watch.counted.get(&row.id);
            for (account, _, totals) in self.queue.totals(row.id).await?.accounts {
                let counted = counted.and_then(|counted| counted.get(&account.0)).copied();
                amounts.add(&totals, counted);
            }
        }
        Ok(amounts)
    }

    /// Messages that preflights counted.
    async fn counted_before(&self, wave: WaveId) -> Result<BTreeMap<i64, u64>, ServiceError> {
        #[derive(serde::Deserialize)]
        struct Counted {
            messages: u64,
        }
        let rows = self.queue.preflights(Some(wave)).await?;
        let counted = rows.iter().filter_map(|row| {
            let counted: Counted = serde_json::from_str(&row.report).ok()?;
            (counted.messages > 0).then_some((row.account.0, counted.messages))
        });
        Ok(counted.collect())
    }

    /// The hours and allowances of the endpoints that these waves use.
    async fn outlook(&self, rows: &[WaveRow], now_unix_secs: i64) -> Result<Outlook, ServiceError> {
        let endpoints = self.queue.endpoints().await?;
        let shapes = |limits: &Limits| !limits.windows.is_empty() || limits.account_bytes_per_day.is_some();
        if !endpoints.iter().any(|row| shapes(&row.limits)) {
            return Ok(Outlook::default());
        }
        let used = self.endpoints_of(rows).await?;
        let limits: Vec<Limits> =
            endpoints.into_iter().filter(|row| used.contains(&row.id)).map(|row| row.limits).collect();
        Ok(Outlook {
            open: open_spans(&limits, now_unix_secs),
            account_bytes_per_day: limits.iter().filter_map(|limits| limits.account_bytes_per_day).min(),
            ..Outlook::default()
        })
    }

    async fn endpoints_of(&self, rows: &[WaveRow]) -> Result<BTreeSet<EndpointId>, ServiceError> {
        let mut used = BTreeSet::new();
        for row in rows {
            let filter = mailhaul_db::queue::AccountFilter { wave: Some(row.id), ..Default::default() };
            for account in self.queue.accounts(filter).await? {
                used.extend([account.source, account.target]);
            }
        }
        Ok(used)
    }
}

impl Amounts {
    fn add(&mut self, totals: &Totals, counted: Option<u64>) {
        let settled = totals.settled.total();
        // An account of which every mailbox was passed is as large as its passes say.
        let is_whole = totals.mailboxes > 0 && totals.passed == totals.mailboxes;
        let messages = if is_whole { Some(totals.last_pass.source.max(settled)) } else { counted };
        let messages = messages.map(|messages| messages.max(settled));
        self.messages.done += settled;
        self.messages.expected = self.messages.expected.zip(messages).map(|(sum, messages)| sum + messages);
        let is_done = is_whole && totals.last_pass.remaining == 0;
        let hint = Some(totals.size_hint_bytes).filter(|hint| *hint > 0);
        let (done, expected) = match (hint, is_done) {
            // What was found on the target did not have to be moved.
            (Some(hint), true) => (hint, Some(hint)),
            (Some(hint), false) => (totals.moved_bytes.min(hint), Some(hint)),
            (None, true) => (totals.moved_bytes, Some(totals.moved_bytes)),
            (None, false) => (totals.moved_bytes, None),
        };
        self.bytes.done += done;
        self.bytes.expected = self.bytes.expected.zip(expected).map(|(sum, expected)| sum + expected);
        self.largest_left = self.largest_left.max(expected.unwrap_or(0).saturating_sub(done));
    }
}

fn uses(job: &JobRow, endpoint: EndpointId) -> bool {
    job.source == endpoint || job.target == endpoint
}

/// Whether the words of a job that did not come to an end speak of this host.
fn is_about(job: &JobRow, endpoint: EndpointId, host: &str) -> bool {
    let side = if job.source == endpoint { "source:" } else { "target:" };
    job.state != JobState::Running && (job.words.starts_with(side) || job.words.contains(host))
}

/// The estimate, put right by what accounts wait for: octets alone do not know that.
fn finish(estimate: Finish, tally: &Tally) -> Finish {
    let goes_on = tally.rest.contains_key(&Lack::WorkLeft);
    // What was set aside or cancelled leaves nothing to be done, unless it was counted as mail to be copied.
    let is_over = |lack: &Lack| matches!(lack, Lack::Exceptions | Lack::Cancelled);
    match estimate {
        // What is still in line may find more.
        Finish::Nothing if goes_on => Finish::NotCounted,
        _ if goes_on || tally.is_look => estimate,
        _ if tally.rest.is_empty() => Finish::Nothing,
        Finish::Nothing if tally.rest.keys().all(is_over) => Finish::Nothing,
        _ => Finish::Somebody,
    }
}

/// What went wrong last, of what still stands.
fn problems(jobs: &[JobRow]) -> Vec<Problem> {
    let needs_somebody = |job: &&JobRow| {
        is_blocked_look(job)
            || job.state.is_parked()
            || matches!(job.state, JobState::Failed(_) | JobState::DoneWithExceptions)
    };
    let mut problems: Vec<Problem> = jobs.iter().filter(needs_somebody).map(problem).collect();
    problems.sort_by_key(|problem| std::cmp::Reverse(problem.unix_secs));
    problems.truncate(PROBLEMS_TOLD);
    problems
}

fn running_line(job: &JobRow, live: &[LiveJob], now_unix_ms: i64) -> RunningLine {
    let elapsed_ms = now_unix_ms.saturating_sub(job.started_unix_ms.unwrap_or(now_unix_ms)).max(0);
    let line = RunningLine {
        account: job.account_name.clone(),
        kind: job.kind.clone(),
        doing: job.process.map(|process| format!("process {process}")).unwrap_or_default(),
        seconds: elapsed_ms.unsigned_abs() / 1_000,
        ..RunningLine::default()
    };
    let Some(here) = live.iter().find(|live| live.job == job.id) else { return line };
    let now = here.progress.snapshot();
    let seconds = here.since.elapsed().as_secs().max(1);
    RunningLine {
        messages: Done { done: now.messages_settled, expected: now.is_whole.then_some(now.messages_expected) },
        bytes_per_second: now.bytes_moved / seconds,
        doing: now.activity,
        ..line
    }
}

fn problem(job: &JobRow) -> Problem {
    let at = job.finished_unix_ms.or(job.started_unix_ms).unwrap_or(job.queued_unix_ms);
    Problem { unix_secs: at / 1_000, account: job.account_name.clone(), words: job.words.clone(), hint: hint(job) }
}

/// When all of these endpoints are open, for as far as is looked ahead; `None`: at any time.
fn open_spans(limits: &[Limits], now_unix_secs: i64) -> Option<Vec<OpenSpan>> {
    let shut: Vec<Vec<Window>> = limits
        .iter()
        .map(|limits| limits.windows.iter().filter_map(|text| text.parse().ok()).collect())
        .filter(|windows: &Vec<Window>| !windows.is_empty())
        .collect();
    if shut.is_empty() {
        return None;
    }
    let is_open = |at_ms: i64| shut.iter().all(|windows| mailhaul_queue::window::is_open(windows, at_ms));
    let (mut at, mut spans) = (now_unix_secs, Vec::<OpenSpan>::new());
    while at < now_unix_secs + HOURS_AHEAD_SECS {
        let next = shut.iter().filter_map(|windows| mailhaul_queue::window::next_change(windows, at * 1_000));
        // The second after, where a change falls between two.
        let next = next.map(|at_ms| (at_ms + 999) / 1_000).min().unwrap_or(i64::MAX).max(at + 1);
        if is_open(at * 1_000) {
            spans.push(OpenSpan { from_unix_secs: at, until_unix_secs: next });
        }
        if next == i64::MAX {
            break;
        }
        at = next;
    }
    Some(spans)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailhaul_db::PassCounts;
    use mailhaul_db::SettledCounts;

    #[test]
    fn an_account_that_nobody_counted_leaves_the_whole_unknown() {
        let mut amounts = Amounts {
            messages: Done { done: 0, expected: Some(0) },
            bytes: Done { done: 0, expected: Some(0) },
            largest_left: 0,
        };
        let done = Totals {
            mailboxes: 1,
            passed: 1,
            settled: SettledCounts { copied: 10, ..SettledCounts::default() },
            last_pass: PassCounts { source: 12, ..PassCounts::default() },
            moved_bytes: 900,
            ..Totals::default()
        };
        amounts.add(&done, None);
        assert_eq!(amounts.messages, Done { done: 10, expected: Some(12) });
        assert_eq!(amounts.bytes, Done { done: 900, expected: Some(900) });
        amounts.add(&Totals { size_hint_bytes: 5_000, ..Totals::default() }, Some(7));
        assert_eq!(amounts.messages, Done { done: 10, expected: Some(19) });
        assert_eq!((amounts.bytes.expected, amounts.largest_left), (Some(5_900), 5_000));
        amounts.add(&Totals::default(), None);
        assert_eq!((amounts.messages.expected, amounts.bytes.expected), (None, None));
    }

    #[test]
    fn the_end_is_said_to_wait_for_somebody_when_nothing_goes_on_by_itself() {
        let tally = |rest: &[Lack]| Tally {
            accounts: 9,
            rest: rest.iter().map(|lack| (*lack, 1)).collect(),
            ..Tally::default()
        };
        assert_eq!(finish(Finish::Nothing, &tally(&[Lack::Room])), Finish::Somebody);
        assert_eq!(finish(Finish::NotMeasured, &tally(&[Lack::Room, Lack::WorkLeft])), Finish::NotMeasured);
        assert_eq!(finish(Finish::Nothing, &tally(&[Lack::WorkLeft])), Finish::NotCounted);
        assert_eq!(finish(Finish::NotMeasured, &tally(&[])), Finish::Nothing);
        assert_eq!(finish(Finish::Nothing, &tally(&[Lack::Exceptions, Lack::Cancelled])), Finish::Nothing);
        assert_eq!(finish(Finish::NotMeasured, &tally(&[Lack::Cancelled])), Finish::Somebody);
    }

    #[test]
    fn hours_of_several_endpoints_are_those_that_they_share() {
        let hours = |text: &str| Limits { windows: vec![text.to_owned()], ..Limits::default() };
        let monday = 1_795_996_800 - 86_400 * 6;
        assert_eq!(open_spans(&[Limits::default()], monday), None);
        let shared = open_spans(&[hours("daily 08:00-12:00 UTC"), hours("daily 10:00-14:00 UTC")], monday);
        let shared = shared.expect("there are hours");
        assert!(shared.iter().all(|span| span.until_unix_secs - span.from_unix_secs == 7_200), "{shared:?}");
        assert!(shared.len() > 50);
    }
}
