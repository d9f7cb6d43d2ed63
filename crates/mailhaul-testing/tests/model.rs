//! The model says what a real Dovecot says: one session, played against both.
#![expect(clippy::unwrap_used, reason = "a test that fails may as well panic")]

use std::collections::BTreeMap;

use mailhaul_testing::corpus::CorpusMessage;
use mailhaul_testing::imap_client::{Client, ClientError, Value, parse_date};
use mailhaul_testing::judge::MailboxPath;
use mailhaul_testing::model::{Literals, ModelServer, PASSWORD, Traits, serve};
use mailhaul_testing::{Corpus, Dovecot, Store};

/// Two users at once, so that each hears of what the other does.
struct Pair {
    one: Client,
    other: Client,
}

impl Pair {
    fn sign_in(address: std::net::SocketAddr, password: &str) -> Self {
        let client = || Client::sign_in(address, "alice", password).unwrap();
        Self { one: client(), other: client() }
    }
}

/// A line of a session: who says it (`1` or `2`), and what. A message is put in for `<M>`.
const SESSION: &[&str] = &[
    "1 CREATE Work",
    "1 CREATE Work",
    "1 CREATE Work/2024",
    "1 CREATE \"Entw&APw-rfe\"",
    "1 CREATE a/b/c",
    "1 SUBSCRIBE Work",
    "1 SUBSCRIBE nowhere",
    "1 UNSUBSCRIBE nowhere",
    "1 LIST \"\" \"*\"",
    "1 LIST \"\" \"%\"",
    "1 LIST \"\" Work/%",
    "1 LIST \"\" \"\"",
    "1 LSUB \"\" \"*\"",
    "1 LIST \"\" \"*\" RETURN (SPECIAL-USE SUBSCRIBED)",
    "1 NAMESPACE",
    "1 STATUS Work (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)",
    "1 STATUS nowhere (MESSAGES)",
    "1 SELECT nowhere",
    "1 FETCH 1 UID",
    "1 APPEND nowhere <M>",
    "1 APPEND Work (\\Seen $Forwarded) \"07-Feb-1994 21:52:25 -0800\" <M>",
    "1 APPEND Work (\\flagged) \" 7-Feb-1994 21:52:25 -0800\" <M> (work WORK) \"01-Jan-2000 00:00:00 +0130\" <M> \
     \"31-Dec-1999 23:59:59 +0000\" <M>",
    "1 STATUS Work (MESSAGES UIDNEXT UNSEEN HIGHESTMODSEQ SIZE)",
    "1 LIST \"\" \"*\" RETURN (SPECIAL-USE SUBSCRIBED STATUS (MESSAGES UIDNEXT UIDVALIDITY))",
    "1 EXAMINE Work",
    "1 UID FETCH 1:* (UID RFC822.SIZE INTERNALDATE FLAGS)",
    "1 UID FETCH 3,1 (FLAGS)",
    "1 UID FETCH 9:* (UID)",
    "1 UID FETCH 9 (UID)",
    "1 FETCH 2 (UID FLAGS)",
    "1 FETCH 9 (UID)",
    "1 UID FETCH 0 (UID)",
    "1 UID FETCH 1 (FLAGS NONSENSE)",
    "1 UID FETCH 2 (BODY.PEEK[])",
    "1 UID FETCH 2 (BODY.PEEK[]<3.10>)",
    "1 UID FETCH 2 (BODY.PEEK[]<3000.10>)",
    "1 UID FETCH 2 (BODY.PEEK[HEADER])",
    "1 UID FETCH 2 (BODY.PEEK[TEXT])",
    "1 UID FETCH 2 (BODY.PEEK[HEADER.FIELDS (DATE FROM SUBJECT MESSAGE-ID)])",
    "1 UID FETCH 2 (RFC822.HEADER)",
    "1 UID SEARCH ALL",
    "1 UID SEARCH UID 2:3,17",
    "1 UID SEARCH RETURN (ALL) UID 2:40",
    "1 UID SEARCH RETURN (ALL) UID 40",
    "1 UID SEARCH UID 40",
    "1 SEARCH 2:3",
    "1 UID SEARCH SEEN",
    "1 UID SEARCH UNSEEN KEYWORD work",
    "1 UID SEARCH NOT SEEN",
    "1 UID SEARCH HEADER Message-ID odd@example",
    "1 UID SEARCH NONSENSE",
    "1 SELECT Work",
    "2 SELECT Work",
    "2 UID STORE 2 +FLAGS (\\Answered)",
    "1 NOOP",
    "2 UID STORE 2,3 +FLAGS.SILENT (later)",
    "2 UID STORE 2,17 -FLAGS.SILENT (\\Flagged)",
    "2 UID STORE 3 FLAGS (\\Draft)",
    "2 UID STORE 17 +FLAGS (\\Draft)",
    "2 UID STORE 1 FLAGS.SILENT ()",
    "1 NOOP",
    "1 UID FETCH 1:* (FLAGS)",
    "2 UID FETCH 1 (BODY[TEXT])",
    "1 UID COPY 1:2 Work/2024",
    "1 UID COPY 77 Work/2024",
    "1 UID COPY 1 nowhere",
    "1 UID MOVE 3 Work/2024",
    "1 UID MOVE 1 nowhere",
    "2 NOOP",
    "2 APPEND Work <M>",
    "1 NOOP",
    "2 UID STORE 1,2 +FLAGS.SILENT (\\Deleted)",
    "1 NOOP",
    "2 UID EXPUNGE 2,4",
    "1 FETCH 1 (UID)",
    "1 NOOP",
    "2 STATUS Work/2024 (MESSAGES UIDNEXT)",
    "2 EXPUNGE",
    "1 NOOP",
    "1 FETCH 1:* (UID FLAGS)",
    "1 CLOSE",
    "2 UNSELECT",
    "1 CLOSE",
    "1 ENABLE QRESYNC NONSENSE",
    "1 SELECT Work/2024",
    "2 SELECT Work/2024",
    "2 UID STORE 2 +FLAGS (\\Deleted)",
    "2 UID STORE 1 +FLAGS (\\Answered)",
    "2 EXPUNGE",
    "1 NOOP",
    "1 UID FETCH 1:100 (UID FLAGS) (CHANGEDSINCE 99999)",
    "1 UNSELECT",
    "1 RENAME Work Play",
    "1 RENAME nowhere Other",
    "1 RENAME Play INBOX",
    "1 STATUS Play/2024 (MESSAGES UIDNEXT)",
    "1 DELETE Play/2024",
    "1 DELETE Play/2024",
    "1 DELETE INBOX",
    "1 LIST \"\" \"*\"",
    "1 APPEND INBOX <M> <M>",
    "1 RENAME INBOX Old",
    "1 STATUS Old (MESSAGES)",
    "1 STATUS INBOX (MESSAGES)",
    "1 NONSENSE",
    "1 STATUS INBOX",
    "1 LIST \"\"",
    "1 SELECT",
];

/// A message whose header has one folded line.
const MESSAGE: &str = "From: a@example\r\nSubject: one\r\n two\r\nMessage-ID: <odd@example>\r\n\r\nbody\r\n";

/// What a server answers, without what each may choose for itself: words, UIDVALIDITY, MODSEQ, the order of items.
fn told(client: &mut Client, line: &str) -> Vec<String> {
    let line = line.replace("<M>", &format!("{{{}+}}\r\n{MESSAGE}", MESSAGE.len()));
    match client.command(&line) {
        Ok(answer) => {
            let mut told: Vec<String> = answer.untagged.iter().filter_map(|response| told_untagged(response)).collect();
            told.push(format!("OK {}", code_of(&answer.text)));
            told
        }
        Err(ClientError::Refused { answer, .. }) => vec![answer.split(' ').next().unwrap_or_default().to_owned()],
        Err(error) => vec![error.to_string()],
    }
}

/// The response code, UIDVALIDITY left out of it.
fn code_of(text: &str) -> String {
    let code = text.strip_prefix('[').and_then(|code| code.split(']').next()).unwrap_or_default();
    let words: Vec<&str> = code.split(' ').collect();
    match words[0] {
        "APPENDUID" | "COPYUID" => format!("{} V {}", words[0], words[2..].join(" ")),
        "READ-ONLY" | "READ-WRITE" => code.to_owned(),
        _ => String::new(),
    }
}

fn told_untagged(response: &[Value]) -> Option<String> {
    let word = |at: usize| response.get(at).and_then(Value::text).unwrap_or_default();
    match (word(1).as_str(), word(2).as_str()) {
        ("FLAGS" | "BYE", _) | (_, "RECENT") => None,
        ("OK", _) => {
            let code = code_of(&response[2..].iter().filter_map(Value::text).collect::<Vec<_>>().join(" "));
            let named = word(2).trim_matches(['[', ']']).split(' ').next().unwrap_or_default().to_owned();
            match named.as_str() {
                "UIDNEXT" => Some(format!("OK {}", word(2))),
                "COPYUID" => Some(format!("OK {code}")),
                _ => None,
            }
        }
        (_, "FETCH") => Some(format!("{} FETCH {}", word(1), told_pairs(response[3].list()))),
        ("STATUS", name) => Some(format!("STATUS {name} {}", told_pairs(response[3].list()))),
        ("LIST" | "LSUB", _) => {
            let counts =
                |attribute: &String| ["\\Noselect", "\\Subscribed", "\\HasChildren"].contains(&attribute.as_str());
            let mut attributes: Vec<String> =
                response[2].list().iter().filter_map(Value::text).filter(counts).collect();
            attributes.sort();
            Some(format!("{} {attributes:?} {} {}", word(1), word(3), word(4)))
        }
        _ => Some(format!("{:?}", &response[1..])),
    }
}

/// Names and values, in the order of the names.
fn told_pairs(items: &[Value]) -> String {
    let mut told = BTreeMap::new();
    for pair in items.chunks(2) {
        let name = pair[0].text().unwrap_or_default();
        let value = match name.as_str() {
            "MODSEQ" | "UIDVALIDITY" | "HIGHESTMODSEQ" => continue,
            "FLAGS" => {
                let flags = pair[1].list().iter().filter_map(Value::text).filter(|flag| flag != "\\Recent");
                let mut flags: Vec<String> = flags.collect();
                flags.sort();
                flags.join(" ")
            }
            "INTERNALDATE" => format!("{:?}", parse_date(&pair[1].text().unwrap_or_default())),
            _ => format!("{:?}", pair[1].text()),
        };
        told.insert(name, value);
    }
    format!("{told:?}")
}

/// The order of lines within one answer does not count.
fn sorted(mut told: Vec<String>) -> Vec<String> {
    told.sort();
    told
}

#[test]
fn a_session_has_the_same_meaning_on_dovecot_and_on_the_model() {
    let dovecot = Dovecot::builder().store(Store::Sdbox).start();
    let model = ModelServer::new(Traits::default());
    let served = serve(&model);
    let mut real = Pair::sign_in(dovecot.address(), dovecot.password());
    let mut modelled = Pair::sign_in(served.address(), PASSWORD);
    let mut differences = Vec::new();
    for line in SESSION {
        let (who, line) = line.split_once(' ').unwrap();
        let play = |pair: &mut Pair| sorted(told(if who == "1" { &mut pair.one } else { &mut pair.other }, line));
        let (expected, seen) = (play(&mut real), play(&mut modelled));
        if expected != seen {
            differences.push(format!("{who} {line}\n  Dovecot {expected:#?}\n  model   {seen:#?}"));
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn the_odd_corpus_is_held_and_handed_out_octet_by_octet() {
    let corpus = Corpus::odd();
    let kinds = [
        Traits::default(),
        Traits { uidplus: true, ..Traits::bare() },
        Traits { literals: Literals::Minus, ..Traits::default() },
        Traits { prefix: "INBOX.".to_owned(), delimiter: '.', holes: true, ..Traits::default() },
    ];
    for traits in kinds {
        let model = ModelServer::new(traits.clone());
        let served = serve(&model);
        let mut client = Client::sign_in(served.address(), "alice", PASSWORD).unwrap();
        corpus.load(&mut client).unwrap_or_else(|error| panic!("{traits:?}: {error}"));
        let contents = model.contents();
        assert_eq!(contents.values().map(Vec::len).sum::<usize>(), corpus.count());
        for mailbox in &corpus.mailboxes {
            let name = MailboxPath(mailbox.path.clone()).on_server(&traits.prefix, Some(traits.delimiter));
            let present = mailbox.messages.iter().enumerate().filter(|(at, _)| !mailbox.expunged.contains(at));
            let present: Vec<&CorpusMessage> = present.map(|(_, message)| message).collect();
            client.examine(&name).unwrap();
            let fetched = client.fetch_all().unwrap();
            let held = &contents[&name];
            assert_eq!((held.len(), fetched.len()), (present.len(), present.len()), "{name}");
            for ((message, held), fetched) in present.iter().zip(held).zip(&fetched) {
                let mut flags = message.flags.clone();
                flags.sort();
                assert!(message.octets == *held.octets && message.octets == fetched.octets, "{}", message.label);
                assert_eq!((message.unix_secs, Some(held.date)), (held.date, fetched.unix_secs()), "{}", message.label);
                assert_eq!((&flags, held.uid), (&held.flags, fetched.uid), "{}", message.label);
            }
        }
    }
}
