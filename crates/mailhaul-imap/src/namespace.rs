//! NAMESPACE (RFC 2342): under which prefixes the user's own mailboxes and those of others live.

use crate::command::Command;
use crate::error::ImapError;
use crate::list::read_listed;
use crate::response::Response;
use crate::session::Talk;
use crate::tokens::{Tokens, Value};

/// Namespaces of one kind that are read; the rest is left out.
const NAMESPACES_MAX: usize = 1_000;

/// One namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// What the names in it begin with, as the server spells it: empty, `INBOX.`, `user.`.
    pub prefix: Vec<u8>,
    /// Its hierarchy delimiter; `None` for a flat namespace.
    pub delimiter: Option<char>,
}

/// All namespaces of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// The user's own mailboxes.
    pub personal: Vec<Namespace>,
    /// Mailboxes of other users.
    pub other_users: Vec<Namespace>,
    /// Shared mailboxes.
    pub shared: Vec<Namespace>,
}

/// The namespaces; on servers without the extension one personal namespace without a prefix, with the delimiter that
/// `LIST "" ""` tells (RFC 9051 §6.3.9).
pub(crate) async fn namespaces(talk: &mut Talk<'_>) -> Result<Namespaces, ImapError> {
    if talk.capabilities.namespace() {
        let mut told = None;
        talk.run(command(), &mut |response| told = read(&response).or(told.take())).await?;
        return told.ok_or_else(|| ImapError::Protocol {
            during: "NAMESPACE",
            detail: "OK without an answer that can be read".to_owned(),
        });
    }
    let mut delimiter = None;
    let mut take = |response: Response<'_>| {
        if let Response::Data { word, rest, .. } = response
            && word.eq_ignore_ascii_case(b"LIST")
        {
            delimiter = root_delimiter(rest);
        }
    };
    talk.run(Command::new("LIST").text(" \"\" \"\""), &mut take).await?;
    Ok(Namespaces { personal: vec![Namespace { prefix: Vec::new(), delimiter }], ..Namespaces::default() })
}

/// The command, for servers that announce it.
pub(crate) fn command() -> Command {
    Command::new("NAMESPACE")
}

/// The namespaces, if this is the answer and can be read.
pub(crate) fn read(response: &Response<'_>) -> Option<Namespaces> {
    match response {
        Response::Data { word, rest, .. } if word.eq_ignore_ascii_case(b"NAMESPACE") => read_namespaces(rest.clone()),
        _ => None,
    }
}

/// The answer to `LIST "" ""` names the root, which may be empty: only the delimiter counts.
fn root_delimiter(mut tokens: Tokens<'_>) -> Option<char> {
    let listed = read_listed(tokens.clone(), mailhaul_types::NameEncoding::ModifiedUtf7);
    listed.map_or_else(
        || {
            tokens.value()?;
            tokens.string()?.first().filter(|octet| octet.is_ascii()).map(|octet| char::from(*octet))
        },
        |listed| listed.delimiter,
    )
}

fn read_namespaces(mut tokens: Tokens<'_>) -> Option<Namespaces> {
    let mut kinds = Vec::with_capacity(3);
    for _ in 0..3 {
        kinds.push(match tokens.value() {
            Some(Value::List(range)) => read_kind(tokens.within(range))?,
            // RFC 2342 wants all three; a server that leaves the last ones out says nothing about them.
            Some(Value::Nil) | None => Vec::new(),
            Some(_) => return None,
        });
    }
    let shared = kinds.pop()?;
    let other_users = kinds.pop()?;
    Some(Namespaces { personal: kinds.pop()?, other_users, shared })
}

fn read_kind(mut tokens: Tokens<'_>) -> Option<Vec<Namespace>> {
    let mut namespaces = Vec::new();
    while !tokens.at_end() && namespaces.len() < NAMESPACES_MAX {
        let Value::List(range) = tokens.value()? else { return None };
        let mut inner = tokens.within(range);
        let prefix = inner.string()?.into_owned();
        let delimiter = match inner.value()? {
            Value::Nil => None,
            value => inner.string_of(value)?.first().filter(|octet| octet.is_ascii()).map(|octet| char::from(*octet)),
        };
        namespaces.push(Namespace { prefix, delimiter });
    }
    Some(namespaces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(prefix: &str, delimiter: char) -> Namespace {
        Namespace { prefix: prefix.as_bytes().to_vec(), delimiter: Some(delimiter) }
    }

    #[test]
    fn all_three_kinds_are_read() {
        let line = b" ((\"INBOX.\" \".\")) ((\"user.\" \".\" \"X-PARAM\" (\"a\" \"b\"))) ((\"\" \"/\")(\"#shared/\" \"/\")) \r\n";
        let read = read_namespaces(Tokens::new(line)).expect("readable");
        assert_eq!(read.personal, [space("INBOX.", '.')]);
        assert_eq!(read.other_users, [space("user.", '.')]);
        assert_eq!(read.shared, [space("", '/'), space("#shared/", '/')]);
    }

    #[test]
    fn nil_and_missing_kinds_are_empty() {
        let read = read_namespaces(Tokens::new(b" ((\"\" NIL)) NIL\r\n")).expect("readable");
        assert_eq!(read.personal, [Namespace { prefix: Vec::new(), delimiter: None }]);
        assert!(read.other_users.is_empty() && read.shared.is_empty());
        assert_eq!(read_namespaces(Tokens::new(b" atom NIL NIL\r\n")), None);
    }

    #[test]
    fn the_root_tells_the_delimiter() {
        assert_eq!(root_delimiter(Tokens::new(b" (\\Noselect) \"/\" \"\"\r\n")), Some('/'));
        assert_eq!(root_delimiter(Tokens::new(b" (\\Noselect) \".\" \"INBOX.\"\r\n")), Some('.'));
        assert_eq!(root_delimiter(Tokens::new(b" () NIL \"\"\r\n")), None);
    }
}
