//! Reading whole messages for a digest: only where the cheaper keys leave a choice, and for verify.

use crate::error::WalkError;
use crate::reading::{Part, Place, Reader, Unreadable, read_carefully};
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
    let mut bodies = Bodies::new(begin, push);
    bodies.read(connection, uids).await?;
    Ok(bodies.digested)
}

/// The same, also if the connection is lost over some of them; these are handed over apart.
pub(crate) async fn digest_carefully<D>(
    connection: &mut Connection,
    place: Place<'_>,
    uids: &UidSet,
    begin: impl Fn(&Metadata<'_>) -> D,
    push: impl Fn(&mut D, &[u8]),
) -> Result<(Digested<D>, Unreadable), WalkError> {
    let mut bodies = Bodies::new(begin, push);
    let unreadable = read_carefully(connection, place, uids, &mut bodies).await?;
    Ok((bodies.digested, unreadable))
}

/// Bodies that are read into digests.
struct Bodies<D, B, P> {
    begin: B,
    push: P,
    digested: Digested<D>,
    octets: u64,
}

impl<D, B, P> Bodies<D, B, P> {
    fn new(begin: B, push: P) -> Self {
        let digested = Digested { digests: BTreeMap::new(), missing: UidSet::new(), refused: None };
        Self { begin, push, digested, octets: 0 }
    }
}

impl<D, B: Fn(&Metadata<'_>) -> D, P: Fn(&mut D, &[u8])> Reader for Bodies<D, B, P> {
    const PART: Part = Part::Whole;

    async fn read(&mut self, connection: &mut Connection, uids: &UidSet) -> Result<(), ImapError> {
        let mut left = self.read_once(connection, uids, false).await?;
        let mut refused = left.refused.take();
        if let Some((refused, _)) = refused.take() {
            left.missing.extend_ranges(&refused);
        }
        if !left.missing.is_empty() {
            // Too large for a common answer, or refused together with another: each alone.
            let alone = self.read_once(connection, &left.missing, true).await?;
            self.digested.missing.extend_ranges(&alone.missing);
            if let Some((uids, words)) = alone.refused {
                let (all, last) = self.digested.refused.get_or_insert_with(|| (UidSet::new(), words.clone()));
                all.extend_ranges(&uids);
                *last = words;
            }
        }
        Ok(())
    }

    fn has(&self, uid: Uid) -> bool {
        self.digested.digests.contains_key(&uid)
    }

    fn octets(&self) -> u64 {
        self.octets
    }
}

/// What was asked for and did not come.
struct Left {
    missing: UidSet,
    refused: Option<(UidSet, StatusLine)>,
}

impl<D, B: Fn(&Metadata<'_>) -> D, P: Fn(&mut D, &[u8])> Bodies<D, B, P> {
    async fn read_once(&mut self, connection: &mut Connection, uids: &UidSet, alone: bool) -> Result<Left, ImapError> {
        let mut fetcher = connection.fetch_bodies(FetchOptions::default());
        let width = if alone { 1 } else { MESSAGES_PER_BATCH };
        let all: Vec<Uid> = uids.iter().collect();
        for (id, part) in (0..).zip(all.chunks(width)) {
            let bytes_expected = OCTETS_ASSUMED * part.len() as u64;
            let uids = part.iter().copied().collect();
            fetcher.push(FetchBatch { id, uids, bytes_expected, large: alone, octets_max: u64::MAX });
        }
        let mut left = Left { missing: UidSet::new(), refused: None };
        let mut open: Option<(Uid, D)> = None;
        while let Some(event) = fetcher.next().await? {
            match event {
                FetchEvent::Message { uid, body, flags, date, .. } => {
                    let mut digest = (self.begin)(&Metadata { flags: &flags, date });
                    (self.push)(&mut digest, &body);
                    self.octets += body.len() as u64;
                    self.digested.digests.insert(uid, digest);
                }
                FetchEvent::LargeStart { uid, flags, date, .. } => {
                    open = Some((uid, (self.begin)(&Metadata { flags: &flags, date })));
                }
                FetchEvent::LargeChunk(chunk) => {
                    self.octets += chunk.len() as u64;
                    if let Some((_, digest)) = &mut open {
                        (self.push)(digest, &chunk);
                    }
                }
                FetchEvent::LargeEnd => self.digested.digests.extend(open.take()),
                FetchEvent::BatchEnd { missing, outcome: Completion::Ok, .. } => left.missing.extend_ranges(&missing),
                FetchEvent::BatchEnd { missing, outcome: Completion::Refused(status), .. } => {
                    let (uids, words) = left.refused.get_or_insert_with(|| (UidSet::new(), status.clone()));
                    uids.extend_ranges(&missing);
                    *words = status;
                }
            }
        }
        left.refused = left.refused.filter(|(uids, _)| !uids.is_empty());
        Ok(left)
    }
}
