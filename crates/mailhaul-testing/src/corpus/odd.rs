//! Odd messages and odd mailbox names: whatever a real store can hold and a careless copier trips over.

use super::message::{self, Numbers, with_attachment};
use super::{CorpusMailbox, CorpusMessage};

const HOUR: i64 = 3600;
const YEAR: i64 = 31_556_952;
/// 1 January 2003.
pub(super) const FIRST_DAY: i64 = 1_041_379_200;

/// The odd messages with a label each. Pairs and triples that belong together share the beginning of their label.
#[must_use]
pub fn odd_messages() -> Vec<(&'static str, Vec<u8>)> {
    let mut messages = identities();
    messages.extend(headers());
    messages.extend(line_ends());
    messages.extend(bodies());
    messages
}

/// Messages that Dovecot stores otherwise than they were sent: the line end CR CR LF loses a CR.
#[must_use]
pub fn altered_by_dovecot() -> Vec<(&'static str, Vec<u8>)> {
    vec![("CR CR LF", b"Subject: twice\r\nMessage-ID: <cc@x.example>\r\n\r\nline\r\r\nline\r\n".to_vec())]
}

fn text(message: &str) -> Vec<u8> {
    message.replace('\n', "\r\n").into_bytes()
}

/// Messages that are mistaken for each other.
fn identities() -> Vec<(&'static str, Vec<u8>)> {
    let twin = text("Message-ID: <twin@x.example>\nDate: Mon, 6 Jan 2020 10:00:00 +0000\nSubject: twin\n\nthe same\n");
    vec![
        (
            "no Message-ID, with Received",
            text("Received: from a by b; Mon, 6 Jan 2020 10:00:00 +0000\nSubject: a\n\nx\n"),
        ),
        ("no Message-ID, no Received", text("From: a@x.example\nSubject: note to self\n\nmilk\n")),
        ("no Message-ID, no Received, no Date, again", text("From: a@x.example\nSubject: note to self\n\nbread\n")),
        ("twin 1", twin.clone()),
        ("twin 2", twin.clone()),
        ("twin 3", twin),
        ("one Message-ID, other subject", text("Message-ID: <one@x.example>\nSubject: first\n\nalpha\n")),
        ("one Message-ID, other subject, 2", text("Message-ID: <one@x.example>\nSubject: second\n\nbeta and more\n")),
        ("one Message-ID, equal sizes 1", text("Message-ID: <eq@x.example>\nSubject: aaaa\n\n1111\n")),
        ("one Message-ID, equal sizes 2", text("Message-ID: <eq@x.example>\nSubject: bbbb\n\n2222\n")),
        ("draft, first", text("Message-ID: <draft@x.example>\nSubject: a draft\nFrom: me@x.example\n\nDear\n")),
        ("draft, edited", text("Message-ID: <draft@x.example>\nSubject: a draft\nFrom: me@x.example\n\nDear Sir\n")),
        ("same header, other body 1", text("Message-ID: <sh@x.example>\nSubject: same\n\nleft\n")),
        ("same header, other body 2", text("Message-ID: <sh@x.example>\nSubject: same\n\nmost\n")),
        ("same body, other Received 1", text("Received: by one\nMessage-ID: <sb@x.example>\nSubject: list\n\nbody\n")),
        ("same body, other Received 2", text("Received: by two\nMessage-ID: <sb@x.example>\nSubject: list\n\nbody\n")),
        ("empty Message-ID", text("Message-ID: <>\nSubject: empty id\n\nx\n")),
        ("Message-ID twice", text("Message-ID: <a@x.example>\nMessage-ID: <b@x.example>\nSubject: two ids\n\nx\n")),
        ("Message-ID folded", text("Message-ID:\n <folded@x.example>\nSubject: folded id\n\nx\n")),
        ("Message-ID without brackets", text("Message-ID: no brackets at all\nSubject: bare id\n\nx\n")),
    ]
}

/// Messages with an odd header, or none.
fn headers() -> Vec<(&'static str, Vec<u8>)> {
    let long_name: String = (0..3000).map(|turn| format!(" <{turn}@long.example>\r\n")).collect();
    let huge: String = (0..2600).map(|turn| format!("X-Spam-{turn}: {}\r\n", "z".repeat(66))).collect();
    vec![
        ("no header, only body", text("\njust a body\n")),
        ("no header, no empty line", text("words without any colon\nand more\n")),
        ("only header, no empty line", text("From: a@x.example\nSubject: and nothing else\n")),
        ("empty body", text("From: a@x.example\nSubject: empty body\nMessage-ID: <eb@x.example>\n\n")),
        ("only a line break", b"\r\n".to_vec()),
        ("no final line break", b"Subject: ends early\r\nMessage-ID: <ee@x.example>\r\n\r\nno line break".to_vec()),
        ("no final line break in header", b"Subject: ends in the header".to_vec()),
        ("header of 200 KiB", format!("Subject: huge header\r\n{huge}\r\nbody\r\n").into_bytes()),
        (
            "long folding",
            format!("Subject: long\r\nReferences:\r\n{long_name}Message-ID: <lf@x.example>\r\n\r\nb\r\n").into(),
        ),
        ("folding of blanks", b"Subject: a\r\n \r\n\t\r\n b\r\nMessage-ID: <fb@x.example>\r\n\r\nbody\r\n".to_vec()),
        ("blank before colon", text("Subject : blank\nMessage-ID : <bc@x.example>\n\nbody\n")),
        ("From_ line first", text("From a@x.example Mon Jan  6 10:00:00 2020\nSubject: mbox\n\nbody\n")),
        ("8-bit header, UTF-8", "Subject: Grüße aus 東京 😀\r\nMessage-ID: <u8@x.example>\r\n\r\nbody\r\n".into()),
        ("8-bit header, Latin-1", b"Subject: Gr\xfc\xdfe\r\nFrom: J\xf6rg <j@x.example>\r\n\r\nbody\r\n".to_vec()),
        ("no space after colon", text("Subject:none\nMessage-ID:<ns@x.example>\n\nbody\n")),
        (
            "date that is none",
            text("Date: the day before yesterday\nSubject: date\nMessage-ID: <dn@x.example>\n\nbody\n"),
        ),
        ("empty fields", text("From:\nTo:\nSubject:\nDate:\nMessage-ID:\n\nbody\n")),
    ]
}

/// Messages whose lines end oddly.
fn line_ends() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("bare LF", b"Subject: bare LF\nMessage-ID: <lf@x.example>\n\nline\nline\n".to_vec()),
        ("bare LF in body only", b"Subject: mixed\r\nMessage-ID: <mx@x.example>\r\n\r\nline\nline\r\n".to_vec()),
        ("bare CR", b"Subject: bare CR\r\nMessage-ID: <cr@x.example>\r\n\r\nline\rline \r and\r\nline\r\n".to_vec()),
        ("NUL in body", b"Subject: nul\r\nMessage-ID: <nu@x.example>\r\n\r\na\0b\r\n".to_vec()),
        ("NUL at the end", b"Subject: nul end\r\nMessage-ID: <ne@x.example>\r\n\r\nab\r\n\0\0\0".to_vec()),
        ("dot lines", text("Subject: dots\nMessage-ID: <do@x.example>\n\n.\n..\n.x\n\n.\n")),
        (
            "From_ lines in body",
            text("Subject: from\nMessage-ID: <fr@x.example>\n\n\nFrom here on\n>From there\nFrom \n"),
        ),
        ("trailing blanks", text("Subject: blanks  \nMessage-ID: <tb@x.example>\n\nblank \n\ttab\t\n \n")),
        (
            "many empty lines at the end",
            text(&format!("Subject: end\nMessage-ID: <em@x.example>\n\nx{}", "\n".repeat(50))),
        ),
    ]
}

/// Messages whose body looks like something else, or is large.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let mut numbers = Numbers::new(77);
    let mut one_line = b"Subject: one line\r\nMessage-ID: <ol@x.example>\r\n\r\n".to_vec();
    one_line.extend(message::base64_lines(&mut numbers, 1 << 20).into_iter().filter(|octet| *octet > 32));
    let octets: Vec<u8> = numbers.octets(8192).flat_map(|octet| [octet | 128, b'.']).collect();
    let mut eight_bit = b"Subject: 8 bit\r\nMessage-ID: <8b@x.example>\r\n\r\n".to_vec();
    for line in octets.chunks(76) {
        eight_bit.extend_from_slice(line);
        eight_bit.extend_from_slice(b"\r\n");
    }
    let protocol = "Subject: protocol\nMessage-ID: <pr@x.example>\n\na1 OK done\nA0001 OK FETCH completed\nJ3 OK\n\
        * 1 FETCH (UID 1 BODY[] {5}\n+ go ahead\n* BYE leaving\n)\n";
    let literal = "Subject: literal {5}\nMessage-ID: <li@x.example>\n\n{5}\nhello {10+}\n~{3}\n{99999999999}\n";
    let nested: String = (0..200)
        .map(|depth| format!("Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n"))
        .collect();
    vec![
        ("one line of 1 MiB", one_line),
        ("8-bit body", eight_bit),
        ("protocol-like", text(protocol)),
        ("literal-like", text(literal)),
        (
            "the word CAPABILITY",
            text("Subject: CAPABILITY\nMessage-ID: <ca@x.example>\n\n* CAPABILITY IMAP4rev1 LITERAL+\n"),
        ),
        ("200 nested parts", format!("Subject: nested\r\nMIME-Version: 1.0\r\n{nested}deep\r\n").into_bytes()),
        ("attachment", with_attachment(&mut numbers, FIRST_DAY, 90_000)),
        ("one octet more than a literal's 4,096", sized(4097)),
        ("exactly 4,096 octets", sized(4096)),
        ("parentheses and quotes", text("Subject: \"((((\" \\\\ ))\nMessage-ID: <pq@x.example>\n\n)))\"\\\n")),
    ]
}

/// A message of exactly this many octets.
fn sized(octets: usize) -> Vec<u8> {
    let mut message = format!("Subject: {octets} octets\r\nMessage-ID: <{octets}@x.example>\r\n\r\n").into_bytes();
    message.resize(octets.max(message.len() + 2) - 2, b'x');
    message.extend_from_slice(b"\r\n");
    message
}

/// Flags that go round among the odd messages.
const FLAGS: [&[&str]; 8] = [
    &[],
    &["\\Seen"],
    &["\\Seen", "\\Answered"],
    &["\\Flagged"],
    &["\\Draft", "\\Seen"],
    &["\\Deleted"],
    &["\\Seen", "$Forwarded", "$Label1"],
    &["\\Answered", "\\Flagged", "\\Seen", "Work", "$MDNSent", "NonJunk"],
];

/// A message with flags and a date that depend on its number.
fn dressed(number: usize, label: &str, octets: Vec<u8>) -> CorpusMessage {
    let turn = i64::try_from(number).unwrap_or(0);
    CorpusMessage {
        label: label.to_owned(),
        octets,
        flags: FLAGS[number % FLAGS.len()].iter().map(|flag| (*flag).to_owned()).collect(),
        // Twenty years, never the same second twice, and some of it out of order.
        unix_secs: FIRST_DAY + turn * 7919 % 20 * YEAR + turn * 37 * HOUR + turn,
        zone_minutes: [0, 60, -480, 330, 765][number % 5],
    }
}

/// The mailboxes of the odd corpus.
pub(super) fn odd_mailboxes() -> Vec<CorpusMailbox> {
    let odd = odd_messages().into_iter().enumerate();
    let inbox = odd.map(|(number, (label, octets))| dressed(number, label, octets)).collect();
    let mut mailboxes = vec![CorpusMailbox::new(&["INBOX"], inbox)];
    for (number, path) in NAMES.iter().enumerate() {
        let text = format!("Subject: in {}\r\nMessage-ID: <n{number}@x.example>\r\n\r\nbody\r\n", path.join(" "));
        let message = dressed(number, path[path.len() - 1], text.into_bytes());
        mailboxes.push(CorpusMailbox::new(path, vec![message]));
    }
    mailboxes.push(CorpusMailbox::new(&["Empty"], Vec::new()));
    mailboxes.push(CorpusMailbox::new(&["Empty", "also empty"], Vec::new()).unsubscribed());
    mailboxes.push(sparse());
    mailboxes.push(same_second());
    mailboxes
}

/// Names that any server with nested mailboxes can hold, Cyrus among them, except where [`super::Corpus::for_cyrus`] takes them out.
/// `Container` itself is never created: a parent that cannot be selected.
const NAMES: [&[&str]; 22] = [
    &["Archive"],
    &["Archive", "2019"],
    &["Archive", "2019", "Q1", "January", "first week"],
    &["Container", "only child"],
    &["INBOX", "child of INBOX"],
    &["Entwürfe"],
    &["Gesendete Objekte"],
    &["日本語", "受信箱"],
    &["Ελληνικά"],
    &["emoji 😀👍🏽"],
    &["A & B"],
    &["&AMk-"],
    &["with \"quotes\""],
    &["back\\slash"],
    &["curly {5}"],
    &["(parentheses)"],
    &["Case"],
    &["CASE"],
    &["cafe\u{301}"],
    &["café"],
    &["two  blanks"],
    &["a name that is rather long, because somebody filed everything about the great reorganisation in one place"],
];

/// A mailbox most of whose UIDs are gone.
fn sparse() -> CorpusMailbox {
    let mut numbers = Numbers::new(5);
    let messages = (0..400_usize).map(|number| {
        let unix_secs = FIRST_DAY + i64::try_from(number).unwrap_or(0) * HOUR;
        dressed(number, "sparse", message::plain(&mut numbers, unix_secs, 600))
    });
    let mut mailbox = CorpusMailbox::new(&["Sparse"], messages.collect());
    mailbox.expunged = (0..400).filter(|number| number % 17 != 3).collect();
    mailbox
}

/// Messages without any header that came in the same second.
fn same_second() -> CorpusMailbox {
    let message = |body: &str| CorpusMessage {
        label: "same second".to_owned(),
        octets: format!("\r\n{body}\r\n").into_bytes(),
        flags: Vec::new(),
        unix_secs: FIRST_DAY,
        zone_minutes: 0,
    };
    CorpusMailbox::new(&["Same second"], ["one", "two", "two", "six"].map(message).into())
}
