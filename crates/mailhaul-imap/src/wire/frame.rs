//! Where one response ends: a line, or a line with literals in it (RFC 9051 §4.3). This is all that is looked at
//! before the limits have been checked.
//!
//! The scan is resumable: it keeps its place between reads, so that a line that arrives byte by byte, or never ends,
//! costs time in proportion to its length.

use crate::error::ImapError;
use memchr::memchr;

/// Octets of one response outside its literals. The longest legitimate ones are SEARCH answers, whose questions we
/// cut so that they stay below half of this.
pub(crate) const LINE_OCTETS_MAX: usize = 1 << 20;
/// Octets of the largest literal that is read at all, wanted or not: RFC822.SIZE is a number of 32 bits (RFC 3501 §9), and
/// no server keeps a mail as large as that. What is announced beyond it would never end.
pub(crate) const LITERAL_OCTETS_MAX: u64 = u32::MAX as u64;
/// Literals in one response.
const LITERALS_MAX: u32 = 64;

/// How far the current response has been scanned.
#[derive(Debug, Default)]
pub(crate) struct FrameScan {
    /// Everything before this offset is known: no line end between `line_start` and here.
    position: usize,
    line_start: usize,
    literals: u32,
    literal_octets: usize,
    kind: Kind,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Kind {
    #[default]
    NotYetKnown,
    /// Status responses, continuations and tagged responses end in words for people. `{5}` at their end is a word.
    Words,
    Data,
}

/// What the scan found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The response is not complete; at least this many octets more are needed.
    NeedMore(usize),
    /// The response has this many octets.
    Complete(usize),
    /// After this many octets a literal begins that is larger than is taken inline.
    Oversize { head: usize, octets: u64 },
}

impl FrameScan {
    /// A scan that begins behind a literal that was streamed: the rest of a data response.
    pub(crate) fn of_tail() -> Self {
        Self { kind: Kind::Data, ..Self::default() }
    }

    /// Goes on in `buffer`, which begins with the response.
    pub(crate) fn advance(&mut self, buffer: &[u8], inline_max: usize) -> Result<Found, ImapError> {
        loop {
            if self.position > buffer.len() {
                return Ok(Found::NeedMore(self.position - buffer.len()));
            }
            let Some(offset) = memchr(b'\n', &buffer[self.position..]) else {
                self.position = buffer.len();
                self.check_line(buffer.len())?;
                return Ok(Found::NeedMore(1));
            };
            let end = self.position + offset + 1;
            self.check_line(end)?;
            if self.kind == Kind::NotYetKnown {
                self.kind = kind_of(buffer);
            }
            let announced = match self.kind {
                Kind::Data => announced_literal(&buffer[self.line_start..end])?,
                Kind::Words | Kind::NotYetKnown => None,
            };
            let Some(octets) = announced else { return Ok(Found::Complete(end)) };
            let inline = usize::try_from(octets).ok().filter(|octets| *octets <= inline_max);
            let Some(inline) = inline else { return Ok(Found::Oversize { head: end, octets }) };
            self.literals += 1;
            if self.literals > LITERALS_MAX {
                return Err(ImapError::LimitExceeded {
                    what: format!("more than {LITERALS_MAX} literals in one response"),
                });
            }
            self.literal_octets += inline;
            if self.literal_octets > inline_max.saturating_add(LINE_OCTETS_MAX) {
                return Err(ImapError::LimitExceeded { what: "literals of one response together".to_owned() });
            }
            self.position = end + inline;
            self.line_start = self.position;
        }
    }

    fn check_line(&self, end: usize) -> Result<(), ImapError> {
        if end - self.literal_octets > LINE_OCTETS_MAX {
            return Err(ImapError::LimitExceeded {
                what: format!("a response line of more than {LINE_OCTETS_MAX} octets"),
            });
        }
        Ok(())
    }
}

fn kind_of(frame: &[u8]) -> Kind {
    let Some(rest) = frame.strip_prefix(b"* ") else { return Kind::Words };
    let end = rest.iter().position(|octet| matches!(octet, b' ' | b'\r' | b'\n')).unwrap_or(rest.len());
    let word = &rest[..end];
    if crate::status_line::Status::from_word(word).is_some() || word.starts_with(b"[") {
        Kind::Words
    } else {
        Kind::Data
    }
}

/// The literal announced at the end of a line: `{12}`, `{12+}`, `~{12}`. In front of it stands a blank, a
/// parenthesis, or the end of a section name; anything else is part of a carelessly written name.
fn announced_literal(line: &[u8]) -> Result<Option<u64>, ImapError> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let Some(line) = line.strip_suffix(b"}") else { return Ok(None) };
    let line = line.strip_suffix(b"+").unwrap_or(line);
    let digits = line.iter().rev().take_while(|octet| octet.is_ascii_digit()).count();
    let (before, figure) = line.split_at(line.len() - digits);
    let Some(before) = before.strip_suffix(b"{") else { return Ok(None) };
    if figure.is_empty() {
        return Ok(None);
    }
    let before = before.strip_suffix(b"~").unwrap_or(before);
    if !matches!(before.last(), None | Some(b' ' | b'(' | b']' | b'>')) {
        return Ok(None);
    }
    let octets = figure.iter().try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    match octets {
        Some(octets) if octets <= LITERAL_OCTETS_MAX => Ok(Some(octets)),
        _ => Err(ImapError::LimitExceeded {
            what: format!("a literal of more than {LITERAL_OCTETS_MAX} octets announced"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(frame: &[u8], inline_max: usize) -> Found {
        FrameScan::default().advance(frame, inline_max).expect("within limits")
    }

    #[test]
    fn a_line_is_a_frame() {
        assert_eq!(scan(b"* 1 EXISTS\r\n* 2", 10), Found::Complete(12));
        assert_eq!(scan(b"* 1 EXISTS\n* 2", 10), Found::Complete(11));
        assert_eq!(scan(b"* 1 EX", 10), Found::NeedMore(1));
    }

    #[test]
    fn literals_belong_to_their_frame() {
        let frame = b"* 1 FETCH (BODY[] {5}\r\na\r\nb\n UID 3)\r\nrest";
        assert_eq!(scan(frame, 10), Found::Complete(frame.len() - 4));
        assert_eq!(scan(b"* 1 FETCH (BODY[] ~{5+}\r\nab", 10), Found::NeedMore(3));
        assert_eq!(scan(b"* LIST () \"/\" {0}\r\n\r\n", 10), Found::Complete(21));
    }

    #[test]
    fn what_is_too_large_is_told_before_it_comes() {
        assert_eq!(scan(b"* 1 FETCH (BODY[] {11}\r\n", 10), Found::Oversize { head: 24, octets: 11 });
        assert!(matches!(
            scan(b"* 1 FETCH (BODY[] {4294967295}\r\n", 10),
            Found::Oversize { octets: 4_294_967_295, .. }
        ));
        for absurd in ["4294967296", "4000000000000000000", "99999999999999999999"] {
            let announced = format!("* 1 FETCH (BODY[] {{{absurd}}}\r\n");
            assert!(FrameScan::default().advance(announced.as_bytes(), 10).is_err(), "{absurd}");
        }
    }

    #[test]
    fn words_for_people_announce_nothing() {
        for frame in [&b"* OK see {5}\r\n"[..], b"A1 NO see {5}\r\n", b"+ go {5}\r\n", b"* [ALERT] x {5}\r\n"] {
            assert_eq!(scan(frame, 10), Found::Complete(frame.len()));
        }
        assert_eq!(scan(b"* LIST () \"/\" foo{5}\r\n", 10), Found::Complete(22));
    }

    #[test]
    fn an_endless_line_is_refused_at_the_bound_and_costs_what_it_weighs() {
        let line = vec![b'x'; LINE_OCTETS_MAX + 2];
        let mut scan = FrameScan::default();
        for end in (0..=LINE_OCTETS_MAX).step_by(4_096) {
            assert_eq!(scan.advance(&line[..end], 10).expect("below the bound"), Found::NeedMore(1));
            assert_eq!(scan.position, end);
        }
        assert!(matches!(scan.advance(&line, 10), Err(ImapError::LimitExceeded { .. })));
    }

    #[test]
    fn many_literals_are_refused() {
        let mut frame = b"* X".to_vec();
        for _ in 0..=LITERALS_MAX {
            frame.extend_from_slice(b" {0}\r\n");
        }
        frame.extend_from_slice(b"\r\n");
        assert!(matches!(FrameScan::default().advance(&frame, 10), Err(ImapError::LimitExceeded { .. })));
    }
}
