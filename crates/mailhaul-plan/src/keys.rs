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
const FIELDS: [&[u8]; 8] = [b"date", b"from", b"to", b"cc", b"subject", b"message-id", b"in-reply-to", b"references"];
const MESSAGE_ID: usize = 5;
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
        for (place, &octet) in rest.iter().enumerate() {
            match octet {
                b':' => {
                    self.open_field();
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
                    self.name[self.name_len] = octet.to_ascii_lowercase();
                    self.name_len += 1;
                }
            }
        }
        &[]
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

    fn open_field(&mut self) {
        let name = self.name[..self.name_len].trim_ascii_end();
        self.state = State::Skip;
        if let Some(number) = FIELDS.iter().position(|field| *field == name) {
            let mut hasher = self.seed;
            hasher.write_u64(number as u64 | u64::from(self.seen[number]) << 8);
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

impl OpenField {
    /// Digests words with one blank between them. A stretch whose blanks are single already goes in whole.
    fn push(&mut self, line: &[u8]) {
        let is_blank = |octet: u8| matches!(octet, b' ' | b'\t' | b'\r');
        let mut rest = line;
        while let Some(&octet) = rest.first() {
            if is_blank(octet) {
                self.gap = true;
                rest = &rest[1..];
                continue;
            }
            let regular = |place: usize| match rest[place] {
                b' ' => rest.get(place + 1).is_some_and(|next| !is_blank(*next)),
                b'\t' | b'\r' => false,
                _ => true,
            };
            let end = (0..rest.len()).find(|place| !regular(*place)).unwrap_or(rest.len());
            if self.gap && self.filled {
                self.hasher.write(b" ");
            }
            self.hasher.write(&rest[..end]);
            (self.gap, self.filled) = (false, true);
            rest = &rest[end..];
        }
    }
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
        hasher.write_u64(CONTENT);
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
