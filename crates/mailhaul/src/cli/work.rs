//! `run`, `serve`, `preflight`, `probe`: what talks to servers.

use super::JsonArgs;
use super::waves::PlanArgs;
use clap::Args;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use url::Url;

/// What stands below the options of `run --help`.
pub(super) const RUN_HELP: &str = "\
The last line is the verdict, made to be quoted. The exit code says what stands
in the way of an end. If several accounts are stopped by different kinds of
trouble, it is 5:
    0  every account is copied, and every message accounted for; what you
       cancelled yourself is left out, and named in the last line
    3  sign-ins were refused: `mailhaul accounts set`, then `mailhaul retry --failed`
    4  a server could not be reached, or its TLS could not be trusted
    5  done with exceptions, or trouble of several kinds
    6  something waits for you: no room on the target, a brake, a pause
  130  interrupted; the same command goes on";

/// What stands below the options of `preflight --help`.
pub(super) const PREFLIGHT_HELP: &str = "\
Every account is ready, ready with remarks, or blocked, with the reason and what
to do. What was found is stored; the next look says what changed.

The exit code is 0 if nothing is blocked. If all blocked accounts are blocked by
one kind of trouble, it is that of this trouble (3 sign-in, 4 not reached, 6 no
room or a decision); otherwise it is 5.";

/// What stands below the options of `serve --help`.
pub(super) const SERVE_HELP: &str = "\
The page and the API are at http://127.0.0.1:8025 unless --listen or --socket
says otherwise. While nobody can sign in, a link is printed that is good once.
Whoever signs in with it can do everything; `mailhaul token create` makes tokens
for others, and for programs.

Behind a reverse proxy, --public-url names the address that browsers use, with
the path below which the page is shown, if it has one.";

/// Where the page is, where nothing else is said.
pub(crate) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8025);

/// Jobs at once in a process, where nothing else is said.
const WORKERS: u32 = 16;
/// More connections than this one process does not carry well.
const WORKERS_MAX: i64 = 5_000;

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Which wave.
    #[arg(long, value_name = "WAVE")]
    pub(crate) wave: String,
    /// Queue a job of this kind for every account, instead of the first copy for those that never had one:
    /// preflight, bulk, resync, final or verify.
    #[arg(long, value_name = "KIND", value_parser = super::parse::kind)]
    pub(crate) kind: Option<mailhaul_service::JobKind>,
    /// Accounts at once; the limits of endpoints count as well.
    #[arg(long, value_name = "N", default_value_t = WORKERS, value_parser = clap::value_parser!(u32).range(1..=WORKERS_MAX))]
    pub(crate) workers: u32,
    /// Only queue the jobs, and leave the work to `mailhaul serve`.
    #[arg(long)]
    pub(crate) detach: bool,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
    #[command(flatten)]
    pub(crate) lengths: LengthArgs,
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Accounts at once; the limits of endpoints count as well.
    #[arg(long, value_name = "N", default_value_t = WORKERS, value_parser = clap::value_parser!(u32).range(1..=WORKERS_MAX))]
    pub(crate) workers: u32,
    #[command(flatten)]
    pub(crate) lengths: LengthArgs,
    /// Where to show the page and the API, instead of at 127.0.0.1:8025. May be repeated; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Page and API")]
    pub(crate) listen: Vec<SocketAddr>,
    /// Show them at a Unix socket that only this user can open, instead of at 127.0.0.1:8025.
    #[arg(long, value_name = "FILE", help_heading = "Page and API")]
    pub(crate) socket: Option<PathBuf>,
    /// Who may open that socket, as `chmod` takes it: 660 lets its group in, to which a proxy may belong.
    #[arg(long, value_name = "MODE", default_value = "600", value_parser = super::parse::mode, requires = "socket", help_heading = "Page and API")]
    pub(crate) socket_mode: u32,
    /// PEM file with our certificate, and those that lead from it to its authority.
    #[arg(long, value_name = "FILE", requires = "tls_key", help_heading = "Page and API")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// PEM file with the certificate's private key.
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = "Page and API")]
    pub(crate) tls_key: Option<PathBuf>,
    /// The address under which a reverse proxy shows the page: `https://mail.example/mailhaul`.
    #[arg(long, value_name = "URL", help_heading = "Page and API")]
    pub(crate) public_url: Option<Url>,
    /// Let administrators name servers in private networks, on this machine, and at any port, through the page and the
    /// API too. Without it, only somebody at this machine can: `mailhaul endpoint add`.
    #[arg(long, help_heading = "Page and API")]
    pub(crate) allow_private_servers: bool,
    /// Only work: no page, no API.
    #[arg(long, conflicts_with_all = ["listen", "socket", "tls_cert", "public_url", "allow_private_servers"], help_heading = "Page and API")]
    pub(crate) no_page: bool,
}

/// Lengths that are fixed in use and short in tests.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct LengthArgs {
    /// How long a lease lasts.
    #[arg(long, hide = true, value_name = "MS", value_parser = clap::value_parser!(u64).range(50..))]
    pub(crate) lease_ms: Option<u64>,
    /// How often the state file is looked at.
    #[arg(long, hide = true, value_name = "MS", value_parser = clap::value_parser!(u64).range(10..))]
    pub(crate) poll_ms: Option<u64>,
    /// After how long without a sign of life a job is given up.
    #[arg(long, hide = true, value_name = "MS", value_parser = clap::value_parser!(u64).range(50..))]
    pub(crate) stall_ms: Option<u64>,
    /// How long the pauses after failures are, of their usual length.
    #[arg(long, hide = true, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) pause_percent: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct PreflightArgs {
    /// Which wave.
    #[arg(long, value_name = "WAVE")]
    pub(crate) wave: String,
    /// Only show what the latest look found.
    #[arg(long)]
    pub(crate) show: bool,
    /// Accounts at once. Failed sign-ins slow some servers for everybody, so this is gentle.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=WORKERS_MAX))]
    pub(crate) workers: u32,
    #[command(flatten)]
    pub(crate) lengths: LengthArgs,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// A server, perhaps with a user: imaps://mail.example, imaps://alice@mail.example.
    #[arg(value_name = "URL", required_unless_present_any = ["endpoint", "account"], conflicts_with_all = ["endpoint", "account"])]
    pub(crate) url: Option<String>,
    /// An endpoint of the state file.
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) endpoint: Option<String>,
    /// Sign in as this account of the state file; without --endpoint, at both of its ends.
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    /// File whose first line is the password of the user in the URL; `-` is standard input. Without it, mailhaul asks.
    #[arg(long, value_name = "FILE", conflicts_with = "password_command", requires = "url")]
    pub(crate) password_file: Option<PathBuf>,
    /// Command that prints that password.
    #[arg(long, value_name = "CMD", requires = "url")]
    pub(crate) password_command: Option<String>,
    /// PEM file with the certificate authorities to trust, in place of the system's.
    #[arg(long, value_name = "FILE", requires = "url")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Trust exactly this certificate: its SHA-256 in hex.
    #[arg(long, value_name = "SHA256", conflicts_with = "ca_file", requires = "url")]
    pub(crate) pin: Vec<String>,
    /// How long the server may be silent, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,
    /// Allow `?tls=none` for this host.
    #[arg(long, value_name = "HOST")]
    pub(crate) allow_plaintext: Vec<String>,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}
