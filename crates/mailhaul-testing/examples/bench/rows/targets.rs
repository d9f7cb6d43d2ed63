//! Targets that lack something, or keep mail otherwise: each against its own raw limit, which is the relay in whatever form
//! that target takes best.

use std::io;

use mailhaul_testing::{Cyrus, Store};

use crate::contest::Contest;
use crate::haul::Over;
use crate::mail;
use crate::raw::Form;
use crate::rig::{Rig, Server, Stock};
use crate::scale::{SMALL, Scale};
use crate::stage::Stage;
use crate::table::{Bound, Table};

const TIMES_MOST: f64 = 1.2;
const DISTANCE: u64 = 40;
/// Messages over distance where each of them costs a round trip.
const SLOW_MESSAGES: usize = 500;
/// What the better form is found out with.
const TRIAL_MESSAGES: usize = 2_000;

/// A kind of target.
struct Kind {
    name: &'static str,
    /// Messages, so that the relay takes its time.
    messages: usize,
    multiappend: bool,
    eager: bool,
    start: fn(&Rig) -> io::Result<Server>,
}

const KINDS: [Kind; 6] = [
    Kind {
        name: "without MULTIAPPEND",
        messages: 16_000,
        multiappend: false,
        eager: true,
        start: |rig| rig.another(|builder| builder.without_capability("MULTIAPPEND")),
    },
    Kind {
        name: "without LITERAL+",
        messages: 40_000,
        multiappend: true,
        eager: false,
        start: |rig| rig.another(|builder| builder.without_capability("LITERAL+")),
    },
    Kind {
        name: "without either",
        messages: 14_000,
        multiappend: false,
        eager: false,
        start: |rig| rig.another(|builder| builder.without_capability("LITERAL+").without_capability("MULTIAPPEND")),
    },
    Kind {
        name: "without UIDPLUS",
        messages: 60_000,
        multiappend: true,
        eager: true,
        start: |rig| rig.another(|builder| builder.without_capability("UIDPLUS")),
    },
    Kind {
        name: "Maildir",
        messages: 50_000,
        multiappend: true,
        eager: true,
        start: |rig| rig.another(|builder| builder.store(Store::Maildir)),
    },
    Kind {
        name: "Cyrus",
        messages: 30_000,
        multiappend: true,
        eager: true,
        start: |_| Ok(Server::Cyrus(Box::new(Cyrus::builder().try_start()?))),
    },
];

pub(crate) fn targets(rig: &Rig, scale: &Scale, table: &mut Table) -> io::Result<()> {
    for kind in &KINDS {
        let target = match (kind.start)(rig) {
            Ok(target) => target,
            Err(error) => {
                table.tell(&format!("target {}", kind.name), format!("left out: {error}"));
                continue;
            }
        };
        let mails = mail::messages(scale.messages(kind.messages), SMALL);
        let stock = rig.filled("targets", &mails)?;
        let few = rig.filled("targets-few", &mails[..SLOW_MESSAGES / scale.divisor])?;
        let form = better_form(&Stage::new(rig, &target, Over::PlainText, 0), &stock, kind)?;
        for over in scale.ways.iter().copied() {
            if over == Over::Tls && (target.tls_address().is_none() || scale.ways.len() > 1) {
                // That TLS costs the same everywhere is not measured again for every target, unless TLS alone is asked for.
                continue;
            }
            for millis in [0, DISTANCE] {
                let waits = millis > 0 && !kind.eager;
                let (stock, rounds) = if waits { (&few, scale.aside()) } else { (&stock, scale.rounds) };
                let stage = Stage::new(rig, &target, over, millis);
                let seen = Contest { form, rounds, ..Contest::new(&stage, stock, scale) }.run()?;
                let selected = if form.select { "selected" } else { "unselected" };
                let name = format!("target {}, {} messages, {millis} ms, {selected}", kind.name, stock.messages());
                seen.tell(table, &name, Bound::AtMost(TIMES_MOST));
            }
        }
        rig.forget(&stock);
        rig.forget(&few);
    }
    Ok(())
}

/// Whether the target is faster when the mailbox is selected differs from server to server, and up to eightfold.
fn better_form(stage: &Stage<'_>, stock: &Stock, kind: &Kind) -> io::Result<Form> {
    let trial: Vec<_> =
        stock.letters.iter().map(|letters| letters.first(TRIAL_MESSAGES.min(letters.sizes.len()))).collect();
    let form = |select| Form { multiappend: kind.multiappend, eager: kind.eager, select, create: false };
    let took = |select| stage.relay_part(&stock.account, &trial, form(select));
    Ok(form(took(true)? < took(false)?))
}
