//! A thousand accounts visited again in one process, in which nothing has changed.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use mailhaul_testing::many::ManyAccounts;

use super::many::{roomy, set_up};
use crate::haul;
use crate::rig::Rig;
use crate::scale::Scale;
use crate::table::{Samples, Table};

const IDLE_ACCOUNTS: u16 = 1_000;
const IDLE_MAILS: u16 = 10;
const IDLE_WORKERS: &str = "20";

/// A thousand accounts in one process in which nothing has changed.
pub(crate) fn idle(rig: &Rig, scale: &Scale, table: &mut Table) -> io::Result<()> {
    let accounts = IDLE_ACCOUNTS / u16::try_from(scale.divisor).unwrap_or(1);
    let place = rig.folder.path();
    let servers = ManyAccounts::new(accounts.into())
        .mails(IDLE_MAILS.into())
        .source(|builder| roomy(builder, place))
        .target(|builder| roomy(builder, place))
        .start();
    let folder = place.join("idle");
    set_up(rig, &servers, &folder)?;
    work(rig, &folder, &["run", "--wave", "staff", "--workers", IDLE_WORKERS])?;
    let [mut wall, mut cpu] = std::array::from_fn(|_| Samples::default());
    for _ in 0..scale.rounds {
        let cost = work(rig, &folder, &["run", "--wave", "staff", "--kind", "resync", "--workers", IDLE_WORKERS])?;
        wall.push(cost.wall_secs);
        cpu.push(cost.cpu_secs);
    }
    let verdict = servers.judge();
    if !verdict.is_equal() {
        return Err(io::Error::other(format!("the copies are not exact: {verdict}")));
    }
    let name = format!("{accounts} accounts visited again, nothing changed, {IDLE_WORKERS} at once");
    table.tell(&name, wall.told(1.0, "s"));
    table.tell("  CPU of the process, an account", cpu.told(1000.0 / f64::from(accounts), "ms"));
    fs::remove_dir_all(&folder)
}

fn work(rig: &Rig, folder: &Path, words: &[&str]) -> io::Result<haul::Cost> {
    let mut command: Command = rig.haul.command(folder)?;
    command.args(words);
    let cost = haul::run(command, false)?;
    if cost.wall_secs.is_nan() {
        let said = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        let words = words.join(" ");
        return Err(io::Error::other(format!("`mailhaul {words}` failed: {}{}", said("stdout"), said("stderr"))));
    }
    Ok(cost)
}
