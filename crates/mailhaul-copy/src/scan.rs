//! Listing a source mailbox until the listing can be believed.

use crate::error::{WalkError, mailbox_error, on};
use crate::flag_table::FlagTable;
use mailhaul_db::MailboxState;
use mailhaul_imap::{Connection, ScanItems, ScanRow, SelectedMailbox};
use mailhaul_plan::scan::{SCANS_MAX, ScanVerdict, judge_scan, scan_ranges};
use mailhaul_plan::selection::{Judgement, Selection, SkipReason};
use mailhaul_plan::steps::difference;
use mailhaul_plan::visits::Figures;
use mailhaul_types::{MailboxName, ModSeq, Side, Uid, UidRange, UidSet, UidValidity};
use std::collections::BTreeMap;

/// What a source mailbox holds, and what of it is work.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) uid_validity: UidValidity,
    pub(crate) uid_next: Option<Uid>,
    pub(crate) exists: u32,
    pub(crate) highest_modseq: Option<ModSeq>,
    pub(crate) mailbox_id: Option<String>,
    /// Every UID listed.
    pub(crate) listed: UidSet,
    /// UID and size (octets, capped at 4 GiB) of what is neither settled, nor set aside, nor left out; ascending.
    pub(crate) todo: Vec<(Uid, u32)>,
    pub(crate) skipped: BTreeMap<SkipReason, UidSet>,
    /// In what way the listing contradicts what the server says of the mailbox, if it does so every time.
    pub(crate) missing: Option<String>,
    /// Settled messages that have left the source and have not been dealt with.
    pub(crate) departed: UidSet,
    /// What the source says of the flags of settled messages: of all of them, or of those that may have changed. Flags
    /// of messages that are settled while the pass goes on may be added.
    pub(crate) flags: FlagTable,
}

impl Listing {
    /// The announced octets of everything that is to be copied.
    pub(crate) fn bytes(&self) -> u64 {
        self.todo.iter().map(|(_, size)| u64::from(*size)).sum()
    }

    /// Everything that the selection leaves out.
    pub(crate) fn skipped_uids(&self) -> UidSet {
        let mut skipped = UidSet::new();
        self.skipped.values().for_each(|uids| skipped.extend_ranges(uids));
        skipped
    }

    /// The announced octets of those of `uids` that were to be copied.
    pub(crate) fn bytes_of(&self, uids: &UidSet) -> u64 {
        self.todo.iter().filter(|(uid, _)| uids.contains(*uid)).map(|(_, size)| u64::from(*size)).sum()
    }

    /// A listing that nothing was added to yet.
    pub(crate) fn empty(selected: &SelectedMailbox, uid_validity: UidValidity) -> Self {
        Self {
            uid_validity,
            uid_next: selected.uid_next,
            exists: selected.exists,
            highest_modseq: selected.highest_modseq,
            mailbox_id: selected.mailbox_id.clone(),
            ..Self::unopened()
        }
    }

    /// A listing of a mailbox of which is not known yet what it is.
    fn unopened() -> Self {
        Self {
            uid_validity: UidValidity(0),
            uid_next: None,
            exists: 0,
            highest_modseq: None,
            mailbox_id: None,
            listed: UidSet::new(),
            todo: Vec::new(),
            skipped: BTreeMap::new(),
            missing: None,
            departed: UidSet::new(),
            flags: FlagTable::default(),
        }
    }

    /// The same once it was opened, and everything is listed.
    fn opened(self, selected: &SelectedMailbox, known: &Known<'_>) -> Self {
        let opened = Self::empty(selected, selected.uid_validity.unwrap_or(self.uid_validity));
        let mut listing = Self { listed: self.listed, todo: self.todo, skipped: self.skipped, ..opened };
        listing.finish(known);
        listing
    }

    /// Brings everything into order. What has departed is known only if the listing counts.
    pub(crate) fn finish(&mut self, known: &Known<'_>) {
        self.todo.sort_unstable_by_key(|(uid, _)| *uid);
        self.todo.dedup_by_key(|(uid, _)| *uid);
        self.flags.sort();
        if self.missing.is_none() {
            self.departed = difference(&difference(&known.settled, &known.departed), &self.listed);
        }
    }

    /// Adds one message.
    pub(crate) fn take(&mut self, row: ScanRow, known: &Known<'_>) {
        self.listed.insert(row.uid);
        if known.wants_flags
            && known.settled.contains(row.uid)
            && let Some(flags) = row.flags.clone()
        {
            self.flags.insert(row.uid, flags);
        }
        if known.settled.contains(row.uid) || known.set_aside.contains(row.uid) {
            return;
        }
        match known.selection.judge(row.size, row.internal_date.map(mailhaul_types::InternalDate::unix_secs)) {
            Judgement::Selected => self.todo.push((row.uid, u32::try_from(row.size).unwrap_or(u32::MAX))),
            Judgement::Skipped(reason) => self.skipped.entry(reason).or_default().insert(row.uid),
        }
    }
}

/// What is known of a mailbox before it is listed, and what is wanted of it.
pub(crate) struct Known<'a> {
    pub(crate) settled: UidSet,
    pub(crate) set_aside: UidSet,
    /// What has left the source and was dealt with.
    pub(crate) departed: UidSet,
    /// Whether the flags of settled messages are looked at.
    pub(crate) wants_flags: bool,
    pub(crate) selection: &'a Selection,
}

impl<'a> Known<'a> {
    pub(crate) fn new(state: Option<&MailboxState>, selection: &'a Selection) -> Self {
        let settled = state.map(|state| state.settled.clone()).unwrap_or_default();
        let departed = state.map(|state| state.departed.clone()).unwrap_or_default();
        let set_aside = state.map(MailboxState::set_aside).unwrap_or_default();
        Self { settled, set_aside, departed, wants_flags: false, selection }
    }

    /// What is asked for of every message.
    fn items(&self) -> ScanItems {
        ScanItems { internal_date: self.selection.needs_dates(), flags: self.wants_flags }
    }

    /// The same, with a look at the flags of settled messages.
    pub(crate) fn with_flags(self) -> Self {
        Self { wants_flags: !self.settled.is_empty(), ..self }
    }
}

/// Opens a mailbox and lists it in one burst, as far as its figures tell what to ask for; without a listing if there is
/// something to be asked for a second time.
pub(crate) async fn open_and_scan(
    connection: &mut Connection,
    side: Side,
    name: &MailboxName,
    figures: Option<&Figures>,
    known: &Known<'_>,
) -> Result<(SelectedMailbox, Option<Listing>), WalkError> {
    let told = figures.and_then(|figures| Some((figures.uid_next?, figures.messages?)));
    if let Some((told_next, messages)) = told {
        let mut listing = Listing::unopened();
        let mut take = |row: ScanRow| listing.take(row, known);
        let (ranges, items) = (scan_ranges(told_next.into(), messages), known.items());
        let asked = connection.examine_and_scan(name, &ranges, items, &mut take).await;
        let asked = asked.map_err(|error| mailbox_error(side, error))?;
        if let Some((selected, mut tally)) = asked {
            let fits = selected.uid_validity.is_some() && selected.uid_next.is_some_and(|next| next >= told_next);
            if let (Some(next), true) = (selected.uid_next.filter(|next| *next > told_next), fits) {
                let arrived = UidRange { first: told_next, last: Uid(next.0 - 1) };
                let more = connection.scan(&[arrived], items, &mut take).await.map_err(on(side))?;
                tally.expunged = tally.expunged.saturating_add(more.expunged);
            }
            let counts = judge_scan(listing.listed.len(), selected.exists, tally.expunged) == ScanVerdict::Counted;
            let listing = (fits && counts).then(|| listing.opened(&selected, known));
            return Ok((selected, listing));
        }
    }
    let selected = connection.examine(name).await.map_err(|error| mailbox_error(side, error))?;
    Ok((selected, None))
}

/// Lists a mailbox that was just opened; up to three times if the counts do not agree.
pub(crate) async fn scan_mailbox(
    connection: &mut Connection,
    side: Side,
    name: &MailboxName,
    mut selected: SelectedMailbox,
    uid_validity: UidValidity,
    known: &Known<'_>,
) -> Result<Listing, WalkError> {
    let items = known.items();
    for attempt in 1.. {
        let uid_next = match selected.uid_next {
            Some(uid_next) => Some(uid_next),
            None => connection.status(name).await.map_err(on(side))?.uid_next,
        };
        let mut listing = Listing { uid_next, ..Listing::empty(&selected, uid_validity) };
        let ranges = scan_ranges(uid_next, selected.exists);
        let mut take = |row: ScanRow| {
            if uid_next.is_none_or(|uid_next| row.uid < uid_next) {
                listing.take(row, known);
            }
        };
        let tally = connection.scan(&ranges, items, &mut take).await.map_err(on(side))?;
        listing.missing = match judge_scan(listing.listed.len(), selected.exists, tally.expunged) {
            ScanVerdict::Counted => None,
            ScanVerdict::TooFew(missing) => {
                Some(format!("the server says that there are {} messages and lists {missing} fewer", selected.exists))
            }
            // More rows than messages: mail that arrived meanwhile on a server that does not say UIDNEXT.
            ScanVerdict::TooMany(_) if uid_next.is_none() => None,
            ScanVerdict::TooMany(more) => {
                Some(format!("the server says that there are {} messages and lists {more} more", selected.exists))
            }
        };
        listing.finish(known);
        if listing.missing.is_none() || attempt >= SCANS_MAX {
            return Ok(listing);
        }
        tracing::info!(mailbox = %name, listed = listing.listed.len(), exists = selected.exists, "listing again");
        selected = connection.examine(name).await.map_err(|error| mailbox_error(side, error))?;
        if selected.uid_validity != Some(uid_validity) {
            return Err(WalkError::Mailbox("its UIDVALIDITY changed while it was being listed".to_owned()));
        }
    }
    unreachable!("the loop returns by its third attempt")
}
