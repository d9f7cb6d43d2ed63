//! GETQUOTAROOT and GETQUOTA (RFC 9208 §4, RFC 2087): what an account may hold, and what it holds.

use crate::command::Command;
use crate::connection::Connection;
use crate::error::ImapError;
use crate::response::Response;
use crate::session::Talk;
use crate::tokens::{Tokens, Value, lenient_number};
use mailhaul_types::MailboxName;
use std::collections::{BTreeMap, BTreeSet};

/// Quota roots of one mailbox that are read; the rest is left out.
const ROOTS_MAX: usize = 20;
/// Resources of one root that are read.
const RESOURCES_MAX: usize = 100;
/// Octets of a root's name that are taken.
const ROOT_OCTETS_MAX: usize = 1_000;
/// RFC 9208 §5.1: STORAGE is counted in units of 1,024 octets.
const STORAGE_UNIT_OCTETS: u64 = 1_024;

/// One bound, and what is used of it. The use may be above the limit (RFC 9208 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaUse {
    /// What is used.
    pub used: u64,
    /// What is allowed.
    pub limit: u64,
}

/// What one quota root allows. What is absent is not limited by it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quota {
    /// Its name, often empty. The server's own words: escape them.
    pub root: String,
    /// STORAGE, in octets.
    pub storage_bytes: Option<QuotaUse>,
    /// MESSAGE.
    pub messages: Option<QuotaUse>,
}

impl Connection {
    /// The quotas that hold for a mailbox, by the names of their roots; none on a server without the extension, and
    /// none where nothing is limited.
    ///
    /// # Errors
    /// As every command; `Refused` also from servers that announce the extension and do not have it.
    pub async fn quotas_of(&mut self, mailbox: &MailboxName) -> Result<Vec<Quota>, ImapError> {
        quotas_of(&mut self.talk(), mailbox).await
    }
}

async fn quotas_of(talk: &mut Talk<'_>, mailbox: &MailboxName) -> Result<Vec<Quota>, ImapError> {
    let announced = talk.capabilities.has("QUOTA") || talk.capabilities.iter().any(|name| name.starts_with("QUOTA="));
    if !announced {
        return Ok(Vec::new());
    }
    let mut told = Told::default();
    let command = Command::new("GETQUOTAROOT").mailbox(mailbox)?;
    talk.run(command, &mut |response| told.take(response)).await?;
    // RFC 9208 §4.1.2 wants the quotas along with the roots; some servers tell the roots alone.
    let untold: Vec<Vec<u8>> = told.roots.iter().filter(|root| !told.quotas.contains_key(*root)).cloned().collect();
    for root in untold {
        let asked = talk.run(Command::new("GETQUOTA").string(&root), &mut |response| told.take(response)).await;
        match asked {
            Ok(_) | Err(ImapError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(told.quotas.into_values().filter(|quota| quota.storage_bytes.is_some() || quota.messages.is_some()).collect())
}

#[derive(Default)]
struct Told {
    roots: BTreeSet<Vec<u8>>,
    quotas: BTreeMap<Vec<u8>, Quota>,
}

impl Told {
    fn take(&mut self, response: Response<'_>) {
        let Response::Data { number: None, word, rest } = response else { return };
        if word.eq_ignore_ascii_case(b"QUOTAROOT") {
            for root in read_roots(rest).into_iter().flatten() {
                if self.roots.len() < ROOTS_MAX {
                    self.roots.insert(root);
                }
            }
        } else if word.eq_ignore_ascii_case(b"QUOTA")
            && let Some((root, quota)) = read_quota(rest)
            && (self.quotas.len() < ROOTS_MAX || self.quotas.contains_key(&root))
        {
            self.quotas.insert(root, quota);
        }
    }
}

/// `INBOX "User quota" ""`: the mailbox, and its roots behind it.
fn read_roots(mut tokens: Tokens<'_>) -> Option<Vec<Vec<u8>>> {
    tokens.value()?;
    let mut roots = Vec::new();
    while roots.len() < ROOTS_MAX {
        let Some(root) = tokens.string() else { break };
        if is_name(&root) {
            roots.push(root.into_owned());
        }
    }
    Some(roots)
}

/// `"User quota" (STORAGE 10 512 MESSAGE 3 1000)`.
fn read_quota(mut tokens: Tokens<'_>) -> Option<(Vec<u8>, Quota)> {
    let root = match tokens.value()? {
        Value::Nil => Vec::new(),
        value => tokens.string_of(value)?.into_owned(),
    };
    if !is_name(&root) {
        return None;
    }
    let resources = loop {
        // An unquoted name with blanks in it: the list is what counts.
        match tokens.value()? {
            Value::List(range) => break range,
            _ => continue,
        }
    };
    let mut resources = tokens.within(resources);
    let mut quota = Quota { root: String::from_utf8_lossy(&root).into_owned(), ..Quota::default() };
    for _ in 0..RESOURCES_MAX {
        let Some(name) = resources.item_name() else { break };
        let mut number = || {
            let value = resources.value()?;
            lenient_number(&resources.string_of(value)?)
        };
        // Of a resource without both figures nothing is known; what follows it may still be read.
        let (Some(used), Some(limit)) = (number(), number()) else { continue };
        if name.eq_ignore_ascii_case(b"STORAGE") {
            let octets = |units: u64| units.saturating_mul(STORAGE_UNIT_OCTETS);
            quota.storage_bytes = Some(QuotaUse { used: octets(used), limit: octets(limit) });
        } else if name.eq_ignore_ascii_case(b"MESSAGE") {
            quota.messages = Some(QuotaUse { used, limit });
        }
    }
    Some((root, quota))
}

/// What can be sent back in a GETQUOTA.
fn is_name(root: &[u8]) -> bool {
    root.len() <= ROOT_OCTETS_MAX && !root.iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[u8]) -> Option<Quota> {
        read_quota(Tokens::new(line)).map(|(_, quota)| quota)
    }

    fn quota(root: &str, storage: Option<(u64, u64)>, messages: Option<(u64, u64)>) -> Quota {
        let of = |(used, limit)| QuotaUse { used, limit };
        Quota { root: root.to_owned(), storage_bytes: storage.map(of), messages: messages.map(of) }
    }

    #[test]
    fn figures_are_read_in_every_form() {
        for (line, expected) in [
            (
                &b" \"User quota\" (STORAGE 10 512 MESSAGE 3 1000)\r\n"[..],
                quota("User quota", Some((10_240, 524_288)), Some((3, 1_000))),
            ),
            (b" \"\" (message 3 1000 X-OTHER 1 2 storage 1 2)\r\n", quota("", Some((1_024, 2_048)), Some((3, 1_000)))),
            (b" User quota (STORAGE 0 1e3)\r\n", quota("User", Some((0, 1_024_000)), None)),
            (b" {4}\r\nroot (STORAGE 20 10)\r\n", quota("root", Some((20_480, 10_240)), None)),
            (b" NIL ()\r\n", quota("", None, None)),
            (b" r (STORAGE 1 18446744073709551615)\r\n", quota("r", None, None)),
            (b" r (STORAGE 1 9999999999999999999)\r\n", quota("r", Some((1_024, u64::MAX)), None)),
            (b" r (STORAGE -1 NIL MESSAGE 1 2)\r\n", quota("r", None, Some((1, 2)))),
        ] {
            assert_eq!(read(line), Some(expected), "{}", String::from_utf8_lossy(line));
        }
        for line in [&b" r\r\n"[..], b"", b" (STORAGE 1 2)\r\n", b" {2}\r\na\r (STORAGE 1 2)\r\n"] {
            assert_eq!(read(line), None, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn roots_are_read_behind_the_mailbox() {
        let roots = |line: &[u8]| read_roots(Tokens::new(line)).unwrap_or_default();
        assert_eq!(roots(b" INBOX \"User quota\" \"\"\r\n"), [b"User quota".to_vec(), Vec::new()]);
        assert!(roots(b" INBOX\r\n").is_empty());
        assert_eq!(roots(&b" x ".iter().chain(&b"r ".repeat(500)).copied().collect::<Vec<_>>()).len(), ROOTS_MAX);
    }
}
