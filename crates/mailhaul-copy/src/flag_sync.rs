//! Flags that changed after their messages were copied: what the source has now against what it had when it was last
//! looked at, handed over as differences, with one command for all messages that differ in the same way.

use crate::bounds;
use crate::error::{WalkError, on};
use crate::scan::Listing;
use crate::tally::Tally;
use crate::transfer::FlagsSent;
use crate::walk::{Links, Pair, Target, Walk};
use mailhaul_db::{Settled, SettledState};
use mailhaul_imap::{ErrorClass, FlagsRow, ImapError, StoreMode};
use mailhaul_plan::flags::{FlagCase, FlagChange, FlagStep, decide_flags, needs_target, same_flags};
use mailhaul_plan::policy::FlagPolicy;
use mailhaul_report::count_of;
use mailhaul_types::{Flags, Side, Uid, UidSet, escape};
use std::collections::{BTreeMap, BTreeSet};

/// Hands over to the target what has changed. Both mailboxes of the pair are selected. Broken off anywhere, the rest is
/// found again by the next pass: what was last synced is noted only once the target has it.
pub(crate) async fn sync_flags(
    walk: &Walk<'_>,
    links: &mut Links,
    pair: &Pair<'_>,
    tally: &mut Tally,
    listing: &Listing,
    target: &Target,
) -> Result<(), WalkError> {
    tally.flags_refused = None;
    let policy = walk.job.resync.flags;
    let everything = needs_target(policy, false);
    let noted = listing.flags.uids();
    if policy == FlagPolicy::None || (noted.is_empty() && !everything) {
        return Ok(());
    }
    let mut sync = Sync { policy, listing, target, work: Work::default() };
    if everything || noted.len() > bounds::SETTLED_AT_ONCE {
        let mut pages = pair.ledger.messages().await?;
        while let Some(page) = pages.next().await? {
            sync.judge(links, page).await?;
        }
    } else {
        sync.judge(links, pair.ledger.settled_in(&noted).await?).await?;
    }
    let work = sync.work;
    work.tell(tally);
    if work.synced.is_empty() && work.groups.is_empty() {
        return Ok(());
    }
    walk.doing(pair, "changing flags");
    let refused = work.store(links, tally).await?;
    let base = |uid: &Uid| {
        let now = listing.flags.get(*uid)?;
        Some((*uid, target.filter.apply(now, FlagsSent::All)))
    };
    let bases: Vec<(Uid, Flags)> = work.synced.iter().filter(|uid| !refused.contains(uid)).filter_map(base).collect();
    for part in bases.chunks(bounds::FLAGS_AT_ONCE) {
        pair.ledger.set_flags(part.to_vec()).await?;
    }
    Ok(())
}

/// Messages whose flags change in one way.
#[derive(Debug)]
struct Group {
    mode: StoreMode,
    flags: Flags,
    /// UIDs at the source and on the target.
    messages: Vec<(Uid, Uid)>,
}

/// What is to be done.
#[derive(Debug, Default)]
struct Work {
    /// By what is done, in words: what is taken away comes first.
    groups: BTreeMap<(bool, String), Group>,
    /// Source UIDs whose flags count as synced once everything is done.
    synced: BTreeSet<Uid>,
    /// Messages whose copy is not known for certain.
    unknown: u64,
    /// Messages whose flags both sides have changed, and whose target's owner wins.
    left_to_owner: u64,
}

struct Sync<'a> {
    policy: FlagPolicy,
    listing: &'a Listing,
    target: &'a Target,
    work: Work,
}

impl Sync<'_> {
    /// Decides about settled messages; reads what the target has where that matters.
    async fn judge(&mut self, links: &mut Links, page: Vec<Settled>) -> Result<(), WalkError> {
        let everything = needs_target(self.policy, false);
        let concerned = page.into_iter().filter(|message| {
            let noted = self.listing.flags.get(message.source_uid).is_some();
            noted || (everything && self.listing.listed.contains(message.source_uid))
        });
        let concerned: Vec<Settled> = concerned.collect();
        let theirs = self.read_target(links, &concerned).await?;
        for message in &concerned {
            self.judge_one(message, message.target_uid.and_then(|uid| theirs.get(&uid)));
        }
        Ok(())
    }

    fn judge_one(&mut self, message: &Settled, theirs: Option<&Flags>) {
        let kept = |flags: &Flags| self.target.filter.apply(flags, FlagsSent::All);
        let now = self.listing.flags.get(message.source_uid);
        let (base, source) = (kept(&message.flags), kept(now.unwrap_or(&message.flags)));
        let theirs = theirs.map(kept);
        let changed = !same_flags(&base, &source);
        let step = decide_flags(self.policy, FlagCase { base: &base, source: &source, target: theirs.as_ref() });
        let Some(target_uid) = known_copy(message) else {
            self.work.unknown += u64::from(changed);
            return;
        };
        if changed {
            self.work.synced.insert(message.source_uid);
        }
        match step {
            FlagStep::Nothing => {}
            FlagStep::LeftToOwner => self.work.left_to_owner += 1,
            // The owner has deleted or filed the copy.
            FlagStep::Change(_) if theirs.is_none() && needs_target(self.policy, changed) => {}
            FlagStep::Change(change) => self.work.add(message.source_uid, target_uid, &change),
        }
    }

    /// The target's flags of those messages for which they decide.
    async fn read_target(&self, links: &mut Links, page: &[Settled]) -> Result<BTreeMap<Uid, Flags>, WalkError> {
        let mut theirs = BTreeMap::new();
        if !needs_target(self.policy, true) {
            return Ok(theirs);
        }
        let kept = |flags: &Flags| self.target.filter.apply(flags, FlagsSent::All);
        let matters = |message: &&Settled| {
            let now = self.listing.flags.get(message.source_uid);
            let changed = now.is_some_and(|now| !same_flags(&kept(&message.flags), &kept(now)));
            needs_target(self.policy, changed)
        };
        let uids: UidSet = page.iter().filter(matters).filter_map(known_copy).collect();
        if !uids.is_empty() {
            let mut take = |row: FlagsRow| drop(theirs.insert(row.uid, row.flags));
            links.target.fetch_flags(&uids, &mut take).await.map_err(on(Side::Target))?;
        }
        Ok(theirs)
    }
}

impl Work {
    fn add(&mut self, source: Uid, target: Uid, change: &FlagChange) {
        for (mode, flags) in [(StoreMode::Remove, &change.remove), (StoreMode::Add, &change.add)] {
            if flags.is_empty() {
                continue;
            }
            let new = || Group { mode, flags: flags.clone(), messages: Vec::new() };
            let key = (mode == StoreMode::Add, flags.to_string());
            self.groups.entry(key).or_insert_with(new).messages.push((source, target));
        }
    }

    /// What is not done, in words.
    fn tell(&self, tally: &mut Tally) {
        if self.unknown > 0 {
            let text = format!(
                "flags of {} changed at the source and cannot be handed over: it is not known which of the target's \
                 messages they are",
                count_of(self.unknown, "message")
            );
            tally.note("flags-unknown", text, self.unknown);
        }
        if self.left_to_owner > 0 {
            let text = format!(
                "flags of {} changed on both sides; the target's were left as they are",
                count_of(self.left_to_owner, "message")
            );
            tally.note("flags-left", text, self.left_to_owner);
        }
    }

    /// Changes flags on the target. Returns the source UIDs of what was refused.
    async fn store(&self, links: &mut Links, tally: &mut Tally) -> Result<BTreeSet<Uid>, WalkError> {
        let mut refused = BTreeSet::new();
        let mut words_of_refusal = None;
        let mut without_keywords = 0;
        for group in self.groups.values() {
            let uids: UidSet = group.messages.iter().map(|(_, target)| *target).collect();
            let sources = group.messages.iter().map(|(source, _)| *source);
            let Some(words) = store(links, group.mode, &uids, &group.flags).await? else {
                sources.for_each(|source| tally.flags_changed.insert(source));
                continue;
            };
            let system = Flags::from_parts(group.flags.system_bits(), []);
            let fewer =
                if system == group.flags { Some(words) } else { store(links, group.mode, &uids, &system).await? };
            match fewer {
                None => {
                    without_keywords += uids.len();
                    if !system.is_empty() {
                        sources.for_each(|source| tally.flags_changed.insert(source));
                    }
                }
                Some(words) => {
                    tracing::warn!(%words, messages = uids.len(), "the target refuses a change of flags");
                    let text = format!(
                        "the target refuses to change {} of {}: \"{words}\"; the next run tries again",
                        group.flags,
                        count_of(uids.len(), "message")
                    );
                    words_of_refusal.get_or_insert(text);
                    refused.extend(sources);
                }
            }
        }
        if without_keywords > 0 {
            let text =
                format!("keywords of {} changed, and the target refuses them", count_of(without_keywords, "message"));
            tally.note("keywords-refused", text, without_keywords);
        }
        tally.flags_refused = words_of_refusal;
        Ok(refused)
    }
}

/// The copy, if it is known to be that and not merely likely: flags of other mail are not changed.
fn known_copy(message: &Settled) -> Option<Uid> {
    message.target_uid.filter(|_| message.state != SettledState::Likely)
}

/// One change; returns the target's words if it refuses.
async fn store(links: &mut Links, mode: StoreMode, uids: &UidSet, flags: &Flags) -> Result<Option<String>, WalkError> {
    if flags.is_empty() {
        return Ok(None);
    }
    match links.target.store_flags(uids, mode, flags).await {
        Ok(()) => Ok(None),
        Err(error @ ImapError::Refused { .. })
            if !matches!(error.class(), ErrorClass::Throttle | ErrorClass::SignIn | ErrorClass::Quota) =>
        {
            Ok(Some(escape(&error.to_string())))
        }
        Err(error) => Err(on(Side::Target)(error)),
    }
}
