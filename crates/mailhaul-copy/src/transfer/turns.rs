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
        let is_stuck = place > 0 && self.queue.front().is_some_and(|front| front.held.is_empty() && front.by == by);
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
        if let Some(turn) = place.and_then(|place| self.queue.remove(place)) {
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
mod tests {
    use super::*;
    use crate::budget::ByteBudget;
    use bytes::Bytes;
    use mailhaul_types::Flags;
    use std::sync::Arc;

    const MIB: usize = 1 << 20;

    /// Two messages: ten times the number of the batch, and the next.
    fn batch(id: u64) -> FetchBatch {
        FetchBatch { id, uids: uids(id).into_iter().collect(), bytes_expected: 2, large: false, octets_max: 1 << 30 }
    }

    fn uids(id: u64) -> [Uid; 2] {
        let first = u32::try_from(id).expect("small") * 10;
        [Uid(first), Uid(first + 1)]
    }

    fn message(id: u64, nth: usize, octets: usize) -> FetchEvent {
        let body = Bytes::from(vec![b'x'; octets]);
        FetchEvent::Message { batch: id, uid: uids(id)[nth], flags: Flags::default(), date: None, body }
    }

    fn end(id: u64) -> FetchEvent {
        FetchEvent::BatchEnd { batch: id, outcome: Completion::Ok, missing: UidSet::new() }
    }

    fn come(turns: &mut Turns, id: u64, event: FetchEvent) {
        turns.note_delivered(id, &event);
        turns.hold(id, event);
    }

    fn whole(turns: &mut Turns, id: u64) {
        for event in [message(id, 0, 1), message(id, 1, 1), end(id)] {
            come(turns, id, event);
        }
    }

    /// What can come out now, by UID; an end is the number of its batch.
    fn out(turns: &mut Turns) -> Vec<u64> {
        std::iter::from_fn(|| turns.take())
            .map(|event| match event {
                FetchEvent::Message { uid, .. } | FetchEvent::LargeStart { uid, .. } => u64::from(uid.0),
                FetchEvent::BatchEnd { batch, .. } => batch,
                FetchEvent::LargeChunk(_) | FetchEvent::LargeEnd => 0,
            })
            .collect()
    }

    fn turns(order: &[(u64, By)]) -> Turns {
        let mut turns = Turns::default();
        order.iter().for_each(|(id, by)| turns.push(batch(*id), *by));
        turns
    }

    #[test]
    fn whatever_comes_first_comes_out_in_the_order_in_which_it_was_asked_for() {
        let mut turns = turns(&[(1, By::Own), (2, By::Lane(1)), (3, By::Lane(2)), (4, By::Own)]);
        whole(&mut turns, 3);
        assert!(out(&mut turns).is_empty());
        come(&mut turns, 1, message(1, 0, 1));
        assert_eq!(out(&mut turns), [10], "what is next is not waited with");
        whole(&mut turns, 2);
        come(&mut turns, 1, message(1, 1, 1));
        come(&mut turns, 1, end(1));
        assert_eq!(out(&mut turns), [11, 1, 20, 21, 2, 30, 31, 3]);
        whole(&mut turns, 4);
        assert_eq!(out(&mut turns), [40, 41, 4]);
        assert!(turns.is_empty() && turns.is_plain());
    }

    #[test]
    fn what_a_lost_connection_has_delivered_counts_and_the_rest_is_asked_for_in_its_place() {
        let mut turns = turns(&[(1, By::Lane(1)), (2, By::Own), (3, By::Lane(1)), (4, By::Lane(1))]);
        come(&mut turns, 1, message(1, 1, 1));
        whole(&mut turns, 3);
        whole(&mut turns, 2);
        assert_eq!(out(&mut turns), [11]);
        let open = turns.lane_has_ended(1, None);
        assert_eq!(open, [1, 4]);
        assert!(!turns.has_lanes());
        for (id, left) in [(1, vec![Uid(10)]), (4, vec![Uid(40), Uid(41)])] {
            let Again::Ask(asked) = turns.ask_again(id) else { panic!("{id} is not whole") };
            assert_eq!((asked.id, asked.uids), (id, left.into_iter().collect()));
        }
        assert!(out(&mut turns).is_empty() && !turns.is_plain(), "nothing overtakes what is asked for again");
        come(&mut turns, 1, message(1, 0, 1));
        come(&mut turns, 1, end(1));
        assert_eq!(out(&mut turns), [10, 1, 20, 21, 2, 30, 31, 3]);
        whole(&mut turns, 4);
        assert_eq!(out(&mut turns), [40, 41, 4]);
        assert!(turns.is_plain());
    }

    #[test]
    fn a_batch_of_which_everything_has_come_before_the_loss_is_not_asked_for_again() {
        let mut turns = turns(&[(1, By::Lane(1))]);
        come(&mut turns, 1, message(1, 0, 1));
        come(&mut turns, 1, message(1, 1, 1));
        assert_eq!(turns.lane_has_ended(1, None), [1]);
        assert!(matches!(turns.ask_again(1), Again::Nothing));
        assert_eq!(out(&mut turns), [10, 11, 1]);
        assert!(turns.is_plain());
    }

    #[test]
    fn a_large_message_that_has_only_begun_is_asked_for_again_and_one_that_is_out_in_part_is_lost() {
        let start =
            || FetchEvent::LargeStart { batch: 2, uid: Uid(20), flags: Flags::default(), date: None, octets: 9 };
        let chunk = || FetchEvent::LargeChunk(Bytes::from_static(b"four"));
        let mut held = turns(&[(1, By::Own), (2, By::Lane(1))]);
        let mut begun = turns(&[(2, By::Lane(1))]);
        for turns in [&mut held, &mut begun] {
            come(turns, 2, start());
            come(turns, 2, chunk());
        }
        assert_eq!(out(&mut begun), [20, 0]);
        assert_eq!(held.lane_has_ended(1, None), [2]);
        let Again::Ask(asked) = held.ask_again(2) else { panic!("nothing of it is out") };
        assert_eq!(asked.uids, uids(2).into_iter().collect());
        assert!(held.held(By::Gone) == 0, "what is cut off is not held");
        assert_eq!(begun.lane_has_ended(1, None), [2]);
        assert!(matches!(begun.ask_again(2), Again::Broken(Uid(20))));
    }

    #[test]
    fn the_order_gives_way_only_where_the_own_connection_has_no_room_left_for_what_it_brings() {
        let mut turns = turns(&[(1, By::Lane(1)), (2, By::Own), (3, By::Own)]);
        turns.lane_has_ended(1, None);
        assert!(matches!(turns.ask_again(1), Again::Ask(_)));
        for nth in 0..2 {
            come(&mut turns, 2, message(2, nth, 2 * MIB));
        }
        assert!(out(&mut turns).is_empty());
        come(&mut turns, 3, message(3, 0, 2 * MIB));
        assert_eq!(out(&mut turns), [30]);
    }

    #[test]
    fn room_is_given_back_when_what_is_held_of_a_lost_connection_is_out_and_gives_nobody_more() {
        let budget = Arc::new(ByteBudget::new(bounds::HELD_BY_ACCOUNT));
        let is_taken = |octets: u64| budget.take(bounds::HELD_BY_ACCOUNT - octets + 1).is_none();
        let mut turns = turns(&[(1, By::Own)]);
        let own = budget.take(bounds::HELD_BY_READER).expect("room");
        for number in 2..=4 {
            let room = budget.take(bounds::HELD_BY_READER).expect("room");
            turns.push(batch(number), By::Lane(number));
            for nth in 0..2 {
                come(&mut turns, number, message(number, nth, 3 * MIB - 1_000));
            }
            come(&mut turns, number, end(number));
            turns.lane_has_ended(number, Some(room));
            assert!(is_taken(bounds::HELD_BY_READER * number), "what is held is still held after {number}");
        }
        assert!(budget.take(bounds::HELD_BY_READER).is_none(), "there is no room for another connection");
        assert_eq!(turns.room(By::Own), bounds::HELD_BY_READER, "the own one may hold as much as ever");
        whole(&mut turns, 1);
        assert_eq!(out(&mut turns).len(), 12);
        assert!(turns.is_plain());
        drop(own);
        assert!(budget.take(bounds::HELD_BY_ACCOUNT).is_some(), "everything is given back");
    }

    #[test]
    fn what_a_connection_has_left_short_stays_charged_to_it() {
        let mut turns = turns(&[(1, By::Own), (2, By::Lane(1))]);
        come(&mut turns, 2, message(2, 0, MIB));
        let before = (turns.room(By::Own), turns.room(By::Lane(1)));
        assert!(matches!(turns.ask_again(2), Again::Ask(_)));
        assert_eq!((turns.room(By::Own), turns.room(By::Lane(1))), before);
        come(&mut turns, 2, message(2, 1, MIB));
        come(&mut turns, 2, end(2));
        assert!(turns.room(By::Own) < before.0 && turns.room(By::Lane(1)) == before.1);
        whole(&mut turns, 1);
        assert_eq!(out(&mut turns), [10, 11, 1, 20, 21, 2]);
        assert_eq!((turns.room(By::Own), turns.room(By::Lane(1))), (bounds::HELD_BY_READER, bounds::HELD_BY_READER));
    }
}
