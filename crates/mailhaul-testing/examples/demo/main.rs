//! The main job on real servers, to look at: one account copied, killed, resumed, verified and judged, and kept up with
//! while its owner goes on working; then a wave of accounts, from the list to the report, with a death in the middle and
//! a password that is wrong.
//!
//! ```text
//! cargo run --release -p mailhaul-testing --example demo -- target/release/mailhaul
//! ```
//!
//! Two private Dovecots speak TLS with certificates of an authority made on the spot. Everything lies in temporary folders
//! and is gone afterwards, also after Ctrl-C. Exit codes: 0 all is as promised, 1 something is not, 2 wrong usage,
//! 130 interrupted.

mod copier;
mod fleet;
mod halt;
mod one_account;
mod program;
mod resync;
mod stage;
mod talk;
mod wave;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use halt::Halt;
use talk::Talk;

/// Parts of the proof: what was to be shown, and the words that show it.
type Proof = Vec<(&'static str, String)>;

/// Why the demonstration ends before its end.
#[derive(Debug)]
enum Problem {
    /// Ctrl-C, or a signal that means the same.
    Interrupted,
    /// The product, or something that the demonstration needs, did not do what it should.
    Broken(String),
}

impl Problem {
    /// Something is not as it should be; `what` says what was being done.
    fn broken(what: &str, why: impl std::fmt::Display) -> Problem {
        Problem::Broken(format!("{what}: {why}"))
    }
}

fn main() -> ExitCode {
    let talk = Talk::new();
    let mut arguments = std::env::args_os().skip(1);
    let (Some(binary), None) = (arguments.next().map(PathBuf::from), arguments.next()) else {
        talk.complain("usage: demo MAILHAUL (the built command, such as target/release/mailhaul)");
        return ExitCode::from(2);
    };
    let binary = match binary.canonicalize() {
        Ok(binary) => binary,
        Err(error) => {
            talk.complain(&format!("there is no {}: {error}", binary.display()));
            return ExitCode::from(2);
        }
    };
    // The stage is gone when this returns: servers killed, folders removed.
    match tell(&talk, &binary) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Problem::Interrupted) => {
            talk.complain("interrupted; nothing is left running");
            ExitCode::from(130)
        }
        Err(Problem::Broken(why)) => {
            talk.complain(&format!("NOT AS PROMISED: {why}"));
            ExitCode::FAILURE
        }
    }
}

/// The whole story, in the order in which an operator lives through it.
fn tell(talk: &Talk, binary: &Path) -> Result<(), Problem> {
    let began = Instant::now();
    let halt = Halt::on_signals().map_err(|error| Problem::broken("cannot listen for Ctrl-C", error))?;
    prove(talk, &one_account::tell(talk, binary, &halt)?);
    prove(talk, &wave::tell(talk, binary, &halt)?);
    talk.say("");
    talk.say(&format!("All as promised, in {:.0} s. Nothing is left running.", began.elapsed().as_secs_f64()));
    Ok(())
}

fn prove(talk: &Talk, proof: &Proof) {
    talk.heading("Proof");
    for (what, words) in proof {
        talk.proof(what, words);
    }
}
