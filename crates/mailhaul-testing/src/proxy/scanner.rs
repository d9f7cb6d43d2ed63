//! Cuts one direction of an IMAP session into lines and literals, as the octets come.
//!
//! A first line is handed on whole, because its tag decides what becomes of it; everything after it passes piece by piece.

use crate::imap_client::literal_length;

/// A first line longer than this is passed on unread.
const HEAD_BYTES_MAX: usize = 1 << 16;

/// As much of a line's end as can matter: `{18446744073709551615+}` and CRLF.
const TAIL_BYTES: usize = 40;

/// A piece of the stream; together they are the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A first line with its CRLF. A literal may follow.
    Head(Vec<u8>),
    /// Part of a line that began before a literal.
    Rest(Vec<u8>),
    /// A literal begins; `waits` when the sender needs a `+` first.
    LiteralStart { waits: bool },
    /// Part of a literal.
    Literal(Vec<u8>),
    /// The command or response is complete.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    Rest,
    Literal { left: usize },
}

/// The state of one direction.
#[derive(Debug)]
pub(crate) struct Scanner {
    state: State,
    /// The first line so far, or the end of the present one.
    kept: Vec<u8>,
    /// A synchronising literal was announced and nothing came yet.
    waiting: bool,
    /// Only octets, no lines: what goes through is encrypted or compressed.
    opaque: bool,
}

impl Scanner {
    pub(crate) fn new() -> Scanner {
        Scanner { state: State::Head, kept: Vec::new(), waiting: false, opaque: false }
    }

    /// From now on everything is one long rest.
    pub(crate) fn be_opaque(&mut self) {
        self.opaque = true;
    }

    /// True when the sender announced a literal and may not send it yet.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// The announced literal will not come: the command was refused.
    pub(crate) fn cancel_literal(&mut self) {
        self.state = State::Head;
        self.waiting = false;
        self.kept.clear();
    }

    /// Takes the next octets in.
    pub(crate) fn feed(&mut self, mut octets: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        while !octets.is_empty() {
            if self.opaque {
                let mut all = std::mem::take(&mut self.kept);
                all.extend_from_slice(octets);
                pieces.push(Piece::Rest(all));
                return pieces;
            }
            self.waiting = false;
            let taken = match self.state {
                State::Head => self.head(octets, &mut pieces),
                State::Rest => self.rest(octets, &mut pieces),
                State::Literal { left } => self.literal(octets, left, &mut pieces),
            };
            octets = &octets[taken..];
        }
        pieces
    }

    /// What was held back when the stream ended.
    pub(crate) fn leftover(&mut self) -> Vec<u8> {
        if self.state == State::Head { std::mem::take(&mut self.kept) } else { Vec::new() }
    }

    fn head(&mut self, octets: &[u8], pieces: &mut Vec<Piece>) -> usize {
        let end = octets.iter().position(|octet| *octet == b'\n').map(|at| at + 1);
        let taken = end.unwrap_or(octets.len());
        self.kept.extend_from_slice(&octets[..taken]);
        if end.is_some() {
            let line = std::mem::take(&mut self.kept);
            let tail = line[line.len().saturating_sub(TAIL_BYTES)..].to_vec();
            pieces.push(Piece::Head(line));
            self.line_ended(&tail, pieces);
        } else if self.kept.len() > HEAD_BYTES_MAX {
            pieces.push(Piece::Rest(std::mem::take(&mut self.kept)));
            self.state = State::Rest;
        }
        taken
    }

    fn rest(&mut self, octets: &[u8], pieces: &mut Vec<Piece>) -> usize {
        let end = octets.iter().position(|octet| *octet == b'\n').map(|at| at + 1);
        let taken = end.unwrap_or(octets.len());
        pieces.push(Piece::Rest(octets[..taken].to_vec()));
        self.kept.extend_from_slice(&octets[..taken]);
        let surplus = self.kept.len().saturating_sub(TAIL_BYTES);
        self.kept.drain(..surplus);
        if end.is_some() {
            let tail = std::mem::take(&mut self.kept);
            self.line_ended(&tail, pieces);
        }
        taken
    }

    fn literal(&mut self, octets: &[u8], left: usize, pieces: &mut Vec<Piece>) -> usize {
        let taken = left.min(octets.len());
        pieces.push(Piece::Literal(octets[..taken].to_vec()));
        self.state = if taken == left { State::Rest } else { State::Literal { left: left - taken } };
        taken
    }

    fn line_ended(&mut self, tail: &[u8], pieces: &mut Vec<Piece>) {
        let Some(length) = literal_length(tail) else {
            pieces.push(Piece::End);
            self.state = State::Head;
            return;
        };
        let waits = !tail.ends_with(b"+}\r\n");
        pieces.push(Piece::LiteralStart { waits });
        self.waiting = waits;
        self.state = if length == 0 { State::Rest } else { State::Literal { left: length } };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"a1 NOOP\r\na2 APPEND x {5+}\r\nab\ncd () {0+}\r\n\r\na3 X {3}\r\nabc\r\n";

    fn joined(pieces: &[Piece]) -> Vec<u8> {
        let octets = pieces.iter().flat_map(|piece| match piece {
            Piece::Head(octets) | Piece::Rest(octets) | Piece::Literal(octets) => octets.as_slice(),
            Piece::LiteralStart { .. } | Piece::End => &[],
        });
        octets.copied().collect()
    }

    #[test]
    fn pieces_make_up_the_stream_however_it_is_chopped() {
        for step in 1..STREAM.len() {
            let mut scanner = Scanner::new();
            let pieces: Vec<Piece> = STREAM.chunks(step).flat_map(|chunk| scanner.feed(chunk)).collect();
            assert_eq!(joined(&pieces), STREAM);
            assert_eq!(pieces.iter().filter(|piece| **piece == Piece::End).count(), 3, "chunks of {step}");
            let heads = pieces.iter().filter(|piece| matches!(piece, Piece::Head(_))).count();
            let literals = pieces.iter().filter(|piece| matches!(piece, Piece::LiteralStart { .. })).count();
            assert_eq!((heads, literals), (3, 3));
        }
    }

    #[test]
    fn a_refused_literal_gives_way_to_the_next_command() {
        let mut scanner = Scanner::new();
        scanner.feed(b"a1 APPEND x {5}\r\n");
        assert!(scanner.is_waiting());
        scanner.cancel_literal();
        let pieces = scanner.feed(b"a2 NOOP\r\n");
        assert_eq!(pieces, [Piece::Head(b"a2 NOOP\r\n".to_vec()), Piece::End]);
    }

    #[test]
    fn half_a_line_is_held_back_and_not_lost() {
        let mut scanner = Scanner::new();
        assert!(scanner.feed(b"* OK half").is_empty());
        assert_eq!(scanner.leftover(), b"* OK half");
    }
}
