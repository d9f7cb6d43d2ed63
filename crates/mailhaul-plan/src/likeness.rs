//! What two messages still have in common when a server has altered one of them on the way.
//!
//! A [`Likeness`] is a looser key: the identity fields of a header with every octet above 127 masked, because some
//! servers put `X` in its place (Cyrus, `munge8bit`), and in parts, because some drop or add fields. A [`Print`] is what
//! contents are compared by: the body as it is, and every header field by itself, so that a field that was added or
//! dropped can be told from one that says something else.
//!
//! Neither is stored. They are made of what is left over on both sides when keys and contents have decided.

use crate::content::{ContentDigester, ContentDigests};
use crate::keys::{FIELDS, KeyMaker, MESSAGE_ID};
use sha2::{Digest as _, Sha256};
use siphasher::sip::SipHasher13;
use std::cmp::Ordering;
use std::fmt;
use std::hash::Hasher;

/// Header octets of which fields are made. What has more is not compared field by field.
const HEADER_OCTETS_MAX: usize = 256 << 10;
/// Fields of one header that are compared.
const FIELDS_MAX: usize = 500;
/// Date, From and Subject among the identity fields.
const CORE: [usize; 3] = [0, 1, 4];
/// Fields, in lower case, that servers and transports add to mail or change in it. What a draft says elsewhere is its
/// author's, but for fields of [`PRIVATE`].
const OF_SERVERS: [&[u8]; 17] = [
    b"received",
    b"received-spf",
    b"return-path",
    b"delivered-to",
    b"delivery-date",
    b"envelope-to",
    b"original-recipient",
    b"authentication-results",
    b"dkim-signature",
    b"dkim-filter",
    b"domainkey-signature",
    b"status",
    b"content-length",
    b"lines",
    b"mime-version",
    b"xref",
    b"path",
];
/// How the names begin of more such fields.
const OF_SERVERS_ALL: [&[u8]; 1] = [b"arc-"];
/// How the names begin that anybody makes up, servers above all. Of these only what begins as in [`PRIVATE_AUTHORED`] is
/// the author's.
const PRIVATE: &[u8] = b"x-";
/// How the names of fields begin that mail programs keep in drafts for their authors.
const PRIVATE_AUTHORED: [&[u8]; 19] = [
    b"x-priority",
    b"x-msmail-priority",
    b"x-confirm-reading-to",
    b"x-mozilla-",
    b"x-identity-",
    b"x-account-key",
    b"x-draft-",
    b"x-template",
    b"x-forwarded-message-id",
    b"x-message-flag",
    b"x-send-later",
    b"x-label",
    b"x-enigmail-",
    b"x-kmail-",
    b"x-evolution-",
    b"x-claws-",
    b"x-apple-",
    b"x-uniform-type-identifier",
    b"x-universally-unique-identifier",
];
/// What stands for an octet above 127.
const MASK: u8 = b'X';

/// A looser key in parts, each of which may be missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Likeness {
    /// Digest of the Message-ID; `None` without one.
    pub message_id: Option<u64>,
    /// Digest of the other identity fields; `None` if there are none.
    pub others: Option<u64>,
    /// Digest of Date, From and Subject, which no server drops; `None` without all three.
    pub core: Option<u64>,
}

impl KeyMaker {
    /// The likeness of a header block: a HEADER.FIELDS answer, or the beginning of a message.
    #[must_use]
    pub fn likeness_of_headers(&self, header_block: &[u8]) -> Likeness {
        let mut likeness = Likeness::default();
        let mut seen = [0u64; FIELDS.len()];
        for field in fields_of(header_block) {
            let Some(number) = FIELDS.iter().position(|known| known.eq_ignore_ascii_case(field.name)) else { continue };
            let Some(digest) = field.digest(self.seeded(number as u64 | seen[number] << 8)) else { continue };
            seen[number] += 1;
            let part = if number == MESSAGE_ID { &mut likeness.message_id } else { &mut likeness.others };
            add(part, digest);
            if CORE.contains(&number) {
                add(&mut likeness.core, digest);
            }
        }
        if CORE.iter().any(|number| seen[*number] == 0) {
            likeness.core = None;
        }
        likeness
    }

    /// Makes the print of a message that arrives in pieces.
    #[must_use]
    pub fn printer(&self) -> Printer {
        Printer { content: ContentDigester::default(), seed: self.seeded(u64::MAX), header: Header::Open(Vec::new()) }
    }
}

/// The fields of a header, as a multiset: digests of the names and of the values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fields {
    /// Name and value, ascending.
    digests: Box<[(u64, Value)]>,
    /// Whether there is an octet above 127 among them.
    pub has_8bit: bool,
    /// Digest of those that an author changes in a draft and no key holds; `None` if there are none.
    authored: Option<u64>,
}

/// Digests of a field's value. Both are the same where no octet is above 127.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Value {
    masked: u64,
    raw: u64,
}

/// What became of the fields of a header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FieldChanges {
    /// Fields that only the other header has.
    pub added: usize,
    /// Fields that only this one has.
    pub dropped: usize,
    /// Names that stand in both with other values.
    pub changed: usize,
    /// Fields that stand in both.
    pub kept: usize,
}

impl FieldChanges {
    /// Whether whatever stands in both says the same.
    #[must_use]
    pub fn contradicts(self) -> bool {
        self.changed > 0
    }
}

impl Fields {
    fn of(header: &[u8], seed: &SipHasher13) -> Option<Self> {
        let (mut digests, mut authored) = (Vec::new(), None);
        for field in fields_of(header) {
            if digests.len() == FIELDS_MAX {
                return None;
            }
            if is_authored(field.name) {
                let mut seed = *seed;
                field.name.iter().for_each(|octet| seed.write_u8(octet.to_ascii_lowercase()));
                seed.write_u8(b':');
                field.digest(seed).into_iter().for_each(|digest| add(&mut authored, digest));
            }
            let mut name = *seed;
            field.name.iter().for_each(|octet| name.write_u8(masked(*octet).to_ascii_lowercase()));
            // An empty field counts as absent: servers differ in whether they keep it.
            let value = field.digest(*seed).zip(field.raw_digest(*seed));
            digests.extend(value.map(|(masked, raw)| (name.finish(), Value { masked, raw })));
        }
        digests.sort_unstable();
        Some(Self { digests: digests.into(), has_8bit: !header.is_ascii(), authored })
    }

    /// What became of these fields in `other`, which a server may have made of them: a value in which octets are masked
    /// stands for the one that it was, and for no other with an octet above 127.
    #[must_use]
    pub fn changes_in(&self, other: &Self) -> FieldChanges {
        let mut changes = FieldChanges::default();
        let (mut ours, mut theirs) = (&self.digests[..], &other.digests[..]);
        while let Some(name) = ours.first().into_iter().chain(theirs.first()).map(|(name, _)| *name).min() {
            let (our_values, our_rest) = ours.split_at(ours.partition_point(|field| field.0 <= name));
            let (their_values, their_rest) = theirs.split_at(theirs.partition_point(|field| field.0 <= name));
            (ours, theirs) = (our_rest, their_rest);
            let common = common(our_values, their_values);
            let (dropped, added) = (our_values.len() - common, their_values.len() - common);
            changes.kept += common;
            if dropped > 0 && added > 0 {
                changes.changed += 1;
            } else {
                changes.dropped += dropped;
                changes.added += added;
            }
        }
        changes
    }
}

/// Whether the author of a draft sets this field, and no key holds it.
fn is_authored(name: &[u8]) -> bool {
    let is = |known: &&[u8]| known.eq_ignore_ascii_case(name);
    let begins = |known: &&[u8]| name.get(..known.len()).is_some_and(|start| known.eq_ignore_ascii_case(start));
    if begins(&PRIVATE) {
        return PRIVATE_AUTHORED.iter().any(begins);
    }
    let is_of_others = FIELDS.iter().any(is) || OF_SERVERS.iter().any(is) || OF_SERVERS_ALL.iter().any(begins);
    !name.is_empty() && !is_of_others
}

/// How many of these values became one of `theirs`: unchanged, or with every octet above 127 masked. Both ascend.
fn common(ours: &[(u64, Value)], theirs: &[(u64, Value)]) -> usize {
    let (mut one, mut other) = (ours.iter().peekable(), theirs.iter().peekable());
    let (mut unchanged, mut left, mut plain) = (0, Vec::new(), Vec::new());
    loop {
        let order = match (one.peek(), other.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((_, ours)), Some((_, theirs))) => ours.cmp(theirs),
        };
        if order == Ordering::Equal {
            unchanged += 1;
        }
        if order != Ordering::Greater
            && let Some((_, value)) = one.next()
            && order == Ordering::Less
        {
            left.push(value.masked);
        }
        if order != Ordering::Less
            && let Some((_, value)) = other.next()
            && order == Ordering::Greater
            && value.masked == value.raw
        {
            plain.push(value.masked);
        }
    }
    unchanged + in_both(&left, &plain)
}

/// How many stand in both; both ascend.
fn in_both(mut ours: &[u64], mut theirs: &[u64]) -> usize {
    let mut both = 0;
    while let (Some(one), Some(other)) = (ours.first(), theirs.first()) {
        match one.cmp(other) {
            Ordering::Less => ours = &ours[1..],
            Ordering::Greater => theirs = &theirs[1..],
            Ordering::Equal => {
                both += 1;
                (ours, theirs) = (&ours[1..], &theirs[1..]);
            }
        }
    }
    both
}

/// What the contents of a message are compared by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Print {
    /// Over the octets.
    pub digests: ContentDigests,
    /// The header, field by field; `None` if it has too many or too large ones.
    pub fields: Option<Fields>,
    /// Whether anything follows the header.
    pub has_body: bool,
}

impl Print {
    /// What drafts are compared by: as body counts besides the body whatever else its author may have changed under the
    /// same key, such as a recipient in Bcc. What servers are known to add does not count.
    #[must_use]
    pub fn digests_of_draft(&self) -> ContentDigests {
        let authored = self.fields.as_ref().and_then(|fields| fields.authored);
        let Some(authored) = authored else { return self.digests };
        let body = Sha256::new().chain_update(self.digests.body).chain_update(authored.to_le_bytes()).finalize().into();
        ContentDigests { body, ..self.digests }
    }
}

/// Makes a [`Print`] of a message that arrives in pieces, in memory that is bounded.
pub struct Printer {
    content: ContentDigester,
    seed: SipHasher13,
    header: Header,
}

enum Header {
    /// Not at its end yet.
    Open(Vec<u8>),
    /// Over; and whether something has come behind it.
    Closed(Option<Fields>, bool),
}

impl Printer {
    /// The next piece, cut anywhere.
    pub fn push(&mut self, piece: &[u8]) {
        self.content.push(piece);
        match &mut self.header {
            Header::Closed(_, has_body) => *has_body |= !piece.is_empty(),
            Header::Open(held) => {
                let from = held.len().saturating_sub(3);
                held.extend_from_slice(piece);
                if let Some(end) = header_end(held, from) {
                    // Wherever the pieces are cut, the same headers are too large.
                    self.header = match end <= HEADER_OCTETS_MAX {
                        true => Header::Closed(Fields::of(&held[..end], &self.seed), held.len() > end),
                        false => Header::Closed(None, true),
                    };
                } else if held.len() > HEADER_OCTETS_MAX {
                    self.header = Header::Closed(None, true);
                }
            }
        }
    }

    /// The print, when everything was pushed.
    #[must_use]
    pub fn finish(self) -> Print {
        let (fields, has_body) = match self.header {
            Header::Open(held) => (Fields::of(&held, &self.seed), false),
            Header::Closed(fields, has_body) => (fields, has_body),
        };
        Print { digests: self.content.finish(), fields, has_body }
    }
}

impl fmt::Debug for Printer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Printer")
    }
}

/// Where the header with its empty line ends; what lies before `from` was looked at before.
fn header_end(held: &[u8], from: usize) -> Option<usize> {
    if held.starts_with(b"\n") {
        return Some(1);
    }
    if held.starts_with(b"\r\n") {
        return Some(2);
    }
    memchr::memchr_iter(b'\n', &held[from..]).map(|at| from + at).find_map(|at| match &held[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// One field of a header.
struct Field<'a> {
    /// Empty for a line that is no field.
    name: &'a [u8],
    /// With what continues it.
    value: &'a [u8],
}

impl Field<'_> {
    /// Digests the words of the value, masked, with one blank between them; `None` if there are none.
    fn digest(&self, hasher: SipHasher13) -> Option<u64> {
        self.digest_words(hasher, masked)
    }

    /// The same of the octets as they are.
    fn raw_digest(&self, hasher: SipHasher13) -> Option<u64> {
        self.digest_words(hasher, |octet| octet)
    }

    fn digest_words(&self, mut hasher: SipHasher13, seen_as: impl Fn(u8) -> u8) -> Option<u64> {
        let mut words = self.value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let mut write = |word: &[u8]| match word.is_ascii() {
            true => hasher.write(word),
            false => word.iter().for_each(|octet| hasher.write_u8(seen_as(*octet))),
        };
        write(words.next()?);
        for word in words {
            write(b" ");
            write(word);
        }
        Some(hasher.finish())
    }
}

fn add(sum: &mut Option<u64>, digest: u64) {
    *sum = Some(sum.unwrap_or(0).wrapping_add(digest));
}

fn masked(octet: u8) -> u8 {
    if octet.is_ascii() { octet } else { MASK }
}

/// The fields of a header block, up to its empty line.
fn fields_of(block: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = block;
    std::iter::from_fn(move || {
        if matches!(rest, [] | [b'\n', ..] | [b'\r', b'\n', ..] | [b'\r']) {
            return None;
        }
        let ends = memchr::memchr_iter(b'\n', rest).map(|at| at + 1);
        // RFC 5322 §2.2.3: a line that begins with white space continues the field.
        let mut ends = ends.filter(|end| !matches!(rest.get(*end), Some(b' ' | b'\t')));
        let end = ends.next().unwrap_or(rest.len());
        let (whole, after) = rest.split_at(end);
        rest = after;
        let colon = memchr::memchr2(b':', b'\n', whole).filter(|at| whole[*at] == b':');
        Some(match colon {
            Some(colon) => Field { name: whole[..colon].trim_ascii_end(), value: &whole[colon + 1..] },
            None => Field { name: &[], value: whole },
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys() -> KeyMaker {
        KeyMaker::new(*b"0123456789abcdef")
    }

    fn likeness(block: &str) -> Likeness {
        keys().likeness_of_headers(block.as_bytes())
    }

    fn print(message: &[u8]) -> Print {
        let mut printer = keys().printer();
        printer.push(message);
        printer.finish()
    }

    #[test]
    fn a_recipient_in_secret_makes_another_draft_and_what_servers_add_does_not() {
        let of = |header: &str| print(format!("{header}Subject: x\r\n\r\nBody\r\n").as_bytes()).digests_of_draft().body;
        let plain = of("");
        assert_eq!(of("X-Stored: 7\r\nReceived: here\r\n"), plain);
        assert_ne!(of("BCC: b@example.org\r\n"), plain);
        assert_eq!(of("BCC: b@example.org\r\n"), of("X-Stored: 7\r\nBcc:  b@example.org\r\n"));
        assert_ne!(of("Bcc: b@example.org\r\n"), of("Reply-To: b@example.org\r\n"));
        for name in ["Return-Receipt-To", "X-Mozilla-Draft-Info", "X-MSMail-Priority", "Newsgroups", "Content-Language"]
        {
            assert_ne!(of(&format!("{name}: me\r\n")), plain, "{name}");
        }
        assert_eq!(of("ARC-Seal: i=1\r\nX-Spam-Score: 1\r\nX-GMAIL-LABELS: a\r\nStatus: RO\r\n"), plain);
        assert_eq!(of("Bcc: \r\n"), plain, "an empty field counts as absent");
    }

    fn changes(ours: &[u8], theirs: &[u8]) -> (usize, usize, usize, usize) {
        let fields = |octets| print(octets).fields.expect("a small header");
        let FieldChanges { added, dropped, changed, kept } = fields(ours).changes_in(&fields(theirs));
        (added, dropped, changed, kept)
    }

    #[test]
    fn masked_octets_folding_and_foreign_fields_leave_a_likeness_as_it_is() {
        let plain = likeness("Subject: gr\u{fc}n\r\nFrom: a b\r\nMessage-ID: <1@x>\r\n\r\n");
        for alike in [
            "Subject: grXXn\r\nFrom: a b\r\nMessage-ID: <1@x>\r\n\r\n",
            "X-New: 1\r\nmessage-id: <1@x>\nFROM: a\n\tb\nSubject :  gr\u{fc}n\n\nSubject: body",
        ] {
            assert_eq!(likeness(alike), plain, "{alike:?}");
        }
        let other = likeness("Subject: grXn\r\nFrom: a b\r\nMessage-ID: <1@x>\r\n\r\n");
        assert_eq!((other.message_id, other.others == plain.others), (plain.message_id, false));
    }

    #[test]
    fn either_part_may_be_missing() {
        assert_eq!(likeness("X: y\r\n\r\nSubject: body"), Likeness::default());
        let id = likeness("Message-ID: <1@x>\r\n");
        assert!(id.message_id.is_some() && id.others.is_none());
        let others = likeness("Subject: a\r\nMessage-ID: \r\n");
        assert!(others.message_id.is_none() && others.others.is_some());
        assert_ne!(likeness("To: a\r\nCc: b\r\n"), likeness("To: b\r\nCc: a\r\n"));
        let core = likeness("Date: d\r\nFrom: f\r\nSubject: s\r\nMessage-ID: <1>\r\nCc: c\r\n").core;
        assert!(core.is_some() && core == likeness("Subject: s\r\nDate: d\r\nFrom: f\r\n").core);
        assert!(others.core.is_none());
    }

    #[test]
    fn what_was_added_or_dropped_is_told_from_what_says_something_else() {
        let plain = b"A: 1\r\nB: 2\r\nB: 3\r\n\r\nbody";
        for (other, expected) in [
            (&b"a: 1\nB:  2\nB: 3\n\nbody"[..], (0, 0, 0, 3)),
            (b"X: 9\r\nB: 3\r\nA: 1\r\nB: 2\r\n\r\n", (1, 0, 0, 3)),
            (b"A: 1\r\nB: 2\r\n\r\n", (0, 1, 0, 2)),
            (b"C: 1\r\nB: 2\r\nB: 3\r\n\r\n", (1, 1, 0, 2)),
            (b"A: 2\r\nB: 2\r\nB: 3\r\n\r\n", (0, 0, 1, 2)),
            (b"A: 1\r\nB: 2\r\nB: 4\r\n\r\n", (0, 0, 1, 2)),
            (b"A: 1\r\nB: 2\r\nB: 3\r\nB: 3\r\nC:\r\n\r\n", (1, 0, 0, 3)),
            (b"no colon here\r\nA: 1\r\nB: 2\r\nB: 3\r\n\r\n", (1, 0, 0, 3)),
            (b"", (0, 3, 0, 0)),
        ] {
            assert_eq!(changes(plain, other), expected, "{:?}", String::from_utf8_lossy(other));
        }
        assert_eq!(changes(b"S: \xfc\r\n\r\n", b"S: X\r\n\r\n"), (0, 0, 0, 1));
    }

    #[test]
    fn a_print_knows_of_octets_above_127_and_of_a_body() {
        let munged = print(b"S: \xfc\r\n\r\nbody");
        assert!(munged.has_body && munged.fields.is_some_and(|fields| fields.has_8bit));
        for without in [&b"S: a\r\n\r\n"[..], b"S: a\r\n", b"", b"\r\n"] {
            assert!(!print(without).has_body, "{without:?}");
        }
        assert!(print(b"\r\nb").has_body && print(b"\nb").has_body);
        assert!(print(b"S: a\r\n\r\n\xfc").fields.is_some_and(|fields| !fields.has_8bit));
    }

    #[test]
    fn a_header_beyond_all_measure_is_not_compared_by_fields() {
        assert!(print(&b"A: 1\r\n".repeat(FIELDS_MAX + 1)).fields.is_none());
        assert!(print(&[b"A: ", &b"x".repeat(HEADER_OCTETS_MAX)[..]].concat()).fields.is_none());
        assert!(print(&b"A: 1\r\n".repeat(FIELDS_MAX)).fields.is_some());
    }

    #[test]
    fn a_header_is_too_large_wherever_its_pieces_are_cut() {
        let message = [b"A: ", &b"x".repeat(HEADER_OCTETS_MAX)[..], b"\r\n\r\nbody"].concat();
        let whole = print(&message);
        assert!(whole.fields.is_none());
        let mut printer = keys().printer();
        message.chunks(10_000).for_each(|piece| printer.push(piece));
        assert_eq!(printer.finish(), whole);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

        #[test]
        fn pieces_make_the_same_print_as_the_whole(
            message in "(A: b|Subject: ü|\r\n|\n|\r| c|x){0,12}",
            cuts in proptest::collection::vec(0usize..6, 0..12),
        ) {
            let mut printer = keys().printer();
            let mut rest = message.as_bytes();
            for cut in cuts {
                let (piece, others) = rest.split_at(cut.min(rest.len()));
                printer.push(piece);
                rest = others;
            }
            printer.push(rest);
            prop_assert_eq!(printer.finish(), print(message.as_bytes()));
        }

        #[test]
        fn any_octets_have_a_likeness_and_a_print(message in proptest::collection::vec(any::<u8>(), 0..300)) {
            let fields = print(&message).fields.expect("a small header");
            prop_assert!(!fields.changes_in(&fields).contradicts());
            prop_assert_eq!(keys().likeness_of_headers(&message), keys().likeness_of_headers(&message));
        }

        #[test]
        fn what_a_server_masks_makes_no_difference(message in proptest::collection::vec(any::<u8>(), 0..200)) {
            let munged: Vec<u8> = message.iter().map(|octet| masked(*octet)).collect();
            prop_assert_eq!(keys().likeness_of_headers(&message), keys().likeness_of_headers(&munged));
            let (ours, theirs) = (print(&message).fields.expect("small"), print(&munged).fields.expect("small"));
            let changes = ours.changes_in(&theirs);
            prop_assert_eq!((changes.added, changes.dropped, changes.changed), (0, 0, 0));
        }
    }
}
