//! Comparing one account on both servers, message by message. Needs no ledger: it judges a copy that any tool made.

use crate::bodies::{Metadata, digest_bodies};
use crate::comparison::{Comparison, Seen, compare};
use crate::error::{LinkError, WalkError, mailbox_error, stop_of};
use crate::job::AccountPair;
use crate::listing::{Listings, connect, list_both};
use crate::pass::Links;
use crate::progress::Progress;
use crate::scan::{Known, scan_mailbox};
use crate::stop::StopSignal;
use crate::tail::read_known;
use mailhaul_imap::{Connection, PermanentFlags};
use mailhaul_plan::content::{ContentDigester, ContentDigests};
use mailhaul_plan::keys::{KeyMaker, KeyStream};
use mailhaul_plan::mailboxes::{MappedMailbox, MappingRules, map_mailboxes};
use mailhaul_plan::selection::Selection;
use mailhaul_report::{ComparedMailbox, Difference, DifferenceKind, VerifyReport};
use mailhaul_types::{Flags, MailboxName, MessageKey, Side, SystemFlag, Uid, UidSet, escape};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::time::Instant;

/// How closely verify looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyLevel {
    /// Numbers of messages.
    Counts,
    /// Every message by its key, size, internal date and flags.
    Keys,
    /// Every message by all its octets (SHA-256), internal date and flags.
    Bytes,
}

/// What to compare.
#[derive(Debug, Clone)]
pub struct VerifyJob {
    /// Both ends.
    pub accounts: AccountPair,
    /// Which mailboxes, and under which names.
    pub rules: MappingRules,
    /// Which source messages must be on the target.
    pub selection: Selection,
    /// How closely to look.
    pub level: VerifyLevel,
    /// Do not compare flags: users who work on the target change them.
    pub ignore_flags: bool,
}

/// Compares both accounts and reports. Writes nothing on either side.
pub async fn verify_account(job: &VerifyJob, progress: &Progress, stop: &StopSignal) -> VerifyReport {
    let started = Instant::now();
    let level = match job.level {
        VerifyLevel::Counts => "counts",
        VerifyLevel::Keys => "keys",
        VerifyLevel::Bytes => "bytes",
    };
    let mut verifier = Verifier { job, progress, report: VerifyReport { level, ..VerifyReport::default() } };
    let end = tokio::select! {
        end = verifier.work() => end,
        // Nothing is ever written, so there is nothing to finish.
        () = stop.requested() => Err(WalkError::Interrupted { unanswered: 0 }),
    };
    let mut report = verifier.report;
    report.stop = end.err().map(stop_of);
    report.seconds = started.elapsed().as_secs_f64();
    report
}

struct Verifier<'a> {
    job: &'a VerifyJob,
    progress: &'a Progress,
    report: VerifyReport,
}

impl Verifier<'_> {
    async fn work(&mut self) -> Result<(), WalkError> {
        self.progress.doing("signing in".to_owned());
        let mut links = connect(&self.job.accounts).await.map_err(WalkError::Link)?;
        let Listings { source, target, .. } = list_both(&mut links).await?;
        let mapping = map_mailboxes(&source, &target, &self.job.rules, &BTreeMap::new()).map_err(|error| {
            let hint = "give the same --map options as for the copy".to_owned();
            WalkError::Decision { reason: error.to_string(), hint }
        })?;
        self.progress.expect_mailboxes(mapping.mailboxes.len() as u64);
        for mapped in &mapping.mailboxes {
            let name = mapped.target_name(links.target.name_encoding());
            match self.compare_mailbox(&mut links, mapped, &name).await {
                Err(WalkError::Mailbox(reason)) => self.differ(mapped, DifferenceKind::Mailbox, None, None, reason),
                other => other?,
            }
            self.progress.finish_mailbox(mapped.source.text());
        }
        let _ = tokio::join!(links.source.logout(), links.target.logout());
        Ok(())
    }

    async fn compare_mailbox(
        &mut self,
        links: &mut Links,
        mapped: &MappedMailbox,
        target_name: &MailboxName,
    ) -> Result<(), WalkError> {
        self.progress.doing(format!("{}: comparing", mapped.source));
        let source = open(&mut links.source, Side::Source, &mapped.source, &self.job.selection).await?;
        let everything = Selection::default();
        let target = open(&mut links.target, Side::Target, target_name, &everything).await?;
        let mut line = ComparedMailbox {
            source: mapped.source.to_string(),
            target: escape(&mapped.target_text),
            source_messages: source.listed.len(),
            target_messages: target.listed.len(),
            equal: 0,
            skipped: 0,
        };
        for (side, opened) in [(Side::Source, &source), (Side::Target, &target)] {
            if opened.incomplete {
                let reason = format!("the {side} does not list all the messages that it says there are");
                self.differ(mapped, DifferenceKind::Mailbox, None, None, reason);
            }
        }
        self.progress.listed(mapped.source.text(), source.listed.len() + target.listed.len(), 0);
        match self.job.level {
            VerifyLevel::Counts => self.compare_counts(mapped, &source, &target),
            VerifyLevel::Keys => self.compare_keys(links, mapped, &source, &target, &mut line).await?,
            VerifyLevel::Bytes => self.compare_bytes(links, mapped, &source, &target, &mut line).await?,
        }
        self.progress.settle(source.listed.len() + target.listed.len(), 0);
        self.report.mailboxes.push(line);
        Ok(())
    }

    fn compare_counts(&mut self, mapped: &MappedMailbox, source: &Opened, target: &Opened) {
        let (wanted, there) = (source.listed.len() - source.skipped.len(), target.listed.len());
        if wanted != there {
            let reason = format!("{wanted} messages at the source, {there} on the target");
            self.differ(mapped, DifferenceKind::Mailbox, None, None, reason);
        }
    }

    async fn compare_keys(
        &mut self,
        links: &mut Links,
        mapped: &MappedMailbox,
        source: &Opened,
        target: &Opened,
        line: &mut ComparedMailbox,
    ) -> Result<(), WalkError> {
        let keys = KeyMaker::new(*b"a verify per run");
        let mut sides = Vec::new();
        for (connection, side, opened) in
            [(&mut links.source, Side::Source, source), (&mut links.target, Side::Target, target)]
        {
            let known = read_known(connection, side, &keys, &opened.listed, |_| true).await?;
            let rows: Vec<Seen<Option<MessageKey>>> = known
                .into_iter()
                .map(|known| Seen {
                    uid: known.candidate.uid.0,
                    identity: known.candidate.key,
                    size: Some(known.candidate.size),
                    date: known.candidate.date,
                    flags: self.flags(&known.flags, &target.permanent),
                })
                .collect();
            self.name_unread(mapped, side, opened, rows.iter().map(|row| row.uid));
            sides.push(rows);
        }
        let found = compare(&sides[0], &sides[1]);
        line.equal = found.equal;
        self.file(mapped, source, &sides[0], &sides[1], &found, &BTreeMap::new(), line);
        Ok(())
    }

    async fn compare_bytes(
        &mut self,
        links: &mut Links,
        mapped: &MappedMailbox,
        source: &Opened,
        target: &Opened,
        line: &mut ComparedMailbox,
    ) -> Result<(), WalkError> {
        let mut sides = Vec::new();
        for (connection, side, opened) in
            [(&mut links.source, Side::Source, source), (&mut links.target, Side::Target, target)]
        {
            let rows = self.read_octets(connection, side, &opened.listed, &target.permanent).await?;
            self.name_unread(mapped, side, opened, rows.iter().map(|row| row.uid));
            sides.push(rows);
        }
        let found = compare(&sides[0], &sides[1]);
        line.equal = found.equal;
        let uids = |rows: &[Seen<[u8; 32]>], places: &[usize]| -> UidSet {
            places.iter().map(|place| Uid(rows[*place].uid)).collect()
        };
        let ours = explain(&mut links.source, Side::Source, &uids(&sides[0], &found.missing)).await?;
        let theirs = explain(&mut links.target, Side::Target, &uids(&sides[1], &found.extra)).await?;
        let explained = pair_residues(&ours, &theirs);
        self.file(mapped, source, &sides[0], &sides[1], &found, &explained, line);
        Ok(())
    }

    async fn read_octets(
        &self,
        connection: &mut Connection,
        side: Side,
        uids: &UidSet,
        permanent: &PermanentFlags,
    ) -> Result<Vec<Seen<[u8; 32]>>, WalkError> {
        let begin = |metadata: &Metadata<'_>| {
            let date = metadata.date.map(mailhaul_types::InternalDate::unix_secs);
            (Sha256::new(), date, self.flags(metadata.flags, permanent))
        };
        let digests = digest_bodies(connection, uids, begin, |digest, octets| digest.0.update(octets)).await;
        let digests = digests.map_err(|error| WalkError::Link(LinkError { side, error }))?.digests;
        let row = |(uid, (digest, date, flags)): (Uid, (Sha256, Option<i64>, Option<String>))| Seen {
            uid: uid.0,
            identity: digest.finalize().into(),
            size: None,
            date,
            flags,
        };
        Ok(digests.into_iter().map(row).collect())
    }

    /// Flags as far as the target can hold them, so that what it cannot hold is no difference of the copy.
    fn flags(&self, flags: &Flags, permanent: &PermanentFlags) -> Option<String> {
        if self.job.ignore_flags {
            return None;
        }
        let mut kept = flags.clone();
        kept.remove(SystemFlag::Deleted);
        for flag in SystemFlag::ALL.into_iter().filter(|flag| !permanent.flags.contains(*flag)) {
            kept.remove(flag);
        }
        let known = |keyword: &str| permanent.flags.keywords().iter().any(|known| known.eq_ignore_ascii_case(keyword));
        kept.retain_keywords(|keyword| permanent.any_keyword || known(keyword));
        Some(kept.to_string())
    }

    /// Messages that are listed and could not be read prove nothing; they are named.
    fn name_unread(&mut self, mapped: &MappedMailbox, side: Side, opened: &Opened, read: impl Iterator<Item = u32>) {
        let read: UidSet = read.map(Uid).collect();
        for uid in mailhaul_plan::steps::difference(&opened.listed, &read).iter() {
            let (source_uid, target_uid) = match side {
                Side::Source => (Some(uid.0), None),
                Side::Target => (None, Some(uid.0)),
            };
            let reason = format!("the {side} lists it and does not hand it out");
            self.differ(mapped, DifferenceKind::Mailbox, source_uid, target_uid, reason);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the two sides, what was found, and where it goes")]
    fn file<I>(
        &mut self,
        mapped: &MappedMailbox,
        opened: &Opened,
        source: &[Seen<I>],
        target: &[Seen<I>],
        found: &Comparison,
        explained: &BTreeMap<u32, (u32, &'static str)>,
        line: &mut ComparedMailbox,
    ) {
        for (ours, theirs, reason) in &found.altered {
            let (ours, theirs) = (Some(source[*ours].uid), Some(target[*theirs].uid));
            self.differ(mapped, DifferenceKind::Altered, ours, theirs, escape(reason));
        }
        for place in &found.missing {
            let uid = source[*place].uid;
            if let Some((partner, reason)) = explained.get(&uid) {
                let reason = (*reason).to_owned();
                self.differ(mapped, DifferenceKind::Altered, Some(uid), Some(*partner), reason);
            } else if opened.skipped.contains(Uid(uid)) {
                line.skipped += 1;
            } else {
                self.differ(mapped, DifferenceKind::Missing, Some(uid), None, "not on the target".to_owned());
            }
        }
        for place in &found.doubled {
            let reason = "once more than at the source".to_owned();
            self.differ(mapped, DifferenceKind::Doubled, None, Some(target[*place].uid), reason);
        }
        let explained_extras: UidSet = explained.values().map(|(partner, _)| Uid(*partner)).collect();
        for place in &found.extra {
            let uid = target[*place].uid;
            if !explained_extras.contains(Uid(uid)) {
                self.differ(mapped, DifferenceKind::Extra, None, Some(uid), "not at the source".to_owned());
            }
        }
    }

    fn differ(
        &mut self,
        mapped: &MappedMailbox,
        kind: DifferenceKind,
        source_uid: Option<u32>,
        target_uid: Option<u32>,
        reason: String,
    ) {
        let mailbox = mapped.source.to_string();
        self.report.differences.push(Difference { mailbox, kind, source_uid, target_uid, reason });
    }
}

/// A mailbox that was opened and listed.
struct Opened {
    listed: UidSet,
    skipped: UidSet,
    permanent: PermanentFlags,
    incomplete: bool,
}

async fn open(
    connection: &mut Connection,
    side: Side,
    name: &MailboxName,
    selection: &Selection,
) -> Result<Opened, WalkError> {
    let selected = connection.examine(name).await.map_err(|error| mailbox_error(side, error))?;
    let permanent = selected.permanent_flags.clone();
    let Some(uid_validity) = selected.uid_validity else {
        return Err(WalkError::Mailbox(format!("the {side} keeps no UIDs for this mailbox")));
    };
    let known = Known::new(None, selection);
    let listing = scan_mailbox(connection, side, name, selected, uid_validity, &known).await?;
    let mut skipped = UidSet::new();
    listing.skipped.values().for_each(|uids| skipped.extend_ranges(uids));
    Ok(Opened { listed: listing.listed, skipped, permanent, incomplete: listing.missing.is_some() })
}

type Explained = BTreeMap<u32, (ContentDigests, MessageKey)>;

/// Looks again, more leniently, at messages that found no equal partner.
async fn explain(connection: &mut Connection, side: Side, uids: &UidSet) -> Result<Explained, WalkError> {
    if uids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let keys = KeyMaker::new(*b"a verify per run");
    let begin = |_: &Metadata<'_>| (ContentDigester::default(), keys.stream());
    let push = |digest: &mut (ContentDigester, KeyStream), octets: &[u8]| {
        digest.0.push(octets);
        digest.1.push(octets);
    };
    let digests = digest_bodies(connection, uids, begin, push).await;
    let digests = digests.map_err(|error| WalkError::Link(LinkError { side, error }))?.digests;
    Ok(digests.into_iter().map(|(uid, (content, key))| (uid.0, (content.finish(), key.finish()))).collect())
}

/// Pairs residues of both sides that are the same mail after all, and says what differs.
fn pair_residues(ours: &Explained, theirs: &Explained) -> BTreeMap<u32, (u32, &'static str)> {
    type SameMail = fn(&(ContentDigests, MessageKey), &(ContentDigests, MessageKey)) -> bool;
    const LOOKS: [(SameMail, &str); 3] = [
        (|one, other| one.0.full == other.0.full, "only its line ends differ"),
        (|one, other| one.1 == other.1 && one.0.body == other.0.body, "its headers differ, its body is the same"),
        (|one, other| one.1 == other.1, "the same headers, but other octets"),
    ];
    let mut pairs = BTreeMap::new();
    let mut free: Vec<u32> = theirs.keys().copied().collect();
    for (same, reason) in LOOKS {
        for (uid, ours) in ours {
            if pairs.contains_key(uid) {
                continue;
            }
            if let Some(place) = free.iter().position(|other| same(ours, &theirs[other])) {
                pairs.insert(*uid, (free.remove(place), reason));
            }
        }
    }
    pairs
}
