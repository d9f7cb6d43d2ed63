//! Flags and keywords of a message (RFC 9051 §2.3.2).

use std::fmt;

/// One of the five system flags that a client may set. `\Recent` is the server's own and is never copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum SystemFlag {
    /// `\Seen`
    Seen = 1,
    /// `\Answered`
    Answered = 2,
    /// `\Flagged`
    Flagged = 4,
    /// `\Deleted`
    Deleted = 8,
    /// `\Draft`
    Draft = 16,
}

impl SystemFlag {
    /// All five, in the order in which mailhaul writes them.
    pub const ALL: [Self; 5] = [Self::Seen, Self::Answered, Self::Flagged, Self::Deleted, Self::Draft];

    /// The flag as it stands on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seen => "\\Seen",
            Self::Answered => "\\Answered",
            Self::Flagged => "\\Flagged",
            Self::Deleted => "\\Deleted",
            Self::Draft => "\\Draft",
        }
    }
}

/// The flags of one message: system flags as bits, keywords as atoms sorted and without repetition.
/// Comparing two `Flags` compares sets; keywords differ by case as the server spelt them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    system: u8,
    keywords: Vec<Box<str>>,
}

impl Flags {
    /// No flag at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a flag as a server spelt it. `\Recent`, other backslash names, and anything that is not an atom are
    /// not taken; whether it was taken. System flags are recognised without regard to case (RFC 9051 §2.3.2).
    pub fn insert_wire(&mut self, flag: &str) -> bool {
        if flag.starts_with('\\') {
            let known = SystemFlag::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(flag));
            known.map(|known| self.insert(known)).is_some()
        } else {
            self.insert_keyword(flag)
        }
    }

    /// Adds a system flag.
    pub fn insert(&mut self, flag: SystemFlag) {
        self.system |= flag as u8;
    }

    /// Adds a keyword if it is an atom (RFC 9051 §9, `flag-keyword`); whether it was taken.
    pub fn insert_keyword(&mut self, keyword: &str) -> bool {
        if !is_atom(keyword) {
            return false;
        }
        if let Err(place) = self.keywords.binary_search_by(|known| known.as_ref().cmp(keyword)) {
            self.keywords.insert(place, keyword.into());
        }
        true
    }

    /// Whether the system flag is set.
    #[must_use]
    pub fn contains(&self, flag: SystemFlag) -> bool {
        self.system & flag as u8 != 0
    }

    /// Removes a system flag.
    pub fn remove(&mut self, flag: SystemFlag) {
        self.system &= !(flag as u8);
    }

    /// The keywords, sorted.
    #[must_use]
    pub fn keywords(&self) -> &[Box<str>] {
        &self.keywords
    }

    /// Keeps only the keywords that `keep` approves of.
    pub fn retain_keywords(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.keywords.retain(|keyword| keep(keyword));
    }

    /// The system flags as bits, for compact storage. See [`Flags::from_parts`].
    #[must_use]
    pub fn system_bits(&self) -> u8 {
        self.system
    }

    /// Rebuilds flags from [`Flags::system_bits`] and keywords; unknown bits and non-atoms are dropped.
    pub fn from_parts<'a>(system_bits: u8, keywords: impl IntoIterator<Item = &'a str>) -> Self {
        let mut flags = Self { system: system_bits & 0b1_1111, keywords: Vec::new() };
        for keyword in keywords {
            flags.insert_keyword(keyword);
        }
        flags
    }

    /// Whether no flag and no keyword is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.system == 0 && self.keywords.is_empty()
    }
}

/// As an IMAP flag-list without the parentheses: `\Seen \Flagged $Label1`.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for flag in SystemFlag::ALL.into_iter().filter(|flag| self.contains(*flag)) {
            write!(f, "{gap}{}", flag.as_str())?;
            gap = " ";
        }
        for keyword in &self.keywords {
            write!(f, "{gap}{keyword}")?;
            gap = " ";
        }
        Ok(())
    }
}

/// RFC 9051 §9: one or more ATOM-CHAR. A keyword outside this grammar could carry a command of its own.
fn is_atom(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte > 0x20 && byte < 0x7f && !b"(){%*\"\\]".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_system_flags_in_any_case_and_never_recent() {
        let mut flags = Flags::new();
        assert!(flags.insert_wire("\\SEEN"));
        assert!(!flags.insert_wire("\\Recent"));
        assert!(!flags.insert_wire("\\*"));
        assert!(flags.insert_wire("$Forwarded"));
        assert_eq!(flags.to_string(), "\\Seen $Forwarded");
    }

    #[test]
    fn refuses_keywords_that_are_not_atoms() {
        let mut flags = Flags::new();
        for bad in ["", "a b", "a)", "x\r\nA LOGOUT", "é", "{3}", "a\"b", "a\\b", "a]", "a\u{0}"] {
            assert!(!flags.insert_keyword(bad), "{bad:?}");
        }
        assert!(flags.is_empty());
    }

    #[test]
    fn compares_as_sets_and_survives_its_compact_form() {
        let one = Flags::from_parts(0b11, ["b", "a", "b"]);
        let other = Flags::from_parts(one.system_bits(), one.keywords().iter().map(AsRef::as_ref));
        assert_eq!(one, other);
        assert_eq!(one.to_string(), "\\Seen \\Answered a b");
    }
}
