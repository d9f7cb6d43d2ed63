//! UID SEARCH (RFC 9051 §6.4.4): proof that a message exists, or does not.

use crate::command::Command;
use crate::error::ImapError;
use crate::response::Response;
use crate::sequence::{Element, elements};
use crate::session::Talk;
use crate::tokens::{Tokens, exact_u32};
use mailhaul_types::{Uid, UidRange, UidSet};

/// UIDs asked for in one command: their answer as single numbers is at most half a line's bound.
const UIDS_MAX: u64 = 40_000;

/// Which of `uids` exist. An OK without any SEARCH or ESEARCH response proves nothing and is an error.
pub(crate) async fn present(talk: &mut Talk<'_>, uids: &UidSet) -> Result<UidSet, ImapError> {
    let mut present = UidSet::new();
    for asked in portions(uids) {
        for set in asked.to_sequence_sets(talk.set_octets_max) {
            let command = Command::new("UID SEARCH").text(&format!(" UID {set}"));
            let mut answered = false;
            let mut found = UidSet::new();
            let mut take = |response: Response<'_>| {
                if let Response::Data { number: None, word, rest } = response {
                    if word.eq_ignore_ascii_case(b"SEARCH") {
                        answered |= read_search(rest, &asked, &mut found);
                    } else if word.eq_ignore_ascii_case(b"ESEARCH") {
                        answered |= read_esearch(rest, &asked, &mut found);
                    }
                }
            };
            talk.run(command, &mut take).await?;
            if !answered {
                return Err(ImapError::Protocol {
                    during: "UID SEARCH",
                    detail: "OK without an answer that can be read".to_owned(),
                });
            }
            for range in found.ranges() {
                present.insert_range(*range);
            }
        }
    }
    Ok(present)
}

/// Cuts a set so that no portion holds more than [`UIDS_MAX`] UIDs.
fn portions(uids: &UidSet) -> Vec<UidSet> {
    let mut portions = Vec::new();
    let mut current = UidSet::new();
    for range in uids.ranges() {
        let mut first = range.first.0;
        loop {
            let room = UIDS_MAX - current.len();
            let width = u64::from(range.last.0 - first) + 1;
            let taken = u32::try_from(width.min(room)).unwrap_or(u32::MAX);
            current.insert_range(UidRange { first: Uid(first), last: Uid(first + (taken - 1)) });
            if current.len() >= UIDS_MAX {
                portions.push(std::mem::take(&mut current));
            }
            if u64::from(taken) == width {
                break;
            }
            first += taken;
        }
    }
    if !current.is_empty() {
        portions.push(current);
    }
    portions
}

/// `SEARCH 2 3 6 (MODSEQ 917162500)`. Whether it could be read.
fn read_search(mut tokens: Tokens<'_>, asked: &UidSet, found: &mut UidSet) -> bool {
    while let Some(word) = tokens.word() {
        if word.starts_with(b"(") {
            break;
        }
        let Some(uid) = exact_u32(word) else { return false };
        if asked.contains(Uid(uid)) {
            found.insert(Uid(uid));
        }
    }
    true
}

/// `ESEARCH (TAG "M3") UID ALL 2,10:11` (RFC 4731). Ranges are cut to what was asked, never expanded.
fn read_esearch(mut tokens: Tokens<'_>, asked: &UidSet, found: &mut UidSet) -> bool {
    while let Some(name) = tokens.word() {
        if name.eq_ignore_ascii_case(b"ALL") {
            let Some(set) = tokens.word() else { return false };
            for element in elements(set) {
                let Some(Element { first, last }) = element else { return false };
                intersect(asked, UidRange::between(Uid(first), Uid(last)), found);
            }
        }
    }
    true
}

fn intersect(asked: &UidSet, range: UidRange, found: &mut UidSet) {
    for known in asked.ranges() {
        let (first, last) = (known.first.max(range.first), known.last.min(range.last));
        if first <= last {
            found.insert_range(UidRange { first, last });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[(u32, u32)]) -> UidSet {
        let mut set = UidSet::new();
        for (first, last) in ranges {
            set.insert_range(UidRange { first: Uid(*first), last: Uid(*last) });
        }
        set
    }

    #[test]
    fn both_forms_of_answer_are_read_and_cut_to_the_question() {
        let asked = set(&[(1, 10), (20, 30)]);
        let mut found = UidSet::new();
        assert!(read_search(Tokens::new(b" 3 9 11 25 (MODSEQ 5) \r\n"), &asked, &mut found));
        assert_eq!(found.to_string(), "3,9,25");
        let mut found = UidSet::new();
        assert!(read_esearch(Tokens::new(b" (TAG \"M1\") UID ALL 8:21,4294967295\r\n"), &asked, &mut found));
        assert_eq!(found.to_string(), "8:10,20:21");
        let mut found = UidSet::new();
        assert!(read_esearch(Tokens::new(b" (TAG \"M1\") UID\r\n"), &asked, &mut found));
        assert!(found.is_empty());
        assert!(!read_search(Tokens::new(b" 3 x\r\n"), &asked, &mut found));
        assert!(!read_esearch(Tokens::new(b" UID ALL 1:*\r\n"), &asked, &mut found));
    }

    #[test]
    fn wide_questions_are_cut() {
        let portions = portions(&set(&[(1, 5), (10, 100_000), (4_294_967_290, 4_294_967_295)]));
        assert!(portions.iter().all(|portion| portion.len() <= UIDS_MAX));
        assert_eq!(portions.iter().map(UidSet::len).sum::<u64>(), 5 + 99_991 + 6);
    }
}
