//! SELECT and EXAMINE (RFC 9051 §6.3.2, §6.3.3), and leaving the mailbox again.

use super::dispatch::Session;
use super::mailbox::Mailbox;
use super::parse::Arguments;
use super::reply::{Handled, Output, Verdict, flag_list};
use super::traits::Alters;
use super::view::View;
use super::world::World;
use super::{Traits, status};
use std::collections::BTreeSet;

const SYSTEM_FLAGS: [&str; 5] = ["\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft"];

pub(super) fn open(
    session: &mut Session,
    world: &mut World,
    arguments: &mut Arguments<'_>,
    read_only: bool,
    output: &mut Output,
) -> Handled {
    arguments.space()?;
    let name = arguments.mailbox()?;
    if arguments.take(b' ') {
        let options = arguments.options()?;
        let is_condstore = |(name, inner): &(String, Option<String>)| name == "CONDSTORE" && inner.is_none();
        if !world.traits.condstore || !options.iter().all(is_condstore) {
            return Err(Verdict::bad("an unknown parameter"));
        }
        session.enabled.condstore = true;
    }
    arguments.end()?;
    // RFC 9051 §6.3.2: whatever becomes of the attempt, the mailbox before it is left.
    let before = session.selected.take();
    let mailbox = world.mailbox(&name).ok_or_else(|| Verdict::no("NONEXISTENT", "no such mailbox"))?;
    if before.is_some() && session.enabled.qresync {
        // RFC 7162 §3.2.11: from here on it is the other mailbox that is spoken of.
        output.untagged("OK [CLOSED] the mailbox before is closed");
    }
    tell(mailbox, &world.traits, read_only, output);
    session.selected = Some(View::of(world, &name, mailbox, read_only));
    let code = if read_only { "READ-ONLY" } else { "READ-WRITE" };
    Ok(Verdict::ok_with(code.to_owned(), "opened"))
}

fn tell(mailbox: &Mailbox, traits: &Traits, read_only: bool, output: &mut Output) {
    let keywords = mailbox.messages.iter().flat_map(|message| &message.flags).filter(|flag| !flag.starts_with('\\'));
    let keywords: BTreeSet<&String> = keywords.collect();
    let mut flags: Vec<String> = SYSTEM_FLAGS.map(str::to_owned).to_vec();
    flags.extend(keywords.into_iter().cloned());
    output.untagged(&format!("FLAGS {}", flag_list(&flags)));
    let permanent = match (read_only, traits.alters) {
        (true, _) => "()".to_owned(),
        (false, Alters::DropsKeywords) => format!("({})", SYSTEM_FLAGS.join(" ")),
        (false, _) => {
            flags.push("\\*".to_owned());
            flag_list(&flags)
        }
    };
    output.untagged(&format!("OK [PERMANENTFLAGS {permanent}] what is kept"));
    output.untagged(&format!("{} EXISTS", mailbox.messages.len()));
    output.untagged("0 RECENT");
    output.untagged(&format!("OK [UIDVALIDITY {}] UIDs are valid", mailbox.uid_validity));
    output.untagged(&format!("OK [UIDNEXT {}] the next UID", mailbox.uid_next));
    if traits.condstore {
        output.untagged(&format!("OK [HIGHESTMODSEQ {}] the highest", mailbox.modseq));
    }
    if traits.object_id {
        output.untagged(&format!("OK [MAILBOXID ({})] its name for good", status::id(mailbox)));
    }
}
