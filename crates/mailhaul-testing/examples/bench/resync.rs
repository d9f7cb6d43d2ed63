//! The rows of the second visit: what an account costs in which nothing, or little, has changed since the first copy.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use mailhaul_testing::Proxy;
use mailhaul_testing::imap_client::{Client, ClientError, Outgoing};
use mailhaul_testing::many::ManyAccounts;
use mailhaul_testing::proxy::Plan;

use crate::haul::{self, Over};
use crate::mail::{self, Mail};
use crate::many::{roomy, set_up};
use crate::raw::Account;
use crate::rig::Rig;
use crate::rows::{Scale, has_mbsync, mbsync_account};
use crate::table::{Bound, Samples, Table};

const MAILBOXES: usize = 100;
const MAILS_A_MAILBOX: usize = 500;
const BATCH: usize = 100;
/// Octets sent to the source for each mailbox, everything included.
const SENT_A_MAILBOX_MOST: f64 = 40.0;
/// Round trips between here and each server.
const DISTANCES: [u64; 2] = [0, 40];
const IDLE_ACCOUNTS: u16 = 1_000;
const IDLE_MAILS: u16 = 10;
const IDLE_WORKERS: &str = "20";

fn client(account: &Account) -> io::Result<Client> {
    Client::sign_in(account.address, &account.user, &account.password).map_err(told)
}

fn told(error: ClientError) -> io::Error {
    io::Error::other(error.to_string())
}

/// Puts mail into a mailbox of an account.
fn fill(client: &mut Client, mailbox: &str, mails: &[Mail]) -> io::Result<()> {
    for batch in mails.chunks(BATCH) {
        let flags: Vec<Vec<String>> =
            batch.iter().map(|mail| mail.flags.split_ascii_whitespace().map(str::to_owned).collect()).collect();
        let outgoing: Vec<Outgoing<'_>> = batch
            .iter()
            .zip(&flags)
            .map(|(mail, flags)| Outgoing { flags, date: Some(&mail.date), octets: &mail.octets })
            .collect();
        client.append_all(mailbox, &outgoing).map_err(told)?;
    }
    Ok(())
}

/// A hundred mailboxes in which nothing has changed: the product, and another tool on the same mail.
pub(crate) fn unchanged(rig: &Rig, scale: Scale, table: &mut Table) -> io::Result<()> {
    let each = MAILS_A_MAILBOX / scale.divisor;
    let mails = mail::messages(MAILBOXES * each, 700..1_000);
    let source = rig.account_of_source("unchanged");
    let mut user = client(&source)?;
    for (at, chunk) in mails.chunks(each).enumerate() {
        let mailbox = if at == 0 { "INBOX".to_owned() } else { format!("Projects {at:02}") };
        if at > 0 {
            user.create(&mailbox).map_err(told)?;
        }
        fill(&mut user, &mailbox, chunk)?;
    }
    user.logout();
    let target = rig.fresh();
    let messages = u64::try_from(mails.len()).unwrap_or(0);
    rig.haul.copy(&source, &target, Over::PlainText, "unchanged", messages, false)?;
    let theirs = rig.fresh();
    let with_mbsync = has_mbsync();
    let state = rig.folder.path().join("mbsync-unchanged");
    if with_mbsync {
        mbsync_account(&state, &source, &theirs)?;
    }
    for millis in DISTANCES {
        let half = Duration::from_millis(millis) / 2;
        let plan = || Plan::new().opaque().delay(half, half);
        let (near, far) =
            (Proxy::with_plan(rig.source.address(), plan()), Proxy::with_plan(rig.target.address(), plan()));
        let through = |account: &Account, proxy: &Proxy| Account { address: proxy.address(), ..account.clone() };
        let [mut ours, mut another] = std::array::from_fn(|_| Samples::default());
        for _ in 0..scale.rounds {
            let (from, to) = (through(&source, &near), through(&target, &far));
            ours.push(rig.haul.copy(&from, &to, Over::PlainText, "unchanged", 0, false)?.wall_secs);
            if with_mbsync {
                another.push(mbsync_account(&state, &from, &through(&theirs, &far))?.wall_secs);
            }
        }
        let name = format!("{MAILBOXES} mailboxes, {messages} messages, unchanged, {millis} ms on each link");
        table.tell(&name, ours.told(1000.0, "ms"));
        if with_mbsync {
            table.tell("  mbsync on the same mail", another.told(1000.0, "ms"));
            table.tell("  mailhaul's share of that", ours.over(&another).told(100.0, "%"));
        }
    }
    wire(rig, &source, &target, "unchanged", 0, table, true)?;
    rig.discard(&target);
    rig.discard(&theirs);
    rig.haul.forget("unchanged");
    Ok(())
}

/// One more run through proxies that count. The pair is known by its hosts, not by its ports.
fn wire(
    rig: &Rig,
    source: &Account,
    target: &Account,
    state: &str,
    copied: u64,
    table: &mut Table,
    bounded: bool,
) -> io::Result<()> {
    let proxies = [Proxy::start(rig.source.address()), Proxy::start(rig.target.address())];
    let through = |account: &Account, proxy: &Proxy| Account { address: proxy.address(), ..account.clone() };
    let (from, to) = (through(source, &proxies[0]), through(target, &proxies[1]));
    rig.haul.copy(&from, &to, Over::PlainText, state, copied, false)?;
    for (side, proxy) in ["source", "target"].into_iter().zip(&proxies) {
        let seen = proxy.statistics();
        let commands: u32 = seen.commands.values().sum();
        let told = format!("{commands} commands, {} B out, {} B in", seen.bytes_to_server, seen.bytes_to_client);
        table.tell(&format!("  {side}, on the wire"), told);
        if bounded && side == "source" {
            let sent = f64::from(u32::try_from(seen.bytes_to_server).unwrap_or(u32::MAX))
                / f64::from(u32::try_from(MAILBOXES).unwrap_or(u32::MAX));
            let bound = Bound::AtMost(SENT_A_MAILBOX_MOST);
            table.add("  octets sent to the source, a mailbox", format!("{sent:.1} B"), sent, bound, "B");
        }
    }
    Ok(())
}

/// Ten flags and five new messages in a mailbox of many.
pub(crate) fn changed(rig: &Rig, scale: Scale, table: &mut Table) -> io::Result<()> {
    let mails = mail::messages(20_000 / scale.divisor, 700..1_000);
    let (old, new) = mails.split_at(mails.len() - 5 * (scale.rounds + 1));
    let source = rig.filled("changed", old)?;
    let target = rig.fresh();
    let copied = u64::try_from(old.len()).unwrap_or(0);
    rig.haul.copy(&source, &target, Over::PlainText, "changed", copied, false)?;
    let mut wall = Samples::default();
    for (round, arriving) in new.chunks(5).enumerate() {
        let mut user = client(&source)?;
        user.select("INBOX").map_err(told)?;
        let uids: Vec<String> = (0..10).map(|at| (1 + at * 700 + round).to_string()).collect();
        user.store(&uids.join(","), "+FLAGS", &["\\Flagged", "$Label4"]).map_err(told)?;
        fill(&mut user, "INBOX", arriving)?;
        user.logout();
        let arrived = u64::try_from(arriving.len()).unwrap_or(0);
        if round < scale.rounds {
            wall.push(rig.haul.copy(&source, &target, Over::PlainText, "changed", arrived, false)?.wall_secs);
            continue;
        }
        let name = format!("10 flags and 5 new messages among {}", old.len());
        table.tell(&name, wall.told(1000.0, "ms"));
        wire(rig, &source, &target, "changed", arrived, table, false)?;
    }
    rig.discard(&target);
    rig.haul.forget("changed");
    Ok(())
}

/// A thousand accounts in one process in which nothing has changed.
pub(crate) fn idle(rig: &Rig, scale: Scale, table: &mut Table) -> io::Result<()> {
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
