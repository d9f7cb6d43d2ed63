//! What every line-oriented command needs: the wire, and what is known about the server at its other end.

use crate::capabilities::Capabilities;
use crate::command::Command;
use crate::endpoint::Timeouts;
use crate::error::ImapError;
use crate::response::Response;
use crate::status_line::StatusLine;
use crate::wire::Wire;
use mailhaul_types::NameEncoding;

/// Command lines to servers that are known to take them (Courier and Gmail stop at 16,000 octets).
const SET_OCTETS_KNOWN: usize = 8_000;
/// RFC 9051 §4: what every server is supposed to take. Yahoo takes no more.
const SET_OCTETS_UNKNOWN: usize = 900;

/// A borrowed conversation.
pub(crate) struct Talk<'a> {
    pub(crate) wire: &'a mut Wire,
    pub(crate) capabilities: &'a Capabilities,
    pub(crate) encoding: NameEncoding,
    pub(crate) timeouts: Timeouts,
    pub(crate) set_octets_max: usize,
}

impl Talk<'_> {
    /// Runs a command that has to be over within the control deadline.
    pub(crate) async fn run(
        &mut self,
        command: Command,
        untagged: &mut (dyn FnMut(Response<'_>) + Send),
    ) -> Result<StatusLine, ImapError> {
        let mode = self.capabilities.literal_mode();
        self.wire.run(command, mode, Some(self.timeouts.control), untagged).await
    }

    /// Runs a command that may take long, as long as something comes.
    pub(crate) async fn run_long(
        &mut self,
        command: Command,
        untagged: &mut (dyn FnMut(Response<'_>) + Send),
    ) -> Result<StatusLine, ImapError> {
        self.wire.run(command, self.capabilities.literal_mode(), None, untagged).await
    }
}

/// How long a UID set in one command may be for this server.
pub(crate) fn set_octets_max(software: Option<&str>) -> usize {
    const KNOWN: [&str; 8] = ["dovecot", "cyrus", "courier", "gimap", "gmail", "exchange", "zimbra", "stalwart"];
    let software = software.unwrap_or_default().to_ascii_lowercase();
    if KNOWN.iter().any(|known| software.contains(known)) { SET_OCTETS_KNOWN } else { SET_OCTETS_UNKNOWN }
}
