//! `init`, `endpoint`, `key`: what a migration is set up with.

use super::JsonArgs;
use super::changes::ChangeWishArgs;
use super::parse::{wish_bytes, wish_number, wish_path, wish_text};
use clap::{Args, Subcommand, ValueEnum};
use mailhaul_service::Change;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EndpointCommand {
    /// Add a server. The URL names no user: imaps://mail.example, or imap://mail.example for STARTTLS.
    Add {
        /// What you call it.
        name: String,
        /// Where it is.
        url: String,
        #[command(flatten)]
        wishes: Box<EndpointWishArgs>,
    },
    /// Change a server. What is not named stays; `none` takes a limit away. Takes effect within seconds.
    Set {
        /// Which.
        name: String,
        /// Where it is now.
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        #[command(flatten)]
        wishes: Box<EndpointWishArgs>,
    },
    /// List the servers.
    List {
        #[command(flatten)]
        json: JsonArgs,
    },
    /// Show everything about one server but its passwords.
    Show {
        /// Which.
        name: String,
        #[command(flatten)]
        json: JsonArgs,
    },
    /// Remove a server that no account uses.
    Remove {
        /// Which.
        name: String,
    },
}

/// How an administrator says whose mail he wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AdminStyleWord {
    /// SASL PLAIN with an authorization identity: the account's user stands beside the administrator's.
    AuthorizationIdentity,
    /// A master login: account, separator, administrator, as one user name.
    Master,
}

#[derive(Debug, Args)]
pub(crate) struct EndpointWishArgs {
    /// Connections at once.
    #[arg(long, value_name = "N", value_parser = wish_number::<u32>, help_heading = "Limits")]
    pub(crate) max_connections: Option<Change<u32>>,
    /// Of these, for first copies.
    #[arg(long, value_name = "N", value_parser = wish_number::<u32>, help_heading = "Limits")]
    pub(crate) max_bulk: Option<Change<u32>>,
    /// Of these, for everything after the first copy.
    #[arg(long, value_name = "N", value_parser = wish_number::<u32>, help_heading = "Limits")]
    pub(crate) max_resync: Option<Change<u32>>,
    /// Messages a second, all accounts together.
    #[arg(long, value_name = "N", value_parser = wish_number::<u64>, help_heading = "Limits")]
    pub(crate) messages_per_second: Option<Change<u64>>,
    /// Octets a second, all accounts together: a number, or with K, M or G.
    #[arg(long, value_name = "SIZE", value_parser = wish_bytes, help_heading = "Limits")]
    pub(crate) bytes_per_second: Option<Change<u64>>,
    /// Messages a second for each account.
    #[arg(long, value_name = "N", value_parser = wish_number::<u64>, help_heading = "Limits")]
    pub(crate) account_messages_per_second: Option<Change<u64>>,
    /// Octets a second for each account.
    #[arg(long, value_name = "SIZE", value_parser = wish_bytes, help_heading = "Limits")]
    pub(crate) account_bytes_per_second: Option<Change<u64>>,
    /// Octets a day for each account.
    #[arg(long, value_name = "SIZE", value_parser = wish_bytes, help_heading = "Limits")]
    pub(crate) account_bytes_per_day: Option<Change<u64>>,
    /// When work is allowed: 'Mon-Fri 20:00-06:00 Europe/Berlin', or 'nights and weekends Europe/Berlin'. May be
    /// repeated; `none` for any time.
    #[arg(long, value_name = "HOURS", value_parser = wish_text, help_heading = "Limits")]
    pub(crate) window: Vec<Change<String>>,
    /// Who signs in for all accounts; the password columns of lists then stay empty. `none` takes it back.
    #[arg(long, value_name = "USER", value_parser = wish_text, help_heading = "Sign-in")]
    pub(crate) admin: Option<Change<String>>,
    /// How the administrator says whose mail he wants.
    #[arg(long, value_enum, default_value_t = AdminStyleWord::AuthorizationIdentity, help_heading = "Sign-in")]
    pub(crate) admin_style: AdminStyleWord,
    /// What stands between account and administrator in a master login.
    #[arg(long, value_name = "TEXT", default_value = "*", help_heading = "Sign-in")]
    pub(crate) separator: String,
    /// File whose first line is the administrator's password; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "admin_password_command", help_heading = "Sign-in")]
    pub(crate) admin_password_file: Option<PathBuf>,
    /// Command that prints the administrator's password.
    #[arg(long, value_name = "CMD", help_heading = "Sign-in")]
    pub(crate) admin_password_command: Option<String>,
    /// PEM file with the certificate authorities to trust, in place of the system's.
    #[arg(long, value_name = "FILE", value_parser = wish_path, help_heading = "Connection")]
    pub(crate) ca_file: Option<Change<PathBuf>>,
    /// Trust exactly this certificate: its SHA-256 in hex, as `mailhaul probe` shows it. May be repeated.
    #[arg(long, value_name = "SHA256", value_parser = wish_text, help_heading = "Connection")]
    pub(crate) pin: Vec<Change<String>>,
    /// How long the server may be silent, in seconds, while it owes an answer.
    #[arg(long, value_name = "SECONDS", value_parser = wish_number::<u64>, help_heading = "Connection")]
    pub(crate) timeout: Option<Change<u64>>,
    /// Allow `?tls=none` although the host is not this machine: passwords and mail go over the network readable.
    #[arg(long, value_name = "HOST", num_args = 0..=1, default_missing_value = "", help_heading = "Connection")]
    pub(crate) allow_plaintext: Option<String>,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
    #[command(flatten)]
    pub(crate) copy: CopyWishArgs,
}

/// How mail is copied: said for an endpoint, a wave or an account. What an account does not say, its wave says; then the
/// target endpoint, then the source endpoint.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Mailboxes and selection")]
pub(crate) struct CopyWishArgs {
    /// Only mailboxes that match (`*` matches everything, `%` everything but the delimiter). May be repeated.
    #[arg(long, value_name = "GLOB")]
    pub(crate) mailbox: Vec<String>,
    /// Leave out mailboxes that match. May be repeated.
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Copy mailbox OLD, and what is below it, to NEW. May be repeated.
    #[arg(long, value_name = "OLD=NEW")]
    pub(crate) map: Vec<String>,
    /// Also mailboxes of other users and shared ones.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) all_namespaces: Option<bool>,
    /// Only messages with an internal date on or after this day (UTC).
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) since: Option<String>,
    /// Only messages with an internal date before this day (UTC).
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) before: Option<String>,
    /// Only messages of at most this size: a number of octets, or with K, M or G.
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_size: Option<String>,
    /// Copy the \Deleted flag too.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) copy_deleted_flag: Option<bool>,
    /// Accept that mailboxes now map to other names than before.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) remap: Option<bool>,
    /// Go on although a target mailbox was recreated and much of what was copied is not in it.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) accept_target_change: Option<bool>,
    /// Believe a source mailbox that has lost nearly everything that was copied from it.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) accept_mass_absence: Option<bool>,
    /// How many connections to each of its servers one account may have; further ones take only slots that no job wants,
    /// and none at an endpoint with a limit of connections.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) account_connections: Option<u32>,
    /// Forget what was said here before, so that what is next in line is asked.
    #[arg(long)]
    pub(crate) inherit: bool,
    #[command(flatten)]
    pub(crate) changes: ChangeWishArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a new key and seal all passwords under it; the old key is good for nothing afterwards.
    Rotate {
        /// Take the new key from this file; where there is none, it is made. Without it, the key file gets a new key.
        #[arg(long, value_name = "FILE", conflicts_with = "new_key_command")]
        new_key_file: Option<PathBuf>,
        /// Take the new key from what this command prints.
        #[arg(long, value_name = "CMD")]
        new_key_command: Option<String>,
        #[command(flatten)]
        json: JsonArgs,
    },
}
