//! What eats foreign octets, for the fuzz targets in `fuzz/`; there is no such module in any other build. Beyond the
//! absence of panics, each function asserts what must hold whatever the octets are.

use crate::fetch_items::FetchItems;
use crate::list::read_listed;
use crate::response::Response;
use crate::sequence::{elements, read_append_uid};
use crate::status::read_status;
use crate::tokens::Tokens;
use crate::wire::frame::{Found, FrameScan};
use mailhaul_types::NameEncoding;

/// Finds the end of a response, in one piece and octet by octet: both must find the same.
pub fn framing(octets: &[u8]) {
    const INLINE_MAX: usize = 4096;
    let whole = FrameScan::default().advance(octets, INLINE_MAX);
    let mut scan = FrameScan::default();
    let mut pieces = scan.advance(&octets[..0], INLINE_MAX);
    for end in 1..=octets.len() {
        if !matches!(pieces, Ok(Found::NeedMore(_))) {
            break;
        }
        pieces = scan.advance(&octets[..end], INLINE_MAX);
    }
    match (whole, pieces) {
        (Ok(Found::NeedMore(_)), Ok(Found::NeedMore(_))) | (Err(_), Err(_)) => {}
        (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces),
        (whole, pieces) => panic!("in one piece {whole:?}, in many {pieces:?}"),
    }
    if let Ok(Found::Complete(length)) = FrameScan::default().advance(octets, INLINE_MAX) {
        response(&octets[..length]);
    }
}

/// Reads a whole response in every way in which one is read.
fn response(frame: &[u8]) {
    match Response::of(frame) {
        Response::Data { rest, .. } => {
            let _ = read_listed(rest.within(0..frame.len()), NameEncoding::ModifiedUtf7);
        }
        Response::Tagged { line, .. } | Response::Status(line) => drop(line.to_line().to_string()),
        Response::Continue | Response::Unreadable => {}
    }
}

/// Takes values one after the other: each takes something, and none reaches beyond the octets.
pub fn tokens(octets: &[u8]) {
    let mut tokens = Tokens::new(octets);
    let mut left = tokens.rest().len() + 1;
    while tokens.rest().len() < left && !tokens.at_end() {
        left = tokens.rest().len();
        match tokens.value() {
            Some(value) => drop(tokens.string_of(value)),
            None => drop(tokens.word()),
        }
    }
}

/// Reads the items of a FETCH response.
pub fn fetch(octets: &[u8]) {
    let mut items = FetchItems::default();
    items.read(Tokens::new(octets));
    items.read_tail(octets);
}

/// Reads what stands behind LIST, LSUB and STATUS.
pub fn list(octets: &[u8]) {
    for encoding in [NameEncoding::ModifiedUtf7, NameEncoding::Utf8] {
        if let Some(listed) = read_listed(Tokens::new(octets), encoding) {
            let _ = listed.name.text();
        }
    }
    let _ = read_status(Tokens::new(octets));
}

/// Reads sets of UIDs, and what APPENDUID says of so many messages: so many it names, ascending, or none.
pub fn uid_sets(octets: &[u8]) {
    let _ = elements(octets).count();
    for count in [0, 1, 2, 1_000] {
        if let Some((_, uids)) = read_append_uid(octets, count) {
            assert_eq!(u32::try_from(uids.len()), Ok(count));
            assert!(uids.is_sorted());
        }
    }
}
