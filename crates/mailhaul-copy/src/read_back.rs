//! Reading some of the first copies back: what the target has made of what it was given.
//!
//! Some servers add header fields, drop them, put `X` in place of 8-bit octets, rebuild bodies, or put their own dates on
//! messages, and answer OK. Copies are recognised all the same; but whoever has mail moved has to be told, and with the
//! first mailbox rather than by a comparison at the end.

use crate::bodies::{Metadata, digest_bodies};
use crate::bounds;
use crate::error::{WalkError, on};
use crate::tally::Tally;
use crate::walk::{Links, Pair, Walk};
use mailhaul_db::SettledState;
use mailhaul_imap::{Connection, ImapError};
use mailhaul_plan::keys::KeyMaker;
use mailhaul_plan::likeness::Print;
use mailhaul_report::count_of;
use mailhaul_types::{InternalDate, Side, Uid, UidSet};
use std::collections::BTreeMap;

/// A message as one side hands it out.
struct Seen {
    date: Option<i64>,
    print: Print,
}

/// Reads a few of the messages that were copied, on both sides, once in a run, and remarks upon what is different.
/// `sizes`: announced octets by UID, of what was to be copied.
///
/// # Errors
/// Only the end of a connection: that a server refuses to be read from is no reason to stop.
pub(crate) async fn read_back(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    tally: &mut Tally,
    sizes: &[(Uid, u32)],
) -> Result<(), WalkError> {
    if tally.copied.is_empty() || !walk.has_nothing_read_back() {
        return Ok(());
    }
    let small = |(uid, size): &&(Uid, u32)| *size <= bounds::READ_BACK_OCTETS_MAX && tally.copied.contains(*uid);
    let asked: UidSet = sizes.iter().filter(small).take(bounds::READ_BACK).map(|(uid, _)| *uid).collect();
    let settled = pair.ledger.settled_in(&asked).await?.into_iter();
    let copied = settled.filter(|settled| settled.state == SettledState::Copied);
    let pairs: Vec<(Uid, Uid)> = copied.filter_map(|one| Some((one.source_uid, one.target_uid?))).collect();
    // A mailbox in which nothing can be looked at leaves it to the next.
    if pairs.is_empty() || !walk.is_first_to_read_back() {
        return Ok(());
    }
    let (ours, theirs) = (pairs.iter().map(|pair| pair.0).collect(), pairs.iter().map(|pair| pair.1).collect());
    let (ours, theirs) =
        tokio::join!(seen_in(&mut links.source, &walk.keys, &ours), seen_in(&mut links.target, &walk.keys, &theirs));
    let (ours, theirs) = (usable(Side::Source, ours)?, usable(Side::Target, theirs)?);
    let mut found = Alterations::default();
    for (source, target) in &pairs {
        if let (Some(ours), Some(theirs)) = (ours.get(source), theirs.get(target)) {
            found.enter(ours, theirs);
        }
    }
    if let Some(words) = found.in_words() {
        tally.note("alters", words, found.messages);
    }
    Ok(())
}

async fn seen_in(
    connection: &mut Connection,
    keys: &KeyMaker,
    uids: &UidSet,
) -> Result<BTreeMap<Uid, Seen>, ImapError> {
    let begin = |metadata: &Metadata<'_>| (metadata.date.map(InternalDate::unix_secs), keys.printer());
    let read = digest_bodies(connection, uids, begin, |(_, printer), octets| printer.push(octets)).await?;
    let seen = |(uid, (date, printer)): (Uid, (_, mailhaul_plan::likeness::Printer))| {
        (uid, Seen { date, print: printer.finish() })
    };
    Ok(read.digests.into_iter().map(seen).collect())
}

/// What could not be read proves nothing.
fn usable(side: Side, read: Result<BTreeMap<Uid, Seen>, ImapError>) -> Result<BTreeMap<Uid, Seen>, WalkError> {
    match read {
        Err(error) if error.leaves_connection_usable() => Ok(BTreeMap::new()),
        read => read.map_err(on(side)),
    }
}

/// In how many messages something is different on the target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Alterations {
    /// Of so many that were read on both sides.
    messages: u64,
    added: u64,
    dropped: u64,
    changed: u64,
    masked: u64,
    bodies: u64,
    dates: u64,
}

impl Alterations {
    fn enter(&mut self, ours: &Seen, theirs: &Seen) {
        self.messages += 1;
        self.dates += u64::from(ours.date.is_some() && ours.date != theirs.date);
        if ours.print.digests.full == theirs.print.digests.full {
            return;
        }
        self.bodies += u64::from(ours.print.digests.body != theirs.print.digests.body);
        let Some((our_fields, their_fields)) = ours.print.fields.as_ref().zip(theirs.print.fields.as_ref()) else {
            return;
        };
        let changes = our_fields.changes_in(their_fields);
        self.added += u64::from(changes.added > 0);
        self.dropped += u64::from(changes.dropped > 0);
        self.changed += u64::from(changes.changed > 0);
        self.masked += u64::from(our_fields.has_8bit && !their_fields.has_8bit);
    }

    fn in_words(self) -> Option<String> {
        let kinds = [
            (self.added, "header fields added"),
            (self.dropped, "header fields dropped"),
            (self.changed, "header fields changed"),
            (self.masked, "8-bit octets of the header replaced"),
            (self.bodies, "the body rebuilt"),
            (self.dates, "another internal date"),
        ];
        let seen: Vec<String> = kinds
            .into_iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, what)| format!("{number} with {what}"))
            .collect();
        if seen.is_empty() {
            return None;
        }
        let octets = self.added + self.dropped + self.changed + self.masked + self.bodies;
        let meaning = match (octets, self.bodies) {
            (0, _) => "Octets are kept, dates are not",
            (_, 0) => "Content is kept, bytes are not",
            _ => "Bodies are not kept as they were",
        };
        let read = count_of(self.messages, "message");
        Some(format!(
            "the target alters what it is given; of {read} read back: {}. {meaning}; verify will name each such message \
             as altered",
            seen.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(date: i64, message: &str) -> Seen {
        let mut printer = KeyMaker::new([7; 16]).printer();
        printer.push(message.as_bytes());
        Seen { date: Some(date), print: printer.finish() }
    }

    fn words(pairs: &[(Seen, Seen)]) -> Option<String> {
        let mut found = Alterations::default();
        pairs.iter().for_each(|(ours, theirs)| found.enter(ours, theirs));
        found.in_words()
    }

    #[test]
    fn a_target_that_keeps_everything_is_not_spoken_of() {
        let same = || seen(1, "Subject: ü\r\n\r\nbody\r\n");
        assert_eq!(words(&[(same(), same()), (same(), seen(1, "Subject: ü\n\nbody\n"))]), None);
    }

    #[test]
    fn each_alteration_is_named_with_its_number() {
        let ours = || seen(1, "Subject: ü\r\nX: 1\r\n\r\nbody\r\n");
        let cases = [
            ("Subject: ü\r\nX: 1\r\nY: 2\r\n\r\nbody\r\n", "1 with header fields added. Content is kept"),
            ("Subject: ü\r\n\r\nbody\r\n", "1 with header fields dropped. Content is kept"),
            ("Subject: ü\r\nX: 2\r\n\r\nbody\r\n", "1 with header fields changed. Content is kept"),
            ("Subject: XX\r\nX: 1\r\n\r\nbody\r\n", "1 with 8-bit octets of the header replaced. Content is kept"),
            ("Subject: ü\r\nX: 1\r\n\r\nother\r\n", "1 with the body rebuilt. Bodies are not kept"),
        ];
        for (theirs, expected) in cases {
            let words = words(&[(ours(), seen(1, theirs)), (ours(), ours())]).expect("it is altered");
            assert!(words.contains(expected) && words.contains("of 2 messages"), "{words}");
        }
        let words = words(&[(ours(), seen(2, "Subject: ü\r\nX: 1\r\n\r\nbody\r\n"))]).expect("another date");
        assert!(words.contains("1 with another internal date. Octets are kept"), "{words}");
    }
}
