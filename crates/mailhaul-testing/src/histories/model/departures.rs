//! What is not at the source any more.

use std::collections::BTreeSet;

use super::super::mail::FlagSet;
use super::super::policy::Deleting;
use super::super::view::Message;
use super::choices::Choices;
use super::pass::Passing;
use super::world::{Found, Record, Tail, World};

/// Where deletions go.
const TRASH: &str = "Trash";

/// So many deletions in one mailbox are never asked about.
const FEW: usize = 10;

/// A settled message that is not where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Departure {
    pub(super) pair: String,
    /// None when its UID means nothing any more.
    pub(super) uid: Option<u32>,
    pub(super) record: Record,
    /// The copier need not remember it.
    pub(super) optional: bool,
}

/// Settled messages that the source does not have any more, in mailboxes that can be judged.
pub(super) fn departed(world: &World, passing: &Passing<'_>, questions: &BTreeSet<String>) -> Vec<Departure> {
    let mut departed = Vec::new();
    for (name, pair) in &world.pairs {
        let mailbox = passing.source.get(name);
        if mailbox.is_some() && questions.contains(name) {
            continue;
        }
        for (uid, record) in &pair.records {
            if mailbox.is_none_or(|mailbox| !mailbox.messages.contains_key(uid)) {
                let (pair, uid) = (name.clone(), Some(*uid));
                departed.push(Departure { pair, uid, record: *record, optional: record.stale });
            }
        }
    }
    departed
}

/// Deletes what has gone and was not moved, as the policy has it, and forgets it; unless there is a question.
pub(super) fn apply_deletions(
    world: &mut World,
    passing: &Passing<'_>,
    left: &[Departure],
    questions: &mut BTreeSet<String>,
    choices: &mut Choices,
) {
    if !questions.is_empty() {
        return;
    }
    let pairs: BTreeSet<&str> = left.iter().map(|departure| departure.pair.as_str()).collect();
    for name in pairs {
        let of_pair: Vec<&Departure> =
            left.iter().filter(|departure| departure.pair == name && !departure.record.stale).collect();
        let vanished = !passing.source.contains_key(name);
        let deletes = match passing.policy.deletions {
            Deleting::Ignore => false,
            Deleting::Mirror => true,
            // A mailbox that is deleted is not deleted message by message.
            Deleting::Flag | Deleting::Trash => !vanished || choices.either(),
        };
        let settled = world.pairs.get(name).map_or(0, |pair| pair.records.len());
        if deletes && of_pair.len() > FEW && of_pair.len() * 10 > settled {
            questions.insert(name.to_owned());
            continue;
        }
        for departure in &of_pair {
            if deletes {
                delete(world, passing, departure, choices);
            }
            forget(world, departure, vanished);
        }
    }
}

fn forget(world: &mut World, departure: &Departure, vanished: bool) {
    let Some(pair) = world.pairs.get_mut(&departure.pair) else { return };
    let Some(uid) = departure.uid else { return };
    if !vanished {
        pair.records.remove(&uid);
    } else if let Some(record) = pair.records.get_mut(&uid) {
        record.stale = true;
    }
}

fn delete(world: &mut World, passing: &Passing<'_>, departure: &Departure, choices: &mut Choices) {
    let Some(target) = world.pairs.get(&departure.pair).map(|pair| pair.target.clone()) else { return };
    let Some(id) = departure.record.copy else { return };
    if departure.uid.is_none() && choices.either() {
        return;
    }
    let removes = passing.policy.deletions == Deleting::Mirror
        || passing.policy.deletions == Deleting::Trash && !passing.has_move();
    let spared = removes
        && match departure.record.found {
            Found::No => false,
            Found::Maybe => choices.either(),
            Found::Yes => true,
        };
    if spared {
        return;
    }
    match passing.policy.deletions {
        Deleting::Ignore => {}
        Deleting::Mirror => {
            world.take(&target, id);
        }
        Deleting::Flag => {
            if let Some(copy) = world.copy_in(&target, Some(id)) {
                copy.flags = copy.flags.with(FlagSet::DELETED);
            }
        }
        Deleting::Trash => {
            if let Some(copy) = world.take(&target, id) {
                let message = Message { content: copy.content, flags: copy.flags };
                world.put(TRASH, message, Some(Tail::Read));
            }
        }
    }
}
