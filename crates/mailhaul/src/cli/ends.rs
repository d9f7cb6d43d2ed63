//! `copy` and `verify`: one account, with both its ends on the command line.

use super::changes::CopyChangeArgs;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// What stands below the options of `copy --help`.
pub(super) const COPY_HELP: &str = "\
Exceptions lead to exit code 5, `mailbox stopped` to 6:
  refused             the target would not have this message
  unreadable          the source lists this message and does not hand it out,
                      or the target does not hand out what may be its copy
  possible duplicate  an unanswered copy may have been stored and then moved
                      or deleted by its owner; the message was sent again
  view incomplete     the source lists fewer messages than it says it has
  view doubtful       the source has exactly as many messages as some servers
                      show at most; --accept-view says that it is all
  mailbox failed      this mailbox could not be worked on; the others went on
  mailbox stopped     this mailbox waits for your decision
  does not add up     the numbers contradict each other: please report it

The state file knows an account by its host and user, whatever the port:
imaps://ann@localhost:9931 and imaps://ann@localhost:9932 are one account.
If tunnels make them two, give each its own --state file.

`mailhaul --help` lists the exit codes.";

/// The two ends and how to sign in.
#[derive(Debug, Args)]
#[command(next_help_heading = "Endpoints")]
pub(crate) struct EndpointArgs {
    /// Source: imaps://user@host, or imap://user@host for STARTTLS; :port may follow. In a user name write `%` as `%25`.
    #[arg(long, value_name = "URL")]
    pub(crate) from: String,
    /// Target, in the same form.
    #[arg(long, value_name = "URL")]
    pub(crate) to: String,
    /// File whose first line is the source's password; `-` is standard input. Without it, mailhaul asks.
    #[arg(long, value_name = "FILE", conflicts_with = "from_password_command")]
    pub(crate) from_password_file: Option<PathBuf>,
    /// File whose first line is the target's password; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "to_password_command")]
    pub(crate) to_password_file: Option<PathBuf>,
    /// Command that prints the source's password.
    #[arg(long, value_name = "CMD")]
    pub(crate) from_password_command: Option<String>,
    /// Command that prints the target's password.
    #[arg(long, value_name = "CMD")]
    pub(crate) to_password_command: Option<String>,
    /// Whose mail to read, when the user of --from signs in as an administrator (SASL PLAIN authorization identity).
    #[arg(long, value_name = "USER")]
    pub(crate) from_authorization_identity: Option<String>,
    /// Whose mail to write, when the user of --to signs in as an administrator.
    #[arg(long, value_name = "USER")]
    pub(crate) to_authorization_identity: Option<String>,
    /// Compress what goes over the line (COMPRESS=DEFLATE): `auto`, `on`, or `off`. With `auto` never to a server next door (a
    /// round trip below 2 ms), and elsewhere only after a mailbox's mail has flowed for a few seconds, if this line was waited
    /// for most of that time, the mail would shrink enough to be a fifth faster, and this process keeps less than half of
    /// the processors busy. `on` asks at sign-in, which is one round trip, and a server that does not take it is an error.
    /// For one server alone, end its URL with `?compress=on`.
    #[arg(long, value_name = "WHEN", value_parser = super::parse::compress())]
    pub(crate) compress: Option<mailhaul_imap::Compress>,
    /// PEM file with the certificate authorities to trust, in place of the system's, for both servers.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Trust exactly this certificate at the source: SHA-256 of the certificate in hex, as
    /// `openssl x509 -fingerprint -sha256` prints it. May be given more than once.
    #[arg(long, value_name = "SHA256", conflicts_with = "ca_file")]
    pub(crate) from_pin: Vec<String>,
    /// Trust exactly this certificate at the target.
    #[arg(long, value_name = "SHA256", conflicts_with = "ca_file")]
    pub(crate) to_pin: Vec<String>,
    /// How long a server may be silent, in seconds, while it owes an answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,
    /// Allow `?tls=none` for this host: password and mail go over the network readable. Stands in the report.
    #[arg(long, value_name = "HOST")]
    pub(crate) allow_plaintext: Vec<String>,
}

/// What is copied and where to.
#[derive(Debug, Args)]
#[command(next_help_heading = "Mailboxes and selection")]
pub(crate) struct SelectionArgs {
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
    #[arg(long)]
    pub(crate) all_namespaces: bool,
    /// Only messages with an internal date on or after this day (UTC).
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) since: Option<String>,
    /// Only messages with an internal date before this day (UTC).
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) before: Option<String>,
    /// Only messages of at most this size: a number of octets, or with K, M or G.
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_size: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// Try messages again that were refused or unreadable in an earlier run.
    ///
    /// Also clears what stands there as `possible duplicate`, once you have looked at it. A message that was set aside because
    /// the target does not hand out what may be its copy is sent, and may be there twice then.
    #[arg(long)]
    pub(crate) retry_exceptions: bool,
    /// Accept that mailboxes now map to other names than in an earlier run.
    #[arg(long)]
    pub(crate) remap: bool,
    /// Go on although a target mailbox was recreated and more than a fifth of what was copied is not in it. What is
    /// missing there stays missing.
    #[arg(long)]
    pub(crate) accept_target_change: bool,
    /// Believe a source mailbox that has lost nearly everything that was copied from it. Nothing is deleted either way.
    #[arg(long)]
    pub(crate) accept_mass_absence: bool,
    /// Copy the \Deleted flag too. Without it, mail marked for deletion arrives unmarked.
    #[arg(long)]
    pub(crate) copy_deleted_flag: bool,
    /// The most connections to each server. A first copy begins with as many as were best at these servers before, else
    /// with one (with two where four mailboxes or more are 20 ms away or farther), and opens further ones while that makes
    /// it faster; each takes a mailbox of its own, or helps to read a large one if nothing else is left.
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) connections: u8,
    /// Write nothing anywhere: show the mapping, what would be copied, and how long it would take.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the result as one JSON object on stdout.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) changes: CopyChangeArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// Number of messages in each mailbox.
    Counts,
    /// Every message by Message-ID, header fields, size and date.
    Keys,
    /// Every message by all its octets (SHA-256), date and flags.
    Bytes,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// How closely to look.
    #[arg(long, value_enum, default_value_t = Level::Keys)]
    pub(crate) level: Level,
    /// Do not compare flags: people who work on the target change them.
    #[arg(long)]
    pub(crate) ignore_flags: bool,
    /// Print the result as one JSON object on stdout.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
}
