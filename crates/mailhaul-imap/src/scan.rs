//! The scan: pipelined `UID FETCH range (UID RFC822.SIZE …)` over a whole mailbox.

use crate::error::ImapError;
use crate::fetch_items::FetchItems;
use crate::message_limit::{FOLLOWED_MAX, around, is_cut_short, no_progress, widen};
use crate::pipeline::{self, InFlight, Pipelined};
use crate::response::Response;
use crate::sequence::elements;
use crate::session::Talk;
use crate::status_line::StatusLine;
use crate::tokens::Tokens;
use bytes::Bytes;
use mailhaul_types::{Flags, InternalDate, Uid, UidRange};

/// What a scan asks for beside UID and RFC822.SIZE.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanItems {
    /// Also INTERNALDATE.
    pub internal_date: bool,
    /// Also FLAGS.
    pub flags: bool,
}

/// One message of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanRow {
    /// Its UID.
    pub uid: Uid,
    /// RFC822.SIZE as the server claims it: good for planning, never for deciding. 0 if it said nonsense.
    pub size: u64,
    /// INTERNALDATE, if it was asked for and could be read.
    pub internal_date: Option<InternalDate>,
    /// FLAGS, if they were asked for and could be read.
    pub flags: Option<Flags>,
}

/// What a scan saw beside its rows. It is returned only when every command was answered OK.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanTally {
    /// Rows handed to the callback. A server may repeat a UID; it is then counted again.
    pub rows: u64,
    /// Messages that were expunged while the scan went on (EXPUNGE and VANISHED).
    pub expunged: u32,
    /// The last EXISTS that came meanwhile.
    pub exists: Option<u32>,
    /// Times that the server cut an answer short (RFC 9738 MESSAGELIMIT) and was asked for the rest.
    pub message_limit_followed: u32,
    /// FETCH responses that could not be read and were set aside.
    pub unreadable_lines: u32,
}

pub(crate) async fn scan(
    talk: &mut Talk<'_>,
    ranges: &[UidRange],
    items: ScanItems,
    row: &mut (dyn FnMut(ScanRow) + Send),
) -> Result<ScanTally, ImapError> {
    let mut work = Scan { items, row, tally: ScanTally::default() };
    let jobs = ranges.iter().map(|range| Asked::new(*range)).collect();
    pipeline::run(talk.wire, "UID FETCH", &mut work, jobs).await?;
    Ok(work.tally)
}

pub(crate) struct Scan<'a> {
    pub(crate) items: ScanItems,
    pub(crate) row: &'a mut (dyn FnMut(ScanRow) + Send),
    pub(crate) tally: ScanTally,
}

/// A range that was asked for, and the lowest and highest UID that came back.
pub(crate) struct Asked {
    range: UidRange,
    seen: Option<UidRange>,
}

impl Asked {
    pub(crate) fn new(range: UidRange) -> Self {
        Self { range, seen: None }
    }
}

impl Pipelined for Scan<'_> {
    type Job = Asked;

    fn command(&self, job: &Asked) -> Vec<u8> {
        self.command_for(job)
    }

    fn untagged(&mut self, frame: &Bytes, _: bool, in_flight: &mut InFlight<Asked>) {
        self.take(frame, in_flight.iter_mut().map(|(_, job)| job));
    }

    fn answered(&mut self, job: Asked, line: &StatusLine) -> Result<Vec<Asked>, ImapError> {
        self.end(job, line)
    }
}

impl Scan<'_> {
    pub(crate) fn command_for(&self, job: &Asked) -> Vec<u8> {
        let date = if self.items.internal_date { " INTERNALDATE" } else { "" };
        let flags = if self.items.flags { " FLAGS" } else { "" };
        format!("UID FETCH {} (UID RFC822.SIZE{date}{flags})", job.range).into_bytes()
    }

    /// Takes in an untagged response, while these ranges are asked for.
    pub(crate) fn take<'j>(&mut self, frame: &Bytes, asked: impl Iterator<Item = &'j mut Asked>) {
        let Response::Data { number, word, rest } = Response::of(frame) else { return };
        if word.eq_ignore_ascii_case(b"FETCH") {
            self.take_row(rest, asked);
        } else if word.eq_ignore_ascii_case(b"EXPUNGE") {
            self.tally.expunged = self.tally.expunged.saturating_add(1);
        } else if word.eq_ignore_ascii_case(b"VANISHED") {
            self.tally.expunged = self.tally.expunged.saturating_add(vanished_width(rest));
        } else if word.eq_ignore_ascii_case(b"EXISTS") {
            self.tally.exists = number.or(self.tally.exists);
        }
    }

    /// What is left to be asked for once a range was answered OK.
    pub(crate) fn end(&mut self, job: Asked, line: &StatusLine) -> Result<Vec<Asked>, ImapError> {
        if !is_cut_short(line) {
            return Ok(Vec::new());
        }
        let Some(seen) = job.seen.filter(|_| self.tally.message_limit_followed < FOLLOWED_MAX) else {
            return Err(no_progress("UID FETCH", line));
        };
        self.tally.message_limit_followed += 1;
        Ok(around(job.range, seen).into_iter().map(Asked::new).collect())
    }

    /// A row is a FETCH response with RFC822.SIZE for a UID that was asked for; flag changes that the server tells
    /// unasked have no size.
    fn take_row<'j>(&mut self, rest: Tokens<'_>, mut asked: impl Iterator<Item = &'j mut Asked>) {
        let mut read = FetchItems::default();
        read.read(rest);
        if read.unreadable {
            self.tally.unreadable_lines = self.tally.unreadable_lines.saturating_add(1);
            return;
        }
        let (Some(uid), Some(size)) = (read.uid, read.size) else { return };
        let Some(asked) = asked.find(|job| job.range.first <= uid && uid <= job.range.last) else { return };
        asked.seen = Some(widen(asked.seen, uid));
        self.tally.rows += 1;
        (self.row)(ScanRow { uid, size, internal_date: read.date, flags: read.flags });
    }
}

/// `VANISHED 405,407:410`: how many. `VANISHED (EARLIER)` is history and counts nothing.
fn vanished_width(mut tokens: Tokens<'_>) -> u32 {
    let Some(set) = tokens.word() else { return 0 };
    let width = elements(set).flatten().map(|element| u64::from(element.first.abs_diff(element.last)) + 1).sum::<u64>();
    u32::try_from(width).unwrap_or(u32::MAX)
}
