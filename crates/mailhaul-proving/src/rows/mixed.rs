//! Row 16: everything at once. Two servers of any kind, mail of every kind, and several passes in which the network cuts,
//! the engine dies, mail comes and goes, servers number anew, answers fail, and an old state is put back.

use crate::simulation::{Lenience, expect_good_end, expect_no_lies, mixed, one_case, play_all, say_pace};
use crate::{Ask, Outcome, Row};
use mailhaul_testing::histories::Dice;
use std::time::Instant;

pub(super) const ROW: Row = Row { number: 16, name: "simulation: everything mixed", play };

fn play(ask: &Ask) -> Outcome {
    let began = Instant::now();
    let seeds: Vec<u64> = ask.seeds(40, 5_000, 200_000).collect();
    let mut outcome = play_all(&seeds, |seed| play_one(*seed));
    say_pace(&mut outcome, began);
    outcome
}

fn play_one(seed: u64) -> Outcome {
    let repeat = format!("--row 16 --seed {seed}");
    one_case(&repeat, |outcome| {
        let mut dice = Dice::of(seed);
        let mut world = mixed::World::roll(&mut dice);
        let mut told = Vec::new();
        for _ in 0..1 + dice.below(4) {
            let (order, story) = world.order(&mut dice);
            let ended = world.stage.pass(order);
            told.push(story);
            expect_no_lies(outcome, &repeat, &world.stage, &ended);
            told.extend(world.between(&mut dice));
        }
        let lenience = Lenience { retries: true, agreed: true, doubles_if_named: world.may_double };
        let before = outcome.failures.len();
        expect_good_end(outcome, &repeat, &mut world.stage, lenience);
        if let Some(failure) = outcome.failures.get_mut(before) {
            failure.seen = format!("{}\n{}\n{}", world.kinds, told.join("\n"), failure.seen);
        }
    })
}
