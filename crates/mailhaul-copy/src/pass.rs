//! One pass over one mailbox pair, in the order that keeps the promise: look at the source, look at what the ledger
//! knows, look at the target's tail, then mark, send and settle.
//!
//! A pass may be broken off anywhere and is then begun again from the top, on fresh connections. It never continues
//! from memory: what it believed to be in flight is found out by reading the target's tail.

use crate::bounds;
use crate::concluding::Seen;
use crate::error::WalkError;
use crate::flag_sync::sync_flags;
use crate::learning::unix_secs;
use crate::moves::{Arrivals, Departures, follow_moves};
use crate::prepare::create_again;
use crate::read_back::read_back;
use crate::reading::Unreadable;
use crate::recognise::{Matched, Proof, Recognition, Turn, find_witnesses, match_in_turn};
use crate::rounds::Sender;
use crate::scan::Listing;
use crate::source_side::{Opened, open_source, read_source};
use crate::step;
use crate::tail::{present_in, target_uid_next, unclaimed};
use crate::tally::Tally;
use crate::target_side::{meet, open_quiet_target, open_target};
use crate::transfer::{Aid, FlagsSent, Shipment};
use crate::views::doubt;
use crate::visits::policy_digest;
use crate::walk::{Links, Pair, Target, Walk};
use crate::words;
use mailhaul_db::{Exception, ExceptionState, MailboxState, SENT_UNKNOWN, Settled, Settlement, Synced};
use mailhaul_imap::SelectedMailbox;
use mailhaul_plan::batches::{BatchLimits, plan_batches};
use mailhaul_plan::flags::common_flags;
use mailhaul_plan::policy::FlagPolicy;
use mailhaul_plan::steps::{difference, intersection, remaining};
use mailhaul_types::{Uid, UidRange, UidSet, UidValidity};

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

    let (at_source, on_target) = open_both(walk, links, pair, &state).await;
    let (mut listing, state) = read_source(walk, links, pair, tally, state, at_source?).await?;
    step::taken("source listed")?;
    departures.learn(pair.source, pair.target, &listing.departed);
    let present = difference(&state.settled, &state.departed);
    let seen = Seen { uid_validity: Some(listing.uid_validity), uid_next: listing.uid_next };
    if pair.target_is_missing && walk.job.recognise_only {
        return Ok(PassEnd::default());
    }
    if pair.target_is_missing {
        if listing.todo.is_empty() {
            tally.note("target", words::target_is_gone(pair.target.text()), 0);
            return Ok(PassEnd { synced: None, departed: listing.departed, seen, settled: present });
        }
        create_again(links, pair, state.settled.len()).await?;
    }
    let opened = match on_target {
        Some(opened) => opened?,
        None => open_target(walk, links, pair, &state).await?,
    };
    step::taken("target opened")?;
    let mut target = meet(links, walk, pair, &listing, opened, &state).await?;
    let (mut adopted, aside) = read_tail(walk, links, pair, tally, &mut listing, &state, &mut target).await?;
    listing.todo.retain(|(uid, _)| !aside.contains(*uid));
    step::taken("tail read")?;
    if walk.job.recognise_only {
        // Nothing was sent, moved or marked. The next run has this mailbox to visit.
        return Ok(PassEnd::default());
    }
    let arrivals = Arrivals { listing: &mut listing, state: &state, adopted: &adopted };
    let moved = follow_moves(walk, links, pair, tally, arrivals, &mut target, departures).await?;
    step::taken("moves followed")?;
    adopted.extend_ranges(&moved);
    listing.flags.sort();
    sync_flags(walk, links, pair, tally, &listing, &target).await?;
    step::taken("flags handed over")?;

    let mut settled = state.settled.clone();
    settled.extend_ranges(&adopted);
    let left = remaining(&listing.listed, &settled, &state.set_aside(), &listing.skipped_uids());
    let todo = listing.todo.iter().filter(|(uid, _)| left.contains(*uid));
    let limits = BatchLimits { set_octets: bounds::set_octets(links.source.server_software()), ..walk.job.batches };
    let batches = plan_batches(todo.map(|(uid, size)| (*uid, u64::from(*size))), &limits);
    let shipments = batches.into_iter().map(|batch| Shipment { batch, flags: FlagsSent::All }).collect();
    let aid = Aid::new(walk, links, pair, &listing);
    let result = Sender::new(walk, links, pair, tally, &mut target, &aid).send(shipments).await;
    if result.is_ok() {
        aid.close().await;
    }
    for (flag, messages) in target.filter.dropped() {
        *tally.dropped_flags.entry(flag).or_default() += messages;
    }
    result?;
    step::taken("messages sent")?;
    // Later copies come to a target that has been seen through.
    if state.synced.is_none() {
        read_back(walk, links, pair, tally, &listing.todo).await?;
    }
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

/// Opens the mailbox on both sides at once. The target is left for later where it has to be made first, or where something
/// may still be on its way to it.
async fn open_both(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    state: &MailboxState,
) -> (Result<Opened, WalkError>, Option<Result<SelectedMailbox, WalkError>>) {
    let Links { source, target } = links;
    let open_target = async {
        let quiet = state.sent.is_none() && !pair.target_is_missing;
        if quiet { Some(open_quiet_target(target, pair).await) } else { None }
    };
    // Neither is given up for the other's sake: a connection that is left in the middle of a command is lost.
    tokio::join!(open_source(walk, source, pair, state), open_target)
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
    // What was called gone was listed before, so one of the two was not true: the next run lists everything once more.
    if counts.remaining > 0 || !tally.gone.is_empty() {
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

/// Reads whatever lies above the mark on the target and settles what turns out to be there already: these, and those of
/// which it cannot be told.
async fn read_tail(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    tally: &mut Tally,
    listing: &mut Listing,
    state: &MailboxState,
    target: &mut Target,
) -> Result<(UidSet, UidSet), WalkError> {
    let uid_next = match target.uid_next {
        Some(uid_next) => uid_next,
        None => target_uid_next(links, pair.target, target.mark).await?,
    };
    if uid_next <= target.mark {
        if state.sent.is_some() {
            let settlement = Settlement { clear_sent: true, target_mark: Some(target.mark), messages: Vec::new() };
            pair.ledger.settle(settlement).await?;
        }
        return Ok(Default::default());
    }
    walk.doing(pair, "looking at what is there already");
    let claimed = pair.ledger.load().await?.claimed_targets;
    let tail = unclaimed(target.mark, uid_next, &claimed);
    // Also what the operator leaves out today or the target refused once: it may have been sent in an earlier run,
    // and once the mark has passed its copy, nobody would look for it again.
    let candidates = difference(&listing.listed, &state.settled);
    // What was in flight when the source was renumbered is none in particular: it is looked for as everything else is.
    let known = state.sent.filter(|range| *range != SENT_UNKNOWN);
    let in_flight = known.map_or_else(UidSet::new, |range| intersection(&candidates, &set_of(range)));
    let present = present_in(&mut links.target, &tail).await?;
    let Links { source, target: connection } = links;
    let others = difference(&candidates, &in_flight);
    // Before the first pass has come to its end it may be very much, and only drafts are compared by their contents. Later
    // it is what the target's owner has put here, and that may be an older edition of what arrives.
    let proof = if state.synced.is_some() { Proof::Contents } else { Proof::Sizes };
    // First what was in flight, which is cheap; then, if something is left, everything else that may be meant.
    let turns = [Turn::sent(&in_flight), Turn { candidates: &others, proof, sent: false }];
    let witnesses = if present.is_empty() { Vec::new() } else { find_witnesses(pair, state, &listing.listed).await? };
    let with = Recognition { witnesses: &witnesses, ..walk.recognition(pair.source.text(), pair.drafts) };
    let recognised = match_in_turn(source, connection, with, &present, &turns).await?;
    tally.unproved += recognised.unproved;
    let mut found = Vec::with_capacity(recognised.found.len());
    for matched in recognised.found {
        found.push(match in_flight.contains(matched.settled.source_uid) {
            true => adopt_our_own(walk, listing, target, matched),
            false => adopt(walk, listing, target, matched),
        });
    }
    let adopted: UidSet = found.iter().map(|settled| settled.source_uid).collect();
    if let (Some(contradiction), true) = (&listing.missing, state.sent.is_some())
        && found.len() < usize::try_from(present.len()).unwrap_or(usize::MAX)
    {
        // What stands there may be copies of what is not shown. Once the mark has passed them, nobody would look again.
        return Err(WalkError::ViewIncomplete(format!(
            "{contradiction}, three times over; messages were in flight, and what the target holds of them cannot be \
             told from other mail, so nothing was sent"
        )));
    }
    let aside = set_aside_uncertain(pair, tally, recognised.uncertain).await?;
    let holes = difference(&tail, &present).len();
    if state.sent == Some(SENT_UNKNOWN) {
        note_unnamed_duplicates(tally, holes.min(difference(&candidates, &adopted).len()));
    } else if state.sent.is_some() {
        let unaccounted = difference(&difference(&in_flight, &adopted), &aside);
        tally.possible_duplicates += holes.min(unaccounted.len());
        name_possible_duplicates(pair, holes, &unaccounted).await?;
    }
    tally.settle(&found, 0);
    walk.progress.settle(adopted.len(), listing.bytes_of(&adopted));
    let settlement = Settlement { messages: found, target_mark: Some(uid_next), clear_sent: true };
    pair.ledger.settle(settlement).await?;
    target.mark = uid_next;
    Ok((adopted, aside))
}

/// What can be told neither to be on the target nor not to be there is not sent, and named: the mark passes what may be
/// its copy.
pub(crate) async fn set_aside_uncertain(
    pair: &Pair<'_>,
    tally: &mut Tally,
    uncertain: Unreadable,
) -> Result<UidSet, WalkError> {
    let mut aside = UidSet::new();
    for exception in exceptions_of(pair, uncertain) {
        aside.extend(exception.uid);
        tally.unreadable.extend(exception.uid);
        pair.ledger.record_exception(exception).await?;
    }
    Ok(aside)
}

/// The exceptions that keep such messages from being sent.
pub(crate) fn exceptions_of(pair: &Pair<'_>, uncertain: Unreadable) -> Vec<Exception> {
    let exception = |(uid, reason): (Uid, String)| {
        let reason = format!("{reason}; it was not sent");
        tracing::warn!(mailbox = %pair.source, uid = uid.0, reason, "message set aside as unreadable");
        Exception { uid: Some(uid), state: ExceptionState::Unreadable, reason, key: None }
    };
    uncertain.into_iter().map(exception).collect()
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

/// The same of what was in flight when the source was renumbered: which messages these are is not known, and to name others
/// would be to lead astray.
fn note_unnamed_duplicates(tally: &mut Tally, messages: u64) {
    if messages > 0 {
        let text = "messages were in flight when a connection was lost, and the source has renumbered the mailbox since; \
                    the target has given out UIDs that are empty now: at most so many copies may have arrived and been \
                    moved or deleted since, and were sent again";
        tally.note("at least once", text.to_owned(), messages);
    }
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

pub(crate) fn set_of(range: UidRange) -> UidSet {
    let mut set = UidSet::new();
    set.insert_range(range);
    set
}
