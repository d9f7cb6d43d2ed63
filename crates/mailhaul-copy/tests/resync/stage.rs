//! Two servers, a proxy in front of the target, a state file, and runs between them.

use mailhaul_copy::{
    Account, AccountPair, CopyJob, Oversight, Progress, RetryExceptions, StopSwitch, Supervisor, Unsupervised,
    copy_account,
};
use mailhaul_db::{Ledger, OpenOptions};
use mailhaul_imap::{Credentials, Dial, Endpoint, Timeouts, TlsMode, Trust};
use mailhaul_plan::mailboxes::MappingRules;
use mailhaul_plan::policy::ResyncPolicy;
use mailhaul_plan::selection::Selection;
use mailhaul_report::{Changes, RunReport};
use mailhaul_testing::cyrus::Cyrus;
use mailhaul_testing::dovecot::{Dovecot, DovecotBuilder};
use mailhaul_testing::imap_client::{Client, Fetched};
use mailhaul_testing::judge::{self, Rules, assert_equal};
use mailhaul_testing::proxy::Proxy;
use mailhaul_types::Secret;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const USER: &str = "alice";

/// A server, whatever make it is.
pub(crate) enum Server {
    Dovecot(Box<Dovecot>),
    Cyrus(Box<Cyrus>),
}

impl Server {
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Dovecot(server) => server.address(),
            Self::Cyrus(server) => server.address(),
        }
    }

    pub(crate) fn password(&self) -> &str {
        match self {
            Self::Dovecot(server) => server.password(),
            Self::Cyrus(server) => server.password(),
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::sign_in(self.address(), USER, self.password()).expect("signs in")
    }

    fn account(&self) -> judge::Account {
        judge::Account::new(self.address(), USER, self.password())
    }
}

/// Everything that a test needs.
pub(crate) struct Stage {
    pub(crate) source: Server,
    pub(crate) target: Server,
    /// In front of the target.
    pub(crate) proxy: Proxy,
    pub(crate) folder: tempfile::TempDir,
}

/// Somebody who does not want a run to connect again by itself: the nearest thing to a process that dies.
struct Impatient;

impl Supervisor for Impatient {
    fn reconnects(&self) -> usize {
        0
    }
}

impl Stage {
    /// Between two Dovecots.
    pub(crate) fn new(target: DovecotBuilder) -> Self {
        Self::between(Server::Dovecot(Box::new(Dovecot::start())), Server::Dovecot(Box::new(target.start())))
    }

    pub(crate) fn between(source: Server, target: Server) -> Self {
        let proxy = Proxy::start(target.address());
        let folder = tempfile::TempDir::new().expect("a folder");
        Self { source, target, proxy, folder }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state/mailhaul.db")
    }

    pub(crate) fn job(&self, resync: ResyncPolicy) -> CopyJob {
        let account = |address: SocketAddr, password: &str| Account {
            endpoint: Endpoint {
                host: address.ip().to_string(),
                port: address.port(),
                tls: TlsMode::Plain,
                trust: Trust::System,
                dial: Dial::Tcp,
                compress: mailhaul_imap::Compress::Auto,
            },
            credentials: Credentials {
                user: USER.to_owned(),
                password: Secret::new(password.as_bytes().to_vec()),
                authorization_identity: None,
            },
            owner: None,
        };
        let source = account(self.source.address(), self.source.password());
        let target = account(self.proxy.address(), self.target.password());
        let patience = Duration::from_secs(10);
        let timeouts = Timeouts { connect: patience, control: patience, idle: patience };
        CopyJob {
            accounts: AccountPair { source, target, timeouts },
            rules: MappingRules::default(),
            selection: Selection::default(),
            retry_exceptions: RetryExceptions::Nowhere,
            remap: false,
            accept_target_change: false,
            accept_mass_absence: false,
            copy_deleted_flag: false,
            connections: mailhaul_copy::Connections::default(),
            batches: mailhaul_plan::batches::BatchLimits::default(),
            recognise_only: false,
            resync,
        }
    }

    /// One run, however it ends.
    pub(crate) async fn run(&self, resync: ResyncPolicy) -> RunReport {
        self.run_job(&self.job(resync), Arc::new(Unsupervised)).await
    }

    /// One run that ends with the first connection that breaks.
    pub(crate) async fn run_until_it_breaks(&self, resync: ResyncPolicy) -> RunReport {
        self.run_job(&self.job(resync), Arc::new(Impatient)).await
    }

    /// One run of this job, with somebody who looks over its shoulder.
    pub(crate) async fn run_job(&self, job: &CopyJob, supervisor: Arc<dyn Supervisor>) -> RunReport {
        let ledger = Ledger::open(&self.state(), OpenOptions::default()).await.expect("a state file");
        let (progress, (_switch, stop)) = (Progress::default(), StopSwitch::new());
        let mut oversight = Oversight::none(&progress, &stop);
        oversight.supervisor = supervisor;
        let report = copy_account(job, &ledger, &oversight).await;
        ledger.close().await.expect("closed");
        report
    }

    /// A run that must come to its end, with the changes that it made.
    pub(crate) async fn sync(&self, resync: ResyncPolicy) -> Changes {
        let report = self.run(resync).await;
        assert!(report.is_complete_or_tells_why().is_ok(), "{}", report.to_text());
        report.changes()
    }

    /// The first copy, or a pass of which nothing is asked but that it comes to its end.
    pub(crate) async fn copy(&self) -> Changes {
        self.sync(ResyncPolicy::default()).await
    }

    /// Both accounts hold the same, and another run sends nothing that writes.
    pub(crate) async fn assert_exact(&self) {
        self.assert_equal();
        let before = self.proxy.statistics();
        self.copy().await;
        let since = self.proxy.statistics().since(&before);
        let writing = ["APPEND", "UID MOVE", "UID COPY", "UID STORE", "UID EXPUNGE", "EXPUNGE"];
        assert_eq!(since.count_of(&writing), 0, "a run with nothing to do wrote");
    }

    #[track_caller]
    pub(crate) fn assert_equal(&self) {
        assert_equal(&self.source.account(), &self.target.account(), &Rules::new());
    }

    /// Commands of this name that the target has had so far.
    pub(crate) fn count(&self, command: &str) -> u32 {
        self.proxy.statistics().count(command)
    }

    /// Keeps the state as it is now, to be put back later.
    pub(crate) fn remember_state(&self) {
        copy_folder(&self.folder.path().join("state"), &self.folder.path().join("remembered"));
    }

    pub(crate) fn put_state_back(&self) {
        std::fs::remove_dir_all(self.folder.path().join("state")).expect("removed");
        copy_folder(&self.folder.path().join("remembered"), &self.folder.path().join("state"));
    }
}

/// The one thing that a test wants to know of a report that should be good.
trait Good {
    fn is_complete_or_tells_why(&self) -> Result<(), String>;
}

impl Good for RunReport {
    fn is_complete_or_tells_why(&self) -> Result<(), String> {
        match self.verdict() {
            mailhaul_report::Verdict::Complete => Ok(()),
            other => Err(format!("{other:?}")),
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten().filter(|entry| entry.path().is_file()) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

/// A mail of its own for each number.
pub(crate) fn mail(number: u32) -> String {
    mail_with(number, "as it was")
}

/// The same header fields with another body: a draft that was edited.
pub(crate) fn mail_with(number: u32, body: &str) -> String {
    format!(
        "From: a@example.org\r\nTo: b@example.org\r\nDate: Sun, 09 Sep 2001 01:46:40 +0000\r\nMessage-ID: \
         <{number}@moves>\r\nSubject: {number}\r\n\r\n{number} {body}\r\n"
    )
}

pub(crate) const DATE: &str = "09-Sep-2001 01:46:40 +0000";

/// Appends mails with these numbers; creates the mailbox if it is not there.
pub(crate) fn fill(server: &Server, mailbox: &str, numbers: impl IntoIterator<Item = u32>) {
    let mut client = server.client();
    if client.select(mailbox).is_err() {
        client.create(mailbox).expect("created");
    }
    for number in numbers {
        client.append(mailbox, &[], Some(DATE), mail(number).as_bytes()).expect("stored");
    }
    client.logout();
}

/// Moves messages on a server, as its owner does.
pub(crate) fn moves(server: &Server, from: &str, uids: &str, to: &str) {
    let mut client = server.client();
    client.select(from).expect("selected");
    client.move_to(uids, to).expect("moved");
    client.logout();
}

/// Removes messages on a server.
pub(crate) fn removes(server: &Server, mailbox: &str, uids: &str) {
    let mut client = server.client();
    client.select(mailbox).expect("selected");
    client.uid_expunge(uids).expect("expunged");
    client.logout();
}

/// Changes flags on a server.
pub(crate) fn flags(server: &Server, mailbox: &str, uids: &str, action: &str, flags: &[&str]) {
    let mut client = server.client();
    client.select(mailbox).expect("selected");
    client.store(uids, action, flags).expect("stored");
    client.logout();
}

/// What is in a mailbox.
pub(crate) fn contents(server: &Server, mailbox: &str) -> Vec<Fetched> {
    let mut client = server.client();
    client.examine(mailbox).expect("opened");
    let found = client.fetch_all().expect("read");
    client.logout();
    found
}

/// The subjects in a mailbox, which are numbers.
pub(crate) fn numbers(server: &Server, mailbox: &str) -> Vec<u32> {
    let mut found: Vec<u32> = contents(server, mailbox).iter().map(number_of).collect();
    found.sort_unstable();
    found
}

pub(crate) fn number_of(message: &Fetched) -> u32 {
    let text = String::from_utf8_lossy(&message.octets);
    let subject = text.lines().find_map(|line| line.strip_prefix("Subject: ")).expect("a subject");
    subject.parse().expect("a number")
}
