//! COMPRESS (RFC 4978): from the OK on, both directions are DEFLATE.
//!
//! It cannot be taken back on a connection. Nothing else may be in flight when it begins, which the wire sees to; octets behind
//! the server's OK are compressed already.

use crate::command::Command;
use crate::connection::Connection;
use crate::error::ImapError;
use std::time::{Duration, Instant};

/// The mechanism's name where it is announced.
const ANNOUNCED: &str = "COMPRESS=DEFLATE";

/// What an operator wants of compression on the way to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compress {
    /// Where it turns out to pay: a line that is slower than compressing, mail that can be compressed, a processor that is
    /// free.
    #[default]
    Auto,
    /// From the start, and a server that does not take it is an error.
    On,
    /// Never.
    Off,
}

/// What compressing would make of octets like these, and how fast: tried on a few of them.
#[derive(Debug, Default)]
pub struct CompressionSample {
    taken: usize,
    became: usize,
    took: Duration,
}

/// Octets that are tried in all.
const SAMPLED: usize = 256 * 1024;

impl CompressionSample {
    /// Tries these octets, unless enough have been tried.
    pub fn take(&mut self, octets: &[u8]) {
        let octets = &octets[..octets.len().min(SAMPLED.saturating_sub(self.taken))];
        if octets.is_empty() {
            return;
        }
        let began = Instant::now();
        let mut deflater = flate2::Compress::new(flate2::Compression::fast(), false);
        let mut out = Vec::with_capacity(octets.len() + 1_024);
        if deflater.compress_vec(octets, &mut out, flate2::FlushCompress::Finish).is_ok() {
            self.taken += octets.len();
            self.became += out.len();
            self.took += began.elapsed();
        }
    }

    /// Whether nothing more is tried.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.taken >= SAMPLED
    }

    /// How many octets one compressed octet carries, and how many are compressed a second. None before anything was tried.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a few hundred KiB")]
    pub fn figures(&self) -> Option<(f64, f64)> {
        let (taken, took) = (self.taken as f64, self.took.as_secs_f64());
        (self.became > 0 && took > 0.0).then(|| (taken / self.became as f64, taken / took))
    }
}

impl Connection {
    /// Whether the server offers compression and has not been asked for it on this connection.
    #[must_use]
    pub fn may_compress(&self) -> bool {
        self.capabilities().has(ANNOUNCED) && !self.wire().has_tried_compression()
    }

    /// Whether everything goes compressed by now.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.wire().is_compressed()
    }

    /// The shortest time that a command and its answer took so far.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.wire().round_trip()
    }

    /// Asks for compression, once. `false` if the server does not offer it, or refuses (RFC 4978 §3: it may, for reasons of
    /// its own); then everything goes on as before.
    ///
    /// # Errors
    /// As every command, except that a refusal is an answer.
    pub async fn compress(&mut self) -> Result<bool, ImapError> {
        if !self.may_compress() {
            return Ok(self.is_compressed());
        }
        let mut talk = self.talk();
        talk.wire.note_compression_tried();
        match talk.run(Command::new("COMPRESS").text(" DEFLATE"), &mut |_| {}).await {
            Ok(_) => {
                talk.wire.deflate();
                Ok(true)
            }
            Err(ImapError::Refused { status, .. }) => {
                tracing::debug!(%status, "compression was refused");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Does at the beginning what the operator wants.
    ///
    /// # Errors
    /// As every command; with [`Compress::On`] also if the server does not take it.
    pub(crate) async fn obey(&mut self, wish: Compress) -> Result<(), ImapError> {
        match wish {
            Compress::Auto => Ok(()),
            Compress::On => self.compress_or_fail().await,
            Compress::Off => {
                self.talk().wire.note_compression_tried();
                Ok(())
            }
        }
    }

    /// As [`Connection::compress`], for those who insist.
    ///
    /// # Errors
    /// As every command; [`ImapError::Usage`] if the server does not offer it, or refuses.
    pub(crate) async fn compress_or_fail(&mut self) -> Result<(), ImapError> {
        if self.compress().await? {
            return Ok(());
        }
        let what = "compression is set to `on`, and the server does not offer COMPRESS=DEFLATE or refuses it";
        Err(ImapError::Usage { what: what.to_owned() })
    }
}
