//! `ledger`: the state file itself.

use super::JsonArgs;
use clap::Subcommand;

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

#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Read the whole state file and say what in it is not as it was written, account by account. Changes nothing.
    #[command(after_long_help = CHECK_HELP)]
    Check {
        #[command(flatten)]
        json: JsonArgs,
    },
}
