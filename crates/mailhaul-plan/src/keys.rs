//! Message keys: a 64-bit keyed digest over the header fields that survive a move between servers.
//!
//! Digested are Date, From, To, Cc, Subject, Message-ID, In-Reply-To and References, unfolded and with runs of
//! white space collapsed; not Received, Status or X- fields, which servers add and drop. Fields are added up rather
//! than chained, so a server that answers HEADER.FIELDS in another order than the message's makes the same key; the
//! order of repeated fields counts.
//!
//! One scanner serves header blocks, whole messages and streams alike. It is a state machine with a few words of
//! state, so memory does not depend on the message, time is linear, and no octet can make it fail. It runs for every
//! message that is copied.

use mailhaul_types::{KeyStrength, MessageKey};
use siphasher::sip::SipHasher13;
use std::fmt;
use std::hash::Hasher;

/// The digested fields in lower case. The place in this list goes into the digest, so new ones come last.
pub(crate) const FIELDS: [&[u8]; 8] =
    [b"date", b"from", b"to", b"cc", b"subject", b"message-id", b"in-reply-to", b"references"];
pub(crate) const MESSAGE_ID: usize = 5;
/// Longest name in [`FIELDS`], with some room for blanks before the colon.
const NAME_MAX: usize = 16;
/// Stands in place of a field's number where the whole content is digested.
const CONTENT: u64 = 255;

/// Makes keys under one ledger's secret.
#[derive(Clone)]
pub struct KeyMaker {
    seed: SipHasher13,
}

impl KeyMaker {
    /// Keys are comparable only if they were made under the same secret. The secret is random and stays in the
    /// ledger: an author of mail who knew it could make two mails collide on purpose.
    #[must_use]
    pub fn new(secret: [u8; 16]) -> Self {
        Self { seed: SipHasher13::new_with_key(&secret) }
    }

    /// A hasher under the secret that has taken in a number, which keeps apart what must not meet.
    pub(crate) fn seeded(&self, number: u64) -> SipHasher13 {
        let mut hasher = self.seed;
        hasher.write(&number.to_le_bytes());
        hasher
    }

    /// The key of a header block: a HEADER.FIELDS answer, or the beginning of a message up to or beyond its empty
    /// line. `None` if none of the digested fields is there (or all are empty): then the content decides.
    #[must_use]
    pub fn key_of_headers(&self, header_block: &[u8]) -> Option<MessageKey> {
        let mut scanner = FieldScanner::new(&self.seed);
        scanner.push(header_block);
        scanner.finish()
    }

    /// The key of a whole message: that of its header or, without any of the digested fields, one over its content
    /// after line ends were made alike.
    #[must_use]
    pub fn key_of_message(&self, octets: &[u8]) -> MessageKey {
        self.key_of_headers(octets).unwrap_or_else(|| {
            let mut content = ContentKey::new(&self.seed);
            content.push(octets);
            content.finish()
        })
    }

    /// The same as [`KeyMaker::key_of_message`] for a message that arrives in pieces.
    #[must_use]
    pub fn stream(&self) -> KeyStream {
        KeyStream { fields: FieldScanner::new(&self.seed), content: Some(ContentKey::new(&self.seed)) }
    }
}

/// Says nothing of the secret.
impl fmt::Debug for KeyMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyMaker")
    }
}

/// Makes the key of a message that arrives in pieces, in constant memory.
pub struct KeyStream {
    fields: FieldScanner,
    /// Given up as soon as a digested field is found, because then nobody will ask for it.
    content: Option<ContentKey>,
}

impl KeyStream {
    /// The next piece, cut anywhere.
    pub fn push(&mut self, piece: &[u8]) {
        self.fields.push(piece);
        if self.fields.found {
            self.content = None;
        }
        if let Some(content) = &mut self.content {
            content.push(piece);
        }
    }

    /// The key, when everything was pushed.
    #[must_use]
    pub fn finish(self) -> MessageKey {
        match self.fields.finish() {
            Some(key) => key,
            None => self.content.map(ContentKey::finish).expect("content is given up only once a field was found"),
        }
    }
}

impl fmt::Debug for KeyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyStream")
    }
}

/// Where in a header the scanner stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the first octet of a line.
    LineStart,
    /// After CR at the start of a line: the empty line that ends the header, if LF follows.
    LoneReturn,
    /// Within what may be a field name.
    Name,
    /// Within the value of a digested field.
    Value,
    /// Within a line that does not matter.
    Skip,
    /// The header is over.
    Done,
}

struct FieldScanner {
    seed: SipHasher13,
    state: State,
    /// Sum of the digests of all fields so far.
    sum: u64,
    /// Whether a digested field with a value was closed or is open.
    found: bool,
    with_message_id: bool,
    /// How many values each field has had.
    seen: [u32; FIELDS.len()],
    name: [u8; NAME_MAX],
    name_len: usize,
    /// The field that is open, also while its continuation lines are awaited.
    open: Option<OpenField>,
}

struct OpenField {
    number: usize,
    hasher: SipHasher13,
    /// White space was seen since the last word.
    gap: bool,
    /// A word was seen.
    filled: bool,
}

impl FieldScanner {
    fn new(seed: &SipHasher13) -> Self {
        Self {
            seed: *seed,
            state: State::LineStart,
            sum: 0,
            found: false,
            with_message_id: false,
            seen: [0; FIELDS.len()],
            name: [0; NAME_MAX],
            name_len: 0,
            open: None,
        }
    }

    fn push(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while let Some((&octet, after)) = rest.split_first() {
            rest = match self.state {
                State::Done => return,
                State::LineStart => self.start_line(octet, rest, after),
                State::LoneReturn => self.after_lone_return(octet, rest, after),
                State::Name => self.read_name(rest),
                State::Skip => self.skip_line(rest),
                State::Value => self.read_value(rest),
            };
        }
    }

    fn finish(mut self) -> Option<MessageKey> {
        self.close_field();
        let strength = if self.with_message_id { KeyStrength::MessageId } else { KeyStrength::Headers };
        self.found.then_some(MessageKey { digest: self.sum, strength })
    }

    /// Returns what is left to read, as all the following do.
    fn start_line<'a>(&mut self, octet: u8, whole: &'a [u8], after: &'a [u8]) -> &'a [u8] {
        match octet {
            // RFC 5322 §2.2.3: a line that begins with white space continues the field, whatever it holds.
            b' ' | b'\t' => {
                self.state = if self.open.is_some() { State::Value } else { State::Skip };
                whole
            }
            b'\n' => {
                self.state = State::Done;
                after
            }
            b'\r' => {
                self.state = State::LoneReturn;
                after
            }
            _ => {
                self.close_field();
                self.name_len = 0;
                self.state = State::Name;
                whole
            }
        }
    }

    fn after_lone_return<'a>(&mut self, octet: u8, whole: &'a [u8], after: &'a [u8]) -> &'a [u8] {
        match octet {
            b'\n' => {
                self.state = State::Done;
                after
            }
            b'\r' => after,
            _ => {
                self.close_field();
                self.state = State::Skip;
                whole
            }
        }
    }

    fn read_name<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        if self.name_len == 0
            && let Some(start) = rest.first_chunk::<{ NAME_MAX + 1 }>()
        {
            return self.read_whole_name(start, rest);
        }
        for (place, &octet) in rest.iter().enumerate() {
            match octet {
                b':' => {
                    let (name, octets) = (self.name, self.name_len);
                    self.open_field(&name[..octets]);
                    return &rest[place + 1..];
                }
                // A line without a colon (an mbox "From " line, or rubbish) is no field; what continues it is skipped too.
                b'\n' => {
                    self.state = State::LineStart;
                    return &rest[place + 1..];
                }
                _ if self.name_len == NAME_MAX => {
                    self.state = State::Skip;
                    return &rest[place..];
                }
                _ => {
                    self.name[self.name_len] = octet;
                    self.name_len += 1;
                }
            }
        }
        &[]
    }

    /// The same where the line begins here and all of a name that matters is there, which is nearly always.
    fn read_whole_name<'a>(&mut self, start: &[u8; NAME_MAX + 1], rest: &'a [u8]) -> &'a [u8] {
        let end =
            if may_be_digested(start) { start.iter().position(|octet| matches!(octet, b':' | b'\n')) } else { None };
        match end {
            Some(end) if start[end] == b':' => {
                self.open_field(&start[..end]);
                &rest[end + 1..]
            }
            Some(end) => {
                self.state = State::LineStart;
                &rest[end + 1..]
            }
            None => {
                self.state = State::Skip;
                self.skip_line(rest)
            }
        }
    }

    fn skip_line<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        match memchr::memchr(b'\n', rest) {
            Some(end) => {
                self.state = State::LineStart;
                &rest[end + 1..]
            }
            None => &[],
        }
    }

    fn read_value<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let (line, after) = match memchr::memchr(b'\n', rest) {
            Some(end) => {
                self.state = State::LineStart;
                (&rest[..end], &rest[end + 1..])
            }
            None => (rest, &[][..]),
        };
        if let Some(open) = &mut self.open {
            open.push(line);
            if self.state == State::LineStart {
                open.gap = true;
            }
            if open.filled {
                self.found = true;
                self.with_message_id |= open.number == MESSAGE_ID;
            }
        }
        after
    }

    fn open_field(&mut self, name: &[u8]) {
        let name = name.trim_ascii_end();
        self.state = State::Skip;
        let number = FIELDS.iter().position(|field| field.len() == name.len() && field.eq_ignore_ascii_case(name));
        if let Some(number) = number {
            let mut hasher = self.seed;
            hasher.write(&(number as u64 | u64::from(self.seen[number]) << 8).to_le_bytes());
            self.open = Some(OpenField { number, hasher, gap: false, filled: false });
            self.state = State::Value;
        }
    }

    /// An empty field counts as absent: servers differ in whether they hand it out.
    fn close_field(&mut self) {
        if let Some(open) = self.open.take().filter(|open| open.filled) {
            self.sum = self.sum.wrapping_add(open.hasher.finish());
            self.seen[open.number] = self.seen[open.number].saturating_add(1);
        }
    }
}

/// Whether a line that begins like this may be a digested field. Most lines of a header are not, and are passed over by two
/// octets of their name.
fn may_be_digested(start: &[u8; NAME_MAX + 1]) -> bool {
    // Sets the bit by which capitals differ. What is no letter may become one, and is looked at more closely for it.
    match [start[0] | 0x20, start[1] | 0x20] {
        [b'd', b'a'] | [b'f', b'r'] | [b't', b'o'] | [b'c', b'c'] | [b's', b'u'] | [b'm', b'e'] | [b'i', b'n'] => true,
        [b'r', b'e'] => start[2] | 0x20 == b'f',
        _ => false,
    }
}

impl OpenField {
    /// Digests words with one blank between them.
    fn push(&mut self, line: &[u8]) {
        let Some(start) = line.iter().position(|octet| !is_blank(*octet)) else {
            self.gap |= !line.is_empty();
            return;
        };
        let end = line.iter().rposition(|octet| !is_blank(*octet)).map_or(start, |last| last + 1);
        let words = &line[start..end];
        self.gap |= start > 0;
        if is_single_spaced(words) {
            self.write(words);
        } else {
            words.split(|octet| is_blank(*octet)).filter(|word| !word.is_empty()).for_each(|word| {
                self.write(word);
                self.gap = true;
            });
        }
        self.gap = end < line.len();
    }

    fn write(&mut self, words: &[u8]) {
        if self.gap && self.filled {
            self.hasher.write(b" ");
        }
        self.hasher.write(words);
        (self.gap, self.filled) = (false, true);
    }
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r')
}

/// Whether the blanks within are single spaces, as nearly always: then the stretch goes in whole. Looks at every
/// octet without branching, which the compiler turns into a few wide instructions.
fn is_single_spaced(words: &[u8]) -> bool {
    let odd = |octet: u8| (octet == b'\t') | (octet == b'\r');
    let single = words.iter().fold(false, |found, octet| found | odd(*octet));
    let double =
        words.iter().zip(&words[1..]).fold(false, |found, (one, next)| found | ((*one == b' ') & (*next == b' ')));
    !(single | double)
}

/// The digest of a content whose line ends were made alike: CRLF and LF count as the same, and one line end at the
/// very end does not count, because servers add it.
struct ContentKey {
    hasher: SipHasher13,
    lines: crate::content::LineEnds,
}

impl ContentKey {
    fn new(seed: &SipHasher13) -> Self {
        let mut hasher = *seed;
        hasher.write(&CONTENT.to_le_bytes());
        Self { hasher, lines: crate::content::LineEnds::default() }
    }

    fn push(&mut self, piece: &[u8]) {
        self.lines.push(piece, &mut |octets| self.hasher.write(octets));
    }

    fn finish(mut self) -> MessageKey {
        self.lines.finish(&mut |octets| self.hasher.write(octets));
        MessageKey { digest: self.hasher.finish(), strength: KeyStrength::Content }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAIL: &[u8] = b"Received: by mx.example\r\n\tid 1; Mon, 1 Jan 2001\r\n\
        Date: Mon, 1 Jan 2001 00:00:00 +0000\r\nFrom: Alice <alice@example.org>\r\nTo: bob@example.org\r\n\
        Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@example.org>\r\nX-Spam: no\r\n\r\n\
        Subject: not a header\r\n\r\nhello\r\n";

    fn keys() -> KeyMaker {
        KeyMaker::new(*b"0123456789abcdef")
    }

    fn key(block: &str) -> MessageKey {
        keys().key_of_headers(block.as_bytes()).expect("a digested field")
    }

    #[test]
    fn digests_do_not_change_between_releases() {
        // Ledgers keep these numbers for years. If this fails, old ledgers no longer recognise any mail. The numbers come
        // from another implementation of SipHash-1-3, over the field's number and place as 64 bits, lowest octet
        // first, and its value.
        let mail = keys().key_of_message(MAIL);
        assert_eq!((mail.digest, mail.strength), (0x5f8c_41fd_5933_bd9a, KeyStrength::MessageId));
        let content = keys().key_of_message(b"X-Only: this\r\n\r\nhello\r\n");
        assert_eq!((content.digest, content.strength), (0x03cb_c833_ff70_e70e, KeyStrength::Content));
    }

    #[test]
    fn a_header_answer_and_the_whole_mail_have_one_key() {
        let fields = "Date: Mon, 1 Jan 2001 00:00:00 +0000\r\nFrom: Alice <alice@example.org>\r\n\
            To: bob@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@example.org>\r\n\r\n";
        assert_eq!(key(fields), keys().key_of_message(MAIL));
    }

    #[test]
    fn what_servers_change_on_the_way_does_not_change_the_key() {
        let plain = "From: a b\r\nSubject: one two three\r\nMessage-ID: <1@x>\r\n\r\n";
        let alike = [
            "Message-ID: <1@x>\r\nSubject: one two three\r\nFrom: a b\r\n\r\n",
            "from: a b\nSUBJECT: one two three\nMessage-Id: <1@x>\n\n",
            "From:a b\r\nSubject:   one\ttwo \r\n   three  \r\nMessage-ID:\r\n <1@x>\r\n\r\n",
            "From : a b\r\nSubject\t: one two\r\n\tthree\r\nMessage-ID: <1@x>\r\n",
            "Received: x\r\n y\r\nFrom: a b\r\nStatus: RO\r\nX-Y: z\r\nSubject: one two three\r\nMessage-ID: <1@x>",
            "From: a b\r\nCc:\r\nSubject: one two three\r\nReferences: \r\n \r\nMessage-ID: <1@x>\r\n\r\nbody",
            "From someone Mon Jan 1 00:00:00 2001\nFrom: a b\nSubject: one two three\nMessage-ID: <1@x>\n\n",
            "no colon here\r\n and more: of it\r\nFrom: a b\r\nSubject: one two three\r\nMessage-ID: <1@x>\r\n\r\n",
        ];
        for other in alike {
            assert_eq!(key(other), key(plain), "{other:?}");
        }
    }

    #[test]
    fn any_digested_field_makes_another_mail() {
        let plain = "Date: d\r\nFrom: f\r\nTo: t\r\nCc: c\r\nSubject: s\r\nMessage-ID: m\r\nIn-Reply-To: i\r\nReferences: r\r\n";
        let mut seen = std::collections::BTreeSet::from([key(plain).digest]);
        for field in plain.split_inclusive("\r\n") {
            let name = field.split(':').next().expect("a name");
            let edits = [String::new(), format!("{name}: x\r\n"), field.to_uppercase(), format!("{field}{field}")];
            for edit in edits {
                assert!(seen.insert(key(&plain.replace(field, &edit)).digest), "{field:?} {edit:?}");
            }
        }
    }

    #[test]
    fn values_never_slide_from_one_field_into_another() {
        assert_ne!(key("From: a\r\nTo: b\r\n"), key("From: b\r\nTo: a\r\n"));
        assert_ne!(key("Subject: a b\r\n"), key("Subject: ab\r\n"));
        assert_ne!(key("To: a\r\nTo: b\r\n"), key("To: b\r\nTo: a\r\n"));
        assert_ne!(key("To: a\r\nTo: b\r\n"), key("To: a b\r\n"));
        assert_ne!(key("To: a\r\n"), key("To: a\r\nTo: a\r\n"));
    }

    #[test]
    fn strength_tells_what_was_there() {
        assert_eq!(key("Message-ID: <1>\r\n").strength, KeyStrength::MessageId);
        assert_eq!(key("Date: x\r\n").strength, KeyStrength::Headers);
        assert_eq!(key("Date: x\r\nMessage-ID: \r\n\r\n").strength, KeyStrength::Headers);
    }

    #[test]
    fn without_a_digested_field_there_is_no_header_key() {
        for block in
            ["", "\r\n", "X: y\r\n\r\n", "\r\nSubject: body\r\n", "Subject:\r\n", "Subject", ":x\r\n", "\n\n", "\r"]
        {
            assert_eq!(keys().key_of_headers(block.as_bytes()), None, "{block:?}");
        }
    }

    #[test]
    fn content_keys_ignore_line_ends_and_nothing_else() {
        let content = |octets: &[u8]| keys().key_of_message(octets);
        assert_eq!(content(b"\r\na\r\nb\r\n"), content(b"\na\nb"));
        for other in [&b"\r\na\r\nb\r\n\r\n"[..], b"\r\na\rb", b"\r\na b\r\n", b"", b"a\r\nb"] {
            assert_ne!(content(other), content(b"\r\na\r\nb\r\n"), "{other:?}");
        }
        assert_eq!(content(b"").strength, KeyStrength::Content);
    }

    #[test]
    fn another_secret_makes_other_keys() {
        let other = KeyMaker::new(*b"0123456789abcdeg");
        assert_ne!(other.key_of_message(MAIL), keys().key_of_message(MAIL));
        assert_eq!(format!("{other:?}"), "KeyMaker");
    }

    /// Header octets among which there is some structure.
    fn any_message() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"\r\n".to_vec()),
            Just(b"\n".to_vec()),
            Just(b"\r".to_vec()),
            Just(b"\r\n\t".to_vec()),
            Just(b": ".to_vec()),
            Just(b"Subject: a  b".to_vec()),
            Just(b"\r\nmessage-ID :".to_vec()),
            Just(b"To:x\r\n".to_vec()),
            Just(b"Received: by\r\n ".to_vec()),
            "[ a:]{0,20}".prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..4),
        ];
        proptest::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
    }

    /// The same digest, said as plainly as possible: lines, then fields, then words.
    fn by_definition(block: &[u8]) -> Option<MessageKey> {
        let mut fields: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut open = false;
        for line in block.split_inclusive(|octet| *octet == b'\n') {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            if text.iter().all(|octet| *octet == b'\r') {
                break;
            }
            if text.starts_with(b" ") || text.starts_with(b"\t") {
                if let Some((_, value)) = fields.last_mut().filter(|_| open) {
                    value.push(b' ');
                    value.extend_from_slice(text);
                }
                continue;
            }
            let colon = text.iter().position(|octet| *octet == b':');
            open = !text.starts_with(b"\r") && colon.is_some_and(|colon| colon <= NAME_MAX);
            if let Some(colon) = colon.filter(|_| open) {
                let name = text[..colon].to_ascii_lowercase();
                fields.push((name.trim_ascii_end().to_vec(), text[colon + 1..].to_vec()));
            }
        }
        let mut key = MessageKey { digest: 0, strength: KeyStrength::Headers };
        let mut found = false;
        for (number, name) in FIELDS.iter().enumerate() {
            let blank = |octet: &u8| b" \t\r".contains(octet);
            let words = |value: &[u8]| {
                let words: Vec<&[u8]> = value.split(blank).filter(|word| !word.is_empty()).collect();
                words.join(&b' ')
            };
            let values = fields.iter().filter(|(field, _)| field == name).map(|(_, value)| words(value));
            for (place, value) in values.filter(|value| !value.is_empty()).enumerate() {
                let mut hasher = keys().seed;
                hasher.write(&(number as u64 | (place as u64) << 8).to_le_bytes());
                hasher.write(&value);
                key.digest = key.digest.wrapping_add(hasher.finish());
                found = true;
                if number == MESSAGE_ID {
                    key.strength = KeyStrength::MessageId;
                }
            }
        }
        found.then_some(key)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

        #[test]
        fn agrees_with_the_definition(message in any_message()) {
            prop_assert_eq!(keys().key_of_headers(&message), by_definition(&message));
        }

        #[test]
        fn pieces_make_the_same_key_as_the_whole(message in any_message(), cuts in proptest::collection::vec(0usize..40, 0..8)) {
            let mut stream = keys().stream();
            let mut rest = &message[..];
            for cut in cuts {
                let (piece, others) = rest.split_at(cut.min(rest.len()));
                stream.push(piece);
                rest = others;
            }
            stream.push(rest);
            prop_assert_eq!(stream.finish(), keys().key_of_message(&message));
        }

        #[test]
        fn takes_any_octets(message in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut stream = keys().stream();
            message.iter().for_each(|octet| stream.push(&[*octet]));
            prop_assert_eq!(stream.finish(), keys().key_of_message(&message));
        }
    }
}
