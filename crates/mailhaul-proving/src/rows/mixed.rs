//! Row 16: everything at once. Two servers of any kind, mail of every kind, and several passes in which the network cuts,
//! the engine dies, mail comes and goes, servers number anew, answers fail, and an old state is put back.

use crate::simulation::{
    Ended, Lenience, Named, Received, expect_good_end, expect_kept_word, expect_no_lies, mixed, one_case, play_all,
    possible_duplicates, say_pace,
};
use crate::{Ask, Outcome, Row};
use mailhaul_testing::histories::Dice;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

pub(super) const ROW: Row = Row { number: 16, name: "simulation: everything mixed", play };

/// One seed in so many is played a second time, to see whether it repeats.
const REPEATED_EVERY: u64 = 25;

fn play(ask: &Ask) -> Outcome {
    let began = Instant::now();
    let seeds: Vec<u64> = ask.seeds(40, 5_000, 200_000).collect();
    let (alike, repeated) = (AtomicU64::new(0), AtomicU64::new(0));
    let mut outcome = play_all(&seeds, |seed| {
        let (mut outcome, trace) = play_one(*seed);
        if seed % REPEATED_EVERY == 0 {
            repeated.fetch_add(1, Ordering::Relaxed);
            let is_alike = play_one(*seed).1 == trace;
            alike.fetch_add(u64::from(is_alike), Ordering::Relaxed);
            if !is_alike {
                outcome.fail(format!("--row 16 --seed {seed}"), "played a second time, it goes otherwise");
            }
        }
        outcome
    });
    outcome.figure(format!("{} of {} repeat alike", alike.into_inner(), repeated.into_inner()));
    say_pace(&mut outcome, began);
    outcome
}

/// What both servers received in each pass, and how long it took in simulated time.
type Trace = Vec<(Vec<Received>, u64)>;

fn play_one(seed: u64) -> (Outcome, Trace) {
    let repeat = format!("--row 16 --seed {seed}");
    let mut trace = Trace::new();
    let outcome = one_case(&repeat, |outcome| {
        let mut dice = Dice::of(seed);
        let mut world = mixed::World::roll(&mut dice);
        let (mut told, mut named) = (Vec::new(), Named::new());
        for _ in 0..1 + dice.below(4) {
            let (order, story) = world.order(&mut dice);
            let ended = world.stage.pass(order);
            told.push(format!("{story}: {}", in_short(&ended)));
            named.extend(possible_duplicates(&ended));
            expect_no_lies(outcome, &repeat, &world.stage, &ended);
            expect_kept_word(outcome, &repeat, &world.stage, &ended, world.may_double.then_some(&named));
            trace.push((ended.commands, ended.millis));
            told.extend(world.between(&mut dice));
        }
        world.relent();
        let named = world.may_double.then_some(named);
        let lenience = Lenience { named, ..world.lenience() };
        expect_good_end(outcome, &repeat, &mut world.stage, &lenience);
        if let Some(failure) = outcome.failures.first_mut() {
            failure.seen = format!("{}\n{}\n{}", world.kinds, told.join("\n"), failure.seen);
        }
    });
    (outcome, trace)
}

fn in_short(ended: &Ended) -> String {
    ended.report.as_ref().map_or_else(|| ended.trouble.clone(), |report| report.last_line())
}
