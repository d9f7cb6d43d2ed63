//! UID STORE (RFC 9051 §6.4.6, §6.4.9): flags are changed, silently.

use crate::command::Command;
use crate::connection::Connection;
use crate::error::ImapError;
use crate::message_limit::{FOLLOWED_MAX, is_cut_short, left_of_set, no_progress};
use crate::session::Talk;
use crate::sets::portions;
use mailhaul_types::{Flags, UidSet};

/// What becomes of the flags that a message has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreMode {
    /// The named flags are set, the others stay.
    Add,
    /// The named flags are taken away, the others stay.
    Remove,
    /// The message has the named flags and no other.
    Replace,
}

impl StoreMode {
    fn item(self) -> &'static str {
        match self {
            Self::Add => "+FLAGS.SILENT",
            Self::Remove => "-FLAGS.SILENT",
            Self::Replace => "FLAGS.SILENT",
        }
    }
}

impl Connection {
    /// Changes the flags of messages in the selected mailbox. UIDs that are not there are passed over in silence by the
    /// server. Adding or removing nothing sends nothing.
    ///
    /// # Errors
    /// As every command. After `Refused` the flags of some of the messages may have been changed; doing it again does
    /// no harm.
    pub async fn store_flags(&mut self, uids: &UidSet, mode: StoreMode, flags: &Flags) -> Result<(), ImapError> {
        if flags.is_empty() && mode != StoreMode::Replace {
            return Ok(());
        }
        let talk = &mut self.talk();
        for set in command_sets(talk, uids) {
            store(talk, set, mode, flags).await?;
        }
        Ok(())
    }
}

/// The sets that fit into one command each, in octets and in the messages that the server lets one command name.
pub(crate) fn command_sets(talk: &Talk<'_>, uids: &UidSet) -> Vec<UidSet> {
    let most = talk.capabilities.message_limit().map_or(u64::MAX, u64::from);
    portions(uids, most, talk.set_octets_max)
}

/// One set; and what is left of it where the server goes only a part of the way (RFC 9738).
async fn store(talk: &mut Talk<'_>, set: UidSet, mode: StoreMode, flags: &Flags) -> Result<(), ImapError> {
    let mut open = vec![set];
    let mut followed = 0;
    while let Some(set) = open.pop() {
        let command = Command::new("UID STORE").text(&format!(" {set} {} ({flags})", mode.item()));
        let line = talk.run_long(command, &mut |_| {}).await?;
        if !is_cut_short(&line) {
            continue;
        }
        followed += 1;
        let left = left_of_set(&set, &line).filter(|_| followed <= FOLLOWED_MAX);
        open.extend(left.ok_or_else(|| no_progress("UID STORE", &line))?);
    }
    Ok(())
}
