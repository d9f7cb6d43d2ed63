//! What the running process allows the system to do with it.

use crate::harness::{Bench, finish, mailhaul};
use mailhaul_testing::dovecot::Dovecot;

#[test]
fn no_core_dump_can_hold_a_password() {
    let (source, target) = (Dovecot::start(), Dovecot::start());
    let bench = Bench::dovecots(&source, &target);
    let seen = bench.folder.path().join("limits");
    // The password command runs while the command waits for it, as its child.
    let command =
        format!("cat /proc/$PPID/comm /proc/$PPID/limits >'{}'; echo '{}'", seen.display(), source.password());
    let mut copy = mailhaul();
    copy.args(["copy", "--from", &bench.from, "--to", &bench.to, "--from-password-command", &command]);
    copy.args(["--to-password-command", &format!("echo '{}'", target.password()), "--state"]).arg(bench.state());
    let said = finish(copy);
    assert_eq!(said.code, 0, "{said:?}");
    let limits = std::fs::read_to_string(seen).expect("what the password command saw");
    assert!(limits.starts_with("mailhaul\n"), "{limits}");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    let values: Vec<&str> = core.split_whitespace().skip(4).collect();
    assert_eq!(values, ["0", "0", "bytes"], "{core}");
}
