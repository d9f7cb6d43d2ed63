//! Running the real command: its progress goes to the terminal as it is, its result is kept and looked at.

use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::Problem;
use crate::halt::Halt;
use crate::stage::Stage;
use crate::talk::Talk;

/// How often is looked whether the copier still runs.
const LOOK: Duration = Duration::from_millis(100);

/// The command and where it works.
pub(crate) struct Copier {
    binary: PathBuf,
    folder: PathBuf,
    endpoints: Vec<String>,
    halt: Arc<Halt>,
}

/// A command that has ended.
pub(crate) struct Finished {
    code: Option<i32>,
    stdout: String,
}

impl Copier {
    /// Between the two servers of the stage.
    pub(crate) fn new(binary: PathBuf, stage: &Stage, halt: Arc<Halt>) -> Copier {
        let (from, to) = stage.urls();
        let words = ["--from", &from, "--from-password-file", "old.password", "--to", &to];
        let more = ["--to-password-file", "new.password", "--ca-file", "ca.pem"];
        let endpoints = words.into_iter().chain(more).map(str::to_owned).collect();
        Copier { binary, folder: stage.folder().to_owned(), endpoints, halt }
    }

    /// The words of a subcommand, without the program's name.
    pub(crate) fn arguments(&self, subcommand: &str, more: &[&str]) -> Vec<String> {
        let more = more.iter().map(|word| (*word).to_owned());
        std::iter::once(subcommand.to_owned()).chain(self.endpoints.iter().cloned()).chain(more).collect()
    }

    /// Says the command and runs it to its end.
    pub(crate) fn run(&self, talk: &Talk, subcommand: &str, more: &[&str]) -> Result<Finished, Problem> {
        let arguments = self.arguments(subcommand, more);
        talk.command(&arguments);
        let mut child = self.start(&arguments)?;
        let (stdout, status) = self.wait(&mut child)?;
        self.halt.check()?;
        Ok(Finished { code: status.code(), stdout })
    }

    /// Runs the command until so many octets have gone to the new server, then kills it with -9. It must not have ended
    /// by itself.
    pub(crate) fn kill_after(&self, arguments: &[String], octets: u64, stage: &Stage) -> Result<(), Problem> {
        let mut child = self.start(arguments)?;
        while !stage.wait_for_octets_to_target(octets, LOOK) {
            if let Some(status) = ended(&child) {
                let (stdout, _) = self.wait(&mut child)?;
                self.halt.check()?;
                return Err(Problem::Broken(format!("the copier ended before it was killed ({status}): {stdout}")));
            }
        }
        child.kill().map_err(|error| Problem::broken("kill the copier", error))?;
        let (_, status) = self.wait(&mut child)?;
        self.halt.check()?;
        if status.signal() == Some(9) { Ok(()) } else { Err(Problem::broken("the copier was not killed", status)) }
    }

    fn start(&self, arguments: &[String]) -> Result<Child, Problem> {
        self.halt.check()?;
        let mut command = Command::new(&self.binary);
        command.args(arguments).current_dir(&self.folder).env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let child = command.spawn().map_err(|error| Problem::broken("start mailhaul", error))?;
        self.halt.watch(pid_of(&child));
        Ok(child)
    }

    fn wait(&self, child: &mut Child) -> Result<(String, ExitStatus), Problem> {
        let mut octets = Vec::new();
        if let Some(stdout) = &mut child.stdout {
            stdout.read_to_end(&mut octets).map_err(|error| Problem::broken("read what mailhaul says", error))?;
        }
        // It closes stdout when it ends, and until it is waited for its id is not given to anybody else.
        self.halt.watch(None);
        let status = child.wait().map_err(|error| Problem::broken("wait for mailhaul", error))?;
        Ok((String::from_utf8_lossy(&octets).into_owned(), status))
    }
}

fn pid_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// How the child ended, if it did, without burying it: its id must stay its own as long as it may be killed.
fn ended(child: &Child) -> Option<String> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let status = waitid(WaitId::Pid(pid_of(child)?), options).ok().flatten()?;
    Some(status.exit_status().map_or_else(|| "by a signal".to_owned(), |code| format!("exit code {code}")))
}

impl Finished {
    /// The one line that matters.
    pub(crate) fn last_line(&self) -> &str {
        self.stdout.trim_end().lines().last().unwrap_or_default()
    }

    /// Prints the result as mailhaul wrote it.
    pub(crate) fn print_all(&self, talk: &Talk) {
        for line in self.stdout.lines() {
            talk.say(line);
        }
    }

    /// Prints its last line.
    pub(crate) fn print_last_line(&self, talk: &Talk) {
        let above = self.stdout.lines().filter(|line| !line.is_empty()).count().saturating_sub(1);
        talk.detail(&format!("({above} lines about mailboxes left out here)"));
        talk.say(self.last_line());
    }

    /// The exit code is a promise.
    pub(crate) fn expect_code(&self, code: i32) -> Result<(), Problem> {
        if self.code == Some(code) {
            return Ok(());
        }
        Err(Problem::Broken(format!("mailhaul ended with {:?} in place of {code}:\n{}", self.code, self.stdout)))
    }

    /// So is the last line.
    pub(crate) fn expect_words(&self, words: &str) -> Result<(), Problem> {
        if self.last_line().contains(words) {
            return Ok(());
        }
        Err(Problem::Broken(format!("mailhaul's last line does not say `{words}`:\n{}", self.stdout)))
    }
}
