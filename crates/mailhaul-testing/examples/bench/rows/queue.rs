//! Rows of the queue: what lists and claims take inside the process, what whole commands take with ten thousand
//! accounts, and how large the state file grows.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::haul::{self, Cost};
use crate::rig::Rig;
use crate::scale::Scale;
use crate::table::{Bound, Samples, Table};

const ACCOUNTS: usize = 10_000;
const IMPORT_SECS_MOST: f64 = 5.0;

/// Lists and claims, inside the process.
pub(crate) fn inside(rig: &Rig, _: &Scale, table: &mut Table) -> io::Result<()> {
    figures(rig, &["lists", "claims"], table)
}

/// How large the state file is.
pub(crate) fn state(rig: &Rig, _: &Scale, table: &mut Table) -> io::Result<()> {
    figures(rig, &["state"], table)
}

/// Runs the program that knows the queue from inside, and takes its figures over.
fn figures(rig: &Rig, what: &[&str], table: &mut Table) -> io::Result<()> {
    let mut command = Command::new(rig.haul.beside("examples/queue_figures")?);
    let output = command.args(what).env("TMPDIR", rig.folder.path()).output()?;
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        return Err(io::Error::other(format!("queue_figures failed: {errors}")));
    }
    for line in said.lines() {
        take(line, table).ok_or_else(|| io::Error::other(format!("queue_figures said `{line}`")))?;
    }
    Ok(())
}

/// A line of it: name, unit, bound, samples.
fn take(line: &str, table: &mut Table) -> Option<()> {
    let mut cells = line.split('\t');
    let (name, unit, bound) = (cells.next()?, cells.next()?, cells.next()?);
    let bound = match bound.split_once(' ') {
        Some((">=", least)) => Bound::AtLeast(least.parse().ok()?),
        Some(("<=", most)) => Bound::AtMost(most.parse().ok()?),
        Some(_) => return None,
        None => Bound::None,
    };
    let mut samples = Samples::default();
    for sample in cells.next()?.split(' ') {
        samples.push(sample.parse().ok()?);
    }
    table.add(name, samples.told(1.0, unit), samples.median(), bound, unit);
    Some(())
}

/// Commands as an operator gives them, their start included.
pub(crate) fn commands(rig: &Rig, scale: &Scale, table: &mut Table) -> io::Result<()> {
    let mut taken: Vec<Samples> = STEPS.iter().map(|_| Samples::default()).collect();
    for round in 0..scale.rounds {
        let folder = rig.folder.path().join(format!("lists-{round}"));
        set_up(rig, &folder)?;
        for (step, samples) in STEPS.iter().zip(&mut taken) {
            samples.push(give(rig, &folder, step.1)?.wall_secs);
        }
        std::fs::remove_dir_all(&folder)?;
    }
    for ((name, _, bound), samples) in STEPS.iter().zip(&taken) {
        let (factor, unit) = if matches!(bound, Bound::AtMost(most) if *most <= IMPORT_SECS_MOST) {
            (1.0, "s")
        } else {
            (1_000.0, "ms")
        };
        table.add(name, samples.told(factor, unit), samples.median() * factor, *bound, unit);
    }
    Ok(())
}

/// What is measured, in the order in which it is done. Lists and changes have their bound inside the process; a command
/// checks the file besides, and copies the log into it when it ends, or prints ten thousand objects.
const STEPS: [(&str, &str, Bound); 14] = [
    (
        "command: 10,000 accounts imported, 20,000 passwords sealed",
        "accounts import list.csv --wave staff --from old --to new",
        Bound::AtMost(IMPORT_SECS_MOST),
    ),
    (
        "  the same list again",
        "accounts import list.csv --wave staff --from old --to new",
        Bound::AtMost(IMPORT_SECS_MOST),
    ),
    ("command: 10,000 jobs queued (run --detach)", "run --wave staff --detach", Bound::None),
    ("command: 10,000 jobs listed (jobs --json)", "jobs --wave staff --json", Bound::None),
    ("  filtered (jobs --failed)", "jobs --wave staff --failed", Bound::None),
    ("  paused", "pause --wave staff --reason lunch", Bound::None),
    ("  resumed", "resume --wave staff", Bound::None),
    ("  put in order", "wave set staff --order largest", Bound::None),
    ("  status --wave", "status --wave staff", Bound::None),
    ("  explain one", "explain user09999", Bound::None),
    ("  cancelled", "cancel --wave staff --reason no", Bound::None),
    ("  one account tried again", "retry --account user00042", Bound::None),
    ("  report --wave", "report --wave staff", Bound::None),
    ("command that does nothing (--version)", "--version", Bound::None),
];

fn set_up(rig: &Rig, folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut list = "account,source_user,source_password,target_user,target_password\n".to_owned();
    for number in 0..ACCOUNTS {
        let name = format!("user{number:05}");
        let _ = writeln!(list, "{name},{name}@old.example,old-secret-{number},{name}@new.example,new-secret-{number}");
    }
    std::fs::write(folder.join("list.csv"), list)?;
    for command in ["init", "endpoint add old imaps://old.example", "endpoint add new imaps://new.example"] {
        give(rig, folder, command)?;
    }
    Ok(())
}

/// Gives one command and waits for its good end.
fn give(rig: &Rig, folder: &Path, words: &str) -> io::Result<Cost> {
    let mut command = rig.haul.command(folder)?;
    command.args(words.split(' '));
    let cost = haul::run(command, false)?;
    if cost.wall_secs.is_nan() {
        let said = std::fs::read_to_string(folder.join("stderr"))?;
        return Err(io::Error::other(format!("`mailhaul {words}` failed: {said}")));
    }
    Ok(cost)
}
