//! Whose turn it is: batches in the order in which they come out, and what is held of those whose turn has not come.
//!
//! What is held is charged to the connection that brought it, also if the rest of its batch comes over another one, and
//! stays charged when that connection is no more: its room is given back when its mail is out, and not before.

use super::lane::weight_of;
use crate::bounds;
use crate::budget::Share;
use mailhaul_imap::{Completion, FetchBatch, FetchEvent};
use mailhaul_types::{Uid, UidSet};
use std::collections::{BTreeMap, VecDeque};

/// A connection that is asked for batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum By {
    /// The run's own.
    Own,
    /// A further one.
    Lane(u64),
    /// One that is no more. It is asked for nothing, and something may be held of it.
    Gone,
}

/// A batch that was asked for and has not come out whole.
struct Turn {
    batch: FetchBatch,
    by: By,
    /// What has come before its turn.
    held: VecDeque<FetchEvent>,
    /// So many octets at the beginning of what is held are not charged to `by`, but to this connection.
    early: (By, u64),
    /// Messages that a further connection has not delivered.
    left: UidSet,
    /// The message of it whose octets are coming in chunks from a further connection.
    streaming: Option<Uid>,
    /// Whether a message of it is out in part: nothing else may come out before its end.
    is_out_in_part: bool,
    /// Whether its end has come.
    is_complete: bool,
    /// Whether what a further connection has left out of it was asked for on the own one.
    is_asked_again: bool,
}

/// What becomes of a batch of which a further connection has left something out.
#[derive(Debug)]
pub(super) enum Again {
    /// This is to be asked for on the own connection.
    Ask(FetchBatch),
    /// Nothing is left of it.
    Nothing,
    /// The beginning of this message is out already, and its end is lost.
    Broken(Uid),
}

/// Batches in the order in which they come out.
#[derive(Default)]
pub(super) struct Turns {
    queue: VecDeque<Turn>,
    /// How many octets are held of whom.
    held: BTreeMap<By, u64>,
    /// Turns of which something is asked for again.
    asked_again: usize,
    /// Room of connections that are no more, for what is held of them.
    late: Vec<Share>,
}

impl Turns {
    /// Somebody was asked for this batch.
    pub(super) fn push(&mut self, batch: FetchBatch, by: By) {
        let left = if by == By::Own { UidSet::new() } else { batch.uids.clone() };
        self.queue.push_back(Turn {
            batch,
            by,
            held: VecDeque::new(),
            early: (by, 0),
            left,
            streaming: None,
            is_out_in_part: false,
            is_complete: false,
            is_asked_again: false,
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether nothing is held, and nothing has to be asked for again: what has to be has its turn before what the own
    /// connection was asked for earlier.
    pub(super) fn is_plain(&self) -> bool {
        self.asked_again == 0 && self.held.values().all(|held| *held == 0)
    }

    /// Whose turn it is.
    pub(super) fn is_next(&self, by: By) -> bool {
        self.queue.front().is_some_and(|turn| turn.by == by)
    }

    /// Whether a further connection owes anything of any batch, or holds it.
    pub(super) fn has_lanes(&self) -> bool {
        self.queue.iter().any(|turn| matches!(turn.by, By::Lane(_)))
    }

    /// The batch in front and the further connection that owes it, where nothing of it is there and the order can still do
    /// without it: what is in the middle of a message that is with the target in part cannot be taken over.
    pub(super) fn owed_by_lane(&self) -> Option<(u64, u64)> {
        let turn = self.queue.front()?;
        match turn.by {
            By::Lane(number) if turn.held.is_empty() && turn.streaming.is_none() => Some((turn.batch.id, number)),
            _ => None,
        }
    }

    /// What is held of a connection takes up so many octets.
    pub(super) fn held(&self, by: By) -> u64 {
        self.held.get(&by).copied().unwrap_or(0)
    }

    /// How many octets may still be held of it.
    pub(super) fn room(&self, by: By) -> u64 {
        bounds::HELD_BY_READER.saturating_sub(self.held(by))
    }

    /// Octets and messages of a batch.
    pub(super) fn size(&self, id: u64) -> Option<(u64, u64)> {
        let turn = self.queue.iter().find(|turn| turn.batch.id == id)?;
        Some((turn.batch.bytes_expected, turn.batch.uids.len()))
    }

    /// What came over a further connection is not left any more.
    pub(super) fn note_delivered(&mut self, id: u64, event: &FetchEvent) {
        let Some(turn) = self.queue.iter_mut().find(|turn| turn.batch.id == id) else { return };
        match event {
            FetchEvent::Message { uid, .. } => {
                turn.left.remove(*uid);
            }
            FetchEvent::LargeStart { uid, .. } => turn.streaming = Some(*uid),
            FetchEvent::LargeEnd => {
                if let Some(uid) = turn.streaming.take() {
                    turn.left.remove(uid);
                }
            }
            FetchEvent::LargeChunk(_) | FetchEvent::BatchEnd { .. } => {}
        }
    }

    /// Puts an event to the others of its batch.
    pub(super) fn hold(&mut self, id: u64, event: FetchEvent) {
        let Some(place) = self.queue.iter().position(|turn| turn.batch.id == id) else { return };
        let turn = &mut self.queue[place];
        let by = turn.by;
        *self.held.entry(by).or_default() += weight_of(&event);
        turn.is_complete |= matches!(event, FetchEvent::BatchEnd { .. });
        turn.held.push_back(event);
        let is_stuck = place > 0
            && self.queue.front().is_some_and(|front| front.held.is_empty() && front.by == by && !front.is_out_in_part);
        if is_stuck
            && self.room(by) == 0
            && let Some(turn) = self.queue.remove(place)
        {
            // The connection whose turn it is brings another batch first, and there is no room to wait with that.
            self.queue.push_front(turn);
        }
    }

    /// What is held of the batch whose turn it is.
    pub(super) fn take(&mut self) -> Option<FetchEvent> {
        let turn = self.queue.front_mut()?;
        let event = turn.held.pop_front()?;
        match event {
            FetchEvent::LargeStart { .. } => turn.is_out_in_part = true,
            FetchEvent::LargeEnd => turn.is_out_in_part = false,
            FetchEvent::Message { .. } | FetchEvent::LargeChunk(_) | FetchEvent::BatchEnd { .. } => {}
        }
        let weight = weight_of(&event);
        let charged = if turn.early.1 > 0 {
            turn.early.1 = turn.early.1.saturating_sub(weight);
            turn.early.0
        } else {
            turn.by
        };
        if let Some(held) = self.held.get_mut(&charged) {
            *held = held.saturating_sub(weight);
        }
        if charged == By::Gone {
            self.give_room_back();
        }
        if let FetchEvent::BatchEnd { .. } = event
            && let Some(turn) = self.queue.pop_front()
        {
            self.asked_again = self.asked_again.saturating_sub(usize::from(turn.is_asked_again));
        }
        Some(event)
    }

    /// A further connection has left messages of this batch out: it is the own one's from here on.
    pub(super) fn ask_again(&mut self, id: u64) -> Again {
        let Some(turn) = self.queue.iter_mut().find(|turn| turn.batch.id == id) else { return Again::Nothing };
        if let Some(uid) = turn.streaming.take() {
            let begun = turn.held.iter().rposition(|event| matches!(event, FetchEvent::LargeStart { .. }));
            let Some(begun) = begun else { return Again::Broken(uid) };
            let cut: u64 = turn.held.drain(begun..).map(|event| weight_of(&event)).sum();
            if let Some(held) = self.held.get_mut(&turn.by) {
                *held = held.saturating_sub(cut);
            }
        }
        turn.early = (turn.by, turn.weight());
        (turn.by, turn.is_asked_again) = (By::Own, true);
        self.asked_again += 1;
        if turn.left.is_empty() {
            // Everything had come.
            let end = FetchEvent::BatchEnd { batch: id, outcome: Completion::Ok, missing: UidSet::new() };
            self.hold(id, end);
            return Again::Nothing;
        }
        Again::Ask(FetchBatch { uids: turn.left.clone(), ..turn.batch.clone() })
    }

    /// A further connection is no more. Its room is kept for what is held of it. Which batches it has not ended.
    pub(super) fn lane_has_ended(&mut self, number: u64, room: Option<Share>) -> Vec<u64> {
        let mut open = Vec::new();
        let lane = By::Lane(number);
        for turn in &mut self.queue {
            if turn.early.0 == lane {
                turn.early.0 = By::Gone;
            }
            if turn.by == lane && turn.is_complete {
                (turn.by, turn.early) = (By::Own, (By::Gone, turn.weight()));
            } else if turn.by == lane {
                open.push(turn.batch.id);
                // It is asked for again, and charged to nobody who may ask for more.
                turn.by = By::Gone;
            }
        }
        let held = self.held.remove(&lane).unwrap_or(0);
        *self.held.entry(By::Gone).or_default() += held;
        self.late.extend(room);
        self.give_room_back();
        open
    }

    /// As much room as is held of connections that are no more is kept.
    fn give_room_back(&mut self) {
        let needed = self.held(By::Gone).div_ceil(bounds::HELD_BY_READER);
        self.late.truncate(usize::try_from(needed).unwrap_or(usize::MAX));
    }

    /// A batch has come out without having been held, or is nobody's any more.
    pub(super) fn remove(&mut self, id: u64) {
        self.queue.retain(|turn| turn.batch.id != id);
    }

    /// A message of which a part is out already has to come to its end before anything else.
    pub(super) fn bring_forward(&mut self, id: Option<u64>) {
        let place = self.queue.iter().position(|turn| Some(turn.batch.id) == id);
        if let Some(mut turn) = place.and_then(|place| self.queue.remove(place)) {
            turn.is_out_in_part = true;
            self.queue.push_front(turn);
        }
    }
}

impl Turn {
    /// What is held of it takes up so many octets.
    fn weight(&self) -> u64 {
        self.held.iter().map(weight_of).sum()
    }
}

#[cfg(test)]
mod tests;
