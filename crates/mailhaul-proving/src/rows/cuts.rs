//! Row 3: every octet of a session is the last one that arrives.

use crate::simulation::{
    Cut, How, Lenience, Order, Script, Way, Weather, expect_good_end, expect_no_lies, one_case, play_all, sample,
    say_pace,
};
use crate::{Ask, Outcome, Row};
use mailhaul_types::Side;
use std::time::Instant;

pub(super) const ROW: Row = Row { number: 3, name: "cut at an octet of a session", play };

/// A session and where it is cut.
struct Case {
    number: usize,
    script: Script,
    cut: Cut,
}

fn play(ask: &Ask) -> Outcome {
    let began = Instant::now();
    let cases = cases();
    let wanted = ask.runs(60, cases.len() as u64 / 16, cases.len() as u64);
    let chosen: Vec<&Case> = sample(cases.len(), wanted, ask.seed).into_iter().map(|place| &cases[place]).collect();
    let mut outcome = play_all(&chosen, |case| play_one(case));
    outcome.figure(format!("of {} cuts", cases.len()));
    say_pace(&mut outcome, began);
    outcome
}

/// Every octet of every session, each way, in every manner.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for script in Script::ALL {
        let passed = script.undisturbed().passed;
        for (side, passed) in [Side::Source, Side::Target].into_iter().zip(passed) {
            for (way, octets) in [Way::ToServer, Way::ToClient].into_iter().zip(passed) {
                for at in 0..octets {
                    for how in How::ALL {
                        cases.push(Case { number: cases.len(), script, cut: Cut { side, way, at, how } });
                    }
                }
            }
        }
    }
    cases
}

fn play_one(case: &Case) -> Outcome {
    let repeat = format!("--row 3 --seed {} ({:?}, {:?})", case.number + 1, case.script, case.cut);
    one_case(&repeat, |outcome| {
        let mut stage = case.script.stage();
        let weather = Weather { cuts: vec![case.cut.clone()], ..Weather::default() };
        let cut = stage.pass(Order { weather, ..Order::default() });
        expect_no_lies(outcome, &repeat, &stage, &cut);
        expect_good_end(outcome, &repeat, &mut stage, Lenience::default());
    })
}
