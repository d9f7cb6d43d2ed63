//! Messages with which connections are lost when they are only read: to tell what is on the target already, to see what a
//! server makes of mail, or to compare both sides.
//!
//! The rule is that of [`Suspects`]: one by one, three losses in the same place, the last behind all others, and only if
//! the same server hands out others. What is read is not kept from one connection to the next, so here it is also kept
//! which messages were asked for and not delivered when a connection was lost: among them the next one looks one by one.
//!
//! What a message means that cannot be read is for each reader to say. It is never taken for one that is not there, and
//! never for the same as another.

use crate::bodies::digest_bodies;
use crate::bounds;
use crate::error::{LinkError, WalkError, on};
use crate::suspects::Suspects;
use mailhaul_imap::{Connection, ErrorClass, ImapError, ScanItems, ScanRow};
use mailhaul_plan::steps::{difference, intersection};
use mailhaul_types::{Side, Uid, UidRange, UidSet};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Messages that cannot be read, each with what is to be said of it.
pub(crate) type Unreadable = BTreeMap<Uid, String>;

/// In which mailbox, on which side, and of what: a server that falls over a body may well hand out the header.
type Asked = (String, Side, Part);

/// What is read of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Header,
    Whole,
}

/// What was lost with whom while reading, over the passes of one run.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    mailboxes: Mutex<BTreeMap<Asked, Losses>>,
}

impl Reading {
    /// A number that grows with what was found out about this mailbox, by its name at the source.
    pub(crate) fn progress(&self, mailbox: &str) -> u64 {
        let all = self.lock();
        let here = all.iter().filter(|((name, ..), _)| name == mailbox);
        here.map(|(_, losses)| losses.suspects.progress() + losses.narrowed).sum()
    }

    /// The messages with which connections to one side were lost again and again.
    pub(crate) fn named(&self, mailbox: &str, side: Side) -> UidSet {
        let mut named = UidSet::new();
        for ((name, at, _), losses) in self.lock().iter() {
            if name == mailbox && *at == side {
                named.extend_ranges(&losses.suspects.named(side));
            }
        }
        named
    }

    /// UIDs of this side mean other messages from now on.
    pub(crate) fn forget(&self, mailbox: &str, side: Side) {
        self.lock().retain(|(name, at, _), _| name != mailbox || *at != side);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Asked, Losses>> {
        self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Losses {
    suspects: Suspects,
    /// Asked for and not delivered when a connection was lost.
    doubtful: UidSet,
    /// How often it became fewer.
    narrowed: u64,
}

/// Where is read: on one side of a mailbox, by its name at the source.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) reading: &'a Reading,
    pub(crate) mailbox: &'a str,
    pub(crate) side: Side,
}

/// What is read there.
#[derive(Debug, Clone, Copy)]
struct Task<'a> {
    place: Place<'a>,
    part: Part,
}

/// In which order is read.
struct Order {
    /// Together.
    together: UidSet,
    /// One by one.
    singly: UidSet,
    /// Together behind them: it may be one of these.
    rest: UidSet,
    /// Alone and behind all others.
    waiting: UidSet,
    /// Not at all any more.
    aside: Unreadable,
}

impl Task<'_> {
    fn with<T>(&self, look: impl FnOnce(&mut Losses) -> T) -> T {
        let Place { reading, mailbox, side } = self.place;
        look(reading.lock().entry((mailbox.to_owned(), side, self.part)).or_default())
    }

    fn order(&self, uids: &UidSet) -> Result<Order, WalkError> {
        self.with(|Losses { suspects, doubtful, .. }| {
            let (mut waiting, mut aside) = (UidSet::new(), Unreadable::new());
            for uid in intersection(&suspects.waiting(), uids).iter() {
                match suspects.proved(uid) {
                    Some(loss) => drop(aside.insert(uid, loss.reason())),
                    None => match suspects.given_up(uid) {
                        Some(loss) => return Err(WalkError::Mailbox(format!("UID {}: {}", uid.0, loss.reason()))),
                        None => {
                            waiting.insert(uid);
                        }
                    },
                }
            }
            let others = difference(uids, &suspects.waiting());
            let doubted = intersection(doubtful, &others);
            let together = difference(&others, &doubted);
            let (singly, rest) = match doubted.is_empty() && together.len() == 1 {
                true => (together.clone(), UidSet::new()),
                false => first_of(&doubted, bounds::ONE_BY_ONE),
            };
            let together = difference(&together, &singly);
            Ok(Order { together, singly, rest, waiting, aside })
        })
    }

    /// These were read, or the server has answered without them.
    fn read(&self, uids: &UidSet) {
        self.with(|losses| losses.doubtful = difference(&losses.doubtful, uids));
    }

    fn others_came_through(&self) {
        self.with(|losses| losses.suspects.others_came_through());
    }

    fn wants_another(&self) -> bool {
        self.with(|losses| losses.suspects.wants_another(self.place.side))
    }

    /// The connection was lost with one message alone on its way, after so many octets.
    fn blame(&self, uid: Uid, error: &ImapError, octets: u64) {
        self.with(|losses| losses.suspects.blame(uid, &LinkError::new(self.place.side, error.clone()), octets));
    }

    /// The connection was lost with several on their way.
    fn doubt(&self, asked: &UidSet, undelivered: UidSet, error: &ImapError) {
        if !matches!(error.class(), ErrorClass::Network | ErrorClass::Protocol) {
            return;
        }
        self.with(|losses| {
            let before = intersection(&losses.doubtful, asked);
            losses.narrowed += u64::from(!before.is_empty() && undelivered.len() < before.len());
            losses.doubtful = difference(&losses.doubtful, asked);
            losses.doubtful.extend_ranges(&undelivered);
        });
    }
}

/// So many of them, and the others.
fn first_of(uids: &UidSet, most: u64) -> (UidSet, UidSet) {
    let first: UidSet = uids.iter().take(usize::try_from(most).unwrap_or(usize::MAX)).collect();
    let rest = difference(uids, &first);
    (first, rest)
}

/// Something that messages are read into. What was delivered is kept, also if the connection is lost then.
pub(crate) trait Reader {
    /// What is read.
    const PART: Part;

    /// Reads these. A server that answers without one of them is no error.
    async fn read(&mut self, connection: &mut Connection, uids: &UidSet) -> Result<(), ImapError>;

    /// Whether this one was delivered.
    fn has(&self, uid: Uid) -> bool;

    /// Octets of messages that were delivered, whole or in part.
    fn octets(&self) -> u64;
}

/// Reads messages in such an order that the one with which connections are lost is found, and leaves out the ones of which
/// that is proved.
///
/// # Errors
/// The end of the connection in every form; the mailbox's, if a message was asked for in vain and there is no other to tell
/// whether it is the message or its server.
pub(crate) async fn read_carefully<R: Reader>(
    connection: &mut Connection,
    place: Place<'_>,
    uids: &UidSet,
    reader: &mut R,
) -> Result<Unreadable, WalkError> {
    let task = Task { place, part: R::PART };
    let order = task.order(uids)?;
    read_together(connection, task, &order.together, reader).await?;
    read_singly(connection, task, &order.singly, reader).await?;
    read_together(connection, task, &order.rest, reader).await?;
    if !order.waiting.is_empty() && task.wants_another() {
        ask_for_another(connection, task).await?;
    }
    read_singly(connection, task, &order.waiting, reader).await?;
    Ok(order.aside)
}

async fn read_together(
    connection: &mut Connection,
    task: Task<'_>,
    uids: &UidSet,
    reader: &mut impl Reader,
) -> Result<(), WalkError> {
    if uids.is_empty() {
        return Ok(());
    }
    let read = reader.read(connection, uids).await;
    let undelivered: UidSet = uids.iter().filter(|uid| !reader.has(*uid)).collect();
    if undelivered.len() < uids.len() {
        task.others_came_through();
    }
    match read {
        Ok(()) => task.read(uids),
        Err(error) => {
            task.doubt(uids, undelivered, &error);
            return Err(on(task.place.side)(error));
        }
    }
    Ok(())
}

async fn read_singly(
    connection: &mut Connection,
    task: Task<'_>,
    uids: &UidSet,
    reader: &mut impl Reader,
) -> Result<(), WalkError> {
    for uid in uids.iter() {
        let alone: UidSet = [uid].into_iter().collect();
        let before = reader.octets();
        if let Err(error) = reader.read(connection, &alone).await {
            task.blame(uid, &error, reader.octets() - before);
            return Err(on(task.place.side)(error));
        }
        task.read(&alone);
        if reader.has(uid) {
            task.with(|losses| losses.suspects.clear(uid));
            task.others_came_through();
        }
    }
    Ok(())
}

/// Reads a message of the same mailbox with which no connection was lost, the smallest, and does nothing with it.
async fn ask_for_another(connection: &mut Connection, task: Task<'_>) -> Result<(), WalkError> {
    let suspected = task.with(|losses| losses.suspects.named(task.place.side));
    let mut smallest: Option<(u64, Uid)> = None;
    let mut take = |row: ScanRow| {
        if !suspected.contains(row.uid) && row.size > 0 && smallest.is_none_or(|(size, _)| row.size < size) {
            smallest = Some((row.size, row.uid));
        }
    };
    let everything = UidRange { first: Uid(1), last: Uid(u32::MAX) };
    connection.scan(&[everything], ScanItems::default(), &mut take).await.map_err(on(task.place.side))?;
    let Some((_, uid)) = smallest else { return Ok(()) };
    let another: UidSet = [uid].into_iter().collect();
    let read = digest_bodies(connection, &another, |_| (), |(), _| ()).await.map_err(on(task.place.side))?;
    if read.digests.contains_key(&uid) {
        task.others_came_through();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(uids: std::ops::RangeInclusive<u32>) -> UidSet {
        uids.map(Uid).collect()
    }

    fn task(reading: &Reading, side: Side) -> Task<'_> {
        Task { place: Place { reading, mailbox: "INBOX", side }, part: Part::Whole }
    }

    fn bye() -> ImapError {
        ImapError::Bye { text: "internal error".to_owned() }
    }

    fn ordered(task: Task<'_>, uids: &UidSet) -> [String; 5] {
        let Order { together, singly, rest, waiting, aside } = task.order(uids).expect("an order");
        let aside: UidSet = aside.into_keys().collect();
        [together, singly, rest, waiting, aside].map(|uids| uids.to_string())
    }

    #[test]
    fn what_was_not_delivered_is_read_one_by_one_behind_the_others_and_what_is_blamed_comes_last() {
        let reading = Reading::default();
        let work = task(&reading, Side::Target);
        let all = set(1..=200);
        assert_eq!(ordered(work, &all), ["1:200", "", "", "", ""]);
        work.doubt(&all, set(101..=200), &bye());
        assert_eq!(ordered(work, &all), ["1:100", "101:164", "165:200", "", ""]);
        assert_eq!(reading.progress("INBOX"), 0);
        work.blame(Uid(103), &bye(), 0);
        work.blame(Uid(103), &bye(), 0);
        assert_eq!(ordered(work, &all), ["1:100", "101:102,104:165", "166:200", "103", ""]);
        work.others_came_through();
        work.blame(Uid(103), &bye(), 0);
        assert_eq!(ordered(work, &all)[4], "103");
        assert_eq!(reading.named("INBOX", Side::Target), set(103..=103));
        assert_eq!((reading.progress("INBOX"), reading.progress("Work")), (3, 0));
        reading.forget("INBOX", Side::Target);
        assert_eq!(ordered(work, &all), ["1:200", "", "", "", ""]);
    }

    #[test]
    fn what_is_in_doubt_becomes_fewer_and_that_is_progress() {
        let reading = Reading::default();
        let work = task(&reading, Side::Source);
        work.doubt(&set(1..=100), set(1..=100), &bye());
        work.read(&set(1..=64));
        work.doubt(&set(65..=100), set(90..=100), &bye());
        assert_eq!(reading.progress("INBOX"), 1);
        assert_eq!(ordered(work, &set(1..=100)), ["1:89", "90:100", "", "", ""]);
        let busy = ImapError::Bye { text: "too many connections".to_owned() };
        work.doubt(&set(1..=100), set(1..=100), &busy);
        assert_eq!(ordered(work, &set(1..=100))[1], "90:100", "who asks to slow down makes nobody doubtful");
    }

    #[test]
    fn one_that_is_asked_for_in_vain_with_no_other_to_compare_fails_its_mailbox() {
        let reading = Reading::default();
        let work = task(&reading, Side::Source);
        (0..4).for_each(|_| work.blame(Uid(7), &bye(), 0));
        let Err(WalkError::Mailbox(reason)) = work.order(&set(7..=7)) else { panic!("nobody can tell") };
        assert!(reason.starts_with("UID 7: the connection to the source was lost"), "{reason}");
    }
}
