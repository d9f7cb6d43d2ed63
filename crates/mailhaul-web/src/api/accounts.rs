//! Accounts one by one.

use super::body::{AsPrinted, Done, Json, Page, Path, Query, Sealed, from_cursor, page_size, to_cursor};
use super::endpoints::{Probes, probe_of};
use super::shapes::{Account, Attempt, Explanation, Job, LogLine};
use super::{Route, shapes};
use crate::app::Caller;
use crate::problem::Problem;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, patch, post};
use mailhaul_service::{AccountChange, CopyChange, CopyOptions, Explained, JobId, Priority};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::read("/accounts", "listAccounts", "Accounts by name, page by page.", get(list))
            .query::<AccountsQuery>()
            .gives::<Page<Account>>(),
        Route::read(
            "/export",
            "exportAccounts",
            "Accounts as a list that can be imported again, without passwords.",
            get(export),
        )
        .query::<ExportQuery>()
        .gives_other(&["text/csv", "application/json"]),
        Route::read("/accounts/{account}", "showAccount", "Everything about an account but its passwords.", get(show))
            .gives::<AccountDetails>(),
        Route::change("patch", "/accounts/{account}", "setAccount", "Changes an account.", patch(set))
            .takes::<AccountWish>()
            .gives::<AccountDetails>(),
        Route::change(
            "delete",
            "/accounts/{account}",
            "removeAccount",
            "Removes an account with its jobs, passwords and events. What was copied, and the memory of it, stays.",
            delete(remove),
        )
        // Its events go with it, and they say who did what.
        .admin()
        .gives::<Done>(),
        Route::read("/accounts/{account}/log", "accountLog", "What happened to an account, the latest last.", get(log))
            .query::<LogQuery>()
            .gives::<Log>(),
        Route::read(
            "/accounts/{account}/explain",
            "explainAccount",
            "Why it is not running, or what it does.",
            get(explain),
        )
        .gives::<Explanations>(),
        Route::change(
            "post",
            "/accounts/{account}/probe",
            "probeAccount",
            "Signs in to both servers as this account, and says what they can do. Writes nothing.",
            post(probe),
        )
        .gives::<Probes>(),
        Route::read("/jobs/{job}", "showJob", "One job, with its attempts.", get(show_job)).gives::<JobDetails>(),
        Route::read("/jobs/{job}/explain", "explainJob", "Why it is not running, or what it does.", get(explain_job))
            .gives::<Explanations>(),
    ]
}

/// Which accounts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AccountsQuery {
    /// Only those of this wave.
    wave: Option<String>,
    /// Only those whose name fits; `*` and `?` stand for anything and for one character.
    name: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// So many on a page: 200 if nobody says, 5,000 at most.
    limit: Option<u32>,
}

async fn list(caller: Caller, Query(query): Query<AccountsQuery>) -> Result<Json<Page<Account>>, Problem> {
    let after: Option<String> = query.after.as_deref().map(from_cursor).transpose()?;
    let size = page_size(query.limit);
    let (rows, has_more) = caller.service.accounts_page(query.wave.as_deref(), query.name, after, size).await?;
    let next = rows.last().filter(|_| has_more).map(|last| to_cursor(&last.name));
    Ok(Json(Page { items: rows.iter().map(Account::from).collect(), next }))
}

/// Which accounts, in which form.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExportQuery {
    /// Only those of this wave.
    wave: Option<String>,
    /// `csv` or `json`.
    format: Option<ExportFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ExportFormat {
    Csv,
    Json,
}

async fn export(caller: Caller, Query(query): Query<ExportQuery>) -> Result<Response, Problem> {
    let as_json = query.format == Some(ExportFormat::Json);
    let _room = caller.app.room().await;
    let text = caller.service.export_accounts(query.wave.as_deref(), as_json).await?;
    let (kind, file) = match as_json {
        true => ("application/json", "attachment; filename=\"accounts.json\""),
        false => ("text/csv; charset=utf-8", "attachment; filename=\"accounts.csv\""),
    };
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, file)], text).into_response())
}

/// An account with what belongs to it.
#[derive(Debug, Serialize, JsonSchema)]
struct AccountDetails {
    #[serde(flatten)]
    account: Account,
    /// Its own options; what they do not say, its wave and endpoints do.
    options: Map<String, Value>,
    /// Whether its passwords are stored: `source`, `target`.
    passwords: Passwords,
    /// Its jobs, the latest of each kind.
    jobs: Vec<Job>,
    /// What the ledger knows of its mailboxes.
    mailboxes: Vec<Mailbox>,
}

/// Which passwords are stored. What they are is never shown.
#[derive(Debug, Serialize, JsonSchema)]
struct Passwords {
    source: bool,
    target: bool,
}

/// A mailbox of an account, as the report has it.
#[derive(Debug, Serialize, JsonSchema)]
struct Mailbox {
    source: String,
    target: Option<String>,
    /// Messages by what became of them.
    messages: AsPrinted,
}

async fn details(caller: &Caller, name: &str) -> Result<Json<AccountDetails>, Problem> {
    let view = caller.service.account(name).await?;
    let line = caller.service.account_line(name).await?;
    let mailboxes = line.mailboxes.iter().map(|mailbox| Mailbox {
        source: mailhaul_types::escape(&mailbox.source),
        target: mailbox.target.as_deref().map(mailhaul_types::escape),
        messages: AsPrinted(shapes::object(&mailbox.messages)),
    });
    Ok(Json(AccountDetails {
        account: Account::from(&view.row),
        options: shapes::object(&view.options),
        passwords: Passwords { source: view.passwords.source, target: view.passwords.target },
        jobs: view.jobs.iter().map(Job::from).collect(),
        mailboxes: mailboxes.collect(),
    }))
}

async fn show(caller: Caller, Path(name): Path<String>) -> Result<Json<AccountDetails>, Problem> {
    details(&caller, &name).await
}

/// What is said about an account. What is absent stays.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct AccountWish {
    source_user: Option<String>,
    target_user: Option<String>,
    /// The source endpoint.
    from: Option<String>,
    /// The target endpoint.
    to: Option<String>,
    wave: Option<String>,
    /// 0 to 9, 9 first.
    priority: Option<u8>,
    /// The password at the source. It is sealed, and never shown.
    #[schemars(with = "Option<String>")]
    source_password: Option<Sealed>,
    /// The password at the target.
    #[schemars(with = "Option<String>")]
    target_password: Option<Sealed>,
    /// How its mail is copied; what is absent stays.
    #[schemars(with = "Map<String, Value>")]
    copy: CopyOptions,
    /// Forgets what was said before about how its mail is copied.
    inherit: bool,
}

async fn set(
    caller: Caller,
    Path(name): Path<String>,
    Json(wish): Json<AccountWish>,
) -> Result<Json<AccountDetails>, Problem> {
    let priority = match wish.priority {
        Some(number) => {
            Some(Priority::new(number).ok_or_else(|| Problem::bad("a priority is 0 to 9", "9 goes first"))?)
        }
        None => None,
    };
    let change = AccountChange {
        source_user: wish.source_user,
        target_user: wish.target_user,
        from: wish.from,
        to: wish.to,
        wave: wish.wave,
        priority,
        source_password: wish.source_password.map(|sealed| sealed.0),
        target_password: wish.target_password.map(|sealed| sealed.0),
        copy: CopyChange { inherit: wish.inherit, say: wish.copy },
    };
    caller.service.set_account(&name, change).await?;
    caller.app.forget_tables().await;
    details(&caller, &name).await
}

async fn remove(caller: Caller, Path(name): Path<String>) -> Result<Json<Done>, Problem> {
    caller.service.remove_account(&name).await?;
    caller.app.forget_tables().await;
    Ok(Done::json())
}

/// How much.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LogQuery {
    /// The latest so many entries.
    limit: Option<u32>,
}

/// What happened to an account.
#[derive(Debug, Serialize, JsonSchema)]
struct Log {
    items: Vec<LogLine>,
}

async fn log(caller: Caller, Path(name): Path<String>, Query(query): Query<LogQuery>) -> Result<Json<Log>, Problem> {
    let entries = caller.service.log(&name, page_size(query.limit)).await?;
    Ok(Json(Log { items: entries.iter().map(LogLine::from).collect() }))
}

/// Paragraphs.
#[derive(Debug, Serialize, JsonSchema)]
struct Explanations {
    items: Vec<Explanation>,
}

async fn explain(caller: Caller, Path(name): Path<String>) -> Result<Json<Explanations>, Problem> {
    // A name that is a number is a name here.
    caller.service.account(&name).await?;
    explained(&caller, &name).await
}

async fn explain_job(caller: Caller, Path(id): Path<i64>) -> Result<Json<Explanations>, Problem> {
    let explained = caller.service.explain_job(JobId(id)).await?;
    Ok(told(explained))
}

async fn explained(caller: &Caller, what: &str) -> Result<Json<Explanations>, Problem> {
    Ok(told(caller.service.explain(what).await?))
}

fn told(explained: Vec<Explained>) -> Json<Explanations> {
    let items = explained.into_iter().map(|one| Explanation { job: one.job.map(|job| job.0), text: one.text });
    Json(Explanations { items: items.collect() })
}

async fn probe(caller: Caller, Path(name): Path<String>) -> Result<Json<Probes>, Problem> {
    probe_of(&caller, None, Some(&name)).await
}

/// One job with its attempts.
#[derive(Debug, Serialize, JsonSchema)]
struct JobDetails {
    #[serde(flatten)]
    job: Job,
    /// What it was told beside its kind.
    payload: Value,
    attempts_made: Vec<Attempt>,
}

async fn show_job(caller: Caller, Path(id): Path<i64>) -> Result<Json<JobDetails>, Problem> {
    let job = caller.service.job(JobId(id)).await?;
    let attempts = caller.service.attempts(job.id).await?;
    Ok(Json(JobDetails {
        job: Job::from(&job),
        payload: serde_json::from_str(&job.payload).unwrap_or_else(|_| json!({})),
        attempts_made: attempts.iter().map(Attempt::from).collect(),
    }))
}
