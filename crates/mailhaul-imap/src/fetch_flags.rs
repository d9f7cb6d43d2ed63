//! `UID FETCH set (UID FLAGS)`: the flags of messages that are known to be there, compactly and pipelined.

use crate::connection::Connection;
use crate::error::ImapError;
use crate::fetch_items::FetchItems;
use crate::message_limit::{FOLLOWED_MAX, is_cut_short, no_progress};
use crate::pipeline::{self, InFlight, Pipelined};
use crate::response::Response;
use crate::session::Talk;
use crate::sets::portions;
use crate::status_line::StatusLine;
use bytes::Bytes;
use mailhaul_types::{Flags, ModSeq, Uid, UidSet};

/// The flags of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagsRow {
    /// Its UID.
    pub uid: Uid,
    /// Its flags, without `\Recent`.
    pub flags: Flags,
    /// When it was last changed, if the server tells that (RFC 7162 §3.1.4.2).
    pub modseq: Option<ModSeq>,
}

impl Connection {
    /// Fetches the flags of messages in the selected mailbox. `uids` should be UIDs known to exist, in few ranges: the
    /// width of the set is what it costs. Each of them is handed out at most once.
    ///
    /// # Errors
    /// As every command; no row for a UID proves nothing about it.
    pub async fn fetch_flags(
        &mut self,
        uids: &UidSet,
        row: &mut (dyn FnMut(FlagsRow) + Send),
    ) -> Result<(), ImapError> {
        fetch_flags(&mut self.talk(), uids, row).await
    }
}

async fn fetch_flags(
    talk: &mut Talk<'_>,
    uids: &UidSet,
    row: &mut (dyn FnMut(FlagsRow) + Send),
) -> Result<(), ImapError> {
    let jobs = portions(uids, u64::MAX, talk.set_octets_max).into_iter().map(Asked::new).collect();
    let mut work = FetchFlags { row, followed: 0 };
    pipeline::run(talk.wire, "UID FETCH", &mut work, jobs).await
}

struct FetchFlags<'a> {
    row: &'a mut (dyn FnMut(FlagsRow) + Send),
    followed: u32,
}

/// UIDs that were asked for and have not come.
struct Asked {
    left: UidSet,
    asked: u64,
}

impl Asked {
    fn new(uids: UidSet) -> Self {
        Self { asked: uids.len(), left: uids }
    }
}

impl Pipelined for FetchFlags<'_> {
    type Job = Asked;

    fn command(&self, job: &Asked) -> Vec<u8> {
        format!("UID FETCH {} (UID FLAGS)", job.left).into_bytes()
    }

    fn untagged(&mut self, frame: &Bytes, _: bool, in_flight: &mut InFlight<Asked>) {
        if let Some(row) = read_row(frame)
            && in_flight.iter_mut().any(|(_, job)| job.left.remove(row.uid))
        {
            (self.row)(row);
        }
    }

    fn answered(&mut self, job: Asked, line: &StatusLine) -> Result<Vec<Asked>, ImapError> {
        if !is_cut_short(line) || job.left.is_empty() {
            return Ok(Vec::new());
        }
        self.followed += 1;
        if job.left.len() == job.asked || self.followed > FOLLOWED_MAX {
            return Err(no_progress("UID FETCH", line));
        }
        Ok(vec![Asked::new(job.left)])
    }
}

/// A FETCH response with both UID and FLAGS. One that the server sends unasked is as true as any other.
pub(crate) fn read_row(frame: &[u8]) -> Option<FlagsRow> {
    let Response::Data { word, rest, .. } = Response::of(frame) else { return None };
    if !word.eq_ignore_ascii_case(b"FETCH") {
        return None;
    }
    let mut read = FetchItems::default();
    read.read(rest);
    Some(FlagsRow { uid: read.uid?, flags: read.flags?, modseq: read.modseq })
}
