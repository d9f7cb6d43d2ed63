//! The whole program on real servers: the built command, private Dovecots and Cyruses, and a judge that shares no
//! code with the copier.
#![expect(clippy::expect_used, reason = "a test ends where its setup fails")]

mod answers;
mod bad_input;
mod bursts;
mod carried_over;
mod compressed;
mod first_copy;
mod fleet;
mod ground;
mod harness;
mod histories;
mod http;
mod interrupted;
mod journeys;
mod learnt;
mod model;
mod options;
mod page;
mod process;
mod queue_commands;
mod quirks;
mod reading_together;
mod records;
mod renames;
mod resync_options;
mod second_visit;
mod servers;
mod side_by_side;
mod spoilt;
mod spoilt_moves;
mod spoilt_reading;
mod stage;
mod steering;
mod unusual;
mod verifying;
mod wave;
mod workers;
