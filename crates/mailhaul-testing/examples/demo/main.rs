//! The main job on real servers, to look at: fill an account, copy it, kill the copier, resume, run again, verify, judge.
//!
//! ```text
//! cargo run --release -p mailhaul-testing --example demo -- target/release/mailhaul
//! ```
//!
//! Two private Dovecots speak TLS with certificates of an authority made on the spot. Everything lies in temporary folders
//! and is gone afterwards, also after Ctrl-C. Exit codes: 0 all is as promised, 1 something is not, 2 wrong usage,
//! 130 interrupted.

mod copier;
mod halt;
mod stage;
mod talk;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use copier::{Copier, Finished};
use halt::Halt;
use mailhaul_testing::judge::{self, Rules, Snapshot};
use stage::Stage;
use talk::Talk;

/// Where the copier remembers, and nothing left out: mail marked for deletion keeps its mark.
const COPY_OPTIONS: [&str; 3] = ["--copy-deleted-flag", "--state", "mailhaul.db"];

/// Why the demonstration ends before its end.
#[derive(Debug)]
enum Problem {
    /// Ctrl-C, or a signal that means the same.
    Interrupted,
    /// The product, or something that the demonstration needs, did not do what it should.
    Broken(String),
}

impl Problem {
    /// Something is not as it should be; `what` says what was being done.
    fn broken(what: &str, why: impl std::fmt::Display) -> Problem {
        Problem::Broken(format!("{what}: {why}"))
    }
}

fn main() -> ExitCode {
    let talk = Talk::new();
    let mut arguments = std::env::args_os().skip(1);
    let (Some(binary), None) = (arguments.next().map(PathBuf::from), arguments.next()) else {
        talk.complain("usage: demo MAILHAUL (the built command, such as target/release/mailhaul)");
        return ExitCode::from(2);
    };
    let binary = match binary.canonicalize() {
        Ok(binary) => binary,
        Err(error) => {
            talk.complain(&format!("there is no {}: {error}", binary.display()));
            return ExitCode::from(2);
        }
    };
    // The stage is gone when this returns: servers killed, folders removed.
    match tell(&talk, binary) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Problem::Interrupted) => {
            talk.complain("interrupted; nothing is left running");
            ExitCode::from(130)
        }
        Err(Problem::Broken(why)) => {
            talk.complain(&format!("NOT AS PROMISED: {why}"));
            ExitCode::FAILURE
        }
    }
}

/// The whole story, in the order in which an operator lives through it.
fn tell(talk: &Talk, binary: PathBuf) -> Result<(), Problem> {
    let began = Instant::now();
    let halt = Halt::on_signals().map_err(|error| Problem::broken("cannot listen for Ctrl-C", error))?;

    talk.heading("Two mail servers");
    let stage = Stage::set_up()?;
    stage.introduce(talk);
    halt.check()?;

    talk.heading("An account to move");
    let corpus = stage.fill()?;
    stage::describe(talk, &corpus);
    let before = take(&stage, "read the old account")?;
    halt.check()?;

    let copier = Copier::new(binary, &stage, Arc::clone(&halt));
    let octets = stage::octets(&corpus);
    killed_in_the_middle(talk, &stage, &copier, octets)?;
    let resumed = resumes(talk, &stage, &copier)?;
    finds_nothing_to_do(talk, &stage, &copier, corpus.count())?;
    let verified = verifies(talk, &copier)?;
    halt.check()?;

    talk.heading("The judge, who shares no code with mailhaul");
    let (judgement, untouched) = judged(talk, &stage, &before)?;

    talk.heading("Proof");
    talk.proof("resumed after kill -9", resumed.last_line());
    talk.proof("verify, every octet", verified.last_line());
    talk.proof("judge", &judgement);
    talk.proof("old account", &untouched);
    drop(stage);
    talk.say("");
    talk.say(&format!("All as promised, in {:.0} s. Nothing is left running.", began.elapsed().as_secs_f64()));
    Ok(())
}

/// Copies until part of the mail has gone to the new server, then kills the copier as the kernel would.
fn killed_in_the_middle(talk: &Talk, stage: &Stage, copier: &Copier, octets: u64) -> Result<(), Problem> {
    talk.heading("The copy, killed in the middle");
    // The large mail has gone over by then, and a mailbox of 3,000 is half done.
    let enough = octets / 100 * 65;
    let arguments = copier.arguments("copy", &COPY_OPTIONS);
    talk.command(&arguments);
    copier.kill_after(&arguments, enough, stage)?;
    talk.end_of_bar();
    let sent = talk::mebibytes(stage.octets_to_target());
    talk.say(&format!("kill -9 after {sent} of {} had gone to the new server.", talk::mebibytes(octets)));
    Ok(())
}

/// The same command again finishes the job.
fn resumes(talk: &Talk, stage: &Stage, copier: &Copier) -> Result<Finished, Problem> {
    talk.heading("The same command again: it resumes");
    let sent_before = stage.octets_to_target();
    let finished = copier.run(talk, "copy", &COPY_OPTIONS)?;
    finished.print_all(talk);
    finished.expect_code(0)?;
    finished.expect_words("complete")?;
    let sent = talk::mebibytes(stage.octets_to_target() - sent_before);
    talk.say(&format!("It read what the new server already held and sent the rest, {sent}."));
    if finished.last_line().contains(" adopted") {
        talk.say("Adopted: stored before the kill without an answer, found now, and not sent again.");
    }
    Ok(finished)
}

/// Once more: no mail is sent.
fn finds_nothing_to_do(talk: &Talk, stage: &Stage, copier: &Copier, messages: usize) -> Result<(), Problem> {
    /// Sign-in, one look at each mailbox, and the TLS around it; any large or well-filled mailbox would be far more.
    const COMMANDS_MAX: u64 = 64 * 1024;
    talk.heading("And again: nothing to do");
    let sent_before = stage.octets_to_target();
    let finished = copier.run(talk, "copy", &COPY_OPTIONS)?;
    finished.print_last_line(talk);
    finished.expect_code(0)?;
    finished.expect_words(&format!("{} already there", talk::number(messages)))?;
    let sent = stage.octets_to_target() - sent_before;
    if sent > COMMANDS_MAX {
        return Err(Problem::Broken(format!("a run with nothing to do sent {sent} octets to the new server")));
    }
    talk.say(&format!("Commands only: {:.1} KiB went to the new server.", talk::kibibytes(sent)));
    Ok(())
}

/// mailhaul's own comparison of both accounts, every octet.
fn verifies(talk: &Talk, copier: &Copier) -> Result<Finished, Problem> {
    talk.heading("mailhaul verify, every octet");
    let finished = copier.run(talk, "verify", &["--level", "bytes"])?;
    finished.print_last_line(talk);
    finished.expect_code(0)?;
    finished.expect_words("equal")?;
    Ok(finished)
}

/// The judge's words about the copy, and about the old account, which nobody may have touched.
fn judged(talk: &Talk, stage: &Stage, before: &Snapshot) -> Result<(String, String), Problem> {
    let after = take(stage, "read the old account again")?;
    let target = Snapshot::take(&stage.target_account()).map_err(|error| Problem::broken("read the copy", error))?;
    let judgement = judge::compare(&after, &target, &stage.rules());
    for line in judgement.to_string().lines() {
        talk.detail(line);
    }
    if !judgement.is_equal() {
        return Err(Problem::broken("the judge", judgement.summary()));
    }
    let untouched = judge::compare(before, &after, &Rules::new());
    if !untouched.is_equal() {
        return Err(Problem::broken("the old account has changed", untouched));
    }
    Ok((judgement.summary(), "untouched: octets, dates and flags are as they were".to_owned()))
}

fn take(stage: &Stage, what: &str) -> Result<Snapshot, Problem> {
    Snapshot::take(&stage.source_account()).map_err(|error| Problem::broken(what, error))
}
