//! Mail to test with: the same mailboxes and messages each time.
//!
//! [`Corpus::small`] is for speed, [`Corpus::odd`] for everything that a careless copier trips over, [`Corpus::lively`] for the
//! demo. A corpus is data: change it before it is loaded.

mod load;
mod message;
mod odd;

use std::collections::BTreeSet;

pub(crate) use load::{folder_of, write_file, write_files};
pub(crate) use message::plain;
pub use message::{Numbers, with_attachment};
pub use odd::{altered_by_dovecot, odd_messages};

/// A message to be put into an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorpusMessage {
    /// What is odd about it.
    pub label: String,
    /// Its octets.
    pub octets: Vec<u8>,
    /// Flags and keywords.
    pub flags: Vec<String>,
    /// Internal date in seconds since 1970.
    pub unix_secs: i64,
    /// The zone that the date is written in, minutes east of Greenwich.
    pub zone_minutes: i32,
}

impl CorpusMessage {
    /// True when some LF has no CR before it.
    #[must_use]
    pub fn has_bare_lf(&self) -> bool {
        let mut previous = 0;
        self.octets.iter().any(|octet| {
            let bare = *octet == b'\n' && previous != b'\r';
            previous = *octet;
            bare
        })
    }

    /// True when Cyrus 3.6 refuses it: NUL, bare LF, nothing in it, a header line that is none; with `reject_8bit`
    /// also 8-bit octets in the header.
    #[must_use]
    pub fn is_refused_by_cyrus(&self, reject_8bit: bool) -> bool {
        let header_is_cut =
            !self.octets.ends_with(b"\n") && !self.octets.windows(4).any(|octets| octets == b"\r\n\r\n");
        let strange = self.octets.is_empty() || self.octets.contains(&0) || self.has_bare_lf() || header_is_cut;
        // It lets the line pass that mbox puts before a message.
        let lines = self.header_lines().enumerate().filter(|(at, line)| *at > 0 || !line.starts_with(b"From "));
        strange
            || lines.map(|(_, line)| line).any(|line| is_refused_header_line(line) || reject_8bit && !line.is_ascii())
    }

    /// True when the header holds 8-bit octets, which Cyrus turns into `X` when it does not refuse them.
    #[must_use]
    pub fn has_8bit_header(&self) -> bool {
        self.header_lines().any(|line| !line.is_ascii())
    }

    fn header_lines(&self) -> impl Iterator<Item = &[u8]> {
        let lines = self.octets.split(|octet| *octet == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        lines.take_while(|line| !line.is_empty())
    }
}

/// A field's name is printable ASCII without a colon, and a colon follows; or the line goes on from the one before.
fn is_refused_header_line(line: &[u8]) -> bool {
    if line.starts_with(b" ") || line.starts_with(b"\t") {
        return false;
    }
    let name = line.split(|octet| *octet == b':').next().unwrap_or_default();
    name.is_empty() || name.len() == line.len() || name.iter().any(|octet| !octet.is_ascii_graphic())
}

/// A mailbox to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorpusMailbox {
    /// The names from the top down.
    pub path: Vec<String>,
    /// Whether the account is subscribed to it.
    pub subscribed: bool,
    /// Its messages in the order of their UIDs.
    pub messages: Vec<CorpusMessage>,
    /// Places in `messages` of those that are expunged again.
    pub expunged: BTreeSet<usize>,
}

impl CorpusMailbox {
    /// A mailbox, subscribed, nothing expunged.
    #[must_use]
    pub fn new(path: &[&str], messages: Vec<CorpusMessage>) -> CorpusMailbox {
        let path = path.iter().map(|name| (*name).to_owned()).collect();
        CorpusMailbox { path, subscribed: true, messages, expunged: BTreeSet::new() }
    }

    /// The same mailbox without a subscription.
    #[must_use]
    pub fn unsubscribed(mut self) -> CorpusMailbox {
        self.subscribed = false;
        self
    }

    /// Messages that are there in the end.
    #[must_use]
    pub fn count(&self) -> usize {
        self.messages.len() - self.expunged.len()
    }
}

/// Mailboxes with their messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corpus {
    /// In the order in which they are made.
    pub mailboxes: Vec<CorpusMailbox>,
}

impl Corpus {
    /// So many messages of about 4 KiB in INBOX.
    #[must_use]
    pub fn small(messages: usize) -> Corpus {
        Corpus::of_size(&["INBOX"], messages, 4096)
    }

    /// So many messages of about this size in one mailbox.
    #[must_use]
    pub fn of_size(path: &[&str], messages: usize, octets: usize) -> Corpus {
        let mut numbers = Numbers::new(4711);
        let make = |number: usize| {
            let unix_secs = odd::FIRST_DAY + i64::try_from(number).unwrap_or(0) * 61;
            let octets = octets / 2 + usize::try_from(numbers.below(1024)).unwrap_or(0) * octets / 1024;
            CorpusMessage {
                label: "small".to_owned(),
                octets: message::plain(&mut numbers, unix_secs, octets),
                flags: if number.is_multiple_of(3) { vec![] } else { vec!["\\Seen".to_owned()] },
                unix_secs,
                zone_minutes: 60,
            }
        };
        let mailbox = CorpusMailbox::new(path, (0..messages).map(make).collect());
        Corpus { mailboxes: vec![mailbox] }
    }

    /// Every oddity that a real store can hold: names, identities, headers, line ends, bodies, flags, dates, gaps.
    #[must_use]
    pub fn odd() -> Corpus {
        Corpus { mailboxes: odd::odd_mailboxes() }
    }

    /// One message with an attachment, of about this size, in a mailbox of its own.
    #[must_use]
    pub fn one_large(octets: usize) -> Corpus {
        let message = CorpusMessage {
            label: "large".to_owned(),
            octets: with_attachment(&mut Numbers::new(8), odd::FIRST_DAY, octets),
            flags: vec!["\\Seen".to_owned()],
            unix_secs: odd::FIRST_DAY,
            zone_minutes: 0,
        };
        Corpus { mailboxes: vec![CorpusMailbox::new(&["Large"], vec![message])] }
    }

    /// The odd corpus, a few hundred to many small messages in several mailboxes, and one large message: for the demo.
    #[must_use]
    pub fn lively(small: usize, large_bytes: usize) -> Corpus {
        let mut corpus = Corpus::odd();
        corpus.mailboxes.extend(Corpus::of_size(&["Lists", "announce"], small / 2, 3000).mailboxes);
        corpus.mailboxes.extend(Corpus::of_size(&["Lists", "discuss"], small - small / 2, 6000).mailboxes);
        corpus.mailboxes.extend(Corpus::one_large(large_bytes).mailboxes);
        corpus
    }

    /// Both together. Mailboxes of one path become one.
    #[must_use]
    pub fn and(mut self, other: Corpus) -> Corpus {
        for mailbox in other.mailboxes {
            match self.mailboxes.iter_mut().find(|known| known.path == mailbox.path) {
                Some(known) => {
                    let shift = known.messages.len();
                    known.expunged.extend(mailbox.expunged.iter().map(|at| at + shift));
                    known.messages.extend(mailbox.messages);
                }
                None => self.mailboxes.push(mailbox),
            }
        }
        self
    }

    /// Only the messages for which this holds. Nothing of what is kept may be meant to be expunged.
    #[must_use]
    pub fn keep_messages(mut self, keep: impl Fn(&CorpusMessage) -> bool) -> Corpus {
        for mailbox in &mut self.mailboxes {
            let expunged = std::mem::take(&mut mailbox.expunged);
            let messages = std::mem::take(&mut mailbox.messages);
            for (at, message) in messages.into_iter().enumerate() {
                if !keep(&message) {
                    continue;
                }
                if expunged.contains(&at) {
                    mailbox.expunged.insert(mailbox.messages.len());
                }
                mailbox.messages.push(message);
            }
        }
        self
    }

    /// Only the mailboxes for which this holds.
    #[must_use]
    pub fn keep_mailboxes(mut self, keep: impl Fn(&CorpusMailbox) -> bool) -> Corpus {
        self.mailboxes.retain(keep);
        self
    }

    /// What a Cyrus can hold: without messages and names that it refuses, and without 8-bit headers, which it alters.
    #[must_use]
    pub fn for_cyrus(self) -> Corpus {
        let holds = |name: &String| !name.contains(['!', '"', '%', '&', '/', ';', '<', '>', '\\', '{', '|', '}', '`']);
        self.keep_messages(|message| !message.is_refused_by_cyrus(false) && !message.has_8bit_header())
            .keep_mailboxes(|mailbox| mailbox.path.iter().all(holds))
    }

    /// What a server with this hierarchy delimiter can hold: no name contains it.
    #[must_use]
    pub fn for_delimiter(self, delimiter: char) -> Corpus {
        self.keep_mailboxes(|mailbox| !mailbox.path.iter().any(|name| name.contains(delimiter)))
    }

    /// Messages that are there in the end, in all mailboxes.
    #[must_use]
    pub fn count(&self) -> usize {
        self.mailboxes.iter().map(CorpusMailbox::count).sum()
    }

    /// The first message with this label.
    #[must_use]
    pub fn message(&self, label: &str) -> Option<&CorpusMessage> {
        self.mailboxes.iter().flat_map(|mailbox| &mailbox.messages).find(|message| message.label == label)
    }
}
