//! What the hot path costs in instructions, allocations, system calls and commits: figures that hold on a busy machine too.
//!
//! All are slopes between two sizes, so that the start does not count. The profile of the larger run is kept beside the command
//! as `callgrind.out`, for `callgrind_annotate`.

use std::fs;
use std::io;
use std::process::Command;

use crate::mail;
use crate::rig::{Rig, Stock};
use crate::scale::{SMALL, Scale};
use crate::stage::Stage;
use crate::table::Table;

const FEW: usize = 1_000;
const MANY: usize = 6_000;
const MIB: f64 = 1_048_576.0;

pub(crate) fn profile(rig: &Rig, scale: &Scale, table: &mut Table) -> io::Result<()> {
    let mails = mail::messages(MANY, SMALL);
    let octets: usize = mails[FEW..].iter().map(|mail| mail.octets.len()).sum();
    let mib = f64::from(u32::try_from(octets).unwrap_or(u32::MAX)) / MIB;
    let (few, many) = (rig.filled("profile-few", &mails[..FEW])?, rig.filled("profile", &mails)?);
    for over in scale.ways.iter().copied() {
        let stage = Stage::plain(rig, over, 0);
        let messages = f64::from(u32::try_from(MANY - FEW).unwrap_or(u32::MAX));
        let way = over.word();
        if is_there("valgrind") {
            let more = slope(&few, &many, |stock| instructions(rig, &stage, stock))?;
            table.tell(&format!("instructions a message, {way} (callgrind)"), format!("{:.0}", more / messages));
            let more = slope(&few, &many, |stock| allocations(rig, &stage, stock))?;
            table.tell("  allocations a message (dhat)", format!("{:.2}", more / messages));
        }
        if is_there("strace") {
            let (small, large) = (calls(rig, &stage, &few)?, calls(rig, &stage, &many)?);
            let all = (large.all - small.all) / mib;
            table.tell(&format!("  system calls a MiB of mail, {way} (strace)"), format!("{all:.0}"));
            for (name, pick) in NAMES {
                table.tell(&format!("  {name}"), format!("{:.1}", (pick(&large) - pick(&small)) / mib));
            }
            let commits = (large.commits - small.commits) / messages * 1_000.0;
            table.tell("  commits of the ledger, of 1,000 messages", format!("{commits:.2}"));
        }
    }
    rig.forget(&few);
    rig.forget(&many);
    Ok(())
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

fn slope(few: &Stock, many: &Stock, measure: impl Fn(&Stock) -> io::Result<f64>) -> io::Result<f64> {
    let small = measure(few)?;
    Ok(measure(many)? - small)
}

fn instructions(rig: &Rig, stage: &Stage<'_>, stock: &Stock) -> io::Result<f64> {
    let kept = format!("--callgrind-out-file={}", rig.haul.place_beside("callgrind.out").display());
    let said = under_valgrind(rig, stage, stock, &["valgrind", "--tool=callgrind", &kept])?;
    number_behind(&said, "Collected :").ok_or_else(|| io::Error::other("callgrind counted nothing"))
}

fn allocations(rig: &Rig, stage: &Stage<'_>, stock: &Stock) -> io::Result<f64> {
    let said = under_valgrind(rig, stage, stock, &["valgrind", "--tool=dhat", "--dhat-out-file=/dev/null"])?;
    let total = said.lines().find(|line| line.contains("Total:"));
    let blocks = total.and_then(|line| number_behind(line, " in "));
    blocks.ok_or_else(|| io::Error::other("dhat counted nothing"))
}

fn under_valgrind(rig: &Rig, stage: &Stage<'_>, stock: &Stock, words: &[&str]) -> io::Result<String> {
    let log = rig.folder.path().join("valgrind.log");
    let option = format!("--log-file={}", log.display());
    stage.haul_under(stock, &[words, &[&option]].concat())?;
    fs::read_to_string(log)
}

fn number_behind(text: &str, word: &str) -> Option<f64> {
    let rest = text.split_once(word)?.1.trim_start();
    let digits: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(|c| *c != ',').collect();
    digits.parse().ok()
}

/// System calls of one run.
#[derive(Default)]
struct Calls {
    all: f64,
    receive: f64,
    send: f64,
    wait: f64,
    /// Every commit writes through once.
    commits: f64,
}

/// A figure by its name.
type Figure = (&'static str, fn(&Calls) -> f64);

const NAMES: [Figure; 3] = [
    ("  of these to receive", |calls| calls.receive),
    ("  to send", |calls| calls.send),
    ("  to wait", |calls| calls.wait),
];

fn calls(rig: &Rig, stage: &Stage<'_>, stock: &Stock) -> io::Result<Calls> {
    let log = rig.folder.path().join("strace.log");
    let path = log.display().to_string();
    stage.haul_under(stock, &["strace", "-f", "-c", "-o", &path])?;
    let mut calls = Calls::default();
    for line in fs::read_to_string(log)?.lines() {
        // % time, seconds, usecs/call, calls, [errors,] name
        let cells: Vec<&str> = line.split_ascii_whitespace().collect();
        let (Some(name), Some(count)) = (cells.last(), cells.get(3).and_then(|count| count.parse::<f64>().ok())) else {
            continue;
        };
        match *name {
            "total" => {}
            "recvfrom" | "read" | "recvmsg" | "readv" => calls.receive += count,
            "sendto" | "write" | "sendmsg" | "writev" => calls.send += count,
            "epoll_wait" | "futex" => calls.wait += count,
            "fdatasync" | "fsync" => calls.commits += count,
            _ => {}
        }
        calls.all += if *name == "total" { 0.0 } else { count };
    }
    Ok(calls)
}
