//! Where each account stands: of all its jobs the one that says it, so that accounts are counted once.

use super::words::{is_blocked_look, lack, meaning, reason, standing};
use crate::error::ServiceError;
use crate::kinds::JobKind;
use crate::service::Service;
use mailhaul_db::queue::{JobFilter, JobRow};
use mailhaul_queue::{AccountId, JobState, WaveId};
use mailhaul_report::{Lack, Standing, StateCount, Tally};
use std::collections::BTreeMap;

impl Service {
    /// Of each account of a wave, the job that says where it stands, by account name: the one that runs, or else the
    /// latest. A preflight says so only where there is nothing else, for a later copy has overtaken it, and it takes
    /// nothing back. With a kind, only jobs of that kind.
    ///
    /// # Errors
    /// If there is no such wave.
    pub async fn telling_jobs(&self, wave: &str, kind: Option<JobKind>) -> Result<Vec<JobRow>, ServiceError> {
        let wave = self.wave_named(wave).await?;
        self.telling_jobs_of(Some(wave.id), kind).await
    }

    pub(super) async fn telling_jobs_of(
        &self,
        wave: Option<WaveId>,
        kind: Option<JobKind>,
    ) -> Result<Vec<JobRow>, ServiceError> {
        let kinds = kind.into_iter().map(|kind| kind.word().to_owned()).collect();
        Ok(telling(self.queue.jobs(JobFilter { wave, kinds, ..JobFilter::default() }).await?))
    }
}

/// One job for each account, in the order in which they came.
fn telling(jobs: Vec<JobRow>) -> Vec<JobRow> {
    let weight = |job: &JobRow| (job.state == JobState::Running, job.kind != JobKind::Preflight.word(), job.id);
    let mut places: BTreeMap<AccountId, usize> = BTreeMap::new();
    let mut telling: Vec<JobRow> = Vec::new();
    for job in jobs {
        match places.get(&job.account) {
            Some(place) if weight(&telling[*place]) < weight(&job) => telling[*place] = job,
            Some(_) => {}
            None => {
                places.insert(job.account, telling.len());
                telling.push(job);
            }
        }
    }
    telling
}

/// Accounts, counted by where they stand.
#[derive(Debug, Default)]
pub(super) struct Standings {
    pub(super) states: Vec<StateCount>,
    pub(super) not_begun: u64,
    pub(super) tally: Tally,
}

impl Standings {
    /// Counts accounts by their telling jobs. `accounts` is how many there are; `is_at_work` whether any process is alive.
    pub(super) fn new(jobs: &[JobRow], accounts: u64, kind: Option<JobKind>, is_at_work: bool) -> Self {
        let is_look = kind == Some(JobKind::Preflight);
        let mut standings = Self { tally: Tally { accounts, is_look, ..Tally::default() }, ..Self::default() };
        let told = u64::try_from(jobs.len()).unwrap_or(u64::MAX);
        standings.not_begun = accounts.saturating_sub(told);
        for job in jobs {
            standings.add(job, is_at_work);
        }
        if standings.not_begun > 0 {
            standings.tally.rest.insert(Lack::NotBegun, standings.not_begun);
        }
        standings.states.sort_by_key(|state| state.standing);
        standings
    }

    fn add(&mut self, job: &JobRow, is_at_work: bool) {
        let was_looked_at = job.kind == JobKind::Preflight.word() && !self.tally.is_look;
        if was_looked_at && matches!(job.state, JobState::Done | JobState::Cancelled) {
            // It may begin, and has not.
            self.not_begun += 1;
            return;
        }
        let lack = if is_blocked_look(job) { Some(Lack::Blocked) } else { lack(&job.state) };
        match lack {
            Some(lack) => *self.tally.rest.entry(lack).or_default() += 1,
            None => {
                self.tally.complete += 1;
                let compares = [JobKind::Final, JobKind::Verify].iter().any(|kind| kind.word() == job.kind);
                self.tally.compared += u64::from(compares);
            }
        }
        self.count(of_job(job, is_at_work));
    }

    fn count(&mut self, one: StateCount) {
        let known = self.states.iter_mut().find(|known| {
            (known.standing, &known.state, &known.reason, &known.words)
                == (one.standing, &one.state, &one.reason, &one.words)
        });
        match known {
            None => self.states.push(one),
            Some(known) => {
                known.accounts += 1;
                known.until_unix_secs = known.until_unix_secs.into_iter().chain(one.until_unix_secs).min();
            }
        }
    }
}

fn of_job(job: &JobRow, is_at_work: bool) -> StateCount {
    let until_unix_secs = match &job.state {
        JobState::Waiting { until_unix_ms, .. } => until_unix_ms.map(|at| at / 1_000),
        _ => None,
    };
    let (state, words) = match &job.state {
        _ if is_blocked_look(job) => {
            ("blocked", "A preflight found something in the way: `mailhaul preflight --wave WAVE --show` says what.")
        }
        JobState::Running if !is_at_work => {
            ("running", "They ran when their process ended, and go on with the next `run` or `serve`.")
        }
        state => (state.word(), meaning(state)),
    };
    StateCount {
        standing: if is_blocked_look(job) { Standing::Attention } else { standing(&job.state) },
        state: state.to_owned(),
        reason: reason(&job.state).map(str::to_owned),
        words: words.to_owned(),
        until_unix_secs,
        accounts: 1,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use mailhaul_queue::{EndpointId, JobId, Phase, Priority, WaitReason};

    /// A job as it lies in the queue.
    pub(in super::super) fn job(id: i64, account: i64, kind: JobKind, state: JobState) -> JobRow {
        JobRow {
            id: JobId(id),
            account: AccountId(account),
            account_name: format!("u{account}"),
            wave: WaveId(1),
            wave_name: "staff".to_owned(),
            source: EndpointId(1),
            source_name: "old".to_owned(),
            target: EndpointId(2),
            target_name: "new".to_owned(),
            kind: kind.word().to_owned(),
            phase: Phase::Bulk,
            payload: String::new(),
            state,
            wanted: None,
            priority: Priority::USUAL,
            place: 0,
            attempts: 1,
            attempts_charged: 0,
            crashes: 0,
            generation: 1,
            worker: None,
            process: None,
            superseded: false,
            queued_unix_ms: 0,
            not_before_unix_ms: None,
            started_unix_ms: None,
            finished_unix_ms: None,
            words: String::new(),
        }
    }

    fn standings(jobs: Vec<JobRow>, accounts: u64) -> Standings {
        Standings::new(&telling(jobs), accounts, None, true)
    }

    #[test]
    fn a_blocked_look_that_a_copy_has_overtaken_is_no_trouble() {
        let blocked = || job(1, 1, JobKind::Preflight, JobState::DoneWithExceptions);
        let found = standings(vec![blocked()], 1);
        assert_eq!((found.states[0].state.as_str(), found.states[0].standing), ("blocked", Standing::Attention));
        assert_eq!(found.tally.line(), "0 of 1 account complete, 1 is blocked");
        let found = standings(vec![blocked(), job(2, 1, JobKind::Bulk, JobState::Done)], 1);
        assert_eq!((found.tally.complete, found.states.len(), found.states[0].accounts), (1, 1, 1));
    }

    #[test]
    fn a_look_takes_nothing_back_that_a_copy_said() {
        let parked = JobState::Waiting { reason: WaitReason::Credentials, until_unix_ms: None };
        let jobs = vec![job(1, 1, JobKind::Bulk, parked), job(2, 1, JobKind::Preflight, JobState::Done)];
        assert_eq!(standings(jobs, 1).tally.line(), "0 of 1 account complete, 1 waits for a password");
    }

    #[test]
    fn accounts_are_counted_once_and_those_that_have_not_begun_are_told() {
        let jobs = vec![
            job(1, 1, JobKind::Bulk, JobState::Done),
            job(4, 1, JobKind::Verify, JobState::Done),
            job(2, 2, JobKind::Preflight, JobState::Done),
            job(3, 3, JobKind::Bulk, JobState::Running),
            job(5, 3, JobKind::Resync, JobState::Queued),
        ];
        let found = standings(jobs, 4);
        assert_eq!(found.not_begun, 2);
        assert_eq!(found.states.iter().map(|count| count.accounts).sum::<u64>(), 2);
        assert_eq!(found.tally.line(), "1 of 4 accounts complete, 1 has work left, 2 have not begun");
        assert_eq!(found.tally.compared, 1);
    }

    #[test]
    fn what_runs_without_a_process_is_told_as_what_it_is() {
        let jobs = [job(1, 1, JobKind::Bulk, JobState::Running)];
        let found = Standings::new(&jobs, 1, None, false);
        assert!(found.states[0].words.contains("ran when their process ended"), "{found:?}");
    }
}
