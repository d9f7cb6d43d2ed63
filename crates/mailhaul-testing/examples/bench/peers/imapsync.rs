//! imapsync, where `--imapsync PATH` says where it is. In plain text only, and on a part of the mail: it waits for each
//! message.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::haul::{self, Cost};
use crate::raw::Account;

/// One pass over every mailbox.
pub(crate) fn run(program: &Path, folder: &Path, source: &Account, target: &Account) -> io::Result<Cost> {
    std::fs::create_dir_all(folder)?;
    let mut command = Command::new(program);
    for (side, account) in [("1", source), ("2", target)] {
        let mut option = |name: &str, value: &str| {
            command.arg(format!("--{name}{side}")).arg(value);
        };
        option("host", "127.0.0.1");
        option("port", &account.address.port().to_string());
        option("user", &account.user);
        option("password", &account.password);
        command.arg(format!("--nossl{side}")).arg(format!("--notls{side}"));
    }
    command.args(["--nolog", "--noreleasecheck", "--syncinternaldates", "--usecache", "--tmpdir"]).arg(folder);
    command.current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    let cost = haul::run(command, false)?;
    if cost.wall_secs.is_nan() { Err(io::Error::other("imapsync failed")) } else { Ok(cost) }
}
