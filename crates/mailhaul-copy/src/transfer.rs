//! The pipe: batches out of the source's FETCH into the target's APPEND.
//!
//! Two futures run in one task. The *pump* takes messages from the source as they arrive and writes them into the
//! open batch; the *collector* reads the target's answers and hands what is settled to the ledger. Between them
//! stands only the table of what was sent and not yet answered. The kernel's socket buffers do the rest: while one
//! server is busy, the other goes on filling or draining them.
//!
//! Nothing here decides what to copy, and nothing here repairs anything. What was refused, delivered nothing, or was
//! in flight when a connection broke comes back to the caller, who reads the target's tail before he tries again.

use crate::error::LinkError;
use crate::flags::FlagFilter;
use crate::progress::Progress;
use crate::stop::StopSignal;
use bytes::Bytes;
use mailhaul_db::{Committed, DbError, MailboxLedger, PairLease, Settled, SettledState, Settlement};
use mailhaul_imap::{
    AppendEvent, AppendOptions, AppendReader, AppendWriter, BodyFetcher, Completion, Connection, FetchBatch,
    FetchEvent, FetchOptions, ImapError, StatusLine,
};
use mailhaul_plan::batches::Batch;
use mailhaul_plan::keys::{KeyMaker, KeyStream};
use mailhaul_plan::tail::advance_mark;
use mailhaul_types::{Flags, InternalDate, MailboxName, MessageKey, Side, Uid, UidRange, UidSet, UidValidity};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::Duration;

/// How long the target may take to answer what was sent, once the operator asked to stop. What is unanswered then
/// stays `sent` in the ledger, and the next run looks for it.
const DRAIN_AFTER_STOP: Duration = Duration::from_secs(7);

/// How many messages one mark covers ahead of the sending front. A larger mark costs nothing but a longer list of
/// candidates after a crash; a smaller one costs a commit the more.
const MESSAGES_MARKED_AHEAD: u64 = 4_096;

/// How many messages the source is asked for ahead of what it has answered. More than its window holds, so that the
/// window decides; and few enough for a transfer that is to end early to end soon.
const MESSAGES_ASKED_AHEAD: u64 = 4_000;

/// How many stored messages may wait for their UIDs before the transfer ends, so that the tail is read. A target may
/// announce UIDPLUS and name nothing all the same; after a crash, all of these have to be recognised by their keys.
const UNNAMED_MAX: usize = 2_000;

/// Which flags of its messages a batch carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FlagsSent {
    /// All that the target can keep.
    All,
    /// System flags only: a keyword may have been the reason for a refusal.
    NoKeywords,
    /// None at all.
    None,
}

/// A batch and how it is to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Shipment {
    pub(crate) batch: Batch,
    pub(crate) flags: FlagsSent,
}

/// Messages that the target refused together.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) uids: UidSet,
    pub(crate) flags: FlagsSent,
    /// Whether keywords were sent with any of them.
    pub(crate) keywords: bool,
    /// Whether any flags were.
    pub(crate) flagged: bool,
    pub(crate) status: StatusLine,
}

/// How a transfer ended.
#[derive(Debug)]
pub(crate) enum End {
    /// Everything was fetched, sent and answered.
    Finished,
    /// The operator asked to stop. Whether anything is still unanswered is in [`Outcome::unanswered`].
    Stopped,
    /// A connection broke.
    Lost(LinkError),
    /// The ledger could not be written.
    Ledger(DbError),
}

/// What a transfer leaves for its caller to look after.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) end: End,
    /// How many of the shipments were asked for; those behind them are untouched.
    pub(crate) begun: usize,
    /// Batches that the target answered NO or BAD.
    pub(crate) refused: Vec<Refusal>,
    /// Asked for, answered OK, and not delivered.
    pub(crate) missing: UidSet,
    /// Not delivered because the source answered NO or BAD.
    pub(crate) unfetched: Vec<(UidSet, StatusLine)>,
    /// Stored according to the target, in the order of transmission, but without UIDs that fit.
    pub(crate) stored_without_uids: Vec<Settled>,
    /// Their octets.
    pub(crate) stored_bytes_without_uids: u64,
    /// Messages that were not offered because they exceed the target's APPENDLIMIT: UID, octets, limit.
    pub(crate) too_large: Vec<(Uid, u64, u64)>,
    /// How far every UID of the target is accounted for.
    pub(crate) target_mark: Uid,
    /// UIDs of the target from the mark on that belong to settled messages.
    pub(crate) claimed: UidSet,
    /// Messages sent whose answer never came.
    pub(crate) unanswered: u64,
    /// The target connection holds an unfinished command and must be dropped.
    pub(crate) target_spoilt: bool,
    /// The target's last words that asked to slow down, if it did so inside an OK.
    pub(crate) throttled: Option<StatusLine>,
    /// Messages stored whose internal date could not be read; the target gave them one of its own.
    pub(crate) undated: u64,
}

/// What a transfer works with, beside the two connections.
pub(crate) struct Context<'a> {
    pub(crate) target_mailbox: &'a MailboxName,
    pub(crate) target_uid_validity: UidValidity,
    pub(crate) target_mark: Uid,
    /// UIDs of the target from the mark on that are known to belong to settled messages.
    pub(crate) claimed: &'a UidSet,
    pub(crate) ledger: &'a MailboxLedger,
    pub(crate) lease: &'a PairLease,
    pub(crate) keys: &'a KeyMaker,
    pub(crate) filter: &'a FlagFilter,
    pub(crate) progress: &'a Progress,
    pub(crate) stop: &'a StopSignal,
    /// Called for every group of messages that was handed to the ledger as settled.
    pub(crate) on_settled: &'a (dyn Fn(&[Settled], u64) + Sync),
}

/// A message on its way.
#[derive(Debug)]
struct Sent {
    uid: Uid,
    key: MessageKey,
    /// Its flags as they were sent.
    flags: Flags,
    /// Its flags at the source, if they are others.
    had: Option<Flags>,
    sent_as: FlagsSent,
    dated: bool,
    octets: u64,
}

/// Where a message stands among those that were sent: which opening of a batch, and its position in it, from 0. A
/// batch that has to be opened a second time, because the source mixes its answers, counts as another one.
type Place = (u64, u32);

/// What pump and collector share. Locked for moments, once a message.
#[derive(Debug)]
struct Table {
    in_flight: BTreeMap<Place, Sent>,
    refusals: Vec<Refusal>,
    stored_without_uids: Vec<Settled>,
    stored_bytes_without_uids: u64,
    target_mark: Uid,
    claimed: UidSet,
    undated: u64,
    throttled: Option<StatusLine>,
}

/// Sends the shipments: all of them, unless too many are stored without a name. Never fails as a whole: whatever went wrong stands in the outcome, beside what went right.
pub(crate) async fn transfer(
    source: &mut Connection,
    target: &mut Connection,
    shipments: &[Shipment],
    context: &Context<'_>,
) -> Outcome {
    let table = Mutex::new(Table {
        in_flight: BTreeMap::new(),
        refusals: Vec::new(),
        stored_without_uids: Vec::new(),
        stored_bytes_without_uids: 0,
        target_mark: context.target_mark,
        claimed: context.claimed.clone(),
        undated: 0,
        throttled: None,
    });
    let append_limit = target.capabilities().append_limit();
    let fetcher = source.fetch_bodies(FetchOptions::default());
    let (mut writer, reader) = target.append_to(context.target_mailbox, AppendOptions::default());
    if !writer.uses_multiappend() {
        let validity = context.lease.validity();
        writer.check_each_commit(Arc::new(move || validity.is_valid()));
    }
    let mut pump = Pump::new(shipments, context, &table, fetcher, append_limit);
    let (pumped, collected) = run_both(pump.run(writer), collect(reader, context, &table), context.stop).await;

    let Pump { begun, missing, unfetched, too_large, target_spoilt, .. } = pump;
    let table = table.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let interrupted = pumped.is_none() || collected.is_none();
    let end = match (pumped, collected) {
        (_, Some(Err(end))) | (Some(Err(end)), _) => end,
        (Some(Ok(Pumped::All)), Some(Ok(()))) => End::Finished,
        (Some(Ok(_)) | None, _) => End::Stopped,
    };
    Outcome {
        begun,
        refused: table.refusals,
        missing,
        unfetched,
        stored_without_uids: table.stored_without_uids,
        stored_bytes_without_uids: table.stored_bytes_without_uids,
        too_large,
        target_mark: table.target_mark,
        claimed: table.claimed,
        unanswered: table.in_flight.len() as u64,
        target_spoilt: target_spoilt || interrupted || matches!(end, End::Lost(LinkError { side: Side::Target, .. })),
        throttled: table.throttled,
        undated: table.undated,
        end,
    }
}

/// Runs pump and collector until both are through. The collector's failure ends the pump: there is nobody left to
/// send to. After a stop was asked for, both have [`DRAIN_AFTER_STOP`]; `None` means that it did not suffice.
async fn run_both<P>(
    pump: impl Future<Output = Result<P, End>>,
    collector: impl Future<Output = Result<(), End>>,
    stop: &StopSignal,
) -> (Option<Result<P, End>>, Option<Result<(), End>>) {
    let mut pump = pin!(pump);
    let mut collector = pin!(collector);
    let mut deadline = pin!(async {
        stop.requested().await;
        tokio::time::sleep(DRAIN_AFTER_STOP).await;
    });
    let (mut pumped, mut collected) = (None, None);
    std::future::poll_fn(|task| {
        if pumped.is_none()
            && let Poll::Ready(result) = pump.as_mut().poll(task)
        {
            pumped = Some(result);
        }
        if collected.is_none()
            && let Poll::Ready(result) = collector.as_mut().poll(task)
        {
            collected = Some(result);
        }
        let done = matches!(collected, Some(Err(_))) || (pumped.is_some() && collected.is_some());
        if done || deadline.as_mut().poll(task).is_ready() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    (pumped, collected)
}

/// How the pump ended when nothing broke.
enum Pumped {
    /// Everything that was asked for was fetched and sent.
    All,
    /// The operator asked to stop.
    Part,
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

/// How far ahead of the sending front the ledger has been told.
#[derive(Default)]
struct Marks {
    /// Shipments below this index are on disk as sent.
    durable: usize,
    /// Shipments below this index have been asked for.
    requested: usize,
    /// How many shipments the last request covered.
    last_width: usize,
    /// All that was marked in this transfer.
    hull: Option<UidRange>,
    pending: Option<Committed>,
}

struct Pump<'a> {
    shipments: &'a [Shipment],
    context: &'a Context<'a>,
    table: &'a Mutex<Table>,
    fetcher: BodyFetcher<'a>,
    append_limit: Option<u64>,
    marks: Marks,
    /// Shipments below this index have been asked for.
    begun: usize,
    /// Messages that were asked for and not answered.
    asked: u64,
    open_batch: Option<OpenBatch>,
    /// How often a batch was opened.
    openings: u64,
    streaming: Option<Streaming>,
    missing: UidSet,
    unfetched: Vec<(UidSet, StatusLine)>,
    too_large: Vec<(Uid, u64, u64)>,
    target_spoilt: bool,
}

impl<'a> Pump<'a> {
    fn new(
        shipments: &'a [Shipment],
        context: &'a Context<'a>,
        table: &'a Mutex<Table>,
        fetcher: BodyFetcher<'a>,
        append_limit: Option<u64>,
    ) -> Self {
        Self {
            shipments,
            context,
            table,
            fetcher,
            append_limit,
            marks: Marks::default(),
            begun: 0,
            asked: 0,
            open_batch: None,
            openings: 0,
            streaming: None,
            missing: UidSet::new(),
            unfetched: Vec::new(),
            too_large: Vec::new(),
            target_spoilt: false,
        }
    }

    /// Everything from the first FETCH to the last CRLF. The writer is dropped at the end, which lets the collector
    /// come to its own end once everything is answered.
    async fn run(&mut self, mut writer: AppendWriter<'_>) -> Result<Pumped, End> {
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
            let Some(event) = self.next_event(writer).await? else { return Ok(Pumped::Part) };
            match event {
                None => return Ok(Pumped::All),
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
            && self.asked < MESSAGES_ASKED_AHEAD
            && !lock(self.table).is_rich_in_unnamed()
        {
            let Batch { uids, bytes, large } = self.shipments[self.begun].batch.clone();
            self.asked += uids.len();
            self.fetcher.push(FetchBatch { id: self.begun as u64, uids, bytes_expected: bytes, large });
            self.begun += 1;
        }
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
        let mut next = pin!(self.fetcher.next());
        let event = match futures_util::poll!(next.as_mut()) {
            Poll::Ready(event) => event,
            Poll::Pending => {
                writer.flush().await.map_err(lost(Side::Target))?;
                tokio::select! {
                    biased;
                    () = self.context.stop.requested() => return Ok(None),
                    event = next => event,
                }
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
            self.mark_ahead(batch).await?;
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

    async fn write(&self, writer: &mut AppendWriter<'_>, octets: Bytes) -> Result<(), End> {
        let count = octets.len() as u64;
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
        let lease = self.context.lease;
        writer.finish(&|| lease.is_valid()).await.map_err(|error| {
            self.target_spoilt = true;
            match error {
                ImapError::CommitRefused => match lease.failure() {
                    Some(failure) => End::Ledger(failure),
                    None => End::Lost(LinkError { side: Side::Target, error }),
                },
                error => End::Lost(LinkError { side: Side::Target, error }),
            }
        })
    }

    /// Makes sure that the ledger knows of `batch` as sent before its first octet leaves. The next mark is asked for
    /// while half of the last one is still ahead, so that the sender hardly ever waits for a commit.
    async fn mark_ahead(&mut self, batch: u64) -> Result<(), End> {
        let batch = usize::try_from(batch).unwrap_or(usize::MAX);
        while batch >= self.marks.durable && self.marks.durable < self.shipments.len() {
            if self.marks.pending.is_none() {
                self.request_mark().await?;
            }
            if let Some(pending) = self.marks.pending.take() {
                pending.wait().await.map_err(End::Ledger)?;
                self.marks.durable = self.marks.requested;
            }
        }
        let ahead = self.marks.durable.saturating_sub(batch);
        if self.marks.pending.is_none() && ahead <= self.marks.last_width / 2 {
            self.request_mark().await?;
        }
        Ok(())
    }

    async fn request_mark(&mut self) -> Result<(), End> {
        let begin = self.marks.requested;
        let mut messages = 0;
        while self.marks.requested < self.shipments.len() && messages < MESSAGES_MARKED_AHEAD {
            let uids = &self.shipments[self.marks.requested].batch.uids;
            if let (Some(first), Some(last)) = (uids.first(), uids.last()) {
                let old = self.marks.hull.unwrap_or(UidRange { first, last });
                self.marks.hull = Some(UidRange { first: old.first.min(first), last: old.last.max(last) });
            }
            messages += uids.len();
            self.marks.requested += 1;
        }
        self.marks.last_width = self.marks.requested - begin;
        if let (Some(hull), true) = (self.marks.hull, self.marks.last_width > 0) {
            let target_mark = lock(self.table).target_mark;
            let pending = self.context.ledger.mark_sent(hull, target_mark).await.map_err(End::Ledger)?;
            self.marks.pending = Some(pending);
        }
        Ok(())
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

/// Reads the target's answers to the end.
async fn collect(mut reader: AppendReader<'_>, context: &Context<'_>, table: &Mutex<Table>) -> Result<(), End> {
    while let Some(event) = reader.next().await.map_err(lost(Side::Target))? {
        match event {
            AppendEvent::Stored { batch, first, messages, uids, status } => {
                let (settled, bytes, target_mark) = {
                    let mut table = lock(table);
                    if status.is_throttled() {
                        table.throttled = Some(status);
                    }
                    table.take_stored((batch, first), messages, uids, context)
                };
                context.progress.settle(u64::from(messages), bytes);
                if !settled.is_empty() {
                    (context.on_settled)(&settled, bytes);
                    let settlement =
                        Settlement { messages: settled, target_mark: Some(target_mark), clear_sent: false };
                    context.ledger.settle(settlement).await.map_err(End::Ledger)?;
                }
            }
            AppendEvent::Refused { batch, first, count, status } => {
                lock(table).take_refused((batch, first), count, status);
            }
        }
    }
    Ok(())
}

impl Table {
    /// Takes stored messages off the table. Those whose UIDs the target named are ready for the ledger; the others
    /// wait until the tail has been read.
    fn take_stored(
        &mut self,
        first: Place,
        messages: u32,
        uids: Option<(UidValidity, Vec<Uid>)>,
        context: &Context<'_>,
    ) -> (Vec<Settled>, u64, Uid) {
        let sent = self.take(first, messages);
        let bytes = sent.iter().map(|sent| sent.octets).sum();
        for sent in &sent {
            self.undated += u64::from(!sent.dated);
            if let Some(had) = &sent.had {
                context.filter.count_dropped(had, &sent.flags);
            }
        }
        // A wrong count or another UIDVALIDITY says that the answer is about something else: stored, UIDs unknown.
        let valid = context.target_uid_validity;
        let uids = uids.filter(|(validity, uids)| *validity == valid && uids.len() == sent.len());
        let Some((_, uids)) = uids else {
            self.stored_bytes_without_uids += bytes;
            self.stored_without_uids.extend(sent.into_iter().map(|sent| settled(sent, None)));
            return (Vec::new(), bytes, self.target_mark);
        };
        self.claim(&uids);
        let settled = sent.into_iter().zip(uids).map(|(sent, uid)| settled(sent, Some(uid))).collect();
        (settled, bytes, self.target_mark)
    }

    /// Whether so much waits for its UIDs, or will once it is answered, that it is time to read the tail.
    fn is_rich_in_unnamed(&self) -> bool {
        let unnamed = self.stored_without_uids.len();
        unnamed > 0 && unnamed + self.in_flight.len() >= UNNAMED_MAX
    }

    /// Moves the mark over UIDs that were named, however the answers are ordered.
    fn claim(&mut self, uids: &[Uid]) {
        self.claimed.extend(uids.iter().copied());
        if self.stored_without_uids.is_empty() {
            self.target_mark = advance_mark(self.target_mark, &self.claimed);
            self.claimed = from_mark(&self.claimed, self.target_mark);
        }
    }

    fn take_refused(&mut self, first: Place, count: u32, status: StatusLine) {
        let sent = self.take(first, count);
        let Some(flags) = sent.first().map(|sent| sent.sent_as) else { return };
        self.refusals.push(Refusal {
            uids: sent.iter().map(|sent| sent.uid).collect(),
            flags,
            keywords: sent.iter().any(|sent| !sent.flags.keywords().is_empty()),
            flagged: sent.iter().any(|sent| !sent.flags.is_empty()),
            status,
        });
    }

    /// Takes exactly the messages that an answer names. Answers may come in any order, and an answer to one message
    /// says nothing about its neighbours.
    fn take(&mut self, (opening, first): Place, messages: u32) -> Vec<Sent> {
        let places = (opening, first)..(opening, first.saturating_add(messages));
        let places: Vec<Place> = self.in_flight.range(places).map(|(place, _)| *place).collect();
        places.into_iter().filter_map(|place| self.in_flight.remove(&place)).collect()
    }
}

/// The part of a set that is not below the mark.
pub(crate) fn from_mark(set: &UidSet, mark: Uid) -> UidSet {
    let mut kept = UidSet::new();
    for range in set.ranges().iter().filter(|range| range.last >= mark) {
        kept.insert_range(UidRange { first: range.first.max(mark), last: range.last });
    }
    kept
}

fn settled(sent: Sent, target_uid: Option<Uid>) -> Settled {
    Settled { source_uid: sent.uid, target_uid, key: Some(sent.key), flags: sent.flags, state: SettledState::Copied }
}

fn lost(side: Side) -> impl Fn(ImapError) -> End {
    move |error| End::Lost(LinkError { side, error })
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
