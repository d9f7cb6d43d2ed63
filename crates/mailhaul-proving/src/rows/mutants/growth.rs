//! What an answer costs that grows and grows: memory by the process's peak, work by its thread's own clock at one size and
//! at four times that size.

use super::{LARGE_BYTES, is_quick, session, spoil};
use crate::{Outcome, Scale};
use mailhaul_testing::histories::Dice;
use mailhaul_testing::mutate::{GROWING, Mutation};
use rustix::time::{ClockId, clock_gettime};

/// 16 MiB beyond the window, and twice the answer itself: as the server holds it, and as it is written.
const PEAK_MAX: u64 = (16 << 20) + 2 * LARGE_BYTES as u64;

/// Four times the octets may take so much more work. Linear is 4, and what no longer fits into the processor's memory
/// costs more by the octet; quadratic is 16.
const RATIO_MAX: f64 = 7.0;

/// How often both sizes are measured; the cheapest counts. More often if they are too far apart, since nothing but the
/// work itself is there every time.
const MEASURED: u64 = 2;
const MEASURED_AGAIN: u64 = 6;

/// Below this, what is measured is the session around it.
const NANOS_MIN: u128 = 3_000_000;

pub(super) fn play(scale: Scale) -> Outcome {
    let mut outcome = Outcome::default();
    let (mut peak, mut worst) = (0, 0.0_f64);
    for mutation in GROWING {
        for at in 0..session::ANSWERS {
            if is_quick(scale) && at % 8 != 0 {
                continue;
            }
            let before = held();
            let mut costs = [u128::MAX; 2];
            for (cost, size) in costs.iter_mut().zip([LARGE_BYTES / 4, LARGE_BYTES]) {
                for seed in 0..MEASURED {
                    *cost = (*cost).min(cost_of(mutation, size, at, seed, scale, &mut outcome));
                }
            }
            peak = peak.max(peak_since().saturating_sub(before));
            if ratio_of(costs) > RATIO_MAX {
                for (seed, (cost, size)) in
                    (0..MEASURED_AGAIN).flat_map(|seed| [(seed, (0, LARGE_BYTES / 4)), (seed, (1, LARGE_BYTES))])
                {
                    costs[cost] = costs[cost].min(cost_of(mutation, size, at, seed, scale, &mut outcome));
                }
            }
            let ratio = ratio_of(costs);
            worst = worst.max(ratio);
            if ratio > RATIO_MAX {
                outcome.fail(
                    repeat(scale),
                    format!("{mutation:?} of answer {at}: four times as much took {ratio:.1} times"),
                );
            }
        }
    }
    // Other tests of the same process would be in these figures.
    if !is_quick(scale) {
        outcome.figure(format!("peak {:.1} MiB with the answer, 4 times as much in {worst:.1} times", mib(peak)));
        if peak > PEAK_MAX {
            outcome.fail(repeat(scale), format!("a connection held {:.1} MiB", mib(peak)));
        }
    }
    outcome
}

/// Nanoseconds of work for an answer that is spoilt so.
fn cost_of(mutation: Mutation, size: usize, at: usize, seed: u64, scale: Scale, outcome: &mut Outcome) -> u128 {
    let recording = super::Recording::dovecot();
    let began = own_time();
    if let Err(seen) = spoil(&recording, mutation, size, at, Dice::of(seed)) {
        outcome.fail(repeat(scale), seen);
    }
    own_time() - began
}

/// How much more the larger took.
#[expect(clippy::cast_precision_loss, reason = "a ratio is asked for, roughly")]
fn ratio_of([small, large]: [u128; 2]) -> f64 {
    large as f64 / small.max(NANOS_MIN) as f64
}

/// What grows does not hang on the seed.
fn repeat(scale: Scale) -> String {
    format!("--row 5 --runs 1{}", scale.word())
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn mib(octets: u64) -> f64 {
    octets as f64 / f64::from(1 << 20)
}

/// Nanoseconds that this thread has worked.
fn own_time() -> u128 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u128::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u128::try_from(time.tv_nsec).unwrap_or(0)
}

/// What the process holds now; the peak begins anew from there.
fn held() -> u64 {
    // 5: forget the peak (proc(5), clear_refs). Without it the peak is that of the whole process, which is more.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    status("VmRSS:")
}

fn peak_since() -> u64 {
    status("VmHWM:")
}

fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}
