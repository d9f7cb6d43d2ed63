//! Row 17: random histories of both sides, judged by a model after each pass.
//!
//! What users and servers do between passes, in any order, under rolled policies and extensions, with kills and cuts; the
//! model ([`mailhaul_testing::histories`]) says what the target must look like then. Every tenth history is played with the
//! built command, the others with the walkers in this process.

use crate::histories::{Command, Library};
use crate::{Ask, Outcome, Row};
use mailhaul_testing::histories::{Copier, Crowd, Servers, Summary};
use std::ops::Range;

pub(super) const ROW: Row = Row { number: 17, name: "random histories of both sides", play };

/// Histories at once: most of the time goes in waits after disturbances.
const PLAYERS: usize = 12;
/// Failures that are shortened and shown; more than that say nothing new.
const FAILURES_MAX: usize = 10;

fn play(ask: &Ask) -> Outcome {
    let seeds = ask.seeds(20, 400, 10_000);
    let servers = Servers::default();
    let commands =
        if seeds.end - seeds.start == 1 { seeds.start } else { seeds.start + (seeds.end - seeds.start) / 10 };
    let mut outcome = Outcome::default();
    let mut passes = 0;
    for (part, copier) in
        [(seeds.start..commands, &command as &(dyn Fn() -> Box<dyn Copier> + Sync)), (commands..seeds.end, &library)]
    {
        passes += one_part(part, &servers, copier, &mut outcome);
    }
    outcome.figure(format!("{passes} passes"));
    outcome
}

fn command() -> Box<dyn Copier> {
    Box::new(Command)
}

fn library() -> Box<dyn Copier> {
    Box::new(Library::new())
}

/// Plays histories, and says how many undisturbed passes were in them.
fn one_part(
    seeds: Range<u64>,
    servers: &Servers,
    copier: &(dyn Fn() -> Box<dyn Copier> + Sync),
    outcome: &mut Outcome,
) -> u64 {
    if seeds.is_empty() {
        return 0;
    }
    let crowd = Crowd { failures_max: FAILURES_MAX, ..Crowd::of(seeds, PLAYERS) };
    let Summary { played, passes, undecided, failures } = crowd.play(servers, copier);
    outcome.runs += played;
    for (seed, (history, failure)) in failures {
        let steps: String = history.steps.iter().map(|step| format!("    {step:?}\n")).collect();
        outcome.fail(format!("--row 17 --seed {seed}"), format!("at its shortest:\n{steps}what happens:\n{failure}"));
    }
    // What is not followed to its end proves nothing.
    if undecided.len() as u64 * 50 > played.max(50) {
        outcome.fail("--row 17", format!("too much was possible in {undecided:?} to be followed to the end"));
    }
    passes
}
