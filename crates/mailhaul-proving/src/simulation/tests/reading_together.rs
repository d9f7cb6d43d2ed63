//! One mailbox that is read over several connections and written over one: whatever becomes of the connections,
//! everything arrives once, and in the order of the source.

use super::super::corpus::{one_mailbox, one_mailbox_with_large};
use super::super::pass::{Ended, Order, Reply};
use super::super::plan::{Cut, How, Way, Weather};
use super::super::stage::Stage;
use super::super::strike::Striking;
use mailhaul_testing::model::{Answer, Traits};
use mailhaul_types::Side;
use std::collections::BTreeSet;

const MESSAGES: u32 = 30;

fn stage_on(target: Traits) -> Stage {
    Stage::new(Traits::default(), target, &one_mailbox(MESSAGES))
}

fn stage() -> Stage {
    stage_on(Traits::default())
}

/// Batches of two messages, read over three connections.
fn order(replies: Vec<Reply>) -> Order {
    let weather = Weather { latency_millis: [20, 5], ..Weather::default() };
    Order { replies, reading: 3, batch_messages: 2, weather, ..Order::default() }
}

fn fetch(nth: u64, answer: &Answer) -> Reply {
    Reply { side: Side::Source, name: "UID FETCH".to_owned(), nth, answer: answer.clone() }
}

/// The octets in both mailboxes, in the order of their UIDs.
fn is_in_order(stage: &Stage) -> bool {
    let octets = |server: &mailhaul_testing::model::ModelServer| -> Vec<Vec<u8>> {
        server.contents()["INBOX"].iter().map(|held| held.octets.to_vec()).collect()
    };
    octets(&stage.source) == octets(&stage.target)
}

/// Over which connections bodies were asked for.
fn readers(ended: &Ended) -> BTreeSet<u64> {
    let bodies =
        ended.commands.iter().filter(|seen| seen.side == Side::Source && seen.arguments.contains("BODY.PEEK[]"));
    bodies.map(|seen| seen.connection).collect()
}

#[test]
fn one_mailbox_is_read_over_several_connections_and_arrives_in_its_order() {
    for target in [Traits::default(), Traits { multiappend: false, ..Traits::default() }, Traits::bare()] {
        let mut stage = stage_on(target);
        let ended = stage.pass(order(Vec::new()));
        assert!(ended.is_complete() && stage.judge().is_equal(), "{}{}", stage.judge(), ended.in_words());
        assert_eq!(readers(&ended).len(), 3, "{:?}", ended.commands);
        assert!(is_in_order(&stage));
        let writers = ended.commands.iter().filter(|seen| seen.side == Side::Target && seen.name == "APPEND");
        assert_eq!(writers.map(|seen| seen.connection).collect::<BTreeSet<u64>>().len(), 1);
        let again = stage.pass(order(Vec::new()));
        assert_eq!((again.is_complete(), again.count(Side::Target, "APPEND")), (true, 0), "{}", again.in_words());
    }
}

#[test]
fn whichever_answer_of_whichever_connection_is_wrong_everything_arrives_once() {
    let answers = [
        Answer::End,
        Answer::DoneThenEnd,
        Answer::Bye,
        Answer::Silence,
        Answer::DoneThenSilence,
        Answer::No("[SERVERBUG] not today".to_owned()),
        Answer::No("[OVERQUOTA] the account is full".to_owned()),
        Answer::Bad("what".to_owned()),
        Answer::WithoutData,
        Answer::OkForAnother,
    ];
    let mut further = 0;
    for answer in answers {
        let is_throttle = answer == Answer::No("[OVERQUOTA] the account is full".to_owned());
        for nth in 1..=20 {
            let mut stage = stage();
            let ended = stage.pass(order(vec![fetch(nth, &answer)]));
            let told = || format!("{nth} {answer:?}: {}{}", stage.judge(), ended.in_words());
            assert!(ended.is_complete() && stage.judge().is_equal(), "{}", told());
            let fetches = ended.commands.iter().filter(|seen| seen.side == Side::Source && seen.name == "UID FETCH");
            let struck: Vec<u64> = fetches.map(|seen| seen.connection).collect();
            let is_further = struck.get(usize::try_from(nth).unwrap_or(1) - 1).is_some_and(|by| *by != struck[0]);
            if is_further {
                further += 1;
                // What one of these does not hand out is asked for again, and keeps its place, unless the server wants a
                // pause first.
                assert!(is_in_order(&stage) || is_throttle, "{}", told());
                assert!(!is_throttle || ended.millis >= 10_000, "it was asked again at once: {}", told());
                let again = ended.commands.iter().filter(|seen| seen.name == "GREETING" && seen.side == Side::Target);
                assert!(again.count() <= 1, "the run's own connections were lost: {}", told());
            }
        }
    }
    assert!(further >= 60, "in {further} of 200 runs a further connection was struck");
}

#[test]
fn the_order_stands_if_a_further_connection_is_lost_before_anything_later_has_come() {
    for (seed, nth) in (0..12).flat_map(|seed| (4..=9).map(move |nth| (seed, nth))) {
        let mut stage = stage();
        let mut order = order(vec![fetch(nth, &Answer::End)]);
        order.weather = Weather { seed, thinks_millis_max: 300, ..order.weather };
        let ended = stage.pass(order);
        let told = || format!("{seed} {nth}: {}{}", stage.judge(), ended.in_words());
        assert!(ended.is_complete() && stage.judge().is_equal() && is_in_order(&stage), "{}", told());
    }
}

#[test]
fn a_further_connection_that_is_not_let_in_or_cannot_open_the_mailbox_is_done_without() {
    let refused = Answer::No("[UNAVAILABLE] too many connections".to_owned());
    let signs_in = stage().pass(order(Vec::new()));
    let signs_in = ["LOGIN", "AUTHENTICATE"].into_iter().find(|name| signs_in.count(Side::Source, name) > 0);
    for name in [signs_in.expect("it signs in"), "EXAMINE"] {
        for answer in [refused.clone(), Answer::End, Answer::Silence, Answer::Bye] {
            let mut stage = stage();
            let later = |nth| Reply { side: Side::Source, name: name.to_owned(), nth, answer: answer.clone() };
            let ended = stage.pass(order((2..=20).map(later).collect()));
            assert!(ended.is_complete() && stage.judge().is_equal(), "{name} {answer:?}: {}", ended.in_words());
            assert!(is_in_order(&stage));
            let told = || format!("{name} {answer:?}: {:?}", ended.commands);
            assert_eq!(readers(&ended).len(), 1, "{}", told());
            let tried = ended.commands.iter().filter(|seen| seen.side == Side::Source && seen.name == name);
            let tried: BTreeSet<u64> = tried.map(|seen| seen.connection).collect();
            assert!(tried.len() >= 2, "no further one was tried: {}", told());
        }
    }
}

/// A mailbox that a slow source hands out over one connection in half a minute, and more of it than is asked for at once.
fn slow_stage() -> Stage {
    Stage::new(Traits::default(), Traits::default(), &one_mailbox(1_300))
}

/// One connection begins, and others may join.
fn slow_order(cuts: Vec<Cut>) -> Order {
    let weather =
        Weather { latency_millis: [2, 2], pieces_max: 1_400, source_octets_per_sec: 8_000, cuts, ..Weather::default() };
    Order { connections: 3, batch_messages: 25, weather, ..Order::default() }
}

#[test]
fn connections_that_join_in_the_middle_take_over_what_was_not_asked_for_yet() {
    let mut stage = slow_stage();
    let ended = stage.pass(slow_order(Vec::new()));
    assert!(ended.is_complete() && stage.judge().is_equal(), "{}{}", stage.judge(), ended.in_words());
    assert!(is_in_order(&stage));
    assert!(readers(&ended).len() >= 2, "{:?}", ended.commands);
    let bodies = ended.commands.iter().filter(|seen| seen.arguments.contains("BODY.PEEK[]"));
    let bodies: Vec<(u64, u64)> = bodies.map(|seen| (seen.connection, seen.at_millis)).collect();
    let began_alone = bodies.iter().all(|(by, at)| *by == bodies[0].0 || *at >= bodies[0].1 + 1_000);
    assert!(began_alone, "others were there from the beginning: {bodies:?}");
}

#[test]
fn whichever_connection_is_lost_after_others_have_joined_everything_arrives_once_and_in_order() {
    let mut joined = 0;
    for (step, how) in (0..6).flat_map(|step| [(step, How::Fin), (step, How::Rst)]) {
        let mut stage = slow_stage();
        let at = 90_000 + step * 40_000;
        let ended = stage.pass(slow_order(vec![Cut { side: Side::Source, way: Way::ToClient, at, how }]));
        let told = || format!("{at} {how:?}: {}{}", stage.judge(), ended.in_words());
        assert!(ended.is_complete() && stage.judge().is_equal() && is_in_order(&stage), "{}", told());
        joined += usize::from(readers(&ended).len() >= 2);
    }
    assert!(joined >= 6, "others joined in {joined} of 12 runs");
}

#[test]
fn large_messages_stream_over_several_connections_and_survive_the_loss_of_any_of_them() {
    const OCTETS: usize = 1_300_000;
    for (at, how) in (0..=13).flat_map(|step| [(step, How::Fin), (step, How::Rst)]) {
        let mut stage = Stage::new(Traits::default(), Traits::default(), &one_mailbox_with_large(12, OCTETS));
        let mut order = order(Vec::new());
        let at = 300_000 + at * 400_000;
        order.weather.cuts.push(Cut { side: Side::Source, way: Way::ToClient, at, how });
        let ended = stage.pass(order);
        let told = || format!("{at} {how:?}: {}{}", stage.judge(), ended.in_words());
        assert!(ended.is_complete() && stage.judge().is_equal() && is_in_order(&stage), "{}", told());
        assert!(readers(&ended).len() >= 3, "{}", told());
    }
}

#[test]
fn a_run_that_dies_while_several_connections_read_is_gone_on_with() {
    for point in 1..=60 {
        let mut stage = stage();
        stage.pass(Order { strikings: vec![Striking::anywhere(point, false)], ..order(Vec::new()) });
        let last = stage.pass(order(Vec::new()));
        assert!(last.is_complete() && stage.judge().is_equal(), "{point}: {}{}", stage.judge(), last.in_words());
        assert!(is_in_order(&stage), "{point}");
    }
}

#[test]
fn messages_that_are_expunged_meanwhile_are_gone_and_nothing_else_is() {
    for nth in 3..=18 {
        let mut stage = stage();
        let trigger = super::super::pass::Trigger {
            side: Side::Source,
            name: "UID FETCH",
            containing: "BODY.PEEK[]".to_owned(),
            what: Box::new(move |source, _, ever| {
                let uid = source.contents()["INBOX"].get(nth).map(|held| held.uid);
                super::super::stage::expunge(source, ever, "INBOX", &uid.into_iter().collect::<Vec<u32>>());
            }),
        };
        let ended = stage.pass(Order { triggers: vec![trigger], ..order(Vec::new()) });
        let last = stage.clean_pass();
        let gone = ended.report.as_ref().map(|report| report.totals().gone);
        assert!(gone == Some(1) && last.is_complete(), "{nth}: {}{}", ended.in_words(), last.in_words());
        assert!(stage.judge().is_equal(), "{nth}: {}", stage.judge());
    }
}
