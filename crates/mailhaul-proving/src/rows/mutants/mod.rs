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

const WORKERS: u64 = 2;

fn play(ask: &Ask) -> Outcome {
    let mut outcome = growth::play(ask.scale);
    let seeds = ask.seeds(400, 20_000, 1_000_000);
    let (tell, told) = channel();
    for worker in 0..WORKERS {
        let (mine, tell) = (seeds.clone().filter(move |seed| seed % WORKERS == worker), tell.clone());
        thread::spawn(move || work(mine, &tell));
    }
    drop(tell);
    loop {
        match told.recv_timeout(PATIENCE) {
            Ok(Told::Done) => outcome.runs += 1,
            Ok(Told::Failed(seed, seen)) => {
                outcome.runs += 1;
                outcome.fail(format!("--row 5 --seed {seed}"), seen);
            }
            Err(RecvTimeoutError::Disconnected) => return outcome,
            Err(RecvTimeoutError::Timeout) => {
                outcome.fail("--row 5", format!("after {} mutants one works without end", outcome.runs));
                return outcome;
            }
        }
    }
}

enum Told {
    Done,
    Failed(u64, String),
}

fn work(seeds: impl Iterator<Item = u64>, tell: &Sender<Told>) {
    let recording = Recording::dovecot();
    for seed in seeds {
        let told = match one(&recording, seed) {
            Ok(()) => Told::Done,
            Err(seen) => Told::Failed(seed, seen),
        };
        if tell.send(told).is_err() {
            return;
        }
    }
}

fn one(recording: &Recording, seed: u64) -> Result<(), String> {
    let mut dice = Dice::of(seed);
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
