//! `make prove`: plays the rows, prints what came of each.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people at a terminal")]

use clap::Parser;
use mailhaul_proving::{Ask, Outcome, Row, Scale, Table, rows};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Breaks mailhaul on purpose, and counts what was lost and what was doubled.
#[derive(Debug, Parser)]
#[command(name = "prove")]
struct Arguments {
    /// Only this row; may be said several times
    #[arg(long)]
    row: Vec<u32>,
    /// Of rows that share a number, the one whose name has these words
    #[arg(long, value_name = "WORDS")]
    only: Option<String>,
    /// So many runs of each row, and not what stands for the scale
    #[arg(long)]
    runs: Option<u64>,
    /// Where the seeds begin; alone, the one run that a failure has named
    #[arg(long)]
    seed: Option<u64>,
    /// A few runs of each row, in minutes
    #[arg(long, conflicts_with = "long")]
    quick: bool,
    /// As long as it takes: hours
    #[arg(long)]
    long: bool,
}

impl Arguments {
    fn ask(&self) -> Ask {
        let scale = match (self.quick, self.long) {
            (true, _) => Scale::Quick,
            (_, true) => Scale::Long,
            _ => Scale::Prove,
        };
        let runs = self.runs.or(self.seed.map(|_| 1));
        Ask { scale, runs, seed: self.seed.unwrap_or(1) }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ask = arguments.ask();
    let (reckoning, waiting) = rows::side_by_side(rows::asked(&arguments.row, arguments.only.as_deref()));
    let mut played = std::thread::scope(|scope| {
        let reckoning = scope.spawn(|| play(&reckoning, &ask));
        let mut played = play(&waiting, &ask);
        played.extend(reckoning.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        played
    });
    played.sort_by_key(|(row, _, _)| row.number);
    let mut table = Table::default();
    played.into_iter().for_each(|(row, outcome, took)| table.enter(row, outcome, took));
    print!("{table}");
    if table.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plays one row after the other, and says at once what is not as promised.
fn play(rows: &[Row], ask: &Ask) -> Vec<(Row, Outcome, Duration)> {
    let play = |row: &Row| {
        eprintln!("row {}: {} …", row.number, row.name);
        let began = Instant::now();
        let outcome = (row.play)(ask);
        for failure in &outcome.failures {
            eprintln!("row {} is not as promised ({}):\n{}\n", row.number, failure.repeat, failure.seen);
        }
        (*row, outcome, began.elapsed())
    };
    rows.iter().map(play).collect()
}
