//! Data on stdout, and nothing else there.

use crate::exit::{CommandError, Exit};
use std::io::Write;

/// Writes text to stdout. A reader that has gone away is not an error; a full disk is.
pub(crate) fn data(text: &str) -> Result<(), CommandError> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(CommandError {
            exit: Exit::Internal,
            text: format!("cannot write the result to standard output: {error}"),
            hint: None,
        }),
        _ => Ok(()),
    }
}

/// One JSON object on one line.
pub(crate) fn json(value: &serde_json::Value) -> String {
    format!("{value}\n")
}
