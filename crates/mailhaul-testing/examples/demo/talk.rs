//! What the demonstration says: short plain lines on stdout, bold only on a terminal and only without `NO_COLOR`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own, and talking is its job")]

use std::cell::Cell;
use std::io::{IsTerminal, Write as _};

/// The narrator.
pub(crate) struct Talk {
    colour: bool,
    terminal: bool,
    headings: Cell<u32>,
}

impl Talk {
    /// Looks at stdout and the environment once.
    pub(crate) fn new() -> Talk {
        let terminal = std::io::stdout().is_terminal();
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Talk { colour: terminal && wanted, terminal: std::io::stderr().is_terminal(), headings: Cell::new(0) }
    }

    fn dressed(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn line(text: &str) {
        println!("{text}");
        // The copier draws on stderr: what was said must stand above it.
        let _ = std::io::stdout().flush();
    }

    /// The next part of the story.
    pub(crate) fn heading(&self, text: &str) {
        self.headings.set(self.headings.get() + 1);
        Talk::line(&format!("\n{}", self.dressed("1", &format!("{}. {text}", self.headings.get()))));
    }

    /// A sentence of the narrator.
    pub(crate) fn say(&self, text: &str) {
        Talk::line(text);
    }

    /// Something that belongs to a sentence or was said by a program.
    pub(crate) fn detail(&self, text: &str) {
        Talk::line(&format!("  {text}"));
    }

    /// A command line as an operator would type it.
    pub(crate) fn command(&self, arguments: &[String]) {
        let mut lines = String::from("$ mailhaul");
        let mut width = lines.len();
        for word in arguments {
            let breaks = word.starts_with("--") && width > 60;
            if breaks {
                lines += " \\\n   ";
                width = 3;
            }
            lines.push(' ');
            lines += word;
            width += word.len() + 1;
        }
        Talk::line(&self.dressed("36", &lines));
    }

    /// A killed copier leaves its progress where it was; go on below it.
    pub(crate) fn end_of_bar(&self) {
        if self.terminal {
            eprintln!();
        }
    }

    /// One part of the proof.
    pub(crate) fn proof(&self, what: &str, words: &str) {
        Talk::line(&format!("{}  {what}", self.dressed("32", "ok")));
        Talk::line(&format!("    {words}"));
    }

    /// The last words when something is wrong.
    pub(crate) fn complain(&self, text: &str) {
        eprintln!("\ndemo: {text}");
    }
}

/// `12,345`.
pub(crate) fn number(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// `3.4 MiB`.
pub(crate) fn mebibytes(octets: u64) -> String {
    format!("{:.1} MiB", kibibytes(octets) / 1024.0)
}

/// Octets as a number of KiB.
#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
pub(crate) fn kibibytes(octets: u64) -> f64 {
    octets as f64 / 1024.0
}
