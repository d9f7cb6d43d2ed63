//! Drafts among what is carried over. Their author edits them under their header, so that no key tells one edition from
//! the next: that nothing has changed is shown by a copy of what was there then, or not at all.

use super::{Copies, Keyed, pair_by_keys};
use crate::tail::Known;
use mailhaul_db::Settled;
use mailhaul_types::{Flags, MessageKey, SystemFlag, Uid};
use std::collections::BTreeSet;

/// Whether these are the flags of a draft.
pub(super) fn is_draft(flags: &Flags) -> bool {
    flags.contains(SystemFlag::Draft)
}

/// Which messages are drafts, by their keys: where one of several with the same key is, none of them is known by it.
pub(super) struct Drafts {
    /// Whether the mailbox is for drafts.
    all: bool,
    keys: BTreeSet<MessageKey>,
}

impl Drafts {
    /// By the flag that they had when they were copied, that their copies have, or that they have at the source now.
    pub(super) fn among(records: &[Settled], copies: &Copies, open: &[Known], all: bool) -> Self {
        let has_draft_copy = |record: &Settled| {
            let copy = record.target_uid.and_then(|uid| copies.get(uid));
            copy.is_some_and(|copy| is_draft(&copy.flags))
        };
        let were = records.iter().filter(|record| is_draft(&record.flags) || has_draft_copy(record));
        let are = open.iter().filter(|known| is_draft(&known.flags));
        let keys = were.filter_map(|record| record.key).chain(are.filter_map(|known| known.candidate.key)).collect();
        Self { all, keys }
    }

    /// Whether a message with this key may be a draft.
    pub(super) fn include(&self, key: Option<MessageKey>) -> bool {
        self.all || key.is_some_and(|key| self.keys.contains(&key))
    }

    /// How many of these records that were not recognised share their key with a draft that is still open: it is the same
    /// draft, and may be another edition of it.
    pub(super) fn alike(&self, records: &[Settled], recognised: &[Settled], open: &[Known]) -> u64 {
        let keyed = |uid: Uid, key: Option<MessageKey>| self.include(key).then_some(Keyed { uid, key });
        let mut left: Vec<Keyed> = records.iter().filter_map(|record| keyed(record.source_uid, record.key)).collect();
        for message in recognised {
            if let Some(place) = left.iter().position(|record| record.key == message.key) {
                left.swap_remove(place);
            }
        }
        let open: Vec<Keyed> =
            open.iter().filter_map(|known| keyed(known.candidate.uid, known.candidate.key)).collect();
        pair_by_keys(&left, &open).len() as u64
    }
}
