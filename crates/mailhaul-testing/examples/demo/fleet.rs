//! The stage of the wave: two servers with thirty accounts each, the lines to them, and the files an operator has.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mailhaul_testing::many::{ManyAccounts, TwoServers};
use mailhaul_testing::proxy::{Direction, Event, Plan};
use mailhaul_testing::{Proxy, TestAuthority};
use tempfile::TempDir;

use crate::Problem;

/// How many accounts there are, and how many messages in each.
pub(crate) const ACCOUNTS: usize = 30;
/// Messages in each account.
pub(crate) const MAILS: usize = 20;

/// The account with a password in the list that is not its own.
pub(crate) const FORGETFUL: &str = "u0007";

/// One way.
const DELAY: Duration = Duration::from_millis(8);

/// Everything that has to run, and the folder in which the operator works.
pub(crate) struct Fleet {
    servers: TwoServers,
    source_line: Proxy,
    target_line: Proxy,
    folder: TempDir,
}

impl Fleet {
    /// Starts both servers, fills the old one, and writes the files that the operator has: a list, and the certificate of
    /// an authority.
    pub(crate) fn set_up() -> Result<Fleet, Problem> {
        let authority = Arc::new(TestAuthority::new());
        let servers = ManyAccounts::new(ACCOUNTS).mails(MAILS);
        let servers = servers.source(|server| server.tls(&authority)).target(|server| server.tls(&authority)).start();
        let line = |address: Option<_>| {
            let address = address.ok_or_else(|| Problem::Broken("a server without TLS".to_owned()))?;
            Ok(Proxy::with_plan(address, Plan::new().opaque().delay(DELAY, DELAY)))
        };
        let source_line = line(servers.source.tls_address())?;
        let target_line = line(servers.target.tls_address())?;
        let folder = TempDir::new().map_err(|error| Problem::broken("make a folder", error))?;
        let fleet = Fleet { servers, source_line, target_line, folder };
        fleet.write_files(&authority).map_err(|error| Problem::broken("write the list", error))?;
        Ok(fleet)
    }

    fn write_files(&self, authority: &TestAuthority) -> std::io::Result<()> {
        let password = &self.servers.account(FORGETFUL).source_password;
        let list = self.servers.csv().replace(&format!(",{password},"), ",a password of last year,");
        std::fs::write(self.folder().join("staff.csv"), list)?;
        std::fs::write(self.folder().join("right.password"), format!("{password}\n"))?;
        std::fs::copy(authority.ca_file(), self.folder().join("ca.pem")).map(drop)
    }

    /// Where list, certificate, state and key lie.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The two servers as an operator names them. Two names, because hosts are judged by name.
    pub(crate) fn urls(&self) -> (String, String) {
        let (old, new) = (self.source_line.address().port(), self.target_line.address().port());
        (format!("imaps://localhost:{old}"), format!("imaps://127.0.0.1:{new}"))
    }

    /// All octets of all messages.
    pub(crate) fn octets(&self) -> u64 {
        self.servers.accounts.iter().map(|account| crate::stage::octets(&self.servers.corpus(account))).sum()
    }

    /// Octets that went to the new server so far, TLS and all.
    pub(crate) fn octets_to_target(&self) -> u64 {
        self.target_line.statistics().bytes_to_server
    }

    /// Waits until so many octets went to the new server; false when they did not within this time.
    pub(crate) fn wait_for_octets_to_target(&self, octets: u64, at_most: Duration) -> bool {
        self.target_line.wait_at_most(&Event::Bytes(Direction::ToServer, octets), at_most)
    }

    /// The judge's words about all accounts, read from the disks of both servers.
    pub(crate) fn judge(&self) -> Result<String, Problem> {
        let judgement = self.servers.judge();
        if judgement.is_equal() {
            return Ok(judgement.to_string());
        }
        Err(Problem::broken("the judge", judgement))
    }
}
