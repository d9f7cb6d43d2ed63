//! Key material: the header fields that messages are recognised by.

use crate::error::ImapError;
use crate::fetch_items::{FetchItems, Octets};
use crate::pipeline::{self, InFlight, Pipelined};
use crate::response::Response;
use crate::session::Talk;
use crate::sets::portions;
use crate::status_line::StatusLine;
use bytes::Bytes;
use mailhaul_types::{Flags, InternalDate, Uid, UidSet};

/// Messages of one command. Gaps between ranges do not count.
const MESSAGES_MAX: u64 = 1_000;

const ITEMS: &str = "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM TO CC SUBJECT MESSAGE-ID \
                     IN-REPLY-TO REFERENCES)])";

/// One message's key material.
#[derive(Debug, Clone)]
pub struct HeaderRow {
    /// Its UID.
    pub uid: Uid,
    /// Its flags.
    pub flags: Flags,
    /// INTERNALDATE, if it could be read.
    pub internal_date: Option<InternalDate>,
    /// RFC822.SIZE as the server claims it; 0 if it said nonsense.
    pub size: u64,
    /// The header fields asked for, as the server cut them out, with the empty line. Empty if the message has none.
    pub header: Bytes,
    /// Whether `header` was cut at 256 KiB.
    pub truncated: bool,
}

/// Fetches key material for `uids`. A UID that does not exist has no row, and no row is no proof of anything.
pub(crate) async fn fetch_headers(
    talk: &mut Talk<'_>,
    uids: &UidSet,
    row: &mut (dyn FnMut(HeaderRow) + Send),
) -> Result<(), ImapError> {
    let jobs = portions(uids, MESSAGES_MAX, talk.set_octets_max).into_iter().map(Asked::new).collect();
    pipeline::run(talk.wire, "UID FETCH", &mut Headers { row }, jobs).await
}

struct Headers<'a> {
    row: &'a mut (dyn FnMut(HeaderRow) + Send),
}

/// What one command asks for and has not got yet.
struct Asked {
    uids: UidSet,
    before: u64,
}

impl Asked {
    fn new(uids: UidSet) -> Self {
        Self { before: uids.len(), uids }
    }
}

impl Pipelined for Headers<'_> {
    type Job = Asked;

    fn command(&self, job: &Asked) -> Vec<u8> {
        format!("UID FETCH {} {ITEMS}", job.uids).into_bytes()
    }

    fn untagged(&mut self, frame: &Bytes, cut: bool, in_flight: &mut InFlight<Asked>) {
        let Response::Data { word, rest, .. } = Response::of(frame) else { return };
        if !word.eq_ignore_ascii_case(b"FETCH") {
            return;
        }
        let mut read = FetchItems::default();
        read.read(rest);
        let (Some(uid), Some(header)) = (read.uid, read.header) else { return };
        if !in_flight.iter_mut().any(|(_, job)| job.uids.remove(uid)) {
            return;
        }
        let header = match header {
            Octets::At(range) => frame.slice(range),
            Octets::Unescaped(octets) => Bytes::from(octets),
            Octets::Nil | Octets::Open => Bytes::new(),
        };
        (self.row)(HeaderRow {
            uid,
            flags: read.flags.unwrap_or_default(),
            internal_date: read.date,
            size: read.size.unwrap_or(0),
            header,
            truncated: cut,
        });
    }

    fn answered(&mut self, job: Asked, line: &StatusLine) -> Result<Vec<Asked>, ImapError> {
        // RFC 9738 §3: a part was answered. What is left is asked for again as long as each answer brings something.
        if line.code_name().as_deref() == Some("MESSAGELIMIT") && !job.uids.is_empty() && job.uids.len() < job.before {
            return Ok(vec![Asked::new(job.uids)]);
        }
        Ok(Vec::new())
    }
}
