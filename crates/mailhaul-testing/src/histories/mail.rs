//! The mail of histories: every message can be told from its octets, and tells which ones it is meant to be.

use std::fmt;

use crate::imap_client::{Fetched, format_date};

/// The flags and keywords that occur.
const NAMES: [&str; 8] = ["\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted", "$Label1", "Work", "$Forwarded"];

/// The moment from which dates are counted.
const FIRST_DAY: i64 = 1_600_000_000;

/// A set of flags and keywords.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlagSet(pub u8);

impl FlagSet {
    /// `\Deleted` alone.
    pub const DELETED: FlagSet = FlagSet(1 << 4);
    /// `\Draft` alone.
    pub const DRAFT: FlagSet = FlagSet(1 << 3);

    /// Reads what a server says; a flag that no history uses is an error.
    ///
    /// # Errors
    /// The flag.
    pub fn read(names: &[String]) -> Result<FlagSet, String> {
        names.iter().try_fold(FlagSet(0), |set, name| {
            let place = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name));
            place.map(|place| FlagSet(set.0 | 1 << place)).ok_or_else(|| name.clone())
        })
    }

    /// Their names.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        (0..NAMES.len()).filter(|place| self.0 & 1 << place != 0).map(|place| NAMES[place]).collect()
    }

    /// Without these.
    #[must_use]
    pub fn without(self, others: FlagSet) -> FlagSet {
        FlagSet(self.0 & !others.0)
    }

    /// With these too.
    #[must_use]
    pub fn with(self, others: FlagSet) -> FlagSet {
        FlagSet(self.0 | others.0)
    }

    /// What both have.
    #[must_use]
    pub fn common(self, others: FlagSet) -> FlagSet {
        FlagSet(self.0 & others.0)
    }

    /// What only one of both has.
    #[must_use]
    pub fn differing(self, others: FlagSet) -> FlagSet {
        FlagSet(self.0 ^ others.0)
    }
}

impl fmt::Debug for FlagSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "({})", self.names().join(" "))
    }
}

/// What a message says. Two messages with equal contents are twins; the same serial in another edition has the same header,
/// Message-ID and all, and another body.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Content {
    /// Which header it has.
    pub serial: u16,
    /// Which body. Even ones have the length of edition 0.
    pub edition: u8,
    /// Whether it has a Message-ID.
    pub named: bool,
}

impl fmt::Debug for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "m{}.{}{}", self.serial, self.edition, if self.named { "" } else { "-" })
    }
}

impl Content {
    /// The octets.
    #[must_use]
    pub fn octets(self) -> Vec<u8> {
        let Content { serial, edition, named } = self;
        let id = if named { format!("Message-ID: <h{serial}@histories.example>\r\n") } else { String::new() };
        let longer = if edition % 2 == 1 { "And a line that was not there before.\r\n" } else { "" };
        let named = u8::from(named);
        format!(
            "From: anna@histories.example\r\nTo: bert@histories.example\r\n{id}Subject: number {serial}\r\n\
             Date: Sun, 13 Sep 2020 12:26:40 +0000\r\n\r\nThis is what it says.\r\n{longer}[{serial}.{edition}.{named}]\r\n"
        )
        .into_bytes()
    }

    /// Its internal date, in seconds since 1970. It follows from the header, so twins have the same.
    #[must_use]
    pub fn unix_secs(self) -> i64 {
        FIRST_DAY + i64::from(self.serial) * 60
    }

    /// The same as APPEND has it.
    #[must_use]
    pub fn date(self) -> String {
        format_date(self.unix_secs(), 0)
    }

    /// Reads a message as a server delivers it, and insists on every octet and the date.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(message: &Fetched) -> Result<Content, String> {
        let content = Content::claimed(&message.octets)
            .ok_or_else(|| format!("a message of no history: {:?}", String::from_utf8_lossy(&message.octets)))?;
        if content.octets() != message.octets {
            return Err(format!("{content:?} has other octets: {:?}", String::from_utf8_lossy(&message.octets)));
        }
        if message.unix_secs() != Some(content.unix_secs()) {
            return Err(format!("{content:?} has the date {} and not {}", message.internal_date, content.date()));
        }
        Ok(content)
    }

    fn claimed(octets: &[u8]) -> Option<Content> {
        let text = std::str::from_utf8(octets).ok()?.trim_end();
        let (_, mark) = text.rsplit_once('[')?;
        let mut parts = mark.strip_suffix(']')?.split('.');
        let (serial, edition, named) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Content { serial: serial.parse().ok()?, edition: edition.parse().ok()?, named: named == "1" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_back_and_every_octet_counts() {
        for content in [
            Content { serial: 7, edition: 0, named: true },
            Content { serial: 7, edition: 1, named: true },
            Content { serial: 300, edition: 2, named: false },
        ] {
            let mut message =
                Fetched { uid: 1, flags: Vec::new(), internal_date: content.date(), octets: content.octets() };
            assert_eq!(Content::read(&message), Ok(content));
            message.octets[3] ^= 1;
            assert!(Content::read(&message).is_err());
        }
    }

    #[test]
    fn flags_are_sets() {
        let read = FlagSet::read(&["\\seen".to_owned(), "Work".to_owned()]);
        assert_eq!(read.map(FlagSet::names), Ok(vec!["\\Seen", "Work"]));
        assert!(FlagSet::read(&["Other".to_owned()]).is_err());
    }
}
