//! ENABLE (RFC 5161): what has to be asked for before a server does it.

use crate::command::Command;
use crate::connection::Connection;
use crate::error::ImapError;
use crate::response::Response;
use crate::session::Talk;

impl Connection {
    /// Lets the server tell which UIDs are gone (QRESYNC, RFC 7162 §3.2.3), where it announces that. Whether it does is
    /// remembered: [`Connection::fetch_changes`] asks for them from then on.
    ///
    /// It must not be called while a mailbox is selected (RFC 5161 §3.1), and a server that refuses has not enabled it.
    ///
    /// # Errors
    /// As every command, except that a refusal is an answer.
    pub async fn enable_qresync(&mut self) -> Result<bool, ImapError> {
        if !self.qresync_enabled && self.capabilities().qresync() {
            self.qresync_enabled = match enable(&mut self.talk(), "QRESYNC").await {
                Err(ImapError::Refused { .. }) => false,
                enabled => enabled?,
            };
        }
        Ok(self.qresync_enabled)
    }
}

/// Enables one capability. It counts only if the server says so: some answer OK and enable nothing (RFC 5161 §3.1).
pub(crate) async fn enable(talk: &mut Talk<'_>, name: &str) -> Result<bool, ImapError> {
    let mut enabled = false;
    talk.run(command(name), &mut |response| enabled |= tells(&response, name)).await?;
    Ok(enabled)
}

/// The command.
pub(crate) fn command(name: &str) -> Command {
    Command::new("ENABLE").text(" ").text(name)
}

/// Whether this response tells that the capability is enabled.
pub(crate) fn tells(response: &Response<'_>, name: &str) -> bool {
    match response {
        Response::Data { number: None, word, rest } if word.eq_ignore_ascii_case(b"ENABLED") => {
            rest.rest().split(u8::is_ascii_whitespace).any(|word| word.eq_ignore_ascii_case(name.as_bytes()))
        }
        _ => false,
    }
}
