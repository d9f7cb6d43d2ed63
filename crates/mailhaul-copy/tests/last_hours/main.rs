//! The last hours before the switch, on real Dovecots: views that may not be whole, the last pass with its comparison,
//! and an account that is followed.
#![expect(clippy::expect_used, reason = "a test ends where its setup fails")]

mod decisions;
mod final_check;
mod follow;
mod setup;
mod views;
