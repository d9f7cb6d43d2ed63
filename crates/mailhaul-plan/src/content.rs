//! Digests of whole messages, for the cases in which keys leave a choice.
//!
//! Line ends are made alike before digesting, because servers convert them: CRLF and LF count as the same, a CR on
//! its own is an octet like any other, and one line end at the very end does not count. Everything else counts.

use sha2::{Digest as _, Sha256};

/// What two messages are compared by: SHA-256, because here a difference proves something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentDigests {
    /// Over header and body.
    pub full: [u8; 32],
    /// Over what follows the first empty line; over nothing where there is none.
    pub body: [u8; 32],
}

impl ContentDigests {
    /// Of a message that is held in one piece.
    #[must_use]
    pub fn of_message(octets: &[u8]) -> Self {
        let mut digester = ContentDigester::default();
        digester.push(octets);
        digester.finish()
    }
}

/// Digests a message that arrives in pieces, in constant memory.
#[derive(Default)]
pub struct ContentDigester {
    full: Sha256,
    body: Sha256,
    lines: LineEnds,
    boundary: Boundary,
}

impl ContentDigester {
    /// The next piece, cut anywhere.
    pub fn push(&mut self, piece: &[u8]) {
        let Self { full, body, lines, boundary } = self;
        lines.push(piece, &mut |octets| digest(full, body, boundary, octets));
    }

    /// The digests, when everything was pushed.
    #[must_use]
    pub fn finish(mut self) -> ContentDigests {
        let Self { full, body, lines, boundary } = &mut self;
        lines.finish(&mut |octets| digest(full, body, boundary, octets));
        ContentDigests { full: self.full.finalize().into(), body: self.body.finalize().into() }
    }
}

fn digest(full: &mut Sha256, body: &mut Sha256, boundary: &mut Boundary, octets: &[u8]) {
    full.update(octets);
    body.update(boundary.body_part(octets));
}

/// Finds the empty line between header and body in text whose line ends are LF.
enum Boundary {
    /// Within the header; whether the next octet begins a line.
    Header { at_line_start: bool },
    /// Within the body.
    Body,
}

impl Default for Boundary {
    fn default() -> Self {
        Self::Header { at_line_start: true }
    }
}

impl Boundary {
    /// The part of `octets` that belongs to the body.
    fn body_part<'a>(&mut self, octets: &'a [u8]) -> &'a [u8] {
        let Self::Header { mut at_line_start } = *self else { return octets };
        let mut rest = octets;
        while let Some((&octet, after)) = rest.split_first() {
            if at_line_start && octet == b'\n' {
                *self = Self::Body;
                return after;
            }
            match memchr::memchr(b'\n', rest) {
                Some(end) => {
                    at_line_start = true;
                    rest = &rest[end + 1..];
                }
                None => {
                    at_line_start = false;
                    rest = &[];
                }
            }
        }
        *self = Self::Header { at_line_start };
        &[]
    }
}

/// Turns CRLF into LF and keeps the last line end back, over pieces that may be cut between CR and LF.
#[derive(Default)]
pub(crate) struct LineEnds {
    held: Held,
}

/// What was seen but not handed on yet, because it depends on what follows.
#[derive(Default, Clone, Copy)]
enum Held {
    #[default]
    Nothing,
    Return,
    /// A line end, as LF or CRLF.
    LineEnd,
    /// A line end and then CR.
    LineEndReturn,
}

impl LineEnds {
    pub(crate) fn push(&mut self, piece: &[u8], out: &mut impl FnMut(&[u8])) {
        let mut rest = piece;
        while let Some(&octet) = rest.first() {
            match (self.held, octet) {
                (Held::Nothing | Held::Return, b'\n') => self.held = Held::LineEnd,
                (Held::LineEnd | Held::LineEndReturn, b'\n') => {
                    out(b"\n");
                    self.held = Held::LineEnd;
                }
                (Held::Nothing, b'\r') => self.held = Held::Return,
                (Held::LineEnd, b'\r') => self.held = Held::LineEndReturn,
                (Held::Return, b'\r') => out(b"\r"),
                (Held::LineEndReturn, b'\r') => {
                    out(b"\n\r");
                    self.held = Held::Return;
                }
                _ => {
                    self.release(out);
                    let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                    out(&rest[..end]);
                    rest = &rest[end..];
                    continue;
                }
            }
            rest = &rest[1..];
        }
    }

    /// A line end that nothing follows is dropped; a CR that nothing follows is content.
    pub(crate) fn finish(&mut self, out: &mut impl FnMut(&[u8])) {
        match std::mem::take(&mut self.held) {
            Held::Nothing | Held::LineEnd => {}
            Held::Return => out(b"\r"),
            Held::LineEndReturn => out(b"\n\r"),
        }
    }

    fn release(&mut self, out: &mut impl FnMut(&[u8])) {
        match std::mem::take(&mut self.held) {
            Held::Nothing => {}
            Held::Return => out(b"\r"),
            Held::LineEnd => out(b"\n"),
            Held::LineEndReturn => out(b"\n\r"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(octets: &[u8]) -> ContentDigests {
        ContentDigests::of_message(octets)
    }

    fn sha(octets: &[u8]) -> [u8; 32] {
        Sha256::digest(octets).into()
    }

    #[test]
    fn line_ends_are_alike_and_the_last_one_does_not_count() {
        let cases: [(&[u8], &[u8], &[u8]); 11] = [
            (b"A: b\r\n\r\nbody\r\n", b"A: b\n\nbody", b"body"),
            (b"A: b\n\nbody\n", b"A: b\n\nbody", b"body"),
            (b"A: b\r\n\r\nbody", b"A: b\n\nbody", b"body"),
            (b"A: b\r\n\r\nbody\r\n\r\n", b"A: b\n\nbody\n", b"body\n"),
            (b"A: b\r\n", b"A: b", b""),
            (b"A: b\r\n\r\n", b"A: b\n", b""),
            (b"\r\nbody", b"\nbody", b"body"),
            (b"\r\n\r\nbody", b"\n\nbody", b"\nbody"),
            (b"A\rb\r\n\r\nc\r\r\nd\r", b"A\rb\n\nc\r\nd\r", b"c\r\nd\r"),
            (b"", b"", b""),
            (b"\r", b"\r", b""),
        ];
        for (message, full, body) in cases {
            let digests = of(message);
            assert_eq!(digests.full, sha(full), "{message:?}");
            assert_eq!(digests.body, sha(body), "{message:?}");
        }
    }

    #[test]
    fn headers_count_for_the_whole_and_not_for_the_body() {
        let (one, other) = (of(b"A: b\r\n\r\nbody"), of(b"A: c\r\n\r\nbody"));
        assert!(one.full != other.full && one.body == other.body);
        assert_ne!(of(b"A: b\r\n\r\nbody").body, of(b"A: b\r\n\r\nBody").body);
    }

    #[test]
    fn a_blank_on_an_otherwise_empty_line_does_not_end_the_header() {
        assert_eq!(of(b"A: b\r\n \r\nc\r\n\r\nbody").body, sha(b"body"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

        #[test]
        fn pieces_make_the_same_digests_as_the_whole(message in "[\r\na ]{0,24}", cuts in proptest::collection::vec(0usize..6, 0..12)) {
            let mut digester = ContentDigester::default();
            let mut rest = message.as_bytes();
            for cut in cuts {
                let (piece, others) = rest.split_at(cut.min(rest.len()));
                digester.push(piece);
                rest = others;
            }
            digester.push(rest);
            let plain = message.replace("\r\n", "\n");
            let plain = plain.strip_suffix('\n').unwrap_or(&plain);
            let body = plain.strip_prefix('\n').or_else(|| plain.split_once("\n\n").map(|(_, body)| body)).unwrap_or("");
            let expected = ContentDigests { full: sha(plain.as_bytes()), body: sha(body.as_bytes()) };
            prop_assert_eq!(digester.finish(), expected);
        }
    }
}
