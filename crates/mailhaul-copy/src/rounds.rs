//! Sending in rounds until nothing is left that could still succeed: what was refused is halved until the culprit is
//! alone, what was not delivered is proved gone or named unreadable, and servers that ask to wait are waited for.

use crate::bodies::digest_bodies;
use crate::bounds;
use crate::error::{LinkError, WalkError, mailbox_error, on};
use crate::oversight::ServerSign;
use crate::recognise::{Turn, match_in_turn};
use crate::tail::{listed_in, present_in, target_uid_next, unclaimed};
use crate::tally::Tally;
use crate::transfer::{Aid, Context, End, FlagsSent, Outcome, Refusal, Shipment, from_mark, transfer};
use crate::walk::{Links, Pair, Target, Walk};
use mailhaul_db::{Exception, ExceptionState, Settled, Settlement};
use mailhaul_imap::{Context as Doing, ErrorClass, ImapError, StatusLine};
use mailhaul_plan::batches::{Batch, halve};
use mailhaul_plan::steps::{difference, intersection};
use mailhaul_report::StopCause;
use mailhaul_types::{Side, Uid, UidSet, escape};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Sends shipments in rounds until nothing is left that could still succeed.
pub(crate) struct Sender<'a, 'w> {
    pub(crate) walk: &'a Walk<'w>,
    pub(crate) links: &'a mut Links,
    pub(crate) pair: &'a Pair<'a>,
    tally: &'a mut Tally,
    pub(crate) target: &'a mut Target,
    aid: &'a Aid<'a>,
    /// UIDs of the target from its mark on that belong to settled messages.
    claimed: UidSet,
    /// Whether `claimed` also holds what the ledger knew before.
    claims_loaded: bool,
    /// The large messages, each of which travels alone, with the octets that the source has announced.
    announced: BTreeMap<Uid, u64>,
    /// How often a message was asked for, or offered, in vain.
    tries: BTreeMap<Uid, u32>,
    /// Whether the target mailbox had to be created because it was not there any more.
    recreated: bool,
    /// The message that is on its way alone.
    alone: Option<Uid>,
    /// Octets that had been moved before it.
    moved: u64,
}

impl<'a, 'w> Sender<'a, 'w> {
    pub(crate) fn new(
        walk: &'a Walk<'w>,
        links: &'a mut Links,
        pair: &'a Pair<'a>,
        tally: &'a mut Tally,
        target: &'a mut Target,
        aid: &'a Aid<'a>,
    ) -> Self {
        Self {
            walk,
            links,
            pair,
            tally,
            target,
            aid,
            claimed: UidSet::new(),
            claims_loaded: false,
            announced: BTreeMap::new(),
            tries: BTreeMap::new(),
            recreated: false,
            alone: None,
            moved: 0,
        }
    }

    pub(crate) async fn send(mut self, shipments: Vec<Shipment>) -> Result<(), WalkError> {
        let large = shipments.iter().filter(|shipment| shipment.batch.large);
        self.announced = large.filter_map(|large| Some((large.batch.uids.first()?, large.batch.bytes))).collect();
        let (waiting, others) = self.in_turn(shipments);
        self.send_in_rounds(others).await?;
        self.ask_for_another().await?;
        self.settle_with(waiting).await?;
        self.come_back().await
    }

    /// Those with which connections were lost, each alone, and before them all others, the first of them one by one if
    /// it has to be found out with which.
    fn in_turn(&self, shipments: Vec<Shipment>) -> (Vec<Shipment>, Vec<Shipment>) {
        let suspects = &self.tally.suspects;
        let (mut waiting, mut others, mut singly) = (Vec::new(), Vec::new(), 0);
        for shipment in shipments {
            let whole = !shipment.batch.uids.iter().any(|uid| suspects.waits(uid));
            if whole && (!suspects.one_by_one() || singly >= bounds::ONE_BY_ONE) {
                others.push(shipment);
                continue;
            }
            singly += shipment.batch.uids.len();
            for uid in shipment.batch.uids.iter() {
                let pile = if suspects.waits(uid) { &mut waiting } else { &mut others };
                pile.push(shipment.only(uid));
            }
        }
        (waiting, others)
    }

    /// Where no other has come through: asks the source for a message that it has handed out before, and does nothing with
    /// it. Whether it comes tells a spoilt message from a source in trouble.
    async fn ask_for_another(&mut self) -> Result<(), WalkError> {
        if !self.tally.suspects.wants_another(Side::Source) {
            return Ok(());
        }
        let readable = intersection(&self.tally.settled(), &self.tally.listed);
        let Some(uid) = readable.iter().find(|uid| !self.tally.suspects.waits(*uid)) else { return Ok(()) };
        let another: UidSet = [uid].into_iter().collect();
        let read = digest_bodies(&mut self.links.source, &another, |_| (), |(), _| ());
        if read.await.map_err(on(Side::Source))?.digests.contains_key(&uid) {
            self.tally.suspects.hands_out_another(Side::Source);
        }
        Ok(())
    }

    /// The others have been sent: what connections were lost with is tried once more behind them, and set aside if they came
    /// through. With no other message that does, nobody can tell a message from a server in trouble.
    async fn settle_with(&mut self, waiting: Vec<Shipment>) -> Result<(), WalkError> {
        for shipment in waiting {
            let Some(uid) = shipment.batch.uids.first() else { continue };
            let suspects = &self.tally.suspects;
            let Some(loss) = suspects.proved(uid).or_else(|| suspects.given_up(uid)) else {
                self.send_in_rounds(vec![shipment]).await?;
                continue;
            };
            let reason = loss.reason();
            // Several in a row, and none behind them: a server that drops everything for a while looks the same.
            let may_be_the_server = self.tally.copied.is_empty() || !suspects.is_the_only_one();
            if may_be_the_server && !loss.is_the_message() {
                return Err(WalkError::Mailbox(format!("UID {}: {reason}", uid.0)));
            }
            let state = match loss.side {
                Side::Source => ExceptionState::Unreadable,
                Side::Target => ExceptionState::Refused,
            };
            self.set_aside(uid, state, reason).await?;
        }
        Ok(())
    }

    async fn send_in_rounds(&mut self, shipments: Vec<Shipment>) -> Result<(), WalkError> {
        let mut round = shipments;
        let mut patience = bounds::ROUNDS_WITHOUT_PROGRESS;
        while !round.is_empty() {
            let settled_before = self.tally.copied.len();
            let named = self.links.target.capabilities().uidplus();
            let mut again = Vec::new();
            let mut rest = &round[..];
            while !rest.is_empty() {
                let width = if named { rest.len() } else { rest.len().min(bounds::UNNAMED_SLICE) };
                let width = self.width_of_trial(rest).unwrap_or(width).min(width);
                let width = if self.tally.suspects.one_by_one() { width_of_one(rest).unwrap_or(width) } else { width };
                let begun = self.send_slice(&rest[..width], &mut again).await?;
                rest = &rest[begun..];
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
            if let Some(doubt) = again.iter().find_map(|retry| retry.refusal.clone().filter(is_doubtful)) {
                // What was refused may have been stored since.
                self.insist_on_unstored(doubt, 0).await?;
            }
            round = again.into_iter().map(|retry| self.weighed(retry.shipment)).collect();
        }
        Ok(())
    }

    /// A shipment that is tried once more, with what its large messages weigh: the bound for what a server may send goes
    /// by that.
    fn weighed(&self, mut shipment: Shipment) -> Shipment {
        shipment.batch.bytes = shipment.batch.uids.iter().filter_map(|uid| self.announced.get(&uid)).sum();
        shipment
    }

    /// One transfer with everything that follows from it. Adds what is to be tried again; returns how many of the
    /// shipments were begun, which is at least one.
    async fn send_slice(&mut self, slice: &[Shipment], again: &mut Vec<Retry>) -> Result<usize, WalkError> {
        self.alone = alone(slice);
        let unselected = self.take_better_form(slice).await?;
        self.moved = self.walk.progress.snapshot().bytes_moved;
        let copied = self.tally.copied.len();
        let tally = Mutex::new(std::mem::take(self.tally));
        let on_settled = |settled: &[Settled], bytes: u64| {
            tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner).settle(settled, bytes);
        };
        let context = Context {
            target_mailbox: self.pair.target,
            target_uid_validity: self.target.uid_validity,
            target_mark: self.target.mark,
            claimed: &self.claimed,
            ledger: self.pair.ledger,
            lease: self.walk.lease,
            supervisor: &self.walk.supervisor,
            keys: &self.walk.keys,
            filter: &self.target.filter,
            progress: self.walk.progress,
            stop: self.walk.stop,
            aid: self.aid,
            ahead: &self.walk.sources.budgets.ahead,
            on_settled: &on_settled,
            unselected,
        };
        let mut outcome = transfer(&mut self.links.source, &mut self.links.target, slice, &context).await;
        *self.tally = tally.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.target.mark = outcome.target_mark;
        self.claimed.clone_from(&outcome.claimed);
        self.tally.undated += outcome.undated;
        self.tally.without_own_copy += outcome.merged;
        self.walk.learning.transferred(outcome.took, outcome.waited_for_source);
        let looked_back = self.look_back(unselected, &outcome, self.tally.copied.len() - copied).await;
        let begun = outcome.begun.max(1);
        // What cannot be asked of the target any more, the next pass finds out.
        outcome.target_spoilt |= looked_back.is_err();
        let followed_up = match (&outcome.end, looked_back) {
            (End::Finished, Err(error)) => Err(error),
            // A ledger that is full, a stop, the loss of the source: that is what the pass ends with.
            _ => self.follow_up(outcome, again).await,
        };
        // Where the target names nothing, it is known only now.
        if self.tally.copied.len() > copied {
            self.tally.suspects.others_came_through();
        }
        followed_up.map(|()| begun)
    }

    async fn follow_up(&mut self, mut outcome: Outcome, again: &mut Vec<Retry>) -> Result<(), WalkError> {
        let unnamed = std::mem::take(&mut outcome.stored_without_uids);
        let doubt = outcome.refused.iter().map(|refusal| refused_append(&refusal.status)).find(is_doubtful);
        let finished = matches!(outcome.end, End::Finished) && outcome.unanswered == 0 && !outcome.target_spoilt;
        if let (Some(doubt), true) = (&doubt, finished) {
            // Before anything else: settling what was stored without a name would move the mark over it.
            self.insist_on_unstored(doubt.clone(), unnamed.len() as u64).await?;
        }
        if !unnamed.is_empty() && !outcome.target_spoilt {
            self.settle_unnamed(unnamed, outcome.stored_bytes_without_uids).await?;
        }
        for (uid, octets, limit) in std::mem::take(&mut outcome.too_large) {
            let reason = format!("its {octets} octets are more than the target takes (APPENDLIMIT {limit})");
            self.set_aside(uid, ExceptionState::Refused, reason).await?;
        }
        if outcome.unanswered == 0 && !outcome.target_spoilt && (doubt.is_none() || finished) {
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
            End::Lost(link) => {
                if let Some(uid) = self.alone {
                    let moved = self.walk.progress.snapshot().bytes_moved.saturating_sub(self.moved);
                    self.tally.suspects.blame(uid, &link, moved);
                }
                return Err(WalkError::Link(link));
            }
            End::Ledger(error) => return Err(WalkError::Ledger(error)),
        }
        if let Some(refusal) = outcome.refused.iter().find(|refusal| says_absent(&refusal.status)) {
            self.recreate(&refusal.status).await?;
        }
        for refusal in outcome.refused {
            self.judge_refusal(refusal, again).await?;
        }
        for (uids, status) in outcome.unfetched {
            self.judge_unfetched(&uids, &status, again).await?;
        }
        if !outcome.missing.is_empty() {
            self.judge_missing(&outcome.missing, again).await?;
        }
        if let Some(status) = outcome.throttled {
            self.walk.supervisor.sign(Side::Target, ServerSign::Throttled(status.retry_after()));
            if self.walk.supervisor.waits_out_throttles() {
                self.walk.pause_for(status.retry_after()).await?;
            }
        }
        Ok(())
    }

    /// A server in trouble may refuse a message and store it all the same. If the target has given out more UIDs
    /// than there are stored messages without one, nothing is offered again before the tail has been read: the pass
    /// ends as if the connection had been lost.
    async fn insist_on_unstored(&mut self, doubt: LinkError, unnamed: u64) -> Result<(), WalkError> {
        let uid_next = target_uid_next(self.links, self.pair.target, self.target.mark).await?;
        if self.unaccounted(uid_next).await?.len() > unnamed { Err(WalkError::Link(doubt)) } else { Ok(()) }
    }

    /// The UIDs below `uid_next` that neither the mark nor a settled message accounts for.
    async fn unaccounted(&mut self, uid_next: Uid) -> Result<UidSet, WalkError> {
        if !self.claims_loaded {
            // Once: what is claimed later is remembered here. The ledger of a large mailbox takes its time.
            let known = self.pair.ledger.load().await?.claimed_targets;
            self.claimed.extend_ranges(&from_mark(&known, self.target.mark));
            self.claims_loaded = true;
        }
        Ok(unclaimed(self.target.mark, uid_next, &self.claimed))
    }

    /// The mailbox was there when it was opened, and by the target's words it is there no more. If nothing of ours
    /// went with it, it is created, once; otherwise its owner may not want it any more.
    async fn recreate(&mut self, status: &StatusLine) -> Result<(), WalkError> {
        let words = escape(&status.to_string());
        let before = self.tally.before.as_ref().map_or(0, UidSet::len);
        let settled = before + self.tally.copied.len() + self.tally.adopted.len();
        if settled > 0 {
            return Err(WalkError::MailboxDecision(format!(
                "the target mailbox has vanished (\"{words}\"), and with it {settled} messages that were on it; it was \
                 not created again. If that is what its owner wants, leave it out; to copy everything again, use a \
                 new --state file"
            )));
        }
        if std::mem::replace(&mut self.recreated, true) {
            return Err(WalkError::Mailbox(format!("the target refuses mail for it, also once created: \"{words}\"")));
        }
        let Links { target, .. } = &mut *self.links;
        target.create(self.pair.target).await.map_err(|error| mailbox_error(Side::Target, error))?;
        let opened = target.select(self.pair.target).await.map_err(|error| mailbox_error(Side::Target, error))?;
        let (Some(uid_validity), Some(uid_next), 0) = (opened.uid_validity, opened.uid_next, opened.exists) else {
            // Something is in it already: the next pass reads that first.
            return Err(WalkError::Link(refused_append(status)));
        };
        self.pair.ledger.void_target_uids(uid_validity, uid_next).await?;
        (self.target.uid_validity, self.target.mark) = (uid_validity, uid_next);
        self.claimed = UidSet::new();
        Ok(())
    }

    /// The target stored messages without naming their UIDs. If exactly so many UIDs were given out as messages were
    /// stored, they are these, in the order of transmission; otherwise somebody else wrote too, and the tail is read.
    async fn settle_unnamed(&mut self, mut stored: Vec<Settled>, bytes: u64) -> Result<(), WalkError> {
        let mark = self.target.mark;
        let uid_next = target_uid_next(self.links, self.pair.target, mark).await?;
        let tail = self.unaccounted(uid_next).await?;
        if tail.len() == stored.len() as u64 {
            for (message, uid) in stored.iter_mut().zip(tail.iter()) {
                message.target_uid = Some(uid);
            }
        } else {
            let ours: UidSet = stored.iter().map(|message| message.source_uid).collect();
            let Links { source, target } = &mut *self.links;
            let present = present_in(target, &tail).await?;
            // Stored they are in any case: what is not recognised has no UID, and is not sent again.
            let with = self.walk.recognition(self.pair.source.text(), self.pair.drafts);
            let read = match_in_turn(source, target, with, &present, &[Turn::sent(&ours)]).await?.found;
            let named = read.iter().map(|matched| (matched.settled.source_uid, matched.settled.target_uid));
            let found: BTreeMap<Uid, Option<Uid>> = named.collect();
            for message in &mut stored {
                message.target_uid = found.get(&message.source_uid).copied().flatten();
            }
        }
        let shared = stored.iter().filter(|message| message.target_uid.is_none()).count() as u64;
        self.tally.without_own_copy += shared;
        self.tally.settle(&stored, bytes);
        let settlement = Settlement { messages: stored, target_mark: Some(uid_next), clear_sent: false };
        self.pair.ledger.settle(settlement).await?;
        self.target.mark = uid_next;
        self.claimed = from_mark(&self.claimed, uid_next);
        Ok(())
    }

    async fn judge_refusal(&mut self, refusal: Refusal, again: &mut Vec<Retry>) -> Result<(), WalkError> {
        let Refusal { uids, flags, status, .. } = &refusal;
        let (flags, words) = (*flags, escape(&status.to_string()));
        let because = || refused_append(status);
        match status.class(Doing::Append) {
            ErrorClass::Quota => {
                return Err(WalkError::Decision {
                    cause: StopCause::Quota,
                    reason: format!("the target is full: it answered \"{words}\" to a copy into {}", self.pair.target),
                    hint: "make room or raise the quota on the target; the same command then goes on".to_owned(),
                });
            }
            ErrorClass::Throttle => again.push(Retry::later(uids, flags, because())),
            ErrorClass::Server if self.try_again(uids) => again.push(Retry::later(uids, flags, because())),
            ErrorClass::Mailbox if says_absent(status) => again.push(Retry::now(uids, flags)),
            ErrorClass::Mailbox => {
                return Err(WalkError::Mailbox(format!("the target refuses mail for it: \"{words}\"")));
            }
            ErrorClass::SignIn => return Err(on(Side::Target)(ImapError::SignIn { status: status.clone() })),
            _ => match halve(uids) {
                Some((lower, upper)) => {
                    again.push(Retry::now(&lower, flags).because(because()));
                    again.push(Retry::now(&upper, flags).because(because()));
                }
                None => match fewer_flags(&refusal) {
                    Some(fewer) => again.push(Retry::now(uids, fewer).because(because())),
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
        let refused = ImapError::Refused { command: "UID FETCH", status: status.clone() };
        let because = LinkError::new(Side::Source, refused);
        if status.class(Doing::Fetch) == ErrorClass::Throttle {
            again.push(Retry::later(uids, FlagsSent::All, because));
        } else if let Some((lower, upper)) = halve(uids) {
            again.push(Retry::now(&lower, FlagsSent::All));
            again.push(Retry::now(&upper, FlagsSent::All));
        } else if self.try_again(uids) {
            again.push(Retry::later(uids, FlagsSent::All, because).alone());
        } else {
            for uid in uids.iter() {
                self.set_aside(uid, ExceptionState::Unreadable, escape(&status.to_string())).await?;
            }
        }
        Ok(())
    }

    /// Answered OK and not delivered. *Gone* needs the server's word that the UID does not exist, and that in two
    /// ways, since one of them may fall short. A message that either still finds is asked for alone, in the form that
    /// streams any size, and is unreadable if that fails as well.
    async fn judge_missing(&mut self, missing: &UidSet, again: &mut Vec<Retry>) -> Result<(), WalkError> {
        let source = &mut self.links.source;
        let mut present = match source.uid_search_present(missing).await {
            Ok(found) => found,
            // No word is not the word that nothing is there.
            Err(error) if error.leaves_connection_usable() => missing.clone(),
            Err(error) => return Err(on(Side::Source)(error)),
        };
        match listed_in(source, Side::Source, missing).await {
            Ok(listed) => present.extend_ranges(&listed),
            Err(WalkError::Link(LinkError { error, .. })) if error.leaves_connection_usable() => {
                present.extend_ranges(missing);
            }
            Err(error) => return Err(error),
        }
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
        let mut refusals = again.iter().filter_map(|retry| retry.refusal.as_ref());
        if let Some(throttled) = refusals.find(|refusal| refusal.error.class() == ErrorClass::Throttle)
            && !self.walk.supervisor.waits_out_throttles()
        {
            return Err(WalkError::Link(throttled.clone()));
        }
        let asked = again.iter().filter_map(|retry| retry.refusal.as_ref()?.error.retry_after()).max();
        self.walk.pause_for(asked).await
    }

    fn give_up(&self, again: &[Retry]) -> WalkError {
        match again.iter().filter(|retry| retry.wait).find_map(|retry| retry.refusal.clone()) {
            Some(refusal) => WalkError::Link(refusal),
            None => WalkError::Mailbox("no progress was possible".to_owned()),
        }
    }
}

/// The message that this is, if it is one.
fn alone(slice: &[Shipment]) -> Option<Uid> {
    match slice {
        [Shipment { batch, .. }] if batch.uids.len() == 1 => batch.uids.first(),
        _ => None,
    }
}

/// One, if the first of these is one message.
fn width_of_one(rest: &[Shipment]) -> Option<usize> {
    alone(rest.get(..1)?).map(|_| 1)
}

/// A shipment that is tried once more.
struct Retry {
    shipment: Shipment,
    wait: bool,
    /// What was said when it was tried before, and by whom.
    refusal: Option<LinkError>,
}

impl Retry {
    fn now(uids: &UidSet, flags: FlagsSent) -> Self {
        let batch = Batch { uids: uids.clone(), bytes: 0, large: false };
        Self { shipment: Shipment { batch, flags }, wait: false, refusal: None }
    }

    fn later(uids: &UidSet, flags: FlagsSent, refusal: LinkError) -> Self {
        Self { wait: true, ..Self::now(uids, flags).because(refusal) }
    }

    fn because(mut self, refusal: LinkError) -> Self {
        self.refusal = Some(refusal);
        self
    }

    /// Fetched in the form that can stream any size.
    fn alone(mut self) -> Self {
        self.shipment.batch.large = true;
        self
    }
}

fn refused_append(status: &StatusLine) -> LinkError {
    LinkError::new(Side::Target, ImapError::Refused { command: "APPEND", status: status.clone() })
}

/// Whether a refusal leaves open what became of the message: the target is in trouble of its own. A plain "no" to a
/// message is none of these.
fn is_doubtful(refusal: &LinkError) -> bool {
    refusal.side == Side::Target && refusal.error.class() == ErrorClass::Server
}

/// Whether the target says that there is no such mailbox (RFC 9051 §6.3.12, RFC 5530).
pub(crate) fn says_absent(status: &StatusLine) -> bool {
    status.code_name().is_some_and(|code| code == "TRYCREATE" || code == "NONEXISTENT")
}

/// The next smaller set of flags to try with a message that was refused alone. Without its keywords in any case: many
/// servers refuse one without saying so. No flags at all only if the server's words blame them.
fn fewer_flags(refusal: &Refusal) -> Option<FlagsSent> {
    let blamed = || refusal.status.to_string().to_ascii_lowercase().contains("flag");
    match refusal.flags {
        FlagsSent::All if refusal.keywords => Some(FlagsSent::NoKeywords),
        FlagsSent::All | FlagsSent::NoKeywords if refusal.flagged && blamed() => Some(FlagsSent::None),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailhaul_imap::Status;

    fn refusal(flags: FlagsSent, keywords: bool, flagged: bool, text: &str) -> Refusal {
        let status = StatusLine { status: Status::No, code: None, text: text.to_owned() };
        Refusal { uids: UidSet::new(), flags, keywords, flagged, status }
    }

    #[test]
    fn keywords_are_left_off_without_a_word_and_the_other_flags_only_if_they_are_blamed() {
        let cases = [
            (FlagsSent::All, true, true, "APPEND failed", Some(FlagsSent::NoKeywords)),
            (FlagsSent::All, false, true, "APPEND failed", None),
            (FlagsSent::All, false, true, "Invalid system flag", Some(FlagsSent::None)),
            (FlagsSent::All, false, false, "Invalid system flag", None),
            (FlagsSent::NoKeywords, false, true, "APPEND failed", None),
            (FlagsSent::NoKeywords, false, true, "bad flag", Some(FlagsSent::None)),
            (FlagsSent::None, false, false, "bad flag", None),
        ];
        for (flags, keywords, flagged, text, expected) in cases {
            assert_eq!(fewer_flags(&refusal(flags, keywords, flagged, text)), expected, "{flags:?} {text}");
        }
    }

    #[test]
    fn a_refused_fetch_is_not_blamed_on_the_target() {
        let status = StatusLine { status: Status::No, code: Some("OVERQUOTA".to_owned()), text: "daily".to_owned() };
        let error = ImapError::Refused { command: "UID FETCH", status: status.clone() };
        assert_eq!(error.class(), ErrorClass::Throttle);
        assert_eq!(refused_append(&status).error.class(), ErrorClass::Quota);
    }
}
