//! Many accounts between two servers as a wave: the servers behind proxies, the list imported, ready to be worked on.

use crate::{Ended, mailhaul, process};
use mailhaul_testing::Proxy;
use mailhaul_testing::many::{ManyAccounts, TwoServers};
use mailhaul_testing::proxy::{Cut, Direction, Plan};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;

const NAME: &str = "staff";
/// Looks at the queue often, and makes pauses short.
const QUICK: [&str; 4] = ["--poll-ms", "50", "--pause-percent", "1"];

/// A wave.
#[derive(Debug)]
pub struct Wave {
    /// Both servers, their accounts, and the judge over all of them.
    pub servers: TwoServers,
    /// What the command takes for the source.
    pub source: Proxy,
    /// What the command takes for the target.
    pub target: Proxy,
    folder: TempDir,
}

/// A process at work on it. Dropping it kills it.
#[derive(Debug)]
pub struct Worker {
    /// The process.
    pub child: Child,
    stderr: PathBuf,
}

impl Wave {
    /// Both servers with their mail, a state file, and all accounts imported.
    ///
    /// # Panics
    /// When servers or commands refuse.
    #[must_use]
    pub fn of(accounts: ManyAccounts) -> Wave {
        let servers = accounts.start();
        let (source, target) = (Proxy::start(servers.source.address()), Proxy::start(servers.target.address()));
        let folder = TempDir::new().expect("a temporary folder");
        let wave = Wave { servers, source, target, folder };
        // Two host names, as servers in earnest have: what one host shows is not held against the other.
        let old = format!("imap://127.0.0.1:{}?tls=none", wave.source.address().port());
        let new = format!("imap://localhost:{}?tls=none", wave.target.address().port());
        let list = wave.folder.path().join("accounts.csv");
        std::fs::write(&list, wave.servers.csv()).expect("a list");
        let list = list.to_str().expect("a path in plain letters");
        wave.done(&["init"]);
        wave.done(&["endpoint", "add", "old", &old, "--max-connections", "100"]);
        wave.done(&["endpoint", "add", "new", &new, "--max-connections", "100"]);
        wave.done(&["accounts", "import", list, "--wave", NAME, "--from", "old", "--to", "new"]);
        wave
    }

    /// At most so many octets a second on each connection to the target.
    pub fn slow_down(&self, bytes_per_sec: u64) {
        self.target.set_plan(Plan::new().bandwidth(Direction::ToServer, bytes_per_sec));
    }

    /// At most so many octets a second on each connection from the source.
    pub fn slow_source_down(&self, bytes_per_sec: u64) {
        self.source.set_plan(Plan::new().bandwidth(Direction::ToClient, bytes_per_sec));
    }

    /// From now on as fast as it goes; connections that are slow end.
    pub fn hurry(&self) {
        for proxy in [&self.source, &self.target] {
            proxy.set_plan(Plan::new());
            proxy.cut_all(Cut::Rst);
        }
    }

    /// The state file.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state/mailhaul.db")
    }

    /// The folder that the state lies in.
    ///
    /// # Panics
    /// Never: a state file has a folder.
    #[must_use]
    pub fn state_folder(&self) -> PathBuf {
        self.state().parent().expect("it lies in a folder").to_owned()
    }

    /// A command on this state.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = mailhaul();
        command.args(words).arg("--state").arg(self.state());
        command.arg("--key-file").arg(self.folder.path().join("key/mailhaul.key"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn say(&self, words: &[&str]) -> Ended {
        Ended::of(self.command(words).spawn().expect("it can be started"))
    }

    fn done(&self, words: &[&str]) {
        let ended = self.say(words);
        assert_eq!(ended.code, 0, "{words:?}: {ended:?}");
    }

    /// `mailhaul run`, to be started.
    #[must_use]
    pub fn run_command(&self, options: &[&str]) -> Command {
        self.command(&[&["run", "--wave", NAME, "--json"], &QUICK[..], options].concat())
    }

    /// Starts a process that works on the wave; what it says goes to a file, so that nobody need listen.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(&self, mut command: Command) -> Worker {
        static TURN: AtomicUsize = AtomicUsize::new(0);
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        let stderr = self.folder.path().join(format!("{turn}.err"));
        let file = File::create(&stderr).expect("a file for what is said");
        command.stdout(Stdio::null()).stderr(file);
        Worker { child: command.spawn().expect("it can be started"), stderr }
    }

    /// Works on the wave until it has settled.
    #[must_use]
    pub fn run(&self, options: &[&str]) -> Ended {
        Ended::of(self.run_command(options).spawn().expect("it can be started"))
    }

    /// Whether some account is still to be copied, as `jobs` says; true as long as nothing was queued.
    #[must_use]
    pub fn is_at_work(&self) -> bool {
        let listed = self.say(&["jobs", "--json"]);
        let jobs = listed.json["jobs"].as_array().cloned().unwrap_or_default();
        jobs.is_empty() || jobs.iter().any(|job| job["state"] != "done")
    }

    /// Mailboxes of which the ledger says that messages may be in flight, and those of which it has settled another number
    /// than it says are there.
    #[must_use]
    pub fn in_flight(&self) -> Vec<String> {
        let report = self.say(&["report", "--json"]);
        let mut found = Vec::new();
        for pair in report.json["pairs"].as_array().into_iter().flatten() {
            for mailbox in pair["mailboxes"].as_array().into_iter().flatten() {
                if let Some(uids) = mailbox["may_be_in_flight"].as_str() {
                    found.push(format!("{}: {}: {uids}", pair["source"], mailbox["source"]));
                }
            }
        }
        found
    }

    /// Messages that the ledger has settled, in all accounts.
    #[must_use]
    pub fn settled(&self) -> u64 {
        let report = self.say(&["report", "--json"]);
        let pairs = report.json["pairs"].as_array().cloned().unwrap_or_default();
        let mailboxes = pairs.iter().flat_map(|pair| pair["mailboxes"].as_array().into_iter().flatten());
        let count = |mailbox: &Value, name: &str| mailbox["settled"][name].as_u64().unwrap_or(0);
        mailboxes.map(|mailbox| count(mailbox, "copied") + count(mailbox, "adopted")).sum()
    }

    /// How often a process lost the lease of a job to another, as `mailhaul log` says.
    #[must_use]
    pub fn leases_lost(&self) -> usize {
        let log_of = |account: &str| {
            let said = self.command(&["log", account, "--limit", "100000"]).output().expect("it can be started");
            String::from_utf8_lossy(&said.stdout).matches("did not renew its lease").count()
        };
        self.servers.accounts.iter().map(|account| log_of(&account.name)).sum()
    }

    /// Where lists and what was said lie.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Worker {
    /// Whether it has ended.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it was started").is_some()
    }

    /// What it has said so far.
    #[must_use]
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Its exit code, once it has ended within this time.
    #[must_use]
    pub fn code(&mut self, at_most: Duration) -> Option<i32> {
        process::wait_at_most(&mut self.child, at_most)?;
        let status = self.child.try_wait().expect("it was started");
        Some(status.and_then(|status| status.code()).unwrap_or(-1))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
