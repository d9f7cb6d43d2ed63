//! The copy of a renamed mailbox: whether it is still as it was left, and whether a mailbox is that copy.

use super::evidence::{self, Sample};
use crate::error::{WalkError, mailbox_error};
use crate::tail::listed_in;
use crate::walk::{Links, Walk};
use mailhaul_db::MailboxBrief;
use mailhaul_imap::{Connection, ImapError, SelectedMailbox};
use mailhaul_plan::mailboxes::AccountListing;
use mailhaul_plan::renames::Obstacle;
use mailhaul_plan::steps::difference;
use mailhaul_plan::tail::tail_range;
use mailhaul_types::{MailboxName, Side, Uid, UidSet};

/// How the target's mailbox stands to what the ledger knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nobody has touched it: it may be renamed.
    AsLeft,
    /// It keeps its name.
    Blocked(Obstacle),
    /// There is no mailbox of its name.
    Gone,
    /// Another mailbox has its name.
    Replaced,
}

/// Looks at the mailbox that `name` stands for on the target.
pub(super) async fn standing(
    walk: &Walk<'_>,
    links: &mut Links,
    target: &AccountListing,
    name: &str,
    brief: &MailboxBrief,
) -> Result<Standing, WalkError> {
    let Some(entry) = super::entry_of(target, name) else { return Ok(Standing::Gone) };
    if entry.name.is_inbox() {
        return Ok(Standing::Blocked(Obstacle::Inbox));
    }
    let Some(opened) = open(&mut links.target, &entry.name).await? else {
        return Ok(Standing::Blocked(Obstacle::AnotherMailbox));
    };
    if !has_known_numbers(&opened, brief) {
        return Ok(Standing::Replaced);
    }
    if !brief.made {
        return Ok(Standing::Blocked(Obstacle::FoundThere));
    }
    if let Some(used_for) = entry.special_use {
        return Ok(Standing::Blocked(Obstacle::InUse(used_for)));
    }
    // What was in flight when a run was broken off is ours, and is found above the mark.
    let grown = opened.uid_next != brief.target_mark && brief.sent.is_none();
    if grown || holds_strangers(walk, &mut links.target, brief).await? {
        return Ok(Standing::Blocked(Obstacle::Filled));
    }
    Ok(Standing::AsLeft)
}

/// Whether this mailbox is the copy, by its numbers and a sample of what was copied.
pub(super) async fn is_the_copy(
    walk: &Walk<'_>,
    links: &mut Links,
    name: &MailboxName,
    brief: &MailboxBrief,
) -> Result<bool, WalkError> {
    let Some(opened) = open(&mut links.target, name).await? else { return Ok(false) };
    if !has_known_numbers(&opened, brief) {
        return Ok(false);
    }
    if brief.counts.total() == 0 {
        return Ok(opened.exists == 0 && opened.uid_next == brief.target_mark);
    }
    let sample = Sample::of_target(&walk.lease.mailbox(&brief.mapping.source).await?).await?;
    Ok(evidence::agrees(&mut links.target, Side::Target, &walk.keys, &sample).await? == Some(true))
}

fn has_known_numbers(opened: &SelectedMailbox, brief: &MailboxBrief) -> bool {
    opened.uid_validity.is_some()
        && opened.uid_validity == brief.target_uid_validity
        && matches!((opened.uid_next, brief.target_mark), (Some(uid_next), Some(mark)) if uid_next >= mark)
}

/// Whether below the mark there is anything that was not copied or adopted. The mailbox is selected.
async fn holds_strangers(walk: &Walk<'_>, target: &mut Connection, brief: &MailboxBrief) -> Result<bool, WalkError> {
    let mut read = UidSet::new();
    match tail_range(Uid(1), brief.target_mark.unwrap_or(Uid(1))) {
        Some(range) => read.insert_range(range),
        None => return Ok(false),
    }
    let mut owned = Vec::new();
    let mut pages = walk.lease.mailbox(&brief.mapping.source).await?.messages().await?;
    while let Some(page) = pages.next().await? {
        owned.extend(page.into_iter().filter_map(|message| message.target_uid));
    }
    owned.sort_unstable();
    let there = listed_in(target, Side::Target, &read).await?;
    Ok(!difference(&there, &owned.into_iter().collect()).is_empty())
}

/// EXAMINE, with UIDNEXT from STATUS where it does not say it; `None` if the server refuses.
async fn open(target: &mut Connection, name: &MailboxName) -> Result<Option<SelectedMailbox>, WalkError> {
    let mut opened = match target.examine(name).await {
        Ok(opened) => opened,
        Err(error) => return refused(error),
    };
    if opened.uid_next.is_none() || opened.uid_validity.is_none() {
        let status = match target.status(name).await {
            Ok(status) => status,
            Err(error) => return refused(error),
        };
        opened.uid_next = opened.uid_next.or(status.uid_next);
        opened.uid_validity = opened.uid_validity.or(status.uid_validity);
    }
    Ok(Some(opened))
}

/// A refusal that is about the mailbox says that it cannot be looked at; everything else is an error.
fn refused<T>(error: ImapError) -> Result<Option<T>, WalkError> {
    match mailbox_error(Side::Target, error) {
        WalkError::Mailbox(_) => Ok(None),
        other => Err(other),
    }
}

/// Ends the subscription to a name that is gone. Some servers do it by themselves, and refuse.
pub(super) async fn unsubscribe(links: &mut Links, name: &MailboxName) -> Result<(), WalkError> {
    let ended = links.target.unsubscribe(name).await;
    not_worth_a_mailbox(name, ended)
}

/// Subscribes. Some servers subscribe everything by themselves, and refuse.
pub(super) async fn subscribe(links: &mut Links, name: &MailboxName) -> Result<(), WalkError> {
    let subscribed = links.target.subscribe(name).await;
    not_worth_a_mailbox(name, subscribed)
}

fn not_worth_a_mailbox(name: &MailboxName, outcome: Result<(), ImapError>) -> Result<(), WalkError> {
    match outcome {
        Err(error) if !error.leaves_connection_usable() => Err(mailbox_error(Side::Target, error)),
        Err(error) => {
            tracing::warn!(mailbox = %name, %error, "the subscription could not be changed");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
