//! Listing one mailbox with 1,000,000 mails: memory grows by what the ledger knows of a mail, which is some octets, and by
//! nothing else, neither in the first copy nor in a later look.
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
/// What each further mail may add: its row in the ledger, which keeps mails in runs.
const OCTETS_A_MAIL_MOST: f64 = 32.0;

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
        table.tell(&format!("  peak RSS with {} mails", count / SMALLER), format!("{:.1} MiB", few.peak_mib()));
        let further = f64::from(u32::try_from(count - count / SMALLER).unwrap_or(u32::MAX));
        let octets = (peak - few.peak_mib()) * f64::from(1 << 20) / further;
        table.add("  a further mail", format!("{octets:.1} B"), octets, Bound::AtMost(OCTETS_A_MAIL_MOST), "B");
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
