//! Stops, hangs, and messages that vanish or cannot be read while the copy is under way.

use crate::harness::{Said, USER};
use crate::stage::Stage;
use mailhaul_testing::corpus::Corpus;
use mailhaul_testing::imap_client::Client;
use mailhaul_testing::proxy::{Event, Fault, Moment, Plan, Reply, Which};
use rustix::process::{Pid, Signal, kill_process};
use std::process::Child;
use std::time::{Duration, Instant};

fn source_client(stage: &Stage) -> Client {
    Client::sign_in(stage.source.address(), USER, stage.source.password()).expect("sign in")
}

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(pid, signal).expect("the process is there");
}

fn end(child: Child) -> Said {
    let output = child.wait_with_output().expect("it ends");
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn a_signal_ends_the_run_in_time_although_the_target_hangs_and_says_what_is_unanswered() {
    let stage = Stage::with_messages(300);
    let hang = Plan::new().fault(Moment::BeforeAnswer("APPEND".to_owned(), 1), Fault::Stall);
    stage.target_proxy.set_next_plans([hang]);
    let child = stage.bench.start_copy(&["--json"]);
    stage.target_proxy.wait_for(&Event::Fault(1));
    let asked = Instant::now();
    signal(&child, Signal::INT);
    let said = end(child);
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    let json = said.json();
    assert_eq!(said.code, 130, "{json:#}");
    let reason = json["stop"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("sent and not answered"), "{reason}");
    stage.copy_completely();
    stage.assert_exact();
}

#[test]
fn a_signal_after_the_target_was_given_up_says_what_may_be_unanswered() {
    let stage = Stage::with_messages(300);
    let hang = Plan::new().fault(Moment::BeforeAnswer("APPEND".to_owned(), 1), Fault::Stall);
    stage.target_proxy.set_plan(hang);
    let child = stage.bench.start_copy(&["--json", "--timeout", "2"]);
    // The connection is given up; what follows is a pause, and a long look at what may still land.
    stage.target_proxy.wait_for(&Event::Fault(1));
    let given_up = stage.target_proxy.statistics().ended + 1;
    stage.target_proxy.wait_for(&Event::Ended(given_up));
    signal(&child, Signal::INT);
    let said = end(child);
    stage.target_proxy.set_plan(Plan::new());
    let json = said.json();
    assert_eq!(said.code, 130, "{json:#}");
    let reason = json["stop"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("may have been sent and not answered"), "{reason}");
    stage.copy_completely();
    stage.assert_exact();
}

#[test]
fn a_hanging_server_is_given_up_after_the_deadline_and_nothing_is_doubled() {
    let stage = Stage::with_messages(30);
    let hang = Plan::new().fault(Moment::BeforeAnswer("APPEND".to_owned(), 1), Fault::Stall);
    stage.target_proxy.set_next_plans([hang]);
    stage.bench.copy_completely(&["--timeout", "2"]);
    stage.assert_exact();
}

#[test]
fn mail_that_is_expunged_at_the_source_meanwhile_is_proved_gone() {
    // The source has listed all of them, and is held between the first bodies and the last.
    let stage = Stage::with_messages(0);
    Corpus::of_size(&["INBOX"], 400, 50_000).load(&mut source_client(&stage)).expect("the corpus is loaded");
    stage.source_proxy.set_plan(Plan::new().fault(Moment::BeforeCommand("UID FETCH".to_owned(), 5), Fault::Hold));
    let child = stage.bench.start_copy(&["--json"]);
    stage.source_proxy.wait_for(&Event::Fault(1));
    let mut owner = source_client(&stage);
    owner.select("INBOX").expect("select");
    owner.expunge("391:400").expect("expunge");
    stage.source_proxy.release();
    let said = end(child);
    let json = said.json();
    assert_eq!((said.code, json["verdict"].as_str()), (0, Some("complete")), "{json:#}");
    assert_eq!((&json["messages"]["gone"], &json["messages"]["copied"]), (&10.into(), &390.into()), "{json:#}");
    stage.source_proxy.set_plan(Plan::new());
    stage.assert_exact();
}

#[test]
fn mail_that_is_listed_and_never_handed_out_is_unreadable_and_not_gone() {
    let stage = Stage::with_messages(0);
    crate::stage::fill_more(&stage.source, "INBOX", 8);
    let nothing = Plan::new().reply("UID FETCH", Which::From(2), Reply::tagged("OK nothing to see"));
    stage.source_proxy.set_plan(nothing);
    let (code, json) = stage.copy();
    assert_eq!(code, 5, "{json:#}");
    assert_eq!((&json["messages"]["unreadable"], &json["messages"]["gone"]), (&8.into(), &0.into()), "{json:#}");
    assert_eq!(json["exceptions"][0]["state"], "unreadable");
    stage.source_proxy.set_plan(Plan::new());
    let (code, json) = stage.copy();
    assert_eq!(code, 5, "tried again only when asked: {json:#}");
    let json = stage.bench.copy_completely(&["--retry-exceptions"]);
    assert_eq!(json["messages"]["copied"], 8, "{json:#}");
    stage.assert_exact();
}

#[test]
fn one_message_that_spoils_its_batch_is_isolated() {
    // The source answers NO to the first two fetches of bodies: whole batch, then its lower half.
    let stage = Stage::with_messages(0);
    crate::stage::fill_more(&stage.source, "INBOX", 40);
    let plan = Plan::new()
        .reply("UID FETCH", Which::Nth(2), Reply::tagged("NO [UNAVAILABLE] UID FETCH Server error"))
        .reply("UID FETCH", Which::Nth(3), Reply::tagged("BAD Command Argument Error. 11"));
    stage.source_proxy.set_next_plans([plan]);
    let json = stage.copy_completely();
    assert_eq!(json["messages"]["copied"], 40, "{json:#}");
    stage.assert_exact();
}

#[test]
fn a_mailbox_that_suddenly_shows_empty_is_a_question_and_not_a_success() {
    let stage = Stage::with_messages(60);
    stage.copy_completely();
    let mut owner = source_client(&stage);
    owner.select("Archive").expect("select");
    owner.expunge("1:*").expect("expunge");
    let (code, json) = stage.copy();
    assert_eq!((code, &json["exceptions"][0]["state"]), (6, &"mailbox_stopped".into()), "{json:#}");
    stage.bench.copy_completely(&["--accept-mass-absence"]);
    let mut there = Client::sign_in(stage.target.address(), USER, stage.target.password()).expect("sign in");
    assert_eq!(there.count("Archive").expect("count"), 60, "nothing is deleted on the target");
}

#[test]
fn untagged_lines_anywhere_do_no_harm() {
    let stage = Stage::with_messages(30);
    let still_here =
        || Fault::Inject(b"* OK Still here\r\n* 0 FETCH (FLAGS ())\r\n* 7 FETCH (FLAGS (\\Seen))\r\n".to_vec());
    let plan = Plan::new()
        .fault(Moment::BeforeAnswer("APPEND".to_owned(), 1), still_here())
        .fault(Moment::BeforeAnswer("UID FETCH".to_owned(), 1), still_here())
        .fault(Moment::BeforeAnswer("SELECT".to_owned(), 1), still_here());
    stage.target_proxy.set_next_plans([plan.clone()]);
    stage.source_proxy.set_next_plans([plan]);
    stage.copy_completely();
    stage.assert_exact();
}
