//! A wave, as an operator lives through it: from the list to the report, killed in the middle, and with one password that
//! is wrong.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::fleet::{ACCOUNTS, FORGETFUL, Fleet, MAILS};
use crate::halt::Halt;
use crate::program::{Finished, Program};
use crate::talk::{self, Talk};
use crate::{Problem, Proof};

/// Connections that the old server is asked for at once: few enough that there is something to watch.
const CONNECTIONS: &str = "6";

/// The second part of the story.
pub(crate) fn tell(talk: &Talk, binary: &Path, halt: &Arc<Halt>) -> Result<Proof, Problem> {
    talk.heading("A list of accounts becomes a wave");
    let fleet = Fleet::set_up()?;
    halt.check()?;
    let operator = Operator { talk, program: Program::new(binary, fleet.folder(), halt) };
    introduce(talk, &fleet)?;
    operator.sets_up(&fleet)?;
    operator.looks_ahead()?;
    operator.is_killed(&fleet)?;
    let resumed = operator.resumes()?;
    operator.asks_why()?;
    let mended = operator.mends()?;
    let report = operator.reports()?;
    let judgement = fleet.judge()?;
    Ok(vec![
        ("resumed after kill -9", resumed),
        ("wrong password mended", mended),
        ("report", report),
        ("judge, who reads the disks of both servers", judgement),
    ])
}

fn introduce(talk: &Talk, fleet: &Fleet) -> Result<(), Problem> {
    talk.say(&format!("Two more private Dovecots. The old one has {ACCOUNTS} accounts with {MAILS} messages each;"));
    talk.say("each account has a password of its own on either side, and one of them is wrong in the list:");
    let list = fs::read_to_string(fleet.folder().join("staff.csv"));
    let list = list.map_err(|error| Problem::broken("read the list", error))?;
    for (at, line) in list.lines().enumerate() {
        if at < 3 || line.starts_with(FORGETFUL) {
            talk.detail(line);
        } else if at == 3 {
            talk.detail("…");
        }
    }
    Ok(())
}

/// Whoever types the commands.
struct Operator<'a> {
    talk: &'a Talk,
    program: Program,
}

impl Operator<'_> {
    /// Types a command, which ends with this exit code.
    fn types(&self, line: &str, code: i32) -> Result<Finished, Problem> {
        let finished = self.program.run(self.talk, &words(line))?;
        finished.expect_code(code)?;
        Ok(finished)
    }

    /// Types a command and shows what it says.
    fn types_and_reads(&self, line: &str, code: i32) -> Result<Finished, Problem> {
        let finished = self.types(line, code)?;
        finished.print_all(self.talk);
        Ok(finished)
    }

    /// State, endpoints, list.
    fn sets_up(&self, fleet: &Fleet) -> Result<(), Problem> {
        let (old, new) = fleet.urls();
        self.types("init", 0)?;
        self.types(&format!("endpoint add old {old} --ca-file ca.pem --max-connections {CONNECTIONS}"), 0)?;
        self.types(&format!("endpoint add new {new} --ca-file ca.pem"), 0)?;
        let imported = self.types_and_reads("accounts import staff.csv --wave staff --from old --to new", 0)?;
        imported.expect_somewhere(&format!("{ACCOUNTS} added"))
    }

    /// Preflight finds the wrong password.
    fn looks_ahead(&self) -> Result<(), Problem> {
        self.talk.heading("Look before anything is copied");
        let looked = self.types("preflight --wave staff", 3)?;
        looked.print_lines(self.talk, |line| !line.starts_with("  u") || line.contains(" blocked "));
        looked.expect_somewhere("1 blocked")
    }

    /// Copies until half of the mail has gone to the new server, then dies.
    fn is_killed(&self, fleet: &Fleet) -> Result<(), Problem> {
        self.talk.heading("The wave, killed in the middle");
        let before = fleet.octets_to_target();
        let enough = before + fleet.octets() / 2;
        let far_enough = |at_most| fleet.wait_for_octets_to_target(enough, at_most);
        self.program.kill_once(self.talk, &words("run --wave staff"), far_enough)?;
        let sent = talk::mebibytes(fleet.octets_to_target() - before);
        self.talk.say(&format!("kill -9 after {sent} had gone to the new server. What the state file says:"));
        let status = self.types("status --wave staff", 0)?;
        status.print_lines(self.talk, |line| line.starts_with("wave ") || line.contains(" running, "));
        Ok(())
    }

    /// The same command again does what is left, and tries the wrong password once.
    fn resumes(&self) -> Result<String, Problem> {
        self.talk.heading("The same command again: it goes on");
        let finished = self.types_and_reads("run --wave staff", 3)?;
        finished.expect_somewhere("waiting (credentials)")?;
        let messages = (ACCOUNTS - 1) * MAILS;
        finished.expect_somewhere(&format!("{messages} "))?;
        Ok(finished.line_with(" running, ").to_owned())
    }

    /// What is left, and why.
    fn asks_why(&self) -> Result<(), Problem> {
        self.talk.heading("What is left, and why?");
        self.types_and_reads("jobs --wave staff --kind bulk --failed", 0)?.expect_somewhere(FORGETFUL)?;
        self.types_and_reads(&format!("explain {FORGETFUL}"), 0)?.expect_somewhere("sign-in was refused")
    }

    /// The right password, and another try for what failed; nothing else moves.
    fn mends(&self) -> Result<String, Problem> {
        self.talk.heading("Mended, and tried again");
        self.types(&format!("accounts set {FORGETFUL} --source-password-file right.password"), 0)?;
        self.types_and_reads("retry --wave staff --failed", 0)?.expect_somewhere("1 job in line again")?;
        let finished = self.types("run --wave staff", 0)?;
        finished.print_lines(self.talk, |line| line.starts_with("messages ") || line.starts_with("size "));
        finished.expect_somewhere("(100%)")?;
        Ok(finished.line_with("messages ").to_owned())
    }

    /// Every message in one column, and a last pass that compares both sides.
    fn reports(&self) -> Result<String, Problem> {
        self.talk.heading("The final pass, and the report");
        self.types("run --wave staff --kind final", 0)?;
        let report = self.types("report --wave staff", 0)?;
        let telling = |line: &str| !line.starts_with("  u") || line.contains(FORGETFUL) || line.contains("u0001");
        report.print_lines(self.talk, telling);
        report.expect_words("complete")?;
        self.types("report --wave staff --format html --output staff.html", 0)?;
        self.types("wave close staff", 0)?;
        Ok(report.last_line().to_owned())
    }
}

/// No word of these commands holds a space.
fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}
