//! The rows: what is measured, in which rounds, against what.
//!
//! Whatever is compared is measured by turns within one round, because the machine is not the same a minute later.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use mailhaul_testing::Proxy;
use mailhaul_testing::proxy::Plan;

use crate::canned::CannedSource;
use crate::haul::{self, Cost, Over};
use crate::mail::{self, Mail};
use crate::raw::{self, Account};
use crate::rig::Rig;
use crate::table::{Bound, Samples, Table};
use crate::{many, queue, resync};

/// The first floor under the product's speed.
const APPEND_SIDE_LEAST: f64 = 90.0;
const CPU_MICROS_MOST: f64 = 15.0;
const PEAK_MIB_MOST: f64 = 64.0;

/// Octets of an ordinary message.
const ORDINARY: std::ops::Range<u64> = 3_072..4_096;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) rounds: usize,
    /// Divides numbers of messages.
    pub(crate) divisor: usize,
}

impl Scale {
    fn messages(self, count: usize) -> usize {
        count / self.divisor
    }

    /// Rounds for what is only told and takes long.
    fn aside(self) -> usize {
        if self.divisor == 1 { self.rounds.min(3) } else { 1 }
    }
}

/// A row by its name.
pub(crate) type Measure = fn(&Rig, Scale, &mut Table) -> io::Result<()>;

pub(crate) const ROWS: [(&str, Measure); 13] = [
    ("copy", copy),
    ("cpu", cpu),
    ("memory", memory),
    ("distance", distance),
    ("again", again),
    ("unchanged", resync::unchanged),
    ("changed", resync::changed),
    ("idle", resync::idle),
    ("mbsync", mbsync),
    ("queue", queue::inside),
    ("lists", queue::commands),
    ("state", queue::state),
    ("many", many::many),
];

fn count(mails: &[Mail]) -> u64 {
    u64::try_from(mails.len()).unwrap_or(0)
}

/// One run of the product into a fresh account, which is then thrown away.
fn haul_once(rig: &Rig, source: &Account, messages: u64, over: Over, watch: bool) -> io::Result<Cost> {
    let fresh = rig.fresh();
    let target = rig.over(&fresh, &rig.target, over);
    let cost = rig.haul.copy(source, &target, over, &fresh.user, messages, watch)?;
    rig.discard(&fresh);
    rig.haul.forget(&fresh.user);
    Ok(cost)
}

/// Runs something against a fresh account and throws that away.
fn into_fresh<T>(rig: &Rig, work: impl FnOnce(&Account) -> io::Result<T>) -> io::Result<T> {
    let fresh = rig.fresh();
    let done = work(&fresh)?;
    rig.discard(&fresh);
    Ok(done)
}

fn copy(rig: &Rig, scale: Scale, table: &mut Table) -> io::Result<()> {
    let mails = mail::messages(scale.messages(20_000), ORDINARY);
    let messages = count(&mails);
    let source = rig.filled("copy", &mails)?;
    let composed = raw::compose(&mails);
    let canned = CannedSource::start(&mails)?;
    let from_memory = Account { address: canned.address, ..source.clone() };
    let [mut drain, mut append, mut selected, mut relay, mut whole, mut append_side] =
        std::array::from_fn(|_| Samples::default());
    for _ in 0..scale.rounds {
        drain.push(raw::drain(&source)?.0.as_secs_f64());
        append.push(into_fresh(rig, |target| raw::append(target, &composed, false))?.as_secs_f64());
        append_side.push(haul_once(rig, &from_memory, messages, Over::PlainText, false)?.wall_secs);
        selected.push(into_fresh(rig, |target| raw::append(target, &composed, true))?.as_secs_f64());
        relay.push(into_fresh(rig, |target| raw::relay(&source, target, messages))?.as_secs_f64());
        whole.push(haul_once(rig, &source, messages, Over::PlainText, false)?.wall_secs);
    }
    table.tell(&format!("{messages} messages of 3-4 KiB: raw FETCH, drained"), drain.told(1.0, "s"));
    table.tell("  raw MULTIAPPEND from memory", append.told(1.0, "s"));
    table.tell("  raw MULTIAPPEND, mailbox selected", selected.told(1.0, "s"));
    table.tell("  bare relay", relay.told(1.0, "s"));
    table.tell("  mailhaul copy", whole.told(1.0, "s"));
    table.tell("  mailhaul copy, source in memory", append_side.told(1.0, "s"));
    let share = append.over(&append_side);
    let (told, figure) = (share.told(100.0, "%"), share.median() * 100.0);
    table.add("  append side: share of raw MULTIAPPEND", told, figure, Bound::AtLeast(APPEND_SIDE_LEAST), "%");
    table.tell("  whole copy: share of the bare relay", relay.over(&whole).told(100.0, "%"));
    table.tell("  whole copy: share of the slower raw limit", drain.larger(&append).over(&whole).told(100.0, "%"));
    Ok(())
}

fn cpu(rig: &Rig, scale: Scale, table: &mut Table) -> io::Result<()> {
    let mails = mail::messages(scale.messages(50_000), ORDINARY);
    let (few, many) = (mails.len() / 5, mails.len());
    let smaller = rig.filled("cpu-few", &mails[..few])?;
    let larger = rig.filled("cpu-many", &mails)?;
    for (over, rounds, name, bound) in [
        (Over::PlainText, scale.rounds, "CPU a message, plain text", Bound::AtMost(CPU_MICROS_MOST)),
        (Over::Tls, scale.aside(), "CPU a message, TLS", Bound::None),
    ] {
        let [mut cheap, mut dear] = std::array::from_fn(|_| Samples::default());
        for _ in 0..rounds {
            for (account, messages, samples) in [(&smaller, few, &mut cheap), (&larger, many, &mut dear)] {
                let source = rig.over(account, &rig.source, over);
                let messages = u64::try_from(messages).unwrap_or(0);
                samples.push(haul_once(rig, &source, messages, over, false)?.cpu_secs);
            }
        }
        let units = f64::from(u32::try_from(many - few).unwrap_or(u32::MAX));
        let micros = dear.slope(&cheap, units) * 1e6;
        let told = format!("{micros:.1} us (slope {few} to {many})");
        table.add(name, told, micros, bound, "us");
        table.tell(&format!("  {few} messages"), cheap.told(1.0, "s"));
        table.tell(&format!("  {many} messages"), dear.told(1.0, "s"));
    }
    Ok(())
}

fn memory(rig: &Rig, scale: Scale, table: &mut Table) -> io::Result<()> {
    let mib = |cost: Cost| f64::from(u32::try_from(cost.peak_kib).unwrap_or(u32::MAX)) / 1024.0;
    let many = mail::messages(scale.messages(100_000), 700..1_000);
    let source = rig.filled("memory-many", &many)?;
    let peak = mib(haul_once(rig, &source, count(&many), Over::PlainText, true)?);
    let name = format!("peak RSS, {} small messages", many.len());
    table.add(&name, format!("{peak:.1} MiB"), peak, Bound::AtMost(PEAK_MIB_MOST), "MiB");
    let large = mail::large(150 << 20);
    let source = rig.filled("memory-large", &large)?;
    let peak = mib(haul_once(rig, &source, 1, Over::PlainText, true)?);
    table.add("peak RSS, one message of 150 MiB", format!("{peak:.1} MiB"), peak, Bound::AtMost(PEAK_MIB_MOST), "MiB");
    Ok(())
}

fn distance(rig: &Rig, scale: Scale, table: &mut Table) -> io::Result<()> {
    let mails = mail::messages(scale.messages(10_000), ORDINARY);
    let messages = count(&mails);
    let source = rig.filled("distance", &mails)?;
    for millis in [20, 100] {
        let half = Duration::from_millis(millis) / 2;
        let plan = || Plan::new().opaque().delay(half, half);
        let near = Proxy::with_plan(rig.source.address(), plan());
        let far = Proxy::with_plan(rig.target.address(), plan());
        let from = Account { address: near.address(), ..source.clone() };
        let [mut relay, mut whole, mut nothing] = std::array::from_fn(|_| Samples::default());
        for _ in 0..scale.rounds {
            let through = |target: &Account| Account { address: far.address(), ..target.clone() };
            let relayed = into_fresh(rig, |target| raw::relay(&from, &through(target), messages))?;
            relay.push(relayed.as_secs_f64());
            let fresh = rig.fresh();
            let to = through(&fresh);
            let haul = |copied| rig.haul.copy(&from, &to, Over::PlainText, &fresh.user, copied, false);
            whole.push(haul(messages)?.wall_secs);
            nothing.push(haul(0)?.wall_secs);
            rig.discard(&fresh);
            rig.haul.forget(&fresh.user);
        }
        table.tell(&format!("{messages} messages, {millis} ms on each link: bare relay"), relay.told(1.0, "s"));
        table.tell("  mailhaul copy", whole.told(1.0, "s"));
        table.tell("  share of the bare relay", relay.over(&whole).told(100.0, "%"));
        table.tell("  second run, nothing to do: round trips only", nothing.told(1.0, "s"));
    }
    Ok(())
}

fn again(rig: &Rig, scale: Scale, table: &mut Table) -> io::Result<()> {
    let mails = mail::messages(scale.messages(20_000), ORDINARY);
    let source = rig.filled("again", &mails)?;
    let target = rig.fresh();
    rig.haul.copy(&source, &target, Over::PlainText, "again", count(&mails), false)?;
    let mut wall = Samples::default();
    for _ in 0..scale.rounds {
        wall.push(rig.haul.copy(&source, &target, Over::PlainText, "again", 0, false)?.wall_secs);
    }
    // Once more through proxies that count. The pair is known by its hosts, not by its ports.
    let proxies = [Proxy::start(rig.source.address()), Proxy::start(rig.target.address())];
    let through = |account: &Account, proxy: &Proxy| Account { address: proxy.address(), ..account.clone() };
    let (from, to) = (through(&source, &proxies[0]), through(&target, &proxies[1]));
    rig.haul.copy(&from, &to, Over::PlainText, "again", 0, false)?;
    table.tell(&format!("second run over {} messages, nothing to do", mails.len()), wall.told(1000.0, "ms"));
    for (side, proxy) in ["source", "target"].into_iter().zip(&proxies) {
        let seen = proxy.statistics();
        let commands: u32 = seen.commands.values().sum();
        let told = format!("{commands} commands, {} B out, {} B in", seen.bytes_to_server, seen.bytes_to_client);
        table.tell(&format!("  {side}"), told);
    }
    rig.discard(&target);
    rig.haul.forget("again");
    Ok(())
}

/// Another tool on the same mail, where it is installed (Debian's `isync`).
fn mbsync(rig: &Rig, scale: Scale, table: &mut Table) -> io::Result<()> {
    if !has_mbsync() {
        table.tell("mbsync", "not installed".to_owned());
        return Ok(());
    }
    let mails = mail::messages(scale.messages(20_000), ORDINARY);
    let messages = count(&mails);
    let source = rig.filled("mbsync", &mails)?;
    let [mut theirs, mut theirs_cpu, mut ours] = std::array::from_fn(|_| Samples::default());
    for _ in 0..scale.aside() {
        let cost = into_fresh(rig, |target| mbsync_once(rig, &source, target))?;
        theirs.push(cost.wall_secs);
        theirs_cpu.push(cost.cpu_secs);
        ours.push(haul_once(rig, &source, messages, Over::PlainText, false)?.wall_secs);
    }
    table.tell(&format!("{messages} messages of 3-4 KiB: mbsync"), theirs.told(1.0, "s"));
    table.tell("  its CPU", theirs_cpu.told(1.0, "s"));
    table.tell("  mailhaul copy", ours.told(1.0, "s"));
    Ok(())
}

fn mbsync_once(rig: &Rig, source: &Account, target: &Account) -> io::Result<Cost> {
    let folder = rig.folder.path().join("mbsync");
    let cost = mbsync_with("INBOX", &folder, source, target)?;
    std::fs::remove_dir_all(&folder)?;
    Ok(cost)
}

/// Whether the other tool is there.
pub(crate) fn has_mbsync() -> bool {
    Command::new("mbsync").arg("--version").output().is_ok()
}

/// One pass of the other tool over every mailbox, with what it remembers in this folder.
pub(crate) fn mbsync_account(folder: &Path, source: &Account, target: &Account) -> io::Result<Cost> {
    mbsync_with("*", folder, source, target)
}

fn mbsync_with(pattern: &str, folder: &Path, source: &Account, target: &Account) -> io::Result<Cost> {
    std::fs::create_dir_all(folder)?;
    let store = |name: &str, account: &Account| {
        let Account { address, user, password } = account;
        format!(
            "IMAPAccount {name}\nHost 127.0.0.1\nPort {}\nUser {user}\nPass {password}\nSSLType None\n\
             AuthMechs LOGIN\n\nIMAPStore {name}\nAccount {name}\n\n",
            address.port()
        )
    };
    let channel = format!(
        "Channel all\nFar :far:\nNear :near:\nPattern {pattern}\nCreate Near\nSync Pull New Flags\n\
         CopyArrivalDate yes\nSyncState {}/\n",
        folder.display()
    );
    let file = folder.join("mbsyncrc");
    std::fs::write(&file, store("far", source) + &store("near", target) + &channel)?;
    let mut command = Command::new("mbsync");
    command.arg("-c").arg(&file).args(["-q", "-q", "all"]);
    let cost = haul::run(command, false)?;
    if cost.wall_secs.is_nan() { Err(io::Error::other("mbsync failed")) } else { Ok(cost) }
}
