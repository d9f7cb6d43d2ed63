//! The whole engine in simulated time, between model servers, over a simulated network.
//!
//! A pass runs in one current-thread runtime with a paused clock: `mailhaul_copy::copy_account` with a real state file,
//! two [`ModelServer`](mailhaul_testing::model::ModelServer)s, and a [`Network`] whose [`Weather`] says what goes wrong. It takes
//! milliseconds, and whatever happens in it follows from seeds.
//!
//! Needs debug assertions (`make prove` builds with them): without them the clock does not wait for the disk, and nothing
//! can be struck.

mod cases;
mod corpus;
mod denials;
mod essence;
mod grounds;
mod judge;
pub mod mixed;
mod network;
mod owner;
mod pass;
mod past;
mod plan;
mod script;
mod sharing;
mod stage;
mod stream;
mod strike;
#[cfg(test)]
mod tests;
mod truth;

pub use cases::{
    Lenience, Named, expect_good_end, expect_kept_word, expect_no_lies, one_case, play_all, possible_duplicates,
    sample, say_pace, sets_aside, stretches,
};
pub use corpus::{Mail, Shelf, few, small, with_large};
pub use denials::Denials;
pub use judge::{Extra, Finding, Findings, judge};
pub use network::{Network, Passed};
pub use pass::{Deed, Ended, Happening, MALFORMED, Order, READS, Received, Reply, Trigger};
pub use past::{Departure, Doings, ForGood, Former, KeptFlags, Learned, Memory, Own, Past};
pub use plan::{Cut, How, Way, Weather};
pub use script::Script;
pub use stage::{Stage, expunge, move_message};
pub use strike::{Reached, Striking};
pub use truth::expect_true_ledger;
