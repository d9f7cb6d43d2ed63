//! Messages that were moved at the source are moved on the target, and not copied a second time.

use crate::stage::{DATE, Server, Stage, contents, fill, flags, mail, mail_with, moves, numbers, removes};
use mailhaul_plan::policy::{MovePolicy, ResyncPolicy};
use mailhaul_testing::cyrus::Cyrus;
use mailhaul_testing::dovecot::{Dovecot, Offer};
use mailhaul_testing::proxy::{Plan, Reply, Which};

/// INBOX with six mails, Archive with two, copied.
async fn copied(target: mailhaul_testing::dovecot::DovecotBuilder) -> Stage {
    let stage = Stage::new(target);
    fill(&stage.source, "INBOX", 1..=6);
    fill(&stage.source, "Archive", 7..=8);
    stage.copy().await;
    stage.assert_equal();
    stage
}

#[tokio::test]
async fn a_moved_message_is_moved_by_one_command() {
    let stage = copied(Dovecot::builder()).await;
    let before = stage.proxy.statistics();
    moves(&stage.source, "INBOX", "2:4", "Archive");
    let changes = stage.copy().await;
    assert_eq!(changes.moved, 3);
    let since = stage.proxy.statistics().since(&before);
    assert_eq!((since.count("UID MOVE"), since.count("APPEND"), since.count("UID COPY")), (1, 0, 0));
    stage.assert_exact().await;
}

#[tokio::test]
async fn without_move_the_copy_is_copied_within_the_target_and_its_original_removed() {
    let stage = copied(Dovecot::builder().offer(Offer::NoMove)).await;
    let before = stage.proxy.statistics();
    moves(&stage.source, "INBOX", "2:4", "Archive");
    assert_eq!(stage.copy().await.moved, 3);
    let since = stage.proxy.statistics().since(&before);
    assert_eq!((since.count("UID MOVE"), since.count("APPEND"), since.count("UID COPY")), (0, 0, 1));
    stage.assert_exact().await;
}

#[tokio::test]
async fn without_uidplus_a_moved_copy_is_found_in_the_tail() {
    let stage = copied(Dovecot::builder().offer(Offer::NoUidplus)).await;
    moves(&stage.source, "INBOX", "2:4", "Archive");
    assert_eq!(stage.copy().await.moved, 3);
    assert_eq!(stage.count("UID MOVE"), 1);
    stage.assert_exact().await;
}

#[tokio::test]
async fn without_move_and_uidplus_it_is_copied_and_the_earlier_copy_stays() {
    let stage = copied(Dovecot::builder().offer(Offer::NoMove).offer(Offer::NoUidplus)).await;
    moves(&stage.source, "INBOX", "2:4", "Archive");
    assert_eq!(stage.copy().await.moved, 0);
    assert_eq!(numbers(&stage.target, "Archive"), [2, 3, 4, 7, 8]);
    assert_eq!(numbers(&stage.target, "INBOX"), [1, 2, 3, 4, 5, 6]);
    let since = stage.proxy.statistics();
    assert_eq!(since.count_of(&["UID MOVE", "UID COPY", "UID EXPUNGE", "EXPUNGE"]), 0);
}

#[tokio::test]
async fn moves_are_not_followed_if_the_operator_wants_copies() {
    let stage = copied(Dovecot::builder()).await;
    moves(&stage.source, "INBOX", "2", "Archive");
    let policy = ResyncPolicy { moves: MovePolicy::Copy, ..ResyncPolicy::default() };
    assert_eq!(stage.sync(policy).await.moved, 0);
    assert_eq!(numbers(&stage.target, "Archive"), [2, 7, 8]);
    assert_eq!(numbers(&stage.target, "INBOX"), [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_message_may_be_moved_again_and_back() {
    let stage = copied(Dovecot::builder()).await;
    for (from, to) in [("INBOX", "Archive"), ("Archive", "Later"), ("Later", "INBOX")] {
        fill(&stage.source, to, []);
        let uid = contents(&stage.source, from).iter().find(|seen| crate::stage::number_of(seen) == 3).expect("3").uid;
        moves(&stage.source, from, &uid.to_string(), to);
        assert_eq!(stage.copy().await.moved, 1, "{from} to {to}");
        stage.assert_equal();
    }
    stage.assert_exact().await;
}

#[tokio::test]
async fn a_whole_mailbox_that_was_filed_elsewhere_is_followed() {
    let stage = Stage::new(Dovecot::builder());
    fill(&stage.source, "INBOX", 1..=70);
    fill(&stage.source, "Archive", []);
    stage.copy().await;
    let appends = stage.count("APPEND");
    moves(&stage.source, "INBOX", "1:*", "Archive");
    assert_eq!(stage.copy().await.moved, 70);
    assert_eq!(stage.count("APPEND"), appends);
    stage.assert_exact().await;
}

#[tokio::test]
async fn what_was_moved_out_of_a_mailbox_that_is_passed_later_has_not_disappeared() {
    let stage = copied(Dovecot::builder()).await;
    moves(&stage.source, "Archive", "1", "INBOX");
    // Mail arrives in both, so that what has left one of them is known before it is passed.
    fill(&stage.source, "Archive", [20]);
    fill(&stage.source, "INBOX", [21]);
    let report = stage.run(ResyncPolicy::default()).await;
    assert_eq!((report.totals().gone, report.changes().moved), (0, 1), "{}", report.to_text());
    stage.assert_exact().await;
}

#[tokio::test]
async fn flags_that_changed_along_with_the_move_are_merged() {
    let stage = copied(Dovecot::builder()).await;
    flags(&stage.source, "INBOX", "2", "+FLAGS", &["\\Seen"]);
    flags(&stage.target, "INBOX", "2", "+FLAGS", &["\\Flagged"]);
    moves(&stage.source, "INBOX", "2", "Archive");
    assert_eq!(stage.copy().await.moved, 1);
    let moved = contents(&stage.target, "Archive").into_iter().find(|seen| crate::stage::number_of(seen) == 2);
    let mut found = moved.expect("it is there").flags;
    found.sort();
    assert_eq!(found, ["\\Flagged", "\\Seen"]);
}

#[tokio::test]
async fn twins_are_moved_one_by_one() {
    let stage = Stage::new(Dovecot::builder());
    fill(&stage.source, "INBOX", [1, 1, 1, 2]);
    fill(&stage.source, "Archive", [1]);
    fill(&stage.source, "Later", []);
    stage.copy().await;
    moves(&stage.source, "INBOX", "1", "Archive");
    moves(&stage.source, "INBOX", "2", "Later");
    assert_eq!(stage.copy().await.moved, 2);
    stage.assert_exact().await;
}

#[tokio::test]
async fn an_edited_draft_is_a_new_mail_wherever_it_arrives() {
    let stage = copied(Dovecot::builder()).await;
    let mut client = stage.source.client();
    client.append("Archive", &[], Some(DATE), mail_with(2, "as it is now").as_bytes()).expect("stored");
    client.logout();
    removes(&stage.source, "INBOX", "2");
    let changes = stage.copy().await;
    assert_eq!((changes.moved, changes.left_to_owner), (0, 0));
    let texts: Vec<_> = contents(&stage.target, "Archive").into_iter().map(|seen| seen.octets).collect();
    assert!(texts.contains(&mail_with(2, "as it is now").into_bytes()), "the new one was copied");
    assert_eq!(numbers(&stage.target, "INBOX"), [1, 2, 3, 4, 5, 6], "the old one stays");
}

#[tokio::test]
async fn a_message_that_comes_back_into_its_mailbox_keeps_its_copy() {
    let stage = copied(Dovecot::builder()).await;
    let appends = stage.count("APPEND");
    removes(&stage.source, "INBOX", "2");
    let mut client = stage.source.client();
    client.append("INBOX", &[], Some(DATE), mail(2).as_bytes()).expect("stored");
    client.logout();
    stage.copy().await;
    assert_eq!(stage.count("APPEND"), appends);
    assert_eq!(stage.count("UID MOVE"), 0);
    stage.assert_exact().await;
}

#[tokio::test]
async fn what_the_owner_has_filed_or_deleted_on_the_target_stays_so() {
    let stage = copied(Dovecot::builder()).await;
    fill(&stage.target, "Private", []);
    moves(&stage.target, "INBOX", "2", "Private");
    removes(&stage.target, "INBOX", "3");
    moves(&stage.source, "INBOX", "2:4", "Archive");
    let changes = stage.copy().await;
    assert_eq!((changes.moved, changes.left_to_owner), (1, 2));
    assert_eq!(numbers(&stage.target, "Archive"), [4, 7, 8]);
    assert_eq!(numbers(&stage.target, "Private"), [2]);
    assert_eq!(numbers(&stage.target, "INBOX"), [1, 5, 6]);
    let appends = stage.count("APPEND");
    stage.copy().await;
    assert_eq!(stage.count("APPEND"), appends);
}

#[tokio::test]
async fn what_the_owner_has_filed_where_it_belongs_is_recognised() {
    let stage = copied(Dovecot::builder()).await;
    moves(&stage.target, "INBOX", "2", "Archive");
    moves(&stage.source, "INBOX", "2", "Archive");
    let appends = stage.count("APPEND");
    stage.copy().await;
    assert_eq!((stage.count("APPEND"), stage.count("UID MOVE")), (appends, 0));
    stage.assert_exact().await;
}

#[tokio::test]
async fn a_message_without_a_message_id_is_never_withheld() {
    let stage = Stage::new(Dovecot::builder());
    fill(&stage.source, "Archive", []);
    let text = "From: a@example.org\r\nSubject: 1\r\n\r\nwithout\r\n";
    let mut client = stage.source.client();
    client.append("INBOX", &[], Some(DATE), text.as_bytes()).expect("stored");
    stage.copy().await;
    removes(&stage.target, "INBOX", "1");
    moves(&stage.source, "INBOX", "1", "Archive");
    assert_eq!(stage.copy().await.left_to_owner, 0);
    assert_eq!(numbers(&stage.target, "Archive"), [1]);
}

#[tokio::test]
async fn a_target_that_refuses_to_move_gets_a_copy() {
    let stage = copied(Dovecot::builder()).await;
    stage.proxy.set_plan(Plan::new().reply("UID MOVE", Which::From(1), Reply::tagged("NO [CANNOT] not here")));
    moves(&stage.source, "INBOX", "2:3", "Archive");
    assert_eq!(stage.copy().await.moved, 0);
    assert_eq!(numbers(&stage.target, "Archive"), [2, 3, 7, 8]);
    assert_eq!(numbers(&stage.target, "INBOX"), [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn new_mail_and_moved_mail_arrive_together() {
    let stage = copied(Dovecot::builder()).await;
    let appends = stage.count("APPEND");
    fill(&stage.source, "Archive", [20]);
    moves(&stage.source, "INBOX", "2", "Archive");
    fill(&stage.source, "Archive", [21]);
    assert_eq!(stage.copy().await.moved, 1);
    assert_eq!(stage.count("APPEND"), appends + 1);
    stage.assert_exact().await;
}

#[tokio::test]
async fn moves_are_followed_on_cyrus() {
    let stage = Stage::between(Server::Cyrus(Box::new(Cyrus::start())), Server::Cyrus(Box::new(Cyrus::start())));
    fill(&stage.source, "INBOX", 1..=6);
    fill(&stage.source, "Archive", 7..=8);
    stage.copy().await;
    let appends = stage.count("APPEND");
    moves(&stage.source, "INBOX", "2:4", "Archive");
    assert_eq!(stage.copy().await.moved, 3);
    assert_eq!(stage.count("APPEND"), appends);
    stage.assert_exact().await;
}

#[tokio::test]
async fn drafts_are_never_withheld() {
    for (mailbox, flag) in [("Drafts", None), ("Notes", Some("\\Draft"))] {
        let stage = Stage::new(Dovecot::builder());
        fill(&stage.source, mailbox, [1]);
        fill(&stage.source, "Archive", []);
        if let Some(flag) = flag {
            flags(&stage.source, mailbox, "1", "+FLAGS", &[flag]);
        }
        stage.copy().await;
        // The owner has deleted the copy of an edition that is not the last one.
        removes(&stage.target, mailbox, "1");
        removes(&stage.source, mailbox, "1");
        let mut client = stage.source.client();
        client.append("Archive", &[], Some(DATE), mail_with(1, "finished").as_bytes()).expect("stored");
        client.logout();
        assert_eq!(stage.copy().await.left_to_owner, 0, "{mailbox}");
        assert_eq!(numbers(&stage.target, "Archive"), [1], "{mailbox}");
    }
}

#[tokio::test]
async fn of_twins_that_were_moved_the_one_that_the_owner_has_deleted_stays_deleted() {
    let stage = Stage::new(Dovecot::builder());
    fill(&stage.source, "INBOX", [1, 1, 2]);
    fill(&stage.source, "Archive", []);
    fill(&stage.source, "Later", []);
    stage.copy().await;
    removes(&stage.target, "INBOX", "2");
    moves(&stage.source, "INBOX", "1", "Archive");
    moves(&stage.source, "INBOX", "2", "Later");
    let changes = stage.copy().await;
    assert_eq!((changes.moved, changes.left_to_owner), (1, 1));
    assert_eq!([numbers(&stage.target, "Archive"), numbers(&stage.target, "Later")].concat(), [1]);
}

#[tokio::test]
async fn mail_of_a_mailbox_that_was_deleted_after_it_had_been_filed_elsewhere_is_moved() {
    let stage = copied(Dovecot::builder()).await;
    moves(&stage.source, "Archive", "1:*", "INBOX");
    let mut client = stage.source.client();
    client.delete("Archive").expect("deleted");
    client.logout();
    let appends = stage.count("APPEND");
    let report = stage.run(ResyncPolicy::default()).await;
    assert_eq!(report.changes().moved, 2, "{}", report.to_text());
    assert_eq!(stage.count("APPEND"), appends);
    assert_eq!(numbers(&stage.target, "INBOX"), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(numbers(&stage.target, "Archive").is_empty());
}

#[tokio::test]
async fn an_edited_draft_of_the_same_length_is_a_new_mail() {
    for mailbox in ["Drafts", "Archive"] {
        let stage = Stage::new(Dovecot::builder());
        fill(&stage.source, "Drafts", [1]);
        fill(&stage.source, "Archive", []);
        stage.copy().await;
        let edited = mail_with(1, "as it is ");
        assert_eq!(edited.len(), mail(1).len(), "only contents tell them apart");
        let mut client = stage.source.client();
        client.append(mailbox, &[], Some(DATE), edited.as_bytes()).expect("stored");
        client.logout();
        removes(&stage.source, "Drafts", "1");
        assert_eq!(stage.copy().await.moved, 0, "{mailbox}");
        let texts: Vec<_> = contents(&stage.target, mailbox).into_iter().map(|seen| seen.octets).collect();
        assert!(texts.contains(&edited.into_bytes()), "{mailbox}");
    }
}

#[tokio::test]
async fn what_was_left_to_its_owner_once_stays_so_when_it_is_moved_again() {
    let stage = copied(Dovecot::builder()).await;
    fill(&stage.source, "Later", []);
    removes(&stage.target, "INBOX", "2");
    moves(&stage.source, "INBOX", "2", "Archive");
    assert_eq!(stage.copy().await.left_to_owner, 1);
    moves(&stage.source, "Archive", "3", "Later");
    assert_eq!(stage.copy().await.left_to_owner, 1);
    assert!(numbers(&stage.target, "Later").is_empty());
}

#[tokio::test]
async fn an_older_edition_that_the_owner_has_filed_is_not_taken_for_a_new_one() {
    let stage = copied(Dovecot::builder()).await;
    moves(&stage.target, "INBOX", "2", "Archive");
    let edited = mail_with(2, "as it is ");
    let mut client = stage.source.client();
    client.append("Archive", &[], Some(DATE), edited.as_bytes()).expect("stored");
    client.logout();
    stage.copy().await;
    let texts: Vec<_> = contents(&stage.target, "Archive").into_iter().map(|seen| seen.octets).collect();
    assert!(texts.contains(&edited.into_bytes()));
}

#[tokio::test]
async fn of_two_that_a_target_has_made_alike_each_keeps_its_own_copy() {
    let target = Server::Cyrus(Box::new(Cyrus::start()));
    let stage = Stage::between(Server::Dovecot(Box::new(Dovecot::start())), target);
    fill(&stage.source, "Archive", [7]);
    let mut client = stage.source.client();
    // Cyrus puts X in place of the octet: then only the ledger knows which copy is whose.
    for (octet, flags) in [(&b"\xfc"[..], &[][..]), (b"X", &["\\Seen"])] {
        let mail = [b"Date: d\r\nFrom: a\r\nSubject: gr", octet, b"n\r\n\r\nbody\r\n"].concat();
        client.append("INBOX", flags, Some(DATE), &mail).expect("stored");
    }
    client.logout();
    stage.copy().await;
    moves(&stage.source, "INBOX", "1:2", "Archive");
    let before = stage.proxy.statistics();
    assert_eq!(stage.copy().await.moved, 2);
    let since = stage.proxy.statistics().since(&before);
    assert_eq!((since.count("APPEND"), since.count("UID STORE")), (0, 0), "both have their flags already");
}
