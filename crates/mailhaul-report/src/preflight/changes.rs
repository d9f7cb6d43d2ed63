//! What is different from the look before.

use crate::preflight::{AccountPreflight, PreflightVerdict};
use crate::{bytes_for_people, count_of};
use serde::Serialize;
use std::collections::BTreeMap;

/// What kind of change it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It could be copied, and is blocked now.
    BlockedNow,
    /// It was blocked, and can be copied now.
    ReadyNow,
    /// It is blocked as before, by something else.
    OtherBlock,
    /// It has remarks that it had not.
    NewRemarks,
    /// It has lost its remarks.
    FewerRemarks,
    /// There is more mail at the source.
    Grown,
    /// There is less mail at the source.
    Shrunk,
    /// It was not looked at before.
    New,
    /// It was looked at before, and is not in the wave any more.
    Gone,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The account.
    pub account: String,
    /// What kind of change it is.
    pub kind: ChangeKind,
    /// The change in words.
    pub text: String,
}

/// All changes, by account.
pub(super) fn changes(now: &[(String, AccountPreflight)], before: &BTreeMap<String, AccountPreflight>) -> Vec<Change> {
    if before.is_empty() {
        return Vec::new();
    }
    let mut changes = Vec::new();
    let mut here = BTreeMap::new();
    for (account, found) in now {
        here.insert(account.as_str(), ());
        let mut add = |kind, text: String| changes.push(Change { account: account.clone(), kind, text });
        let Some(earlier) = before.get(account) else {
            add(ChangeKind::New, "was not looked at before".to_owned());
            continue;
        };
        if let Some((kind, text)) = change_of_verdict(earlier, found) {
            add(kind, text);
        }
        if let Some((kind, text)) = change_of_amount(earlier, found) {
            add(kind, text);
        }
    }
    let gone = before.keys().filter(|account| !here.contains_key(account.as_str()));
    changes.extend(gone.map(|account| Change {
        account: account.clone(),
        kind: ChangeKind::Gone,
        text: "is not in the wave any more".to_owned(),
    }));
    changes.sort_by(|one, other| (one.kind, &one.account).cmp(&(other.kind, &other.account)));
    changes
}

fn change_of_verdict(earlier: &AccountPreflight, now: &AccountPreflight) -> Option<(ChangeKind, String)> {
    let (was, is) = (earlier.verdict(), now.verdict());
    let words = |found: &AccountPreflight| found.gravest_block().map(|block| block.words.clone()).unwrap_or_default();
    Some(match (was, is) {
        (PreflightVerdict::Blocked, PreflightVerdict::Blocked) => {
            let kind = |found: &AccountPreflight| found.gravest_block().map(|block| (block.kind, block.side));
            if kind(earlier) == kind(now) {
                return None;
            }
            (ChangeKind::OtherBlock, format!("was blocked by \"{}\", now by \"{}\"", words(earlier), words(now)))
        }
        (_, PreflightVerdict::Blocked) => {
            (ChangeKind::BlockedNow, format!("was {}, now blocked: {}", was.as_str(), words(now)))
        }
        (PreflightVerdict::Blocked, _) => {
            (ChangeKind::ReadyNow, format!("was blocked by \"{}\", now {}", words(earlier), is.as_str()))
        }
        (PreflightVerdict::Ready, PreflightVerdict::Remarks) => {
            (ChangeKind::NewRemarks, "was ready, now with remarks".to_owned())
        }
        (PreflightVerdict::Remarks, PreflightVerdict::Ready) => {
            (ChangeKind::FewerRemarks, "had remarks, now has none".to_owned())
        }
        _ => return None,
    })
}

fn change_of_amount(earlier: &AccountPreflight, now: &AccountPreflight) -> Option<(ChangeKind, String)> {
    if !earlier.is_counted() || !now.is_counted() {
        return None;
    }
    let (was, is) = (earlier.messages(), now.messages());
    let (was_bytes, is_bytes) = (earlier.bytes(), now.bytes());
    if (was, was_bytes) == (is, is_bytes) {
        return None;
    }
    let kind = if (is, is_bytes) > (was, was_bytes) { ChangeKind::Grown } else { ChangeKind::Shrunk };
    let text = format!(
        "had {} ({}), now {} ({})",
        count_of(was, "message"),
        bytes_for_people(was_bytes),
        count_of(is, "message"),
        bytes_for_people(is_bytes),
    );
    Some((kind, text))
}
