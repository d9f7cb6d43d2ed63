//! UID EXPUNGE (RFC 4315 §2.1): only the named messages, and only those that are marked `\\Deleted`.

use crate::command::Command;
use crate::connection::Connection;
use crate::error::ImapError;
use crate::message_limit::{FOLLOWED_MAX, is_cut_short, no_progress};
use crate::store::command_sets;
use mailhaul_types::UidSet;

impl Connection {
    /// Removes those of the named messages that are marked `\Deleted` from the selected mailbox. Nobody else's marked
    /// messages are touched, which is why there is no plain EXPUNGE here.
    ///
    /// # Errors
    /// As every command; `Usage` where the server does not announce UIDPLUS.
    pub async fn uid_expunge(&mut self, uids: &UidSet) -> Result<(), ImapError> {
        if !self.capabilities().uidplus() {
            return Err(ImapError::Usage { what: "the server cannot expunge single messages (no UIDPLUS)".to_owned() });
        }
        let talk = &mut self.talk();
        for set in command_sets(talk, uids) {
            // What is gone does not count any more, so asking for the same set again brings the rest (RFC 9738).
            for followed in 0.. {
                let command = Command::new("UID EXPUNGE").text(&format!(" {set}"));
                let line = talk.run_long(command, &mut |_| {}).await?;
                if !is_cut_short(&line) {
                    break;
                }
                if followed >= FOLLOWED_MAX {
                    return Err(no_progress("UID EXPUNGE", &line));
                }
            }
        }
        Ok(())
    }
}
