//! Watches processes while they run: what they were called with, and what stands in their environment, is for every user of
//! the machine, or at least for root, to read.

use crate::Canary;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What was seen of each process: its command line and its environment.
type Seen = Arc<Mutex<BTreeMap<u32, Vec<u8>>>>;

/// A thread that looks at all processes of one program, and at their children, until it is dropped.
pub(super) struct Spy {
    seen: Seen,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Spy {
    pub(super) fn send(program: &OsStr) -> Spy {
        let (seen, ends) = (Seen::default(), Arc::new(AtomicBool::new(false)));
        let (notes, over) = (Arc::clone(&seen), Arc::clone(&ends));
        let program = std::fs::canonicalize(program).unwrap_or_else(|_| PathBuf::from(program));
        let thread = std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                look(&program, &notes);
                std::thread::sleep(LOOK_EVERY);
            }
        });
        Spy { seen, ends, thread: Some(thread) }
    }

    /// How many processes were seen.
    pub(super) fn processes(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Secrets that stood there.
    pub(super) fn hits(&self, canaries: &[Canary]) -> Vec<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let sung = |octets: &[u8]| canaries.iter().find_map(|canary| canary.sings_in(octets));
        let hit = |form| format!("a password stands, {form}, in a command line or an environment");
        seen.values().filter_map(|octets| sung(octets).map(hit)).collect()
    }
}

impl Drop for Spy {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn look(program: &PathBuf, notes: &Seen) {
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let folder = entry.path();
        if std::fs::read_link(folder.join("exe")).ok().as_ref() != Some(program) {
            continue;
        }
        let parts = ["cmdline", "environ"].map(|part| std::fs::read(folder.join(part)).unwrap_or_default());
        notes.lock().unwrap_or_else(PoisonError::into_inner).entry(pid).or_insert_with(|| parts.concat());
    }
}
