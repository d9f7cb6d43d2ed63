//! One pass over one mailbox pair, in the order that keeps the promise: look at the source, look at what the ledger
//! knows, look at the target's tail, then mark, send and settle.
//!
//! A pass may be broken off anywhere and is then begun again from the top, on fresh connections. It never continues
//! from memory: what it believed to be in flight is found out by reading the target's tail.

use crate::account::Walk;
use crate::bounds;
use crate::error::{LinkError, WalkError, mailbox_error, on};
use crate::flags::FlagFilter;
use crate::scan::{Known, Listing, scan_mailbox};
use crate::tail::{match_tail, present_in, read_known, rematch_settled, unclaimed};
use crate::tally::Tally;
use crate::transfer::{Context, End, FlagsSent, Outcome, Refusal, Shipment, transfer};
use mailhaul_db::{Exception, ExceptionState, MailboxLedger, MailboxState, Scan, Settled, SettledState, Settlement};
use mailhaul_imap::{Connection, Context as Doing, ErrorClass, ImapError, SelectedMailbox, StatusLine};
use mailhaul_plan::batches::{Batch, BatchLimits, halve, plan_batches};
use mailhaul_plan::steps::{difference, intersection, is_mass_absence};
use mailhaul_types::{MailboxName, Side, Uid, UidRange, UidSet, UidValidity, escape};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Both ends, signed in.
pub(crate) struct Links {
    pub(crate) source: Connection,
    pub(crate) target: Connection,
}

/// One mailbox pair to be worked on.
pub(crate) struct Pair<'a> {
    pub(crate) source: &'a MailboxName,
    pub(crate) target: &'a MailboxName,
    pub(crate) ledger: &'a MailboxLedger,
}

/// How far a pass has come to know the target.
struct Target {
    uid_validity: UidValidity,
    /// Every UID below it is accounted for.
    mark: Uid,
    filter: FlagFilter,
}

/// Copies everything that one mailbox pair still lacks. What it learned stands in `tally` even if it fails.
pub(crate) async fn pass(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    tally: &mut Tally,
) -> Result<(), WalkError> {
    let state = pair.ledger.load().await?;
    let state = forget_what_to_retry(walk, pair, tally, state).await?;
    tally.before.get_or_insert_with(|| state.settled.clone());

    let listing = read_source(walk, links, pair, tally, &state).await?;
    let opened = open_target(walk, links, pair, &state).await?;
    let mut target = meet(links, walk, pair, &listing, opened, &state).await?;
    let adopted = read_tail(walk, links, pair, tally, &listing, &state, &mut target).await?;

    let todo = listing.todo.iter().filter(|(uid, _)| !adopted.contains(*uid));
    let limits = BatchLimits { set_octets: bounds::set_octets(links.source.server_software()), ..Default::default() };
    let batches = plan_batches(todo.map(|(uid, size)| (*uid, u64::from(*size))), &limits);
    let shipments = batches.into_iter().map(|batch| Shipment { batch, flags: FlagsSent::All }).collect();
    let result = Sender { walk, links, pair, tally, target: &mut target, tries: BTreeMap::new() }.send(shipments).await;
    tally.dropped_flags = target.filter.dropped();
    result?;

    if is_mass_absence(&listing.listed, &state.settled) && !walk.job.accept_mass_absence {
        return Err(WalkError::MailboxDecision(format!(
            "the source lists {} messages here, and of the {} copied earlier hardly any; nothing was deleted on the \
             target, and what is listed is copied. If the mailbox was really emptied, --accept-mass-absence says so",
            listing.listed.len(),
            state.settled.len(),
        )));
    }
    if let Some(missing) = listing.missing {
        return Err(WalkError::ViewIncomplete(format!(
            "the server says that there are {} messages and lists {missing} fewer, three times over; \
             what it listed is copied",
            listing.exists
        )));
    }
    Ok(())
}

/// With `--retry-exceptions`, what was refused or unreadable becomes work again.
async fn forget_what_to_retry(
    walk: &Walk<'_>,
    pair: &Pair<'_>,
    tally: &mut Tally,
    state: MailboxState,
) -> Result<MailboxState, WalkError> {
    if !walk.job.retry_exceptions || tally.before.is_some() {
        return Ok(state);
    }
    let states = [ExceptionState::Refused, ExceptionState::Unreadable, ExceptionState::PossibleDuplicate];
    pair.ledger.clear_exceptions(&states).await?;
    Ok(pair.ledger.load().await?)
}

/// Opens and lists the source mailbox, and tells the ledger and the tally what was seen.
async fn read_source(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    tally: &mut Tally,
    state: &MailboxState,
) -> Result<Listing, WalkError> {
    let selected = links.source.examine(pair.source).await.map_err(|error| mailbox_error(Side::Source, error))?;
    let Some(uid_validity) = selected.uid_validity else {
        return Err(WalkError::Mailbox("the source keeps no UIDs for this mailbox (no UIDVALIDITY)".to_owned()));
    };
    if let Some(known) = state.source_uid_validity.filter(|known| *known != uid_validity) {
        return Err(WalkError::MailboxDecision(format!(
            "the source has renumbered this mailbox (UIDVALIDITY was {known} and is {uid_validity}), so it is not \
             known which of its messages were copied; nothing was done in it. A copy of this account under a new \
             --state file adopts what is on the target and copies the rest"
        )));
    }
    let known = Known::new(Some(state), &walk.job.selection);
    let listing = scan_mailbox(&mut links.source, Side::Source, pair.source, selected, uid_validity, &known).await?;
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
    Ok(listing)
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
    let filter = FlagFilter::new(opened.permanent_flags, walk.job.copy_deleted_flag);
    let changed = state.target_uid_validity.is_some_and(|known| known != uid_validity);
    let first_mark = match opened.uid_next {
        // A mailbox without messages has no tail to read.
        Some(uid_next) if opened.exists == 0 => uid_next,
        _ => Uid(1),
    };
    if changed {
        return rediscover(links, walk, pair, uid_validity, filter, state).await;
    }
    pair.ledger.bind(listing.uid_validity, uid_validity, first_mark).await?;
    Ok(Target { uid_validity, mark: state.target_mark.unwrap_or(first_mark), filter })
}

/// The target's UIDVALIDITY has changed: the UIDs in the ledger are void. What is settled stays settled; but if much
/// of it is not there any more, somebody has to look before anything else happens.
async fn rediscover(
    links: &mut Links,
    walk: &Walk<'_>,
    pair: &Pair<'_>,
    uid_validity: UidValidity,
    filter: FlagFilter,
    state: &MailboxState,
) -> Result<Target, WalkError> {
    let mut settled = Vec::new();
    let mut pages = pair.ledger.messages().await?;
    while let Some(page) = pages.next().await? {
        settled.extend(page);
    }
    let total = settled.len() as u64;
    let uid_next = target_uid_next(links, pair.target, Uid(1)).await?;
    let everything = present_in(&mut links.target, &unclaimed(Uid(1), uid_next, &UidSet::new())).await?;
    let theirs = read_known(&mut links.target, Side::Target, &walk.keys, &everything, |_| true).await?;
    let (found, claimed, missing) = rematch_settled(settled, &theirs);
    if missing * 5 > total && !walk.job.accept_target_change {
        return Err(WalkError::MailboxDecision(format!(
            "the target mailbox was recreated (UIDVALIDITY was {} and is {uid_validity}), and {missing} of {total} \
             messages copied earlier are not in it; nothing was done. If they were deleted on purpose, \
             --accept-target-change goes on without them; to copy them again, use a new --state file",
            state.target_uid_validity.map_or_else(String::new, |known| known.to_string()),
        )));
    }
    pair.ledger.void_target_uids(uid_validity, Uid(1)).await?;
    let settlement = Settlement { messages: found, target_mark: None, clear_sent: false };
    pair.ledger.settle(settlement).await?;
    tracing::info!(mailbox = %pair.source, found = total - missing, missing, claimed = claimed.len(),
        "target mailbox was renumbered; settled messages were found again");
    Ok(Target { uid_validity, mark: Uid(1), filter })
}

/// Reads whatever lies above the mark on the target and settles what turns out to be there already.
async fn read_tail(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    tally: &mut Tally,
    listing: &Listing,
    state: &MailboxState,
    target: &mut Target,
) -> Result<UidSet, WalkError> {
    let uid_next = target_uid_next(links, pair.target, target.mark).await?;
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
    let mut found = match_tail(source, connection, &walk.keys, &present, &in_flight).await?;
    let matched: UidSet = found.iter().filter_map(|settled| settled.target_uid).collect();
    let rest = difference(&present, &matched);
    found.extend(match_tail(source, connection, &walk.keys, &rest, &difference(&candidates, &in_flight)).await?);
    let adopted: UidSet = found.iter().map(|settled| settled.source_uid).collect();
    if state.sent.is_some() {
        let holes = difference(&tail, &present).len();
        name_possible_duplicates(pair, holes, &difference(&in_flight, &adopted)).await?;
    }
    tally.settle(&found, 0);
    walk.progress.settle(adopted.len(), listing.bytes_of(&adopted));
    let settlement = Settlement { messages: found, target_mark: Some(uid_next), clear_sent: true };
    pair.ledger.settle(settlement).await?;
    target.mark = uid_next;
    Ok(adopted)
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

/// The target's UIDNEXT as it is now; for servers that never say it, one above the highest UID there is.
async fn target_uid_next(links: &mut Links, name: &MailboxName, mark: Uid) -> Result<Uid, WalkError> {
    let status = links.target.status(name).await.map_err(|error| mailbox_error(Side::Target, error))?;
    if let Some(uid_next) = status.uid_next {
        return Ok(uid_next);
    }
    let mut highest = Uid(mark.0.saturating_sub(1));
    let range = UidRange { first: Uid(mark.0.max(1)), last: Uid(u32::MAX) };
    let mut row = |row: mailhaul_imap::ScanRow| highest = highest.max(row.uid);
    links.target.scan(&[range], mailhaul_imap::ScanItems::default(), &mut row).await.map_err(on(Side::Target))?;
    Ok(Uid(highest.0.saturating_add(1)))
}

fn set_of(range: UidRange) -> UidSet {
    let mut set = UidSet::new();
    set.insert_range(range);
    set
}

/// Sends shipments in rounds until nothing is left that could still succeed.
struct Sender<'a, 'w> {
    walk: &'a Walk<'w>,
    links: &'a mut Links,
    pair: &'a Pair<'a>,
    tally: &'a mut Tally,
    target: &'a mut Target,
    /// How often a message was asked for alone and not delivered.
    tries: BTreeMap<Uid, u32>,
}

impl Sender<'_, '_> {
    async fn send(mut self, shipments: Vec<Shipment>) -> Result<(), WalkError> {
        let mut round = shipments;
        let mut patience = bounds::ROUNDS_WITHOUT_PROGRESS;
        while !round.is_empty() {
            let settled_before = self.tally.copied.len();
            let width = if self.links.target.capabilities().uidplus() { round.len() } else { bounds::UNNAMED_SLICE };
            let mut again = Vec::new();
            for slice in round.chunks(width.max(1)) {
                again.extend(self.send_slice(slice).await?);
            }
            let waiting = again.iter().any(|retry| retry.wait);
            if self.tally.copied.len() > settled_before || !waiting {
                patience = bounds::ROUNDS_WITHOUT_PROGRESS;
            } else if patience == 0 {
                return Err(self.give_up(&again));
            } else {
                patience -= 1;
            }
            if waiting {
                self.rest(&again).await?;
            }
            round = again.into_iter().map(|retry| retry.shipment).collect();
        }
        Ok(())
    }

    /// One transfer with everything that follows from it. Returns what is to be tried again.
    async fn send_slice(&mut self, slice: &[Shipment]) -> Result<Vec<Retry>, WalkError> {
        let tally = Mutex::new(std::mem::take(self.tally));
        let on_settled = |settled: &[Settled], bytes: u64| {
            tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner).settle(settled, bytes);
        };
        let context = Context {
            target_mailbox: self.pair.target,
            target_uid_validity: self.target.uid_validity,
            target_mark: self.target.mark,
            ledger: self.pair.ledger,
            lease: self.walk.lease,
            keys: &self.walk.keys,
            filter: &self.target.filter,
            progress: self.walk.progress,
            stop: self.walk.stop,
            on_settled: &on_settled,
        };
        let outcome = transfer(&mut self.links.source, &mut self.links.target, slice, &context).await;
        *self.tally = tally.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.target.mark = outcome.target_mark;
        self.tally.undated += outcome.undated;
        self.follow_up(outcome).await
    }

    async fn follow_up(&mut self, mut outcome: Outcome) -> Result<Vec<Retry>, WalkError> {
        let unnamed = std::mem::take(&mut outcome.stored_without_uids);
        if !unnamed.is_empty() && !outcome.target_spoilt {
            self.settle_unnamed(unnamed, outcome.stored_bytes_without_uids).await?;
        }
        for (uid, octets, limit) in std::mem::take(&mut outcome.too_large) {
            let reason = format!("its {octets} octets are more than the target takes (APPENDLIMIT {limit})");
            self.set_aside(uid, ExceptionState::Refused, reason).await?;
        }
        if outcome.unanswered == 0 && !outcome.target_spoilt {
            // Every answer is known: the next pass need not wait for anything to land.
            let known = Settlement { messages: Vec::new(), target_mark: Some(self.target.mark), clear_sent: true };
            self.pair.ledger.settle(known).await?;
        }
        match outcome.end {
            End::Finished if outcome.unanswered > 0 => {
                let detail = format!("{} messages were sent and never answered", outcome.unanswered);
                return Err(on(Side::Target)(ImapError::Protocol { during: "APPEND", detail }));
            }
            End::Finished => {}
            End::Stopped => return Err(WalkError::Interrupted { unanswered: outcome.unanswered }),
            End::Lost(link) => return Err(WalkError::Link(link)),
            End::Ledger(error) => return Err(WalkError::Ledger(error)),
        }
        let mut again = Vec::new();
        for refusal in outcome.refused {
            self.judge_refusal(refusal, &mut again).await?;
        }
        for (uids, status) in outcome.unfetched {
            self.judge_unfetched(&uids, &status, &mut again).await?;
        }
        if !outcome.missing.is_empty() {
            self.judge_missing(&outcome.missing, &mut again).await?;
        }
        if let Some(status) = outcome.throttled {
            self.walk.pause_for(status.retry_after()).await?;
        }
        Ok(again)
    }

    /// The target stored messages without naming their UIDs. If exactly so many UIDs were given out as messages were
    /// stored, they are these, in the order of transmission; otherwise somebody else wrote too, and the tail is read.
    async fn settle_unnamed(&mut self, mut stored: Vec<Settled>, bytes: u64) -> Result<(), WalkError> {
        let mark = self.target.mark;
        let uid_next = target_uid_next(self.links, self.pair.target, mark).await?;
        let claimed = self.pair.ledger.load().await?.claimed_targets;
        let tail = unclaimed(mark, uid_next, &claimed);
        if tail.len() == stored.len() as u64 {
            for (message, uid) in stored.iter_mut().zip(tail.iter()) {
                message.target_uid = Some(uid);
            }
        } else {
            let ours: UidSet = stored.iter().map(|message| message.source_uid).collect();
            let Links { source, target } = &mut *self.links;
            let present = present_in(target, &tail).await?;
            let read = match_tail(source, target, &self.walk.keys, &present, &ours).await?;
            let found: BTreeMap<Uid, Option<Uid>> =
                read.iter().map(|known| (known.source_uid, known.target_uid)).collect();
            for message in &mut stored {
                message.target_uid = found.get(&message.source_uid).copied().flatten();
            }
        }
        debug_assert!(stored.iter().all(|message| message.state == SettledState::Copied));
        self.tally.settle(&stored, bytes);
        let settlement = Settlement { messages: stored, target_mark: Some(uid_next), clear_sent: false };
        self.pair.ledger.settle(settlement).await?;
        self.target.mark = uid_next;
        Ok(())
    }

    async fn judge_refusal(&mut self, refusal: Refusal, again: &mut Vec<Retry>) -> Result<(), WalkError> {
        let Refusal { uids, flags, status } = refusal;
        let words = escape(&status.to_string());
        match status.class(Doing::Append) {
            ErrorClass::Quota => {
                return Err(WalkError::Decision {
                    reason: format!("the target is full: it answered \"{words}\" to a copy into {}", self.pair.target),
                    hint: "make room or raise the quota on the target; the same command then goes on".to_owned(),
                });
            }
            ErrorClass::Throttle => again.push(Retry::later(&uids, flags, status)),
            ErrorClass::Server if self.try_again(&uids) => again.push(Retry::later(&uids, flags, status)),
            ErrorClass::Mailbox => {
                return Err(WalkError::Mailbox(format!("the target refuses mail for it: \"{words}\"")));
            }
            ErrorClass::SignIn => return Err(on(Side::Target)(ImapError::SignIn { status })),
            _ => match halve(&uids) {
                Some((lower, upper)) => {
                    again.push(Retry::now(&lower, flags));
                    again.push(Retry::now(&upper, flags));
                }
                None => match fewer_flags(flags, &status) {
                    Some(fewer) => again.push(Retry::now(&uids, fewer)),
                    None => {
                        for uid in uids.iter() {
                            self.set_aside(uid, ExceptionState::Refused, words.clone()).await?;
                        }
                    }
                },
            },
        }
        Ok(())
    }

    /// The source answered NO or BAD: one bad message among them is enough for some servers, so it is isolated.
    async fn judge_unfetched(
        &mut self,
        uids: &UidSet,
        status: &StatusLine,
        again: &mut Vec<Retry>,
    ) -> Result<(), WalkError> {
        if status.class(Doing::Fetch) == ErrorClass::Throttle {
            again.push(Retry::later(uids, FlagsSent::All, status.clone()));
        } else if let Some((lower, upper)) = halve(uids) {
            again.push(Retry::now(&lower, FlagsSent::All));
            again.push(Retry::now(&upper, FlagsSent::All));
        } else if self.try_again(uids) {
            again.push(Retry::later(uids, FlagsSent::All, status.clone()).alone());
        } else {
            for uid in uids.iter() {
                self.set_aside(uid, ExceptionState::Unreadable, escape(&status.to_string())).await?;
            }
        }
        Ok(())
    }

    /// Answered OK and not delivered. *Gone* needs the server's word that the UID does not exist; a message that is
    /// still listed is asked for alone, and is unreadable if that fails as well.
    async fn judge_missing(&mut self, missing: &UidSet, again: &mut Vec<Retry>) -> Result<(), WalkError> {
        let present = self.links.source.uid_search_present(missing).await.map_err(on(Side::Source))?;
        for uid in difference(missing, &present).iter() {
            self.tally.gone.insert(uid);
            let exception = Exception {
                uid: Some(uid),
                state: ExceptionState::Gone,
                reason: "expunged at the source after it had been listed".to_owned(),
                key: None,
            };
            self.pair.ledger.record_exception(exception).await?;
        }
        for uid in intersection(missing, &present).iter() {
            let alone: UidSet = [uid].into_iter().collect();
            if self.try_again(&alone) {
                again.push(Retry::now(&alone, FlagsSent::All).alone());
            } else {
                let reason = "the server lists it and answers OK, but hands out nothing".to_owned();
                self.set_aside(uid, ExceptionState::Unreadable, reason).await?;
            }
        }
        Ok(())
    }

    /// Whether these messages have tries left; takes one.
    fn try_again(&mut self, uids: &UidSet) -> bool {
        uids.iter().all(|uid| {
            let tries = self.tries.entry(uid).or_default();
            *tries += 1;
            *tries <= bounds::TRIES_A_MESSAGE
        })
    }

    async fn set_aside(&mut self, uid: Uid, state: ExceptionState, reason: String) -> Result<(), WalkError> {
        match state {
            ExceptionState::Refused => self.tally.refused.insert(uid),
            _ => self.tally.unreadable.insert(uid),
        }
        self.walk.progress.settle(1, 0);
        tracing::warn!(mailbox = %self.pair.source, uid = uid.0, reason, "message set aside as {}", state.as_str());
        let exception = Exception { uid: Some(uid), state, reason, key: None };
        Ok(self.pair.ledger.record_exception(exception).await?)
    }

    /// Waits as long as the server asked for, or as long as is polite.
    async fn rest(&self, again: &[Retry]) -> Result<(), WalkError> {
        let asked = again.iter().filter_map(|retry| retry.status.as_ref()?.retry_after()).max();
        self.walk.pause_for(asked).await
    }

    fn give_up(&self, again: &[Retry]) -> WalkError {
        let status = again.iter().find_map(|retry| retry.status.clone());
        match status {
            Some(status) => WalkError::Link(LinkError {
                side: Side::Target,
                error: ImapError::Refused { command: "APPEND", status },
            }),
            None => WalkError::Mailbox("no progress was possible".to_owned()),
        }
    }
}

/// A shipment that is tried once more.
struct Retry {
    shipment: Shipment,
    wait: bool,
    status: Option<StatusLine>,
}

impl Retry {
    fn now(uids: &UidSet, flags: FlagsSent) -> Self {
        let batch = Batch { uids: uids.clone(), bytes: 0, large: false };
        Self { shipment: Shipment { batch, flags }, wait: false, status: None }
    }

    fn later(uids: &UidSet, flags: FlagsSent, status: StatusLine) -> Self {
        Self { wait: true, status: Some(status), ..Self::now(uids, flags) }
    }

    /// Fetched in the form that can stream any size.
    fn alone(mut self) -> Self {
        self.shipment.batch.large = true;
        self
    }
}

/// The next smaller set of flags to try with a message that was refused alone. Keywords first: many servers refuse
/// one without saying so. No flags at all only if the server's words blame them.
fn fewer_flags(flags: FlagsSent, status: &StatusLine) -> Option<FlagsSent> {
    let words = status.to_string().to_ascii_lowercase();
    match flags {
        FlagsSent::All if words.contains("flag") || words.contains("keyword") => Some(FlagsSent::NoKeywords),
        FlagsSent::NoKeywords if words.contains("flag") => Some(FlagsSent::None),
        _ => None,
    }
}
