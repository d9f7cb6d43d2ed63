//! COPY, MOVE and EXPUNGE with their UID forms, CLOSE and UNSELECT (RFC 9051 §6.4, RFC 6851, RFC 4315).

use super::dispatch::Session;
use super::mailbox::{Incoming, Mailbox, Message};
use super::parse::Arguments;
use super::reply::{Handled, Output, Verdict, uid_set};
use super::uid_fetch::picked;
use super::world::World;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) fn copy(session: &mut Session, world: &mut World, arguments: &mut Arguments<'_>, by_uid: bool) -> Handled {
    let (from, uids, to) = read(session, world, arguments, by_uid)?;
    check_quota(world, uids.len())?;
    let holes = world.traits.holes;
    let copied: Vec<(u32, Incoming)> =
        world.mailbox(&from).into_iter().flat_map(|mailbox| among(mailbox, &uids).map(twin)).collect();
    let target = world.mailbox_mut(&to).ok_or_else(|| Verdict::no("TRYCREATE", "no such mailbox"))?;
    let pairs: Vec<(u32, u32)> = copied.into_iter().map(|(uid, message)| (uid, target.store(message, holes))).collect();
    let code = copy_uid(world, &to, &pairs);
    Ok(Verdict::ok_with(code.unwrap_or_default(), "copied"))
}

pub(super) fn shift(
    session: &mut Session,
    world: &mut World,
    arguments: &mut Arguments<'_>,
    by_uid: bool,
    output: &mut Output,
) -> Handled {
    if !world.traits.move_ {
        return Err(Verdict::bad("unknown command MOVE"));
    }
    let (from, uids, to) = read(session, world, arguments, by_uid)?;
    check_writable(session)?;
    let pairs = world.shift(&from, &uids, &to);
    // RFC 6851 §4.3: it comes before the messages are told to be gone.
    if let Some(code) = copy_uid(world, &to, &pairs) {
        output.untagged(&format!("OK [{code}] moved"));
    }
    Ok(Verdict::ok("moved"))
}

/// EXPUNGE, and UID EXPUNGE (RFC 4315 §2.1), which spares what it does not name.
pub(super) fn expunge(
    session: &mut Session,
    world: &mut World,
    arguments: &mut Arguments<'_>,
    by_uid: bool,
) -> Handled {
    let view = session.selected.as_mut().ok_or_else(|| Verdict::bad("no mailbox is selected"))?;
    let named: Vec<(usize, u32)> = if by_uid {
        if !world.traits.uidplus {
            return Err(Verdict::bad("unknown command UID EXPUNGE"));
        }
        arguments.space()?;
        let set = arguments.sequence_set()?;
        picked(view, set, true)?
    } else {
        view.uids.iter().copied().enumerate().collect()
    };
    arguments.end()?;
    let name = view.find(world).ok_or_else(|| Verdict::no("", "the mailbox is gone"))?;
    check_writable(session)?;
    let mailbox = world.mailbox_mut(&name).ok_or_else(|| Verdict::no("", "the mailbox is gone"))?;
    remove_deleted(mailbox, named.into_iter().map(|(_, uid)| uid));
    Ok(Verdict::ok("expunged"))
}

/// CLOSE expunges in silence; UNSELECT does not (RFC 3691).
pub(super) fn leave(session: &mut Session, world: &mut World, arguments: &Arguments<'_>, expunges: bool) -> Handled {
    if !expunges && !world.traits.unselect {
        return Err(Verdict::bad("unknown command UNSELECT"));
    }
    arguments.end()?;
    let mut view = session.selected.take().ok_or_else(|| Verdict::bad("no mailbox is selected"))?;
    if expunges
        && !view.read_only
        && let Some(name) = view.find(world)
        && let Some(mailbox) = world.mailbox_mut(&name)
    {
        remove_deleted(mailbox, view.uids);
    }
    Ok(Verdict::ok("closed"))
}

fn read(
    session: &mut Session,
    world: &World,
    arguments: &mut Arguments<'_>,
    by_uid: bool,
) -> Result<(String, BTreeSet<u32>, String), Verdict> {
    let view = session.selected.as_mut().ok_or_else(|| Verdict::bad("no mailbox is selected"))?;
    arguments.space()?;
    let set = arguments.sequence_set()?;
    arguments.space()?;
    let to = arguments.mailbox()?;
    arguments.end()?;
    let uids = picked(view, set, by_uid)?.into_iter().map(|(_, uid)| uid).collect();
    let from = view.find(world).ok_or_else(|| Verdict::no("", "the mailbox is gone"))?;
    if world.mailbox(&to).is_none() {
        return Err(Verdict::no("TRYCREATE", "no such mailbox"));
    }
    Ok((from, uids, to))
}

fn check_writable(session: &Session) -> Result<(), Verdict> {
    match &session.selected {
        Some(view) if view.read_only => Err(Verdict::no("", "the mailbox is opened read-only")),
        _ => Ok(()),
    }
}

fn check_quota(world: &World, more: usize) -> Result<(), Verdict> {
    match world.traits.quota_messages {
        Some(quota) if world.messages() + more as u64 > quota => Err(Verdict::no("OVERQUOTA", "the account is full")),
        _ => Ok(()),
    }
}

fn among<'a>(mailbox: &'a Mailbox, uids: &'a BTreeSet<u32>) -> impl Iterator<Item = &'a Message> {
    mailbox.messages.iter().filter(|message| uids.contains(&message.uid))
}

fn twin(message: &Message) -> (u32, Incoming) {
    let (octets, flags) = (Arc::clone(&message.octets), message.flags.clone());
    (message.uid, Incoming { octets, date: message.date, flags })
}

fn remove_deleted(mailbox: &mut Mailbox, among: impl IntoIterator<Item = u32>) {
    let is_deleted = |uid: &u32| mailbox.get(*uid).is_some_and(|message| message.flags.contains("\\Deleted"));
    let gone: BTreeSet<u32> = among.into_iter().filter(is_deleted).collect();
    mailbox.remove(&gone);
}

/// COPYUID (RFC 4315 §3), if there is anything to tell.
fn copy_uid(world: &World, to: &str, pairs: &[(u32, u32)]) -> Option<String> {
    let validity = world.mailbox(to)?.uid_validity;
    let (before, after): (Vec<u32>, Vec<u32>) = pairs.iter().copied().unzip();
    (world.traits.uidplus && !pairs.is_empty())
        .then(|| format!("COPYUID {validity} {} {}", uid_set(&before), uid_set(&after)))
}
