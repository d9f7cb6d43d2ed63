//! Moves that are broken off at each step: the next pass neither doubles nor loses.

use crate::stage::{Stage, fill, flags, moves, numbers};
use mailhaul_plan::policy::ResyncPolicy;
use mailhaul_testing::dovecot::{Dovecot, DovecotBuilder, Offer};
use mailhaul_testing::proxy::{Cut, Fault, Moment, Plan};

async fn about_to_move(target: DovecotBuilder) -> Stage {
    let stage = Stage::new(target);
    fill(&stage.source, "INBOX", 1..=6);
    fill(&stage.source, "Archive", 7..=8);
    stage.copy().await;
    moves(&stage.source, "INBOX", "2:4", "Archive");
    stage
}

fn before(command: &str) -> Plan {
    Plan::new().fault(Moment::BeforeCommand(command.to_owned(), 1), Fault::Cut(Cut::Rst))
}

fn swallowed(command: &str) -> Plan {
    Plan::new().swallow_answer(command, 1, Cut::Rst)
}

fn after(command: &str) -> Plan {
    Plan::new().fault(Moment::AfterAnswer(command.to_owned(), 1), Fault::Cut(Cut::Rst))
}

/// Once with a run that connects again by itself, once with one that ends there and another that finds what it left.
async fn interrupted(offer: Offer, plan: Plan) {
    for dies in [false, true] {
        let stage = about_to_move(Dovecot::builder().offer(offer)).await;
        let appends = stage.count("APPEND");
        stage.proxy.set_next_plans([plan.clone()]);
        if dies {
            let report = stage.run_until_it_breaks(ResyncPolicy::default()).await;
            assert!(report.stop.is_some(), "the plan did not strike: {}", report.to_text());
        }
        stage.copy().await;
        assert_eq!(stage.count("APPEND"), appends, "moved mail was copied");
        stage.assert_exact().await;
    }
}

#[tokio::test]
async fn marked_and_not_sent() {
    interrupted(Offer::Everything, before("UID MOVE")).await;
}

#[tokio::test]
async fn moved_and_the_answer_lost() {
    interrupted(Offer::Everything, swallowed("UID MOVE")).await;
}

#[tokio::test]
async fn moved_and_answered_and_the_connection_lost() {
    interrupted(Offer::Everything, after("UID MOVE")).await;
}

#[tokio::test]
async fn moved_without_a_word_of_uids_and_the_answer_lost() {
    interrupted(Offer::NoUidplus, swallowed("UID MOVE")).await;
}

#[tokio::test]
async fn moved_without_a_word_of_uids_and_the_connection_lost() {
    interrupted(Offer::NoUidplus, after("UID MOVE")).await;
}

#[tokio::test]
async fn marked_and_not_copied() {
    interrupted(Offer::NoMove, before("UID COPY")).await;
}

#[tokio::test]
async fn copied_and_the_answer_lost() {
    interrupted(Offer::NoMove, swallowed("UID COPY")).await;
}

#[tokio::test]
async fn copied_and_not_marked_as_deleted() {
    interrupted(Offer::NoMove, before("UID STORE")).await;
}

#[tokio::test]
async fn copied_and_not_expunged() {
    interrupted(Offer::NoMove, before("UID EXPUNGE")).await;
}

#[tokio::test]
async fn copied_and_expunged_and_the_answer_lost() {
    interrupted(Offer::NoMove, swallowed("UID EXPUNGE")).await;
}

#[tokio::test]
async fn copied_and_expunged_and_the_connection_lost() {
    interrupted(Offer::NoMove, after("UID EXPUNGE")).await;
}

#[tokio::test]
async fn an_old_state_finds_the_moved_copies_again() {
    for offer in [Offer::Everything, Offer::NoMove, Offer::NoUidplus] {
        let stage = about_to_move(Dovecot::builder().offer(offer)).await;
        stage.remember_state();
        stage.copy().await;
        stage.put_state_back();
        let appends = stage.count("APPEND");
        stage.copy().await;
        assert_eq!(stage.count("APPEND"), appends, "{offer:?}");
        stage.assert_exact().await;
    }
}

#[tokio::test]
async fn the_owners_flags_survive_a_move_whose_answer_was_lost() {
    let stage = about_to_move(Dovecot::builder()).await;
    flags(&stage.target, "INBOX", "2", "+FLAGS", &["\\Flagged"]);
    stage.proxy.set_next_plans([swallowed("UID MOVE")]);
    stage.copy().await;
    let found: Vec<_> = crate::stage::contents(&stage.target, "Archive")
        .into_iter()
        .filter(|seen| crate::stage::number_of(seen) == 2)
        .map(|seen| seen.flags)
        .collect();
    assert_eq!(found, [vec!["\\Flagged".to_owned()]]);
}

#[tokio::test]
async fn a_twin_elsewhere_is_not_withheld_for_a_move_that_nobody_heard_of() {
    let stage = about_to_move(Dovecot::builder()).await;
    stage.proxy.set_next_plans([swallowed("UID MOVE")]);
    let report = stage.run_until_it_breaks(ResyncPolicy::default()).await;
    assert!(report.stop.is_some());
    // A second copy of a message that was just moved, in a mailbox that comes first.
    fill(&stage.source, "AAA", [3]);
    let report = stage.run(ResyncPolicy::default()).await;
    assert_eq!(report.changes().left_to_owner, 0, "{}", report.to_text());
    assert_eq!(numbers(&stage.target, "AAA"), [3]);
    stage.assert_equal();
}
