//! A few runs of every row.

use mailhaul_proving::{Ask, Row, Scale, rows};

fn holds(number: u32) {
    let found: Vec<&Row> = rows::ALL.iter().filter(|row| row.number == number).collect();
    assert!(!found.is_empty(), "there is no row {number}");
    for row in found {
        let outcome = (row.play)(&Ask::of(Scale::Quick));
        assert!(outcome.holds(), "{row:?}: {outcome:#?}");
    }
}

#[test]
fn row_1_kills() {
    holds(1);
}

#[test]
fn row_2_failpoints() {
    holds(2);
}

#[test]
fn row_3_cuts() {
    holds(3);
}

#[test]
fn row_4_answers() {
    holds(4);
}

#[test]
fn row_5_mutants() {
    holds(5);
}

#[test]
fn row_6_leases() {
    holds(6);
}

#[test]
fn row_7_disks() {
    holds(7);
}

#[test]
fn row_9_users() {
    holds(9);
}

#[test]
fn row_10_ground() {
    holds(10);
}

#[test]
fn row_11_memory() {
    holds(11);
}

#[test]
fn row_12_signals() {
    holds(12);
}

#[test]
fn row_13_secrets() {
    holds(13);
}

#[test]
fn row_14_honest_verify() {
    holds(14);
}

#[test]
fn row_16_everything_mixed() {
    holds(16);
}

#[test]
fn row_17_histories() {
    holds(17);
}

#[test]
fn row_8_the_ledger_damaged() {
    holds(8);
}

#[test]
fn row_15_tls() {
    holds(15);
}

#[test]
fn every_row_stands_here() {
    let here = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17];
    let rows: std::collections::BTreeSet<u32> = rows::ALL.iter().map(|row| row.number).collect();
    assert_eq!(rows, here.into_iter().collect());
}
