//! Small mail in one mailbox, without distance: the row in which everything that mailhaul does beside moving octets shows.

use std::io;

use crate::canned::CannedSource;
use crate::contest::Contest;
use crate::haul::Over;
use crate::mail::{self, Mail};
use crate::peers::imapsync;
use crate::raw;
use crate::rig::{Rig, Stock};
use crate::scale::{SMALL, Scale};
use crate::stage::Stage;
use crate::table::{Bound, Samples, Table};

const MESSAGES: usize = 70_000;
const TIMES_MOST: f64 = 1.25;
const APPEND_SIDE_LEAST: f64 = 95.0;
const CPU_MICROS_MOST: f64 = 8.0;
const CPU_MICROS_MOST_TLS: f64 = 12.0;
/// Messages for a tool that waits for each of them.
const IMAPSYNC_MESSAGES: usize = 2_000;

pub(crate) fn small(rig: &Rig, scale: &Scale, table: &mut Table) -> io::Result<()> {
    let mails = mail::messages(scale.messages(MESSAGES), SMALL);
    let few = rig.filled("small-few", &mails[..mails.len() / 5])?;
    let stock = rig.filled("small", &mails)?;
    for over in scale.ways.iter().copied() {
        let stage = Stage::plain(rig, over, 0);
        let seen = Contest::new(&stage, &stock, scale).with_mbsync(scale).run()?;
        let name = format!("{} messages of 3 KiB, {}", mails.len(), over.word());
        seen.tell(table, &name, Bound::AtMost(TIMES_MOST));
        cpu(&stage, over, (&few, &stock), &seen.cpu, scale, table)?;
    }
    append_side(rig, &stock, &mails, scale, table)?;
    rig.forget(&stock);
    rig.forget(&few);
    if let Some(program) = &scale.imapsync {
        let stock = rig.filled("small-imapsync", &mails[..IMAPSYNC_MESSAGES.min(mails.len())])?;
        let stage = Stage::plain(rig, Over::PlainText, 0);
        let folder = rig.folder.path().join("imapsync");
        let cost = stage.with_fresh(|target| imapsync::run(program, &folder, &stage.source(&stock.account), target))?;
        table.tell(&format!("{} messages of 3 KiB: imapsync", stock.messages()), format!("{:.1} s", cost.wall_secs));
        rig.forget(&stock);
    }
    Ok(())
}

/// What one more message costs, by the slope between two sizes, so that the start does not count.
fn cpu(
    stage: &Stage<'_>,
    over: Over,
    (few, many): (&Stock, &Stock),
    dear: &Samples,
    scale: &Scale,
    table: &mut Table,
) -> io::Result<()> {
    let mut cheap = Samples::default();
    for _ in 0..scale.rounds {
        cheap.push(stage.haul(few)?.cpu_secs);
    }
    let units = f64::from(u32::try_from(many.messages() - few.messages()).unwrap_or(u32::MAX));
    let micros = dear.slope(&cheap, units) * 1e6;
    let most = if over == Over::Tls { CPU_MICROS_MOST_TLS } else { CPU_MICROS_MOST };
    let told = format!("{micros:.2} us (slope {} to {})", few.messages(), many.messages());
    table.add(&format!("  CPU a message, {}", over.word()), told, micros, Bound::AtMost(most), "us");
    table.tell(&format!("  CPU of {} messages", many.messages()), dear.told(1.0, "s"));
    Ok(())
}

/// From a source that costs next to nothing, against commands that lie ready in memory.
fn append_side(rig: &Rig, stock: &Stock, mails: &[Mail], scale: &Scale, table: &mut Table) -> io::Result<()> {
    let stage = Stage::plain(rig, Over::PlainText, 0);
    let composed = raw::compose(mails);
    let canned = CannedSource::start(mails)?;
    let from_memory = stock.account.at(canned.address);
    let [mut drained, mut append, mut selected, mut ours] = std::array::from_fn(|_| Samples::default());
    for _ in 0..scale.rounds {
        drained.push(raw::drain(&stock.account, ["INBOX"])?.as_secs_f64());
        append.push(stage.with_fresh(|target| raw::append(target, &composed, false))?.as_secs_f64());
        ours.push(stage.haul_from(&from_memory, stock.messages(), false)?.wall_secs);
        selected.push(stage.with_fresh(|target| raw::append(target, &composed, true))?.as_secs_f64());
    }
    table.tell("  raw FETCH, drained", drained.told(1.0, "s"));
    table.tell("  raw MULTIAPPEND from memory", append.told(1.0, "s"));
    table.tell("  raw MULTIAPPEND, mailbox selected", selected.told(1.0, "s"));
    table.tell("  mailhaul copy, source in memory", ours.told(1.0, "s"));
    let share = append.over(&ours);
    let (told, figure) = (share.told(100.0, "%"), share.median() * 100.0);
    table.add("  append side: share of raw MULTIAPPEND", told, figure, Bound::AtLeast(APPEND_SIDE_LEAST), "%");
    Ok(())
}
