//! What FETCH can be asked for, and how it is told (RFC 9051 §6.4.5, §7.5.2).

use super::Traits;
use super::mailbox::Message;
use super::parse::Arguments;
use super::reply::{Verdict, flag_list, quoted};
use super::section::{fields, header_octets};
use crate::imap_client::format_date;

/// Something that is asked for of every message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Uid,
    Flags,
    InternalDate,
    Size,
    ModSeq,
    Body(Body),
}

/// Octets of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Body {
    /// What the response calls it.
    label: String,
    section: Section,
    /// `<from.octets>`.
    partial: Option<(u64, u64)>,
    peek: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Section {
    All,
    Header,
    Text,
    Fields { names: Vec<String>, not: bool },
}

impl Item {
    /// Whether fetching it marks the message as read.
    pub(super) fn sets_seen(&self) -> bool {
        matches!(self, Self::Body(body) if !body.peek)
    }
}

/// One item, or several in parentheses.
pub(super) fn read_items(arguments: &mut Arguments<'_>, traits: &Traits) -> Result<Vec<Item>, Verdict> {
    let mut items = Vec::new();
    if !arguments.take(b'(') {
        return Ok(vec![read_item(arguments, traits)?]);
    }
    while items.is_empty() || !arguments.take(b')') {
        if !items.is_empty() {
            arguments.space()?;
        }
        items.push(read_item(arguments, traits)?);
    }
    Ok(items)
}

fn read_item(arguments: &mut Arguments<'_>, traits: &Traits) -> Result<Item, Verdict> {
    let whole = |label: &str, section, peek| Item::Body(Body { label: label.to_owned(), section, partial: None, peek });
    match arguments.item()?.as_str() {
        "UID" => Ok(Item::Uid),
        "FLAGS" => Ok(Item::Flags),
        "INTERNALDATE" => Ok(Item::InternalDate),
        "RFC822.SIZE" => Ok(Item::Size),
        "MODSEQ" if traits.condstore => Ok(Item::ModSeq),
        "RFC822" => Ok(whole("RFC822", Section::All, false)),
        "RFC822.HEADER" => Ok(whole("RFC822.HEADER", Section::Header, true)),
        "RFC822.TEXT" => Ok(whole("RFC822.TEXT", Section::Text, false)),
        "BODY" if arguments.peek() == Some(b'[') => read_section(arguments, false),
        "BODY.PEEK" => read_section(arguments, true),
        _ => Err(Verdict::bad("an item that this server does not have")),
    }
}

fn read_section(arguments: &mut Arguments<'_>, peek: bool) -> Result<Item, Verdict> {
    arguments.expect(b'[')?;
    let mut label = String::from("BODY[");
    let section = if arguments.take(b']') {
        label.push(']');
        Section::All
    } else {
        let word = arguments.item()?;
        label.push_str(&word);
        let section = match word.as_str() {
            "HEADER" => Section::Header,
            "TEXT" => Section::Text,
            "HEADER.FIELDS" | "HEADER.FIELDS.NOT" => {
                let names = read_names(arguments)?;
                label.push_str(&format!(" ({})", names.join(" ")));
                Section::Fields { names, not: word.ends_with("NOT") }
            }
            _ => return Err(Verdict::bad("a section that this server does not have")),
        };
        arguments.expect(b']')?;
        label.push(']');
        section
    };
    let partial = read_partial(arguments)?;
    // RFC 9051 §7.5.2: the response says where it begins and not how much was asked for.
    if let Some((from, _)) = partial {
        label.push_str(&format!("<{from}>"));
    }
    Ok(Item::Body(Body { label, section, partial, peek }))
}

fn read_names(arguments: &mut Arguments<'_>) -> Result<Vec<String>, Verdict> {
    arguments.space()?;
    arguments.expect(b'(')?;
    let mut names = Vec::new();
    while names.is_empty() || !arguments.take(b')') {
        if !names.is_empty() {
            arguments.space()?;
        }
        let name = String::from_utf8(arguments.astring()?);
        names.push(name.map_err(|_| Verdict::bad("8-bit octets in a field's name"))?);
    }
    Ok(names)
}

fn read_partial(arguments: &mut Arguments<'_>) -> Result<Option<(u64, u64)>, Verdict> {
    if !arguments.take(b'<') {
        return Ok(None);
    }
    let from = arguments.number()?;
    arguments.expect(b'.')?;
    let octets = arguments.number()?;
    arguments.expect(b'>')?;
    if octets == 0 { Err(Verdict::bad("no octets are asked for")) } else { Ok(Some((from, octets))) }
}

/// Writes an item's name and value.
pub(super) fn write_item(item: &Item, message: &Message, traits: &Traits, out: &mut Vec<u8>) {
    let text = match item {
        Item::Uid => format!("UID {}", message.uid),
        Item::Flags => format!("FLAGS {}", flag_list(&message.flags)),
        Item::InternalDate => format!("INTERNALDATE {}", quoted(&format_date(message.date, 0))),
        Item::Size => {
            let size = i64::try_from(message.octets.len()).unwrap_or(i64::MAX);
            format!("RFC822.SIZE {}", size.saturating_add(traits.size_lies).max(0))
        }
        Item::ModSeq => format!("MODSEQ ({})", message.modseq),
        Item::Body(body) => return write_body(body, message, out),
    };
    out.extend_from_slice(text.as_bytes());
}

fn write_body(body: &Body, message: &Message, out: &mut Vec<u8>) {
    let octets = &message.octets[..];
    let header = header_octets(octets);
    let picked;
    let part = match &body.section {
        Section::All => octets,
        Section::Header => &octets[..header],
        Section::Text => &octets[header..],
        Section::Fields { names, not } => {
            picked = fields(octets, names, *not);
            &picked
        }
    };
    let part = match body.partial {
        None => part,
        Some((from, wanted)) => {
            let from = usize::try_from(from).unwrap_or(usize::MAX).min(part.len());
            let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).min(part.len() - from);
            &part[from..from + wanted]
        }
    };
    out.extend_from_slice(format!("{} {{{}}}\r\n", body.label, part.len()).as_bytes());
    out.extend_from_slice(part);
}
