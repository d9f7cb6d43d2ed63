//! Pause, resume, cancel, retry: for one, for many, for all.

use super::Route;
use super::body::Json;
use super::jobs::class;
use super::shapes::Hold;
use crate::app::Caller;
use crate::problem::Problem;
use axum::routing::post;
use mailhaul_service::{Controlled, JobId, Retry, Whom};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::change(
            "post",
            "/pause",
            "pause",
            "Pauses, also what is queued later. What is in flight is finished first.",
            post(pause),
        )
        .takes::<Wish>()
        .gives::<Told>(),
        Route::change("post", "/resume", "resume", "Takes a pause back.", post(resume)).takes::<Wish>().gives::<Told>(),
        Route::change(
            "post",
            "/cancel",
            "cancel",
            "Ends jobs that are not over. What was copied stays copied.",
            post(cancel),
        )
        .takes::<Wish>()
        .gives::<Told>(),
        Route::change("post", "/retry", "retry", "Gives jobs another try, and leaves all others alone.", post(retry))
            .takes::<RetryWish>()
            .gives::<Retried>(),
    ]
}

/// What is meant: exactly one of these.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Wish {
    job: Option<i64>,
    account: Option<String>,
    accounts: Vec<String>,
    wave: Option<String>,
    endpoint: Option<String>,
    /// Everything there is.
    all: bool,
    /// Why; stands in the event log.
    reason: String,
}

impl Wish {
    fn whom(&self) -> Result<Whom, Problem> {
        let mut said = Vec::new();
        said.extend(self.job.map(|id| Whom::Job(JobId(id))));
        said.extend(self.account.clone().map(Whom::Account));
        if !self.accounts.is_empty() {
            said.push(Whom::Accounts(self.accounts.clone()));
        }
        said.extend(self.wave.clone().map(Whom::Wave));
        said.extend(self.endpoint.clone().map(Whom::Endpoint));
        if self.all {
            said.push(Whom::Everything);
        }
        match (said.pop(), said.is_empty()) {
            (Some(whom), true) => Ok(whom),
            // Nobody who named nothing means everything.
            _ => Err(Problem::bad(
                "it is not said what is meant, or more than one thing is",
                "name one of job, account, accounts, wave, endpoint, or say `\"all\": true`",
            )),
        }
    }
}

/// What it did.
#[derive(Debug, Serialize, JsonSchema)]
struct Told {
    /// Jobs that it concerned.
    jobs: u64,
    /// Processes that heard it at once.
    heard: usize,
    /// Pauses that stand now.
    holds: Vec<Hold>,
}

impl From<Controlled> for Told {
    fn from(done: Controlled) -> Self {
        Self { jobs: done.jobs, heard: done.heard, holds: done.holds.iter().map(Hold::from).collect() }
    }
}

async fn pause(caller: Caller, Json(wish): Json<Wish>) -> Result<Json<Told>, Problem> {
    let done = caller.service.pause(&wish.whom()?, &wish.reason).await?;
    caller.app.forget_tables().await;
    Ok(Json(done.into()))
}

async fn resume(caller: Caller, Json(wish): Json<Wish>) -> Result<Json<Told>, Problem> {
    let done = caller.service.resume(&wish.whom()?).await?;
    caller.app.forget_tables().await;
    Ok(Json(done.into()))
}

async fn cancel(caller: Caller, Json(wish): Json<Wish>) -> Result<Json<Told>, Problem> {
    let done = caller.service.cancel(&wish.whom()?, &wish.reason).await?;
    caller.app.forget_tables().await;
    Ok(Json(done.into()))
}

/// What gets another try.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RetryWish {
    /// Only in this wave.
    wave: Option<String>,
    /// Only this account; all of it is meant.
    account: Option<String>,
    /// Only these accounts.
    accounts: Vec<String>,
    /// What failed, and what waits for somebody.
    failed: bool,
    /// What failed, or waits, because of this class of trouble.
    class: Option<String>,
    /// Messages that were set aside.
    exceptions: bool,
    /// Messages that were set aside in these source mailboxes.
    mailboxes: Vec<String>,
}

/// What a retry did.
#[derive(Debug, Serialize, JsonSchema)]
struct Retried {
    /// Jobs that are in line again.
    jobs: u64,
    /// Jobs that were queued to try exceptions again.
    exceptions: u64,
    /// Processes that heard it at once.
    heard: usize,
}

async fn retry(caller: Caller, Json(wish): Json<RetryWish>) -> Result<Json<Retried>, Problem> {
    let retry = Retry {
        wave: wish.wave,
        account: wish.account,
        accounts: wish.accounts,
        failed: wish.failed,
        class: wish.class.as_deref().map(class).transpose()?,
        exceptions: wish.exceptions,
        mailboxes: wish.mailboxes,
    };
    let done = caller.service.retry(&retry).await?;
    caller.app.forget_tables().await;
    Ok(Json(Retried { jobs: done.jobs, exceptions: done.exceptions, heard: done.heard }))
}
