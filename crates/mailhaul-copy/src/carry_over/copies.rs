//! The copies of what is carried over, as the target holds them now.
//!
//! That a copy is gone means that a message without a Message-ID is sent again, and that another one is left to its owner;
//! so a target that answers without its messages is not believed. What is missing counts as missing when everything was
//! listed, and as much of it as the target says that there is.

use super::Records;
use crate::error::{WalkError, mailbox_error, on};
use crate::tail::{Known, present_in, read_known};
use crate::walk::{Links, Pair, Walk};
use mailhaul_db::MailboxState;
use mailhaul_imap::ScanItems;
use mailhaul_plan::scan::{SCANS_MAX, ScanVerdict, judge_scan, scan_ranges};
use mailhaul_plan::steps::{difference, intersection};
use mailhaul_types::{Side, Uid, UidRange, UidSet, UidValidity};
use std::collections::{BTreeMap, BTreeSet};

/// The copies that are still where they were put.
pub(super) enum Copies {
    /// UIDs on the target mean nothing any more. What becomes of such a target is seen when it is opened for writing.
    Void,
    /// By their UIDs on the target.
    Known(BTreeMap<Uid, Known>),
}

impl Copies {
    pub(super) fn get(&self, uid: Uid) -> Option<&Known> {
        match self {
            Self::Void => None,
            Self::Known(copies) => copies.get(&uid),
        }
    }
}

/// Reads the copies. The target mailbox is selected afterwards, unless it is another one by now.
pub(super) async fn read_copies(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    state: &MailboxState,
    records: &Records,
) -> Result<Copies, WalkError> {
    if pair.target_is_missing {
        return Ok(Copies::Void);
    }
    let opened = links.target.select(pair.target).await.map_err(|error| mailbox_error(Side::Target, error))?;
    let uid_validity = match opened.uid_validity {
        Some(uid_validity) => Some(uid_validity),
        None => links.target.status(pair.target).await.map_err(on(Side::Target))?.uid_validity,
    };
    if uid_validity.is_none() || uid_validity != state.target_uid_validity {
        return Ok(Copies::Void);
    }
    let owned: BTreeSet<Uid> =
        records.present.iter().chain(&records.departed).filter_map(|record| record.target_uid).collect();
    let owned: UidSet = owned.into_iter().collect();
    let Some((first, last)) = owned.first().zip(owned.last()) else { return Ok(Copies::Known(BTreeMap::new())) };
    // One range, however many holes: a listing takes a command for every range.
    let mut span = UidSet::new();
    span.insert_range(UidRange { first, last });
    let present = intersection(&present_in(&mut links.target, &span).await?, &owned);
    let place = walk.place(pair.source.text(), Side::Target);
    let mut known = read_known(&mut links.target, place, &walk.keys, &present, |_| true).await?;
    let missing = difference(&owned, &uids_of(&known));
    if !missing.is_empty() {
        let hidden = intersection(&list_all(links, pair, uid_validity).await?, &missing);
        known.extend(read_known(&mut links.target, place, &walk.keys, &hidden, |_| true).await?);
        let hidden = difference(&hidden, &uids_of(&known));
        if !hidden.is_empty() {
            return Err(contradiction(&format!("it lists UIDs {hidden} and says that they are gone")));
        }
    }
    Ok(Copies::Known(known.into_iter().map(|known| (known.candidate.uid, known)).collect()))
}

fn uids_of(known: &[Known]) -> UidSet {
    known.iter().map(|known| known.candidate.uid).collect::<BTreeSet<Uid>>().into_iter().collect()
}

/// Everything in the target mailbox, asked for as often as it takes until the list holds as much as the target says that there is.
async fn list_all(links: &mut Links, pair: &Pair<'_>, uid_validity: Option<UidValidity>) -> Result<UidSet, WalkError> {
    let mut words = String::new();
    for _ in 0..SCANS_MAX {
        let opened = links.target.select(pair.target).await.map_err(|error| mailbox_error(Side::Target, error))?;
        if opened.uid_validity.is_some() && opened.uid_validity != uid_validity {
            return Err(contradiction("its UIDVALIDITY changed meanwhile"));
        }
        let uid_next = match opened.uid_next {
            Some(uid_next) => Some(uid_next),
            None => links.target.status(pair.target).await.map_err(on(Side::Target))?.uid_next,
        };
        let mut listed = BTreeSet::new();
        // What arrives meanwhile is not among what it says that there is.
        let mut take = |row: mailhaul_imap::ScanRow| {
            if uid_next.is_none_or(|uid_next| row.uid < uid_next) {
                listed.insert(row.uid);
            }
        };
        let ranges = scan_ranges(uid_next, opened.exists);
        let tally = links.target.scan(&ranges, ScanItems::default(), &mut take).await.map_err(on(Side::Target))?;
        match judge_scan(listed.len() as u64, opened.exists, tally.expunged) {
            ScanVerdict::TooFew(missing) => {
                words = format!("it says that there are {} messages and lists {missing} fewer", opened.exists);
            }
            ScanVerdict::Counted | ScanVerdict::TooMany(_) => return Ok(listed.into_iter().collect()),
        }
    }
    Err(contradiction(&words))
}

fn contradiction(words: &str) -> WalkError {
    WalkError::Mailbox(format!(
        "the source has renumbered or replaced this mailbox, and which copies the target still has cannot be told: \
         {words}; nothing was done in it"
    ))
}
