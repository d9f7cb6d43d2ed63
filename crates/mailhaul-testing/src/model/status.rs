//! STATUS (RFC 9051 §6.3.11), and its line for LIST.

use super::Traits;
use super::dispatch::Session;
use super::mailbox::Mailbox;
use super::parse::Arguments;
use super::reply::{Handled, Output, Verdict, mailbox_name};
use super::world::World;

pub(super) fn status(
    session: &mut Session,
    world: &mut World,
    arguments: &mut Arguments<'_>,
    output: &mut Output,
) -> Handled {
    arguments.space()?;
    let name = arguments.mailbox()?;
    arguments.space()?;
    let items = items(arguments, &world.traits)?;
    arguments.end()?;
    let mailbox = world.mailbox(&name).ok_or_else(|| Verdict::no("NONEXISTENT", "no such mailbox"))?;
    // RFC 7162 §3.1: asking for it enables it.
    session.enabled.condstore |= items.iter().any(|item| item == "HIGHESTMODSEQ");
    output.untagged(&line(&name, mailbox, &items, &world.traits));
    Ok(Verdict::ok("status told"))
}

/// The items in parentheses. What is not announced cannot be asked for.
pub(super) fn items(arguments: &mut Arguments<'_>, traits: &Traits) -> Result<Vec<String>, Verdict> {
    arguments.expect(b'(')?;
    let mut items = Vec::new();
    while items.is_empty() || !arguments.take(b')') {
        if !items.is_empty() {
            arguments.space()?;
        }
        let item = arguments.keyword()?;
        let known = match item.as_str() {
            "MESSAGES" | "UIDNEXT" | "UIDVALIDITY" | "UNSEEN" | "RECENT" => true,
            "HIGHESTMODSEQ" => traits.condstore,
            "MAILBOXID" => traits.object_id,
            "SIZE" => traits.status_size,
            "APPENDLIMIT" => traits.append_limit.is_some(),
            _ => false,
        };
        if !known {
            return Err(Verdict::bad("an unknown status item"));
        }
        items.push(item);
    }
    Ok(items)
}

/// `STATUS "Work" (MESSAGES 3 …)`.
pub(super) fn line(name: &str, mailbox: &Mailbox, items: &[String], traits: &Traits) -> String {
    let unseen = || mailbox.messages.iter().filter(|message| !message.flags.contains("\\Seen")).count();
    let told = items.iter().map(|item| match item.as_str() {
        "MESSAGES" => format!("{item} {}", mailbox.messages.len()),
        "UIDNEXT" => format!("{item} {}", mailbox.uid_next),
        "UIDVALIDITY" => format!("{item} {}", mailbox.uid_validity),
        "UNSEEN" => format!("{item} {}", unseen()),
        "HIGHESTMODSEQ" => format!("{item} {}", mailbox.modseq),
        "MAILBOXID" => format!("{item} ({})", id(mailbox)),
        "SIZE" => format!("{item} {}", mailbox.size()),
        "APPENDLIMIT" => format!("{item} {}", traits.append_limit.unwrap_or_default()),
        _ => format!("{item} 0"),
    });
    format!("STATUS {} ({})", mailbox_name(name), told.collect::<Vec<_>>().join(" "))
}

/// MAILBOXID (RFC 8474 §4).
pub(super) fn id(mailbox: &Mailbox) -> String {
    format!("M{}", mailbox.id)
}
