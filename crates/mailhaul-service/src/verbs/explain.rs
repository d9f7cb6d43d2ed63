//! Why a job is not running, or what it does: the facts from the queue, for the paragraph that is made of them.

use super::words::mend_sign_in;
use crate::error::ServiceError;
use crate::kinds::JobKind;
use crate::service::Service;
use mailhaul_db::queue::{EndpointRow, HoldRow, JobFilter, JobRow, Subject};
use mailhaul_queue::{
    Admission, Calendar, Commands, EndpointFacts, HoldFact, HostHealth, JobFacts, JobId, JobState, Obstacle, Order,
    Phase, WaitReason, Wanted, explain,
};
use mailhaul_types::Escaped;

/// One paragraph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The job that it is about; `None`: the account has none.
    pub job: Option<JobId>,
    /// The paragraph, escaped.
    pub text: String,
}

/// What is the same for all jobs that are explained.
struct Scene {
    endpoints: Vec<EndpointRow>,
    admission: Admission,
    holds: Vec<HoldRow>,
    workers: u32,
    calendar: Calendar,
}

impl Service {
    /// Explains one job; one that is over is explained by those of its account that came after it.
    ///
    /// # Errors
    /// If there is no such job.
    pub async fn explain_job(&self, id: JobId) -> Result<Vec<Explained>, ServiceError> {
        let all = self.explain(&self.job(id).await?.account_name).await?;
        let (of_it, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| one.job == Some(id));
        Ok(if of_it.is_empty() { others } else { of_it })
    }

    /// Explains an account by its jobs, or one job by its number.
    ///
    /// # Errors
    /// If there is no such account or job.
    pub async fn explain(&self, what: &str) -> Result<Vec<Explained>, ServiceError> {
        let jobs = match (self.queue.find_account(what).await?, what.parse::<i64>()) {
            (Some(account), _) => {
                let filter = JobFilter { account: Some(account.id), ..JobFilter::default() };
                telling(self.queue.jobs(filter).await?)
            }
            (None, Ok(number)) => vec![self.job(JobId(number)).await?],
            (None, Err(_)) => {
                // Says which names are near.
                self.account_named(what).await?;
                Vec::new()
            }
        };
        if jobs.is_empty() {
            let account = Escaped(what);
            let text = format!(
                "Nothing is queued for account {account}, and nothing ever was. `mailhaul run` for its wave queues the first copy."
            );
            return Ok(vec![Explained { job: None, text }]);
        }
        let scene = self.scene().await?;
        let mut explained = Vec::with_capacity(jobs.len());
        for job in jobs {
            let facts = self.facts(&job, &scene).await?;
            let text = explain(&facts, self.now_unix_ms(), scene.calendar.zone());
            explained.push(Explained { job: Some(job.id), text });
        }
        Ok(explained)
    }

    async fn scene(&self) -> Result<Scene, ServiceError> {
        let endpoints = self.queue.endpoints().await?;
        let running = JobFilter { states: vec!["running".to_owned()], superseded: true, ..JobFilter::default() };
        let running = self.queue.jobs(running).await?;
        let mut facts = Vec::with_capacity(endpoints.len());
        for row in &endpoints {
            let health = self.queue.host_health(&row.host).await?;
            let health = health.and_then(|json| serde_json::from_str::<HostHealth>(&json).ok()).unwrap_or_default();
            let tokens = |phase| {
                let of_phase = running.iter().filter(|job| job.phase == phase);
                let ends = of_phase.flat_map(|job| [job.source, job.target]).filter(|end| *end == row.id);
                u32::try_from(ends.count()).unwrap_or(u32::MAX)
            };
            facts.push(EndpointFacts {
                id: row.id,
                host: row.host.clone(),
                limits: row.limits.clone(),
                running_bulk: tokens(Phase::Bulk),
                running_resync: tokens(Phase::Resync),
                health,
            });
        }
        Ok(Scene {
            endpoints,
            admission: Admission::new(self.now_unix_ms(), facts),
            holds: self.queue.holds().await?,
            workers: u32::try_from(self.queue.workers().await?.len()).unwrap_or(u32::MAX),
            calendar: Calendar::of_this_machine(),
        })
    }

    async fn facts(&self, job: &JobRow, scene: &Scene) -> Result<JobFacts, ServiceError> {
        let place = match job.state {
            JobState::Queued => self.queue.place_in_line(job.id).await?.map(|place| place.before + 1),
            _ => None,
        };
        let siblings = JobFilter {
            account: Some(job.account),
            states: vec!["running".to_owned()],
            superseded: true,
            ..JobFilter::default()
        };
        let account_is_busy = self.queue.jobs(siblings).await?.iter().any(|sibling| sibling.id != job.id);
        let since_unix_ms = match job.state {
            JobState::Running => job.started_unix_ms,
            _ => job.finished_unix_ms,
        };
        Ok(JobFacts {
            what: format!("The {} of {} (job {})", deed(&job.kind), job.account_name, job.id),
            state: job.state.clone(),
            wanted: job.wanted.and_then(wanted),
            wait_before_pause: None,
            attempts_charged: job.attempts_charged,
            place,
            account_is_busy,
            obstacles: obstacles(job, scene),
            holds: scene.holds.iter().filter_map(|hold| hold_fact(hold, job)).collect(),
            doing: job.process.filter(|_| job.state == JobState::Running).map(|process| format!("process {process}")),
            since_unix_ms,
            last_words: Some(job.words.clone()).filter(|words| !words.is_empty()),
            workers: scene.workers,
            commands: commands(job, &scene.holds),
        })
    }
}

/// The jobs of an account that are worth a paragraph: those that are not over, or else the one that was over last.
fn telling(jobs: Vec<JobRow>) -> Vec<JobRow> {
    let (over, open): (Vec<JobRow>, Vec<JobRow>) = jobs.into_iter().partition(|job| job.state.is_terminal());
    if !open.is_empty() {
        return open;
    }
    over.into_iter().max_by_key(|job| (job.finished_unix_ms, job.id)).into_iter().collect()
}

fn deed(kind: &str) -> String {
    match kind {
        "preflight" => "preflight".to_owned(),
        "bulk" => "first copy".to_owned(),
        "resync" => "re-sync".to_owned(),
        "final" => "final pass".to_owned(),
        "verify" => "comparison".to_owned(),
        other => other.to_owned(),
    }
}

fn wanted(order: Order) -> Option<Wanted> {
    match order {
        Order::Pause => Some(Wanted::Pause),
        Order::Cancel => Some(Wanted::Cancel),
        Order::Yield { reason, until_unix_ms } => Some(Wanted::Yield { reason, until_unix_ms }),
        Order::Options => None,
    }
}

fn obstacles(job: &JobRow, scene: &Scene) -> Vec<Obstacle> {
    if job.state != JobState::Queued {
        return Vec::new();
    }
    let Err(refusal) = scene.admission.could_admit(job.source, job.target, job.phase) else { return Vec::new() };
    let row = scene.endpoints.iter().find(|row| row.id == refusal.endpoint);
    let (endpoint, host) = row.map(|row| (row.name.clone(), row.host.clone())).unwrap_or_default();
    vec![Obstacle { endpoint, host, reason: refusal.reason }]
}

fn hold_fact(hold: &HoldRow, job: &JobRow) -> Option<HoldFact> {
    let scope = match hold.subject {
        Subject::Everything => "everything".to_owned(),
        Subject::Endpoint(id) if id == job.source => format!("endpoint {}", job.source_name),
        Subject::Endpoint(id) if id == job.target => format!("endpoint {}", job.target_name),
        Subject::Wave(id) if id == job.wave => format!("wave {}", job.wave_name),
        Subject::Account(id) if id == job.account => format!("account {}", job.account_name),
        Subject::Job(id) if id == job.id => "this job".to_owned(),
        _ => return None,
    };
    Some(HoldFact { scope, who: hold.who.clone(), why: hold.why.clone(), since_unix_ms: hold.at_unix_ms })
}

fn commands(job: &JobRow, holds: &[HoldRow]) -> Commands {
    let (account, wave) = (Escaped(&job.account_name), Escaped(&job.wave_name));
    let hold = holds.iter().find(|hold| hold_fact(hold, job).is_some()).map(|hold| hold.subject);
    let resume = match hold {
        Some(Subject::Everything) => "mailhaul resume --all".to_owned(),
        Some(Subject::Endpoint(id)) => {
            let name = if id == job.source { &job.source_name } else { &job.target_name };
            format!("mailhaul resume --endpoint {}", Escaped(name))
        }
        Some(Subject::Wave(_)) => format!("mailhaul resume --wave {wave}"),
        Some(Subject::Account(_)) => format!("mailhaul resume --account {account}"),
        Some(Subject::Job(_)) | None => format!("mailhaul resume --job {}", job.id),
    };
    let retry = match job.state {
        _ if job.kind == JobKind::Preflight.word() => format!("mailhaul preflight --wave {wave}"),
        JobState::DoneWithExceptions => format!("mailhaul retry --account {account} --exceptions"),
        JobState::Waiting { reason: WaitReason::Credentials, .. } => {
            format!("{} && mailhaul retry --account {account}", mend_sign_in(job))
        }
        _ => format!("mailhaul retry --account {account}"),
    };
    Commands { run: format!("mailhaul run --wave {wave}"), resume, retry, limits: "mailhaul endpoint set".to_owned() }
}
