//! One account between two servers that others use as well: with proxies of its own, and the state file that all share.

use crate::{Ended, mailhaul};
use mailhaul_testing::judge::{Account, Judgement, Rules, judge};
use mailhaul_testing::{Client, Dovecot, Proxy};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// One account, its proxies, and what the command needs for it.
#[derive(Debug)]
pub struct Lane {
    /// Its login at the source.
    pub source_user: String,
    /// Its login on the target.
    pub target_user: String,
    /// What the command takes for the source.
    pub source_proxy: Proxy,
    /// What the command takes for the target.
    pub target_proxy: Proxy,
    source: Account,
    target: Account,
    folder: PathBuf,
}

/// What the ledger says of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Messages that count as copied or found.
    pub settled: u64,
    /// Mailboxes of which messages may be in flight, each with its UIDs.
    pub in_flight: Vec<String>,
}

impl Lane {
    /// One account, with its state in this folder.
    ///
    /// # Panics
    /// When its password files cannot be written.
    #[must_use]
    pub fn new(source: &Dovecot, target: &Dovecot, users: (&str, &str), folder: &Path) -> Lane {
        for (name, server) in [("from", source), ("to", target)] {
            std::fs::write(folder.join(name), format!("{}\n", server.password())).expect("a password file");
        }
        Lane {
            source_user: users.0.to_owned(),
            target_user: users.1.to_owned(),
            source_proxy: Proxy::start(source.address()),
            target_proxy: Proxy::start(target.address()),
            source: Account::new(source.address(), users.0, source.password()),
            target: Account::new(target.address(), users.1, target.password()),
            folder: folder.to_owned(),
        }
    }

    /// The state file.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.join("state/mailhaul.db")
    }

    /// `mailhaul copy --json` through both proxies.
    ///
    /// # Panics
    /// When the command was not built.
    #[must_use]
    pub fn copy(&self, more: &[&str]) -> Command {
        let url = |user: &str, proxy: &Proxy| format!("imap://{user}@{}?tls=none", proxy.address());
        let mut command = mailhaul();
        command.args(["copy", "--json", "--copy-deleted-flag", "--timeout", "5"]);
        command.args(["--from", &url(&self.source_user, &self.source_proxy)]);
        command.args(["--to", &url(&self.target_user, &self.target_proxy)]);
        command.arg("--from-password-file").arg(self.folder.join("from"));
        command.arg("--to-password-file").arg(self.folder.join("to"));
        command.arg("--state").arg(self.state()).args(more);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts a copy.
    ///
    /// # Panics
    /// When the command cannot be started.
    #[must_use]
    pub fn start(&self, more: &[&str]) -> Child {
        self.copy(more).spawn().expect("it can be started")
    }

    /// Copies to the end.
    ///
    /// # Panics
    /// When the command cannot be started.
    #[must_use]
    pub fn run(&self, more: &[&str]) -> Ended {
        Ended::of(self.start(more))
    }

    /// What the judge says of the account on both servers.
    ///
    /// # Panics
    /// When a server cannot be read.
    #[must_use]
    pub fn judge(&self, rules: &Rules) -> Judgement {
        judge(&self.source, &self.target, rules).expect("both servers can be read")
    }

    /// A mail program at the source.
    ///
    /// # Panics
    /// When the server refuses the sign-in.
    #[must_use]
    pub fn at_source(&self) -> Client {
        self.source.sign_in().expect("the source lets its owner in")
    }

    /// APPEND commands that reached the target so far.
    #[must_use]
    pub fn appends(&self) -> u32 {
        self.target_proxy.statistics().count("APPEND")
    }

    /// Messages in all mailboxes of the target.
    ///
    /// # Panics
    /// When the server refuses something.
    #[must_use]
    pub fn on_target(&self) -> u64 {
        let mut client = self.target.sign_in().expect("the target lets its owner in");
        let mailboxes = client.list().expect("a list of mailboxes");
        let selectable = mailboxes.iter().filter(|mailbox| mailbox.is_selectable());
        selectable.map(|mailbox| u64::from(client.count(&mailbox.name).expect("a count"))).sum()
    }

    /// What `mailhaul report` says of this account; nothing if it does not know it yet.
    ///
    /// # Panics
    /// When the command cannot be started.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let mut command = mailhaul();
        command.args(["report", "--json", "--state"]).arg(self.state());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let said = Ended::of(command.spawn().expect("it can be started"));
        let ours = |pair: &&Value| {
            pair["source"].as_str().is_some_and(|source| source.contains(&self.source_user))
                && pair["target"].as_str().is_some_and(|target| target.contains(&self.target_user))
        };
        let pairs = said.json["pairs"].as_array().map(Vec::as_slice).unwrap_or_default();
        let Some(pair) = pairs.iter().find(ours) else { return Ledger::default() };
        let mut ledger = Ledger::default();
        for mailbox in pair["mailboxes"].as_array().into_iter().flatten() {
            let count = |name: &str| mailbox["settled"][name].as_u64().unwrap_or(0);
            ledger.settled += count("copied") + count("adopted");
            if let Some(uids) = mailbox["may_be_in_flight"].as_str() {
                ledger.in_flight.push(format!("{}: {uids}", mailbox["source"]));
            }
        }
        ledger
    }
}
