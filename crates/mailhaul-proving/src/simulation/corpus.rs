//! Little mail that has everything in it that goes wrong.

use mailhaul_testing::histories::Dice;
use mailhaul_testing::model::ModelServer;

/// A message to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Its octets.
    pub octets: Vec<u8>,
    /// Seconds since 1970.
    pub date: i64,
    /// Its flags.
    pub flags: Vec<&'static str>,
}

/// Mailboxes by their path, with what is in them.
pub type Shelf = Vec<(Vec<&'static str>, Vec<Mail>)>;

const DATE: i64 = 1_000_000_000;

fn mail(number: u32, header: &str, body: &str) -> Mail {
    let octets = format!("From: a@example.org\r\n{header}Subject: {number}\r\n\r\n{body}").into_bytes();
    let flags: &[&str] = match number % 4 {
        0 => &["\\Seen"],
        1 => &[],
        2 => &["\\Seen", "\\Answered"],
        _ => &["\\Flagged"],
    };
    Mail { octets, date: DATE + i64::from(number) * 60, flags: flags.to_vec() }
}

/// One of a kind.
fn plain(number: u32) -> Mail {
    mail(number, &format!("Message-ID: <{number}@simulation>\r\n"), &format!("This is {number}.\r\n"))
}

/// Six messages in two mailboxes, for what is tried thousands of times.
#[must_use]
pub fn few() -> Shelf {
    let twin = plain(3);
    vec![
        (vec!["INBOX"], vec![plain(1), mail(2, "", ""), twin.clone(), twin]),
        (
            vec!["Work"],
            vec![plain(4), mail(5, "Message-ID: <1@simulation>\r\n", "Another mail under the same name.\r\n")],
        ),
    ]
}

/// One mailbox with so many messages.
#[cfg(test)]
pub(super) fn one_mailbox(messages: u32) -> Shelf {
    vec![(vec!["INBOX"], (1..=messages).map(plain).collect())]
}

/// The same, every third with so many octets.
#[cfg(test)]
pub(super) fn one_mailbox_with_large(messages: u32, octets: usize) -> Shelf {
    let one = |number| match number % 3 {
        0 => mail(number, &format!("Message-ID: <{number}@simulation>\r\n"), &"x".repeat(octets)),
        _ => plain(number),
    };
    vec![(vec!["INBOX"], (1..=messages).map(one).collect())]
}

/// So large, in octets, are the bodies of two messages of [`with_large`].
pub(super) const LARGE_OCTETS: [usize; 2] = [600, 1_200];

/// [`few`], and two large messages among them.
#[must_use]
pub fn with_large() -> Shelf {
    let mut shelf = few();
    for ((_, mails), (number, octets)) in shelf.iter_mut().zip((6..).zip(LARGE_OCTETS)) {
        mails.push(mail(number, &format!("Message-ID: <{number}@simulation>\r\n"), &"x".repeat(octets)));
    }
    shelf
}

/// Some mailboxes with messages as they come, a few of them odd.
#[must_use]
pub fn small(dice: &mut Dice) -> Shelf {
    let mut number = 0;
    let paths = [vec!["INBOX"], vec!["Work"], vec!["Work", "Old"], vec!["Empty"]];
    let filled = |path: &Vec<&'static str>, dice: &mut Dice, number: &mut u32| {
        let count = if path[0] == "Empty" { 0 } else { dice.below(7) };
        let mut mails: Vec<Mail> = Vec::new();
        for _ in 0..count {
            *number += 1;
            mails.push(any(*number, dice, mails.last()));
        }
        mails
    };
    paths.iter().map(|path| (path.clone(), filled(path, dice, &mut number))).collect()
}

/// A message as it may come; `last` is the one that came before it.
pub(super) fn any(number: u32, dice: &mut Dice, last: Option<&Mail>) -> Mail {
    match (dice.below(12), last) {
        (0, Some(last)) => last.clone(),
        (1, _) => mail(number, "", &format!("No Message-ID, {number}.\r\n")),
        (2, _) => {
            mail(number, &format!("Message-ID: <{}@simulation>\r\n", number.saturating_sub(1)), "The same name.\r\n")
        }
        (3, _) => mail(number, &format!("Message-ID: <{number}@simulation>\r\n"), ""),
        (4, _) => mail(number, &format!("Message-ID: <{number}@simulation>\r\n"), "no line end"),
        (5, _) => mail(number, &format!("Message-ID: <{number}@simulation>\r\n"), &"long line ".repeat(600)),
        (7, _) => mail(
            number,
            &format!("Message-ID: <{number}@simulation>\r\nTo: J\u{f6}rg <j@example.org>\r\nX-Odd: 1\r\n"),
            "8 bits.\r\n",
        ),
        (6, _) => {
            let mut odd = plain(number);
            odd.flags = vec!["\\Seen", "$Forwarded", "Work"];
            odd
        }
        _ => plain(number),
    }
}

/// Puts a shelf into a server, in its own spelling.
pub(super) fn fill(server: &ModelServer, shelf: &Shelf, spell: impl Fn(&[&str]) -> String) {
    for (path, mails) in shelf {
        let name = spell(path);
        server.create(&name);
        server.subscribe(&name);
        for mail in mails {
            server.deliver(&name, &mail.octets, mail.date, &mail.flags);
        }
    }
}
