//! The target's own limit: commands that lie ready in memory, sent as fast as the window allows.

use std::io;
use std::time::{Duration, Instant};

use super::answers::Answers;
use super::wire::sign_in;
use super::{Account, BATCH_BYTES, BATCH_MESSAGES, block_on};
use crate::mail::Mail;

/// MULTIAPPEND commands, ready to be sent.
pub(crate) struct Composed {
    /// What is sent before them.
    prelude: Vec<u8>,
    preludes: u64,
    /// Each without its last CRLF, and with its number of messages.
    commands: Vec<(Vec<u8>, u64)>,
}

/// Commands that put all of this into INBOX.
pub(crate) fn compose(mails: &[Mail]) -> Composed {
    let mut composed = Composed { prelude: Vec::new(), preludes: 0, commands: Vec::new() };
    composed.add("INBOX", mails.iter());
    composed
}

impl Composed {
    /// Nothing yet.
    pub(crate) fn empty() -> Composed {
        compose(&[])
    }

    /// Creates a mailbox first.
    pub(crate) fn create(&mut self, mailbox: &str) {
        self.prelude.extend_from_slice(format!("C CREATE \"{mailbox}\"\r\n").as_bytes());
        self.preludes += 1;
    }

    /// Adds messages to a mailbox.
    pub(crate) fn add<'a>(&mut self, mailbox: &str, mails: impl Iterator<Item = &'a Mail>) {
        let (mut count, mut bytes) = (BATCH_MESSAGES, 0);
        for mail in mails {
            if count == BATCH_MESSAGES || bytes + mail.octets.len() > BATCH_BYTES {
                self.commands.push((format!("M{} APPEND \"{mailbox}\"", self.commands.len()).into_bytes(), 0));
                (count, bytes) = (0, 0);
            }
            let Some((command, messages)) = self.commands.last_mut() else { continue };
            let Mail { flags, date, octets } = mail;
            command.extend_from_slice(format!(" ({flags}) \"{date}\" {{{}+}}\r\n", octets.len()).as_bytes());
            command.extend_from_slice(octets);
            *messages += 1;
            count += 1;
            bytes += octets.len();
        }
    }
}

/// Sends composed commands as fast as the window allows. With `select` INBOX is selected first, as the product does.
pub(crate) fn append(account: &Account, composed: &Composed, select: bool) -> io::Result<Duration> {
    let begin = Instant::now();
    block_on(async {
        let (input, mut output) = sign_in(account).await?;
        let mut commands = composed.preludes;
        output.put(&composed.prelude).await?;
        if select {
            output.put(b"C SELECT INBOX\r\n").await?;
            commands += 1;
        }
        let answers = Answers::read(input);
        for (command, messages) in &composed.commands {
            answers.room().await?;
            answers.begin();
            answers.add(u64::try_from(command.len()).unwrap_or(0), *messages);
            output.put(command).await?;
            output.put(b"\r\n").await?;
            output.flush().await?;
        }
        answers.all(commands + u64::try_from(composed.commands.len()).unwrap_or(u64::MAX)).await
    })??;
    Ok(begin.elapsed())
}
