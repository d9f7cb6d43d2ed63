//! `mailhaul report`: what the state file knows about earlier copies.

use crate::cli::{ReportArgs, ReportForm, StoreArgs};
use crate::exit::{CommandError, Exit};
use crate::report_text::to_text;
use crate::{output, setup, store};
use mailhaul_db::{Ledger, MailboxReport, OpenOptions, PairReport, PassCounts};
use mailhaul_types::escape;
use serde_json::{Value, json};
use std::io::Write as _;

/// What made a report.
const MADE_BY: &str = concat!("mailhaul ", env!("CARGO_PKG_VERSION"));

/// Runs the command to its exit code. It reports; what it reports does not change the code.
pub(crate) async fn run(args: &ReportArgs, at: &StoreArgs) -> Result<Exit, CommandError> {
    let text = match &args.wave {
        Some(wave) => of_wave(wave, args, at).await?,
        None => of_everything(args, at).await?,
    };
    match &args.output {
        Some(path) => {
            store::write_private(path, &text)?;
            let _ = writeln!(std::io::stderr(), "report written to {}", path.display());
        }
        None => output::data(&text)?,
    }
    Ok(Exit::Done)
}

async fn of_wave(wave: &str, args: &ReportArgs, at: &StoreArgs) -> Result<String, CommandError> {
    let report = store::open_to_look(at).await?.wave_report(wave, MADE_BY).await?;
    let usual = if args.json { ReportForm::Json } else { ReportForm::Text };
    Ok(match args.format.unwrap_or(usual) {
        ReportForm::Text => report.to_text(),
        ReportForm::Json => output::json(&report.to_json()),
        ReportForm::Csv => report.to_csv(),
        ReportForm::Html => report.to_html(),
    })
}

async fn of_everything(args: &ReportArgs, at: &StoreArgs) -> Result<String, CommandError> {
    let state = setup::state_file(at.state.as_deref())?;
    let ledger = Ledger::open_read_only(&state, OpenOptions::default()).await;
    let ledger = ledger.map_err(|error| setup::ledger_error(&error))?;
    let mut pairs = ledger.read_report().await.map_err(|error| setup::ledger_error(&error))?;
    // By name, so that one account is found among many; the ledger has them as they were begun.
    pairs.sort_by_key(|pair| (pair.identity.source.to_string(), pair.identity.target.to_string()));
    Ok(if args.json { output::json(&to_json(&pairs)) } else { to_text(&pairs) })
}

fn to_json(pairs: &[PairReport]) -> Value {
    let pairs: Vec<Value> = pairs
        .iter()
        .map(|pair| {
            json!({
                "source": escape(&pair.identity.source.to_string()),
                "target": escape(&pair.identity.target.to_string()),
                "last_run": {
                    "started_unix_secs": pair.run.started_unix_secs,
                    "finished_unix_secs": pair.run.finished_unix_secs,
                    "verdict": pair.run.verdict.map(mailhaul_db::RunVerdict::as_str),
                    "detail": pair.run.detail,
                },
                "remarks": pair.remarks.iter().map(|remark| escape(&remark.text)).collect::<Vec<_>>(),
                "mailboxes": pair.mailboxes.iter().map(|mailbox| mailbox_json(pair, mailbox)).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({ "schema": 1, "pairs": pairs })
}

fn mailbox_json(pair: &PairReport, mailbox: &MailboxReport) -> Value {
    let exceptions: Vec<Value> = mailbox
        .exceptions
        .iter()
        .map(|stored| {
            json!({
                "uid": stored.exception.uid.map(|uid| uid.0),
                "state": stored.exception.state.as_str(),
                "reason": escape(&stored.exception.reason),
                "at_unix_secs": stored.at_unix_secs,
            })
        })
        .collect();
    json!({
        "source": escape(&mailbox.mapping.source),
        "target": escape(&mailbox.mapping.target),
        "settled": {
            "copied": mailbox.settled.copied,
            "adopted": mailbox.settled.adopted + mailbox.settled.adopted_altered,
        },
        "left_source_since": pair.left_since(mailbox),
        "not_at_source": mailbox.is_gone(),
        "may_be_in_flight": mailbox.sent.map(|range| range.to_string()),
        "last_pass": mailbox.last_pass.as_ref().map(|(counts, at)| pass_json(counts, *at)),
        "exceptions": exceptions,
        "remarks": mailbox.remarks.iter().map(|remark| escape(&remark.text)).collect::<Vec<_>>(),
    })
}

fn pass_json(counts: &PassCounts, at: i64) -> Value {
    json!({
        "at_unix_secs": at,
        "source": counts.source, "already": counts.already, "copied": counts.copied, "adopted": counts.adopted,
        "skipped": counts.skipped, "refused": counts.refused, "gone": counts.gone,
        "unreadable": counts.unreadable, "remaining": counts.remaining, "bytes": counts.bytes,
    })
}
