//! `mailhaul ledger rebuild`: damaged rows of one account are put aside, and what they said is found out anew.

use crate::cli::RebuildArgs;
use crate::display::Display;
use crate::exit::{CommandError, Exit};
use crate::{output, setup};
use jiff::Timestamp;
use mailhaul_copy::{CopyJob, Oversight, Progress, RetryExceptions, StopSwitch, copy_account, stop_of_ledger};
use mailhaul_db::{Ledger, OpenOptions, SetAside, set_damage_aside};
use mailhaul_plan::policy::ResyncPolicy;
use mailhaul_report::{ExceptionState, RunReport, count_of, number_for_people};
use mailhaul_types::{Escaped, escape};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

/// Runs the command to its exit code.
pub(super) async fn run(args: &RebuildArgs, state: &Path) -> Result<Exit, CommandError> {
    let job = job(args)?;
    let (switch, stop) = StopSwitch::new();
    crate::signals::stop_on_signal(move || switch.request())?;
    let options = OpenOptions::default();
    let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let aside = set_damage_aside(state, &job.accounts.identity(), &stamp, options.clone()).await;
    let aside = aside.map_err(|error| setup::ledger_error(&error))?;
    let ledger = Ledger::open(state, options).await.map_err(|error| setup::ledger_error(&error))?;
    let progress = Arc::new(Progress::default());
    let display = Display::start(Arc::clone(&progress));
    let mut report = copy_account(&job, &ledger, &Oversight::none(&progress, &stop)).await;
    display.end();
    if let (Err(error), None) = (ledger.close().await, &report.stop) {
        report.stop = Some(stop_of_ledger(&error));
    }
    let text = if args.json.json { output::json(&to_json(&aside, &report)) } else { to_text(&aside, &report) };
    output::data(&text)?;
    Ok(exit_of(&report))
}

fn job(args: &RebuildArgs) -> Result<CopyJob, CommandError> {
    Ok(CopyJob {
        rules: setup::rules(&args.selection)?,
        selection: setup::selection(&args.selection)?,
        resync: ResyncPolicy { switched: args.switched, ..ResyncPolicy::default() },
        accounts: setup::accounts(&args.endpoints)?,
        retry_exceptions: RetryExceptions::Nowhere,
        remap: args.remap,
        accept_target_change: args.accept_target_change,
        accept_mass_absence: args.accept_mass_absence,
        copy_deleted_flag: false,
        connections: mailhaul_copy::Connections::ONE,
        batches: mailhaul_plan::batches::BatchLimits::default(),
        recognise_only: true,
    })
}

/// What is missing on the target is work for the next run and no trouble of this one.
fn exit_of(report: &RunReport) -> Exit {
    let failed = |state: ExceptionState| !matches!(state, ExceptionState::Refused | ExceptionState::Unreadable);
    if let Some(stop) = report.any_stop() {
        return stop.class.into();
    }
    if report.exceptions.iter().any(|exception| exception.state == ExceptionState::MailboxStopped) {
        return Exit::Decision;
    }
    if report.exceptions.iter().any(|exception| failed(exception.state)) { Exit::Exceptions } else { Exit::Done }
}

fn to_text(aside: &SetAside, report: &RunReport) -> String {
    let mut out = told_aside(aside);
    for line in &report.mailboxes {
        let Some(target) = &line.target else { continue };
        let counts = line.messages;
        let known = counts.already + counts.adopted;
        let _ = write!(out, "  {} → {target}: {} recognised", line.source, number_for_people(known));
        if counts.remaining > 0 {
            let _ = write!(out, ", {} missing on the target", number_for_people(counts.remaining));
        }
        out.push('\n');
        for remark in report.remarks.iter().filter(|remark| remark.mailbox.as_ref() == Some(&line.source)) {
            let _ = writeln!(out, "    {}", remark.text);
        }
    }
    for exception in &report.exceptions {
        let uid = exception.uid.map(|uid| format!(" uid {uid}")).unwrap_or_default();
        let _ = writeln!(out, "  {}{uid}: {}", exception.mailbox, exception.reason);
    }
    if let Some(stop) = report.any_stop() {
        let _ = writeln!(out, "stopped: {}\nhint: {}; then run the same command again", stop.reason, stop.hint);
        return out;
    }
    let totals = report.totals();
    let known = count_of(totals.already + totals.adopted, "message");
    let _ = match totals.remaining {
        0 => writeln!(out, "rebuilt: {known} recognised on the target, none is missing; nothing was copied"),
        missing => writeln!(
            out,
            "rebuilt: {known} recognised on the target, {} missing there; nothing was copied, the next `mailhaul copy` \
             does that",
            number_for_people(missing)
        ),
    };
    out
}

/// What was done with the file.
fn told_aside(aside: &SetAside) -> String {
    let mut out = String::new();
    match &aside.kept {
        None => out.push_str("nothing of this account is damaged, and nothing was put aside\n"),
        Some(kept) => {
            let _ = writeln!(out, "the damaged file is kept as {}", Escaped(&kept.to_string_lossy()));
            if aside.account_lost {
                out.push_str("nothing that it said of this account could be believed\n");
            }
            for mailbox in &aside.mailboxes {
                let _ = writeln!(out, "put aside: rows of mailbox {}", Escaped(mailbox));
            }
            if aside.messages_kept > 0 {
                let kept = count_of(aside.messages_kept, "message");
                let _ = writeln!(out, "{kept} of them are settled by rows that are whole");
            }
            if !aside.tables_lost.is_empty() {
                let tables = aside.tables_lost.join(", ");
                let _ = writeln!(out, "not all rows could be read of: {tables}; what is lost is not in the new file");
            }
        }
    }
    if aside.strays > 0 {
        let rows = count_of(aside.strays, "row");
        let _ = writeln!(out, "left behind: {rows} of accounts or mailboxes that are not in the file any more");
    }
    for other in &aside.others {
        let _ = writeln!(out, "also damaged, and left so: {}; rebuild it too", Escaped(other));
    }
    out
}

fn to_json(aside: &SetAside, report: &RunReport) -> Value {
    let mailboxes = report.mailboxes.iter().filter(|line| line.target.is_some()).map(|line| {
        let counts = line.messages;
        json!({
            "source": line.source,
            "target": line.target,
            "recognised": counts.already + counts.adopted,
            "missing": counts.remaining,
        })
    });
    let escaped = |words: &[String]| words.iter().map(|words| escape(words)).collect::<Vec<_>>();
    let totals = report.totals();
    let mut run = report.to_json();
    json!({
        "schema": 1,
        "kept": aside.kept.as_ref().map(|path| escape(&path.to_string_lossy())),
        "put_aside": escaped(&aside.mailboxes),
        "messages_kept": aside.messages_kept,
        "account_lost": aside.account_lost,
        "tables_lost": aside.tables_lost,
        "strays": aside.strays,
        "others_damaged": escaped(&aside.others),
        "mailboxes": mailboxes.collect::<Vec<_>>(),
        "recognised": totals.already + totals.adopted,
        "missing": totals.remaining,
        "exceptions": run["exceptions"].take(),
        "remarks": run["remarks"].take(),
        "stop": run["stop"].take(),
    })
}
