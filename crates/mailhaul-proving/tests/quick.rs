//! A few runs of every row.

use mailhaul_proving::{Ask, Row, Scale, rows};
use std::collections::BTreeSet;

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
fn row_8_the_ledger_damaged() {
    holds(8);
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
fn row_15_tls() {
    holds(15);
}

#[test]
fn row_16_everything_mixed() {
    holds(16);
}

#[test]
fn row_17_histories() {
    holds(17);
}

/// The promises, as people read them.
const PROMISES: &str = include_str!("../../../docs/concepts/promises.md");

/// The numbers of the table of promises: the first cell of its lines.
fn promised() -> BTreeSet<u32> {
    let table = PROMISES.split("| | The promise | The row plays |").nth(1).expect("the page has a table of the rows");
    let lines = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    lines.filter_map(|line| line.split('|').nth(1)?.trim().parse().ok()).collect()
}

/// The numbers of the tests above: each is named `row_N_…`.
fn played() -> BTreeSet<u32> {
    let names = include_str!("quick.rs").lines().filter_map(|line| line.strip_prefix("fn row_"));
    names.filter_map(|name| name.split('_').next()?.parse().ok()).collect()
}

#[test]
fn every_promise_has_a_row_and_every_row_a_promise_and_a_test_here() {
    let rows: BTreeSet<u32> = rows::ALL.iter().map(|row| row.number).collect();
    assert_eq!(promised(), (1..=17).collect(), "the table of promises");
    assert_eq!(rows, promised());
    assert_eq!(played(), promised());
}
