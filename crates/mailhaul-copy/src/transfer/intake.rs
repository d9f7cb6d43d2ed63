//! Where messages come from: the run's own connection, or several that read the same mailbox.
//!
//! Batches are given to whoever has least to do, and come out in the order in which they were asked for, so that the
//! target numbers the mail as the source does. What comes before its turn is held, up to a bound; beyond it only the
//! connection whose turn it is goes on. A further connection can only deliver messages. It is never believed that one
//! is not there or cannot be read: what it leaves out, refuses, or is lost over is asked for on the run's own
//! connection, and only what that one says counts.

use super::aid::{Aid, Beginning};
use super::dealing::{Out, Whom, whom_to_ask, window_of_each};
use super::lane::{Failure, Lane, LaneEnd, octets_of};
use super::stall::Stall;
use super::trial::{Seen, Verdict, WATCHED_FOR};
use super::turns::{Again, By, Turns};
use super::window::Window;
use crate::bounds;
use crate::budget::Share;
use mailhaul_imap::{
    BodyFetcher, Completion, Context as Doing, ErrorClass, FetchBatch, FetchEvent, ImapError, StatusLine,
};
use std::collections::VecDeque;
use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// How many batches a further connection may answer without all of their messages. Others may be expunging just then;
/// more than these, and it shows something else than the first.
const SHORT_MAX: u32 = 3;
/// Messages out of the source.
pub(super) struct Intake<'a> {
    own: BodyFetcher<'a>,
    /// Octets and messages that the own connection was asked for and has not answered.
    own_out: Out,
    /// The batch of the message whose octets come in chunks over the own connection.
    own_streaming: Option<u64>,
    aid: Option<&'a Aid<'a>>,
    compress: bool,
    lanes: Vec<Lane<'a>>,
    lanes_begun: u64,
    /// Nothing is given out before these are open, or known not to be.
    waits_for_lanes: bool,
    turns: Turns,
    /// Batches that nobody was asked for, while there are several to ask.
    waiting: VecDeque<FetchBatch>,
    /// Memory for what the own connection delivers before its turn, while there are others or something is held.
    own_room: Option<Share>,
    /// Nothing further is opened yet: whether the line is better compressed is to be known first.
    pub(super) holds_off: bool,
    /// Why the transfer cannot go on.
    failure: Option<ImapError>,
    window: Window,
    sight: Sight,
    stall: Stall,
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
            turns: Turns::default(),
            waiting: VecDeque::new(),
            own_room: None,
            holds_off: false,
            failure: None,
            window,
            sight,
            stall: Stall::default(),
        };
        if let Some(aid) = aid {
            while aid.has_kept() && intake.open_one(aid) {}
            while intake.lanes.len() < aid.wanted_at_once() && aid.may_try() && intake.open_one(aid) {}
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
        // What the target took in the meantime was not waiting for the source.
        self.stall.was_elsewhere();
        let event = poll_fn(|task| self.poll_next(task)).await?;
        if let Some(FetchEvent::BatchEnd { .. }) = event {
            self.look();
        }
        Ok(event)
    }

    /// Everything that was pushed is answered: what further connections there are wait for the next transfer.
    pub(super) async fn finish(&mut self) {
        let mut lanes = std::mem::take(&mut self.lanes);
        lanes.retain_mut(Lane::close);
        // All at once: none waits for the answer to another one's good-bye.
        poll_fn(|task| {
            lanes.retain_mut(|lane| lane.poll(task).is_pending());
            if lanes.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Whether further connections read, or are being opened.
    pub(super) fn has_lanes(&self) -> bool {
        !self.lanes.is_empty()
    }

    fn is_alone(&self) -> bool {
        self.lanes.is_empty() && self.waiting.is_empty() && self.turns.is_plain()
    }

    fn poll_next(&mut self, task: &mut Context<'_>) -> Poll<Result<Option<FetchEvent>, ImapError>> {
        loop {
            let polled = if self.is_alone() {
                self.own_room = None;
                self.poll_own(task)
            } else {
                self.poll_several(task)
            };
            if polled.is_pending() {
                self.stall.waits_for(self.what_stalls(), Instant::now());
            } else {
                self.stall.goes_on(Instant::now());
            }
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
                self.turns.remove(*batch);
            }
        }
        Poll::Ready(Ok(event))
    }

    fn poll_several(&mut self, task: &mut Context<'_>) -> Poll<Result<Option<FetchEvent>, ImapError>> {
        loop {
            self.deal();
            if let Some(event) = self.turns.take() {
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
            if self.turns.is_next(By::Own) || self.turns.room(By::Own) > 0 {
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

    /// The batch for which everything waits, and the further connection that owes it.
    fn what_stalls(&self) -> Option<(u64, u64)> {
        let own_waits = self.own_out.1 == 0 || self.turns.room(By::Own) == 0;
        self.turns.owed_by_lane().filter(|_| own_waits)
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
        while let Some(batch) = self.waiting.front() {
            let is_owed = self.turns.has_lanes() || self.lanes.iter().any(|lane| lane.out.1 > 0);
            let window = window_of_each(self.window.size(), readers, is_owed);
            let lanes = self.lanes.iter().enumerate().filter(|(_, lane)| lane.is_ready());
            let lanes = lanes.map(|(place, lane)| (place, lane.out));
            let whom = whom_to_ask((batch.bytes_expected, batch.uids.len()), self.own_out, lanes, window);
            let Some((whom, batch)) = whom.and_then(|whom| Some((whom, self.waiting.pop_front()?))) else { break };
            match whom {
                Whom::Lane(place) => self.give_lane(place, batch),
                Whom::Own => self.give_own(batch),
            }
        }
        for lane in self.lanes.iter_mut().filter(|lane| lane.is_retired && lane.out.1 == 0) {
            lane.desk().end = Some(LaneEnd::LetGo);
        }
    }

    fn give_own(&mut self, batch: FetchBatch) {
        self.own_out = (self.own_out.0 + batch.bytes_expected, self.own_out.1 + batch.uids.len());
        self.turns.push(batch.clone(), By::Own);
        self.own.push(batch);
    }

    fn give_lane(&mut self, place: usize, batch: FetchBatch) {
        let lane = &mut self.lanes[place];
        lane.out = (lane.out.0 + batch.bytes_expected, lane.out.1 + batch.uids.len());
        self.turns.push(batch.clone(), By::Lane(lane.number));
        lane.desk().orders.push(batch);
    }

    /// Lets a further connection go on, as far as there is room for what it brings. Whether anything came of it.
    fn poll_lane(&mut self, place: usize, task: &mut Context<'_>) -> bool {
        let lane = &mut self.lanes[place];
        let by = By::Lane(lane.number);
        let room = self.turns.room(by).max(u64::from(self.turns.is_next(by)));
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
        if let Some(id) = id {
            self.turns.hold(id, event);
        }
    }

    fn take_from_lane(&mut self, number: u64, event: FetchEvent) {
        let Some(place) = self.lanes.iter().position(|lane| lane.number == number) else { return };
        self.sight.see(&event);
        let Some(id) = batch_of(&event, &mut self.lanes[place].streaming) else { return };
        self.turns.note_delivered(id, &event);
        if let FetchEvent::BatchEnd { batch, outcome, missing } = &event {
            let (octets, messages) = self.turns.size(*batch).unwrap_or_default();
            let lane = &mut self.lanes[place];
            lane.out = (lane.out.0.saturating_sub(octets), lane.out.1.saturating_sub(messages));
            if let Some(status) = wish_to_slow_down(outcome) {
                // The server's word about itself, and not about a message: nothing is asked of it again at once.
                self.was_throttled(place, status.clone());
            } else if *outcome != Completion::Ok || !missing.is_empty() {
                self.was_left_short(place, *batch);
                return;
            }
        }
        self.turns.hold(id, event);
    }

    /// A further connection has answered without all that it was asked for. Whether that is true, the own one says.
    fn was_left_short(&mut self, place: usize, id: u64) {
        self.lanes[place].short += 1;
        if self.lanes[place].short >= SHORT_MAX {
            self.retire(place, "a connection that does not hand out everything reads no more of this mailbox");
        }
        self.ask_own(id);
    }

    /// A further connection was asked to slow down. What it has left out is refused, as if the own one had been: it is asked
    /// for again after a pause, if whoever looks after that waits at all.
    fn was_throttled(&mut self, place: usize, status: StatusLine) {
        if let Some(aid) = self.aid {
            aid.note_throttle(ImapError::Refused { command: "UID FETCH", status });
        }
        self.retire(place, "a connection that is asked to slow down reads no more of this mailbox");
    }

    fn retire(&mut self, place: usize, why: &'static str) {
        if !std::mem::replace(&mut self.lanes[place].is_retired, true) {
            tracing::info!("{why}");
            self.give_up(false);
        }
    }

    /// What a further connection has left out of this batch is asked for on the own one.
    fn ask_own(&mut self, id: u64) {
        let Some((octets, messages)) = self.turns.size(id) else { return };
        match self.turns.ask_again(id) {
            Again::Ask(batch) => {
                self.own_out = (self.own_out.0 + octets, self.own_out.1 + messages);
                self.own.push(batch);
            }
            Again::Nothing => {}
            Again::Broken(uid) => {
                let detail = format!(": the octets of UID {uid} ended before their end");
                self.failure.get_or_insert(ImapError::Closed { during: "UID FETCH", detail });
            }
        }
    }

    /// A further connection is no more.
    fn lane_has_ended(&mut self, place: usize) {
        let lane = self.lanes.remove(place);
        let (failure, room) = {
            let mut desk = lane.desk();
            (desk.failure.take(), desk.room.take())
        };
        match failure {
            Some(Failure::NotOpened(why)) => {
                tracing::info!(why, "no further connection reads this mailbox");
                self.give_up(true);
            }
            Some(Failure::Lost(error)) => {
                tracing::warn!(%error, "a further connection to the source is lost; what it was asked for is asked again");
                if let Some(aid) = self.aid {
                    aid.note_throttle(error);
                }
                self.give_up(false);
            }
            Some(Failure::Stalled) => {
                tracing::info!("a further connection to the source is much slower than the others, and is closed");
                self.give_up(false);
            }
            None => {}
        }
        let open = self.turns.lane_has_ended(lane.number, room);
        open.into_iter().for_each(|id| self.ask_own(id));
        if self.lanes.is_empty() {
            // It goes on as it began, once what is held has come out.
            std::mem::take(&mut self.waiting).into_iter().for_each(|batch| self.give_own(batch));
            let (octets, messages) = self.window.size();
            self.own.set_window(octets, messages);
        }
    }

    fn own_has_answered(&mut self, id: u64) {
        let (octets, messages) = self.turns.size(id).unwrap_or_default();
        self.own_out = (self.own_out.0.saturating_sub(octets), self.own_out.1.saturating_sub(messages));
    }

    /// Opens one more, or takes one that is open, if there is room for it and for the own one. Whether there is.
    fn open_one(&mut self, aid: &'a Aid<'a>) -> bool {
        if self.own_room.is_none() {
            self.own_room = aid.room();
        }
        let beginning = self.own_room.as_ref().and_then(|_| aid.begin(self.compress));
        let is_begun = beginning.is_some();
        if let Some(beginning) = beginning {
            self.begin(aid, beginning);
        }
        is_begun
    }

    fn begin(&mut self, aid: &'a Aid<'a>, beginning: Beginning) {
        if self.is_alone() {
            self.share_out();
        }
        self.lanes_begun += 1;
        self.lanes.push(Lane::new(self.lanes_begun, aid, beginning));
    }

    /// What the own connection was given and has not asked for yet can be given to others.
    fn share_out(&mut self) {
        for batch in self.own.take_back() {
            self.own_has_answered(batch.id);
            self.turns.remove(batch.id);
            self.waiting.push_back(batch);
        }
        self.own.set_window(u64::MAX, u64::MAX);
        self.turns.bring_forward(self.own_streaming);
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
        self.look_for_stalled();
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
            Verdict::OpenAnother => {
                if self.may_open(aid) && self.open_one(aid) {
                    tracing::debug!(readers = readers + 1, "one more connection reads this mailbox");
                } else {
                    aid.trial().is_off();
                }
            }
            Verdict::LetGo => {
                if let Some(lane) = self.lanes.iter_mut().rfind(|lane| !lane.is_retired) {
                    lane.is_retired = true;
                }
                aid.give_up(false);
            }
        }
    }

    /// A connection that is much slower than the others must not keep all of them waiting: it is dropped.
    fn look_for_stalled(&mut self) {
        let number = self.stall.whose();
        if let Some(place) = self.lanes.iter().position(|lane| Some(lane.number) == number) {
            self.lanes[place].desk().failure = Some(Failure::Stalled);
            self.lane_has_ended(place);
        }
    }

    /// While something is asked for again nobody else joins: there is nothing to share out.
    fn may_open(&self, aid: &Aid<'_>) -> bool {
        !self.holds_off && (self.is_alone() || !self.lanes.is_empty()) && aid.may_try()
    }
}

/// A refusal that is a wish to be asked for less.
fn wish_to_slow_down(outcome: &Completion) -> Option<&StatusLine> {
    match outcome {
        Completion::Refused(status) if status.class(Doing::Fetch) == ErrorClass::Throttle => Some(status),
        _ => None,
    }
}

impl Sight {
    fn see(&mut self, event: &FetchEvent) {
        self.octets += octets_of(event);
        self.messages += u64::from(matches!(event, FetchEvent::Message { .. } | FetchEvent::LargeEnd));
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
