//! Running the command in a test: two servers, a state file, and what the command said.

use mailhaul_testing::dovecot::Dovecot;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The user that every test copies.
pub(crate) const USER: &str = "alice";

/// A folder with a state file and password files, and the two ends of a copy.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) from: String,
    pub(crate) to: String,
    from_password: PathBuf,
    to_password: PathBuf,
}

/// What a finished command left behind.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Bench {
    /// Between two servers that speak plain text on loopback.
    pub(crate) fn between(
        source: SocketAddr,
        source_password: &str,
        target: SocketAddr,
        target_password: &str,
    ) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let secret = |name: &str, password: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("{password}\n")).expect("a password file");
            path
        };
        let from_password = secret("from", source_password);
        let to_password = secret("to", target_password);
        let url = |address: SocketAddr| format!("imap://{USER}@{address}?tls=none");
        Self { from: url(source), to: url(target), from_password, to_password, folder }
    }

    /// Between two Dovecots.
    pub(crate) fn dovecots(source: &Dovecot, target: &Dovecot) -> Self {
        Self::between(source.address(), source.password(), target.address(), target.password())
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state/mailhaul.db")
    }

    /// A command with both ends given, not started yet.
    pub(crate) fn command(&self, subcommand: &str, more: &[&str]) -> Command {
        let mut command = mailhaul();
        command.arg(subcommand).args(["--from", &self.from, "--to", &self.to]);
        command.arg("--from-password-file").arg(&self.from_password);
        command.arg("--to-password-file").arg(&self.to_password);
        if subcommand == "copy" {
            command.arg("--state").arg(self.state());
        }
        command.args(more);
        command
    }

    /// Runs a subcommand to its end.
    pub(crate) fn run(&self, subcommand: &str, more: &[&str]) -> Said {
        finish(self.command(subcommand, more))
    }

    /// Copies, and returns the JSON result after checking that it adds up and fits the exit code.
    pub(crate) fn copy(&self, more: &[&str]) -> (i32, Value) {
        let said = self.run("copy", &[&["--json"], more].concat());
        let json = said.json();
        let messages = json["messages"].as_object().expect("counts");
        let sum: u64 = messages.iter().filter(|(name, _)| *name != "source").filter_map(|(_, n)| n.as_u64()).sum();
        assert_eq!(Some(sum), json["messages"]["source"].as_u64(), "the counts do not add up: {json}");
        (said.code, json)
    }

    /// Copies everything and insists that it worked.
    pub(crate) fn copy_completely(&self, more: &[&str]) -> Value {
        let (code, json) = self.copy(more);
        assert_eq!((code, json["verdict"].as_str()), (0, Some("complete")), "{json:#}");
        json
    }

    /// Starts a copy in the background.
    pub(crate) fn start_copy(&self, more: &[&str]) -> Child {
        let mut command = self.command("copy", more);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the command starts")
    }
}

impl Said {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: code {} stdout {} stderr {}", self.code, self.stdout, self.stderr))
    }
}

/// The built command.
pub(crate) fn mailhaul() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailhaul"));
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn finish(mut command: Command) -> Said {
    let output = command.output().expect("the command starts");
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Every file below a folder, for looking for what must not be in it.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}
