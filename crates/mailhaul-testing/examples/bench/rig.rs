//! Two private Dovecots on a tmpfs, and accounts that come and go.

use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mailhaul_testing::{Dovecot, Store, TestAuthority};
use tempfile::TempDir;

use crate::haul::{Haul, Over};
use crate::mail::Mail;
use crate::raw::{self, Account};

/// The servers, the command, and a folder for what the command keeps.
pub(crate) struct Rig {
    pub(crate) source: Dovecot,
    pub(crate) target: Dovecot,
    pub(crate) haul: Haul,
    pub(crate) folder: TempDir,
    turn: Cell<u32>,
}

impl Rig {
    pub(crate) fn start() -> io::Result<Rig> {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let authority = Arc::new(TestAuthority::new());
        let server = || Dovecot::builder().store(Store::Sdbox).under(&place).tls(&authority).try_start();
        let (source, target) = (server()?, server()?);
        let folder = tempfile::Builder::new().prefix("mh-bench-").tempdir_in(&place)?;
        let ca_file: PathBuf = authority.ca_file();
        // The authority's files are wanted for as long as the servers run.
        std::fs::copy(&ca_file, folder.path().join("ca.pem"))?;
        let haul = Haul::find(folder.path(), source.password(), folder.path().join("ca.pem"))?;
        Ok(Rig { source, target, haul, folder, turn: Cell::new(0) })
    }

    /// An account of the source that holds these messages.
    pub(crate) fn filled(&self, user: &str, mails: &[Mail]) -> io::Result<Account> {
        let account = account(&self.source, user);
        raw::append(&account, &raw::compose(mails), false)?;
        // The first reading of a fresh mailbox is not what is measured.
        raw::drain(&account)?;
        Ok(account)
    }

    /// An account of the source that nobody has used yet.
    pub(crate) fn account_of_source(&self, user: &str) -> Account {
        account(&self.source, user)
    }

    /// An account of the target that nobody has used.
    pub(crate) fn fresh(&self) -> Account {
        self.turn.set(self.turn.get() + 1);
        account(&self.target, &format!("t{}", self.turn.get()))
    }

    /// Throws an account of the target away.
    pub(crate) fn discard(&self, account: &Account) {
        drop(std::fs::remove_dir_all(self.target.home(&account.user)));
    }

    /// The same account by the port that the product is to use.
    pub(crate) fn over(&self, account: &Account, dovecot: &Dovecot, over: Over) -> Account {
        let tls = dovecot.tls_address().filter(|_| over == Over::Tls);
        Account { address: tls.unwrap_or(account.address), ..account.clone() }
    }
}

fn account(dovecot: &Dovecot, user: &str) -> Account {
    Account { address: dovecot.address(), user: user.to_owned(), password: dovecot.password().to_owned() }
}
