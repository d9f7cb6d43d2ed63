//! What a look at an unchanged account cannot do without: sign in on both sides at once and list all mailboxes with their
//! figures, in one round trip each.

use std::io;
use std::time::{Duration, Instant};

use super::wire::{command, sign_in};
use super::{Account, block_on};

const LIST: &str = "LIST \"\" \"*\" RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))";

/// One LIST with STATUS a side, session set-up included.
pub(crate) fn list_with_status(source: &Account, target: &Account) -> io::Result<Duration> {
    let begin = Instant::now();
    block_on(async { tokio::try_join!(look(source), look(target)) })??;
    Ok(begin.elapsed())
}

async fn look(account: &Account) -> io::Result<()> {
    let (mut input, mut output) = sign_in(account).await?;
    command(&mut input, &mut output, LIST).await
}
