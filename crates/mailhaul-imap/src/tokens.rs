//! A tolerant tokenizer over one response (RFC 9051 §9), literals in place.
//!
//! It never panics, never looks twice at an octet outside of a lookahead, does not recurse, and answers `None` to
//! what it cannot read; what that means is the caller's matter.

use mailhaul_types::ModSeq;
use memchr::memchr2;
use std::borrow::Cow;
use std::ops::Range;

/// Parentheses within parentheses; no response that we ask for has more than four.
const NESTING_MAX: usize = 64;

/// A place in a response.
#[derive(Debug, Clone)]
pub(crate) struct Tokens<'a> {
    octets: &'a [u8],
    at: usize,
    end: usize,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// `NIL`
    Nil,
    /// An atom, a number, a flag: everything up to a blank or parenthesis.
    Atom(Range<usize>),
    /// What stands between quotes, backslashes included.
    Quoted(Range<usize>),
    /// A literal's octets.
    Literal(Range<usize>),
    /// A literal of this many octets that begins where the response is cut off.
    OpenLiteral,
    /// What stands between parentheses.
    List(Range<usize>),
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self { octets, at: 0, end: octets.len() }
    }

    /// The same response from `range` only.
    pub(crate) fn within(&self, range: Range<usize>) -> Self {
        Self { octets: self.octets, at: range.start.min(self.end), end: range.end.min(self.end) }
    }

    pub(crate) fn octets(&self, range: Range<usize>) -> &'a [u8] {
        self.octets.get(range).unwrap_or_default()
    }

    /// What has not been read, without the line end.
    pub(crate) fn rest(&self) -> &'a [u8] {
        trim_line_end(&self.octets[self.at.min(self.end)..self.end])
    }

    pub(crate) fn at_end(&mut self) -> bool {
        self.blanks();
        self.at >= self.end
    }

    fn peek(&self) -> Option<u8> {
        (self.at < self.end).then(|| self.octets[self.at])
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\r' | b'\n' | b'\t')) {
            self.at += 1;
        }
    }

    /// Steps to the first octet that is one of these, or to the end. This, and no test at each step, because it runs for every
    /// word of every response.
    fn step_to(&mut self, ends: impl Fn(u8) -> bool) {
        let rest = self.octets.get(self.at..self.end).unwrap_or_default();
        self.at += rest.iter().position(|octet| ends(*octet)).unwrap_or(rest.len());
    }

    /// Steps over an opening parenthesis.
    pub(crate) fn open(&mut self) -> bool {
        self.blanks();
        let open = self.peek() == Some(b'(');
        self.at += usize::from(open);
        open
    }

    /// A word up to the next blank, whatever it is made of.
    pub(crate) fn word(&mut self) -> Option<&'a [u8]> {
        self.blanks();
        let start = self.at;
        self.step_to(|octet| matches!(octet, b' ' | b'\r' | b'\n' | b'\t'));
        (self.at > start).then(|| &self.octets[start..self.at])
    }

    /// The name of a FETCH item: like a word, but a section in brackets belongs to it with its blanks and
    /// parentheses, and outside of it a parenthesis ends it. `None` at a closing parenthesis or at the end.
    pub(crate) fn item_name(&mut self) -> Option<&'a [u8]> {
        self.blanks();
        let start = self.at;
        self.step_to(|octet| matches!(octet, b'[' | b' ' | b'(' | b')' | b'\r' | b'\n'));
        let mut in_section = false;
        while let Some(octet) = self.peek() {
            match octet {
                b'\r' | b'\n' => break,
                b'[' => in_section = true,
                b']' => in_section = false,
                b' ' | b'(' | b')' if !in_section => break,
                _ => {}
            }
            self.at += 1;
        }
        (self.at > start).then(|| &self.octets[start..self.at])
    }

    /// The next value. `None` if there is none, or none that can be read.
    pub(crate) fn value(&mut self) -> Option<Value> {
        self.blanks();
        match self.peek()? {
            b'"' => self.quoted(),
            b'(' => self.list(),
            b')' => None,
            b'{' | b'~' if self.looks_like_literal() => self.literal(),
            _ => Some(self.atom()),
        }
    }

    fn atom(&mut self) -> Value {
        let start = self.at;
        self.step_to(|octet| matches!(octet, b' ' | b'(' | b')' | b'\r' | b'\n' | b'\t'));
        let range = start..self.at;
        if self.octets[range.clone()].eq_ignore_ascii_case(b"NIL") { Value::Nil } else { Value::Atom(range) }
    }

    fn quoted(&mut self) -> Option<Value> {
        let start = self.at + 1;
        let mut at = start;
        loop {
            let offset = memchr2(b'"', b'\\', self.octets.get(at..self.end)?)?;
            at += offset;
            if self.octets[at] == b'"' {
                self.at = at + 1;
                return Some(Value::Quoted(start..at));
            }
            at += 2;
        }
    }

    fn looks_like_literal(&self) -> bool {
        let rest = &self.octets[self.at..self.end];
        rest[0] == b'{' || rest.starts_with(b"~{")
    }

    fn literal(&mut self) -> Option<Value> {
        let mut at = self.at + usize::from(self.octets[self.at] == b'~') + 1;
        let mut size: u64 = 0;
        while let Some(digit) = self.octets[..self.end].get(at).filter(|octet| octet.is_ascii_digit()) {
            size = size.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
            at += 1;
        }
        let rest = &self.octets[at.min(self.end)..self.end];
        let after = rest.strip_prefix(b"+").unwrap_or(rest).strip_prefix(b"}")?;
        let data = after.strip_prefix(b"\r").unwrap_or(after).strip_prefix(b"\n")?;
        let start = self.end - data.len();
        match usize::try_from(size).ok().and_then(|size| start.checked_add(size)).filter(|end| *end <= self.end) {
            Some(end) => {
                self.at = end;
                Some(Value::Literal(start..end))
            }
            None if data.is_empty() => {
                self.at = self.end;
                Some(Value::OpenLiteral)
            }
            None => None,
        }
    }

    /// Steps over a whole list, minding quotes and literals within.
    fn list(&mut self) -> Option<Value> {
        let start = self.at + 1;
        let mut depth = 0_usize;
        loop {
            self.blanks();
            match self.peek()? {
                b'(' => {
                    depth += 1;
                    self.at += 1;
                    if depth > NESTING_MAX {
                        return None;
                    }
                }
                b')' => {
                    depth -= 1;
                    self.at += 1;
                    if depth == 0 {
                        return Some(Value::List(start..self.at - 1));
                    }
                }
                b'"' => {
                    self.quoted()?;
                }
                b'{' | b'~' if self.looks_like_literal() => {
                    self.literal()?;
                }
                _ => {
                    self.atom();
                }
            }
        }
    }

    /// The octets of a string or atom. `None` for NIL, a list, or nothing.
    pub(crate) fn string(&mut self) -> Option<Cow<'a, [u8]>> {
        let value = self.value()?;
        self.string_of(value)
    }

    /// The octets of a string or atom that was read before.
    pub(crate) fn string_of(&self, value: Value) -> Option<Cow<'a, [u8]>> {
        match value {
            Value::Atom(range) | Value::Literal(range) => Some(Cow::Borrowed(self.octets(range))),
            Value::Quoted(range) => Some(unescape(self.octets(range))),
            Value::Nil | Value::List(_) | Value::OpenLiteral => None,
        }
    }
}

/// A number as real servers write it: also with decimals or an exponent (`9.37e+06`). `None` for NIL, negative
/// numbers and nonsense.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is checked to be in range first"
)]
pub(crate) fn lenient_number(text: &[u8]) -> Option<u64> {
    if !text.is_empty() && text.len() < 20 && text.iter().all(u8::is_ascii_digit) {
        return Some(text.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')));
    }
    if text.is_empty()
        || text.len() > 40
        || !text.iter().all(|octet| octet.is_ascii_digit() || b".eE+-".contains(octet))
    {
        return None;
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (0.0..1.8e19).contains(&value).then_some(value as u64)
}

/// A number that must fit 32 bits and must not be lenient: UIDs decide.
pub(crate) fn exact_u32(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 10 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = text.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    u32::try_from(value).ok()
}

/// A modification sequence (RFC 7162 §7, `mod-sequence-value`: 63 bits, not 0). Some servers send -1, NIL or 0 where they
/// have none; whatever is not exactly a sequence is none, because changes would be asked for from a wrong point.
pub(crate) fn mod_seq(text: &[u8]) -> Option<ModSeq> {
    if text.is_empty() || text.len() > 19 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = text.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    (1..=i64::MAX.unsigned_abs()).contains(&value).then_some(ModSeq(value))
}

/// The longest object id (RFC 8474 §7: 255 characters).
const OBJECT_ID_MAX: usize = 255;

/// An object id (RFC 8474 §7) without its parentheses.
pub(crate) fn object_id(text: &[u8]) -> Option<String> {
    let text = text.trim_ascii();
    let fits = !text.is_empty() && text.len() <= OBJECT_ID_MAX && text.iter().all(u8::is_ascii_graphic);
    fits.then(|| String::from_utf8_lossy(text).into_owned())
}

fn unescape(quoted: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', quoted).is_none() {
        return Cow::Borrowed(quoted);
    }
    let mut out = Vec::with_capacity(quoted.len());
    let mut octets = quoted.iter();
    while let Some(&octet) = octets.next() {
        out.push(if octet == b'\\' { *octets.next().unwrap_or(&b'\\') } else { octet });
    }
    Cow::Owned(out)
}

/// Cuts CRLF, or a bare LF, off.
pub(crate) fn trim_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_each_kind_of_value() {
        let mut tokens = Tokens::new(b"atom \"q\\\"x\" {3}\r\na)b ~{0}\r\n NIL (a (\")\" {1}\r\n)) b) 12)\r\n");
        assert_eq!(tokens.string().as_deref(), Some(&b"atom"[..]));
        assert_eq!(tokens.string().as_deref(), Some(&b"q\"x"[..]));
        assert_eq!(tokens.string().as_deref(), Some(&b"a)b"[..]));
        assert_eq!(tokens.string().as_deref(), Some(&b""[..]));
        assert_eq!(tokens.value(), Some(Value::Nil));
        let Some(Value::List(range)) = tokens.value() else { panic!("a list") };
        assert_eq!(tokens.octets(range), b"a (\")\" {1}\r\n)) b");
        assert_eq!(tokens.string().as_deref(), Some(&b"12"[..]));
        assert_eq!(tokens.value(), None);
    }

    #[test]
    fn item_names_keep_their_sections() {
        let mut tokens = Tokens::new(b"UID 5 BODY[HEADER.FIELDS (DATE FROM)] {0}\r\n)");
        assert_eq!(tokens.item_name(), Some(&b"UID"[..]));
        assert_eq!(tokens.string().as_deref(), Some(&b"5"[..]));
        assert_eq!(tokens.item_name(), Some(&b"BODY[HEADER.FIELDS (DATE FROM)]"[..]));
        assert_eq!(tokens.string().as_deref(), Some(&b""[..]));
        assert_eq!(tokens.item_name(), None);
    }

    #[test]
    fn deep_nesting_is_refused_without_recursion() {
        let mut deep = vec![b'('; 1_000_000];
        deep.extend(vec![b')'; 1_000_000]);
        assert_eq!(Tokens::new(&deep).value(), None);
    }

    #[test]
    fn numbers_are_read_as_servers_write_them() {
        for (text, number) in [
            ("0", Some(0)),
            ("9.37e+06", Some(9_370_000)),
            ("12.0", Some(12)),
            ("-1", None),
            ("", None),
            ("18446744073709551616", None),
            ("1e400", None),
            ("nan", None),
        ] {
            assert_eq!(lenient_number(text.as_bytes()), number, "{text}");
        }
        assert_eq!(exact_u32(b"4294967295"), Some(u32::MAX));
        assert_eq!(exact_u32(b"4294967296"), None);
        assert_eq!(exact_u32(b"1.0"), None);
    }

    proptest! {
        #[test]
        fn any_octets_are_read_to_an_end(octets in proptest::collection::vec(
            prop_oneof![Just(b'('), Just(b')'), Just(b'"'), Just(b'\\'), Just(b'{'), Just(b'}'), Just(b'3'),
                        Just(b'\r'), Just(b'\n'), Just(b' '), Just(b'['), Just(b']'), Just(b'~'), any::<u8>()], 0..300)) {
            let mut tokens = Tokens::new(&octets);
            let mut steps = 0;
            while tokens.value().is_some() { steps += 1; }
            prop_assert!(steps <= octets.len());
            let mut tokens = Tokens::new(&octets);
            let mut steps = 0;
            while tokens.item_name().is_some() && tokens.value().is_some() { steps += 1; }
            prop_assert!(steps <= octets.len());
        }
    }
}
