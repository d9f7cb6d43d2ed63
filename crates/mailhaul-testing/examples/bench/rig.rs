//! Two private Dovecots on a tmpfs, the command, and accounts that come and go.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mailhaul_testing::{Cyrus, Dovecot, DovecotBuilder, Store, TestAuthority};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;

use crate::haul::Haul;
use crate::mail::Mail;
use crate::raw::{self, Account, Composed, Letters};

/// A server that mail is copied from or to.
pub(crate) enum Server {
    Dovecot(Box<Dovecot>),
    Cyrus(Box<Cyrus>),
}

impl Server {
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Server::Dovecot(dovecot) => dovecot.address(),
            Server::Cyrus(cyrus) => cyrus.address(),
        }
    }

    pub(crate) fn tls_address(&self) -> Option<SocketAddr> {
        match self {
            Server::Dovecot(dovecot) => dovecot.tls_address(),
            Server::Cyrus(_) => None,
        }
    }

    /// Removes what an account holds, where that can be done from outside.
    pub(crate) fn discard(&self, user: &str) {
        if let Server::Dovecot(dovecot) = self {
            drop(std::fs::remove_dir_all(dovecot.home(user)));
        }
    }
}

/// An account of the source and what is in it.
pub(crate) struct Stock {
    pub(crate) account: Account,
    pub(crate) letters: Vec<Letters>,
}

impl Stock {
    pub(crate) fn messages(&self) -> u64 {
        self.letters.iter().map(Letters::messages).sum()
    }
}

/// The servers, the command, and a folder for what the command keeps.
pub(crate) struct Rig {
    pub(crate) source: Server,
    pub(crate) target: Server,
    pub(crate) haul: Haul,
    pub(crate) connector: TlsConnector,
    pub(crate) folder: TempDir,
    authority: Arc<TestAuthority>,
    password: String,
    turn: AtomicU32,
}

impl Rig {
    /// With mail and state in this folder.
    pub(crate) fn start_in(place: &Path, change: impl Fn(DovecotBuilder) -> DovecotBuilder) -> io::Result<Rig> {
        let authority = Arc::new(TestAuthority::new());
        let server = || change(Dovecot::builder().store(Store::Sdbox).under(place).tls(&authority)).try_start();
        let (source, target) = (server()?, server()?);
        let folder = tempfile::Builder::new().prefix("mh-bench-").tempdir_in(place)?;
        let ca_file: PathBuf = authority.ca_file();
        let password = source.password().to_owned();
        let haul = Haul::find(folder.path(), &password, ca_file.clone())?;
        let connector = raw::connector(&ca_file)?;
        let (source, target) = (Server::Dovecot(Box::new(source)), Server::Dovecot(Box::new(target)));
        Ok(Rig { source, target, haul, connector, folder, authority, password, turn: AtomicU32::new(0) })
    }

    /// With mail and state in memory.
    pub(crate) fn start() -> io::Result<Rig> {
        Rig::start_in(&in_memory(), |builder| builder)
    }

    /// Another target, in the same place and under the same authority.
    pub(crate) fn another(&self, change: impl FnOnce(DovecotBuilder) -> DovecotBuilder) -> io::Result<Server> {
        let builder = Dovecot::builder().store(Store::Sdbox).under(self.folder.path()).tls(&self.authority);
        Ok(Server::Dovecot(Box::new(change(builder).try_start()?)))
    }

    /// An account of the source that holds these messages in INBOX.
    pub(crate) fn filled(&self, user: &str, mails: &[Mail]) -> io::Result<Stock> {
        self.filled_with(user, [("INBOX".to_owned(), mails.iter().collect())])
    }

    /// An account of the source with these mailboxes.
    pub(crate) fn filled_with<'a>(
        &self,
        user: &str,
        mailboxes: impl IntoIterator<Item = (String, Vec<&'a Mail>)>,
    ) -> io::Result<Stock> {
        let account = self.account(&self.source, user);
        let (mut composed, mut letters) = (Composed::empty(), Vec::new());
        for (mailbox, mails) in mailboxes {
            if mailbox != "INBOX" {
                composed.create(&mailbox);
            }
            let sizes = mails.iter().map(|mail| mail.octets.len()).collect();
            composed.add(&mailbox, mails.into_iter());
            letters.push(Letters { mailbox, sizes });
        }
        raw::append(&account, &composed, false)?;
        // The first reading of a fresh mailbox is not what is measured.
        raw::drain(&account, letters.iter().map(|letters| letters.mailbox.as_str()))?;
        Ok(Stock { account, letters })
    }

    /// An account of a server, in plain text.
    pub(crate) fn account(&self, server: &Server, user: &str) -> Account {
        Account { address: server.address(), user: user.to_owned(), password: self.password.clone(), tls: None }
    }

    /// The name of an account that nobody has used.
    pub(crate) fn fresh_user(&self) -> String {
        format!("t{}", self.turn.fetch_add(1, Ordering::Relaxed))
    }

    /// Throws an account of the source away.
    pub(crate) fn forget(&self, stock: &Stock) {
        self.source.discard(&stock.account.user);
    }
}

/// A tmpfs where there is one.
pub(crate) fn in_memory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}
