//! Small mail once more with everything on a disk: servers that write through, and a ledger that does.

use std::io;
use std::path::Path;

use crate::contest::Contest;
use crate::haul::Over;
use crate::mail;
use crate::rig::Rig;
use crate::scale::{SMALL, Scale};
use crate::stage::Stage;
use crate::table::{Bound, Table};

const MESSAGES: usize = 40_000;
const TIMES_MOST: f64 = 1.25;
/// Outlives a restart, so it is no tmpfs (file hierarchy standard, 5.15).
const PLACE: &str = "/var/tmp";

pub(crate) fn disk(_: &Rig, scale: &Scale, table: &mut Table) -> io::Result<()> {
    let rig = Rig::start_in(Path::new(PLACE), mailhaul_testing::DovecotBuilder::fsync)?;
    let stock = rig.filled("disk", &mail::messages(scale.messages(MESSAGES), SMALL))?;
    let stage = Stage::plain(&rig, Over::PlainText, 0);
    let seen = Contest::new(&stage, &stock, scale).run()?;
    seen.tell(table, &format!("{} messages of 3 KiB on a disk", stock.messages()), Bound::AtMost(TIMES_MOST));
    Ok(())
}
