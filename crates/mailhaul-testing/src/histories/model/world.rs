//! What the target holds, and which source message each copy stands for: one possible state of affairs.

use std::collections::{BTreeMap, BTreeSet};

use super::super::mail::{Content, FlagSet};
use super::super::view::{Message, View};

/// How much of what the owner put into a mailbox the copier has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tail {
    /// It came after the last pass, so the next one reads it.
    Fresh,
    /// The copier has been by, and may have looked.
    Maybe,
    /// It was looked at and is nobody's copy.
    Read,
}

/// A message on the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Copy {
    pub(super) content: Content,
    pub(super) flags: FlagSet,
    /// None: the copier wrote or adopted it.
    pub(super) foreign: Option<Tail>,
    pub(super) id: u32,
}

/// A mailbox of the target.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shelf {
    /// Whether the copier created it.
    pub(super) made: bool,
    /// Whether its owner has ever done something in it.
    pub(super) touched: bool,
    pub(super) copies: Vec<Copy>,
}

/// Whether a copy was found rather than written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Found {
    No,
    /// Written by a pass that was broken off, and perhaps found by the next one.
    Maybe,
    Yes,
}

/// A source message that is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Record {
    pub(super) content: Content,
    /// Its copy, wherever that is now, or not any more.
    pub(super) copy: Option<u32>,
    /// The flags of the last sync.
    pub(super) base: FlagSet,
    pub(super) found: Found,
    /// It has been gone for a while, together with its mailbox. It may still be remembered.
    pub(super) stale: bool,
}

/// A source mailbox and where its mail goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    pub(super) target: String,
    pub(super) uid_validity: u32,
    pub(super) records: BTreeMap<u32, Record>,
}

/// One possible state of affairs.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct World {
    pub(super) shelves: BTreeMap<String, Shelf>,
    pub(super) pairs: BTreeMap<String, Pair>,
    next_id: u32,
}

impl World {
    /// A target that holds what is there before the first pass.
    #[must_use]
    pub fn of(view: &View) -> World {
        let mut world = World::default();
        for (name, mailbox) in view {
            world.shelves.insert(name.clone(), Shelf::default());
            for message in mailbox.messages.values() {
                world.put(name, *message, Some(Tail::Fresh));
            }
        }
        world
    }

    /// Adds a message.
    pub(super) fn put(&mut self, mailbox: &str, message: Message, foreign: Option<Tail>) -> u32 {
        self.next_id += 1;
        let id = self.next_id;
        let Message { content, flags } = message;
        let shelf = self.shelves.entry(mailbox.to_owned()).or_default();
        shelf.copies.push(Copy { content, flags, foreign, id });
        id
    }

    /// A copy, if it is in this mailbox.
    pub(super) fn copy_in(&mut self, mailbox: &str, id: Option<u32>) -> Option<&mut Copy> {
        let id = id?;
        self.shelves.get_mut(mailbox)?.copies.iter_mut().find(|copy| copy.id == id)
    }

    /// Takes a copy out of a mailbox.
    pub(super) fn take(&mut self, mailbox: &str, id: u32) -> Option<Copy> {
        let copies = &mut self.shelves.get_mut(mailbox)?.copies;
        let place = copies.iter().position(|copy| copy.id == id)?;
        Some(copies.remove(place))
    }

    /// Messages of the same looks, any of which may be the one that the owner means.
    fn of_these_looks(&self, mailbox: &str, looks: Message) -> Vec<u32> {
        let copies = self.shelves.get(mailbox).map(|shelf| shelf.copies.as_slice()).unwrap_or_default();
        let alike = copies.iter().filter(|copy| copy.content == looks.content && copy.flags == looks.flags);
        alike.map(|copy| copy.id).collect()
    }

    fn owner_acts(&self, mailbox: &str, looks: Message, act: impl Fn(&mut World, u32)) -> Vec<World> {
        let meant = self.of_these_looks(mailbox, looks);
        let worlds = meant.into_iter().map(|id| {
            let mut world = self.clone();
            act(&mut world, id);
            world.touch(mailbox);
            world
        });
        worlds.collect()
    }

    fn touch(&mut self, mailbox: &str) {
        self.shelves.entry(mailbox.to_owned()).or_default().touched = true;
    }

    /// The owner removes a message of these looks.
    #[must_use]
    pub fn owner_deletes(&self, mailbox: &str, looks: Message) -> Vec<World> {
        self.owner_acts(mailbox, looks, |world, id| {
            world.take(mailbox, id);
        })
    }

    /// The owner changes flags.
    #[must_use]
    pub fn owner_flags(&self, mailbox: &str, looks: Message, flags: FlagSet) -> Vec<World> {
        self.owner_acts(mailbox, looks, |world, id| {
            if let Some(copy) = world.copy_in(mailbox, Some(id)) {
                copy.flags = flags;
            }
        })
    }

    /// The owner moves a message elsewhere. There it is a new one.
    #[must_use]
    pub fn owner_files(&self, mailbox: &str, looks: Message, to: &str) -> Vec<World> {
        self.owner_acts(mailbox, looks, |world, id| {
            if let Some(Copy { content, flags, .. }) = world.take(mailbox, id) {
                world.put(to, Message { content, flags }, Some(Tail::Fresh));
                world.touch(to);
            }
        })
    }

    /// Mail comes from elsewhere.
    #[must_use]
    pub fn owner_receives(&self, mailbox: &str, message: Message) -> World {
        let mut world = self.clone();
        world.put(mailbox, message, Some(Tail::Fresh));
        world.touch(mailbox);
        world
    }

    /// What a target shows that is not so in this world.
    #[must_use]
    pub fn differences(&self, seen: &View) -> Vec<String> {
        let mut expected: BTreeMap<(&str, Message), i64> = BTreeMap::new();
        for (name, shelf) in &self.shelves {
            for Copy { content, flags, .. } in &shelf.copies {
                *expected.entry((name, Message { content: *content, flags: *flags })).or_default() += 1;
            }
        }
        for (name, mailbox) in seen {
            for message in mailbox.messages.values() {
                *expected.entry((name, *message)).or_default() -= 1;
            }
        }
        let wrong = expected.into_iter().filter(|(_, count)| *count != 0);
        let named = wrong.map(|((name, Message { content, flags }), count)| {
            let what = if count > 0 { "lacks" } else { "has beyond what is expected" };
            let times = count.unsigned_abs();
            format!("`{name}` {what} {content:?} {flags:?}, {times} times")
        });
        named.collect()
    }

    /// The same with numbers that do not depend on how it came about, so that equal worlds can be told.
    pub(super) fn in_order(mut self) -> World {
        let mut owners: BTreeMap<u32, (String, u32)> = BTreeMap::new();
        for (name, pair) in &self.pairs {
            for (uid, record) in &pair.records {
                if let Some(id) = record.copy {
                    owners.insert(id, (name.clone(), *uid));
                }
            }
        }
        let mut fresh_ids: BTreeMap<u32, u32> = BTreeMap::new();
        for shelf in self.shelves.values_mut() {
            shelf.copies.sort_by_key(|copy| (copy.content, copy.flags, copy.foreign, owners.get(&copy.id).cloned()));
            for copy in &mut shelf.copies {
                let fresh = u32::try_from(fresh_ids.len() + 1).unwrap_or(u32::MAX);
                fresh_ids.insert(copy.id, fresh);
                copy.id = fresh;
            }
        }
        for record in self.pairs.values_mut().flat_map(|pair| pair.records.values_mut()) {
            // A copy that is nowhere any more needs no name.
            record.copy = record.copy.and_then(|id| fresh_ids.get(&id).copied());
        }
        self.next_id = u32::try_from(fresh_ids.len()).unwrap_or(u32::MAX);
        self
    }

    /// Mailboxes beneath one.
    pub(super) fn beneath(&self, mailbox: &str) -> BTreeSet<String> {
        let prefix = format!("{mailbox}/");
        self.shelves.keys().filter(|name| name.starts_with(&prefix)).cloned().collect()
    }
}
