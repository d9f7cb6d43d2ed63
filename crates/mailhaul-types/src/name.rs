//! Mailbox names: what the server sent, and the text that people read.

use crate::utf7;
use std::fmt;

/// How a session spells mailbox names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameEncoding {
    /// Modified UTF-7 (RFC 3501 §5.1.3): the default.
    ModifiedUtf7,
    /// UTF-8, after `ENABLE UTF8=ACCEPT` (RFC 6855) or under IMAP4rev2.
    Utf8,
}

/// A mailbox's full name. The octets that the server sent are kept as they are, because only they can be sent back;
/// the text is what is shown, mapped and stored.
///
/// Octets that are neither valid in the session's encoding nor UTF-8 appear in the text as U+F780 to U+F7FF
/// (octet + U+F700), so that two names never share one text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailboxName {
    text: String,
    wire: Vec<u8>,
}

impl MailboxName {
    /// From the octets of a LIST response.
    #[must_use]
    pub fn from_wire(wire: &[u8], encoding: NameEncoding) -> Self {
        let decoded = match encoding {
            NameEncoding::ModifiedUtf7 => utf7::decode(wire),
            NameEncoding::Utf8 => std::str::from_utf8(wire).ok().map(str::to_owned),
        };
        let text = decoded.unwrap_or_else(|| {
            let shown = |octet: &u8| char::from_u32(0xF700 + u32::from(*octet)).unwrap_or('\u{FFFD}');
            wire.iter().map(|octet| if octet.is_ascii() { char::from(*octet) } else { shown(octet) }).collect()
        });
        Self { text, wire: wire.to_vec() }.with_plain_inbox()
    }

    /// From text, to be sent to a server that spells names in `encoding`.
    #[must_use]
    pub fn from_text(text: &str, encoding: NameEncoding) -> Self {
        let wire = match encoding {
            NameEncoding::ModifiedUtf7 => utf7::encode(text).into_bytes(),
            NameEncoding::Utf8 => text.as_bytes().to_vec(),
        };
        Self { text: text.to_owned(), wire }.with_plain_inbox()
    }

    /// RFC 9051 §5.1: `INBOX` is one mailbox in whatever case, so it has one spelling here.
    fn with_plain_inbox(mut self) -> Self {
        if self.text.eq_ignore_ascii_case("INBOX") {
            "INBOX".clone_into(&mut self.text);
            self.wire = b"INBOX".to_vec();
        }
        self
    }

    /// The name as text, unescaped. Escape it before it reaches a terminal.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The octets to send.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// Whether this is the INBOX.
    #[must_use]
    pub fn is_inbox(&self) -> bool {
        self.text == "INBOX"
    }
}

/// Escaped, for terminals and logs.
impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::Escaped(&self.text).fmt(f)
    }
}

/// The purpose that a server gives a mailbox (RFC 6154 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SpecialUse {
    /// `\All`: a virtual mailbox with every message.
    All,
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Flagged`: a virtual mailbox of marked messages.
    Flagged,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
}

impl SpecialUse {
    /// Recognises the attribute in any case.
    #[must_use]
    pub fn from_attribute(attribute: &str) -> Option<Self> {
        const KNOWN: [(&str, SpecialUse); 7] = [
            ("\\All", SpecialUse::All),
            ("\\Archive", SpecialUse::Archive),
            ("\\Drafts", SpecialUse::Drafts),
            ("\\Flagged", SpecialUse::Flagged),
            ("\\Junk", SpecialUse::Junk),
            ("\\Sent", SpecialUse::Sent),
            ("\\Trash", SpecialUse::Trash),
        ];
        KNOWN.iter().find(|(name, _)| name.eq_ignore_ascii_case(attribute)).map(|(_, known)| *known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_octets_survive_and_never_share_a_text() {
        let latin = MailboxName::from_wire(b"caf\xe9", NameEncoding::ModifiedUtf7);
        let utf8 = MailboxName::from_wire("café".as_bytes(), NameEncoding::ModifiedUtf7);
        let proper = MailboxName::from_wire(b"caf&AOk-", NameEncoding::ModifiedUtf7);
        assert_eq!(latin.wire(), b"caf\xe9");
        assert_eq!(latin.to_string(), "caf\\xe9");
        assert_eq!(proper.text(), "café");
        assert!(latin.text() != utf8.text() && utf8.text() != proper.text());
    }

    #[test]
    fn inbox_has_one_spelling() {
        assert_eq!(MailboxName::from_wire(b"InBox", NameEncoding::ModifiedUtf7).text(), "INBOX");
        assert!(!MailboxName::from_wire(b"inbox.x", NameEncoding::ModifiedUtf7).is_inbox());
    }
}
