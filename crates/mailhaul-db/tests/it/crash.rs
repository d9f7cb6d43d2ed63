//! Killed at any moment, and out of room at any write: what was said to be on disk is on disk, and the file is whole.
//!
//! The victim is this test program itself, started again with a variable that makes it work instead of test.

use crate::setup::*;
use mailhaul_db::{DbErrorKind, Ledger, MailboxState, OpenOptions, Settlement};
use mailhaul_types::Uid;
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

fn start(file: &Path, limit_blocks: Option<usize>) -> Child {
    let program = std::env::current_exe().expect("known");
    // A process whose file size limit is reached is killed unless it ignores the signal; then the write fails.
    let limit = limit_blocks.map_or(String::new(), |blocks| format!("trap '' XFSZ; ulimit -f {blocks}; "));
    Command::new("bash")
        .args([
            "-c",
            &format!("{limit}exec \"$0\" crash::victim --exact --ignored --nocapture"),
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
