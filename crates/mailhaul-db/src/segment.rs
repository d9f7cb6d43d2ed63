//! Settled messages as octets: up to 1,000 of them in one row, about ten octets each. Pure: knows no database.
//!
//! A packed segment is the format's version (1), then per message, ascending by source UID:
//!
//! ```text
//! head     1 octet   bits 0-1 state, bits 2-3 strength of the key (0: no key), bit 4 target UID known,
//!                    bit 5 source UID is the previous one + 1, bit 6 target UID is the previous one + 1,
//!                    bit 7 flags as those of the previous message
//! source   varint    distance from the previous source UID, less one; absent with bit 5
//! target   varint    zigzag distance from the previous target UID + 1; absent without bit 4 or with bit 6
//! flags    varint    system flags in the low five bits, number of the keyword set (0: none) above; absent with bit 7
//! digest   8 octets  little endian; absent if the strength is 0
//! ```
//!
//! "Previous" begins as UID 0 and as no flags. Messages copied in order into a quiet mailbox cost nine octets each,
//! eight of them the digest. Reading accepts any octets and either returns what was packed or nothing.

use crate::model::SettledState;
use mailhaul_types::{KeyStrength, MessageKey, Uid};

/// How many messages a segment holds. The open one is rewritten with every commit, so this bounds what a commit of
/// one message costs (about 10 KiB); ten times as many would save a tenth of an octet a message.
pub(crate) const SEGMENT_MESSAGES_MAX: usize = 1_000;

const VERSION: u8 = 1;
const STATE_BITS: u8 = 0b0000_0011;
const STRENGTH_SHIFT: u8 = 2;
const TARGET_KNOWN: u8 = 0b0001_0000;
const SOURCE_FOLLOWS: u8 = 0b0010_0000;
const TARGET_FOLLOWS: u8 = 0b0100_0000;
const SAME_FLAGS: u8 = 0b1000_0000;

/// A settled message with its flags as a number, see [`FlagsCode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) source: Uid,
    pub(crate) target: Option<Uid>,
    pub(crate) state: SettledState,
    pub(crate) key: Option<MessageKey>,
    pub(crate) flags: FlagsCode,
}

/// System flags in the low five bits, the number of the keyword set above them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct FlagsCode(pub(crate) u32);

impl FlagsCode {
    pub(crate) fn new(system_bits: u8, keyword_set: u32) -> Self {
        Self(keyword_set << 5 | u32::from(system_bits & 0b1_1111))
    }

    pub(crate) fn system_bits(self) -> u8 {
        u8::try_from(self.0 & 0b1_1111).expect("five bits fit an octet")
    }

    /// 0 means no keywords.
    pub(crate) fn keyword_set(self) -> u32 {
        self.0 >> 5
    }
}

/// The highest number a keyword set may have, so that it fits a [`FlagsCode`].
pub(crate) const KEYWORD_SETS_MAX: u32 = u32::MAX >> 5;

/// Packs messages, which must be strictly ascending by source UID.
pub(crate) fn pack(records: &[Record]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + records.len() * 12);
    out.push(VERSION);
    let mut previous = Previous::default();
    for record in records {
        pack_one(record, &mut previous, &mut out);
    }
    out
}

#[derive(Default)]
struct Previous {
    source: u32,
    target: u32,
    flags: FlagsCode,
}

fn pack_one(record: &Record, previous: &mut Previous, out: &mut Vec<u8>) {
    debug_assert!(record.source.0 > previous.source, "records must be sorted and must not repeat");
    let source_gap = record.source.0.wrapping_sub(previous.source).wrapping_sub(1);
    let target_gap = record.target.map(|uid| i64::from(uid.0) - i64::from(previous.target) - 1);
    let mut head = record.state as u8;
    head |= record.key.map_or(0, |key| key.strength as u8) << STRENGTH_SHIFT;
    head |= if target_gap.is_some() { TARGET_KNOWN } else { 0 };
    head |= if source_gap == 0 { SOURCE_FOLLOWS } else { 0 };
    head |= if target_gap == Some(0) { TARGET_FOLLOWS } else { 0 };
    head |= if record.flags == previous.flags { SAME_FLAGS } else { 0 };
    out.push(head);
    if source_gap != 0 {
        push_varint(u64::from(source_gap), out);
    }
    if let Some(gap) = target_gap.filter(|gap| *gap != 0) {
        push_varint(zigzag(gap), out);
    }
    if record.flags != previous.flags {
        push_varint(u64::from(record.flags.0), out);
    }
    if let Some(key) = record.key {
        out.extend_from_slice(&key.digest.to_le_bytes());
    }
    previous.source = record.source.0;
    previous.target = record.target.map_or(previous.target, |uid| uid.0);
    previous.flags = record.flags;
}

/// Reads a packed segment; `None` if the octets are not one.
pub(crate) fn unpack(octets: &[u8]) -> Option<Vec<Record>> {
    let (&VERSION, mut rest) = octets.split_first()? else { return None };
    let mut records = Vec::with_capacity(rest.len() / 9);
    let mut previous = Previous::default();
    while !rest.is_empty() {
        records.push(unpack_one(&mut rest, &mut previous)?);
    }
    Some(records)
}

fn unpack_one(rest: &mut &[u8], previous: &mut Previous) -> Option<Record> {
    let head = take(rest, 1)?[0];
    let state = state_of(head & STATE_BITS)?;
    let source_gap = if head & SOURCE_FOLLOWS != 0 { 0 } else { take_varint(rest)? };
    let source = u64::from(previous.source).checked_add(source_gap)?.checked_add(1)?;
    let source = u32::try_from(source).ok()?;
    let target = match head & (TARGET_KNOWN | TARGET_FOLLOWS) {
        0 => None,
        TARGET_KNOWN => Some(unzigzag(take_varint(rest)?)),
        TARGET_FOLLOWS => return None,
        _ => Some(0),
    };
    let target = match target {
        Some(gap) => Some(u32::try_from(gap.checked_add(i64::from(previous.target) + 1)?).ok()?),
        None => None,
    };
    let flags =
        if head & SAME_FLAGS != 0 { previous.flags } else { FlagsCode(u32::try_from(take_varint(rest)?).ok()?) };
    let key = match strength_of(head >> STRENGTH_SHIFT & 0b11) {
        None => None,
        Some(strength) => {
            let digest: [u8; 8] = take(rest, 8)?.try_into().ok()?;
            Some(MessageKey { digest: u64::from_le_bytes(digest), strength })
        }
    };
    *previous = Previous { source, target: target.unwrap_or(previous.target), flags };
    Some(Record { source: Uid(source), target: target.map(Uid), state, key, flags })
}

fn state_of(bits: u8) -> Option<SettledState> {
    [SettledState::Copied, SettledState::Adopted, SettledState::AdoptedAltered, SettledState::Likely]
        .into_iter()
        .find(|state| *state as u8 == bits)
}

pub(crate) fn strength_of(bits: u8) -> Option<KeyStrength> {
    [KeyStrength::Content, KeyStrength::Headers, KeyStrength::MessageId]
        .into_iter()
        .find(|strength| *strength as u8 == bits)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Seven bits an octet, lowest first; the top bit says that more follow.
pub(crate) fn push_varint(mut value: u64, out: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(value & 0x7f).expect("seven bits fit an octet");
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

/// Takes a number off the front; `None` if there is none, or it has no end.
pub(crate) fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let octet = take(rest, 1)?[0];
        value |= u64::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn any_record() -> impl Strategy<Value = Record> {
        let uid = prop_oneof![1..40u32, 1..5_000u32, 1..=u32::MAX];
        let target = proptest::option::weighted(0.9, uid.clone());
        let key = proptest::option::of((any::<u64>(), 1..4u8));
        let flags = prop_oneof![0..4u32, any::<u32>()];
        (uid, target, 0..4u8, key, flags).prop_map(|(source, target, state, key, flags)| Record {
            source: Uid(source),
            target: target.map(Uid),
            state: state_of(state).expect("four states"),
            key: key.map(|(digest, strength)| MessageKey { digest, strength: strength_of(strength).expect("three") }),
            flags: FlagsCode(flags),
        })
    }

    fn ascending(records: Vec<Record>) -> Vec<Record> {
        records.into_iter().map(|record| (record.source, record)).collect::<BTreeMap<_, _>>().into_values().collect()
    }

    proptest! {
        #[test]
        fn whatever_is_packed_comes_back(records in proptest::collection::vec(any_record(), 0..200)) {
            let records = ascending(records);
            prop_assert_eq!(unpack(&pack(&records)), Some(records));
        }

        #[test]
        fn any_octets_are_read_without_harm(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut versioned = vec![VERSION];
            versioned.extend_from_slice(&octets);
            for records in [unpack(&octets), unpack(&versioned)].into_iter().flatten() {
                prop_assert!(records.is_sorted_by(|a, b| a.source < b.source));
                prop_assert_eq!(unpack(&pack(&records)), Some(records));
            }
        }

        #[test]
        fn a_cut_segment_is_never_longer_than_the_whole(
            records in proptest::collection::vec(any_record(), 1..20), cut in any::<prop::sample::Index>()
        ) {
            let records = ascending(records);
            let octets = pack(&records);
            let kept = unpack(&octets[..cut.index(octets.len())]);
            prop_assert!(kept.is_none_or(|kept| kept.len() < records.len() && records.starts_with(&kept)));
        }
    }

    #[test]
    fn messages_copied_in_order_cost_nine_octets() {
        let records: Vec<Record> = (0..1_000u32)
            .map(|number| Record {
                source: Uid(70_001 + number),
                target: Some(Uid(1 + number)),
                state: SettledState::Copied,
                key: Some(MessageKey { digest: u64::from(number), strength: KeyStrength::MessageId }),
                flags: FlagsCode::new(1, 0),
            })
            .collect();
        assert_eq!(pack(&records).len(), 1 + 1_000 * 9 + 3 + 1);
    }

    #[test]
    fn refuses_unknown_versions_and_impossible_uids() {
        assert_eq!(unpack(&[]), None);
        assert_eq!(unpack(&[2]), None);
        assert_eq!(unpack(&[VERSION, SAME_FLAGS, 0xff, 0xff, 0xff, 0xff, 0x0f]), None, "UID 2^32");
        assert_eq!(unpack(&[VERSION, SAME_FLAGS | SOURCE_FOLLOWS | TARGET_FOLLOWS]), None, "follows nothing");
    }
}
