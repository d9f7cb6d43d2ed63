//! One look at everything for all who watch: pages, streams and monitoring ask here, and not the state file each for
//! itself. Also what was seen before, so that a rate can be shown over time.

use mailhaul_report::WaveStatus;
use mailhaul_service::{EndpointStanding, HoldRow, LiveView, Service, ServiceError, Watch, WorkerRow};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// How often is looked while somebody watches.
const LIVE: Duration = Duration::from_secs(2);
/// How often while nobody does: the history goes on.
const QUIET: Duration = Duration::from_secs(10);
/// Somebody who asked this lately watches.
const WATCHED: Duration = Duration::from_secs(60);
/// A look is made at most this part of the time.
const SHARE: u32 = 10;
/// A look that is at most so old answers a question as well as a new one, in milliseconds.
const FRESH_MS: i64 = 2_000;
/// After so many pauses without a look nothing is seen any more.
const PAUSES_UNTIL_BLIND: u32 = 5;
/// Looks closer together than this are not kept for the history, in milliseconds.
const KEPT_EVERY_MS: i64 = 9_000;
/// So many are kept: a day.
const KEPT_MAX: usize = 8_640;

/// What was seen at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    /// When, in milliseconds since 1970.
    pub(crate) at_unix_ms: i64,
    /// Everything together.
    pub(crate) all: WaveStatus,
    /// Each wave, by name.
    pub(crate) waves: BTreeMap<String, WaveStatus>,
    /// The endpoints.
    pub(crate) endpoints: Vec<EndpointStanding>,
    /// Processes that work.
    pub(crate) workers: Vec<WorkerRow>,
    /// What operators have paused, single accounts and jobs apart, of which there may be tens of thousands.
    pub(crate) holds: Vec<HoldRow>,
    /// The latest event.
    pub(crate) event: i64,
    /// How long the look took.
    pub(crate) took: Duration,
    /// How many changes had been made here when it began.
    changes: u64,
}

/// How much had been done at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) at_unix_ms: i64,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// That nothing is seen, since when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blind {
    /// The moment of the latest look; `None`: there was none.
    pub(crate) seen_unix_ms: Option<i64>,
    /// Why the latest attempt failed; empty if it has not come to its end.
    pub(crate) words: String,
}

/// The one who looks.
pub(crate) struct Pulse {
    service: Service,
    /// What this process does; nothing until its work has begun.
    live: RwLock<LiveView>,
    look: RwLock<Option<Arc<Look>>>,
    /// Why the latest attempt to look failed, and how many in a row have.
    failed: Mutex<(u32, String)>,
    /// By wave; everything together under the empty name.
    history: Mutex<BTreeMap<String, VecDeque<Sample>>>,
    asked: Mutex<Instant>,
    nudged: Notify,
    /// How many changes were made here.
    changes: AtomicU64,
    beats: watch::Sender<u64>,
    watches: tokio::sync::Mutex<Watches>,
}

#[derive(Default)]
struct Watches {
    all: Watch,
    waves: BTreeMap<String, Watch>,
}

impl Pulse {
    pub(crate) fn new(service: Service) -> Self {
        Self {
            service,
            live: RwLock::new(LiveView::of_nothing()),
            look: RwLock::default(),
            failed: Mutex::default(),
            history: Mutex::default(),
            asked: Mutex::new(Instant::now()),
            nudged: Notify::new(),
            changes: AtomicU64::new(0),
            beats: watch::Sender::new(0),
            watches: tokio::sync::Mutex::default(),
        }
    }

    /// Also shows what this process does.
    pub(crate) fn show(&self, live: LiveView) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = live;
    }

    /// The latest look; the first one is made for whoever asks first.
    pub(crate) async fn look(&self) -> Result<Arc<Look>, ServiceError> {
        self.watched();
        self.peek().await
    }

    /// As [`Pulse::look`], for a machine that comes by: it does not count as somebody who watches.
    pub(crate) async fn peek(&self) -> Result<Arc<Look>, ServiceError> {
        match self.latest() {
            Some(look) => Ok(look),
            None => self.make().await,
        }
    }

    /// A look of the last moments that shows everything that was changed here, for whoever asks for numbers once.
    pub(crate) async fn fresh_look(&self) -> Result<Arc<Look>, ServiceError> {
        self.watched();
        let now = self.service.now_unix_ms();
        match self.latest() {
            Some(look) if look.changes == self.changes.load(Ordering::Acquire) && is_fresh(&look, now) => Ok(look),
            _ => self.make().await,
        }
    }

    /// A look that is made now, for whoever must see what was just changed.
    pub(crate) async fn look_now(&self) -> Result<Arc<Look>, ServiceError> {
        self.watched();
        self.make().await
    }

    fn latest(&self) -> Option<Arc<Look>> {
        self.look.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn watched(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether what is shown is old; then since when, and why.
    pub(crate) fn blind(&self) -> Option<Blind> {
        let (times, words) = self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let look = self.latest();
        let is_old = look.as_ref().is_some_and(|look| is_old(look, self.service.now_unix_ms()));
        let is_blind = is_old || times >= PAUSES_UNTIL_BLIND || (times > 0 && look.is_none());
        is_blind.then(|| Blind { seen_unix_ms: look.map(|look| look.at_unix_ms), words })
    }

    /// Something was changed: look soon.
    pub(crate) fn nudge(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.nudged.notify_one();
    }

    /// Rises with every look.
    pub(crate) fn beats(&self) -> watch::Receiver<u64> {
        self.beats.subscribe()
    }

    /// What was seen before, of a wave or (empty) of everything, the oldest first.
    pub(crate) fn history(&self, wave: &str) -> Vec<Sample> {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.get(wave).map(|samples| samples.iter().copied().collect()).unwrap_or_default()
    }

    /// Looks for as long as the process serves.
    pub(crate) async fn beat(self: Arc<Self>) {
        loop {
            let took = match self.make().await {
                Ok(look) => look.took,
                Err(_) => Duration::ZERO,
            };
            let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
            let pause = if asked < WATCHED { LIVE } else { QUIET };
            let least = took * SHARE;
            tokio::time::sleep(least).await;
            tokio::select! {
                () = tokio::time::sleep(pause.saturating_sub(least)) => {}
                () = self.nudged.notified() => {}
            }
        }
    }

    /// Looks, and remembers whether that could be done.
    pub(crate) async fn make(&self) -> Result<Arc<Look>, ServiceError> {
        // Whoever waited for somebody else's look is given that.
        let seen = *self.beats.borrow();
        let mut watches = self.watches.lock().await;
        if *self.beats.borrow() != seen
            && let Some(look) = self.latest()
            // It may have begun before something was changed here.
            && look.changes == self.changes.load(Ordering::Acquire)
        {
            return Ok(look);
        }
        let made = self.look_around(&mut watches).await;
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match made {
            Ok(look) => {
                *failed = (0, String::new());
                drop(failed);
                let look = Arc::new(look);
                self.keep(&look);
                *self.look.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&look));
                self.beats.send_modify(|beats| *beats += 1);
                Ok(look)
            }
            Err(error) => {
                if failed.0 == 0 {
                    tracing::warn!(%error, "the page cannot read the state file");
                }
                *failed = (failed.0.saturating_add(1), error.to_string());
                Err(error)
            }
        }
    }

    async fn look_around(&self, watches: &mut Watches) -> Result<Look, ServiceError> {
        let (began, changes) = (Instant::now(), self.changes.load(Ordering::Acquire));
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner).jobs();
        let all = self.service.status(None, &live, &mut watches.all).await?;
        let mut waves = BTreeMap::new();
        for wave in self.service.waves().await? {
            let watch = watches.waves.entry(wave.row.name.clone()).or_default();
            // A wave may be gone again by now.
            if let Ok(status) = self.service.status(Some(&wave.row.name), &live, watch).await {
                waves.insert(wave.row.name, status);
            }
        }
        watches.waves.retain(|name, _| waves.contains_key(name));
        Ok(Look {
            at_unix_ms: self.service.now_unix_ms(),
            all,
            waves,
            endpoints: self.service.endpoint_standings().await?,
            workers: self.service.queue().workers().await.map_err(ServiceError::from)?,
            holds: self.service.queue().wide_holds().await.map_err(ServiceError::from)?,
            event: self.service.latest_event().await?,
            took: began.elapsed(),
            changes,
        })
    }

    fn keep(&self, look: &Look) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let one = |status: &WaveStatus| Sample {
            at_unix_ms: look.at_unix_ms,
            messages: status.messages.done,
            bytes: status.bytes.done,
        };
        keep_one(history.entry(String::new()).or_default(), one(&look.all));
        for (name, status) in &look.waves {
            keep_one(history.entry(name.clone()).or_default(), one(status));
        }
        history.retain(|name, _| name.is_empty() || look.waves.contains_key(name));
    }
}

fn is_fresh(look: &Look, now_unix_ms: i64) -> bool {
    // What takes long is not made more often than its share.
    let took = i64::try_from((look.took * SHARE).as_millis()).unwrap_or(i64::MAX);
    now_unix_ms.saturating_sub(look.at_unix_ms) < FRESH_MS.max(took)
}

/// Looks that are made on time are never as old as that, whether anybody watches or not.
fn is_old(look: &Look, now_unix_ms: i64) -> bool {
    let pause = QUIET.max(look.took * SHARE) + look.took;
    let most = i64::try_from((pause * PAUSES_UNTIL_BLIND).as_millis()).unwrap_or(i64::MAX);
    now_unix_ms.saturating_sub(look.at_unix_ms) > most
}

fn keep_one(samples: &mut VecDeque<Sample>, new: Sample) {
    if samples.back().is_some_and(|last| new.at_unix_ms - last.at_unix_ms < KEPT_EVERY_MS) {
        return;
    }
    samples.push_back(new);
    if samples.len() > KEPT_MAX {
        samples.pop_front();
    }
}

/// Rates over time: the mean between two samples for each of so many equal stretches, oldest first. `None`: nobody was
/// looking then.
pub(crate) fn rates(samples: &[Sample], from_unix_ms: i64, until_unix_ms: i64, stretches: usize) -> Vec<Option<f64>> {
    let mut rates = Vec::with_capacity(stretches);
    let whole = until_unix_ms.saturating_sub(from_unix_ms).max(1);
    let count = i64::try_from(stretches.max(1)).unwrap_or(1);
    for number in 0..count {
        let (from, until) = (from_unix_ms + whole * number / count, from_unix_ms + whole * (number + 1) / count);
        rates.push(bytes_between(samples, from, until));
    }
    rates
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn bytes_between(samples: &[Sample], from: i64, until: i64) -> Option<f64> {
    let first = samples.iter().rev().find(|sample| sample.at_unix_ms <= from).or_else(|| {
        // The first stretch may have begun before anybody looked.
        samples.first().filter(|first| first.at_unix_ms < until)
    })?;
    let last = samples.iter().find(|sample| sample.at_unix_ms >= until).or_else(|| samples.last())?;
    let millis = last.at_unix_ms - first.at_unix_ms;
    (millis > 0 && last.at_unix_ms > from)
        .then(|| last.bytes.saturating_sub(first.bytes) as f64 * 1_000.0 / millis as f64)
}

#[cfg(test)]
impl Pulse {
    /// When somebody watched last.
    pub(crate) fn asked_at(&self) -> Instant {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the latest look for one that never grows old.
    pub(crate) fn stand_still(&self) {
        let mut look = self.look.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(look) = look.as_mut() {
            let took = Duration::from_secs(3_600);
            *look = Arc::new(Look { took, ..Look::clone(look) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_between_looks_and_nothing_is_made_up() {
        let sample = |at: i64, bytes| Sample { at_unix_ms: at * 1_000, messages: 0, bytes };
        let samples = [sample(10, 0), sample(20, 100), sample(30, 300), sample(40, 300)];
        let found = rates(&samples, 0, 40_000, 4);
        assert_eq!(found, [None, Some(10.0), Some(20.0), Some(0.0)]);
        assert_eq!(rates(&[], 0, 40_000, 2), [None, None]);
        assert_eq!(rates(&samples[..1], 0, 40_000, 1), [None], "one look is no rate");
    }

    #[tokio::test]
    async fn a_look_is_fresh_for_moments_and_old_after_some_pauses() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = mailhaul_service::KeySource::File(folder.path().join("key"));
        let service = Service::open(&folder.path().join("state.db"), key, "test").await.expect("opened");
        let look = Pulse::new(service).make().await.expect("seen");
        let of = |took: u64| Look { took: Duration::from_millis(took), ..Look::clone(&look) };
        let after = |millis: i64| look.at_unix_ms + millis;
        assert!(is_fresh(&of(10), after(1_999)) && !is_fresh(&of(10), after(2_000)));
        assert!(is_fresh(&of(3_000), after(29_999)), "what takes long is not made more often than its share");
        assert!(!is_old(&of(10), after(50_000)) && is_old(&of(10), after(51_000)));
        assert!(!is_old(&of(3_000), after(160_000)) && is_old(&of(3_000), after(166_000)));
    }

    #[test]
    fn a_day_is_kept_and_no_more() {
        let mut kept = VecDeque::new();
        for number in 0..20_000_i64 {
            keep_one(&mut kept, Sample { at_unix_ms: number * 5_000, messages: 0, bytes: 0 });
        }
        assert_eq!(kept.len(), KEPT_MAX);
        assert!(kept[1].at_unix_ms - kept[0].at_unix_ms >= KEPT_EVERY_MS);
    }
}
