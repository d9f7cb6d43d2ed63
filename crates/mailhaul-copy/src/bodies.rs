//! Reading whole messages for a digest: only where the cheaper keys leave a choice, and for verify.

use mailhaul_imap::{Completion, Connection, FetchBatch, FetchEvent, FetchOptions, ImapError, StatusLine};
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

/// What came of reading whole messages.
pub(crate) struct Digested<D> {
    pub(crate) digests: BTreeMap<Uid, D>,
    /// Asked for alone, answered OK, and not delivered: gone or unreadable.
    pub(crate) missing: UidSet,
    /// Not delivered because the server refused; with its last words.
    pub(crate) refused: Option<(UidSet, StatusLine)>,
}

/// Feeds the octets of every message to a digest of its own. A message that the server does not hand out proves
/// nothing; what that means is the caller's to say.
pub(crate) async fn digest_bodies<D>(
    connection: &mut Connection,
    uids: &UidSet,
    begin: impl Fn(&Metadata<'_>) -> D,
    push: impl Fn(&mut D, &[u8]),
) -> Result<Digested<D>, ImapError> {
    let mut first = digest_once(connection, uids, false, &begin, &push).await?;
    let mut left = std::mem::take(&mut first.missing);
    if let Some((refused, _)) = first.refused.take() {
        left.extend_ranges(&refused);
    }
    if !left.is_empty() {
        // Too large for a common answer, or refused together with another: each alone.
        let alone = digest_once(connection, &left, true, &begin, &push).await?;
        first.digests.extend(alone.digests);
        (first.missing, first.refused) = (alone.missing, alone.refused);
    }
    Ok(first)
}

async fn digest_once<D>(
    connection: &mut Connection,
    uids: &UidSet,
    alone: bool,
    begin: &impl Fn(&Metadata<'_>) -> D,
    push: &impl Fn(&mut D, &[u8]),
) -> Result<Digested<D>, ImapError> {
    let mut fetcher = connection.fetch_bodies(FetchOptions::default());
    let width = if alone { 1 } else { MESSAGES_PER_BATCH };
    let all: Vec<Uid> = uids.iter().collect();
    for (id, part) in (0..).zip(all.chunks(width)) {
        let bytes_expected = OCTETS_ASSUMED * part.len() as u64;
        fetcher.push(FetchBatch { id, uids: part.iter().copied().collect(), bytes_expected, large: alone });
    }
    let mut digests = BTreeMap::new();
    let mut missing = UidSet::new();
    let mut refused: Option<(UidSet, StatusLine)> = None;
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
            FetchEvent::BatchEnd { missing: left, outcome: Completion::Ok, .. } => missing.extend_ranges(&left),
            FetchEvent::BatchEnd { missing: left, outcome: Completion::Refused(status), .. } => {
                let (uids, words) = refused.get_or_insert_with(|| (UidSet::new(), status.clone()));
                uids.extend_ranges(&left);
                *words = status;
            }
        }
    }
    Ok(Digested { digests, missing, refused: refused.filter(|(uids, _)| !uids.is_empty()) })
}
