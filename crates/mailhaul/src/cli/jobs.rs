//! What an operator does all day: look, explain, pause, resume, cancel, retry, report.

use super::JsonArgs;
use clap::{Args, ValueEnum};
use mailhaul_service::{FailureClass, JobKind};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Only this wave.
    #[arg(long, value_name = "WAVE")]
    pub(crate) wave: Option<String>,
    /// Show it anew every two seconds, until interrupted.
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    /// Only of this wave.
    #[arg(long, value_name = "WAVE")]
    pub(crate) wave: Option<String>,
    /// Only of this account.
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    /// Only those that use this endpoint.
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) endpoint: Option<String>,
    /// Only in this state (queued, waiting, running, done, done_with_exceptions, failed, paused, cancelled), or waiting
    /// for this (credentials, quota, window, ...). May be repeated.
    #[arg(long = "in", value_name = "STATE")]
    pub(crate) states: Vec<String>,
    /// Only of this kind: preflight, bulk, resync, final or verify. May be repeated.
    #[arg(long, value_name = "KIND", value_parser = super::parse::kind)]
    pub(crate) kind: Vec<JobKind>,
    /// Only those that somebody has to look at: failed, done with exceptions, or waiting for somebody.
    #[arg(long)]
    pub(crate) failed: bool,
    /// Only those that failed in this way: network, server, throttle, protocol, tls, sign_in, quota, decision, local,
    /// usage, internal, crashed.
    #[arg(long, value_name = "CLASS", value_parser = super::parse::class)]
    pub(crate) class: Option<FailureClass>,
    /// Also those that a later job of the same kind has followed.
    #[arg(long)]
    pub(crate) all: bool,
    /// At most so many.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u32>,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// An account, or the number of a job.
    #[arg(value_name = "ACCOUNT|JOB")]
    pub(crate) what: String,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}

/// Exactly one of them.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct WhomGroup {
    /// One job, by its number.
    #[arg(long, value_name = "N")]
    pub(crate) job: Option<i64>,
    /// The jobs of one account.
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    /// The jobs of one wave.
    #[arg(long, value_name = "WAVE")]
    pub(crate) wave: Option<String>,
    /// The jobs that use one endpoint.
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) endpoint: Option<String>,
    /// All jobs.
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WhomArgs {
    #[command(flatten)]
    pub(crate) whom: WhomGroup,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    pub(crate) whom: WhomGroup,
    /// Why; it stands in the log.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// What failed, and what waits for somebody.
    #[arg(long, required_unless_present_any = ["class", "account", "mailbox", "exceptions"])]
    pub(crate) failed: bool,
    /// What failed, or waits, because of this class of trouble: network, sign_in, quota, ...
    #[arg(long, value_name = "CLASS", value_parser = super::parse::class)]
    pub(crate) class: Option<FailureClass>,
    /// This account.
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    /// Messages that were set aside in this source mailbox. May be repeated.
    #[arg(long, value_name = "MAILBOX")]
    pub(crate) mailbox: Vec<String>,
    /// Messages that were set aside: refused, unreadable, possibly doubled.
    #[arg(long)]
    pub(crate) exceptions: bool,
    /// Only in this wave.
    #[arg(long, value_name = "WAVE")]
    pub(crate) wave: Option<String>,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Which account.
    #[arg(value_name = "ACCOUNT")]
    pub(crate) account: String,
    /// The latest so many entries.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportForm {
    /// For people.
    Text,
    /// One JSON object.
    Json,
    /// One line an account, for spreadsheets.
    Csv,
    /// One page that stands by itself.
    Html,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The report of this wave.
    #[arg(long, value_name = "WAVE")]
    pub(crate) wave: Option<String>,
    /// Form of a wave's report.
    #[arg(long, value_enum, requires = "wave", conflicts_with = "json")]
    pub(crate) format: Option<ReportForm>,
    /// Write it into this file, which only you can read, instead of to stdout.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Print the report as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}
