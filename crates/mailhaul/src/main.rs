//! The command: one file for each subcommand, and what they share.

mod cli;
mod columns;
mod copy;
mod display;
mod endpoint_url;
mod exit;
mod logging;
mod output;
mod progress_text;
mod report;
mod report_text;
mod secrets;
mod setup;
mod signals;
mod verify;

use clap::Parser as _;
use cli::{Cli, Command};
use exit::{CommandError, Exit};
use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    leave_no_core();
    logging::start(&cli.talk);
    // One account is one task: a second thread would only hand it events across cores (1.2 µs a message, measured).
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(&cli.command)),
        Err(error) => {
            Err(CommandError { exit: Exit::Internal, text: format!("cannot start the runtime: {error}"), hint: None })
        }
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "mailhaul: {error}");
            error.exit.into()
        }
    }
}

/// No core dump may hold a password or somebody's mail.
fn leave_no_core() {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    // Lowering one's own limit cannot be refused; where it is all the same, copying goes on.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
}

async fn run(command: &Command) -> Result<Exit, CommandError> {
    match command {
        Command::Copy(args) => copy::run(args).await,
        Command::Verify(args) => verify::run(args).await,
        Command::Report(args) => report::run(args).await,
    }
}
