//! Compares two accounts on loopback and prints one line a mailbox and a final one; exit 1 when they differ, 2 when they cannot be
//! compared.
//!
//! ```text
//! cargo run -p mailhaul-testing --example judge -- imap://user:pass@127.0.0.1:port imap://user:pass@127.0.0.1:port
//! ```
//!
//! `--map SOURCE=TARGET`, `--ignore-dates MAILBOX=REASON`, `--ignore-flag FLAG=REASON`, `--leave-out MAILBOX=REASON` and
//! `--allow-extra MAILBOX=REASON` may follow (`*` is every mailbox).
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own, run by the demo")]

use std::process::ExitCode;

use mailhaul_testing::judge::{Account, Rules, judge};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("judge: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Result<bool, String> {
    let [source, target, options @ ..] = arguments else {
        return Err("two accounts are needed: imap://user:pass@127.0.0.1:port twice".to_owned());
    };
    let (source, target) = (Account::parse(source)?, Account::parse(target)?);
    let judgement = judge(&source, &target, &rules(options)?).map_err(|error| error.to_string())?;
    println!("{judgement}");
    Ok(judgement.is_equal())
}

fn rules(options: &[String]) -> Result<Rules, String> {
    let mut rules = Rules::new();
    for pair in options.chunks(2) {
        let [option, value] = pair else { return Err(format!("{} needs a value", pair[0])) };
        let (name, rest) = value.split_once('=').ok_or(format!("{option} needs NAME=REASON"))?;
        rules = match option.as_str() {
            "--map" => rules.map(name, rest),
            "--ignore-dates" => rules.ignore_dates(name, rest),
            "--ignore-flag" => rules.ignore_flag(name, rest),
            "--leave-out" => rules.leave_out(name, rest),
            "--allow-extra" => rules.allow_extra(name, rest),
            other => return Err(format!("no such option: {other}")),
        };
    }
    Ok(rules)
}
