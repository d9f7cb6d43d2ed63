//! What the mixed simulation has found in the product, each as short as it can be told.

mod drafts;
mod look_alikes;
mod nameless;
mod reading_together;
mod single_appends;
mod strands;

use super::corpus::few;
use super::grounds::die_in_flight;
use super::pass::{Order, READS, Reply};
use super::script::Script;
use super::stage::Stage;
use mailhaul_testing::model::{Answer, Duplicates, Traits};
use mailhaul_types::Side;

#[test]
fn a_twin_whose_copy_the_target_has_merged_keeps_it_when_the_other_is_moved() {
    for duplicates in [Duplicates::MergedInSilence, Duplicates::MergedUnderOldUid] {
        let mut stage = Stage::new(Traits::default(), Traits { duplicates, ..Traits::default() }, &few());
        let first = stage.clean_pass();
        assert!(first.in_words().contains("it keeps one of equal messages"), "{duplicates:?}: {}", first.in_words());
        let twin = stage.source.contents()["INBOX"][2].uid;
        stage.move_at_source("INBOX", twin, "Work");
        let second = stage.clean_pass();
        assert!(second.is_complete(), "{}", second.in_words());
        let findings = stage.judge();
        assert!(findings.is_equal(), "{duplicates:?}: {findings}{}", second.in_words());
    }
}

#[test]
fn what_was_in_flight_is_found_again_after_its_mailbox_was_renumbered_and_hidden() {
    for nth in 1..=8 {
        let mut stage = Stage::new(Traits::default(), Traits::default(), &few());
        die_in_flight(&mut stage);
        stage.source.renumber("INBOX");
        let denied = Reply { side: Side::Source, name: READS.to_owned(), nth, answer: Answer::WithoutData };
        stage.pass(Order { replies: vec![denied], agreed: true, ..Order::default() });
        let last = stage.pass(Order { agreed: true, ..Order::default() });
        let findings = stage.judge();
        assert!(findings.is_equal(), "{nth}: {findings}{}", last.in_words());
    }
}

#[test]
fn what_another_tool_has_put_between_two_copies_is_looked_at() {
    let mut stage = Script::Accompanied.stage();
    let last = stage.clean_pass();
    let findings = stage.judge();
    assert!(last.is_complete() && findings.is_equal(), "{findings}{}", last.in_words());
}

#[test]
fn nobody_is_named_as_a_possible_duplicate_of_what_was_in_flight_when_the_source_was_renumbered() {
    let mut stage = Stage::new(Traits::default(), Traits::default(), &few());
    die_in_flight(&mut stage);
    let landed: Vec<_> = stage.target.contents()["INBOX"].iter().map(|held| held.uid).collect();
    stage.target.expunge("INBOX", &landed);
    stage.source.renumber("INBOX");
    let second = stage.pass(Order { agreed: true, ..Order::default() });
    let report = second.report.as_ref().expect("the pass has ended");
    assert!(report.exceptions.is_empty(), "{}", second.in_words());
    assert!(second.in_words().contains("the source has renumbered the mailbox since"), "{}", second.in_words());
    let held = stage.target.contents()["INBOX"].len();
    assert_eq!(held, stage.source.contents()["INBOX"].len(), "{}", second.in_words());
}

#[test]
fn mirror_leaves_the_owners_mail_that_looks_like_a_copy_after_the_target_was_renumbered() {
    let mut stage = Stage::new(Traits::default(), Traits::default(), &few());
    stage.clean_pass();
    let copy = stage.target.contents()["INBOX"][0].clone();
    let own = [&copy.octets[..], b"Mine.\r\n"].concat();
    stage.target.expunge("INBOX", &[copy.uid]);
    stage.target.deliver("INBOX", &own, copy.date, &["\\Seen"]);
    stage.target.renumber("INBOX");
    stage.pass(Order { agreed: true, ..Order::default() });
    let original = stage.source.contents()["INBOX"][0].uid;
    stage.expunge_at_source("INBOX", &[original]);
    let last = stage.pass(Order { agreed: true, mirrors: true, ..Order::default() });
    let left = stage.target.contents().values().flatten().filter(|held| held.octets[..] == own[..]).count();
    assert_eq!(left, 1, "{}", last.in_words());
}

#[test]
fn mirror_leaves_a_merged_copy_as_long_as_one_of_its_messages_is_at_the_source() {
    for duplicates in [Duplicates::MergedInSilence, Duplicates::MergedUnderOldUid] {
        let mut shelf = few();
        let twin = shelf[0].1[2].clone();
        shelf[0].1.push(twin);
        let mut stage = Stage::new(Traits::default(), Traits { duplicates, ..Traits::default() }, &shelf);
        stage.clean_pass();
        let held = stage.source.contents()["INBOX"].clone();
        stage.expunge_at_source("INBOX", &[held[2].uid, held[3].uid]);
        let last = stage.pass(Order { mirrors: true, ..Order::default() });
        let findings = stage.judge();
        assert!(last.is_complete() && findings.is_equal(), "{duplicates:?}: {findings}{}", last.in_words());
    }
}

#[test]
fn a_copy_that_stays_behind_a_move_because_a_twin_may_need_it_is_told() {
    let mut stage = Stage::new(Traits::default(), Traits::default(), &few());
    stage.clean_pass();
    let copy = stage.target.contents()["INBOX"][2].uid;
    stage.target.expunge("INBOX", &[copy]);
    stage.target.renumber("INBOX");
    stage.pass(Order { agreed: true, ..Order::default() });
    let twin = stage.source.contents()["INBOX"][2].uid;
    stage.move_at_source("INBOX", twin, "Work");
    let last = stage.pass(Order { agreed: true, ..Order::default() });
    assert!(last.in_words().contains("their earlier copies stay where they are"), "{}", last.in_words());
}

#[test]
fn what_has_no_message_id_and_no_copy_is_copied_again_from_a_renumbered_mailbox_and_the_run_says_so() {
    let mut stage = Stage::new(Traits::default(), Traits::default(), &few());
    stage.clean_pass();
    let held = stage.source.contents()["INBOX"].clone();
    let nameless = held[1].clone();
    let is_nameless = |octets: &[u8]| !String::from_utf8_lossy(octets).contains("Message-ID");
    assert!(is_nameless(&nameless.octets));
    let copies = stage.target.contents()["INBOX"].clone();
    let copy = copies.iter().find(|copy| is_nameless(&copy.octets)).expect("its copy");
    stage.target.expunge("INBOX", &[copy.uid]);
    // Another mail under the same header fields takes its place: nothing is withheld that may never have been copied.
    stage.expunge_at_source("INBOX", &[nameless.uid]);
    let other = [&nameless.octets[..], b"Another one.\r\n"].concat();
    stage.source.deliver("INBOX", &other, nameless.date, &[]);
    stage.source.renumber("INBOX");
    let second = stage.clean_pass();
    assert!(second.is_complete() && stage.judge().is_equal(), "{}{}", stage.judge(), second.in_words());
    let words = second.in_words();
    assert!(words.contains("1 message without a Message-ID is the same as when copied"), "{words}");
    assert!(!words.contains("not in it any more"), "{words}");
}
