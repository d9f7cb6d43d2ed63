//! One further connection at work: it is opened, asks for what it is given, and hands over what comes.
//!
//! It is a future that owns its connection. Whoever polls it puts orders on the desk between them and takes events off
//! it; it does nothing of its own accord, and can be dropped at any moment.

use super::aid::{Aid, Beginning, Further, Kind};
use super::dealing::Out;
use crate::budget::Share;
use mailhaul_imap::{FetchBatch, FetchEvent, FetchOptions, ImapError};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// What an event takes up besides the octets of mail in it.
pub(super) const EVENT_OCTETS: u64 = 256;

/// What lies between a connection and whoever polls it.
#[derive(Default)]
pub(super) struct Desk {
    /// Batches to be asked for.
    pub(super) orders: Vec<FetchBatch>,
    /// What has come.
    pub(super) events: Vec<FetchEvent>,
    /// How many octets may still come before it has to wait.
    pub(super) allowance: u64,
    /// Whether the mailbox is open.
    pub(super) is_open: bool,
    /// How it ends once everything is answered.
    pub(super) end: Option<LaneEnd>,
    /// Why it has ended before.
    pub(super) failure: Option<Failure>,
    /// Memory for what it delivers before its turn. Whoever holds that keeps it.
    pub(super) room: Option<Share>,
}

/// What becomes of a connection that has nothing more to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LaneEnd {
    /// It waits for the next transfer.
    Kept,
    /// It is closed.
    LetGo,
}

/// Why a connection is of no more use.
#[derive(Debug)]
pub(super) enum Failure {
    /// It could not be had.
    NotOpened(String),
    /// It was lost.
    Lost(ImapError),
    /// Everybody waited for it.
    Stalled,
}

/// A connection as seen by whoever polls it.
pub(super) struct Lane<'a> {
    pub(super) number: u64,
    future: Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
    desk: Arc<Mutex<Desk>>,
    /// Octets and messages that it was asked for and has not answered.
    pub(super) out: Out,
    /// The batch of the message whose octets are coming in chunks.
    pub(super) streaming: Option<u64>,
    /// How many batches it has answered without all of their messages.
    pub(super) short: u32,
    /// Whether it is given nothing more.
    pub(super) is_retired: bool,
}

impl<'a> Lane<'a> {
    pub(super) fn new(number: u64, aid: &'a Aid<'a>, beginning: Beginning) -> Self {
        let Beginning { kind, room } = beginning;
        let desk = Arc::new(Mutex::new(Desk { room: Some(room), ..Desk::default() }));
        let future = Box::pin(work(aid, kind, Arc::clone(&desk)));
        Self { number, future, desk, out: (0, 0), streaming: None, short: 0, is_retired: false }
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        lock(&self.desk)
    }

    /// Whether it can be given something.
    pub(super) fn is_ready(&self) -> bool {
        !self.is_retired && self.desk().is_open
    }

    pub(super) fn is_opening(&self) -> bool {
        let desk = self.desk();
        !desk.is_open && desk.failure.is_none()
    }

    /// Nothing more will come: it is kept, if it is not to be let go or has read enough. Whether it is open, so that it has to be polled to its end.
    pub(super) fn close(&mut self) -> bool {
        let mut desk = self.desk();
        let end = if self.is_retired { LaneEnd::LetGo } else { LaneEnd::Kept };
        (desk.end, desk.allowance) = (desk.end.or(Some(end)), u64::MAX);
        desk.is_open
    }

    pub(super) fn poll(&mut self, task: &mut Context<'_>) -> Poll<()> {
        self.future.as_mut().poll(task)
    }
}

fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn work(aid: &Aid<'_>, kind: Kind, desk: Arc<Mutex<Desk>>) {
    let further = match kind {
        Kind::Open(further) => Ok(*further),
        Kind::New(seat, compress) => aid.open(compress).await.map(|connection| Further { connection, _seat: seat }),
    };
    match further {
        Ok(further) => {
            lock(&desk).is_open = true;
            serve(aid, further, &desk).await;
        }
        Err(why) => lock(&desk).failure = Some(Failure::NotOpened(why)),
    }
}

async fn serve(aid: &Aid<'_>, mut further: Further, desk: &Mutex<Desk>) {
    // Whoever gives the orders keeps the window.
    let options = FetchOptions { window_bytes: u64::MAX, window_messages: u64::MAX, ..FetchOptions::default() };
    let mut fetcher = further.connection.fetch_bodies(options);
    let end = poll_fn(|task| {
        loop {
            let orders = std::mem::take(&mut lock(desk).orders);
            orders.into_iter().for_each(|batch| fetcher.push(batch));
            if lock(desk).allowance == 0 {
                return Poll::Pending;
            }
            let event = match pin!(fetcher.next()).poll(task) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(event) => event,
            };
            let mut desk = lock(desk);
            match event {
                Ok(Some(event)) => {
                    desk.allowance = desk.allowance.saturating_sub(weight_of(&event));
                    desk.events.push(event);
                }
                Ok(None) => match desk.end {
                    Some(end) => return Poll::Ready(Some(end)),
                    None => return Poll::Pending,
                },
                Err(error) => {
                    desk.failure = Some(Failure::Lost(error));
                    return Poll::Ready(None);
                }
            }
        }
    })
    .await;
    drop(fetcher);
    match end {
        Some(LaneEnd::Kept) => aid.keep(further),
        Some(LaneEnd::LetGo) => further.farewell().await,
        None => {}
    }
}

/// What an event takes up in memory, in octets.
pub(super) fn weight_of(event: &FetchEvent) -> u64 {
    EVENT_OCTETS + octets_of(event)
}

/// The octets of mail in it.
pub(super) fn octets_of(event: &FetchEvent) -> u64 {
    match event {
        FetchEvent::Message { body, .. } => body.len() as u64,
        FetchEvent::LargeChunk(chunk) => chunk.len() as u64,
        FetchEvent::LargeStart { .. } | FetchEvent::LargeEnd | FetchEvent::BatchEnd { .. } => 0,
    }
}
