//! The user at the source: does what an operation says, as far as there is something that it applies to.

use std::collections::BTreeMap;

use super::mail::{Content, FlagSet};
use super::operation::{AtSource, Pick};
use super::view::{View, ViewError, read};
use crate::dovecot::Dovecot;
use crate::imap_client::{Client, ClientError};

/// Names that mailboxes get.
const NAMES: [&str; 9] =
    ["Archive", "Work", "Work/2024", "Drafts", "Lists/été", "Zoo", "Archive-2025", "Post", "Post/Alt"];

/// A name that is never anything but in between.
const ASIDE: &str = "Aside";

/// Mailboxes that are deleted for good in one history, at most: many at once are a question of its own.
const DELETED_MAX: u32 = 2;

/// A user and the mail that was ever written.
#[derive(Debug)]
pub(super) struct SourceUser<'a> {
    client: Client,
    dovecot: &'a Dovecot,
    user: String,
    serials: u16,
    editions: BTreeMap<u16, u8>,
    deleted: u32,
    view: Option<View>,
}

impl<'a> SourceUser<'a> {
    pub(super) fn sign_in(dovecot: &'a Dovecot, user: &str) -> Result<SourceUser<'a>, ClientError> {
        let client = Client::sign_in(dovecot.address(), user, dovecot.password())?;
        let user = user.to_owned();
        Ok(SourceUser { client, dovecot, user, serials: 0, editions: BTreeMap::new(), deleted: 0, view: None })
    }

    /// What the account holds.
    pub(super) fn view(&mut self) -> Result<View, ViewError> {
        if let Some(view) = &self.view {
            return Ok(view.clone());
        }
        let view = read(&mut self.client)?;
        self.view = Some(view.clone());
        Ok(view)
    }

    /// Reads the account anew, also if nobody has changed it.
    pub(super) fn look_again(&mut self) -> Result<View, ViewError> {
        self.view = None;
        self.view()
    }

    /// Does it, and says what was done; none if it applied to nothing.
    pub(super) fn act(&mut self, operation: &AtSource) -> Result<Option<String>, ViewError> {
        let view = self.view()?;
        let done = self.try_to(&view, operation)?;
        if done.is_some() {
            self.view = None;
            self.client.examine("INBOX")?;
        }
        Ok(done)
    }

    fn try_to(&mut self, view: &View, operation: &AtSource) -> Result<Option<String>, ViewError> {
        let names: Vec<&String> = view.keys().collect();
        let mailbox = |pick: Pick| names[usize::try_from(pick).unwrap_or(0) % names.len()].clone();
        match *operation {
            AtSource::Deliver { into, messages, flags, named } => {
                let into = mailbox(into);
                self.deliver(&into, messages, FlagSet(flags), named)
            }
            AtSource::Twin { of, into } => {
                let Some((from, uids)) = messages_of(view, of, 1) else { return Ok(None) };
                let message = view[&from].messages[&uids[0]];
                let into = into.map_or(from, mailbox);
                self.append(&into, message.content, message.flags)?;
                Ok(Some(format!("appends {:?} once more to `{into}`", message.content)))
            }
            AtSource::SameHeader { of } => {
                let Some((from, uids)) = messages_of(view, of, 1) else { return Ok(None) };
                let edited = self.edit(view[&from].messages[&uids[0]].content);
                self.append(&from, edited, FlagSet(0))?;
                Ok(Some(format!("appends {edited:?} to `{from}`")))
            }
            AtSource::EditDraft { of } => {
                let Some((from, uids)) = messages_of(view, of, 1) else { return Ok(None) };
                let message = view[&from].messages[&uids[0]];
                let edited = self.edit(message.content);
                self.append(&from, edited, message.flags)?;
                self.client.select(&from)?;
                self.client.uid_expunge(&uids[0].to_string())?;
                Ok(Some(format!("edits {:?} in `{from}`: now {edited:?}", message.content)))
            }
            AtSource::Flag { of, messages, add, remove } => {
                let Some((from, uids)) = messages_of(view, of, messages) else { return Ok(None) };
                let (add, remove) = (FlagSet(add), FlagSet(remove).without(FlagSet(add)));
                self.client.select(&from)?;
                for (action, flags) in [("+FLAGS.SILENT", add), ("-FLAGS.SILENT", remove)] {
                    if flags != FlagSet(0) {
                        self.client.store(&set(&uids), action, &flags.names())?;
                    }
                }
                Ok(Some(format!("flags {}: +{add:?} -{remove:?}", told(view, &from, &uids))))
            }
            AtSource::Move { of, messages, to, by_copy } => {
                let Some((from, uids)) = messages_of(view, of, messages) else { return Ok(None) };
                let to = mailbox(to);
                if to == from {
                    return Ok(None);
                }
                self.client.select(&from)?;
                if by_copy {
                    self.client.copy_and_expunge(&set(&uids), &to)?;
                } else {
                    self.client.move_to(&set(&uids), &to)?;
                }
                Ok(Some(format!("moves {} to `{to}`", told(view, &from, &uids))))
            }
            AtSource::Copy { of, to } => {
                let Some((from, uids)) = messages_of(view, of, 1) else { return Ok(None) };
                let to = mailbox(to);
                self.client.select(&from)?;
                self.client.copy_to(&set(&uids), &to)?;
                Ok(Some(format!("copies {} to `{to}`", told(view, &from, &uids))))
            }
            AtSource::Delete { of, messages } => {
                let Some((from, uids)) = messages_of(view, of, messages) else { return Ok(None) };
                self.client.select(&from)?;
                self.client.uid_expunge(&set(&uids))?;
                Ok(Some(format!("deletes {}", told(view, &from, &uids))))
            }
            _ => self.change_mailboxes(view, operation),
        }
    }

    fn change_mailboxes(&mut self, view: &View, operation: &AtSource) -> Result<Option<String>, ViewError> {
        let others: Vec<&String> = view.keys().filter(|name| *name != "INBOX").collect();
        if let AtSource::Create { name } = *operation {
            let Some(name) = free_name(view, name, "") else { return Ok(None) };
            self.client.create(&name)?;
            return Ok(Some(format!("creates `{name}`")));
        }
        let (AtSource::Rename { of, .. }
        | AtSource::RenameAway { of, .. }
        | AtSource::DeleteMailbox { of }
        | AtSource::Recreate { of, .. }
        | AtSource::Renumber { of, .. }) = *operation
        else {
            return Ok(None);
        };
        if let AtSource::Renumber { of, anew: false } = *operation {
            return self.renumber_in_place(view, of);
        }
        if others.is_empty() {
            return Ok(None);
        }
        let mailbox = others[usize::try_from(of).unwrap_or(0) % others.len()].clone();
        match *operation {
            AtSource::Rename { name, .. } => {
                let Some(name) = free_name(view, name, &mailbox) else { return Ok(None) };
                self.client.rename(&mailbox, &name)?;
                Ok(Some(format!("renames `{mailbox}` to `{name}`")))
            }
            AtSource::RenameAway { name, .. } => {
                let Some(name) = free_name(view, name, &mailbox) else { return Ok(None) };
                self.client.rename(&mailbox, &name)?;
                self.client.create(&mailbox)?;
                Ok(Some(format!("renames `{mailbox}` to `{name}` and makes a new `{mailbox}`")))
            }
            // What is left of a mailbox that has others beneath it is told in as many ways as there are servers.
            AtSource::DeleteMailbox { .. } | AtSource::Recreate { .. } if has_children(view, &mailbox) => Ok(None),
            AtSource::DeleteMailbox { .. } if self.deleted < DELETED_MAX => {
                self.client.delete(&mailbox)?;
                self.deleted += 1;
                Ok(Some(format!("deletes the mailbox `{mailbox}`")))
            }
            AtSource::Recreate { messages, .. } => {
                self.client.delete(&mailbox)?;
                self.client.create(&mailbox)?;
                let delivered = self.deliver(&mailbox, messages, FlagSet(0), true)?.unwrap_or_default();
                Ok(Some(format!("deletes `{mailbox}` and makes it again; {delivered}")))
            }
            AtSource::Renumber { .. } if !view[&mailbox].messages.is_empty() => {
                self.client.renumber(&mailbox, ASIDE)?;
                Ok(Some(format!("makes `{mailbox}` anew with the same mail")))
            }
            _ => Ok(None),
        }
    }

    fn renumber_in_place(&mut self, view: &View, of: Pick) -> Result<Option<String>, ViewError> {
        let names: Vec<&String> = view.keys().collect();
        let mailbox = names[usize::try_from(of).unwrap_or(0) % names.len()];
        // Far from what the server gives to mailboxes that it makes.
        let highest = view.values().map(|mailbox| mailbox.uid_validity).max().unwrap_or_default();
        let uid_validity = highest.max(2_000_000_000) + 1;
        self.dovecot.set_uid_validity(&self.user, mailbox, uid_validity);
        // Sessions that have the mailbox open are thrown out.
        self.client = Client::sign_in(self.dovecot.address(), &self.user, self.dovecot.password())?;
        Ok(Some(format!("UIDVALIDITY of `{mailbox}` becomes {uid_validity}")))
    }

    fn deliver(&mut self, into: &str, messages: u8, flags: FlagSet, named: bool) -> Result<Option<String>, ViewError> {
        let first = self.serials + 1;
        for _ in 0..messages {
            self.serials += 1;
            let content = Content { serial: self.serials, edition: 0, named };
            self.append(into, content, flags)?;
        }
        let named = if named { "" } else { " without Message-ID" };
        Ok(Some(format!("m{first} to m{}{named} arrive in `{into}` {flags:?}", self.serials)))
    }

    fn edit(&mut self, content: Content) -> Content {
        let edition = self.editions.entry(content.serial).or_default();
        *edition += 1;
        Content { edition: *edition, ..content }
    }

    fn append(&mut self, into: &str, content: Content, flags: FlagSet) -> Result<(), ClientError> {
        self.client.append(into, &flags.names(), Some(&content.date()), &content.octets()).map(drop)
    }
}

/// A mailbox that has messages, and some of them.
pub(super) fn messages_of(view: &View, of: Pick, messages: u8) -> Option<(String, Vec<u32>)> {
    let filled: Vec<_> = view.iter().filter(|(_, mailbox)| !mailbox.messages.is_empty()).collect();
    let of = usize::try_from(of).unwrap_or(0);
    let (name, mailbox) = filled.get(of.checked_rem(filled.len())?)?;
    let uids: Vec<u32> = mailbox.messages.keys().copied().collect();
    let most = usize::from(messages);
    // Many are all that there are.
    let first = if most > uids.len() { 0 } else { of / filled.len() % uids.len() };
    Some(((*name).clone(), uids.into_iter().skip(first).take(most).collect()))
}

/// UIDs as a command argument.
pub(super) fn set(uids: &[u32]) -> String {
    uids.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

fn told(view: &View, mailbox: &str, uids: &[u32]) -> String {
    let contents: Vec<String> = uids.iter().map(|uid| format!("{:?}", view[mailbox].messages[uid].content)).collect();
    format!("{} in `{mailbox}`", contents.join(" "))
}

fn has_children(view: &View, mailbox: &str) -> bool {
    let beneath = format!("{mailbox}/");
    view.keys().any(|name| name.starts_with(&beneath))
}

/// A name that no mailbox has, and that does not lie beneath `not_beneath`.
fn free_name(view: &View, pick: Pick, not_beneath: &str) -> Option<String> {
    let beneath = format!("{not_beneath}/");
    let free: Vec<&str> =
        NAMES.into_iter().filter(|name| !view.contains_key(*name) && !name.starts_with(&beneath)).collect();
    let place = usize::try_from(pick).unwrap_or(0).checked_rem(free.len())?;
    Some(free[place].to_owned())
}
