//! The whole program on real servers: the built command, private Dovecots and Cyruses, and a judge that shares no
//! code with the copier.
#![expect(clippy::expect_used, reason = "a test ends where its setup fails")]

mod answers;
mod bad_input;
mod first_copy;
mod ground;
mod harness;
mod interrupted;
mod options;
mod process;
mod quirks;
mod servers;
mod stage;
mod unusual;
mod verifying;
