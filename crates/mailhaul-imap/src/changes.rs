//! What changed since a modification sequence (RFC 7162 §3.1.4.1, §3.2.6): flags, and with QRESYNC the UIDs that are gone.

use crate::connection::Connection;
use crate::error::ImapError;
use crate::fetch_flags::{FlagsRow, read_row};
use crate::message_limit::{FOLLOWED_MAX, is_cut_short, left_of, no_progress};
use crate::pipeline::{self, InFlight, Pipelined};
use crate::response::Response;
use crate::sequence::elements;
use crate::session::Talk;
use crate::sets::portions;
use crate::status_line::StatusLine;
use crate::tokens::Tokens;
use bytes::Bytes;
use mailhaul_types::{ModSeq, Uid, UidRange, UidSet};
use std::collections::VecDeque;

/// UIDs of one command where VANISHED is asked for: every other one may be gone, and a line that names them must stay
/// below its bound.
const WINDOW_WIDTH: u64 = 100_000;
/// Commands that a range is cut into at most, whatever its width: UIDs may be very sparse.
const WINDOWS_MAX: u64 = 64;

/// What the server said beside the rows. It is returned only when every command was answered OK.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// UIDs in the range that are gone. It may name UIDs that were never there, or were gone before (RFC 7162 §3.2.6).
    /// `None` if QRESYNC is not enabled: then nothing is known.
    pub vanished: Option<UidSet>,
    /// Rows handed to the callback. A server may repeat a UID, or tell of one that has not changed.
    pub rows: u64,
    /// The last EXISTS that came meanwhile.
    pub exists: Option<u32>,
    /// Messages that were expunged while this went on, as far as the server told it by number (EXPUNGE).
    pub expunged: u32,
}

impl Connection {
    /// Fetches the flags of those messages in a range of UIDs that have changed since `since`, and with
    /// [`Connection::enable_qresync`] the UIDs that are gone. The mailbox must have been opened with a HIGHESTMODSEQ.
    ///
    /// # Errors
    /// As every command; rows handed out before an error prove nothing about the rest.
    pub async fn fetch_changes(
        &mut self,
        range: UidRange,
        since: ModSeq,
        row: &mut (dyn FnMut(FlagsRow) + Send),
    ) -> Result<Changes, ImapError> {
        let vanished = self.qresync_enabled;
        fetch_changes(&mut self.talk(), range, since, vanished, row).await
    }
}

async fn fetch_changes(
    talk: &mut Talk<'_>,
    range: UidRange,
    since: ModSeq,
    vanished: bool,
    row: &mut (dyn FnMut(FlagsRow) + Send),
) -> Result<Changes, ImapError> {
    let told = Changes { vanished: vanished.then(UidSet::new), ..Changes::default() };
    let mut work = FetchChanges { whole: range, since, row, told, unreadable: false, followed: 0 };
    let jobs = if vanished { windows(range) } else { VecDeque::from([range]) };
    pipeline::run(talk.wire, "UID FETCH", &mut work, jobs).await?;
    if work.unreadable {
        // A message that is gone and not known to be would be looked for on the target for ever.
        let detail = "a VANISHED response could not be read".to_owned();
        return Err(ImapError::Protocol { during: "UID FETCH", detail });
    }
    Ok(work.told)
}

fn windows(range: UidRange) -> VecDeque<UidRange> {
    let width = WINDOW_WIDTH.max(range.width().div_ceil(WINDOWS_MAX));
    let mut whole = UidSet::new();
    whole.insert_range(range);
    portions(&whole, width, usize::MAX).iter().flat_map(|part| part.ranges().to_vec()).collect()
}

struct FetchChanges<'a> {
    whole: UidRange,
    since: ModSeq,
    row: &'a mut (dyn FnMut(FlagsRow) + Send),
    told: Changes,
    unreadable: bool,
    followed: u32,
}

impl Pipelined for FetchChanges<'_> {
    type Job = UidRange;

    fn command(&self, range: &UidRange) -> Vec<u8> {
        let vanished = if self.told.vanished.is_some() { " VANISHED" } else { "" };
        format!("UID FETCH {range} (UID FLAGS) (CHANGEDSINCE {}{vanished})", self.since).into_bytes()
    }

    fn untagged(&mut self, frame: &Bytes, _: bool, _: &mut InFlight<UidRange>) {
        if let Some(row) = read_row(frame) {
            if self.whole.first <= row.uid && row.uid <= self.whole.last {
                self.told.rows += 1;
                (self.row)(row);
            }
            return;
        }
        let Response::Data { number, word, rest } = Response::of(frame) else { return };
        if word.eq_ignore_ascii_case(b"VANISHED") {
            self.take_vanished(rest);
        } else if word.eq_ignore_ascii_case(b"EXPUNGE") {
            self.told.expunged = self.told.expunged.saturating_add(1);
        } else if word.eq_ignore_ascii_case(b"EXISTS") {
            self.told.exists = number.or(self.told.exists);
        }
    }

    fn answered(&mut self, range: UidRange, line: &StatusLine) -> Result<Vec<UidRange>, ImapError> {
        if !is_cut_short(line) {
            return Ok(Vec::new());
        }
        self.followed += 1;
        left_of(range, line).filter(|_| self.followed <= FOLLOWED_MAX).ok_or_else(|| no_progress("UID FETCH", line))
    }
}

impl FetchChanges<'_> {
    /// `VANISHED (EARLIER) 41,43:116`, and `VANISHED 405` for what goes at this moment: gone is gone. Ranges are cut to
    /// what was asked and never expanded: Dovecot and Cyrus may name everything up to UIDNEXT.
    fn take_vanished(&mut self, mut tokens: Tokens<'_>) {
        let Some(vanished) = &mut self.told.vanished else { return };
        let first = tokens.word();
        let set = if first.is_some_and(|word| word.starts_with(b"(")) { tokens.word() } else { first };
        match set.and_then(|set| read_within(set, self.whole)) {
            Some(read) => vanished.extend_ranges(&read),
            None => self.unreadable = true,
        }
    }
}

/// The part of a sequence set that lies in a range; `None` if it cannot be read.
fn read_within(set: &[u8], whole: UidRange) -> Option<UidSet> {
    let mut read = UidSet::new();
    for element in elements(set) {
        let element = element?;
        let range = UidRange::between(Uid(element.first), Uid(element.last));
        let (first, last) = (whole.first.max(range.first), whole.last.min(range.last));
        if first <= last {
            read.insert_range(UidRange { first, last });
        }
    }
    Some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_ranges_are_asked_for_in_few_windows() {
        for (last, windows_expected) in [(1, 1), (100_000, 1), (100_001, 2), (6_400_000, 64), (u32::MAX, 64)] {
            let windows = windows(UidRange { first: Uid(1), last: Uid(last) });
            assert_eq!(windows.len(), windows_expected);
            assert_eq!(windows.iter().map(|window| window.width()).sum::<u64>(), u64::from(last));
        }
    }

    #[test]
    fn what_vanished_is_cut_to_what_was_asked() {
        let whole = UidRange { first: Uid(10), last: Uid(20) };
        let read = |set: &[u8]| read_within(set, whole).map(|read| read.to_string());
        assert_eq!(read(b"1:4294967295").as_deref(), Some("10:20"));
        assert_eq!(read(b"20:18,3,12,400").as_deref(), Some("12,18:20"));
        assert_eq!(read(b"1:9").as_deref(), Some(""));
        for nonsense in [&b"1:*"[..], b"0", b"x", b"", b"1,,2"] {
            assert_eq!(read(nonsense), None);
        }
    }
}
