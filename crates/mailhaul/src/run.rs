//! `mailhaul run`: a wave in the foreground.

use crate::cli::{RunArgs, StoreArgs};
use crate::exit::{CommandError, Exit};
use crate::working::Shown;
use crate::{output, store, wishes, working};
use mailhaul_report::{WaveStatus, count_of};
use mailhaul_service::{Scope, Service, Watch, WorkEnd};
use std::io::Write as _;

/// Runs the command to its exit code.
pub(crate) async fn run(args: &RunArgs, at: &StoreArgs) -> Result<Exit, CommandError> {
    let service = store::open(at).await?;
    let end = prepare_and_work(args, &service).await;
    let closed = store::close(service).await;
    let exit = end?;
    closed.map(|()| exit)
}

async fn prepare_and_work(args: &RunArgs, service: &Service) -> Result<Exit, CommandError> {
    let plan = wishes::plan(&args.plan);
    if !plan.is_keep() {
        service.set_wave(&args.wave, plan).await?;
    }
    if !args.detach {
        // Before anything is queued that could not be done.
        service.vault().await?;
    }
    let prepared = service.prepare_run(&args.wave, args.kind).await?;
    if args.detach {
        let queued = count_of(prepared.queued, "job");
        output::data(&format!("{queued} queued for {}\n", count_of(prepared.accounts, "account")))?;
        return Ok(Exit::Done);
    }
    let queued = count_of(prepared.queued, "new job");
    let _ = writeln!(
        std::io::stderr(),
        "wave {}: {}, {queued}",
        mailhaul_types::Escaped(&args.wave),
        count_of(prepared.accounts, "account")
    );
    let scope = Scope { wave: Some(prepared.wave), kinds: Vec::new() };
    let shown = Shown { wave: Some(&args.wave), kind: args.kind };
    let end = working::work(service, "run", args.workers, scope, true, &args.lengths, shown).await?;
    let status = service.status(Some(&args.wave), &[], &mut Watch::of_kind(args.kind)).await?;
    output::data(&if args.json.json { output::json(&status.to_json()) } else { screen(&status, end) })?;
    match end {
        WorkEnd::Stopped => Ok(Exit::Interrupted),
        WorkEnd::Settled => working::verdict(service, &args.wave, args.kind).await,
    }
}

/// The status, and at its end one line that can be quoted.
fn screen(status: &WaveStatus, end: WorkEnd) -> String {
    let interrupted = if end == WorkEnd::Stopped { "interrupted: " } else { "" };
    format!("{}\n{interrupted}{}\n", status.to_text(), status.tally.line())
}
