//! One look at everything for all who watch: pages, streams and monitoring ask here, and not the state file each for
//! itself. Also what was seen before, so that a rate can be shown over time.

use mailhaul_report::WaveStatus;
use mailhaul_service::{EndpointStanding, HoldRow, LiveView, Service, ServiceError, Watch, WorkerRow};
use std::collections::{BTreeMap, VecDeque};
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
    /// What operators have paused.
    pub(crate) holds: Vec<HoldRow>,
    /// How long the look took.
    pub(crate) took: Duration,
}

/// How much had been done at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) at_unix_ms: i64,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// The one who looks.
pub(crate) struct Pulse {
    service: Service,
    live: LiveView,
    look: RwLock<Option<Arc<Look>>>,
    /// By wave; everything together under the empty name.
    history: Mutex<BTreeMap<String, VecDeque<Sample>>>,
    asked: Mutex<Instant>,
    nudged: Notify,
    beats: watch::Sender<u64>,
    watches: tokio::sync::Mutex<Watches>,
}

#[derive(Default)]
struct Watches {
    all: Watch,
    waves: BTreeMap<String, Watch>,
}

impl Pulse {
    pub(crate) fn new(service: Service, live: LiveView) -> Self {
        Self {
            service,
            live,
            look: RwLock::default(),
            history: Mutex::default(),
            asked: Mutex::new(Instant::now()),
            nudged: Notify::new(),
            beats: watch::Sender::new(0),
            watches: tokio::sync::Mutex::default(),
        }
    }

    /// The latest look; the first one is made for whoever asks first.
    pub(crate) async fn look(&self) -> Result<Arc<Look>, ServiceError> {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        if let Some(look) = self.look.read().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(look);
        }
        self.make().await
    }

    /// A look that is made now, for whoever must see what was just changed.
    pub(crate) async fn look_now(&self) -> Result<Arc<Look>, ServiceError> {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.make().await
    }

    /// Something was changed: look soon.
    pub(crate) fn nudge(&self) {
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
                Err(error) => {
                    tracing::debug!(%error, "the state could not be looked at");
                    Duration::ZERO
                }
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

    async fn make(&self) -> Result<Arc<Look>, ServiceError> {
        // Whoever waited for somebody else's look is given that.
        let seen = *self.beats.borrow();
        let mut watches = self.watches.lock().await;
        if *self.beats.borrow() != seen
            && let Some(look) = self.look.read().unwrap_or_else(PoisonError::into_inner).clone()
        {
            return Ok(look);
        }
        let began = Instant::now();
        let live = self.live.jobs();
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
        let look = Arc::new(Look {
            at_unix_ms: self.service.now_unix_ms(),
            all,
            waves,
            endpoints: self.service.endpoint_standings().await?,
            workers: self.service.queue().workers().await.map_err(ServiceError::from)?,
            holds: self.service.queue().holds().await.map_err(ServiceError::from)?,
            took: began.elapsed(),
        });
        self.keep(&look);
        *self.look.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&look));
        self.beats.send_modify(|beats| *beats += 1);
        Ok(look)
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
