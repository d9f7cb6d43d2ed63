//! The pump: messages as the source delivers them, into the commands that store them.

use super::gauge::Gauge;
use super::intake::Intake;
use super::marks::Marks;
use super::table::{Sent, Table, lock};
use super::{Context, End, FlagsSent, Shipment, lost};
use crate::bounds;
use crate::error::LinkError;
use bytes::Bytes;
use mailhaul_imap::{AppendWriter, Completion, FetchBatch, FetchEvent, ImapError, StatusLine};
use mailhaul_plan::batches::Batch;
use mailhaul_plan::keys::KeyStream;
use mailhaul_types::{Flags, InternalDate, MessageKey, Side, Uid, UidSet};
use std::pin::pin;
use std::sync::Mutex;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// How many messages the source is asked for ahead of what it has answered. More than its window holds, so that the
/// window decides; and few enough for a transfer that is to end early to end soon.
const MESSAGES_ASKED_AHEAD: u64 = 12_000;
/// The same until the target has named a copy: what it does not name has to be recognised by reading it.
const MESSAGES_ASKED_AT_FIRST: u64 = 4_000;

/// How the pump ended when nothing broke.
pub(super) enum Pumped {
    /// Everything that was asked for was fetched and sent.
    All,
    /// The operator asked to stop.
    Part,
}

/// What a pump leaves behind.
pub(super) struct Left {
    /// Shipments below this index have been asked for.
    pub(super) begun: usize,
    pub(super) missing: UidSet,
    pub(super) unfetched: Vec<(UidSet, StatusLine)>,
    pub(super) too_large: Vec<(Uid, u64, u64)>,
    pub(super) target_spoilt: bool,
    /// The side whose line should be compressed.
    pub(super) worth_compressing: Option<Side>,
    /// Time in which nothing came from the source although everything for the target had been handed over.
    pub(super) waited_for_source: Duration,
}

/// The batch that is being written.
struct OpenBatch {
    /// Which shipment.
    batch: u64,
    /// Which opening, of all in this transfer. This is what the target's answers are matched by.
    opening: u64,
    /// Messages in it so far.
    messages: u32,
}

/// The message whose octets are streaming from one open literal into the other.
struct Streaming {
    uid: Uid,
    flags: SentFlags,
    octets: u64,
    key: KeyStream,
}

/// What was told about a message before its octets.
struct SentFlags {
    flags: Flags,
    had: Option<Flags>,
    sent_as: FlagsSent,
    dated: bool,
}

pub(super) struct Pump<'a> {
    shipments: &'a [Shipment],
    context: &'a Context<'a>,
    table: &'a Mutex<Table>,
    intake: Intake<'a>,
    append_limit: Option<u64>,
    marks: Marks<'a>,
    /// Shipments below this index have been asked for.
    begun: usize,
    /// Messages that were asked for and not answered.
    asked: u64,
    /// Shipments below this index were taken into account by whoever keeps a rate.
    paid: usize,
    /// When more may be asked for, if a rate is to be kept.
    not_before: Option<Instant>,
    open_batch: Option<OpenBatch>,
    /// How often a batch was opened.
    openings: u64,
    streaming: Option<Streaming>,
    missing: UidSet,
    unfetched: Vec<(UidSet, StatusLine)>,
    too_large: Vec<(Uid, u64, u64)>,
    target_spoilt: bool,
    /// Whether compression would pay is measured; none where there is nothing to decide, or it has been decided.
    gauge: Option<Gauge>,
    /// The side whose line should be compressed. Nothing more is asked for then.
    worth_compressing: Option<Side>,
    /// Time in which nothing came from the source although everything for the target had been handed over.
    waited_for_source: Duration,
}

impl<'a> Pump<'a> {
    pub(super) fn new(
        shipments: &'a [Shipment],
        context: &'a Context<'a>,
        table: &'a Mutex<Table>,
        intake: Intake<'a>,
        append_limit: Option<u64>,
        gauge: Option<Gauge>,
    ) -> Self {
        Self {
            shipments,
            context,
            table,
            intake,
            append_limit,
            marks: Marks::new(shipments, context.ledger, table),
            begun: 0,
            asked: 0,
            paid: 0,
            not_before: None,
            open_batch: None,
            openings: 0,
            streaming: None,
            missing: UidSet::new(),
            unfetched: Vec::new(),
            too_large: Vec::new(),
            target_spoilt: false,
            gauge,
            worth_compressing: None,
            waited_for_source: Duration::ZERO,
        }
    }

    /// What is left for the caller to look after. The connections are free behind it.
    pub(super) fn into_left(self) -> Left {
        let Self { begun, missing, unfetched, too_large, target_spoilt, worth_compressing, waited_for_source, .. } =
            self;
        Left { begun, missing, unfetched, too_large, target_spoilt, worth_compressing, waited_for_source }
    }

    /// Everything from the first FETCH to the last CRLF. The writer is dropped at the end, which lets the collector
    /// come to its own end once everything is answered.
    pub(super) async fn run(&mut self, mut writer: AppendWriter<'_>) -> Result<Pumped, End> {
        let result = self.pump(&mut writer).await;
        let source_ended = !matches!(&result, Err(End::Lost(LinkError { side: Side::Target, .. }) | End::Ledger(_)));
        if self.streaming.is_some() {
            // The literal is open and its octets will not come: only closing the connection keeps a part of a
            // message from being stored as a whole. The answers to earlier commands are still read first.
            self.target_spoilt = true;
        } else if self.open_batch.take().is_some() && source_ended {
            // Whole messages that are with the target already: completing the command is cheaper than sending them
            // again.
            self.finish(&mut writer).await?;
        }
        result
    }

    async fn pump(&mut self, writer: &mut AppendWriter<'_>) -> Result<Pumped, End> {
        loop {
            self.ask_ahead();
            if !self.keep_pace(writer).await? {
                return Ok(Pumped::Part);
            }
            let Some(event) = self.next_event(writer).await? else { return Ok(Pumped::Part) };
            match event {
                None => {
                    self.intake.finish().await;
                    return Ok(Pumped::All);
                }
                Some(FetchEvent::Message { uid, body, .. }) if self.is_too_large(uid, body.len() as u64) => {}
                Some(FetchEvent::Message { batch, uid, flags, date, body }) => {
                    let (key, octets) = (self.context.keys.key_of_message(&body), body.len() as u64);
                    let told = self.begin_message(writer, batch, flags, date, octets).await?;
                    self.register(uid, key, told, octets);
                    self.write(writer, body).await?;
                    writer.end_message().await.map_err(lost(Side::Target))?;
                }
                Some(FetchEvent::LargeStart { uid, octets, .. }) if self.is_too_large(uid, octets) => {}
                Some(FetchEvent::LargeStart { batch, uid, flags, date, octets }) => {
                    let flags = self.begin_message(writer, batch, flags, date, octets).await?;
                    self.streaming = Some(Streaming { uid, flags, octets, key: self.context.keys.stream() });
                }
                Some(FetchEvent::LargeChunk(chunk)) => {
                    if let Some(streaming) = &mut self.streaming {
                        streaming.key.push(&chunk);
                        self.write(writer, chunk).await?;
                    }
                }
                Some(FetchEvent::LargeEnd) => self.end_large(writer).await?,
                Some(FetchEvent::BatchEnd { batch, outcome, missing }) => {
                    // Some servers begin to answer the next command before they have ended this one.
                    if self.open_batch.take_if(|open| open.batch == batch).is_some() {
                        self.finish(writer).await?;
                    }
                    self.look_at_lines();
                    let answered = self.shipment(batch).map_or(0, |shipment| shipment.batch.uids.len());
                    self.asked = self.asked.saturating_sub(answered);
                    match outcome {
                        Completion::Ok => self.missing.extend(missing.iter()),
                        Completion::Refused(status) if !missing.is_empty() => self.unfetched.push((missing, status)),
                        Completion::Refused(_) => {}
                    }
                }
            }
        }
    }

    /// Asks the source for what comes next, unless too much is stored already without being named.
    fn ask_ahead(&mut self) {
        while self.begun < self.shipments.len()
            && self.worth_compressing.is_none()
            && self.has_room()
            && self.has_paid()
        {
            let Batch { uids, bytes, large } = self.shipments[self.begun].batch.clone();
            self.asked += uids.len();
            let octets_max = bounds::message_octets_max(bytes);
            self.intake.push(FetchBatch { id: self.begun as u64, uids, bytes_expected: bytes, large, octets_max });
            self.begun += 1;
        }
    }

    /// Whether more may be asked for, as far as the target has kept up.
    fn has_room(&self) -> bool {
        let table = lock(self.table);
        let most = if table.has_named() { MESSAGES_ASKED_AHEAD } else { MESSAGES_ASKED_AT_FIRST };
        self.asked < most && !table.is_rich_in_unnamed()
    }

    /// Whether a line should be compressed from here on. What was asked for is on its way as it is; where nothing else is
    /// left of this mailbox, the next one has the gain.
    fn look_at_lines(&mut self) {
        // A connection that is lost over the asking must not be held against a message.
        let is_one = matches!(self.shipments, [shipment] if shipment.batch.uids.len() == 1);
        if self.intake.has_lanes() {
            // What one line carries says nothing any more.
            self.gauge = None;
        } else if !is_one && let Some(side) = self.gauge.as_mut().and_then(Gauge::look) {
            (self.worth_compressing, self.gauge) = (Some(side), None);
        }
        // One line that is compressed may do as much as two that are not.
        self.intake.holds_off =
            self.worth_compressing.is_some() || self.gauge.as_ref().is_some_and(|gauge| !gauge.has_looked());
    }

    /// Whether the rate allows the next batch now. It is paid for before it goes out: what is paid afterwards is never
    /// paid by the last one of each account.
    fn has_paid(&mut self) -> bool {
        if self.paid == self.begun {
            let Batch { uids, bytes, .. } = &self.shipments[self.begun].batch;
            let pause = self.context.supervisor.pace(uids.len(), *bytes);
            self.not_before = (!pause.is_zero()).then(|| Instant::now() + pause);
            self.paid += 1;
        }
        self.not_before.is_none_or(|moment| moment <= Instant::now())
    }

    /// Waits until the rate allows more, with nothing on its way in either direction. `false` if the operator asks to
    /// stop meanwhile.
    async fn keep_pace(&mut self, writer: &mut AppendWriter<'_>) -> Result<bool, End> {
        while let Some(moment) = self.pause_ahead() {
            // Where a rate is kept, the line is not what is slow.
            self.gauge = None;
            self.intake.keeps_pace();
            writer.flush().await.map_err(lost(Side::Target))?;
            self.context.progress.wait_for(moment.saturating_duration_since(Instant::now()));
            tokio::select! {
                biased;
                () = self.context.stop.requested() => return Ok(false),
                () = tokio::time::sleep_until(moment) => self.ask_ahead(),
            }
        }
        Ok(true)
    }

    /// Until when nothing may be asked for although something is left and nothing is on its way.
    fn pause_ahead(&self) -> Option<Instant> {
        let idle = self.asked == 0 && self.begun < self.shipments.len();
        self.not_before.filter(|moment| idle && *moment > Instant::now())
    }

    /// Whether the target has said that it takes nothing so large (RFC 7889). The octets decide, not the announced
    /// size.
    fn is_too_large(&mut self, uid: Uid, octets: u64) -> bool {
        let exceeded = self.append_limit.filter(|limit| octets > *limit);
        self.too_large.extend(exceeded.map(|limit| (uid, octets, limit)));
        exceeded.is_some()
    }

    /// The next event of the source, `None` if the operator asks to stop. While the source is silent, what is
    /// buffered for the target goes out: a target must not wait for a source that waits for nothing.
    async fn next_event(&mut self, writer: &mut AppendWriter<'_>) -> Result<Option<Option<FetchEvent>>, End> {
        if self.context.stop.is_requested() {
            return Ok(None);
        }
        // To give up waiting for an event loses nothing.
        let ready = futures_util::poll!(pin!(self.intake.next()));
        let event = match ready {
            Poll::Ready(event) => event,
            Poll::Pending => {
                writer.flush().await.map_err(lost(Side::Target))?;
                let since = Instant::now();
                let event = tokio::select! {
                    biased;
                    () = self.context.stop.requested() => return Ok(None),
                    event = self.intake.next() => event,
                };
                let waited = since.elapsed();
                self.waited_for_source += waited;
                self.intake.waited(waited);
                if let Some(gauge) = &mut self.gauge {
                    gauge.waited_for_source(waited);
                }
                event
            }
        };
        event.map(Some).map_err(lost(Side::Source))
    }

    /// Opens the batch if it is not open, and the message in it. Returns what was told of it.
    async fn begin_message(
        &mut self,
        writer: &mut AppendWriter<'_>,
        batch: u64,
        flags: Flags,
        date: Option<InternalDate>,
        octets: u64,
    ) -> Result<SentFlags, End> {
        if self.open_batch.as_ref().is_none_or(|open| open.batch != batch) {
            if self.open_batch.take().is_some() {
                self.finish(writer).await?;
            }
            self.marks.reach(batch).await?;
            let opening = self.openings;
            writer.begin(opening).await.map_err(lost(Side::Target))?;
            self.openings += 1;
            self.open_batch = Some(OpenBatch { batch, opening, messages: 0 });
        }
        let sent_as = self.shipment(batch).map_or(FlagsSent::All, |found| found.flags);
        let sent = self.context.filter.apply(&flags, sent_as);
        writer.message(&sent, date.as_ref(), octets).await.map_err(lost(Side::Target))?;
        let had = (sent != flags).then_some(flags);
        Ok(SentFlags { flags: sent, had, sent_as, dated: date.is_some() })
    }

    async fn write(&mut self, writer: &mut AppendWriter<'_>, octets: Bytes) -> Result<(), End> {
        let count = octets.len() as u64;
        if let Some(gauge) = &mut self.gauge {
            gauge.pass(&octets);
        }
        writer.body(octets).await.map_err(lost(Side::Target))?;
        self.context.progress.moved(count);
        Ok(())
    }

    async fn end_large(&mut self, writer: &mut AppendWriter<'_>) -> Result<(), End> {
        if let Some(Streaming { uid, flags, octets, key }) = self.streaming.take() {
            self.register(uid, key.finish(), flags, octets);
            writer.end_message().await.map_err(lost(Side::Target))?;
        }
        Ok(())
    }

    async fn finish(&mut self, writer: &mut AppendWriter<'_>) -> Result<(), End> {
        let Context { lease, supervisor, .. } = self.context;
        writer.finish(&|| lease.is_valid() && supervisor.may_write()).await.map_err(|error| {
            self.target_spoilt = true;
            match error {
                ImapError::CommitRefused => match lease.failure() {
                    Some(failure) => End::Ledger(failure),
                    None => End::Lost(LinkError::new(Side::Target, error)),
                },
                error => End::Lost(LinkError::new(Side::Target, error)),
            }
        })
    }

    /// Enters a message into the table, before its command can be completed.
    fn register(&mut self, uid: Uid, key: MessageKey, told: SentFlags, octets: u64) {
        let Some(open) = &mut self.open_batch else { return };
        let SentFlags { flags, had, sent_as, dated } = told;
        let sent = Sent { uid, key, flags, had, sent_as, dated, octets };
        lock(self.table).in_flight.insert((open.opening, open.messages), sent);
        open.messages += 1;
    }

    fn shipment(&self, batch: u64) -> Option<&Shipment> {
        self.shipments.get(usize::try_from(batch).ok()?)
    }
}
