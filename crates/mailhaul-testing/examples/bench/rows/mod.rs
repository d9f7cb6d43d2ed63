//! The rows by their names.

mod accounts;
mod cost;
mod disk;
mod distance;
mod estimate;
mod huge;
mod idle;
mod large;
mod listing;
mod mailboxes;
mod many;
mod mixed;
mod profile;
mod queue;
mod resync;
mod set_up;
mod small;
mod targets;

use std::io;

use crate::rig::Rig;
use crate::scale::Scale;
use crate::table::Table;

/// A row.
pub(crate) type Measure = fn(&Rig, &Scale, &mut Table) -> io::Result<()>;

pub(crate) const ROWS: [(&str, Measure); 21] = [
    ("small", small::small),
    ("distance", distance::distance),
    ("setup", set_up::set_up),
    ("mixed", mixed::mixed),
    ("targets", targets::targets),
    ("large", large::large),
    ("listing", listing::listing),
    ("mailboxes", mailboxes::mailboxes),
    ("accounts", accounts::accounts),
    ("huge", huge::huge),
    ("resync", resync::unchanged),
    ("changed", resync::changed),
    ("disk", disk::disk),
    ("profile", profile::profile),
    ("cost", cost::cost),
    ("estimate", estimate::estimate),
    ("idle", idle::idle),
    ("queue", queue::inside),
    ("lists", queue::commands),
    ("state", queue::state),
    ("many", many::many),
];
