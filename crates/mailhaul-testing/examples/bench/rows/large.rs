//! One mailbox with 200,000 mails: neither time nor memory may grow with it beyond what more mail costs.

use std::io;

use crate::mail;
use crate::rig::Rig;
use crate::scale::{SMALL, Scale};
use crate::stage::Stage;
use crate::table::{Bound, Samples, Table};

const MESSAGES: usize = 200_000;
/// As in the row of small mail.
const SMALLER: usize = 70_000;
const TIMES_MOST: f64 = 1.15;
const PEAK_MIB_MOST: f64 = 64.0;

pub(crate) fn large(rig: &Rig, scale: &Scale, table: &mut Table) -> io::Result<()> {
    let mails = mail::messages(scale.messages(MESSAGES), SMALL);
    let smaller = rig.filled("large-part", &mails[..scale.messages(SMALLER)])?;
    let larger = rig.filled("large", &mails)?;
    drop(mails);
    for over in scale.ways.iter().copied() {
        let stage = Stage::plain(rig, over, 0);
        let [mut part, mut whole, mut peak_part, mut peak_whole] = std::array::from_fn(|_| Samples::default());
        for _ in 0..scale.aside() {
            for (stock, secs, peak) in [(&smaller, &mut part, &mut peak_part), (&larger, &mut whole, &mut peak_whole)] {
                let cost = stage.haul_watched(stock)?;
                secs.push(cost.wall_secs / f64::from(u32::try_from(stock.messages()).unwrap_or(u32::MAX)));
                peak.push(cost.peak_mib());
            }
        }
        let name = format!("{} messages in one mailbox, {}", larger.messages(), over.word());
        table.tell(&format!("{name}: a message"), whole.told(1e6, "us"));
        table.tell(&format!("  a message of {}", smaller.messages()), part.told(1e6, "us"));
        let times = whole.over(&part);
        table.add("  times that", times.told(1.0, "x"), times.median(), Bound::AtMost(TIMES_MOST), "x");
        let (told, peak) = (peak_whole.told(1.0, "MiB"), peak_whole.median());
        table.add("  peak RSS", told, peak, Bound::AtMost(PEAK_MIB_MOST), "MiB");
        table.tell(&format!("  peak RSS with {}", smaller.messages()), peak_part.told(1.0, "MiB"));
    }
    rig.forget(&smaller);
    rig.forget(&larger);
    Ok(())
}
