//! What stands in an IMAP response: atoms, strings, NIL and lists.

/// One element of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// An atom, a number or a flag, with everything in its square brackets (`BODY[HEADER.FIELDS (DATE)]`).
    Atom(Vec<u8>),
    /// A quoted string or a literal.
    Text(Vec<u8>),
    /// NIL.
    Nil,
    /// A parenthesised list.
    List(Vec<Value>),
}

impl Value {
    /// The octets of an atom or a string; none for NIL and lists.
    #[must_use]
    pub fn octets(&self) -> Option<&[u8]> {
        match self {
            Value::Atom(octets) | Value::Text(octets) => Some(octets),
            Value::Nil | Value::List(_) => None,
        }
    }

    /// The octets as text, doubtful ones replaced.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        self.octets().map(|octets| String::from_utf8_lossy(octets).into_owned())
    }

    /// A decimal number.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        self.text()?.parse().ok()
    }

    /// The elements of a list; nothing for anything else.
    #[must_use]
    pub fn list(&self) -> &[Value] {
        match self {
            Value::List(elements) => elements,
            _ => &[],
        }
    }
}

/// All elements of a response, its literals in place (`{5}` CRLF and then the octets).
pub(crate) fn parse(response: &[u8]) -> Vec<Value> {
    let mut parser = Parser { octets: response, at: 0 };
    parser.elements()
}

struct Parser<'a> {
    octets: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.octets.get(self.at).copied()
    }

    /// Elements up to a closing parenthesis or the end.
    fn elements(&mut self) -> Vec<Value> {
        let mut elements = Vec::new();
        while let Some(octet) = self.peek() {
            match octet {
                b' ' | b'\r' | b'\n' => self.at += 1,
                b')' => break,
                b'(' => {
                    self.at += 1;
                    elements.push(Value::List(self.elements()));
                    self.at += 1;
                }
                b'"' => elements.push(self.quoted()),
                b'{' => elements.push(self.literal()),
                _ => elements.push(self.atom()),
            }
        }
        elements
    }

    fn quoted(&mut self) -> Value {
        let mut text = Vec::new();
        self.at += 1;
        while let Some(octet) = self.peek() {
            self.at += 1;
            match octet {
                b'"' => break,
                b'\\' => {
                    text.extend(self.peek());
                    self.at += 1;
                }
                _ => text.push(octet),
            }
        }
        Value::Text(text)
    }

    fn literal(&mut self) -> Value {
        let rest = &self.octets[self.at..];
        let end = rest.iter().position(|octet| *octet == b'\n').unwrap_or(rest.len());
        let length = literal_length(&rest[..end]).unwrap_or(0);
        let start = (self.at + end + 1).min(self.octets.len());
        let stop = start.saturating_add(length).min(self.octets.len());
        self.at = stop;
        Value::Text(self.octets[start..stop].to_vec())
    }

    fn atom(&mut self) -> Value {
        let start = self.at;
        let mut brackets = 0_u32;
        while let Some(octet) = self.peek() {
            match octet {
                b'[' => brackets += 1,
                b']' => brackets = brackets.saturating_sub(1),
                b'\r' | b'\n' => break,
                b' ' | b'(' | b')' if brackets == 0 => break,
                _ => {}
            }
            self.at += 1;
        }
        let octets = &self.octets[start..self.at];
        if octets.eq_ignore_ascii_case(b"NIL") { Value::Nil } else { Value::Atom(octets.to_vec()) }
    }
}

/// The length that a line announces at its end: `{5}`, `{5+}`, `~{5}`. The line break may be missing.
pub(crate) fn literal_length(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = line.strip_suffix(b"}")?;
    let line = line.strip_suffix(b"+").or_else(|| line.strip_suffix(b"-")).unwrap_or(line);
    let digits = line.iter().rev().take_while(|octet| octet.is_ascii_digit()).count();
    let (before, number) = line.split_at(line.len() - digits);
    if !before.ends_with(b"{") {
        return None;
    }
    std::str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn atom(text: &str) -> Value {
        Value::Atom(text.into())
    }

    #[test]
    fn a_response_is_taken_apart() {
        let response =
            b"* 3 FETCH (FLAGS (\\Seen $Fwd) BODY[HEADER.FIELDS (A B)] {4}\r\na)\"b X NIL Y \"q\\\"\\\\\")\r\n";
        let values = parse(response);
        assert_eq!(values[..3], [atom("*"), atom("3"), atom("FETCH")]);
        let expected = [
            atom("FLAGS"),
            Value::List(vec![atom("\\Seen"), atom("$Fwd")]),
            atom("BODY[HEADER.FIELDS (A B)]"),
            Value::Text(b"a)\"b".to_vec()),
            atom("X"),
            Value::Nil,
            atom("Y"),
            Value::Text(b"q\"\\".to_vec()),
        ];
        assert_eq!(values[3].list(), expected);
    }

    #[test]
    fn a_literal_is_known_by_the_end_of_its_line() {
        assert_eq!(literal_length(b"a {12}\r\n"), Some(12));
        assert_eq!(literal_length(b"a ~{7+}\r\n"), Some(7));
        assert_eq!(literal_length(b"a {x}\r\n"), None);
        assert_eq!(literal_length(b"a {12} b\r\n"), None);
        assert_eq!(literal_length(b"{}"), None);
    }
}
