//! Disks that fail and clocks that jump, for a command that knows nothing of it.
//!
//! A small library in C (`shim.c`) stands between the command and the system's library: it makes the n-th write below a
//! folder fail, once or from then on, and moves the wall clock while the command runs. The compiler that links Rust
//! programs builds it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const SOURCE: &str = include_str!("shim.c");
/// Octets of the control file: seven numbers of eight octets, as in `shim.c`.
const CONTROL_BYTES: usize = 7 * 8;
/// Where the fields stand, in eighths.
const CLOCK: u64 = 0;
const WRITES: u64 = 1;
const FAIL_FROM: u64 = 2;
const FAIL_UNTIL: u64 = 3;
const ERROR: u64 = 4;
const TORN: u64 = 5;
const FAILED: u64 = 6;

/// The built library.
#[derive(Debug)]
pub struct Shim {
    folder: TempDir,
}

/// What one command is told by it.
#[derive(Debug)]
pub struct Control {
    library: PathBuf,
    file: PathBuf,
    open: File,
}

/// Which error a write meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// EIO.
    Broken,
    /// ENOSPC.
    Full,
    /// ENOSPC after half of it was written.
    Torn,
}

/// From the how-manyth write on, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing {
    /// What is seen.
    pub fault: Fault,
    /// The first write that fails, from 1.
    pub from: u64,
    /// Whether all later ones fail as well.
    pub for_ever: bool,
}

impl Shim {
    /// Builds the library.
    ///
    /// # Panics
    /// When there is no C compiler.
    #[must_use]
    pub fn build() -> Shim {
        let folder = TempDir::new().expect("a temporary folder");
        let source = folder.path().join("shim.c");
        std::fs::write(&source, SOURCE).expect("a file in a temporary folder");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-o"]).arg(folder.path().join("shim.so")).arg(&source);
        let output = compiler.arg("-ldl").output().expect("cc is there: Rust links with it");
        assert!(output.status.success(), "cc: {}", String::from_utf8_lossy(&output.stderr));
        Shim { folder }
    }

    /// A control of its own for one command or several; nothing fails yet.
    ///
    /// # Panics
    /// When its file cannot be made.
    #[must_use]
    pub fn control(&self) -> Control {
        let file = tempfile::Builder::new().prefix("control-").tempfile_in(self.folder.path());
        let (open, file) = file.and_then(|file| Ok(file.keep()?)).expect("a file in a temporary folder");
        open.write_all_at(&[0; CONTROL_BYTES], 0).expect("a small file");
        Control { library: self.folder.path().join("shim.so"), file, open }
    }
}

impl Control {
    /// Has a command run under it. Writes below this folder are those that count.
    pub fn rule(&self, command: &mut Command, below: &Path) {
        command.env("LD_PRELOAD", &self.library);
        command.env("MAILHAUL_SHIM_CONTROL", &self.file).env("MAILHAUL_SHIM_BELOW", below);
    }

    /// Makes writes fail, counted from now on.
    pub fn fail(&self, failing: Failing) {
        // Linux' numbers: EIO and ENOSPC.
        let (error, torn) = match failing.fault {
            Fault::Broken => (5, 0),
            Fault::Full => (28, 0),
            Fault::Torn => (28, 1),
        };
        self.set(WRITES, 0);
        self.set(FAILED, 0);
        self.set(ERROR, error);
        self.set(TORN, torn);
        let from = i64::try_from(failing.from).unwrap_or(i64::MAX);
        self.set(FAIL_UNTIL, if failing.for_ever { i64::MAX } else { from + 1 });
        self.set(FAIL_FROM, from);
    }

    /// The disk is well again.
    pub fn heal(&self) {
        self.set(FAIL_FROM, 0);
    }

    /// So many seconds are added to the wall clock, or taken from it.
    pub fn shift_clock(&self, secs: i64) {
        self.set(CLOCK, secs);
    }

    /// Writes that were counted.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.get(WRITES)
    }

    /// Writes that have failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.get(FAILED)
    }

    fn set(&self, field: u64, value: i64) {
        self.open.write_all_at(&value.to_ne_bytes(), field * 8).expect("a small file that is open");
    }

    fn get(&self, field: u64) -> u64 {
        let mut octets = [0; 8];
        self.open.read_exact_at(&mut octets, field * 8).expect("a small file that is open");
        u64::from_ne_bytes(octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_write_below_the_folder_fails_and_no_other() {
        let (shim, folder) = (Shim::build(), TempDir::new().expect("a temporary folder"));
        let control = shim.control();
        control.fail(Failing { fault: Fault::Full, from: 3, for_ever: false });
        let mut shell = Command::new("sh");
        shell.args(["-c", "for n in 1 2 3 4; do echo $n >\"$0/$n\" || echo no; done; cat \"$0\"/?"]).arg(folder.path());
        control.rule(&mut shell, folder.path());
        let output = shell.output().expect("there is a shell");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "no\n1\n2\n4\n");
        assert_eq!((control.writes(), control.failed()), (4, 1));
    }

    #[test]
    fn the_clock_of_a_command_is_another_one() {
        let shim = Shim::build();
        let control = shim.control();
        control.shift_clock(-50 * 365 * 86_400);
        let mut date = Command::new("date");
        date.arg("+%Y");
        control.rule(&mut date, Path::new("/nowhere"));
        let year = String::from_utf8_lossy(&date.output().expect("there is a date").stdout).trim().parse::<u32>();
        assert!(year.expect("a year") < 2_000);
    }
}
