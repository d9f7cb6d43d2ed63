//! The command line: every option, with the help that is also its manual.

mod accounts;
mod changes;
mod endpoints;
mod ends;
mod jobs;
mod ledger;
mod parse;
mod token;
mod waves;
mod work;

pub(crate) use accounts::{AccountSetArgs, AccountsCommand, ExportForm, ImportArgs, ListEncoding, ListFormat};
pub(crate) use changes::{ChangeArgs, ChangeWishArgs};
pub(crate) use endpoints::{AdminStyleWord, CopyWishArgs, EndpointCommand, EndpointWishArgs, InitArgs, KeyCommand};
pub(crate) use ends::{CopyArgs, EndpointArgs, Level, SelectionArgs, VerifyArgs};
pub(crate) use jobs::{
    ExplainArgs, JobsArgs, LogArgs, PauseArgs, ReportArgs, ReportForm, RetryArgs, StatusArgs, WhomArgs, WhomGroup,
};
pub(crate) use ledger::{LedgerCommand, RebuildArgs};
pub(crate) use parse::{parse_day, parse_map, parse_pin, parse_size};
pub(crate) use token::TokenCommand;
pub(crate) use waves::{OrderWord, PlanArgs, WaveCommand};
pub(crate) use work::LISTEN;
pub(crate) use work::{LengthArgs, PreflightArgs, ProbeArgs, RunArgs, ServeArgs};

use crate::exit::EXIT_CODES_HELP;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Moves an organisation's mail from one server to another, and proves that all of it arrived.
#[derive(Debug, Parser)]
#[command(name = "mailhaul", version, after_help = EXIT_CODES_HELP, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) talk: Talk,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copy one account now. The same command again resumes, or finds that nothing is left.
    #[command(after_long_help = ends::COPY_HELP)]
    Copy(Box<CopyArgs>),
    /// Compare one account on both servers, message by message. Needs no state; judges a copy that any tool made.
    Verify(Box<VerifyArgs>),
    /// Make the state file, and the key under which passwords are sealed in it. Overwrites neither.
    Init(InitArgs),
    /// The servers, what they may be asked, and who signs in there.
    #[command(subcommand)]
    Endpoint(EndpointCommand),
    /// Lists of accounts: import, look, change, remove, export.
    #[command(subcommand)]
    Accounts(AccountsCommand),
    /// Waves: accounts that are moved together.
    #[command(subcommand)]
    Wave(WaveCommand),
    /// Look at one server: TLS, sign-in, what it can do, and what mailhaul will do with that. Writes nothing.
    Probe(Box<ProbeArgs>),
    /// Look at all accounts of a wave before they are copied: can each be reached, and what would happen? Writes no mail.
    #[command(after_long_help = work::PREFLIGHT_HELP)]
    Preflight(PreflightArgs),
    /// Work through a wave in the foreground, until nothing in it can go on without you.
    #[command(after_long_help = work::RUN_HELP)]
    Run(Box<RunArgs>),
    /// Work on everything that is queued, and show the page, until told otherwise. Several processes may share one state
    /// file.
    #[command(after_long_help = work::SERVE_HELP)]
    Serve(Box<ServeArgs>),
    /// Where a wave, or everything, stands: five words, the mail, the rate, the end, what runs, what went wrong.
    Status(StatusArgs),
    /// List jobs.
    Jobs(JobsArgs),
    /// Say in one paragraph why an account or a job is not running, or what it does, and what would change that.
    Explain(ExplainArgs),
    /// Pause jobs, also those that are queued later. What is in flight is finished first.
    Pause(PauseArgs),
    /// Take a pause back.
    Resume(WhomArgs),
    /// End jobs that are not over. What was copied stays copied.
    Cancel(PauseArgs),
    /// Give jobs another try, and leave all others alone.
    Retry(RetryArgs),
    /// What happened to an account: who did what to its jobs, how attempts ended, what they wrote down.
    Log(LogArgs),
    /// What became of the mail: of a wave, or (without --wave) of every account that was ever copied.
    Report(ReportArgs),
    /// The state file itself: is it whole, and if not, how does it become so?
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// The key under which passwords are sealed.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Who may use the page and the API of `serve`.
    #[command(subcommand)]
    Token(TokenCommand),
}

/// Where the state is, and the key to its passwords.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "State")]
pub(crate) struct StoreArgs {
    /// File that remembers everything [default: mailhaul/mailhaul.db in the user's data directory].
    ///
    /// Use one file for one migration: two files cannot see each other, and two copies of one account under two files at
    /// once can double mail.
    ///
    /// In it an account is known by host and user, not by port. Where several servers are reached through tunnels on
    /// localhost, give each migration a file of its own.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// File that holds the key under which passwords are sealed
    /// [default: the credential `mailhaul-key` of a systemd unit, else mailhaul/mailhaul.key in the user's configuration
    /// directory].
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "key_command")]
    pub(crate) key_file: Option<PathBuf>,
    /// Command that prints the key.
    #[arg(long, global = true, value_name = "CMD")]
    pub(crate) key_command: Option<String>,
}

/// How mailhaul talks while it works. Data goes to stdout, talk to stderr.
#[derive(Debug, Args)]
#[command(next_help_heading = "Talk")]
pub(crate) struct Talk {
    /// Say more on stderr; twice for protocol detail. Never prints passwords or mail.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Form of the log on stderr.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// Whether the result is printed for people or for programs.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct JsonArgs {
    /// Print the result as one JSON object on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod reference;

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_has_an_option_that_shadows_one_of_all_commands() {
        let words = [
            "init",
            "endpoint add old imaps://old.example",
            "endpoint set old",
            "endpoint list",
            "endpoint show old",
            "endpoint remove old",
            "accounts import -",
            "accounts list",
            "accounts show a",
            "accounts set a",
            "accounts remove a",
            "accounts export",
            "wave list",
            "wave show w",
            "wave set w",
            "wave close w",
            "probe imaps://old.example",
            "preflight --wave w",
            "run --wave w",
            "serve",
            "status",
            "jobs --in running",
            "explain a",
            "pause --all",
            "resume --all",
            "cancel --all",
            "retry --failed",
            "log a",
            "report",
            "ledger check",
            "key rotate",
            "token create watch",
            "token list",
            "token revoke watch",
        ];
        for line in words {
            let words = ["mailhaul"].into_iter().chain(line.split(' ')).chain(["--state", "s", "--key-file", "k"]);
            let cli = Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(cli.store.state.as_deref(), Some(std::path::Path::new("s")), "{line}");
            assert_eq!(cli.store.key_file.as_deref(), Some(std::path::Path::new("k")), "{line}");
        }
    }
}
