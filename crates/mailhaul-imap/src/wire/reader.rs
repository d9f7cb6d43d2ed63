//! The reading half: a rolling buffer, frames cut out of it without copying, and a deadline that is only looked at
//! when nothing can be read.

use super::allowance::Allowance;
use super::frame::{Found, FrameScan};
use super::io::{BoxedIo, Patience, Progress};
use crate::error::ImapError;
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncReadExt, ReadHalf};

/// One block of the rolling buffer, and the most that is asked of the operating system at once.
pub(crate) const READ_BLOCK: usize = 256 * 1024;
/// When less than this is left in a block, a new one is begun.
const READ_MIN: usize = 16 * 1024;
/// Literals where no large ones are expected: mailbox names, ID fields.
pub(crate) const SMALL_LITERAL_MAX: usize = 64 * 1024;

/// What happens to a literal that is larger than `inline_max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Oversize {
    /// An error.
    Refuse,
    /// The frame is delivered in pieces.
    Stream,
}

/// A piece of the server's side of the conversation.
#[derive(Debug)]
pub(crate) enum Piece {
    /// A whole response.
    Frame(Bytes),
    /// The beginning of a response, up to and including the announcement of an oversized literal.
    Head {
        /// The beginning, with the announcement.
        head: Bytes,
        /// The literal's size.
        octets: u64,
    },
    /// What follows an oversized literal, to the end of the response.
    Tail(Bytes),
}

pub(crate) struct Reader {
    io: ReadHalf<BoxedIo>,
    buffer: BytesMut,
    scan: FrameScan,
    /// Octets of an oversized literal that are still to come.
    open_literal: u64,
    in_tail: bool,
    inline_max: usize,
    oversize: Oversize,
    allowance: Allowance,
    bytes_in: u64,
    needed: usize,
    during: &'static str,
    patience: Patience,
    progress: Arc<Progress>,
}

impl Reader {
    pub(super) fn new(io: ReadHalf<BoxedIo>, progress: Arc<Progress>, patience: Patience) -> Self {
        Self {
            io,
            buffer: BytesMut::new(),
            scan: FrameScan::default(),
            open_literal: 0,
            in_tail: false,
            inline_max: SMALL_LITERAL_MAX,
            oversize: Oversize::Refuse,
            allowance: Allowance::default(),
            bytes_in: 0,
            needed: 1,
            during: "reading the greeting",
            patience,
            progress,
        }
    }

    pub(super) fn into_io(self) -> ReadHalf<BoxedIo> {
        self.io
    }

    /// Goes on reading from another stream, and hands the former out.
    pub(super) fn exchange_io(&mut self, io: ReadHalf<BoxedIo>) -> ReadHalf<BoxedIo> {
        std::mem::replace(&mut self.io, io)
    }

    /// What was received and not taken, as the stream has it. Only between two responses.
    pub(super) fn take_unread(&mut self) -> Vec<u8> {
        self.scan = FrameScan::default();
        self.buffer.split().to_vec()
    }

    /// Says what is being done (for errors), and how large literals are met.
    pub(crate) fn expect(&mut self, during: &'static str, inline_max: usize, oversize: Oversize) {
        self.during = during;
        self.inline_max = inline_max;
        self.oversize = oversize;
        self.allowance.begin();
        self.patience.begin_wait();
    }

    pub(crate) fn during(&self) -> &'static str {
        self.during
    }

    pub(crate) fn bytes_in(&self) -> u64 {
        self.bytes_in
    }

    /// Octets that were received and not yet taken.
    pub(crate) fn unread(&self) -> usize {
        self.buffer.len()
    }

    /// Octets that the buffer takes up.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// The next piece, if all of it has been received. Not to be called while a literal is open.
    pub(crate) fn take(&mut self) -> Result<Option<Piece>, ImapError> {
        if self.open_literal > 0 {
            return Err(ImapError::Protocol { during: self.during, detail: "a literal was left unread".to_owned() });
        }
        if self.buffer.is_empty() {
            return Ok(None);
        }
        match self.scan.advance(&self.buffer, self.inline_max)? {
            Found::NeedMore(octets) => {
                self.needed = octets;
                Ok(None)
            }
            Found::Complete(length) => {
                self.scan = FrameScan::default();
                let octets = self.buffer.split_to(length).freeze();
                if std::mem::take(&mut self.in_tail) {
                    return Ok(Some(Piece::Tail(octets)));
                }
                self.allowance.spend(&octets, self.during)?;
                Ok(Some(Piece::Frame(octets)))
            }
            Found::Oversize { head, octets } => {
                if self.oversize == Oversize::Refuse || self.in_tail {
                    return Err(ImapError::LimitExceeded {
                        what: format!("a literal of {octets} octets while {}", self.during),
                    });
                }
                self.scan = FrameScan::of_tail();
                self.in_tail = true;
                self.open_literal = octets;
                let head = self.buffer.split_to(head).freeze();
                self.allowance.spend(&head, self.during)?;
                Ok(Some(Piece::Head { head, octets }))
            }
        }
    }

    /// Octets of the open literal that are still to come.
    pub(crate) fn open_literal(&self) -> u64 {
        self.open_literal
    }

    /// The next octets of the open literal, if any have been received.
    pub(crate) fn take_chunk(&mut self) -> Option<Bytes> {
        let available = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX).min(self.open_literal);
        let octets = usize::try_from(available).unwrap_or(self.buffer.len());
        if octets == 0 {
            return None;
        }
        self.open_literal -= available;
        Some(self.buffer.split_to(octets).freeze())
    }

    /// Receives at least one more octet. With `owed` false the server owes us nothing and may be silent for ever.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>, owed: bool) -> Poll<Result<(), ImapError>> {
        self.make_room();
        let read = {
            // The future holds nothing but these two borrows, so it can be made anew for each poll.
            let mut read = std::pin::pin!(self.io.read_buf(&mut self.buffer));
            read.as_mut().poll(cx)
        };
        match read {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(self.closed(""))),
            Poll::Ready(Ok(octets)) => {
                self.bytes_in += octets as u64;
                self.progress.moved();
                self.patience.begin_wait();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.closed(&format!(": {error}")))),
            Poll::Pending if owed => {
                ready!(self.patience.poll_spent(cx, &self.progress));
                Poll::Ready(Err(ImapError::TimedOut { during: self.during, after: self.patience.limit() }))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn closed(&self, detail: &str) -> ImapError {
        ImapError::Closed { during: self.during, detail: detail.to_owned() }
    }

    fn make_room(&mut self) {
        if self.buffer.capacity() - self.buffer.len() >= READ_MIN {
            return;
        }
        // Growing by what is there, not by what was announced: a server must send a literal to make us hold it.
        let more = self.needed.min(self.buffer.len()).max(READ_BLOCK);
        self.buffer.reserve(more);
    }
}
