//! Jobs, filtered and page by page.

use super::Route;
use super::body::{Json, Page, Query, from_cursor, page_size, to_cursor};
use super::shapes::Job;
use crate::app::Caller;
use crate::problem::Problem;
use axum::routing::get;
use mailhaul_service::{FailureClass, JobId, JobKind, JobQuery};
use mailhaul_types::escape;
use schemars::JsonSchema;
use serde::Deserialize;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::read("/jobs", "listJobs", "Jobs by account and number, page by page.", get(list))
            .query::<JobsQuery>()
            .gives::<Page<Job>>(),
    ]
}

/// Which jobs. What is absent does not matter.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct JobsQuery {
    wave: Option<String>,
    account: Option<String>,
    /// That use this endpoint.
    endpoint: Option<String>,
    /// States, or what a waiting job waits for, with commas.
    state: String,
    /// Kinds, with commas.
    kind: String,
    /// Only those that somebody has to look at.
    attention: bool,
    /// That failed in this way.
    class: Option<String>,
    /// Also those that a later one of their kind has followed.
    all: bool,
    /// `next` of the page before.
    after: Option<String>,
    /// So many on a page: 200 if nobody says, 5,000 at most.
    limit: Option<u32>,
}

async fn list(caller: Caller, Query(query): Query<JobsQuery>) -> Result<Json<Page<Job>>, Problem> {
    let words = |text: &str| -> Vec<String> {
        text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let kinds = words(&query.kind);
    if let Some(word) = kinds.iter().find(|word| JobKind::from_word(word).is_none()) {
        let hint = "preflight, bulk, resync, final or verify";
        return Err(Problem::bad(format!("`{}` is no kind of job", escape(word)), hint));
    }
    let after: Option<(String, i64)> = query.after.as_deref().map(from_cursor).transpose()?;
    let size = page_size(query.limit);
    let mut jobs = caller
        .service
        .jobs(&JobQuery {
            wave: query.wave,
            account: query.account,
            endpoint: query.endpoint,
            states: words(&query.state),
            kinds,
            failed: query.attention,
            class: query.class.as_deref().map(class).transpose()?,
            all: query.all,
            after: after.map(|(account, job)| (account, JobId(job))),
            // One more shows whether there is a next page.
            limit: Some(size + 1),
        })
        .await?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let is_more = jobs.len() > size;
    jobs.truncate(size);
    let next = jobs.last().filter(|_| is_more).map(|last| to_cursor(&(&last.account_name, last.id.0)));
    Ok(Json(Page { items: jobs.iter().map(Job::from).collect(), next }))
}

/// A class of failure by its word.
pub(super) fn class(word: &str) -> Result<FailureClass, Problem> {
    FailureClass::from_word(word).ok_or_else(|| {
        let words: Vec<&str> = FailureClass::ALL.iter().map(|class| class.word()).collect();
        Problem::bad(format!("`{}` is no class of failure", escape(word)), format!("one of {}", words.join(", ")))
    })
}
