//! A compressed stream (RFC 4978): raw DEFLATE (RFC 1951) in both directions, over TCP or TLS.
//!
//! What is written gathers in a buffer of a bounded size, and is flushed to the last octet (RFC 1951, an empty stored block)
//! whenever the writer flushes, which it does at the end of every command: the server must not wait for what is still in here.
//!
//! What is read is inflated into the reader's own buffer and never beyond it, so all limits on answers apply to inflated
//! octets, and a small answer that inflates into gigabytes is held up where a large one would be.

use super::io::BoxedIo;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Compressed octets that are read at once.
const RECEIVED: usize = 32 * 1024;
/// The most that is inflated for one reading.
const INFLATED_MAX: usize = 64 * 1024;
/// Compressed octets that wait to be sent, beyond which nothing more is taken.
const TO_SEND_MAX: usize = 64 * 1024;
/// What is deflated at once.
const DEFLATED_MAX: usize = 32 * 1024;
/// Room that is made for the compressed form of that. Incompressible octets grow by five in 16 KiB, and a flush adds five.
const ROOM: usize = DEFLATED_MAX + 1024;
/// Half of the gain for a fifth of the price: what is sent is mostly sent once, and the line is what is short.
const LEVEL: Compression = Compression::fast();

/// See the head of this file.
pub(crate) struct Deflated {
    io: BoxedIo,
    inflater: Decompress,
    received: Vec<u8>,
    /// Where in `received` the inflater stands.
    taken: usize,
    /// The last reading filled what it was given: the inflater may hold more.
    may_hold_more: bool,
    /// The server has said that nothing follows.
    ended: bool,
    deflater: Compress,
    to_send: Vec<u8>,
    sent: usize,
    /// Something was deflated that has not been flushed out of the deflater.
    unflushed: bool,
}

impl Deflated {
    /// Goes on over `io`, of which `received` has been read already.
    pub(crate) fn new(io: BoxedIo, received: Vec<u8>) -> Self {
        Self {
            io,
            inflater: Decompress::new(false),
            received,
            taken: 0,
            may_hold_more: true,
            ended: false,
            deflater: Compress::new(LEVEL, false),
            to_send: Vec::with_capacity(TO_SEND_MAX + ROOM),
            sent: 0,
            unflushed: false,
        }
    }

    /// Inflates what is there into `buf`; whether anything came of it.
    fn inflate(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<bool> {
        let room = buf.remaining().min(INFLATED_MAX);
        if self.ended || room == 0 || (self.taken == self.received.len() && !self.may_hold_more) {
            return Ok(false);
        }
        let (before_in, before_out) = (self.inflater.total_in(), self.inflater.total_out());
        let out = buf.initialize_unfilled_to(room);
        let status = self.inflater.decompress(&self.received[self.taken..], out, FlushDecompress::None);
        let status = status.map_err(|_| damaged())?;
        let taken = octets(self.inflater.total_in() - before_in);
        let made = octets(self.inflater.total_out() - before_out);
        self.taken += taken;
        self.may_hold_more = made == room;
        self.ended = status == flate2::Status::StreamEnd;
        buf.advance(made);
        if made == 0 && taken == 0 && self.taken < self.received.len() && !self.ended {
            // Neither input nor output was the matter, so it would stay like this for ever.
            return Err(damaged());
        }
        Ok(made > 0)
    }

    /// Sends what is ready until `most` or less is left.
    fn poll_send(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<()>> {
        while self.to_send.len() - self.sent > most {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.to_send[self.sent..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += written;
        }
        if self.sent == self.to_send.len() {
            self.to_send.clear();
            self.sent = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// Deflates some of these octets; how many were taken.
    fn deflate(&mut self, octets_in: &[u8], flush: FlushCompress) -> io::Result<usize> {
        if self.sent > 0 {
            self.to_send.drain(..self.sent);
            self.sent = 0;
        }
        self.to_send.reserve(ROOM);
        let before = self.deflater.total_in();
        self.deflater.compress_vec(octets_in, &mut self.to_send, flush).map_err(io::Error::other)?;
        Ok(octets(self.deflater.total_in() - before))
    }
}

fn octets(count: u64) -> usize {
    usize::try_from(count).expect("no more than the slices that were handed over")
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what the server sent is not what COMPRESS=DEFLATE means")
}

impl AsyncRead for Deflated {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.inflate(buf)? || this.ended || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if this.taken < this.received.len() {
                continue;
            }
            this.received.resize(RECEIVED, 0);
            this.taken = RECEIVED;
            let mut received = ReadBuf::new(&mut this.received);
            let polled = Pin::new(&mut this.io).poll_read(cx, &mut received);
            let count = received.filled().len();
            // Cut to what came, also if nothing did: the next poll must not take what is not there.
            this.received.truncate(count);
            this.taken = 0;
            ready!(polled)?;
            if count == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Deflated {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        loop {
            ready!(this.poll_send(cx, TO_SEND_MAX))?;
            let taken = this.deflate(&octets[..octets.len().min(DEFLATED_MAX)], FlushCompress::None)?;
            this.unflushed |= taken > 0;
            if taken > 0 || octets.is_empty() {
                return Poll::Ready(Ok(taken));
            }
            // All the room went to what the deflater had held back.
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.unflushed {
            ready!(this.poll_send(cx, TO_SEND_MAX))?;
            this.deflate(&[], FlushCompress::Sync)?;
            // A flush that filled its room is not at its end (zlib's manual, deflate()).
            this.unflushed = this.to_send.len() == this.to_send.capacity();
        }
        ready!(this.poll_send(cx, 0))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut *this).poll_flush(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    fn raw(octets: &[u8]) -> Vec<u8> {
        let mut deflater = Compress::new(Compression::best(), false);
        let mut out = Vec::new();
        while octets.len() > octets_in(&deflater) || out.len() == out.capacity() {
            out.reserve(64 << 10);
            deflater.compress_vec(&octets[octets_in(&deflater)..], &mut out, FlushCompress::Sync).expect("memory");
        }
        out
    }

    fn octets_in(deflater: &Compress) -> usize {
        octets(deflater.total_in())
    }

    #[tokio::test]
    async fn what_is_written_here_is_read_there_whole_and_without_waiting_for_more() {
        let (here, there) = duplex(777);
        let (mut here, mut there) =
            (Deflated::new(Box::new(here), Vec::new()), Deflated::new(Box::new(there), Vec::new()));
        // Incompressible, and larger than every buffer on the way.
        let mut state = 1_u64;
        let mut noise = vec![0_u8; 300_000];
        noise.fill_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        });
        let words = b"NOOP and more of the same and more of the same\r\n".repeat(5_000);
        for text in [&b"A1 NOOP\r\n"[..], &noise, &words] {
            let sending = async {
                here.write_all(text).await.expect("written");
                here.flush().await.expect("flushed");
            };
            let mut got = vec![0; text.len()];
            let receiving = async { there.read_exact(&mut got).await.expect("all of it") };
            tokio::join!(sending, receiving);
            assert!(got == text);
        }
    }

    #[tokio::test]
    async fn what_was_received_before_belongs_to_it() {
        let (here, mut server) = duplex(64);
        let answer = raw(b"* OK first\r\n* OK second\r\n");
        let (early, late) = answer.split_at(7);
        let mut here = Deflated::new(Box::new(here), early.to_vec());
        server.write_all(late).await.expect("the pipe");
        let mut got = [0; 25];
        here.read_exact(&mut got).await.expect("both lines");
        assert_eq!(&got, b"* OK first\r\n* OK second\r\n");
    }

    #[tokio::test]
    async fn what_is_not_deflate_is_an_error_and_an_end_is_an_end() {
        let (here, mut server) = duplex(64);
        // A block of a type that there is not (RFC 1951 §3.2.3).
        server.write_all(&[0b111, 0, 0]).await.expect("the pipe");
        let mut deflated = Deflated::new(Box::new(here), Vec::new());
        let error = deflated.read_u8().await.expect_err("no deflate");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let (here, server) = duplex(64);
        drop(server);
        let mut deflated = Deflated::new(Box::new(here), Vec::new());
        assert_eq!(deflated.read(&mut [0; 8]).await.expect("an end is no error here"), 0);
    }

    #[tokio::test]
    async fn a_bomb_is_inflated_no_further_than_it_is_read() {
        let (here, mut server) = duplex(1 << 20);
        let bomb = raw(&vec![b'x'; 16 << 20]);
        assert!(bomb.len() < 32 << 10, "16 MiB in {} octets", bomb.len());
        server.write_all(&bomb).await.expect("the pipe");
        let mut deflated = Deflated::new(Box::new(here), Vec::new());
        let mut got = vec![0; 1_000];
        deflated.read_exact(&mut got).await.expect("as much as was wanted");
        assert!(got.iter().all(|octet| *octet == b'x'));
        assert!(deflated.received.capacity() <= 2 * RECEIVED && deflated.to_send.capacity() <= TO_SEND_MAX + ROOM);
    }
}
