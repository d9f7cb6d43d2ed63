//! The fault proxy in front of a real Dovecot.
#![expect(clippy::unwrap_used, reason = "a test that fails may as well panic")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mailhaul_testing::Dovecot;
use mailhaul_testing::imap_client::{Client, ClientError, Outgoing};
use mailhaul_testing::proxy::{
    Cut, Direction, Event, Fault, Moment, Plan, Proxy, Reply, UserPlan, WRITING_COMMANDS, Which,
};

const MESSAGE: &[u8] = b"From: a@example\r\nSubject: one\r\n\r\nbody\r\n";

/// A server, and a proxy before it.
fn proxied(dovecot: &Dovecot, plan: Plan) -> (Proxy, Result<Client, ClientError>) {
    let proxy = Proxy::with_plan(dovecot.address(), plan);
    let client = Client::sign_in(proxy.address(), "alice", dovecot.password());
    (proxy, client)
}

fn stored(dovecot: &Dovecot) -> u32 {
    Client::sign_in(dovecot.address(), "alice", dovecot.password()).unwrap().count("INBOX").unwrap()
}

#[test]
fn passes_everything_unchanged_and_counts_it() {
    let dovecot = Dovecot::start();
    let (proxy, client) = proxied(&dovecot, Plan::new());
    let mut client = client.unwrap();
    let large: Vec<u8> = (0..3_000_000_u32).map(|at| b"0123456789abcde\n"[at as usize % 16]).collect();
    let large: Vec<u8> =
        large.iter().flat_map(|octet| if *octet == b'\n' { vec![13, 10] } else { vec![*octet] }).collect();
    client.append("INBOX", &[], None, &large).unwrap();
    client.append("INBOX", &[], None, MESSAGE).unwrap();
    client.select("INBOX").unwrap();
    let all = client.fetch_all().unwrap();
    assert!(all[0].octets == large && all[1].octets == MESSAGE);
    client.logout();
    proxy.wait_for(&Event::Ended(1));
    let statistics = proxy.statistics();
    assert_eq!((statistics.connections, statistics.count("append"), statistics.appended_messages), (1, 2, 2));
    assert_eq!((statistics.count("UID FETCH"), statistics.eager_literals, statistics.waiting_literals), (1, 2, 0));
    assert_eq!(statistics.answers["LOGOUT"], 1);
    assert!(statistics.bytes_to_server > 3_000_000 && statistics.bytes_to_client > 3_000_000);
    let lines = proxy.command_lines();
    assert_eq!(lines[0], "LOGIN");
    assert!(lines.contains(&"SELECT \"INBOX\"".to_owned()), "{lines:?}");
}

#[test]
fn cuts_at_exactly_the_octet_it_was_told() {
    let dovecot = Dovecot::start();
    for (cut, octets) in [(Cut::Fin, 0), (Cut::Fin, 1), (Cut::Fin, 17), (Cut::Rst, 17)] {
        let plan = Plan::new().cut_after_bytes(Direction::ToClient, octets, cut);
        let proxy = Proxy::with_plan(dovecot.address(), plan);
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        let mut got = Vec::new();
        let end = stream.read_to_end(&mut got);
        match cut {
            Cut::Fin => assert_eq!((end.unwrap(), got.len()), (got.len(), usize::try_from(octets).unwrap())),
            Cut::Rst => assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset),
        }
        proxy.wait_for(&Event::Fault(1));
        assert_eq!(proxy.statistics().bytes_to_client, octets);
        drop(stream);
        proxy.wait_for(&Event::Ended(1));
    }
}

#[test]
fn an_append_cut_before_its_last_octet_is_not_stored_and_after_it_is() {
    let dovecot = Dovecot::start();
    let (proxy, client) = proxied(&dovecot, Plan::new());
    client.unwrap().append("INBOX", &[], None, MESSAGE).unwrap();
    assert!(proxy.wait_until(|now| now.forwarded.get("APPEND") == Some(&1), Duration::from_secs(10)));
    let whole = proxy.statistics().bytes_to_server;
    for (octets, expected) in [(whole - 1, 1), (whole, 2)] {
        let plan = Plan::new().cut_after_bytes(Direction::ToServer, octets, Cut::Fin);
        let (proxy, client) = proxied(&dovecot, plan);
        let mut client = client.unwrap();
        let _ = client.append("INBOX", &[], None, MESSAGE);
        drop(client);
        proxy.wait_for(&Event::Ended(1));
        // The server ends its session after FIN; what it stores, it has stored when the connection has ended.
        assert_eq!(stored(&dovecot), expected, "cut after {octets} of {whole}");
    }
}

#[test]
fn the_answer_to_an_append_is_swallowed_and_the_message_is_there() {
    let dovecot = Dovecot::builder().without_capability("LITERAL+").start();
    let (proxy, client) = proxied(&dovecot, Plan::new().swallow_answer("APPEND", 2, Cut::Rst));
    let mut client = client.unwrap();
    client.append("INBOX", &[], None, MESSAGE).unwrap();
    assert!(matches!(client.append("INBOX", &[], None, MESSAGE), Err(ClientError::Io(_))));
    assert_eq!(stored(&dovecot), 2);
    assert_eq!(proxy.statistics().waiting_literals, 2);
}

#[test]
fn cuts_inside_of_a_literal_in_either_direction() {
    let dovecot = Dovecot::start();
    Client::sign_in(dovecot.address(), "alice", dovecot.password())
        .unwrap()
        .append("INBOX", &[], None, MESSAGE)
        .unwrap();
    let plan = Plan::new().fault(Moment::InLiteral(Direction::ToClient, 1, 7), Fault::Cut(Cut::Fin));
    let (_proxy, client) = proxied(&dovecot, plan);
    let mut client = client.unwrap();
    client.select("INBOX").unwrap();
    let lost = client.fetch_all().unwrap_err();
    assert!(lost.to_string().contains("inside a literal"), "{lost}");

    let plan = Plan::new().fault(Moment::InLiteral(Direction::ToServer, 2, 0), Fault::Cut(Cut::Fin));
    let (_proxy, client) = proxied(&dovecot, plan);
    let mut client = client.unwrap();
    client.append("INBOX", &[], None, MESSAGE).unwrap();
    client.append("INBOX", &[], None, MESSAGE).unwrap_err();
    assert_eq!(stored(&dovecot), 2);
}

#[test]
fn a_command_is_answered_in_the_servers_place() {
    let dovecot = Dovecot::start();
    for announced in [true, false] {
        let plan = Plan::new().reply("APPEND", Which::Nth(2), Reply::tagged("NO [OVERQUOTA] mailbox is full")).reply(
            "SELECT",
            Which::From(1),
            Reply::tagged("BAD what"),
        );
        let proxy = Proxy::with_plan(dovecot.address(), plan);
        let mut client = Client::connect(proxy.address()).unwrap();
        if announced {
            client.login("alice", dovecot.password()).unwrap();
        } else {
            // Not asked for capabilities, so it waits for `+`.
            client.command(&format!("LOGIN alice {}", dovecot.password())).unwrap();
        }
        client.append("INBOX", &[], None, MESSAGE).unwrap();
        let refused = client.append("INBOX", &[], None, MESSAGE).unwrap_err();
        assert!(refused.to_string().ends_with("NO [OVERQUOTA] mailbox is full"), "{refused}");
        client.append("INBOX", &[], None, MESSAGE).unwrap();
        assert!(client.select("INBOX").unwrap_err().to_string().ends_with("BAD what"));
        assert_eq!((proxy.statistics().count("APPEND"), proxy.statistics().appended_messages), (3, 2));
    }
    assert_eq!(stored(&dovecot), 4);
}

#[test]
fn a_bye_comes_in_its_turn_and_ends_the_connection() {
    let dovecot = Dovecot::start();
    let (_proxy, client) = proxied(&dovecot, Plan::new().reply("SELECT", Which::Nth(1), Reply::bye("going away")));
    assert!(matches!(client.unwrap().select("INBOX"), Err(ClientError::Io(_))));
}

#[test]
fn lines_are_slipped_in_before_continuations_and_answers() {
    let dovecot = Dovecot::builder().without_capability("LITERAL+").start();
    let plan = Plan::new()
        .fault(Moment::BeforeContinuation(1), Fault::Inject(b"* OK Still here\r\n".to_vec()))
        .fault(Moment::BeforeAnswer("NOOP".into(), 1), Fault::Inject(b"* 7 EXISTS\r\n".to_vec()))
        .fault(Moment::AfterCommand("CHECK".into(), 1), Fault::Inject(b"* 9 EXISTS\r\n".to_vec()));
    let (proxy, client) = proxied(&dovecot, plan);
    let mut client = client.unwrap();
    client.append("INBOX", &[], None, MESSAGE).unwrap();
    let answer = client.command("NOOP").unwrap();
    assert_eq!(answer.untagged.len(), 1);
    assert_eq!(answer.untagged[0][1].number(), Some(7));
    client.select("INBOX").unwrap();
    client.command("CHECK").unwrap();
    proxy.wait_for(&Event::Fault(3));
}

#[test]
fn a_stalled_connection_says_nothing_and_does_not_end() {
    let dovecot = Dovecot::start();
    let plan = Plan::new().fault(Moment::BeforeAnswer("LOGIN".into(), 1), Fault::Stall);
    let proxy = Proxy::with_plan(dovecot.address(), plan);
    let mut stream = TcpStream::connect(proxy.address()).unwrap();
    stream.write_all(format!("a LOGIN alice {}\r\n", dovecot.password()).as_bytes()).unwrap();
    proxy.wait_for(&Event::Fault(1));
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut got = vec![0; 4096];
    let greeting = stream.read(&mut got).unwrap();
    assert!(got[..greeting].ends_with(b"\r\n"));
    assert_eq!(stream.read(&mut got).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    proxy.cut_all(Cut::Fin);
    assert_eq!(stream.read(&mut got).unwrap(), 0);
}

#[test]
fn one_direction_can_end_or_vanish_alone() {
    let dovecot = Dovecot::start();
    let plan = Plan::new().fault(Moment::BeforeAnswer("APPEND".into(), 1), Fault::Swallow(Direction::ToClient));
    let (proxy, client) = proxied(&dovecot, plan);
    let mut stream_client = client.unwrap();
    let worker = std::thread::spawn(move || stream_client.append("INBOX", &[], None, MESSAGE));
    proxy.wait_for(&Event::Fault(1));
    assert_eq!(stored(&dovecot), 1);
    proxy.cut_all(Cut::Rst);
    worker.join().unwrap().unwrap_err();

    proxy.set_plan(Plan::new().fault(Moment::AfterAnswer("LOGIN".into(), 1), Fault::HalfClose(Direction::ToClient)));
    let mut half = Client::connect(proxy.address()).unwrap();
    assert!(matches!(half.login("alice", dovecot.password()), Err(ClientError::Io(_))));
}

#[test]
fn latency_is_a_delay_line_that_keeps_pipelining() {
    let dovecot = Dovecot::start();
    let one_way = Duration::from_millis(100);
    let proxy = Proxy::with_plan(dovecot.address(), Plan::new().delay(one_way, one_way));
    let mut stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_nodelay(true).unwrap();
    let began = Instant::now();
    for turn in 0..50 {
        stream.write_all(format!("a{turn} NOOP\r\n").as_bytes()).unwrap();
    }
    stream.write_all(b"z LOGOUT\r\n").unwrap();
    let mut got = String::new();
    stream.read_to_string(&mut got).unwrap();
    let took = began.elapsed();
    assert!(got.contains("a49 OK") && got.contains("z OK"));
    assert!(took >= 2 * one_way, "{took:?}");
    // Fifty round trips would take ten seconds.
    assert!(took < 20 * one_way, "{took:?}");
}

#[test]
fn bandwidth_is_limited() {
    let dovecot = Dovecot::start();
    let plan = Plan::new().bandwidth(Direction::ToServer, 1_000_000);
    let (_proxy, client) = proxied(&dovecot, plan);
    let began = Instant::now();
    let mut message = MESSAGE.to_vec();
    message.extend(b"abcdef\r\n".repeat(50_000));
    client.unwrap().append("INBOX", &[], None, &message).unwrap();
    assert!(began.elapsed() > Duration::from_millis(350), "{:?}", began.elapsed());
}

#[test]
fn each_connection_may_have_its_own_plan() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(dovecot.address());
    proxy.set_next_plans([
        Plan::new().reply("LOGIN", Which::Nth(1), Reply::tagged("NO [AUTHENTICATIONFAILED] no")),
        Plan::new(),
    ]);
    assert!(Client::sign_in(proxy.address(), "alice", dovecot.password()).is_err());
    Client::sign_in(proxy.address(), "alice", dovecot.password()).unwrap();
    proxy.refuse_connections(true);
    assert!(Client::connect(proxy.address()).is_err());
    proxy.refuse_connections(false);
    Client::sign_in(proxy.address(), "alice", dovecot.password()).unwrap();
    assert_eq!(proxy.statistics().connections, 4);
}

#[test]
fn an_unfinished_wait_says_so() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(dovecot.address());
    assert!(!proxy.wait_at_most(&Event::Command("APPEND".into(), 1), Duration::from_millis(20)));
}

/// Signs in through the proxy as this user; any user of a plain Dovecot has the same password.
fn through(proxy: &Proxy, dovecot: &Dovecot, user: &str) -> Result<Client, ClientError> {
    Client::sign_in(proxy.address(), user, dovecot.password())
}

fn answer(error: ClientError) -> String {
    match error {
        ClientError::Refused { answer, .. } => answer,
        other => panic!("not refused: {other}"),
    }
}

#[test]
fn one_user_is_throttled_and_another_is_not_until_it_is_over() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(dovecot.address());
    let mut early = through(&proxy, &dovecot, "alice").unwrap();
    proxy.set_user_plan("alice", UserPlan::new().throttle("[LIMIT] Too many requests"));
    // It holds on a connection that is open already, and on a new one.
    assert_eq!(answer(early.select("INBOX").unwrap_err()), "NO [LIMIT] Too many requests");
    let mut late = through(&proxy, &dovecot, "alice").unwrap();
    assert_eq!(answer(late.select("INBOX").unwrap_err()), "NO [LIMIT] Too many requests");
    through(&proxy, &dovecot, "bob").unwrap().select("INBOX").unwrap();
    proxy.wait_for(&Event::UserFault("alice".to_owned(), 2));
    proxy.clear_user_plan("alice");
    early.select("INBOX").unwrap();
    late.logout();
    let alice = proxy.statistics().user("alice");
    assert_eq!((alice.sign_ins, alice.open_peak, alice.faults), (2, 2, 2));
    assert_eq!(proxy.statistics().user("bob").faults, 0);
}

#[test]
fn one_user_is_refused_at_sign_in_or_cut_off() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(dovecot.address());
    proxy.set_user_plan("alice", UserPlan::new().refuse_sign_in("[UNAVAILABLE] Try again later"));
    assert_eq!(answer(through(&proxy, &dovecot, "alice").unwrap_err()), "NO [UNAVAILABLE] Try again later");
    proxy.set_user_plan("alice", UserPlan::new().refuse_connection());
    assert!(matches!(through(&proxy, &dovecot, "alice").unwrap_err(), ClientError::Io(_)));
    through(&proxy, &dovecot, "bob").unwrap();
    proxy.set_user_plan("alice", UserPlan::new().say_bye("Overloaded"));
    let mut alice = through(&proxy, &dovecot, "alice").unwrap();
    assert!(alice.select("INBOX").is_err() && alice.command("NOOP").is_err());
    proxy.clear_user_plan("alice");
    let mut alice = through(&proxy, &dovecot, "alice").unwrap();
    let mut bob = through(&proxy, &dovecot, "bob").unwrap();
    proxy.cut_user("alice", Cut::Rst);
    assert!(alice.command("NOOP").is_err());
    bob.command("NOOP").unwrap();
}

#[test]
fn whoever_signs_in_by_authenticate_is_known_too() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(dovecot.address());
    proxy.set_user_plan("alice", UserPlan::new().refuse_sign_in("[LIMIT] not now"));
    // NUL alice NUL demo-secret, in the command and after it; and the name as a literal of LOGIN.
    let response = "AGFsaWNlAGRlbW8tc2VjcmV0";
    let conversations = [
        vec![format!("a AUTHENTICATE PLAIN {response}\r\n")],
        vec!["a AUTHENTICATE PLAIN\r\n".to_owned(), format!("{response}\r\n")],
        vec!["a LOGIN {5}\r\n".to_owned(), "alice {11}\r\n".to_owned(), "demo-secret\r\n".to_owned()],
        vec!["a LOGIN {5+}\r\nalice demo-secret\r\n".to_owned()],
    ];
    for (turn, lines) in conversations.iter().enumerate() {
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        for words in lines {
            stream.write_all(words.as_bytes()).unwrap();
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        assert_eq!(line, "a NO [LIMIT] not now\r\n", "conversation {turn}");
    }
    assert_eq!(proxy.statistics().user("alice").faults, 4);
}

#[test]
fn one_message_of_one_user_is_refused_with_all_of_its_batch() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(dovecot.address());
    let poison = "Message-ID: <bad@x.example>";
    proxy.set_user_plan("alice", UserPlan::new().refuse_message(poison, "[CANNOT] Message contains a virus"));
    let bad = format!("Subject: bad\r\n{poison}\r\n\r\nbody\r\n");
    let outgoing = |octets| Outgoing { flags: &[], date: None, octets };
    let mut alice = through(&proxy, &dovecot, "alice").unwrap();
    alice.append_all("INBOX", &[outgoing(MESSAGE), outgoing(MESSAGE)]).unwrap();
    let batch = [outgoing(MESSAGE), outgoing(bad.as_bytes()), outgoing(MESSAGE)];
    let refused = answer(alice.append_all("INBOX", &batch).unwrap_err());
    assert_eq!(refused, "NO [CANNOT] Message contains a virus");
    alice.append("INBOX", &[], None, MESSAGE).unwrap();
    assert_eq!(alice.count("INBOX").unwrap(), 3);
    let mut bob = through(&proxy, &dovecot, "bob").unwrap();
    bob.append("INBOX", &[], None, bad.as_bytes()).unwrap();
    proxy.clear_user_plan("alice");
    alice.append("INBOX", &[], None, bad.as_bytes()).unwrap();
    assert_eq!(alice.count("INBOX").unwrap(), 4);
}

#[test]
fn a_message_that_waits_for_its_plus_can_be_refused_too() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(dovecot.address());
    proxy.set_user_plan("alice", UserPlan::new().refuse_message("poison", "[CANNOT] no"));
    let mut stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut until = |wanted: &str| loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "no {wanted}");
        if line.starts_with(wanted) {
            return line;
        }
    };
    stream.write_all(format!("a LOGIN alice {}\r\n", dovecot.password()).as_bytes()).unwrap();
    until("a OK");
    for (tag, body, expected) in [("b", "poison", "b NO [CANNOT] no"), ("c", "remedy", "c OK")] {
        stream.write_all(format!("{tag} APPEND INBOX {{{}}}\r\n", body.len() + 4).as_bytes()).unwrap();
        until("+ ");
        stream.write_all(format!("\r\n{body}\r\n\r\n").as_bytes()).unwrap();
        assert!(until(tag).starts_with(expected));
    }
    assert_eq!(stored(&dovecot), 1);
}

#[test]
fn the_most_connections_at_once_are_known() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(dovecot.address());
    let three: Vec<Client> = (0..3).map(|_| through(&proxy, &dovecot, "alice").unwrap()).collect();
    drop(three);
    proxy.wait_for(&Event::Ended(3));
    through(&proxy, &dovecot, "alice").unwrap().logout();
    proxy.wait_for(&Event::Ended(4));
    let statistics = proxy.statistics();
    assert_eq!((statistics.connections, statistics.connections_peak), (4, 3));
    assert_eq!((statistics.user("alice").open, statistics.user("alice").open_peak), (0, 3));
}

#[test]
fn octets_are_counted_for_each_command_since_an_earlier_look() {
    let dovecot = Dovecot::start();
    let proxy = Proxy::start(dovecot.address());
    let mut client = Client::sign_in(proxy.address(), "alice", dovecot.password()).unwrap();
    client.append("INBOX", &[], None, b"Subject: x\r\n\r\nbody\r\n").unwrap();
    proxy.wait_for(&Event::Answered("APPEND".to_owned(), 1));
    let before = proxy.statistics();
    client.command("NOOP").unwrap();
    client.select("INBOX").unwrap();
    client.fetch_all().unwrap();
    proxy.wait_for(&Event::Answered("UID FETCH".to_owned(), 1));
    let now = proxy.statistics().since(&before);
    assert_eq!((now.commands_at_work(), now.count_of(&WRITING_COMMANDS)), (3, 0), "{now:?}");
    // `J4 NOOP` with its CRLF.
    assert_eq!(now.bytes_sent_for("NOOP"), 9, "{now:?}");
    assert_eq!(now.command_bytes.values().sum::<u64>(), now.bytes_to_server);
    assert_eq!(now.answer_bytes.values().sum::<u64>(), now.bytes_to_client);
    assert!(now.bytes_answered_to("UID FETCH") > 60, "{now:?}");
}

#[test]
fn a_session_is_held_until_it_is_released_and_misses_nothing() {
    let dovecot = Dovecot::start();
    let plan = Plan::new().fault(Moment::BeforeAnswer("APPEND".into(), 1), Fault::Hold);
    let (proxy, client) = proxied(&dovecot, plan);
    let mut client = client.unwrap();
    let appending = std::thread::spawn(move || client.append("INBOX", &[], None, MESSAGE).map(|_| client));
    proxy.wait_for(&Event::Fault(1));
    // The server has done what it was told, and the client does not know it yet.
    assert_eq!(stored(&dovecot), 1);
    assert!(!appending.is_finished() && !proxy.statistics().answers.contains_key("APPEND"));
    proxy.release();
    let mut client = appending.join().unwrap().unwrap();
    client.append("INBOX", &[], None, MESSAGE).unwrap();
    assert_eq!(stored(&dovecot), 2);
}

#[test]
fn an_early_answer_takes_the_place_of_the_servers_own() {
    let dovecot = Dovecot::start();
    let plan = Plan::new().fault(Moment::BeforeContinuation(1), Fault::AnswerEarly("OK [X] done".into()));
    let proxy = Proxy::with_plan(dovecot.address(), plan);
    let mut stream = TcpStream::connect(proxy.address()).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
    lines.next().unwrap();
    stream.write_all(format!("a LOGIN alice {}\r\n", dovecot.password()).as_bytes()).unwrap();
    assert!(lines.find(|line| line.starts_with("a ")).unwrap().starts_with("a OK"));
    stream.write_all(format!("b APPEND INBOX {{{}}}\r\n", MESSAGE.len()).as_bytes()).unwrap();
    assert_eq!(lines.next().unwrap(), "b OK [X] done");
    // The server waits for the literal all the same, and what it says at the end is swallowed.
    assert!(lines.next().unwrap().starts_with('+'));
    stream.write_all(&[MESSAGE, b"\r\nc NOOP\r\n"].concat()).unwrap();
    assert!(lines.next().unwrap().starts_with("c OK"));
    assert_eq!(stored(&dovecot), 1);
}

#[test]
fn what_went_through_can_be_read_by_people() {
    let dovecot = Dovecot::start();
    let (proxy, client) = proxied(&dovecot, Plan::new());
    client.unwrap().append("INBOX", &[], None, MESSAGE).unwrap();
    proxy.wait_for(&Event::Ended(1));
    let text = proxy.statistics().to_string();
    assert!(text.contains("1 messages appended, in 1 commands"), "{text}");
    assert!(
        text.lines().any(|line| line.split_whitespace().collect::<Vec<_>>()[..4] == ["APPEND", "1", "1", "1"]),
        "{text}"
    );
}
