//! The wire as async-imap sees it.
//!
//! While a control call runs, the session writes its command here and reads its answer here. It is given at most one
//! line at a time, so that nothing is left in its buffer when the wire goes back to the bulk commands, and only lines
//! that its parser takes: tagged responses (rewritten to status and plain words) and CAPABILITY. Everything else, and
//! the real words of every response, is kept in a [`Record`], from which `control` decides; the library's
//! conveniences would turn a NO into an empty answer.
//!
//! One call is not relayed at all. A `Client` becomes a `Session` only through its own sign-in methods
//! (`Session::new` is private), and those log what they send. Our own code has signed in before; so the library's
//! `authenticate()` is answered right here: the line it writes is absorbed, and `<tag> OK` comes back without a byte
//! having gone over the network.

use super::Wire;
use super::reader::Piece;
use crate::error::ImapError;
use crate::response::Response;
use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Untagged responses that are kept during one control call; more is an error.
const RECORDED_MAX: usize = 10_000;

/// What came in during one control call.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Every untagged response, in order.
    pub(crate) untagged: Vec<Bytes>,
    /// The tagged response.
    pub(crate) tagged: Option<Bytes>,
    /// What went wrong, where the library only sees an I/O error.
    pub(crate) failure: Option<ImapError>,
}

#[derive(Debug, Default)]
pub(crate) struct Relay {
    mode: Mode,
    record: Record,
    /// The line being handed over, and how much of it has been.
    line: Vec<u8>,
    handed: usize,
    commands: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Mode {
    /// No control call runs.
    #[default]
    Closed,
    /// Lines written are answered here.
    Local,
    /// Lines go to the server. With `farewell`, a BYE is no error.
    Open { farewell: bool },
}

impl Relay {
    pub(crate) fn commands(&self) -> u64 {
        self.commands
    }
}

impl Wire {
    /// From here on, what the library writes is answered locally with OK.
    pub(crate) fn relay_locally(&mut self) {
        self.relay.mode = Mode::Local;
    }

    /// From here on, what the library writes goes to the server.
    pub(crate) fn relay_openly(&mut self, farewell: bool) {
        self.relay.mode = Mode::Open { farewell };
        self.relay.record = Record::default();
    }

    /// Ends the control call.
    pub(crate) fn end_relay(&mut self) -> Record {
        self.relay.mode = Mode::Closed;
        self.relay.line.clear();
        self.relay.handed = 0;
        std::mem::take(&mut self.relay.record)
    }

    fn answer_locally(&mut self, octets: &[u8]) {
        self.relay.line.extend_from_slice(octets);
        if self.relay.line.ends_with(b"\n") {
            let end = self.relay.line.iter().position(|octet| *octet == b' ').unwrap_or(0);
            self.relay.line.truncate(end);
            self.relay.line.extend_from_slice(b" OK\r\n");
            self.relay.handed = 0;
        }
    }

    fn hand_over(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let line = &self.relay.line[self.relay.handed..];
        if !line.ends_with(b"\n") || buf.remaining() == 0 {
            return false;
        }
        let octets = line.len().min(buf.remaining());
        buf.put_slice(&line[..octets]);
        self.relay.handed += octets;
        if self.relay.handed == self.relay.line.len() {
            self.relay.line.clear();
            self.relay.handed = 0;
        }
        true
    }

    /// Keeps a response, and prepares what the library is to see of it.
    fn record(&mut self, frame: Bytes, farewell: bool) -> Result<(), ImapError> {
        match Response::of(&frame) {
            Response::Tagged { tag, line } => {
                self.relay.line.extend_from_slice(tag);
                self.relay.line.extend_from_slice(format!(" {} done\r\n", line.status).as_bytes());
                self.relay.record.tagged = Some(frame);
                return Ok(());
            }
            Response::Status(line) if line.is_bye() && !farewell => {
                return Err(super::super::response::bye(self, &line.to_line()));
            }
            Response::Data { word, mut rest, .. } if word.eq_ignore_ascii_case(b"CAPABILITY") => {
                self.relay.line.extend_from_slice(b"* CAPABILITY IMAP4rev1");
                while let Some(name) = rest.word() {
                    if name.iter().all(|octet| octet.is_ascii_alphanumeric() || b"=-+/.:".contains(octet))
                        && !name.eq_ignore_ascii_case(b"IMAP4rev1")
                    {
                        self.relay.line.push(b' ');
                        self.relay.line.extend_from_slice(name);
                    }
                }
                self.relay.line.extend_from_slice(b"\r\n");
            }
            _ => {}
        }
        if self.relay.record.untagged.len() >= RECORDED_MAX {
            return Err(ImapError::LimitExceeded {
                what: format!("more than {RECORDED_MAX} responses to one command"),
            });
        }
        self.relay.record.untagged.push(frame);
        Ok(())
    }

    fn poll_relay(&mut self, cx: &mut Context<'_>, farewell: bool) -> Poll<Result<(), ImapError>> {
        loop {
            match self.reader.take()? {
                Some(Piece::Frame(frame)) => {
                    self.record(frame, farewell)?;
                    if !self.relay.line.is_empty() {
                        return Poll::Ready(Ok(()));
                    }
                }
                Some(Piece::Head { .. } | Piece::Tail(_)) => {
                    return Poll::Ready(Err(ImapError::LimitExceeded { what: "a large literal".to_owned() }));
                }
                None => ready!(self.reader.poll_fill(cx, true))?,
            }
        }
    }

    fn fail_relay(&mut self, error: ImapError) -> io::Error {
        self.relay.record.failure = Some(error);
        io::Error::other("see the record")
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        loop {
            if wire.hand_over(buf) {
                return Poll::Ready(Ok(()));
            }
            match wire.relay.mode {
                Mode::Open { farewell } => {
                    if let Err(error) = ready!(wire.poll_relay(cx, farewell)) {
                        return Poll::Ready(Err(wire.fail_relay(error)));
                    }
                }
                Mode::Closed | Mode::Local => {
                    return Poll::Ready(Err(io::Error::other("read outside of a control call")));
                }
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        match wire.relay.mode {
            Mode::Local => wire.answer_locally(buf),
            Mode::Open { .. } => {
                // One command of the library's is a few hundred octets and is flushed at its end.
                wire.relay.commands += u64::from(buf.ends_with(b"\n"));
                wire.writer.put(buf);
            }
            Mode::Closed => return Poll::Ready(Err(io::Error::other("write outside of a control call"))),
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        match ready!(wire.writer.poll_flush(cx)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(wire.fail_relay(error))),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
