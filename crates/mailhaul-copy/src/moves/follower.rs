//! Matching arrivals with departed messages, mailbox by mailbox, and moving their copies.

use super::departures::{Departures, Origin};
use super::relocate::{Relocated, portions, relocate};
use super::unnamed::Unnamed;
use crate::error::{WalkError, on};
use crate::reading::Unreadable;
use crate::recognise::{By, Proof, Recognition, match_known};
use crate::scan::Listing;
use crate::shared_copies::copies_in_use;
use crate::tail::{Known, read_known, read_known_of};
use crate::tally::Tally;
use crate::walk::{Links, Pair, Target, Walk};
use mailhaul_db::{Settled, SettledState, Settlement};
use mailhaul_imap::{ErrorClass, FlagsRow, ImapError};
use mailhaul_plan::moves::{Way, way_to_move};
use mailhaul_plan::tail::advance_mark;
use mailhaul_types::{MessageKey, Side, Uid, UidRange, UidSet, escape};
use std::collections::{BTreeMap, BTreeSet};

/// Why messages are copied although they were moved.
const CANNOT_MOVE: &str =
    "the target can move messages only by copying them, and cannot remove the earlier copies one by one";

/// Follows the moves into one mailbox.
pub(super) struct Follower<'a, 'w> {
    pub(super) walk: &'a Walk<'w>,
    pub(super) links: &'a mut Links,
    pub(super) pair: &'a Pair<'a>,
    pub(super) tally: &'a mut Tally,
    pub(super) target: &'a mut Target,
    pub(super) departures: &'a mut Departures,
    /// Arrivals that are not settled.
    pub(super) todo: UidSet,
    /// Those of them that have a key of a departed message; read once.
    pub(super) arrivals: Vec<Known>,
    /// Departed messages that share their key with an arrival, and whose copy is not where it was: by origin.
    pub(super) absent: Vec<(usize, Settled)>,
    /// What was settled here.
    settled: UidSet,
    /// Messages of which the flags last synced are known, and the source's present ones are not: moved ones.
    pub(super) flags_wanted: UidSet,
    /// Whether another target mailbox than the pair's is selected.
    away: bool,
    /// Moved or perhaps moved, and the new UID is not known: what to settle them as, and whether the target said OK.
    pub(super) unnamed: BTreeMap<Uid, Unnamed>,
    /// Whether the target gave out UIDs here, since the tail was read, that do not follow the mark.
    gap: bool,
    /// Copies in the receiving mailbox that we wrote; see [`Recognition::witnesses`].
    pub(super) witnesses: Vec<(Uid, Uid)>,
    /// Arrivals of which it cannot be told whether a copy that is there still is theirs; see [`Recognised::uncertain`].
    ///
    /// [`Recognised::uncertain`]: crate::recognise::Recognised::uncertain
    uncertain: Unreadable,
}

/// One arrival, and the departed message that it was.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) arrival: Uid,
    pub(super) record: Settled,
}

impl<'a, 'w> Follower<'a, 'w> {
    pub(super) fn new(
        walk: &'a Walk<'w>,
        links: &'a mut Links,
        pair: &'a Pair<'a>,
        tally: &'a mut Tally,
        target: &'a mut Target,
        departures: &'a mut Departures,
        todo: UidSet,
    ) -> Self {
        Self {
            walk,
            links,
            pair,
            tally,
            target,
            departures,
            todo,
            arrivals: Vec::new(),
            absent: Vec::new(),
            settled: UidSet::new(),
            flags_wanted: UidSet::new(),
            away: false,
            unnamed: BTreeMap::new(),
            gap: false,
            witnesses: Vec::new(),
            uncertain: Unreadable::new(),
        }
    }

    /// Finds arrivals whose old copies are still where they were, and moves these.
    pub(super) async fn follow(&mut self, origins: &[Origin]) -> Result<(), WalkError> {
        let wanted: BTreeSet<MessageKey> =
            origins.iter().flat_map(|origin| origin.records.iter().filter_map(|record| record.key)).collect();
        if wanted.is_empty() || self.todo.is_empty() {
            return Ok(());
        }
        let keep = |known: &Known| known.candidate.key.is_some_and(|key| wanted.contains(&key));
        let place = self.walk.place(self.pair.source.text(), Side::Source);
        // What cannot be read has not been moved for all that is known; it is named when it is to be sent.
        (self.arrivals, _) = read_known_of(&mut self.links.source, place, &self.walk.keys, &self.todo, keep).await?;
        for (place, origin) in origins.iter().enumerate() {
            self.follow_from(place, origin).await?;
        }
        self.name_uncertain().await
    }

    /// What cannot be told to have been moved is copied: set aside, it would be nowhere if its earlier copy were removed with
    /// what has left there. It may be there twice then.
    async fn name_uncertain(&mut self) -> Result<(), WalkError> {
        let ours = self.walk.reading.named(self.pair.source.text(), Side::Source);
        for (arrival, reason) in std::mem::take(&mut self.uncertain) {
            // What the source does not hand out is not copied, and is named for that.
            if self.todo.contains(arrival) && !ours.contains(arrival) {
                let key = self.arrivals.iter().find(|known| known.candidate.uid == arrival);
                let key = key.and_then(|known| known.candidate.key);
                let reason = format!("it was moved at the source, and is copied, although {reason}");
                self.name_possible_duplicate(arrival, key, reason).await?;
            }
        }
        Ok(())
    }

    async fn follow_from(&mut self, place: usize, origin: &Origin) -> Result<(), WalkError> {
        let still_left = self.departures.open(&origin.source);
        let wanted: BTreeSet<Option<MessageKey>> = self.arrivals.iter().map(|known| known.candidate.key).collect();
        let meant: Vec<&Settled> = origin
            .records
            .iter()
            .filter(|record| wanted.contains(&record.key) && still_left.contains(record.source_uid))
            .collect();
        // Its owner had filed or deleted the copy when it was moved before, and it was settled without one.
        let without_copy = |record: &&&Settled| record.target_uid.is_none() && record.state != SettledState::Copied;
        self.absent.extend(meant.iter().filter(without_copy).map(|record| (place, (*record).clone())));
        let records: BTreeMap<Uid, &Settled> =
            meant.into_iter().filter_map(|record| Some((record.target_uid?, record))).collect();
        if records.is_empty() || !self.open(origin).await? {
            return Ok(());
        }
        let uids: UidSet = records.keys().copied().collect();
        let Links { source, target } = &mut *self.links;
        let place_there = self.walk.place(&origin.source, Side::Target);
        let mut copies = read_known(target, place_there, &self.walk.keys, &uids, |_| true).await?;
        let present: BTreeSet<Uid> = copies.iter().map(|known| known.candidate.uid).collect();
        let absent = records.iter().filter(|(uid, _)| !present.contains(uid));
        self.absent.extend(absent.map(|(_, record)| (place, (*record).clone())));
        keyed_as_recorded(&mut copies, &records);
        let drafts = self.pair.drafts || self.departures.holds_drafts(&origin.source);
        let witnesses = if origin.own { &self.witnesses[..] } else { &[] };
        let with = self.walk.recognition(self.pair.source.text(), drafts);
        let with = Recognition { witnesses, theirs: &origin.source, ..with };
        let both = (self.arrivals.clone(), copies);
        let recognised = match_known(source, target, with, both, By::Both(Proof::Contents)).await?;
        // A draft arrives edited under its header all the time.
        if !drafts {
            self.tally.unproved += recognised.unproved;
        }
        self.uncertain.extend(recognised.uncertain);
        let mut found: Vec<Found> = recognised
            .found
            .into_iter()
            .filter_map(|matched| {
                // A copy that looks like the arrival, and is that of another message, is not moved in its place.
                let record = *records.get(&matched.settled.target_uid?)?;
                let same = record.key == matched.settled.key;
                same.then(|| Found { arrival: matched.settled.source_uid, record: proved(record) })
            })
            .collect();
        found.sort_by_key(|found| found.arrival);
        if origin.own {
            return self.keep_in_place(origin, &found).await;
        }
        self.leave_shared(origin, &mut found).await?;
        self.move_here(origin, &found).await
    }

    /// Takes out whose copy may stand for a message that has not left: it stays, and the arrival is copied.
    async fn leave_shared(&mut self, origin: &Origin, found: &mut Vec<Found>) -> Result<(), WalkError> {
        if found.is_empty() {
            return Ok(());
        }
        let records: Vec<Settled> = found.iter().map(|found| found.record.clone()).collect();
        let state = origin.ledger.load().await?;
        let mut gone = self.departures.known(&origin.source);
        gone.extend_ranges(&state.departed);
        let shared = copies_in_use(&origin.ledger, &gone, &records).await?;
        let all = found.len();
        found.retain(|found| !found.record.target_uid.is_some_and(|uid| shared.contains(uid)));
        let left = (all - found.len()) as u64;
        if left > 0 {
            let text = format!(
                "{left} were moved here at the source and copied, and their earlier copies stay where they are: they may \
                 stand for equal messages that were not moved"
            );
            self.tally.note("shared copies", text, left);
        }
        Ok(())
    }

    /// The same mail under a new UID in the same mailbox: its copy is where it belongs. The old record lets go of it
    /// in the same write, or a deletion of the old message could take the copy of the new one.
    async fn keep_in_place(&mut self, origin: &Origin, found: &[Found]) -> Result<(), WalkError> {
        if found.is_empty() {
            return Ok(());
        }
        let old = found.iter().map(|found| Settled { target_uid: None, ..found.record.clone() });
        let new = found.iter().map(|found| Settled { source_uid: found.arrival, ..found.record.clone() });
        let messages = old.chain(new).collect();
        let departed = found.iter().map(|found| found.record.source_uid).collect();
        self.settle(Settlement { messages, target_mark: None, clear_sent: false }).await?;
        self.dealt_with(origin, &departed).await?;
        for found in found {
            self.tally.adopted.insert(found.arrival);
            self.flags_wanted.insert(found.arrival);
            self.note_settled(found.arrival);
        }
        Ok(())
    }

    async fn move_here(&mut self, origin: &Origin, found: &[Found]) -> Result<(), WalkError> {
        let capabilities = self.links.target.capabilities();
        let (has_move, has_uidplus) = (capabilities.move_(), capabilities.uidplus());
        let mut by_way: BTreeMap<Way, Vec<Found>> = BTreeMap::new();
        let mut no_way = 0;
        for found in found {
            let ours = found.record.state == SettledState::Copied;
            match way_to_move(has_move, has_uidplus, ours) {
                Some(way) => by_way.entry(way).or_default().push(found.clone()),
                None => no_way += 1,
            }
        }
        if no_way > 0 {
            let text = format!("{no_way} were moved here at the source and copied: {CANNOT_MOVE}");
            self.tally.note("not moved", text, no_way);
        }
        for (way, found) in by_way {
            for portion in portions(&found) {
                if !self.move_portion(origin, way, portion).await? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// One command. Returns whether the target will hear of more.
    async fn move_portion(&mut self, origin: &Origin, way: Way, portion: &[Found]) -> Result<bool, WalkError> {
        let (Some(first), Some(last)) = (portion.first(), portion.last()) else { return Ok(true) };
        let walk = self.walk;
        if walk.stop.is_requested() {
            return Err(WalkError::Interrupted { unanswered: 0 });
        }
        let range = UidRange { first: first.arrival, last: last.arrival };
        self.pair.ledger.mark_sent(range, self.target.mark).await?.wait().await?;
        if !(walk.lease.is_valid() && walk.supervisor.may_write()) {
            return Err(on(Side::Target)(ImapError::CommitRefused));
        }
        let uids: UidSet = portion.iter().filter_map(|found| found.record.target_uid).collect();
        match relocate(&mut self.links.target, &uids, self.pair.target, way).await? {
            Relocated::Refused(words) => {
                tracing::warn!(mailbox = %self.pair.source, from = %origin.target, words, "the target does not move");
                self.note_refused(&words, portion.len() as u64);
                // Some of them may have been moved all the same: the tail says.
                self.look_for(origin, portion, false);
                Ok(false)
            }
            Relocated::Done(whereto) => {
                if let Some(words) = whereto.left_behind {
                    tracing::warn!(mailbox = %self.pair.source, from = %origin.target, words, "copied, and not removed");
                    self.note_left_behind(&words, uids.len());
                }
                match whereto.named.filter(|(uid_validity, _)| *uid_validity == self.target.uid_validity) {
                    Some((_, named)) => self.settle_named(origin, portion, &named).await?,
                    None => self.look_for(origin, portion, true),
                }
                Ok(true)
            }
        }
    }

    async fn settle_named(
        &mut self,
        origin: &Origin,
        portion: &[Found],
        named: &BTreeMap<Uid, Uid>,
    ) -> Result<(), WalkError> {
        let (mut messages, mut departed, mut given) = (Vec::new(), UidSet::new(), Vec::new());
        let mut silent = Vec::new();
        for found in portion {
            let Some(new) = found.record.target_uid.and_then(|old| named.get(&old)).copied() else {
                // Its owner was faster, or the target does not say of each where it went.
                silent.push(found.clone());
                continue;
            };
            departed.insert(found.record.source_uid);
            given.push(new);
            messages.push(Settled { source_uid: found.arrival, target_uid: Some(new), ..found.record.clone() });
        }
        self.look_for(origin, &silent, false);
        given.sort_unstable();
        let highest = given.last().copied();
        let mark = advance_mark(self.target.mark, &given.into_iter().collect());
        self.gap |= highest.is_some_and(|highest| mark <= highest);
        self.target.mark = mark;
        self.dealt_with(origin, &departed).await?;
        let arrived: Vec<Uid> = messages.iter().map(|message| message.source_uid).collect();
        self.settle(Settlement { messages, target_mark: Some(mark), clear_sent: self.unnamed.is_empty() }).await?;
        arrived.into_iter().for_each(|uid| self.note_moved(uid));
        Ok(())
    }

    fn note_refused(&mut self, words: &str, messages: u64) {
        let text =
            format!("{messages} were moved here at the source and copied, for the target does not move: \"{words}\"");
        self.tally.note("not moved", text, messages);
    }

    /// Moves that came down to copies: the target keeps the originals.
    pub(super) fn note_left_behind(&mut self, words: &str, messages: u64) {
        let text = format!("{messages} were moved here, and the target keeps the earlier copies as well: \"{words}\"");
        self.tally.note("left behind", text, messages);
    }

    /// Opens the target mailbox that messages have left; whether their UIDs mean there what they meant.
    pub(super) async fn open(&mut self, origin: &Origin) -> Result<bool, WalkError> {
        if origin.own {
            self.open_own().await?;
            return Ok(origin.uid_validity == Some(self.target.uid_validity));
        }
        self.away = true;
        match self.links.target.select(&origin.target).await {
            Ok(opened) => {
                Ok(opened.uid_validity.is_some() && opened.uid_validity == origin.uid_validity && !opened.read_only)
            }
            Err(error @ ImapError::Refused { .. })
                if !matches!(error.class(), ErrorClass::Throttle | ErrorClass::SignIn) =>
            {
                let words = escape(&error.to_string());
                tracing::debug!(from = %origin.target, words, "cannot be opened, so moves out of it are not followed");
                Ok(false)
            }
            Err(error) => Err(on(Side::Target)(error)),
        }
    }

    /// Records that departed messages need nothing more. Before their arrivals are settled: should the process die in
    /// between, the arrivals are still known to be in flight; the other way round the departed messages could be taken
    /// for the origin of yet another arrival.
    pub(super) async fn dealt_with(&mut self, origin: &Origin, departed: &UidSet) -> Result<(), WalkError> {
        self.departures.follow(&origin.source, departed);
        Ok(origin.ledger.add_departed(departed.clone()).await?)
    }

    pub(super) fn note_moved(&mut self, arrival: Uid) {
        self.tally.moved.insert(arrival);
        self.flags_wanted.insert(arrival);
        self.note_settled(arrival);
    }

    /// An arrival is settled without having been copied.
    pub(super) fn note_settled(&mut self, arrival: Uid) {
        self.settled.insert(arrival);
        self.todo.remove(arrival);
        self.arrivals.retain(|known| known.candidate.uid != arrival);
    }

    /// Opens the pair's own target mailbox again, if another one is open.
    async fn open_own(&mut self) -> Result<(), WalkError> {
        if !std::mem::replace(&mut self.away, false) {
            return Ok(());
        }
        let opened = self.links.target.select(self.pair.target).await.map_err(on(Side::Target))?;
        if opened.uid_validity.is_some_and(|now| now != self.target.uid_validity) {
            let detail = "UIDVALIDITY changed while messages were moved".to_owned();
            return Err(on(Side::Target)(ImapError::Protocol { during: "SELECT", detail }));
        }
        Ok(())
    }

    /// Leaves everything as the next step of the pass expects it, and looks for what the target did not name.
    pub(super) async fn come_back(mut self, listing: &mut Listing) -> Result<UidSet, WalkError> {
        self.open_own().await?;
        if self.gap || !self.unnamed.is_empty() {
            self.read_tail_again(listing).await?;
        }
        if !self.flags_wanted.is_empty() {
            // What changed along with the move is handed over by the step that follows.
            let mut take = |row: FlagsRow| listing.flags.insert(row.uid, row.flags);
            self.links.source.fetch_flags(&self.flags_wanted, &mut take).await.map_err(on(Side::Source))?;
        }
        let mut explained = self.settled.clone();
        explained.extend_ranges(&self.flags_wanted);
        self.departures.explain(self.pair.source.text(), &explained);
        Ok(self.settled)
    }

    pub(super) async fn settle(&self, settlement: Settlement) -> Result<(), WalkError> {
        Ok(self.pair.ledger.settle(settlement).await?)
    }
}

/// A record whose copy was compared by contents, so that it is not merely likely any more.
fn proved(record: &Settled) -> Settled {
    let state = if record.state == SettledState::Likely { SettledState::Adopted } else { record.state };
    Settled { state, ..record.clone() }
}

/// Gives copies the keys of what was put there: a server that alters what it is given makes other keys of it, and where it
/// has masked what told two messages apart, the same.
pub(super) fn keyed_as_recorded(copies: &mut [Known], records: &BTreeMap<Uid, &Settled>) {
    for copy in copies {
        if let Some(record) = records.get(&copy.candidate.uid) {
            copy.candidate.key = record.key;
        }
    }
}
