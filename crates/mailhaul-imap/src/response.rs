//! Telling responses apart, and reading the ones that every command meets.

use crate::error::ImapError;
use crate::status_line::{Status, StatusLine};
use crate::tokens::{Tokens, exact_u32, trim_line_end};
use crate::wire::Wire;
use crate::wire::reader::Piece;
use memchr::memchr;

/// Octets of a server's words that are kept.
const WORDS_MAX: usize = 4_096;
/// Octets of a response code that are kept: COPYUID names every UID twice. A longer one is dropped as a whole, because
/// a number that is cut reads as another number.
const CODE_MAX: usize = 256 * 1024;

/// A response, by its beginning.
pub(crate) enum Response<'a> {
    /// Ends the command with this tag.
    Tagged {
        /// The tag as it stands there.
        tag: &'a [u8],
        /// The verdict.
        line: StatusWords<'a>,
    },
    /// `+`: the server waits for us.
    Continue,
    /// An untagged verdict.
    Status(StatusWords<'a>),
    /// Untagged data: `* 3 EXISTS`, `* LIST …`.
    Data {
        /// The number in front, if there is one. 0 and other nonsense is passed on: some servers send `* 0 FETCH`.
        number: Option<u32>,
        /// The word that says what it is.
        word: &'a [u8],
        /// What follows.
        rest: Tokens<'a>,
    },
    /// None of these.
    Unreadable,
}

/// A verdict, not yet copied.
#[derive(Clone)]
pub(crate) struct StatusWords<'a> {
    pub(crate) status: Status,
    pub(crate) code: Option<&'a [u8]>,
    text: &'a [u8],
}

impl StatusWords<'_> {
    pub(crate) fn is_bye(&self) -> bool {
        self.status == Status::Bye
    }

    pub(crate) fn to_line(&self) -> StatusLine {
        let lossy = |octets: &[u8]| String::from_utf8_lossy(octets).trim().to_owned();
        StatusLine {
            status: self.status,
            code: self.code.filter(|code| code.len() <= CODE_MAX).map(lossy),
            text: lossy(&self.text[..self.text.len().min(WORDS_MAX)]),
        }
    }

    /// The arguments of the response code, if it is this one.
    pub(crate) fn code_arguments(&self, name: &str) -> Option<&[u8]> {
        arguments_of(self.code?, name)
    }
}

/// The arguments of the response code of a verdict that was kept, if it is this one.
pub(crate) fn code_arguments<'a>(line: &'a StatusLine, name: &str) -> Option<&'a [u8]> {
    arguments_of(line.code.as_deref()?.as_bytes(), name)
}

fn arguments_of<'a>(code: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let (word, rest) = code.split_at(code.iter().position(|octet| *octet == b' ').unwrap_or(code.len()));
    word.eq_ignore_ascii_case(name.as_bytes()).then(|| rest.trim_ascii())
}

impl<'a> Response<'a> {
    pub(crate) fn of(frame: &'a [u8]) -> Self {
        if frame.starts_with(b"* ") {
            return Self::untagged(frame);
        }
        let line = trim_line_end(frame);
        if line.starts_with(b"+") {
            return Self::Continue;
        }
        let Some(blank) = memchr(b' ', line) else { return Self::Unreadable };
        let (tag, rest) = line.split_at(blank);
        match status_words(rest.trim_ascii_start()) {
            Some(line) if !tag.is_empty() && tag != b"*" => Self::Tagged { tag, line },
            _ => Self::Unreadable,
        }
    }

    fn untagged(frame: &'a [u8]) -> Self {
        let rest = &frame[2..];
        let first_blank = memchr(b' ', rest).unwrap_or(rest.len());
        if exact_u32(&rest[..first_blank]).is_none()
            && let Some(line) = status_words(trim_line_end(rest))
        {
            return Self::Status(line);
        }
        // Over the whole response, so that places in it are places in the frame.
        let mut tokens = Tokens::new(frame).within(2..frame.len());
        let Some(first) = tokens.word() else { return Self::Unreadable };
        if !first.iter().all(u8::is_ascii_digit) {
            return Self::Data { number: None, word: first, rest: tokens };
        }
        match tokens.word() {
            Some(word) => Self::Data { number: exact_u32(first), word, rest: tokens },
            None => Self::Unreadable,
        }
    }
}

/// `OK [CODE args] words`. Some servers send `[CODE args] words` without a status: taken as OK.
fn status_words(line: &[u8]) -> Option<StatusWords<'_>> {
    let (status, rest) = if line.starts_with(b"[") {
        (Status::Ok, line)
    } else {
        let blank = memchr(b' ', line).unwrap_or(line.len());
        (Status::from_word(&line[..blank])?, line[blank..].trim_ascii_start())
    };
    let (code, text) = match rest.strip_prefix(b"[").and_then(|code| Some((code, code_end(code)?))) {
        Some((code, end)) => (Some(&code[..end]), &code[end + 1..]),
        None => (None, rest),
    };
    Some(StatusWords { status, code, text: text.trim_ascii() })
}

/// The closing bracket of a response code, skipping quoted strings: keywords may contain brackets in there.
fn code_end(code: &[u8]) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (place, octet) in code.iter().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b']' if !quoted => return Some(place),
            _ => {}
        }
    }
    memchr(b']', code)
}

/// The number in one of our own tags.
pub(crate) fn own_tag(tag: &[u8]) -> Option<u64> {
    let digits = tag.strip_prefix(b"M")?;
    if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// The error for a BYE. Some servers say why only in a refusal right behind it, so what has already arrived is
/// looked at.
pub(crate) fn bye(wire: &mut Wire, line: &StatusLine) -> ImapError {
    bye_of(&mut wire.reader, line)
}

/// As [`bye`], where only the reading half is at hand.
pub(crate) fn bye_of(reader: &mut crate::wire::reader::Reader, line: &StatusLine) -> ImapError {
    let mut text = line.to_string();
    if reader.open_literal() == 0
        && let Ok(Some(Piece::Frame(frame))) = reader.take()
        && let Response::Tagged { line, .. } = Response::of(&frame)
        && line.status != Status::Ok
    {
        text = format!("{text}; {}", line.to_line());
    }
    ImapError::Bye { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn status_of(frame: &[u8]) -> Option<StatusLine> {
        match Response::of(frame) {
            Response::Tagged { line, .. } | Response::Status(line) => Some(line.to_line()),
            _ => None,
        }
    }

    #[test]
    fn verdicts_are_read_with_code_and_words() {
        let line = status_of(b"M1 NO [OVERQUOTA] mailbox full \r\n").expect("a verdict");
        assert_eq!(line.to_string(), "NO [OVERQUOTA] mailbox full");
        assert_eq!(status_of(b"* [COPYUID 1 2 3] \r\n").expect("a verdict").code.as_deref(), Some("COPYUID 1 2 3"));
        assert_eq!(status_of(b"* OK\r\n").expect("a verdict").to_string(), "OK");
        assert_eq!(status_of(b"M1 ok [X unfinished\r\n").expect("a verdict").text, "[X unfinished");
        let quoted = status_of(b"* OK [BADCHARSET (\"a]b\")] x\r\n").expect("a verdict");
        assert_eq!(quoted.code.as_deref(), Some("BADCHARSET (\"a]b\")"));
        assert!(status_of(b"* LIST () NIL INBOX\r\n").is_none());
    }

    #[test]
    fn data_is_told_by_number_and_word() {
        let Response::Data { number, word, .. } = Response::of(b"* 12 EXISTS \r\n") else { panic!("data") };
        assert_eq!((number, word), (Some(12), &b"EXISTS"[..]));
        let Response::Data { number, word, .. } = Response::of(b"* 0 FETCH (FLAGS ())\r\n") else { panic!("data") };
        assert_eq!((number, word), (Some(0), &b"FETCH"[..]));
        let Response::Data { number, .. } = Response::of(b"* 99999999999 EXISTS\r\n") else { panic!("data") };
        assert_eq!(number, None);
    }

    #[test]
    fn only_our_own_tags_count() {
        assert_eq!(own_tag(b"M17"), Some(17));
        for other in [&b"A0001"[..], b"M", b"M1x", b"", b"M1234567890123456789"] {
            assert_eq!(own_tag(other), None);
        }
    }

    proptest! {
        #[test]
        fn any_line_is_told_apart_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut frame = b"* ".to_vec();
            for start in [0, 2] {
                frame.extend_from_slice(&octets);
                if let Response::Tagged { line, .. } | Response::Status(line) = Response::of(&frame[start..]) {
                    drop(line.to_line());
                }
            }
        }
    }
}
