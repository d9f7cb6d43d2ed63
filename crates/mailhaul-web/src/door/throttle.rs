//! Refused sign-ins, slowed: after a few from one place, that place has to wait, each time twice as long. What is good
//! already (a session, a program's token) never waits, so that nobody is kept out by somebody else's guesses.

use super::Peer;
use std::collections::HashMap;
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

/// What is remembered of refused sign-ins.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    places: Mutex<HashMap<Peer, Refused>>,
}

#[derive(Debug, Clone, Copy)]
struct Refused {
    times: u32,
    last: Instant,
}

impl Throttle {
    /// How long this place still has to wait; `None`: not at all.
    pub(crate) fn wait(&self, peer: Peer, now: Instant) -> Option<Duration> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = places.get(&peer)?;
        let until = refused.last + pause(refused.times);
        until.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// One more was refused.
    pub(crate) fn refused(&self, peer: Peer, now: Instant) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= PLACES_MAX {
            places.retain(|_, refused| now.saturating_duration_since(refused.last) < FORGOTTEN);
            if places.len() >= PLACES_MAX {
                return;
            }
        }
        let place = places.entry(peer).or_insert(Refused { times: 0, last: now });
        if now.saturating_duration_since(place.last) > FORGOTTEN {
            place.times = 0;
        }
        *place = Refused { times: place.times.saturating_add(1), last: now };
    }

    /// Somebody from there signed in.
    pub(crate) fn forget(&self, peer: Peer) {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).remove(&peer);
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
    use std::net::{IpAddr, Ipv4Addr};

    #[test]
    fn guesses_are_slowed_and_only_those_of_their_place() {
        let throttle = Throttle::default();
        let (here, there) = (Peer::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)), Peer::Socket);
        let now = Instant::now();
        for _ in 0..FREE {
            throttle.refused(here, now);
        }
        assert_eq!(throttle.wait(here, now), None, "people mistype");
        throttle.refused(here, now);
        assert_eq!(throttle.wait(here, now), Some(Duration::from_secs(1)));
        assert_eq!(throttle.wait(here, now + Duration::from_secs(1)), None);
        throttle.refused(here, now);
        assert_eq!(throttle.wait(here, now), Some(Duration::from_secs(2)));
        assert_eq!(throttle.wait(there, now), None);
        for _ in 0..50 {
            throttle.refused(here, now);
        }
        assert_eq!(throttle.wait(here, now), Some(LONGEST));
        throttle.forget(here);
        assert_eq!(throttle.wait(here, now), None);
    }

    #[test]
    fn many_places_do_not_fill_the_memory() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for number in 0..10_000_u32 {
            throttle.refused(Peer::Address(IpAddr::V4(Ipv4Addr::from(number))), now);
        }
        assert_eq!(throttle.places.lock().expect("whole").len(), PLACES_MAX);
    }
}
