//! Mail of the target's owner that looks like a copy to every key, after the target has numbered the mailbox anew; and that
//! copies are still known then.

use super::super::corpus::few;
use super::super::pass::{Ended, Order};
use super::super::stage::Stage;
use mailhaul_plan::policy::DeletionPolicy;
use mailhaul_testing::model::{Alters, Held, Traits};

/// The owner has put mail of his own, with its header, in the place of the first copy in INBOX.
fn with_look_alike() -> (Stage, Vec<u8>) {
    let mut stage = stage(Alters::Nothing);
    let copy = stage.target.contents()["INBOX"][0].clone();
    let own = [&copy.octets[..], b"Mine.\r\n"].concat();
    stage.target.expunge("INBOX", &[copy.uid]);
    stage.deliver_own("INBOX", &own, copy.date);
    (stage, own)
}

/// Everything is copied.
fn stage(alters: Alters) -> Stage {
    let mut stage = Stage::new(Traits::default(), Traits { alters, ..Traits::default() }, &few());
    stage.target.create("Trash");
    stage.target.set_special_use("Trash", "\\Trash");
    stage.clean_pass();
    stage
}

fn pass(stage: &mut Stage, deletions: DeletionPolicy) -> Ended {
    stage.pass(Order { agreed: true, deletions, ..Order::default() })
}

fn delete_first(stage: &Stage) {
    let original = stage.source.contents()["INBOX"][0].uid;
    stage.expunge_at_source("INBOX", &[original]);
}

fn flag_first(stage: &Stage) {
    let original = stage.source.contents()["INBOX"][0].uid;
    assert!(stage.source.set_flags("INBOX", original, &["$New"]));
}

/// It stands where it was, without a flag.
fn expect_untouched(stage: &Stage, own: &[u8], last: &Ended) {
    let held: Vec<Held> =
        stage.target.contents()["INBOX"].iter().filter(|held| held.octets[..] == *own).cloned().collect();
    assert_eq!(held.len(), 1, "{}", last.in_words());
    assert!(held[0].flags.is_empty(), "{:?}: {}", held[0].flags, last.in_words());
}

#[test]
fn changes_of_flags_do_not_go_to_the_owners_mail_that_looks_like_a_copy() {
    let (mut stage, own) = with_look_alike();
    stage.target.renumber("INBOX");
    pass(&mut stage, DeletionPolicy::Ignore);
    flag_first(&stage);
    let last = pass(&mut stage, DeletionPolicy::Ignore);
    expect_untouched(&stage, &own, &last);
    assert!(last.in_words().contains("it is not known which of the target's messages"), "{}", last.in_words());
}

#[test]
fn deletions_do_not_reach_the_owners_mail_that_looks_like_a_copy() {
    for deletions in [DeletionPolicy::Flag, DeletionPolicy::Trash, DeletionPolicy::Mirror] {
        for at_once in [true, false] {
            let (mut stage, own) = with_look_alike();
            stage.target.renumber("INBOX");
            if !at_once {
                pass(&mut stage, deletions);
            }
            delete_first(&stage);
            let last = pass(&mut stage, deletions);
            expect_untouched(&stage, &own, &last);
            // Only the key was left to speak for it.
            let said = last.in_words().contains("found there again by their keys alone");
            assert_eq!(said, at_once, "{deletions:?}: {}", last.in_words());
        }
    }
}

#[test]
fn copies_are_known_after_the_target_has_renumbered_and_flags_and_deletions_reach_them() {
    for alters in [Alters::Nothing, Alters::AddsHeader, Alters::RebuildsBody] {
        for deletions in [DeletionPolicy::Flag, DeletionPolicy::Trash] {
            let mut stage = stage(alters);
            stage.target.renumber("INBOX");
            stage.clean_pass();
            let has = |stage: &Stage, flag: &str| {
                let held = stage.target.contents();
                held["INBOX"].iter().filter(|held| held.flags.iter().any(|known| known == flag)).count()
            };
            let flagged = has(&stage, "$New");
            flag_first(&stage);
            let second = stage.clean_pass();
            assert_eq!(has(&stage, "$New"), flagged + 1, "{alters:?}: {}", second.in_words());
            delete_first(&stage);
            let last = pass(&mut stage, deletions);
            let (left, trash) = (stage.target.contents()["INBOX"].len(), stage.target.contents()["Trash"].len());
            let marked = has(&stage, "\\Deleted");
            let expected = if deletions == DeletionPolicy::Flag { (4, 0, 1) } else { (3, 1, 0) };
            assert_eq!((left, trash, marked), expected, "{alters:?} {deletions:?}: {}", last.in_words());
        }
    }
}
