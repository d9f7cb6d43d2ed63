//! The rows, one file each. What a row is, says [`crate::Row`].

mod answers;
mod cuts;
mod failpoints;
mod ground;
mod histories;
mod honest;
mod kills;
mod mixed;
mod signals;
mod users;

use crate::Row;

/// All rows, in the table's order.
pub const ALL: &[Row] = &[
    kills::ROW,
    failpoints::ROW,
    cuts::ROW,
    answers::ROW,
    users::ROW,
    ground::ROW,
    signals::ROW,
    honest::ROW,
    mixed::ROW,
    histories::ROW,
];
