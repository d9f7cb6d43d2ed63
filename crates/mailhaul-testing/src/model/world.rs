//! The account behind a model server: its mailboxes, simulated time, and what is still to land.

use super::Traits;
use super::mailbox::{FlagSet, Incoming, Mailbox};
use super::traits::{Alters, Duplicates};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The moment at which simulated time begins, in seconds since 1970: 14 November 2023.
const BEGINNING: i64 = 1_700_000_000;
/// The first UIDVALIDITY that is given.
const FIRST_VALIDITY: u32 = 1_700_000_001;

/// What became of an APPEND or a COPY: UIDVALIDITY and the UIDs of what was stored, `None` where one stays unnamed.
pub(super) type Stored = (u32, Vec<Option<u32>>);

/// What is written already and not yet stored.
#[derive(Clone, Debug)]
pub(super) struct Underway {
    pub(super) number: u64,
    pub(super) due_millis: u64,
    pub(super) mailbox: String,
    pub(super) incoming: Vec<Incoming>,
}

/// Mailboxes and subscriptions.
#[derive(Clone, Debug, Default)]
pub(super) struct Holdings {
    pub(super) mailboxes: BTreeMap<String, Mailbox>,
    pub(super) subscriptions: BTreeSet<String>,
}

/// Everything that a model server knows.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) traits: Traits,
    pub(super) holdings: Holdings,
    pub(super) now_millis: u64,
    pub(super) appended: u64,
    /// How often an earlier state was put back.
    pub(super) epoch: u64,
    connections: u64,
    underway: Vec<Underway>,
    /// What became of what was underway, until its connection asks. `None`: the mailbox was gone.
    landed: BTreeMap<u64, Option<Stored>>,
    numbers: u64,
    next_validity: u32,
    next_id: u64,
}

impl World {
    pub(super) fn new(traits: Traits) -> Self {
        let mut world = Self {
            traits,
            holdings: Holdings::default(),
            now_millis: 0,
            appended: 0,
            epoch: 0,
            connections: 0,
            underway: Vec::new(),
            landed: BTreeMap::new(),
            numbers: 0,
            next_validity: FIRST_VALIDITY,
            next_id: 1,
        };
        world.create("INBOX");
        world
    }

    /// The number of a new connection, from 1.
    pub(super) fn connections_next(&mut self) -> u64 {
        self.connections += 1;
        self.connections
    }

    /// Seconds since 1970.
    pub(super) fn now(&self) -> i64 {
        BEGINNING.saturating_add(i64::try_from(self.now_millis / 1_000).unwrap_or(i64::MAX))
    }

    pub(super) fn validity(&mut self) -> u32 {
        self.next_validity += 1;
        self.next_validity - 1
    }

    /// The mailbox of this name. INBOX is INBOX in every spelling.
    pub(super) fn mailbox(&self, name: &str) -> Option<&Mailbox> {
        self.holdings.mailboxes.get(&canonical(name))
    }

    pub(super) fn mailbox_mut(&mut self, name: &str) -> Option<&mut Mailbox> {
        self.holdings.mailboxes.get_mut(&canonical(name))
    }

    /// Makes a mailbox. Whether it was not there.
    pub(super) fn create(&mut self, name: &str) -> bool {
        let name = canonical(name);
        if self.holdings.mailboxes.contains_key(&name) {
            return false;
        }
        let validity = self.validity();
        self.next_id += 1;
        self.holdings.mailboxes.insert(name, Mailbox::new(self.next_id - 1, validity));
        true
    }

    /// Renames a mailbox and those beneath it. INBOX stays and gives its messages away (RFC 9051 §6.3.6). Whether it could
    /// be done.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> bool {
        let (from, to) = (canonical(from), canonical(to));
        if self.is_name_taken(&to)
            || !self.is_name_taken(&from)
            || to.starts_with(&format!("{from}{}", self.traits.delimiter))
        {
            return false;
        }
        if from == "INBOX" {
            self.create(&to);
            let uids = self.holdings.mailboxes["INBOX"].messages.iter().map(|message| message.uid).collect();
            self.shift("INBOX", &uids, &to);
            return true;
        }
        let beneath = format!("{from}{}", self.traits.delimiter);
        let moved: Vec<String> = self.holdings.mailboxes.keys().cloned().collect();
        for name in moved.into_iter().filter(|name| *name == from || name.starts_with(&beneath)) {
            if let Some(mailbox) = self.holdings.mailboxes.remove(&name) {
                self.holdings.mailboxes.insert(format!("{to}{}", &name[from.len()..]), mailbox);
            }
        }
        true
    }

    /// Whether there is such a mailbox, or one beneath such a name.
    pub(super) fn is_name_taken(&self, name: &str) -> bool {
        let beneath = format!("{name}{}", self.traits.delimiter);
        self.holdings.mailboxes.keys().any(|known| known == name || known.starts_with(&beneath))
    }

    /// Moves messages as MOVE does; the pairs of UIDs before and after.
    pub(super) fn shift(&mut self, from: &str, uids: &BTreeSet<u32>, to: &str) -> Vec<(u32, u32)> {
        let holes = self.traits.holes;
        let taken = self.mailbox_mut(from).map(|mailbox| mailbox.remove(uids)).unwrap_or_default();
        let Some(target) = self.mailbox_mut(to) else { return Vec::new() };
        let moved = taken.into_iter().map(|message| {
            let (octets, date, flags) = (message.octets, message.date, message.flags);
            (message.uid, target.store(Incoming { octets, date, flags }, holes))
        });
        moved.collect()
    }

    /// Messages in the whole account.
    pub(super) fn messages(&self) -> u64 {
        self.holdings.mailboxes.values().map(|mailbox| mailbox.messages.len() as u64).sum()
    }

    /// Stores what APPEND brought, altered as this server does. `None` if the mailbox is not there any more.
    pub(super) fn land(&mut self, mailbox: &str, incoming: Vec<Incoming>) -> Option<Stored> {
        let (alters, duplicates, holes, now) =
            (self.traits.alters, self.traits.duplicates, self.traits.holes, self.now());
        let target = self.holdings.mailboxes.get_mut(&canonical(mailbox))?;
        let mut uids = Vec::with_capacity(incoming.len());
        let mut appended = 0;
        for message in incoming {
            let message = altered(message, alters, now, self.appended + appended);
            let known = (duplicates != Duplicates::Kept)
                .then(|| target.messages.iter().find(|known| known.octets == message.octets).map(|known| known.uid))
                .flatten();
            uids.push(match known {
                Some(uid) => (duplicates == Duplicates::MergedUnderOldUid).then_some(uid),
                None => {
                    appended += 1;
                    Some(target.store(message, holes))
                }
            });
        }
        let validity = target.uid_validity;
        self.appended += appended;
        Some((validity, uids))
    }

    /// Lets something land after so much time. Its number, under which to ask what became of it.
    pub(super) fn send_off(&mut self, mailbox: String, incoming: Vec<Incoming>, after_millis: u64) -> u64 {
        self.numbers += 1;
        let due_millis = self.now_millis.saturating_add(after_millis);
        self.underway.push(Underway { number: self.numbers, due_millis, mailbox, incoming });
        self.numbers
    }

    /// What became of something that was underway: `None` while it still is.
    pub(super) fn take_landed(&mut self, number: u64) -> Option<Option<Stored>> {
        self.landed.remove(&number)
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, millis: u64) {
        let until = self.now_millis.saturating_add(millis);
        while let Some(place) = self.first_due(until) {
            let underway = self.underway.remove(place);
            self.now_millis = self.now_millis.max(underway.due_millis);
            let stored = self.land(&underway.mailbox, underway.incoming);
            self.landed.insert(underway.number, stored);
        }
        self.now_millis = until;
    }

    /// What lands next until then; of several at one moment what was sent off first.
    fn first_due(&self, until_millis: u64) -> Option<usize> {
        let due = self.underway.iter().enumerate().filter(|(_, underway)| underway.due_millis <= until_millis);
        due.min_by_key(|(_, underway)| (underway.due_millis, underway.number)).map(|(place, _)| place)
    }

    /// Milliseconds until something lands.
    pub(super) fn due(&self) -> Option<u64> {
        self.underway.iter().map(|underway| underway.due_millis.saturating_sub(self.now_millis)).min()
    }
}

/// INBOX in one spelling; other names as they are.
pub(super) fn canonical(name: &str) -> String {
    if name.eq_ignore_ascii_case("INBOX") { "INBOX".to_owned() } else { name.to_owned() }
}

fn altered(mut message: Incoming, alters: Alters, now: i64, number: u64) -> Incoming {
    match alters {
        Alters::Nothing => {}
        Alters::AddsHeader => {
            let added = format!("X-Model-Stored: number {number}\r\n");
            message.octets = [added.as_bytes(), &message.octets].concat().into();
        }
        Alters::EightBitHeaders => message.octets = without_8bit_header(&message.octets),
        Alters::DropsKeywords => message.flags = without_keywords(message.flags),
        Alters::IgnoresDates => message.date = now,
        Alters::DropsHeaders => message.octets = with_few_fields(&message.octets),
        Alters::NamesMail => {
            if super::section::fields(&message.octets, &["MESSAGE-ID".to_owned()], false).trim_ascii().is_empty() {
                let added = format!("Message-ID: <model-stored-{number}@model.example>\r\n");
                message.octets = [added.as_bytes(), &message.octets].concat().into();
            }
        }
        Alters::RebuildsBody => {
            let (header, body) = message.octets.split_at(super::section::header_octets(&message.octets));
            message.octets = [header, format!("rebuilt as number {number}\r\n").as_bytes(), body].concat().into();
        }
    }
    message
}

fn without_8bit_header(octets: &[u8]) -> Arc<[u8]> {
    let header = super::section::header_octets(octets);
    let munged = octets[..header].iter().map(|octet| if octet.is_ascii() { *octet } else { b'X' });
    munged.chain(octets[header..].iter().copied()).collect()
}

/// Fields that a server keeps that keeps few.
const FEW_FIELDS: [&str; 5] = ["from", "to", "date", "subject", "message-id"];

fn with_few_fields(octets: &[u8]) -> Arc<[u8]> {
    let (header, body) = octets.split_at(super::section::header_octets(octets));
    let mut kept = Vec::with_capacity(octets.len());
    let mut keeps = false;
    for line in header.split_inclusive(|octet| *octet == b'\n') {
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let name = line.split(|octet| *octet == b':').next().unwrap_or_default().to_ascii_lowercase();
            let name = String::from_utf8_lossy(&name);
            keeps =
                FEW_FIELDS.contains(&name.trim_end()) || name.starts_with("content-") || line.trim_ascii().is_empty();
        }
        if keeps {
            kept.extend_from_slice(line);
        }
    }
    kept.extend_from_slice(body);
    kept.into()
}

pub(super) fn without_keywords(flags: FlagSet) -> FlagSet {
    flags.into_iter().filter(|flag| flag.starts_with('\\')).collect()
}
