//! Message bodies: pipelined `UID FETCH set (UID FLAGS INTERNALDATE BODY.PEEK[])`.

use crate::error::ImapError;
use crate::status_line::StatusLine;
use bytes::Bytes;
use mailhaul_types::{Flags, InternalDate, Uid, UidSet};
use std::marker::PhantomData;

/// How much is asked ahead.
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
        Self { window_bytes: 8 << 20, window_messages: 2_000, inline_max: 1 << 20 }
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
    /// One message that is streamed: its metadata is fetched first, so that it is known when the body begins.
    pub large: bool,
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
    connection: PhantomData<&'a mut ()>,
}

impl BodyFetcher<'_> {
    /// Queues a batch. Commands go out in `next`, as the window allows.
    pub fn push(&mut self, batch: FetchBatch) {
        drop(batch);
    }

    /// Messages in batches that were pushed and not yet ended.
    #[must_use]
    pub fn pending(&self) -> usize {
        0
    }

    /// The next event; `None` when everything pushed has been answered.
    ///
    /// # Errors
    /// The connection's end in every form; a refused batch is an event and not an error.
    pub async fn next(&mut self) -> Result<Option<FetchEvent>, ImapError> {
        Ok(None)
    }
}
