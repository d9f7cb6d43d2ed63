//! `ledger`: the state file itself.

use super::{EndpointArgs, JsonArgs, SelectionArgs};
use clap::{Args, Subcommand};

/// What stands below the options of `ledger check --help`.
const CHECK_HELP: &str = "\
Nothing is changed, and a process that works with the file is not disturbed.
Every row of the ledger carries a checksum, and every mailbox the sum of its
rows; the structure of the file is for SQLite to judge. The rows of the queue
carry none: what is said of them is only that they can be read.

A file that is whole and old (a copy put back, a log that was lost) cannot be
told from a new one; the next run finds on the target what such a file has
forgotten.

The exit code is 0 if all is whole, 6 if something is damaged, 2 if the file is
no ledger at all.";

/// What stands below the options of `ledger rebuild --help`.
const REBUILD_HELP: &str = "\
What is damaged of the account is put aside: the file is kept as it was, as
FILE.damaged-DATE, and a new one takes its place, with everything else that was
in it. Then both servers are looked at as on first contact, by keys and
contents. Nothing is written to either; what is found missing on the target is
copied by the next `mailhaul copy`, under the same options as before.

What was settled by rows that are whole stays so, also if its copy was filed or
deleted on the target. What only damaged rows knew is known no more: a copy that
its owner has deleted is then missing like any other and is copied again, and
flags of the source win over those of the target unless --switched is said.

Without a state file, or with one that cannot be opened at all, everything is
recognised anew. Other processes that work with the file must be stopped first.

The exit code is 0 if every mailbox was looked at, whatever is missing on the
target.";

/// What `ledger rebuild` is told.
#[derive(Debug, Args)]
pub(crate) struct RebuildArgs {
    /// Go on in recreated target mailboxes that lack much of what was copied.
    #[arg(long)]
    pub(crate) accept_target_change: bool,
    /// Believe a source mailbox that has lost nearly everything that was copied from it.
    #[arg(long)]
    pub(crate) accept_mass_absence: bool,
    /// Accept that mailboxes now map to other names than in an earlier run.
    #[arg(long)]
    pub(crate) remap: bool,
    /// The users work on the target by now: what is found there keeps the flags it has.
    #[arg(long)]
    pub(crate) switched: bool,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Read the whole state file and say what in it is not as it was written, account by account. Changes nothing.
    #[command(after_long_help = CHECK_HELP)]
    Check {
        #[command(flatten)]
        json: JsonArgs,
    },
    /// Find out anew, from both servers, what damaged rows of one account said. Copies nothing, and destroys nothing.
    #[command(after_long_help = REBUILD_HELP)]
    Rebuild(Box<RebuildArgs>),
}
