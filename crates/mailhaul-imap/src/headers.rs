//! Key material: the header fields that messages are recognised by.

use crate::error::ImapError;
use crate::fetch_items::{FetchItems, Octets};
use crate::pipeline::{self, InFlight, Pipelined};
use crate::response::Response;
use crate::session::Talk;
use crate::status_line::StatusLine;
use bytes::Bytes;
use mailhaul_types::{Flags, InternalDate, Uid, UidRange, UidSet};
use std::collections::VecDeque;

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
    let jobs = portions(uids, talk.set_octets_max);
    pipeline::run(talk.wire, "UID FETCH", &mut Headers { row }, jobs).await
}

struct Headers<'a> {
    row: &'a mut (dyn FnMut(HeaderRow) + Send),
}

/// What one command asks for and has not got yet.
struct Asked {
    uids: UidSet,
    text: String,
    before: u64,
}

impl Asked {
    fn new(uids: UidSet) -> Self {
        Self { text: uids.to_string(), before: uids.len(), uids }
    }
}

impl Pipelined for Headers<'_> {
    type Job = Asked;

    fn text(&self, job: &Asked) -> String {
        format!("UID FETCH {} {ITEMS}", job.text)
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

/// Cuts a set into commands by width and by the length of their text.
fn portions(uids: &UidSet, octets_max: usize) -> VecDeque<Asked> {
    let mut portions = VecDeque::new();
    let mut current = UidSet::new();
    let mut text = 0;
    for range in uids.ranges() {
        let mut first = u64::from(range.first.0);
        let last = u64::from(range.last.0);
        while first <= last {
            let room = MESSAGES_MAX - current.len();
            let end = last.min(first + room - 1);
            let small = |uid: u64| Uid(u32::try_from(uid).unwrap_or(u32::MAX));
            let piece = UidRange { first: small(first), last: small(end) };
            text += piece.to_string().len() + 1;
            current.insert_range(piece);
            first = end + 1;
            if current.len() >= MESSAGES_MAX || text >= octets_max.saturating_sub(24) {
                portions.push_back(Asked::new(std::mem::take(&mut current)));
                text = 0;
            }
        }
    }
    if !current.is_empty() {
        portions.push_back(Asked::new(current));
    }
    portions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_short_and_cover_everything() {
        let mut uids = UidSet::new();
        uids.insert_range(UidRange { first: Uid(1), last: Uid(2_500) });
        for uid in (10_000..20_000).step_by(3) {
            uids.insert(Uid(uid));
        }
        uids.insert(Uid(u32::MAX));
        let portions = portions(&uids, 1_000);
        assert!(portions.iter().all(|job| job.uids.len() <= MESSAGES_MAX && job.text.len() <= 1_000));
        let mut all = UidSet::new();
        for range in portions.iter().flat_map(|job| job.uids.ranges()) {
            all.insert_range(*range);
        }
        assert_eq!(all, uids);
    }
}
