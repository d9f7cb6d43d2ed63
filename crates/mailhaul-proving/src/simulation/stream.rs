//! The client's end of a simulated connection, and what lies between it and the network.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Octets that a client may have written and the network has not taken.
const OUTBOX_MAX: usize = 256 * 1024;

/// How the client's end stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    #[default]
    Open,
    /// What has arrived can be read; then it is over.
    Closed,
    /// What has arrived and was not read is gone, too.
    Reset,
}

#[derive(Debug, Default)]
struct State {
    outbox: Vec<u8>,
    inbox: VecDeque<u8>,
    end: End,
    gone: bool,
    network: Option<Waker>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// What client and network share.
#[derive(Debug, Default)]
pub(super) struct Pipe(Mutex<State>);

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the client has written since.
    pub(super) fn take(&self) -> Vec<u8> {
        let mut state = self.lock();
        if let Some(writer) = state.writer.take() {
            writer.wake();
        }
        std::mem::take(&mut state.outbox)
    }

    /// Lets octets arrive.
    pub(super) fn arrive(&self, octets: &[u8]) {
        let mut state = self.lock();
        if state.end == End::Open {
            state.inbox.extend(octets);
        }
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// Ends the connection for the client.
    pub(super) fn end(&self, end: End) {
        let mut state = self.lock();
        if state.end == End::Open {
            state.end = end;
        }
        if end == End::Reset {
            state.inbox.clear();
        }
        let wakers = [state.reader.take(), state.writer.take()];
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Whether the client has let go of it.
    pub(super) fn is_gone(&self) -> bool {
        self.lock().gone
    }

    /// Ready when the client has written or let go.
    pub(super) fn poll_news(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if !state.outbox.is_empty() || state.gone {
            return Poll::Ready(());
        }
        state.network = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// What the client holds.
#[derive(Debug)]
pub(super) struct ClientEnd(pub(super) Arc<Pipe>);

impl AsyncRead for ClientEnd {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        if !state.inbox.is_empty() {
            let octets = state.inbox.len().min(buf.remaining());
            let taken: Vec<u8> = state.inbox.drain(..octets).collect();
            buf.put_slice(&taken);
            return Poll::Ready(Ok(()));
        }
        match state.end {
            End::Open => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            End::Closed => Poll::Ready(Ok(())),
            End::Reset => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }
}

impl AsyncWrite for ClientEnd {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock();
        match state.end {
            End::Open if state.outbox.len() >= OUTBOX_MAX => {
                state.writer = Some(cx.waker().clone());
                Poll::Pending
            }
            End::Open => {
                let octets = buf.len().min(OUTBOX_MAX - state.outbox.len());
                state.outbox.extend_from_slice(&buf[..octets]);
                if let Some(network) = state.network.take() {
                    network.wake();
                }
                Poll::Ready(Ok(octets))
            }
            End::Closed => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            End::Reset => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for ClientEnd {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.gone = true;
        if let Some(network) = state.network.take() {
            network.wake();
        }
    }
}
