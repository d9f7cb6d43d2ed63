//! A fleet: many accounts between two Dovecots, each server behind a proxy, and a state file in which they are a wave.
//!
//! The two endpoints have different host names, as servers in earnest do: what one host shows is not held against the
//! other. Nothing here sleeps for a length of time that was guessed: [`until`] looks until something has happened.

use crate::harness::{Said, mailhaul};
use mailhaul_testing::many::{ManyAccounts, TestAccount, TwoServers};
use mailhaul_testing::proxy::Proxy;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The wave that every fleet is in.
pub(crate) const WAVE: &str = "staff";
/// How long anything may take before a test gives up on it. A busy machine is slow, not wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
/// How often [`until`] looks, at most. A look that takes long is made less often: it takes time from what it looks at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Looks at the queue often and makes pauses short, so that tests need not wait.
const QUICK: [&str; 4] = ["--poll-ms", "50", "--pause-percent", "1"];

/// Accounts in a wave, and everything that is needed to work on them.
pub(crate) struct Fleet {
    pub(crate) servers: TwoServers,
    pub(crate) source: Proxy,
    pub(crate) target: Proxy,
    folder: TempDir,
    /// Lists and password files: what a search for secrets must leave out.
    lists: TempDir,
}

/// One job, as `jobs --json` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) id: i64,
    pub(crate) account: String,
    pub(crate) kind: String,
    pub(crate) state: String,
    /// What it waits for.
    pub(crate) reason: Option<String>,
    /// In which way it failed.
    pub(crate) class: Option<String>,
    pub(crate) attempts: u64,
    pub(crate) attempts_charged: u64,
    pub(crate) crashes: u64,
    pub(crate) words: String,
}

/// A command at work in the background. Dropping it kills it.
pub(crate) struct Worker {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Fleet {
    /// Both servers with their mail, a state file with two endpoints, and all accounts imported.
    pub(crate) fn of(accounts: ManyAccounts) -> Self {
        let fleet = Self::without_endpoints(accounts);
        fleet.add_endpoints(&[]);
        fleet.import(&fleet.servers.csv(), &[]);
        fleet
    }

    /// Both servers with their mail, and a state file with nothing in it but its key.
    pub(crate) fn without_endpoints(accounts: ManyAccounts) -> Self {
        let servers = accounts.start();
        let source = Proxy::start(servers.source.address());
        let target = Proxy::start(servers.target.address());
        let folder = TempDir::new().expect("a temporary folder");
        let lists = TempDir::new().expect("a temporary folder");
        let fleet = Self { servers, source, target, folder, lists };
        fleet.done(&["init"]);
        fleet
    }

    /// `old` and `new`, with these options for both.
    pub(crate) fn add_endpoints(&self, options: &[&str]) {
        self.done(&[&["endpoint", "add", "old", &self.old_url()], options].concat());
        self.done(&[&["endpoint", "add", "new", &self.new_url()], options].concat());
    }

    pub(crate) fn old_url(&self) -> String {
        format!("imap://127.0.0.1:{}?tls=none", self.source.address().port())
    }

    pub(crate) fn new_url(&self) -> String {
        format!("imap://localhost:{}?tls=none", self.target.address().port())
    }

    /// Imports a list into the wave.
    pub(crate) fn import(&self, list: &str, options: &[&str]) -> Said {
        let file = self.list_file("accounts.csv", list);
        let file = file.to_str().expect("a path in plain letters");
        let ends = ["--from", "old", "--to", "new"];
        let ends: &[&str] = if options.contains(&"--from") { &[] } else { &ends };
        self.done(&[&["accounts", "import", file, "--wave", WAVE], ends, options].concat())
    }

    /// A file that may hold passwords.
    pub(crate) fn list_file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.lists.path().join(name);
        std::fs::write(&file, text).expect("a list");
        file
    }

    /// Everything that the commands leave behind is below this folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state/mailhaul.db")
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.folder.path().join("key/mailhaul.key")
    }

    pub(crate) fn account(&self, number: usize) -> &TestAccount {
        &self.servers.accounts[number - 1]
    }

    /// A command on this state, not started yet.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = mailhaul();
        command.args(words).arg("--state").arg(self.state()).arg("--key-file").arg(self.key_file());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn say(&self, words: &[&str]) -> Said {
        self.spawn(words).ended_within(PATIENCE)
    }

    /// Runs a command that must succeed.
    #[track_caller]
    pub(crate) fn done(&self, words: &[&str]) -> Said {
        let said = self.say(words);
        assert_eq!(said.code, 0, "{words:?}: {said:?}");
        said
    }

    /// What a command that must succeed says as JSON.
    #[track_caller]
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        self.done(&[words, &["--json"]].concat()).json()
    }

    /// Works on the wave until it has settled.
    pub(crate) fn run(&self, options: &[&str]) -> Said {
        self.start_run(options).ended_within(PATIENCE)
    }

    /// Works on the wave until everything is done.
    #[track_caller]
    pub(crate) fn run_completely(&self, options: &[&str]) {
        let said = self.run(options);
        assert_eq!(said.code, 0, "{said:?}\n{:#?}", self.unfinished());
    }

    /// Works on the wave in the background.
    pub(crate) fn start_run(&self, options: &[&str]) -> Worker {
        self.spawn(&[&["run", "--wave", WAVE], &QUICK[..], options].concat())
    }

    /// Serves in the background.
    pub(crate) fn start_serve(&self, options: &[&str]) -> Worker {
        self.spawn(&[&["serve"], &QUICK[..], options].concat())
    }

    /// Starts a command in the background.
    pub(crate) fn spawn(&self, words: &[&str]) -> Worker {
        static TURN: AtomicUsize = AtomicUsize::new(0);
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        let spoken = self.folder.path().join("spoken");
        std::fs::create_dir_all(&spoken).expect("a folder");
        let (stdout, stderr) = (spoken.join(format!("{turn}.out")), spoken.join(format!("{turn}.err")));
        let file = |path: &Path| Stdio::from(File::create(path).expect("a file for what is said"));
        let mut command = self.command(words);
        command.stdout(file(&stdout)).stderr(file(&stderr));
        Worker { child: command.spawn().expect("the command starts"), stdout, stderr }
    }

    /// All jobs that stand now: of each account and kind, the latest.
    pub(crate) fn jobs(&self) -> Vec<Job> {
        self.jobs_with(&[])
    }

    /// Jobs, chosen by options of `jobs`.
    pub(crate) fn jobs_with(&self, options: &[&str]) -> Vec<Job> {
        let listed = self.json(&[&["jobs"], options].concat());
        listed["jobs"].as_array().expect("jobs").iter().map(Job::read).collect()
    }

    /// The jobs in this state, or waiting for this.
    pub(crate) fn jobs_in(&self, state: &str) -> Vec<Job> {
        self.jobs().into_iter().filter(|job| job.state == state || job.reason.as_deref() == Some(state)).collect()
    }

    /// The jobs of the first copy, by account.
    pub(crate) fn copies(&self) -> BTreeMap<String, Job> {
        let jobs = self.jobs_with(&["--kind", "bulk"]);
        jobs.into_iter().map(|job| (job.account.clone(), job)).collect()
    }

    /// What is not done, for messages.
    pub(crate) fn unfinished(&self) -> Vec<Job> {
        self.jobs().into_iter().filter(|job| job.state != "done").collect()
    }

    /// Waits until the jobs are as wanted.
    #[track_caller]
    pub(crate) fn wait_for_jobs(&self, what: &str, at_most: Duration, holds: impl Fn(&[Job]) -> bool) {
        let (mut last, begun) = (Vec::new(), Instant::now());
        let came = until_in(at_most, || {
            last = self.jobs();
            holds(&last)
        });
        assert!(came, "{what}: not within {at_most:?}: {last:#?}");
        tell(&format!("{what}: after {:?}", begun.elapsed()));
    }

    /// Messages that were sent to the target so far.
    pub(crate) fn sent(&self) -> u32 {
        self.target.statistics().appended_messages
    }

    /// Every account is on the target exactly, no message is in flight, and a further pass sends nothing.
    #[track_caller]
    pub(crate) fn assert_exact(&self) {
        self.servers.judge().assert_equal();
        assert_eq!(self.in_flight(), Vec::<String>::new());
        let before = self.sent();
        self.run_completely(&["--kind", "resync"]);
        assert_eq!(self.sent(), before, "a pass with nothing to do sent mail");
    }

    /// Mailboxes of which the ledger says that messages may be in flight.
    pub(crate) fn in_flight(&self) -> Vec<String> {
        crate::records::in_flight(&self.state())
    }
}

impl Job {
    fn read(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let needed = |name: &str| text(name).unwrap_or_else(|| panic!("no {name}: {value}"));
        let number = |name: &str| value[name].as_u64().unwrap_or_else(|| panic!("no {name}: {value}"));
        Self {
            id: value["job"].as_i64().unwrap_or_else(|| panic!("no job: {value}")),
            account: needed("account"),
            kind: needed("kind"),
            state: needed("state"),
            reason: text("reason"),
            class: text("class"),
            attempts: number("attempts"),
            attempts_charged: number("attempts_charged"),
            crashes: number("crashes"),
            words: needed("words"),
        }
    }

    /// The state with what belongs to it: `waiting (quota)`, `failed (network)`.
    pub(crate) fn standing(&self) -> String {
        match (self.state.as_str(), &self.reason, &self.class) {
            ("waiting", Some(reason), _) => format!("waiting ({reason})"),
            ("failed", _, Some(class)) => format!("failed ({class})"),
            (state, ..) => state.to_owned(),
        }
    }
}

impl Worker {
    pub(crate) fn send(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("a process id");
        kill_process(Pid::from_raw(id).expect("a process id"), signal).expect("the process is there");
    }

    /// `kill -9`, and true if it was still at work.
    pub(crate) fn kill(&mut self) -> bool {
        let at_work = self.has_ended().is_none();
        drop(self.child.kill());
        self.child.wait().expect("it was started");
        at_work
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far beside its data.
    pub(crate) fn said_so_far(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Its exit status, if it has ended.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it was started")
    }

    /// Waits for its end, and returns what it said.
    #[track_caller]
    pub(crate) fn ended_within(&mut self, at_most: Duration) -> Said {
        let ended = until_in(at_most, || self.has_ended().is_some());
        let status = self.has_ended();
        let said = Said {
            code: status.and_then(|status| status.code()).unwrap_or(-1),
            stdout: std::fs::read_to_string(&self.stdout).unwrap_or_default(),
            stderr: std::fs::read_to_string(&self.stderr).unwrap_or_default(),
        };
        assert!(ended, "the command did not end within {at_most:?}: {said:?}");
        said
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn until(what: &str, at_most: Duration, holds: impl FnMut() -> bool) {
    assert!(until_in(at_most, holds), "{what}: not within {at_most:?}");
}

/// Whether something holds within this time.
pub(crate) fn until_in(at_most: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + at_most;
    loop {
        let looking = Instant::now();
        if holds() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(LOOK_EVERY.max(looking.elapsed() * 2));
    }
}

/// A small generator, so that a failure can be repeated from its seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Seen with `--nocapture`.
#[expect(clippy::print_stderr, reason = "how long something took is told, and not asserted")]
fn tell(words: &str) {
    eprintln!("{words}");
}
