//! The whole engine in simulated time, between model servers, over a simulated network.
//!
//! A pass runs in one current-thread runtime with a paused clock: `mailhaul_copy::copy_account` with a real state file,
//! two [`ModelServer`](mailhaul_testing::model::ModelServer)s, and a [`Network`] whose [`Weather`] says what goes wrong. It takes
//! milliseconds, and whatever happens in it follows from seeds.
//!
//! Needs debug assertions (`make prove` builds with them): without them the clock does not wait for the disk, and nothing
//! can be struck.

mod corpus;
mod judge;
mod network;
mod pass;
mod plan;
mod stage;
mod stream;
mod strike;

pub use corpus::{Mail, Shelf, few, small};
pub use judge::{Finding, Findings, judge};
pub use network::{Network, Passed};
pub use pass::{Deed, Ended, Happening, Order, Reply};
pub use plan::{Cut, How, Way, Weather};
pub use stage::{Past, Stage, expunge};
pub use strike::{Reached, Striking};
