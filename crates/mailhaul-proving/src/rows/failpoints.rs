//! Row 2: every failpoint is struck, and once more something fails while the run recovers from it.

use crate::simulation::{
    Lenience, Order, Script, Striking, expect_good_end, expect_no_lies, one_case, play_all, sample, say_pace,
};
use crate::{Ask, Outcome, Row};
use mailhaul_testing::histories::Dice;
use std::collections::BTreeSet;
use std::time::Instant;

pub(super) const ROW: Row = Row { number: 2, name: "every failpoint, and one more", play };

/// Among so many failpoints that a recovery reaches lies the one that fails again.
const RECOVERY_REACHES: usize = 60;

struct Case {
    number: usize,
    script: Script,
    striking: Striking,
}

fn play(ask: &Ask) -> Outcome {
    let began = Instant::now();
    let (cases, places) = cases();
    let wanted = ask.runs(60, cases.len() as u64, cases.len() as u64);
    let chosen: Vec<&Case> = sample(cases.len(), wanted, ask.seed).into_iter().map(|place| &cases[place]).collect();
    let mut outcome = play_all(&chosen, |case| play_one(case));
    outcome.figure(format!("of {} strikes at {places} places", cases.len()));
    say_pace(&mut outcome, began);
    outcome
}

/// Each place at hits 1, 2, 3 and the last, as a death and as an error; and how many places there are.
fn cases() -> (Vec<Case>, usize) {
    let (mut cases, mut names) = (Vec::new(), BTreeSet::new());
    for script in Script::ALL {
        for place in script.undisturbed().reached {
            let hits: BTreeSet<u64> = [1, 2, 3, place.hits].into_iter().filter(|hit| *hit <= place.hits).collect();
            for hit in hits {
                for kills in [true, false] {
                    let striking = Striking { name: place.name.clone(), hit, kills };
                    cases.push(Case { number: cases.len(), script, striking });
                }
            }
            names.insert(place.name);
        }
    }
    (cases, names.len())
}

fn play_one(case: &Case) -> Outcome {
    let repeat = format!("--row 2 --seed {} ({:?}, {:?})", case.number + 1, case.script, case.striking);
    one_case(&repeat, |outcome| {
        let mut dice = Dice::of(case.number as u64);
        let mut stage = case.script.stage();
        let order = case.script.order(&stage);
        let struck = stage.pass(Order { strikings: vec![case.striking.clone()], ..order });
        expect_no_lies(outcome, &repeat, &stage, &struck);
        let again = Striking::anywhere(1 + dice.below(RECOVERY_REACHES) as u64, dice.once_in(2));
        let mirrors = case.script.mirrors();
        let recovered = stage.pass(Order { strikings: vec![again], mirrors, ..Order::default() });
        expect_no_lies(outcome, &repeat, &stage, &recovered);
        case.script.relent(&stage);
        let retries = case.script.retries();
        expect_good_end(outcome, &repeat, &mut stage, &Lenience { retries, mirrors, ..Lenience::default() });
    })
}
