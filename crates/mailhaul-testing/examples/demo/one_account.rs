//! One account: filled, copied, killed in the middle, resumed, run again, verified, judged; then kept up with.

use std::path::Path;
use std::sync::Arc;

use mailhaul_testing::judge::{self, Rules, Snapshot};

use crate::copier::{COPY_OPTIONS, Copier};
use crate::halt::Halt;
use crate::program::Finished;
use crate::stage::{self, Stage};
use crate::talk::{self, Talk};
use crate::{Problem, Proof, resync};

/// The first part of the story.
pub(crate) fn tell(talk: &Talk, binary: &Path, halt: &Arc<Halt>) -> Result<Proof, Problem> {
    talk.heading("Two mail servers");
    let stage = Stage::set_up()?;
    stage.introduce(talk);
    halt.check()?;

    talk.heading("An account to move");
    let corpus = stage.fill()?;
    stage::describe(talk, &corpus);
    let before = take(&stage, "read the old account")?;
    halt.check()?;

    let copier = Copier::new(binary, &stage, halt);
    let octets = stage::octets(&corpus);
    killed_in_the_middle(talk, &stage, &copier, octets)?;
    let resumed = resumes(talk, &stage, &copier)?;
    finds_nothing_to_do(talk, &stage, &copier, corpus.count())?;
    let verified = verifies(talk, &copier)?;
    halt.check()?;

    talk.heading("The judge, who shares no code with mailhaul");
    let (judgement, untouched) = judged(talk, &stage, &before)?;
    halt.check()?;
    let mut proof = vec![
        ("resumed after kill -9", resumed.last_line().to_owned()),
        ("verify, every octet", verified.last_line().to_owned()),
        ("judge", judgement),
        ("old account", untouched),
    ];
    proof.extend(resync::tell(talk, &stage, &copier)?);
    Ok(proof)
}

/// Copies until part of the mail has gone to the new server, then kills the copier as the kernel would.
fn killed_in_the_middle(talk: &Talk, stage: &Stage, copier: &Copier, octets: u64) -> Result<(), Problem> {
    talk.heading("The copy, killed in the middle");
    // The large mail has gone over by then, and a mailbox of 3,000 is half done.
    let enough = octets / 100 * 65;
    let arguments = copier.arguments("copy", &COPY_OPTIONS);
    copier.program.kill_once(talk, &arguments, |at_most| stage.wait_for_octets_to_target(enough, at_most))?;
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
