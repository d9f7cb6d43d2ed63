//! Fifty accounts at once in one process, against fifty bare relays of which eight run at a time, and against mbsync under
//! `xargs -P8`.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::haul::{self, Cost, Over};
use crate::mail;
use crate::peers::mbsync;
use crate::raw::Form;
use crate::rig::{Rig, Stock, in_memory};
use crate::rows::many::roomy;
use crate::scale::{SMALL, Scale};
use crate::stage::Stage;
use crate::table::{Bound, Samples, Table};

const ACCOUNTS: usize = 50;
const MAILBOXES: usize = 6;
const EACH: usize = 200;
const DISTANCES: [u64; 2] = [0, 40];
const AT_A_TIME: usize = 8;
const SHARE_LEAST: f64 = 90.0;
/// 64 MiB and 2 MiB an account.
const PEAK_MIB_MOST: f64 = 164.0;

pub(crate) fn accounts(_: &Rig, scale: &Scale, table: &mut Table) -> io::Result<()> {
    let place = in_memory();
    let rig = Rig::start_in(&place, |builder| roomy(builder, &place))?;
    let each = scale.messages(EACH);
    let stocks = (0..ACCOUNTS).map(|at| stock(&rig, at, each)).collect::<io::Result<Vec<_>>>()?;
    for over in scale.ways.iter().copied() {
        for millis in DISTANCES {
            let stage = Stage::plain(&rig, over, millis);
            let [mut relays, mut ours, mut cpu, mut peak, mut theirs] = std::array::from_fn(|_| Samples::default());
            for round in 0..scale.rounds {
                relays.push(eight_at_a_time(&stocks, |stock| stage.relay(stock, Form::default()).map(drop))?);
                let cost = haul_all(&rig, &stage, over, &stocks)?;
                ours.push(cost.wall_secs);
                cpu.push(cost.cpu_secs);
                peak.push(cost.peak_mib());
                if mbsync::is_there() && round < scale.aside() {
                    theirs.push(eight_at_a_time(&stocks, |stock| stage.mbsync(stock).map(drop))?);
                }
            }
            let name = format!("{ACCOUNTS} accounts x {MAILBOXES} mailboxes x {each} mails, {millis} ms");
            table.tell(&format!("{name}, {}: relays", over.word()), relays.told(1.0, "s"));
            table.tell("  mailhaul run", ours.told(1.0, "s"));
            table.tell("  CPU of that", cpu.told(1.0, "s"));
            let share = relays.over(&ours);
            let (told, figure) = (share.told(100.0, "%"), share.median() * 100.0);
            table.add("  share of the relays' rate", told, figure, Bound::AtLeast(SHARE_LEAST), "%");
            table.add("  peak RSS", peak.told(1.0, "MiB"), peak.median(), Bound::AtMost(PEAK_MIB_MOST), "MiB");
            if !theirs.is_empty() {
                table.tell("  mbsync, eight at a time", theirs.told(1.0, "s"));
            }
        }
    }
    Ok(())
}

fn stock(rig: &Rig, at: usize, each: usize) -> io::Result<Stock> {
    let mails = mail::messages(MAILBOXES * each, SMALL);
    let named = |at: usize| if at == 0 { "INBOX".to_owned() } else { format!("Box {at}") };
    let mailboxes = mails.chunks(each).enumerate().map(|(at, mails)| (named(at), mails.iter().collect()));
    rig.filled_with(&format!("a{at:02}"), mailboxes)
}

/// Seconds until the last account is done.
fn eight_at_a_time(stocks: &[Stock], work: impl Fn(&Stock) -> io::Result<()> + Sync) -> io::Result<f64> {
    let begin = Instant::now();
    let next = AtomicUsize::new(0);
    let carry = || {
        while let Some(stock) = stocks.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(stock)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let carriers: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(carry)).collect();
        let ended =
            carriers.into_iter().map(|carrier| carrier.join().unwrap_or_else(|_| Err(io::Error::other("panic"))));
        ended.collect::<io::Result<()>>()
    })?;
    Ok(begin.elapsed().as_secs_f64())
}

/// All of them by one command, in a wave of their own.
fn haul_all(rig: &Rig, stage: &Stage<'_>, over: Over, stocks: &[Stock]) -> io::Result<Cost> {
    let folder = rig.folder.path().join("accounts");
    fs::create_dir_all(&folder)?;
    let users: Vec<String> = stocks.iter().map(|_| rig.fresh_user()).collect();
    let mut list = "account,source_user,source_password,target_user,target_password\n".to_owned();
    for (stock, user) in stocks.iter().zip(&users) {
        let (source, password) = (&stock.account.user, &stock.account.password);
        let _ = writeln!(list, "{source},{source},{password},{user},{password}");
    }
    fs::write(folder.join("list.csv"), list)?;
    give(rig, &folder, &["init"], false)?;
    let ends = [("old", stage.source(&stocks[0].account)), ("new", stage.target("nobody"))];
    for (name, account) in ends {
        let url = haul::url_of_server(&account);
        let mut words = vec!["endpoint", "add", name, &url, "--max-connections", "1000"];
        let ca_file = rig.haul.ca_file().display().to_string();
        if over == Over::Tls {
            words.extend(["--ca-file", &ca_file]);
        }
        give(rig, &folder, &words, false)?;
    }
    let import = ["accounts", "import", "list.csv", "--wave", "staff", "--from", "old", "--to", "new"];
    give(rig, &folder, &import, false)?;
    let workers = ACCOUNTS.to_string();
    let cost = give(rig, &folder, &["run", "--wave", "staff", "--workers", &workers], true)?;
    for user in &users {
        rig.target.discard(user);
    }
    fs::remove_dir_all(&folder)?;
    Ok(cost)
}

/// Gives one command; its good end says that every message is accounted for.
fn give(rig: &Rig, folder: &Path, words: &[&str], watch: bool) -> io::Result<Cost> {
    let mut command = rig.haul.command(folder)?;
    command.args(words);
    let cost = haul::run(command, watch)?;
    if cost.wall_secs.is_nan() {
        let said = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        let words = words.join(" ");
        return Err(io::Error::other(format!("`mailhaul {words}` failed: {}{}", said("stdout"), said("stderr"))));
    }
    Ok(cost)
}
