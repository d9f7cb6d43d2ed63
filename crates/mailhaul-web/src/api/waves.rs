//! Waves: what is in them, when what is done, preflight, work, report, and their end.

use super::Route;
use super::body::{AsPrinted, Json, PAGE_MAX, Page, Path, Query, change, page_size};
use super::shapes::{AccountNow, Wave};
use crate::app::Caller;
use crate::problem::Problem;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, patch, post};
use mailhaul_service::{Change, CopyChange, CopyOptions, JobKind, TableFilter, TableSort, WaveChange, WaveOrder};
use mailhaul_types::escape;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::read("/waves", "listWaves", "All waves.", get(list)).gives::<Waves>(),
        Route::read("/waves/{wave}", "showWave", "One wave.", get(show)).gives::<Wave>(),
        Route::change(
            "patch",
            "/waves/{wave}",
            "setWave",
            "Changes a wave: its schedule, its order, how mail is copied.",
            patch(set),
        )
        .takes::<WaveWish>()
        .gives::<Wave>(),
        Route::read(
            "/waves/{wave}/accounts",
            "waveTable",
            "Where the accounts of a wave stand: filtered, sorted, page by page.",
            get(table),
        )
        .query::<TableQuery>()
        .gives::<Table>(),
        Route::change(
            "post",
            "/waves/{wave}/run",
            "runWave",
            "Queues what a wave needs: without a kind, first copies that are missing and passes that are due.",
            post(run),
        )
        .takes::<RunWish>()
        .gives::<Queued>(),
        Route::read(
            "/waves/{wave}/preflight",
            "wavePreflight",
            "What the latest looks found, as `mailhaul preflight --show --json`.",
            get(preflight),
        )
        .gives::<AsPrinted>(),
        Route::read("/waves/{wave}/report", "waveReport", "What became of the mail.", get(report))
            .query::<ReportQuery>()
            .gives_other(&["application/json", "text/plain", "text/csv", "text/html"]),
        Route::change(
            "post",
            "/waves/{wave}/close",
            "closeWave",
            "Closes a wave: its passwords are wiped.",
            post(close),
        )
        .admin()
        .takes::<CloseWish>()
        .gives::<Closed>(),
    ]
}

/// All waves.
#[derive(Debug, Serialize, JsonSchema)]
struct Waves {
    items: Vec<Wave>,
}

async fn list(caller: Caller) -> Result<Json<Waves>, Problem> {
    let waves = caller.service.waves().await?;
    Ok(Json(Waves { items: waves.iter().map(Wave::from).collect() }))
}

async fn show(caller: Caller, Path(name): Path<String>) -> Result<Json<Wave>, Problem> {
    Ok(Json(Wave::from(&caller.service.wave(&name).await?)))
}

/// What is said about a wave. Absent: it stays; null: it goes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct WaveWish {
    /// Nothing begins before this: milliseconds since 1970.
    #[serde(deserialize_with = "change")]
    #[schemars(with = "Option<i64>")]
    start_after_unix_ms: Change<i64>,
    /// How long after the end of a pass the next one begins.
    #[serde(deserialize_with = "change")]
    #[schemars(with = "Option<u64>")]
    every_secs: Change<u64>,
    /// From when on the next pass is the final one: milliseconds since 1970.
    #[serde(deserialize_with = "change")]
    #[schemars(with = "Option<i64>")]
    complete_after_unix_ms: Change<i64>,
    /// `fifo`, `largest` or `smallest`.
    order: Option<String>,
    /// How mail is copied; what is absent stays.
    #[schemars(with = "Map<String, Value>")]
    copy: CopyOptions,
    /// Forgets what was said before about how mail is copied.
    inherit: bool,
}

async fn set(caller: Caller, Path(name): Path<String>, Json(wish): Json<WaveWish>) -> Result<Json<Wave>, Problem> {
    let order = match wish.order.as_deref() {
        Some(word) => Some(
            WaveOrder::from_word(word)
                .ok_or_else(|| Problem::bad(format!("`{}` is no order", escape(word)), "fifo, largest or smallest"))?,
        ),
        None => None,
    };
    let change = WaveChange {
        start_after_unix_ms: wish.start_after_unix_ms,
        every_secs: wish.every_secs,
        complete_after_unix_ms: wish.complete_after_unix_ms,
        order,
        copy: CopyChange { inherit: wish.inherit, say: wish.copy },
    };
    let view = caller.service.set_wave(&name, change).await?;
    caller.app.forget_tables().await;
    Ok(Json(Wave::from(&view)))
}

/// Which rows of a table.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct TableQuery {
    /// Part of a name, a login, or the words; capitals do not count.
    search: String,
    /// `waiting`, `running`, `done`, `attention`, `stopped` or `not_begun`.
    summary: String,
    /// A state, a reason or a class.
    state: String,
    /// `name`, `state`, `messages`, `size`, `progress`, `exceptions` or `moved`.
    sort: String,
    /// The other way round.
    descending: bool,
    /// After so many rows.
    offset: usize,
    /// So many on a page: 200 if nobody says, 5,000 at most.
    limit: Option<u32>,
}

/// A page of a table. What is sorted by something that changes has no place that stays: use `/accounts` to see each
/// account exactly once.
#[derive(Debug, Serialize, JsonSchema)]
struct Table {
    #[serde(flatten)]
    page: Page<AccountNow>,
    /// Rows that fit, on all pages.
    fitting: usize,
    /// Rows in all.
    all: usize,
    /// All rows by their one word.
    summaries: BTreeMap<&'static str, usize>,
}

async fn table(
    caller: Caller,
    Path(wave): Path<String>,
    Query(query): Query<TableQuery>,
) -> Result<Json<Table>, Problem> {
    let sort = match query.sort.as_str() {
        "" => TableSort::default(),
        word => TableSort::from_word(word).ok_or_else(|| {
            let words: Vec<&str> = TableSort::WORDS.iter().map(|(_, word)| *word).collect();
            Problem::bad(
                format!("`{}` is no order of this table", escape(word)),
                format!("one of {}", words.join(", ")),
            )
        })?,
    };
    let filter = TableFilter {
        search: query.search,
        standing: query.summary,
        state: query.state,
        sort,
        descending: query.descending,
        offset: query.offset,
        limit: usize::try_from(page_size(query.limit).min(PAGE_MAX)).unwrap_or(usize::MAX),
    };
    let page = caller.app.table(&wave).await?.page(&filter);
    let items = page.rows.iter().map(AccountNow::from).collect();
    let page_of = Page { items, next: None };
    Ok(Json(Table { page: page_of, fitting: page.fitting, all: page.all, summaries: page.standings }))
}

/// What is to be queued.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RunWish {
    /// `preflight`, `bulk`, `resync`, `final` or `verify`: a job of this kind for every account.
    kind: Option<String>,
}

/// What was queued.
#[derive(Debug, Serialize, JsonSchema)]
struct Queued {
    /// Accounts of the wave.
    accounts: u64,
    /// Jobs that are new in line.
    queued: u64,
}

async fn run(caller: Caller, Path(wave): Path<String>, Json(wish): Json<RunWish>) -> Result<Json<Queued>, Problem> {
    let kind = match wish.kind.as_deref() {
        Some(word) => Some(JobKind::from_word(word).ok_or_else(|| {
            Problem::bad(format!("`{}` is no kind of job", escape(word)), "preflight, bulk, resync, final or verify")
        })?),
        None => None,
    };
    let prepared = caller.service.prepare_run(&wave, kind).await?;
    caller.app.forget_tables().await;
    Ok(Json(Queued { accounts: prepared.accounts, queued: prepared.queued }))
}

async fn preflight(caller: Caller, Path(wave): Path<String>) -> Result<Json<AsPrinted>, Problem> {
    let view = caller.app.preflight(&wave).await?;
    let json = tokio::task::spawn_blocking(move || {
        let mut json = view.wave.to_json();
        json["missing"] = view.missing.into();
        json
    });
    Ok(Json(json.await.map_err(broken)?.into()))
}

/// In which form.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReportQuery {
    /// `json`, `text`, `csv` or `html`.
    format: Option<ReportFormat>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ReportFormat {
    Json,
    Text,
    Csv,
    Html,
}

async fn report(
    caller: Caller,
    Path(wave): Path<String>,
    Query(query): Query<ReportQuery>,
) -> Result<Response, Problem> {
    let _room = caller.app.room().await;
    let report = caller.service.wave_report(&wave, caller.app.made_by).await?;
    // A report of tens of thousands of accounts is megabytes of text, and others want to be answered meanwhile.
    let written = tokio::task::spawn_blocking(move || match query.format.unwrap_or(ReportFormat::Json) {
        ReportFormat::Json => ("application/json", report.to_json().to_string()),
        ReportFormat::Text => ("text/plain; charset=utf-8", report.to_text()),
        ReportFormat::Csv => ("text/csv; charset=utf-8", report.to_csv()),
        ReportFormat::Html => ("text/html; charset=utf-8", report.to_html()),
    });
    let (kind, text) = written.await.map_err(broken)?;
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// What was being made fell apart.
fn broken(error: tokio::task::JoinError) -> Problem {
    tracing::error!(%error, "an answer could not be made");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be made", "")
}

/// How.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct CloseWish {
    /// Cancels jobs that are still open first.
    force: bool,
}

/// What the closing did.
#[derive(Debug, Serialize, JsonSchema)]
struct Closed {
    cancelled: u64,
    /// Passwords that were wiped.
    wiped: u64,
    was_closed: bool,
}

async fn close(caller: Caller, Path(wave): Path<String>, Json(wish): Json<CloseWish>) -> Result<Json<Closed>, Problem> {
    let closed = caller.service.close_wave(&wave, wish.force).await?;
    caller.app.forget_tables().await;
    Ok(Json(Closed { cancelled: closed.cancelled, wiped: closed.wiped, was_closed: closed.was_closed }))
}
