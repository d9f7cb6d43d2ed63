//! Killed at any moment, and out of room at any write: what was said to be on disk is on disk, and the file is whole.
//!
//! The victim is this test program itself, started again with a variable that makes it work instead of test.

use crate::setup::*;
use mailhaul_db::{DbErrorKind, Ledger, MailboxState, OpenOptions, Renumbering, Settled, Settlement, Synced};
use mailhaul_types::{Flags, Uid, UidSet, UidValidity};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const STATE: &str = "MAILHAUL_TEST_VICTIM_STATE";

/// Copies in batches of 25 for ever: mark 100 ahead, settle 25 at a time, say what is on disk.
#[tokio::test]
#[ignore = "the victim of the tests below, which start it themselves"]
#[expect(clippy::print_stdout, reason = "its killer listens")]
async fn victim() {
    let Some(file) = std::env::var_os(STATE) else { return };
    let quick = OpenOptions { group_delay: Duration::from_millis(1), ..options() };
    let outcome = async {
        let ledger = Ledger::open(Path::new(&file), quick).await?;
        let lease = ledger.claim_pair(&identity("alice")).await?;
        lease.map_mailboxes(vec![mapping("INBOX")]).await?;
        let inbox = lease.mailbox("INBOX").await?;
        inbox.bind(SOURCE, TARGET, Uid(1)).await?;
        let mut next = inbox.load().await?.settled.last().map_or(1, |uid| uid.0 + 1);
        loop {
            inbox.mark_sent(range(next, next + 99), Uid(next)).await?.wait().await?;
            println!("\nmarked {}", next + 99);
            for first in (next..next + 100).step_by(25) {
                let messages = (first..first + 25).map(|uid| copied(uid, uid)).collect();
                let target_mark = Some(Uid(first + 25));
                inbox.settle(Settlement { messages, target_mark, clear_sent: first == next + 75 }).await?;
            }
            next += 100;
            if next % 500 == 1 {
                inbox.flush().await?;
                println!("\nsettled {}", next - 1);
            }
        }
    };
    let outcome: Result<(), mailhaul_db::DbError> = outcome.await;
    println!("\nfailed {:?}", outcome.expect_err("it never ends by itself").kind());
}

/// Passes one after the other: messages come, some get other flags, some leave, the synced row says so; and every
/// fourth pass begins with the source under new UIDs.
#[tokio::test]
#[ignore = "the victim of the tests below, which start it themselves"]
#[expect(clippy::print_stdout, reason = "its killer listens")]
async fn resyncing_victim() {
    let Some(file) = std::env::var_os(STATE) else { return };
    let quick = OpenOptions { group_delay: Duration::from_millis(1), ..options() };
    let outcome = async {
        let ledger = Ledger::open(Path::new(&file), quick).await?;
        let lease = ledger.claim_pair(&identity("alice")).await?;
        lease.map_mailboxes(vec![mapping("INBOX")]).await?;
        let inbox = lease.mailbox("INBOX").await?;
        let mut validity = inbox.load().await?.source_uid_validity.unwrap_or(UidValidity(1));
        inbox.bind(validity, TARGET, Uid(1)).await?;
        let mut count = u32::try_from(inbox.load().await?.settled.len()).expect("small");
        for pass in 1.. {
            if pass % 4 == 0 {
                validity = UidValidity(validity.0 + 1);
                let messages = (1..=count).map(|number| passed(validity, number, count)).collect();
                inbox.renumber_source(Renumbering { source: validity, messages, set_aside: Vec::new() }).await?;
            }
            for _ in 0..4 {
                let messages = (count + 1..=count + 50).map(|number| passed(validity, number, 0)).collect();
                inbox.settle(settlement(messages)).await?;
                count += 50;
            }
            let changes = (1..=count).map(|number| passed(validity, number, count));
            inbox.set_flags(changes.map(|message| (message.source_uid, message.flags)).collect()).await?;
            let row = synced(passed(validity, count + 1, 0).source_uid.0, left(validity, count));
            inbox.record_synced(Synced { source_uid_validity: validity, exists: count, ..row }).await?;
            println!("\nmarked {count}");
            if pass % 3 == 0 {
                inbox.flush().await?;
                println!("\nsettled {count}");
            }
        }
        Ok(())
    };
    let outcome: Result<(), mailhaul_db::DbError> = outcome.await;
    println!("\nfailed {:?}", outcome.expect_err("it never ends by itself").kind());
}

/// A message of the victim above. Its source UID tells the UIDVALIDITY, and its flags whether the pass that ended
/// with `synced` messages has been here.
fn passed(validity: UidValidity, number: u32, synced: u32) -> Settled {
    let flags = Flags::from_parts(u8::from(number <= synced), []);
    Settled { source_uid: Uid(validity.0 * 7 + number), flags, ..copied(number, number) }
}

/// What has left the source of the victim above when it has `count` messages.
fn left(validity: UidValidity, count: u32) -> UidSet {
    (1..=count).filter(|number| number % 60 == 0).map(|number| passed(validity, number, 0).source_uid).collect()
}

/// All of a renumbering or nothing; and a synced row only behind everything that it stands for.
async fn check_resynced(file: &Path, said: &Said) -> (UidValidity, u64) {
    let ledger = Ledger::open(file, options()).await.expect("whole after whatever happened");
    let lease = ledger.claim_pair(&identity("alice")).await.expect("nobody lives");
    let inbox = lease.mailbox("INBOX").await.expect("mapped");
    let state = inbox.load().await.expect("whole");
    let count = u32::try_from(state.settled.len()).expect("small");
    assert!(count.is_multiple_of(50) && count >= said.settled, "{count} are settled, {} were said to be", said.settled);
    let validity = state.source_uid_validity.expect("bound");
    let behind = state.synced.as_ref().map_or(0, |synced| synced.exists);
    let mut found = inbox.settled_in(&state.settled).await.expect("whole");
    for (number, message) in (1..=count).zip(&mut found) {
        if number > behind {
            // Of a pass that was not finished, or of one before the renumbering: any flags.
            message.flags = passed(validity, number, 0).flags;
        }
        assert_eq!(*message, passed(validity, number, behind), "{number} of {count}");
    }
    if let Some(synced) = state.synced {
        assert_eq!(synced.source_uid_validity, validity);
        assert_eq!(synced.uid_next, passed(validity, synced.exists + 1, 0).source_uid);
        assert_eq!(synced.departed, left(validity, synced.exists));
    }
    drop((inbox, lease));
    ledger.close().await.expect("closed");
    (validity, state.settled.len())
}

#[tokio::test]
async fn a_kill_at_any_moment_leaves_a_renumbering_whole_and_no_synced_row_before_its_time() {
    let place = Place::new();
    let mut before = (UidValidity(1), 0);
    for lines in [1, 2, 3, 4, 5, 7, 8, 9, 11, 12] {
        let said = kill_after(start_as("resyncing_victim", &place.file, None), lines);
        let after = check_resynced(&place.file, &said).await;
        assert!(after >= before, "{after:?}, and it was {before:?}");
        before = after;
    }
    assert!(before.0 > UidValidity(4) && before.1 > 1_000, "{before:?}");
}

#[tokio::test]
async fn a_write_that_fails_at_any_place_leaves_a_renumbering_whole() {
    let place = Place::new();
    let mut failed = 0;
    for blocks in [150, 170, 200, 230, 260, 300, 360, 420] {
        let output = start_as("resyncing_victim", &place.file, Some(blocks)).wait_with_output().expect("ended").stdout;
        let mut said = Said::default();
        output.lines().map_while(Result::ok).for_each(|line| said.hear(&line));
        failed += u32::from(said.failed.as_deref() == Some(&format!("{:?}", DbErrorKind::Io)));
        if said.marked > 0 {
            check_resynced(&place.file, &said).await;
        }
    }
    assert!(failed >= 6, "only {failed} of the limits were met as a failing disk");
}

fn start(file: &Path, limit_blocks: Option<usize>) -> Child {
    start_as("victim", file, limit_blocks)
}

fn start_as(victim: &str, file: &Path, limit_blocks: Option<usize>) -> Child {
    let program = std::env::current_exe().expect("known");
    // A process whose file size limit is reached is killed unless it ignores the signal; then the write fails.
    let limit = limit_blocks.map_or(String::new(), |blocks| format!("trap '' XFSZ; ulimit -f {blocks}; "));
    Command::new("bash")
        .args([
            "-c",
            &format!("{limit}exec \"$0\" crash::{victim} --exact --ignored --nocapture"),
            program.to_str().expect("UTF-8"),
        ])
        .env(STATE, file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started")
}

/// What a victim said before it ended.
#[derive(Debug, Default)]
struct Said {
    marked: u32,
    settled: u32,
    failed: Option<String>,
}

impl Said {
    /// A killed victim's last line may be cut; a number that lost its end is a smaller claim.
    fn hear(&mut self, line: &str) {
        let number = |text: &str| text.parse().unwrap_or(0);
        match line.split_once(' ') {
            Some(("marked", text)) => self.marked = self.marked.max(number(text)),
            Some(("settled", text)) => self.settled = self.settled.max(number(text)),
            Some(("failed", kind)) => self.failed = Some(kind.to_owned()),
            _ => {}
        }
    }
}

/// Listens until the victim has said enough, kills it, and hears the rest.
fn kill_after(mut child: Child, lines: usize) -> Said {
    let mut said = Said::default();
    let output = child.stdout.take().expect("piped");
    let mut marks = 0;
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        said.hear(&line);
        marks += usize::from(line.starts_with("marked "));
        if marks == lines {
            child.kill().expect("killed, or dead already");
        }
    }
    child.wait().expect("ended");
    said
}

async fn look(file: &Path) -> Option<MailboxState> {
    let ledger = Ledger::open(file, options()).await.expect("whole after whatever happened");
    let view = ledger.find_pair(&identity("alice")).await.expect("whole")?;
    let state = view.load("INBOX").await.expect("whole");
    ledger.close().await.expect("closed");
    state
}

/// Each request whole, none overtaken, nothing said too early.
fn check(state: &MailboxState, said: &Said) {
    let settled = u32::try_from(state.settled.len()).expect("small");
    assert!(settled.is_multiple_of(25), "{settled}: a settlement was divided");
    assert!(settled == 0 || state.settled.to_string() == format!("1:{settled}"), "{}", state.settled);
    assert!(settled >= said.settled, "{settled} are settled, {} were said to be", said.settled);
    if settled > 0 {
        assert_eq!(state.target_mark, Some(Uid(settled + 1)), "mark and messages belong together");
    }
    let marked = state.sent.map_or(settled, |sent| sent.last.0);
    assert!(marked >= said.marked, "up to {marked} is marked, up to {} was said to be", said.marked);
    assert!(marked >= settled, "settled beyond the mark");
}

#[tokio::test]
async fn a_kill_at_any_moment_leaves_a_whole_beginning() {
    let place = Place::new();
    let mut before = 0;
    for lines in [1, 2, 3, 5, 8, 13, 21, 2, 30, 4] {
        let said = kill_after(start(&place.file, None), lines);
        let state = look(&place.file).await.expect("it came as far as marking");
        check(&state, &said);
        assert!(state.settled.len() >= before, "nothing is lost again");
        before = state.settled.len();
    }
    assert!(before > 0);
}

#[tokio::test]
async fn another_process_is_refused_while_one_lives_and_takes_over_at_once_when_it_is_killed() {
    let place = Place::new();
    let mut child = start(&place.file, None);
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("marked ")), "it came to work");
    let ledger = place.open().await;
    let error = ledger.claim_pair(&identity("alice")).await.expect_err("somebody works on it");
    assert!(error.to_string().contains(&format!("process {} is working", child.id())), "{error}");
    let bob = ledger.claim_pair(&identity("bob")).await.expect("another pair in the same file is free");
    bob.map_mailboxes(vec![mapping("INBOX")]).await.expect("both write");
    child.kill().expect("killed");
    child.wait().expect("ended");
    let lease = ledger.claim_pair(&identity("alice")).await.expect("free at once");
    assert_eq!(lease.generation(), mailhaul_db::Generation(2));
}

#[tokio::test]
async fn a_kill_during_creation_leaves_what_can_be_opened() {
    for number in 0..12u32 {
        let place = Place::new();
        let mut child = start(&place.file, None);
        // Busy waiting for the file, and then some: a different moment of creation each time.
        while !place.file.exists() {
            std::hint::spin_loop();
        }
        (0..number * 400).for_each(|_| drop(std::fs::metadata(&place.file)));
        child.kill().expect("killed");
        child.wait().expect("ended");
        if let Some(state) = look(&place.file).await {
            check(&state, &Said::default());
        }
    }
}

#[tokio::test]
async fn a_write_that_fails_at_any_place_stops_the_work_and_harms_nothing() {
    let place = Place::new();
    let mut failed = 0;
    // Blocks of 1 KiB: from too small for the schema to room for some rounds. The same file goes on each time.
    for blocks in [8, 20, 33, 64, 90, 101, 130, 140, 155, 170, 200, 260] {
        let child = start(&place.file, Some(blocks));
        let mut said = Said::default();
        let output = child.wait_with_output().expect("ended").stdout;
        output.lines().map_while(Result::ok).for_each(|line| said.hear(&line));
        failed += u32::from(said.failed.as_deref() == Some(&format!("{:?}", DbErrorKind::Io)));
        assert!(said.failed.is_some(), "{blocks}: it ended without a word");
        if let Some(state) = look(&place.file).await {
            check(&state, &said);
        }
    }
    assert!(failed >= 6, "only {failed} of the limits were met as a failing disk");
}
