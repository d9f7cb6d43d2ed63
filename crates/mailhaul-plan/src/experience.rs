//! What passes over mailboxes have taken, put together so that it can be told what others will take.
//!
//! A pass costs something for the mailbox, something for each message, and something for each octet. How much of each is
//! found out by least squares over all passes; only their sums are kept, so that experience has a fixed size. Where the
//! passes were all alike, they do not tell the three apart: then the usual proportions between them stand, and only
//! their measure is learnt.

use serde::{Deserialize, Serialize};

/// Octets are counted in units of so many, so that the three costs are of similar size.
const UNIT_OCTETS: f64 = 4_096.0;
/// What is usual for a message, and for a unit of octets, in seconds.
const MESSAGE_USUAL: f64 = 40e-6;
const UNIT_USUAL: f64 = 20e-6;
/// What is usual for a mailbox beside its round trips, and how many of these it costs.
const MAILBOX_USUAL: f64 = 2e-3;
const MAILBOX_TRIPS: f64 = 3.0;
/// How much the usual proportions weigh against what was seen.
const USUAL_WEIGHT: f64 = 1e-5;
/// A pass that was over sooner weighs as if it had taken this long, in seconds.
const SHORTEST: f64 = 1e-3;
/// What is left of older experience beside a run of a second or more.
const LEFT_OF_OLDER: f64 = 0.6;
/// How often the costs are adjusted, one after the other: by then they stand still.
const ADJUSTMENTS: usize = 300;
/// How far another load may be from what was seen and still be like it.
const ALIKE: f64 = 4.0;
/// Less than this, in seconds, is no experience.
const SECONDS_LEAST: f64 = 0.05;

/// What there is to copy, or was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Mailboxes that are visited.
    pub mailboxes: u64,
    /// Messages in them that are copied.
    pub messages: u64,
    /// The octets of these.
    pub octets: u64,
}

impl Load {
    /// This and that.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            mailboxes: self.mailboxes.saturating_add(other.mailboxes),
            messages: self.messages.saturating_add(other.messages),
            octets: self.octets.saturating_add(other.octets),
        }
    }

    fn amounts(&self) -> [f64; 3] {
        [float(self.mailboxes), float(self.messages), float(self.octets) / UNIT_OCTETS]
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn float(number: u64) -> f64 {
    number as f64
}

/// What was seen so far: sums over passes, the older ones faded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Experience {
    /// Seconds, of all passes.
    seconds: f64,
    /// Mailboxes, messages and units of octets.
    amounts: [f64; 3],
    /// The products of each two amounts, weighed by the inverse of the time: a long pass strays further.
    products: [[f64; 3]; 3],
    /// Whether the other server was waited for instead, so that this one may be faster.
    pub is_bound: bool,
    /// When it was last added to.
    pub at_unix_secs: i64,
}

impl Experience {
    /// Adds a pass.
    pub fn add(&mut self, load: &Load, seconds: f64) {
        let (seconds, amounts) = (seconds.max(SHORTEST), load.amounts());
        self.seconds += seconds;
        for (at, amount) in amounts.iter().enumerate() {
            self.amounts[at] += amount;
            for (beside, other) in amounts.iter().enumerate() {
                self.products[at][beside] += amount * other / seconds;
            }
        }
    }

    /// Adds what a run has seen. What was seen while the server was waited for stands above what was not.
    pub fn merge(&mut self, run: &Self) {
        if run.is_empty() || (run.is_bound && !self.is_bound && !self.is_empty()) {
            return;
        }
        if self.is_empty() || (self.is_bound && !run.is_bound) {
            *self = *run;
            return;
        }
        let left = LEFT_OF_OLDER.powf(run.seconds.min(1.0));
        self.seconds = self.seconds * left + run.seconds;
        for at in 0..3 {
            self.amounts[at] = self.amounts[at] * left + run.amounts[at];
            for beside in 0..3 {
                self.products[at][beside] = self.products[at][beside] * left + run.products[at][beside];
            }
        }
        self.at_unix_secs = run.at_unix_secs;
    }

    /// Whether it is too little to tell anything from.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seconds < SECONDS_LEAST
    }

    /// Whether every number in it can be one: it may come from a file.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let numbers = self.amounts.iter().chain(self.products.iter().flatten()).chain([&self.seconds]);
        numbers.into_iter().all(|number| number.is_finite() && *number >= 0.0)
    }

    /// Seconds that this would take; `round_trip` in seconds.
    #[must_use]
    pub fn predict(&self, load: &Load, round_trip: f64) -> f64 {
        dot(&self.costs(round_trip), &load.amounts())
    }

    /// What a mailbox, a message and an octet cost, in seconds.
    #[must_use]
    pub fn costs_each(&self, round_trip: f64) -> [f64; 3] {
        let [mailbox, message, unit] = self.costs(round_trip);
        [mailbox, message, unit / UNIT_OCTETS]
    }

    /// Whether a load is of the kind that was seen: by messages in a mailbox, and octets in a message.
    #[must_use]
    pub fn has_seen_alike(&self, load: &Load) -> bool {
        let near = |one: f64, other: f64| one <= other * ALIKE && other <= one * ALIKE;
        let [mailboxes, messages, units] = load.amounts();
        let [seen_mailboxes, seen_messages, seen_units] = self.amounts;
        near(messages * seen_mailboxes, seen_messages * mailboxes) && near(units * seen_messages, seen_units * messages)
    }

    /// The costs that fit what was seen best: least squares, none below nothing, held to the usual proportions as far as
    /// nothing else is known.
    fn costs(&self, round_trip: f64) -> [f64; 3] {
        let usual = usual_costs(round_trip);
        let expected = dot(&usual, &self.amounts);
        if expected <= 0.0 || self.seconds <= 0.0 {
            return usual;
        }
        let usual = self.measured(usual, expected);
        // With the weights as they are, the sum of squared times is the sum of times.
        let held = USUAL_WEIGHT * self.seconds;
        let mut costs = usual;
        for _ in 0..ADJUSTMENTS {
            for at in 0..3 {
                let others: f64 =
                    (0..3).filter(|beside| *beside != at).map(|beside| self.products[at][beside] * costs[beside]).sum();
                let towards = held / usual[at].powi(2);
                let above = self.amounts[at] - others + towards * usual[at];
                costs[at] = (above / (self.products[at][at] + towards)).max(0.0);
            }
        }
        // What was seen took as long as it took.
        let told = dot(&costs, &self.amounts);
        if told > 0.0 { costs.map(|cost| cost * self.seconds / told) } else { usual }
    }
}

impl Experience {
    /// The usual costs in the measure of what was seen. A mailbox is mostly distance, which is known: what is seen beyond
    /// that, slow or fast, is ascribed to the mail, unless it was less than the distance alone.
    fn measured(&self, usual: [f64; 3], expected: f64) -> [f64; 3] {
        let opening = usual[0] * self.amounts[0];
        let mail = expected - opening;
        let rest = self.seconds - opening;
        match mail > 0.0 && rest > self.seconds / 2.0 {
            true => [usual[0], usual[1] * rest / mail, usual[2] * rest / mail],
            false => usual.map(|cost| cost * self.seconds / expected),
        }
    }
}

fn usual_costs(round_trip: f64) -> [f64; 3] {
    [MAILBOX_USUAL + MAILBOX_TRIPS * round_trip, MESSAGE_USUAL, UNIT_USUAL]
}

fn dot(one: &[f64; 3], other: &[f64; 3]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(mailboxes: u64, messages: u64, octets: u64) -> Load {
        Load { mailboxes, messages, octets }
    }

    fn seen(passes: &[(Load, f64)]) -> Experience {
        let mut experience = Experience::default();
        passes.iter().for_each(|(load, seconds)| experience.add(load, *seconds));
        experience
    }

    fn is_near(told: f64, expected: f64, share: f64) -> bool {
        (told - expected).abs() <= expected * share
    }

    #[test]
    fn passes_of_one_kind_foretell_others_of_that_kind() {
        let experience = seen(&[(load(1, 10_000, 30_000_000), 2.0)]);
        for (times, expected) in [(1, 2.0), (4, 8.0), (10, 20.0)] {
            let told = experience.predict(&load(1, 10_000 * times, 30_000_000 * times), 0.0);
            assert!(is_near(told, expected, 0.02), "{times}: {told}");
        }
    }

    #[test]
    fn a_slow_mailbox_over_distance_is_slow_by_its_mail() {
        let experience = seen(&[(load(1, 5_000, 15_000_000), 2.0)]);
        let told = experience.predict(&load(1, 10_000, 30_000_000), 0.04);
        assert!(is_near(told, 3.88, 0.02), "{told}");
        let empty = seen(&[(load(1, 1, 10), 0.13), (load(1, 1, 10), 0.13)]);
        assert!(is_near(empty.predict(&load(100, 100, 1_000), 0.04), 13.0, 0.02));
    }

    #[test]
    fn passes_of_several_kinds_tell_the_three_costs_apart() {
        // 20 ms a mailbox, 100 us a message, 10 ns an octet.
        let truth =
            |load: &Load| float(load.mailboxes) * 0.02 + float(load.messages) * 100e-6 + float(load.octets) * 10e-9;
        let kinds = [
            load(1, 0, 0),
            load(1, 3, 9_000),
            load(1, 10, 30_000_000),
            load(1, 2_000, 6_000_000),
            load(1, 5_000, 90_000_000),
            load(1, 40, 100_000),
        ];
        let passes: Vec<(Load, f64)> = kinds.iter().map(|load| (*load, truth(load))).collect();
        let experience = seen(&passes);
        for other in [load(1, 70_000, 210_000_000), load(2_000, 20_000, 60_000_000), load(40, 2_000, 155_000_000)] {
            let told = experience.predict(&other, 0.0);
            assert!(is_near(told, truth(&other), 0.1), "{other:?}: {told} for {}", truth(&other));
        }
    }

    #[test]
    fn no_cost_is_below_nothing_whatever_was_seen() {
        let odd = seen(&[(load(1, 1_000, 1_000_000), 5.0), (load(1, 10_000, 90_000_000), 0.5), (load(1, 5, 10), 2.0)]);
        assert!(odd.costs_each(0.1).iter().all(|cost| *cost >= 0.0), "{:?}", odd.costs_each(0.1));
        assert!(odd.predict(&load(3, 400, 5), 0.1).is_finite());
        let nothing = Experience::default();
        assert!(nothing.is_empty() && nothing.predict(&load(1, 1, 1), 0.0) > 0.0);
    }

    #[test]
    fn newer_runs_weigh_more_and_a_short_one_hardly_at_all() {
        let mut experience = seen(&[(load(1, 10_000, 30_000_000), 2.0)]);
        experience.merge(&seen(&[(load(1, 100, 300_000), 0.06)]));
        assert!(is_near(experience.predict(&load(1, 10_000, 30_000_000), 0.0), 2.0, 0.06));
        for _ in 0..8 {
            experience.merge(&seen(&[(load(1, 10_000, 30_000_000), 4.0)]));
        }
        assert!(is_near(experience.predict(&load(1, 10_000, 30_000_000), 0.0), 4.0, 0.02));
    }

    #[test]
    fn what_was_seen_while_the_other_server_was_slower_gives_way() {
        let run = |seconds, is_bound| Experience { is_bound, ..seen(&[(load(1, 10_000, 30_000_000), seconds)]) };
        let told = |experience: &Experience| experience.predict(&load(1, 10_000, 30_000_000), 0.0).round();
        let mut experience = run(9.0, true);
        experience.merge(&run(2.0, false));
        assert!((told(&experience) - 2.0).abs() < 0.1 && !experience.is_bound);
        experience.merge(&run(9.0, true));
        assert!((told(&experience) - 2.0).abs() < 0.1);
    }

    #[test]
    fn alike_is_what_has_as_many_messages_in_a_mailbox_and_as_many_octets_in_a_message() {
        let experience = seen(&[(load(10, 10_000, 30_000_000), 2.0)]);
        let cases = [
            (load(1, 1_000, 3_000_000), true),
            (load(30, 90_000, 200_000_000), true),
            (load(1, 10_000, 30_000_000), false),
            (load(10, 10_000, 900_000_000), false),
            (load(2_000, 20_000, 60_000_000), false),
        ];
        for (other, expected) in cases {
            assert_eq!(experience.has_seen_alike(&other), expected, "{other:?}");
        }
    }
}
