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
    /// List tokens, without their secrets.
    List {
        #[command(flatten)]
        json: JsonArgs,
    },
    /// End a token, and sign out every browser that used it.
    Revoke {
        /// Which.
        name: String,
    },
    /// Print a code that signs one browser in as an administrator, once and within a day.
    Link,
}
