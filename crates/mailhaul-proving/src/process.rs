//! What is done to a process that runs: waiting for its end, signals, its memory.

use rustix::process::{Pid, Signal, kill_process};
use std::process::Child;
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits until a process has ended, and says how long that took; nothing if it has not within this time.
///
/// # Panics
/// When it cannot be waited for.
pub fn wait_at_most(child: &mut Child, at_most: Duration) -> Option<Duration> {
    let began = Instant::now();
    while child.try_wait().expect("it was started").is_none() {
        if began.elapsed() > at_most {
            return None;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Some(began.elapsed())
}

/// Sends a signal to a process that was not waited for yet.
///
/// # Panics
/// When it is not there.
pub fn send(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process has a number");
    kill_process(pid, signal).expect("a process that was not waited for is there");
}

/// The most memory that a process has held so far, in octets (`VmHWM`); nothing once it has ended, and nothing before it has
/// become the program that it was started as: the kernel lets its parent go on a moment earlier, and until then it is said
/// to have the parent's memory.
#[must_use]
pub fn memory_peak(child: &Child) -> Option<u64> {
    let program = |process: &str| std::fs::read_link(format!("/proc/{process}/exe")).ok();
    if program(&child.id().to_string())? == program("self")? {
        return None;
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
