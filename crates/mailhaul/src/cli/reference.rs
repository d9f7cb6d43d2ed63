//! `docs/reference/command-line.md`, written from the command line itself: whoever changes an option changes the page.

use super::Cli;
use clap::{Arg, Command, CommandFactory};
use std::fmt::Write as _;
use std::path::PathBuf;

const BEGINNING: &str = "\
# The command line

Written from the program itself; `MAILHAUL_WRITE_REFERENCE=1 cargo test -p mailhaul --bin mailhaul reference` writes it anew.
`mailhaul COMMAND --help` says the same.
Data goes to standard output, talk to standard error; what cannot be meant is answered with a hint.
";

#[test]
fn the_reference_says_what_the_command_line_is() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/command-line.md");
    let page = reference();
    if std::env::var_os("MAILHAUL_WRITE_REFERENCE").is_some() {
        std::fs::write(&path, &page).expect("the page is written");
    }
    let written = std::fs::read_to_string(&path).expect("the page is there");
    assert!(written == page, "docs/reference/command-line.md is old; see its second line");
}

fn reference() -> String {
    let mut program = Cli::command();
    program.build();
    let mut out = String::from(BEGINNING);
    let _ = writeln!(out, "\n## Options of every command\n");
    for option in options(&program).filter(|option| option.is_global_set()) {
        write_option(&mut out, option);
    }
    let _ = writeln!(out, "\n## Exit codes\n\n```text\n{}\n```", super::EXIT_CODES_HELP);
    for command in program.get_subcommands() {
        write_command(&mut out, command, "mailhaul");
    }
    out
}

fn write_command(out: &mut String, command: &Command, above: &str) {
    if command.get_name() == "help" {
        return;
    }
    let name = format!("{above} {}", command.get_name());
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let _ = writeln!(out, "\n## `{name}`\n\n{}", sentence(&about));
    if command.has_subcommands() {
        for below in command.get_subcommands() {
            write_command(out, below, &name);
        }
        return;
    }
    let usage = command.clone().render_usage().to_string();
    let _ = writeln!(out, "\n```text\n{}\n```\n", usage.trim_start_matches("Usage: "));
    for argument in command.get_positionals() {
        let _ = writeln!(out, "* `{}`: {}", value_name(argument), sentence(&help(argument)));
    }
    for option in options(command).filter(|option| !option.is_global_set()) {
        write_option(out, option);
    }
    if let Some(more) = command.get_after_long_help() {
        let _ = writeln!(out, "\n```text\n{}\n```", more.to_string().trim_end());
    }
}

fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    command
        .get_opts()
        .chain(
            command
                .get_arguments()
                .filter(|argument| !argument.is_positional() && !argument.get_action().takes_values()),
        )
        .filter(|option| !option.is_hide_set() && !matches!(option.get_id().as_str(), "help" | "version"))
}

fn write_option(out: &mut String, option: &Arg) {
    let Some(long) = option.get_long() else { return };
    let value = if option.get_action().takes_values() { format!(" {}", value_name(option)) } else { String::new() };
    let _ = write!(out, "* `--{long}{value}`: {}", sentence(&help(option)));
    let words: Vec<String> = match option.get_action().takes_values() {
        true => option.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect(),
        false => Vec::new(),
    };
    if !words.is_empty() && words != ["`true`", "`false`"] {
        let _ = write!(out, " One of {}.", words.join(", "));
    }
    let usual: Vec<String> =
        option.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    if option.get_action().takes_values() && !usual.concat().is_empty() {
        let _ = write!(out, " Default: `{}`.", usual.join(" "));
    }
    out.push('\n');
}

fn value_name(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    if names.is_empty() { argument.get_id().as_str().to_uppercase() } else { names.join(" ") }
}

fn help(argument: &Arg) -> String {
    argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default()
}

/// One line that ends with a stop.
fn sentence(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.ends_with(['.', '?', '!']) || line.is_empty() { line } else { format!("{line}.") }
}
