//! Compares two accounts on loopback and prints one line a mailbox and a final one; exit 1 when they differ, 2 when they cannot be
//! compared.
//!
//! ```text
//! cargo run -p mailhaul-testing --example judge -- imap://user:pass@127.0.0.1:port imap://user:pass@127.0.0.1:port
//! ```
//!
//! `--map SOURCE=TARGET`, `--ignore-dates MAILBOX=REASON`, `--ignore-flags MAILBOX=REASON`, `--ignore-flag FLAG=REASON`, `--leave-out MAILBOX=REASON` and
//! `--allow-extra MAILBOX=REASON` may follow (`*` is every mailbox).
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own, run by the demo")]

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match mailhaul_testing::judge::program(&arguments) {
        Ok((words, equal)) => {
            println!("{words}");
            ExitCode::from(u8::from(!equal))
        }
        Err(error) => {
            eprintln!("judge: {error}");
            ExitCode::from(2)
        }
    }
}
