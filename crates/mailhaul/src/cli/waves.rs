//! `wave`: when what is done with accounts that are moved together.

use super::JsonArgs;
use super::endpoints::CopyWishArgs;
use super::parse::{wish_moment, wish_seconds};
use clap::{Args, Subcommand, ValueEnum};
use mailhaul_service::Change;

#[derive(Debug, Subcommand)]
pub(crate) enum WaveCommand {
    /// List waves.
    List {
        #[command(flatten)]
        json: JsonArgs,
    },
    /// Show everything about one wave.
    Show {
        /// Which.
        name: String,
        #[command(flatten)]
        json: JsonArgs,
    },
    /// Change a wave: its schedule, its order, how its mail is copied.
    Set {
        /// Which.
        name: String,
        #[command(flatten)]
        json: JsonArgs,
        #[command(flatten)]
        plan: PlanArgs,
        #[command(flatten)]
        copy: Box<CopyWishArgs>,
    },
    /// End a wave: the passwords of its accounts are wiped. Its report can still be had.
    Close {
        /// Which.
        name: String,
        /// Cancel jobs that are not over.
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrderWord {
    /// As they were queued.
    Fifo,
    /// The largest accounts first.
    Largest,
    /// The smallest accounts first.
    Smallest,
}

/// When what is done.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Schedule")]
pub(crate) struct PlanArgs {
    /// Begin nothing before this: '2026-11-28 20:00', with a time zone behind it if not this machine's. `none` takes it
    /// back.
    #[arg(long, value_name = "MOMENT", value_parser = wish_moment)]
    pub(crate) start_after: Option<Change<i64>>,
    /// After the first copy, look for new mail so often: 6h, 30m, 1d. `none` takes it back.
    #[arg(long, value_name = "TIME", value_parser = wish_seconds)]
    pub(crate) every: Option<Change<u64>>,
    /// From this moment on the next pass is the final one: new mail, and then a comparison of both sides.
    #[arg(long, value_name = "MOMENT", value_parser = wish_moment)]
    pub(crate) complete_after: Option<Change<i64>>,
    /// In which order accounts are worked on, priorities apart. By size after a preflight.
    #[arg(long, value_enum)]
    pub(crate) order: Option<OrderWord>,
}
