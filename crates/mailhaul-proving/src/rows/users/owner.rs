//! The owner of the target: has decided what becomes of which message, and does a part of it whenever it is his turn.

use super::expectation::{Expectation, Place};
use mailhaul_testing::Client;
use mailhaul_testing::histories::{Content, Dice, FlagSet, View, ViewError, read};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Serials of mail that comes to the target from elsewhere begin here.
const FOREIGN: u16 = 50_000;
/// Where he files what he keeps.
const FILED: [&str; 2] = ["Filed", "Filed/Done"];
/// What he sets, and what he takes away.
const SETS: FlagSet = FlagSet(1 << 2 | 1 << 5);
const TAKES: FlagSet = FlagSet(1);

/// What he means to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Delete,
    File,
    Flag,
}

/// What he has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    deleted: usize,
    filed: usize,
    flagged: usize,
    received: usize,
    renamed: usize,
    within: usize,
}

impl Done {
    pub(super) fn add(&mut self, other: &Done) {
        self.deleted += other.deleted;
        self.filed += other.filed;
        self.flagged += other.flagged;
        self.received += other.received;
        self.renamed += other.renamed;
        self.within += other.within;
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Done { deleted, filed, flagged, received, renamed, within } = self;
        write!(
            f,
            "{deleted} deleted, {filed} filed, {flagged} re-flagged, {received} received, {renamed} mailboxes renamed; "
        )?;
        write!(f, "{within} times within a pass")
    }
}

/// The owner.
pub(super) struct Owner {
    client: Client,
    /// What he still means to do.
    wishes: BTreeMap<Content, Wish>,
    /// What does not stay where it was put.
    goes: BTreeSet<Content>,
    pub(super) done: Done,
}

impl Owner {
    /// Decides: a tenth is to be deleted, a fifth filed, three tenths flagged.
    pub(super) fn new(mut client: Client, mails: &[Content], dice: &mut Dice) -> Owner {
        for mailbox in FILED {
            client.create(mailbox).expect("he makes mailboxes");
        }
        let mut shuffled = mails.to_vec();
        for at in (1..shuffled.len()).rev() {
            shuffled.swap(at, dice.below(at + 1));
        }
        let tenth = mails.len() / 10;
        let wish = |at: usize| match at / tenth.max(1) {
            0 => Some(Wish::Delete),
            1 | 2 => Some(Wish::File),
            3..=5 => Some(Wish::Flag),
            _ => None,
        };
        let wishes = shuffled.iter().enumerate().filter_map(|(at, content)| Some((*content, wish(at)?))).collect();
        let goes = shuffled[..tenth * 3].iter().copied().collect();
        Owner { client, wishes, goes, done: Done::default() }
    }

    /// Whether he leaves a message where it is.
    pub(super) fn leaves(&self, content: Content) -> bool {
        !self.goes.contains(&content)
    }

    /// What he sees.
    pub(super) fn look(&mut self) -> Result<View, ViewError> {
        read(&mut self.client)
    }

    /// Does about one part in `parts` of what he still means to do and can do now; all of it with 1.
    pub(super) fn act(
        &mut self,
        parts: usize,
        within: bool,
        expected: &mut Expectation,
        dice: &mut Dice,
    ) -> Result<(), ViewError> {
        let view = self.look()?;
        expected.came(&view);
        let before = self.wishes.len();
        for (name, mailbox) in &view {
            let mut chosen: BTreeMap<usize, Vec<(u32, Content)>> = BTreeMap::new();
            for (uid, message) in &mailbox.messages {
                if let Some(wish) = self.wishes.get(&message.content)
                    && dice.once_in(parts)
                {
                    chosen.entry(*wish as usize).or_default().push((*uid, message.content));
                }
            }
            for (wish, messages) in chosen {
                self.grant(wish, name, &messages, expected, dice)?;
            }
        }
        self.receive(&view, expected, dice)?;
        self.done.within += if within { before - self.wishes.len() } else { 0 };
        self.client.examine("INBOX")?;
        Ok(())
    }

    /// Renames a mailbox of his.
    pub(super) fn rename(&mut self, from: &str, to: &str, expected: &mut Expectation) -> Result<(), ViewError> {
        expected.came(&self.look()?);
        self.client.rename(from, to)?;
        for place in expected.0.values_mut() {
            if let Place::Here { mailbox, .. } = place
                && mailbox == from
            {
                to.clone_into(mailbox);
            }
        }
        self.done.renamed += 1;
        Ok(())
    }

    fn grant(
        &mut self,
        wish: usize,
        mailbox: &str,
        messages: &[(u32, Content)],
        expected: &mut Expectation,
        dice: &mut Dice,
    ) -> Result<(), ViewError> {
        let uids = messages.iter().map(|(uid, _)| uid.to_string()).collect::<Vec<_>>().join(",");
        let contents: BTreeSet<Content> = messages.iter().map(|(_, content)| *content).collect();
        let places = expected.0.iter_mut().filter(|(content, _)| contents.contains(content)).map(|(_, place)| place);
        self.client.select(mailbox)?;
        if wish == Wish::Delete as usize {
            self.client.uid_expunge(&uids)?;
            places.for_each(|place| *place = Place::Removed);
            self.done.deleted += messages.len();
        } else if wish == Wish::File as usize {
            let to = dice.one_of(&FILED);
            self.client.move_to(&uids, to)?;
            places.for_each(|place| {
                if let Place::Here { mailbox, .. } = place {
                    to.clone_into(mailbox);
                }
            });
            self.done.filed += messages.len();
        } else {
            self.client.store(&uids, "+FLAGS.SILENT", &SETS.names())?;
            self.client.store(&uids, "-FLAGS.SILENT", &TAKES.names())?;
            places.for_each(|place| {
                if let Place::Here { flags, .. } = place {
                    *flags = flags.with(SETS).without(TAKES);
                }
            });
            self.done.flagged += messages.len();
        }
        self.wishes.retain(|content, _| !contents.contains(content));
        Ok(())
    }

    /// Mail of his own, into mailboxes that are being copied into.
    fn receive(&mut self, view: &View, expected: &mut Expectation, dice: &mut Dice) -> Result<(), ViewError> {
        let names: Vec<&str> = view.keys().map(String::as_str).collect();
        for _ in 0..dice.below(6) {
            let serial = FOREIGN + u16::try_from(self.done.received).expect("a few hundred");
            let content = Content { serial, edition: 0, named: dice.below(4) > 0 };
            let into = dice.one_of(&names);
            self.client.append(into, &[], Some(&content.date()), &content.octets())?;
            expected.0.insert(content, Place::Here { mailbox: into.to_owned(), flags: FlagSet(0) });
            self.done.received += 1;
        }
        Ok(())
    }
}
