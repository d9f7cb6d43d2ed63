//! When the ground moves under a copy: snapshots put back, lists that fall short, mailboxes that vanish, answers that
//! are no proof. Each of these once lost or doubled mail under the verdict `complete`, or would have.

use crate::harness::{Bench, USER};
use crate::stage::{Stage, fill, fill_more};
use mailhaul_testing::dovecot::Dovecot;
use mailhaul_testing::imap_client::Client;
use mailhaul_testing::proxy::{Direction, Event, Plan, Reply, Which};
use std::path::Path;

fn client(server: &Dovecot) -> Client {
    Client::sign_in(server.address(), USER, server.password()).expect("sign in")
}

fn count(server: &Dovecot, mailbox: &str) -> u32 {
    client(server).count(mailbox).expect("count")
}

fn forget_state(stage: &Stage) {
    std::fs::remove_dir_all(stage.bench.state().parent().expect("a folder")).expect("the state is removed");
}

fn twin(server: &Dovecot, mailbox: &str) {
    let text = b"Message-ID: <t@x>\r\nSubject: t\r\n\r\ntwin\r\n";
    client(server).append(mailbox, &[], Some("09-Sep-2001 01:46:40 +0000"), text).expect("append");
}

fn append_later(server: &Dovecot, word: &str, messages: u32) {
    for number in 0..messages {
        let text = format!("Message-ID: <{word}-{number}@x>\r\nSubject: {word}\r\n\r\n{number}\r\n");
        client(server).append("INBOX", &[], Some("09-Sep-2001 01:46:40 +0000"), text.as_bytes()).expect("append");
    }
}

fn copy_tree(from: &Path, to: &Path) {
    let done = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp");
    assert!(done.success());
}

/// Keeps a snapshot of an account and returns what puts it back.
fn snapshot(server: &mut Dovecot, folder: &Path) -> impl FnOnce(&mut Dovecot) + use<> {
    let (home, kept) = (server.home(USER), folder.join("snapshot"));
    server.stop();
    copy_tree(&home, &kept);
    server.restart();
    move |server: &mut Dovecot| {
        server.stop();
        std::fs::remove_dir_all(&home).expect("the account is removed");
        copy_tree(&kept, &home);
        server.restart();
    }
}

#[test]
fn a_source_put_back_to_a_snapshot_is_a_question_because_its_uids_are_given_out_again() {
    let mut stage = Stage::with_messages(0);
    fill_more(&stage.source, "INBOX", 10);
    let folder = stage.bench.folder.path().to_owned();
    let put_back = snapshot(&mut stage.source, &folder);
    stage.source_proxy.set_target(stage.source.address());
    append_later(&stage.source, "before", 30);
    stage.copy_completely();
    put_back(&mut stage.source);
    stage.source_proxy.set_target(stage.source.address());
    append_later(&stage.source, "after", 20);
    let (code, json) = stage.copy();
    assert_eq!((code, &json["exceptions"][0]["state"]), (6, &"mailbox_stopped".into()), "{json:#}");
}

#[test]
fn a_target_put_back_to_a_snapshot_is_noticed_by_its_uidnext() {
    let mut stage = Stage::with_messages(0);
    fill_more(&stage.source, "INBOX", 10);
    stage.copy_completely();
    let folder = stage.bench.folder.path().to_owned();
    let put_back = snapshot(&mut stage.target, &folder);
    stage.target_proxy.set_target(stage.target.address());
    append_later(&stage.source, "later", 30);
    stage.copy_completely();
    put_back(&mut stage.target);
    stage.target_proxy.set_target(stage.target.address());
    let (code, json) = stage.copy();
    assert_eq!((code, count(&stage.target, "INBOX")), (6, 10), "{json:#}");
    forget_state(&stage);
    stage.copy_completely();
    stage.assert_exact();
}

#[test]
fn a_target_that_lost_little_to_a_snapshot_goes_on_and_finds_later_copies_again() {
    let mut stage = Stage::with_messages(0);
    fill_more(&stage.source, "INBOX", 40);
    stage.copy_completely();
    let folder = stage.bench.folder.path().to_owned();
    let put_back = snapshot(&mut stage.target, &folder);
    stage.target_proxy.set_target(stage.target.address());
    append_later(&stage.source, "later", 2);
    stage.copy_completely();
    put_back(&mut stage.target);
    stage.target_proxy.set_target(stage.target.address());
    append_later(&stage.source, "new", 5);
    stage.copy_completely();
    // Settled stays settled: the two that the snapshot took away do not come back, and nothing is doubled.
    assert_eq!(count(&stage.target, "INBOX"), 45);
    stage.copy_completely();
    assert_eq!(count(&stage.target, "INBOX"), 45);
}

#[test]
fn a_refusal_while_contents_are_compared_is_not_taken_for_absence() {
    let stage = Stage::with_messages(0);
    twin(&stage.source, "INBOX");
    twin(&stage.source, "INBOX");
    stage.copy_completely();
    forget_state(&stage);
    let words = "NO [UNAVAILABLE] Server error, try again later";
    stage.target_proxy.set_next_plans([Plan::new().reply("UID FETCH", Which::From(3), Reply::tagged(words))]);
    let (code, json) = stage.copy();
    assert!(code != 0 || json["messages"]["adopted"] == 2, "{json:#}");
    assert_eq!(count(&stage.target, "INBOX"), 2, "{json:#}");
    stage.target_proxy.set_plan(Plan::new());
    stage.copy_completely();
    stage.assert_exact();
}

#[test]
fn a_tail_that_is_answered_ok_without_rows_is_not_taken_for_empty() {
    for nth in [1, 2] {
        let stage = Stage::with_messages(0);
        fill_more(&stage.source, "INBOX", 10);
        stage.copy_completely();
        forget_state(&stage);
        let nothing = Plan::new().reply("UID FETCH", Which::Nth(nth), Reply::tagged("OK done"));
        stage.target_proxy.set_next_plans([nothing]);
        let (_, json) = stage.copy();
        assert_eq!(count(&stage.target, "INBOX"), 10, "fetch {nth}: {json:#}");
        stage.target_proxy.set_plan(Plan::new());
        stage.copy_completely();
        stage.assert_exact();
    }
}

#[test]
fn a_list_without_inbox_is_not_taken_for_an_empty_account() {
    let stage = Stage::with_messages(60);
    stage.copy_completely();
    let nothing = Plan::new().reply("LIST", Which::From(1), Reply::tagged("OK List completed."));
    stage.source_proxy.set_plan(nothing);
    let (code, json) = stage.copy();
    assert_eq!(code, 4, "{json:#}");
    assert!(json["stop"]["reason"].as_str().is_some_and(|reason| reason.contains("INBOX")), "{json:#}");
}

#[test]
fn a_mailbox_that_vanishes_half_copied_is_named() {
    let stage = Stage::with_messages(0);
    fill(&stage.source, "Mail", 3_000);
    stage.source_proxy.set_plan(Plan::new().bandwidth(Direction::ToClient, 300_000));
    let mut child = stage.bench.start_copy(&["--json"]);
    stage.target_proxy.wait_for(&Event::AppendedMessage(300));
    child.kill().expect("kill -9");
    child.wait().expect("it is dead");
    client(&stage.source).delete("Mail").expect("delete");
    stage.source_proxy.set_plan(Plan::new());
    let (code, json) = stage.copy();
    assert_eq!(code, 5, "{json:#}");
    assert_eq!(
        (&json["exceptions"][0]["mailbox"], &json["exceptions"][0]["state"]),
        (&"Mail".into(), &"mailbox_failed".into())
    );
}

#[test]
fn a_refused_create_does_not_send_settled_mail_elsewhere() {
    let stage = Stage::with_messages(0);
    fill(&stage.source, "Mail", 30);
    stage.copy_completely();
    client(&stage.target).command("RENAME Mail Post").expect("rename");
    fill_more(&stage.source, "Mail", 1);
    let refused = Plan::new().reply("CREATE", Which::Nth(1), Reply::tagged("NO [CANNOT] not now"));
    stage.target_proxy.set_next_plans([refused]);
    let appends = stage.appends();
    let (code, json) = stage.copy();
    assert_eq!((code, stage.appends()), (6, appends), "{json:#}");
}

#[test]
fn a_renumbering_that_was_broken_off_half_way_claims_its_copies_again() {
    let mut stage = Stage::with_messages(0);
    client(&stage.source).create("Mail").expect("create");
    twin(&stage.source, "Mail");
    fill_more(&stage.source, "Mail", 10);
    stage.copy_completely();
    stage.target.set_uid_validity(USER, "Mail", 77);
    stage.target.restart();
    stage.target_proxy.set_target(stage.target.address());
    twin(&stage.source, "Mail");
    void_target_uids(&stage.bench, "Mail", 77);
    let (code, json) = stage.copy();
    assert_eq!((code, count(&stage.target, "Mail")), (0, 12), "{json:#}");
}

/// What a copier does that is killed right after it has noticed the new UIDVALIDITY.
fn void_target_uids(bench: &Bench, mailbox: &str, uid_validity: u32) {
    use mailhaul_db::{AccountIdentity, Ledger, OpenOptions, PairIdentity};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let ledger = Ledger::open(&bench.state(), OpenOptions::default()).await.expect("open");
        let account = || AccountIdentity::new("127.0.0.1", USER, None);
        let identity = PairIdentity { source: account(), target: account() };
        let lease = ledger.claim_pair(&identity).await.expect("claim");
        let mailbox = lease.mailbox(mailbox).await.expect("the mailbox");
        let validity = mailhaul_types::UidValidity(uid_validity);
        mailbox.void_target_uids(validity, mailhaul_types::Uid(1)).await.expect("void");
        drop((mailbox, lease));
        ledger.close().await.expect("close");
    });
}

#[test]
fn a_misspelt_mailbox_or_map_is_an_error_and_not_an_empty_success() {
    let stage = Stage::with_messages(3);
    for options in [["--mailbox", "Nope*"], ["--map", "Nope=Else"]] {
        let (code, json) = stage.bench.copy(&options);
        assert_eq!(code, 2, "{json:#}");
        assert!(json["stop"]["reason"].as_str().is_some_and(|reason| reason.contains("Nope")), "{json:#}");
    }
    assert_eq!(stage.appends(), 0);
}
