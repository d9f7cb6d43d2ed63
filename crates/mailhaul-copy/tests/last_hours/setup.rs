//! Two servers, a state file, and a job between them.

use mailhaul_copy::{Account, AccountPair, CopyJob, Oversight, Progress, RetryExceptions, StopSwitch, copy_account};
use mailhaul_db::{Ledger, OpenOptions};
use mailhaul_imap::{Credentials, Dial, Endpoint, Timeouts, TlsMode, Trust};
use mailhaul_plan::mailboxes::MappingRules;
use mailhaul_plan::policy::ResyncPolicy;
use mailhaul_plan::selection::Selection;
use mailhaul_report::RunReport;
use mailhaul_testing::dovecot::{Dovecot, PASSWORD};
use mailhaul_testing::imap_client::{Client, Outgoing};
use mailhaul_types::Secret;
use std::net::SocketAddr;
use std::time::Duration;
use tempfile::TempDir;

const TIMEOUTS: Timeouts =
    Timeouts { connect: Duration::from_secs(5), control: Duration::from_secs(20), idle: Duration::from_secs(20) };

/// A state file in a folder of its own, and what is copied under it.
pub(crate) struct Stage {
    _folder: TempDir,
    pub(crate) ledger: Ledger,
    pub(crate) job: CopyJob,
}

impl Stage {
    pub(crate) async fn between(source: SocketAddr, target: SocketAddr) -> Self {
        let folder = TempDir::new().expect("a folder");
        let ledger = Ledger::open(&folder.path().join("state.db"), OpenOptions::default()).await.expect("opens");
        let job = CopyJob {
            accounts: AccountPair { source: account(source), target: account(target), timeouts: TIMEOUTS },
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
            resync: ResyncPolicy::default(),
        };
        Self { _folder: folder, ledger, job }
    }

    pub(crate) async fn copy(&self) -> RunReport {
        self.copy_with(self.job.resync.clone()).await
    }

    pub(crate) async fn copy_with(&self, resync: ResyncPolicy) -> RunReport {
        let job = CopyJob { resync, ..self.job.clone() };
        let (progress, (_switch, stop)) = (Progress::default(), StopSwitch::new());
        copy_account(&job, &self.ledger, &Oversight::none(&progress, &stop)).await
    }
}

fn account(address: SocketAddr) -> Account {
    let password = Secret::new(PASSWORD.as_bytes().to_vec());
    Account {
        endpoint: Endpoint {
            host: address.ip().to_string(),
            port: address.port(),
            tls: TlsMode::Plain,
            trust: Trust::System,
            dial: Dial::Tcp,
            compress: mailhaul_imap::Compress::Auto,
        },
        credentials: Credentials { user: "alice".to_owned(), password, authorization_identity: None },
        owner: None,
    }
}

pub(crate) fn client(dovecot: &Dovecot) -> Client {
    Client::sign_in(dovecot.address(), "alice", dovecot.password()).expect("signs in")
}

pub(crate) fn message(number: usize) -> Vec<u8> {
    format!("Message-ID: <{number}@last.example>\r\nSubject: {number}\r\n\r\nbody {number}\r\n").into_bytes()
}

/// Puts messages into a mailbox, numbered from `first` on.
pub(crate) fn deliver(dovecot: &Dovecot, mailbox: &str, first: usize, count: usize) {
    let mut client = client(dovecot);
    if mailbox != "INBOX" {
        // It may be there already.
        let _ = client.create(mailbox);
    }
    let messages: Vec<Vec<u8>> = (first..first + count).map(message).collect();
    let outgoing: Vec<Outgoing<'_>> =
        messages.iter().map(|octets| Outgoing { flags: &[], date: None, octets }).collect();
    for some in outgoing.chunks(200) {
        client.append_all(mailbox, some).expect("stored");
    }
    client.logout();
}
