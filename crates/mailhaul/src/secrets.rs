//! Where passwords come from: a file, standard input, a command, or the terminal. Never from argv, never from the
//! environment.

use crate::exit::CommandError;
use mailhaul_types::{Secret, Side};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A password longer than this is a mistake: somebody named the wrong file.
const PASSWORD_OCTETS_MAX: u64 = 64 * 1024;

/// How the operator wants to give one password.
#[derive(Debug, Clone, Default)]
pub(crate) struct SecretSource {
    pub(crate) file: Option<PathBuf>,
    pub(crate) command: Option<String>,
}

/// Reads the password of one side.
pub(crate) fn read(side: Side, user: &str, host: &str, from: &SecretSource) -> Result<Secret, CommandError> {
    let option = if side == Side::Source { "--from-password" } else { "--to-password" };
    let question = format!("Password of {} at {} ({side}): ", mailhaul_types::Escaped(user), host);
    fetch(option, &format!("the {side}"), &question, from)
}

/// Reads a password that belongs to neither side of a copy.
pub(crate) fn read_for(option: &str, whose: &str, from: &SecretSource) -> Result<Secret, CommandError> {
    fetch(option, whose, &format!("Password of {whose}: "), from)
}

fn fetch(option: &str, whose: &str, question: &str, from: &SecretSource) -> Result<Secret, CommandError> {
    let octets = if let Some(path) = &from.file {
        read_file(option, path)?
    } else if let Some(command) = &from.command {
        run_command(option, command)?
    } else {
        prompt(whose, question, option)?
    };
    let secret = Secret::new(first_line(octets));
    if secret.is_empty() {
        return Err(CommandError::usage(
            format!("{option}: the password of {whose} is empty"),
            "the first line of the file, or of what the command prints, is the password",
        ));
    }
    if secret.expose().contains(&0) {
        return Err(CommandError::usage(
            format!("{option}: the password of {whose} holds a NUL octet"),
            "IMAP cannot carry it; is this the right file?",
        ));
    }
    Ok(secret)
}

fn read_file(option: &str, path: &Path) -> Result<Vec<u8>, CommandError> {
    let unreadable = |error: std::io::Error| {
        CommandError::usage(
            format!("{option}-file: cannot read `{}`: {error}", path.display()),
            "the file holds the password in its first line; `-` reads standard input",
        )
    };
    let mut octets = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().take(PASSWORD_OCTETS_MAX).read_to_end(&mut octets).map_err(unreadable)?;
    } else {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(PASSWORD_OCTETS_MAX).read_to_end(&mut octets).map_err(unreadable)?;
    }
    Ok(octets)
}

fn run_command(option: &str, command: &str) -> Result<Vec<u8>, CommandError> {
    let failed = |what: String| {
        CommandError::usage(format!("{option}-command: {what}"), "the command must print the password and exit with 0")
    };
    let output = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| failed(format!("cannot start a shell: {error}")))?;
    if output.status.success() { Ok(output.stdout) } else { Err(failed(format!("it ended with {}", output.status))) }
}

fn prompt(whose: &str, question: &str, option: &str) -> Result<Vec<u8>, CommandError> {
    if !std::io::stdin().is_terminal() {
        return Err(CommandError::usage(
            format!("the password of {whose} is not given, and there is no terminal to ask on"),
            format!("give {option}-file FILE or {option}-command CMD"),
        ));
    }
    rpassword::prompt_password(question).map(String::into_bytes).map_err(|error| {
        CommandError::usage(
            format!("cannot read the password from the terminal: {error}"),
            format!("give {option}-file FILE or {option}-command CMD"),
        )
    })
}

fn first_line(mut octets: Vec<u8>) -> Vec<u8> {
    if let Some(end) = octets.iter().position(|&octet| octet == b'\n') {
        octets.truncate(end);
    }
    if octets.last() == Some(&b'\r') {
        octets.pop();
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_first_line_only() {
        for (octets, line) in
            [(&b"pw\n"[..], &b"pw"[..]), (b"pw", b"pw"), (b"p w\r\nmore\n", b"p w"), (b"", b""), (b"\n", b"")]
        {
            assert_eq!(first_line(octets.to_vec()), line);
        }
    }

    #[test]
    fn a_command_that_fails_is_named() {
        let source = SecretSource { file: None, command: Some("exit 3".to_owned()) };
        let error = read(Side::Source, "a", "h", &source).expect_err("it fails").to_string();
        assert!(error.contains("--from-password-command") && error.contains('3'), "{error}");
    }
}
