//! SEARCH and UID SEARCH (RFC 9051 §6.4.4, RFC 4731).

use super::dispatch::Session;
use super::mailbox::Message;
use super::parse::Arguments;
use super::reply::{Handled, Output, Verdict, uid_set};
use super::section::{fields, header_octets};
use super::uid_fetch::picked;
use super::view::View;
use super::world::World;
use std::collections::BTreeSet;

/// Keys within keys deeper than this are refused.
const NESTING_MAX: usize = 20;

enum Key {
    All,
    /// UIDs.
    Among(BTreeSet<u32>),
    Flag(String),
    Header {
        name: String,
        text: Vec<u8>,
    },
    Larger(u64),
    Smaller(u64),
    Not(Box<Key>),
    Either(Box<Key>, Box<Key>),
    Both(Vec<Key>),
}

pub(super) fn search(
    session: &mut Session,
    world: &mut World,
    arguments: &mut Arguments<'_>,
    by_uid: bool,
    tag: &str,
    output: &mut Output,
) -> Handled {
    let view = session.selected.as_mut().ok_or_else(|| Verdict::bad("no mailbox is selected"))?;
    arguments.space()?;
    let extended = take_return(arguments, world.traits.esearch)?;
    let mut keys = vec![read_key(arguments, view, NESTING_MAX)?];
    while arguments.take(b' ') {
        keys.push(read_key(arguments, view, NESTING_MAX)?);
    }
    arguments.end()?;
    let name = view.find(world).ok_or_else(|| Verdict::no("", "the mailbox is gone"))?;
    let mailbox = world.mailbox(&name).ok_or_else(|| Verdict::no("", "the mailbox is gone"))?;
    let key = Key::Both(keys);
    let mut found = Vec::new();
    for (place, uid) in view.uids.iter().enumerate() {
        if mailbox.get(*uid).is_some_and(|message| fits(&key, message)) {
            found.push(if by_uid { *uid } else { u32::try_from(place + 1).unwrap_or(u32::MAX) });
        }
    }
    output.untagged(&if extended { extended_line(tag, by_uid, &found) } else { plain_line(&found) });
    Ok(Verdict::ok("searched"))
}

/// RFC 4731 §3.1: nothing found, nothing named.
fn extended_line(tag: &str, by_uid: bool, found: &[u32]) -> String {
    let by_uid = if by_uid { " UID" } else { "" };
    let all = if found.is_empty() { String::new() } else { format!(" ALL {}", uid_set(found)) };
    format!("ESEARCH (TAG \"{tag}\"){by_uid}{all}")
}

fn plain_line(found: &[u32]) -> String {
    found.iter().fold("SEARCH".to_owned(), |line, number| line + " " + &number.to_string())
}

fn take_return(arguments: &mut Arguments<'_>, esearch: bool) -> Result<bool, Verdict> {
    let mut ahead = arguments.clone();
    if ahead.keyword().ok().as_deref() != Some("RETURN") {
        return Ok(false);
    }
    ahead.space()?;
    let options = ahead.options()?;
    ahead.space()?;
    *arguments = ahead;
    let only_all = options.iter().all(|(name, inner)| name == "ALL" && inner.is_none());
    if esearch && only_all { Ok(true) } else { Err(Verdict::bad("an unknown return option")) }
}

fn read_key(arguments: &mut Arguments<'_>, view: &View, depth: usize) -> Result<Key, Verdict> {
    let depth = depth.checked_sub(1).ok_or_else(|| Verdict::bad("too deep"))?;
    if arguments.peek().is_some_and(|octet| octet.is_ascii_digit() || octet == b'*') {
        return read_among(arguments, view, false);
    }
    if arguments.take(b'(') {
        let mut keys = vec![read_key(arguments, view, depth)?];
        while !arguments.take(b')') {
            arguments.space()?;
            keys.push(read_key(arguments, view, depth)?);
        }
        return Ok(Key::Both(keys));
    }
    let word = arguments.keyword()?;
    if let Some(flag) = flag_of(&word) {
        let key = Key::Flag(flag.to_owned());
        return Ok(if word.starts_with("UN") { Key::Not(Box::new(key)) } else { key });
    }
    if word == "ALL" {
        return Ok(Key::All);
    }
    arguments.space()?;
    match word.as_str() {
        "UID" => read_among(arguments, view, true),
        "KEYWORD" => Ok(Key::Flag(arguments.flag()?)),
        "UNKEYWORD" => Ok(Key::Not(Box::new(Key::Flag(arguments.flag()?)))),
        "LARGER" => Ok(Key::Larger(arguments.number()?)),
        "SMALLER" => Ok(Key::Smaller(arguments.number()?)),
        "NOT" => Ok(Key::Not(Box::new(read_key(arguments, view, depth)?))),
        "OR" => {
            let one = read_key(arguments, view, depth)?;
            arguments.space()?;
            Ok(Key::Either(Box::new(one), Box::new(read_key(arguments, view, depth)?)))
        }
        "HEADER" => {
            let name = String::from_utf8_lossy(&arguments.astring()?).into_owned();
            arguments.space()?;
            Ok(Key::Header { name, text: arguments.astring()? })
        }
        "FROM" | "TO" | "CC" | "SUBJECT" => Ok(Key::Header { name: word, text: arguments.astring()? }),
        _ => Err(Verdict::bad("a search key that this server does not have")),
    }
}

fn read_among(arguments: &mut Arguments<'_>, view: &View, by_uid: bool) -> Result<Key, Verdict> {
    let set = arguments.sequence_set()?;
    Ok(Key::Among(picked(view, set, by_uid)?.into_iter().map(|(_, uid)| uid).collect()))
}

fn flag_of(word: &str) -> Option<&'static str> {
    match word.strip_prefix("UN").unwrap_or(word) {
        "ANSWERED" => Some("\\Answered"),
        "DELETED" => Some("\\Deleted"),
        "DRAFT" => Some("\\Draft"),
        "FLAGGED" => Some("\\Flagged"),
        "SEEN" => Some("\\Seen"),
        _ => None,
    }
}

fn fits(key: &Key, message: &Message) -> bool {
    match key {
        Key::All => true,
        Key::Among(uids) => uids.contains(&message.uid),
        Key::Flag(flag) => message.flags.iter().any(|known| known.eq_ignore_ascii_case(flag)),
        Key::Header { name, text } => has_field(&message.octets, name, text),
        Key::Larger(octets) => message.octets.len() as u64 > *octets,
        Key::Smaller(octets) => (message.octets.len() as u64) < *octets,
        Key::Not(key) => !fits(key, message),
        Key::Either(one, other) => fits(one, message) || fits(other, message),
        Key::Both(keys) => keys.iter().all(|key| fits(key, message)),
    }
}

/// Whether a field of this name holds these octets, without regard to case (RFC 9051 §6.4.4).
fn has_field(octets: &[u8], name: &str, text: &[u8]) -> bool {
    let field = fields(&octets[..header_octets(octets)], &[name.to_owned()], false);
    let Some(value) = field.iter().position(|octet| *octet == b':').map(|colon| &field[colon + 1..]) else {
        return false;
    };
    text.is_empty() || value.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text))
}
