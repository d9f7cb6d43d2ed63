//! Listing only what has changed in a source mailbox since everything in it was last accounted for. Believed only if
//! the number of messages agrees to the last one; otherwise the mailbox is listed as a whole.

use crate::error::{WalkError, on};
use crate::scan::{Known, Listing};
use mailhaul_db::{MailboxState, Synced};
use mailhaul_imap::{Connection, FlagsRow, ImapError, ScanItems, ScanRow, SelectedMailbox};
use mailhaul_plan::scan::scan_ranges;
use mailhaul_plan::selection::Selection;
use mailhaul_plan::steps::{difference, intersection};
use mailhaul_types::{ModSeq, Side, Uid, UidRange, UidSet, UidValidity};

/// Lists what has changed in a mailbox that was just opened; `None` if the mailbox has to be listed as a whole.
pub(crate) async fn list_changes(
    source: &mut Connection,
    selected: &SelectedMailbox,
    uid_validity: UidValidity,
    state: &MailboxState,
    known: &Known<'_>,
) -> Result<Option<Listing>, WalkError> {
    let Some(begin) = Begin::of(selected, uid_validity, state, known) else { return Ok(None) };
    let refused = match list_from(source, &begin, selected, uid_validity, known).await {
        Err(refused @ ImapError::Refused { .. }) => refused,
        other => return other.map_err(on(Side::Source)),
    };
    // A server may announce what it then refuses.
    tracing::info!(error = %refused, "the source does not tell changes; listing everything");
    Ok(None)
}

/// Where changes begin.
struct Begin {
    /// Every UID below it was accounted for.
    old: Uid,
    /// Every UID below it exists by now; nothing else does.
    uid_next: Uid,
    /// Flags have changed since then; `None` if they have not, or do not matter.
    since: Option<ModSeq>,
    /// What was there below `old`.
    there: UidSet,
}

impl Begin {
    fn of(
        selected: &SelectedMailbox,
        uid_validity: UidValidity,
        state: &MailboxState,
        known: &Known<'_>,
    ) -> Option<Self> {
        let synced = state.synced.as_ref().filter(|synced| synced.source_uid_validity == uid_validity)?;
        let uid_next = selected.uid_next.filter(|uid_next| *uid_next >= synced.uid_next)?;
        // What was left out is not known by UID.
        if synced.skipped > 0 || *known.selection != Selection::default() {
            return None;
        }
        let since = if known.wants_flags { Self::since(selected, synced)? } else { None };
        let mut there = known.settled.clone();
        there.extend_ranges(&known.set_aside);
        let there = difference(&there, &known.departed);
        let there = range(Uid(1), synced.uid_next).map_or_else(UidSet::new, |below| intersection(&there, &below));
        Some(Self { old: synced.uid_next, uid_next, since, there })
    }

    /// `None` if the source cannot tell which flags have changed.
    fn since(selected: &SelectedMailbox, synced: &Synced) -> Option<Option<ModSeq>> {
        let (then, now) = (synced.highest_modseq?, selected.highest_modseq?);
        // A server that counts backwards knows nothing (RFC 7162 §3.1: strictly increasing).
        (now >= then).then(|| (now > then).then_some(then))
    }
}

/// The UIDs from `first` to below `end`.
fn range(first: Uid, end: Uid) -> Option<UidSet> {
    let last = Uid(end.0.checked_sub(1)?);
    (first <= last).then(|| {
        let mut set = UidSet::new();
        set.insert_range(UidRange { first, last });
        set
    })
}

async fn list_from(
    source: &mut Connection,
    begin: &Begin,
    selected: &SelectedMailbox,
    uid_validity: UidValidity,
    known: &Known<'_>,
) -> Result<Option<Listing>, ImapError> {
    let mut listing = Listing::empty(selected, uid_validity);
    listing.uid_next = Some(begin.uid_next);
    list_new(source, begin, selected, known, &mut listing).await?;
    let new = listing.listed.len();
    let untold = "the source says that something has changed and does not say what; listing everything";
    let Some(Told { rows, vanished }) = list_changed(source, begin, known, &mut listing).await? else {
        tracing::info!("{untold}");
        return Ok(None);
    };
    let still = |vanished: &UidSet| difference(&begin.there, vanished);
    let mut there = vanished.as_ref().map_or_else(|| begin.there.clone(), still);
    let is_told = rows > 0 || new > 0 || there.len() < begin.there.len();
    if begin.since.is_some() && !is_told && !there.is_empty() && there.len() == u64::from(selected.exists) {
        // Modification sequences go up with a change: the answer may have been lost.
        tracing::info!("{untold}");
        return Ok(None);
    }
    if there.len() + new != u64::from(selected.exists) {
        if vanished.is_some() {
            // It was asked what is gone, and has left something out: it may have left out flags as well.
            tracing::info!(
                there = there.len(),
                new,
                exists = selected.exists,
                "the source does not tell all that is gone"
            );
            return Ok(None);
        }
        // Something is gone, and the source has not said what.
        there = intersection(&begin.there, &source.uid_search_all().await?);
    }
    if there.len() + new != u64::from(selected.exists) {
        tracing::info!(there = there.len(), new, exists = selected.exists, "changes do not add up; listing everything");
        return Ok(None);
    }
    listing.listed.extend_ranges(&there);
    listing.finish(known);
    Ok(Some(listing))
}

/// What a source has told of changes.
struct Told {
    /// Of so many messages.
    rows: u64,
    /// What is gone, if it tells that.
    vanished: Option<UidSet>,
}

/// Lists flags that have changed. `None` if what is told cannot be believed: an answer without rows is also what a source
/// gives that has lost them, and then nobody would ask again.
///
/// Where something has arrived, its first message is asked for along with the others and has to be among the rows,
/// because it is newer than what changes are asked from (RFC 7162 §3.1).
async fn list_changed(
    source: &mut Connection,
    begin: &Begin,
    known: &Known<'_>,
    listing: &mut Listing,
) -> Result<Option<Told>, ImapError> {
    let witness = listing.listed.first();
    let last = witness.or_else(|| begin.old.0.checked_sub(1).map(Uid)).filter(|last| *last >= Uid(1));
    let (Some(since), Some(last)) = (begin.since, last) else {
        return Ok(Some(Told { rows: 0, vanished: None }));
    };
    let (mut rows, mut seen) = (0, false);
    let mut take = |row: FlagsRow| {
        rows += 1;
        seen |= Some(row.uid) == witness;
        if known.settled.contains(row.uid) {
            listing.flags.insert(row.uid, row.flags);
        }
    };
    let told = source.fetch_changes(UidRange { first: Uid(1), last }, since, &mut take).await?;
    Ok((witness.is_none() || seen).then_some(Told { rows, vanished: told.vanished }))
}

/// Lists what has arrived.
async fn list_new(
    source: &mut Connection,
    begin: &Begin,
    selected: &SelectedMailbox,
    known: &Known<'_>,
    listing: &mut Listing,
) -> Result<(), ImapError> {
    let whole = scan_ranges(Some(begin.uid_next), selected.exists);
    let new = whole.into_iter().filter(|range| range.last >= begin.old);
    let new: Vec<UidRange> =
        new.map(|range| UidRange { first: range.first.max(begin.old), last: range.last }).collect();
    if begin.old == begin.uid_next || new.is_empty() {
        return Ok(());
    }
    // Flags of what was not copied yet come with it. What a pass that was broken off has copied already may have others
    // by now.
    let settled_since = known.settled.last().is_some_and(|last| last >= begin.old);
    let items = ScanItems { internal_date: false, flags: known.wants_flags && settled_since };
    let mut take = |row: ScanRow| {
        if begin.old <= row.uid && row.uid < begin.uid_next {
            listing.take(row, known);
        }
    };
    source.scan(&new, items, &mut take).await?;
    Ok(())
}
