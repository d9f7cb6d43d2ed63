//! Refused secrets, slowed: after a few from one place, further wrong ones from there are turned away unheard, each time for
//! twice as long. What is good is looked at first and never waits, so that nobody is kept out by somebody else's guesses:
//! a secret of 256 bits needs no lock, and this only keeps the noise down.

use super::Peer;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many refusals cost nothing: people mistype.
const FREE: u32 = 5;
/// The wait after the first refusal that costs something.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(300);
/// After this long without a refusal everything is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(900);
/// Places that are remembered; more of them at once are an attack, and share one memory.
const PLACES_MAX: usize = 4_096;
/// Refusals that are written down, in all and in each of these spans: a flood fills no file.
const TOLD_MAX: u32 = 30;
const TOLD_SPAN: Duration = Duration::from_secs(60);

/// How somebody tried to come in. A program with an old token says nothing about the people who sign in beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Way {
    /// With the form of the page.
    Form,
    /// With a token in the request.
    Bearer,
}

/// What becomes of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is told, and written down.
    News,
    /// It is told.
    Known,
    /// Whoever it is has to wait for so long.
    TooOften(Duration),
}

/// What is remembered of refusals.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    places: HashMap<Place, Refused>,
    /// When the span began in which refusals were told, and how many were.
    told: Option<(Instant, u32)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    One(Way, Peer),
    /// Everybody for whom there was no room.
    Others,
}

#[derive(Debug, Clone, Copy)]
struct Refused {
    times: u32,
    last: Instant,
}

impl Throttle {
    /// One more was refused. Those that are turned away unheard do not make the wait longer.
    pub(crate) fn refused(&self, way: Way, peer: Peer, now: Instant) -> Refusal {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let place = memory.place(Place::One(way, network(peer)), now);
        let refused = memory.places.entry(place).or_insert(Refused { times: 0, last: now });
        if now.saturating_duration_since(refused.last) > FORGOTTEN {
            refused.times = 0;
        }
        let until = refused.last + pause(refused.times);
        if let Some(left) = until.checked_duration_since(now).filter(|left| !left.is_zero()) {
            return Refusal::TooOften(left);
        }
        *refused = Refused { times: refused.times.saturating_add(1), last: now };
        if memory.may_tell(now) { Refusal::News } else { Refusal::Known }
    }
}

impl Memory {
    fn place(&mut self, place: Place, now: Instant) -> Place {
        if self.places.contains_key(&place) {
            return place;
        }
        if self.places.len() >= PLACES_MAX {
            self.places.retain(|_, refused| now.saturating_duration_since(refused.last) < FORGOTTEN);
        }
        if self.places.len() < PLACES_MAX { place } else { Place::Others }
    }

    fn may_tell(&mut self, now: Instant) -> bool {
        let span = self.told.filter(|(began, _)| now.saturating_duration_since(*began) < TOLD_SPAN);
        let (began, told) = span.unwrap_or((now, 0));
        self.told = Some((began, told.saturating_add(1)));
        told < TOLD_MAX
    }
}

/// Whoever has one address of IPv6 has a whole network of them.
fn network(peer: Peer) -> Peer {
    match peer {
        Peer::Address(IpAddr::V6(address)) => {
            Peer::Address(IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))))
        }
        other => other,
    }
}

fn pause(times: u32) -> Duration {
    match times.checked_sub(FREE) {
        None | Some(0) => Duration::ZERO,
        Some(over) => FIRST.saturating_mul(1 << (over - 1).min(16)).min(LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn v6(last: u16, network: u16) -> Peer {
        Peer::Address(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, last)))
    }

    #[test]
    fn guesses_are_slowed_and_only_those_of_their_place_and_way() {
        let throttle = Throttle::default();
        let (here, there) = (Peer::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)), Peer::Socket);
        let mut now = Instant::now();
        for _ in 0..=FREE {
            assert_eq!(throttle.refused(Way::Form, here, now), Refusal::News, "people mistype");
        }
        assert_eq!(throttle.refused(Way::Form, here, now), Refusal::TooOften(FIRST));
        assert_eq!(
            throttle.refused(Way::Form, here, now),
            Refusal::TooOften(FIRST),
            "to come again does not lengthen it"
        );
        assert_eq!(throttle.refused(Way::Bearer, here, now), Refusal::News, "a program is not a person");
        assert_eq!(throttle.refused(Way::Form, there, now), Refusal::News);
        now += FIRST;
        assert_eq!(throttle.refused(Way::Form, here, now), Refusal::News);
        assert_eq!(throttle.refused(Way::Form, here, now), Refusal::TooOften(2 * FIRST));
        for _ in 0..50 {
            now += LONGEST;
            throttle.refused(Way::Form, here, now);
        }
        assert_eq!(throttle.refused(Way::Form, here, now), Refusal::TooOften(LONGEST));
        now += FORGOTTEN + LONGEST;
        assert_ne!(throttle.refused(Way::Form, here, now), Refusal::TooOften(LONGEST));
        assert!(!matches!(throttle.refused(Way::Form, here, now), Refusal::TooOften(_)), "all is forgotten");
    }

    #[test]
    fn a_network_of_addresses_is_one_place() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for number in 0..100 {
            throttle.refused(Way::Form, v6(number, 1), now);
        }
        assert!(matches!(throttle.refused(Way::Form, v6(100, 1), now), Refusal::TooOften(_)));
        assert!(!matches!(throttle.refused(Way::Form, v6(1, 2), now), Refusal::TooOften(_)));
    }

    #[test]
    fn many_places_fill_neither_memory_nor_file_and_are_slowed_all_the_same() {
        let throttle = Throttle::default();
        let now = Instant::now();
        let guess = |number: u32| throttle.refused(Way::Form, Peer::Address(IpAddr::V4(Ipv4Addr::from(number))), now);
        let outcomes: Vec<Refusal> = (0..10_000).map(guess).collect();
        let count = |wanted: fn(&Refusal) -> bool| outcomes.iter().filter(|outcome| wanted(outcome)).count();
        assert_eq!(count(|outcome| *outcome == Refusal::News), 30);
        assert!(count(|outcome| matches!(outcome, Refusal::TooOften(_))) > 5_000, "whoever has no place shares one");
        assert_eq!(throttle.memory.lock().expect("whole").places.len(), PLACES_MAX + 1);
    }
}
