//! Putting a corpus into an account: by APPEND, or as Maildir files where speed matters.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::{Corpus, CorpusMailbox, CorpusMessage};
use crate::dovecot::{Dovecot, Store};
use crate::imap_client::{Client, ClientError, Outgoing, format_date, utf7};
use crate::judge::MailboxPath;

/// A batch for MULTIAPPEND: so many messages or octets at most.
const BATCH_MESSAGES: usize = 100;
const BATCH_BYTES: usize = 4 << 20;

impl Corpus {
    /// Creates the mailboxes, appends the messages, expunges what is to be gone, subscribes.
    ///
    /// # Errors
    /// The server refuses something; the message names it.
    pub fn load(&self, client: &mut Client) -> Result<(), ClientError> {
        let (prefix, delimiter) = client.personal_namespace()?;
        for mailbox in &self.mailboxes {
            let name = MailboxPath(mailbox.path.clone()).on_server(&prefix, delimiter);
            create(client, mailbox, &name)?;
            append(client, mailbox, &name)?;
            expunge(client, mailbox, &name)?;
        }
        Ok(())
    }

    /// Writes the messages as files into a Dovecot with Maildir: some 10,000 a second. Mailboxes are created and subscribed
    /// over IMAP first.
    ///
    /// # Panics
    /// When the server's store is no Maildir.
    ///
    /// # Errors
    /// The server refuses, or a file cannot be written.
    pub fn write_maildir(&self, dovecot: &Dovecot, user: &str) -> Result<(), ClientError> {
        assert!(
            matches!(dovecot.store(), Store::Maildir | Store::MaildirNested),
            "{:?} is no Maildir",
            dovecot.store()
        );
        let mut client = Client::sign_in(dovecot.address(), user, dovecot.password())?;
        let (prefix, delimiter) = client.personal_namespace()?;
        for mailbox in &self.mailboxes {
            let name = MailboxPath(mailbox.path.clone()).on_server(&prefix, delimiter);
            create(&mut client, mailbox, &name)?;
            // The folder must be there before it is written to, and no index may know it as empty afterwards.
            client.examine(&name)?;
            client.command("NOOP")?;
            write_files(dovecot, user, mailbox)?;
            expunge(&mut client, mailbox, &name)?;
        }
        client.logout();
        Ok(())
    }
}

fn create(client: &mut Client, mailbox: &CorpusMailbox, name: &str) -> Result<(), ClientError> {
    if mailbox.path != ["INBOX"] {
        match client.create(name) {
            // Cyrus and some others make parents by themselves.
            Err(ClientError::Refused { answer, .. }) if answer.to_ascii_lowercase().contains("exists") => {}
            other => other?,
        }
    }
    if mailbox.subscribed { client.subscribe(name) } else { Ok(()) }
}

fn append(client: &mut Client, mailbox: &CorpusMailbox, name: &str) -> Result<(), ClientError> {
    let multiple = client.has("MULTIAPPEND");
    let dates: Vec<String> = mailbox.messages.iter().map(CorpusMessage::internal_date).collect();
    let mut batch = Vec::new();
    let mut bytes = 0;
    for (message, date) in mailbox.messages.iter().zip(&dates) {
        let limit = if multiple { BATCH_MESSAGES } else { 1 };
        if batch.len() == limit || bytes + message.octets.len() > BATCH_BYTES {
            send(client, name, &mut batch)?;
            bytes = 0;
        }
        bytes += message.octets.len();
        batch.push(Outgoing { flags: &message.flags, date: Some(date), octets: &message.octets });
    }
    send(client, name, &mut batch)
}

fn send(client: &mut Client, name: &str, batch: &mut Vec<Outgoing<'_>>) -> Result<(), ClientError> {
    if !batch.is_empty() {
        client.append_all(name, batch)?;
        batch.clear();
    }
    Ok(())
}

fn expunge(client: &mut Client, mailbox: &CorpusMailbox, name: &str) -> Result<(), ClientError> {
    if mailbox.expunged.is_empty() {
        return Ok(());
    }
    client.select(name)?;
    let uids: Vec<u32> = client.fetch_flags()?.into_iter().map(|message| message.uid).collect();
    for chunk in mailbox.expunged.iter().collect::<Vec<_>>().chunks(500) {
        let uids = chunk.iter().filter_map(|index| uids.get(**index)).map(u32::to_string).collect::<Vec<_>>();
        client.store(&uids.join(","), "+FLAGS.SILENT", &["\\Deleted"])?;
        // Not EXPUNGE: messages that are to stay may carry \Deleted.
        client.command(&format!("UID EXPUNGE {}", uids.join(",")))?;
    }
    // Nor CLOSE, for the same reason; EXAMINE takes the mailbox away without expunging.
    client.examine(name).map(drop)
}

pub(crate) fn folder_of(dovecot: &Dovecot, user: &str, mailbox: &CorpusMailbox) -> PathBuf {
    let root = dovecot.home(user).join("Maildir");
    if mailbox.path == ["INBOX"] {
        return root;
    }
    let names = mailbox.path.iter().map(|name| utf7::encode(name));
    match dovecot.store() {
        Store::MaildirNested => names.fold(root, |folder, name| folder.join(name)),
        _ => root.join(names.fold(String::new(), |folder, name| folder + "." + &name)),
    }
}

pub(crate) fn write_files(dovecot: &Dovecot, user: &str, mailbox: &CorpusMailbox) -> io::Result<()> {
    let folder = folder_of(dovecot, user, mailbox);
    let mut keywords = Vec::new();
    for (number, message) in mailbox.messages.iter().enumerate() {
        let letters = letters(&message.flags, &mut keywords);
        let size = message.octets.len();
        // The size with CRLF (`W=`) spares Dovecot reading the file; with bare LF it is another one.
        let virtual_size = if message.has_bare_lf() { String::new() } else { format!(",W={size}") };
        // Dovecot gives out UIDs in the order of the leading number.
        let name = format!("{}.M{number}P1.test,S={size}{virtual_size}:2,{letters}", 1_000_000_000 + number);
        write_file(dovecot, &folder.join("cur").join(name), message)?;
    }
    if !keywords.is_empty() {
        let list: String = keywords.iter().enumerate().map(|(number, word)| format!("{number} {word}\n")).collect();
        let file = folder.join("dovecot-keywords");
        fs::write(&file, list)?;
        dovecot.give(&file)?;
    }
    Ok(())
}

pub(crate) fn write_file(dovecot: &Dovecot, path: &Path, message: &CorpusMessage) -> io::Result<()> {
    use std::io::Write as _;
    let mut file = fs::File::create(path)?;
    file.write_all(&message.octets)?;
    let since = Duration::from_secs(u64::try_from(message.unix_secs).unwrap_or(0));
    file.set_modified(UNIX_EPOCH + since)?;
    drop(file);
    dovecot.give(path)
}

/// Maildir's letters in alphabetical order; keywords are small letters, numbered as they come.
fn letters(flags: &[String], keywords: &mut Vec<String>) -> String {
    let mut letters: Vec<char> = Vec::new();
    for flag in flags {
        match flag.as_str() {
            "\\Draft" => letters.push('D'),
            "\\Flagged" => letters.push('F'),
            "\\Answered" => letters.push('R'),
            "\\Seen" => letters.push('S'),
            "\\Deleted" => letters.push('T'),
            keyword => {
                let known = keywords.iter().position(|word| word == keyword);
                let at = known.unwrap_or_else(|| {
                    keywords.push(keyword.to_owned());
                    keywords.len() - 1
                });
                letters.extend(u8::try_from(at).ok().filter(|at| *at < 26).map(|at| char::from(b'a' + at)));
            }
        }
    }
    letters.sort_unstable();
    letters.into_iter().collect()
}

impl CorpusMessage {
    /// The internal date as APPEND wants it.
    #[must_use]
    pub fn internal_date(&self) -> String {
        format_date(self.unix_secs, self.zone_minutes)
    }
}
