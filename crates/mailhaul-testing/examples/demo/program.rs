//! Running the real command: its progress goes to the terminal as it is, its result is kept and looked at.

use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::Problem;
use crate::halt::Halt;
use crate::talk::Talk;

/// How often is looked whether the copier still runs.
const LOOK: Duration = Duration::from_millis(100);

/// The command and where it works.
pub(crate) struct Program {
    binary: PathBuf,
    folder: PathBuf,
    halt: Arc<Halt>,
}

/// A command that has ended.
pub(crate) struct Finished {
    code: Option<i32>,
    stdout: String,
}

impl Program {
    /// Works in this folder, and nowhere else.
    pub(crate) fn new(binary: &Path, folder: &Path, halt: &Arc<Halt>) -> Program {
        Program { binary: binary.to_owned(), folder: folder.to_owned(), halt: Arc::clone(halt) }
    }

    /// Says the command and runs it to its end.
    pub(crate) fn run(&self, talk: &Talk, arguments: &[String]) -> Result<Finished, Problem> {
        talk.command(arguments);
        let mut child = self.start(arguments)?;
        let (stdout, status) = self.wait(&mut child)?;
        self.halt.check()?;
        Ok(Finished { code: status.code(), stdout })
    }

    /// Says the command, runs it until `far_enough` says so, which waits no longer than it is told, and kills it with -9.
    /// It must not have ended by itself.
    pub(crate) fn kill_once(
        &self,
        talk: &Talk,
        arguments: &[String],
        far_enough: impl Fn(Duration) -> bool,
    ) -> Result<(), Problem> {
        talk.command(arguments);
        let mut child = self.start(arguments)?;
        while !far_enough(LOOK) {
            if let Some(status) = ended(&child) {
                let (stdout, _) = self.wait(&mut child)?;
                self.halt.check()?;
                return Err(Problem::Broken(format!("mailhaul ended before it was killed ({status}): {stdout}")));
            }
        }
        child.kill().map_err(|error| Problem::broken("kill mailhaul", error))?;
        let (_, status) = self.wait(&mut child)?;
        talk.end_of_bar();
        self.halt.check()?;
        if status.signal() == Some(9) { Ok(()) } else { Err(Problem::broken("mailhaul was not killed", status)) }
    }

    fn start(&self, arguments: &[String]) -> Result<Child, Problem> {
        self.halt.check()?;
        let mut command = Command::new(&self.binary);
        command.args(arguments).current_dir(&self.folder).env_remove("RUST_LOG");
        // Where no option says otherwise, state and key lie below these.
        command.env("XDG_DATA_HOME", &self.folder).env("XDG_CONFIG_HOME", &self.folder);
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

    /// The first line with these words.
    pub(crate) fn line_with(&self, words: &str) -> &str {
        self.stdout.lines().find(|line| line.contains(words)).unwrap_or_default()
    }

    /// Prints the result as mailhaul wrote it.
    pub(crate) fn print_all(&self, talk: &Talk) {
        for line in self.stdout.lines() {
            talk.say(line);
        }
    }

    /// Prints the lines that tell something, and where others stood how many there were.
    pub(crate) fn print_lines(&self, talk: &Talk, telling: impl Fn(&str) -> bool) {
        let mut left_out = 0_usize;
        for line in self.stdout.lines() {
            if telling(line) {
                Finished::print_left_out(talk, &mut left_out);
                talk.say(line);
            } else if !line.trim().is_empty() {
                left_out += 1;
            }
        }
        Finished::print_left_out(talk, &mut left_out);
    }

    fn print_left_out(talk: &Talk, lines: &mut usize) {
        if std::mem::take(lines) > 0 {
            talk.detail("…");
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

    /// So are some words.
    pub(crate) fn expect_somewhere(&self, words: &str) -> Result<(), Problem> {
        if self.stdout.contains(words) {
            return Ok(());
        }
        Err(Problem::Broken(format!("mailhaul does not say `{words}`:\n{}", self.stdout)))
    }

    /// And the last line most of all.
    pub(crate) fn expect_words(&self, words: &str) -> Result<(), Problem> {
        if self.last_line().contains(words) {
            return Ok(());
        }
        Err(Problem::Broken(format!("mailhaul's last line does not say `{words}`:\n{}", self.stdout)))
    }
}
