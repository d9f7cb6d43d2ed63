//! The log on stderr, above the progress display where there is one.
//!
//! Whatever the operator asks for, the libraries that see credentials or mail stay at INFO: at TRACE one of them
//! writes down what it sends.

use crate::account_log::AccountLogs;
use crate::cli::{LogFormat, Talk};
use std::io::{IsTerminal, Write};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

/// Libraries that may see secrets or mail.
const CAPPED: [&str; 10] =
    ["async_imap", "imap_proto", "rustls", "tokio_rustls", "sqlx", "tokio", "mio", "hyper", "hyper_util", "axum"];

/// Starts logging for the whole process. `RUST_LOG` refines what `-v` chose, but never lifts the caps. The logs of
/// accounts are kept whatever stderr is told.
pub(crate) fn start(talk: &Talk, accounts: Option<AccountLogs>) {
    let level = match talk.verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let filter = EnvFilter::builder().with_default_directive(level.into()).from_env_lossy();
    let caps = CAPPED.into_iter().fold(Targets::new().with_default(LevelFilter::TRACE), |caps, target| {
        caps.with_target(target, LevelFilter::INFO)
    });
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let layer = fmt::layer().with_writer(|| AboveProgress).with_ansi(colour).with_target(false);
    let layer = match talk.log_format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().boxed(),
    };
    let accounts = accounts.map(|accounts| {
        // The story that an operator can follow, in mailhaul's own words only.
        accounts.with_filter(Targets::new().with_target("mailhaul", LevelFilter::INFO))
    });
    tracing_subscriber::registry().with(layer.with_filter(filter).with_filter(caps)).with(accounts).init();
}

/// Standard error, with the progress display out of the way while a line is written.
struct AboveProgress;

impl Write for AboveProgress {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        crate::display::aside(|| std::io::stderr().write(line))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}
