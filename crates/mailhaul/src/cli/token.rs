//! `token`: who may use the page and the API.

use super::JsonArgs;
use clap::Subcommand;
use mailhaul_service::Role;

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token, and print its secret, this once.
    Create {
        /// What to call it: a person, or a program.
        name: String,
        /// What it allows: `viewer` looks, `operator` also imports, begins, pauses, retries and cancels, `admin` also
        /// changes servers, closes waves and makes tokens.
        #[arg(long, value_name = "ROLE", default_value = "viewer", value_parser = crate::token::role)]
        role: Role,
        /// For how many days it is good; until it is revoked if this is not said.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3_650))]
        days: Option<u32>,
        #[command(flatten)]
        json: JsonArgs,
    },
    /// List tokens, without their secrets, and the browsers that are signed in.
    List {
        #[command(flatten)]
        json: JsonArgs,
    },
    /// End a token, and sign out every browser that used it; or sign out browsers only.
    Revoke {
        /// Which token.
        #[arg(required_unless_present_any = ["session", "sessions"], conflicts_with_all = ["session", "sessions"])]
        name: Option<String>,
        /// Sign out one browser, by the number that `token list` shows.
        #[arg(long, value_name = "NUMBER", conflicts_with = "sessions")]
        session: Option<i64>,
        /// Sign out all browsers, however they signed in, and take back a code that nobody has used. Tokens stay good.
        #[arg(long)]
        sessions: bool,
    },
    /// Print a code that signs one browser in as an administrator, once and within a day.
    Link {
        /// For whom it is: what is done with it stands in the event log under this name.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
}
