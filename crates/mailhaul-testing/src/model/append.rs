//! APPEND and MULTIAPPEND (RFC 9051 §6.3.12, RFC 3502): read whole, then stored all or nothing.

use super::mailbox::{Incoming, flag_set};
use super::parse::Arguments;
use super::reply::{Handled, Verdict, uid_set};
use super::world::{Stored, World, canonical};
use super::{Literals, Traits};
use crate::imap_client::parse_date;

/// LITERAL- allows so much without waiting (RFC 7888 §5).
const SMALL_OCTETS_MAX: u64 = 4_096;

/// Messages that wait to be stored.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) mailbox: String,
    pub(super) incoming: Vec<Incoming>,
}

/// Whether the literal that is announced is refused before it is sent.
pub(super) fn refuse_literal(world: &World, arguments: &[u8], octets: u64) -> Option<Verdict> {
    let mut arguments = Arguments::new(arguments);
    // The name itself may be the literal; then nothing is known yet.
    let mailbox = arguments.space().and_then(|()| arguments.mailbox()).ok()?;
    arguments.space().ok()?;
    check_mailbox(world, &mailbox).err().or_else(|| check_size(&world.traits, octets).err())
}

/// Whether a literal of this size may be sent without being asked for.
pub(super) fn check_unasked(literals: Literals, octets: u64) -> Result<(), Verdict> {
    match literals {
        Literals::Plus => Ok(()),
        Literals::Minus if octets <= SMALL_OCTETS_MAX => Ok(()),
        Literals::Minus => Err(Verdict::bad("a literal of this size must be asked for")),
        Literals::Synchronising => Err(Verdict::bad("literals must be asked for")),
    }
}

/// Reads the whole command and checks everything that can be checked before storing.
pub(super) fn read(world: &World, arguments: &mut Arguments<'_>) -> Result<Append, Verdict> {
    arguments.space()?;
    let mailbox = canonical(&arguments.mailbox()?);
    let mut incoming = Vec::new();
    while incoming.is_empty() || arguments.peek().is_some() {
        if !incoming.is_empty() && !world.traits.multiappend {
            return Err(Verdict::bad("one message at a time"));
        }
        arguments.space()?;
        incoming.push(read_message(world, arguments)?);
    }
    check_mailbox(world, &mailbox)?;
    for message in &incoming {
        check_size(&world.traits, message.octets.len() as u64)?;
    }
    let quota = world.traits.quota_messages;
    if quota.is_some_and(|quota| world.messages() + incoming.len() as u64 > quota) {
        return Err(Verdict::no("OVERQUOTA", "the account is full"));
    }
    Ok(Append { mailbox, incoming })
}

fn read_message(world: &World, arguments: &mut Arguments<'_>) -> Result<Incoming, Verdict> {
    let mut flags = Vec::new();
    if arguments.peek() == Some(b'(') {
        flags = arguments.flags()?;
        arguments.space()?;
    }
    let mut date = world.now();
    if arguments.peek() == Some(b'"') {
        let text = arguments.string()?.map(|text| text.octets).unwrap_or_default();
        let read = std::str::from_utf8(&text).ok().and_then(parse_date);
        date = read.ok_or_else(|| Verdict::bad("the date cannot be read"))?;
        arguments.space()?;
    }
    let octets = arguments.literal()?.into();
    Ok(Incoming { octets, date, flags: flag_set(flags.iter().map(String::as_str)) })
}

fn check_mailbox(world: &World, mailbox: &str) -> Result<(), Verdict> {
    match world.mailbox(mailbox) {
        Some(_) => Ok(()),
        // RFC 9051 §6.3.12: the client may make it and try again.
        None => Err(Verdict::no("TRYCREATE", "no such mailbox")),
    }
}

fn check_size(traits: &Traits, octets: u64) -> Result<(), Verdict> {
    match traits.append_limit {
        Some(limit) if octets > limit => Err(Verdict::no("TOOBIG", "the message is too large")),
        _ => Ok(()),
    }
}

/// What is answered when it is done; `None` if the mailbox was deleted meanwhile.
pub(super) fn appended(traits: &Traits, stored: Option<Stored>) -> Verdict {
    let (Ok(verdict) | Err(verdict)) = answer(traits, stored);
    verdict
}

fn answer(traits: &Traits, stored: Option<Stored>) -> Handled {
    let (validity, uids) = stored.ok_or_else(|| Verdict::no("TRYCREATE", "the mailbox is gone"))?;
    // RFC 4315 §3: every message has its UID there, or none of them.
    let uids: Option<Vec<u32>> = uids.into_iter().collect();
    match uids.filter(|_| traits.uidplus) {
        Some(uids) => Ok(Verdict::ok_with(format!("APPENDUID {validity} {}", uid_set(&uids)), "stored")),
        None => Ok(Verdict::ok("stored")),
    }
}
