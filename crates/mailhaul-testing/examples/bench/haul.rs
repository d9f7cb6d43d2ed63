//! Running the product as an operator does, and what it cost.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::raw::Account;

/// `USER_HZ`: the unit of times in /proc, the same on every Linux that Debian ships.
const TICKS_PER_SEC: f64 = 100.0;
const MEMORY_LOOK: Duration = Duration::from_millis(4);

/// The built command and what it needs beside the accounts.
pub(crate) struct Haul {
    program: PathBuf,
    folder: PathBuf,
    password_file: PathBuf,
    ca_file: PathBuf,
}

/// One run's price.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) wall_secs: f64,
    /// User and system time of the process.
    pub(crate) cpu_secs: f64,
    /// VmHWM; 0 when nobody looked.
    pub(crate) peak_kib: u64,
}

impl Cost {
    /// The peak in MiB.
    pub(crate) fn peak_mib(&self) -> f64 {
        f64::from(u32::try_from(self.peak_kib).unwrap_or(u32::MAX)) / 1024.0
    }
}

/// How both servers are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    PlainText,
    Tls,
}

impl Over {
    /// In the names of figures.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Over::PlainText => "plain",
            Over::Tls => "TLS",
        }
    }
}

/// One account to be copied.
#[derive(Clone, Copy)]
pub(crate) struct Copying<'a> {
    pub(crate) source: &'a Account,
    pub(crate) target: &'a Account,
    /// The name of a folder for the state.
    pub(crate) state: &'a str,
    /// How many messages must be copied.
    pub(crate) copied: u64,
    /// Whether the memory is looked at from time to time, which costs a little.
    pub(crate) watch: bool,
    /// The words of a command that runs the product under itself, such as a profiler.
    pub(crate) under: &'a [&'a str],
}

impl Haul {
    /// Looks for the command beside this program: `target/release/mailhaul`.
    pub(crate) fn find(folder: &Path, password: &str, ca_file: PathBuf) -> io::Result<Haul> {
        let here = std::env::current_exe()?;
        let program = here.parent().and_then(Path::parent).unwrap_or(Path::new(".")).join("mailhaul");
        if !program.exists() {
            let hint = format!("{} is not there: build it first (`make bench` does)", program.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, hint));
        }
        let password_file = folder.join("password");
        fs::write(&password_file, format!("{password}\n"))?;
        Ok(Haul { program, folder: folder.to_owned(), password_file, ca_file })
    }

    /// Copies one account, and makes sure that all of it was copied or, with `copied` 0, that nothing was left to copy.
    pub(crate) fn copy(&self, copying: &Copying<'_>) -> io::Result<Cost> {
        let copied = copying.copied;
        let (cost, said) = self.run_copy(copying, &[])?;
        if !said.contains("\"verdict\":\"complete\"") || !said.contains(&format!("\"copied\":{copied},")) {
            let errors = fs::read_to_string(self.folder.join("stderr"))?;
            return Err(io::Error::other(format!("mailhaul did not copy {copied} messages: {said}\n{errors}")));
        }
        Ok(cost)
    }

    /// How many seconds a dry run foretells: most likely, at least, at most.
    pub(crate) fn estimate(&self, copying: &Copying<'_>) -> io::Result<[f64; 3]> {
        let (_, said) = self.run_copy(copying, &["--dry-run"])?;
        let told = said.split_once("\"estimate\":{").map_or("", |(_, told)| told);
        let figure = |name: &str| {
            let (_, rest) = told.split_once(&format!("\"{name}\":"))?;
            rest.split([',', '}']).next()?.parse().ok()
        };
        let figures = (figure("seconds"), figure("least_seconds"), figure("most_seconds"));
        let (Some(seconds), Some(least), Some(most)) = figures else {
            return Err(io::Error::other(format!("a dry run foretells nothing: {said}")));
        };
        Ok([seconds, least, most])
    }

    /// Runs `copy` with more options; what it cost, and what it said without blanks.
    fn run_copy(&self, copying: &Copying<'_>, more: &[&str]) -> io::Result<(Cost, String)> {
        let Copying { source, target, state, watch, under, .. } = *copying;
        let state = self.folder.join(state);
        fs::create_dir_all(&state)?;
        let (output, errors) = (self.folder.join("stdout"), self.folder.join("stderr"));
        let mut command = match under {
            [] => Command::new(&self.program),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(&self.program);
                command
            }
        };
        // Rows of exactly 10,000 messages look like a server that cuts off; here the number is meant.
        command.args(["copy", "--json", "--accept-view", "INBOX"]);
        command.arg("--from").arg(url(source)).arg("--to").arg(url(target));
        command.arg("--from-password-file").arg(&self.password_file);
        command.arg("--to-password-file").arg(&self.password_file);
        command.arg("--state").arg(state.join("ledger.db")).args(more);
        if source.tls.is_some() || target.tls.is_some() {
            command.arg("--ca-file").arg(&self.ca_file);
        }
        command.stdin(Stdio::null()).stdout(File::create(&output)?).stderr(File::create(&errors)?);
        let cost = run(command, watch)?;
        Ok((cost, fs::read_to_string(&output)?.split_whitespace().collect()))
    }

    /// The command in this folder, which is its working directory and holds its state, its key, and what it says.
    pub(crate) fn command(&self, folder: &Path) -> io::Result<Command> {
        let mut command = Command::new(&self.program);
        command.current_dir(folder).env_remove("CREDENTIALS_DIRECTORY");
        command.arg("--state").arg(folder.join("state.db")).arg("--key-file").arg(folder.join("key"));
        let (output, errors) = (File::create(folder.join("stdout"))?, File::create(folder.join("stderr"))?);
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        Ok(command)
    }

    /// Another program that was built beside the command.
    pub(crate) fn beside(&self, name: &str) -> io::Result<PathBuf> {
        let program = self.program.with_file_name(name);
        if program.exists() {
            return Ok(program);
        }
        let hint = format!("{} is not there: build it first (`make bench` does)", program.display());
        Err(io::Error::new(io::ErrorKind::NotFound, hint))
    }

    /// The authority that both servers' certificates are from.
    pub(crate) fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// Where something beside the command is put.
    pub(crate) fn place_beside(&self, name: &str) -> PathBuf {
        self.program.with_file_name(name)
    }

    /// How large the state under this name is.
    pub(crate) fn state_octets(&self, state: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.folder.join(state).join("ledger.db"))?.len())
    }

    pub(crate) fn forget(&self, state: &str) {
        // It is in a temporary folder, which goes at the end in any case.
        drop(fs::remove_dir_all(self.folder.join(state)));
    }
}

/// The server of an account as an endpoint names it.
pub(crate) fn url_of_server(account: &Account) -> String {
    match account.tls {
        None => format!("imap://127.0.0.1:{}?tls=none", account.address.port()),
        Some(_) => format!("imaps://127.0.0.1:{}", account.address.port()),
    }
}

fn url(account: &Account) -> String {
    let Account { address, user, tls, .. } = account;
    match tls {
        None => format!("imap://{user}@127.0.0.1:{}?tls=none", address.port()),
        Some(_) => format!("imaps://{user}@127.0.0.1:{}", address.port()),
    }
}

/// Runs a child to its end. Its times are read between its end and its reaping, so that they are complete.
pub(crate) fn run(mut command: Command, watch: bool) -> io::Result<Cost> {
    let begin = Instant::now();
    let mut child = command.spawn()?;
    let pid = child.id();
    let peak = AtomicU64::new(0);
    let ended = AtomicBool::new(false);
    let (wall, waited) = std::thread::scope(|scope| {
        if watch {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    peak.fetch_max(peak_kib(pid).unwrap_or(0), Ordering::Relaxed);
                    std::thread::sleep(MEMORY_LOOK);
                }
            });
        }
        let waited = wait_unreaped(pid);
        ended.store(true, Ordering::Relaxed);
        (begin.elapsed(), waited)
    });
    let cpu_secs = waited.and_then(|()| cpu_secs(pid));
    let status = child.wait()?;
    if !status.success() {
        // The caller knows by this that it failed, and what it said.
        return Ok(Cost { wall_secs: f64::NAN, cpu_secs: f64::NAN, peak_kib: 0 });
    }
    Ok(Cost { wall_secs: wall.as_secs_f64(), cpu_secs: cpu_secs?, peak_kib: peak.into_inner() })
}

pub(crate) fn wait_unreaped(pid: u32) -> io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| io::Error::other("no process id"))?;
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
    Ok(())
}

/// Fields 14 and 15 of /proc/PID/stat, counted behind the name, which may hold anything.
pub(crate) fn cpu_secs(pid: u32) -> io::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(f64::NAN);
    Ok((ticks(11) + ticks(12)) / TICKS_PER_SEC)
}

pub(crate) fn peak_kib(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}
