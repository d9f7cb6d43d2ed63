//! Further connections of accounts that run already: they take what no job wants.
//!
//! A job counts as one connection at each of its endpoints, and the queue admits jobs by that. What a job opens beside it
//! is bounded here: jobs and further connections together are no more than the process has slots for jobs, and no more at
//! one host than it is thought to bear, divided among the processes. A host that is left alone or tried out gets none, nor
//! does an endpoint for which the operator has named a number of connections.

use super::rates::Rates;
use mailhaul_copy::Budgets;
use mailhaul_queue::EndpointId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The jobs of a process and what they have opened besides.
pub(crate) struct Crowd {
    slots: usize,
    rates: Arc<Rates>,
    places: Mutex<Places>,
    /// What the accounts of the process share besides.
    budgets: Budgets,
}

/// What is taken.
#[derive(Default)]
struct Places {
    /// Jobs and further connections.
    all: usize,
    /// The same by endpoint.
    at: BTreeMap<EndpointId, usize>,
}

impl Crowd {
    pub(crate) fn new(slots: usize, rates: Arc<Rates>) -> Self {
        Self { slots, rates, places: Mutex::default(), budgets: Budgets::default() }
    }

    /// A job begins; it has been admitted. It counts for as long as the place is held.
    pub(crate) fn enter(self: &Arc<Self>, ends: &[EndpointId]) -> Place {
        self.lock().take(ends);
        Place { crowd: Arc::clone(self), ends: ends.to_vec() }
    }

    /// The memory that all accounts of the process have together.
    pub(crate) fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// Room for one more connection at each of these endpoints, for as long as it is held.
    pub(crate) fn widen(self: &Arc<Self>, ends: &[EndpointId]) -> Option<Place> {
        let mut places = self.lock();
        places.take(ends);
        if self.is_over(&places, ends) {
            places.give_back(ends);
            return None;
        }
        drop(places);
        Some(Place { crowd: Arc::clone(self), ends: ends.to_vec() })
    }

    /// Whether what was given away at these endpoints is wanted by jobs that have come since, or should not be there any
    /// more.
    pub(crate) fn is_crowded(&self, ends: &[EndpointId]) -> bool {
        self.is_over(&self.lock(), ends)
    }

    fn is_over(&self, places: &Places, ends: &[EndpointId]) -> bool {
        let is_over_at = |end: EndpointId| {
            let (room, on_host) = self.rates.room_at(end);
            on_host.iter().filter_map(|end| places.at.get(end)).sum::<usize>() > room
        };
        places.all > self.slots || self.rates.are_connections_limited(ends) || ends.iter().copied().any(is_over_at)
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    fn take(&mut self, ends: &[EndpointId]) {
        self.all += 1;
        ends.iter().for_each(|end| *self.at.entry(*end).or_default() += 1);
    }

    fn give_back(&mut self, ends: &[EndpointId]) {
        self.all = self.all.saturating_sub(1);
        for end in ends {
            if let Some(taken) = self.at.get_mut(end) {
                *taken = taken.saturating_sub(1);
            }
        }
    }
}

/// Room that was given.
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    ends: Vec<EndpointId>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.lock().give_back(&self.ends);
    }
}

#[cfg(test)]
mod tests {
    use super::super::rates::Host;
    use super::*;
    use mailhaul_queue::{Clock, HostHealth, HostPolicy, HostSign, Limits, Now};
    use std::time::Duration;

    const ENDS: [EndpointId; 2] = [EndpointId(1), EndpointId(2)];

    #[derive(Debug)]
    struct Still;

    impl Clock for Still {
        fn now(&self) -> Now {
            Now { boot_ms: 1_000, unix_ms: 1_000 }
        }
        fn boot_id(&self) -> Arc<str> {
            "test".into()
        }
    }

    /// Limits of connections at the target, processes, and what the target has shown at this moment.
    fn know(rates: &Rates, connections: Option<u32>, workers: u64, health: HostHealth) {
        let limits = |connections| Limits { connections, ..Limits::default() };
        rates.set(BTreeMap::from([(ENDS[0], limits(None)), (ENDS[1], limits(connections))]), workers);
        let host = |name: &str, health| Host { name: name.to_owned(), health };
        let source = host("old.example", HostHealth::default());
        rates.set_hosts(BTreeMap::from([(ENDS[0], source), (ENDS[1], host("new.example", health))]));
    }

    fn crowd(slots: usize) -> (Arc<Rates>, Arc<Crowd>) {
        let rates = Arc::new(Rates::new(Arc::new(Still)));
        (Arc::clone(&rates), Arc::new(Crowd::new(slots, rates)))
    }

    /// A host that has asked to slow down for so many milliseconds, so long before now.
    fn throttled(millis: u64, before_ms: i64) -> HostHealth {
        let policy = HostPolicy { throttle_pause: Duration::ZERO, ..HostPolicy::default() };
        let mut health = HostHealth::default();
        let sign = HostSign::Throttled(Some(Duration::from_millis(millis)));
        health.on(sign, 6, 1_000 - before_ms, 0.0, &policy);
        health
    }

    #[test]
    fn further_connections_take_what_is_free_and_nothing_where_connections_are_limited() {
        let (rates, crowd) = crowd(3);
        assert!(crowd.widen(&ENDS).is_none(), "nothing is known of the endpoints yet");
        know(&rates, None, 1, HostHealth::default());
        let _job = crowd.enter(&ENDS);
        let first = crowd.widen(&ENDS).expect("room");
        let second = crowd.widen(&ENDS).expect("room");
        assert!(crowd.widen(&ENDS).is_none() && !crowd.is_crowded(&ENDS));
        drop(first);
        assert!(crowd.widen(&ENDS).is_some());
        let another = crowd.enter(&ENDS);
        assert!(!crowd.is_crowded(&ENDS));
        let third = crowd.enter(&ENDS);
        assert!(crowd.is_crowded(&ENDS));
        drop((another, third));
        know(&rates, Some(9), 1, HostHealth::default());
        assert!(crowd.is_crowded(&ENDS), "a limit that is named meanwhile counts for what is open");
        drop(second);
        assert!(crowd.widen(&ENDS).is_none());
    }

    #[test]
    fn a_host_is_given_no_more_connections_than_it_is_thought_to_bear() {
        let (rates, crowd) = crowd(100);
        let widened = |workers| {
            know(&rates, None, workers, HostHealth::default());
            std::iter::from_fn(|| crowd.widen(&ENDS)).count_held()
        };
        let start = HostPolicy::default().start as usize;
        assert_eq!((widened(1), widened(2)), (start, start / 2));
        know(&rates, None, 1, HostHealth::default());
        let jobs: Vec<Place> = (0..=start).map(|_| crowd.enter(&ENDS)).collect();
        assert!(crowd.is_crowded(&ENDS) && jobs.len() > start);
    }

    #[test]
    fn a_connection_that_only_reads_takes_nothing_at_the_target() {
        let (rates, crowd) = crowd(3);
        know(&rates, Some(1), 1, HostHealth::default());
        let _job = crowd.enter(&ENDS);
        assert!(crowd.widen(&ENDS).is_none(), "connections are limited at the target");
        let first = crowd.widen(&ENDS[..1]).expect("room at the source");
        assert!(!crowd.is_crowded(&ENDS[..1]));
        let _second = crowd.widen(&ENDS[..1]).expect("room at the source");
        assert!(crowd.widen(&ENDS[..1]).is_none(), "there are three slots");
        drop(first);
        let _another = crowd.enter(&ENDS);
        let _third = crowd.enter(&ENDS);
        assert!(crowd.is_crowded(&ENDS[..1]), "jobs want the slot");
    }

    #[test]
    fn a_host_that_is_left_alone_or_tried_out_gets_no_further_connection() {
        let (rates, crowd) = crowd(100);
        let _job = crowd.enter(&ENDS);
        for (health, before) in [(throttled(60_000, 100), "open"), (throttled(50, 100), "half open")] {
            know(&rates, None, 1, HostHealth::default());
            let room = crowd.widen(&ENDS).expect("room");
            know(&rates, None, 1, health);
            assert!(crowd.is_crowded(&ENDS) && crowd.widen(&ENDS).is_none(), "{before}");
            drop(room);
        }
    }

    trait Held {
        /// How many there are while all are held.
        fn count_held(self) -> usize;
    }

    impl<I: Iterator<Item = Place>> Held for I {
        fn count_held(self) -> usize {
            self.collect::<Vec<Place>>().len()
        }
    }
}
