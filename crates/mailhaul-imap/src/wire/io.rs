//! What both halves share: the boxed stream that can be exchanged for a TLS (or later a DEFLATE) one, and the clock.
//!
//! A deadline must not cost anything while octets flow. So a timer is registered only when nothing can be done, it
//! stays registered when something can be done again, and when it fires it first looks whether anything moved.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};

/// A byte stream of any kind.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Io for T {}

/// The stream below the wire.
pub(crate) type BoxedIo = Box<dyn Io>;

/// When an octet last moved in either direction: while we write a large message for minutes, the server's silence
/// means nothing.
#[derive(Debug)]
pub(crate) struct Progress {
    origin: Instant,
    moved_millis: AtomicU64,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { origin: Instant::now(), moved_millis: AtomicU64::new(0) }
    }

    pub(crate) fn moved(&self) {
        let millis = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved_millis.store(millis, Ordering::Relaxed);
    }

    /// Changes whenever an octet moves; milliseconds, so that it changes no more often than anybody looks.
    pub(crate) fn mark(&self) -> u64 {
        self.moved_millis.load(Ordering::Relaxed)
    }

    fn last(&self) -> Instant {
        self.origin + Duration::from_millis(self.moved_millis.load(Ordering::Relaxed))
    }
}

/// How long one half waits.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Duration,
    waiting_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, waiting_since: None, timer: None }
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    pub(crate) fn begin_wait(&mut self) {
        self.waiting_since = None;
    }

    /// Ready when nothing has moved for the whole limit.
    pub(crate) fn poll_spent(&mut self, cx: &mut Context<'_>, progress: &Progress) -> Poll<()> {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(since + limit)));
        loop {
            ready!(timer.as_mut().poll(cx));
            let due = since.max(progress.last()) + limit;
            if due <= Instant::now() {
                self.waiting_since = None;
                self.timer = None;
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
    }
}
