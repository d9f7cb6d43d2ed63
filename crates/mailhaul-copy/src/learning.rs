//! What a run knows of its two servers from earlier runs, what it learns itself, and the keeping of both.
//!
//! All of it is advice (`mailhaul_plan::profile`): how many connections, whether a target takes single messages better with
//! their mailbox selected or without, and what passes took, from which `--dry-run` foretells the next copy. Nothing here
//! decides what is copied, and nothing here can fail.

use crate::bounds;
use crate::job::{Account, AccountPair};
use crate::walk::Links;
use mailhaul_db::{HostKey, Ledger};
use mailhaul_plan::experience::{Experience, Load};
use mailhaul_plan::profile::{Ceiling, Commands, Found, HostProfile, SingleAppends, Width};
use mailhaul_types::Side;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// The share of the time for which a server is waited for, from which on it counts as what the copy is slow by.
const WAITED_LEAST: f64 = 0.3;
/// From so many passes at once, in the mean, a pass counts as one beside others.
const BESIDE_OTHERS: f64 = 1.5;
/// What lies between two passes is the filing of the first, and belongs to them; a longer time is not, in seconds.
const FILING_MOST: Duration = Duration::from_secs(1);
/// How often each way to store single messages is measured.
const TRIALS: usize = 2;

/// See the module.
#[derive(Debug)]
pub(crate) struct Learning {
    now_unix_secs: i64,
    source: HostProfile,
    target: HostProfile,
    seen: Mutex<Seen>,
}

/// What this run has seen.
#[derive(Debug)]
struct Seen {
    /// Passes that are going on.
    passes: usize,
    /// Seconds, divided among the passes that went on at the time.
    shared_secs: f64,
    /// Up to when that is reckoned.
    until: Instant,
    /// Since when no pass goes on, once one has.
    idle_since: Option<Instant>,
    alone: Experience,
    together: Experience,
    made: Commands,
    /// Time in transfers, and the part of it in which the source was waited for.
    transferred: Duration,
    waited_for_source: Duration,
    /// Of source and target.
    widths: [Width; 2],
    round_trips: [Option<Duration>; 2],
    /// Seconds a message, measured with the mailbox selected and without.
    single_appends: [Vec<f64>; 2],
    /// Whether the target will not leave a mailbox.
    cannot_leave: bool,
}

impl Learning {
    /// With what earlier runs have learnt.
    pub(crate) async fn recall(ledger: &Ledger, accounts: &AccountPair) -> Self {
        let now_unix_secs = unix_secs();
        let [source, target] = recall(Some(ledger), accounts, now_unix_secs).await;
        Self::knowing(source, target, now_unix_secs)
    }

    /// With this.
    pub(crate) fn knowing(source: HostProfile, target: HostProfile, now_unix_secs: i64) -> Self {
        let seen = Seen {
            passes: 0,
            shared_secs: 0.0,
            until: Instant::now(),
            idle_since: None,
            alone: Experience::default(),
            together: Experience::default(),
            made: Commands::default(),
            transferred: Duration::ZERO,
            waited_for_source: Duration::ZERO,
            widths: [Width::default(); 2],
            round_trips: [None; 2],
            single_appends: [Vec::new(), Vec::new()],
            cannot_leave: false,
        };
        Self { now_unix_secs, source, target, seen: Mutex::new(seen) }
    }

    /// Keeps what was learnt for the runs that come.
    pub(crate) async fn keep(&self, ledger: &Ledger, accounts: &AccountPair) {
        let [source, target] = self.learnt();
        let change = |run: HostProfile| -> mailhaul_db::ProfileChange {
            Box::new(move |before| {
                let mut profile = before.and_then(HostProfile::from_json).unwrap_or_default();
                profile.merge(&run);
                profile.to_json()
            })
        };
        let nothing = HostProfile::default();
        let changes = [(key(Side::Source, &accounts.source), source), (key(Side::Target, &accounts.target), target)];
        // A round trip alone is not worth a commit.
        let tells = |run: &HostProfile| HostProfile { round_trip_secs: None, ..run.clone() } != nothing;
        let changes = changes.into_iter().filter(|(_, run)| tells(run)).map(|(key, run)| (key, change(run)));
        ledger.learn(changes.collect()).await;
    }

    /// What this run has learnt of each server.
    pub(crate) fn learnt(&self) -> [HostProfile; 2] {
        let seen = self.seen();
        let waited = seen.waited_for_source.as_secs_f64() / seen.transferred.as_secs_f64().max(f64::MIN_POSITIVE);
        let at = |mut experience: Experience, is_bound| {
            (experience.is_bound, experience.at_unix_secs) = (is_bound, self.now_unix_secs);
            if experience.is_empty() { Experience::default() } else { experience }
        };
        let of = |side: Side| {
            let waited = if side == Side::Source { waited } else { 1.0 - waited };
            let place = place(side);
            HostProfile {
                width: seen.widths[place],
                alone: at(seen.alone, waited < WAITED_LEAST),
                together: at(seen.together, waited < WAITED_LEAST),
                round_trip_secs: seen.round_trips[place].map(|time| time.as_secs_f64()),
                ..HostProfile::default()
            }
        };
        let target = HostProfile { made: seen.made, single_appends: self.measured(&seen), ..of(Side::Target) };
        [of(Side::Source), target]
    }

    /// How far away the servers are, as these connections have shown.
    pub(crate) fn look_at(&self, links: &Links) {
        let mut seen = self.seen();
        for (known, connection) in seen.round_trips.iter_mut().zip([&links.source, &links.target]) {
            *known = known.iter().copied().chain(connection.round_trip()).min();
        }
    }

    /// A pass over a mailbox begins.
    pub(crate) fn begin_pass(&self) -> Pass<'_> {
        let mut seen = self.seen();
        seen.reckon();
        seen.passes += 1;
        let idle = seen.idle_since.take().map(|since| seen.until.saturating_duration_since(since));
        let filing = idle.filter(|idle| *idle <= FILING_MOST).unwrap_or_default();
        let began = seen.until.checked_sub(filing).unwrap_or(seen.until);
        Pass { learning: self, began, shared_secs: seen.shared_secs - filing.as_secs_f64() }
    }

    /// A burst of so many commands that create or subscribe mailboxes: when it began, was half through, and ended, and how
    /// long its round trip took.
    pub(crate) fn made(&self, commands: usize, [began, halfway, ended]: [Instant; 3], waiting: Duration) {
        let (first, later) = ((halfway - began).saturating_sub(waiting), ended - halfway);
        self.seen().made.add(commands, first.as_secs_f64(), later.as_secs_f64());
    }

    /// A transfer took so long, and waited so long for the source.
    pub(crate) fn transferred(&self, took: Duration, waited_for_source: Duration) {
        let mut seen = self.seen();
        seen.transferred += took;
        seen.waited_for_source += waited_for_source;
    }

    /// With how many connections to begin so much work; `None`: nothing is known, or it will be over before it matters.
    pub(crate) fn begin_with(&self, mailboxes: usize, messages: u64) -> Option<usize> {
        let best = |profile: &HostProfile| profile.width.best(self.now_unix_secs);
        let best = best(&self.source)?.min(best(&self.target)?);
        let known = &self.target.alone;
        let load = Load { mailboxes: mailboxes as u64, messages, octets: 0 };
        let is_short = !known.is_empty() && known.predict(&load, 0.0) < bounds::STRAND_WATCHED_FOR.as_secs_f64();
        (!is_short).then_some(best)
    }

    /// How many connections there should be at most.
    pub(crate) fn most_connections(&self) -> usize {
        let most = |profile: &HostProfile| profile.width.most(self.now_unix_secs).unwrap_or(usize::MAX);
        most(&self.source).min(most(&self.target))
    }

    /// How many connections to the source there should be at most where some of them only read.
    pub(crate) fn most_reading(&self) -> usize {
        self.source.width.most_reading(self.now_unix_secs).unwrap_or(usize::MAX)
    }

    /// With so many it went best. Whether one more pays is a property of both servers and the line between them.
    pub(crate) fn note_best(&self, connections: usize) {
        let best = Some(self.found(connections));
        self.seen().widths.iter_mut().for_each(|width| width.best = best);
    }

    /// There should be no more than these at one server. The other one, which may serve many others, has nothing to do with it.
    pub(crate) fn note_most(&self, side: Side, connections: usize, why: Ceiling) {
        self.seen().widths[place(side)].most = Some((self.found(connections), why));
    }

    /// The source let in no connection beyond these to read from.
    pub(crate) fn note_refused_reader(&self, connections: usize) {
        let most = (self.found(connections), Ceiling::Refused);
        let reading = &mut self.seen().widths[place(Side::Source)].reading;
        // Of several that were tried at once, the last to be refused has seen how many are left.
        *reading = Some(reading.filter(|(before, _)| before.connections < connections).unwrap_or(most));
    }

    fn found(&self, connections: usize) -> Found {
        Found { connections, at_unix_secs: self.now_unix_secs }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How single messages are stored, where a target knows no MULTIAPPEND.
impl Learning {
    /// Whether to store the next ones with no mailbox selected.
    pub(crate) fn appends_unselected(&self) -> bool {
        let seen = self.seen();
        match self.knows_single_appends(&seen) {
            _ if seen.cannot_leave => false,
            Some(unselected) => unselected,
            // By turns.
            None => seen.single_appends[0].len() > seen.single_appends[1].len(),
        }
    }

    /// Whether the next ones are a trial.
    pub(crate) fn tries_single_appends(&self) -> bool {
        let seen = self.seen();
        !seen.cannot_leave && self.knows_single_appends(&seen).is_none()
    }

    /// So many single messages took so long.
    pub(crate) fn appended(&self, unselected: bool, messages: u64, took: Duration) {
        let mut seen = self.seen();
        let samples = &mut seen.single_appends[usize::from(unselected)];
        if messages > 0 && samples.len() < TRIALS {
            let messages = f64::from(u32::try_from(messages).unwrap_or(u32::MAX));
            samples.push((took.as_secs_f64() / messages).max(f64::MIN_POSITIVE));
        }
        let measured = self.measured(&seen);
        if let Some(unselected) = measured.better_unselected(self.now_unix_secs) {
            tracing::debug!(?measured, unselected, "measured how the target takes single messages");
        }
    }

    /// The target does not leave a mailbox without opening another.
    pub(crate) fn cannot_leave(&self) {
        self.seen().cannot_leave = true;
    }

    fn knows_single_appends(&self, seen: &Seen) -> Option<bool> {
        let now = self.now_unix_secs;
        self.measured(seen).better_unselected(now).or_else(|| self.target.single_appends.better_unselected(now))
    }

    fn measured(&self, seen: &Seen) -> SingleAppends {
        // The better of each: what else goes on in the world only makes it slower.
        let [selected_secs, unselected_secs] = seen.single_appends.each_ref().map(|samples| match samples.len() {
            TRIALS.. => samples.iter().copied().fold(f64::MAX, f64::min),
            _ => 0.0,
        });
        match selected_secs > 0.0 && unselected_secs > 0.0 {
            true => SingleAppends { selected_secs, unselected_secs, at_unix_secs: self.now_unix_secs },
            false => SingleAppends::default(),
        }
    }
}

impl Seen {
    /// Divides the time since it was last done among the passes.
    fn reckon(&mut self) {
        let now = Instant::now();
        if self.passes > 0 {
            let passes = f64::from(u32::try_from(self.passes).unwrap_or(u32::MAX));
            self.shared_secs += now.saturating_duration_since(self.until).as_secs_f64() / passes;
        }
        self.until = now;
    }
}

/// A pass over a mailbox that goes on.
pub(crate) struct Pass<'a> {
    learning: &'a Learning,
    began: Instant,
    shared_secs: f64,
}

impl Pass<'_> {
    /// It has come to its end, and tells what such a load takes.
    pub(crate) fn tells(self, load: &Load) {
        let mut seen = self.learning.seen();
        seen.reckon();
        let took = seen.until.saturating_duration_since(self.began).as_secs_f64();
        let share = seen.shared_secs - self.shared_secs;
        let seen = &mut *seen;
        let experience = if took > share * BESIDE_OTHERS { &mut seen.together } else { &mut seen.alone };
        experience.add(load, share);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut seen = self.learning.seen();
        seen.reckon();
        seen.passes = seen.passes.saturating_sub(1);
        if seen.passes == 0 {
            seen.idle_since = Some(seen.until);
        }
    }
}

/// What is known of source and target.
pub(crate) async fn recall(ledger: Option<&Ledger>, accounts: &AccountPair, now_unix_secs: i64) -> [HostProfile; 2] {
    let known = async |side, account: &Account| {
        let text = match ledger {
            Some(ledger) => ledger.host_profile(&key(side, account)).await,
            None => None,
        };
        text.as_deref().and_then(HostProfile::from_json).unwrap_or_default().as_of(now_unix_secs)
    };
    [known(Side::Source, &accounts.source).await, known(Side::Target, &accounts.target).await]
}

/// Where what is known of a server stands.
fn place(side: Side) -> usize {
    match side {
        Side::Source => 0,
        Side::Target => 1,
    }
}

fn key(side: Side, account: &Account) -> HostKey {
    HostKey::new(side, &account.endpoint.host, account.endpoint.port)
}

pub(crate) fn unix_secs() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learning(source: HostProfile, target: HostProfile) -> Learning {
        Learning::knowing(source, target, 1_795_000_000)
    }

    const LOAD: Load = Load { mailboxes: 1, messages: 1_000, octets: 3_000_000 };

    #[tokio::test(start_paused = true)]
    async fn the_time_of_passes_side_by_side_is_divided_among_them() {
        let learning = learning(HostProfile::default(), HostProfile::default());
        let secs = |secs| tokio::time::sleep(Duration::from_secs(secs));
        let first = learning.begin_pass();
        secs(4).await;
        first.tells(&LOAD);
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let (one, other) = (learning.begin_pass(), learning.begin_pass());
        secs(3).await;
        one.tells(&LOAD);
        drop(other);
        learning.transferred(Duration::from_secs(10), Duration::from_secs(9));
        let [source, target] = learning.learnt();
        assert!((source.alone.predict(&LOAD, 0.0) - 4.0).abs() < 0.01, "{source:?}");
        assert!((source.together.predict(&LOAD, 0.0) - 1.5).abs() < 0.01, "{source:?}");
        assert!(!source.alone.is_bound && target.alone.is_bound, "only the source was waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn the_filing_between_two_passes_belongs_to_them() {
        let learning = learning(HostProfile::default(), HostProfile::default());
        for _ in 0..4 {
            let pass = learning.begin_pass();
            tokio::time::sleep(Duration::from_secs(1)).await;
            pass.tells(&LOAD);
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let [source, _] = learning.learnt();
        let four = Load { mailboxes: 4, messages: 4_000, octets: 12_000_000 };
        assert!((source.alone.predict(&four, 0.0) - 5.5).abs() < 0.05, "{source:?}");
    }

    #[test]
    fn each_way_to_store_single_messages_is_tried_and_the_better_one_kept() {
        for (selected, unselected) in [(100, 300), (300, 100)] {
            let learning = learning(HostProfile::default(), HostProfile::default());
            let mut ways = Vec::new();
            while learning.tries_single_appends() {
                let way = learning.appends_unselected();
                ways.push(way);
                learning.appended(way, 200, Duration::from_millis(if way { unselected } else { selected }));
            }
            assert_eq!(ways, [false, true, false, true]);
            assert_eq!(learning.appends_unselected(), unselected < selected);
            let [_, target] = learning.learnt();
            let again = self::learning(HostProfile::default(), target);
            assert!(!again.tries_single_appends() && again.appends_unselected() == (unselected < selected));
        }
    }

    #[test]
    fn a_target_that_does_not_leave_mailboxes_is_not_tried() {
        let learning = learning(HostProfile::default(), HostProfile::default());
        learning.appended(false, 200, Duration::from_millis(5));
        assert!(learning.appends_unselected());
        learning.cannot_leave();
        assert!(!learning.appends_unselected() && !learning.tries_single_appends());
    }

    #[test]
    fn connections_are_begun_with_where_the_work_is_long_enough() {
        let found = |connections| Found { connections, at_unix_secs: 1_794_999_000 };
        let mut profile = HostProfile::default();
        profile.width.best = Some(found(3));
        let mut target = profile.clone();
        target.width.most = Some((found(2), Ceiling::Refused));
        assert_eq!(learning(profile.clone(), HostProfile::default()).begin_with(10, 10), None);
        assert_eq!(learning(profile.clone(), profile.clone()).begin_with(10, 10), Some(3));
        let both = learning(profile.clone(), target.clone());
        assert_eq!((both.begin_with(10, 10), both.most_connections()), (Some(2), 2));
        target.alone.add(&LOAD, 1.0);
        let both = learning(profile, target);
        assert_eq!((both.begin_with(10, 10), both.begin_with(10, 100_000)), (None, Some(2)));
    }

    #[test]
    fn what_one_server_has_refused_is_not_held_against_the_other() {
        let learning = learning(HostProfile::default(), HostProfile::default());
        learning.note_best(2);
        learning.note_most(Side::Source, 1, Ceiling::Refused);
        let [source, target] = learning.learnt();
        assert_eq!(source.width.most.map(|(most, why)| (most.connections, why)), Some((1, Ceiling::Refused)));
        assert_eq!((source.width.most_reading(learning.now_unix_secs), target.width.most), (Some(1), None));
        // The next account: from this source, and from another one, into the same target.
        let again = self::learning(source.clone(), target.clone());
        assert_eq!((again.most_connections(), again.most_reading()), (1, 1));
        let another = self::learning(HostProfile::default(), target.clone());
        assert_eq!((another.most_connections(), another.most_reading()), (usize::MAX, usize::MAX));
        assert_eq!(target.width.best.map(|best| best.connections), Some(2));
    }

    #[test]
    fn a_reader_that_was_refused_is_noted_of_the_source_alone() {
        let learning = learning(HostProfile::default(), HostProfile::default());
        for connections in [3, 2, 4] {
            learning.note_refused_reader(connections);
        }
        let [source, target] = learning.learnt();
        assert_eq!((source.width.reading.map(|(most, _)| most.connections), source.width.most), (Some(2), None));
        assert_eq!(target.width, Width::default());
    }
}
