//! FETCH and UID FETCH (RFC 9051 §6.4.5), with CHANGEDSINCE and VANISHED (RFC 7162 §3.1.4, §3.2.6).

use super::dispatch::Session;
use super::fetch_items::{Item, read_items, write_item};
use super::mailbox::{Mailbox, insert_flag};
use super::parse::Arguments;
use super::reply::{Handled, Output, Verdict, uid_set};
use super::uids::Set;
use super::world::World;
use super::{Traits, view::View};

/// What FETCH may be told besides.
#[derive(Debug, Default)]
struct Modifiers {
    changed_since: Option<u64>,
    vanished: bool,
}

pub(super) fn fetch(
    session: &mut Session,
    world: &mut World,
    arguments: &mut Arguments<'_>,
    by_uid: bool,
    output: &mut Output,
) -> Handled {
    let traits = world.traits.clone();
    // What others changed is told before our own changes cover it.
    session.tell(world, by_uid, output);
    let view = session.selected.as_mut().ok_or_else(|| Verdict::bad("no mailbox is selected"))?;
    arguments.space()?;
    let set = arguments.sequence_set()?;
    arguments.space()?;
    let mut items = read_items(arguments, &traits)?;
    let modifiers = read_modifiers(arguments, &traits)?;
    arguments.end()?;
    if modifiers.vanished && !(by_uid && session.enabled.qresync && modifiers.changed_since.is_some()) {
        return Err(Verdict::bad("VANISHED needs UID FETCH, CHANGEDSINCE and QRESYNC"));
    }
    if by_uid && !items.contains(&Item::Uid) {
        items.insert(0, Item::Uid);
    }
    if modifiers.changed_since.is_some() && !items.contains(&Item::ModSeq) {
        items.push(Item::ModSeq);
    }
    session.enabled.condstore |= items.contains(&Item::ModSeq);
    let name = view.find(world).ok_or_else(|| Verdict::no("", "the mailbox is gone"))?;
    let mailbox = world.mailbox_mut(&name).ok_or_else(|| Verdict::no("", "the mailbox is gone"))?;
    let wanted = picked(view, set, by_uid)?;
    if modifiers.vanished {
        tell_vanished(mailbox, &Set::read(set, highest_uid(view))?, modifiers.changed_since.unwrap_or(0), output);
    }
    let mut missing = false;
    for (number, uid) in wanted {
        let is_seen_now = !view.read_only
            && items.iter().any(Item::sets_seen)
            && mailbox.change_flags(uid, |flags| insert_flag(flags, "\\Seen"));
        let Some(message) = mailbox.get(uid) else {
            missing = true;
            continue;
        };
        if modifiers.changed_since.is_some_and(|since| message.modseq <= since) {
            continue;
        }
        output.octets.extend_from_slice(format!("* {number} FETCH (").as_bytes());
        // RFC 9051 §6.4.5: the flag that this command has set is told along with it.
        let more = (is_seen_now && !items.contains(&Item::Flags)).then_some(&Item::Flags);
        for (place, item) in items.iter().chain(more).enumerate() {
            if place > 0 {
                output.octets.push(b' ');
            }
            write_item(item, message, &traits, &mut output.octets);
        }
        output.octets.extend_from_slice(b")\r\n");
    }
    view.knows_flags(mailbox);
    if missing && !by_uid {
        return Err(Verdict::no("EXPUNGEISSUED", "some of the messages are gone"));
    }
    Ok(Verdict::ok("fetched"))
}

/// The messages that a set names, by number and UID.
pub(super) fn picked(view: &View, set: &str, by_uid: bool) -> Result<Vec<(usize, u32)>, Verdict> {
    let count = u32::try_from(view.uids.len()).unwrap_or(u32::MAX);
    let highest = if by_uid { highest_uid(view) } else { count };
    let set = Set::read(set, highest)?;
    // RFC 9051 §9: a message number that there is not is an error, a UID that there is not is none.
    if !by_uid && set.ranges().last().is_some_and(|(_, last)| *last > count) {
        return Err(Verdict::bad("no such message number"));
    }
    let places =
        view.uids.iter().enumerate().filter(|(place, uid)| {
            set.contains(if by_uid { **uid } else { u32::try_from(place + 1).unwrap_or(u32::MAX) })
        });
    Ok(places.map(|(place, uid)| (place + 1, *uid)).collect())
}

fn highest_uid(view: &View) -> u32 {
    view.uids.last().copied().unwrap_or(0)
}

fn read_modifiers(arguments: &mut Arguments<'_>, traits: &Traits) -> Result<Modifiers, Verdict> {
    let mut modifiers = Modifiers::default();
    if !arguments.take(b' ') {
        return Ok(modifiers);
    }
    arguments.expect(b'(')?;
    let mut first = true;
    while first || !arguments.take(b')') {
        if !std::mem::take(&mut first) {
            arguments.space()?;
        }
        match arguments.keyword()?.as_str() {
            "CHANGEDSINCE" if traits.condstore => {
                arguments.space()?;
                modifiers.changed_since = Some(arguments.number()?);
            }
            "VANISHED" if traits.has_qresync() => modifiers.vanished = true,
            _ => return Err(Verdict::bad("an unknown modifier")),
        }
    }
    Ok(modifiers)
}

/// `VANISHED (EARLIER)`: what is gone since, of what was asked.
fn tell_vanished(mailbox: &Mailbox, set: &Set, since: u64, output: &mut Output) {
    let gone = mailbox.vanished.iter().filter(|(when, uid)| *when > since && set.contains(*uid));
    let mut gone: Vec<u32> = gone.map(|(_, uid)| *uid).collect();
    gone.sort_unstable();
    gone.dedup();
    if !gone.is_empty() {
        output.untagged(&format!("VANISHED (EARLIER) {}", uid_set(&gone)));
    }
}
