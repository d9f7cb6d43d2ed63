//! Messages that were deleted at the source: what becomes of their copies, by the operator's decision.

use crate::stage::{DATE, Server, Stage, contents, fill, mail, moves, number_of, numbers, removes};
use mailhaul_plan::policy::{DeletionBrake, DeletionPolicy, ResyncPolicy};
use mailhaul_report::{StopCause, Verdict};
use mailhaul_testing::cyrus::Cyrus;
use mailhaul_testing::dovecot::{Dovecot, DovecotBuilder, Offer};
use mailhaul_testing::proxy::{Cut, Plan};

fn policy(deletions: DeletionPolicy) -> ResyncPolicy {
    ResyncPolicy { deletions, ..ResyncPolicy::default() }
}

/// INBOX with twenty mails, of which two are deleted at the source after they were copied.
async fn two_deleted(target: DovecotBuilder) -> Stage {
    let stage = Stage::new(target);
    fill(&stage.source, "INBOX", 1..=20);
    stage.copy().await;
    removes(&stage.source, "INBOX", "3,5");
    stage
}

fn all_but_two() -> Vec<u32> {
    (1..=20).filter(|number| ![3, 5].contains(number)).collect()
}

fn marked(stage: &Stage, mailbox: &str) -> Vec<u32> {
    let marked =
        contents(&stage.target, mailbox).into_iter().filter(|seen| seen.flags.iter().any(|flag| flag == "\\Deleted"));
    marked.map(|seen| number_of(&seen)).collect()
}

#[tokio::test]
async fn copies_stay_unless_something_else_is_asked_for() {
    let stage = two_deleted(Dovecot::builder()).await;
    assert_eq!(stage.copy().await.deleted, 0);
    assert_eq!(numbers(&stage.target, "INBOX").len(), 20);
    // What was dealt with is dealt with, also when the operator decides otherwise later.
    assert_eq!(stage.sync(policy(DeletionPolicy::Mirror)).await.deleted, 0);
    assert_eq!(numbers(&stage.target, "INBOX").len(), 20);
}

#[tokio::test]
async fn flag_marks_the_copies_and_no_others_once() {
    let stage = two_deleted(Dovecot::builder()).await;
    assert_eq!(stage.sync(policy(DeletionPolicy::Flag)).await.deleted, 2);
    assert_eq!(marked(&stage, "INBOX"), [3, 5]);
    // Their owner wants to keep one; nobody marks it again.
    crate::stage::flags(&stage.target, "INBOX", "3", "-FLAGS", &["\\Deleted"]);
    assert_eq!(stage.sync(policy(DeletionPolicy::Flag)).await.deleted, 0);
    assert_eq!(marked(&stage, "INBOX"), [5]);
}

#[tokio::test]
async fn trash_moves_the_copies_into_the_targets_trash() {
    for offer in [Offer::Everything, Offer::NoMove, Offer::NoUidplus] {
        let stage = two_deleted(Dovecot::builder().offer(offer).special_use("Bin", "\\Trash")).await;
        assert_eq!(stage.sync(policy(DeletionPolicy::Trash)).await.deleted, 2, "{offer:?}");
        assert_eq!(numbers(&stage.target, "INBOX"), all_but_two(), "{offer:?}");
        assert_eq!(numbers(&stage.target, "Bin"), [3, 5], "{offer:?}");
    }
}

#[tokio::test]
async fn without_a_trash_nothing_is_done_and_that_is_said() {
    let stage = two_deleted(Dovecot::builder()).await;
    let report = stage.run(policy(DeletionPolicy::Trash)).await;
    assert_eq!(report.changes().deleted, 0);
    assert!(report.to_text().contains("no mailbox for trash"), "{}", report.to_text());
    assert_eq!(report.verdict(), Verdict::Stopped, "an operator who asked for it is not told that it was done");
    assert_eq!(numbers(&stage.target, "INBOX").len(), 20);
    // Once there is one, they are put into it.
    fill(&stage.target, "Trash", []);
    assert_eq!(stage.sync(policy(DeletionPolicy::Trash)).await.deleted, 2);
    assert_eq!(numbers(&stage.target, "Trash"), [3, 5]);
}

#[tokio::test]
async fn an_emptied_trash_stays_as_it_is() {
    let stage = Stage::new(Dovecot::builder());
    fill(&stage.source, "Trash", 1..=4);
    stage.copy().await;
    removes(&stage.source, "Trash", "1:2");
    assert_eq!(stage.sync(policy(DeletionPolicy::Trash)).await.deleted, 0);
    assert_eq!(numbers(&stage.target, "Trash"), [1, 2, 3, 4]);
}

#[tokio::test]
async fn mirror_removes_what_was_copied_and_never_what_was_there_before() {
    let stage = Stage::new(Dovecot::builder());
    fill(&stage.source, "INBOX", 1..=20);
    fill(&stage.target, "INBOX", [3]);
    stage.copy().await;
    removes(&stage.source, "INBOX", "3,5");
    let report = stage.run(policy(DeletionPolicy::Mirror)).await;
    assert_eq!(report.changes().deleted, 1, "{}", report.to_text());
    assert!(report.to_text().contains("on the target before"), "{}", report.to_text());
    let expected: Vec<u32> = (1..=20).filter(|number| *number != 5).collect();
    assert_eq!(numbers(&stage.target, "INBOX"), expected);
    assert_eq!(stage.count("EXPUNGE"), 0, "a bare EXPUNGE removes what others have marked");
}

#[tokio::test]
async fn mirror_leaves_what_the_owner_has_marked_himself() {
    let stage = two_deleted(Dovecot::builder()).await;
    crate::stage::flags(&stage.target, "INBOX", "7", "+FLAGS", &["\\Deleted"]);
    assert_eq!(stage.sync(policy(DeletionPolicy::Mirror)).await.deleted, 2);
    assert_eq!(numbers(&stage.target, "INBOX"), all_but_two());
}

#[tokio::test]
async fn mirror_does_nothing_where_single_messages_cannot_be_removed() {
    let stage = two_deleted(Dovecot::builder().offer(Offer::NoUidplus)).await;
    let report = stage.run(policy(DeletionPolicy::Mirror)).await;
    assert_eq!(report.changes().deleted, 0);
    assert!(report.to_text().contains("UIDPLUS"), "{}", report.to_text());
    assert_eq!(numbers(&stage.target, "INBOX").len(), 20);
    assert!(marked(&stage, "INBOX").is_empty());
}

#[tokio::test]
async fn mirror_is_refused_after_the_switch_and_the_others_do_nothing() {
    let stage = two_deleted(Dovecot::builder()).await;
    let before = stage.proxy.statistics();
    let switched = |deletions| ResyncPolicy { switched: true, ..policy(deletions) };
    let report = stage.run(switched(DeletionPolicy::Mirror)).await;
    assert_eq!(report.stop.map(|stop| stop.cause), Some(StopCause::Usage));
    let since = stage.proxy.statistics().since(&before);
    assert_eq!(since.count_of(&["SELECT", "UID STORE", "APPEND"]), 0);
    assert_eq!(stage.sync(switched(DeletionPolicy::Flag)).await.deleted, 0);
    assert!(marked(&stage, "INBOX").is_empty());
}

#[tokio::test]
async fn too_many_deletions_wait_for_the_operator() {
    let stage = Stage::new(Dovecot::builder());
    fill(&stage.source, "INBOX", 1..=40);
    fill(&stage.source, "Archive", 41..=42);
    stage.copy().await;
    removes(&stage.source, "INBOX", "1:12");
    for _ in 0..2 {
        let report = stage.run(policy(DeletionPolicy::Mirror)).await;
        assert_eq!(report.changes().deleted, 0, "{}", report.to_text());
        assert!(report.to_text().contains("--max-deletions-percent"), "{}", report.to_text());
        assert_eq!(numbers(&stage.target, "INBOX").len(), 40);
    }
    let deletion_brake = DeletionBrake { percent: 50, messages: 1_000 };
    let raised = ResyncPolicy { deletion_brake, ..policy(DeletionPolicy::Mirror) };
    assert_eq!(stage.sync(raised).await.deleted, 12);
    stage.assert_exact().await;
}

#[tokio::test]
async fn what_was_moved_is_not_deleted() {
    let stage = Stage::new(Dovecot::builder());
    fill(&stage.source, "INBOX", 1..=20);
    fill(&stage.source, "Archive", []);
    stage.copy().await;
    moves(&stage.source, "INBOX", "2", "Archive");
    removes(&stage.source, "INBOX", "3");
    let changes = stage.sync(policy(DeletionPolicy::Mirror)).await;
    assert_eq!((changes.moved, changes.deleted), (1, 1));
    stage.assert_exact().await;
}

#[tokio::test]
async fn a_message_that_came_back_keeps_its_copy_under_mirror() {
    let stage = two_deleted(Dovecot::builder()).await;
    let mut client = stage.source.client();
    client.append("INBOX", &[], Some(DATE), mail(3).as_bytes()).expect("stored");
    client.logout();
    assert_eq!(stage.sync(policy(DeletionPolicy::Mirror)).await.deleted, 1);
    stage.assert_exact().await;
}

#[tokio::test]
async fn deletions_that_were_broken_off_are_done_in_the_next_run() {
    for command in ["UID STORE", "UID EXPUNGE"] {
        let stage = two_deleted(Dovecot::builder()).await;
        stage.proxy.set_next_plans([Plan::new().swallow_answer(command, 1, Cut::Rst)]);
        let report = stage.run_until_it_breaks(policy(DeletionPolicy::Mirror)).await;
        assert!(report.stop.is_some(), "{command}: {}", report.to_text());
        stage.sync(policy(DeletionPolicy::Mirror)).await;
        assert_eq!(numbers(&stage.target, "INBOX"), all_but_two(), "{command}");
        stage.assert_exact().await;
    }
}

#[tokio::test]
async fn copies_that_were_put_into_the_trash_are_not_put_there_twice() {
    let stage = two_deleted(Dovecot::builder().special_use("Bin", "\\Trash")).await;
    stage.proxy.set_next_plans([Plan::new().swallow_answer("UID MOVE", 1, Cut::Rst)]);
    let report = stage.run_until_it_breaks(policy(DeletionPolicy::Trash)).await;
    assert!(report.stop.is_some(), "{}", report.to_text());
    stage.sync(policy(DeletionPolicy::Trash)).await;
    assert_eq!(numbers(&stage.target, "Bin"), [3, 5]);
    assert_eq!(numbers(&stage.target, "INBOX"), all_but_two());
}

#[tokio::test]
async fn mirror_removes_copies_on_cyrus() {
    let stage = Stage::between(Server::Cyrus(Box::new(Cyrus::start())), Server::Cyrus(Box::new(Cyrus::start())));
    fill(&stage.source, "INBOX", 1..=20);
    stage.copy().await;
    removes(&stage.source, "INBOX", "3,5");
    assert_eq!(stage.sync(policy(DeletionPolicy::Mirror)).await.deleted, 2);
    stage.assert_exact().await;
}

#[tokio::test]
async fn mirror_removes_the_copies_of_a_deleted_mailbox_behind_the_brake() {
    for (messages, expected) in [(1..=4, 4), (1..=12, 0)] {
        let stage = Stage::new(Dovecot::builder());
        fill(&stage.source, "Old", messages.clone());
        fill(&stage.source, "INBOX", [99]);
        stage.copy().await;
        let mut client = stage.source.client();
        client.delete("Old").expect("deleted");
        client.logout();
        let report = stage.run(policy(DeletionPolicy::Mirror)).await;
        assert_eq!(report.changes().deleted, expected, "{}", report.to_text());
        let left = messages.count() - usize::try_from(expected).expect("few");
        assert_eq!(numbers(&stage.target, "Old").len(), left);
        assert_eq!(report.verdict() == Verdict::Stopped, expected == 0, "{}", report.to_text());
    }
}

#[tokio::test]
async fn copies_of_a_deleted_mailbox_stay_under_every_other_policy() {
    for deletions in [DeletionPolicy::Ignore, DeletionPolicy::Flag, DeletionPolicy::Trash] {
        let stage = Stage::new(Dovecot::builder().special_use("Bin", "\\Trash"));
        fill(&stage.source, "Old", 1..=4);
        fill(&stage.source, "INBOX", [99]);
        stage.copy().await;
        let mut client = stage.source.client();
        client.delete("Old").expect("deleted");
        client.logout();
        assert_eq!(stage.run(policy(deletions)).await.changes().deleted, 0);
        assert_eq!(numbers(&stage.target, "Old"), [1, 2, 3, 4]);
        assert!(marked(&stage, "Old").is_empty());
    }
}
