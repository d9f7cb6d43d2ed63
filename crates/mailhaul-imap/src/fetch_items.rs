//! The items of a FETCH response (RFC 9051 §7.5.2), in whatever order they come.

use crate::tokens::{Tokens, Value, exact_u32, mod_seq};
use mailhaul_types::{Flags, InternalDate, ModSeq, Uid};
use std::ops::Range;

/// What one FETCH response says; everything may be missing.
#[derive(Debug, Default)]
pub(crate) struct FetchItems {
    pub(crate) uid: Option<Uid>,
    pub(crate) flags: Option<Flags>,
    pub(crate) modseq: Option<ModSeq>,
    pub(crate) date: Option<InternalDate>,
    /// RFC822.SIZE; `Some(0)` if the item was there and made no sense.
    pub(crate) size: Option<u64>,
    pub(crate) body: Option<Octets>,
    pub(crate) header: Option<Octets>,
    pub(crate) unreadable: bool,
}

/// Where octets of a message stand.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Octets {
    /// In the response, at this place.
    At(Range<usize>),
    /// In the response, but with backslashes that had to be taken out.
    Unescaped(Vec<u8>),
    /// Behind the response: its literal is streamed.
    Open,
    /// The server had none to give.
    Nil,
}

impl FetchItems {
    /// Reads `(UID 5 FLAGS (\Seen) …)`; `tokens` stands behind the word FETCH. What cannot be read ends the reading
    /// and is noted. A response whose parenthesis is never closed, because its literal is streamed, is readable.
    pub(crate) fn read(&mut self, mut tokens: Tokens<'_>) {
        if !tokens.open() {
            self.unreadable = true;
            return;
        }
        self.read_items(&mut tokens);
    }

    /// Goes on behind a streamed literal.
    pub(crate) fn read_tail(&mut self, tail: &[u8]) {
        self.read_items(&mut Tokens::new(tail));
    }

    fn read_items(&mut self, tokens: &mut Tokens<'_>) {
        while let Some(name) = tokens.item_name() {
            let Some(value) = tokens.value() else {
                self.unreadable = true;
                return;
            };
            self.take(name, value, tokens);
        }
    }

    fn take(&mut self, name: &[u8], value: Value, tokens: &Tokens<'_>) {
        if name.eq_ignore_ascii_case(b"UID") {
            let number = tokens.string_of(value).and_then(|text| exact_u32(&text));
            self.uid = number.filter(|uid| *uid != 0).map(Uid);
        } else if name.eq_ignore_ascii_case(b"FLAGS") {
            self.flags = read_flags(value, tokens);
        } else if name.eq_ignore_ascii_case(b"MODSEQ") {
            self.modseq = read_modseq(value, tokens);
        } else if name.eq_ignore_ascii_case(b"INTERNALDATE") {
            self.date = tokens.string_of(value).and_then(|text| InternalDate::parse(&text));
        } else if name.eq_ignore_ascii_case(b"RFC822.SIZE") {
            let number = tokens.string_of(value).and_then(|text| crate::tokens::lenient_number(&text));
            self.size = Some(number.unwrap_or(0));
        } else if name.eq_ignore_ascii_case(b"BODY[]") {
            self.body = octets_of(value, tokens);
        } else if name.len() > 18 && name[..18].eq_ignore_ascii_case(b"BODY[HEADER.FIELDS") {
            self.header = octets_of(value, tokens);
        }
    }
}

fn octets_of(value: Value, tokens: &Tokens<'_>) -> Option<Octets> {
    match value {
        Value::Literal(range) => Some(Octets::At(range)),
        Value::Quoted(range) if !tokens.octets(range.clone()).contains(&b'\\') => Some(Octets::At(range)),
        Value::Quoted(range) => {
            tokens.string_of(Value::Quoted(range)).map(|octets| Octets::Unescaped(octets.into_owned()))
        }
        Value::OpenLiteral => Some(Octets::Open),
        Value::Nil => Some(Octets::Nil),
        Value::Atom(_) | Value::List(_) => None,
    }
}

/// RFC 7162 §3.1.4.2: `MODSEQ (624140003)`.
fn read_modseq(value: Value, tokens: &Tokens<'_>) -> Option<ModSeq> {
    match value {
        Value::List(range) => mod_seq(tokens.octets(range).trim_ascii()),
        Value::Atom(range) => mod_seq(tokens.octets(range)),
        _ => None,
    }
}

/// Flags that cannot be stored elsewhere (`\Recent`, names that are no atoms) are left out.
fn read_flags(value: Value, tokens: &Tokens<'_>) -> Option<Flags> {
    let list = match value {
        Value::List(range) => tokens.octets(range),
        Value::Nil => b"",
        _ => return None,
    };
    let mut flags = Flags::new();
    for flag in list.split(u8::is_ascii_whitespace).filter(|flag| !flag.is_empty()) {
        if let Ok(flag) = std::str::from_utf8(flag) {
            flags.insert_wire(flag);
        }
    }
    Some(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(items: &[u8]) -> FetchItems {
        let mut read = FetchItems::default();
        read.read(Tokens::new(items));
        read
    }

    #[test]
    fn any_order_is_read() {
        let date = "\"17-Jul-1996 02:44:25 -0700\"";
        let parts = [
            "UID 7".to_owned(),
            "FLAGS (\\Seen $x)".to_owned(),
            format!("INTERNALDATE {date}"),
            "BODY[] {3}\r\na)b".to_owned(),
        ];
        for rotation in 0..parts.len() {
            let mut turned = parts.to_vec();
            turned.rotate_left(rotation);
            let items = format!("({} )\r\n", turned.join(" "));
            let read = read(items.as_bytes());
            assert!(!read.unreadable);
            assert_eq!(read.uid, Some(Uid(7)));
            assert_eq!(read.flags.expect("flags").to_string(), "\\Seen $x");
            assert!(read.date.is_some());
            let Some(Octets::At(range)) = read.body else { panic!("a body") };
            assert_eq!(&items.as_bytes()[range], b"a)b");
        }
    }

    #[test]
    fn oddities_do_not_become_data() {
        assert_eq!(read(b"(UID 0)").uid, None);
        assert_eq!(read(b"(UID -4)").uid, None);
        assert_eq!(read(b"(BODY[] NIL UID 4)").body, Some(Octets::Nil));
        assert_eq!(read(b"(BODY[] \"a\\\"b\" UID 4)").body, Some(Octets::Unescaped(b"a\"b".to_vec())));
        assert_eq!(read(b"(BODY[]<0> \"part\" UID 4)").body, None);
        assert_eq!(read(b"(RFC822.SIZE -1)").size, Some(0));
        assert_eq!(read(b"(MODSEQ (12) UID 4)").modseq, Some(ModSeq(12)));
        assert_eq!(read(b"(MODSEQ NIL UID 4)").uid, Some(Uid(4)));
        for nonsense in
            ["(MODSEQ (0))", "(MODSEQ (-1))", "(MODSEQ NIL)", "(MODSEQ (18446744073709551615))", "(MODSEQ ())"]
        {
            assert_eq!(read(nonsense.as_bytes()).modseq, None, "{nonsense}");
        }
        assert!(read(b"UID 4").unreadable);
        assert!(read(b"(UID").unreadable);
        assert_eq!(read(b"(UID 4 ENVELOPE ((((\"x\")))) FLAGS NIL)").flags, Some(Flags::new()));
    }

    #[test]
    fn a_streamed_literal_is_told() {
        let read = read(b"(UID 4 BODY[] {500}\r\n");
        assert_eq!(read.body, Some(Octets::Open));
        assert!(!read.unreadable);
    }
}
