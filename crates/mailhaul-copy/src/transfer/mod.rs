//! The pipe: batches out of the source's FETCH into the target's APPEND.
//!
//! Two futures run in one task. The *pump* takes messages from the source as they arrive and writes them into the
//! open batch; the *collector* reads the target's answers and hands what is settled to the ledger. Between them
//! stands only the table of what was sent and not yet answered. The kernel's socket buffers do the rest: while one
//! server is busy, the other goes on filling or draining them.
//!
//! Nothing here decides what to copy, and nothing here repairs anything. What was refused, delivered nothing, or was
//! in flight when a connection broke comes back to the caller, who reads the target's tail before he tries again.

mod aid;
mod dealing;
mod gauge;
mod intake;
mod lane;
mod marks;
mod pump;
mod stall;
mod table;
mod trial;
mod turns;
mod window;

use crate::budget::ByteBudget;
use crate::error::LinkError;
use crate::flags::FlagFilter;
use crate::oversight::Supervisor;
use crate::progress::Progress;
use crate::stop::StopSignal;
pub(crate) use aid::Aid;
use gauge::Gauge;
use intake::Intake;
use mailhaul_db::{DbError, MailboxLedger, PairLease, Settled, Settlement};
use mailhaul_imap::{AppendEvent, AppendOptions, AppendReader, Connection, FetchOptions, ImapError, StatusLine};
use mailhaul_plan::batches::Batch;
use mailhaul_plan::keys::KeyMaker;
use mailhaul_types::{MailboxName, Side, Uid, UidSet, UidValidity};
use pump::{Left, Pump, Pumped};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;
pub(crate) use table::from_mark;
use table::{Stored, Table, lock};
use window::Window;

/// How long the target may take to answer what was sent, once the operator asked to stop. What is unanswered then
/// stays `sent` in the ledger, and the next run looks for it.
const DRAIN_AFTER_STOP: Duration = Duration::from_secs(7);

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

impl Shipment {
    /// This one message of it.
    pub(crate) fn only(&self, uid: Uid) -> Shipment {
        let Batch { uids, bytes, large } = &self.batch;
        let batch = Batch { uids: [uid].into_iter().collect(), bytes: bytes / uids.len().max(1), large: *large };
        Shipment { batch, flags: self.flags }
    }
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
    /// Messages stored, by the target's word, under UIDs that it had given out before.
    pub(crate) merged: u64,
    /// Whether the target has named a UIDVALIDITY that is not the mailbox's.
    pub(crate) named_another_mailbox: bool,
    /// How long it took, and how long of that nothing came from the source.
    pub(crate) took: Duration,
    /// See `took`.
    pub(crate) waited_for_source: Duration,
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
    pub(crate) supervisor: &'a Arc<dyn Supervisor>,
    pub(crate) keys: &'a KeyMaker,
    pub(crate) filter: &'a FlagFilter,
    pub(crate) progress: &'a Progress,
    pub(crate) stop: &'a StopSignal,
    /// Further connections to the source.
    pub(crate) aid: &'a Aid<'a>,
    /// What all that work on the account may ask for ahead together.
    pub(crate) ahead: &'a Arc<ByteBudget>,
    /// Called for every group of messages that was handed to the ledger as settled.
    pub(crate) on_settled: &'a (dyn Fn(&[Settled], u64) + Sync),
    /// Whether the target mailbox is not selected, so that nobody is told when another one takes its place.
    pub(crate) unselected: bool,
}

/// Sends the shipments: all of them, unless too many are stored without a name, or a line turns out to be worth compressing,
/// which can begin only while nothing is on its way. Never fails as a whole: whatever went
/// wrong stands in the outcome, beside what went right.
pub(crate) async fn transfer(
    source: &mut Connection,
    target: &mut Connection,
    shipments: &[Shipment],
    context: &Context<'_>,
) -> Outcome {
    let began = tokio::time::Instant::now();
    let table = Mutex::new(Table::new(context.target_mark, context.claimed.clone()));
    let append_limit = target.capabilities().append_limit();
    let gauge = Gauge::new(source, target);
    let window = Window::new(source.round_trip(), context.ahead);
    let compressed = source.is_compressed();
    let fetcher = source.fetch_bodies(FetchOptions::default());
    let left = shipments.iter().map(|Shipment { batch, .. }| (batch.bytes, batch.uids.len()));
    let left = left.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    // What is looked for one by one is asked of the one connection that is blamed for it.
    let aid = (shipments.len() > 1).then_some(context.aid);
    let mut intake = Intake::new(fetcher, window, aid, compressed, left);
    intake.holds_off = gauge.is_some();
    let (mut writer, reader) = target.append_to(context.target_mailbox, AppendOptions::default());
    if !writer.uses_multiappend() {
        let (validity, supervisor) = (context.lease.validity(), Arc::clone(context.supervisor));
        writer.check_each_commit(Arc::new(move || validity.is_valid() && supervisor.may_write()));
    }
    let (pumped, collected, left) = {
        let mut pump = Pump::new(shipments, context, &table, intake, append_limit, gauge);
        let (pumped, collected) = run_both(pump.run(writer), collect(reader, context, &table), context.stop).await;
        (pumped, collected, pump.into_left())
    };
    let took = began.elapsed();
    let Left { begun, missing, unfetched, too_large, target_spoilt, worth_compressing, waited_for_source } = left;
    let table = table.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let interrupted = pumped.is_none() || collected.is_none();
    let mut end = match (pumped, collected) {
        (_, Some(Err(end))) | (Some(Err(end)), _) => end,
        (Some(Ok(Pumped::All)), Some(Ok(()))) => End::Finished,
        (Some(Ok(_)) | None, _) => End::Stopped,
    };
    if let (End::Finished, Some(side), true) = (&end, worth_compressing, table.in_flight.is_empty()) {
        let connection = if side == Side::Source { &mut *source } else { &mut *target };
        match connection.compress().await {
            Ok(taken) => tracing::info!(%side, taken, "asked for compression, because the line is slow"),
            Err(error) => end = End::Lost(LinkError::new(side, error)),
        }
    }
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
        merged: table.merged,
        named_another_mailbox: table.named_another_mailbox,
        took,
        waited_for_source,
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

/// Reads the target's answers to the end.
async fn collect(mut reader: AppendReader<'_>, context: &Context<'_>, table: &Mutex<Table>) -> Result<(), End> {
    while let Some(event) = reader.next().await.map_err(lost(Side::Target))? {
        match event {
            AppendEvent::Stored { batch, first, messages, uids, status } => {
                let Stored { settled, bytes, uids, target_mark } = {
                    let mut table = lock(table);
                    table.notice_another_mailbox(uids.as_ref(), context.target_uid_validity);
                    if context.unselected && table.named_another_mailbox {
                        // Nobody has read what is in that mailbox: nothing more goes into it before that is done.
                        let detail =
                            "the mailbox was made anew (another UIDVALIDITY) while messages were stored".to_owned();
                        return Err(lost(Side::Target)(ImapError::Protocol { during: "APPEND", detail }));
                    }
                    if status.is_throttled() {
                        table.throttled = Some(status);
                    }
                    table.take_stored((batch, first), messages, uids, context)
                };
                context.progress.settle(u64::from(messages), bytes);
                if let (Some(first), Some(last)) = (settled.first(), settled.last()) {
                    tracing::debug!(uid.range = %format_args!("{}:{}", first.source_uid, last.source_uid), "stored");
                    (context.on_settled)(&settled, bytes);
                    let settlement =
                        Settlement { messages: settled, target_mark: Some(target_mark), clear_sent: false };
                    context.ledger.settle(settlement).await.map_err(End::Ledger)?;
                    lock(table).claim(&uids);
                }
            }
            AppendEvent::Refused { batch, first, count, status } => {
                lock(table).take_refused((batch, first), count, status);
            }
        }
    }
    Ok(())
}

fn lost(side: Side) -> impl Fn(ImapError) -> End {
    move |error| End::Lost(LinkError::new(side, error))
}
