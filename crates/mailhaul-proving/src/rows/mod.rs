//! The rows, one file each. What a row is, says [`crate::Row`].

mod altering;
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
    altering::ROW,
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

/// The rows that take every processor they get and wait for nothing, because they have neither servers nor a clock.
const RECKONING: &[Row] = &[failpoints::ROW, cuts::ROW, answers::ROW, mutants::ROW, altering::ROW, mixed::ROW];

/// What can be played side by side: rows that reckon, and rows that mostly wait for servers, each in the table's order.
#[must_use]
pub fn side_by_side(rows: Vec<Row>) -> (Vec<Row>, Vec<Row>) {
    rows.into_iter().partition(|row| RECKONING.iter().any(|one| one.name == row.name))
}

/// The rows of these numbers (none: all), of which only those whose name has these words.
#[must_use]
pub fn asked(numbers: &[u32], only: Option<&str>) -> Vec<Row> {
    let is_asked = |row: &&Row| {
        (numbers.is_empty() || numbers.contains(&row.number)) && only.is_none_or(|words| row.name.contains(words))
    };
    ALL.iter().filter(is_asked).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn names(numbers: &[u32], only: Option<&str>) -> Vec<&'static str> {
        asked(numbers, only).iter().map(|row| row.name).collect()
    }

    #[test]
    fn a_number_means_all_its_rows_and_words_mean_one_of_them() {
        assert_eq!(names(&[7], None), [writes::ROW.name, small_disk::ROW.name]);
        assert_eq!(names(&[7], Some(writes::ONLY)), [writes::ROW.name]);
        assert_eq!(names(&[7], Some(small_disk::ONLY)), [small_disk::ROW.name]);
        assert_eq!(names(&[8], Some(damage::ONLY)), [damage::ROW.name]);
        assert_eq!(asked(&[], None).len(), ALL.len());
        assert!(names(&[1], Some("no such words")).is_empty());
    }

    #[test]
    fn each_row_is_played_on_one_side() {
        let (reckoning, waiting) = side_by_side(asked(&[], None));
        assert_eq!((reckoning.len(), reckoning.len() + waiting.len()), (RECKONING.len(), ALL.len()));
    }

    #[test]
    fn the_table_has_the_order_of_its_numbers_and_no_name_twice() {
        assert!(ALL.is_sorted_by_key(|row| row.number));
        assert_eq!(ALL.iter().map(|row| row.name).collect::<BTreeSet<_>>().len(), ALL.len());
    }
}
