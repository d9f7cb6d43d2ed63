//! `mailhaul verify`: both accounts compared, message by message.

use crate::cli::{Level, VerifyArgs};
use crate::display::Display;
use crate::exit::{CommandError, Exit};
use crate::{output, setup};
use mailhaul_copy::{Oversight, Progress, StopSwitch, VerifyJob, VerifyLevel, verify_account};
use std::sync::Arc;

/// Runs the command to its exit code.
pub(crate) async fn run(args: &VerifyArgs) -> Result<Exit, CommandError> {
    let job = VerifyJob {
        rules: setup::rules(&args.selection)?,
        selection: setup::selection(&args.selection)?,
        accounts: setup::accounts(&args.endpoints)?,
        level: match args.level {
            Level::Counts => VerifyLevel::Counts,
            Level::Keys => VerifyLevel::Keys,
            Level::Bytes => VerifyLevel::Bytes,
        },
        ignore_flags: args.ignore_flags,
    };
    let (switch, stop) = StopSwitch::new();
    crate::signals::stop_on_signal(move || switch.request())?;
    let progress = Arc::new(Progress::default());
    let display = Display::start(Arc::clone(&progress));
    let report = verify_account(&job, &Oversight::none(&progress, &stop)).await;
    display.end();
    output::data(&if args.json { output::json(&report.to_json()) } else { report.to_text() })?;
    Ok(match &report.stop {
        Some(stop) => stop.class.into(),
        None if report.differences.is_empty() => Exit::Done,
        None => Exit::Differences,
    })
}
