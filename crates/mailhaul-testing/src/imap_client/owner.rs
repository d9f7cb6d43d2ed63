//! What owners do with mail and mailboxes that are there: move, copy, rename, look.

use super::{Client, ClientError, Value, is, name, uids_of};

/// What COPYUID names (RFC 4315): where messages went, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyUid {
    /// UIDVALIDITY of the mailbox that received them.
    pub uid_validity: u32,
    /// Old and new UID of each message.
    pub pairs: Vec<(u32, u32)>,
}

/// What STATUS tells of a mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MailboxStatus {
    /// MESSAGES.
    pub messages: u32,
    /// UIDNEXT.
    pub uid_next: u32,
    /// UIDVALIDITY.
    pub uid_validity: u32,
}

impl Client {
    /// Renames a mailbox and everything beneath it.
    ///
    /// # Errors
    /// The server refuses.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), ClientError> {
        self.command(&format!("RENAME {} {}", name(from), name(to))).map(drop)
    }

    /// Takes a subscription back.
    ///
    /// # Errors
    /// The server refuses.
    pub fn unsubscribe(&mut self, mailbox: &str) -> Result<(), ClientError> {
        self.command(&format!("UNSUBSCRIBE {}", name(mailbox))).map(drop)
    }

    /// Moves messages of the open mailbox (MOVE, RFC 6851, whether or not the server announces it).
    ///
    /// # Errors
    /// The server refuses.
    pub fn move_to(&mut self, uids: &str, mailbox: &str) -> Result<Option<CopyUid>, ClientError> {
        self.transfer("UID MOVE", uids, mailbox)
    }

    /// Copies messages of the open mailbox.
    ///
    /// # Errors
    /// The server refuses.
    pub fn copy_to(&mut self, uids: &str, mailbox: &str) -> Result<Option<CopyUid>, ClientError> {
        self.transfer("UID COPY", uids, mailbox)
    }

    /// Moves messages of the open mailbox as programs did before there was MOVE: COPY, then `\Deleted` and UID EXPUNGE.
    ///
    /// # Errors
    /// The server refuses.
    pub fn copy_and_expunge(&mut self, uids: &str, mailbox: &str) -> Result<Option<CopyUid>, ClientError> {
        let copied = self.copy_to(uids, mailbox)?;
        self.uid_expunge(uids)?;
        Ok(copied)
    }

    /// Marks these messages of the open mailbox as deleted and removes them, and no others.
    ///
    /// # Errors
    /// The server refuses.
    pub fn uid_expunge(&mut self, uids: &str) -> Result<(), ClientError> {
        self.store(uids, "+FLAGS.SILENT", &["\\Deleted"])?;
        self.command(&format!("UID EXPUNGE {uids}")).map(drop)
    }

    /// Makes a mailbox anew with the same messages, so that UIDVALIDITY and all UIDs are others. Its children stay. Not for INBOX,
    /// which cannot be deleted. `aside` is a name that is free.
    ///
    /// # Errors
    /// The server refuses.
    pub fn renumber(&mut self, mailbox: &str, aside: &str) -> Result<(), ClientError> {
        self.create(aside)?;
        self.select(mailbox)?;
        self.move_to("1:*", aside)?;
        self.select(aside)?;
        self.delete(mailbox)?;
        self.create(mailbox)?;
        self.move_to("1:*", mailbox)?;
        self.select("INBOX")?;
        self.delete(aside)
    }

    /// MESSAGES, UIDNEXT and UIDVALIDITY of a mailbox that need not be open.
    ///
    /// # Errors
    /// The server refuses or does not say.
    pub fn status(&mut self, mailbox: &str) -> Result<MailboxStatus, ClientError> {
        let answer = self.command(&format!("STATUS {} (MESSAGES UIDNEXT UIDVALIDITY)", name(mailbox)))?;
        let line = answer.untagged.iter().find(|line| is(line.get(1), "STATUS"));
        let items = line.and_then(|line| line.last()).map(Value::list).unwrap_or_default();
        let item = |word: &str| {
            let pair = items.chunks(2).find(|pair| is(pair.first(), word));
            pair.and_then(|pair| pair.get(1)).and_then(Value::number)
        };
        match (item("MESSAGES"), item("UIDNEXT"), item("UIDVALIDITY")) {
            (Some(messages), Some(uid_next), Some(uid_validity)) => {
                Ok(MailboxStatus { messages, uid_next, uid_validity })
            }
            _ => Err(ClientError::Unexpected(format!("STATUS without what was asked: {}", answer.text))),
        }
    }

    fn transfer(&mut self, command: &str, uids: &str, mailbox: &str) -> Result<Option<CopyUid>, ClientError> {
        let answer = self.command(&format!("{command} {uids} {}", name(mailbox)))?;
        // RFC 6851 §4.3: MOVE tells it before the messages vanish, COPY at the end.
        let early = answer.untagged.iter().filter_map(|line| line.get(2).and_then(Value::text));
        Ok(early.chain([answer.text.clone()]).find_map(|text| copy_uid(&text)))
    }
}

/// `[COPYUID validity set set]` at the beginning of a text.
fn copy_uid(text: &str) -> Option<CopyUid> {
    let code = text.strip_prefix("[COPYUID ")?.split_once(']')?.0;
    let mut words = code.split(' ');
    let uid_validity = words.next()?.parse().ok()?;
    let (from, to) = (uids_of(words.next()?)?, uids_of(words.next()?)?);
    Some(CopyUid { uid_validity, pairs: from.into_iter().zip(to).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_where_messages_went() {
        let read = copy_uid("[COPYUID 7 3,5:6 10:12] Moved UIDs.").map(|copied| (copied.uid_validity, copied.pairs));
        assert_eq!(read, Some((7, vec![(3, 10), (5, 11), (6, 12)])));
        assert_eq!(copy_uid("Copy completed."), None);
    }
}
