//! `accounts`: lists in, lists out, and one account at a time.

use super::JsonArgs;
use super::endpoints::CopyWishArgs;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

const IMPORT_HELP: &str = "\
A list has a heading and one account a line, as CSV, TSV or with semicolons:

    account,source_user,source_password,target_user,target_password,from,to,wave,priority

JSON with the same names, imapsync's `host1;user1;password1;host2;user2;password2;`
and lines of name, tab, password are read as they are. The whole list is checked
before anything is stored, and every line that is wrong is named. The same list
again changes nothing; what changed is shown.";

#[derive(Debug, Subcommand)]
pub(crate) enum AccountsCommand {
    /// Read a list of accounts into a wave.
    #[command(after_long_help = IMPORT_HELP)]
    Import(Box<ImportArgs>),
    /// List accounts.
    List {
        /// Only those of this wave.
        #[arg(long, value_name = "WAVE")]
        wave: Option<String>,
        /// Only those whose name fits; `*` and `?` stand for anything and for one character.
        #[arg(value_name = "GLOB")]
        name: Option<String>,
        #[command(flatten)]
        json: JsonArgs,
    },
    /// Show everything about one account but its passwords.
    Show {
        /// Which.
        name: String,
        #[command(flatten)]
        json: JsonArgs,
    },
    /// Change an account. A job of it that runs takes it up at the next mailbox.
    Set(Box<AccountSetArgs>),
    /// Remove an account with its jobs, passwords and events. What was copied, and the memory of it, stays.
    Remove {
        /// Which.
        name: String,
    },
    /// Write accounts out as a list that can be imported again. Passwords are never written.
    Export(ExportArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// Cells separated by commas, under a heading.
    Csv,
    /// Cells separated by tabs, under a heading.
    Tsv,
    /// Cells separated by semicolons, under a heading.
    Semicolons,
    /// An array of objects.
    Json,
    /// `host1;user1;password1;host2;user2;password2;`, without a heading.
    Imapsync,
    /// Name, tab, password, without a heading.
    NamePassword,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListEncoding {
    /// UTF-8.
    Utf8,
    /// Latin-1, as Windows writes it.
    Latin1,
    /// UTF-16.
    Utf16,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The list; `-` is standard input.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The wave of accounts that the list gives none. Made if it is not there.
    #[arg(long, value_name = "WAVE")]
    pub(crate) wave: Option<String>,
    /// The source endpoint of accounts that the list gives none.
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) from: Option<String>,
    /// The target endpoint of accounts that the list gives none.
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) to: Option<String>,
    /// Form of the list, where it does not speak for itself.
    #[arg(long, value_enum)]
    pub(crate) format: Option<ListFormat>,
    /// Encoding of the list, where it does not speak for itself.
    #[arg(long, value_enum)]
    pub(crate) encoding: Option<ListEncoding>,
    /// How target users are made: '{local}@new.example'; {user}, {local}, {domain} with :lower or :upper.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) rename: Option<String>,
    /// Exchange a domain in target users. May be repeated.
    #[arg(long, value_name = "OLD=NEW")]
    pub(crate) domain: Vec<String>,
    /// Let several accounts write into one target mailbox.
    #[arg(long)]
    pub(crate) merge: bool,
    /// Leave columns out of account whose names are not known.
    #[arg(long)]
    pub(crate) ignore_unknown: bool,
    /// Check everything, store nothing, and say what would be stored.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AccountSetArgs {
    /// Which.
    pub(crate) name: String,
    /// The name that signs in at the source.
    #[arg(long, value_name = "USER")]
    pub(crate) source_user: Option<String>,
    /// The name that signs in at the target.
    #[arg(long, value_name = "USER")]
    pub(crate) target_user: Option<String>,
    /// File whose first line is the password at the source; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "source_password_command")]
    pub(crate) source_password_file: Option<PathBuf>,
    /// Command that prints the password at the source.
    #[arg(long, value_name = "CMD")]
    pub(crate) source_password_command: Option<String>,
    /// File whose first line is the password at the target; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "target_password_command")]
    pub(crate) target_password_file: Option<PathBuf>,
    /// Command that prints the password at the target.
    #[arg(long, value_name = "CMD")]
    pub(crate) target_password_command: Option<String>,
    /// The source endpoint.
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) from: Option<String>,
    /// The target endpoint.
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) to: Option<String>,
    /// The wave.
    #[arg(long, value_name = "WAVE")]
    pub(crate) wave: Option<String>,
    /// 0 to 9; higher goes first, 4 is usual.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=9))]
    pub(crate) priority: Option<u8>,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
    #[command(flatten)]
    pub(crate) copy: CopyWishArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportForm {
    /// Cells separated by commas, under a heading.
    Csv,
    /// An array of objects.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Only those of this wave.
    #[arg(long, value_name = "WAVE")]
    pub(crate) wave: Option<String>,
    /// Form of the list.
    #[arg(long, value_enum, default_value_t = ExportForm::Csv)]
    pub(crate) format: ExportForm,
}
