//! Sending in rounds until nothing is left that could still succeed: what was refused is halved until the culprit is
//! alone, what was not delivered is proved gone or named unreadable, and servers that ask to wait are waited for.

use crate::account::Walk;
use crate::bounds;
use crate::error::{LinkError, WalkError, on};
use crate::pass::{Links, Pair, Target, target_uid_next};
use crate::tail::{match_tail, present_in, unclaimed};
use crate::tally::Tally;
use crate::transfer::{Context, End, FlagsSent, Outcome, Refusal, Shipment, transfer};
use mailhaul_db::{Exception, ExceptionState, Settled, Settlement};
use mailhaul_imap::{Context as Doing, ErrorClass, ImapError, StatusLine};
use mailhaul_plan::batches::{Batch, halve};
use mailhaul_plan::steps::{difference, intersection};
use mailhaul_types::{Side, Uid, UidSet, escape};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Sends shipments in rounds until nothing is left that could still succeed.
pub(crate) struct Sender<'a, 'w> {
    walk: &'a Walk<'w>,
    links: &'a mut Links,
    pair: &'a Pair<'a>,
    tally: &'a mut Tally,
    target: &'a mut Target,
    /// How often a message was asked for alone and not delivered.
    tries: BTreeMap<Uid, u32>,
}

impl<'a, 'w> Sender<'a, 'w> {
    pub(crate) fn new(
        walk: &'a Walk<'w>,
        links: &'a mut Links,
        pair: &'a Pair<'a>,
        tally: &'a mut Tally,
        target: &'a mut Target,
    ) -> Self {
        Self { walk, links, pair, tally, target, tries: BTreeMap::new() }
    }

    pub(crate) async fn send(mut self, shipments: Vec<Shipment>) -> Result<(), WalkError> {
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
