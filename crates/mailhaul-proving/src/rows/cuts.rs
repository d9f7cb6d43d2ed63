//! Row 3: every octet of a session is the last one that arrives.

use crate::simulation::{
    Cut, How, Lenience, Order, Script, Way, Weather, expect_good_end, expect_no_lies, one_case, play_all, sample,
    say_pace, stretches,
};
use crate::{Ask, Outcome, Row, Scale};
use mailhaul_types::Side;
use std::ops::Range;
use std::time::Instant;

pub(super) const ROW: Row = Row { number: 3, name: "cut at an octet of a session", play };

/// A session and where it is cut.
struct Case {
    number: usize,
    script: Script,
    cut: Cut,
}

/// Of the cuts of these sessions one in sixteen is played when not all are; of the others, one in so many.
const CLOSELY: [Script; 3] = [Script::FirstCopy, Script::FirstCopyBare, Script::Resync];
const ONE_IN: usize = 16;
const ONE_IN_OF_OTHERS: usize = 256;

fn play(ask: &Ask) -> Outcome {
    let began = Instant::now();
    let (cases, kinds) = cases();
    let chosen: Vec<&Case> = choose(ask, cases.len(), &kinds).into_iter().map(|place| &cases[place]).collect();
    let mut outcome = play_all(&chosen, |case| play_one(case));
    outcome.figure(format!("of {} cuts", cases.len()));
    say_pace(&mut outcome, began);
    outcome
}

/// Cuts of one session, on one side, in one way and one manner.
struct Kind {
    script: Script,
    places: Range<usize>,
}

/// Every octet of every session, each way, in every manner; and what is of one kind.
fn cases() -> (Vec<Case>, Vec<Kind>) {
    let (mut cases, mut kinds) = (Vec::new(), Vec::new());
    for script in Script::ALL {
        let passed = script.undisturbed().passed;
        for (side, passed) in [Side::Source, Side::Target].into_iter().zip(passed) {
            for (way, octets) in [Way::ToServer, Way::ToClient].into_iter().zip(passed) {
                for how in How::ALL {
                    let first = cases.len();
                    let case = |at| Case { number: first, script, cut: Cut { side, way, at, how } };
                    cases.extend((0..octets).map(case));
                    kinds.push(Kind { script, places: first..cases.len() });
                }
            }
        }
    }
    cases.iter_mut().enumerate().for_each(|(number, case)| case.number = number);
    (cases, kinds)
}

/// Which cases are played: so many of all as somebody has asked for, or of each kind its share.
fn choose(ask: &Ask, total: usize, kinds: &[Kind]) -> Vec<usize> {
    if ask.runs.is_some() || ask.scale == Scale::Quick {
        return sample(total, ask.runs(60, 0, 0), ask.seed);
    }
    if ask.scale == Scale::Long {
        return (0..total).collect();
    }
    let share = |kind: &Kind| {
        let one_in = if CLOSELY.contains(&kind.script) { ONE_IN } else { ONE_IN_OF_OTHERS };
        let seed = ask.seed + kind.places.start as u64;
        let chosen = stretches(kind.places.len(), kind.places.len().div_ceil(one_in), seed);
        chosen.into_iter().map(|place| kind.places.start + place).collect::<Vec<_>>()
    };
    kinds.iter().flat_map(share).collect()
}

fn play_one(case: &Case) -> Outcome {
    let repeat = format!("--row 3 --seed {} ({:?}, {:?})", case.number + 1, case.script, case.cut);
    one_case(&repeat, |outcome| {
        let mut stage = case.script.stage();
        let weather = Weather { cuts: vec![case.cut.clone()], ..Weather::default() };
        let order = case.script.order(&stage);
        let cut = stage.pass(Order { weather, ..order });
        expect_no_lies(outcome, &repeat, &stage, &cut);
        case.script.relent(&stage);
        let (retries, mirrors) = (case.script.retries(), case.script.mirrors());
        expect_good_end(outcome, &repeat, &mut stage, &Lenience { retries, mirrors, ..Lenience::default() });
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_sixteenth_meets_every_kind_of_cut_in_every_session() {
        let (cases, kinds) = cases();
        for seed in [1, 2, 4_711] {
            let chosen = choose(&Ask { seed, ..Ask::of(Scale::Prove) }, cases.len(), &kinds);
            let met = |case: &Case| (case.script, case.cut.side, case.cut.way, format!("{:?}", case.cut.how));
            let met: BTreeSet<_> = chosen.iter().map(|place| met(&cases[*place])).collect();
            assert_eq!(met.len(), Script::ALL.len() * 2 * 2 * How::ALL.len());
            let closely = cases.iter().filter(|case| CLOSELY.contains(&case.script)).count();
            let chosen = chosen.iter().filter(|place| CLOSELY.contains(&cases[**place].script)).count();
            assert!(chosen >= closely / ONE_IN, "{chosen} of {closely}");
        }
    }

    #[test]
    fn a_case_is_named_by_its_place() {
        let (cases, kinds) = cases();
        assert!(cases.iter().enumerate().all(|(place, case)| case.number == place));
        let ask = Ask { runs: Some(1), seed: 4_711, ..Ask::of(Scale::Prove) };
        assert_eq!(choose(&ask, cases.len(), &kinds), [4_710]);
    }
}
