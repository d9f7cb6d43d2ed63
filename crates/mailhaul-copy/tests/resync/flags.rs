//! Changed flags where something goes wrong.

use crate::stage::{Stage, contents, fill, flags};
use mailhaul_plan::policy::ResyncPolicy;
use mailhaul_report::{ExceptionState, RunReport, Verdict};
use mailhaul_testing::dovecot::Dovecot;
use mailhaul_testing::proxy::{Cut, Plan, Reply, Which};

fn flags_on_target(stage: &Stage) -> Vec<Vec<String>> {
    contents(&stage.target, "INBOX").into_iter().map(|seen| seen.flags).collect()
}

/// Two copied mails of which the first was flagged since.
async fn one_changed(added: &[&str]) -> Stage {
    let stage = Stage::new(Dovecot::builder());
    fill(&stage.source, "INBOX", 1..=2);
    stage.copy().await;
    flags(&stage.source, "INBOX", "1", "+FLAGS", added);
    stage
}

async fn with_plan(stage: &Stage, which: Which) -> RunReport {
    let plan = Plan::new().reply("UID STORE", which, Reply::tagged("NO [NOPERM] not here"));
    stage.proxy.set_next_plans([plan]);
    stage.run(ResyncPolicy::default()).await
}

#[tokio::test]
async fn a_refused_change_of_flags_is_said_and_tried_again() {
    let stage = one_changed(&["\\Flagged"]).await;
    for _ in 0..2 {
        let report = with_plan(&stage, Which::From(1)).await;
        assert_eq!(report.verdict(), Verdict::Exceptions, "{}", report.to_text());
        let told: Vec<_> = report.exceptions.iter().map(|told| told.state).collect();
        assert_eq!(told, [ExceptionState::MailboxFailed]);
        assert!(report.exceptions[0].reason.contains("not here"), "{}", report.exceptions[0].reason);
    }
    assert_eq!(stage.copy().await.flags, 1);
    stage.assert_exact().await;
}

#[tokio::test]
async fn keywords_that_are_refused_do_not_keep_the_other_flags_back() {
    let stage = one_changed(&["\\Flagged", "Work"]).await;
    let report = with_plan(&stage, Which::Nth(1)).await;
    assert_eq!(report.verdict(), Verdict::Complete, "{}", report.to_text());
    assert!(report.to_text().contains("refuses them"), "{}", report.to_text());
    assert_eq!(flags_on_target(&stage), [vec!["\\Flagged".to_owned()], Vec::new()]);
    let stores = stage.count("UID STORE");
    stage.copy().await;
    assert_eq!(stage.count("UID STORE"), stores, "what was given up is asked for again");
}

#[tokio::test]
async fn the_owner_keeps_the_flags_that_he_sets_while_nobody_knows_what_arrived() {
    let stage = Stage::new(Dovecot::builder());
    fill(&stage.source, "INBOX", 1..=2);
    stage.proxy.set_next_plans([Plan::new().swallow_answer("APPEND", 1, Cut::Rst)]);
    let report = stage.run_until_it_breaks(ResyncPolicy::default()).await;
    assert!(report.stop.is_some(), "{}", report.to_text());
    flags(&stage.target, "INBOX", "1", "+FLAGS", &["\\Flagged"]);
    flags(&stage.source, "INBOX", "1", "+FLAGS", &["\\Seen"]);
    stage.copy().await;
    let mut found = flags_on_target(&stage);
    found.iter_mut().for_each(|flags| flags.sort());
    assert_eq!(found, [vec!["\\Flagged".to_owned(), "\\Seen".to_owned()], Vec::new()]);
}
