//! The source's own limit: everything is handed out, and thrown away.

use std::io;
use std::time::{Duration, Instant};

use super::wire::{command, sign_in};
use super::{Account, block_on};

/// Reads every message of these mailboxes and throws it away. The time from the connection to the last tagged answer.
pub(crate) fn drain<'a>(account: &Account, mailboxes: impl IntoIterator<Item = &'a str>) -> io::Result<Duration> {
    let begin = Instant::now();
    block_on(async {
        let (mut input, mut output) = sign_in(account).await?;
        for mailbox in mailboxes {
            command(&mut input, &mut output, &format!("EXAMINE \"{mailbox}\"")).await?;
            output.put(b"DRAINED UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])\r\n").await?;
            output.flush().await?;
            let mut tail = b"\r\n".to_vec();
            // The tagged answer is the last thing that comes, so only the end of each block is looked at.
            while !ends(&tail) {
                let range = input.some(usize::MAX).await?;
                let block = input.octets(range);
                tail.extend_from_slice(&block[block.len().saturating_sub(200)..]);
                tail.drain(..tail.len().saturating_sub(200));
            }
        }
        Ok::<(), io::Error>(())
    })??;
    Ok(begin.elapsed())
}

fn ends(tail: &[u8]) -> bool {
    tail.ends_with(b"\r\n") && tail.windows(12).any(|window| window == b"\r\nDRAINED OK")
}
