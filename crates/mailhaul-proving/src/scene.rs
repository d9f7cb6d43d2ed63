//! Two real servers, each behind a proxy, and the command that copies between them.

use crate::mailhaul;
use mailhaul_testing::judge::{Account, Judgement, Rules, judge};
use mailhaul_testing::{Dovecot, DovecotBuilder, Proxy};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Servers, proxies, a folder for the state, and password files.
#[derive(Debug)]
pub struct Scene {
    /// Where the mail comes from.
    pub source: Dovecot,
    /// Where it goes.
    pub target: Dovecot,
    /// What the command takes for the source.
    pub source_proxy: Proxy,
    /// What the command takes for the target.
    pub target_proxy: Proxy,
    folder: TempDir,
}

/// What a command left behind when it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// What it said on stdout, as JSON; null if that was none.
    pub json: Value,
    /// What it said on stderr.
    pub stderr: String,
}

impl Scene {
    /// Between two Dovecots as Debian has them.
    ///
    /// # Panics
    /// When the servers cannot be started: `make servers` installs them.
    #[must_use]
    pub fn start() -> Scene {
        Scene::build(Dovecot::builder(), Dovecot::builder())
    }

    /// Between two Dovecots of one's own making.
    ///
    /// # Panics
    /// As [`Scene::start`].
    #[must_use]
    pub fn build(source: DovecotBuilder, target: DovecotBuilder) -> Scene {
        let (source, target) = (source.start(), target.start());
        let (source_proxy, target_proxy) = (Proxy::start(source.address()), Proxy::start(target.address()));
        let folder = TempDir::new().expect("a temporary folder");
        for (name, server) in [("from", &source), ("to", &target)] {
            std::fs::write(folder.path().join(name), format!("{}\n", server.password())).expect("a password file");
        }
        Scene { source, target, source_proxy, target_proxy, folder }
    }

    /// The folder that the state lies in, beside password files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The state file.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state/mailhaul.db")
    }

    /// `mailhaul copy --json` for one user, through both proxies.
    ///
    /// # Panics
    /// When the command was not built.
    #[must_use]
    pub fn copy(&self, user: &str, more: &[&str]) -> Command {
        self.command(&["copy"], user, more)
    }

    /// A subcommand that takes both ends of one user, with `--json`, through both proxies.
    ///
    /// # Panics
    /// When the command was not built.
    #[must_use]
    pub fn command(&self, subcommand: &[&str], user: &str, more: &[&str]) -> Command {
        let url = |proxy: &Proxy| format!("imap://{user}@{}?tls=none", proxy.address());
        let mut command = mailhaul();
        command.args(subcommand);
        command.args(["--json", "--from", &url(&self.source_proxy), "--to", &url(&self.target_proxy)]);
        command.arg("--from-password-file").arg(self.folder.path().join("from"));
        command.arg("--to-password-file").arg(self.folder.path().join("to"));
        command.arg("--state").arg(self.state()).args(["--timeout", "5"]).args(more);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs `mailhaul copy` for one user to its end.
    ///
    /// # Panics
    /// When the command cannot be started.
    #[must_use]
    pub fn run(&self, user: &str, more: &[&str]) -> Ended {
        Ended::of(self.copy(user, more).spawn().expect("it can be started"))
    }

    /// What the judge says of one user's mail on both servers.
    ///
    /// # Panics
    /// When a server cannot be read.
    #[must_use]
    pub fn judge(&self, user: &str, rules: &Rules) -> Judgement {
        let account = |server: &Dovecot| Account::new(server.address(), user, server.password());
        judge(&account(&self.source), &account(&self.target), rules).expect("both servers can be read")
    }

    /// APPEND commands that reached the target so far.
    #[must_use]
    pub fn appends(&self) -> u32 {
        self.target_proxy.statistics().count("APPEND")
    }
}

impl Ended {
    /// Waits for a command that was started.
    ///
    /// # Panics
    /// When it cannot be waited for.
    #[must_use]
    pub fn of(child: Child) -> Ended {
        let output = child.wait_with_output().expect("it was started");
        Ended {
            code: output.status.code().unwrap_or(-1),
            json: serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Whether everything was copied and accounted for.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.code == 0 && self.json["verdict"] == "complete"
    }
}
