//! Second passes between real servers: what was moved or deleted at the source, on targets that can do more or less,
//! with connections that break in between.

mod deletions;
mod departures;
mod flags;
mod moves;
mod moves_interrupted;
mod stage;
