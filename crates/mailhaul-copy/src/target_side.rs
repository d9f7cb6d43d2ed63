//! The target's side of a pass: opening the mailbox once nothing is on its way to it any more, tying the ledger to it, and
//! what follows where its ground has moved.

use crate::error::{WalkError, mailbox_error, on};
use crate::flags::FlagFilter;
use crate::found_again::find_again;
use crate::scan::Listing;
use crate::tail::{present_in, read_known, target_uid_next, unclaimed};
use crate::walk::{Links, Pair, Target, Walk};
use mailhaul_db::MailboxState;
use mailhaul_imap::{Connection, SelectedMailbox};
use mailhaul_types::{Side, Uid, UidSet, UidValidity};

/// Opens the target mailbox. If an earlier sender may have left something on its way, waits until it has landed.
pub(crate) async fn open_target(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    state: &MailboxState,
) -> Result<SelectedMailbox, WalkError> {
    if state.sent.is_some() {
        quarantine(walk, links, pair).await?;
    }
    open_quiet_target(&mut links.target, pair).await
}

/// The same where nothing can be on its way.
pub(crate) async fn open_quiet_target(target: &mut Connection, pair: &Pair<'_>) -> Result<SelectedMailbox, WalkError> {
    let mut selected = target.select(pair.target).await.map_err(|error| mailbox_error(Side::Target, error))?;
    if selected.uid_next.is_none() || selected.uid_validity.is_none() {
        let status = target.status(pair.target).await.map_err(on(Side::Target))?;
        selected.uid_next = selected.uid_next.or(status.uid_next);
        selected.uid_validity = selected.uid_validity.or(status.uid_validity);
    }
    Ok(selected)
}

/// Waits until the target's UIDNEXT has stood still in two looks: a command that was complete when its connection
/// broke may still be at work.
async fn quarantine(walk: &Walk<'_>, links: &mut Links, pair: &Pair<'_>) -> Result<(), WalkError> {
    walk.doing(pair, "waiting for what was in flight");
    let mut last = None;
    loop {
        let status = links.target.status(pair.target).await.map_err(|error| mailbox_error(Side::Target, error))?;
        let seen = (status.uid_validity, status.uid_next, status.messages);
        if last == Some(seen) {
            return Ok(());
        }
        last = Some(seen);
        tokio::select! {
            biased;
            () = walk.stop.requested() => return Err(WalkError::Interrupted { unanswered: 0 }),
            () = tokio::time::sleep(walk.quarantine()) => {}
        }
    }
}

/// Ties the ledger to the mailbox that was opened, or finds that it is another one by now.
pub(crate) async fn meet(
    links: &mut Links,
    walk: &Walk<'_>,
    pair: &Pair<'_>,
    listing: &Listing,
    opened: SelectedMailbox,
    state: &MailboxState,
) -> Result<Target, WalkError> {
    let Some(uid_validity) = opened.uid_validity else {
        return Err(WalkError::Mailbox("the target keeps no UIDs for this mailbox (no UIDVALIDITY)".to_owned()));
    };
    if opened.read_only {
        return Err(WalkError::Mailbox("the target opens this mailbox read-only".to_owned()));
    }
    let ground = Ground::of(&opened, uid_validity, state);
    let filter = FlagFilter::new(opened.permanent_flags, walk.job.copy_deleted_flag);
    let first_mark = match opened.uid_next {
        // A mailbox without messages has no tail to read.
        Some(uid_next) if opened.exists == 0 => uid_next,
        _ => Uid(1),
    };
    if let Some(ground) = ground {
        return rediscover(links, walk, pair, listing, (uid_validity, filter), &ground).await;
    }
    pair.ledger.bind(listing.uid_validity, uid_validity, first_mark).await?;
    let mark = state.target_mark.unwrap_or(first_mark);
    Ok(Target { uid_validity, uid_next: opened.uid_next, mark, filter })
}

/// In what way the ground has moved under the target mailbox since the ledger was written.
enum Ground {
    /// Its UIDVALIDITY changed: the UIDs in the ledger are void.
    Renumbered(String),
    /// It was put back to an earlier state: its UIDNEXT lies below the mark.
    PutBack(String),
}

impl Ground {
    fn of(opened: &SelectedMailbox, uid_validity: UidValidity, state: &MailboxState) -> Option<Self> {
        let known = state.target_uid_validity?;
        if known != uid_validity {
            let words = format!("the target mailbox was recreated (UIDVALIDITY was {known} and is {uid_validity})");
            return Some(Self::Renumbered(words));
        }
        if state.target_mark == Some(Uid(1)) && state.targets_unknown > 0 {
            // Earlier versions did this in two steps, and could be killed between them. Messages that were left to their
            // owner look the same; looking for them again does no harm.
            return Some(Self::Renumbered("the target mailbox was recreated".to_owned()));
        }
        let (mark, uid_next) = (state.target_mark?, opened.uid_next?);
        (uid_next < mark).then(|| {
            let words =
                format!("the target mailbox was put back to an earlier state (UIDNEXT was {mark} and is {uid_next})");
            Self::PutBack(words)
        })
    }

    fn words(&self) -> &str {
        match self {
            Self::Renumbered(words) | Self::PutBack(words) => words,
        }
    }
}

/// Finds settled messages again on a target whose ground has moved. What is settled stays settled; but if much of it
/// is not there any more, somebody has to look before anything else happens.
async fn rediscover(
    links: &mut Links,
    walk: &Walk<'_>,
    pair: &Pair<'_>,
    listing: &Listing,
    (uid_validity, filter): (UidValidity, FlagFilter),
    ground: &Ground,
) -> Result<Target, WalkError> {
    walk.doing(pair, "finding again what was copied");
    let mut settled = Vec::new();
    let mut pages = pair.ledger.messages().await?;
    while let Some(page) = pages.next().await? {
        settled.extend(page);
    }
    // What was settled without a copy, or let go of before, is not missing.
    let total = settled.iter().filter(|message| message.target_uid.is_some()).count() as u64;
    let uid_next = target_uid_next(links, pair.target, Uid(1)).await?;
    let everything = present_in(&mut links.target, &unclaimed(Uid(1), uid_next, &UidSet::new())).await?;
    let place = walk.place(pair.source.text(), Side::Target);
    let theirs = read_known(&mut links.target, place, &walk.keys, &everything, |_| true).await?;
    let messages =
        find_again(links, walk.recognition(pair.source.text(), pair.drafts), &listing.listed, settled, theirs).await?;
    let missing = total - messages.found;
    if missing * 5 > total && !walk.job.accept_target_change {
        return Err(WalkError::MailboxDecision(format!(
            "{}, and {missing} of {total} messages copied earlier are not in it; nothing was done. If they were deleted \
             on purpose, --accept-target-change goes on without them; to copy them again, use a new --state file",
            ground.words(),
        )));
    }
    pair.ledger.renumber_target(uid_validity, Uid(1), messages.settled).await?;
    walk.reading.forget(pair.source.text(), Side::Target);
    tracing::info!(mailbox = %pair.source, found = total - missing, missing, "{}", ground.words());
    Ok(Target { uid_validity, uid_next: Some(uid_next), mark: Uid(1), filter })
}
