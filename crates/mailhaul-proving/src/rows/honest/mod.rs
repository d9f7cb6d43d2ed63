//! Row 14: `mailhaul verify` names exactly what is wrong with a copy, and nothing else, among so many messages that
//! nobody would find it by looking.
//!
//! In each run one message is taken away from the target, one altered and one doubled; verify is then asked at each of
//! its levels, and what it names is held against what that level can know ([`plant::Plant::named_at`]). Before anything
//! is planted it must find nothing.

mod plant;
mod stage;
mod verdict;

use crate::{Ask, Outcome, Row, Scale};
use mailhaul_testing::histories::Dice;
use plant::Plant;
use stage::Stage;
use verdict::{Expected, Level, verify};

pub(super) const ROW: Row = Row { number: 14, name: "verify names exactly what is wrong", play };

fn play(ask: &Ask) -> Outcome {
    let mut outcome = Outcome::default();
    let messages = if ask.scale == Scale::Quick { 2_000 } else { 100_000 };
    let mut stage = Stage::with(messages);
    for level in Level::ALL {
        if let Err(seen) = verify(&stage, level, &[]) {
            outcome.fail(format!("--row 14{}", ask.scale.word()), format!("nothing was planted, {level:?}: {seen}"));
        }
    }
    for seed in ask.seeds(2, 2, 100) {
        let plants = Plant::three(&mut Dice::of(seed), &mut stage);
        for level in Level::ALL {
            let expected: Vec<Expected> = plants.iter().flat_map(|plant| plant.named_at(level)).collect();
            let expected = if level == Level::Counts { verdict::balance(&plants) } else { expected };
            if let Err(seen) = verify(&stage, level, &expected) {
                outcome.fail(
                    format!("--row 14 --seed {seed}{}", ask.scale.word()),
                    format!("{plants:#?}, {level:?}: {seen}"),
                );
            }
        }
        for plant in plants {
            plant.undo(&mut stage);
        }
        outcome.runs += 1;
    }
    outcome.figure(format!("{messages} messages"));
    outcome
}
