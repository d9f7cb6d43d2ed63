//! The arguments of a command (RFC 9051 §9). Whatever is wrong with them is answered BAD.

use super::reply::Verdict;
use crate::imap_client::utf7;

/// Lists within lists deeper than this are refused.
const NESTING_MAX: usize = 20;

/// What is left of a command.
#[derive(Clone, Debug)]
pub(super) struct Arguments<'a> {
    octets: &'a [u8],
}

/// A string, and whether it came as a literal that was sent without waiting.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) octets: Vec<u8>,
    pub(super) is_literal: bool,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Self { octets }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.octets.first().copied()
    }

    /// Whether this octet comes next; it is taken then.
    pub(super) fn take(&mut self, octet: u8) -> bool {
        match self.octets.split_first() {
            Some((first, rest)) if *first == octet => {
                self.octets = rest;
                true
            }
            _ => false,
        }
    }

    pub(super) fn expect(&mut self, octet: u8) -> Result<(), Verdict> {
        if self.take(octet) { Ok(()) } else { Err(Verdict::bad(&format!("'{}' expected", char::from(octet)))) }
    }

    pub(super) fn space(&mut self) -> Result<(), Verdict> {
        self.expect(b' ')
    }

    pub(super) fn end(&self) -> Result<(), Verdict> {
        if self.octets.is_empty() { Ok(()) } else { Err(Verdict::bad("too many arguments")) }
    }

    /// Octets up to the next one that ends an atom here.
    fn word(&mut self, ends: impl Fn(u8) -> bool) -> Result<&'a str, Verdict> {
        let length = self.octets.iter().position(|octet| ends(*octet)).unwrap_or(self.octets.len());
        let (word, rest) = self.octets.split_at(length);
        if word.is_empty() {
            return Err(Verdict::bad("an argument is missing"));
        }
        self.octets = rest;
        std::str::from_utf8(word)
            .ok()
            .filter(|word| word.is_ascii())
            .ok_or_else(|| Verdict::bad("8-bit octets in an atom"))
    }

    pub(super) fn atom(&mut self) -> Result<&'a str, Verdict> {
        self.word(|octet| !octet.is_ascii_graphic() || b"(){%*\"\\]".contains(&octet))
    }

    /// An atom in upper case.
    pub(super) fn keyword(&mut self) -> Result<String, Verdict> {
        self.atom().map(str::to_ascii_uppercase)
    }

    /// The name of an item to be fetched, up to its section.
    pub(super) fn item(&mut self) -> Result<String, Verdict> {
        self.word(|octet| !octet.is_ascii_graphic() || b"(){%*\"\\[]<".contains(&octet)).map(str::to_ascii_uppercase)
    }

    pub(super) fn number(&mut self) -> Result<u64, Verdict> {
        let word = self.word(|octet| !octet.is_ascii_digit())?;
        word.parse().map_err(|_| Verdict::bad("a number is too large"))
    }

    /// Message numbers or UIDs; `*` and what has an open end is told by `u32::MAX`.
    pub(super) fn sequence_set(&mut self) -> Result<&'a str, Verdict> {
        self.word(|octet| !octet.is_ascii_digit() && !b":,*".contains(&octet))
    }

    /// A flag or keyword.
    pub(super) fn flag(&mut self) -> Result<String, Verdict> {
        let system = if self.take(b'\\') { "\\" } else { "" };
        Ok(format!("{system}{}", self.atom()?))
    }

    /// Flags in parentheses.
    pub(super) fn flags(&mut self) -> Result<Vec<String>, Verdict> {
        self.expect(b'(')?;
        let mut flags = Vec::new();
        while !self.take(b')') {
            if !flags.is_empty() {
                self.space()?;
            }
            flags.push(self.flag()?);
        }
        Ok(flags)
    }

    /// A quoted string or a literal; `None` if neither comes next.
    pub(super) fn string(&mut self) -> Result<Option<Text>, Verdict> {
        match self.peek() {
            Some(b'"') => self.quoted().map(|octets| Some(Text { octets, is_literal: false })),
            Some(b'{') => self.literal().map(|octets| Some(Text { octets: octets.to_vec(), is_literal: true })),
            _ => Ok(None),
        }
    }

    fn quoted(&mut self) -> Result<Vec<u8>, Verdict> {
        self.expect(b'"')?;
        let mut text = Vec::new();
        loop {
            let (octet, rest) = self.octets.split_first().ok_or_else(|| Verdict::bad("a string without its end"))?;
            self.octets = rest;
            match octet {
                b'"' => return Ok(text),
                b'\r' | b'\n' | 0 => return Err(Verdict::bad("CR, LF or NUL in a quoted string")),
                b'\\' => {
                    let escaped = self.peek().filter(|octet| b"\"\\".contains(octet));
                    text.push(escaped.ok_or_else(|| Verdict::bad("a backslash before what needs none"))?);
                    self.octets = &self.octets[1..];
                }
                octet => text.push(*octet),
            }
        }
    }

    /// A literal, which has come whole or the command would not be here.
    pub(super) fn literal(&mut self) -> Result<&'a [u8], Verdict> {
        self.expect(b'{')?;
        let size = self.number()?;
        self.take(b'+');
        self.expect(b'}')?;
        self.take(b'\r');
        self.expect(b'\n')?;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let split = self.octets.split_at_checked(size);
        let (literal, rest) = split.ok_or_else(|| Verdict::bad("a literal is shorter than was announced"))?;
        self.octets = rest;
        Ok(literal)
    }

    /// An atom or a string.
    pub(super) fn astring(&mut self) -> Result<Vec<u8>, Verdict> {
        match self.string()? {
            Some(text) => Ok(text.octets),
            // RFC 9051 §9: `]` may stand in it.
            None => {
                let word = self.word(|octet| !octet.is_ascii_graphic() || b"(){%*\"\\".contains(&octet))?;
                Ok(word.as_bytes().to_vec())
            }
        }
    }

    /// A mailbox's name, decoded.
    pub(super) fn mailbox(&mut self) -> Result<String, Verdict> {
        let name = self.astring()?;
        let text = std::str::from_utf8(&name).ok().filter(|name| !name.is_empty());
        let decoded = text.and_then(decode);
        decoded.ok_or_else(|| Verdict::no("CANNOT", "the mailbox name is no modified UTF-7"))
    }

    /// What LIST looks for: a name in which `%` and `*` stand for others.
    pub(super) fn pattern(&mut self) -> Result<String, Verdict> {
        let octets = match self.string()? {
            Some(text) => text.octets,
            None => self.word(|octet| !octet.is_ascii_graphic() || b"(){\"\\".contains(&octet))?.as_bytes().to_vec(),
        };
        String::from_utf8(octets).map_err(|_| Verdict::bad("8-bit octets in a pattern"))
    }

    /// Names of options or items in parentheses, in upper case, each with the parentheses that follow it.
    pub(super) fn options(&mut self) -> Result<Vec<(String, Option<String>)>, Verdict> {
        self.expect(b'(')?;
        let mut options: Vec<(String, Option<String>)> = Vec::new();
        while !self.take(b')') {
            if !options.is_empty() {
                self.space()?;
            }
            let name = self.keyword()?;
            let mut ahead = self.clone();
            let inner = if ahead.take(b' ') && ahead.peek() == Some(b'(') {
                self.octets = ahead.octets;
                Some(self.parenthesised()?)
            } else {
                None
            };
            options.push((name, inner));
        }
        Ok(options)
    }

    fn parenthesised(&mut self) -> Result<String, Verdict> {
        let mut depth = 0;
        for (at, octet) in self.octets.iter().enumerate() {
            match octet {
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            if depth > NESTING_MAX {
                break;
            }
            if depth == 0 {
                let (whole, rest) = self.octets.split_at(at + 1);
                self.octets = rest;
                return Ok(String::from_utf8_lossy(whole).into_owned());
            }
        }
        Err(Verdict::bad("a list without its end, or too deep"))
    }
}

/// A name from modified UTF-7 (RFC 3501 §5.1.3). `None` if it is none, or not in its one right form.
fn decode(name: &str) -> Option<String> {
    utf7::decode(name).filter(|decoded| utf7::encode(decoded) == name)
}
