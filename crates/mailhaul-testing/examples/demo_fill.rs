//! Fills an account with the mail of the demonstration, by APPEND: what the demonstration in containers begins with.
//!
//! ```text
//! cargo run -p mailhaul-testing --example demo_fill -- 127.0.0.1:1143 alice old-secret
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own, run by the demonstration")]

use std::process::ExitCode;

use mailhaul_testing::{Client, Corpus};

/// Ordinary messages beside the odd ones, and the size of the large one.
const SMALL_MESSAGES: usize = 6_000;
const LARGE_BYTES: usize = 30 << 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, user, password] = &arguments[..] else {
        eprintln!("usage: demo_fill ADDRESS:PORT USER PASSWORD");
        return ExitCode::from(2);
    };
    match fill(address, user, password) {
        Ok(messages) => {
            println!("{messages} messages");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("demo_fill: {error}");
            ExitCode::FAILURE
        }
    }
}

fn fill(address: &str, user: &str, password: &str) -> Result<usize, Box<dyn std::error::Error>> {
    let corpus = Corpus::lively(SMALL_MESSAGES, LARGE_BYTES).for_delimiter('.');
    let mut client = Client::sign_in(address.parse()?, user, password)?;
    corpus.load(&mut client)?;
    client.logout();
    Ok(corpus.count())
}
