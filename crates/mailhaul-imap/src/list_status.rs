//! Every mailbox with its figures: LIST with STATUS (RFC 5819) in one command, or STATUS commands in one burst.
//!
//! This is what an unchanged account costs, so it is counted in octets: a hundred mailboxes cost one command with
//! LIST-STATUS, and one short command each without.

use crate::command::immediate_string;
use crate::error::{ErrorClass, ImapError};
use crate::list::{self, ListedMailbox};
use crate::pipeline::{self, InFlight, Pipelined, Refusals};
use crate::response::Response;
use crate::session::Talk;
use crate::status::{self, MailboxStatus, PLAIN_ITEMS, items_for_changes, read_status};
use crate::status_line::{Context, Status, StatusLine};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// STATUS commands in flight. One round trip tells of this many mailboxes, and their answers fit into any buffer on
/// the way; Dovecot opens each mailbox's index for it, so more would not make it faster.
const BURST: usize = 64;

/// Every mailbox in the order of the names' octets, the selectable ones with their figures as far as the server tells
/// them. No mailbox may be selected, or its own figures may be stale (RFC 9051 §6.3.11).
pub(crate) async fn list_mailboxes(talk: &mut Talk<'_>) -> Result<Vec<ListedMailbox>, ImapError> {
    let items = items_for_changes(talk.capabilities);
    if talk.capabilities.list_status() && talk.capabilities.list_extended() {
        // A server that refuses what it announced itself is asked for the items that everybody has.
        let fewer = (items != PLAIN_ITEMS).then_some(PLAIN_ITEMS);
        for items in [items.as_str()].into_iter().chain(fewer) {
            match list::list_extended(talk, Some(items)).await {
                Err(ImapError::Refused { .. }) => {}
                listed => return listed,
            }
        }
    }
    let mut listed = list::list_mailboxes(talk).await?;
    add_figures(talk, &mut listed, &items).await?;
    Ok(listed)
}

/// Asks for the figures of every selectable mailbox, and where the server answers BAD to the items, once more for
/// those that everybody has.
async fn add_figures(talk: &mut Talk<'_>, listed: &mut [ListedMailbox], items: &str) -> Result<(), ImapError> {
    let asked: Vec<usize> = (0..listed.len()).filter(|place| listed[*place].selectable).collect();
    let again = burst(talk, listed, &asked, items).await?;
    if !again.is_empty() && items != PLAIN_ITEMS {
        burst(talk, listed, &again, PLAIN_ITEMS).await?;
    }
    Ok(())
}

/// Sends STATUS for the mailboxes at these places; the places that were answered BAD.
async fn burst(
    talk: &mut Talk<'_>,
    listed: &mut [ListedMailbox],
    places: &[usize],
    items: &str,
) -> Result<Vec<usize>, ImapError> {
    let mode = talk.capabilities.literal_mode();
    let mut jobs = VecDeque::new();
    let mut alone = Vec::new();
    for place in places {
        match immediate_string(listed[*place].name.wire(), mode) {
            Some(name) => jobs.push_back(Asked { place: *place, name }),
            // Its name is a literal that the server has to be waited for, so it cannot be part of a burst.
            None => alone.push(*place),
        }
    }
    let mut work = Burst { items, by_name: BTreeMap::new(), answered: Vec::new(), bad: Vec::new() };
    for place in places {
        work.by_name.insert(listed[*place].name.wire().to_vec(), None);
    }
    pipeline::run_many(talk.wire, "STATUS", &mut work, jobs, BURST).await?;
    for place in work.answered {
        listed[place].status = work.by_name.remove(listed[place].name.wire()).flatten();
    }
    let mut bad = work.bad;
    for place in alone {
        match status::ask_items(talk, &listed[place].name, items).await {
            Ok(status) => listed[place].status = Some(status),
            Err(ImapError::Refused { status, .. }) if status.status == Status::Bad => bad.push(place),
            Err(ImapError::Refused { .. } | ImapError::Usage { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bad)
}

struct Asked {
    place: usize,
    name: Vec<u8>,
}

struct Burst<'a> {
    items: &'a str,
    /// The figures by the names that were asked for.
    by_name: BTreeMap<Vec<u8>, Option<MailboxStatus>>,
    answered: Vec<usize>,
    bad: Vec<usize>,
}

impl Pipelined for Burst<'_> {
    type Job = Asked;

    fn command(&self, job: &Asked) -> Vec<u8> {
        [b"STATUS ", &job.name[..], format!(" ({})", self.items).as_bytes()].concat()
    }

    fn untagged(&mut self, frame: &Bytes, _: bool, _: &mut InFlight<Asked>) {
        if let Response::Data { word, rest, .. } = Response::of(frame)
            && word.eq_ignore_ascii_case(b"STATUS")
            && let Some((name, status)) = read_status(rest)
            && let Some(known) = self.by_name.get_mut(&name)
        {
            *known = Some(status);
        }
    }

    fn answered(&mut self, job: Asked, _: &StatusLine) -> Result<Vec<Asked>, ImapError> {
        self.answered.push(job.place);
        Ok(Vec::new())
    }

    /// A mailbox that the server lists and does not open is no reason to know nothing of the others.
    fn refused(&mut self, job: Asked, line: &StatusLine) -> Refusals {
        if matches!(line.class(Context::Mailbox), ErrorClass::Throttle | ErrorClass::SignIn) {
            return Refusals::End;
        }
        if line.status == Status::Bad {
            self.bad.push(job.place);
        }
        Refusals::GoOn
    }
}
