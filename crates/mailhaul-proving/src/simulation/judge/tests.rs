//! What the judge excuses hides nothing else: each leave once used and once too many.

use crate::simulation::{ForGood, Former, KeptFlags, Stage, few};
use mailhaul_testing::model::Traits;
use std::collections::BTreeSet;

const MAIL: &[u8] = b"From: a@example.org\r\nMessage-ID: <z@z>\r\nSubject: z\r\n\r\nz\r\n";
const DATE: i64 = 1_000_300_000;

/// Both sides hold the same few messages.
fn equal() -> Stage {
    let stage = Stage::new(Traits::default(), Traits::default(), &few());
    for (mailbox, held) in stage.source.contents() {
        stage.target.create(&mailbox);
        for held in held {
            let flags: Vec<&str> = held.flags.iter().map(String::as_str).collect();
            stage.target.deliver(&mailbox, &held.octets, held.date, &flags);
        }
    }
    stage.observe();
    assert!(stage.judge().is_equal(), "{}", stage.judge());
    stage
}

fn at_source(stage: &Stage, mailbox: &str, flags: &[&str]) {
    stage.source.deliver(mailbox, MAIL, DATE, flags);
    stage.observe();
}

fn on_target(stage: &Stage, mailbox: &str, flags: &[&str]) {
    stage.target.deliver(mailbox, MAIL, DATE, flags);
}

fn mail_in(mailbox: &str) -> Former {
    (mailbox.to_owned(), MAIL.to_vec())
}

/// Taken away from Work when the ledger knew of it, and of Work as it is numbered now.
fn for_good(stage: &Stage, former: Former) -> ForGood {
    let validity = stage.source.uid_validity("Work").expect("a mailbox");
    ForGood { former, place: (1, 1), from: ("Work".to_owned(), validity) }
}

#[test]
fn what_the_owner_has_taken_excuses_one_message_in_the_mailbox_that_it_was_taken_from() {
    let stage = equal();
    at_source(&stage, "INBOX", &[]);
    at_source(&stage, "Work", &[]);
    assert_eq!(stage.judge().lost(), 2);
    stage.doings().taken.push(mail_in("Work"));
    stage.ever.add("Work", MAIL, None);
    assert_eq!(stage.judge().lost(), 1, "it has left Work, and has not moved to INBOX");
}

#[test]
fn what_has_moved_is_excused_once_by_the_copy_that_was_taken_before() {
    let stage = equal();
    at_source(&stage, "INBOX", &[]);
    stage.ever.add("Work", MAIL, Some("INBOX"));
    assert_eq!(stage.judge().lost(), 1, "nobody has taken a copy");
    stage.doings().taken.push(mail_in("Work"));
    assert!(stage.judge().is_equal(), "{}", stage.judge());
    at_source(&stage, "INBOX", &[]);
    assert_eq!(stage.judge().lost(), 1, "one copy taken, two messages missing");
}

#[test]
fn what_was_moved_elsewhere_excuses_nothing_here() {
    let stage = equal();
    at_source(&stage, "INBOX", &[]);
    stage.ever.add("Work", MAIL, Some("Work"));
    stage.doings().taken.push(mail_in("Work"));
    assert_eq!(stage.judge().lost(), 1);
}

#[test]
fn what_the_owner_has_brought_and_taken_again_excuses_neither_a_loss_nor_a_second_copy() {
    let stage = equal();
    at_source(&stage, "Work", &[]);
    stage.doings().brought.push(mail_in("Work"));
    stage.doings().taken.push(mail_in("Work"));
    assert_eq!(stage.judge().lost(), 1);
    on_target(&stage, "Work", &[]);
    on_target(&stage, "Work", &[]);
    assert_eq!(stage.judge().doubled(), 1);
}

#[test]
fn what_was_taken_for_good_does_not_come_back() {
    let stage = equal();
    at_source(&stage, "Work", &[]);
    on_target(&stage, "Work", &[]);
    stage.doings().taken.push(mail_in("Work"));
    assert!(stage.judge().is_equal(), "nobody knew of that copy");
    stage.doings().taken_for_good.push(for_good(&stage, mail_in("Work")));
    assert_eq!(stage.judge().doubled(), 1);
    stage.doings().brought.push(mail_in("Work"));
    assert!(stage.judge().is_equal(), "he has brought it back himself");
    on_target(&stage, "Work", &[]);
    assert_eq!(stage.judge().doubled(), 1);
}

#[test]
fn what_was_taken_for_good_comes_back_without_a_message_id_from_a_mailbox_that_was_carried_over_and_once() {
    const NAMELESS: &[u8] = b"From: a@example.org\r\nSubject: z\r\n\r\nMessage-ID: in the body\r\n";
    for (octets, carried_over, doubled) in [
        (NAMELESS, "Work", 0),
        (NAMELESS, "INBOX", 1),
        (MAIL, "Work", 1),
        (&b"Subject: y\r\nmessage-id: <y>\r\n\r\n"[..], "Work", 1),
    ] {
        let stage = equal();
        stage.source.deliver("Work", octets, DATE, &[]);
        stage.target.deliver("Work", octets, DATE, &[]);
        let former = ("Work".to_owned(), octets.to_vec());
        stage.doings().taken.push(former.clone());
        let gone = for_good(&stage, former);
        stage.doings().taken_for_good.push(gone);
        assert_eq!(stage.judge().doubled(), 1, "nothing was renumbered");
        for mailbox in ["INBOX", "Work"] {
            let known = stage.source.uid_validity(mailbox).expect("a mailbox");
            stage.learned().validities.insert(mailbox.to_owned(), known);
            stage.source.renumber(mailbox);
        }
        stage.observe();
        assert_eq!(stage.judge().doubled(), 1, "nothing was carried over: the ledger knows of the copy that is gone");
        let now = stage.source.uid_validity(carried_over).expect("a mailbox");
        stage.learned().validities.insert(carried_over.to_owned(), now);
        assert_eq!(stage.judge().doubled(), doubled, "{carried_over}");
        stage.target.deliver("Work", octets, DATE, &[]);
        assert_eq!(stage.judge().doubled(), doubled + 1, "{carried_over}");
    }
}

#[test]
fn the_owners_own_mail_is_judged_as_mail() {
    let mut stage = equal();
    stage.deliver_own("Work", MAIL, DATE);
    assert!(stage.judge().is_equal(), "{}", stage.judge());
    let uid = stage.target.contents()["Work"].last().expect("it").uid;
    stage.target.set_flags("Work", uid, &["\\Seen"]);
    assert!(!stage.judge().is_equal(), "somebody else has changed its flags");
    stage.target.set_flags("Work", uid, &[]);
    on_target(&stage, "Work", &[]);
    assert_eq!(stage.judge().doubled(), 1);
    stage.target.expunge("Work", &[uid]);
    assert!(stage.judge().is_equal(), "{}", stage.judge());
    let uid = stage.target.contents()["Work"].last().expect("it").uid;
    stage.target.move_("Work", &[uid], "INBOX");
    assert_eq!((stage.judge().lost(), stage.judge().doubled()), (1, 1), "somebody else has moved it");
    stage.doings().taken.push(mail_in("Work"));
    stage.doings().brought.push(mail_in("INBOX"));
    assert!(stage.judge().is_equal(), "{}", stage.judge());
}

#[test]
fn a_loss_of_the_owners_own_mail_is_not_excused_by_what_he_took_elsewhere() {
    let mut stage = equal();
    stage.deliver_own("Work", MAIL, DATE);
    let uid = stage.target.contents()["Work"].last().expect("it").uid;
    stage.target.expunge("Work", &[uid]);
    stage.doings().taken.push(mail_in("INBOX"));
    assert_eq!(stage.judge().lost(), 1);
}

#[test]
fn a_change_of_flags_by_the_owner_excuses_one_copy_and_no_date() {
    let stage = equal();
    at_source(&stage, "INBOX", &[]);
    at_source(&stage, "Work", &[]);
    for mailbox in ["INBOX", "Work"] {
        on_target(&stage, mailbox, &["\\Seen", "\\Flagged", "Mine"]);
    }
    stage.doings().flagged.push(mail_in("INBOX"));
    assert_eq!(stage.judge().0.len(), 1, "one of two");
    stage.doings().flagged.push(mail_in("Work"));
    assert!(stage.judge().is_equal(), "{}", stage.judge());
    let uid = stage.target.contents()["Work"].last().expect("it").uid;
    stage.target.expunge("Work", &[uid]);
    stage.target.deliver("Work", MAIL, DATE + 1, &["\\Seen", "\\Flagged", "Mine"]);
    assert_eq!(stage.judge().0.len(), 1, "another date");
}

#[test]
fn a_flag_that_was_kept_when_a_copy_was_found_excuses_this_flag_on_one_copy() {
    let stage = equal();
    let essence = MAIL.to_vec();
    at_source(&stage, "INBOX", &[]);
    at_source(&stage, "Work", &[]);
    on_target(&stage, "INBOX", &["\\Seen"]);
    on_target(&stage, "Work", &["\\Seen"]);
    let flags = BTreeSet::from(["\\Answered".to_owned()]);
    stage.learned().adopted.push(KeptFlags { essence: essence.clone(), flags });
    assert_eq!(stage.judge().0.len(), 2, "another flag");
    stage.learned().adopted.push(KeptFlags { essence, flags: BTreeSet::from(["\\Seen".to_owned()]) });
    assert_eq!(stage.judge().0.len(), 1, "one of two");
}

#[test]
fn what_was_named_or_has_left_may_be_there_once_more_and_no_more() {
    let stage = equal();
    on_target(&stage, "Work", &[]);
    assert_eq!(stage.judge().doubled(), 1);
    stage.ever.add("INBOX", MAIL, None);
    assert_eq!(stage.judge().doubled(), 1, "another mailbox");
    stage.ever.add("Work", MAIL, None);
    assert!(stage.judge().is_equal(), "{}", stage.judge());
    on_target(&stage, "Work", &[]);
    assert_eq!(stage.judge().doubled(), 1);
}
