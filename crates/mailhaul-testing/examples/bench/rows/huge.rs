//! One mail of 150 MiB: it goes through in chunks, and memory stays flat.

use std::io;

use crate::contest::Contest;
use crate::mail;
use crate::rig::Rig;
use crate::scale::Scale;
use crate::stage::Stage;
use crate::table::{Bound, Table};

const OCTETS: usize = 150 << 20;
const PEAK_MIB_MOST: f64 = 64.0;

pub(crate) fn huge(rig: &Rig, scale: &Scale, table: &mut Table) -> io::Result<()> {
    let stock = rig.filled("huge", &mail::large(OCTETS))?;
    for over in scale.ways.iter().copied() {
        let stage = Stage::plain(rig, over, 0);
        let seen = Contest { rounds: scale.aside(), ..Contest::new(&stage, &stock, scale) }.run()?;
        seen.tell(table, &format!("one mail of 150 MiB, {}", over.word()), Bound::None);
        let peak = stage.haul_watched(&stock)?.peak_mib();
        table.add("  peak RSS", format!("{peak:.1} MiB"), peak, Bound::AtMost(PEAK_MIB_MOST), "MiB");
    }
    rig.forget(&stock);
    Ok(())
}
