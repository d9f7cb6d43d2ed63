//! `mailhaul preflight`: a look at all accounts of a wave.

use crate::cli::{PreflightArgs, StoreArgs};
use crate::exit::{CommandError, Exit};
use crate::probe::of_block;
use crate::working::Shown;
use crate::{output, store, working};
use mailhaul_report::{WavePreflight, count_of};
use mailhaul_service::{JobKind, PreflightView, Scope, Service, WorkEnd};
use std::collections::BTreeSet;
use std::io::Write as _;

/// Runs the command to its exit code.
pub(crate) async fn run(args: &PreflightArgs, at: &StoreArgs) -> Result<Exit, CommandError> {
    if args.show {
        let service = store::open_to_look(at).await?;
        return tell(&service.wave_preflight(&args.wave, args.workers).await?, args.json.json);
    }
    let service = store::open(at).await?;
    let end = look(args, &service).await;
    let closed = store::close(service).await;
    let exit = end?;
    closed.map(|()| exit)
}

async fn look(args: &PreflightArgs, service: &Service) -> Result<Exit, CommandError> {
    // Before anything is queued that could not be done.
    service.vault().await?;
    let prepared = service.prepare_run(&args.wave, Some(JobKind::Preflight)).await?;
    let scope = Scope { wave: Some(prepared.wave), kinds: vec![JobKind::Preflight.word().to_owned()] };
    let shown = Shown { wave: Some(&args.wave), kind: Some(JobKind::Preflight) };
    let end = working::work(service, "preflight", args.workers, scope, true, &args.lengths, shown).await?;
    let exit = tell(&service.wave_preflight(&args.wave, args.workers).await?, args.json.json)?;
    Ok(if end == WorkEnd::Stopped { Exit::Interrupted } else { exit })
}

fn tell(view: &PreflightView, as_json: bool) -> Result<Exit, CommandError> {
    let PreflightView { wave, missing } = view;
    if as_json {
        let mut json = wave.to_json();
        json["missing"] = (*missing).into();
        output::data(&output::json(&json))?;
    } else {
        output::data(&wave.to_text())?;
    }
    if *missing > 0 {
        let missing = count_of(*missing, "account");
        let _ = writeln!(
            std::io::stderr(),
            "{missing} of the wave could not be looked at yet; `mailhaul jobs --kind preflight`"
        );
    }
    Ok(verdict(wave, *missing))
}

/// Blocked by one kind of trouble, the wave has its exit code; by several, it is 5.
fn verdict(wave: &WavePreflight, missing: u64) -> Exit {
    let blocks = wave.accounts.iter().filter_map(|(_, found)| found.gravest_block());
    let exits: BTreeSet<u8> = blocks.clone().map(|block| of_block(block) as u8).collect();
    match (blocks.map(of_block).next(), exits.len()) {
        (None, _) if missing == 0 => Exit::Done,
        (Some(exit), 1) if missing == 0 => exit,
        _ => Exit::Exceptions,
    }
}
