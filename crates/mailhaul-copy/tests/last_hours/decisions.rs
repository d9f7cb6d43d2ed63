//! Options that differ from those of the run before. What was left alone under the earlier ones must not stay so because
//! nothing has happened at the source since.

use crate::setup::{Stage, client, deliver};
use mailhaul_copy::RetryExceptions;
use mailhaul_plan::policy::{FlagPolicy, ResyncPolicy};
use mailhaul_report::Verdict;
use mailhaul_testing::dovecot::{Dovecot, Offer, PASSWORD, User};

/// Five messages, copied; then the second gets these flags at the source.
async fn copied_and_flagged(flags: &[&str]) -> (Dovecot, Dovecot, Stage) {
    let (source, target) = (Dovecot::start(), Dovecot::start());
    deliver(&source, "INBOX", 0, 5);
    let stage = Stage::between(source.address(), target.address()).await;
    assert_eq!(stage.copy().await.verdict(), Verdict::Complete);
    let mut user = client(&source);
    user.select("INBOX").expect("opened");
    user.store("2", "+FLAGS", flags).expect("stored");
    user.logout();
    (source, target, stage)
}

fn flags_of_the_second(target: &Dovecot) -> Vec<String> {
    let mut owner = client(target);
    owner.examine("INBOX").expect("opened");
    owner.fetch_flags().expect("fetched").swap_remove(1).flags
}

#[tokio::test]
async fn flags_that_changed_while_none_were_handed_over_are_handed_over_when_they_are_wanted_again() {
    let (_source, target, stage) = copied_and_flagged(&["\\Seen"]).await;
    let none = ResyncPolicy { flags: FlagPolicy::None, ..ResyncPolicy::default() };
    assert_eq!(stage.copy_with(none).await.changes().flags, 0);
    let report = stage.copy().await;
    assert_eq!((report.verdict(), report.changes().flags), (Verdict::Complete, 1), "{}", report.to_text());
    assert_eq!(flags_of_the_second(&target), ["\\Seen"]);
}

#[tokio::test]
async fn a_deleted_flag_that_was_left_off_is_handed_over_once_it_is_asked_for() {
    let (_source, target, mut stage) = copied_and_flagged(&["\\Deleted"]).await;
    assert_eq!(stage.copy().await.changes().flags, 0);
    stage.job.copy_deleted_flag = true;
    let report = stage.copy().await;
    assert_eq!((report.verdict(), report.changes().flags), (Verdict::Complete, 1), "{}", report.to_text());
    assert_eq!(flags_of_the_second(&target), ["\\Deleted"]);
}

#[tokio::test]
async fn an_exception_that_is_tried_again_is_not_hidden_by_a_message_that_has_left() {
    let source = Dovecot::builder().offer(Offer::NoQresync).start();
    let target = Dovecot::builder().user("alice", User::new(PASSWORD).message_bytes_max(2_000)).start();
    deliver(&source, "INBOX", 0, 5);
    let mut user = client(&source);
    let large = [b"Message-ID: <large@last.example>\r\n\r\n".to_vec(), b"large\r\n".repeat(1_000)].concat();
    user.append("INBOX", &[], None, &large).expect("stored");
    let mut stage = Stage::between(source.address(), target.address()).await;
    let report = stage.copy().await;
    assert_eq!((report.verdict(), report.totals().refused), (Verdict::Exceptions, 1), "{}", report.to_text());

    user.select("INBOX").expect("opened");
    user.uid_expunge("2").expect("deleted");
    target.change_user("alice", User::no_message_limit);
    stage.job.retry_exceptions = RetryExceptions::Everywhere;
    let report = stage.copy().await;
    assert_eq!((report.verdict(), report.totals().copied), (Verdict::Complete, 1), "{}", report.to_text());
    assert_eq!(client(&target).count("INBOX").expect("counted"), 6, "five were copied before");
}
