//! Recognising what was copied from a source mailbox whose UIDs mean something else now.
//!
//! The caller matches the mailbox with the copies that are still on the target first, by keys, sizes and contents. What
//! is left is decided here: a message whose copy its owner has deleted or filed elsewhere must not be copied again, and
//! only its key is known. And whether enough was recognised at all, or whether this may be another mailbox.

use mailhaul_types::{KeyStrength, MessageKey, Uid};
use std::collections::BTreeMap;

/// A message, on either side of the renumbering, by what it is recognised by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyed {
    /// Its UID: the former one in the ledger, or the present one in the mailbox.
    pub uid: Uid,
    /// Its key; what has none is never recognised.
    pub key: Option<MessageKey>,
}

/// Pairs records of the ledger with messages of the mailbox by their keys alone, as multisets, the lowest UIDs first:
/// (former UID, present UID), by former UID.
///
/// A key without a Message-ID says little about one message. Where there are more messages with such a key than records
/// it is not known which of them were copied, and none is paired: what is copied twice can be seen, what is lost cannot.
#[must_use]
pub fn pair_by_keys(records: &[Keyed], messages: &[Keyed]) -> Vec<(Uid, Uid)> {
    let (records, mut messages) = (by_key(records), by_key(messages));
    let mut pairs = Vec::new();
    for (key, former) in records {
        let Some(present) = messages.remove(&key) else { continue };
        if key.strength == KeyStrength::Headers && present.len() > former.len() {
            continue;
        }
        pairs.extend(former.into_iter().zip(present));
    }
    pairs.sort_unstable();
    pairs
}

fn by_key(keyed: &[Keyed]) -> BTreeMap<MessageKey, Vec<Uid>> {
    let mut groups: BTreeMap<MessageKey, Vec<Uid>> = BTreeMap::new();
    for Keyed { uid, key } in keyed {
        if let Some(key) = key {
            groups.entry(*key).or_default().push(*uid);
        }
    }
    groups.values_mut().for_each(|uids| uids.sort_unstable());
    groups
}

/// Hundredths of the copied messages that must be recognised for a mailbox to be taken for the same one.
pub const RECOGNISED_PERCENT_MIN: u64 = 80;

/// Whether so much was recognised that this is the same mailbox. `copied` counts what was copied from the mailbox and
/// was in it when it was last passed over. A mailbox of which nothing was left has nothing to be recognised by.
#[must_use]
pub fn is_same_mailbox(copied: u64, recognised: u64) -> bool {
    recognised.saturating_mul(100) >= copied.saturating_mul(RECOGNISED_PERCENT_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyed(rows: &[(u32, u64)], strength: KeyStrength) -> Vec<Keyed> {
        let key = |digest| (digest != 0).then_some(MessageKey { digest, strength });
        rows.iter().map(|(uid, digest)| Keyed { uid: Uid(*uid), key: key(*digest) }).collect()
    }

    fn paired(records: &[(u32, u64)], messages: &[(u32, u64)], strength: KeyStrength) -> String {
        let pairs = pair_by_keys(&keyed(records, strength), &keyed(messages, strength));
        pairs.iter().map(|(former, present)| format!("{former}={present}")).collect::<Vec<_>>().join(" ")
    }

    /// UIDs and digests of records, of messages, and the pairs.
    type Case = (&'static [(u32, u64)], &'static [(u32, u64)], &'static str);

    #[test]
    fn keys_are_paired_as_multisets_with_the_lowest_uids_first() {
        let cases: [Case; 6] = [
            (&[(1, 10), (2, 20)], &[(7, 20), (8, 10)], "1=8 2=7"),
            (&[(1, 10), (2, 10), (3, 10)], &[(8, 10), (7, 10)], "1=7 2=8"),
            (&[(1, 10)], &[(7, 10), (8, 10)], "1=7"),
            (&[(1, 10)], &[(7, 11)], ""),
            (&[(1, 0)], &[(7, 0)], ""),
            (&[], &[(7, 10)], ""),
        ];
        for (records, messages, expected) in cases {
            assert_eq!(paired(records, messages, KeyStrength::MessageId), expected);
        }
    }

    #[test]
    fn without_a_message_id_a_choice_is_no_proof() {
        let twins: &[(u32, u64)] = &[(7, 10), (8, 10)];
        assert_eq!(paired(&[(1, 10)], twins, KeyStrength::Headers), "");
        assert_eq!(paired(&[(1, 10), (2, 10)], twins, KeyStrength::Headers), "1=7 2=8");
        assert_eq!(paired(&[(1, 10), (2, 10), (3, 10)], twins, KeyStrength::Headers), "1=7 2=8");
        // A key made of the content is the message itself.
        assert_eq!(paired(&[(1, 10)], twins, KeyStrength::Content), "1=7");
    }

    #[test]
    fn keys_of_another_strength_never_meet() {
        let records = keyed(&[(1, 10)], KeyStrength::MessageId);
        assert!(pair_by_keys(&records, &keyed(&[(7, 10)], KeyStrength::Headers)).is_empty());
    }

    #[test]
    fn four_in_five_make_the_same_mailbox() {
        for (copied, recognised, same) in [
            (100, 80, true),
            (100, 79, false),
            (5, 4, true),
            (4, 3, false),
            (1, 0, false),
            (0, 0, true),
            (u64::MAX, u64::MAX, true),
        ] {
            assert_eq!(is_same_mailbox(copied, recognised), same, "{recognised} of {copied}");
        }
    }
}
