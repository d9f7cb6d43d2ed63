//! The transport: one byte stream as a reading half and a writing half that can work at once.
//!
//! [`Wire`] is also the stream type of `async_imap::Session` (see [`relay`]): between two control calls the session
//! lends it to the bulk commands, which return it idle.

mod allowance;
mod deflate;
pub(crate) mod frame;
pub(crate) mod io;
pub(crate) mod reader;
pub(crate) mod relay;
pub(crate) mod writer;

use crate::error::ImapError;
use crate::news::{News, Overheard};
use crate::response::Response;
use deflate::Deflated;
use io::{BoxedIo, Patience, Progress};
use mailhaul_types::{NameEncoding, Side, failpoint};
use reader::{Oversize, Piece, Reader};
use relay::Relay;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;
use writer::Writer;

/// The transport of one connection.
pub(crate) struct Wire {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    relay: Relay,
    progress: Arc<Progress>,
    tags: u64,
    /// Octets of streams that were exchanged for others since.
    earlier: (u64, u64),
    /// Whether every command that was sent has been answered.
    in_step: bool,
    idle: Duration,
    /// What was told unasked, once somebody wants to know.
    overheard: Option<Overheard>,
    /// In the names of failpoints.
    side: Side,
    compression: Compression,
    /// When the command that is under way began.
    stepped_out: Option<Instant>,
    /// The shortest time that a command and its answer took so far.
    round_trip: Option<Duration>,
}

/// Whether both directions are compressed (RFC 4978).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    NotTried,
    /// Refused, or being asked for.
    Tried,
    InForce,
}

/// See [`Wire::halves`].
pub(crate) struct Halves<'a> {
    pub(crate) reader: &'a mut Reader,
    pub(crate) writer: &'a mut Writer,
    pub(crate) tags: &'a mut u64,
    pub(crate) in_step: &'a mut bool,
}

/// What outlives an exchange of streams.
pub(crate) struct Heritage {
    side: Side,
    tags: u64,
    bytes_in: u64,
    bytes_out: u64,
    idle: Duration,
}

impl Wire {
    pub(crate) fn new(io: BoxedIo, idle: Duration) -> Self {
        let (read, write) = tokio::io::split(io);
        let progress = Arc::new(Progress::new());
        Self {
            reader: Reader::new(read, Arc::clone(&progress), Patience::new(idle)),
            writer: Writer::new(write, Arc::clone(&progress), Patience::new(idle)),
            relay: Relay::default(),
            progress,
            tags: 0,
            earlier: (0, 0),
            in_step: true,
            idle,
            overheard: None,
            side: Side::Source,
            compression: Compression::NotTried,
            stepped_out: None,
            round_trip: None,
        }
    }

    /// From here on, both directions are compressed. What was received and not taken is so already.
    pub(crate) fn deflate(&mut self) {
        let nothing: BoxedIo = Box::new(tokio::io::empty());
        let (no_read, no_write) = tokio::io::split(nothing);
        let io = self.reader.exchange_io(no_read).unsplit(self.writer.exchange_io(no_write));
        let deflated: BoxedIo = Box::new(Deflated::new(io, self.reader.take_unread()));
        let (read, write) = tokio::io::split(deflated);
        self.reader.exchange_io(read);
        self.writer.exchange_io(write);
        self.compression = Compression::InForce;
    }

    pub(crate) fn note_compression_tried(&mut self) {
        self.compression = Compression::Tried;
    }

    pub(crate) fn has_tried_compression(&self) -> bool {
        self.compression != Compression::NotTried
    }

    pub(crate) fn is_compressed(&self) -> bool {
        self.compression == Compression::InForce
    }

    /// The shortest time that a command and its answer took so far: the line's round trip and a little work.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Takes the stream out, to be wrapped, and what a wire over the wrapped stream goes on with. Octets that were
    /// received and not taken are dropped: they must have been looked at before.
    pub(crate) fn into_io(self) -> (BoxedIo, Heritage) {
        let heritage = Heritage {
            side: self.side,
            tags: self.tags,
            bytes_in: self.bytes_in(),
            bytes_out: self.bytes_out(),
            idle: self.idle,
        };
        (self.reader.into_io().unsplit(self.writer.into_io()), heritage)
    }

    /// Says which server is at the other end, for the names of failpoints.
    pub(crate) fn of_side(self, side: Side) -> Self {
        Self { side, ..self }
    }

    /// A failpoint at this command.
    pub(crate) fn reach(&self, command: &str, moment: &str) -> Result<(), ImapError> {
        reach(self.side, command, moment)
    }

    /// When octets last moved here, for whoever watches from outside.
    pub(crate) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// The same conversation over another stream.
    pub(crate) fn resume(io: BoxedIo, heritage: &Heritage) -> Self {
        let mut wire = Self::new(io, heritage.idle);
        wire.side = heritage.side;
        wire.tags = heritage.tags;
        wire.earlier = (heritage.bytes_in, heritage.bytes_out);
        wire
    }

    pub(crate) fn bytes_in(&self) -> u64 {
        self.earlier.0 + self.reader.bytes_in()
    }

    pub(crate) fn bytes_out(&self) -> u64 {
        self.earlier.1 + self.writer.bytes_out()
    }

    /// Commands sent, ours and the control library's.
    pub(crate) fn commands(&self) -> u64 {
        self.tags + self.relay.commands()
    }

    /// A tag of our own. The control library's begin with `A`.
    pub(crate) fn next_tag(&mut self) -> u64 {
        self.tags += 1;
        self.tags
    }

    /// Claims the connection for a command. Until [`Wire::back_in_step`] it belongs to nobody else: whoever gives up
    /// in between (an error, a dropped future) leaves it unusable, because unread answers would be taken for others.
    pub(crate) fn step_out(&mut self, during: &'static str) -> Result<(), ImapError> {
        if !self.in_step {
            return Err(ImapError::Closed {
                during,
                detail: ": an earlier command on this connection was left unanswered".to_owned(),
            });
        }
        self.in_step = false;
        self.stepped_out = Some(Instant::now());
        self.writer.expect(during);
        Ok(())
    }

    pub(crate) fn back_in_step(&mut self) {
        self.in_step = true;
        if let Some(since) = self.stepped_out.take() {
            let took = since.elapsed();
            self.round_trip = Some(self.round_trip.map_or(took, |least| least.min(took)));
        }
    }

    /// Both halves at once, for a reader and a writer that work side by side.
    pub(crate) fn halves(&mut self) -> Halves<'_> {
        Halves { reader: &mut self.reader, writer: &mut self.writer, tags: &mut self.tags, in_step: &mut self.in_step }
    }

    /// Sends what is gathered and receives at least one octet, both at once: a server that is busy sending to us may
    /// not read our next command before we have read its answer.
    pub(crate) async fn exchange(&mut self) -> Result<(), ImapError> {
        poll_fn(|cx| {
            if self.writer.has_unsent()
                && let Poll::Ready(Err(error)) = self.writer.poll_flush(cx)
            {
                // What the server said before it closed explains more than a broken pipe.
                return match self.reader.poll_fill(cx, false) {
                    Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
                    _ => Poll::Ready(Err(error)),
                };
            }
            self.reader.poll_fill(cx, true)
        })
        .await
    }

    /// The next whole response, sending what is gathered meanwhile. Large literals are refused.
    pub(crate) async fn next_frame(&mut self) -> Result<bytes::Bytes, ImapError> {
        loop {
            match self.reader.take()? {
                Some(Piece::Frame(frame)) => return Ok(frame),
                Some(Piece::Head { .. } | Piece::Tail(_)) => {
                    return Err(ImapError::Protocol {
                        during: self.reader.during(),
                        detail: "a response in pieces where none was expected".to_owned(),
                    });
                }
                None => self.exchange().await?,
            }
        }
    }

    /// From now on, what the server tells unasked is kept.
    pub(crate) fn listen(&mut self) {
        self.overheard.get_or_insert_default();
    }

    /// Takes note of a response that came while nothing was asked.
    pub(crate) fn hear(&mut self, response: &Response<'_>) {
        if let Some(overheard) = &mut self.overheard {
            overheard.take(response);
        }
    }

    /// Takes note of an untagged response that came in the middle of a command.
    pub(crate) fn overhear(&mut self, response: &Response<'_>) {
        if let Some(overheard) = &mut self.overheard {
            overheard.take_during(self.reader.during(), response);
        }
    }

    /// Whether something was told that nobody has asked for yet.
    pub(crate) fn has_news(&self) -> bool {
        self.overheard.as_ref().is_some_and(|overheard| !overheard.is_empty())
    }

    /// What was told so far.
    pub(crate) fn tell_news(&mut self, encoding: NameEncoding) -> News {
        self.overheard.as_mut().map(|overheard| overheard.tell(encoding)).unwrap_or_default()
    }

    /// For commands that answer with lines: what is being done, and that large literals are an error.
    pub(crate) fn expect_lines(&mut self, during: &'static str) {
        self.reader.expect(during, reader::SMALL_LITERAL_MAX, Oversize::Refuse);
    }
}

/// A failpoint at a command: `before` its first octet, once all of it is `sent`, and when it was `answered`, before the
/// answer is believed.
pub(crate) fn reach(side: Side, command: &str, moment: &str) -> Result<(), ImapError> {
    failpoint::reach(|| format!("{side} {command} {moment}"))
        .map_err(|struck| ImapError::Closed { during: "working", detail: format!(": {struck}") })
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("in_step", &self.in_step).finish_non_exhaustive()
    }
}
