//! `mailhaul status`: where things stand.

use crate::cli::{StatusArgs, StoreArgs};
use crate::exit::{CommandError, Exit};
use crate::{output, store};
use mailhaul_report::{Standing, WaveStatus};
use mailhaul_service::{Service, Watch};
use std::io::IsTerminal as _;
use std::time::Duration;

/// How often it is shown anew.
const AGAIN: Duration = Duration::from_secs(2);
/// How long a rate is measured for a status that is shown once.
const MEASURE: Duration = Duration::from_millis(1_000);
/// Clears the screen and begins at its top.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Runs the command to its exit code.
pub(crate) async fn run(args: &StatusArgs, at: &StoreArgs) -> Result<Exit, CommandError> {
    let service = store::open_to_look(at).await?;
    let mut watch = Watch::default();
    let wave = args.wave.as_deref();
    if !args.watch {
        let mut status = service.status(wave, &[], &mut watch).await?;
        // A rate needs two looks, and there is one only while something runs.
        if status.accounts_in(Standing::Running) > 0 && status.workers > 0 {
            tokio::time::sleep(MEASURE).await;
            status = service.status(wave, &[], &mut watch).await?;
        }
        output::data(&text(&status, args.json.json))?;
        return Ok(Exit::Done);
    }
    watch_on(&service, args, &mut watch).await
}

async fn watch_on(service: &Service, args: &StatusArgs, watch: &mut Watch) -> Result<Exit, CommandError> {
    let clears = std::io::stdout().is_terminal() && !args.json.json;
    loop {
        let status = service.status(args.wave.as_deref(), &[], watch).await?;
        let text = text(&status, args.json.json);
        output::data(&if clears { format!("{CLEAR}{text}") } else { text })?;
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Done),
        }
    }
}

fn text(status: &WaveStatus, as_json: bool) -> String {
    if as_json { output::json(&status.to_json()) } else { status.to_text() }
}
