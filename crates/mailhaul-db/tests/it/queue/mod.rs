//! The queue from outside: real files, a clock that stands still until it is told.

mod access;
mod claims;
mod control;
mod leases;
mod lists;
mod old;
mod rooms;
mod setup;
mod states;
mod turns;
mod wiping;
