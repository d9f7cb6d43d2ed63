//! What was learnt about a server, so that the next account on it begins where the last one ended.
//!
//! A profile is advice. It decides how a copy is begun and what is foretold of it, never what is copied: without one, or
//! with one that is wrong, the same mail arrives, only later. Whatever is in it becomes old and is found out again.

use crate::experience::Experience;
use serde::{Deserialize, Serialize};

const HOUR_SECS: i64 = 3_600;
const DAY_SECS: i64 = 24 * HOUR_SECS;

/// How long is believed with how many connections a copy went best.
const BEST_KNOWN_FOR: i64 = 30 * DAY_SECS;
/// How long is believed how a target takes single messages best.
const FORM_KNOWN_FOR: i64 = 7 * DAY_SECS;
/// How long what was measured is called the measure of a server.
const RATES_KNOWN_FOR: i64 = 90 * DAY_SECS;
/// By so much the unusual way has to be faster, so that it is worth two more round trips a mailbox.
const WORTH_LEAVING: f64 = 1.1;
/// What is left of older figures of commands beside those of a run.
const LEFT_OF_OLDER: f64 = 0.5;

/// What was learnt about one server, on one side of copies.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostProfile {
    /// How many connections for one account.
    pub width: Width,
    /// How the target takes messages that are stored one by one.
    pub single_appends: SingleAppends,
    /// What passes took while no other mailbox of the account was passed.
    pub alone: Experience,
    /// What passes took while others went on, their time divided among them.
    pub together: Experience,
    /// What creating and subscribing mailboxes took.
    pub made: Commands,
    /// The shortest time that a command and its answer took in the last run, in seconds.
    pub round_trip_secs: Option<f64>,
}

impl HostProfile {
    /// From JSON; `None` if that is none, or cannot be meant.
    #[must_use]
    pub fn from_json(text: &str) -> Option<Self> {
        let profile: Self = serde_json::from_str(text).ok()?;
        profile.is_sound().then_some(profile)
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Nothing in it that JSON could not hold.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn is_sound(&self) -> bool {
        let SingleAppends { selected_secs, unselected_secs, .. } = self.single_appends;
        let Commands { seconds, commands, later_secs, squares } = self.made;
        let single = [selected_secs, unselected_secs, seconds, commands, later_secs, squares];
        let numbers = single.into_iter().chain(self.round_trip_secs);
        let are_numbers = numbers.into_iter().all(|number| number.is_finite() && number >= 0.0);
        are_numbers && self.alone.is_sound() && self.together.is_sound()
    }

    /// Adds what a run has learnt.
    pub fn merge(&mut self, run: &Self) {
        self.width.merge(&run.width);
        if run.single_appends.is_known() {
            self.single_appends = run.single_appends;
        }
        self.alone.merge(&run.alone);
        self.together.merge(&run.together);
        if run.made.commands > 0.0 {
            self.made = self.made.faded(LEFT_OF_OLDER).plus(&run.made);
        }
        self.round_trip_secs = run.round_trip_secs.or(self.round_trip_secs);
    }

    /// The same with nothing measured in it that is too old.
    #[must_use]
    pub fn as_of(mut self, now_unix_secs: i64) -> Self {
        let is_fresh = |experience: &Experience| is_within(experience.at_unix_secs, now_unix_secs, RATES_KNOWN_FOR);
        if !is_fresh(&self.alone) {
            self.alone = Experience::default();
        }
        if !is_fresh(&self.together) {
            self.together = Experience::default();
        }
        self
    }
}

/// Whether a moment lies so close before another. One that lies behind it is from a clock that went wrong.
fn is_within(then: i64, now: i64, secs: i64) -> bool {
    (0..secs).contains(&now.saturating_sub(then))
}

/// Why there should be no more connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ceiling {
    /// The server refused one more.
    Refused,
    /// Connections were lost, or timed out.
    Trouble,
    /// One more made nothing faster.
    NoGain,
    /// Something that a later version knows.
    #[serde(other)]
    Other,
}

impl Ceiling {
    /// How long it is believed: limits are settings, trouble passes, and what a line carries changes by the hour.
    fn known_for(self) -> i64 {
        match self {
            Self::Refused => DAY_SECS,
            Self::Trouble | Self::Other => HOUR_SECS,
            Self::NoGain => 6 * HOUR_SECS,
        }
    }
}

/// A number of connections, and when it was found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The number.
    pub connections: usize,
    /// When.
    pub at_unix_secs: i64,
}

/// How many connections for one account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Width {
    /// With so many it went faster than with fewer.
    pub best: Option<Found>,
    /// No more than these, and why.
    pub most: Option<(Found, Ceiling)>,
    /// The same where the last of them only helps to read a mailbox. Such a one may be unfit for other reasons than that it is
    /// one too many (it shows an older state, say), so it says nothing of connections that copy mailboxes of their own.
    pub reading: Option<(Found, Ceiling)>,
}

impl Width {
    /// With how many to begin, as far as that is known.
    #[must_use]
    pub fn best(&self, now_unix_secs: i64) -> Option<usize> {
        let best = self.best.filter(|best| is_within(best.at_unix_secs, now_unix_secs, BEST_KNOWN_FOR))?;
        Some(best.connections.min(self.most(now_unix_secs).unwrap_or(usize::MAX)).max(1))
    }

    /// How many there should be at most, as far as that is known.
    #[must_use]
    pub fn most(&self, now_unix_secs: i64) -> Option<usize> {
        self.most.and_then(|most| believed(most, now_unix_secs))
    }

    /// The same of connections to read one mailbox. That several mailboxes at once were no faster than one says nothing of them:
    /// what they wait for may be something else.
    #[must_use]
    pub fn most_reading(&self, now_unix_secs: i64) -> Option<usize> {
        let most = self.most.filter(|(_, why)| *why != Ceiling::NoGain);
        [most, self.reading].into_iter().flatten().filter_map(|most| believed(most, now_unix_secs)).min()
    }

    fn merge(&mut self, run: &Self) {
        if let Some(best) = run.best {
            self.best = Some(best);
            // More were open than had seemed to be possible.
            self.most = self.most.filter(|(most, _)| most.connections >= best.connections);
        }
        if let Some((most, why)) = run.most {
            self.most = Some((most, why));
            if let Some(best) = &mut self.best {
                best.connections = best.connections.min(most.connections);
            }
        }
        self.reading = run.reading.or(self.reading);
    }
}

/// A ceiling, if it is not too old.
fn believed((most, why): (Found, Ceiling), now_unix_secs: i64) -> Option<usize> {
    is_within(most.at_unix_secs, now_unix_secs, why.known_for()).then_some(most.connections.max(1))
}

/// How a target takes messages that are stored one by one: with their mailbox selected, or without. Servers differ up to
/// eightfold in this, in opposite directions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SingleAppends {
    /// Seconds a message with the mailbox selected; nothing: not measured.
    pub selected_secs: f64,
    /// The same without.
    pub unselected_secs: f64,
    /// When.
    pub at_unix_secs: i64,
}

impl SingleAppends {
    fn is_known(&self) -> bool {
        self.selected_secs > 0.0 && self.unselected_secs > 0.0
    }

    /// Whether the mailbox should not be selected; `None` if that is not known, or not any more.
    #[must_use]
    pub fn better_unselected(&self, now_unix_secs: i64) -> Option<bool> {
        let is_known = self.is_known() && is_within(self.at_unix_secs, now_unix_secs, FORM_KNOWN_FOR);
        is_known.then_some(self.unselected_secs * WORTH_LEAVING < self.selected_secs)
    }
}

/// From so many commands in a burst on, its halves tell whether each costs more the more there are.
const TELLING: usize = 64;

/// What commands took that make mailboxes known to a server, their round trips left out.
///
/// Each of a burst may cost more than the one before: some servers look through all that is there each time. So a burst of
/// `n` takes `a n + b n² / 2`, where its later half takes `b (n / 2)²` longer than its first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Commands {
    /// Seconds, of all of them.
    pub seconds: f64,
    /// How many.
    pub commands: f64,
    /// So many seconds longer took the later halves of bursts, together.
    pub later_secs: f64,
    /// The squares of the halves of these bursts, together.
    pub squares: f64,
}

impl Commands {
    /// Adds a burst, with the seconds that its first and its later half took.
    pub fn add(&mut self, commands: usize, first: f64, later: f64) {
        if commands == 0 {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let count = commands as f64;
        self.seconds += first + later;
        self.commands += count;
        if commands >= TELLING {
            self.later_secs += (later - first).max(0.0);
            self.squares += (count / 2.0).powi(2);
        }
    }

    /// Seconds that a burst of so many takes; `None` if none was ever seen.
    #[must_use]
    pub fn predict(&self, commands: u64) -> Option<f64> {
        if self.commands <= 0.0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let commands = commands as f64;
        let growth = if self.squares > 0.0 { self.later_secs / self.squares } else { 0.0 };
        // Of all seconds, `growth * n² / 2` of each burst, which is twice `growth * (n / 2)²`.
        let each = ((self.seconds - 2.0 * self.later_secs) / self.commands).max(0.0);
        Some(commands * each + growth * commands * commands / 2.0)
    }

    fn faded(self, left: f64) -> Self {
        let Self { seconds, commands, later_secs, squares } = self;
        Self {
            seconds: seconds * left,
            commands: commands * left,
            later_secs: later_secs * left,
            squares: squares * left,
        }
    }

    fn plus(self, other: &Self) -> Self {
        Self {
            seconds: self.seconds + other.seconds,
            commands: self.commands + other.commands,
            later_secs: self.later_secs + other.later_secs,
            squares: self.squares + other.squares,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_000_000;

    fn found(connections: usize, hours_ago: i64) -> Found {
        Found { connections, at_unix_secs: NOW - hours_ago * HOUR_SECS }
    }

    #[test]
    fn what_was_learnt_about_connections_becomes_old() {
        let best = |hours| Width { best: Some(found(3, hours)), ..Width::default() };
        let most =
            |hours, why| Width { best: Some(found(5, 0)), most: Some((found(2, hours), why)), ..Width::default() };
        let cases = [
            (Width::default(), None, None),
            (best(1), Some(3), None),
            (best(31 * 24), None, None),
            (best(-1), None, None),
            (most(23, Ceiling::Refused), Some(2), Some(2)),
            (most(25, Ceiling::Refused), Some(5), None),
            (most(5, Ceiling::NoGain), Some(2), Some(2)),
            (most(7, Ceiling::NoGain), Some(5), None),
            (most(0, Ceiling::Trouble), Some(2), Some(2)),
            (most(2, Ceiling::Trouble), Some(5), None),
        ];
        for (width, first, ceiling) in cases {
            assert_eq!((width.best(NOW), width.most(NOW)), (first, ceiling), "{width:?}");
        }
    }

    #[test]
    fn a_later_run_says_better_how_many() {
        let run = |best: Option<usize>, most: Option<(usize, Ceiling)>| Width {
            best: best.map(|connections| found(connections, 0)),
            most: most.map(|(connections, why)| (found(connections, 0), why)),
            ..Width::default()
        };
        let mut width = run(Some(4), None);
        width.merge(&run(None, Some((2, Ceiling::Refused))));
        assert_eq!(width, run(Some(2), Some((2, Ceiling::Refused))));
        width.merge(&run(Some(3), None));
        assert_eq!(width, run(Some(3), None), "the server lets in more by now");
        width.merge(&Width::default());
        assert_eq!(width, run(Some(3), None), "a run that learnt nothing");
    }

    #[test]
    fn connections_that_only_read_are_held_to_what_the_server_bears_and_not_to_what_paid() {
        let width = |most, reading| Width { best: None, most, reading };
        let cases = [
            (None, None, None),
            (Some((found(2, 1), Ceiling::Refused)), None, Some(2)),
            (Some((found(2, 2), Ceiling::Trouble)), None, None),
            (Some((found(1, 1), Ceiling::NoGain)), None, None),
            (Some((found(3, 1), Ceiling::Refused)), Some((found(2, 1), Ceiling::Refused)), Some(2)),
            (None, Some((found(2, 25), Ceiling::Refused)), None),
        ];
        for (most, reading, expected) in cases {
            assert_eq!(width(most, reading).most_reading(NOW), expected, "{most:?} {reading:?}");
        }
        let mut width = width(None, None);
        let refused = Width { reading: Some((found(1, 0), Ceiling::Refused)), ..Width::default() };
        width.merge(&refused);
        width.merge(&Width::default());
        assert_eq!((width.most(NOW), width.most_reading(NOW)), (None, Some(1)));
    }

    #[test]
    fn a_reason_that_a_later_version_knows_loses_nothing_else() {
        let text =
            r#"{"width":{"most":[{"connections":2,"at_unix_secs":1794999000},"full_moon"]},"round_trip_secs":0.5}"#;
        let profile = HostProfile::from_json(text).expect("it can be read");
        assert_eq!((profile.width.most(NOW), profile.round_trip_secs), (Some(2), Some(0.5)));
    }

    #[test]
    fn the_mailbox_is_left_only_where_that_is_plainly_faster() {
        let measured = |selected_secs, unselected_secs, days| SingleAppends {
            selected_secs,
            unselected_secs,
            at_unix_secs: NOW - days * DAY_SECS,
        };
        let cases = [
            (measured(12.6, 5.1, 0), Some(true)),
            (measured(4.6, 28.0, 0), Some(false)),
            (measured(1.0, 0.95, 0), Some(false)),
            (measured(12.6, 5.1, 8), None),
            (measured(12.6, 0.0, 0), None),
            (SingleAppends::default(), None),
        ];
        for (appends, expected) in cases {
            assert_eq!(appends.better_unselected(NOW), expected, "{appends:?}");
        }
    }

    #[test]
    fn a_profile_comes_back_from_json_and_nonsense_does_not() {
        let mut profile = HostProfile { round_trip_secs: Some(0.04), ..HostProfile::default() };
        profile.width.most = Some((found(3, 1), Ceiling::Refused));
        profile.single_appends = SingleAppends { selected_secs: 1.5, unselected_secs: 0.5, at_unix_secs: NOW };
        profile.made.add(12, 0.5, 0.5);
        assert_eq!(HostProfile::from_json(&profile.to_json()), Some(profile));
        assert_eq!(HostProfile::from_json("{}"), Some(HostProfile::default()), "of another version");
        for text in ["", "{", "7", r#"{"round_trip_secs":-1}"#, r#"{"alone":{"seconds":1e999}}"#] {
            assert_eq!(HostProfile::from_json(text), None, "{text}");
        }
    }

    #[test]
    fn old_measures_are_measures_no_more() {
        let mut profile = HostProfile::default();
        profile.alone.add(&crate::experience::Load { mailboxes: 1, messages: 100, octets: 1 << 20 }, 1.0);
        profile.alone.at_unix_secs = NOW - 89 * DAY_SECS;
        assert!(!profile.clone().as_of(NOW).alone.is_empty());
        assert!(profile.as_of(NOW + 2 * DAY_SECS).alone.is_empty());
    }

    #[test]
    fn commands_that_cost_more_the_more_there_are_are_foretold_so() {
        // The first of each costs 1 ms, each further one 10 us more.
        let took = |from: f64, to: f64| (to - from) * 1e-3 + (to * to - from * from) / 2.0 * 1e-5;
        let mut seen = Commands::default();
        assert_eq!(seen.predict(10), None);
        seen.add(400, took(0.0, 200.0), took(200.0, 400.0));
        let told = seen.predict(1_600).expect("seen");
        assert!((told - took(0.0, 1_600.0)).abs() < 0.01, "{told}");
        let twice = seen.faded(0.5).plus(&seen).predict(1_600).expect("seen");
        assert!((told - twice).abs() < 0.01, "{twice}");
        let mut few = Commands::default();
        few.add(4, 1e-3, 9e-3);
        let told = few.predict(1_000).expect("seen");
        assert!((told - 2.5).abs() < 1e-9, "so few tell nothing of what more would cost: {told}");
    }
}
