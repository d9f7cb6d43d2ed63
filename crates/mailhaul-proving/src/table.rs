//! The table that `make prove` ends with.

use crate::{Outcome, Row};
use std::fmt;
use std::time::Duration;

/// What came of each row, in the order in which they were played.
#[derive(Debug, Default)]
pub struct Table(Vec<(Row, Outcome, Duration)>);

impl Table {
    /// Enters a row.
    pub fn enter(&mut self, row: Row, outcome: Outcome, took: Duration) {
        self.0.push((row, outcome, took));
    }

    /// Whether every row is as promised, and there is one at all.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|(_, outcome, _)| outcome.holds())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["", "promise", "runs", "lost", "doubled", "other", "seconds", "figures"];
        let mut lines = vec![header.map(str::to_owned)];
        for (row, outcome, took) in &self.0 {
            lines.push([
                row.number.to_string(),
                row.name.to_owned(),
                outcome.runs.to_string(),
                outcome.lost.to_string(),
                outcome.doubled.to_string(),
                outcome.failures.len().to_string(),
                format!("{:.1}", took.as_secs_f64()),
                outcome.figures.join(", "),
            ]);
        }
        let widths: Vec<usize> =
            (0..header.len()).map(|at| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0)).collect();
        for line in &lines {
            let mut text = String::new();
            for (at, (cell, width)) in line.iter().zip(&widths).enumerate() {
                // Words stand left, numbers right.
                let cell = if matches!(at, 1 | 7) { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
                text.push_str(&cell);
                text.push_str("  ");
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u32) -> Row {
        Row { number, name: "cuts", play: |_| Outcome::default() }
    }

    #[test]
    fn a_row_that_was_never_played_does_not_hold() {
        let mut table = Table::default();
        assert!(!table.holds());
        table.enter(row(3), Outcome { runs: 5, ..Outcome::default() }, Duration::from_millis(1_250));
        assert!(table.holds());
        table.enter(row(16), Outcome::default(), Duration::ZERO);
        assert!(!table.holds());
    }

    #[test]
    fn a_loss_without_words_does_not_hold_either() {
        let mut table = Table::default();
        table.enter(row(3), Outcome { runs: 5, lost: 1, ..Outcome::default() }, Duration::ZERO);
        assert!(!table.holds());
    }

    #[test]
    fn words_stand_left_and_numbers_right() {
        let mut table = Table::default();
        let figures = vec!["peak 41 MiB".to_owned()];
        table.enter(row(16), Outcome { runs: 5_000, figures, ..Outcome::default() }, Duration::from_millis(1_250));
        let text = table.to_string();
        assert_eq!(
            text,
            "    promise  runs  lost  doubled  other  seconds  figures\n\
             16  cuts     5000     0        0      0      1.2  peak 41 MiB\n"
        );
    }
}
