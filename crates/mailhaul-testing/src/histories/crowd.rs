//! Many histories at once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::operation::{History, Kinds};
use super::play::{Copier, Failure, play};
use super::servers::Servers;
use super::shrink::shrink;

/// Plays that shortening one failure may take.
const SHRINKING_PLAYS: usize = 60;

/// After so many failures, enough is known.
const FAILURES_MAX: usize = 5;

/// Who plays which histories.
#[derive(Clone, Copy)]
pub struct Crowd<'a> {
    /// The first seed, and the one after the last.
    pub seeds: (u64, u64),
    /// Which kinds of steps there are.
    pub kinds: Kinds,
    /// How many play at once.
    pub players: usize,
    /// How many failures are enough.
    pub failures_max: usize,
    /// Is told of each failure at once.
    pub tell: &'a (dyn Fn(&str) + Sync),
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Summary {
    /// Histories that were played.
    pub played: u64,
    /// Undisturbed passes in them.
    pub passes: u64,
    /// Seeds of histories in which too much was possible to be followed to the end.
    pub undecided: Vec<u64>,
    /// By seed: the shortest history that fails, and how.
    pub failures: BTreeMap<u64, (History, Box<Failure>)>,
}

impl Crowd<'_> {
    /// These histories, with everything in them.
    #[must_use]
    pub fn of(seeds: Range<u64>, players: usize) -> Crowd<'static> {
        let seeds = (seeds.start, seeds.end);
        Crowd { seeds, kinds: Kinds::ALL, players, failures_max: FAILURES_MAX, tell: &|_| () }
    }

    /// Plays them all; each player has a copier of his own.
    pub fn play(&self, servers: &Servers, copier: &(dyn Fn() -> Box<dyn Copier> + Sync)) -> Summary {
        let next = AtomicU64::new(self.seeds.0);
        let summary = Mutex::new(Summary::default());
        std::thread::scope(|scope| {
            for _ in 0..self.players {
                scope.spawn(|| {
                    let mut copier = copier();
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= self.seeds.1 || lock(&summary).failures.len() >= self.failures_max {
                            return;
                        }
                        self.play_one(seed, servers, copier.as_mut(), &summary);
                    }
                });
            }
        });
        summary.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn play_one(&self, seed: u64, servers: &Servers, copier: &mut dyn Copier, summary: &Mutex<Summary>) {
        let history = History::of(seed, self.kinds);
        let result = play(&history, servers, copier);
        lock(summary).played += 1;
        match result {
            Ok(played) => {
                let mut summary = lock(summary);
                summary.passes += u64::from(played.passes);
                if played.undecided {
                    summary.undecided.push(seed);
                }
            }
            Err(failure) => {
                let mut fails = |history: &History| play(history, servers, copier).err();
                let shortest = shrink(&history, failure, SHRINKING_PLAYS, &mut fails);
                (self.tell)(&describe(seed, &shortest.0, &shortest.1));
                lock(summary).failures.insert(seed, shortest);
            }
        }
    }
}

fn lock(summary: &Mutex<Summary>) -> MutexGuard<'_, Summary> {
    summary.lock().unwrap_or_else(PoisonError::into_inner)
}

fn describe(seed: u64, history: &History, failure: &Failure) -> String {
    let steps: String = history.steps.iter().map(|step| format!("    {step:?}\n")).collect();
    format!(
        "history {seed} fails (HISTORY_SEED={seed} plays it again); at its shortest:\n{steps}  what happens:\n{failure}\n"
    )
}

impl std::fmt::Display for Summary {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (seed, (history, failure)) in &self.failures {
            writeln!(formatter, "{}", describe(*seed, history, failure))?;
        }
        let Summary { played, passes, undecided, failures } = self;
        write!(formatter, "{played} histories, {passes} passes, {} failures", failures.len())?;
        if !undecided.is_empty() {
            write!(formatter, ", {} not followed to the end: {undecided:?}", undecided.len())?;
        }
        Ok(())
    }
}
