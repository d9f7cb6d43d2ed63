//! `mailhaul copy` and `mailhaul verify` between the two servers of the stage.

use std::path::Path;
use std::sync::Arc;

use crate::Problem;
use crate::halt::Halt;
use crate::program::{Finished, Program};
use crate::stage::Stage;
use crate::talk::Talk;

/// Where the copier remembers, and nothing left out: mail marked for deletion keeps its mark.
pub(crate) const COPY_OPTIONS: [&str; 3] = ["--copy-deleted-flag", "--state", "mailhaul.db"];

/// The command and what all its calls have in common: both ends.
pub(crate) struct Copier {
    pub(crate) program: Program,
    endpoints: Vec<String>,
}

impl Copier {
    /// Between the two servers of the stage.
    pub(crate) fn new(binary: &Path, stage: &Stage, halt: &Arc<Halt>) -> Copier {
        let (from, to) = stage.urls();
        let words = ["--from", &from, "--from-password-file", "old.password", "--to", &to];
        let more = ["--to-password-file", "new.password", "--ca-file", "ca.pem"];
        let endpoints = words.into_iter().chain(more).map(str::to_owned).collect();
        Copier { program: Program::new(binary, stage.folder(), halt), endpoints }
    }

    /// The words of a subcommand, without the program's name.
    pub(crate) fn arguments(&self, subcommand: &str, more: &[&str]) -> Vec<String> {
        let more = more.iter().map(|word| (*word).to_owned());
        std::iter::once(subcommand.to_owned()).chain(self.endpoints.iter().cloned()).chain(more).collect()
    }

    /// Says the command and runs it to its end.
    pub(crate) fn run(&self, talk: &Talk, subcommand: &str, more: &[&str]) -> Result<Finished, Problem> {
        self.program.run(talk, &self.arguments(subcommand, more))
    }
}
