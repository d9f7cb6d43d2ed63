//! Whether compression pays on a line, from what was seen of it.
//!
//! DEFLATE trades processor time on both ends for octets on the line. Once begun it cannot be ended on a connection, so it is
//! begun only where the gain is plain.

use std::time::Duration;

/// What was seen of a line while mail flowed over it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Octets a second.
    pub octets_per_sec: f64,
    /// The shortest time that a command and its answer took.
    pub round_trip: Duration,
    /// The share of the time, from 0 to 1, that was spent waiting for this line and nothing else.
    pub waited: f64,
    /// How many octets of this mail one compressed octet carries.
    pub ratio: f64,
    /// Octets a second that this machine compresses.
    pub deflated_per_sec: f64,
    /// How much of all processors this process has used meanwhile, from 0 to 1.
    pub busy: f64,
}

/// A shorter round trip is a local network's: there the server is what is slow, and compressing would make it slower.
pub const ROUND_TRIP_LEAST: Duration = Duration::from_millis(2);
/// A line that is waited for less than this is not what the copy is slow by.
const WAITED_LEAST: f64 = 0.5;
/// Beyond this there is other work for the processors.
const BUSY_MOST: f64 = 0.5;
/// What must be left of the time at most.
const LEFT_MOST: f64 = 0.8;
/// Servers compress harder than we do (Dovecot at level 6 by default), on machines that serve others as well.
const SERVER_SLOWER: f64 = 4.0;

/// Whether compression would make a copy over this line faster by a fifth or more.
#[must_use]
pub fn compression_pays(line: &Line) -> bool {
    let now = 1.0 / line.octets_per_sec;
    // Line and processors work at the same time, so the slower of them counts.
    let then = (now / line.ratio).max(SERVER_SLOWER / line.deflated_per_sec);
    line.round_trip >= ROUND_TRIP_LEAST
        && line.waited >= WAITED_LEAST
        && line.busy <= BUSY_MOST
        && line.ratio > 1.0
        && then <= LEFT_MOST * now
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two MiB a second over 40 ms, text that shrinks to half, an idle machine of the slower kind.
    const SLOW: Line = Line {
        octets_per_sec: 2e6,
        round_trip: Duration::from_millis(40),
        waited: 0.9,
        ratio: 2.0,
        deflated_per_sec: 80e6,
        busy: 0.05,
    };

    #[test]
    fn it_pays_on_a_slow_line_with_mail_that_shrinks() {
        assert!(compression_pays(&SLOW));
    }

    #[test]
    fn it_does_not_pay_where_any_of_the_conditions_is_missing() {
        let cases = [
            ("the line is fast", Line { octets_per_sec: 50e6, ..SLOW }),
            ("the server is next door", Line { round_trip: Duration::from_micros(300), ..SLOW }),
            ("the other side is waited for", Line { waited: 0.3, ..SLOW }),
            ("the mail is pictures", Line { ratio: 1.05, ..SLOW }),
            ("this machine is slow at it", Line { deflated_per_sec: 5e6, ..SLOW }),
            ("the processors are busy", Line { busy: 0.7, ..SLOW }),
            ("nothing flowed", Line { octets_per_sec: 0.0, ratio: f64::NAN, ..SLOW }),
        ];
        for (name, line) in cases {
            assert!(!compression_pays(&line), "{name}");
        }
    }
}
