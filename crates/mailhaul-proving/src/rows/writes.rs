//! Row 7: the k-th write to the state file fails, k = 1, 2, …: once and for ever, with EIO and ENOSPC, whole and torn.
//!
//! After each: a documented exit code and a sentence, a state file that SQLite finds sound, and a next run without
//! faults that ends exact. Beside it lies a disk that is really full: a small tmpfs.

use crate::shim::{Control, Failing, Fault, Shim};
use crate::sqlite;
use crate::{Ask, Ended, Lane, Outcome, Row, Scale, mail};
use mailhaul_testing::Dovecot;
use mailhaul_testing::dovecot::Store;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

pub(super) const ROW: Row = Row { number: 7, name: "every write to the state fails in turn", play };

/// The word that tells it from the other row of its number.
pub(super) const ONLY: &str = "write";

const USER: &str = "alice";
const MAILBOXES: usize = 3;
const MESSAGES: usize = 40;
/// Copies at once: a copy waits for disks and servers most of its time.
const AT_ONCE: usize = 4;
/// One case in so many is followed by a further run, which must send nothing.
const FURTHER_RUN_IN: usize = 4;
const FAULTS: [(Fault, bool); 5] =
    [(Fault::Broken, false), (Fault::Full, true), (Fault::Torn, false), (Fault::Broken, true), (Fault::Full, false)];

/// What all cases share.
struct Bench<'a> {
    source: &'a Dovecot,
    target: &'a Dovecot,
    shim: &'a Shim,
}

fn play(ask: &Ask) -> Outcome {
    let source = Dovecot::start();
    mail::account(0, MAILBOXES, MESSAGES).write_maildir(&source, USER).expect("the source takes its mail");
    let target = Dovecot::builder().store(Store::Sdbox).start();
    let shim = Shim::build();
    let bench = Bench { source: &source, target: &target, shim: &shim };
    let writes = bench.writes_of_a_copy();
    let all = writes * FAULTS.len() as u64;
    let cases: Vec<u64> = match ask.runs {
        Some(runs) => (ask.seed..ask.seed + runs).collect(),
        None => spread(
            writes,
            match ask.scale {
                Scale::Quick => 12,
                Scale::Prove => 240,
                Scale::Long => all,
            },
        ),
    };
    let outcome = Mutex::new(Outcome::default());
    let codes = Mutex::new(BTreeMap::<i32, usize>::new());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (code, of_case) = bench.one_case(*case);
                    *codes.lock().expect("no thread has panicked").entry(code).or_default() += 1;
                    outcome.lock().expect("no thread has panicked").add(of_case);
                }
            });
        }
    });
    let mut outcome = outcome.into_inner().expect("no thread has panicked");
    let codes = codes.into_inner().expect("no thread has panicked");
    outcome.figure(format!("{writes} writes in a copy; exit codes {codes:?}"));
    outcome
}

/// So many cases, evenly spread over the writes of a copy, each with the next kind of failure; all of them, if so many are
/// wanted.
fn spread(writes: u64, wanted: u64) -> Vec<u64> {
    let kinds = FAULTS.len() as u64;
    if wanted >= writes * kinds {
        return (1..=writes * kinds).collect();
    }
    let case = |turn: u64| {
        let write = 1 + turn * writes / wanted;
        let cases = (write - 1) * kinds + 1..=write * kinds;
        cases.into_iter().find(|case| kind_of(*case) == turn % kinds)
    };
    (0..wanted).filter_map(case).collect()
}

/// Of each write there is a case for each kind of failure.
fn write_of(case: u64) -> u64 {
    1 + (case - 1) / FAULTS.len() as u64
}

/// Neighbours differ in it.
fn kind_of(case: u64) -> u64 {
    (case + write_of(case)) % FAULTS.len() as u64
}

/// Case n, from 1: the write, and how it fails.
fn failing(case: u64) -> Failing {
    let (fault, for_ever) = FAULTS[usize::try_from(kind_of(case)).unwrap_or(0)];
    Failing { fault, from: write_of(case), for_ever }
}

impl Bench<'_> {
    fn lane(&self, case: u64, folder: &TempDir) -> Lane {
        Lane::new(self.source, self.target, (USER, &format!("case{case}")), folder.path())
    }

    /// A copy under this control, to its end.
    fn copy(&self, lane: &Lane, control: &Control, folder: &TempDir) -> Ended {
        let mut command = lane.copy(&[]);
        let state = folder.path().join("state");
        std::fs::create_dir_all(&state).expect("a folder");
        control.rule(&mut command, &state);
        Ended::of(command.spawn().expect("it can be started"))
    }

    fn writes_of_a_copy(&self) -> u64 {
        let folder = TempDir::new().expect("a temporary folder");
        let (lane, control) = (self.lane(0, &folder), self.shim.control());
        let ended = self.copy(&lane, &control, &folder);
        assert!(ended.is_complete(), "a copy without faults: {ended:?}");
        control.writes()
    }

    fn one_case(&self, case: u64) -> (i32, Outcome) {
        let failing = failing(case);
        let repeat = format!("--row 7 --only {ONLY} --seed {case} ({failing:?})");
        let mut outcome = Outcome { runs: 1, ..Outcome::default() };
        let folder = TempDir::new().expect("a temporary folder");
        let (lane, control) = (self.lane(case, &folder), self.shim.control());
        control.fail(failing);
        let ended = self.copy(&lane, &control, &folder);
        if let Some(fault) = fault_of(&ended, control.failed()) {
            outcome.fail(&repeat, format!("{fault}: code {}: {}{}", ended.code, ended.json, ended.stderr));
        }
        if let Err(words) = sqlite::integrity(&lane.state()) {
            outcome.fail(&repeat, format!("after the fault: {words}"));
        }
        let next = lane.run(&[]);
        if !next.is_complete() {
            outcome.fail(&repeat, format!("the next run ended with {}: {}{}", next.code, next.json, next.stderr));
        }
        if let Err(words) = sqlite::integrity(&lane.state()) {
            outcome.fail(&repeat, format!("after the next run: {words}"));
        }
        outcome.take_in(&repeat, &lane.judge(&mail::rules()));
        if case.is_multiple_of(FURTHER_RUN_IN as u64) {
            let before = lane.appends();
            if !lane.run(&[]).is_complete() || lane.appends() != before {
                outcome.fail(&repeat, "a run with nothing to do sent APPEND, or was not complete");
            }
        }
        (ended.code, outcome)
    }
}

/// What is wrong with the end of a copy of which so many writes failed.
fn fault_of(ended: &Ended, failed: u64) -> Option<String> {
    let reason = ended.json["stop"]["reason"].as_str().unwrap_or(&ended.stderr);
    let says_so = ["disk is full", "disk refused", "No space left", "Input/output error"]
        .iter()
        .any(|words| reason.contains(words));
    match ended.code {
        // A write that may fail: a note in a lock file, or one that SQLite made good.
        0 if ended.is_complete() => None,
        6 if says_so => None,
        6 => Some("it does not say that the disk is at fault".to_owned()),
        _ if failed == 0 => Some("nothing failed".to_owned()),
        _ => Some("no documented exit code for it".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_sample_meets_every_kind_of_failure_early_and_late() {
        for (writes, wanted) in [(340, 12), (354, 12), (355, 240)] {
            let failures: Vec<Failing> = spread(writes, wanted).into_iter().map(failing).collect();
            assert_eq!((failures.len() as u64, failures[0].from), (wanted, 1));
            for kind in FAULTS {
                let of_kind = failures.iter().filter(|failing| (failing.fault, failing.for_ever) == kind);
                let met: Vec<u64> = of_kind.map(|failing| failing.from).collect();
                assert!(met.len() > 1 && met[0] < writes / 2 && met[met.len() - 1] > writes / 2, "{kind:?}: {met:?}");
            }
        }
    }

    #[test]
    fn all_are_each_write_with_each_kind() {
        let all: BTreeSet<String> = spread(7, 35).into_iter().map(|case| format!("{:?}", failing(case))).collect();
        assert_eq!(all.len(), 35);
        assert_eq!((failing(1).from, failing(35).from), (1, 7));
    }
}
