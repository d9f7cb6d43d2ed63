//! The selected mailbox as a connection knows it: which messages it was told of, and what it has not been told yet.

use super::mailbox::{Mailbox, Message};
use super::reply::{Output, flag_list, uid_set};
use super::world::World;

/// What a connection knows of its selected mailbox.
#[derive(Clone, Debug)]
pub(super) struct View {
    name: String,
    id: u64,
    uid_validity: u32,
    epoch: u64,
    pub(super) read_only: bool,
    /// The messages by their numbers.
    pub(super) uids: Vec<u32>,
    /// Flags that changed later have not been told.
    modseq: u64,
    /// Something may be gone that has not been told.
    may_have_gone: bool,
}

/// How a connection wants to be told of changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Enabled {
    /// MODSEQ comes along with flags.
    pub(super) condstore: bool,
    /// VANISHED comes in place of EXPUNGE.
    pub(super) qresync: bool,
}

impl View {
    pub(super) fn of(world: &World, name: &str, mailbox: &Mailbox, read_only: bool) -> Self {
        Self {
            name: name.to_owned(),
            id: mailbox.id,
            uid_validity: mailbox.uid_validity,
            epoch: world.epoch,
            read_only,
            uids: mailbox.messages.iter().map(|message| message.uid).collect(),
            modseq: mailbox.modseq,
            may_have_gone: false,
        }
    }

    /// The mailbox's name, which changes when it is renamed. `None` if it is not there any more, or is another.
    pub(super) fn find(&mut self, world: &World) -> Option<String> {
        let is_it = |mailbox: &Mailbox| mailbox.id == self.id && mailbox.uid_validity == self.uid_validity;
        let mailboxes = &world.holdings.mailboxes;
        if world.epoch != self.epoch {
            return None;
        }
        if !mailboxes.get(&self.name).is_some_and(is_it) {
            self.name = mailboxes.iter().find(|(_, mailbox)| is_it(mailbox)).map(|(name, _)| name.clone())?;
        }
        Some(self.name.clone())
    }

    /// A message's number.
    pub(super) fn number(&self, uid: u32) -> Option<usize> {
        self.uids.binary_search(&uid).ok().map(|place| place + 1)
    }

    /// What was changed by this connection itself needs no telling.
    pub(super) fn knows_flags(&mut self, mailbox: &Mailbox) {
        self.modseq = mailbox.modseq;
    }

    /// Tells what is new. Messages that are gone are told only where their numbers may change (RFC 9051 §7.5.1).
    pub(super) fn tell(&mut self, mailbox: &Mailbox, enabled: Enabled, may_expunge: bool, output: &mut Output) {
        self.may_have_gone |= mailbox.modseq != self.modseq;
        if may_expunge && std::mem::take(&mut self.may_have_gone) {
            self.tell_gone(mailbox, enabled, output);
        }
        if mailbox.modseq == self.modseq {
            return;
        }
        for (place, uid) in self.uids.iter().enumerate() {
            if let Some(message) = mailbox.get(*uid).filter(|message| message.modseq > self.modseq) {
                output.untagged(&flags_line(place + 1, message, enabled));
            }
        }
        self.tell_arrived(mailbox, output);
        self.modseq = mailbox.modseq;
    }

    fn tell_gone(&mut self, mailbox: &Mailbox, enabled: Enabled, output: &mut Output) {
        let gone: Vec<u32> = self.uids.iter().copied().filter(|uid| mailbox.place(*uid).is_none()).collect();
        if gone.is_empty() {
            return;
        }
        if enabled.qresync {
            output.untagged(&format!("VANISHED {}", uid_set(&gone)));
        } else {
            for uid in gone.iter().rev() {
                let number = self.number(*uid).expect("it is one of these");
                output.untagged(&format!("{number} EXPUNGE"));
            }
        }
        self.uids.retain(|uid| mailbox.place(*uid).is_some());
    }

    fn tell_arrived(&mut self, mailbox: &Mailbox, output: &mut Output) {
        let last = self.uids.last().copied().unwrap_or(0);
        let before = self.uids.len();
        self.uids.extend(mailbox.messages.iter().map(|message| message.uid).filter(|uid| *uid > last));
        if self.uids.len() > before {
            output.untagged(&format!("{} EXISTS", self.uids.len()));
            output.untagged("0 RECENT");
        }
    }
}

/// A FETCH response that tells a message's flags.
pub(super) fn flags_line(number: usize, message: &Message, enabled: Enabled) -> String {
    // RFC 7162 §3.2.4: with QRESYNC the UID comes along.
    let uid = if enabled.qresync { format!("UID {} ", message.uid) } else { String::new() };
    let modseq = if enabled.condstore { format!(" MODSEQ ({})", message.modseq) } else { String::new() };
    format!("{number} FETCH ({uid}FLAGS {}{modseq})", flag_list(&message.flags))
}
