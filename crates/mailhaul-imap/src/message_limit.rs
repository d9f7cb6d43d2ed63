//! MESSAGELIMIT (RFC 9738): an answer that covers only a part of what was asked, and what is left to ask.
//!
//! Servers go from the highest UID down and name the last one they came to. What is asked again here does not rest on
//! that direction: it lies on both sides of what came, so that an answer from either end is completed.

use crate::error::ImapError;
use crate::sets::intersect;
use crate::status_line::StatusLine;
use crate::tokens::exact_u32;
use mailhaul_types::{Uid, UidRange, UidSet};

/// Times that a server may cut its answers short in one piece of work.
pub(crate) const FOLLOWED_MAX: u32 = 1_000_000;

/// Whether the verdict says that the command was carried out only in part.
pub(crate) fn is_cut_short(line: &StatusLine) -> bool {
    line.code_name().as_deref() == Some("MESSAGELIMIT")
}

/// The error for a server that cuts its answers short and does not get ahead.
pub(crate) fn no_progress(during: &'static str, line: &StatusLine) -> ImapError {
    ImapError::Protocol { during, detail: format!("no progress under \"{line}\"") }
}

/// The lowest and highest UID that came, with one more.
pub(crate) fn widen(seen: Option<UidRange>, uid: Uid) -> UidRange {
    match seen {
        Some(seen) => UidRange { first: seen.first.min(uid), last: seen.last.max(uid) },
        None => UidRange { first: uid, last: uid },
    }
}

/// What lies in `range` on either side of what came. For answers that tell of every message.
pub(crate) fn around(range: UidRange, seen: UidRange) -> Vec<UidRange> {
    let below = (range.first < seen.first).then(|| UidRange { first: range.first, last: Uid(seen.first.0 - 1) });
    let above = (seen.last < range.last).then(|| UidRange { first: Uid(seen.last.0 + 1), last: range.last });
    below.into_iter().chain(above).collect()
}

/// What is left to ask of `range`, for answers that tell only of the messages that match something: what came says
/// nothing about where the server stopped, the UID in its verdict does. Both sides of it are asked, and the one that is
/// done costs a short answer. `None` if there is no getting ahead.
pub(crate) fn left_of(range: UidRange, line: &StatusLine) -> Option<Vec<UidRange>> {
    let stopped = stopped_at(line).filter(|uid| range.first <= *uid && *uid <= range.last);
    let Some(stopped) = stopped else { return halves(range) };
    Some(around(range, UidRange { first: stopped, last: stopped })).filter(|parts| !parts.is_empty())
}

/// The same for a set.
pub(crate) fn left_of_set(set: &UidSet, line: &StatusLine) -> Option<Vec<UidSet>> {
    let whole = UidRange { first: set.first()?, last: set.last()? };
    let cut = |part| {
        let mut rest = UidSet::new();
        intersect(set, part, &mut rest);
        rest
    };
    Some(left_of(whole, line)?.into_iter().map(cut).filter(|rest| !rest.is_empty()).collect())
}

fn stopped_at(line: &StatusLine) -> Option<Uid> {
    let code = line.code.as_deref()?;
    code.split_ascii_whitespace().nth(2).and_then(|uid| exact_u32(uid.as_bytes())).filter(|uid| *uid != 0).map(Uid)
}

fn halves(range: UidRange) -> Option<Vec<UidRange>> {
    if range.first == range.last {
        return None;
    }
    let middle = Uid(range.first.0 + (range.last.0 - range.first.0) / 2);
    Some(vec![UidRange { first: range.first, last: middle }, UidRange { first: Uid(middle.0 + 1), last: range.last }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status_line::Status;

    fn range(first: u32, last: u32) -> UidRange {
        UidRange { first: Uid(first), last: Uid(last) }
    }

    fn left(code: &str) -> Option<String> {
        let line = StatusLine { status: Status::Ok, code: Some(code.to_owned()), text: String::new() };
        let left = left_of(range(1, 100), &line)?;
        Some(left.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
    }

    #[test]
    fn what_is_left_lies_on_both_sides_of_where_the_server_stopped() {
        assert_eq!(left("MESSAGELIMIT 40 60").as_deref(), Some("1:59,61:100"));
        assert_eq!(left("MESSAGELIMIT 40 1").as_deref(), Some("2:100"));
        assert_eq!(left("messagelimit 40 100").as_deref(), Some("1:99"));
    }

    #[test]
    fn without_a_uid_of_use_the_range_is_halved() {
        for code in ["MESSAGELIMIT 40", "MESSAGELIMIT 40 x", "MESSAGELIMIT 40 0", "MESSAGELIMIT 40 500"] {
            assert_eq!(left(code).as_deref(), Some("1:50,51:100"), "{code}");
        }
        let line = StatusLine { status: Status::Ok, code: Some("MESSAGELIMIT 1".to_owned()), text: String::new() };
        assert_eq!(left_of(range(7, 7), &line), None);
    }
}
