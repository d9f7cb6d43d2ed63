//! How long a copy will take, and what that rests on.

use crate::duration_for_people;
use serde::Serialize;

/// What an estimate rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeBasis {
    /// Copies between these servers were measured, of accounts like this one.
    Measured,
    /// Copies between these servers were measured, of accounts of another kind.
    MeasuredUnlike,
    /// Only one of the servers was measured, or one of them never to its limit.
    MeasuredInPart,
    /// Nothing was measured but the distance.
    Assumed,
}

/// How long a copy will take.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TimeEstimate {
    /// Most likely, in seconds.
    pub seconds: f64,
    /// At least.
    pub least_seconds: f64,
    /// At most.
    pub most_seconds: f64,
    /// What it rests on.
    pub basis: TimeBasis,
    /// How many seconds ago the older of the measures was taken, if there are any.
    pub measured_seconds_ago: Option<u64>,
    /// The round trip to the farther server, in milliseconds, as it was just now.
    pub round_trip_ms: f64,
}

impl TimeEstimate {
    /// The estimate and what it rests on, in a sentence.
    #[must_use]
    pub fn to_text(&self) -> String {
        let [seconds, least, most] = [self.seconds, self.least_seconds, self.most_seconds].map(duration_for_people);
        let ago = self.measured_seconds_ago.map_or_else(String::new, |secs| format!(" {}", ago(secs)));
        match self.basis {
            TimeBasis::Measured => {
                format!("estimated time: about {seconds} ({least} to {most}), as measured between these servers{ago}")
            }
            TimeBasis::MeasuredUnlike => format!(
                "estimated time: about {seconds} ({least} to {most}); what was measured between these servers{ago} were \
                 mailboxes of another kind"
            ),
            TimeBasis::MeasuredInPart => format!(
                "estimated time: about {seconds} ({least} to {most}); only one of the two servers was measured to its \
                 limit{ago}"
            ),
            TimeBasis::Assumed => format!(
                "estimated time: between {least} and {most}, at a round trip of {:.0} ms; how fast these servers are is \
                 not known before something has been copied between them with this state file",
                self.round_trip_ms
            ),
        }
    }
}

fn ago(secs: u64) -> String {
    match secs {
        0..120 => "just now".to_owned(),
        120..7_200 => format!("{} minutes ago", secs / 60),
        7_200..172_800 => format!("{} hours ago", secs / 3_600),
        _ => format!("{} days ago", secs / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_it_rests_on() {
        let estimate = |basis, measured_seconds_ago| TimeEstimate {
            seconds: 100.0,
            least_seconds: 80.0,
            most_seconds: 125.0,
            basis,
            measured_seconds_ago,
            round_trip_ms: 40.2,
        };
        for (basis, ago, expected) in [
            (
                TimeBasis::Measured,
                Some(7_300),
                "about 1 min 40 s (1 min 20 s to 2 min 05 s), as measured between these servers 2 hours ago",
            ),
            (
                TimeBasis::MeasuredUnlike,
                Some(30),
                "what was measured between these servers just now were mailboxes of another kind",
            ),
            (
                TimeBasis::MeasuredInPart,
                Some(259_300),
                "only one of the two servers was measured to its limit 3 days ago",
            ),
            (
                TimeBasis::Assumed,
                None,
                "estimated time: between 1 min 20 s and 2 min 05 s, at a round trip of 40 ms; how fast",
            ),
        ] {
            let text = estimate(basis, ago).to_text();
            assert!(text.contains(expected), "{text}");
        }
    }
}
