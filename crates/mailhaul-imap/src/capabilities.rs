//! What a server says it can do (RFC 9051 §7.2.2). Names are compared without regard to case; a list from before TLS
//! or before sign-in is never kept.

use std::collections::BTreeSet;

/// More names than any server has; the rest is dropped.
const NAMES_MAX: usize = 1_000;

/// The capabilities announced after sign-in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    names: BTreeSet<String>,
}

/// How literals may be sent (RFC 7888).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiteralMode {
    /// `{n}`, then wait for `+`.
    Synchronising,
    /// LITERAL-: `{n+}` up to 4,096 octets, `{n}` above.
    NonSynchronisingSmall,
    /// LITERAL+: always `{n+}`.
    NonSynchronising,
}

impl LiteralMode {
    /// RFC 7888 §5: the largest literal that LITERAL- allows without waiting.
    pub const SMALL_OCTETS_MAX: u64 = 4_096;

    /// Whether a literal of this size is sent without waiting.
    #[must_use]
    pub fn needs_no_wait(self, octets: u64) -> bool {
        match self {
            Self::Synchronising => false,
            Self::NonSynchronisingSmall => octets <= Self::SMALL_OCTETS_MAX,
            Self::NonSynchronising => true,
        }
    }
}

impl Capabilities {
    /// From the words after `CAPABILITY`.
    pub(crate) fn from_words<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let names = words
            .into_iter()
            .filter(|word| !word.is_empty() && word.iter().all(u8::is_ascii_graphic))
            .take(NAMES_MAX)
            .map(|word| String::from_utf8_lossy(word).to_ascii_uppercase())
            .collect();
        Self { names }
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.names.extend(other.names);
        while self.names.len() > NAMES_MAX {
            self.names.pop_last();
        }
    }

    /// Takes back what servers of this make announce and cannot do.
    ///
    /// * Cyrus IMAPD 3.6.1-Debian (November 2026): `LIST … RETURN (STATUS (MAILBOXID))` answers with octets of memory that
    ///   was freed, others each time: `* STATUS Work (MAILBOXID (\xb6\xe3\x8c\x94lU))`. These might end the line. STATUS
    ///   and EXAMINE tell the right id; whoever needs it opens the mailbox.
    pub(crate) fn distrust(&mut self, software: Option<&str>) {
        if software.is_some_and(|software| software.to_ascii_lowercase().contains("cyrus")) {
            self.names.remove("OBJECTID");
        }
    }

    /// Whether the server announced this capability.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.names.contains(name.to_ascii_uppercase().as_str())
    }

    /// All names, in upper case, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Whether nothing was announced.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The server-wide APPENDLIMIT in octets (RFC 7889 §2), if it named one. `None` also if limits differ by mailbox.
    #[must_use]
    pub fn append_limit(&self) -> Option<u64> {
        self.names.iter().find_map(|name| name.strip_prefix("APPENDLIMIT=")?.parse().ok())
    }

    /// How literals may be sent. IMAP4rev2 alone includes LITERAL- (RFC 9051 §4.3), but servers that offer both
    /// revisions are taken at their word about each extension.
    #[must_use]
    pub fn literal_mode(&self) -> LiteralMode {
        if self.has("LITERAL+") {
            LiteralMode::NonSynchronising
        } else if self.has("LITERAL-") || (self.has("IMAP4REV2") && !self.has("IMAP4REV1")) {
            LiteralMode::NonSynchronisingSmall
        } else {
            LiteralMode::Synchronising
        }
    }

    /// LITERAL+ (RFC 7888).
    #[must_use]
    pub fn literal_plus(&self) -> bool {
        self.has("LITERAL+")
    }

    /// LITERAL- (RFC 7888).
    #[must_use]
    pub fn literal_minus(&self) -> bool {
        self.has("LITERAL-")
    }

    /// MULTIAPPEND (RFC 3502).
    #[must_use]
    pub fn multiappend(&self) -> bool {
        self.has("MULTIAPPEND")
    }

    /// UIDPLUS (RFC 4315): APPENDUID may be expected.
    #[must_use]
    pub fn uidplus(&self) -> bool {
        self.has("UIDPLUS") || self.has("IMAP4REV2")
    }

    /// LIST-EXTENDED (RFC 5258), part of IMAP4rev2.
    #[must_use]
    pub fn list_extended(&self) -> bool {
        self.has("LIST-EXTENDED") || self.has("IMAP4REV2")
    }

    /// SPECIAL-USE (RFC 6154), part of IMAP4rev2.
    #[must_use]
    pub fn special_use(&self) -> bool {
        self.has("SPECIAL-USE") || self.has("IMAP4REV2")
    }

    /// NAMESPACE (RFC 2342), part of IMAP4rev2.
    #[must_use]
    pub fn namespace(&self) -> bool {
        self.has("NAMESPACE") || self.has("IMAP4REV2")
    }

    /// STATUS=SIZE (RFC 8438), part of IMAP4rev2.
    #[must_use]
    pub fn status_size(&self) -> bool {
        self.has("STATUS=SIZE") || self.has("IMAP4REV2")
    }

    /// ID (RFC 2971).
    #[must_use]
    pub fn id(&self) -> bool {
        self.has("ID")
    }

    /// LIST-STATUS (RFC 5819), part of IMAP4rev2.
    #[must_use]
    pub fn list_status(&self) -> bool {
        self.has("LIST-STATUS") || self.has("IMAP4REV2")
    }

    /// CONDSTORE (RFC 7162). Who announces QRESYNC has it as well (§3.2.3).
    #[must_use]
    pub fn condstore(&self) -> bool {
        self.has("CONDSTORE") || self.has("QRESYNC")
    }

    /// QRESYNC (RFC 7162): the server remembers which UIDs are gone. It has to be enabled first.
    #[must_use]
    pub fn qresync(&self) -> bool {
        self.has("QRESYNC")
    }

    /// ESEARCH (RFC 4731), part of IMAP4rev2.
    #[must_use]
    pub fn esearch(&self) -> bool {
        self.has("ESEARCH") || self.has("IMAP4REV2")
    }

    /// MOVE (RFC 6851), part of IMAP4rev2.
    #[must_use]
    pub fn move_(&self) -> bool {
        self.has("MOVE") || self.has("IMAP4REV2")
    }

    /// NOTIFY (RFC 5465).
    #[must_use]
    pub fn notify(&self) -> bool {
        self.has("NOTIFY")
    }

    /// IDLE (RFC 2177), part of IMAP4rev2.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.has("IDLE") || self.has("IMAP4REV2")
    }

    /// OBJECTID (RFC 8474): mailboxes have an id that survives renames.
    #[must_use]
    pub fn object_id(&self) -> bool {
        self.has("OBJECTID")
    }

    /// How many messages one command may name (RFC 9738 §3, `MESSAGELIMIT=1000`), if the server says.
    #[must_use]
    pub fn message_limit(&self) -> Option<u32> {
        let limit = self.names.iter().find_map(|name| name.strip_prefix("MESSAGELIMIT=")?.parse().ok());
        limit.filter(|limit| *limit > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Capabilities {
        Capabilities::from_words(text.split(' ').map(str::as_bytes))
    }

    #[test]
    fn what_a_server_cannot_do_is_taken_back() {
        let mut capabilities = of("IMAP4rev1 OBJECTID");
        capabilities.distrust(Some("Dovecot 2.4"));
        assert!(capabilities.object_id());
        capabilities.distrust(Some("Cyrus IMAPD 3.6.1-Debian-3.6.1-4+deb12u5"));
        assert!(!capabilities.object_id());
    }

    #[test]
    fn names_are_compared_without_case() {
        let capabilities = of("IMAP4rev1 Literal+ multiappend AppendLimit=35651584");
        assert!(capabilities.literal_plus() && capabilities.multiappend() && capabilities.has("imap4REV1"));
        assert_eq!(capabilities.append_limit(), Some(35_651_584));
        assert!(!capabilities.uidplus());
    }

    #[test]
    fn literal_mode_follows_what_is_announced() {
        assert_eq!(of("IMAP4rev1").literal_mode(), LiteralMode::Synchronising);
        assert_eq!(of("IMAP4rev1 LITERAL-").literal_mode(), LiteralMode::NonSynchronisingSmall);
        assert_eq!(of("IMAP4rev1 LITERAL- LITERAL+").literal_mode(), LiteralMode::NonSynchronising);
        assert!(of("LITERAL-").literal_mode().needs_no_wait(4_096));
        assert!(!of("LITERAL-").literal_mode().needs_no_wait(4_097));
    }

    #[test]
    fn what_includes_another_extension_announces_it() {
        assert!(of("IMAP4rev1 QRESYNC").condstore() && !of("IMAP4rev1 CONDSTORE").qresync());
        let newer = of("IMAP4rev2");
        assert!(newer.list_status() && newer.esearch() && newer.move_() && newer.idle());
        assert!(!newer.notify() && !newer.object_id() && !newer.condstore());
        assert_eq!(of("MESSAGELIMIT=1000").message_limit(), Some(1_000));
    }

    #[test]
    fn nonsense_is_not_taken() {
        assert_eq!(of("APPENDLIMIT").append_limit(), None);
        assert_eq!(of("MESSAGELIMIT=0").message_limit(), None);
        assert_eq!(of("MESSAGELIMIT MESSAGELIMIT=x").message_limit(), None);
        assert!(Capabilities::from_words([&b"A\x01B"[..], b"", b"\xe9"]).is_empty());
        let many: Vec<String> = (0..5_000).map(|number| format!("X{number}")).collect();
        assert_eq!(Capabilities::from_words(many.iter().map(|name| name.as_bytes())).iter().count(), NAMES_MAX);
    }
}
