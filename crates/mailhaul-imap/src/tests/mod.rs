//! The edge against a scripted peer in the same process: every ending of every command, literals in every mode,
//! odd orders, injections, bombs.

mod altering;
mod appending;
mod changes;
mod compressing;
mod control;
mod endings;
mod fetching;
mod figures;
mod framing;
mod limits;
mod looking;
mod peer;
mod reading;
mod signing_in;
mod tls;
mod together;
mod watching;
