//! Mail in which everything occurs that a server may alter, and what looks like it and is another mail.

use crate::simulation::{Mail, Shelf, Stage};
use mailhaul_testing::histories::Dice;
use mailhaul_types::Side;

/// One message. Latin-1, so that a character above 127 is one octet.
fn mail(number: u32, header: &str, body: &str, flags: &[&'static str]) -> Mail {
    let latin =
        |text: &str| -> Vec<u8> { text.chars().map(|one| u8::try_from(u32::from(one)).unwrap_or(b'?')).collect() };
    let octets = [latin(header), b"\r\n".to_vec(), latin(body)].concat();
    Mail { octets, date: 1_000_000_000 + i64::from(number) * 60, flags: flags.to_vec() }
}

fn common(number: u32, subject: &str) -> String {
    format!("Date: Sun, 9 Sep 2001 01:{:02}:40 +0000\r\nFrom: a@example.org\r\nSubject: {subject}\r\n", number % 60)
}

/// A message of some kind.
fn any(number: u32, dice: &mut Dice) -> Mail {
    let id = format!("Message-ID: <{number}@row>\r\n");
    match dice.below(9) {
        0 => mail(number, &format!("{}{id}", common(number, "gr\u{fc}n")), "Body\r\n", &["\\Seen"]),
        1 => mail(number, &common(number, &format!("\u{fc}ber {number}")), "Body\r\n", &[]),
        2 => mail(
            number,
            &format!("{}{id}Cc: c@example.org\r\nX-Label: {number}\r\n", common(number, "with Cc")),
            "Body\r\n",
            &[],
        ),
        3 => mail(
            number,
            &format!("{}References: <a@b>\r\nIn-Reply-To: <a@b>\r\n", common(number, &number.to_string())),
            "x\r\n",
            &[],
        ),
        4 => {
            mail(number, &format!("X-Only: {number}\r\n"), &format!("Nothing to be recognised by, {number}.\r\n"), &[])
        }
        5 => mail(number, &format!("{}{id}", common(number, "labelled")), "Body\r\n", &["\\Seen", "$Work", "Later"]),
        6 => mail(
            number,
            &format!("{}{id}X-Odd: gr\u{fc}n\r\n", common(number, "plain")),
            "B\u{f6}dy\r\n",
            &["\\Flagged"],
        ),
        7 => mail(number, &format!("{}{id}", common(number, "empty")), "", &[]),
        _ => mail(number, &format!("{}{id}", common(number, "plain")), "Body\r\n", &[]),
    }
}

/// What looks alike: twins, the same but for a masked octet, the same Message-ID under another body, a draft and its edited
/// form.
fn look_alikes(number: u32) -> Vec<Mail> {
    let id = format!("Message-ID: <alike-{number}@row>\r\n");
    let plain = |subject: &str, body: &str| mail(number, &format!("{}{id}", common(number, subject)), body, &[]);
    let draft = |body: &str| {
        mail(number, &format!("{}Message-ID: <draft-{number}@row>\r\n", common(number, "draft")), body, &["\\Draft"])
    };
    let umlaut = |subject: &str| mail(number, &common(number, subject), "The same body.\r\n", &[]);
    vec![
        plain("twin", "One.\r\n"),
        plain("twin", "One.\r\n"),
        plain("twin", "Another body.\r\n"),
        umlaut("gr\u{fc}n"),
        umlaut("gr\u{e4}n"),
        umlaut("grXn"),
        draft("First form.\r\n"),
        draft("Second form.\r\n"),
    ]
}

/// Two mailboxes.
pub(super) fn shelf(dice: &mut Dice) -> Shelf {
    let mut inbox: Vec<Mail> =
        (0..5 + dice.below(8)).map(|number| any(u32::try_from(number).unwrap_or(0), dice)).collect();
    inbox.extend(look_alikes(30));
    let work = (0..2 + dice.below(4)).map(|number| any(40 + u32::try_from(number).unwrap_or(0), dice)).collect();
    vec![(vec!["INBOX"], inbox), (vec!["Work"], work)]
}

/// More mail at the source, some of which looks like what is there already.
pub(super) fn more(stage: &Stage, dice: &mut Dice) {
    let inbox = stage.spell(Side::Source, &["INBOX"]);
    let mut mails: Vec<Mail> =
        (0..1 + dice.below(4)).map(|number| any(50 + u32::try_from(number).unwrap_or(0), dice)).collect();
    if dice.once_in(2) {
        mails.extend(look_alikes(30));
    }
    for mail in mails {
        stage.source.deliver(&inbox, &mail.octets, mail.date, &mail.flags);
    }
}

/// A message that looks like this one and is another: the same header over another body, or the same body under another
/// subject, if there is one.
pub(super) fn look_alike(octets: &[u8], same_header: bool) -> Vec<u8> {
    const SUBJECT: &[u8] = b"Subject: ";
    let subject = octets.windows(SUBJECT.len()).position(|window| window == SUBJECT).filter(|_| !same_header);
    match subject {
        Some(at) => [&octets[..at + SUBJECT.len()], b"somebody else's, not ", &octets[at + SUBJECT.len()..]].concat(),
        None => [octets, b"Somebody else has written this.\r\n"].concat(),
    }
}
