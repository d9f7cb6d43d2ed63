//! `mailhaul copy`: one account, now.

use crate::cli::CopyArgs;
use crate::display::Display;
use crate::exit::{CommandError, Exit, of_run};
use crate::{changes, output, setup};
use mailhaul_copy::{
    Connections, CopyJob, FollowOptions, Oversight, Progress, RetryExceptions, StopSwitch, copy_account,
    follow_account, plan_account,
};
use mailhaul_db::{DbError, Ledger, OpenOptions};
use mailhaul_report::{PlanReport, Verdict};
use std::sync::Arc;

/// Runs the command to its exit code.
pub(crate) async fn run(args: &CopyArgs, state: Option<&std::path::Path>) -> Result<Exit, CommandError> {
    let state = setup::state_file(state)?;
    let job = CopyJob {
        rules: setup::rules(&args.selection)?,
        selection: setup::selection(&args.selection)?,
        resync: changes::policy(args, changes::ask_on_terminal)?,
        accounts: setup::accounts(&args.endpoints)?,
        retry_exceptions: if args.retry_exceptions { RetryExceptions::Everywhere } else { RetryExceptions::Nowhere },
        remap: args.remap,
        accept_target_change: args.accept_target_change,
        accept_mass_absence: args.accept_mass_absence,
        copy_deleted_flag: args.copy_deleted_flag,
        connections: Connections { most: usize::from(args.connections), ..Connections::default() },
        batches: mailhaul_plan::batches::BatchLimits::default(),
        recognise_only: false,
    };
    let (switch, stop) = StopSwitch::new();
    crate::signals::stop_on_signal(move || switch.request())?;
    if args.dry_run {
        let ledger = match Ledger::open_read_only(&state, OpenOptions::default()).await {
            Ok(ledger) => Some(ledger),
            Err(DbError::NotFound(_)) => None,
            Err(error) => return Err(setup::ledger_error(&error)),
        };
        let plan = plan_account(&job, ledger.as_ref(), &stop).await;
        output::data(&if args.json { output::json(&plan.to_json()) } else { plan.to_text() })?;
        return Ok(of_plan(&plan));
    }
    let ledger = Ledger::open(&state, OpenOptions::default()).await.map_err(|error| setup::ledger_error(&error))?;
    let progress = Arc::new(Progress::default());
    let display = Display::start(Arc::clone(&progress));
    let oversight = Oversight::none(&progress, &stop);
    let mut report = match args.changes.follow {
        true => follow_account(&job, &ledger, &oversight, &FollowOptions::default()).await,
        false => copy_account(&job, &ledger, &oversight).await,
    };
    display.end();
    if let (Err(error), None) = (ledger.close().await, &report.stop) {
        report.stop = Some(mailhaul_copy::stop_of_ledger(&error));
    }
    output::data(&if args.json { output::json(&report.to_json()) } else { report.to_text() })?;
    Ok(of_run(&report))
}

/// A dry run ends as the run would.
fn of_plan(plan: &PlanReport) -> Exit {
    match (&plan.stop, plan.verdict()) {
        (Some(stop), _) => stop.class.into(),
        (None, Verdict::Complete) => Exit::Done,
        (None, Verdict::Stopped) => Exit::Decision,
        (None, _) => Exit::Exceptions,
    }
}
