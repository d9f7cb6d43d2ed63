//! The tools, each as its manual has it for a copy from one IMAP server to another.

use super::Figures;
use crate::Scene;
use mailhaul_testing::Client;
use mailhaul_testing::judge::{Account, Difference, Rules, Snapshot, compare};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The user on both sides.
const USER: &str = "alice";
/// mbsync marks each message that it stores with a header line of this name. It is taken away before anything is compared,
/// for both tools.
const MARK: &str = "X-TUID";
/// How often a tool is started again after an error: lost connections are its business, lost patience ours.
const TRIES: u32 = 3;

/// A program that copies mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// The built command.
    Mailhaul,
    /// Debian's isync.
    Mbsync,
}

impl Tool {
    /// Both.
    pub const ALL: [Tool; 2] = [Tool::Mailhaul, Tool::Mbsync];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Tool::Mailhaul => "mailhaul",
            Tool::Mbsync => "mbsync",
        }
    }

    /// What it says of its version; none if it is not installed.
    #[must_use]
    pub fn version(self) -> Option<String> {
        let mut command = match self {
            Tool::Mailhaul => crate::mailhaul(),
            Tool::Mbsync => Command::new("mbsync"),
        };
        let output = command.arg("--version").output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned())
    }
}

/// One tool between two servers of its own.
#[derive(Debug)]
pub struct Bench {
    /// The servers.
    pub scene: Scene,
    tool: Tool,
}

impl Bench {
    /// Two new servers.
    ///
    /// # Panics
    /// When they cannot be started.
    #[must_use]
    pub fn start(tool: Tool) -> Bench {
        let scene = Scene::start();
        let bench = Bench { scene, tool };
        if tool == Tool::Mbsync {
            std::fs::create_dir(bench.state()).expect("a folder for its state");
            std::fs::write(bench.configuration(), bench.mbsync_configuration()).expect("its configuration");
        }
        bench
    }

    fn configuration(&self) -> PathBuf {
        self.scene.folder().join("mbsyncrc")
    }

    /// As its manual advises: nothing is expunged, dates come along, mailboxes are made. It only pulls, since the target is
    /// nobody's source.
    fn mbsync_configuration(&self) -> String {
        let scene = &self.scene;
        let account = |name: &str, port: u16, password: &str| {
            format!(
                "IMAPAccount {name}\nHost 127.0.0.1\nPort {port}\nUser {USER}\nPass {password}\nSSLType None\n\
                 AuthMechs LOGIN\nTimeout 5\n\nIMAPStore {name}\nAccount {name}\n\n"
            )
        };
        let source = account("source", scene.source_proxy.address().port(), scene.source.password());
        let target = account("target", scene.target_proxy.address().port(), scene.target.password());
        format!(
            "{source}{target}Channel copy\nFar :source:\nNear :target:\nPatterns *\nSync Pull\nCreate Near\n\
             Expunge None\nCopyArrivalDate yes\nSyncState {}/\n",
            self.state().display()
        )
    }

    /// The folder in which the tool remembers what it has done.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        match self.tool {
            Tool::Mailhaul => self.scene.folder().join("state"),
            Tool::Mbsync => self.scene.folder().join("mbsync"),
        }
    }

    /// One run, not started yet.
    #[must_use]
    pub fn command(&self) -> Command {
        match self.tool {
            Tool::Mailhaul => self.scene.copy(USER, &[]),
            Tool::Mbsync => {
                let mut command = Command::new("mbsync");
                command.arg("-c").arg(self.configuration()).arg("-a").env("HOME", self.scene.folder());
                command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
                command
            }
        }
    }

    /// Runs until it ends without an error, a few times at most; whether it did.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn run(&self) -> bool {
        (0..TRIES).any(|_| self.command().output().expect("the tool can be started").status.success())
    }

    /// The user at the source.
    ///
    /// # Panics
    /// When the server does not let him in.
    #[must_use]
    pub fn user(&self) -> Client {
        Client::sign_in(self.scene.source.address(), USER, self.scene.source.password())
            .expect("the source lets him in")
    }

    /// Runs to the end and compares. `kept`: what was deleted at the source stays on the target, as both tools are asked to.
    ///
    /// # Panics
    /// When a server cannot be read.
    #[must_use]
    pub fn conclude(&self, kept: bool) -> Figures {
        let ended = self.run();
        let take = |server: &mailhaul_testing::Dovecot| {
            let account = Account::new(server.address(), USER, server.password());
            Snapshot::take_without_header(&account, MARK).expect("the server can be read")
        };
        let rules = if kept { Rules::new().allow_extra("*", "nothing is deleted on the target") } else { Rules::new() };
        let judgement = compare(&take(&self.scene.source), &take(&self.scene.target), &rules);
        let count = |kind: fn(&Difference) -> bool| judgement.count(kind) as u64;
        let before = self.scene.appends();
        let again = self.run();
        let sent_again = self.scene.appends() > before;
        let exact = ended && again && judgement.is_equal() && !sent_again;
        Figures {
            runs: 1,
            exact: u64::from(exact),
            refused: u64::from(!ended),
            lost: if ended { judgement.lost() as u64 } else { 0 },
            doubled: count(|difference| matches!(difference, Difference::Doubled(_))),
            altered: judgement.altered() as u64,
            sent_again: u64::from(sent_again),
        }
    }
}
