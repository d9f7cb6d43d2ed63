//! What a relay is told to move: mailboxes, the sizes of their messages, and the batches that follow from them.

use super::{ALONE_FROM, BATCH_BYTES, BATCH_MESSAGES};

/// The messages of one mailbox. Their UIDs are 1, 2, 3 and so on.
#[derive(Clone, Debug)]
pub(crate) struct Letters {
    /// Its name on both sides: ASCII without quotes.
    pub(crate) mailbox: String,
    /// Octets of each message.
    pub(crate) sizes: Vec<usize>,
}

impl Letters {
    /// The same messages, the first ones only.
    pub(crate) fn first(&self, messages: usize) -> Letters {
        Letters { mailbox: self.mailbox.clone(), sizes: self.sizes[..messages].to_vec() }
    }

    /// How many there are.
    pub(crate) fn messages(&self) -> u64 {
        u64::try_from(self.sizes.len()).unwrap_or(0)
    }
}

/// Messages that are asked for, and sent, with one command.
#[derive(Debug)]
pub(super) struct Batch {
    /// Which mailbox.
    pub(super) mailbox: usize,
    /// Whether it is the first of its mailbox.
    pub(super) opens: bool,
    pub(super) first_uid: usize,
    pub(super) messages: usize,
    pub(super) bytes: u64,
}

/// Batches as the product cuts them.
pub(super) fn batches(letters: &[Letters]) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for (mailbox, letters) in letters.iter().enumerate() {
        let (mut opens, mut closed, mut bytes) = (true, true, 0);
        for (at, size) in letters.sizes.iter().copied().enumerate() {
            let alone = size >= ALONE_FROM;
            let full = batches.last().is_none_or(|last| last.messages == BATCH_MESSAGES) || bytes + size > BATCH_BYTES;
            if closed || full || alone {
                batches.push(Batch { mailbox, opens, first_uid: at + 1, messages: 0, bytes: 0 });
                (opens, bytes) = (false, 0);
            }
            closed = alone;
            bytes += size;
            if let Some(last) = batches.last_mut() {
                last.messages += 1;
                last.bytes += u64::try_from(size).unwrap_or(0);
            }
        }
    }
    batches
}
