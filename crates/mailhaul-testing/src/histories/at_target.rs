//! The owner of the target account: does what an operation says, and says which worlds may have come of it.

use std::collections::BTreeSet;

use super::at_source::messages_of;
use super::mail::{Content, FlagSet};
use super::model::World;
use super::operation::{AtTarget, Pick};
use super::policy::{Flagging, Policy};
use super::view::{Message, View, ViewError, read};
use crate::dovecot::Dovecot;
use crate::imap_client::{Client, ClientError};

/// Serials of mail that comes to the target from elsewhere begin here.
const FOREIGN: u16 = 50_000;

/// The owner.
#[derive(Debug)]
pub(super) struct TargetUser {
    client: Client,
    received: u16,
}

impl TargetUser {
    pub(super) fn sign_in(dovecot: &Dovecot, user: &str) -> Result<TargetUser, ClientError> {
        Ok(TargetUser { client: Client::sign_in(dovecot.address(), user, dovecot.password())?, received: 0 })
    }

    /// What the account holds.
    pub(super) fn view(&mut self) -> Result<View, ViewError> {
        read(&mut self.client)
    }

    /// Does it; what was done, and the worlds that may have come of it. None if it applied to nothing.
    pub(super) fn act(
        &mut self,
        operation: &AtTarget,
        policy: &Policy,
        worlds: &[World],
    ) -> Result<Option<(String, Vec<World>)>, ViewError> {
        let view = self.view()?;
        let done = self.try_to(&view, operation, policy, worlds)?;
        self.client.examine("INBOX")?;
        Ok(done.map(|(said, worlds)| (said, worlds.into_iter().collect::<BTreeSet<_>>().into_iter().collect())))
    }

    fn try_to(
        &mut self,
        view: &View,
        operation: &AtTarget,
        policy: &Policy,
        worlds: &[World],
    ) -> Result<Option<(String, Vec<World>)>, ViewError> {
        let names: Vec<&String> = view.keys().collect();
        let mailbox = |pick: Pick| names[usize::try_from(pick).unwrap_or(0) % names.len()].clone();
        if let AtTarget::Deliver { into } = *operation {
            self.received += 1;
            let content = Content { serial: FOREIGN + self.received, edition: 0, named: true };
            let (into, flags) = (mailbox(into), FlagSet(0));
            self.client.append(&into, &[], Some(&content.date()), &content.octets())?;
            let worlds = worlds.iter().map(|world| world.owner_receives(&into, Message { content, flags })).collect();
            return Ok(Some((format!("receives {content:?} in `{into}`"), worlds)));
        }
        let (AtTarget::Flag { of, .. } | AtTarget::Delete { of } | AtTarget::File { of, .. }) = *operation else {
            return Ok(None);
        };
        let Some((from, uids)) = messages_of(view, of, 1) else { return Ok(None) };
        let (uid, looks) = (uids[0].to_string(), view[&from].messages[&uids[0]]);
        let content = looks.content;
        self.client.select(&from)?;
        match *operation {
            AtTarget::Flag { add, remove, .. } => {
                let (mut add, mut remove) = (FlagSet(add), FlagSet(remove));
                if policy.flags == Flagging::Source {
                    // The source has no say in it.
                    (add, remove) = (add.without(FlagSet::DELETED), remove.without(FlagSet::DELETED));
                }
                let flags = looks.flags.without(remove).with(add);
                self.client.store(&uid, "FLAGS.SILENT", &flags.names())?;
                let worlds = worlds.iter().flat_map(|world| world.owner_flags(&from, looks, flags)).collect();
                Ok(Some((format!("flags {content:?} in `{from}`: {flags:?}"), worlds)))
            }
            AtTarget::Delete { .. } => {
                self.client.uid_expunge(&uid)?;
                let worlds = worlds.iter().flat_map(|world| world.owner_deletes(&from, looks)).collect();
                Ok(Some((format!("deletes {content:?} {:?} in `{from}`", looks.flags), worlds)))
            }
            AtTarget::File { to, .. } => {
                let to = mailbox(to);
                if to == from {
                    return Ok(None);
                }
                self.client.move_to(&uid, &to)?;
                let worlds = worlds.iter().flat_map(|world| world.owner_files(&from, looks, &to)).collect();
                Ok(Some((format!("files {content:?} of `{from}` into `{to}`"), worlds)))
            }
            AtTarget::Deliver { .. } => Ok(None),
        }
    }
}
