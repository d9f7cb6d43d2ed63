//! The row of many accounts: five hundred at once in one process, between two real servers.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use mailhaul_testing::DovecotBuilder;
use mailhaul_testing::many::{ManyAccounts, TwoServers};

use crate::haul;
use crate::rig::Rig;
use crate::scale::Scale;
use crate::table::{Bound, Table};

const ACCOUNTS: u16 = 500;
const MAILS: u16 = 200;
const MAIL_OCTETS: usize = 4_096;
/// 1.1 GiB.
const PEAK_MIB_MOST: f64 = 1_126.4;
/// Nearly all of them must have been connected in one moment, or the memory says nothing. Moments are looked at four
/// times a second, while the first accounts may already end.
const AT_ONCE_LEAST: f64 = 490.0;
const LOOK: Duration = Duration::from_millis(250);
const MIB: f64 = 1_048_576.0;

/// Every process of the servers serves one connection, and the two of an account are told apart by their hosts' names.
pub(crate) fn roomy(builder: DovecotBuilder, place: &Path) -> DovecotBuilder {
    builder.under(place).connections_max(1_000).extra(
        "service imap {\n  process_limit = 2000\n  client_limit = 1\n}\n\
         service imap-login {\n  process_min_avail = 2\n  process_limit = 4\n  client_limit = 2000\n}\n\
         service anvil {\n  client_limit = 8000\n}\nservice auth {\n  client_limit = 8000\n}\n\
         service stats {\n  client_limit = 8000\n}\n",
    )
}

pub(crate) fn many(rig: &Rig, scale: &Scale, table: &mut Table) -> io::Result<()> {
    let mails = MAILS / u16::try_from(scale.divisor).unwrap_or(1);
    let place = rig.folder.path();
    let servers = ManyAccounts::new(ACCOUNTS.into())
        .mails(mails.into())
        .mail_bytes(MAIL_OCTETS)
        .source(|builder| roomy(builder, place))
        .target(|builder| roomy(builder, place))
        .start();
    let folder = place.join("many");
    set_up(rig, &servers, &folder)?;
    let seen = run(rig, &servers, &folder)?;
    let verdict = servers.judge();
    if !verdict.is_equal() {
        return Err(io::Error::other(format!("the copy is not exact: {verdict}")));
    }
    let all = f64::from(ACCOUNTS) * f64::from(mails);
    let octets = u32::try_from(fs::metadata(folder.join("state.db"))?.len() / 1_024).unwrap_or(u32::MAX);
    let name = format!("{ACCOUNTS} accounts x {mails} mails at once: peak RSS");
    table.add(&name, format!("{:.0} MiB", seen.peak_mib), seen.peak_mib, Bound::AtMost(PEAK_MIB_MOST), "MiB");
    let at_once = f64::from(seen.at_once);
    table.add("  connected at once", format!("{at_once}"), at_once, Bound::AtLeast(AT_ONCE_LEAST), "");
    table.tell("  from start to end", format!("{:.1} s, {:.1} s of CPU", seen.wall_secs, seen.cpu_secs));
    table.tell("  rate", format!("{:.0} mails/s", all / seen.wall_secs));
    table.tell("  CPU a mail", format!("{:.1} us", seen.cpu_secs / all * 1e6));
    table.tell("  the state file", format!("{:.1} MiB", f64::from(octets) * 1_024.0 / MIB));
    Ok(())
}

pub(crate) fn set_up(rig: &Rig, servers: &TwoServers, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("list.csv"), servers.csv())?;
    let old = format!("imap://127.0.0.1:{}?tls=none", servers.source.address().port());
    let new = format!("imap://localhost:{}?tls=none", servers.target.address().port());
    for words in [
        vec!["init"],
        vec!["endpoint", "add", "old", &old, "--max-connections", "1000"],
        vec!["endpoint", "add", "new", &new, "--max-connections", "1000"],
        vec!["accounts", "import", "list.csv", "--wave", "staff", "--from", "old", "--to", "new"],
    ] {
        if !rig.haul.command(folder)?.args(&words).status()?.success() {
            return Err(failed(folder, &words.join(" ")));
        }
    }
    Ok(())
}

fn failed(folder: &Path, words: &str) -> io::Error {
    let said = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    io::Error::other(format!("`mailhaul {words}` failed: {}{}", said("stdout"), said("stderr")))
}

/// What was seen of a run.
struct Seen {
    wall_secs: f64,
    cpu_secs: f64,
    peak_mib: f64,
    /// The most connections to the source in one moment.
    at_once: u32,
}

fn run(rig: &Rig, servers: &TwoServers, folder: &Path) -> io::Result<Seen> {
    let workers = ACCOUNTS.to_string();
    let begin = Instant::now();
    let mut child = rig.haul.command(folder)?.args(["run", "--wave", "staff", "--workers", &workers]).spawn()?;
    let (peak_kib, at_once) = watch(&child, servers.source.address())?;
    let wall_secs = begin.elapsed().as_secs_f64();
    let cpu_secs = haul::cpu_secs(child.id())?;
    if !child.wait()?.success() {
        return Err(failed(folder, "run"));
    }
    let peak_kib = u32::try_from(peak_kib).unwrap_or(u32::MAX);
    Ok(Seen { wall_secs, cpu_secs, peak_mib: f64::from(peak_kib) / 1_024.0, at_once })
}

/// Looks until the process has ended, and leaves it unreaped so that its times can be read.
fn watch(child: &Child, source: SocketAddr) -> io::Result<(u64, u32)> {
    let (mut peak_kib, mut at_once) = (0, 0);
    std::thread::scope(|scope| {
        let end = scope.spawn(|| haul::wait_unreaped(child.id()));
        while !end.is_finished() {
            peak_kib = peak_kib.max(haul::peak_kib(child.id()).unwrap_or(0));
            at_once = at_once.max(connections_to(source)?);
            std::thread::sleep(LOOK);
        }
        end.join().unwrap_or_else(|_| Err(io::Error::other("waiting for the command failed")))?;
        Ok((peak_kib, at_once))
    })
}

/// Established connections of this machine whose far end is this address.
fn connections_to(server: SocketAddr) -> io::Result<u32> {
    let far_end = format!(":{:04X}", server.port());
    let table = fs::read_to_string("/proc/net/tcp")?;
    // Columns: number, near end, far end, state; 01 is ESTABLISHED.
    let is_one = |line: &&str| {
        let mut columns = line.split_ascii_whitespace().skip(2);
        columns.next().is_some_and(|far| far.ends_with(&far_end)) && columns.next() == Some("01")
    };
    Ok(u32::try_from(table.lines().filter(is_one).count()).unwrap_or(u32::MAX))
}
