//! Whether compression would pay, measured while mail flows: which side is waited for, how fast its line is, what the mail would
//! shrink to, whether the processors are free. The decision itself is `mailhaul_plan::compression`.
//!
//! Nothing is measured where no server offers compression that is not next door, and nothing in the first seconds of a
//! transfer: mail that is over by then costs no processor time here, and no command is sent that would delay it.

use mailhaul_imap::{CompressionSample, Connection};
use mailhaul_plan::compression::{Line, ROUND_TRIP_LEAST, compression_pays};
use mailhaul_types::Side;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;
use tokio::time::Instant;

/// Shorter than this, a transfer says too little, and is over before it would matter.
const SEEN_LEAST: Duration = Duration::from_secs(2);
/// How often it is looked at again.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Octets that must have flowed between two looks.
const OCTETS_LEAST: u64 = 256 * 1024;

/// What is seen of one transfer.
pub(super) struct Gauge {
    /// The lines that could be compressed, with their round trips.
    source: Option<Duration>,
    target: Option<Duration>,
    sample: CompressionSample,
    /// When the transfer began.
    born: Instant,
    /// When it was last looked at.
    began: Instant,
    cpu: Duration,
    /// Time in which nothing came from the source although everything for the target had been handed over.
    waited: Duration,
    octets: u64,
    /// Whether it has come to a result.
    has_looked: bool,
}

impl Gauge {
    /// None where there is nothing to decide.
    pub(super) fn new(source: &Connection, target: &Connection) -> Option<Self> {
        let open = |connection: &Connection| {
            let round_trip = connection.may_compress().then(|| connection.round_trip()).flatten();
            round_trip.filter(|time| *time >= ROUND_TRIP_LEAST)
        };
        let (source, target) = (open(source), open(target));
        (source.is_some() || target.is_some()).then(|| Self {
            source,
            target,
            sample: CompressionSample::default(),
            born: Instant::now(),
            began: Instant::now(),
            cpu: cpu_time(),
            waited: Duration::ZERO,
            octets: 0,
            has_looked: false,
        })
    }

    /// These octets of a message passed.
    pub(super) fn pass(&mut self, octets: &[u8]) {
        self.octets += octets.len() as u64;
        if !self.sample.is_complete() && self.born.elapsed() >= SEEN_LEAST {
            self.sample.take(octets);
        }
    }

    /// So long nothing came from the source.
    pub(super) fn waited_for_source(&mut self, time: Duration) {
        self.waited += time;
    }

    /// Whether it has seen enough once to say that nothing should be compressed.
    pub(super) fn has_looked(&self) -> bool {
        self.has_looked
    }

    /// The side whose line should be compressed, once that is known. What was seen is forgotten after each look.
    pub(super) fn look(&mut self) -> Option<Side> {
        let elapsed = self.began.elapsed();
        if elapsed < SEEN_LEAST.max(LOOK_EVERY) || self.octets < OCTETS_LEAST {
            return None;
        }
        let waited = self.waited.as_secs_f64() / elapsed.as_secs_f64();
        let (side, round_trip, waited) =
            if waited >= 0.5 { (Side::Source, self.source, waited) } else { (Side::Target, self.target, 1.0 - waited) };
        let cpu = cpu_time().saturating_sub(self.cpu);
        let pays = round_trip.zip(self.sample.figures().filter(|_| self.sample.is_complete())).is_some_and(
            |(round_trip, (ratio, deflated_per_sec))| {
                let line = Line {
                    octets_per_sec: per_sec(self.octets, elapsed),
                    round_trip,
                    waited,
                    ratio,
                    deflated_per_sec,
                    busy: cpu.as_secs_f64() / elapsed.as_secs_f64() / processors(),
                };
                tracing::debug!(?side, ?line, "looked at whether compression pays");
                compression_pays(&line)
            },
        );
        self.has_looked |= self.sample.is_complete();
        (self.began, self.cpu, self.waited, self.octets) = (Instant::now(), cpu_time(), Duration::ZERO, 0);
        pays.then_some(side)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate is rough")]
fn per_sec(octets: u64, time: Duration) -> f64 {
    octets as f64 / time.as_secs_f64()
}

fn processors() -> f64 {
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Processor time of the whole process: other accounts have work as well.
fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}
