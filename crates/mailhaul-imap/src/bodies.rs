//! Message bodies: pipelined `UID FETCH set (UID FLAGS INTERNALDATE BODY.PEEK[])`.
//!
//! A body of ordinary size comes out as a slice of the read buffer. A larger one is streamed chunk by chunk, which
//! needs its flags and date beforehand; for a message that the caller knows to be large they are asked for first, in
//! the same burst. Only UIDs that were asked for count, each once; a message is complete only with its flags.

use crate::command::foreign_tag;
use crate::error::ImapError;
use crate::fetch_items::{FetchItems, Octets};
use crate::pipeline::Gathering;
use crate::response::{Response, bye, own_tag};
use crate::status_line::{Status, StatusLine};
use crate::wire::Wire;
use crate::wire::reader::{Oversize, Piece};
use bytes::Bytes;
use mailhaul_types::{Flags, InternalDate, Uid, UidSet};
use std::collections::{BTreeMap, VecDeque};

/// A body in an ordinary batch whose flags are not known when it begins is held up to this size; a larger one is
/// left out and becomes `missing`.
const GATHERED_OCTETS_MAX: usize = 16 << 20;
/// Bodies that came before their flags, in one batch.
const HELD_MAX: usize = 64;
const NAME: &str = "UID FETCH";
/// In the names of failpoints.
const BODIES: &str = "UID FETCH bodies";

/// How much is asked ahead. What is asked ahead lies at the server, on the line and in the kernel's buffers, and only as
/// much of it as the line takes within a round trip: so the window is as wide as the longest line needs, and a short one
/// does not notice.
#[derive(Debug, Clone, Copy)]
pub struct FetchOptions {
    /// Octets asked for and not yet received, by the sizes that the caller expects. At least one batch is always out.
    pub window_bytes: u64,
    /// Messages asked for and not yet received.
    pub window_messages: u64,
    /// The largest body that is delivered in one piece, in octets.
    pub inline_max: usize,
}

impl Default for FetchOptions {
    fn default() -> Self {
        // 300 ms at 100 MB/s, or at 33,000 messages a second.
        Self { window_bytes: 32 << 20, window_messages: 10_000, inline_max: 1 << 20 }
    }
}

/// A set of messages that is fetched together.
#[derive(Debug, Clone)]
pub struct FetchBatch {
    /// The caller's number for it, given back in every event.
    pub id: u64,
    /// Which messages. A `large` batch holds exactly one.
    pub uids: UidSet,
    /// What the caller expects them to weigh, in octets.
    pub bytes_expected: u64,
    /// One message that is streamed: its metadata is fetched first, so that it is known when the body begins. If it
    /// turns out to be small, it comes as a `Message` all the same.
    pub large: bool,
    /// The most that one of them may weigh, in octets. A server that announces more would keep its reader busy with
    /// something else than this mail; the connection ends. Nothing above 4 GiB is read in any case.
    pub octets_max: u64,
}

/// How a batch was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completion {
    /// Every command of the batch was answered OK.
    Ok,
    /// A command of the batch was answered NO or BAD. What was delivered before is good.
    Refused(StatusLine),
}

/// What the fetcher delivers. Events of one batch stand between its first message and its `BatchEnd`.
#[derive(Debug)]
pub enum FetchEvent {
    /// One whole message.
    Message {
        /// The batch it belongs to.
        batch: u64,
        /// Its UID.
        uid: Uid,
        /// Its flags.
        flags: Flags,
        /// INTERNALDATE, if it could be read.
        date: Option<InternalDate>,
        /// Its octets, a slice of the read buffer.
        body: Bytes,
    },
    /// A message begins whose octets follow in chunks.
    LargeStart {
        /// The batch it belongs to.
        batch: u64,
        /// Its UID.
        uid: Uid,
        /// Its flags.
        flags: Flags,
        /// INTERNALDATE, if it could be read.
        date: Option<InternalDate>,
        /// How many octets will follow.
        octets: u64,
    },
    /// The next octets of the large message.
    LargeChunk(Bytes),
    /// The large message is complete.
    LargeEnd,
    /// The batch has been answered.
    BatchEnd {
        /// The batch.
        batch: u64,
        /// The server's verdict.
        outcome: Completion,
        /// Messages that were asked for and not delivered: gone, without data, or too large for this form.
        missing: UidSet,
    },
}

/// Fetches bodies over a connection whose mailbox is selected. Dropping it before `next` said `None` leaves the
/// connection out of step, and its next command fails.
pub struct BodyFetcher<'a> {
    wire: &'a mut Wire,
    options: FetchOptions,
    set_octets_max: usize,
    queued: VecDeque<FetchBatch>,
    in_flight: VecDeque<Flight>,
    events: VecDeque<FetchEvent>,
    bytes_ahead: u64,
    messages_ahead: u64,
    /// The message that is being streamed.
    streamed: Option<Uid>,
    /// A literal that is not streamed and larger than is delivered in one piece, and whether it is a body.
    gathering: Option<(Gathering, bool)>,
    stepped_out: bool,
}

/// A batch whose commands have been written.
struct Flight {
    batch: FetchBatch,
    messages: u64,
    /// The tags of its commands, and how many of these are unanswered.
    tags: std::ops::RangeInclusive<u64>,
    unanswered: u64,
    refusal: Option<StatusLine>,
    /// What was not delivered yet.
    remaining: UidSet,
    /// Flags and dates that came in responses of their own.
    metadata: BTreeMap<Uid, (Option<Flags>, Option<InternalDate>)>,
    /// Bodies that came before their flags.
    held: Vec<(Uid, Option<InternalDate>, Bytes)>,
}

impl<'a> BodyFetcher<'a> {
    pub(crate) fn new(wire: &'a mut Wire, options: FetchOptions, set_octets_max: usize) -> Self {
        Self {
            wire,
            options,
            set_octets_max,
            queued: VecDeque::new(),
            in_flight: VecDeque::new(),
            events: VecDeque::new(),
            bytes_ahead: 0,
            messages_ahead: 0,
            streamed: None,
            gathering: None,
            stepped_out: false,
        }
    }

    /// Queues a batch. Commands go out in `next`, as the window allows.
    pub fn push(&mut self, batch: FetchBatch) {
        self.queued.push_back(batch);
    }

    /// How much is asked ahead from now on: octets and messages, as in [`FetchOptions`].
    pub fn set_window(&mut self, bytes: u64, messages: u64) {
        (self.options.window_bytes, self.options.window_messages) = (bytes, messages);
    }

    /// Takes back what was pushed and has not been asked for yet, in its order.
    pub fn take_back(&mut self) -> Vec<FetchBatch> {
        self.queued.drain(..).collect()
    }

    /// Batches that were pushed and whose `BatchEnd` has not been delivered.
    #[must_use]
    pub fn pending(&self) -> usize {
        let ended = self.events.iter().filter(|event| matches!(event, FetchEvent::BatchEnd { .. })).count();
        self.queued.len() + self.in_flight.len() + ended
    }

    /// The next event; `None` when everything pushed has been answered. More may be pushed then.
    ///
    /// A future of it may be dropped before it is ready: nothing is lost, and the next one goes on.
    ///
    /// # Errors
    /// The connection's end in every form; a refused batch is an event and not an error.
    pub async fn next(&mut self) -> Result<Option<FetchEvent>, ImapError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            self.fill_window()?;
            if self.in_flight.is_empty() {
                if !self.events.is_empty() {
                    continue;
                }
                if std::mem::take(&mut self.stepped_out) {
                    self.wire.back_in_step();
                }
                return Ok(None);
            }
            if let Some((gathering, is_body)) = &mut self.gathering {
                let (frame, is_body) = (gathering.finish(self.wire).await?, *is_body);
                self.gathering = None;
                if is_body && let Some(event) = self.take_frame(frame)? {
                    return Ok(Some(event));
                }
                continue;
            }
            let event = if self.wire.reader.open_literal() > 0 {
                self.wire.reader.take_chunk().map(FetchEvent::LargeChunk)
            } else {
                match self.wire.reader.take()? {
                    Some(piece) => {
                        let event = self.take_piece(piece)?;
                        if event.is_none() {
                            continue;
                        }
                        event
                    }
                    None => None,
                }
            };
            match event {
                Some(event) => return Ok(Some(event)),
                None => self.wire.exchange().await?,
            }
        }
    }

    /// Writes commands as long as the window has room.
    fn fill_window(&mut self) -> Result<(), ImapError> {
        while let Some(batch) = self.queued.front() {
            let messages = batch.uids.len();
            let full = self.bytes_ahead.saturating_add(batch.bytes_expected) > self.options.window_bytes
                || self.messages_ahead.saturating_add(messages) > self.options.window_messages;
            if full && !self.in_flight.is_empty() {
                break;
            }
            if !self.stepped_out {
                self.wire.step_out(NAME)?;
                self.wire.reader.expect(NAME, self.options.inline_max, Oversize::Stream);
                self.stepped_out = true;
            }
            if let Some(batch) = self.queued.pop_front() {
                self.wire.reach(BODIES, "before")?;
                self.send(batch, messages);
            }
        }
        Ok(())
    }

    fn send(&mut self, batch: FetchBatch, messages: u64) {
        if batch.uids.is_empty() {
            self.events.push_back(FetchEvent::BatchEnd {
                batch: batch.id,
                outcome: Completion::Ok,
                missing: UidSet::new(),
            });
            return;
        }
        let mut commands = Vec::new();
        for set in batch.uids.to_sequence_sets(self.set_octets_max) {
            if batch.large {
                commands.push(format!("{NAME} {set} (UID FLAGS INTERNALDATE)\r\n"));
                commands.push(format!("{NAME} {set} (UID BODY.PEEK[])\r\n"));
            } else {
                commands.push(format!("{NAME} {set} (UID FLAGS INTERNALDATE BODY.PEEK[])\r\n"));
            }
        }
        let tags: Vec<u64> = commands.iter().map(|command| self.write_command(command)).collect();
        let (first, last) = (tags.first().copied().unwrap_or(1), tags.last().copied().unwrap_or(0));
        self.bytes_ahead += batch.bytes_expected;
        self.messages_ahead += messages;
        self.in_flight.push_back(Flight {
            messages,
            tags: first..=last,
            unanswered: tags.len() as u64,
            refusal: None,
            remaining: batch.uids.clone(),
            metadata: BTreeMap::new(),
            held: Vec::new(),
            batch,
        });
    }

    fn write_command(&mut self, command: &str) -> u64 {
        let tag = self.wire.next_tag();
        self.wire.writer.put(format!("M{tag} {command}").as_bytes());
        tag
    }

    fn take_piece(&mut self, piece: Piece) -> Result<Option<FetchEvent>, ImapError> {
        match piece {
            Piece::Frame(frame) => self.take_frame(frame),
            Piece::Head { head, octets } => self.take_head(&head, octets),
            Piece::Tail(tail) => self.take_tail(&tail),
        }
    }

    fn take_frame(&mut self, frame: Bytes) -> Result<Option<FetchEvent>, ImapError> {
        match Response::of(&frame) {
            Response::Data { word, rest, .. } if word.eq_ignore_ascii_case(b"FETCH") => {
                let mut items = FetchItems::default();
                items.read(rest);
                Ok(self.take_message(&frame, items))
            }
            Response::Tagged { tag, line } => self.take_verdict(tag, &line.to_line()),
            Response::Status(line) if line.is_bye() => Err(bye(self.wire, &line.to_line())),
            other => {
                self.wire.overhear(&other);
                Ok(None)
            }
        }
    }

    /// Which batch wants this message. Some servers put the UID behind the body, or forget it: a large batch that is
    /// answered next knows which message it is.
    fn wanted(&self, uid: Option<Uid>) -> Option<(usize, Uid)> {
        match uid {
            Some(uid) => {
                let place = self.in_flight.iter().position(|flight| flight.remaining.contains(uid))?;
                Some((place, uid))
            }
            None => {
                let flight = self.in_flight.front().filter(|flight| flight.batch.large)?;
                Some((0, flight.remaining.first()?))
            }
        }
    }

    fn take_message(&mut self, frame: &Bytes, items: FetchItems) -> Option<FetchEvent> {
        if items.uid.is_none() && items.body.is_none() {
            return None;
        }
        let (place, uid) = self.wanted(items.uid)?;
        let flight = &mut self.in_flight[place];
        let body = match items.body {
            Some(Octets::At(range)) => frame.slice(range),
            Some(Octets::Unescaped(octets)) => Bytes::from(octets),
            Some(Octets::Nil | Octets::Open) | None => {
                return flight.take_metadata(uid, items.flags, items.date);
            }
        };
        let (early_flags, early_date) = flight.metadata.remove(&uid).unwrap_or_default();
        let date = items.date.or(early_date);
        match items.flags.or(early_flags) {
            Some(flags) => flight.deliver(uid, flags, date, body),
            None => {
                if flight.held.len() < HELD_MAX {
                    flight.held.push((uid, date, body));
                }
                None
            }
        }
    }

    /// A response whose body is larger than is delivered in one piece.
    fn take_head(&mut self, head: &Bytes, octets: u64) -> Result<Option<FetchEvent>, ImapError> {
        let mut items = FetchItems::default();
        if let Response::Data { word, rest, .. } = Response::of(head)
            && word.eq_ignore_ascii_case(b"FETCH")
        {
            items.read(rest);
        }
        let is_body = items.body == Some(Octets::Open);
        if is_body && let Some((place, uid)) = self.wanted(items.uid) {
            let flight = &mut self.in_flight[place];
            let octets_max = flight.batch.octets_max;
            if octets > octets_max {
                return Err(ImapError::LimitExceeded {
                    what: format!("{octets} octets announced of UID {uid}, which may have {octets_max} at most"),
                });
            }
            let (early_flags, early_date) = flight.metadata.remove(&uid).unwrap_or_default();
            let date = items.date.or(early_date);
            if let Some(flags) = items.flags.or(early_flags) {
                self.streamed = Some(uid);
                return Ok(Some(FetchEvent::LargeStart { batch: flight.batch.id, uid, flags, date, octets }));
            }
        }
        let fits = usize::try_from(octets).is_ok_and(|octets| octets <= GATHERED_OCTETS_MAX);
        let is_wanted = is_body && fits;
        let keep = if is_wanted { GATHERED_OCTETS_MAX } else { 0 };
        self.gathering = Some((Gathering::begin(self.wire, head.clone(), keep)?, is_wanted));
        Ok(None)
    }

    /// The end of the response whose body was streamed.
    fn take_tail(&mut self, tail: &[u8]) -> Result<Option<FetchEvent>, ImapError> {
        let mut items = FetchItems::default();
        items.read_tail(tail);
        let Some(uid) = self.streamed.take() else {
            return Err(ImapError::Protocol {
                during: NAME,
                detail: "the end of a body without its beginning".to_owned(),
            });
        };
        if items.uid.is_some_and(|told| told != uid) {
            return Err(ImapError::Protocol {
                during: NAME,
                detail: format!("a body was taken for UID {uid}, and behind it the server said another"),
            });
        }
        if let Some(flight) = self.in_flight.iter_mut().find(|flight| flight.remaining.contains(uid)) {
            flight.remaining.remove(uid);
        }
        Ok(Some(FetchEvent::LargeEnd))
    }

    fn take_verdict(&mut self, tag: &[u8], line: &StatusLine) -> Result<Option<FetchEvent>, ImapError> {
        let place = own_tag(tag).and_then(|tag| self.in_flight.iter().position(|flight| flight.tags.contains(&tag)));
        let Some(place) = place else { return Err(foreign_tag(NAME, tag)) };
        self.wire.reach(BODIES, "answered")?;
        let flight = &mut self.in_flight[place];
        if line.status != Status::Ok {
            flight.refusal.get_or_insert_with(|| line.clone());
        }
        flight.unanswered = flight.unanswered.saturating_sub(1);
        if flight.unanswered > 0 {
            return Ok(None);
        }
        let Some(flight) = self.in_flight.remove(place) else { return Ok(None) };
        self.bytes_ahead = self.bytes_ahead.saturating_sub(flight.batch.bytes_expected);
        self.messages_ahead = self.messages_ahead.saturating_sub(flight.messages);
        Ok(Some(FetchEvent::BatchEnd {
            batch: flight.batch.id,
            outcome: flight.refusal.map_or(Completion::Ok, Completion::Refused),
            missing: flight.remaining,
        }))
    }
}

impl Flight {
    fn deliver(&mut self, uid: Uid, flags: Flags, date: Option<InternalDate>, body: Bytes) -> Option<FetchEvent> {
        // A server that sends a message twice must not make two of it.
        self.remaining.remove(uid).then(|| FetchEvent::Message { batch: self.batch.id, uid, flags, date, body })
    }

    /// Flags without a body: kept for a body that follows, or joined to one that came before.
    fn take_metadata(&mut self, uid: Uid, flags: Option<Flags>, date: Option<InternalDate>) -> Option<FetchEvent> {
        if let Some(place) = self.held.iter().position(|(held, _, _)| *held == uid)
            && let Some(flags) = flags.clone()
        {
            let (_, early, body) = self.held.swap_remove(place);
            return self.deliver(uid, flags, date.or(early), body);
        }
        let known = self.metadata.entry(uid).or_default();
        known.0 = flags.or(known.0.take());
        known.1 = date.or(known.1);
        None
    }
}
