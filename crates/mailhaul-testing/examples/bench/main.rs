//! How fast the product is, measured against what the servers themselves can do, on this machine, within one run.
//!
//! ```text
//! make bench
//! cargo run --release -p mailhaul-testing --example bench -- [--quick] [--plain | --tls] [--row NAME]...
//! ```
//!
//! Starts two private Dovecots (sdbox, nothing written through to disk) on a tmpfs, runs the built command
//! `target/release/mailhaul` against them, and prints one table. Ends with 1 when a bound is missed.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own, whose output is its purpose")]

mod canned;
mod contest;
mod haul;
mod mail;
mod peers;
mod raw;
mod rig;
mod rows;
mod scale;
mod stage;
mod table;

use std::io;
use std::process::ExitCode;
use std::time::Instant;

use haul::Over;
use rig::Rig;
use rows::ROWS;
use scale::Scale;
use table::Table;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (scale, wanted) = match read(&arguments) {
        Ok(read) => read,
        Err(words) => {
            let names: Vec<&str> = ROWS.iter().map(|(name, _)| *name).collect();
            eprintln!("bench: {words}\n{USAGE}; rows: {}", names.join(", "));
            return ExitCode::from(2);
        }
    };
    let mut table = Table::default();
    let measured = measure(&scale, &wanted, &mut table);
    print!("{table}");
    match measured {
        Ok(()) => ExitCode::from(u8::from(!table.all_hold())),
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::from(2)
        }
    }
}

const USAGE: &str = "usage: bench [--quick] [--plain | --tls] [--imapsync PATH] [--row NAME]...";

fn read(arguments: &[String]) -> Result<(Scale, Vec<String>), String> {
    let (mut scale, mut wanted) = (Scale::full(), Vec::new());
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => scale.quick(),
            "--plain" => scale.ways = vec![Over::PlainText],
            "--tls" => scale.ways = vec![Over::Tls],
            "--imapsync" => {
                let path = arguments.next().ok_or("--imapsync wants a path")?;
                scale.imapsync = Some(std::path::absolute(path).map_err(|error| error.to_string())?);
            }
            "--row" => {
                let name = arguments.next().filter(|name| ROWS.iter().any(|(known, _)| known == name));
                wanted.push(name.ok_or("--row wants the name of a row")?.clone());
            }
            other => return Err(format!("`{other}` is not an option")),
        }
    }
    Ok((scale, wanted))
}

/// What was measured before an error stays in the table.
fn measure(scale: &Scale, wanted: &[String], table: &mut Table) -> io::Result<()> {
    let rig = Rig::start()?;
    for (name, row) in ROWS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            let begin = Instant::now();
            row(&rig, scale, table).map_err(|error| io::Error::other(format!("row {name}: {error}")))?;
            eprintln!("bench: {name} took {:.0} s", begin.elapsed().as_secs_f64());
        }
    }
    Ok(())
}
