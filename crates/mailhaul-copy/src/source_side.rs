//! The source's side of a pass: opening the mailbox, listing what has changed in it or everything, and telling the ledger
//! what was seen.

use crate::carry_over::{carry_over, hidden_ground, moved_ground};
use crate::changes::list_changes;
use crate::error::WalkError;
use crate::pass::set_of;
use crate::scan::{Known, Listing, open_and_scan, scan_mailbox};
use crate::tally::Tally;
use crate::visits::policy_digest;
use crate::walk::{Links, Pair, Walk};
use mailhaul_db::{ExceptionState, MailboxState, Scan};
use mailhaul_imap::{Connection, SelectedMailbox};
use mailhaul_plan::policy::FlagPolicy;
use mailhaul_plan::selection::Selection;
use mailhaul_plan::steps::{difference, intersection};
use mailhaul_types::{Side, Uid, UidRange, UidSet, UidValidity};

/// The source mailbox as it was opened, and what is in it if it was listed along with that.
pub(crate) type Opened = (SelectedMailbox, Option<Listing>);

/// Opens the source mailbox. One that nobody has ever looked at is listed in the same burst.
pub(crate) async fn open_source(
    walk: &Walk<'_>,
    source: &mut Connection,
    pair: &Pair<'_>,
    state: &MailboxState,
) -> Result<Opened, WalkError> {
    let is_new = state.source_uid_validity.is_none() && state.settled.is_empty() && state.exceptions.is_empty();
    let figures = pair.figures.filter(|_| is_new);
    let known = Known::new(Some(state), &walk.job.selection);
    open_and_scan(source, Side::Source, pair.source, figures, &known).await
}

/// Lists the source mailbox that was opened, and tells the ledger and the tally what was seen.
pub(crate) async fn read_source(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    tally: &mut Tally,
    mut state: MailboxState,
    (selected, listed): Opened,
) -> Result<(Listing, MailboxState), WalkError> {
    let Some(uid_validity) = selected.uid_validity else {
        return Err(WalkError::Mailbox("the source keeps no UIDs for this mailbox (no UIDVALIDITY)".to_owned()));
    };
    let ground = match moved_ground(&selected, uid_validity, &state) {
        None => hidden_ground(walk, &mut links.source, pair, &selected, uid_validity, &state).await?,
        moved => moved,
    };
    if let Some(ground) = ground {
        state = carry_over(walk, links, pair, tally, ground, state).await?;
    }
    let mut listing = match listed {
        Some(listing) => listing,
        None => list_source(walk, links, pair, selected.clone(), uid_validity, &state).await?,
    };
    if shows_what_was_gone(&listing, &state) {
        pair.ledger.clear_exceptions(&[ExceptionState::Gone]).await?;
        state = pair.ledger.load().await?;
        listing = list_source(walk, links, pair, selected, uid_validity, &state).await?;
    }
    tally.gone_unseen = tally.gone_unseen.max(gone_unseen(walk, &listing, &state));
    walk.progress.listed(pair.source.text(), listing.todo.len() as u64, listing.bytes());
    tally.listed.clone_from(&listing.listed);
    tally.skipped.clone_from(&listing.skipped);
    for stored in &state.exceptions {
        if let Some(uid) = stored.exception.uid {
            match stored.exception.state {
                ExceptionState::Refused => tally.refused.insert(uid),
                ExceptionState::Unreadable => tally.unreadable.insert(uid),
                _ => {}
            }
        }
    }
    if listing.missing.is_none() {
        let scan = Scan {
            uid_next: listing.uid_next,
            exists: listing.exists,
            highest_modseq: listing.highest_modseq,
            mailbox_id: listing.mailbox_id.clone(),
        };
        pair.ledger.record_scan(scan).await?;
    }
    Ok((listing, state))
}

/// Lists the source mailbox that was just opened: what has changed, or everything.
pub(crate) async fn list_source(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    selected: SelectedMailbox,
    uid_validity: UidValidity,
    state: &MailboxState,
) -> Result<Listing, WalkError> {
    let mut known = Known::new(Some(state), &walk.job.selection);
    if walk.job.resync.flags != FlagPolicy::None {
        known = known.with_flags();
    }
    // Under other decisions, what was passed over may be wanted now although nothing has happened to it since.
    let decided = state.synced.as_ref().is_some_and(|synced| synced.policy == policy_digest(walk.job));
    if decided
        && !walk.job.resync.thorough
        && let Some(listing) = list_changes(&mut links.source, &selected, uid_validity, state, &known).await?
    {
        return Ok(listing);
    }
    scan_mailbox(&mut links.source, Side::Source, pair.source, selected, uid_validity, &known).await
}

/// Whether a message is listed that the source has said, in two ways, not to have. UIDs are never given out twice, so it
/// was there all the time, and is work again.
fn shows_what_was_gone(listing: &Listing, state: &MailboxState) -> bool {
    let gone = state.exceptions.iter().filter(|stored| stored.exception.state == ExceptionState::Gone);
    gone.filter_map(|stored| stored.exception.uid).any(|uid| listing.listed.contains(uid))
}

/// How many messages were at the source when it was last listed, were not copied then, and are not listed now, as far
/// as counts prove it: what is settled or set aside by now may all have been there then, and counts as if it had.
fn gone_unseen(walk: &Walk<'_>, listing: &Listing, state: &MailboxState) -> u64 {
    let Some(Scan { uid_next: Some(uid_next), exists, .. }) = state.scan else { return 0 };
    // What was left out was not to be copied, and nobody has counted how much of it there was.
    if walk.job.selection != Selection::default() || listing.missing.is_some() {
        return 0;
    }
    let mut known = state.settled.clone();
    known.extend_ranges(&state.set_aside());
    let below = |uids: &UidSet| {
        intersection(uids, &set_of(UidRange { first: Uid(1), last: uid_next })).len()
            - u64::from(uids.contains(uid_next))
    };
    let known_then = below(&difference(&known, &state.departed));
    let uncopied_now = below(&difference(&listing.listed, &known));
    let missing = u64::from(exists).saturating_sub(known_then).saturating_sub(uncopied_now);
    // If everything was accounted for then, only what was left out was not copied. What has departed by now may be known
    // already from the mailbox in which it arrived.
    let accounted = state.synced.as_ref().filter(|then| then.uid_next == uid_next && then.exists == exists);
    accounted.map_or(missing, |then| missing.min(then.skipped))
}
