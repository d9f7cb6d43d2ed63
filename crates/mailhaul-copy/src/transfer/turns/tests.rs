//! Turns by hand, and turns of connections that do whatever they like.

use super::*;
use crate::budget::ByteBudget;
use bytes::Bytes;
use mailhaul_testing::histories::Dice;
use mailhaul_types::Flags;
use std::collections::BTreeSet;
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
    let start = || FetchEvent::LargeStart { batch: 2, uid: Uid(20), flags: Flags::default(), date: None, octets: 9 };
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

/// What a connection still has to say, in the order of what it was asked for.
type Script = VecDeque<(u64, FetchEvent)>;

/// Connections that answer as they like: late, in part, or not at all any more.
struct Play {
    dice: Dice,
    turns: Turns,
    /// The own one's, then those of the further ones; none for one that is lost.
    scripts: Vec<Option<Script>>,
    /// Every message, and half of every large one.
    body: Bytes,
    asked: Vec<u64>,
    out: Vec<u64>,
    /// The message that has begun to come out and has not ended.
    begun: Option<Uid>,
}

impl Play {
    fn new(seed: u64) -> Play {
        let mut dice = Dice::of(seed);
        let body = Bytes::from(vec![b'x'; dice.one_of(&[1, 1, MIB, 2 * MIB])]);
        let scripts: Vec<_> = (0..2 + dice.below(3)).map(|_| Some(Script::new())).collect();
        let mut play =
            Play { dice, turns: Turns::default(), scripts, body, asked: Vec::new(), out: Vec::new(), begun: None };
        for id in 1..=12 {
            let place = play.dice.below(play.scripts.len());
            play.turns.push(batch(id), if place == 0 { By::Own } else { By::Lane(place as u64) });
            play.asked.extend(uids(id).map(|uid| u64::from(uid.0)));
            play.ask(place, &batch(id), 5);
        }
        play
    }

    /// One in so many messages is left out.
    fn ask(&mut self, place: usize, batch: &FetchBatch, left_out: usize) {
        let (id, body) = (batch.id, self.body.clone());
        let mut missing = UidSet::new();
        for uid in batch.uids.iter() {
            let events = match self.dice.below(4) {
                _ if place > 0 && self.dice.once_in(left_out) => {
                    missing.insert(uid);
                    Vec::new()
                }
                0 => vec![
                    FetchEvent::LargeStart { batch: id, uid, flags: Flags::default(), date: None, octets: 2 },
                    FetchEvent::LargeChunk(body.clone()),
                    FetchEvent::LargeChunk(body.clone()),
                    FetchEvent::LargeEnd,
                ],
                _ => vec![FetchEvent::Message {
                    batch: id,
                    uid,
                    flags: Flags::default(),
                    date: None,
                    body: body.clone(),
                }],
            };
            let script = self.scripts[place].as_mut().expect("only those are asked that are there");
            script.extend(events.into_iter().map(|event| (id, event)));
        }
        let end = FetchEvent::BatchEnd { batch: id, outcome: Completion::Ok, missing };
        self.scripts[place].as_mut().expect("it is there").push_back((id, end));
    }

    fn by(place: usize) -> By {
        if place == 0 { By::Own } else { By::Lane(place as u64) }
    }

    /// Lets one connection say one thing, or be lost. Whether it may.
    fn go_on(&mut self, place: usize) -> Result<bool, Uid> {
        let by = Play::by(place);
        if place > 0 && self.scripts[place].is_some() && self.dice.once_in(30) {
            self.scripts[place] = None;
            let open = self.turns.lane_has_ended(place as u64, None);
            return open.into_iter().try_for_each(|id| self.ask_again(id)).map(|()| true);
        }
        let may = self.turns.is_next(by) || self.turns.room(by) > 0;
        let said = self.scripts[place].as_mut().filter(|_| may).and_then(VecDeque::pop_front);
        let Some((id, event)) = said else { return Ok(false) };
        if place > 0 {
            self.turns.note_delivered(id, &event);
        }
        match &event {
            FetchEvent::BatchEnd { missing, .. } if !missing.is_empty() => self.ask_again(id)?,
            _ => self.turns.hold(id, event),
        }
        Ok(true)
    }

    fn ask_again(&mut self, id: u64) -> Result<(), Uid> {
        match self.turns.ask_again(id) {
            Again::Ask(batch) => self.ask(0, &batch, usize::MAX),
            Again::Nothing => {}
            Again::Broken(uid) => return Err(uid),
        }
        Ok(())
    }

    /// Something comes out.
    fn take(&mut self) -> bool {
        let Some(event) = self.turns.take() else { return false };
        match event {
            FetchEvent::Message { uid, .. } => self.out.push(u64::from(uid.0)),
            FetchEvent::LargeStart { uid, .. } => {
                assert_eq!(self.begun.replace(uid), None, "a message begins within another one");
                return true;
            }
            FetchEvent::LargeChunk(_) => assert!(self.begun.is_some(), "octets of no message"),
            FetchEvent::LargeEnd => self.out.push(u64::from(self.begun.take().expect("it has begun").0)),
            FetchEvent::BatchEnd { .. } => {}
        }
        true
    }

    /// One step of somebody. Whether anybody could take one.
    fn step(&mut self) -> Result<bool, Uid> {
        let first = self.dice.below(self.scripts.len() + 1);
        for at in 0..=self.scripts.len() {
            let goes_on = match (first + at) % (self.scripts.len() + 1) {
                0 => self.take(),
                place => self.go_on(place - 1)?,
            };
            if goes_on {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Until everything is out, or a message is lost of which a part is out already.
    fn end(mut self, seed: u64) -> Self {
        loop {
            match self.step() {
                Ok(true) => {}
                Ok(false) => {
                    assert!(self.turns.is_empty(), "seed {seed}: everybody waits for somebody else");
                    return self;
                }
                Err(uid) => {
                    assert_eq!(self.begun, Some(uid), "seed {seed}: nothing of it is out");
                    return self;
                }
            }
        }
    }
}

#[test]
fn whatever_is_lost_and_left_out_every_message_comes_out_once_and_in_its_order_where_there_is_room() {
    let mut broken = 0;
    for seed in 0..3_000 {
        let Play { turns, asked, mut out, body, begun, .. } = Play::new(seed).end(seed);
        let different: BTreeSet<u64> = out.iter().copied().collect();
        assert_eq!(different.len(), out.len(), "seed {seed}: something came out twice");
        if begun.is_some() {
            broken += 1;
            continue;
        }
        assert!(turns.is_plain(), "seed {seed}: something is held for nobody");
        if body.len() == 1 {
            // What was left out at first comes behind the others of its batch, and no later.
            let batches: Vec<u64> = out.iter().map(|uid| uid / 10).collect();
            assert!(batches.is_sorted(), "seed {seed}: {out:?}");
        }
        out.sort_unstable();
        assert_eq!(out, asked, "seed {seed}");
    }
    assert!((1..2_000).contains(&broken), "{broken} of 3,000 ended with half a message");
}
