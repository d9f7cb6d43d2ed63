//! The command: one file for each subcommand, and what they share.

mod account_log;
mod accounts;
mod changes;
mod cli;
mod columns;
mod control;
mod copy;
mod display;
mod endpoint;
mod endpoint_url;
mod exit;
mod explain;
mod follow_text;
mod init;
mod jobs;
mod key;
mod ledger;
mod log;
mod logging;
mod output;
mod preflight;
mod probe;
mod progress_text;
mod report;
mod report_text;
mod run;
mod run_display;
mod secrets;
mod serve;
mod setup;
mod signals;
mod status;
mod store;
mod token;
mod verify;
mod wave;
mod wishes;
mod working;

use clap::Parser as _;
use cli::{Cli, Command};
use exit::{CommandError, Exit};
use std::io::Write as _;
use std::process::ExitCode;
use tokio::runtime::{Builder, Runtime};

fn main() -> ExitCode {
    let cli = Cli::parse();
    leave_no_core();
    logging::start(&cli.talk, account_logs(&cli));
    let result = match runtime(&cli.command) {
        Ok(runtime) => runtime.block_on(run(&cli)),
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

/// Whether the command works on many accounts at once.
fn works(command: &Command) -> bool {
    matches!(command, Command::Run(_) | Command::Serve(_) | Command::Preflight(_))
}

/// One account is one task: a second thread would only hand it events across cores (1.2 µs a message, measured). Many
/// accounts are many tasks, which the cores share.
fn runtime(command: &Command) -> std::io::Result<Runtime> {
    let mut builder = if works(command) { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    builder.enable_all().build()
}

/// Where workers write down what happens to each account.
fn account_logs(cli: &Cli) -> Option<account_log::AccountLogs> {
    let state = works(&cli.command).then(|| setup::state_file(cli.store.state.as_deref()).ok())??;
    Some(account_log::AccountLogs::beside(&state))
}

/// No core dump may hold a password or somebody's mail.
fn leave_no_core() {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    // Lowering one's own limit cannot be refused; where it is all the same, copying goes on.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
}

async fn run(cli: &Cli) -> Result<Exit, CommandError> {
    let at = &cli.store;
    match &cli.command {
        Command::Copy(args) => copy::run(args, at.state.as_deref()).await,
        Command::Verify(args) => verify::run(args).await,
        Command::Init(args) => init::run(args, at).await,
        Command::Endpoint(command) => endpoint::run(command, at).await,
        Command::Accounts(command) => accounts::run(command, at).await,
        Command::Wave(command) => wave::run(command, at).await,
        Command::Probe(args) => probe::run(args, at).await,
        Command::Preflight(args) => preflight::run(args, at).await,
        Command::Run(args) => run::run(args, at).await,
        Command::Serve(args) => serve::run(args, at).await,
        Command::Status(args) => status::run(args, at).await,
        Command::Jobs(args) => jobs::run(args, at).await,
        Command::Explain(args) => explain::run(args, at).await,
        Command::Pause(args) => control::pause(args, at).await,
        Command::Resume(args) => control::resume(args, at).await,
        Command::Cancel(args) => control::cancel(args, at).await,
        Command::Retry(args) => control::retry(args, at).await,
        Command::Log(args) => log::run(args, at).await,
        Command::Report(args) => report::run(args, at).await,
        Command::Ledger(command) => ledger::run(command, at).await,
        Command::Key(command) => key::run(command, at).await,
        Command::Token(command) => token::run(command, at).await,
    }
}
