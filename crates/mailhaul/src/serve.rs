//! `mailhaul serve`: work on everything that is queued, until told otherwise.

use crate::cli::{ServeArgs, StoreArgs};
use crate::exit::{CommandError, Exit};
use crate::working::Shown;
use crate::{store, working};
use mailhaul_service::{Scope, WorkEnd};
use std::io::Write as _;

/// Runs the command to its exit code. To be told to stop is how it ends well.
pub(crate) async fn run(args: &ServeArgs, at: &StoreArgs) -> Result<Exit, CommandError> {
    let service = store::open(at).await?;
    let _ = writeln!(std::io::stderr(), "serving `{}`; Ctrl-C or SIGTERM ends it", service.ledger().path().display());
    let end =
        working::work(&service, "serve", args.workers, Scope::default(), false, &args.lengths, Shown::default()).await;
    let closed = store::close(service).await;
    let end = end?;
    closed?;
    Ok(match end {
        WorkEnd::Stopped | WorkEnd::Settled => Exit::Done,
    })
}
