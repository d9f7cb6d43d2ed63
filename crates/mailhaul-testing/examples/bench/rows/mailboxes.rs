//! Two thousand mailboxes of ten mails, where creating and subscribing costs the target many times what the mail does.

use std::io;

use crate::contest::Contest;
use crate::mail;
use crate::rig::Rig;
use crate::scale::{SMALL, Scale};
use crate::stage::Stage;
use crate::table::{Bound, Table};

const MAILBOXES: usize = 2_000;
const EACH: usize = 10;
const TIMES_MOST: f64 = 1.25;
const PEAK_MIB_MOST: f64 = 64.0;

pub(crate) fn mailboxes(rig: &Rig, scale: &Scale, table: &mut Table) -> io::Result<()> {
    let mailboxes = scale.messages(MAILBOXES);
    let mails = mail::messages(mailboxes * EACH, SMALL);
    let named = |at: usize| if at == 0 { "INBOX".to_owned() } else { format!("Box {at:04}") };
    let stock = rig.filled_with(
        "mailboxes",
        mails.chunks(EACH).enumerate().map(|(at, mails)| (named(at), mails.iter().collect())),
    )?;
    for over in scale.ways.iter().copied() {
        let stage = Stage::plain(rig, over, 0);
        let seen = Contest { rounds: scale.aside(), ..Contest::new(&stage, &stock, scale) }.run()?;
        let name = format!("{mailboxes} mailboxes of {EACH}, {}", over.word());
        seen.tell(table, &name, Bound::AtMost(TIMES_MOST));
        let peak = stage.haul_watched(&stock)?.peak_mib();
        table.add("  peak RSS", format!("{peak:.1} MiB"), peak, Bound::AtMost(PEAK_MIB_MOST), "MiB");
    }
    rig.forget(&stock);
    Ok(())
}
