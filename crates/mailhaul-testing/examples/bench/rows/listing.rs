//! Listing one mailbox with 1,000,000 mails: memory does not grow with it, neither in the first copy nor in a later look.
//!
//! The source lies in memory and knows no CONDSTORE, so that every look lists every mail with its flags.

use std::io;

use mailhaul_testing::Store;

use crate::canned::CannedSource;
use crate::haul::{Copying, Cost};
use crate::mail;
use crate::raw::Account;
use crate::rig::{Rig, Server};
use crate::scale::Scale;
use crate::table::{Bound, Table};

const MESSAGES: usize = 1_000_000;
/// So many times fewer, to see what grows.
const SMALLER: usize = 10;
const PEAK_MIB_MOST: f64 = 64.0;
/// The peak of the larger, times that of the smaller.
const TIMES_MOST: f64 = 1.5;

pub(crate) fn listing(rig: &Rig, scale: &Scale, table: &mut Table) -> io::Result<()> {
    let many = scale.messages(MESSAGES);
    // A million files would be measured otherwise.
    let target = rig.another(|builder| builder.store(Store::Mdbox))?;
    let [few, many] = [looked(rig, &target, many / SMALLER)?, looked(rig, &target, many)?];
    for (at, name) in ["first copy", "second look"].into_iter().enumerate() {
        let (few, many, count) = (&few.1[at], &many.1[at], many.0);
        table.tell(&format!("one mailbox of {count} mails, {name}"), format!("{:.1} s", many.wall_secs));
        let peak = many.peak_mib();
        table.add("  peak RSS", format!("{peak:.1} MiB"), peak, Bound::AtMost(PEAK_MIB_MOST), "MiB");
        let times = peak / few.peak_mib();
        let told = format!("{times:.2} x ({:.1} MiB)", few.peak_mib());
        table.add(&format!("  times that of {} mails", count / SMALLER), told, times, Bound::AtMost(TIMES_MOST), "x");
    }
    Ok(())
}

/// What the first copy of so many mails took, and a look afterwards.
fn looked(rig: &Rig, target: &Server, count: usize) -> io::Result<(usize, [Cost; 2])> {
    let source = CannedSource::start(&mail::tiny(count))?;
    let from: Account = rig.account(target, "anybody").at(source.address);
    let user = rig.fresh_user();
    let to = rig.account(target, &user);
    let copying = |copied| Copying { source: &from, target: &to, state: &user, copied, watch: true, under: &[] };
    let first = rig.haul.copy(&copying(u64::try_from(count).unwrap_or(u64::MAX)))?;
    let second = rig.haul.copy(&copying(0))?;
    target.discard(&user);
    rig.haul.forget(&user);
    Ok((count, [first, second]))
}
