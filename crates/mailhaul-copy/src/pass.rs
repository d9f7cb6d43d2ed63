//! One pass over one mailbox pair, in the order that keeps the promise: look at the source, look at what the ledger
//! knows, look at the target's tail, then mark, send and settle.
//!
//! A pass may be broken off anywhere and is then begun again from the top, on fresh connections. It never continues
//! from memory: what it believed to be in flight is found out by reading the target's tail.

use crate::bounds;
use crate::carry_over::{carry_over, hidden_ground, moved_ground};
use crate::changes::list_changes;
use crate::concluding::Seen;
use crate::error::{WalkError, mailbox_error, on};
use crate::flag_sync::sync_flags;
use crate::flags::FlagFilter;
use crate::moves::{Arrivals, Departures, follow_moves};
use crate::prepare::create_again;
use crate::rounds::Sender;
use crate::scan::{Known, Listing, scan_mailbox};
use crate::tail::{
    Matched, match_tail_with_flags, present_in, read_known, rematch_settled, target_uid_next, unclaimed,
};
use crate::tally::Tally;
use crate::transfer::{FlagsSent, Shipment};
use crate::views::doubt;
use crate::visits::policy_digest;
use crate::walk::{Links, Pair, Target, Walk};
use crate::words;
use mailhaul_db::{Exception, ExceptionState, MailboxState, Scan, Settled, Settlement, Synced};
use mailhaul_imap::SelectedMailbox;
use mailhaul_plan::batches::{BatchLimits, plan_batches};
use mailhaul_plan::flags::common_flags;
use mailhaul_plan::policy::FlagPolicy;
use mailhaul_plan::selection::Selection;
use mailhaul_plan::steps::{difference, intersection, remaining};
use mailhaul_types::{Side, Uid, UidRange, UidSet, UidValidity};

/// How a pass ended that came to its end.
#[derive(Debug, Default)]
pub(crate) struct PassEnd {
    /// What the source was, if everything in it is accounted for.
    pub(crate) synced: Option<Synced>,
    /// Settled messages that have left the source and have not been dealt with.
    pub(crate) departed: UidSet,
    /// Up to where it was looked at.
    pub(crate) seen: Seen,
    /// Settled messages that had not left it when it was last looked at.
    pub(crate) settled: UidSet,
}

/// Copies everything that one mailbox pair still lacks, and hands over what has changed. What it learned stands in
/// `tally` even if it fails.
pub(crate) async fn pass(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    tally: &mut Tally,
    departures: &mut Departures,
) -> Result<PassEnd, WalkError> {
    let state = pair.ledger.load().await?;
    let state = forget_what_to_retry(walk, pair, tally, state).await?;
    tally.before.get_or_insert_with(|| state.settled.clone());

    let drafts = departures.holds_drafts(pair.source.text());
    let (mut listing, state) = read_source(walk, links, pair, tally, state, drafts).await?;
    departures.learn(pair.source, pair.target, &listing.departed);
    let present = difference(&state.settled, &state.departed);
    let seen = Seen { uid_validity: Some(listing.uid_validity), uid_next: listing.uid_next };
    if pair.target_is_missing {
        if listing.todo.is_empty() {
            tally.note("target", words::target_is_gone(pair.target.text()), 0);
            return Ok(PassEnd { synced: None, departed: listing.departed, seen, settled: present });
        }
        create_again(links, pair, state.settled.len()).await?;
    }
    let opened = open_target(walk, links, pair, &state).await?;
    let mut target = meet(links, walk, pair, &listing, opened, &state).await?;
    let mut adopted = read_tail(walk, links, pair, tally, &mut listing, &state, &mut target).await?;
    let arrivals = Arrivals { listing: &mut listing, state: &state, adopted: &adopted };
    let moved = follow_moves(walk, links, pair, tally, arrivals, &mut target, departures).await?;
    adopted.extend_ranges(&moved);
    listing.flags.sort();
    sync_flags(walk, links, pair, tally, &listing, &target).await?;

    let mut settled = state.settled.clone();
    settled.extend_ranges(&adopted);
    let left = remaining(&listing.listed, &settled, &state.set_aside(), &listing.skipped_uids());
    let todo = listing.todo.iter().filter(|(uid, _)| left.contains(*uid));
    let limits = BatchLimits { set_octets: bounds::set_octets(links.source.server_software()), ..Default::default() };
    let batches = plan_batches(todo.map(|(uid, size)| (*uid, u64::from(*size))), &limits);
    let shipments = batches.into_iter().map(|batch| Shipment { batch, flags: FlagsSent::All }).collect();
    let result = Sender::new(walk, links, pair, tally, &mut target).send(shipments).await;
    for (flag, messages) in target.filter.dropped() {
        *tally.dropped_flags.entry(flag).or_default() += messages;
    }
    result?;
    if let Some(contradiction) = &listing.missing {
        let words = format!("{contradiction}, three times over; what it listed is copied");
        return Err(WalkError::ViewIncomplete(words));
    }
    if let Some(words) = doubt(walk, links, pair, &listing).await? {
        return Err(WalkError::ViewDoubtful(words));
    }
    if let Some(words) = &tally.flags_refused {
        return Err(WalkError::Mailbox(format!("everything is copied, but {words}")));
    }
    let synced = account_for(walk, tally, &listing, &state, target.uid_validity);
    Ok(PassEnd { synced, departed: listing.departed, seen, settled: present })
}

/// What the source was, if the pass has accounted for everything in it: then the next run can tell from its figures
/// alone that nothing has changed, and where changes begin.
fn account_for(
    walk: &Walk<'_>,
    tally: &Tally,
    listing: &Listing,
    state: &MailboxState,
    target_uid_validity: UidValidity,
) -> Option<Synced> {
    let counts = tally.counts();
    if counts.remaining > 0 {
        return None;
    }
    let mut known = state.settled.clone();
    known.extend_ranges(&state.set_aside());
    let mut departed = difference(&known, &listing.listed);
    departed = difference(&departed, &listing.departed);
    let mut doubles = 0;
    for stored in &state.exceptions {
        let listed = stored.exception.uid.is_some_and(|uid| listing.listed.contains(uid));
        doubles += u64::from(listed && stored.exception.state == ExceptionState::PossibleDuplicate);
    }
    Some(Synced {
        source_uid_validity: listing.uid_validity,
        uid_next: listing.uid_next?,
        exists: listing.exists,
        highest_modseq: listing.highest_modseq,
        mailbox_id: listing.mailbox_id.clone(),
        target_uid_validity,
        departed,
        skipped: counts.skipped,
        refused: counts.refused,
        unreadable: counts.unreadable,
        exceptions: counts.refused + counts.unreadable + doubles + tally.possible_duplicates,
        policy: policy_digest(walk.job),
        at_unix_secs: unix_secs(),
    })
}

fn unix_secs() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// With `--retry-exceptions`, what was refused or unreadable becomes work again.
async fn forget_what_to_retry(
    walk: &Walk<'_>,
    pair: &Pair<'_>,
    tally: &mut Tally,
    state: MailboxState,
) -> Result<MailboxState, WalkError> {
    if !walk.job.retry_exceptions.covers(pair.source.text()) || tally.before.is_some() {
        return Ok(state);
    }
    let states = [ExceptionState::Refused, ExceptionState::Unreadable, ExceptionState::PossibleDuplicate];
    if !state.exceptions.iter().any(|stored| states.contains(&stored.exception.state)) {
        return Ok(state);
    }
    // Changes are counted from what was accounted for, and these messages are that no longer.
    pair.ledger.forget_synced().await?;
    pair.ledger.clear_exceptions(&states).await?;
    Ok(pair.ledger.load().await?)
}

/// Opens and lists the source mailbox, and tells the ledger and the tally what was seen.
async fn read_source(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    tally: &mut Tally,
    mut state: MailboxState,
    drafts: bool,
) -> Result<(Listing, MailboxState), WalkError> {
    let selected = links.source.examine(pair.source).await.map_err(|error| mailbox_error(Side::Source, error))?;
    let Some(uid_validity) = selected.uid_validity else {
        return Err(WalkError::Mailbox("the source keeps no UIDs for this mailbox (no UIDVALIDITY)".to_owned()));
    };
    let ground = match moved_ground(&selected, uid_validity, &state) {
        None => hidden_ground(walk, &mut links.source, pair, &selected, uid_validity, &state).await?,
        moved => moved,
    };
    if let Some(ground) = ground {
        state = carry_over(walk, links, pair, tally, ground, state, drafts).await?;
    }
    let listing = list_source(walk, links, pair, selected, uid_validity, &state).await?;
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

/// Opens the target mailbox. If an earlier sender may have left something on its way, waits until it has landed.
async fn open_target(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    state: &MailboxState,
) -> Result<SelectedMailbox, WalkError> {
    if state.sent.is_some() {
        quarantine(walk, links, pair).await?;
    }
    let mut selected = links.target.select(pair.target).await.map_err(|error| mailbox_error(Side::Target, error))?;
    if selected.uid_next.is_none() || selected.uid_validity.is_none() {
        let status = links.target.status(pair.target).await.map_err(on(Side::Target))?;
        selected.uid_next = selected.uid_next.or(status.uid_next);
        selected.uid_validity = selected.uid_validity.or(status.uid_validity);
    }
    Ok(selected)
}

/// Waits until the target's UIDNEXT has stood still in two looks: a command that was complete when its connection
/// broke may still be at work.
pub(crate) async fn quarantine(walk: &Walk<'_>, links: &mut Links, pair: &Pair<'_>) -> Result<(), WalkError> {
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
            () = walk.stop.requested() => return Err(WalkError::Interrupted { unanswered: 0 }),
            () = tokio::time::sleep(walk.quarantine()) => {}
        }
    }
}

/// Ties the ledger to the mailbox that was opened, or finds that it is another one by now.
async fn meet(
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
        return rediscover(links, walk, pair, uid_validity, filter, &ground).await;
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
    uid_validity: UidValidity,
    filter: FlagFilter,
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
    let theirs = read_known(&mut links.target, Side::Target, &walk.keys, &everything, |_| true).await?;
    let (messages, missing) = rematch_settled(settled, &theirs);
    if missing * 5 > total && !walk.job.accept_target_change {
        return Err(WalkError::MailboxDecision(format!(
            "{}, and {missing} of {total} messages copied earlier are not in it; nothing was done. If they were deleted \
             on purpose, --accept-target-change goes on without them; to copy them again, use a new --state file",
            ground.words(),
        )));
    }
    pair.ledger.renumber_target(uid_validity, Uid(1), messages).await?;
    tracing::info!(mailbox = %pair.source, found = total - missing, missing, "{}", ground.words());
    Ok(Target { uid_validity, uid_next: Some(uid_next), mark: Uid(1), filter })
}

/// Reads whatever lies above the mark on the target and settles what turns out to be there already.
async fn read_tail(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    tally: &mut Tally,
    listing: &mut Listing,
    state: &MailboxState,
    target: &mut Target,
) -> Result<UidSet, WalkError> {
    let uid_next = match target.uid_next {
        Some(uid_next) => uid_next,
        None => target_uid_next(links, pair.target, target.mark).await?,
    };
    if uid_next <= target.mark {
        if state.sent.is_some() {
            let settlement = Settlement { clear_sent: true, target_mark: Some(target.mark), messages: Vec::new() };
            pair.ledger.settle(settlement).await?;
        }
        return Ok(UidSet::new());
    }
    walk.doing(pair, "looking at what is there already");
    let claimed = pair.ledger.load().await?.claimed_targets;
    let tail = unclaimed(target.mark, uid_next, &claimed);
    // Also what the operator leaves out today or the target refused once: it may have been sent in an earlier run,
    // and once the mark has passed its copy, nobody would look for it again.
    let candidates = difference(&listing.listed, &state.settled);
    let in_flight = state.sent.map_or_else(UidSet::new, |range| intersection(&candidates, &set_of(range)));
    let present = present_in(&mut links.target, &tail).await?;
    let Links { source, target: connection } = links;
    // First what was in flight, which is cheap; then, if something is left, everything else that may be meant.
    let mut matched = match_tail_with_flags(source, connection, &walk.keys, &present, &in_flight).await?;
    let taken: UidSet = matched.iter().filter_map(|matched| matched.settled.target_uid).collect();
    let (rest, others) = (difference(&present, &taken), difference(&candidates, &in_flight));
    matched.extend(match_tail_with_flags(source, connection, &walk.keys, &rest, &others).await?);
    let mut found = Vec::with_capacity(matched.len());
    for matched in matched {
        found.push(match in_flight.contains(matched.settled.source_uid) {
            true => adopt_our_own(walk, listing, target, matched),
            false => adopt(walk, listing, target, matched),
        });
    }
    let adopted: UidSet = found.iter().map(|settled| settled.source_uid).collect();
    if state.sent.is_some() {
        let holes = difference(&tail, &present).len();
        let unaccounted = difference(&in_flight, &adopted);
        tally.possible_duplicates += holes.min(unaccounted.len());
        name_possible_duplicates(pair, holes, &unaccounted).await?;
    }
    tally.settle(&found, 0);
    walk.progress.settle(adopted.len(), listing.bytes_of(&adopted));
    let settlement = Settlement { messages: found, target_mark: Some(uid_next), clear_sent: true };
    pair.ledger.settle(settlement).await?;
    target.mark = uid_next;
    Ok(adopted)
}

/// What both sides last had in common of a message that was found on the target: before the switch the target's flags
/// as found, so that those of the source are handed over; after it those of the source, so that the owner keeps his.
pub(crate) fn adopt(walk: &Walk<'_>, listing: &mut Listing, target: &Target, matched: Matched) -> Settled {
    let Matched { mut settled, source_flags } = matched;
    if walk.job.resync.switched {
        settled.flags = target.filter.apply(&source_flags, FlagsSent::All);
    } else if walk.job.resync.flags != FlagPolicy::None {
        listing.flags.insert(settled.source_uid, source_flags);
    }
    settled
}

/// The same of what was in flight: we wrote it. What only the target has by now, its owner has set since; what only the
/// source has, was set there since. Both stay.
fn adopt_our_own(walk: &Walk<'_>, listing: &mut Listing, target: &Target, matched: Matched) -> Settled {
    let sent = target.filter.apply(&matched.source_flags, FlagsSent::All);
    let common = common_flags(&sent, &matched.settled.flags);
    let settled = adopt(walk, listing, target, matched);
    if walk.job.resync.switched { settled } else { Settled { flags: common, ..settled } }
}

/// UIDs were given out above the mark and hold nothing any more: a copy that was in flight may have landed and been
/// moved or deleted by its owner. It is sent again, because losing mail is worse, and it is named.
async fn name_possible_duplicates(pair: &Pair<'_>, holes: u64, unaccounted: &UidSet) -> Result<(), WalkError> {
    for uid in unaccounted.iter().take(usize::try_from(holes).unwrap_or(usize::MAX)) {
        let reason = "it was in flight when a connection was lost, and the target has given out a UID that is empty \
                      now: the copy may have arrived and been moved or deleted since; it was sent again";
        let exception = Exception {
            uid: Some(uid),
            state: ExceptionState::PossibleDuplicate,
            reason: reason.to_owned(),
            key: None,
        };
        pair.ledger.record_exception(exception).await?;
    }
    Ok(())
}

fn set_of(range: UidRange) -> UidSet {
    let mut set = UidSet::new();
    set.insert_range(range);
    set
}
