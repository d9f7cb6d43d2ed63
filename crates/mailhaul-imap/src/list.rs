//! LIST and LSUB (RFC 9051 §6.3.9, RFC 5258, RFC 6154): which mailboxes there are.

use crate::capabilities::Capabilities;
use crate::command::Command;
use crate::error::ImapError;
use crate::response::Response;
use crate::session::Talk;
use crate::status::{MailboxStatus, read_status};
use crate::tokens::{Tokens, Value};
use mailhaul_types::{MailboxName, NameEncoding, SpecialUse};
use std::collections::{BTreeMap, BTreeSet};

/// Mailboxes of one account; more is refused.
const MAILBOXES_MAX: usize = 100_000;

/// One mailbox as the server lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedMailbox {
    /// Its full name.
    pub name: MailboxName,
    /// The hierarchy delimiter in this name; `None` for a flat name.
    pub delimiter: Option<char>,
    /// Whether it can be selected (neither `\Noselect` nor `\NonExistent`).
    pub selectable: bool,
    /// What it is for, if the server says so. Of several purposes the first is kept.
    pub special_use: Option<SpecialUse>,
    /// Whether the user is subscribed to it.
    pub subscribed: bool,
    /// Its figures, if they were asked for and the server told them. `None` says nothing about the mailbox: a server
    /// may leave out the line of one that it cannot open (RFC 5819 §2).
    pub status: Option<MailboxStatus>,
}

/// What LIST is asked to return beside names and attributes.
const SPECIAL_USE: &str = "SPECIAL-USE";
const SUBSCRIBED: &str = "SUBSCRIBED";

/// Every mailbox, in the order of the names' octets. With LIST-EXTENDED one command tells special use and
/// subscriptions as well; a server that announces it and then refuses it is asked the old way.
pub(crate) async fn list_mailboxes(talk: &mut Talk<'_>) -> Result<Vec<ListedMailbox>, ImapError> {
    if talk.capabilities.list_extended() {
        match list_extended(talk, None).await {
            Err(ImapError::Refused { .. }) => {}
            listed => return listed,
        }
    }
    list_plainly(talk).await
}

/// One LIST that returns what the server can tell along with it, and with `status_items` every mailbox's figures
/// (RFC 5819).
pub(crate) async fn list_extended(
    talk: &mut Talk<'_>,
    status_items: Option<&str>,
) -> Result<Vec<ListedMailbox>, ImapError> {
    let command = extended_command(talk.capabilities, status_items);
    collect(talk, command, "LIST").await.map(|listed| listed.into_values().collect())
}

/// The LIST of [`list_extended`], which needs no waiting.
pub(crate) fn extended_command(capabilities: &Capabilities, status_items: Option<&str>) -> Command {
    let special_use = capabilities.special_use().then(|| SPECIAL_USE.to_owned());
    let status = status_items.map(|items| format!("STATUS ({items})"));
    let returned: Vec<String> = special_use.into_iter().chain([SUBSCRIBED.to_owned()]).chain(status).collect();
    Command::new("LIST").text(&format!(" \"\" \"*\" RETURN ({})", returned.join(" ")))
}

async fn list_plainly(talk: &mut Talk<'_>) -> Result<Vec<ListedMailbox>, ImapError> {
    let mut listed = collect(talk, Command::new("LIST").text(" \"\" \"*\""), "LIST").await?;
    let subscribed = collect(talk, Command::new("LSUB").text(" \"\" \"*\""), "LSUB").await?;
    let subscribed: BTreeSet<Vec<u8>> = subscribed.into_keys().collect();
    for (wire, mailbox) in &mut listed {
        mailbox.subscribed |= subscribed.contains(wire);
    }
    Ok(listed.into_values().collect())
}

async fn collect(
    talk: &mut Talk<'_>,
    command: Command,
    word: &'static str,
) -> Result<BTreeMap<Vec<u8>, ListedMailbox>, ImapError> {
    let mut collector = Collector::new(word, talk.encoding);
    // No overall deadline: an account may have thousands of mailboxes. The idle deadline holds.
    talk.run_long(command, &mut |response| collector.take(&response)).await?;
    collector.finish()
}

/// Gathers the answers to one LIST or LSUB.
pub(crate) struct Collector {
    word: &'static str,
    encoding: NameEncoding,
    listed: BTreeMap<Vec<u8>, ListedMailbox>,
    figures: BTreeMap<Vec<u8>, MailboxStatus>,
    unreadable: u32,
}

impl Collector {
    pub(crate) fn new(word: &'static str, encoding: NameEncoding) -> Self {
        Self { word, encoding, listed: BTreeMap::new(), figures: BTreeMap::new(), unreadable: 0 }
    }

    /// Takes a response in, if it belongs here.
    pub(crate) fn take(&mut self, response: &Response<'_>) {
        let Response::Data { word: seen, rest, .. } = response else { return };
        if seen.eq_ignore_ascii_case(b"STATUS") && self.figures.len() <= MAILBOXES_MAX {
            self.figures.extend(read_status(rest.clone()));
            return;
        }
        if !seen.eq_ignore_ascii_case(self.word.as_bytes()) || self.listed.len() > MAILBOXES_MAX {
            return;
        }
        match read_listed(rest.clone(), self.encoding) {
            Some(mailbox) => drop(self.listed.insert(mailbox.name.wire().to_vec(), mailbox)),
            None => self.unreadable += 1,
        }
    }

    /// What was listed, by the names' octets, once the command was answered OK.
    pub(crate) fn finish(self) -> Result<BTreeMap<Vec<u8>, ListedMailbox>, ImapError> {
        let Self { word, mut listed, figures, unreadable, .. } = self;
        if listed.len() > MAILBOXES_MAX {
            return Err(ImapError::LimitExceeded { what: format!("more than {MAILBOXES_MAX} mailboxes") });
        }
        if unreadable > 0 {
            // A mailbox that cannot be read would be a mailbox that is silently not copied.
            return Err(ImapError::Protocol { during: word, detail: format!("{unreadable} lines could not be read") });
        }
        // A mailbox may come without its STATUS line (RFC 5819 §2), and a STATUS line without its mailbox.
        for (wire, status) in figures {
            if let Some(mailbox) = listed.get_mut(&wire).filter(|mailbox| mailbox.selectable) {
                mailbox.status = Some(status);
            }
        }
        Ok(listed)
    }
}

/// `(\HasNoChildren) "/" "Name" (CHILDINFO …)`: what follows the name is extended data and is not needed.
pub(crate) fn read_listed(mut tokens: Tokens<'_>, encoding: NameEncoding) -> Option<ListedMailbox> {
    let attributes = match tokens.value()? {
        Value::List(range) => tokens.octets(range),
        Value::Nil => b"",
        _ => return None,
    };
    let delimiter = match tokens.value()? {
        Value::Nil => None,
        value => tokens.string_of(value)?.first().filter(|octet| octet.is_ascii()).map(|octet| char::from(*octet)),
    };
    let name = read_name(&mut tokens)?;
    if name.is_empty() || name.iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n')) {
        return None;
    }
    let mut mailbox = ListedMailbox {
        name: MailboxName::from_wire(&name, encoding),
        delimiter,
        selectable: true,
        special_use: None,
        subscribed: false,
        status: None,
    };
    for attribute in attributes.split(u8::is_ascii_whitespace).filter_map(|word| std::str::from_utf8(word).ok()) {
        match attribute {
            _ if attribute.eq_ignore_ascii_case("\\Noselect") => mailbox.selectable = false,
            _ if attribute.eq_ignore_ascii_case("\\NonExistent") => mailbox.selectable = false,
            _ if attribute.eq_ignore_ascii_case("\\Subscribed") => mailbox.subscribed = true,
            _ => mailbox.special_use = mailbox.special_use.or_else(|| SpecialUse::from_attribute(attribute)),
        }
    }
    Some(mailbox)
}

/// A name is a string or an atom; some servers send atoms with blanks and parentheses in them, so an unquoted name
/// without extended data behind it reaches to the end of the line. A mailbox may be called NIL.
fn read_name(tokens: &mut Tokens<'_>) -> Option<Vec<u8>> {
    let whole = tokens.rest().trim_ascii();
    let is_string = whole.starts_with(b"\"") || whole.starts_with(b"{") || whole.starts_with(b"~{");
    if is_string && let Some(name) = tokens.string() {
        return Some(name.into_owned());
    }
    let extended = whole.windows(2).position(|pair| pair == b" (").filter(|_| whole.ends_with(b")"));
    Some(whole[..extended.unwrap_or(whole.len())].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[u8]) -> Option<ListedMailbox> {
        read_listed(Tokens::new(line), NameEncoding::ModifiedUtf7)
    }

    #[test]
    fn names_are_read_in_every_form() {
        for (line, name) in [
            (&b"(\\HasNoChildren) \"/\" INBOX\r\n"[..], &b"INBOX"[..]),
            (b"() \"/\" \"a \\\"b\\\" c\"\r\n", b"a \"b\" c"),
            (b"() \".\" {5}\r\na(\"b)\r\n", b"a(\"b)"),
            (b"() NIL caf\xe9\r\n", b"caf\xe9"),
            (b"() \"/\" two words\r\n", b"two words"),
            (b"() \"/\" NIL\r\n", b"NIL"),
            (b"() \"/\" ~home\r\n", b"~home"),
            (b"() \"/\" \"x\" (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n", b"x"),
            (b"() \"/\" x (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n", b"x"),
            (b"(\\Noselect) \"\\\\\" \"a\\\\b\" \r\n", b"a\\b"),
        ] {
            assert_eq!(read(line).expect("readable").name.wire(), name);
        }
    }

    #[test]
    fn attributes_and_delimiters_are_read() {
        let sent = read(b"(\\hasnochildren \\SENT \\Subscribed) \"\\\\\" Sent\r\n").expect("readable");
        assert_eq!((sent.delimiter, sent.special_use, sent.subscribed), (Some('\\'), Some(SpecialUse::Sent), true));
        assert!(!read(b"(\\NOSELECT) \"/\" x\r\n").expect("readable").selectable);
        assert_eq!(read(b"() NIL x\r\n").expect("readable").delimiter, None);
    }

    #[test]
    fn what_could_end_a_line_elsewhere_is_no_name() {
        for line in [&b"() \"/\" {3}\r\na\r\n\r\n"[..], b"() \"/\" {2}\r\na\0\r\n", b"() \"/\" \"\"\r\n", b"x", b""] {
            assert_eq!(read(line), None);
        }
    }
}
