//! What is new at the source: found on the target already, moved there, left to its owner, or copied.

use std::collections::BTreeMap;

use super::super::mail::{Content, FlagSet};
use super::super::view::Message;
use super::choices::Choices;
use super::departures::Departure;
use super::flags::{Flags, synced};
use super::pass::Passing;
use super::world::{Found, Record, Tail, World};

/// Where everything may be taken for a draft.
pub(super) const DRAFTS: &str = "Drafts";

/// A source message that is not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) mailbox: String,
    pub(super) uid: u32,
    pub(super) message: Message,
}

/// What becomes of an arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    /// What the owner has put there is it.
    Adopted(u32),
    /// It is the message that left another place, and so is its copy.
    Moved(usize),
    /// The same, but the owner has taken the copy away.
    Left(usize),
    Copied,
}

/// Settles all arrivals. `departed` keeps what has not arrived anywhere.
pub(super) fn settle_arrivals(
    world: &mut World,
    passing: &Passing<'_>,
    arrivals: &[Arrival],
    departed: &mut Vec<Departure>,
    choices: &mut Choices,
) -> Result<(), String> {
    let mut rest = Vec::new();
    for arrival in arrivals {
        let Some(target) = world.pairs.get(&arrival.mailbox).map(|pair| pair.target.clone()) else { continue };
        let mut ways: Vec<Way> =
            adoptable(world, &target, arrival).into_iter().map(|(id, _)| Way::Adopted(id)).collect();
        ways.push(Way::Copied);
        match ways.swap_remove(choices.choose(ways.len())) {
            Way::Adopted(id) => adopt(world, passing, arrival, &target, id, choices),
            _ => rest.push(arrival),
        }
    }
    for arrival in &rest {
        let target = world.pairs.get(&arrival.mailbox).map(|pair| pair.target.clone()).unwrap_or_default();
        if adoptable(world, &target, arrival).iter().any(|(_, tail)| *tail == Tail::Fresh) {
            return Err(format!("{:?} in `{target}` is not recognised", arrival.message.content));
        }
    }
    let mut copied: Vec<&Arrival> = Vec::new();
    let mut gone: Vec<bool> = vec![false; departed.len()];
    for arrival in rest {
        let mut ways = followable(world, passing, arrival, departed, &gone, choices);
        ways.push(Way::Copied);
        match ways.swap_remove(choices.choose(ways.len())) {
            Way::Moved(place) => {
                gone[place] = true;
                follow(world, passing, arrival, &departed[place], choices);
            }
            Way::Left(place) => {
                gone[place] = true;
                unlink(world, &departed[place]);
                record(world, arrival, None, arrival.message.flags.without(FlagSet::DELETED), Found::No);
            }
            Way::Adopted(_) | Way::Copied => copied.push(arrival),
        }
    }
    insist_on_moves(world, passing, &copied, departed, &gone)?;
    for arrival in copied {
        let target = world.pairs.get(&arrival.mailbox).map(|pair| pair.target.clone()).unwrap_or_default();
        let flags = arrival.message.flags.without(FlagSet::DELETED);
        let id = world.put(&target, Message { content: arrival.message.content, flags }, None);
        let found = if passing.disturbed { Found::Maybe } else { Found::No };
        record(world, arrival, Some(id), flags, found);
    }
    let mut place = 0;
    departed.retain(|_| {
        place += 1;
        !gone[place - 1]
    });
    Ok(())
}

/// What the owner has put into the mailbox and nobody has claimed, by looks.
fn adoptable(world: &World, target: &str, arrival: &Arrival) -> Vec<(u32, Tail)> {
    let copies = world.shelves.get(target).map(|shelf| shelf.copies.as_slice()).unwrap_or_default();
    let mut by_looks: BTreeMap<(FlagSet, Tail), u32> = BTreeMap::new();
    for copy in copies.iter().filter(|copy| copy.content == arrival.message.content) {
        if let Some(tail @ (Tail::Fresh | Tail::Maybe)) = copy.foreign {
            by_looks.insert((copy.flags, tail), copy.id);
        }
    }
    by_looks.into_iter().map(|((_, tail), id)| (id, tail)).collect()
}

fn adopt(world: &mut World, passing: &Passing<'_>, arrival: &Arrival, target: &str, id: u32, choices: &mut Choices) {
    let Some(copy) = world.copy_in(target, Some(id)) else { return };
    copy.foreign = None;
    let flags = Flags { source: arrival.message.flags, base: None, target: copy.flags };
    let (flags, base) = synced(flags, passing.policy, choices);
    copy.flags = flags;
    record(world, arrival, Some(id), base, Found::Yes);
}

/// Departures that an arrival may be, one of each kind that makes a difference.
fn followable(
    world: &mut World,
    passing: &Passing<'_>,
    arrival: &Arrival,
    departed: &[Departure],
    gone: &[bool],
    choices: &mut Choices,
) -> Vec<Way> {
    if !passing.policy.moves {
        return Vec::new();
    }
    let content = arrival.message.content;
    let mut ways = Vec::new();
    let mut kinds = Vec::new();
    for (place, departure) in departed.iter().enumerate().filter(|(place, _)| !gone[*place]) {
        let there = present(world, departure);
        let way = match there {
            Some(flags) if departure.record.content == content && can_follow(passing, arrival, departure, choices) => {
                Some((Way::Moved(place), Some(flags)))
            }
            None if may_be_left(arrival, departure) => Some((Way::Left(place), None)),
            _ => None,
        };
        let Some((way, looks)) = way else { continue };
        let kind = (departure.pair.clone(), departure.record.base, departure.record.content, looks, departure.optional);
        if !kinds.contains(&kind) {
            kinds.push(kind);
            ways.push(way);
        }
    }
    ways
}

/// The flags of the departed message's copy, if it still is where it was put.
fn present(world: &mut World, departure: &Departure) -> Option<FlagSet> {
    let target = world.pairs.get(&departure.pair)?.target.clone();
    world.copy_in(&target, departure.record.copy).map(|copy| copy.flags)
}

/// Without MOVE, only what was certainly written here may be removed from where it was. What is back in its mailbox need not
/// be moved at all.
fn can_follow(passing: &Passing<'_>, arrival: &Arrival, departure: &Departure, choices: &mut Choices) -> bool {
    if departure.pair == arrival.mailbox {
        return true;
    }
    let by_copy = passing.has_uidplus()
        && match departure.record.found {
            Found::No => true,
            Found::Maybe => choices.either(),
            Found::Yes => false,
        };
    passing.has_move() || by_copy
}

/// Whether the owner may be said to have taken an arrival's copy away. Of drafts nobody can tell: they change under one header.
fn may_be_left(arrival: &Arrival, departure: &Departure) -> bool {
    alike(departure.record.content, arrival.message.content)
        && !is_draft(arrival, departure)
        && arrival.message.content.named
}

fn is_draft(arrival: &Arrival, departure: &Departure) -> bool {
    arrival.message.flags.with(departure.record.base).common(FlagSet::DRAFT) == FlagSet::DRAFT
}

/// Whether two messages have the same header. Once a copy is gone, that is all that is remembered of it.
fn alike(one: Content, other: Content) -> bool {
    one.serial == other.serial && one.named == other.named
}

fn follow(world: &mut World, passing: &Passing<'_>, arrival: &Arrival, departure: &Departure, choices: &mut Choices) {
    let from = world.pairs.get(&departure.pair).map(|pair| pair.target.clone()).unwrap_or_default();
    let to = world.pairs.get(&arrival.mailbox).map(|pair| pair.target.clone()).unwrap_or_default();
    let Some(copy) = departure.record.copy.and_then(|id| world.take(&from, id)) else { return };
    unlink(world, departure);
    let flags = Flags { source: arrival.message.flags, base: Some(departure.record.base), target: copy.flags };
    let (flags, base) = synced(flags, passing.policy, choices);
    let id = world.put(&to, Message { content: copy.content, flags }, None);
    let found = if passing.disturbed { Found::Maybe } else { departure.record.found };
    record(world, arrival, Some(id), base, found);
}

fn unlink(world: &mut World, departure: &Departure) {
    if let (Some(pair), Some(uid)) = (world.pairs.get_mut(&departure.pair), departure.uid) {
        pair.records.remove(&uid);
    }
}

fn record(world: &mut World, arrival: &Arrival, copy: Option<u32>, base: FlagSet, found: Found) {
    if let Some(pair) = world.pairs.get_mut(&arrival.mailbox) {
        let content = arrival.message.content;
        pair.records.insert(arrival.uid, Record { content, copy, base, found, stale: false });
    }
}

/// Nothing may be copied while a message of the same content has left and is not accounted for.
fn insist_on_moves(
    world: &mut World,
    passing: &Passing<'_>,
    copied: &[&Arrival],
    departed: &[Departure],
    gone: &[bool],
) -> Result<(), String> {
    if !passing.policy.moves {
        return Ok(());
    }
    for arrival in copied {
        let content = arrival.message.content;
        for (place, departure) in departed.iter().enumerate() {
            if gone[place] || departure.optional || departure.record.content != content {
                continue;
            }
            let there = present(world, departure).is_some();
            let possible = if there {
                let at_home = departure.pair == arrival.mailbox;
                at_home || passing.has_move() || passing.has_uidplus() && departure.record.found == Found::No
            } else {
                let drafts = [&arrival.mailbox, &departure.pair].into_iter().any(|name| name == DRAFTS);
                may_be_left(arrival, departure) && !drafts
            };
            if possible {
                let (from, to) = (&departure.pair, &arrival.mailbox);
                return Err(format!("{content:?} has moved from `{from}` to `{to}` and was copied"));
            }
        }
    }
    Ok(())
}
