//! Comparing one mailbox pair: both sides opened, listed and read as closely as was asked for. Changes nothing on
//! either side. What to do when a connection breaks is the caller's to decide; what a difference means, if the ledger is
//! known, is `final_check`'s.

use crate::bodies::{Metadata, digest_carefully};
use crate::comparison::{Comparison, Residue, Seen, compare, pair_residues};
use crate::error::{WalkError, mailbox_error};
use crate::final_check::{Insight, judge};
use crate::flag_view::FlagView;
use crate::meter::Meter;
use crate::reading::{Place, Reading};
use crate::recognise::{By, Matched, Recognition, match_known};
use crate::scan::{Known, scan_mailbox};
use crate::tail::read_known_of;
use crate::verify::{VerifyJob, VerifyLevel};
use crate::walk::Links;
use mailhaul_db::Settled;
use mailhaul_imap::{Connection, PermanentFlags};
use mailhaul_plan::content::ContentDigester;
use mailhaul_plan::keys::{KeyMaker, KeyStream};
use mailhaul_plan::mailboxes::MappedMailbox;
use mailhaul_plan::selection::Selection;
use mailhaul_plan::steps::difference;
use mailhaul_report::{ComparedMailbox, Difference, DifferenceKind, Remark};
use mailhaul_types::{InternalDate, MailboxName, MessageKey, Side, Uid, UidSet, escape};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// What was found in one mailbox pair.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// The numbers; `None` if the comparison did not come to its end.
    pub(crate) line: Option<ComparedMailbox>,
    pub(crate) differences: Vec<Difference>,
    pub(crate) remarks: Vec<Remark>,
}

impl Findings {
    pub(crate) fn differ(
        &mut self,
        mailbox: &MailboxName,
        kind: DifferenceKind,
        source_uid: Option<u32>,
        target_uid: Option<u32>,
        reason: String,
    ) {
        self.differences.push(Difference { mailbox: mailbox.to_string(), kind, source_uid, target_uid, reason });
    }
}

/// How a mailbox pair is to be looked at.
pub(crate) struct Looking<'a> {
    pub(crate) job: &'a VerifyJob,
    pub(crate) meter: &'a Meter<'a>,
    /// What is known besides what both sides show.
    pub(crate) insight: Option<&'a Insight<'a>>,
    /// With which messages connections were lost when they were read.
    pub(crate) reading: &'a Reading,
}

/// Compares one mailbox pair. What was found before an error stands in `findings` too. Without a target name the target
/// has no such mailbox, and so none of its messages.
pub(crate) async fn compare_mailbox(
    looking: &Looking<'_>,
    links: &mut Links,
    mapped: &MappedMailbox,
    target_name: Option<&MailboxName>,
    findings: &mut Findings,
) -> Result<(), WalkError> {
    let Looking { job, meter, insight, reading } = *looking;
    let wanted = &job.selection;
    let everything = Selection::default();
    let Links { source, target } = links;
    // Joined and not tried: a future that is dropped in the middle would leave its connection in the middle.
    let (source, target) = tokio::join!(
        open(source, Side::Source, &mapped.source, wanted),
        open_if_there(target, target_name, &everything)
    );
    let (source, target) = (source?, target?);
    let line = ComparedMailbox {
        source: mapped.source.to_string(),
        target: target_name.map_or_else(|| escape(&mapped.target_text), MailboxName::to_string),
        source_messages: source.listed.len(),
        target_messages: target.listed.len(),
        equal: 0,
        skipped: 0,
    };
    let bytes = if job.level == VerifyLevel::Bytes { source.bytes + target.bytes } else { 0 };
    meter.begin(mapped.source.text(), line.source_messages + line.target_messages, bytes);
    let flags = match job.ignore_flags || job.level == VerifyLevel::Counts {
        true => FlagView::Ignored,
        false => FlagView::of(target.permanent_flags.clone(), target.read_only),
    };
    let mut pair = Pair { meter, insight, reading, mapped, line, flags, findings };
    for (side, opened) in [(Side::Source, &source), (Side::Target, &target)] {
        if opened.incomplete {
            let reason = format!("the {side} does not list all the messages that it says there are");
            pair.findings.differ(&mapped.source, DifferenceKind::Mailbox, None, None, reason);
        }
    }
    match job.level {
        VerifyLevel::Counts => pair.counts(&source, &target),
        VerifyLevel::Keys => pair.keys(links, &source, &target).await?,
        VerifyLevel::Bytes => pair.octets(links, &source, &target).await?,
    }
    findings.line = Some(pair.line);
    Ok(())
}

/// A mailbox that was opened and listed.
#[derive(Default)]
struct Opened {
    permanent_flags: PermanentFlags,
    read_only: bool,
    listed: UidSet,
    skipped: UidSet,
    /// Octets of what is not skipped, as announced.
    bytes: u64,
    incomplete: bool,
}

async fn open_if_there(
    target: &mut Connection,
    name: Option<&MailboxName>,
    selection: &Selection,
) -> Result<Opened, WalkError> {
    match name {
        Some(name) => open(target, Side::Target, name, selection).await,
        None => Ok(Opened::default()),
    }
}

async fn open(
    connection: &mut Connection,
    side: Side,
    name: &MailboxName,
    selection: &Selection,
) -> Result<Opened, WalkError> {
    let selected = match side {
        Side::Source => connection.examine(name).await,
        // Servers answer EXAMINE by PERMANENTFLAGS () (Dovecot does): only SELECT tells what the mailbox can keep. It
        // changes nothing but \Recent, and bodies are read by PEEK.
        Side::Target => connection.select(name).await,
    };
    let selected = selected.map_err(|error| mailbox_error(side, error))?;
    let Some(uid_validity) = selected.uid_validity else {
        return Err(WalkError::Mailbox(format!("the {side} keeps no UIDs for this mailbox")));
    };
    let (permanent_flags, read_only) = (selected.permanent_flags.clone(), selected.read_only);
    let known = Known::new(None, selection);
    let listing = scan_mailbox(connection, side, name, selected, uid_validity, &known).await?;
    let skipped = listing.skipped_uids();
    let (bytes, incomplete) = (listing.bytes(), listing.missing.is_some());
    Ok(Opened { permanent_flags, read_only, listed: listing.listed, skipped, bytes, incomplete })
}

/// A comparison under way.
struct Pair<'a> {
    meter: &'a Meter<'a>,
    insight: Option<&'a Insight<'a>>,
    reading: &'a Reading,
    mapped: &'a MappedMailbox,
    line: ComparedMailbox,
    flags: FlagView,
    findings: &'a mut Findings,
}

impl<'a> Pair<'a> {
    /// Where is read on this side.
    fn place(&self, side: Side) -> Place<'a> {
        Place { reading: self.reading, mailbox: self.mapped.source.text(), side }
    }

    /// With what the contents of both sides are read.
    fn with(&self) -> (&'a Reading, &'a str) {
        (self.reading, self.mapped.source.text())
    }

    fn counts(&mut self, source: &Opened, target: &Opened) {
        let (wanted, there) = (source.listed.len().saturating_sub(source.skipped.len()), target.listed.len());
        if wanted != there {
            let reason = format!("{wanted} messages at the source, {there} on the target");
            self.differ(DifferenceKind::Mailbox, None, None, reason);
        }
        self.meter.read(source.listed.len() + target.listed.len(), 0);
    }

    async fn keys(&mut self, links: &mut Links, source: &Opened, target: &Opened) -> Result<(), WalkError> {
        let keys = key_maker();
        let read = async |connection: &mut Connection, side, opened: &Opened| {
            let seen = |_: &crate::tail::Known| {
                self.meter.read(1, 0);
                true
            };
            // What cannot be read is named as that.
            let (known, _) = read_known_of(connection, self.place(side), &keys, &opened.listed, seen).await?;
            let row = |known: crate::tail::Known| {
                Some(Seen {
                    uid: known.candidate.uid.0,
                    // Without a key it is not known what message it is: not read.
                    identity: known.candidate.key?,
                    size: Some(known.candidate.size),
                    date: known.candidate.date,
                    flags: self.flags.text(side, &known.flags),
                })
            };
            Ok::<Vec<Seen<MessageKey>>, WalkError>(known.into_iter().filter_map(row).collect())
        };
        let (ours, theirs) =
            tokio::join!(read(&mut links.source, Side::Source, source), read(&mut links.target, Side::Target, target));
        let (mut ours, mut theirs) = (ours?, theirs?);
        let mut found = compare(&ours, &theirs);
        let (doubted_of_ours, doubted_of_theirs) = found.sizes_that_differ(&ours, &theirs);
        if !doubted_of_ours.is_empty() {
            // Some servers announce sizes that are not those of what they hand out.
            let (counted_ours, counted_theirs) = tokio::join!(
                count_octets(&mut links.source, self.place(Side::Source), &doubted_of_ours),
                count_octets(&mut links.target, self.place(Side::Target), &doubted_of_theirs)
            );
            correct_sizes(&mut ours, &counted_ours?);
            correct_sizes(&mut theirs, &counted_theirs?);
            found = compare(&ours, &theirs);
        }
        match self.insight.filter(|_| !found.is_equality()) {
            Some(insight) => self.file_knowing(insight, source, target, &ours, &theirs, &found).await?,
            None => {
                let (missing, extra) = (uids_at(&ours, &found.missing), uids_at(&theirs, &found.extra));
                let explained = find_altered(links, self.with(), &missing, &extra).await?;
                self.file(source, target, &ours, &theirs, &found, &explained);
            }
        }
        Ok(())
    }

    /// Names what the ledger does not explain.
    async fn file_knowing(
        &mut self,
        insight: &Insight<'_>,
        source: &Opened,
        target: &Opened,
        ours: &[Seen<MessageKey>],
        theirs: &[Seen<MessageKey>],
        found: &Comparison,
    ) -> Result<(), WalkError> {
        let known = insight.ask(self.mapped.source.text(), ours, found).await?;
        let synced = |settled: &Settled| self.flags.text(Side::Source, &settled.flags);
        let judgement = judge(insight.policy, &known, &source.skipped, ours, theirs, synced);
        (self.line.equal, self.line.skipped) = (judgement.equal, judgement.skipped);
        self.name_unread(Side::Source, source, ours);
        self.name_unread(Side::Target, target, theirs);
        for (kind, source_uid, target_uid, reason) in judgement.differences {
            self.differ(kind, source_uid, target_uid, reason);
        }
        self.remark_all(judgement.remarks);
        self.remark_all(self.flags.remarks());
        Ok(())
    }

    fn remark_all(&mut self, texts: Vec<String>) {
        let mailbox = self.mapped.source.to_string();
        let remark = |text| Remark { mailbox: Some(mailbox.clone()), text };
        self.findings.remarks.extend(texts.into_iter().map(remark));
    }

    async fn octets(&mut self, links: &mut Links, source: &Opened, target: &Opened) -> Result<(), WalkError> {
        let (ours, theirs) = tokio::join!(
            self.read_octets(&mut links.source, Side::Source, &source.listed),
            self.read_octets(&mut links.target, Side::Target, &target.listed)
        );
        let (ours, theirs) = (ours?, theirs?);
        let found = compare(&ours, &theirs);
        let (missing, extra) = (uids_at(&ours, &found.missing), uids_at(&theirs, &found.extra));
        let mut explained = if missing.is_empty() || extra.is_empty() {
            BTreeMap::new()
        } else {
            let (missing, extra) = tokio::join!(
                look_again(&mut links.source, self.place(Side::Source), &missing),
                look_again(&mut links.target, self.place(Side::Target), &extra)
            );
            pair_residues(&missing?, &extra?)
        };
        let unexplained = |uids: &UidSet, known: &BTreeSet<u32>| -> UidSet {
            uids.iter().filter(|uid| !known.contains(&uid.0)).collect()
        };
        let missing = unexplained(&missing, &explained.keys().copied().collect());
        let extra = unexplained(&extra, &explained.values().map(|(partner, _)| *partner).collect());
        explained.extend(find_altered(links, self.with(), &missing, &extra).await?);
        self.file(source, target, &ours, &theirs, &found, &explained);
        Ok(())
    }

    async fn read_octets(
        &self,
        connection: &mut Connection,
        side: Side,
        uids: &UidSet,
    ) -> Result<Vec<Seen<[u8; 32]>>, WalkError> {
        let begin = |metadata: &Metadata<'_>| {
            self.meter.read(1, 0);
            (Sha256::new(), metadata.date.map(InternalDate::unix_secs), self.flags.text(side, metadata.flags))
        };
        let push = |digest: &mut (Sha256, Option<i64>, Option<String>), octets: &[u8]| {
            self.meter.read(0, octets.len() as u64);
            digest.0.update(octets);
        };
        let digests = digest_carefully(connection, self.place(side), uids, begin, push).await?.0.digests;
        let row = |(uid, (digest, date, flags)): (Uid, (Sha256, Option<i64>, Option<String>))| Seen {
            uid: uid.0,
            identity: digest.finalize().into(),
            size: None,
            date,
            flags,
        };
        Ok(digests.into_iter().map(row).collect())
    }

    /// Names everything that was found.
    fn file<I>(
        &mut self,
        source: &Opened,
        target: &Opened,
        ours: &[Seen<I>],
        theirs: &[Seen<I>],
        found: &Comparison,
        explained: &BTreeMap<u32, (u32, &'static str)>,
    ) {
        self.line.equal = found.equal;
        self.name_unread(Side::Source, source, ours);
        self.name_unread(Side::Target, target, theirs);
        for (place, partner, reason) in &found.altered {
            let (uid, partner) = (Some(ours[*place].uid), Some(theirs[*partner].uid));
            self.differ(DifferenceKind::Altered, uid, partner, escape(reason));
        }
        for place in &found.missing {
            let uid = ours[*place].uid;
            if let Some((partner, reason)) = explained.get(&uid) {
                self.differ(DifferenceKind::Altered, Some(uid), Some(*partner), (*reason).to_owned());
            } else if source.skipped.contains(Uid(uid)) {
                self.line.skipped += 1;
            } else {
                self.differ(DifferenceKind::Missing, Some(uid), None, "not on the target".to_owned());
            }
        }
        for place in &found.doubled {
            let reason = "once more than at the source".to_owned();
            self.differ(DifferenceKind::Doubled, None, Some(theirs[*place].uid), reason);
        }
        let explained: UidSet = explained.values().map(|(partner, _)| Uid(*partner)).collect();
        for uid in found.extra.iter().map(|place| theirs[*place].uid) {
            if !explained.contains(Uid(uid)) {
                self.differ(DifferenceKind::Extra, None, Some(uid), "not at the source".to_owned());
            }
        }
        self.remark_all(self.flags.remarks());
    }

    /// Messages that are listed and could not be read prove nothing; they are named.
    fn name_unread<I>(&mut self, side: Side, opened: &Opened, read: &[Seen<I>]) {
        let read: UidSet = read.iter().map(|seen| Uid(seen.uid)).collect();
        for uid in difference(&opened.listed, &read).iter() {
            let (source_uid, target_uid) = match side {
                Side::Source => (Some(uid.0), None),
                Side::Target => (None, Some(uid.0)),
            };
            let reason = format!("the {side} listed it and did not hand it out");
            self.differ(DifferenceKind::Mailbox, source_uid, target_uid, reason);
        }
    }

    fn differ(&mut self, kind: DifferenceKind, source_uid: Option<u32>, target_uid: Option<u32>, reason: String) {
        self.findings.differ(&self.mapped.source, kind, source_uid, target_uid, reason);
    }
}

fn uids_at<I>(rows: &[Seen<I>], places: &[usize]) -> UidSet {
    places.iter().map(|place| Uid(rows[*place].uid)).collect()
}

/// Pairs messages that seem to be missing with those that seem to be too many where they are the same mail, altered by
/// its server: by their UIDs, with what there is to say.
async fn find_altered(
    links: &mut Links,
    (reading, mailbox): (&Reading, &str),
    missing: &UidSet,
    extra: &UidSet,
) -> Result<BTreeMap<u32, (u32, &'static str)>, WalkError> {
    if missing.is_empty() || extra.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (keys, Links { source, target }) = (key_maker(), links);
    let with = Recognition { keys: &keys, witnesses: &[], drafts: false, reading, ours: mailbox, theirs: mailbox };
    let (ours, _) = read_known_of(source, with.place(Side::Source), &keys, missing, |_| true).await?;
    let (theirs, _) = read_known_of(target, with.place(Side::Target), &keys, extra, |_| true).await?;
    let matched = match_known(source, target, with, (ours, theirs), By::Likeness).await?.found;
    let pair = |matched: Matched| {
        let target_uid = matched.settled.target_uid?.0;
        Some((matched.settled.source_uid.0, (target_uid, "content kept, bytes not: its headers were altered")))
    };
    Ok(matched.into_iter().filter_map(pair).collect())
}

/// How many octets these messages have that the server hands out, by UID.
async fn count_octets(
    connection: &mut Connection,
    place: Place<'_>,
    uids: &UidSet,
) -> Result<BTreeMap<u32, u64>, WalkError> {
    let push = |counted: &mut u64, octets: &[u8]| *counted += octets.len() as u64;
    let counted = digest_carefully(connection, place, uids, |_| 0, push).await?.0.digests;
    Ok(counted.into_iter().map(|(uid, octets)| (uid.0, octets)).collect())
}

fn correct_sizes(rows: &mut [Seen<MessageKey>], counted: &BTreeMap<u32, u64>) {
    for row in rows {
        row.size = counted.get(&row.uid).copied().or(row.size);
    }
}

/// Looks again, more leniently, at messages that found no equal partner.
async fn look_again(
    connection: &mut Connection,
    place: Place<'_>,
    uids: &UidSet,
) -> Result<BTreeMap<u32, Residue>, WalkError> {
    let keys = key_maker();
    let begin = |_: &Metadata<'_>| (ContentDigester::default(), keys.stream());
    let push = |digest: &mut (ContentDigester, KeyStream), octets: &[u8]| {
        digest.0.push(octets);
        digest.1.push(octets);
    };
    let digests = digest_carefully(connection, place, uids, begin, push).await?.0.digests;
    Ok(digests.into_iter().map(|(uid, (content, key))| (uid.0, (content.finish(), key.finish()))).collect())
}

/// Keys are compared within one run only, so they need no secret of a ledger.
fn key_maker() -> KeyMaker {
    KeyMaker::new(*b"a verify per run")
}
