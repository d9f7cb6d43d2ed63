//! The second visit: what an account costs in which nothing, or little, has changed since the first copy.
//!
//! The measure is what no look can do without: signing in on both sides at once, and one list of all mailboxes with their figures.

use std::io;

use mailhaul_testing::Proxy;
use mailhaul_testing::imap_client::{Client, ClientError, Outgoing};

use crate::haul::{Copying, Over};
use crate::mail::{self, Mail};
use crate::peers::{imapsync, mbsync};
use crate::raw::{self, Account};
use crate::rig::{Rig, Stock};
use crate::scale::Scale;
use crate::stage::Stage;
use crate::table::{Bound, Samples, Table};

const MAILBOXES: usize = 100;
const MAILS_A_MAILBOX: usize = 500;
/// Round trips between here and each server, in milliseconds.
const DISTANCES: [u64; 2] = [0, 40];
/// So many times one list a side, the start and the end of the process left out.
const TIMES_MOST: f64 = 1.3;
const PROCESS_SECS: f64 = 0.030;
/// Octets sent to the source for each mailbox, everything included.
const SENT_A_MAILBOX_MOST: f64 = 40.0;
/// The distance at which the round trips of changes are counted: large beside everything else.
const COUNTED_AT: u64 = 200;
const CHANGED_TRIPS_MOST: f64 = 6.0;

/// A hundred mailboxes in which nothing has changed: the product, and other tools on the same mail.
pub(crate) fn unchanged(rig: &Rig, scale: &Scale, table: &mut Table) -> io::Result<()> {
    let stock = hundred_mailboxes(rig, scale, "unchanged")?;
    let target = rig.fresh_user();
    let near = Stage::plain(rig, Over::PlainText, 0);
    near.haul_again(&stock, &target, stock.messages())?;
    let others = Others::prepare(rig, &near, &stock, scale)?;
    for over in scale.ways.iter().copied() {
        for millis in DISTANCES {
            let stage = Stage::plain(rig, over, millis);
            let [mut list, mut ours, mut mbsync, mut imapsync] = std::array::from_fn(|_| Samples::default());
            for round in 0..scale.rounds {
                let (from, to) = (stage.source(&stock.account), stage.target(&target));
                list.push(raw::list_with_status(&from, &to)?.as_secs_f64());
                ours.push(stage.haul_again(&stock, &target, 0)?.wall_secs);
                if round < scale.aside() {
                    others.once(&stage, &stock, &mut mbsync, &mut imapsync)?;
                }
            }
            let name = format!("{MAILBOXES} mailboxes, {} messages, unchanged", stock.messages());
            table.tell(&format!("{name}, {millis} ms, {}", over.word()), ours.told(1_000.0, "ms"));
            table.tell("  one LIST with STATUS a side", list.told(1_000.0, "ms"));
            let times = ours.less(PROCESS_SECS).over(&list);
            table.add("  times that, less 30 ms", times.told(1.0, "x"), times.median(), Bound::AtMost(TIMES_MOST), "x");
            for (name, samples) in [("  mbsync", mbsync), ("  imapsync", imapsync)] {
                if !samples.is_empty() {
                    table.tell(name, samples.told(1_000.0, "ms"));
                }
            }
        }
    }
    wire(rig, &stock, &target, table)?;
    rig.target.discard(&target);
    rig.haul.forget(&target);
    rig.forget(&stock);
    Ok(())
}

fn hundred_mailboxes(rig: &Rig, scale: &Scale, user: &str) -> io::Result<Stock> {
    let each = scale.messages(MAILS_A_MAILBOX);
    let mails = mail::messages(MAILBOXES * each, 700..1_000);
    let named = |at: usize| if at == 0 { "INBOX".to_owned() } else { format!("Projects {at:02}") };
    rig.filled_with(user, mails.chunks(each).enumerate().map(|(at, mails)| (named(at), mails.iter().collect())))
}

/// Other tools, each with an account of its own that it has copied before.
struct Others<'a> {
    rig: &'a Rig,
    mbsync: Option<String>,
    imapsync: Option<(String, &'a std::path::Path)>,
}

impl<'a> Others<'a> {
    fn prepare(rig: &'a Rig, near: &Stage<'_>, stock: &Stock, scale: &'a Scale) -> io::Result<Others<'a>> {
        let imapsync = scale.imapsync.as_deref().map(|program| (rig.fresh_user(), program));
        let others = Others { rig, mbsync: mbsync::is_there().then(|| rig.fresh_user()), imapsync };
        others.once(near, stock, &mut Samples::default(), &mut Samples::default())?;
        Ok(others)
    }

    fn once(&self, stage: &Stage<'_>, stock: &Stock, mbsync: &mut Samples, imapsync: &mut Samples) -> io::Result<()> {
        let (from, folder) = (stage.source(&stock.account), self.rig.folder.path().join("others"));
        if let Some(user) = &self.mbsync {
            let ca_file = self.rig.haul.ca_file();
            mbsync.push(mbsync::run(&folder.join("mbsync"), &from, &stage.target(user), ca_file)?.wall_secs);
        }
        if let Some((user, program)) = self.imapsync.as_ref().filter(|_| from.tls.is_none()) {
            imapsync.push(imapsync::run(program, &folder.join("imapsync"), &from, &stage.target(user))?.wall_secs);
        }
        Ok(())
    }
}

/// One more run through proxies that count. The pair is known by its hosts, not by its ports.
fn wire(rig: &Rig, stock: &Stock, target: &str, table: &mut Table) -> io::Result<()> {
    let proxies = [Proxy::start(rig.source.address()), Proxy::start(rig.target.address())];
    let (source, target) = (stock.account.at(proxies[0].address()), rig.account(&rig.target, target));
    let (target, state) = (target.at(proxies[1].address()), target.user.clone());
    let copying = Copying { source: &source, target: &target, state: &state, copied: 0, watch: false, under: &[] };
    rig.haul.copy(&copying)?;
    for (side, proxy) in ["source", "target"].into_iter().zip(&proxies) {
        let seen = proxy.statistics();
        let commands: u32 = seen.commands.values().sum();
        let told = format!("{commands} commands, {} B out, {} B in", seen.bytes_to_server, seen.bytes_to_client);
        table.tell(&format!("  {side}, on the wire"), told);
        if side == "source" {
            let count = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
            let sent = count(seen.bytes_to_server) / count(u64::try_from(MAILBOXES).unwrap_or(1));
            let bound = Bound::AtMost(SENT_A_MAILBOX_MOST);
            table.add("  octets sent to the source, a mailbox", format!("{sent:.1} B"), sent, bound, "B");
        }
    }
    Ok(())
}

/// Ten flags and ten new messages: so many round trips more than a visit in which nothing has changed.
pub(crate) fn changed(rig: &Rig, scale: &Scale, table: &mut Table) -> io::Result<()> {
    let stock = hundred_mailboxes(rig, scale, "changed")?;
    let target = rig.fresh_user();
    Stage::plain(rig, Over::PlainText, 0).haul_again(&stock, &target, stock.messages())?;
    let stage = Stage::plain(rig, Over::PlainText, COUNTED_AT);
    let new = mail::messages(10 * scale.rounds, 700..1_000);
    let [mut idle, mut wall, mut trips] = std::array::from_fn(|_| Samples::default());
    for (round, arriving) in new.chunks(10).enumerate() {
        let before = stage.haul_again(&stock, &target, 0)?.wall_secs;
        change(&stock.account, arriving, round)?;
        let after = stage.haul_again(&stock, &target, 10)?.wall_secs;
        idle.push(before);
        wall.push(after);
        trips.push((after - before) * 1_000.0 / f64::from(u32::try_from(COUNTED_AT).unwrap_or(u32::MAX)));
    }
    let name = format!("10 flags and 10 new messages among {}, {COUNTED_AT} ms", stock.messages());
    table.tell(&name, wall.told(1_000.0, "ms"));
    table.tell("  nothing changed", idle.told(1_000.0, "ms"));
    let bound = Bound::AtMost(CHANGED_TRIPS_MOST);
    table.add("  round trips more", trips.told(1.0, ""), trips.median(), bound, "");
    rig.target.discard(&target);
    rig.haul.forget(&target);
    rig.forget(&stock);
    Ok(())
}

/// Somebody reads and receives mail.
fn change(account: &Account, arriving: &[Mail], round: usize) -> io::Result<()> {
    let mut client = Client::sign_in(account.address, &account.user, &account.password).map_err(told)?;
    client.select("INBOX").map_err(told)?;
    let uids: Vec<String> = (0..10).map(|at| (1 + at * 12 + round).to_string()).collect();
    client.store(&uids.join(","), "+FLAGS", &["\\Flagged", "$Label4"]).map_err(told)?;
    let flags: Vec<Vec<String>> =
        arriving.iter().map(|mail| mail.flags.split_ascii_whitespace().map(str::to_owned).collect()).collect();
    let outgoing: Vec<Outgoing<'_>> = arriving
        .iter()
        .zip(&flags)
        .map(|(mail, flags)| Outgoing { flags, date: Some(&mail.date), octets: &mail.octets })
        .collect();
    client.append_all("INBOX", &outgoing).map_err(told)?;
    client.logout();
    Ok(())
}

fn told(error: ClientError) -> io::Error {
    io::Error::other(error.to_string())
}
