//! UID MOVE (RFC 6851) and UID COPY (RFC 9051 §6.4.7), and what COPYUID (RFC 4315 §3) says of where messages went.

use crate::command::Command;
use crate::connection::Connection;
use crate::error::ImapError;
use crate::message_limit::{FOLLOWED_MAX, is_cut_short, no_progress};
use crate::response::{Response, code_arguments};
use crate::sequence::read_copy_uid;
use crate::session::Talk;
use crate::store::command_sets;
use mailhaul_types::{MailboxName, Uid, UidSet, UidValidity};

/// Where messages went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyUid {
    /// UIDVALIDITY of the mailbox they went to. `None` if the server did not say anything that can be relied on; then
    /// there are no pairs.
    pub uid_validity: Option<UidValidity>,
    /// The UIDs before and after, in the order in which the server told them. A message that was asked for and is not
    /// among them was not there any more, or the server did not say where it went.
    pub pairs: Vec<(Uid, Uid)>,
}

impl Connection {
    /// Moves messages from the selected mailbox to another.
    ///
    /// # Errors
    /// As every command; `Usage` where the server does not announce MOVE. After `Refused` some of the messages may
    /// have been moved if there were more than fit into one command.
    pub async fn uid_move(&mut self, uids: &UidSet, to: &MailboxName) -> Result<CopyUid, ImapError> {
        if !self.capabilities().move_() {
            return Err(ImapError::Usage { what: "the server cannot move messages (no MOVE)".to_owned() });
        }
        transfer(&mut self.talk(), "UID MOVE", uids, to).await
    }

    /// Copies messages from the selected mailbox to another, flags and internal dates included.
    ///
    /// # Errors
    /// As every command. One command copies all or nothing (RFC 9051 §6.4.7); if there were more messages than fit
    /// into one command, those of the commands before the refused one have been copied.
    pub async fn uid_copy(&mut self, uids: &UidSet, to: &MailboxName) -> Result<CopyUid, ImapError> {
        transfer(&mut self.talk(), "UID COPY", uids, to).await
    }
}

async fn transfer(
    talk: &mut Talk<'_>,
    word: &'static str,
    uids: &UidSet,
    to: &MailboxName,
) -> Result<CopyUid, ImapError> {
    let mut told = Told::default();
    for set in command_sets(talk, uids) {
        for followed in 0.. {
            let mut found = Vec::new();
            // RFC 6851 §4.3 wants COPYUID of a MOVE in an untagged OK before the EXPUNGEs, RFC 4315 §3 that of a COPY
            // in the tagged one; servers do either. Some send the code without any OK.
            let mut take = |response: Response<'_>| {
                if let Response::Status(line) = response
                    && let Some(arguments) = line.code_arguments("COPYUID")
                {
                    found.push(read_copy_uid(arguments, &set));
                }
            };
            let command = Command::new(word).text(&format!(" {set}")).mailbox(to)?;
            let line = talk.run_long(command, &mut take).await?;
            if let Some(arguments) = code_arguments(&line, "COPYUID") {
                found.push(read_copy_uid(arguments, &set));
            }
            let silent = found.is_empty();
            found.into_iter().for_each(|read| told.take(read));
            if !is_cut_short(&line) {
                break;
            }
            // RFC 9738: a part was moved, and asking for the same again moves the rest. A copy would be doubled.
            if word == "UID COPY" || silent || followed >= FOLLOWED_MAX {
                return Err(no_progress(word, &line));
            }
        }
    }
    Ok(told.agreed())
}

/// What all the COPYUIDs together say.
#[derive(Default)]
struct Told {
    uid_validity: Option<UidValidity>,
    pairs: Vec<(Uid, Uid)>,
    doubtful: bool,
}

impl Told {
    fn take(&mut self, read: Option<(UidValidity, Vec<(Uid, Uid)>)>) {
        match read {
            Some((validity, pairs)) if self.uid_validity.is_none_or(|known| known == validity) => {
                self.uid_validity = Some(validity);
                // The same code may come untagged and tagged.
                let known = self.pairs.len().checked_sub(pairs.len()).map(|from| &self.pairs[from..]);
                if known != Some(&pairs[..]) {
                    self.pairs.extend(pairs);
                }
            }
            _ => self.doubtful = true,
        }
    }

    /// Nothing, if anything was wrong: half a mapping invites to guess the other half.
    fn agreed(self) -> CopyUid {
        let mut sources: Vec<Uid> = self.pairs.iter().map(|(source, _)| *source).collect();
        sources.sort_unstable();
        sources.dedup();
        if self.doubtful || sources.len() != self.pairs.len() {
            return CopyUid::default();
        }
        CopyUid { uid_validity: self.uid_validity, pairs: self.pairs }
    }
}
