//! A mailbox of the model: messages in the order of their UIDs, and what was there before.

use std::collections::BTreeSet;
use std::sync::Arc;

/// Flags and keywords; system flags in the spelling of the RFC.
pub(super) type FlagSet = BTreeSet<String>;

/// A stored message.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) uid: u32,
    pub(super) octets: Arc<[u8]>,
    /// Seconds since 1970.
    pub(super) date: i64,
    pub(super) flags: FlagSet,
    /// When it was stored or its flags changed last.
    pub(super) modseq: u64,
}

/// What is to be stored.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    pub(super) octets: Arc<[u8]>,
    pub(super) date: i64,
    pub(super) flags: FlagSet,
}

/// A mailbox.
#[derive(Clone, Debug)]
pub(super) struct Mailbox {
    /// Survives renames (MAILBOXID).
    pub(super) id: u64,
    pub(super) uid_validity: u32,
    pub(super) uid_next: u32,
    /// HIGHESTMODSEQ: rises with each change.
    pub(super) modseq: u64,
    /// In the order of the UIDs.
    pub(super) messages: Vec<Message>,
    /// What is gone: when, and which UID.
    pub(super) vanished: Vec<(u64, u32)>,
    /// Its purpose, with the backslash.
    pub(super) special_use: Option<String>,
}

impl Mailbox {
    pub(super) fn new(id: u64, uid_validity: u32) -> Self {
        Self { id, uid_validity, uid_next: 1, modseq: 1, messages: Vec::new(), vanished: Vec::new(), special_use: None }
    }

    pub(super) fn place(&self, uid: u32) -> Option<usize> {
        self.messages.binary_search_by_key(&uid, |message| message.uid).ok()
    }

    pub(super) fn get(&self, uid: u32) -> Option<&Message> {
        self.place(uid).map(|place| &self.messages[place])
    }

    /// Stores a message; with holes its UID may be higher than UIDNEXT said.
    pub(super) fn store(&mut self, incoming: Incoming, holes: bool) -> u32 {
        let skipped = if holes { scatter(self.uid_next) } else { 0 };
        let uid = self.uid_next + skipped;
        self.uid_next = uid + 1;
        self.modseq += 1;
        let Incoming { octets, date, flags } = incoming;
        self.messages.push(Message { uid, octets, date, flags, modseq: self.modseq });
        uid
    }

    /// Takes these UIDs away, those that are there; returns what was taken.
    pub(super) fn remove(&mut self, uids: &BTreeSet<u32>) -> Vec<Message> {
        let (gone, kept) =
            std::mem::take(&mut self.messages).into_iter().partition(|message| uids.contains(&message.uid));
        self.messages = kept;
        let gone: Vec<Message> = gone;
        if !gone.is_empty() {
            self.modseq += 1;
            self.vanished.extend(gone.iter().map(|message| (self.modseq, message.uid)));
        }
        gone
    }

    /// Changes the flags of a message. Whether there was anything to change.
    pub(super) fn change_flags(&mut self, uid: u32, change: impl FnOnce(&mut FlagSet)) -> bool {
        let Some(place) = self.place(uid) else { return false };
        let message = &mut self.messages[place];
        let before = message.flags.clone();
        change(&mut message.flags);
        if message.flags == before {
            return false;
        }
        self.modseq += 1;
        message.modseq = self.modseq;
        true
    }

    /// Gives every message another UID, in the same order, under another UIDVALIDITY.
    pub(super) fn renumber(&mut self, uid_validity: u32) {
        self.uid_validity = uid_validity;
        self.uid_next = 1;
        self.modseq += 1;
        self.vanished.clear();
        for message in &mut self.messages {
            message.uid = self.uid_next;
            message.modseq = self.modseq;
            self.uid_next += 1;
        }
    }

    /// Octets of all messages together.
    pub(super) fn size(&self) -> u64 {
        self.messages.iter().map(|message| message.octets.len() as u64).sum()
    }
}

/// A number from 0 to 3 that looks like chance and is always the same.
fn scatter(uid: u32) -> u32 {
    uid.wrapping_mul(0x9e37_79b9).rotate_left(7) % 4
}

/// Puts a flag in, in the spelling of the RFC if it is a system flag, in the spelling of the one that is there if it differs
/// only in case. `\Recent` cannot be stored.
pub(super) fn insert_flag(flags: &mut FlagSet, flag: &str) {
    const SYSTEM: [&str; 5] = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"];
    if flag.eq_ignore_ascii_case("\\Recent") || flags.iter().any(|known| known.eq_ignore_ascii_case(flag)) {
        return;
    }
    let known = SYSTEM.iter().find(|known| known.eq_ignore_ascii_case(flag));
    flags.insert(known.map_or_else(|| flag.to_owned(), |known| (*known).to_owned()));
}

/// A set of flags.
pub(super) fn flag_set<'a>(flags: impl IntoIterator<Item = &'a str>) -> FlagSet {
    let mut set = FlagSet::new();
    flags.into_iter().for_each(|flag| insert_flag(&mut set, flag));
    set
}
