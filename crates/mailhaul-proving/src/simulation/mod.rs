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
mod judge;
pub mod mixed;
mod network;
mod pass;
mod plan;
mod script;
mod stage;
mod stream;
mod strike;

pub use cases::{
    Lenience, expect_good_end, expect_no_lies, one_case, play_all, possible_duplicates, sample, say_pace, sets_aside,
};
pub use corpus::{Mail, Shelf, few, small};
pub use judge::{Finding, Findings, judge};
pub use network::{Network, Passed};
pub use pass::{Deed, Ended, Happening, Order, Received, Reply};
pub use plan::{Cut, How, Way, Weather};
pub use script::Script;
pub use stage::{Past, Stage, expunge};
pub use strike::{Reached, Striking};
