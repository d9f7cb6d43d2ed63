//! Jobs, chosen by what an operator says.

use crate::error::ServiceError;
use crate::service::Service;
use mailhaul_db::queue::{JobFilter, JobRow};
use mailhaul_queue::{FailureClass, JobId, JobState, WaitReason};
use mailhaul_types::Escaped;

/// Which jobs are wanted. What is empty does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobQuery {
    /// Of this wave.
    pub wave: Option<String>,
    /// Of this account.
    pub account: Option<String>,
    /// That use this endpoint.
    pub endpoint: Option<String>,
    /// In these states: their words, or what a waiting job waits for.
    pub states: Vec<String>,
    /// Of these kinds.
    pub kinds: Vec<String>,
    /// That somebody has to look at.
    pub failed: bool,
    /// That failed in this way.
    pub class: Option<FailureClass>,
    /// Also those that a later one of their kind has followed.
    pub all: bool,
    /// Only what comes after this account's name and this job, in the order of the list.
    pub after: Option<(String, JobId)>,
    /// At most so many.
    pub limit: Option<u32>,
}

impl Service {
    /// Jobs, by account and number.
    ///
    /// # Errors
    /// If there is no such wave, account or endpoint, or no such state.
    pub async fn jobs(&self, query: &JobQuery) -> Result<Vec<JobRow>, ServiceError> {
        let mut filter = JobFilter {
            kinds: query.kinds.clone(),
            needs_attention: query.failed,
            failure_class: query.class,
            superseded: query.all,
            after: query.after.clone(),
            limit: query.limit,
            ..JobFilter::default()
        };
        for word in &query.states {
            match WaitReason::from_word(word) {
                Some(reason) => {
                    filter.wait_reason = Some(reason);
                    filter.states.push("waiting".to_owned());
                }
                None => filter.states.push(state_word(word)?),
            }
        }
        if let Some(name) = &query.wave {
            filter.wave = Some(self.wave_named(name).await?.id);
        }
        if let Some(name) = &query.account {
            filter.account = Some(self.account_named(name).await?.id);
        }
        if let Some(name) = &query.endpoint {
            filter.endpoint = Some(self.endpoint_named(name).await?.id);
        }
        Ok(self.queue.jobs(filter).await?)
    }

    /// One job.
    ///
    /// # Errors
    /// If there is no such job.
    pub async fn job(&self, id: JobId) -> Result<JobRow, ServiceError> {
        let row = self.queue.find_job(id).await?;
        row.ok_or_else(|| ServiceError::unknown(format!("there is no job {id}"), "`mailhaul jobs` shows what there is"))
    }
}

fn state_word(word: &str) -> Result<String, ServiceError> {
    let normal = word.to_lowercase().replace(['-', ' '], "_");
    if JobState::WORDS.contains(&normal.as_str()) {
        return Ok(normal);
    }
    let reasons: Vec<&str> = WaitReason::ALL.iter().map(|reason| reason.word()).collect();
    Err(ServiceError::usage(
        format!("`{}` is no state of a job", Escaped(word)),
        format!("the states are {}; what a job can wait for: {}", JobState::WORDS.join(", "), reasons.join(", ")),
    ))
}
