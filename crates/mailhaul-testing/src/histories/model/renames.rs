//! Source mailboxes that stand under another name than before.

use std::collections::BTreeMap;

use super::super::view::View;
use super::choices::Choices;
use super::pass::Passing;
use super::world::{Pair, World};

/// Lets the pairs of renamed mailboxes follow, and the target mailboxes where they must or the copier says so.
pub(super) fn follow_renames(world: &mut World, passing: &Passing<'_>, choices: &mut Choices) -> Result<(), String> {
    if !passing.policy.moves {
        // A mailbox under another name is another one then, as a message in another place is.
        return Ok(());
    }
    let mut moving: Vec<(String, String)> = Vec::new();
    for (old, pair) in &world.pairs {
        let stands = passing.source.get(old).is_some_and(|mailbox| mailbox.uid_validity == pair.uid_validity);
        if stands {
            continue;
        }
        let Some(new) = stands_as(passing.source, pair) else { continue };
        // An empty mailbox has nothing to be recognised by, and nothing to lose.
        if recognisable(passing.source, &new, pair) || choices.either() {
            moving.push((old.clone(), new));
        }
    }
    let mut moved: BTreeMap<String, Pair> = BTreeMap::new();
    for (old, new) in &moving {
        if let Some(pair) = world.pairs.remove(old) {
            moved.insert(new.clone(), pair);
        }
    }
    // The parent first: what lies beneath goes along with it.
    let mut order: Vec<(String, String)> = moving;
    order.sort();
    for (_, new) in &order {
        let Some(pair) = moved.get(new).cloned() else { continue };
        let says = passing.targets.get(new).cloned().unwrap_or_default();
        let must = must_be_renamed(world, &moved, new, &pair);
        if says == pair.target {
            if must == Must::Rename && says != *new {
                return Err(format!("`{says}` was not renamed to `{new}` on the target"));
            }
            continue;
        }
        if must == Must::Stay {
            return Err(format!("`{}` must not be renamed to `{says}` on the target", pair.target));
        }
        if says != *new {
            return Err(format!("`{}` became `{says}` on the target and not `{new}`", pair.target));
        }
        rename_shelves(world, &mut moved, &pair.target, &says);
    }
    for (name, pair) in moved {
        // Whatever was known under the new name before is about a mailbox that is gone.
        world.pairs.insert(name, pair);
    }
    Ok(())
}

fn stands_as(source: &View, pair: &Pair) -> Option<String> {
    let found = source.iter().find(|(_, mailbox)| mailbox.uid_validity == pair.uid_validity);
    found.map(|(name, _)| name.clone())
}

fn recognisable(source: &View, name: &str, pair: &Pair) -> bool {
    let messages = source.get(name).map(|mailbox| &mailbox.messages);
    pair.records.keys().any(|uid| messages.is_some_and(|messages| messages.contains_key(uid)))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Must {
    Rename,
    Stay,
    Either,
}

fn must_be_renamed(world: &World, moved: &BTreeMap<String, Pair>, new: &str, pair: &Pair) -> Must {
    let Some(shelf) = world.shelves.get(&pair.target) else { return Must::Either };
    let foreign = shelf.copies.iter().any(|copy| copy.foreign.is_some());
    if !shelf.made || foreign || world.shelves.contains_key(new) && pair.target != new {
        // Two mailboxes may have changed their names with each other, and a name may be getting free.
        let getting_free = moved.values().any(|other| other.target == new);
        return if getting_free { Must::Either } else { Must::Stay };
    }
    let beneath = world.beneath(&pair.target);
    let stranger = beneath.iter().any(|child| {
        let goes_to = format!("{new}{}", &child[pair.target.len()..]);
        !moved.iter().any(|(name, other)| other.target == *child && *name == goes_to)
    });
    if stranger {
        return Must::Stay;
    }
    let under_a_name_that_is_used = !world.beneath(new).is_empty();
    if shelf.touched || under_a_name_that_is_used || !beneath.is_empty() { Must::Either } else { Must::Rename }
}

fn rename_shelves(world: &mut World, moved: &mut BTreeMap<String, Pair>, from: &str, to: &str) {
    let mut names = world.beneath(from);
    names.insert(from.to_owned());
    for name in names {
        let becomes = format!("{to}{}", &name[from.len()..]);
        if let Some(shelf) = world.shelves.remove(&name) {
            world.shelves.insert(becomes.clone(), shelf);
        }
        for pair in moved.values_mut().chain(world.pairs.values_mut()) {
            if pair.target == name {
                pair.target.clone_from(&becomes);
            }
        }
    }
}
