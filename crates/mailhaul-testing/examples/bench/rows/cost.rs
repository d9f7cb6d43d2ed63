//! The cost model of `docs/concepts/cost.md`, checked on the wire: commands and octets a message and a mailbox, and what the
//! ledger grows by. All are slopes between sizes, counted by proxies that understand what is said.

use std::io;

use mailhaul_testing::proxy::Statistics;

use crate::mail;
use crate::rig::{Rig, Stock};
use crate::scale::{SMALL, Scale};
use crate::stage::Stage;
use crate::table::{Bound, Table};

/// Long enough for the proxies to be in the way at all.
const MILLIS: u64 = 2;
const FEW: usize = 1_000;
const MANY: usize = 11_000;
const MAILBOXES: usize = 11;

/// What the model says, at most.
const COMMANDS_OF_1000: f64 = 12.0;
const SOURCE_OCTETS: f64 = 180.0;
const TARGET_OCTETS: f64 = 70.0;
const MAILBOX_COMMANDS: f64 = 12.0;
const LEDGER_OCTETS: f64 = 32.0;

pub(crate) fn cost(rig: &Rig, _: &Scale, table: &mut Table) -> io::Result<()> {
    let mails = mail::messages(MANY, SMALL);
    let few = rig.filled("cost-few", &mails[..FEW])?;
    let many = rig.filled("cost-many", &mails)?;
    let named = |at: usize| if at == 0 { "INBOX".to_owned() } else { format!("Box {at:02}") };
    let chunks = mails[..FEW].chunks(FEW.div_ceil(MAILBOXES)).enumerate();
    let spread = rig.filled_with("cost-spread", chunks.map(|(at, mails)| (named(at), mails.iter().collect())))?;
    let [small, large, wide] = [run(rig, &few)?, run(rig, &many)?, run(rig, &spread)?];
    let messages = count(MANY - FEW);
    let content: usize = mails[FEW..].iter().map(|mail| mail.octets.len()).sum();
    let more = |pick: fn(&Seen) -> f64| (pick(&large) - pick(&small)) / messages;
    let mut tell = |name: &str, figure: f64, most: f64, unit: &str| {
        table.add(name, format!("{figure:.1} {unit}"), figure, Bound::AtMost(most), unit);
    };
    tell("commands of 1,000 messages, both sides", more(|seen| seen.commands) * 1_000.0, COMMANDS_OF_1000, "");
    let content = count(content) / messages;
    tell("  octets a message beside its own, source", more(|seen| seen.source) - content, SOURCE_OCTETS, "B");
    tell("  octets a message beside its own, target", more(|seen| seen.target) - content, TARGET_OCTETS, "B");
    tell("  octets of the ledger a message", more(|seen| seen.ledger), LEDGER_OCTETS, "B");
    let mailboxes = count(spread.letters.len() - 1);
    tell(
        "  commands a further mailbox, both sides",
        (wide.commands - small.commands) / mailboxes,
        MAILBOX_COMMANDS,
        "",
    );
    let octets = (wide.source + wide.target - small.source - small.target) / mailboxes;
    table.tell("  octets a further mailbox, both sides", format!("{octets:.0} B"));
    for stock in [&few, &many, &spread] {
        rig.forget(stock);
    }
    Ok(())
}

/// What one copy took.
struct Seen {
    commands: f64,
    /// Octets in both directions.
    source: f64,
    target: f64,
    /// The state file.
    ledger: f64,
}

fn run(rig: &Rig, stock: &Stock) -> io::Result<Seen> {
    let stage = Stage::understood(rig, MILLIS);
    let user = rig.fresh_user();
    stage.haul_again(stock, &user, stock.messages())?;
    let Some((near, far)) = stage.links() else { return Err(io::Error::other("no proxies")) };
    let (near, far) = (near.statistics(), far.statistics());
    let octets = |seen: &Statistics| float(seen.bytes_to_server + seen.bytes_to_client);
    let commands: u32 = near.commands.values().chain(far.commands.values()).sum();
    let ledger = float(rig.haul.state_octets(&user)?);
    rig.target.discard(&user);
    rig.haul.forget(&user);
    Ok(Seen { commands: f64::from(commands), source: octets(&near), target: octets(&far), ledger })
}

fn count(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn float(octets: u64) -> f64 {
    f64::from(u32::try_from(octets).unwrap_or(u32::MAX))
}
