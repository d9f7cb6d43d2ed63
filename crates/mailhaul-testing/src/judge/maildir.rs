//! Reads an account from the files of a Dovecot with Maildir, without asking the server: for many accounts at once.
//!
//! What is compared is what the server would hand out: lines end with CRLF there, whatever the file has. Internal dates are
//! the files' times, flags the letters of their names.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use sha2::{Digest as _, Sha256};

use super::snapshot::{Fingerprint, MailboxPath, Seen, Snapshot, title};
use crate::dovecot::{Dovecot, Store};
use crate::imap_client::utf7;

impl Snapshot {
    /// Reads all mailboxes of an account from disk; an account that never signed in holds nothing.
    ///
    /// # Panics
    /// When the server's store is not [`Store::Maildir`].
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn of_maildir(dovecot: &Dovecot, user: &str) -> io::Result<Snapshot> {
        assert!(dovecot.store() == Store::Maildir, "{:?} is no flat Maildir", dovecot.store());
        let root = dovecot.home(user).join("Maildir");
        let mut snapshot = Snapshot::default();
        if !root.join("cur").is_dir() {
            return Ok(snapshot);
        }
        snapshot.mailboxes.insert(MailboxPath::of(&["INBOX"]), read_mailbox(&root)?);
        for entry in fs::read_dir(&root)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // Dovecot's own folders begin with a dot too, but hold no mail.
            if let Some(name) = name.strip_prefix('.')
                && entry.path().join("cur").is_dir()
            {
                let names = name.split('.').map(|part| utf7::decode(part).unwrap_or_else(|| part.to_owned()));
                snapshot.mailboxes.insert(MailboxPath(names.collect()), read_mailbox(&entry.path())?);
            }
        }
        Ok(snapshot)
    }
}

fn read_mailbox(folder: &Path) -> io::Result<Vec<Seen>> {
    let (uids, keywords) = (uids(folder)?, keywords(folder)?);
    let mut messages = Vec::new();
    for part in ["cur", "new"] {
        for entry in fs::read_dir(folder.join(part))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let (base, letters) = name.split_once(":2,").unwrap_or((&name, ""));
            let uid = uids.get(base).copied().unwrap_or(0);
            messages.push(read_message(&entry.path(), uid, flags(letters, &keywords))?);
        }
    }
    messages.sort_by(|one, other| (one.uid, &one.fingerprint).cmp(&(other.uid, &other.fingerprint)));
    Ok(messages)
}

fn read_message(file: &Path, uid: u32, flags: Vec<String>) -> io::Result<Seen> {
    let octets = with_crlf(&fs::read(file)?);
    let since = fs::metadata(file)?.modified()?.duration_since(UNIX_EPOCH);
    let unix_secs = since.ok().and_then(|since| i64::try_from(since.as_secs()).ok());
    let fingerprint = Fingerprint { digest: Sha256::digest(&octets).into(), unix_secs, flags };
    Ok(Seen { uid, octets: octets.len(), title: title(&octets), fingerprint })
}

/// As IMAP shows it: every LF has a CR before it.
fn with_crlf(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len() + octets.len() / 32);
    let mut previous = 0;
    for octet in octets {
        if *octet == b'\n' && previous != b'\r' {
            out.push(b'\r');
        }
        out.push(*octet);
        previous = *octet;
    }
    out
}

/// File names without their flags → UIDs, from `dovecot-uidlist`; messages that no session has seen yet have none.
fn uids(folder: &Path) -> io::Result<BTreeMap<String, u32>> {
    let text = read_if_there(&folder.join("dovecot-uidlist"))?;
    let lines = text.lines().skip(1).filter_map(|line| line.split_once(" :"));
    let known = lines.filter_map(|(head, name)| Some((head.split(' ').next()?.parse().ok()?, name)));
    Ok(known.map(|(uid, name)| (name.split_once(":2,").map_or(name, |(base, _)| base).to_owned(), uid)).collect())
}

/// Small letters → keywords, from `dovecot-keywords`.
fn keywords(folder: &Path) -> io::Result<BTreeMap<char, String>> {
    let text = read_if_there(&folder.join("dovecot-keywords"))?;
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    let known = lines.filter_map(|(number, word)| Some((number.parse::<u8>().ok()?, word)));
    Ok(known.filter(|(number, _)| *number < 26).map(|(at, word)| (char::from(b'a' + at), word.to_owned())).collect())
}

fn read_if_there(file: &Path) -> io::Result<String> {
    match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        other => other,
    }
}

fn flags(letters: &str, keywords: &BTreeMap<char, String>) -> Vec<String> {
    let name = |letter: char| match letter {
        'D' => Some("\\draft".to_owned()),
        'F' => Some("\\flagged".to_owned()),
        'R' => Some("\\answered".to_owned()),
        'S' => Some("\\seen".to_owned()),
        'T' => Some("\\deleted".to_owned()),
        other => keywords.get(&other).map(|word| word.to_ascii_lowercase()),
    };
    let mut flags: Vec<String> = letters.chars().filter_map(name).collect();
    flags.sort();
    flags
}
