//! Admission and the health of hosts: never above a cap, one probe at a time, nobody starves.

use mailhaul_queue::{
    Admission, BreakerState, CapOf, EndpointFacts, EndpointId, Gate, HostHealth, HostPolicy, HostSign, Limits, Phase,
    Priority, RESERVE_AFTER_MS, RefusalReason, Shed, WaitReason,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const OLD: EndpointId = EndpointId(1);
const NEW: EndpointId = EndpointId(2);
const NOW: i64 = 1_700_000_000_000;

fn endpoint(id: EndpointId, host: &str) -> EndpointFacts {
    let limits = Limits::default();
    EndpointFacts {
        id,
        host: host.to_owned(),
        limits,
        running_bulk: 0,
        running_resync: 0,
        health: HostHealth::default(),
    }
}

fn limited(id: EndpointId, host: &str, connections: u32) -> EndpointFacts {
    let limits = Limits { connections: Some(connections), ..Limits::default() };
    EndpointFacts { limits, ..endpoint(id, host) }
}

/// How many jobs it admits one after the other, at most a hundred.
fn admits(admission: &mut Admission, source: EndpointId, target: EndpointId, phase: Phase) -> usize {
    (0..100).take_while(|_| admission.admit(source, target, phase).is_ok()).count()
}

fn reason(admission: &Admission, phase: Phase) -> RefusalReason {
    admission.could_admit(OLD, NEW, phase).expect_err("it is refused").reason
}

#[test]
fn each_cap_counts() {
    let mut old = limited(OLD, "old.example", 20);
    old.limits.bulk_connections = Some(12);
    let mut admission = Admission::new(NOW, vec![old, limited(NEW, "new.example", 15)]);
    assert_eq!(admits(&mut admission, OLD, NEW, Phase::Bulk), 12);
    let full = RefusalReason::Full { running: 12, cap: 12, whose: CapOf::Phase(Phase::Bulk) };
    assert_eq!(reason(&admission, Phase::Bulk), full);
    assert_eq!(admits(&mut admission, OLD, NEW, Phase::Resync), 3);
    let refusal = admission.could_admit(OLD, NEW, Phase::Resync).expect_err("the target is full");
    assert_eq!(refusal.endpoint, NEW);
    assert_eq!(admission.room(OLD, Phase::Resync), 5);
    assert_eq!(admission.room(NEW, Phase::Resync), 0);
}

#[test]
fn a_full_endpoint_takes_no_token_of_the_other() {
    let mut admission = Admission::new(NOW, vec![limited(OLD, "old.example", 5), limited(NEW, "new.example", 0)]);
    assert_eq!(admits(&mut admission, OLD, NEW, Phase::Bulk), 0);
    assert_eq!(admission.running(OLD), 0);
}

#[test]
fn one_host_at_both_ends_counts_twice() {
    let mut admission = Admission::new(NOW, vec![limited(OLD, "one.example", 9)]);
    assert_eq!(admits(&mut admission, OLD, OLD, Phase::Bulk), 4);
    // Without a limit the host starts at eight connections, whichever of its endpoints they belong to.
    let mut admission = Admission::new(NOW, vec![endpoint(OLD, "one.example"), endpoint(NEW, "one.example")]);
    assert_eq!(admits(&mut admission, OLD, NEW, Phase::Bulk), 4);
    assert!(matches!(reason(&admission, Phase::Bulk), RefusalReason::Full { running: 8, cap: 8, whose: CapOf::Host }));
}

#[test]
fn an_unknown_endpoint_admits_nothing() {
    let admission = Admission::new(NOW, vec![endpoint(OLD, "old.example")]);
    assert_eq!(reason(&admission, Phase::Bulk), RefusalReason::Unknown);
}

#[test]
fn outside_of_its_hours_an_endpoint_is_shut_and_everything_gives_way() {
    // 2023-11-14 22:13:20 UTC, a Tuesday.
    let mut old = EndpointFacts { running_bulk: 3, running_resync: 2, ..limited(OLD, "old.example", 9) };
    old.limits.windows = vec!["Tue 10:00-12:00 UTC".to_owned(), "Wed 01:00-02:00 UTC".to_owned()];
    let admission = Admission::new(NOW, vec![old.clone(), endpoint(NEW, "new.example")]);
    let until_unix_ms = 1_700_010_000_000;
    assert_eq!(admission.gate(OLD), Gate::Closed { reason: WaitReason::Window, until_unix_ms });
    assert_eq!(reason(&admission, Phase::Bulk), RefusalReason::Closed { reason: WaitReason::Window, until_unix_ms });
    assert_eq!(admission.shed(OLD), [Shed { phase: None, count: 5, reason: WaitReason::Window, until_unix_ms }]);
    let later = Admission::new(until_unix_ms, vec![old.clone(), endpoint(NEW, "new.example")]);
    assert_eq!((later.gate(OLD), later.excess(OLD)), (Gate::Open, 0));
    old.limits.windows = vec!["whenever".to_owned()];
    assert!(matches!(Admission::new(NOW, vec![old]).gate(OLD), Gate::Closed { .. }), "unreadable hours are shut");
}

#[test]
fn a_lowered_limit_sheds_what_is_above_it() {
    let mut old = EndpointFacts { running_bulk: 8, running_resync: 4, ..limited(OLD, "old.example", 9) };
    old.limits.bulk_connections = Some(6);
    let admission = Admission::new(NOW, vec![old]);
    let shed = |phase, count| Shed { phase, count, reason: WaitReason::HostLimit, until_unix_ms: NOW };
    assert_eq!(admission.shed(OLD), [shed(Some(Phase::Bulk), 2), shed(None, 1)]);
    assert_eq!(admission.excess(OLD), 3);
}

fn told(signs: &[(HostSign, u32, i64)]) -> HostHealth {
    let mut health = HostHealth::default();
    for (sign, running, after_ms) in signs {
        health.on(*sign, *running, NOW + after_ms, 0.0, &HostPolicy::default());
    }
    health
}

#[test]
fn one_throttle_closes_the_host_for_all_its_endpoints_and_halves_it() {
    let health = told(&[(HostSign::Throttled(None), 20, 0), (HostSign::Throttled(None), 20, 10)]);
    let facts = |running_bulk, id| {
        let limits = Limits { connections: Some(20), ..Limits::default() };
        EndpointFacts { running_bulk, limits, health: health.clone(), ..endpoint(id, "old.example") }
    };
    let admission = Admission::new(NOW + 20, vec![facts(12, OLD), facts(8, NEW)]);
    for id in [OLD, NEW] {
        let closed = Gate::Closed { reason: WaitReason::HostLimit, until_unix_ms: NOW + 30_000 };
        assert_eq!(admission.gate(id), closed);
    }
    assert_eq!(admission.excess(OLD) + admission.excess(NEW), 10, "half of what was running gives way, once");
}

#[test]
fn a_server_that_was_away_sheds_nothing_and_is_probed_by_one_job() {
    let failed = |after_ms| (HostSign::ConnectionFailed, 3, after_ms);
    let two = told(&[failed(0), failed(1)]);
    assert_eq!(two.breaker(NOW + 2), BreakerState::Closed, "two in a row are not three");
    let broken = told(&[failed(0), failed(1), (HostSign::Served, 3, 2), failed(3), failed(4)]);
    assert_eq!(broken.breaker(NOW + 5), BreakerState::Closed, "and what serves in between starts the count anew");

    let health = told(&[failed(0), failed(1), failed(2)]);
    let facts = |running_bulk| EndpointFacts { running_bulk, health: health.clone(), ..limited(OLD, "old.example", 9) };
    let target = || endpoint(NEW, "new.example");
    let open = Admission::new(NOW + 3, vec![facts(3), target()]);
    assert!(matches!(open.gate(OLD), Gate::Closed { reason: WaitReason::HostLimit, .. }));
    assert_eq!(open.excess(OLD), 0);
    let mut half_open = Admission::new(NOW + 20_000, vec![facts(0), target()]);
    assert_eq!(half_open.gate(OLD), Gate::Open);
    assert_eq!(admits(&mut half_open, OLD, NEW, Phase::Bulk), 1);
    assert_eq!(reason(&half_open, Phase::Bulk), RefusalReason::Probing);
}

#[test]
fn a_probe_that_fails_doubles_the_pause_up_to_its_cap_and_one_that_serves_closes_the_breaker() {
    let policy = HostPolicy::default();
    let mut health = told(&[(HostSign::Throttled(None), 8, 0)]);
    let mut pauses = Vec::new();
    let mut now = NOW;
    for _ in 0..8 {
        let BreakerState::Open { until_unix_ms, .. } = health.breaker(now) else { panic!("open") };
        pauses.push((until_unix_ms - now) / 1000);
        now = until_unix_ms;
        assert!(matches!(health.breaker(now), BreakerState::HalfOpen { .. }));
        health.on(HostSign::Throttled(None), 1, now, 0.0, &policy);
    }
    assert_eq!(pauses, [30, 60, 120, 240, 480, 900, 900, 900]);
    let BreakerState::Open { until_unix_ms, .. } = health.breaker(now) else { panic!("open") };
    health.on(HostSign::Served, 1, until_unix_ms - 1, 0.0, &policy);
    assert!(matches!(health.breaker(until_unix_ms - 1), BreakerState::Open { .. }), "an old connection is no probe");
    health.on(HostSign::Served, 1, until_unix_ms, 0.0, &policy);
    assert_eq!(health.breaker(until_unix_ms), BreakerState::Closed);
}

#[test]
fn a_hosts_own_figure_is_waited_out() {
    let health = told(&[(HostSign::Throttled(Some(Duration::from_secs(7200))), 8, 0)]);
    assert!(matches!(health.breaker(NOW + 7_199_999), BreakerState::Open { .. }));
    assert!(matches!(health.breaker(NOW + 7_200_000), BreakerState::HalfOpen { .. }));
    // A clock that was set back by a year does not keep a host closed for a year.
    assert!(matches!(health.breaker(NOW - 31_536_000_000), BreakerState::HalfOpen { .. }));
}

#[test]
fn concurrency_grows_fast_at_first_and_by_one_after_a_throttle() {
    let policy = HostPolicy::default();
    let mut health = HostHealth::default();
    let mut now = NOW;
    let mut serve = |health: &mut HostHealth, times: usize, every_ms: i64| {
        for _ in 0..times {
            now += every_ms;
            health.on(HostSign::Served, health.cap(None, &policy), now, 0.0, &policy);
        }
        now
    };
    serve(&mut health, 10, 5_000);
    assert!(health.cap(None, &policy) > 400, "{}", health.cap(None, &policy));
    let throttled = serve(&mut health, 1, 1);
    health.on(HostSign::Throttled(None), 40, throttled, 0.0, &policy);
    assert_eq!(health.cap(None, &policy), 20, "half of what was in use, not of what was thought to be borne");
    assert_eq!(health.cap(Some(10), &policy), 10);
    serve(&mut health, 4, 30_000);
    assert_eq!(health.cap(None, &policy), 23, "the first closes the breaker");
    serve(&mut health, 100, 1);
    assert_eq!(health.cap(None, &policy), 23, "many signs at once are one");
}

#[test]
fn a_server_that_was_away_soon_has_all_its_connections_again() {
    let policy = HostPolicy::default();
    let mut health = told(&[(HostSign::ConnectionFailed, 0, 0); 3]);
    assert_eq!(health.cap(Some(50), &policy), 8);
    for step in 2..9 {
        let running = health.cap(Some(50), &policy);
        health.on(HostSign::Served, running, NOW + step * 5_000, 0.0, &policy);
    }
    assert_eq!(health.breaker(NOW + 45_000), BreakerState::Closed);
    assert_eq!(health.cap(Some(50), &policy), 50);
}

#[test]
fn what_is_not_in_use_does_not_grow() {
    let policy = HostPolicy::default();
    let mut health = HostHealth::default();
    for step in 0..100 {
        health.on(HostSign::Served, 1, NOW + step * 60_000, 0.0, &policy);
    }
    assert_eq!(health.cap(None, &policy), policy.start);
}

#[test]
fn health_is_kept_as_json() {
    let health = told(&[(HostSign::Throttled(None), 8, 0), (HostSign::ConnectionFailed, 8, 1)]);
    let text = serde_json::to_string(&health).expect("plain data");
    assert_eq!(serde_json::from_str::<HostHealth>(&text).expect("its own text"), health);
    assert_eq!(serde_json::from_str::<HostHealth>("{}").expect("all is optional"), HostHealth::default());
}

/// What happens in a day of a queue.
#[derive(Debug, Clone)]
enum Step {
    Arrive { lane: usize, phase: Phase, priority: u8 },
    Finish(usize),
    Limit { endpoint: usize, connections: Option<u32>, bulk: Option<u32> },
    Sign { host: usize, sign: HostSign },
    Pass(i64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let phase = prop_oneof![Just(Phase::Bulk), Just(Phase::Resync)];
    let sign = prop_oneof![
        4 => Just(HostSign::Served),
        1 => proptest::option::of((0_u64..500).prop_map(Duration::from_secs)).prop_map(HostSign::Throttled),
        2 => Just(HostSign::ConnectionFailed),
    ];
    let cap = || proptest::option::of(0_u32..6);
    prop_oneof![
        6 => (0_usize..LANES.len(), phase, 0_u8..10).prop_map(|(lane, phase, priority)| Step::Arrive { lane, phase, priority }),
        4 => any::<usize>().prop_map(Step::Finish),
        1 => (0_usize..4, cap(), cap()).prop_map(|(endpoint, connections, bulk)| Step::Limit { endpoint, connections, bulk }),
        2 => (0_usize..HOSTS.len(), sign).prop_map(|(host, sign)| Step::Sign { host, sign }),
        2 => (0_i64..3_600_000).prop_map(Step::Pass),
    ]
}

/// The hosts of four endpoints: two of them share one.
const HOSTS: [&str; 3] = ["a.example", "b.example", "c.example"];
const HOST_OF: [usize; 4] = [0, 1, 2, 2];
/// Also from an endpoint to itself, and between two endpoints of one host.
const LANES: [(usize, usize); 5] = [(0, 1), (0, 2), (1, 1), (2, 3), (3, 0)];

#[derive(Debug, Clone)]
struct Job {
    lane: usize,
    phase: Phase,
    place: i64,
    queued_at: i64,
}

/// A queue in memory that does what a store does.
struct World {
    now: i64,
    limits: Vec<Limits>,
    health: Vec<HostHealth>,
    queued: Vec<Job>,
    running: Vec<Job>,
}

impl World {
    fn new() -> Self {
        let limits = vec![Limits { connections: Some(3), ..Limits::default() }; 4];
        let health = vec![HostHealth::default(); HOSTS.len()];
        Self { now: NOW, limits, health, queued: Vec::new(), running: Vec::new() }
    }

    fn tokens(&self, endpoint: usize, phase: Option<Phase>) -> u32 {
        let jobs = self.running.iter().filter(|job| phase.is_none_or(|phase| job.phase == phase));
        jobs.map(|job| u32::from(LANES[job.lane].0 == endpoint) + u32::from(LANES[job.lane].1 == endpoint)).sum()
    }

    fn tokens_of_host(&self, host: usize) -> u32 {
        (0..4).filter(|endpoint| HOST_OF[*endpoint] == host).map(|endpoint| self.tokens(endpoint, None)).sum()
    }

    fn admission(&self) -> Admission {
        let facts = (0..4).map(|endpoint| EndpointFacts {
            id: id(endpoint),
            host: HOSTS[HOST_OF[endpoint]].to_owned(),
            limits: self.limits[endpoint].clone(),
            running_bulk: self.tokens(endpoint, Some(Phase::Bulk)),
            running_resync: self.tokens(endpoint, Some(Phase::Resync)),
            health: self.health[HOST_OF[endpoint]].clone(),
        });
        Admission::new(self.now, facts.collect())
    }

    /// Sheds what has to give way; it goes back into line at once.
    fn shed(&mut self) {
        for endpoint in 0..4 {
            for shed in self.admission().shed(id(endpoint)) {
                let mut left = shed.count;
                while left > 0 {
                    let uses = |job: &Job| LANES[job.lane].0 == endpoint || LANES[job.lane].1 == endpoint;
                    let fits = |job: &Job| uses(job) && shed.phase.is_none_or(|phase| phase == job.phase);
                    let Some(last) = self.running.iter().rposition(fits) else { break };
                    let job = self.running.remove(last);
                    let both = LANES[job.lane].0 == LANES[job.lane].1;
                    left = left.saturating_sub(if both { 2 } else { 1 });
                    self.queued.push(job);
                }
            }
        }
    }

    /// Claims as a store does: in the order of places, whoever is admitted; for the first that is not, because something
    /// is full, tokens are set aside once it has waited. Gives what was claimed.
    fn claim(&mut self) -> Vec<Job> {
        let mut admission = self.admission();
        let mut claimed = Vec::new();
        let mut reserved = false;
        self.queued.sort_by_key(|job| job.place);
        let now = self.now;
        self.queued.retain(|job| {
            let (source, target) = (id(LANES[job.lane].0), id(LANES[job.lane].1));
            match admission.admit(source, target, job.phase) {
                Ok(()) => claimed.push(job.clone()),
                Err(refusal) => {
                    let full = matches!(refusal.reason, RefusalReason::Full { .. });
                    if full && !reserved && now - job.queued_at >= RESERVE_AFTER_MS {
                        admission.reserve(source, target, job.phase);
                        reserved = true;
                    }
                    return true;
                }
            }
            false
        });
        self.running.extend(claimed.iter().cloned());
        claimed
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Arrive { lane, phase, priority } => {
                let place = Priority::new(*priority).expect("0 to 9").place_in_line(self.now);
                self.queued.push(Job { lane: *lane, phase: *phase, place, queued_at: self.now });
            }
            Step::Finish(which) if !self.running.is_empty() => {
                self.running.remove(which % self.running.len());
            }
            Step::Finish(_) => {}
            Step::Limit { endpoint, connections, bulk } => {
                self.limits[*endpoint].connections = *connections;
                self.limits[*endpoint].bulk_connections = *bulk;
            }
            Step::Sign { host, sign } => {
                let running = self.tokens_of_host(*host);
                self.health[*host].on(*sign, running, self.now, 0.5, &HostPolicy::default());
            }
            Step::Pass(ms) => self.now += ms,
        }
    }

    fn check(&self, claimed: &[Job]) -> Result<(), TestCaseError> {
        for endpoint in 0..4 {
            let limits = &self.limits[endpoint];
            let below = |running: u32, cap: Option<u32>| cap.is_none_or(|cap| running <= cap);
            prop_assert!(below(self.tokens(endpoint, None), limits.connections));
            prop_assert!(below(self.tokens(endpoint, Some(Phase::Bulk)), limits.bulk_connections));
        }
        for (host, health) in self.health.iter().enumerate() {
            let mine = |endpoint: usize| HOST_OF[endpoint] == host;
            let started = claimed.iter().filter(|job| mine(LANES[job.lane].0) || mine(LANES[job.lane].1)).count();
            match health.breaker(self.now) {
                BreakerState::Open { .. } => prop_assert_eq!(started, 0),
                BreakerState::HalfOpen { .. } => prop_assert!(started <= 1),
                // Two tokens may be one job, which is always let through.
                BreakerState::Closed if started > 0 => {
                    let caps =
                        (0..4).filter(|endpoint| mine(*endpoint)).map(|endpoint| self.limits[endpoint].connections);
                    let configured = caps.sum::<Option<u32>>();
                    let cap = health.cap(configured, &HostPolicy::default()).max(2);
                    prop_assert!(self.tokens_of_host(host) <= cap);
                }
                BreakerState::Closed => {}
            }
        }
        Ok(())
    }
}

fn id(endpoint: usize) -> EndpointId {
    EndpointId(i64::try_from(endpoint).expect("there are four"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_cap_is_ever_exceeded_whatever_happens(steps in proptest::collection::vec(any_step(), 1..120)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            world.shed();
            let claimed = world.claim();
            world.check(&claimed)?;
        }
    }

    /// However many more important jobs arrive, and although some need two tokens at once where others need one: a job
    /// of the lowest priority is begun before nearly all that arrive nine hours after it.
    #[test]
    fn nobody_starves(
        lane in 0_usize..LANES.len(),
        rivals in proptest::collection::vec((0_usize..LANES.len(), 0_u8..10), 40),
    ) {
        let mut world = World::new();
        for limits in &mut world.limits {
            limits.connections = Some(2);
        }
        let place = Priority::new(0).expect("0 to 9").place_in_line(NOW);
        world.queued.push(Job { lane, phase: Phase::Resync, place, queued_at: NOW });
        let waits = |world: &World| world.queued.iter().any(|job| job.phase == Phase::Resync);
        for (lane, priority) in rivals.iter().cycle().take(200) {
            // Ten minutes for each job, so that 54 arrive in the nine hours in which others may overtake.
            world.step(&Step::Pass(600_000));
            for lane in [*lane, (*lane + 1) % LANES.len()] {
                world.step(&Step::Arrive { lane, phase: Phase::Bulk, priority: *priority });
            }
            // The one that has run longest ends, and somebody takes its place.
            world.step(&Step::Finish(0));
            world.claim();
            if !waits(&world) {
                break;
            }
        }
        prop_assert!(!waits(&world));
    }
}

#[test]
fn places_in_line_never_change_their_order() {
    let place = |priority, at| Priority::new(priority).expect("0 to 9").place_in_line(at);
    let mut jobs = BTreeMap::new();
    for (priority, at) in [(9, 5_000), (0, 0), (4, 1_000)] {
        jobs.insert(place(priority, at), priority);
    }
    assert_eq!(jobs.into_values().collect::<Vec<_>>(), [9, 4, 0]);
}
