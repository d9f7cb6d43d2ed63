//! `mailhaul ledger`: the state file itself.

mod check_text;
mod rebuild;

use crate::cli::{LedgerCommand, StoreArgs};
use crate::exit::{CommandError, Exit};
use crate::{output, setup};
use mailhaul_db::{OpenOptions, check_ledger};
use std::path::Path;

/// Runs the command to its exit code.
pub(crate) async fn run(command: &LedgerCommand, at: &StoreArgs) -> Result<Exit, CommandError> {
    let state = setup::state_file(at.state.as_deref())?;
    match command {
        LedgerCommand::Check { json } => check(&state, json.json).await,
        LedgerCommand::Rebuild(args) => rebuild::run(args, &state).await,
    }
}

async fn check(state: &Path, as_json: bool) -> Result<Exit, CommandError> {
    let checked = check_ledger(state, OpenOptions::default()).await.map_err(|error| setup::ledger_error(&error))?;
    let text = if as_json { output::json(&check_text::to_json(&checked)) } else { check_text::to_text(&checked) };
    output::data(&text)?;
    Ok(if checked.is_whole() { Exit::Done } else { Exit::Decision })
}
