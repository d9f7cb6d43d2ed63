//! mbsync (Debian's `isync`), set up as its manual advises for a copy in one direction: `Sync Pull`, no maximum size,
//! pipelining as deep as it goes, state in a folder of its own.

use std::io;
use std::path::Path;
use std::process::Command;

use crate::haul::{self, Cost};
use crate::raw::Account;

/// Whether it is there.
pub(crate) fn is_there() -> bool {
    Command::new("mbsync").arg("--version").output().is_ok()
}

/// One pass over every mailbox, with what it remembers in this folder.
pub(crate) fn run(folder: &Path, source: &Account, target: &Account, ca_file: &Path) -> io::Result<Cost> {
    let cost = haul::run(command(folder, source, target, ca_file)?, false)?;
    if cost.wall_secs.is_nan() { Err(io::Error::other("mbsync failed")) } else { Ok(cost) }
}

/// The same, to be started by the caller.
pub(crate) fn command(folder: &Path, source: &Account, target: &Account, ca_file: &Path) -> io::Result<Command> {
    std::fs::create_dir_all(folder)?;
    let store = |name: &str, account: &Account| {
        let Account { address, user, password, tls } = account;
        let (host, security) = match tls {
            None => ("127.0.0.1", "SSLType None".to_owned()),
            // It looks for names alone in a certificate, and for no address.
            Some(_) => {
                ("localhost", format!("SSLType IMAPS\nSystemCertificates no\nCertificateFile {}", ca_file.display()))
            }
        };
        format!(
            "IMAPAccount {name}\nHost {host}\nPort {}\nUser {user}\nPass {password}\n{security}\n\
             AuthMechs LOGIN\n\nIMAPStore {name}\nAccount {name}\n\n",
            address.port()
        )
    };
    let channel = format!(
        "Channel all\nFar :far:\nNear :near:\nPattern *\nCreate Near\nSync Pull New Flags\n\
         CopyArrivalDate yes\nSyncState {}/\n",
        folder.display()
    );
    let file = folder.join("mbsyncrc");
    std::fs::write(&file, store("far", source) + &store("near", target) + &channel)?;
    let mut command = Command::new("mbsync");
    command.arg("-c").arg(&file).args(["-q", "-q", "all"]);
    Ok(command)
}
