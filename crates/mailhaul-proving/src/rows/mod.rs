//! The rows, one file each. What a row is, says [`crate::Row`].

mod ground;
mod honest;
mod kills;
mod signals;
mod users;

use crate::Row;

/// All rows, in the table's order.
pub const ALL: &[Row] = &[kills::ROW, users::ROW, ground::ROW, signals::ROW, honest::ROW];
