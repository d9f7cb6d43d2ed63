//! One undisturbed pass, in the order in which things depend on each other.

use std::collections::{BTreeMap, BTreeSet};

use super::super::mail::FlagSet;
use super::super::policy::{Offers, Policy};
use super::super::view::{MailboxView, Message, View};
use super::arrivals::{Arrival, settle_arrivals};
use super::choices::{Choices, every};
use super::departures::{apply_deletions, departed};
use super::flags::{Flags, synced};
use super::ground::carry_over;
use super::renames::follow_renames;
use super::world::{Pair, Tail, World};
use crate::dovecot::Offer;

/// Possibilities that are looked at in one pass of one world, at most.
const BRANCHES_MAX: usize = 20_000;

/// Vanished mailboxes from which on it is asked whether that can be.
const MASS_ABSENCE: usize = 3;

/// What is known about a pass.
#[derive(Clone, Copy, Debug)]
pub struct Passing<'a> {
    /// The source while it ran.
    pub source: &'a View,
    /// The operator's decisions.
    pub policy: &'a Policy,
    /// What the servers announce.
    pub offers: Offers,
    /// Which target mailbox the copier says that each source mailbox goes to.
    pub targets: &'a BTreeMap<String, String>,
    /// Whether an earlier try was broken off, so that copies may have been found rather than written.
    pub disturbed: bool,
}

impl Passing<'_> {
    /// Whether single messages can be moved on the target.
    pub(super) fn has_move(&self) -> bool {
        matches!(self.offers.target, Offer::Everything | Offer::NoUidplus)
    }

    /// Whether single messages can be removed on the target.
    pub(super) fn has_uidplus(&self) -> bool {
        matches!(self.offers.target, Offer::Everything | Offer::NoMove)
    }
}

/// What may have come of a pass.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outcome {
    /// The state of affairs.
    pub world: World,
    /// Source mailboxes about which the operator is asked.
    pub questions: BTreeSet<String>,
}

/// Everything that may come of a pass in a world, or why nothing can. None when there is too much of it.
#[must_use]
pub fn predict(world: &World, passing: &Passing<'_>) -> Option<Result<Vec<Outcome>, String>> {
    let results = every(BRANCHES_MAX, |choices| pass(world, passing, choices))?;
    let mut outcomes = BTreeSet::new();
    let mut why_not = String::new();
    for result in results {
        match result {
            Ok(Outcome { world, questions }) => drop(outcomes.insert(Outcome { world: world.in_order(), questions })),
            Err(reason) => why_not = reason,
        }
    }
    if outcomes.is_empty() { Some(Err(why_not)) } else { Some(Ok(outcomes.into_iter().collect())) }
}

/// An error is a branch that contradicts what the copier has told, or itself.
fn pass(world: &World, passing: &Passing<'_>, choices: &mut Choices) -> Result<Outcome, String> {
    let mut world = world.clone();
    let mut questions = BTreeSet::new();
    follow_renames(&mut world, passing, choices)?;
    let vanished: Vec<String> =
        world.pairs.keys().filter(|name| !passing.source.contains_key(*name)).cloned().collect();
    if vanished.len() >= MASS_ABSENCE && vanished.len() > passing.source.len() {
        questions.extend(vanished);
    }
    map_mailboxes(&mut world, passing)?;
    let mut lost = Vec::new();
    for (name, mailbox) in passing.source {
        if !carry_over(&mut world, passing, name, mailbox, &mut lost, choices) {
            questions.insert(name.clone());
        }
    }
    let arrivals = arrivals(&world, passing, &questions);
    sync_flags(&mut world, passing, &questions, choices);
    let mut departed = departed(&world, passing, &questions);
    departed.extend(lost);
    settle_arrivals(&mut world, passing, &arrivals, &mut departed, choices)?;
    apply_deletions(&mut world, passing, &departed, &mut questions, choices);
    read_tails(&mut world, passing, &arrivals);
    Ok(Outcome { world, questions })
}

/// Every source mailbox has one on the target, and none has two.
fn map_mailboxes(world: &mut World, passing: &Passing<'_>) -> Result<(), String> {
    for (name, MailboxView { uid_validity, .. }) in passing.source {
        let target = passing.targets.get(name).ok_or_else(|| format!("the report does not say where `{name}` goes"))?;
        match world.pairs.get(name) {
            Some(pair) if pair.target == *target => {}
            Some(pair) => return Err(format!("`{name}` goes to `{target}`, and went to `{}`", pair.target)),
            None => {
                let taken = world.pairs.values().any(|pair| pair.target == *name);
                if target != name && !taken {
                    return Err(format!("`{name}` goes to `{target}` although `{name}` is free"));
                }
                let pair = Pair { target: target.clone(), uid_validity: *uid_validity, records: BTreeMap::new() };
                world.pairs.insert(name.clone(), pair);
            }
        }
        if world.pairs.iter().any(|(other, pair)| other != name && pair.target == *target) {
            return Err(format!("`{name}` goes to `{target}`, and so does another mailbox"));
        }
        if !world.shelves.contains_key(target) {
            world.shelves.entry(target.clone()).or_default().made = true;
        }
    }
    Ok(())
}

fn arrivals(world: &World, passing: &Passing<'_>, questions: &BTreeSet<String>) -> Vec<Arrival> {
    let worked_on = passing.source.iter().filter(|(name, _)| !questions.contains(*name));
    let new = worked_on.flat_map(|(name, mailbox)| {
        let known = world.pairs.get(name).map(|pair| &pair.records);
        let new = mailbox.messages.iter().filter(move |(uid, _)| known.is_none_or(|known| !known.contains_key(uid)));
        new.map(move |(uid, message)| Arrival { mailbox: name.clone(), uid: *uid, message: *message })
    });
    new.collect()
}

/// Messages that were settled before.
fn sync_flags(world: &mut World, passing: &Passing<'_>, questions: &BTreeSet<String>, choices: &mut Choices) {
    for (name, mailbox) in passing.source.iter().filter(|(name, _)| !questions.contains(*name)) {
        let Some(mut pair) = world.pairs.get(name).cloned() else { continue };
        for (uid, record) in &mut pair.records {
            let Some(Message { flags: source, .. }) = mailbox.messages.get(uid) else { continue };
            match world.copy_in(&pair.target, record.copy) {
                Some(copy) => {
                    let flags = Flags { source: *source, base: Some(record.base), target: copy.flags };
                    (copy.flags, record.base) = synced(flags, passing.policy, choices);
                }
                None => record.base = source.without(FlagSet::DELETED),
            }
        }
        world.pairs.insert(name.clone(), pair);
    }
}

/// What the owner put somewhere has been looked at where mail was to be sent, and perhaps elsewhere.
fn read_tails(world: &mut World, passing: &Passing<'_>, arrivals: &[Arrival]) {
    for (name, target) in passing.targets {
        let surely = arrivals.iter().any(|arrival| arrival.mailbox == *name);
        let Some(shelf) = world.shelves.get_mut(target) else { continue };
        for copy in &mut shelf.copies {
            copy.foreign = match copy.foreign {
                Some(_) if surely => Some(Tail::Read),
                Some(Tail::Fresh) => Some(Tail::Maybe),
                other => other,
            };
        }
    }
}
