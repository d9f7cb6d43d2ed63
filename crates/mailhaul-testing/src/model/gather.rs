//! Commands out of octets, which may come one by one: lines, joined where one ends in the announcement of a literal.

/// The longest line that is put up with.
const LINE_OCTETS_MAX: usize = 1 << 20;
/// The largest literal that is put up with.
const LITERAL_OCTETS_MAX: u64 = 1 << 30;

/// What has been gathered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A whole command with its literals, without the CRLF that ends it.
    Command {
        /// Its octets.
        octets: Vec<u8>,
        /// The largest literal in it that was sent without being asked for.
        unasked: Option<u64>,
    },
    /// A literal is announced, and the client waits for leave to send it.
    Waiting {
        /// What has come of the command so far, with the announcement.
        so_far: Vec<u8>,
        /// How large the literal is.
        octets: u64,
    },
    /// A line or a literal is too long to be put up with; nothing comes behind this.
    TooLong,
}

/// Octets that have come and are no command yet.
#[derive(Debug, Default)]
pub(super) struct Gatherer {
    octets: Vec<u8>,
    /// Where the command begins.
    start: usize,
    /// Where the line begins that is being looked at; it may be the rest of one, behind a literal.
    line: usize,
    /// How far that line has been searched for its end.
    searched: usize,
    /// Octets of a literal that have not come.
    literal_left: usize,
    /// The largest literal of this command that was not asked for.
    unasked: Option<u64>,
    /// Something was too long; nothing is taken any more.
    given_up: bool,
}

impl Gatherer {
    pub(super) fn push(&mut self, octets: &[u8]) {
        if !self.given_up {
            self.octets.extend_from_slice(octets);
        }
    }

    fn give_up(&mut self) -> Option<Piece> {
        *self = Self { given_up: true, ..Self::default() };
        Some(Piece::TooLong)
    }

    /// The next piece. A literal that is announced without waiting is gathered with the rest.
    pub(super) fn next(&mut self) -> Option<Piece> {
        loop {
            if self.literal_left > 0 {
                let taken = self.literal_left.min(self.octets.len() - self.line);
                self.literal_left -= taken;
                self.line += taken;
                self.searched = self.line;
                if self.literal_left > 0 {
                    return None;
                }
            }
            let Some(end) = self.octets[self.searched..].iter().position(|octet| *octet == b'\n') else {
                self.searched = self.octets.len();
                return if self.searched - self.line > LINE_OCTETS_MAX { self.give_up() } else { None };
            };
            let end = self.searched + end;
            let line = &self.octets[self.line..end];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let announced = announced(line);
            let text_end = self.line + line.len();
            self.line = end + 1;
            self.searched = self.line;
            match announced {
                None => {
                    let unasked = self.unasked;
                    return Some(Piece::Command { octets: self.take_command(text_end), unasked });
                }
                Some((octets, _)) if octets > LITERAL_OCTETS_MAX => return self.give_up(),
                Some((octets, waits)) => {
                    self.literal_left = usize::try_from(octets).unwrap_or(usize::MAX);
                    if waits {
                        let so_far = self.octets[self.start..text_end].to_vec();
                        return Some(Piece::Waiting { so_far, octets });
                    }
                    self.unasked = self.unasked.max(Some(octets));
                }
            }
        }
    }

    /// Forgets the command whose literal was refused: it ends with its announcement.
    pub(super) fn abandon(&mut self) {
        self.literal_left = 0;
        self.take_command(self.line);
    }

    fn take_command(&mut self, text_end: usize) -> Vec<u8> {
        let command = self.octets[self.start..text_end].to_vec();
        self.unasked = None;
        self.start = self.line;
        if self.start == self.octets.len() || self.start > LINE_OCTETS_MAX {
            self.octets.drain(..self.start);
            (self.start, self.line, self.searched) = (0, 0, 0);
        }
        command
    }
}

/// The size that a line's end announces, and whether the client waits for leave (RFC 7888).
pub(super) fn announced(line: &[u8]) -> Option<(u64, bool)> {
    let inner = line.strip_suffix(b"}")?;
    let brace = inner.iter().rposition(|octet| *octet == b'{')?;
    let digits = &inner[brace + 1..];
    let (digits, waits) = digits.strip_suffix(b"+").map_or((digits, true), |digits| (digits, false));
    let text = std::str::from_utf8(digits).ok()?;
    (!text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit())).then_some(())?;
    // What does not fit is larger than anything that is put up with.
    Some((text.parse().unwrap_or(u64::MAX), waits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(octets: &[u8], width: usize) -> Vec<Piece> {
        let mut gatherer = Gatherer::default();
        let mut pieces = Vec::new();
        for chunk in octets.chunks(width) {
            gatherer.push(chunk);
            while let Some(piece) = gatherer.next() {
                pieces.push(piece);
            }
        }
        pieces
    }

    fn command(octets: &[u8], unasked: Option<u64>) -> Piece {
        Piece::Command { octets: octets.to_vec(), unasked }
    }

    #[test]
    fn commands_are_the_same_however_their_octets_arrive() {
        let octets = b"a NOOP\r\nb APPEND INBOX {5+}\r\n{3}\r\n (x) {0}\r\n\r\nc LOGIN {1}\r\nx \"y\"\n";
        let expected = vec![
            command(b"a NOOP", None),
            Piece::Waiting { so_far: b"b APPEND INBOX {5+}\r\n{3}\r\n (x) {0}".to_vec(), octets: 0 },
            command(b"b APPEND INBOX {5+}\r\n{3}\r\n (x) {0}\r\n", Some(5)),
            Piece::Waiting { so_far: b"c LOGIN {1}".to_vec(), octets: 1 },
            command(b"c LOGIN {1}\r\nx \"y\"", None),
        ];
        for width in 1..octets.len() {
            assert_eq!(commands(octets, width), expected, "in pieces of {width}");
        }
    }

    #[test]
    fn a_refused_literal_leaves_nothing_behind() {
        let mut gatherer = Gatherer::default();
        gatherer.push(b"a LOGIN {4}\r\n");
        assert!(matches!(gatherer.next(), Some(Piece::Waiting { octets: 4, .. })));
        gatherer.abandon();
        gatherer.push(b"b NOOP\r\n");
        assert_eq!(gatherer.next(), Some(command(b"b NOOP", None)));
        assert_eq!(gatherer.next(), None);
    }

    #[test]
    fn what_never_ends_is_not_put_up_with() {
        assert_eq!(commands(&vec![b'x'; LINE_OCTETS_MAX + 2], 1 << 16), [Piece::TooLong]);
        assert_eq!(commands(b"a APPEND INBOX {99999999999999999999999+}\r\n", 7), [Piece::TooLong]);
    }
}
