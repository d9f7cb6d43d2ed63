//! The last pass, and what its comparison says of what somebody has done on the target.

use crate::setup::{Stage, client, deliver};
use mailhaul_plan::policy::{FlagPolicy, ResyncPolicy};
use mailhaul_report::{DifferenceKind, RunReport, Verdict, VerifyReport};
use mailhaul_testing::dovecot::Dovecot;

fn thorough() -> ResyncPolicy {
    ResyncPolicy { thorough: true, ..ResyncPolicy::default() }
}

fn switched() -> ResyncPolicy {
    ResyncPolicy { switched: true, ..thorough() }
}

fn compared(report: &RunReport) -> &VerifyReport {
    report.verified.as_ref().expect("the last pass ends with a comparison")
}

fn remarks(report: &RunReport) -> String {
    compared(report).remarks.iter().map(|remark| format!("{}\n", remark.text)).collect()
}

/// Two servers with the same mail in two mailboxes, copied.
async fn copied() -> (Dovecot, Dovecot, Stage) {
    let (source, target) = (Dovecot::start(), Dovecot::start());
    deliver(&source, "INBOX", 0, 5);
    deliver(&source, "Archive", 10, 5);
    let stage = Stage::between(source.address(), target.address()).await;
    let report = stage.copy().await;
    assert!(report.verdict() == Verdict::Complete && report.verified.is_none(), "only the last pass compares");
    (source, target, stage)
}

#[tokio::test]
async fn visits_everything_and_ends_with_one_verdict_for_both() {
    let (_source, target, stage) = copied().await;
    let report = stage.copy_with(thorough()).await;
    assert_eq!(report.verdict(), Verdict::Complete, "{}", report.to_text());
    assert!(report.mailboxes.iter().all(|line| line.visited), "{}", report.to_text());
    assert!(report.last_line().starts_with("complete and compared: "), "{}", report.last_line());
    assert!(report.last_line().ends_with("equal: 10 of 10 source messages found on the target, judged by keys"));
    assert_eq!(client(&target).count("INBOX").expect("counted"), 5);
}

#[tokio::test]
async fn a_copy_that_was_removed_is_a_difference_before_the_switch_and_a_remark_after_it() {
    let (_source, target, stage) = copied().await;
    let mut owner = client(&target);
    owner.select("INBOX").expect("opened");
    owner.uid_expunge("2").expect("removed");
    owner.create("Filed").expect("created");
    owner.move_to("3", "Filed").expect("filed");
    owner.logout();
    let report = stage.copy_with(thorough()).await;
    assert_eq!((report.verdict(), report.totals().copied), (Verdict::Exceptions, 0), "{}", report.to_text());
    let differences = &compared(&report).differences;
    assert_eq!(differences.iter().map(|found| found.source_uid).collect::<Vec<_>>(), [Some(2), Some(3)]);
    for found in differences {
        assert_eq!((found.kind, found.mailbox.as_str()), (DifferenceKind::Missing, "INBOX"));
        assert_eq!(found.reason, "was copied; somebody has removed or filed it on the target");
    }
    assert!(report.last_line().starts_with("finished, and the two sides differ: "), "{}", report.last_line());
    assert!(remarks(&report).contains("no source mailbox goes to `Filed`"), "{}", remarks(&report));

    let report = stage.copy_with(switched()).await;
    assert_eq!(report.verdict(), Verdict::Complete, "{}", report.to_text());
    assert!(remarks(&report).contains("2 messages copied and not there any more"), "{}", remarks(&report));
}

#[tokio::test]
async fn mail_of_the_targets_own_and_copies_of_deleted_mail_are_remarks() {
    let (source, target, stage) = copied().await;
    deliver(&target, "INBOX", 500, 2);
    let mut owner = client(&source);
    owner.select("Archive").expect("opened");
    owner.uid_expunge("1:2").expect("deleted");
    owner.logout();
    let report = stage.copy_with(thorough()).await;
    assert_eq!(report.verdict(), Verdict::Complete, "{}", report.to_text());
    let remarks = remarks(&report);
    assert!(remarks.contains("2 messages on the target that did not come from the source"), "{remarks}");
    assert!(remarks.contains("2 messages left the source after they were copied; the copies stay"), "{remarks}");
}

#[tokio::test]
async fn flags_that_the_targets_owner_has_changed_are_his_and_with_the_sources_flags_wanted_they_are_made_equal() {
    let (source, target, stage) = copied().await;
    let mut owner = client(&target);
    owner.select("INBOX").expect("opened");
    owner.store("1", "+FLAGS", &["\\Flagged"]).expect("stored");
    let mut user = client(&source);
    user.select("INBOX").expect("opened");
    user.store("2", "+FLAGS", &["\\Seen"]).expect("stored");
    let report = stage.copy_with(thorough()).await;
    assert_eq!((report.verdict(), report.changes().flags), (Verdict::Complete, 1), "{}", report.to_text());
    assert!(remarks(&report).contains("flags of 1 message were changed on the target"), "{}", remarks(&report));
    let report = stage.copy_with(ResyncPolicy { flags: FlagPolicy::Source, ..thorough() }).await;
    assert_eq!((report.verdict(), remarks(&report).as_str()), (Verdict::Complete, ""), "{}", report.to_text());
    owner.select("INBOX").expect("opened");
    let flags = owner.fetch_flags().expect("fetched");
    assert_eq!((flags[0].flags.len(), flags[1].flags.as_slice()), (0, ["\\Seen".to_owned()].as_slice()));
}

#[tokio::test]
async fn a_target_mailbox_that_was_deleted_is_named_message_by_message() {
    let (_source, target, stage) = copied().await;
    client(&target).delete("Archive").expect("deleted");
    let report = stage.copy_with(thorough()).await;
    assert_eq!((report.verdict(), report.totals().copied), (Verdict::Exceptions, 0), "{}", report.to_text());
    let differences = &compared(&report).differences;
    assert_eq!(differences.len(), 5, "{}", report.to_text());
    assert!(differences.iter().all(|found| found.mailbox == "Archive"), "{}", report.to_text());
    let report = stage.copy_with(switched()).await;
    assert_eq!(report.verdict(), Verdict::Complete, "{}", report.to_text());
}
