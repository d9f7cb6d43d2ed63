//! Messages without a Message-ID. Other mail may bear the same header fields, as that of a device does which gives its
//! mail no names: that one was copied is shown by its copy, or not at all. What no copy shows is looked for in the target's
//! tail, and copied if it is not found there.

use super::drafts::Drafts;
use super::{Copies, comparable};
use crate::tail::Known;
use mailhaul_db::Settled;
use mailhaul_plan::moves::may_be_left_to_owner;
use mailhaul_report::count_of;
use mailhaul_types::{MessageKey, Uid};
use std::collections::{BTreeMap, BTreeSet};

/// Whether the key of what was copied does not tell it from every other message.
pub(super) fn is_one(record: &Settled) -> bool {
    !may_be_left_to_owner(record.key, &record.flags)
}

/// How many of these records, of which no copy can be compared with as it was put there, share their key with what is
/// still open at the source. They count as found: that they cannot be recognised makes no other mailbox of it.
pub(super) fn alike(
    records: &[Settled],
    recognised: &[Settled],
    copies: &Copies,
    drafts: &Drafts,
    open: &[Known],
) -> u64 {
    let owned: BTreeSet<Uid> = recognised.iter().filter_map(|message| message.target_uid).collect();
    let is_open = |record: &&Settled| {
        is_one(record)
            && !drafts.include(record.key)
            && comparable(record, copies).is_none()
            && record.target_uid.is_none_or(|uid| !owned.contains(&uid))
    };
    let mut here: BTreeMap<MessageKey, u64> = BTreeMap::new();
    for key in open.iter().filter_map(|known| known.candidate.key) {
        *here.entry(key).or_default() += 1;
    }
    let mut count = 0;
    for key in records.iter().filter(is_open).filter_map(|record| record.key) {
        if let Some(left) = here.get_mut(&key).filter(|left| **left > 0) {
            *left -= 1;
            count += 1;
        }
    }
    count
}

/// What is said of them.
pub(super) fn note(count: u64) -> Option<(&'static str, String, u64)> {
    let text = format!(
        "no copy shows that {} without a Message-ID {} the same as when copied; what the target does not hold like that \
         is copied again, and earlier copies stay",
        count_of(count, "message"),
        if count == 1 { "is" } else { "are" },
    );
    (count > 0).then_some(("nameless", text, count))
}
