//! The rows, one file each. What a row is, says [`crate::Row`].

mod honest;
mod kills;
mod signals;

use crate::Row;

/// All rows, in the table's order.
pub const ALL: &[Row] = &[kills::ROW, signals::ROW, honest::ROW];
