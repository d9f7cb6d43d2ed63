//! Mail for the rows: twelve mailboxes, some of them oddly named, with as many messages as a row can use.
//!
//! Every account has mail of its own, and the same each time. Among each hundred are a pair of twins, one message
//! without a Message-ID and two different ones with the same; INBOX holds all odd messages as well.

use mailhaul_testing::Dovecot;
use mailhaul_testing::corpus::{Corpus, CorpusMailbox, CorpusMessage, odd_messages};
use mailhaul_testing::judge::Rules;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The mailboxes: a tree, a name below INBOX, other alphabets, names that differ only in case or in how an accent is
/// written, names that need quoting.
const MAILBOXES: [&[&str]; 12] = [
    &["INBOX"],
    &["Archive"],
    &["Archive", "2019"],
    &["Archive", "2019", "Q1"],
    &["INBOX", "child of INBOX"],
    &["Case"],
    &["CASE"],
    &["cafe\u{301}"],
    &["café"],
    &["日本語", "受信箱"],
    &["with \"quotes\" & more"],
    &["two  blanks"],
];
/// 9 September 2001.
const FIRST_DAY: i64 = 1_000_000_000;
const FLAGS: [&[&str]; 5] = [&[], &["\\Seen"], &["\\Seen", "\\Answered"], &["\\Flagged", "$Label1"], &["\\Deleted"]];

/// The mail of one account: so many messages in each of the first so many mailboxes.
#[must_use]
pub fn account(number: usize, mailboxes: usize, messages: usize) -> Corpus {
    let mailboxes = MAILBOXES.iter().take(mailboxes).enumerate().map(|(turn, path)| {
        let plain = (0..messages).map(|at| plain_message(number, turn, at));
        let odd: Vec<CorpusMessage> = if turn == 0 { odd().collect() } else { Vec::new() };
        CorpusMailbox::new(path, odd.into_iter().chain(plain).collect())
    });
    Corpus { mailboxes: mailboxes.collect() }
}

/// Puts a further mailbox with messages into an account whose mail has all been copied: a run with nothing to do is over
/// before anything could be done to it. Says how many octets it holds.
///
/// # Panics
/// When the server does not take it.
pub fn deliver_more(server: &Dovecot, user: &str, messages: usize) -> u64 {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    let name = format!("More {turn}");
    let messages = (0..messages).map(|at| plain_message(1_000 + turn, 0, at)).collect();
    let corpus = Corpus { mailboxes: vec![CorpusMailbox::new(&[&name], messages)] };
    corpus.write_maildir(server, user).expect("the source takes more mail");
    octets(&corpus)
}

/// Octets of all messages.
#[must_use]
pub fn octets(corpus: &Corpus) -> u64 {
    let messages = corpus.mailboxes.iter().flat_map(|mailbox| &mailbox.messages);
    messages.map(|message| message.octets.len() as u64).sum()
}

/// What the judge must know: of names that differ only in case, or in how an accent is written, one gets another name.
#[must_use]
pub fn rules() -> Rules {
    Rules::new().map("Case", "Case-2").map("caf\u{e9}", "caf\u{e9}-2")
}

fn odd() -> impl Iterator<Item = CorpusMessage> {
    let odd = odd_messages().into_iter().enumerate();
    odd.map(|(turn, (label, octets))| message(label, octets, turn))
}

fn plain_message(account: usize, mailbox: usize, at: usize) -> CorpusMessage {
    // Of each hundred, 51 is 50 once more; 61 shares its Message-ID with 60; 70 has none.
    let number = if at % 100 == 51 { at - 1 } else { at };
    let id = if number % 100 == 61 { number - 1 } else { number };
    let mut text =
        format!("From: a@x.example\r\nTo: u{account}@x.example\r\nDate: Sun, 09 Sep 2001 01:46:40 +0000\r\n");
    if number % 100 != 70 {
        let _ = write!(text, "Message-ID: <{id}.{mailbox}.{account}@x.example>\r\n");
    }
    let _ = write!(text, "Subject: number {number}\r\n\r\naccount {account}, mailbox {mailbox}, message {number}\r\n");
    for _ in 0..number * 7 % 23 {
        text += "All work and no play makes Jack a dull boy.\r\n";
    }
    message("plain", text.into_bytes(), number)
}

fn message(label: &str, octets: Vec<u8>, turn: usize) -> CorpusMessage {
    CorpusMessage {
        label: label.to_owned(),
        octets,
        flags: FLAGS[turn % FLAGS.len()].iter().map(|flag| (*flag).to_owned()).collect(),
        unix_secs: FIRST_DAY + i64::try_from(turn).unwrap_or(0) * 61,
        zone_minutes: 0,
    }
}
