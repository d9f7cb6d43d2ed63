//! Which source mailbox became which: suspicions from what the server tells along with the list, confirmed by a sample
//! of stored keys.

use super::in_flight::holds_what_was_sent;
use crate::error::{WalkError, mailbox_error, on};
use crate::listing::Listings;
use crate::reading::{Place, Reading};
use crate::tail::{listed_in, read_known};
use crate::walk::{Links, Walk};
use mailhaul_db::{MailboxBrief, MailboxLedger, Settled};
use mailhaul_imap::Connection;
use mailhaul_plan::keys::KeyMaker;
use mailhaul_plan::mailboxes::MailboxEntry;
use mailhaul_plan::renames::{
    Evidence, FormerMailbox, PresentMailbox, SAMPLE_ASKED_MAX, SAMPLE_MESSAGES_MAX, sample_agrees, spread, suspicions,
    unambiguous,
};
use mailhaul_plan::steps::difference;
use mailhaul_types::{MessageKey, Side, Uid, UidSet};
use std::collections::BTreeMap;

/// Mailboxes that have another name at the source than in earlier runs, each with what it is listed as now. Costs
/// nothing where every mailbox is under its name.
pub(super) async fn renamed_mailboxes<'a>(
    walk: &Walk<'_>,
    links: &mut Links,
    listings: &'a Listings,
    briefs: &'a BTreeMap<String, MailboxBrief>,
) -> Result<Vec<(&'a MailboxBrief, &'a MailboxEntry)>, WalkError> {
    let known: Vec<(&MailboxBrief, FormerMailbox)> =
        briefs.values().filter_map(|brief| Some((brief, former(brief)?))).collect();
    let entries: Vec<&MailboxEntry> = listings.source.mailboxes.iter().filter(|entry| entry.selectable).collect();
    let present: Vec<PresentMailbox> = entries.iter().map(|entry| present(entry, listings)).collect();
    let formers: Vec<FormerMailbox> = known.iter().map(|(_, former)| former.clone()).collect();
    let mut confirmed = Vec::new();
    for suspicion in suspicions(&formers, &present) {
        let brief = known[suspicion.former].0;
        let mut sample = None;
        for (candidate, evidence) in suspicion.candidates {
            let is_it = match evidence {
                Evidence::SameId => true,
                // What was emptied cannot be recognised by what it holds; asking for it would cost every run.
                Evidence::SameNumbers if brief.counts.total() > 0 && !has_something_left(brief) => false,
                Evidence::SameNumbers => {
                    if sample.is_none() {
                        sample = Some(Sample::of_source(&walk.lease.mailbox(&brief.mapping.source).await?).await?);
                    }
                    let sample = sample.as_ref().expect("it was made just now");
                    confirms(walk, links, entries[candidate], brief, sample).await?
                }
            };
            confirmed.extend(is_it.then_some((suspicion.former, candidate)));
        }
    }
    let pairs = unambiguous(&confirmed);
    if pairs.len() < confirmed.len() {
        tracing::info!(
            confirmed = confirmed.len(),
            followed = pairs.len(),
            "several mailboxes fit; they are not taken \
            for renamed ones"
        );
    }
    Ok(pairs.into_iter().map(|(former, present)| (known[former].0, entries[present])).collect())
}

/// Whether messages were copied from a mailbox that have not been dealt with as departed.
pub(crate) fn has_something_left(brief: &MailboxBrief) -> bool {
    brief.counts.total() > brief.departed.len()
}

fn former(brief: &MailboxBrief) -> Option<FormerMailbox> {
    let scanned = brief.scan.as_ref();
    let synced = brief.synced.as_ref();
    Some(FormerMailbox {
        name: brief.mapping.source.clone(),
        uid_validity: brief.source_uid_validity?,
        uid_next: scanned.and_then(|scan| scan.uid_next).max(synced.map(|synced| synced.uid_next)),
        mailbox_id: synced.and_then(|synced| synced.mailbox_id.clone()).or_else(|| scanned?.mailbox_id.clone()),
        settled: brief.counts.total(),
        in_flight: brief.sent.is_some(),
    })
}

fn present(entry: &MailboxEntry, listings: &Listings) -> PresentMailbox {
    let figures = listings.source_figures.get(entry.name.text()).cloned().unwrap_or_default();
    PresentMailbox {
        name: entry.name.text().to_owned(),
        uid_validity: figures.uid_validity,
        uid_next: figures.uid_next,
        mailbox_id: figures.mailbox_id,
    }
}

/// Settled messages by their UIDs on one side, with the stored keys.
pub(crate) struct Sample {
    keys: Vec<(Uid, Option<MessageKey>)>,
}

impl Sample {
    /// By their UIDs at the source.
    pub(crate) async fn of_source(ledger: &MailboxLedger) -> Result<Self, WalkError> {
        Self::of(ledger, |message| Some(message.source_uid)).await
    }

    /// By their UIDs on the target.
    pub(super) async fn of_target(ledger: &MailboxLedger) -> Result<Self, WalkError> {
        Self::of(ledger, |message| message.target_uid).await
    }

    async fn of(ledger: &MailboxLedger, uid: impl Fn(&Settled) -> Option<Uid>) -> Result<Self, WalkError> {
        let state = ledger.load().await?;
        let there = difference(&state.settled, &state.departed);
        let asked = ledger.settled_in(&spread(&there, SAMPLE_ASKED_MAX)).await?;
        Ok(Self { keys: asked.iter().filter_map(|message| Some((uid(message)?, message.key))).collect() })
    }
}

/// Whether a candidate holds what was copied from the mailbox under the same UIDs.
async fn confirms(
    walk: &Walk<'_>,
    links: &mut Links,
    candidate: &MailboxEntry,
    brief: &MailboxBrief,
    sample: &Sample,
) -> Result<bool, WalkError> {
    let selected = links.source.examine(&candidate.name).await;
    let selected = match selected.map_err(|error| mailbox_error(Side::Source, error)) {
        Ok(selected) => selected,
        Err(WalkError::Mailbox(_)) => return Ok(false),
        Err(error) => return Err(error),
    };
    if selected.uid_validity != brief.source_uid_validity {
        return Ok(false);
    }
    if let (Some(then), Some(now)) = (former(brief).and_then(|former| former.mailbox_id), &selected.mailbox_id) {
        return Ok(then == *now);
    }
    if brief.counts.total() == 0 {
        return holds_what_was_sent(walk, links, brief).await;
    }
    Ok(agrees(&mut links.source, Side::Source, &walk.keys, sample).await? == Some(true))
}

/// Whether the messages of a sample that are in the selected mailbox are those that are stored; `None` if none of them
/// is there, or can be looked at.
pub(crate) async fn agrees(
    connection: &mut Connection,
    side: Side,
    keys: &KeyMaker,
    sample: &Sample,
) -> Result<Option<bool>, WalkError> {
    let mut asked: Vec<Uid> = sample.keys.iter().filter(|(_, key)| key.is_some()).map(|(uid, _)| *uid).collect();
    asked.sort_unstable();
    let asked: UidSet = asked.into_iter().collect();
    if asked.is_empty() {
        return Ok(None);
    }
    let there = match connection.uid_search_present(&asked).await {
        Ok(there) => there,
        // Some servers have no usable SEARCH.
        Err(error) if error.leaves_connection_usable() => listed_in(connection, side, &asked).await?,
        Err(error) => return Err(on(side)(error)),
    };
    let chosen = spread(&there, SAMPLE_MESSAGES_MAX);
    if chosen.is_empty() {
        return Ok(None);
    }
    let reading = Reading::default();
    let place = Place { reading: &reading, mailbox: "", side };
    let found = match read_known(connection, place, keys, &chosen, |_| true).await {
        Ok(found) => found,
        Err(WalkError::Mailbox(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let found = found.into_iter().map(|known| (known.candidate.uid, known.candidate.key)).collect();
    Ok(Some(sample_agrees(&sample.keys, &found)))
}
