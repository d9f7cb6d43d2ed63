//! What a first copy costs in round trips, counted in simulated time: on a network that takes [`LATENCY`] each way and
//! servers that take none, everything that a side waits for shows as a multiple of twice that.
//!
//! TCP and TLS 1.3 are not simulated. Each of them is one round trip more, and so is the half by which the greeting, which
//! a simulated server sends as soon as it is dialled, comes earlier than behind a handshake.

use mailhaul_proving::simulation::{Ended, Mail, Order, Reply, Shelf, Stage, Weather};
use mailhaul_testing::model::{Answer, Traits};
use mailhaul_types::Side;

/// From one end to the other, in simulated milliseconds.
const LATENCY: u64 = 1_000;

/// TCP, TLS 1.3, and the greeting behind it.
const BEFORE_THE_GREETING: f64 = 2.5;

fn mail(number: usize) -> Mail {
    let octets = format!("Message-ID: <{number}@round.trips>\r\nSubject: {number}\r\n\r\nThis is {number}.\r\n");
    Mail { octets: octets.into_bytes(), date: 1_000_000_000, flags: Vec::new() }
}

/// So many mailboxes, INBOX and others, with two messages each.
fn shelf(mailboxes: usize) -> Shelf {
    const NAMES: [&str; 10] = ["INBOX", "A", "B", "C", "D", "E", "F", "G", "H", "I"];
    let filled = |(place, name): (usize, &'static str)| (vec![name], vec![mail(2 * place), mail(2 * place + 1)]);
    NAMES.into_iter().take(mailboxes).enumerate().map(filled).collect()
}

fn copy(mailboxes: usize, connections: usize) -> Ended {
    let mut stage = Stage::new(Traits::default(), Traits::default(), &shelf(mailboxes));
    let weather = Weather { latency_millis: [LATENCY, LATENCY], ..Weather::default() };
    let ended = stage.pass(Order { weather, connections, ..Order::default() });
    assert!(ended.is_complete(), "{}", ended.in_words());
    assert!(stage.judge().is_equal(), "{}", stage.judge());
    ended
}

/// How many round trips a side had waited for before each mailbox's first message left: TCP and TLS counted in.
fn before_each_mailbox(ended: &Ended) -> Vec<f64> {
    let appends = ended.commands.iter().filter(|command| command.side == Side::Target && command.name == "APPEND");
    let trips = |millis: u64| (millis - LATENCY) as f64 / (2 * LATENCY) as f64;
    appends.map(|append| trips(append.at_millis) + BEFORE_THE_GREETING).collect()
}

#[test]
fn a_first_message_flows_within_ten_round_trips() {
    // A mailbox that is there and has to be subscribed to; and one that has to be created besides.
    let there = before_each_mailbox(&copy(1, 1));
    let made = before_each_mailbox(&copy(2, 1));
    assert_eq!((there.len(), made.len()), (1, 2));
    assert!(there[0] <= 8.0 && made[0] <= 9.0, "{there:?} {made:?}");
}

#[test]
fn a_further_mailbox_costs_three_round_trips_on_one_connection_and_fewer_on_several() {
    let one = before_each_mailbox(&copy(10, 1));
    assert_eq!(one.len(), 10);
    // The second waits for the first copies to be read back besides, once in a run.
    assert!((one[9] - one[1]) / 8.0 <= 3.0, "{one:?}");
    for (connections, most) in [(2, 2.0), (4, 1.5)] {
        let several = before_each_mailbox(&copy(10, connections));
        assert_eq!(several.len(), 10);
        assert!((several[9] - several[0]) / 9.0 <= most, "{connections}: {several:?}");
    }
}

#[test]
fn several_connections_open_as_many_as_were_asked_for_and_the_largest_mailbox_comes_first() {
    let mut shelf = shelf(5);
    let largest: Vec<Mail> = (100..150).map(mail).collect();
    shelf[4].1 = largest;
    let mut stage = Stage::new(Traits::default(), Traits::default(), &shelf);
    let ended = stage.pass(Order { connections: 3, ..Order::default() });
    assert!(ended.is_complete(), "{}", ended.in_words());
    assert!(stage.judge().is_equal(), "{}", stage.judge());
    for side in [Side::Source, Side::Target] {
        assert_eq!(ended.count(side, "GREETING"), 3, "{side}");
    }
    let first = ended.commands.iter().find(|command| command.name == "EXAMINE").expect("one is opened");
    assert!(first.arguments.contains(shelf[4].0[0]), "{first:?}");
}

#[test]
fn a_server_that_will_not_have_a_second_connection_is_served_over_one() {
    for side in [Side::Source, Side::Target] {
        let mut stage = Stage::new(Traits::default(), Traits::default(), &shelf(5));
        let busy = |nth| Reply { side, name: "GREETING".to_owned(), nth, answer: Answer::Bye };
        let ended = stage.pass(Order { connections: 3, replies: vec![busy(2), busy(3)], ..Order::default() });
        assert!(ended.is_complete(), "{}", ended.in_words());
        assert!(stage.judge().is_equal(), "{}", stage.judge());
        assert_eq!(ended.count(side, "GREETING"), 3, "{side}");
    }
}

#[test]
fn a_long_line_is_as_full_as_a_short_one() {
    // Seven thousand messages, on a line where a round trip takes two seconds. Whoever sends a part and waits for it before
    // the next part shows it here; only behind the first part it is waited for whether the target names what it stores.
    let number_of_messages = 7_001;
    let shelf: Shelf = vec![(vec!["INBOX"], (0..number_of_messages).map(mail).collect())];
    let mut stage = Stage::new(Traits::default(), Traits::default(), &shelf);
    let weather = Weather { latency_millis: [LATENCY, LATENCY], ..Weather::default() };
    let ended = stage.pass(Order { weather, ..Order::default() });
    assert!(ended.is_complete(), "{}", ended.in_words());
    let moments = |name: &'static str| {
        let named = ended.commands.iter().filter(move |command| command.side == Side::Target && command.name == name);
        named.map(|command| command.at_millis).collect::<Vec<u64>>()
    };
    let appends = moments("APPEND");
    assert!(appends.len() >= 35, "{} commands", appends.len());
    let (first, last) = (appends[0], appends[appends.len() - 1]);
    assert!(last - first <= 4 * LATENCY, "{} ms from the first to the last command", last - first);
}

#[test]
fn ten_flags_and_ten_new_messages_cost_at_most_seven_round_trips_more_than_nothing() {
    let weather = || Weather { latency_millis: [LATENCY, LATENCY], ..Weather::default() };
    let again = |stage: &mut Stage| {
        let ended = stage.pass(Order { weather: weather(), ..Order::default() });
        assert!(ended.is_complete(), "{}", ended.in_words());
        ended
    };
    let full: Shelf = vec![(vec!["INBOX"], (0..100).map(mail).collect()), (vec!["A"], vec![mail(100)])];
    let traits = || Traits { condstore: true, list_status: true, list_extended: true, ..Traits::default() };
    let mut stage = Stage::new(traits(), traits(), &full);
    again(&mut stage);
    let nothing = again(&mut stage);
    let uids: Vec<u32> = stage.source.contents()["INBOX"].iter().take(10).map(|message| message.uid).collect();
    for uid in uids {
        stage.source.set_flags("INBOX", uid, &["\\Flagged"]);
    }
    for number in 200..210 {
        stage.source.deliver("INBOX", &mail(number).octets, 1_000_000_000, &[]);
    }
    let changed = again(&mut stage);
    let trips = |ended: &Ended| ended.millis as f64 / (2 * LATENCY) as f64;
    // ENABLE, EXAMINE, what is new, what has changed, STORE, FETCH, APPEND.
    assert!(trips(&changed) - trips(&nothing) <= 7.0, "{} after {}", trips(&changed), trips(&nothing));
}
