//! `make compare`: mbsync beside mailhaul, under the same troubles, and a table of what came of it.
//!
//! ```text
//! cargo build -p mailhaul && cargo run -p mailhaul-proving --bin compare [-- PART OF A CASE'S NAME]
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people at a terminal")]

use mailhaul_proving::compare::{CASES, Figures, Tool};
use std::process::ExitCode;

fn main() -> ExitCode {
    let part = std::env::args().nth(1).unwrap_or_default();
    for tool in Tool::ALL {
        let Some(version) = tool.version() else {
            eprintln!("{} is not installed\nhint: scripts/install-test-servers.sh --only mbsync", tool.name());
            return ExitCode::from(2);
        };
        println!("{version}");
    }
    println!("\n| Trouble | Tool | Times | Exact | Error | Lost | Doubled | Altered | Sent again |");
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|");
    for case in CASES.iter().filter(|case| case.name.contains(&part)) {
        for tool in Tool::ALL {
            let mut figures = Figures::default();
            (1..=case.times).for_each(|seed| figures.add((case.play)(tool, seed)));
            println!("{}", figures.line(case.name, tool.name()));
        }
    }
    ExitCode::SUCCESS
}
