//! Importing a list, or hearing what an import would make of each of its rows.

use super::Route;
use super::body::{Json, Query};
use crate::app::Caller;
use crate::flow;
use crate::problem::{Problem, RowFault};
use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::post;
use mailhaul_accounts::{Encoding, Format, LIST_BYTES_MAX, ReadOptions, Rename};
use mailhaul_service::{ImportFault, ImportReport, ImportRequest, RowVerdict};
use mailhaul_types::escape;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::change(
            "post",
            "/import",
            "importAccounts",
            "Checks a whole list, and stores it; with `dry_run` it only says what would become of each row. The body is the list.",
            post(import),
        )
        .query::<ImportQuery>()
        .takes_file()
        .gives::<ImportShape>(),
    ]
}

/// What holds for the whole list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ImportQuery {
    /// The wave of rows that name none; made if it is not there.
    pub(crate) wave: String,
    /// The source endpoint of rows that name none.
    pub(crate) from: String,
    /// The target endpoint of rows that name none.
    pub(crate) to: String,
    /// How target users are made: `{local}@new.example`.
    pub(crate) rename: String,
    /// `old.example=new.example`, several with commas.
    pub(crate) domain: String,
    /// Form of the list, where it does not speak for itself: `csv`, `tsv`, `semicolons`, `json`, `imapsync`,
    /// `name_password`.
    pub(crate) format: String,
    /// Encoding of the list, where it does not speak for itself: `utf8`, `latin1`, `utf16`.
    pub(crate) encoding: String,
    /// Leaves columns that are not known out of account.
    pub(crate) ignore_unknown: bool,
    /// Lets several accounts write into one target mailbox.
    pub(crate) merge: bool,
    /// Stores nothing.
    pub(crate) dry_run: bool,
}

/// What an import did, or would do.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ImportShape {
    pub(crate) dry_run: bool,
    pub(crate) accounts: usize,
    pub(crate) added: usize,
    pub(crate) changed: usize,
    pub(crate) unchanged: usize,
    /// Passwords that were sealed; 0 in a dry run.
    pub(crate) passwords: usize,
    /// Waves that were made, or would be.
    pub(crate) new_waves: Vec<String>,
    /// Jobs that were queued because the wave of new accounts is at work already.
    pub(crate) queued: u64,
    pub(crate) remarks: Vec<String>,
    /// Accounts that nobody can sign in for.
    pub(crate) without_password: Vec<WithoutPassword>,
    /// In a dry run: every row.
    pub(crate) rows: Vec<RowShape>,
}

/// An account that nobody can sign in for.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct WithoutPassword {
    pub(crate) account: String,
    /// `source` or `target`.
    pub(crate) side: String,
}

/// What would become of a row.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RowShape {
    pub(crate) line: u32,
    pub(crate) account: String,
    pub(crate) source_user: String,
    pub(crate) from: String,
    pub(crate) target_user: String,
    pub(crate) to: String,
    pub(crate) wave: String,
    /// `new`, `changed` or `unchanged`.
    pub(crate) verdict: &'static str,
    /// With `changed`: what is different, passwords apart.
    pub(crate) changes: Vec<&'static str>,
}

impl From<ImportReport> for ImportShape {
    fn from(report: ImportReport) -> Self {
        let without = report.without_password.iter();
        let rows = report.rows.iter().map(|row| {
            let (verdict, changes) = match &row.verdict {
                RowVerdict::New => ("new", Vec::new()),
                RowVerdict::Changed(what) => ("changed", what.clone()),
                RowVerdict::Unchanged => ("unchanged", Vec::new()),
            };
            RowShape {
                line: row.line,
                account: escape(&row.account),
                source_user: escape(&row.source.0),
                from: escape(&row.source.1),
                target_user: escape(&row.target.0),
                to: escape(&row.target.1),
                wave: escape(&row.wave),
                verdict,
                changes,
            }
        });
        Self {
            dry_run: report.dry_run,
            accounts: report.accounts,
            added: report.added,
            changed: report.changed.len(),
            unchanged: report.unchanged,
            passwords: report.passwords,
            new_waves: report.new_waves.iter().map(|wave| escape(wave)).collect(),
            queued: report.queued,
            remarks: report.remarks.iter().map(|remark| escape(remark)).collect(),
            without_password: without
                .map(|(account, side)| WithoutPassword { account: escape(account), side: side.to_string() })
                .collect(),
            rows: rows.collect(),
        }
    }
}

async fn import(caller: Caller, Query(query): Query<ImportQuery>, body: Body) -> Result<Json<ImportShape>, Problem> {
    let request = request(query, flow::read(body, LIST_BYTES_MAX).await?)?;
    let is_dry = request.dry_run;
    let report = caller.service.import(request).await.map_err(refused)?;
    if !is_dry {
        caller.app.forget_tables().await;
    }
    Ok(Json(report.into()))
}

fn request(query: ImportQuery, octets: Vec<u8>) -> Result<ImportRequest, Problem> {
    let said = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let domains: Vec<&str> = query.domain.split(',').map(str::trim).filter(|rule| !rule.is_empty()).collect();
    let pattern = said(query.rename);
    let rename = Rename::new(pattern.as_deref(), &domains)
        .map_err(|error| Problem::bad(escape(&error.to_string()), "for example {local}@new.example"))?;
    Ok(ImportRequest {
        octets,
        read: ReadOptions {
            format: word(&query.format, &FORMATS, "a form of lists")?,
            encoding: word(&query.encoding, &ENCODINGS, "an encoding")?,
            ignore_unknown: query.ignore_unknown,
        },
        wave: said(query.wave),
        from: said(query.from),
        to: said(query.to),
        rename,
        merge: query.merge,
        dry_run: query.dry_run,
    })
}

const FORMATS: [(&str, Format); 6] = [
    ("csv", Format::Csv),
    ("tsv", Format::Tsv),
    ("semicolons", Format::Semicolons),
    ("json", Format::Json),
    ("imapsync", Format::Imapsync),
    ("name_password", Format::NamePassword),
];
const ENCODINGS: [(&str, Encoding); 3] =
    [("utf8", Encoding::Utf8), ("latin1", Encoding::Latin1), ("utf16", Encoding::Utf16)];

fn word<T: Copy>(said: &str, known: &[(&str, T)], what: &str) -> Result<Option<T>, Problem> {
    if said.is_empty() {
        return Ok(None);
    }
    let found = known.iter().find(|(word, _)| *word == said).map(|(_, value)| *value);
    found.map(Some).ok_or_else(|| {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        Problem::bad(format!("`{}` is not {what}", escape(said)), format!("one of {}", words.join(", ")))
    })
}

/// Why a list is refused: all of its faults, each with its line.
fn refused(fault: ImportFault) -> Problem {
    let mut problem = Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "the list cannot be imported as it is; nothing was stored",
        "mend the rows that are named, and try again",
    );
    match fault {
        ImportFault::Service(error) => return error.into(),
        ImportFault::List(errors) => {
            problem.faults.extend(
                errors
                    .faults
                    .iter()
                    .map(|fault| RowFault { line: fault.line, words: escape(&fault.problem.to_string()) }),
            );
            if errors.more > 0 {
                problem.faults.push(RowFault { line: None, words: format!("and {} more", errors.more) });
            }
        }
        ImportFault::Names(names) => {
            problem.faults.extend(names.iter().map(|words| row_fault(words)));
        }
    }
    problem
}

/// `line 7: there is no endpoint` in its two parts.
fn row_fault(words: &str) -> RowFault {
    let parts = words.strip_prefix("line ").and_then(|rest| rest.split_once(": "));
    match parts.and_then(|(line, rest)| Some((line.parse().ok()?, rest))) {
        Some((line, rest)) => RowFault { line: Some(line), words: escape(rest) },
        None => RowFault { line: None, words: escape(words) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_names_keeps_its_line() {
        let fault = row_fault("line 7: there is no endpoint `x`");
        assert_eq!((fault.line, fault.words.as_str()), (Some(7), "there is no endpoint `x`"));
        assert_eq!(row_fault("line 7 and 3 more: wave `x` is closed").line, None);
    }

    #[test]
    fn words_that_are_none_are_refused_with_those_that_are() {
        let query = ImportQuery { format: "xls".to_owned(), ..ImportQuery::default() };
        let problem = request(query, Vec::new()).expect_err("no such form");
        assert!(problem.hint.contains("semicolons"), "{}", problem.hint);
    }
}
