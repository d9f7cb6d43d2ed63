//! UID SEARCH (RFC 9051 §6.4.4): proof that a message exists, or does not.

use crate::command::Command;
use crate::error::ImapError;
use crate::message_limit::{FOLLOWED_MAX, is_cut_short, left_of_set, no_progress};
use crate::response::Response;
use crate::sequence::{Element, elements};
use crate::session::Talk;
use crate::sets::{intersect, portions};
use crate::status_line::{Status, StatusLine};
use crate::tokens::{Tokens, exact_u32};
use mailhaul_types::{Uid, UidRange, UidSet};

/// UIDs asked for in one command: their answer as single numbers is at most half a line's bound.
const UIDS_MAX: u64 = 40_000;

/// What a search found.
pub(crate) struct Found {
    /// The UIDs among those that were asked for.
    pub(crate) uids: UidSet,
    /// The verdict, if it says that the search was carried out only in part (RFC 9738).
    pub(crate) cut_short: Option<StatusLine>,
}

/// Which of `uids` exist. An OK without any SEARCH or ESEARCH response proves nothing and is an error.
pub(crate) async fn present(talk: &mut Talk<'_>, uids: &UidSet) -> Result<UidSet, ImapError> {
    let mut present = UidSet::new();
    let mut open = portions(uids, UIDS_MAX, talk.set_octets_max);
    let mut followed = 0;
    while let Some(asked) = open.pop() {
        let found = search(talk, &format!("UID {asked}"), &asked).await?;
        present.extend_ranges(&found.uids);
        if let Some(line) = found.cut_short {
            followed += 1;
            let left = left_of_set(&asked, &line).filter(|_| followed <= FOLLOWED_MAX);
            open.extend(left.ok_or_else(|| no_progress("UID SEARCH", &line))?);
        }
    }
    Ok(present)
}

/// One search; only UIDs among `asked` are taken. With ESEARCH the answer comes as ranges (RFC 4731 §3.1), and a server
/// that refuses the form it announced is asked the plain way.
pub(crate) async fn search(talk: &mut Talk<'_>, key: &str, asked: &UidSet) -> Result<Found, ImapError> {
    if talk.capabilities.esearch() {
        match search_in_form(talk, &format!(" RETURN (ALL) {key}"), asked).await {
            Err(ImapError::Refused { status, .. }) if status.status == Status::Bad => {}
            found => return found,
        }
    }
    search_in_form(talk, &format!(" {key}"), asked).await
}

async fn search_in_form(talk: &mut Talk<'_>, arguments: &str, asked: &UidSet) -> Result<Found, ImapError> {
    let mut answered = false;
    let mut uids = UidSet::new();
    let mut take = |response: Response<'_>| {
        if let Response::Data { number: None, word, rest } = response {
            if word.eq_ignore_ascii_case(b"SEARCH") {
                answered |= read_search(rest, asked, &mut uids);
            } else if word.eq_ignore_ascii_case(b"ESEARCH") {
                answered |= read_esearch(rest, asked, &mut uids);
            }
        }
    };
    let line = talk.run(Command::new("UID SEARCH").text(arguments), &mut take).await?;
    if !answered {
        return Err(ImapError::Protocol {
            during: "UID SEARCH",
            detail: "OK without an answer that can be read".to_owned(),
        });
    }
    Ok(Found { uids, cut_short: Some(line).filter(is_cut_short) })
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
}
