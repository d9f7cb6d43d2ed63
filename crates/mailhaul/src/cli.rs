//! The command line: every option, with the help that is also its manual.

use crate::exit::{CommandError, EXIT_CODES_HELP};
use clap::{Args, Parser, Subcommand, ValueEnum};
use mailhaul_types::InternalDate;
use std::path::PathBuf;

/// What stands below the options of `copy --help`.
const COPY_HELP: &str = "\
Exceptions lead to exit code 5, `mailbox stopped` to 6:
  refused             the target would not have this message
  unreadable          the source lists this message and does not hand it out
  possible duplicate  an unanswered copy may have been stored and then moved
                      or deleted by its owner; the message was sent again
  view incomplete     the source lists fewer messages than it says it has
  mailbox failed      this mailbox could not be worked on; the others went on
  mailbox stopped     this mailbox waits for your decision
  does not add up     the numbers contradict each other: please report it

The state file knows an account by its host and user, whatever the port:
imaps://ann@localhost:9931 and imaps://ann@localhost:9932 are one account.
If tunnels make them two, give each its own --state file.

`mailhaul --help` lists the exit codes.";

/// Moves an organisation's mail from one server to another, and proves that all of it arrived.
#[derive(Debug, Parser)]
#[command(name = "mailhaul", version, after_help = EXIT_CODES_HELP, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) talk: Talk,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copy one account now. The same command again resumes, or finds that nothing is left.
    #[command(after_long_help = COPY_HELP)]
    Copy(Box<CopyArgs>),
    /// Compare one account on both servers, message by message. Needs no state; judges a copy that any tool made.
    Verify(Box<VerifyArgs>),
    /// Say what the state file knows about earlier copies.
    Report(ReportArgs),
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
    /// File that remembers what was copied [default: mailhaul/mailhaul.db in the user's data directory].
    ///
    /// Use one file for one migration: two files cannot see each other, and two copies of one account under two files at
    /// once can double mail.
    ///
    /// In it an account is known by host and user, not by port. Where several servers are reached through tunnels on
    /// localhost, give each migration a file of its own.
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Try messages again that were refused or unreadable in an earlier run.
    ///
    /// Also clears what stands there as `possible duplicate`, once you have looked at it.
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
    /// Write nothing anywhere: show the mapping and what would be copied.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the result as one JSON object on stdout.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
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

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The state file.
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Print the report as one JSON object on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Reads `25M` as octets.
pub(crate) fn parse_size(text: &str) -> Result<u64, CommandError> {
    let wrong = || {
        CommandError::usage(format!("--max-size: `{text}` is not a size"), "write a number of octets, or 500K, 25M, 2G")
    };
    let (digits, factor) = match text.char_indices().next_back() {
        Some((end, 'k' | 'K')) => (&text[..end], 1 << 10),
        Some((end, 'm' | 'M')) => (&text[..end], 1 << 20),
        Some((end, 'g' | 'G')) => (&text[..end], 1 << 30),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(wrong)
}

/// Reads a day as its first moment in UTC.
pub(crate) fn parse_day(option: &str, text: &str) -> Result<i64, CommandError> {
    InternalDate::from_day(text).map(InternalDate::unix_secs).ok_or_else(|| {
        CommandError::usage(format!("{option}: `{text}` is not a day"), "write it as 2026-11-22 (year-month-day)")
    })
}

/// Reads `OLD=NEW`.
pub(crate) fn parse_map(text: &str) -> Result<(String, String), CommandError> {
    match text.split_once('=') {
        Some((old, new)) if !old.is_empty() && !new.is_empty() => Ok((old.to_owned(), new.to_owned())),
        _ => Err(CommandError::usage(
            format!("--map: `{text}` does not name two mailboxes"),
            "write --map OLD=NEW, for example --map 'Sent Items=Sent'",
        )),
    }
}

/// Reads a SHA-256 fingerprint with or without colons.
pub(crate) fn parse_pin(option: &str, text: &str) -> Result<[u8; 32], CommandError> {
    let wrong = || {
        CommandError::usage(
            format!("{option}: `{text}` is not a SHA-256 fingerprint"),
            "64 hexadecimal digits, with or without colons; \
             `openssl s_client -connect HOST:993 </dev/null | openssl x509 -noout -fingerprint -sha256` prints it",
        )
    };
    let digits: Vec<u8> = text
        .chars()
        .filter(|character| *character != ':')
        .map(|character| character.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()
        .ok_or_else(wrong)?;
    let octets: Vec<u8> = digits.chunks(2).map(|pair| pair.iter().fold(0, |value, digit| value << 4 | digit)).collect();
    if digits.len() == 64 { octets.try_into().map_err(|_| wrong()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn reads_sizes_days_maps_and_pins() {
        assert_eq!(parse_size("25M").ok(), Some(25 << 20));
        assert_eq!(parse_size("512").ok(), Some(512));
        assert!(parse_size("M").is_err() && parse_size("-1").is_err() && parse_size("99999999999G").is_err());
        assert!(parse_size("5é").is_err());
        assert_eq!(parse_day("--since", "1970-01-02").ok(), Some(86_400));
        assert!(parse_day("--since", "yesterday").is_err());
        assert_eq!(parse_map("a=b=c").ok(), Some(("a".to_owned(), "b=c".to_owned())));
        assert!(parse_map("a=").is_err() && parse_map("a").is_err());
        let pin = "00:01:".repeat(15) + "ff:FE";
        assert_eq!(parse_pin("--from-pin", &pin).map(|pin| (pin[1], pin[30], pin[31])).ok(), Some((1, 0xff, 0xfe)));
        assert!(parse_pin("--from-pin", "00:01").is_err());
    }
}
