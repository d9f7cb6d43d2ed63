//! Fills the source: Maildir folders and files, written by a few threads before anybody signs in.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{TestAccount, TwoServers, crew, mail};
use crate::corpus::{CorpusMailbox, folder_of, write_file, write_files};
use crate::dovecot::Dovecot;

/// Writes the mail of all accounts.
///
/// # Panics
/// When a file cannot be written.
pub(super) fn fill(bench: &TwoServers) {
    crew::for_each(&bench.accounts, |account| {
        let written = fill_account(bench, account);
        written.unwrap_or_else(|error| panic!("filling {}: {error}", account.name));
    });
}

fn fill_account(bench: &TwoServers, account: &TestAccount) -> io::Result<()> {
    let (source, user) = (&bench.source, account.source_user.as_str());
    let corpus = bench.corpus(account);
    make_folder(source, &source.home(user))?;
    let root = source.home(user).join("Maildir");
    for mailbox in &corpus.mailboxes {
        let folder = folder_of(source, user, mailbox);
        for part in [&root, &folder, &folder.join("cur"), &folder.join("new"), &folder.join("tmp")] {
            make_folder(source, part)?;
        }
        if folder != root {
            // The Maildir++ sign that this is a mailbox below another one.
            write_small(source, &folder.join("maildirfolder"), "")?;
        }
        write_files(source, user, mailbox)?;
    }
    write_small(source, &root.join("subscriptions"), &subscriptions(&corpus.mailboxes))
}

/// Dovecot's list of subscriptions: a version line, an empty one, then names with tabs between their parts.
fn subscriptions(mailboxes: &[CorpusMailbox]) -> String {
    let names = mailboxes.iter().filter(|mailbox| mailbox.subscribed).map(|mailbox| mailbox.path.join("\t") + "\n");
    format!("V\t2\n\n{}", names.collect::<String>())
}

fn make_folder(dovecot: &Dovecot, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    dovecot.give(folder)
}

fn write_small(dovecot: &Dovecot, file: &Path, text: &str) -> io::Result<()> {
    fs::write(file, text)?;
    dovecot.give(file)
}

/// Puts new messages into INBOX as a delivery agent does: under `tmp`, then moved to `new`.
///
/// # Panics
/// When a file cannot be written.
pub(super) fn deliver(dovecot: &Dovecot, account: &TestAccount, mails: usize) {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let first = TURN.fetch_add(mails, Ordering::Relaxed);
    let root = dovecot.home(&account.source_user).join("Maildir");
    for (at, message) in mail::new_messages(account, first, mails).into_iter().enumerate() {
        let name = format!("{}.M{}P2.test", 1_700_000_000 + first + at, first + at);
        let waiting = root.join("tmp").join(&name);
        let delivered =
            write_file(dovecot, &waiting, &message).and_then(|()| fs::rename(&waiting, root.join("new").join(&name)));
        delivered.unwrap_or_else(|error| panic!("delivering to {}: {error}", account.name));
    }
}
