//! Row 7, on a disk that is really full: the state lies on a small tmpfs, of another size each time.
//!
//! The file system is made in a mount namespace of its own, which goes away with the shell that made it.

use crate::sqlite;
use crate::{Ask, Lane, Outcome, Row, mail};
use mailhaul_testing::Dovecot;
use mailhaul_testing::dovecot::Store;
use mailhaul_testing::histories::Dice;
use serde_json::Value;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

pub(super) const ROW: Row = Row { number: 7, name: "the state lies on a disk that is full", play };

/// The word that tells it from the other row of its number.
pub(super) const ONLY: &str = "disk";

const USER: &str = "alice";
const MAILBOXES: usize = 5;
const MESSAGES: usize = 350;
/// From a disk on which nothing can begin to one that nearly holds it all.
const SMALLEST_KIB: usize = 24;
const LARGEST_KIB: usize = 700;

/// The first copy meets the bound, the second has room, the third has nothing to do. Each time the state is put out for
/// inspection.
const SCRIPT: &str = r#"
set -u
dir=$1; size=$2; out=$3; shift 3
mount -t tmpfs -o size="$size" none "$dir" || exit 99
for turn in 1 2 3; do
    "$@" 2>"$out/err.$turn"
    printf '\ncode %s\n' $?
    mkdir -p "$out/$turn"
    cp "$dir"/mailhaul.db* "$out/$turn/" 2>/dev/null
    mount -o remount,size=64m "$dir" || exit 99
done
"#;

fn play(ask: &Ask) -> Outcome {
    let source = Dovecot::start();
    mail::account(0, MAILBOXES, MESSAGES).write_maildir(&source, USER).expect("the source takes its mail");
    let target = Dovecot::builder().store(Store::Sdbox).start();
    let mut outcome = Outcome::default();
    let mut stopped = 0;
    for seed in ask.seeds(3, 12, 100) {
        stopped += u64::from(one_size(&source, &target, seed, &mut outcome));
    }
    outcome.figure(format!("{stopped} met the bound"));
    outcome
}

/// Plays one size, and says whether the disk was too small.
fn one_size(source: &Dovecot, target: &Dovecot, seed: u64, outcome: &mut Outcome) -> bool {
    let kib = SMALLEST_KIB + Dice::of(seed).below(LARGEST_KIB - SMALLEST_KIB);
    let repeat = format!("--row 7 --only {ONLY} --seed {seed} ({kib} KiB)");
    outcome.runs += 1;
    let folder = TempDir::new().expect("a temporary folder");
    let lane = Lane::new(source, target, (USER, &format!("disk{seed}")), folder.path());
    // Where the lane's copy expects its state, the small disk is mounted.
    let disk = folder.path().join("state");
    std::fs::create_dir(&disk).expect("a folder");
    let said = shell(&lane, &disk, kib, folder.path());
    let ends: Vec<(Value, i32)> = ends_of(&said);
    let [first, second, third] = &ends[..] else {
        outcome.fail(&repeat, format!("not three copies: {said}"));
        return false;
    };
    let reason = first.0["stop"]["reason"].as_str().map(str::to_owned);
    let reason = reason.unwrap_or_else(|| std::fs::read_to_string(folder.path().join("err.1")).unwrap_or_default());
    match first.1 {
        0 if first.0["verdict"] == "complete" => {}
        6 if reason.contains("disk is full") || reason.contains("No space left") => {}
        code => outcome.fail(&repeat, format!("the first copy ended with {code}: {reason}")),
    }
    for (turn, (json, code)) in [(2, second), (3, third)] {
        if *code != 0 || json["verdict"] != "complete" {
            let error = std::fs::read_to_string(folder.path().join(format!("err.{turn}"))).unwrap_or_default();
            outcome.fail(&repeat, format!("copy {turn} ended with {code}: {json} {error}"));
        }
    }
    if third.0["messages"]["copied"] != 0 {
        outcome.fail(&repeat, format!("the third copy copied: {}", third.0));
    }
    for turn in 1..=3 {
        if let Err(words) = sqlite::integrity(&folder.path().join(format!("{turn}/mailhaul.db"))) {
            outcome.fail(&repeat, format!("after copy {turn}: {words}"));
        }
    }
    outcome.take_in(&repeat, &lane.judge(&mail::rules()));
    first.1 == 6
}

fn shell(lane: &Lane, disk: &Path, kib: usize, out: &Path) -> String {
    let copy = lane.copy(&[]);
    let mut shell = Command::new("unshare");
    shell.args(["--map-root-user", "--mount", "sh", "-c", SCRIPT, "sh"]).arg(disk).arg(format!("{kib}k")).arg(out);
    shell.arg(copy.get_program()).args(copy.get_args().collect::<Vec<&OsStr>>());
    let output = shell.stdin(Stdio::null()).output().expect("unshare is there");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Each copy's result and its exit code.
fn ends_of(said: &str) -> Vec<(Value, i32)> {
    let (mut ends, mut json) = (Vec::new(), Value::Null);
    for line in said.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("code ").and_then(|code| code.parse().ok()) {
            Some(code) => ends.push((std::mem::take(&mut json), code)),
            None => json = serde_json::from_str(line).unwrap_or(Value::Null),
        }
    }
    ends
}
