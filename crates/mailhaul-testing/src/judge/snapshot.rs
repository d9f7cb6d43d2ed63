//! What an account holds: for each mailbox, a fingerprint of every message.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use sha2::{Digest as _, Sha256};

use crate::imap_client::{Client, ClientError, Fetched};

/// An account on a loopback port that speaks plain text.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Where the server listens.
    pub address: SocketAddr,
    /// The user.
    pub user: String,
    /// The password. Of a test account: nothing is done to keep it secret, save that `Debug` does not print it.
    pub password: String,
}

impl fmt::Debug for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.user, self.address)
    }
}

impl Account {
    /// An account.
    #[must_use]
    pub fn new(address: SocketAddr, user: &str, password: &str) -> Account {
        Account { address, user: user.to_owned(), password: password.to_owned() }
    }

    /// Reads `imap://user:password@127.0.0.1:port`; user and password may be percent-encoded.
    ///
    /// # Errors
    /// What is wrong with it, without the password.
    pub fn parse(url: &str) -> Result<Account, String> {
        let rest = url.strip_prefix("imap://").ok_or("an account begins with imap://")?;
        let (user_info, address) = rest.trim_end_matches('/').rsplit_once('@').ok_or("no user in the URL")?;
        let (user, password) = user_info.split_once(':').ok_or("no password in the URL")?;
        let address = address.replacen("localhost", "127.0.0.1", 1);
        let address: SocketAddr = address.parse().map_err(|_| format!("no numeric address and port: {address}"))?;
        if !address.ip().is_loopback() {
            return Err(format!("{address} is not on loopback, and the judge knows no TLS"));
        }
        Ok(Account::new(address, &unescape(user)?, &unescape(password)?))
    }

    /// Signs in.
    ///
    /// # Errors
    /// The server is not there or refuses.
    pub fn sign_in(&self) -> Result<Client, ClientError> {
        Client::sign_in(self.address, &self.user, &self.password)
    }
}

/// Percent-decoding.
fn unescape(text: &str) -> Result<String, String> {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            octets.push(*first);
            continue;
        }
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let octet = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        octets.push(octet.ok_or("a percent sign without two hexadecimal digits")?);
        rest = &after[2..];
    }
    String::from_utf8(octets).map_err(|_| "no UTF-8 in the URL".to_owned())
}

/// The names of a mailbox from the top down, free of delimiter and personal prefix: what can be compared between servers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MailboxPath(pub Vec<String>);

impl MailboxPath {
    /// A path of these names.
    #[must_use]
    pub fn of(names: &[&str]) -> MailboxPath {
        MailboxPath(names.iter().map(|name| (*name).to_owned()).collect())
    }

    /// Takes a server's name apart. `prefix` is the personal namespace's.
    #[must_use]
    pub fn from_server(name: &str, prefix: &str, delimiter: Option<char>) -> MailboxPath {
        let name = name.strip_prefix(prefix).filter(|rest| !rest.is_empty()).unwrap_or(name);
        let names = match delimiter {
            Some(delimiter) => name.split(delimiter).map(str::to_owned).collect(),
            None => vec![name.to_owned()],
        };
        let mut path = MailboxPath(names);
        if let Some(first) = path.0.first_mut()
            && first.eq_ignore_ascii_case("INBOX")
        {
            "INBOX".clone_into(first);
        }
        path
    }

    /// The server's name of this path.
    #[must_use]
    pub fn on_server(&self, prefix: &str, delimiter: Option<char>) -> String {
        let joined = self.0.join(&delimiter.map_or_else(String::new, String::from));
        if self.0.len() == 1 && self.0[0].eq_ignore_ascii_case("INBOX") { joined } else { format!("{prefix}{joined}") }
    }
}

impl fmt::Display for MailboxPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0.join(" › ").escape_debug())
    }
}

/// What makes a message this one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint {
    /// SHA-256 of the octets.
    pub digest: [u8; 32],
    /// Internal date in seconds since 1970; none when the server's was unreadable.
    pub unix_secs: Option<i64>,
    /// Flags and keywords without `\Recent`, in lower case, sorted.
    pub flags: Vec<String>,
}

impl Fingerprint {
    /// The fingerprint of a message as FETCH delivered it.
    #[must_use]
    pub fn of(message: &Fetched) -> Fingerprint {
        // RFC 9051 §2.3.2: flags and keywords are case-insensitive, and servers do change the case.
        let mut flags: Vec<String> = message.flags.iter().map(|flag| flag.to_ascii_lowercase()).collect();
        flags.sort();
        flags.dedup();
        Fingerprint { digest: Sha256::digest(&message.octets).into(), unix_secs: message.unix_secs(), flags }
    }
}

/// A message with what people need to find it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its UID.
    pub uid: u32,
    /// Its size in octets.
    pub octets: usize,
    /// Its subject, or its first line when it has none, shortened.
    pub title: String,
    /// What is compared.
    pub fingerprint: Fingerprint,
}

/// All of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Selectable mailboxes and their messages in the order of their UIDs.
    pub mailboxes: BTreeMap<MailboxPath, Vec<Seen>>,
}

impl Snapshot {
    /// Reads all selectable mailboxes of an account. Changes nothing there.
    ///
    /// # Errors
    /// The server is not there or refuses anything: what cannot be read cannot be judged.
    pub fn take(account: &Account) -> Result<Snapshot, ClientError> {
        Snapshot::take_as(account, &|_| ())
    }

    /// The same as if no message had a header line of this name: some tools add one to what they store.
    ///
    /// # Errors
    /// As [`Snapshot::take`].
    pub fn take_without_header(account: &Account, name: &str) -> Result<Snapshot, ClientError> {
        Snapshot::take_as(account, &|octets| remove_header(octets, name))
    }

    fn take_as(account: &Account, change: &dyn Fn(&mut Vec<u8>)) -> Result<Snapshot, ClientError> {
        let mut client = account.sign_in()?;
        let (prefix, delimiter) = client.personal_namespace()?;
        let mut snapshot = Snapshot::default();
        for mailbox in client.list()? {
            if !mailbox.is_selectable() {
                continue;
            }
            let path = MailboxPath::from_server(&mailbox.name, &prefix, mailbox.delimiter.or(delimiter));
            let messages = read_mailbox(&mut client, &mailbox.name, change)?;
            snapshot.mailboxes.insert(path, messages);
        }
        client.logout();
        Ok(snapshot)
    }

    /// Messages in all mailboxes.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.mailboxes.values().map(Vec::len).sum()
    }
}

/// Takes away the first header line of this name.
fn remove_header(octets: &mut Vec<u8>, name: &str) {
    let mut at = 0;
    while let Some(length) = octets[at..].iter().position(|octet| *octet == b'\n').map(|end| end + 1) {
        let line = octets[at..at + length].trim_ascii_end();
        if line.is_empty() {
            return;
        }
        let is_it = line.len() > name.len() && line[name.len()] == b':';
        if is_it && line[..name.len()].eq_ignore_ascii_case(name.as_bytes()) {
            octets.drain(at..at + length);
            return;
        }
        at += length;
    }
}

fn read_mailbox(client: &mut Client, name: &str, change: &dyn Fn(&mut Vec<u8>)) -> Result<Vec<Seen>, ClientError> {
    let exists = client.examine(name)?.exists;
    let mut messages = Vec::new();
    if exists > 0 {
        client.fetch_each("1:*", &mut |mut message| {
            change(&mut message.octets);
            messages.push(seen(&message));
        })?;
    }
    let counted = usize::try_from(exists).is_ok_and(|exists| exists == messages.len());
    if !counted {
        return Err(ClientError::Unexpected(format!("{name}: {exists} messages exist, {} came", messages.len())));
    }
    Ok(messages)
}

fn seen(message: &Fetched) -> Seen {
    Seen {
        uid: message.uid,
        octets: message.octets.len(),
        title: title(&message.octets),
        fingerprint: Fingerprint::of(message),
    }
}

pub(super) fn title(octets: &[u8]) -> String {
    let mut lines = octets.split(|octet| *octet == b'\n').take_while(|line| !line.trim_ascii().is_empty()).take(200);
    let subject = lines.find(|line| line.get(..8).is_some_and(|name| name.eq_ignore_ascii_case(b"subject:")));
    let line =
        subject.map_or_else(|| octets.split(|octet| *octet == b'\n').next().unwrap_or_default(), |line| &line[8..]);
    let text = String::from_utf8_lossy(&line[..line.len().min(60)]);
    text.trim().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_line_is_taken_away_and_nothing_of_the_body() {
        for (before, after) in [
            ("A: 1\r\nX-TUID: abc\r\nB: 2\r\n\r\nX-TUID: body\r\n", "A: 1\r\nB: 2\r\n\r\nX-TUID: body\r\n"),
            ("x-tuid: abc\r\n\r\n", "\r\n"),
            ("A: 1\r\n\r\nX-TUID: body\r\n", "A: 1\r\n\r\nX-TUID: body\r\n"),
            ("X-TUIDS: 1\r\nno end", "X-TUIDS: 1\r\nno end"),
        ] {
            let mut octets = before.as_bytes().to_vec();
            remove_header(&mut octets, "X-TUID");
            assert_eq!(String::from_utf8_lossy(&octets), after);
        }
    }

    #[test]
    fn accounts_are_read_from_urls_on_loopback_only() {
        let account = Account::parse("imap://al%40ice:p%3aw@127.0.0.1:1143").expect("a good URL");
        assert_eq!((account.user.as_str(), account.password.as_str()), ("al@ice", "p:w"));
        assert!(!format!("{account:?}").contains("p:w"));
        for wrong in
            ["imaps://a:b@127.0.0.1:1", "imap://a:b@192.0.2.1:143", "imap://a@127.0.0.1:1", "imap://a:%@[::1]:1"]
        {
            assert!(Account::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn paths_are_the_same_whatever_the_servers_style() {
        let path = MailboxPath::of(&["Work", "2019"]);
        assert_eq!(MailboxPath::from_server("INBOX.Work.2019", "INBOX.", Some('.')), path);
        assert_eq!(MailboxPath::from_server("Work/2019", "", Some('/')), path);
        assert_eq!(path.on_server("INBOX.", Some('.')), "INBOX.Work.2019");
        let inbox = MailboxPath::from_server("Inbox", "INBOX.", Some('.'));
        assert_eq!((inbox.on_server("INBOX.", Some('.')), inbox), ("INBOX".to_owned(), MailboxPath::of(&["INBOX"])));
    }
}
