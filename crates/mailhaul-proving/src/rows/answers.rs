//! Row 4: every command is answered otherwise than it should be.

use crate::simulation::{
    Lenience, MALFORMED, Order, READS, Reply, Script, expect_good_end, expect_no_lies, one_case, play_all, sample,
    say_pace, sets_aside,
};
use crate::{Ask, Outcome, Row};
use mailhaul_testing::model::Answer;
use mailhaul_types::Side;
use std::collections::BTreeMap;
use std::time::Instant;

pub(super) const ROW: Row = Row { number: 4, name: "every command answered wrongly", play };

/// What is said when a connection begins and ends. The first of each is answered wrongly in the two first copies only: it
/// is the same in every session.
const INTRODUCTION: [&str; 8] =
    ["GREETING", "CAPABILITY", "AUTHENTICATE", "LOGIN", "ID", "ENABLE", "NAMESPACE", "LOGOUT"];

/// What [`READS`] stands for.
const READ_BY: [&str; 2] = ["UID FETCH", "UID SEARCH"];

struct Case {
    number: usize,
    script: Script,
    reply: Reply,
}

fn play(ask: &Ask) -> Outcome {
    let began = Instant::now();
    let cases = cases();
    let wanted = ask.runs(60, cases.len() as u64, cases.len() as u64);
    let chosen: Vec<&Case> = sample(cases.len(), wanted, ask.seed).into_iter().map(|place| &cases[place]).collect();
    let mut outcome = play_all(&chosen, |case| play_one(case));
    outcome.figure(format!("of {} answers", cases.len()));
    say_pace(&mut outcome, began);
    outcome
}

fn cases() -> Vec<Case> {
    let words = || "not today".to_owned();
    let answers = [
        Answer::No(words()),
        Answer::Bad(words()),
        Answer::Bye,
        Answer::End,
        Answer::Silence,
        Answer::OkForAnother,
        Answer::WithoutData,
        Answer::Malformed(MALFORMED.to_vec()),
        Answer::DoneThenEnd,
        Answer::DoneThenSilence,
    ];
    let mut cases = Vec::new();
    for script in Script::ALL {
        let mut counts: BTreeMap<(Side, String), u64> = BTreeMap::new();
        for (side, name) in script.undisturbed().named_commands() {
            let nth = counts.entry((side, name.clone())).or_default();
            *nth += 1;
            if *nth == 1 && INTRODUCTION.contains(&name.as_str()) && !script.is_first_copy() {
                continue;
            }
            for answer in &answers {
                let reply = Reply { side, name: name.clone(), nth: *nth, answer: answer.clone() };
                cases.push(Case { number: cases.len(), script, reply });
            }
        }
        // What one command does not say the other does; so from some moment on both are refused.
        let reads = |side| counts.iter().filter(move |((of, name), _)| *of == side && READ_BY.contains(&name.as_str()));
        for side in [Side::Source, Side::Target] {
            for nth in 1..=reads(side).map(|(_, count)| count).sum() {
                for answer in &answers[..2] {
                    let reply = Reply { side, name: READS.to_owned(), nth, answer: answer.clone() };
                    cases.push(Case { number: cases.len(), script, reply });
                }
            }
        }
    }
    cases
}

fn play_one(case: &Case) -> Outcome {
    let Reply { side, name, nth, answer } = &case.reply;
    let kind = match answer {
        Answer::Malformed(_) => "Malformed".to_owned(),
        other => format!("{other:?}"),
    };
    let repeat = format!("--row 4 --seed {} ({:?}, {side} {name} {nth}: {kind})", case.number + 1, case.script);
    one_case(&repeat, |outcome| {
        let mut stage = case.script.stage();
        let order = case.script.order(&stage);
        if *side == Side::Target && matches!(name.as_str(), "CREATE" | "RENAME") {
            // A mailbox may have to be called otherwise now.
            stage.any_names();
        }
        let answered = stage.pass(Order { replies: vec![case.reply.clone()], ..order });
        expect_no_lies(outcome, &repeat, &stage, &answered);
        case.script.relent(&stage);
        let (retries, mirrors) = (sets_aside(&answered) || case.script.retries(), case.script.mirrors());
        expect_good_end(outcome, &repeat, &mut stage, &Lenience { retries, mirrors, ..Lenience::default() });
    })
}
