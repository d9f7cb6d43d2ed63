//! The rows, one file each. What a row is, says [`crate::Row`].

mod answers;
mod cuts;
mod damage;
mod failpoints;
mod ground;
mod histories;
mod honest;
mod kills;
mod leases;
mod memory;
mod mixed;
mod mutants;
mod secrets;
mod signals;
mod small_disk;
mod tls;
mod users;
mod writes;

use crate::Row;

/// All rows, in the table's order.
pub const ALL: &[Row] = &[
    kills::ROW,
    failpoints::ROW,
    cuts::ROW,
    answers::ROW,
    mutants::ROW,
    leases::ROW,
    writes::ROW,
    small_disk::ROW,
    damage::ROW,
    users::ROW,
    ground::ROW,
    memory::ROW,
    signals::ROW,
    secrets::ROW,
    honest::ROW,
    tls::ROW,
    mixed::ROW,
    histories::ROW,
];
