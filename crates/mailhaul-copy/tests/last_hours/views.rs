//! A number of messages that looks like a limit is asked about, on the first copy and on every later one, until the
//! operator has said by name that it is all.

use crate::setup::{Stage, deliver};
use mailhaul_plan::policy::ResyncPolicy;
use mailhaul_report::{ExceptionState, Verdict};
use mailhaul_testing::dovecot::{Dovecot, Offer};
use mailhaul_testing::proxy::{Plan, Proxy, Reply, Which};

#[tokio::test]
async fn exactly_a_thousand_messages_are_doubted_until_their_mailbox_is_named() {
    let (source, target) = (Dovecot::start(), Dovecot::start());
    deliver(&source, "INBOX", 0, 1_000);
    deliver(&source, "Archive", 1_000, 20);
    let stage = Stage::between(source.address(), target.address()).await;
    for copied in [1_020, 0] {
        let report = stage.copy().await;
        assert_eq!((report.verdict(), report.totals().copied), (Verdict::Exceptions, copied), "{}", report.to_text());
        assert_eq!(report.exceptions.len(), 1);
        let exception = &report.exceptions[0];
        assert_eq!((exception.state, exception.mailbox.as_str()), (ExceptionState::ViewDoubtful, "INBOX"));
        assert!(exception.reason.contains("Limit IMAP folders"), "{}", exception.reason);
        assert!(exception.reason.contains("--accept-view 'INBOX'"), "{}", exception.reason);
    }
    let other = ResyncPolicy { accepted_views: vec!["Archive".to_owned()], ..ResyncPolicy::default() };
    assert_eq!(stage.copy_with(other).await.verdict(), Verdict::Exceptions, "another name says nothing of this one");
    let named = ResyncPolicy { accepted_views: vec!["INBOX".to_owned()], ..ResyncPolicy::default() };
    let report = stage.copy_with(named).await;
    assert_eq!(report.verdict(), Verdict::Complete, "{}", report.to_text());
    deliver(&source, "INBOX", 2_000, 1);
    let report = stage.copy().await;
    assert_eq!((report.verdict(), report.totals().copied), (Verdict::Complete, 1), "{}", report.to_text());
}

#[tokio::test]
async fn two_thousand_are_a_limit_of_gmail_alone() {
    let source = Dovecot::start();
    let gmail = Dovecot::builder().with_capability("X-GM-EXT-1").start();
    for server in [&source, &gmail] {
        deliver(server, "INBOX", 0, 2_000);
    }
    for (server, verdict) in [(&source, Verdict::Complete), (&gmail, Verdict::Exceptions)] {
        let target = Dovecot::start();
        let report = Stage::between(server.address(), target.address()).await.copy().await;
        assert_eq!(report.verdict(), verdict, "{}", report.to_text());
    }
}

#[tokio::test]
async fn a_source_that_tells_of_more_messages_than_it_shows_is_doubted_after_a_second_look() {
    // Once is mail that was deleted in between; each time is a view that does not show everything.
    for (which, verdict) in [(Which::Nth(1), Verdict::Complete), (Which::From(1), Verdict::Exceptions)] {
        let (source, target) = (Dovecot::builder().offer(Offer::NoListStatus).start(), Dovecot::start());
        deliver(&source, "INBOX", 0, 5);
        let told = "* STATUS INBOX (MESSAGES 7 UIDNEXT 6)".to_owned();
        let more = Reply { lines: vec![told, "{tag} OK told".to_owned()], then: None };
        let proxy = Proxy::with_plan(source.address(), Plan::new().reply("STATUS", which, more));
        let report = Stage::between(proxy.address(), target.address()).await.copy().await;
        assert_eq!((report.verdict(), report.totals().copied), (verdict, 5), "{}", report.to_text());
        let states: Vec<_> = report.exceptions.iter().map(|exception| exception.state).collect();
        let expected = [ExceptionState::ViewDoubtful];
        assert_eq!(states, if verdict == Verdict::Complete { &[][..] } else { &expected }, "{}", report.to_text());
    }
}
