//! Reading whole messages for a digest: only where the cheaper keys leave a choice, and for verify.

use mailhaul_imap::{Completion, Connection, FetchBatch, FetchEvent, FetchOptions, ImapError};
use mailhaul_types::{Flags, InternalDate, Uid, UidSet};
use std::collections::BTreeMap;

/// Messages asked for in one command. Their sizes are not known here, so few at a time.
const MESSAGES_PER_BATCH: usize = 50;

/// What one message is expected to weigh where nobody has said, in octets.
const OCTETS_ASSUMED: u64 = 64 << 10;

/// What is known of a message before its first octet.
pub(crate) struct Metadata<'a> {
    pub(crate) flags: &'a Flags,
    pub(crate) date: Option<InternalDate>,
}

/// Feeds the octets of every message to a digest of its own. Messages that the server does not hand out are not in
/// the result; what that means is the caller's to say.
pub(crate) async fn digest_bodies<D>(
    connection: &mut Connection,
    uids: &UidSet,
    begin: impl Fn(&Metadata<'_>) -> D,
    push: impl Fn(&mut D, &[u8]),
) -> Result<BTreeMap<Uid, D>, ImapError> {
    let (mut digests, left) = digest_once(connection, uids, false, &begin, &push).await?;
    if !left.is_empty() {
        // Too large for a common answer, or refused together with another: each alone.
        digests.extend(digest_once(connection, &left, true, &begin, &push).await?.0);
    }
    Ok(digests)
}

async fn digest_once<D>(
    connection: &mut Connection,
    uids: &UidSet,
    alone: bool,
    begin: &impl Fn(&Metadata<'_>) -> D,
    push: &impl Fn(&mut D, &[u8]),
) -> Result<(BTreeMap<Uid, D>, UidSet), ImapError> {
    let mut fetcher = connection.fetch_bodies(FetchOptions::default());
    let width = if alone { 1 } else { MESSAGES_PER_BATCH };
    let all: Vec<Uid> = uids.iter().collect();
    for (id, part) in (0..).zip(all.chunks(width)) {
        let bytes_expected = OCTETS_ASSUMED * part.len() as u64;
        fetcher.push(FetchBatch { id, uids: part.iter().copied().collect(), bytes_expected, large: alone });
    }
    let mut digests = BTreeMap::new();
    let mut left = UidSet::new();
    let mut open: Option<(Uid, D)> = None;
    while let Some(event) = fetcher.next().await? {
        match event {
            FetchEvent::Message { uid, body, flags, date, .. } => {
                let mut digest = begin(&Metadata { flags: &flags, date });
                push(&mut digest, &body);
                digests.insert(uid, digest);
            }
            FetchEvent::LargeStart { uid, flags, date, .. } => {
                open = Some((uid, begin(&Metadata { flags: &flags, date })));
            }
            FetchEvent::LargeChunk(chunk) => {
                if let Some((_, digest)) = &mut open {
                    push(digest, &chunk);
                }
            }
            FetchEvent::LargeEnd => digests.extend(open.take()),
            FetchEvent::BatchEnd { missing, outcome, .. } => {
                if let Completion::Refused(status) = outcome {
                    tracing::debug!(%status, uids = %missing, "the server refused a fetch");
                }
                left.extend(missing.iter());
            }
        }
    }
    Ok((digests, left))
}
