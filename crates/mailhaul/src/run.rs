//! `mailhaul run`: a wave in the foreground.

use crate::cli::{RunArgs, StoreArgs};
use crate::exit::{CommandError, Exit};
use crate::{output, store, wishes, working};
use mailhaul_report::count_of;
use mailhaul_service::{JobQuery, Scope, Service, Watch, WorkEnd};
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
    let end = working::work(service, "run", args.workers, scope, true, &args.lengths, Some(&args.wave)).await?;
    let status = service.status(Some(&args.wave), &[], &mut Watch::default()).await?;
    output::data(&if args.json.json { output::json(&status.to_json()) } else { status.to_text() })?;
    match end {
        WorkEnd::Stopped => Ok(Exit::Interrupted),
        WorkEnd::Settled => {
            let kinds = ["bulk", "resync", "final", "verify"];
            let kinds = args
                .kind
                .map_or_else(|| kinds.into_iter().map(str::to_owned).collect(), |kind| vec![kind.word().to_owned()]);
            working::verdict(service, &JobQuery { wave: Some(args.wave.clone()), kinds, ..JobQuery::default() }).await
        }
    }
}
