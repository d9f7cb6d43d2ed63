//! The simulation itself: that it plays the whole engine, and the same way each time.

use mailhaul_proving::simulation::{Order, Reply, Script, Stage, Weather, few, small};
use mailhaul_testing::histories::Dice;
use mailhaul_testing::model::{Alters, Answer, Traits};
use mailhaul_types::Side;
use std::collections::BTreeSet;

#[test]
fn a_pass_copies_everything_and_the_next_one_sends_nothing() {
    let mut stage = Stage::new(Traits::default(), Traits::default(), &few());
    let first = stage.clean_pass();
    assert!(first.is_complete(), "{}", first.in_words());
    assert!(stage.judge().is_equal(), "{}", stage.judge());
    let again = stage.clean_pass();
    assert!(again.is_complete(), "{}", again.in_words());
    assert_eq!((first.count(Side::Target, "APPEND"), again.count(Side::Target, "APPEND")), (2, 0));
}

#[test]
fn a_seed_plays_the_same_commands_each_time() {
    let play = |seed: u64| {
        let mut stage = Stage::new(Traits::default(), Traits::bare(), &small(&mut Dice::of(seed)));
        let weather =
            Weather { seed, latency_millis: [5, 20], pieces_max: 50, thinks_millis_max: 3, ..Weather::default() };
        let ended = stage.pass(Order { weather, ..Order::default() });
        (ended.commands, ended.millis)
    };
    for seed in 0..20 {
        assert_eq!(play(seed), play(seed), "seed {seed}");
    }
}

#[test]
fn changed_flags_are_not_forgotten_when_the_source_answers_without_them() {
    let asks_for_changes = |received: &&mailhaul_proving::simulation::Received| {
        received.side == Side::Source && received.name == "UID FETCH"
    };
    let undisturbed = Script::Resync.undisturbed();
    let fetches = undisturbed.commands.iter().filter(asks_for_changes);
    let places = fetches.zip(1..).filter(|(fetch, _)| fetch.arguments.contains("CHANGEDSINCE"));
    let places: Vec<u64> = places.map(|(_, nth)| nth).collect();
    assert!(!places.is_empty());
    for nth in places {
        let mut stage = Script::Resync.stage();
        let reply = Reply { side: Side::Source, name: "UID FETCH".to_owned(), nth, answer: Answer::WithoutData };
        stage.pass(Order { replies: vec![reply], ..Order::default() });
        let last = stage.clean_pass();
        assert!(last.is_complete(), "{}", last.in_words());
        assert!(stage.judge().is_equal(), "{}", stage.judge());
    }
}

#[test]
fn a_changed_flag_is_not_forgotten_when_the_source_says_only_that_something_has_changed() {
    for qresync in [false, true] {
        let mut stage = Stage::new(Traits { qresync, ..Traits::default() }, Traits::default(), &few());
        stage.clean_pass();
        let uid = stage.source.contents()["INBOX"][0].uid;
        stage.source.set_flags("INBOX", uid, &["\\Answered"]);
        let reply = Reply { side: Side::Source, name: "UID FETCH".to_owned(), nth: 1, answer: Answer::WithoutData };
        let second = stage.pass(Order { replies: vec![reply], ..Order::default() });
        let asked = second.commands.iter().find(|received| received.name == "UID FETCH").expect("asked for changes");
        assert!(asked.arguments.contains("CHANGEDSINCE"), "{asked:?}");
        let last = stage.clean_pass();
        assert!(last.is_complete() && stage.judge().is_equal(), "{}{}", stage.judge(), last.in_words());
    }
}

#[test]
fn a_target_that_lists_nothing_is_asked_for_its_mailboxes_by_name() {
    let lists = Script::Moved.undisturbed().count(Side::Target, "LIST") as u64;
    assert!(lists > 0);
    for nth in 1..=lists {
        let mut stage = Script::Moved.stage();
        // Twice in a row: looking again does not help.
        let silent = |nth| Reply { side: Side::Target, name: "LIST".to_owned(), nth, answer: Answer::WithoutData };
        stage.pass(Order { replies: vec![silent(nth), silent(nth + 1)], ..Order::default() });
        let last = stage.clean_pass();
        assert!(last.is_complete(), "{}", last.in_words());
        assert!(stage.judge().is_equal(), "LIST {nth}: {}", stage.judge());
    }
}

#[test]
fn a_target_that_lists_nothing_gets_its_first_copy_all_the_same() {
    let mut stage = Script::FirstCopy.stage();
    let silent = |nth| Reply { side: Side::Target, name: "LIST".to_owned(), nth, answer: Answer::WithoutData };
    let first = stage.pass(Order { replies: (1..=9).map(silent).collect(), ..Order::default() });
    assert!(first.is_complete(), "{}", first.in_words());
    assert!(stage.judge().is_equal(), "{}", stage.judge());
}

/// The names of all kinds of commits, as the ledger's writer gives them to failpoints.
fn commits() -> BTreeSet<&'static str> {
    let source = include_str!("../../mailhaul-db/src/writer/change.rs");
    let body = source.split("fn name(&self) -> &'static str {").nth(1).expect("names of failpoints");
    let body = body.split("\n    }\n").next().unwrap_or_default();
    body.lines().filter_map(|line| line.split("=> \"").nth(1)?.split('"').next()).collect()
}

#[test]
fn the_sessions_reach_every_kind_of_commit_and_every_command() {
    // Nothing records remarks of a whole run: those of mailboxes are written with their passes.
    let unreachable = ["remarks"];
    let (mut reached, mut commands) = (BTreeSet::new(), BTreeSet::new());
    for script in Script::ALL {
        let ended = script.undisturbed();
        let names =
            ended.reached.iter().filter_map(|place| place.name.strip_prefix("commit ")?.strip_suffix(" before"));
        reached.extend(names.map(str::to_owned));
        commands.extend(ended.named_commands());
    }
    let missing: Vec<&str> =
        commits().into_iter().filter(|name| !reached.contains(*name) && !unreachable.contains(name)).collect();
    assert!(missing.is_empty() && commits().len() > 20, "{missing:?} of {:?}", commits());
    let wanted = [
        (Side::Source, "EXAMINE UID FETCH UID SEARCH LIST STATUS ENABLE"),
        (Side::Target, "SELECT EXAMINE UID FETCH UID SEARCH LIST STATUS CREATE RENAME SUBSCRIBE UNSUBSCRIBE APPEND"),
        (Side::Target, "UID STORE UID COPY UID MOVE UID EXPUNGE"),
    ];
    for (side, names) in wanted {
        for name in names.replace("UID ", "UID_").split(' ').map(|name| name.replace('_', " ")) {
            assert!(commands.contains(&(side, name.clone())), "no session sends {name} to the {side}: {commands:?}");
        }
    }
}

#[test]
fn a_first_copy_says_what_the_target_makes_of_mail() {
    let cases = [
        (Alters::Nothing, None),
        (Alters::AddsHeader, Some("header fields added. Content is kept")),
        (Alters::EightBitHeaders, Some("8-bit octets of the header replaced. Content is kept")),
        (Alters::IgnoresDates, Some("another internal date. Octets are kept")),
        (Alters::RebuildsBody, Some("the body rebuilt. Bodies are not kept")),
    ];
    let mail =
        b"Message-ID: <a@x.example>\r\nDate: Mon, 2 Jan 2006 15:04:05 +0000\r\nSubject: gr\xfc\xdfe\r\n\r\nbody\r\n";
    for (alters, expected) in cases {
        for traits in [Traits::default(), Traits::bare()] {
            let mut stage = Stage::new(traits.clone(), Traits { alters, ..traits }, &Vec::new());
            stage.source.deliver("INBOX", mail, 1_000_000_000, &[]);
            let ended = stage.clean_pass();
            let remarks = ended.report.iter().flat_map(|report| &report.remarks);
            let said: Vec<&str> =
                remarks.map(|remark| remark.text.as_str()).filter(|text| text.contains("alters")).collect();
            match expected {
                None => assert!(said.is_empty(), "{said:?}"),
                Some(words) => assert!(said.len() == 1 && said[0].contains(words), "{alters:?}: {said:?}"),
            }
            let again = stage.clean_pass();
            let reads = again.commands.iter().filter(|received| received.arguments.contains("BODY"));
            assert_eq!(reads.count(), 0, "{alters:?}: it was read back once");
        }
    }
}
