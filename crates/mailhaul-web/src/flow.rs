//! How quickly a client must bring what it announced and take what it asked for: without a bound, a few hundred that do
//! neither would hold every place there is.

use crate::problem::Problem;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::StatusCode;
use futures_util::StreamExt as _;
use hyper::body::{Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How quickly.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flow {
    /// Everybody has as long as this for the body of a request.
    pub(crate) brought_within: Duration,
    /// And for each octet that has come, as if they came at this rate: octets a second.
    pub(crate) brought_at: u32,
    /// For so long nothing of an answer may be taken.
    pub(crate) taken_within: Duration,
}

impl Default for Flow {
    fn default() -> Self {
        Self { brought_within: Duration::from_secs(30), brought_at: 4_096, taken_within: Duration::from_secs(60) }
    }
}

impl Flow {
    /// The same body, which fails if it does not come.
    pub(crate) fn body<B>(self, body: B) -> Body
    where
        B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<axum::BoxError>,
    {
        if body.is_end_stream() {
            return Body::empty();
        }
        let (began, timer) = (Instant::now(), Box::pin(sleep(self.brought_within)));
        Body::new(Timed { body, flow: self, began, came: 0, timer })
    }
}

/// A body that has to come.
struct Timed<B> {
    body: B,
    flow: Flow,
    began: Instant,
    came: u64,
    timer: Pin<Box<Sleep>>,
}

impl<B> HttpBody for Timed<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<axum::BoxError>,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                this.came += frame.data_ref().map_or(0, |data| data.len() as u64);
                let earned = Duration::from_secs(this.came / u64::from(this.flow.brought_at.max(1)));
                this.timer.as_mut().reset(this.began + this.flow.brought_within + earned);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => match this.timer.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::TimedOut).into()))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Reads a body to its end. What was read is handed out in one piece and kept nowhere else.
pub(crate) async fn read(body: Body, most: usize) -> Result<Vec<u8>, Problem> {
    let hint = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if hint > most {
        return Err(too_large());
    }
    // Nothing is allocated for what is merely announced, beyond what a form has.
    let mut whole = Vec::with_capacity(hint.min(64 * 1024));
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|_| unfinished())?;
        if part.len() > most - whole.len() {
            return Err(too_large());
        }
        whole.extend_from_slice(&part);
    }
    Ok(whole)
}

fn too_large() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "what was sent is too large", "send it in several parts")
}

fn unfinished() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "the request broke off, or came too slowly", "send it once more")
}

/// A stream over which the other side may be as slow as it likes in asking, and not in taking.
pub(crate) struct Unhurried<S> {
    stream: S,
    within: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Unhurried<S> {
    pub(crate) fn new(stream: S, within: Duration) -> Self {
        Self { stream, within, stalled: None }
    }

    /// What a write came to; one that has waited for too long has failed.
    fn judge<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let within = self.within;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(sleep(within)));
        match timer.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unhurried<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unhurried<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, octets);
        self.judge(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.judge(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.judge(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.stream).poll_shutdown(context);
        self.judge(ended, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    #[tokio::test]
    async fn a_body_that_does_not_come_fails_and_each_octet_buys_time() {
        let hasty = Flow { brought_within: Duration::from_millis(20), brought_at: 1 << 20, ..Flow::default() };
        let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, io::Error>>());
        let refused = read(hasty.body(never), 100).await.expect_err("nothing comes");
        assert_eq!(refused.status(), StatusCode::REQUEST_TIMEOUT);
        // One octet, and then nothing any more, is a way to hold a place.
        let one = || Ok::<_, io::Error>(Bytes::from_static(b"x"));
        let drip = futures_util::stream::iter([one()]).chain(futures_util::stream::pending());
        let refused = read(hasty.body(Body::from_stream(drip)), 100).await.expect_err("too slow");
        assert_eq!(refused.status(), StatusCode::REQUEST_TIMEOUT);
        // With so much for each octet, the time that was given at first is not what ends it.
        let patient = Flow { brought_within: Duration::ZERO, brought_at: 1, ..Flow::default() };
        let slow = futures_util::stream::iter((0..100).map(move |_| one())).then(async |octet| {
            tokio::task::yield_now().await;
            octet
        });
        let first = futures_util::stream::iter([Ok(Bytes::from_static(&[b'x'; 900]))]);
        let whole = read(patient.body(Body::from_stream(first.chain(slow.boxed()))), 1_000).await.expect("it came");
        assert_eq!(whole.len(), 1_000);
    }

    #[tokio::test]
    async fn a_body_is_as_large_as_it_may_be() {
        assert_eq!(read(Body::from(vec![b'x'; 100]), 100).await.expect("just fits").len(), 100);
        let refused = read(Body::from(vec![b'x'; 101]), 100).await.expect_err("too large");
        assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let parts = futures_util::stream::repeat_with(|| Ok::<_, io::Error>(Bytes::from_static(b"0123456789")));
        let refused = read(Body::from_stream(parts), 100).await.expect_err("it never ends");
        assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn whoever_takes_nothing_of_his_answer_is_let_go() {
        let (ours, theirs) = tokio::io::duplex(16);
        let mut stream = Unhurried::new(ours, Duration::from_millis(20));
        let stalled = stream.write_all(&[0; 100]).await.expect_err("nobody reads");
        assert_eq!(stalled.kind(), io::ErrorKind::TimedOut);
        drop(theirs);
    }
}
