//! What came of staying connected and copying changes as they came.

use crate::{count_of, duration_for_people};
use serde::Serialize;

/// A run that went over its account again and again until it was stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Followed {
    /// How often the account was looked at.
    pub rounds: u64,
    /// How many of these looks found something to do.
    pub rounds_with_changes: u64,
    /// Messages that were copied, or changed on the target, after the first round.
    pub brought_over: u64,
    /// The longest time, in seconds, from when news of a change came (or, if none came, from when the account was last
    /// known to be in step) until the change stood on the target. `None`: nothing was brought over.
    pub greatest_lag_secs: Option<f64>,
    /// How often a connection was lost and made again.
    pub reconnections: u64,
    /// Whether both sides were in step when the run ended.
    pub in_step: bool,
}

impl Followed {
    /// One sentence for people.
    #[must_use]
    pub fn in_words(&self) -> String {
        let lag = match self.greatest_lag_secs {
            Some(lag) => format!(", the greatest lag was {}", duration_for_people(lag)),
            None => String::new(),
        };
        let lost = match self.reconnections {
            0 => String::new(),
            lost => format!(", connected again {}", count_of(lost, "time")),
        };
        let step = if self.in_step { "in step when it ended" } else { "behind when it ended" };
        format!(
            "followed: {}, {} brought over after the first{lag}{lost}; {step}",
            count_of(self.rounds, "round"),
            count_of(self.brought_over, "change"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_far_behind_the_target_was_at_most() {
        let mut followed = Followed { rounds: 40, in_step: true, ..Followed::default() };
        assert_eq!(
            followed.in_words(),
            "followed: 40 rounds, 0 changes brought over after the first; in step when it ended"
        );
        followed = Followed { brought_over: 1, greatest_lag_secs: Some(2.04), reconnections: 2, ..followed };
        followed.in_step = false;
        assert_eq!(
            followed.in_words(),
            "followed: 40 rounds, 1 change brought over after the first, the greatest lag was 2.0 s, connected again 2 \
             times; behind when it ended"
        );
    }
}
