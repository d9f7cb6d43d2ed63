//! The mail that is moved: made from a seed, the same in every run, in the sizes that a row asks for.

use std::ops::Range;

use mailhaul_testing::corpus::Numbers;
use mailhaul_testing::imap_client::format_date;

/// One message as both ends see it.
pub(crate) struct Mail {
    /// Flags without parentheses.
    pub(crate) flags: &'static str,
    /// INTERNALDATE without quotes.
    pub(crate) date: String,
    pub(crate) octets: Vec<u8>,
}

/// What people's mailboxes look like: most is read, some is answered, little is flagged.
const FLAGS: [&str; 8] =
    ["\\Seen", "\\Seen", "\\Seen", "\\Answered \\Seen", "\\Seen", "", "\\Seen $Forwarded", "\\Flagged \\Seen"];
/// Nine words of seven letters, a blank behind each, and CRLF.
const LINE_OCTETS: usize = 9 * 8 + 2;
const FIRST_DATE: u64 = 1_100_000_000;
const TWENTY_YEARS_SECS: u64 = 20 * 365 * 86_400;

/// So many messages of about these sizes in octets, none larger.
pub(crate) fn messages(count: usize, sizes: Range<u64>) -> Vec<Mail> {
    let mut numbers = Numbers::new(0x6d61_696c);
    (0..count)
        .map(|at| {
            let octets = sizes.start + numbers.below(sizes.end - sizes.start);
            message(&mut numbers, FLAGS[at % FLAGS.len()], usize::try_from(octets).unwrap_or(0))
        })
        .collect()
}

/// What an account that has grown over years holds: so many times 2,000 messages and 148 MiB, of which a fifth of the
/// octets stands in mails over 5 MiB. Each with the mailbox of forty that it is in; the first of them are the largest.
pub(crate) fn mixed(times: usize) -> Vec<(usize, Mail)> {
    let mut numbers = Numbers::new(0x6d69_7865);
    let mut mails = Vec::new();
    for at in 0..2_000 * times {
        let sizes = match at % 400 {
            0 => 5_300_000..6_900_000,
            _ => match numbers.below(100) {
                0..70 => 3_000..20_000,
                70..95 => 20_000..100_000,
                _ => 300_000..1_500_000,
            },
        };
        let octets = sizes.start + numbers.below(sizes.end - sizes.start);
        let mail = message(&mut numbers, FLAGS[at % FLAGS.len()], usize::try_from(octets).unwrap_or(0));
        // The square of an evenly distributed number: most of the mail is in a few mailboxes.
        let place = numbers.below(1_000) * numbers.below(1_000) * 40 / 1_000_000;
        mails.push((usize::try_from(place).unwrap_or(0), mail));
    }
    mails
}

/// One message of about this many octets.
pub(crate) fn large(octets: usize) -> Vec<Mail> {
    vec![message(&mut Numbers::new(1), "\\Seen", octets)]
}

/// So many messages with hardly anything in them.
pub(crate) fn tiny(count: usize) -> Vec<Mail> {
    let one = |at: usize| Mail {
        flags: FLAGS[at % FLAGS.len()],
        date: "17-Jul-1996 02:44:25 -0700".to_owned(),
        octets: format!("Message-ID: <{at}@old.example>\r\nSubject: {at}\r\n\r\nYes.\r\n").into_bytes(),
    };
    (0..count).map(one).collect()
}

fn message(numbers: &mut Numbers, flags: &'static str, octets: usize) -> Mail {
    let unix_secs = i64::try_from(FIRST_DATE + numbers.below(TWENTY_YEARS_SECS)).unwrap_or(0);
    let date = format_date(unix_secs, 60).trim().to_owned();
    let (first, second) = (numbers.draw(), numbers.draw());
    let written = date.replacen('-', " ", 2);
    let mut text = format!(
        "Return-Path: <list-{first:x}@lists.example>\r\n\
         Received: from mx.example (mx.example [192.0.2.{}])\r\n\tby mail.old.example (Postfix) with ESMTPS id {first:016X}\r\n\t\
         for <alice@old.example>; {written}\r\n\
         Received: from [198.51.100.{}] by mx.example with ESMTPSA id {second:016x}; {written}\r\n\
         Date: {written}\r\nFrom: \"A sender\" <sender-{second:x}@other.example>\r\nTo: Alice <alice@old.example>\r\n\
         Subject: Minutes of meeting {first} and what was asked\r\nMessage-ID: <{first:016x}.{second:016x}@other.example>\r\n\
         In-Reply-To: <{second:016x}@old.example>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n",
        numbers.below(255),
        numbers.below(255),
    )
    .into_bytes();
    text.reserve(octets.saturating_sub(text.len()));
    while text.len() + LINE_OCTETS <= octets {
        for _ in 0..9 {
            let mut word = numbers.draw();
            for _ in 0..7 {
                text.push(b'a' + u8::try_from(word % 26).unwrap_or(0));
                word /= 26;
            }
            text.push(b' ');
        }
        text.extend_from_slice(b"\r\n");
    }
    Mail { flags, date, octets: text }
}
