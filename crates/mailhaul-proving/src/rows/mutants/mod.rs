//! Row 5: servers that say what no server should. One answer of a whole session, recorded from a real server, is spoilt;
//! everything that mailhaul can ask is then asked over it.
//!
//! Nothing may panic, and nothing may wait for ever: time is simulated, so a wait without a limit is seen at once. What a
//! connection holds in memory is bounded, and the work grows with the octets and no faster.

mod growth;
mod server;
mod session;

use crate::{Ask, Outcome, Row, Scale};
use mailhaul_testing::histories::Dice;
use mailhaul_testing::mutate::{self, Mutation};
use server::Recording;
use std::collections::BTreeSet;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

pub(super) const ROW: Row = Row { number: 5, name: "mutated answers", play };

/// Octets that a mutation which grows may add, and how often.
const LARGE_BYTES: usize = 4 << 20;
const SMALL_BYTES: usize = 4 << 10;
const LARGE_ONCE_IN: usize = 200;

/// A mutant that has not come to its end by then works without end: the slowest takes some hundred milliseconds.
const PATIENCE: Duration = Duration::from_secs(300);

fn play(ask: &Ask) -> Outcome {
    let mut outcome = growth::play(ask.scale);
    let seeds = ask.seeds(400, 20_000, 1_000_000);
    let mut untold: BTreeSet<u64> = seeds.clone().collect();
    let workers = thread::available_parallelism().map_or(2, NonZero::get);
    let (tell, told) = channel();
    for worker in 0..workers {
        let mine = seeds.clone().skip(worker).step_by(workers);
        let tell = tell.clone();
        thread::spawn(move || work(mine, &tell));
    }
    drop(tell);
    loop {
        match told.recv_timeout(PATIENCE) {
            Ok((seed, seen)) => {
                untold.remove(&seed);
                outcome.runs += 1;
                if let Err(seen) = seen {
                    outcome.fail(format!("--row 5 --seed {seed}"), seen);
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let repeat = format!("--row 5 --seed {} --runs {}", seeds.start, seeds.end - seeds.start);
                outcome.fail(repeat, format!("after {} mutants one works without end", outcome.runs));
                break;
            }
        }
    }
    look_for_the_lost(&untold, &mut outcome);
    outcome
}

/// A worker that is lost takes its mutants with it: each must have been told.
fn look_for_the_lost(untold: &BTreeSet<u64>, outcome: &mut Outcome) {
    if let Some(seed) = untold.first() {
        let number = untold.len();
        outcome.fail(format!("--row 5 --seed {seed}"), format!("{number} mutants came to no end, this one first"));
    }
}

/// A seed, and what was wrong with it.
type Told = (u64, Result<(), String>);

fn work(seeds: impl Iterator<Item = u64>, tell: &Sender<Told>) {
    let recordings = Recording::all();
    for seed in seeds {
        if tell.send((seed, one(&recordings, seed))).is_err() {
            return;
        }
    }
}

fn one(recordings: &[Recording], seed: u64) -> Result<(), String> {
    let mut dice = Dice::of(seed);
    let recording = &recordings[dice.below(recordings.len())];
    let mutation = dice.one_of(&mutate::ALL);
    let size = if dice.once_in(LARGE_ONCE_IN) { LARGE_BYTES } else { 1 + dice.below(SMALL_BYTES) };
    let at = dice.below(session::ANSWERS);
    spoil(recording, mutation, size, at, dice)
}

/// Plays a session whose answer number `at` is spoilt.
fn spoil(recording: &Recording, mutation: Mutation, size: usize, at: usize, dice: Dice) -> Result<(), String> {
    let server = recording.spoilt(at, mutation, size, dice);
    match catch_unwind(AssertUnwindSafe(|| session::play(server))) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("{mutation:?} of answer {at}: something waits for ever")),
        Err(panic) => {
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned()));
            Err(format!("{mutation:?} of answer {at}: panic: {}", words.unwrap_or_default()))
        }
    }
}

/// How much is asked, for the figures.
fn is_quick(scale: Scale) -> bool {
    scale == Scale::Quick
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_that_was_never_told_is_a_failure() {
        let mut outcome = Outcome { runs: 3, ..Outcome::default() };
        look_for_the_lost(&BTreeSet::new(), &mut outcome);
        assert!(outcome.holds());
        look_for_the_lost(&BTreeSet::from([7, 9]), &mut outcome);
        assert_eq!(outcome.failures[0].repeat, "--row 5 --seed 7");
    }

    #[test]
    fn a_session_that_is_not_spoilt_asks_for_as_much_as_is_spoilt() {
        for recording in Recording::all() {
            let server = recording.spoilt(usize::MAX, mutate::ALL[0], 1, Dice::of(1));
            assert!(session::play(std::sync::Arc::clone(&server)));
            assert!((session::ANSWERS - 4..=session::ANSWERS).contains(&server.said()), "{}", server.said());
        }
    }
}
