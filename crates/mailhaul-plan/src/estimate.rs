//! How long a copy will take.
//!
//! `docs/concepts/cost.md` says what a copy consists of: set-up, mailboxes, mail. Set-up is measured by whoever asks. What
//! mailboxes and mail take is known where mail was copied between these servers before; elsewhere it is assumed, and
//! the span that is told is as wide as servers differ.

use crate::experience::{Experience, Load};
use crate::profile::HostProfile;

/// A span around what was measured for accounts of this kind.
const ALIKE: f64 = 1.25;
/// The same for accounts of another kind, and where only one of the two servers was measured.
const UNLIKE: f64 = 2.0;
/// What servers take in and hand out, at best and at worst: messages and octets a second.
const FASTEST: (f64, f64) = (20_000.0, 200e6);
const SLOWEST: (f64, f64) = (200.0, 2e6);
/// What a mailbox costs besides its round trips, at best and at worst, in seconds.
const MAILBOX: (f64, f64) = (1e-3, 20e-3);
/// The same for a command that creates or subscribes one.
const COMMAND: (f64, f64) = (0.3e-3, 10e-3);
/// Round trips of a mailbox.
const TRIPS: f64 = 3.0;

/// What is to be done.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Work {
    /// What session set-up took just now, in seconds.
    pub set_up_secs: f64,
    /// Everything.
    pub all: Load,
    /// The largest mailbox.
    pub largest: Load,
    /// Mailboxes to be created on the target, each a command.
    pub to_create: u64,
    /// And to be subscribed.
    pub to_subscribe: u64,
    /// To the farther of the two servers, in seconds.
    pub round_trip_secs: f64,
    /// How many connections the account may have.
    pub connections: usize,
    /// Whether each message costs a round trip, because the target has to be asked for each.
    pub waits_for_each: bool,
}

/// What an estimate rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// Both servers were measured, with accounts of this kind.
    Measured,
    /// Both servers were measured, with accounts of another kind.
    MeasuredUnlike,
    /// Only one of them was measured, or neither to its limit.
    MeasuredInPart,
    /// Nothing was.
    Assumed,
}

/// How long it will take, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Most likely.
    pub seconds: f64,
    /// At least, and at most.
    pub least: f64,
    /// See `least`.
    pub most: f64,
    /// What it rests on.
    pub basis: Basis,
    /// When the older of the measures was taken.
    pub measured_at_unix_secs: Option<i64>,
}

/// What one server's profile tells of the mail.
struct Told {
    seconds: f64,
    is_bound: bool,
    is_alike: bool,
    at_unix_secs: i64,
}

/// How long the work takes between two servers.
#[must_use]
pub fn estimate(work: &Work, source: &HostProfile, target: &HostProfile, now_unix_secs: i64) -> Estimate {
    let told = [source, target].map(|profile| tell(work, profile, now_unix_secs));
    let around = |mail: f64, made: f64| work.set_up_secs + mail + made + work.round_trip_secs;
    let made = made(work, target);
    let (mail, least, most, basis) = match &told {
        [None, None] => return assumed(work),
        [Some(told), None] | [None, Some(told)] => {
            (told.seconds, told.seconds / UNLIKE, told.seconds * UNLIKE, Basis::MeasuredInPart)
        }
        [Some(one), Some(other)] => {
            let slower = one.seconds.max(other.seconds);
            let proved = [one, other].into_iter().filter(|told| !told.is_bound).map(|told| told.seconds);
            let proved = proved.fold(0.0, f64::max);
            let (around, basis) = match (one.is_alike && other.is_alike, proved > 0.0) {
                (true, true) => (ALIKE, Basis::Measured),
                (false, true) => (UNLIKE, Basis::MeasuredUnlike),
                (_, false) => (UNLIKE, Basis::MeasuredInPart),
            };
            // A server that was never waited for may be faster than it could show.
            let least = if proved > 0.0 { proved.min(slower) } else { slower };
            (slower, least / around, slower * around, basis)
        }
    };
    let measured_at_unix_secs = told.iter().flatten().map(|told| told.at_unix_secs).min();
    let (made_least, made_most) = (made.0, made.2);
    let [seconds, least, most] = [around(mail, made.1), around(least, made_least), around(most, made_most)];
    Estimate { seconds, least, most, basis, measured_at_unix_secs }
}

/// What a mailbox, a message and an octet cost between two servers, in seconds: each by the server that is slower at it.
/// `None` where one of them was not measured.
#[must_use]
pub fn costs_between(source: &HostProfile, target: &HostProfile) -> Option<[f64; 3]> {
    let costs = |profile: &HostProfile| {
        let known = [&profile.together, &profile.alone].into_iter().find(|experience| !experience.is_empty())?;
        Some(known.costs_each(profile.round_trip_secs.unwrap_or_default()))
    };
    let (source, target) = (costs(source)?, costs(target)?);
    Some([0, 1, 2].map(|at| f64::max(source[at], target[at])))
}

fn tell(work: &Work, profile: &HostProfile, now_unix_secs: i64) -> Option<Told> {
    let (alone, together) = (&profile.alone, &profile.together);
    let first = profile.width.best(now_unix_secs).unwrap_or(work.connections);
    let side_by_side = first.min(work.connections).min(usize::try_from(work.all.mailboxes).unwrap_or(usize::MAX)) > 1;
    let told = |experience: &Experience, load: &Load| {
        (!experience.is_empty()).then(|| Told {
            seconds: experience.predict(load, work.round_trip_secs),
            is_bound: experience.is_bound,
            is_alike: experience.has_seen_alike(load),
            at_unix_secs: experience.at_unix_secs,
        })
    };
    if !side_by_side {
        let unlike = |told: Told| Told { is_alike: false, ..told };
        return told(alone, &work.all).or_else(|| told(together, &work.all).map(unlike));
    }
    let all = told(together, &work.all).or_else(|| told(alone, &work.all))?;
    // However many there are beside it, the largest mailbox is one.
    let largest = told(alone, &work.largest).map_or(0.0, |told| told.seconds);
    Some(Told { seconds: all.seconds.max(largest), ..all })
}

/// What creating and subscribing takes: at least, most likely, at most.
fn made(work: &Work, target: &HostProfile) -> (f64, f64, f64) {
    let commands = work.to_create + work.to_subscribe;
    if commands == 0 {
        return (0.0, 0.0, 0.0);
    }
    let trips = 2.0 * work.round_trip_secs;
    let known = target.made.predict(work.to_create).zip(target.made.predict(work.to_subscribe));
    if let Some((created, subscribed)) = known {
        let told = created + subscribed;
        return (told / ALIKE + trips, told + trips, told * ALIKE + trips);
    }
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let with = |each: f64| commands as f64 * each + trips;
    (with(COMMAND.0), with((COMMAND.0 * COMMAND.1).sqrt()), with(COMMAND.1))
}

/// Between servers of which nothing is known but how far away they are.
fn assumed(work: &Work) -> Estimate {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let [mailboxes, messages, octets, connections] =
        [work.all.mailboxes, work.all.messages, work.all.octets, work.connections.max(1) as u64].map(|n| n as f64);
    let waiting = if work.waits_for_each { messages * work.round_trip_secs } else { 0.0 };
    let with = |(rate, octet_rate): (f64, f64), mailbox: f64, made: f64, at_once: f64| {
        let mail = (messages / rate + octets / octet_rate).max(waiting / at_once);
        let opened = mailboxes * (TRIPS * work.round_trip_secs / at_once + mailbox);
        work.set_up_secs + made + opened + mail + work.round_trip_secs
    };
    let made = made(work, &HostProfile::default());
    let least = with(FASTEST, MAILBOX.0, made.0, connections.min(mailboxes.max(1.0)));
    let most = with(SLOWEST, MAILBOX.1, made.2, 1.0);
    let seconds = (least * most).sqrt();
    Estimate { seconds, least, most, basis: Basis::Assumed, measured_at_unix_secs: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Found;

    const NOW: i64 = 1_795_000_000;

    fn load(mailboxes: u64, messages: u64) -> Load {
        Load { mailboxes, messages, octets: messages * 3_000 }
    }

    fn seen(load: Load, seconds: f64) -> Experience {
        let mut experience = Experience::default();
        experience.at_unix_secs = NOW - 60;
        experience.add(&load, seconds);
        experience
    }

    fn work(all: Load, largest: Load) -> Work {
        Work { set_up_secs: 0.1, all, largest, connections: 4, round_trip_secs: 0.01, ..Work::default() }
    }

    fn alone(seconds: f64) -> HostProfile {
        HostProfile { alone: seen(load(1, 10_000), seconds), ..HostProfile::default() }
    }

    fn is_near(told: f64, expected: f64) -> bool {
        (told - expected).abs() <= expected * 0.03
    }

    #[test]
    fn the_slower_server_decides_and_what_is_known_of_both_makes_the_span_narrow() {
        let one = work(load(1, 20_000), load(1, 20_000));
        let told = estimate(&one, &alone(1.0), &alone(3.0), NOW);
        assert!(is_near(told.seconds, 6.11), "{told:?}");
        assert_eq!((told.basis, told.measured_at_unix_secs), (Basis::Measured, Some(NOW - 60)));
        assert!(told.least > told.seconds / 1.3 && told.most < told.seconds * 1.3, "{told:?}");
        let part = estimate(&one, &HostProfile::default(), &alone(3.0), NOW);
        assert!(part.basis == Basis::MeasuredInPart && part.most > told.most, "{part:?}");
        let unlike = estimate(&work(load(500, 1_000), load(1, 2)), &alone(1.0), &alone(3.0), NOW);
        assert_eq!(unlike.basis, Basis::MeasuredUnlike);
    }

    #[test]
    fn a_server_that_was_never_waited_for_widens_the_span_downwards_only() {
        let one = work(load(1, 10_000), load(1, 10_000));
        let mut source = alone(5.0);
        source.alone.is_bound = true;
        let told = estimate(&one, &source, &alone(2.0), NOW);
        assert!(is_near(told.seconds, 5.11) && told.least < 2.0 && told.most < 6.5, "{told:?}");
    }

    #[test]
    fn several_mailboxes_go_side_by_side_and_one_does_not() {
        let mut profile = alone(2.0);
        profile.together = seen(load(10, 10_000), 1.0);
        let cases = [
            // (all, largest, connections, seconds)
            (load(1, 10_000), load(1, 10_000), 4, 2.0),
            (load(10, 10_000), load(1, 1_000), 4, 1.0),
            (load(10, 10_000), load(1, 1_000), 1, 2.0),
            (load(10, 10_000), load(1, 9_000), 4, 1.8),
        ];
        for (all, largest, connections, expected) in cases {
            let work = Work { connections, set_up_secs: 0.0, round_trip_secs: 0.0, ..work(all, largest) };
            let told = estimate(&work, &profile, &profile, NOW);
            assert!((told.seconds - expected).abs() < 0.1, "{all:?} {connections}: {told:?}");
        }
        profile.width.best = Some(Found { connections: 1, at_unix_secs: NOW });
        let told = estimate(&work(load(10, 10_000), load(1, 1_000)), &profile, &profile, NOW);
        assert!(told.seconds > 1.9, "one connection was best: {told:?}");
    }

    #[test]
    fn creating_mailboxes_is_added() {
        let mut target = alone(1.0);
        let few = work(load(1, 10_000), load(1, 10_000));
        let many = Work { to_create: 2_000, to_subscribe: 2_000, ..few };
        let without = estimate(&few, &alone(1.0), &target, NOW);
        let assumed = estimate(&many, &alone(1.0), &target, NOW);
        assert!(assumed.most - assumed.least > 30.0, "{assumed:?}");
        target.made.add(1_000, 0.5, 0.5);
        let known = estimate(&many, &alone(1.0), &target, NOW);
        assert!(is_near(known.seconds - without.seconds, 4.02), "{known:?}");
    }

    #[test]
    fn the_costs_between_two_servers_are_those_of_the_slower_one() {
        let costs = costs_between(&alone(1.0), &alone(3.0)).expect("both are known");
        let told = costs[0] + costs[1] * 10_000.0 + costs[2] * 30_000_000.0;
        assert!(is_near(told, 3.0), "{costs:?}");
        assert_eq!(costs_between(&alone(1.0), &HostProfile::default()), None);
    }

    #[test]
    fn where_nothing_is_known_the_span_says_so() {
        let unknown = HostProfile::default();
        let told = |work: &Work| estimate(work, &unknown, &unknown, NOW);
        let near = told(&work(load(1, 10_000), load(1, 10_000)));
        assert_eq!((near.basis, near.measured_at_unix_secs), (Basis::Assumed, None));
        assert!(
            near.least < 1.0 && near.most > 50.0 && near.least < near.seconds && near.seconds < near.most,
            "{near:?}"
        );
        let waits =
            told(&Work { waits_for_each: true, round_trip_secs: 0.1, ..work(load(1, 10_000), load(1, 10_000)) });
        assert!(waits.least > 1_000.0, "{waits:?}");
        let nothing = told(&Work { connections: 4, ..Work::default() });
        assert!(nothing.most < 0.001, "{nothing:?}");
    }
}
