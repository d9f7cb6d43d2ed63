//! What an account holds at a moment, read from its server.

use std::collections::BTreeMap;

use super::mail::{Content, FlagSet};
use crate::imap_client::{Client, ClientError};

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message {
    /// What it says.
    pub content: Content,
    /// Its flags.
    pub flags: FlagSet,
}

/// One mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailboxView {
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// Its messages by UID.
    pub messages: BTreeMap<u32, Message>,
}

/// All mailboxes of an account that can hold messages, by name.
pub type View = BTreeMap<String, MailboxView>;

/// Why an account could not be read, or not be understood.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The server.
    #[error("{0}")]
    Client(#[from] ClientError),
    /// A message that is not as any history has it.
    #[error("mailbox {mailbox}: uid {uid}: {what}")]
    Strange {
        /// Where.
        mailbox: String,
        /// Which.
        uid: u32,
        /// What is wrong.
        what: String,
    },
}

/// Reads everything. INBOX is open afterwards.
///
/// # Errors
/// The server refuses, or a message is not what it should be.
pub fn read(client: &mut Client) -> Result<View, ViewError> {
    let mut view = View::new();
    for listed in client.list()? {
        if listed.is_selectable() {
            let mailbox = read_mailbox(client, &listed.name)?;
            view.insert(listed.name, mailbox);
        }
    }
    client.examine("INBOX")?;
    Ok(view)
}

/// Reads one mailbox. It is open for writing afterwards.
///
/// # Errors
/// As [`read`].
pub fn read_mailbox(client: &mut Client, name: &str) -> Result<MailboxView, ViewError> {
    let selected = client.select(name)?;
    let mut messages = BTreeMap::new();
    if selected.exists > 0 {
        for fetched in client.fetch_all()? {
            let strange = |what| ViewError::Strange { mailbox: name.to_owned(), uid: fetched.uid, what };
            let content = Content::read(&fetched).map_err(strange)?;
            let flags = FlagSet::read(&fetched.flags).map_err(strange)?;
            messages.insert(fetched.uid, Message { content, flags });
        }
    }
    Ok(MailboxView { uid_validity: selected.uid_validity.unwrap_or_default(), messages })
}
