//! CREATE, DELETE, RENAME, SUBSCRIBE and UNSUBSCRIBE (RFC 9051 §6.3.4 to §6.3.8).

use super::parse::Arguments;
use super::reply::{Handled, Verdict};
use super::world::{World, canonical};

pub(super) fn create(world: &mut World, arguments: &mut Arguments<'_>) -> Handled {
    let mut name = only_name(arguments)?;
    // RFC 9051 §6.3.4: a delimiter at the end only says that there will be others beneath it.
    if name.ends_with(world.traits.delimiter) {
        name.pop();
    }
    check_new_name(world, &name)?;
    if !world.create(&name) {
        return Err(Verdict::no("ALREADYEXISTS", "there is such a mailbox"));
    }
    Ok(Verdict::ok("made"))
}

pub(super) fn delete(world: &mut World, arguments: &mut Arguments<'_>) -> Handled {
    let name = only_name(arguments)?;
    if name == "INBOX" {
        return Err(Verdict::no("CANNOT", "INBOX stays"));
    }
    match world.holdings.mailboxes.remove(&name) {
        Some(_) => Ok(Verdict::ok("deleted")),
        None => Err(Verdict::no("NONEXISTENT", "no such mailbox")),
    }
}

pub(super) fn rename(world: &mut World, arguments: &mut Arguments<'_>) -> Handled {
    arguments.space()?;
    let from = canonical(&arguments.mailbox()?);
    arguments.space()?;
    let to = canonical(&arguments.mailbox()?);
    arguments.end()?;
    check_new_name(world, &to)?;
    if !world.is_name_taken(&from) {
        return Err(Verdict::no("NONEXISTENT", "no such mailbox"));
    }
    if world.is_name_taken(&to) {
        return Err(Verdict::no("ALREADYEXISTS", "there is such a mailbox"));
    }
    if world.rename(&from, &to) { Ok(Verdict::ok("renamed")) } else { Err(Verdict::no("CANNOT", "not beneath itself")) }
}

/// As Dovecot, it subscribes only to what is there; what is subscribed to stays so when its mailbox goes.
pub(super) fn subscribe(world: &mut World, arguments: &mut Arguments<'_>) -> Handled {
    let name = only_name(arguments)?;
    if !world.is_name_taken(&name) {
        return Err(Verdict::no("NONEXISTENT", "no such mailbox"));
    }
    world.holdings.subscriptions.insert(name);
    Ok(Verdict::ok("subscribed"))
}

pub(super) fn unsubscribe(world: &mut World, arguments: &mut Arguments<'_>) -> Handled {
    let name = only_name(arguments)?;
    world.holdings.subscriptions.remove(&name);
    Ok(Verdict::ok("unsubscribed"))
}

fn only_name(arguments: &mut Arguments<'_>) -> Result<String, Verdict> {
    arguments.space()?;
    let name = canonical(&arguments.mailbox()?);
    arguments.end()?;
    Ok(name)
}

/// A name within the personal namespace, without empty parts and characters that no server takes.
fn check_new_name(world: &World, name: &str) -> Result<(), Verdict> {
    let (prefix, delimiter) = (&world.traits.prefix, world.traits.delimiter);
    let within = name == "INBOX" || name.strip_prefix(prefix.as_str()).is_some_and(|rest| !rest.is_empty());
    let refused = world.traits.not_in_names.is_some_and(|refused| name.contains(refused));
    if refused || !within || name.split(delimiter).any(str::is_empty) || name.chars().any(char::is_control) {
        return Err(Verdict::no("CANNOT", "the name is not allowed"));
    }
    Ok(())
}
