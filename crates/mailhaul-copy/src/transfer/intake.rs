//! Where messages come from: the run's own connection, or several that read the same mailbox.
//!
//! Batches are given to whoever has least to do, and come out in the order in which they were asked for, so that the
//! target numbers the mail as the source does. What comes before its turn is held, up to a bound; beyond it only the
//! connection whose turn it is goes on. A further connection can only deliver messages. It is never believed that one
//! is not there or cannot be read: what it leaves out, refuses, or is lost over is asked for on the run's own
//! connection, and only what that one says counts.

use super::aid::{Aid, Beginning};
use super::lane::{Failure, Lane, LaneEnd, octets_of, weight_of};
use super::trial::{Seen, Verdict, WATCHED_FOR};
use super::window::Window;
use crate::bounds;
use mailhaul_imap::{BodyFetcher, Completion, Context as Doing, ErrorClass, FetchBatch, FetchEvent, ImapError};
use mailhaul_types::{Uid, UidSet};
use std::collections::VecDeque;
use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// How many batches a further connection may answer without all of their messages. Others may be expunging just then;
/// more than these, and it shows something else than the first.
const SHORT_MAX: u32 = 3;
/// So long everything may wait for a batch of a further connection, with nothing left to do for the own one, before the own
/// one is asked for it as well.
const STALLED_FOR: Duration = Duration::from_secs(15);
/// What is asked of one of several connections at least, in octets and messages: two batches. And at most, in octets: no more
/// than may be held of it, so that the order stands also if another one is lost.
const WINDOW_LEAST: (u64, u64) = (4 << 20, 1_000);
const WINDOW_MOST: u64 = bounds::HELD_BY_READER;

/// Who was asked for a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Own,
    Lane(u64),
}

/// A batch that was asked for and has not come out whole.
struct Turn {
    batch: FetchBatch,
    by: By,
    /// What has come before its turn.
    held: VecDeque<FetchEvent>,
    /// Messages that a further connection has not delivered.
    left: UidSet,
    /// The message of it whose octets are coming in chunks from a further connection.
    streaming: Option<Uid>,
    /// Whether its end has come.
    is_complete: bool,
    /// Whether what a further connection has left out of it was asked for on the own one.
    is_asked_again: bool,
}

/// Messages out of the source.
pub(super) struct Intake<'a> {
    own: BodyFetcher<'a>,
    /// Octets and messages that the own connection was asked for and has not answered.
    own_out: (u64, u64),
    /// The batch of the message whose octets come in chunks over the own connection.
    own_streaming: Option<u64>,
    aid: Option<&'a Aid<'a>>,
    compress: bool,
    lanes: Vec<Lane<'a>>,
    lanes_begun: u64,
    /// Nothing is given out before these are open, or known not to be.
    waits_for_lanes: bool,
    turns: VecDeque<Turn>,
    /// Batches that nobody was asked for, while there are several to ask.
    waiting: VecDeque<FetchBatch>,
    /// What is held of the own connection takes up so many octets, and may take up so many.
    own_held: u64,
    own_held_most: u64,
    /// Nothing further is opened yet: whether the line is better compressed is to be known first.
    pub(super) holds_off: bool,
    /// Turns of which something is asked for again.
    asked_again: usize,
    /// Why the transfer cannot go on.
    failure: Option<ImapError>,
    window: Window,
    sight: Sight,
    /// For which batch everything waits, and how long it has.
    stalled: (u64, Duration),
}

/// What is seen between two looks. What comes counts when it comes, not when it is its turn.
struct Sight {
    since: Instant,
    octets: u64,
    messages: u64,
    waited: Duration,
    /// What has not come yet, as [`bounds::work`] weighs it.
    left: u64,
    timer: Pin<Box<Sleep>>,
}

impl<'a> Intake<'a> {
    /// `left`: octets and messages that will be pushed in all. `aid` is none where one connection has to do.
    pub(super) fn new(
        mut own: BodyFetcher<'a>,
        window: Window,
        aid: Option<&'a Aid<'a>>,
        compress: bool,
        left: (u64, u64),
    ) -> Self {
        let (octets, messages) = window.size();
        own.set_window(octets, messages);
        let sight = Sight {
            since: Instant::now(),
            octets: 0,
            messages: 0,
            waited: Duration::ZERO,
            left: bounds::work(left.0, left.1),
            timer: Box::pin(sleep(WATCHED_FOR)),
        };
        let mut intake = Self {
            own,
            own_out: (0, 0),
            own_streaming: None,
            aid,
            compress,
            lanes: Vec::new(),
            lanes_begun: 0,
            waits_for_lanes: false,
            turns: VecDeque::new(),
            waiting: VecDeque::new(),
            own_held: 0,
            own_held_most: bounds::HELD_BY_READER,
            holds_off: false,
            asked_again: 0,
            failure: None,
            window,
            sight,
            stalled: (0, Duration::ZERO),
        };
        if let Some(aid) = aid {
            while let Some(further) = aid.take_kept() {
                intake.begin(aid, Beginning::Open(Box::new(further)));
            }
            while intake.lanes.len() < aid.wanted_at_once() && aid.may_try() {
                let Some(beginning) = aid.begin(compress, intake.lanes.is_empty()) else { break };
                intake.begin(aid, beginning);
            }
            intake.waits_for_lanes = !intake.lanes.is_empty();
        }
        intake
    }

    /// Queues a batch.
    pub(super) fn push(&mut self, batch: FetchBatch) {
        if self.is_alone() {
            self.give_own(batch);
        } else {
            self.waiting.push_back(batch);
        }
    }

    /// So long nothing came although the target would have taken it.
    pub(super) fn waited(&mut self, time: Duration) {
        self.sight.waited += time;
    }

    /// A rate is kept: the source is not what is slow.
    pub(super) fn keeps_pace(&mut self) {
        if self.lanes.is_empty() {
            self.aid = None;
        }
    }

    /// The next event; `None` when everything pushed has been answered. May be given up and begun again.
    pub(super) async fn next(&mut self) -> Result<Option<FetchEvent>, ImapError> {
        let event = poll_fn(|task| self.poll_next(task)).await?;
        if let Some(FetchEvent::BatchEnd { .. }) = event {
            self.look();
        }
        Ok(event)
    }

    /// Everything that was pushed is answered: what further connections there are wait for the next transfer.
    pub(super) async fn finish(&mut self) {
        for mut lane in std::mem::take(&mut self.lanes) {
            if lane.close() {
                poll_fn(|task| lane.poll(task)).await;
            }
        }
    }

    /// Whether further connections read, or are being opened.
    pub(super) fn has_lanes(&self) -> bool {
        !self.lanes.is_empty()
    }

    fn is_alone(&self) -> bool {
        // What has to be asked for again has its turn before what the own connection was asked for earlier.
        self.lanes.is_empty() && self.own_held == 0 && self.waiting.is_empty() && self.asked_again == 0
    }

    fn poll_next(&mut self, task: &mut Context<'_>) -> Poll<Result<Option<FetchEvent>, ImapError>> {
        loop {
            let polled = if self.is_alone() { self.poll_own(task) } else { self.poll_several(task) };
            if polled.is_ready() || self.aid.is_none() {
                return polled;
            }
            ready!(self.sight.timer.as_mut().poll(task));
            self.look();
            self.sight.timer.as_mut().reset(Instant::now() + WATCHED_FOR);
        }
    }

    fn poll_own(&mut self, task: &mut Context<'_>) -> Poll<Result<Option<FetchEvent>, ImapError>> {
        let event = ready!(pin!(self.own.next()).poll(task))?;
        if let Some(event) = &event {
            self.sight.see(event);
            batch_of(event, &mut self.own_streaming);
            if let FetchEvent::BatchEnd { batch, .. } = event {
                self.own_has_answered(*batch);
                self.end_turn(*batch);
            }
        }
        Poll::Ready(Ok(event))
    }

    fn poll_several(&mut self, task: &mut Context<'_>) -> Poll<Result<Option<FetchEvent>, ImapError>> {
        loop {
            self.deal();
            if let Some(event) = self.take_held() {
                return Poll::Ready(Ok(Some(event)));
            }
            if let Some(error) = self.failure.take() {
                return Poll::Ready(Err(error));
            }
            if self.turns.is_empty() && self.waiting.is_empty() {
                // Nothing is on its way, and the own connection notices it.
                return self.poll_own(task);
            }
            let mut goes_on = false;
            for place in (0..self.lanes.len()).rev() {
                goes_on |= self.poll_lane(place, task);
            }
            let is_next = self.turns.front().is_some_and(|turn| turn.by == By::Own);
            if is_next || self.own_held < self.own_held_most {
                let polled = pin!(self.own.next()).poll(task)?;
                if let Poll::Ready(Some(event)) = polled {
                    goes_on = true;
                    self.take_from_own(event);
                }
            }
            if !goes_on {
                return Poll::Pending;
            }
        }
    }

    /// What is held of the batch whose turn it is.
    fn take_held(&mut self) -> Option<FetchEvent> {
        let turn = self.turns.front_mut()?;
        let (event, by) = (turn.held.pop_front()?, turn.by);
        let (held, _) = self.holding(by);
        *held = held.saturating_sub(weight_of(&event));
        // What was taken over is out by and by, and its room with it.
        self.own_held_most = self.own_held_most.min(self.own_held + bounds::HELD_BY_READER);
        if let FetchEvent::BatchEnd { .. } = event
            && let Some(turn) = self.turns.pop_front()
        {
            self.asked_again = self.asked_again.saturating_sub(usize::from(turn.is_asked_again));
        }
        Some(event)
    }

    /// What is held of one connection, and how much may be.
    fn holding(&mut self, by: By) -> (&mut u64, u64) {
        match by {
            By::Lane(number) => match self.lanes.iter().position(|lane| lane.number == number) {
                Some(place) => (&mut self.lanes[place].held, bounds::HELD_BY_READER),
                None => (&mut self.own_held, self.own_held_most),
            },
            By::Own => (&mut self.own_held, self.own_held_most),
        }
    }

    /// Gives out what waits, each batch to whoever has least to do, as far as the windows go.
    fn deal(&mut self) {
        if self.waits_for_lanes {
            if self.lanes.iter().any(Lane::is_opening) {
                return;
            }
            self.waits_for_lanes = false;
        }
        let readers = 1 + self.lanes.iter().filter(|lane| lane.is_ready()).count() as u64;
        let (octets, messages) = self.window.size();
        let window = match readers {
            1 => (octets, messages),
            _ => {
                let octets = (octets / readers).clamp(WINDOW_LEAST.0, WINDOW_MOST);
                (octets, (messages / readers).max(WINDOW_LEAST.1))
            }
        };
        while let Some(batch) = self.waiting.front() {
            let (octets, messages) = (batch.bytes_expected, batch.uids.len());
            let ready = (0..self.lanes.len()).filter(|place| self.lanes[*place].is_ready());
            let least = ready.min_by_key(|place| self.lanes[*place].out);
            let least = least.filter(|place| self.lanes[*place].out < self.own_out);
            let out = least.map_or(self.own_out, |place| self.lanes[place].out);
            let is_full = out.0.saturating_add(octets) > window.0 || out.1 + messages > window.1;
            if is_full && out.1 > 0 {
                break;
            }
            let Some(batch) = self.waiting.pop_front() else { break };
            match least {
                Some(place) => self.give_lane(place, batch),
                None => self.give_own(batch),
            }
        }
        for lane in self.lanes.iter_mut().filter(|lane| lane.is_retired && lane.out.1 == 0) {
            lane.desk().end = Some(LaneEnd::LetGo);
        }
    }

    fn give_own(&mut self, batch: FetchBatch) {
        self.own_out = (self.own_out.0 + batch.bytes_expected, self.own_out.1 + batch.uids.len());
        self.turns.push_back(Turn::new(batch.clone(), By::Own));
        self.own.push(batch);
    }

    fn give_lane(&mut self, place: usize, batch: FetchBatch) {
        let lane = &mut self.lanes[place];
        lane.out = (lane.out.0 + batch.bytes_expected, lane.out.1 + batch.uids.len());
        self.turns.push_back(Turn::new(batch.clone(), By::Lane(lane.number)));
        lane.desk().orders.push(batch);
    }

    /// Lets a further connection go on, as far as there is room for what it brings. Whether anything came of it.
    fn poll_lane(&mut self, place: usize, task: &mut Context<'_>) -> bool {
        let is_next = self.turns.front().is_some_and(|turn| turn.by == By::Lane(self.lanes[place].number));
        let lane = &mut self.lanes[place];
        let room = bounds::HELD_BY_READER.saturating_sub(lane.held).max(u64::from(is_next));
        let was_open = lane.desk().is_open;
        if room == 0 && was_open && lane.out.1 > 0 {
            return false;
        }
        lane.desk().allowance = room.max(1);
        let has_ended = lane.poll(task).is_ready();
        let events = std::mem::take(&mut lane.desk().events);
        let goes_on = !events.is_empty() || has_ended || lane.desk().is_open != was_open;
        let number = lane.number;
        for event in events {
            self.take_from_lane(number, event);
        }
        if has_ended {
            self.lane_has_ended(place);
        }
        goes_on
    }

    fn take_from_own(&mut self, event: FetchEvent) {
        self.sight.see(&event);
        let id = batch_of(&event, &mut self.own_streaming);
        if let FetchEvent::BatchEnd { batch, .. } = &event {
            self.own_has_answered(*batch);
        }
        self.hold(id, event);
    }

    fn take_from_lane(&mut self, number: u64, event: FetchEvent) {
        let Some(place) = self.lanes.iter().position(|lane| lane.number == number) else { return };
        self.sight.see(&event);
        let id = batch_of(&event, &mut self.lanes[place].streaming);
        let Some(turn) = self.turns.iter_mut().find(|turn| Some(turn.batch.id) == id) else { return };
        match &event {
            FetchEvent::Message { uid, .. } => {
                turn.left.remove(*uid);
            }
            FetchEvent::LargeStart { uid, .. } => turn.streaming = Some(*uid),
            FetchEvent::LargeEnd => {
                if let Some(uid) = turn.streaming.take() {
                    turn.left.remove(uid);
                }
            }
            FetchEvent::LargeChunk(_) => {}
            FetchEvent::BatchEnd { batch, outcome, missing } => {
                let (octets, messages) = (turn.batch.bytes_expected, turn.batch.uids.len());
                let lane = &mut self.lanes[place];
                lane.out = (lane.out.0.saturating_sub(octets), lane.out.1.saturating_sub(messages));
                if *outcome != Completion::Ok || !missing.is_empty() {
                    self.was_left_short(place, *batch, asks_to_slow_down(outcome));
                    return;
                }
            }
        }
        self.hold(id, event);
    }

    /// A further connection has answered without all that it was asked for. Whether that is true, the own one says.
    fn was_left_short(&mut self, place: usize, id: u64, is_throttled: bool) {
        let held = self.turns.iter().find(|turn| turn.batch.id == id).map_or(0, Turn::weight);
        let lane = &mut self.lanes[place];
        lane.held = lane.held.saturating_sub(held);
        lane.short += if is_throttled { SHORT_MAX } else { 1 };
        if lane.short >= SHORT_MAX && !lane.is_retired {
            lane.is_retired = true;
            tracing::info!("a connection that does not hand out everything reads no more of this mailbox");
            self.give_up(false);
        }
        self.ask_own(id);
    }

    /// Puts an event to the others of its batch.
    fn hold(&mut self, id: Option<u64>, event: FetchEvent) {
        let Some(place) = self.turns.iter().position(|turn| Some(turn.batch.id) == id) else { return };
        let (weight, by) = (weight_of(&event), self.turns[place].by);
        self.turns[place].is_complete |= matches!(event, FetchEvent::BatchEnd { .. });
        self.turns[place].held.push_back(event);
        let (held, most) = self.holding(by);
        *held += weight;
        let is_full = *held >= most;
        let is_stuck = place > 0 && self.turns.front().is_some_and(|front| front.held.is_empty() && front.by == by);
        if is_stuck
            && is_full
            && let Some(turn) = self.turns.remove(place)
        {
            // The connection whose turn it is brings another batch first, and there is no room to wait with that.
            self.turns.push_front(turn);
        }
    }

    /// A further connection has left messages of this batch out.
    fn ask_own(&mut self, id: u64) {
        let Some(turn) = self.turns.iter_mut().find(|turn| turn.batch.id == id) else { return };
        if let Some(uid) = turn.streaming.take() {
            let begun = turn.held.iter().rposition(|event| matches!(event, FetchEvent::LargeStart { .. }));
            let Some(begun) = begun else {
                let detail = format!(": the octets of UID {uid} ended before their end");
                self.failure.get_or_insert(ImapError::Closed { during: "UID FETCH", detail });
                return;
            };
            turn.held.truncate(begun);
        }
        (turn.by, turn.is_asked_again) = (By::Own, true);
        let held = turn.weight();
        let asked = turn.batch.uids.len();
        let batch = FetchBatch { uids: turn.left.clone(), ..turn.batch.clone() };
        self.take_over(held);
        self.asked_again += 1;
        if batch.uids.is_empty() {
            // Everything had come.
            let end = FetchEvent::BatchEnd { batch: id, outcome: Completion::Ok, missing: UidSet::new() };
            self.hold(Some(id), end);
            return;
        }
        self.own_out = (self.own_out.0 + batch.bytes_expected, self.own_out.1 + asked);
        self.own.push(batch);
    }

    /// What a further connection has delivered is held by the own one from here on.
    fn take_over(&mut self, held: u64) {
        self.own_held += held;
        self.own_held_most += held;
    }

    /// A further connection is no more.
    fn lane_has_ended(&mut self, place: usize) {
        let lane = self.lanes.remove(place);
        match lane.desk().failure.take() {
            Some(Failure::NotOpened(why)) => {
                tracing::info!(why, "no further connection reads this mailbox");
                self.give_up(true);
            }
            Some(Failure::Lost(error)) => {
                tracing::warn!(%error, "a further connection to the source is lost; what it was asked for is asked again");
                self.give_up(false);
            }
            Some(Failure::Stalled) => {
                tracing::info!("a further connection to the source is much slower than the others, and is closed");
                self.give_up(false);
            }
            None => {}
        }
        let theirs = |turn: &&mut Turn| turn.by == By::Lane(lane.number);
        let (mut open, mut held) = (Vec::new(), 0);
        for turn in self.turns.iter_mut().filter(theirs) {
            if turn.is_complete {
                turn.by = By::Own;
                held += turn.weight();
            } else {
                open.push(turn.batch.id);
            }
        }
        self.take_over(held);
        open.into_iter().for_each(|id| self.ask_own(id));
        if self.lanes.is_empty() {
            // It goes on as it began, once what is held has come out.
            std::mem::take(&mut self.waiting).into_iter().for_each(|batch| self.give_own(batch));
            let (octets, messages) = self.window.size();
            self.own.set_window(octets, messages);
        }
    }

    fn own_has_answered(&mut self, id: u64) {
        let Some(turn) = self.turns.iter().find(|turn| turn.batch.id == id) else { return };
        let (octets, messages) = (turn.batch.bytes_expected, turn.batch.uids.len());
        self.own_out = (self.own_out.0.saturating_sub(octets), self.own_out.1.saturating_sub(messages));
    }

    fn end_turn(&mut self, id: u64) {
        if let Some(place) = self.turns.iter().position(|turn| turn.batch.id == id) {
            self.turns.remove(place);
        }
    }

    fn begin(&mut self, aid: &'a Aid<'a>, beginning: Beginning) {
        if self.is_alone() {
            self.own_held_most = bounds::HELD_BY_READER;
            self.share_out();
        }
        self.lanes_begun += 1;
        self.lanes.push(Lane::new(self.lanes_begun, aid, beginning));
    }

    /// What the own connection was given and has not asked for yet can be given to others.
    fn share_out(&mut self) {
        for batch in self.own.take_back() {
            self.own_has_answered(batch.id);
            self.end_turn(batch.id);
            self.waiting.push_back(batch);
        }
        self.own.set_window(u64::MAX, u64::MAX);
        // A message of which a part is out already has to come to its end before anything else.
        let streaming = self.turns.iter().position(|turn| Some(turn.batch.id) == self.own_streaming);
        if let Some(turn) = streaming.and_then(|place| self.turns.remove(place)) {
            self.turns.push_front(turn);
        }
    }

    fn give_up(&mut self, for_good: bool) {
        if let Some(aid) = self.aid {
            aid.give_up(for_good);
            aid.trial().is_off();
        }
    }

    /// Looks at what has come since the last look, if that was long enough ago.
    fn look(&mut self) {
        let elapsed = self.sight.since.elapsed();
        if elapsed < WATCHED_FOR {
            return;
        }
        let Sight { octets, messages, waited, .. } = self.sight;
        let work = bounds::work(octets, messages);
        self.sight.left = self.sight.left.saturating_sub(work);
        let left = self.sight.left;
        self.sight.waited = Duration::ZERO;
        (self.sight.since, self.sight.octets, self.sight.messages) = (Instant::now(), 0, 0);
        // Before the first octet nothing is known of the line.
        let has_changed = octets > 0 && self.window.measure(elapsed, octets, messages);
        if has_changed && self.lanes.is_empty() {
            let (octets, messages) = self.window.size();
            self.own.set_window(octets, messages);
        }
        self.look_for_stalled(elapsed);
        let Some(aid) = self.aid else { return };
        if aid.is_wanted_elsewhere() {
            self.lanes.iter_mut().for_each(|lane| lane.is_retired = true);
            aid.trial().is_off();
            return;
        }
        let opening = self.lanes.iter().any(Lane::is_opening);
        let readers = 1 + self.lanes.iter().filter(|lane| !lane.is_retired).count();
        let verdict = aid.trial().judge(Seen { elapsed, work, left, waited, readers, opening });
        match verdict {
            Verdict::GoOn => {}
            Verdict::OpenAnother => match self.may_open(aid).then(|| aid.begin(self.compress, readers < 2)).flatten() {
                Some(beginning) => {
                    tracing::debug!(readers = readers + 1, "one more connection reads this mailbox");
                    self.begin(aid, beginning);
                }
                None => aid.trial().is_off(),
            },
            Verdict::LetGo => {
                if let Some(lane) = self.lanes.iter_mut().rfind(|lane| !lane.is_retired) {
                    lane.is_retired = true;
                }
                aid.give_up(false);
            }
        }
    }

    /// A connection that is much slower than the others must not keep all of them waiting: it is dropped.
    fn look_for_stalled(&mut self, elapsed: Duration) {
        let own_waits = self.own_out.1 == 0 || self.own_held >= self.own_held_most;
        // What is in the middle of a message that is with the target in part cannot be taken over.
        let front = self.turns.front().filter(|turn| own_waits && turn.streaming.is_none());
        let Some((id, By::Lane(number))) = front.map(|turn| (turn.batch.id, turn.by)) else {
            self.stalled = (0, Duration::ZERO);
            return;
        };
        let before = if self.stalled.0 == id { self.stalled.1 } else { Duration::ZERO };
        self.stalled = (id, before + elapsed);
        if self.stalled.1 >= STALLED_FOR
            && let Some(place) = self.lanes.iter().position(|lane| lane.number == number)
        {
            self.stalled = (0, Duration::ZERO);
            self.lanes[place].desk().failure = Some(Failure::Stalled);
            self.lane_has_ended(place);
        }
    }

    fn may_open(&self, aid: &Aid<'_>) -> bool {
        !self.holds_off && aid.may_try()
    }
}

/// Whether a refusal is a wish to be asked for less.
fn asks_to_slow_down(outcome: &Completion) -> bool {
    matches!(outcome, Completion::Refused(status) if status.class(Doing::Fetch) == ErrorClass::Throttle)
}

impl Sight {
    fn see(&mut self, event: &FetchEvent) {
        self.octets += octets_of(event);
        self.messages += u64::from(matches!(event, FetchEvent::Message { .. } | FetchEvent::LargeEnd));
    }
}

impl Turn {
    fn new(batch: FetchBatch, by: By) -> Self {
        let left = if by == By::Own { UidSet::new() } else { batch.uids.clone() };
        Self { batch, by, held: VecDeque::new(), left, streaming: None, is_complete: false, is_asked_again: false }
    }

    /// What is held of it takes up so many octets.
    fn weight(&self) -> u64 {
        self.held.iter().map(weight_of).sum()
    }
}

/// The batch that an event belongs to. Chunks belong to the message that has begun.
fn batch_of(event: &FetchEvent, streaming: &mut Option<u64>) -> Option<u64> {
    match event {
        FetchEvent::Message { batch, .. } | FetchEvent::BatchEnd { batch, .. } => Some(*batch),
        FetchEvent::LargeStart { batch, .. } => {
            *streaming = Some(*batch);
            *streaming
        }
        FetchEvent::LargeChunk(_) => *streaming,
        FetchEvent::LargeEnd => streaming.take(),
    }
}
