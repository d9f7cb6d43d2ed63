//! The model: what the target must look like after each pass. It knows nothing of how the copier does it, and shares no code
//! with it.
//!
//! A [`World`] is one possible state of affairs: what the target holds, and which source message each copy stands for. What
//! the owner does to one of several messages that look the same, and what the copier may do one way or another, make
//! several worlds of one; what is then seen on the target decides which of them are still possible. When none is, the copier
//! has done something that it must not do.

mod arrivals;
mod choices;
mod departures;
mod flags;
mod ground;
mod pass;
mod renames;
#[cfg(test)]
mod tests;
mod world;

pub use pass::{Outcome, Passing, predict};
pub use world::World;
