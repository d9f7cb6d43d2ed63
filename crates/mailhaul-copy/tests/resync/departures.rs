//! Messages that have left their mailboxes, and when something may be concluded from that.

use crate::stage::{Stage, fill, moves, numbers, removes};
use mailhaul_copy::{CopyJob, Supervisor, Unsupervised};
use mailhaul_plan::policy::{DeletionPolicy, ResyncPolicy};
use mailhaul_report::{ExceptionState, RunReport, Verdict};
use mailhaul_testing::dovecot::Dovecot;
use mailhaul_testing::imap_client::Client;
use mailhaul_testing::proxy::{Plan, Proxy, Reply, Which};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn mirror() -> ResyncPolicy {
    ResyncPolicy { deletions: DeletionPolicy::Mirror, ..ResyncPolicy::default() }
}

/// Somebody who moves a message at the source, as its owner would, at the moment when a run is about to deliver the
/// first mail.
struct Mover {
    source: SocketAddr,
    password: String,
    from: &'static str,
    to: &'static str,
    done: AtomicBool,
}

impl Mover {
    fn new(stage: &Stage, from: &'static str, to: &'static str) -> Arc<Self> {
        let (source, password) = (stage.source.address(), stage.source.password().to_owned());
        Arc::new(Self { source, password, from, to, done: AtomicBool::new(false) })
    }
}

impl Supervisor for Mover {
    fn may_write(&self) -> bool {
        if !self.done.swap(true, Ordering::SeqCst) {
            let mut client = Client::sign_in(self.source, crate::stage::USER, &self.password).expect("signs in");
            if client.select(self.to).is_err() {
                client.create(self.to).expect("created");
            }
            client.select(self.from).expect("selected");
            client.move_to("1", self.to).expect("moved");
            client.logout();
        }
        true
    }
}

#[track_caller]
fn assert_complete(report: &RunReport) {
    assert_eq!(report.verdict(), Verdict::Complete, "{}", report.to_text());
}

/// Mail in INBOX and in Work, and one more that has just arrived in each: both are visited, INBOX first.
async fn two_visited() -> Stage {
    let stage = Stage::new(Dovecot::builder());
    fill(&stage.source, "INBOX", 1..=3);
    fill(&stage.source, "Work", 4..=6);
    stage.copy().await;
    fill(&stage.source, "INBOX", [7]);
    fill(&stage.source, "Work", [8]);
    stage
}

#[tokio::test]
async fn a_message_that_is_moved_behind_the_run_is_found_by_the_next_one() {
    // Into a mailbox that was passed before, and into one that was not there when the run listed them.
    for to in ["INBOX", "New"] {
        for policy in [ResyncPolicy::default(), mirror()] {
            let stage = two_visited().await;
            let mover = Mover::new(&stage, "Work", to);
            let report = stage.run_job(&stage.job(policy.clone()), mover).await;
            assert_complete(&report);
            assert_eq!(report.changes().deleted, 0, "{}", report.to_text());
            assert_eq!(numbers(&stage.target, "Work"), [4, 5, 6, 8], "nothing is concluded yet");
            let appends = stage.count("APPEND");
            let changes = stage.sync(policy).await;
            assert_eq!((changes.moved, changes.deleted, stage.count("APPEND")), (1, 0, appends), "{to}");
            stage.assert_exact().await;
        }
    }
}

#[tokio::test]
async fn other_mail_that_arrives_meanwhile_does_not_keep_deletions_back() {
    let stage = two_visited().await;
    removes(&stage.source, "INBOX", "2");
    // What leaves Work may be what arrives in INBOX; what has left INBOX is not.
    let mover = Mover::new(&stage, "Work", "INBOX");
    let report = stage.run_job(&stage.job(mirror()), mover).await;
    assert_complete(&report);
    assert_eq!(report.changes().deleted, 1, "{}", report.to_text());
    assert!(report.to_text().contains("stay for now"), "{}", report.to_text());
    let changes = stage.sync(mirror()).await;
    assert_eq!((changes.moved, changes.deleted), (1, 0));
    stage.assert_exact().await;
}

/// A run over INBOX alone, or without large messages.
fn narrowed(stage: &Stage, narrow: impl Fn(&mut CopyJob)) -> CopyJob {
    let mut job = stage.job(mirror());
    narrow(&mut job);
    job
}

#[tokio::test]
async fn nothing_is_deleted_where_a_message_may_have_gone_where_nobody_looks() {
    let narrows: [fn(&mut CopyJob); 2] =
        [|job| job.rules.exclude = vec!["Archive".to_owned()], |job| job.selection.max_size = Some(1_000_000)];
    for narrow in narrows {
        let stage = Stage::new(Dovecot::builder());
        fill(&stage.source, "INBOX", 1..=3);
        fill(&stage.source, "Archive", []);
        let job = narrowed(&stage, narrow);
        assert_complete(&stage.run_job(&job, Arc::new(Unsupervised)).await);
        removes(&stage.source, "INBOX", "2");
        let report = stage.run_job(&job, Arc::new(Unsupervised)).await;
        assert_complete(&report);
        assert_eq!(numbers(&stage.target, "INBOX"), [1, 2, 3]);
        assert!(report.to_text().contains("may have been moved there"), "{}", report.to_text());
    }
}

const INBOX_LISTED: &str = "* LIST (\\HasNoChildren) \"/\" INBOX";

/// A run to which the source shows these mailboxes, whatever it has.
async fn run_with_list(stage: &Stage, shown: &[&str]) -> RunReport {
    let lines = shown.iter().chain(&["{tag} OK done"]).map(|line| (*line).to_owned()).collect();
    let plan = Plan::new().reply("LIST", Which::From(1), Reply { lines, then: None });
    let proxy = Proxy::with_plan(stage.source.address(), plan);
    let mut job = stage.job(ResyncPolicy::default());
    job.accounts.source.endpoint.port = proxy.address().port();
    stage.run_job(&job, Arc::new(Unsupervised)).await
}

#[tokio::test]
async fn a_mailbox_that_a_list_does_not_show_is_not_gone() {
    let stage = Stage::new(Dovecot::builder());
    fill(&stage.source, "INBOX", 1..=2);
    fill(&stage.source, "Archive", 3..=4);
    stage.copy().await;
    // A second copy of 3, which is still in Archive.
    fill(&stage.source, "INBOX", [3]);
    let report = run_with_list(&stage, &[INBOX_LISTED]).await;
    let told: Vec<_> = report.exceptions.iter().map(|told| (told.mailbox.as_str(), told.state)).collect();
    assert_eq!(told, [("Archive", ExceptionState::MailboxFailed)], "{}", report.to_text());
    assert_eq!(numbers(&stage.target, "INBOX"), [1, 2, 3]);
    assert_eq!(numbers(&stage.target, "Archive"), [3, 4], "its only copy was taken away");
    stage.assert_exact().await;
}

#[tokio::test]
async fn the_first_message_of_a_mailbox_may_be_left_to_its_owner() {
    let stage = Stage::new(Dovecot::builder());
    fill(&stage.source, "INBOX", [2]);
    fill(&stage.source, "Archive", []);
    stage.copy().await;
    removes(&stage.target, "INBOX", "1");
    moves(&stage.source, "INBOX", "1", "Archive");
    assert_eq!(stage.copy().await.left_to_owner, 1);
    // Whoever looks at the mailbox again finds nothing wrong with it.
    fill(&stage.source, "Archive", [3]);
    stage.copy().await;
    assert_eq!(numbers(&stage.target, "Archive"), [3]);
}

#[tokio::test]
async fn what_left_a_mailbox_is_known_before_an_earlier_one_is_passed() {
    let stage = two_visited().await;
    // Work both loses and gains, and INBOX, to which the message goes, is passed before it.
    moves(&stage.source, "Work", "1", "INBOX");
    let appends = stage.count("APPEND");
    let changes = stage.copy().await;
    assert_eq!((changes.moved, stage.count("APPEND") - appends), (1, 2));
    stage.assert_exact().await;
}

#[tokio::test]
async fn mail_is_followed_out_of_a_mailbox_that_only_holds_others_now() {
    let stage = Stage::new(Dovecot::builder());
    fill(&stage.source, "INBOX", [1]);
    fill(&stage.source, "Archive", 2..=3);
    fill(&stage.source, "Archive/2024", [4]);
    stage.copy().await;
    moves(&stage.source, "Archive", "1:2", "INBOX");
    let mut client = stage.source.client();
    client.delete("Archive").expect("deleted");
    client.logout();
    // As Cyrus and others list it from then on.
    let archive = "* LIST (\\Noselect \\HasChildren) \"/\" Archive";
    let report = run_with_list(&stage, &[INBOX_LISTED, archive, "* LIST () \"/\" Archive/2024"]).await;
    assert_complete(&report);
    assert_eq!(report.changes().moved, 2, "{}", report.to_text());
    assert_eq!(numbers(&stage.target, "INBOX"), [1, 2, 3]);
    assert_eq!(numbers(&stage.target, "Archive"), [0_u32; 0]);
}
