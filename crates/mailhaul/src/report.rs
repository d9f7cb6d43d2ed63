//! `mailhaul report`: what the state file knows about earlier copies.

use crate::cli::ReportArgs;
use crate::exit::{CommandError, Exit};
use crate::{output, setup};
use mailhaul_db::{Ledger, MailboxReport, OpenOptions, PairReport, PassCounts, RunReport};
use mailhaul_report::number_for_people;
use mailhaul_types::{Escaped, InternalDate, escape};
use serde_json::{Value, json};
use std::fmt::Write;

/// Runs the command to its exit code. It reports; what it reports does not change the code.
pub(crate) async fn run(args: &ReportArgs) -> Result<Exit, CommandError> {
    let state = setup::state_file(args.state.as_deref())?;
    let ledger = Ledger::open_read_only(&state, OpenOptions::default()).await;
    let ledger = ledger.map_err(|error| setup::ledger_error(&error))?;
    let pairs = ledger.read_report().await.map_err(|error| setup::ledger_error(&error))?;
    output::data(&if args.json { output::json(&to_json(&pairs)) } else { to_text(&pairs) })?;
    Ok(Exit::Done)
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
                "mailboxes": pair.mailboxes.iter().map(mailbox_json).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({ "schema": 1, "pairs": pairs })
}

fn mailbox_json(mailbox: &MailboxReport) -> Value {
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

fn to_text(pairs: &[PairReport]) -> String {
    let mut out = String::new();
    if pairs.is_empty() {
        out.push_str("nothing has been copied with this state file yet\n");
    }
    for pair in pairs {
        let _ = writeln!(out, "{}", pair.identity);
        for mailbox in &pair.mailboxes {
            describe_mailbox(&mut out, mailbox);
        }
        describe_run(&mut out, &pair.run);
    }
    out
}

fn describe_run(out: &mut String, run: &RunReport) {
    let at = |secs| InternalDate::from_unix_secs(secs).to_string();
    let started = at(run.started_unix_secs);
    let _ = match (run.finished_unix_secs, run.verdict) {
        (Some(end), Some(verdict)) => writeln!(out, "  last run: {} from {started} to {}", verdict.as_str(), at(end)),
        _ => writeln!(out, "  last run: began {started} and is running or was killed"),
    };
    if !run.detail.is_empty() {
        let _ = writeln!(out, "  {}", run.detail);
    }
}

fn describe_mailbox(out: &mut String, mailbox: &MailboxReport) {
    let number = number_for_people;
    let settled = &mailbox.settled;
    let adopted = settled.adopted + settled.adopted_altered;
    let _ = write!(
        out,
        "  {}  ->  {}: {} copied, {} adopted",
        Escaped(&mailbox.mapping.source),
        Escaped(&mailbox.mapping.target),
        number(settled.copied),
        number(adopted),
    );
    if let Some((counts, _)) = &mailbox.last_pass {
        let _ = write!(out, "; {} at the source in the last pass", number(counts.source));
        for (count, word) in [
            (counts.skipped, "skipped"),
            (counts.refused, "refused"),
            (counts.unreadable, "unreadable"),
            (counts.remaining, "remaining"),
        ] {
            if count > 0 {
                let _ = write!(out, ", {} {word}", number(count));
            }
        }
    }
    if mailbox.sent.is_some() {
        out.push_str("; something may be in flight: the next run looks for it first");
    }
    out.push('\n');
    for stored in &mailbox.exceptions {
        let uid = stored.exception.uid.map(|uid| format!(" uid {uid}")).unwrap_or_default();
        let reason = escape(&stored.exception.reason);
        let _ = writeln!(out, "    {}{uid}: {reason}", stored.exception.state.as_str());
    }
    for remark in &mailbox.remarks {
        let _ = writeln!(out, "    remark: {}", Escaped(&remark.text));
    }
}
