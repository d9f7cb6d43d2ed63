//! The writing half: small writes are gathered, large ones go straight through, secrets never stay in the buffer.

use super::io::{BoxedIo, Patience, Progress};
use crate::error::ImapError;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncWrite, WriteHalf};

/// Gathered octets beyond which the buffer is sent.
pub(crate) const WRITE_BLOCK: usize = 128 * 1024;
/// A chunk of this size is not copied into the buffer.
const DIRECT_MIN: usize = 32 * 1024;

pub(crate) struct Writer {
    io: WriteHalf<BoxedIo>,
    buffer: Vec<u8>,
    sent: usize,
    needs_flush: bool,
    bytes_out: u64,
    during: &'static str,
    patience: Patience,
    progress: Arc<Progress>,
}

impl Writer {
    pub(super) fn new(io: WriteHalf<BoxedIo>, progress: Arc<Progress>, patience: Patience) -> Self {
        Self {
            io,
            buffer: Vec::new(),
            sent: 0,
            needs_flush: false,
            bytes_out: 0,
            during: "sending a command",
            patience,
            progress,
        }
    }

    pub(super) fn into_io(self) -> WriteHalf<BoxedIo> {
        self.io
    }

    /// Goes on writing to another stream, and hands the former out. Everything gathered has left before.
    pub(super) fn exchange_io(&mut self, io: WriteHalf<BoxedIo>) -> WriteHalf<BoxedIo> {
        std::mem::replace(&mut self.io, io)
    }

    pub(crate) fn expect(&mut self, during: &'static str) {
        self.during = during;
        self.patience.begin_wait();
    }

    pub(crate) fn bytes_out(&self) -> u64 {
        self.bytes_out
    }

    /// Whether something waits to be sent.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.buffer.is_empty() || self.needs_flush
    }

    /// Gathers octets without sending. For small things: whoever writes much uses [`Writer::write`].
    pub(crate) fn put(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
        self.bytes_out += octets.len() as u64;
    }

    /// Gathers octets, sending when there are enough.
    pub(crate) async fn write(&mut self, octets: &[u8]) -> Result<(), ImapError> {
        if octets.len() >= DIRECT_MIN {
            poll_fn(|cx| self.poll_buffer(cx)).await?;
            return self.write_direct(octets).await;
        }
        if self.buffer.len() + octets.len() > WRITE_BLOCK {
            poll_fn(|cx| self.poll_buffer(cx)).await?;
        }
        self.put(octets);
        Ok(())
    }

    /// Sends octets that must not be kept in the buffer, after everything gathered before. They still have to be
    /// flushed.
    pub(crate) async fn write_secret(&mut self, octets: &[u8]) -> Result<(), ImapError> {
        poll_fn(|cx| self.poll_buffer(cx)).await?;
        self.write_direct(octets).await
    }

    async fn write_direct(&mut self, octets: &[u8]) -> Result<(), ImapError> {
        let mut rest = octets;
        while !rest.is_empty() {
            let written = poll_fn(|cx| self.poll_some(cx, rest)).await?;
            rest = &rest[written..];
        }
        self.bytes_out += octets.len() as u64;
        Ok(())
    }

    /// Sends everything gathered.
    pub(crate) async fn flush(&mut self) -> Result<(), ImapError> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Sends everything gathered, down to the socket.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ImapError>> {
        ready!(self.poll_buffer(cx))?;
        if !self.needs_flush {
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut self.io).poll_flush(cx) {
            Poll::Ready(Ok(())) => {
                self.needs_flush = false;
                self.patience.begin_wait();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.failed(&error))),
            Poll::Pending => self.poll_spent(cx).map(Err),
        }
    }

    fn poll_buffer(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ImapError>> {
        while self.sent < self.buffer.len() {
            // The buffer is moved out for the call, because the call needs the rest of `self` as well.
            let buffer = std::mem::take(&mut self.buffer);
            let polled = self.poll_some(cx, &buffer[self.sent..]);
            self.buffer = buffer;
            self.sent += ready!(polled)?;
        }
        self.buffer.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    fn poll_some(&mut self, cx: &mut Context<'_>, octets: &[u8]) -> Poll<Result<usize, ImapError>> {
        match Pin::new(&mut self.io).poll_write(cx, octets) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(ImapError::Closed { during: self.during, detail: String::new() })),
            Poll::Ready(Ok(written)) => {
                self.needs_flush = true;
                self.progress.moved();
                self.patience.begin_wait();
                Poll::Ready(Ok(written))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.failed(&error))),
            Poll::Pending => self.poll_spent(cx).map(Err),
        }
    }

    fn poll_spent(&mut self, cx: &mut Context<'_>) -> Poll<ImapError> {
        ready!(self.patience.poll_spent(cx, &self.progress));
        Poll::Ready(ImapError::TimedOut { during: self.during, after: self.patience.limit() })
    }

    fn failed(&self, error: &std::io::Error) -> ImapError {
        ImapError::Closed { during: self.during, detail: format!(": {error}") }
    }
}
