//! Making messages: plain ones, ones with attachments, large ones; the same ones each time.

use crate::imap_client::format_date;

/// A small generator of numbers that are random enough for mail and the same on every machine (SplitMix64).
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// Starts at a seed.
    #[must_use]
    pub fn new(seed: u64) -> Numbers {
        Numbers(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is at least 1.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.draw() % limit.max(1)
    }

    /// So many octets.
    pub fn octets(&mut self, count: usize) -> impl Iterator<Item = u8> {
        (0..count).map(|_| self.draw().to_be_bytes()[0])
    }

    /// One of these.
    ///
    /// # Panics
    /// When there are none.
    pub fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        let count = u64::try_from(choices.len()).unwrap_or(u64::MAX);
        let at = usize::try_from(self.below(count)).unwrap_or(0);
        choices[at]
    }
}

const WORDS: [&str; 24] = [
    "meeting",
    "invoice",
    "the",
    "server",
    "tomorrow",
    "question",
    "and",
    "draft",
    "minutes",
    "of",
    "budget",
    "school",
    "holiday",
    "photograph",
    "order",
    "regarding",
    "reply",
    "plan",
    "a",
    "contract",
    "weekend",
    "garden",
    "choir",
    "bill",
];
const PEOPLE: [&str; 8] = ["alice", "bob", "carla", "dieter", "eva", "farid", "gustavo", "hye-jin"];
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Some words.
pub(crate) fn words(numbers: &mut Numbers, count: u64) -> String {
    (0..count).map(|_| numbers.pick(&WORDS)).collect::<Vec<_>>().join(" ")
}

/// The usual header without the empty line: Received, Date, From, To, Subject, Message-ID.
pub(crate) fn header(numbers: &mut Numbers, unix_secs: i64, subject: &str) -> String {
    let date = format_date(unix_secs, 60).replacen('-', " ", 2);
    let date = date.trim();
    let (from, to) = (numbers.pick(&PEOPLE), numbers.pick(&PEOPLE));
    let id = numbers.draw();
    format!(
        "Return-Path: <{from}@old.example>\r\n\
         Received: from mail.example ([192.0.2.7]) by old.example with ESMTP id {id:08x};\r\n\t{date}\r\n\
         Date: {date}\r\nFrom: {from}@old.example\r\nTo: {to}@old.example\r\nSubject: {subject}\r\n\
         Message-ID: <{id:016x}@old.example>\r\n"
    )
}

/// A body of about this many octets.
pub(crate) fn body(numbers: &mut Numbers, octets: usize) -> String {
    let mut body = String::with_capacity(octets + 100);
    while body.len() < octets {
        let count = 6 + numbers.below(6);
        body += &words(numbers, count);
        body += "\r\n";
    }
    body
}

/// A plain message of about this size.
pub(crate) fn plain(numbers: &mut Numbers, unix_secs: i64, octets: usize) -> Vec<u8> {
    let count = 2 + numbers.below(5);
    let subject = words(numbers, count);
    let mut message = header(numbers, unix_secs, &subject);
    message += "\r\n";
    let rest = octets.saturating_sub(message.len());
    message += &body(numbers, rest);
    message.into_bytes()
}

/// Lines of base64 that decode to something.
pub(crate) fn base64_lines(numbers: &mut Numbers, octets: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(octets + 78);
    while text.len() < octets {
        for _ in 0..19 {
            let mut bits = numbers.draw();
            for _ in 0..4 {
                text.push(BASE64[usize::try_from(bits & 63).unwrap_or(0)]);
                bits >>= 6;
            }
        }
        text.extend_from_slice(b"\r\n");
    }
    text
}

/// A message with a text and an attachment, of about this size.
#[must_use]
pub fn with_attachment(numbers: &mut Numbers, unix_secs: i64, octets: usize) -> Vec<u8> {
    let mut message = header(numbers, unix_secs, "with an attachment").into_bytes();
    message.extend_from_slice(
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=_border\"\r\n\r\nThis is MIME.\r\n\
          --=_border\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
          Gr\xc3\xbc\xc3\x9fe\r\n--=_border\r\nContent-Type: application/octet-stream\r\n\
          Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"scan.pdf\"\r\n\r\n",
    );
    let rest = octets.saturating_sub(message.len() + 15);
    message.extend(base64_lines(numbers, rest));
    message.extend_from_slice(b"--=_border--\r\n");
    message
}
