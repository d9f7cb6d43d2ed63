//! The same over distance: the line has to be kept full, and session set-up is counted apart.

use std::io;

use crate::contest::Contest;
use crate::mail;
use crate::rig::Rig;
use crate::scale::{SMALL, Scale};
use crate::stage::Stage;
use crate::table::{Bound, Table};

const MESSAGES: usize = 60_000;
/// Milliseconds of round trip on both links.
const DISTANCES: [u64; 3] = [20, 100, 300];
const TIMES_MOST: f64 = 1.15;

pub(crate) fn distance(rig: &Rig, scale: &Scale, table: &mut Table) -> io::Result<()> {
    let mails = mail::messages(scale.messages(MESSAGES), SMALL);
    let one = rig.filled("distance-one", &mails[..1])?;
    let stock = rig.filled("distance", &mails)?;
    for over in scale.ways.iter().copied() {
        for millis in DISTANCES {
            let stage = Stage::plain(rig, over, millis);
            let contest = Contest { set_up: Some(&one), ..Contest::new(&stage, &stock, scale).with_mbsync(scale) };
            let name = format!("{} messages of 3 KiB, {millis} ms, {}", mails.len(), over.word());
            contest.run()?.tell(table, &name, Bound::AtMost(TIMES_MOST));
        }
    }
    rig.forget(&stock);
    rig.forget(&one);
    Ok(())
}
