//! What keys alone may say, and what the operator is told.

use super::*;
use mailhaul_plan::likeness::Likeness;
use mailhaul_plan::matching::Candidate;
use mailhaul_types::{Flags, KeyStrength};

fn key(digest: u64) -> Option<MessageKey> {
    Some(MessageKey { digest, strength: KeyStrength::MessageId })
}

fn record(source: u32, target: u32, digest: u64) -> Settled {
    Settled {
        source_uid: Uid(source),
        target_uid: Some(Uid(target)),
        state: SettledState::Copied,
        key: key(digest),
        flags: Flags::new(),
    }
}

fn known(uid: u32, digest: u64) -> Known {
    let candidate = Candidate { uid: Uid(uid), key: key(digest), size: 100, date: Some(7) };
    Known { candidate, likeness: Likeness::default(), flags: Flags::new() }
}

fn copies(known: &[Known]) -> Copies {
    Copies::Known(known.iter().map(|copy| (copy.candidate.uid, copy.clone())).collect())
}

fn draft(known: Known) -> Known {
    Known { flags: Flags::from_parts(SystemFlag::Draft as u8, []), ..known }
}

fn was_draft(record: Settled) -> Settled {
    Settled { flags: Flags::from_parts(SystemFlag::Draft as u8, []), ..record }
}

/// The new UIDs of what keys alone recognise.
fn by_keys(records: &[Settled], open: &[Known], copies: &Copies, in_drafts: bool) -> Vec<u32> {
    let drafts = Drafts::among(records, copies, open, in_drafts);
    match_keys(records, &mut open.to_vec(), copies, &drafts).iter().map(|message| message.source_uid.0).collect()
}

#[test]
fn no_key_speaks_for_a_draft_whatever_became_of_its_copy() {
    let records = [was_draft(record(1, 101, 10)), record(2, 102, 20), record(3, 103, 30), record(4, 104, 40)];
    let open = [known(11, 10), draft(known(12, 20)), known(13, 30), known(14, 40)];
    let altered = |copy: Known| Known { candidate: Candidate { key: key(99), ..copy.candidate }, ..copy };
    let gone = copies(&[]);
    let munged: Vec<Known> = (101..=104).map(|uid| altered(known(uid, 0))).collect();
    let munged_draft = [altered(known(101, 0)), altered(known(102, 0)), draft(altered(known(103, 0)))];
    for (copies, expected) in [
        (&gone, &[13, 14][..]),
        (&Copies::Void, &[13, 14]),
        (&copies(&munged), &[13, 14]),
        (&copies(&munged_draft), &[14]),
    ] {
        assert_eq!(by_keys(&records, &open, copies, false), expected);
        assert_eq!(by_keys(&records, &open, copies, true), Vec::<u32>::new());
    }
}

#[test]
fn a_draft_that_may_have_been_edited_is_still_the_same_draft_for_the_mailbox() {
    let records = [was_draft(record(1, 101, 10)), was_draft(record(2, 102, 20)), record(3, 103, 30)];
    let open = [known(11, 10), known(12, 10), known(13, 30)];
    let drafts = Drafts::among(&records, &Copies::Void, &open, false);
    assert_eq!(drafts.alike(&records, &[], &open), 1, "one record, and 20 is not there");
    assert_eq!(drafts.alike(&records, &[Settled { source_uid: Uid(11), ..records[0].clone() }], &open[1..]), 0);
}

#[test]
fn only_records_whose_copies_cannot_be_compared_with_are_matched_by_key_alone() {
    let records = [record(1, 101, 10), record(2, 102, 20), record(3, 103, 30)];
    // 101 is there, 102 is gone, 103 was altered by its server.
    let copies = copies(&[known(101, 10), known(103, 99)]);
    let mut open = vec![known(11, 10), known(12, 20), known(13, 30), known(14, 20)];
    let settled = match_keys(&records, &mut open, &copies, &Drafts::among(&records, &copies, &[], false));
    let shown: Vec<_> =
        settled.iter().map(|message| (message.source_uid.0, message.target_uid.map(|uid| uid.0))).collect();
    assert_eq!(shown, [(12, Some(102)), (13, Some(103))]);
    assert_eq!(open.iter().map(|known| known.candidate.uid.0).collect::<Vec<_>>(), [11, 14]);
}

#[test]
fn no_key_speaks_for_a_message_without_a_message_id_whatever_became_of_its_copy() {
    let plain = |key: Option<MessageKey>| key.map(|key| MessageKey { strength: KeyStrength::Headers, ..key });
    let nameless = |record: Settled| Settled { key: plain(record.key), ..record };
    let like =
        |known: Known| Known { candidate: Candidate { key: plain(known.candidate.key), ..known.candidate }, ..known };
    let records = [nameless(record(1, 101, 10)), nameless(record(2, 102, 10)), record(3, 103, 30)];
    let open = [like(known(11, 10)), like(known(12, 10)), like(known(13, 10)), known(14, 30)];
    for (copies, doubtful) in [
        (copies(&[]), 2),
        (Copies::Void, 2),
        (copies(&[known(101, 99), known(102, 98)]), 2),
        (copies(&[like(known(101, 10)), known(102, 98)]), 1),
    ] {
        assert_eq!(by_keys(&records, &open, &copies, false), [14]);
        let drafts = Drafts::among(&records, &copies, &open, false);
        assert_eq!(nameless::alike(&records, &[], &copies, &drafts, &open), doubtful);
        let recognised = [Settled { source_uid: Uid(11), ..records[1].clone() }];
        let left = nameless::alike(&records, &recognised, &copies, &drafts, &open[1..]);
        assert_eq!(left, doubtful - 1, "the second was recognised");
    }
}

#[test]
fn the_question_names_the_numbers_and_the_way_out() {
    let words = question("the source has renumbered this mailbox (UIDVALIDITY was 1 and is 2)", 40, 1);
    assert!(words.contains("of 40 messages copied from it only 1 is recognised"), "{words}");
    assert!(words.contains("--accept-source-change"), "{words}");
}
