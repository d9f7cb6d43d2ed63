//! Every UID of the selected mailbox, by UID SEARCH in windows.

use crate::connection::Connection;
use crate::error::ImapError;
use crate::message_limit::{FOLLOWED_MAX, left_of, no_progress};
use crate::search::search;
use crate::session::Talk;
use mailhaul_types::{Uid, UidRange, UidSet};
use std::collections::VecDeque;

/// Messages of one window: their UIDs as single numbers are a small part of a line's bound.
const WINDOW_MESSAGES: u32 = 40_000;
/// Every UID there can be.
const ALL: UidRange = UidRange { first: Uid(1), last: Uid(u32::MAX) };

impl Connection {
    /// The UIDs of all messages in the selected mailbox; by ESEARCH (RFC 4731) where the server has it, in windows where
    /// there are many.
    ///
    /// # Errors
    /// As every command; also if an OK came without an answer.
    pub async fn uid_search_all(&mut self) -> Result<UidSet, ImapError> {
        let exists = self.selected.unwrap_or(0);
        search_all(&mut self.talk(), exists).await
    }
}

async fn search_all(talk: &mut Talk<'_>, exists: u32) -> Result<UidSet, ImapError> {
    let everything = set_of(ALL);
    let mut windows: VecDeque<UidRange> = windows(talk, exists).await?.into();
    let mut all = UidSet::new();
    let mut followed = 0;
    while let Some(window) = windows.pop_front() {
        let key = if window == ALL { "ALL".to_owned() } else { format!("UID {window}") };
        let asked = if window == ALL { everything.clone() } else { set_of(window) };
        let found = search(talk, &key, &asked).await?;
        all.extend_ranges(&found.uids);
        if let Some(line) = found.cut_short {
            followed += 1;
            let left = left_of(window, &line).filter(|_| followed <= FOLLOWED_MAX);
            windows.extend(left.ok_or_else(|| no_progress("UID SEARCH", &line))?);
        }
    }
    Ok(all)
}

/// Windows by UIDs, so that what is expunged meanwhile moves nothing from one into another; but cut where every so many
/// messages end, so that neither gaps cost commands nor crowds make long lines.
async fn windows(talk: &mut Talk<'_>, exists: u32) -> Result<Vec<UidRange>, ImapError> {
    if exists <= WINDOW_MESSAGES {
        return Ok(vec![ALL]);
    }
    let step = usize::try_from(WINDOW_MESSAGES).unwrap_or(usize::MAX);
    let numbers: UidSet = (1..=exists).step_by(step).skip(1).map(Uid).collect();
    let mut bounds = UidSet::new();
    for set in numbers.to_sequence_sets(talk.set_octets_max) {
        // The key is a set of message numbers here, and what comes back are their UIDs.
        bounds.extend_ranges(&search(talk, &set, &set_of(ALL)).await?.uids);
    }
    let mut first = ALL.first;
    let mut windows = Vec::new();
    for bound in bounds.iter().filter(|bound| *bound > ALL.first) {
        windows.push(UidRange { first, last: Uid(bound.0 - 1) });
        first = bound;
    }
    windows.push(UidRange { first, last: ALL.last });
    Ok(windows)
}

fn set_of(range: UidRange) -> UidSet {
    let mut set = UidSet::new();
    set.insert_range(range);
    set
}
